//! Several clients, and a room that they share.

use std::{collections::BTreeMap, mem};

use roommate::Content;

use super::{
    super::place::{Down, Mood, Place},
    client::{Client, Connection, Edit, Get, session},
    *,
};
use crate::NoticeQueue;

/// What may happen, to client number `.0`.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Edit(usize, Changes),
    /// The server receives the next message on the client's connection.
    Take(usize),
    /// The server receives a message that was in flight when its connection broke.
    TakeLate(usize),
    /// The client receives the next message.
    Hear(usize),
    /// The connection breaks, and neither end notices. This many of the messages in flight arrive, late.
    Break(usize, usize),
    /// The client notices, or closes it.
    Notice(usize),
    Open(usize),
    Wait(usize, u64),
    /// The server handles the GET of a load, or the response arrives.
    Answer(usize),
    /// The engine takes a notice.
    Follow(usize),
    /// The engine begins a new watch, and saves again what is not confirmed. It may be a new process.
    Relisten(usize, bool),
    /// The server sends a snapshot in place of the messages in flight.
    Summarise(usize),
    /// A message is lost on a connection that stays open: the server malfunctions.
    Lose(usize),
    Crash,
    Forget(usize),
    /// A stock client changes something.
    Change(Changes),
    Put,
    Rule(Mood),
}

pub(super) const CLIENTS: usize = 3;

pub(super) struct World<P> {
    pub(super) place: P,
    pub(super) clients: Vec<Client>,
    pub(super) connections: u64,
    /// Every edit writes values of its own.
    pub(super) written: u32,
    /// The room has forgotten a client that may have had messages in flight.
    pub(super) forgot: bool,
    /// The bound on unacknowledged refusals, if it is a very small one. In that case the room's rules change as well.
    pub(super) most: Option<Tally>,
    /// The largest message that the room accepts.
    pub(super) limit: usize,
}

impl<P: Place> World<P> {
    pub(super) fn new(place: P, most: Option<Tally>) -> Self {
        let clients = (0..CLIENTS)
            .map(|number| {
                let name = format!("client {number}");
                Client {
                    session: session(&name, most),
                    name,
                    now: Duration::ZERO,
                    connection: Connection::default(),
                    late: VecDeque::new(),
                    notices: NoticeQueue::new(4),
                    view: Content::new(),
                    load: None,
                    edits: BTreeMap::new(),
                    to_save: VecDeque::new(),
                    saved: BTreeMap::new(),
                    forgone: vec![],
                }
            })
            .collect();
        Self { place, clients, connections: 0, written: 0, forgot: false, most, limit: usize::MAX }
    }

    pub(super) fn live(&mut self, ops: &[Op]) {
        for op in ops {
            self.run(op);
        }
        self.rest();
        self.check();
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Edit(number, shape) => {
                let changes = self.unique(shape);
                let client = &mut self.clients[*number];
                let edit = client.edits.keys().next_back().map_or(1, |last| last + 2);
                client.edits.insert(edit, Edit { changes, refused: Changes::new(), confirmed: false });
                client.to_save.push_back(edit);
                self.settle(*number);
            }
            Op::Take(number) => {
                let connection = &mut self.clients[*number].connection;
                if let Some(frame) = connection.up.pop_front() {
                    self.place.take(connection.number, &frame);
                }
                self.carry();
            }
            Op::TakeLate(number) => {
                if let Some((connection, frame)) = self.clients[*number].late.pop_front() {
                    self.place.take(connection, &frame);
                }
                self.carry();
            }
            Op::Hear(number) => {
                match self.clients[*number].connection.down.pop_front() {
                    Some(Down::Frame(frame)) => {
                        let client = &mut self.clients[*number];
                        let message = Dialect::default().decode_server(&frame).unwrap().unwrap().value;
                        client.session.heard(message, client.now);
                    }
                    Some(Down::Close(code)) => {
                        let client = &mut self.clients[*number];
                        if mem::take(&mut client.connection.open) {
                            client.session.closed_with(code);
                        }
                        self.run(&Op::Notice(*number));
                    }
                    None => {}
                }
                self.settle(*number);
            }
            Op::Break(number, arrive) => {
                let client = &mut self.clients[*number];
                let connection = &mut client.connection;
                connection.whole = false;
                connection.down.clear();
                let up = mem::take(&mut connection.up).into_iter().take(*arrive);
                client.late.extend(up.map(|frame| (connection.number, frame)));
            }
            Op::Notice(number) => {
                self.run(&Op::Break(*number, 0));
                let client = &mut self.clients[*number];
                if mem::take(&mut client.connection.open) {
                    client.session.closed();
                }
                self.settle(*number);
            }
            Op::Open(number) => {
                let client = &mut self.clients[*number];
                if !client.connection.open {
                    self.connections += 1;
                    client.connection =
                        Connection { number: self.connections, open: true, whole: true, ..Connection::default() };
                    self.place.connect(self.connections);
                    client.session.opened(client.now);
                }
                self.settle(*number);
            }
            Op::Wait(number, millis) => {
                let client = &mut self.clients[*number];
                client.now += Duration::from_millis(*millis);
                client.session.tick(client.now);
                self.settle(*number);
            }
            Op::Answer(number) => {
                let client = &mut self.clients[*number];
                match client.load.take() {
                    Some(Get::Asked) => client.load = Some(Get::Answered(self.place.content())),
                    Some(Get::Answered(content)) => client.view = content.unwrap_or_default(),
                    None => {}
                }
            }
            Op::Follow(number) => {
                self.clients[*number].follow();
                self.settle(*number);
            }
            Op::Relisten(number, process) => {
                self.run(&Op::Notice(*number));
                let client = &mut self.clients[*number];
                client.session.restart();
                if *process {
                    let last = mem::replace(&mut client.session, session(&client.name, self.most));
                    client.forgo(last, self.most.unwrap_or(MOST_REFUSED));
                }
                client.notices = NoticeQueue::new(4);
                client.load = Some(Get::Asked);
                client.saved.clear();
                client.to_save =
                    client.edits.iter().filter(|(_, edit)| !edit.confirmed).map(|(number, _)| *number).collect();
                self.settle(*number);
            }
            Op::Summarise(number) => {
                let connection = &mut self.clients[*number].connection;
                if connection.whole && !connection.down.iter().any(|down| matches!(down, Down::Close(_))) {
                    let waiting = mem::take(&mut connection.down);
                    self.place.summarise(connection.number);
                    let sent = self.place.sent();
                    // One that has not joined is sent none, or is closed.
                    connection.down = match sent.is_empty() {
                        true => waiting,
                        false => sent.into_iter().map(|(_, down)| down).collect(),
                    };
                }
            }
            Op::Lose(number) => {
                let client = &mut self.clients[*number];
                if let Some(Down::Frame(_)) = client.connection.down.front() {
                    client.connection.down.pop_front();
                    client.connection.answer_is_lost |= !client.session.is_joined();
                }
            }
            Op::Crash => {
                self.place.crash();
                for number in 0..self.clients.len() {
                    self.run(&Op::Break(number, 0));
                    self.clients[number].late.clear();
                }
            }
            Op::Forget(number) => {
                let client = &self.clients[*number];
                self.forgot |= client.edits.values().any(|edit| !edit.confirmed);
                self.place.forget(&client.name);
            }
            Op::Change(shape) => {
                let changes = self.unique(shape);
                self.place.change(&changes);
                self.carry();
            }
            Op::Put => {
                self.written += 1;
                let mut content = Content::new();
                content.apply(&value(self.written));
                self.place.put(&content);
                self.carry();
            }
            Op::Rule(mood) => self.place.rule(*mood),
        }
    }

    /// Returns `shape` with a unique value in each leaf.
    fn unique(&mut self, shape: &Changes) -> Changes {
        let mut changes = shape.clone();
        let rows = changes.tables.values_mut().flatten().flat_map(|rows| rows.values_mut());
        let cells = rows.flatten().flat_map(|cells| cells.values_mut());
        for to in cells.chain(changes.values.values_mut()).flatten() {
            self.written += 1;
            *to = Cell::from(self.written);
        }
        changes
    }

    /// Moves the messages that the room sends onto the connections.
    fn carry(&mut self) {
        for (number, down) in self.place.sent() {
            for client in &mut self.clients {
                if client.connection.number == number && client.connection.whole {
                    client.connection.down.push_back(down.clone());
                }
            }
        }
    }

    /// The client carries out its outputs.
    fn settle(&mut self, number: usize) {
        let client = &mut self.clients[number];
        while client.session.has_room()
            && !client.notices.is_full()
            && let Some(edit) = client.to_save.pop_front()
        {
            let key = EditKey { client: &client.name, number: edit };
            let receipt = client.session.save(Some(key), &client.edits[&edit].changes, client.now).unwrap();
            client.saved.insert(receipt, edit);
        }
        let mut reconnects = false;
        while let Some(output) = client.session.poll() {
            match output {
                SessionOutput::Send(frame) => {
                    assert!(client.connection.open, "sent only while it is open");
                    if client.connection.whole {
                        client.connection.up.push_back(frame);
                    }
                }
                SessionOutput::Notice(notice) => client.notices.push(Ok(notice)),
                SessionOutput::Report(error) => {
                    let is_silence = client.connection.answer_is_lost && error.kind() == ErrorKind::Unavailable;
                    assert!(self.limit < usize::MAX || is_silence, "{error}");
                }
                SessionOutput::Reconnect => reconnects = true,
            }
        }
        if reconnects {
            self.place.disconnect(self.clients[number].connection.number);
            self.run(&Op::Notice(number));
            self.run(&Op::Open(number));
        }
    }

    /// Repairs all connections and runs until nothing is pending.
    fn rest(&mut self) {
        self.run(&Op::Put);
        // The last messages reveal that an earlier one was lost.
        for round in 0..4 {
            for number in 0..CLIENTS {
                if round == 1 {
                    self.run(&Op::Edit(number, value(0)));
                }
                if !self.clients[number].connection.whole {
                    self.run(&Op::Notice(number));
                }
                self.run(&Op::Open(number));
            }
            if round == 1 {
                self.run(&Op::Change(value(0)));
            }
            for _ in 0..9 {
                for number in 0..CLIENTS {
                    while !self.clients[number].is_idle() {
                        self.run(&Op::TakeLate(number));
                        self.run(&Op::Take(number));
                        self.run(&Op::Hear(number));
                        self.run(&Op::Answer(number));
                        self.run(&Op::Follow(number));
                    }
                    self.run(&Op::Wait(number, 4000));
                }
            }
        }
    }

    fn check(&self) {
        let held = self.place.content().unwrap();
        let mut written = BTreeMap::<String, usize>::new();
        for leaf in self.place.accepted().iter().flat_map(leaf::leaves) {
            *written.entry(format!("{leaf:?}")).or_default() += 1;
        }
        for client in &self.clients {
            assert_eq!(client.view, held, "{} shows what the room holds", client.name);
            for (number, edit) in &client.edits {
                assert!(edit.confirmed, "edit {number} of {} was answered", client.name);
                assert!(leaf::is_part(&edit.refused, &edit.changes));
                let fits = Dialect::default().encode_change(9_999_999, &edit.changes).len() <= self.limit;
                for leaf in leaf::leaves(&edit.changes) {
                    let refused = leaf.is_in(&edit.refused);
                    // Deleting data that does not exist changes nothing, whether the deletion is refused or not.
                    let untold = self.forgot && is_deletion(leaf) && !refused;
                    let is_usual = self.most.is_some() || refused == is_refused(leaf) || !fits && refused;
                    assert!(is_usual || untold, "{leaf:?} of edit {number} of {}", client.name);
                    if !is_deletion(leaf) {
                        let times = written.get(&format!("{leaf:?}")).copied().unwrap_or(0);
                        let forgone =
                            client.forgone.iter().any(|(edit, refused)| edit == number && leaf.is_in(refused));
                        let more = self.forgot && times > 1 || forgone && times == 0;
                        let right = if refused { times == 0 } else { times == 1 || more };
                        assert!(right, "{leaf:?} of edit {number} of {} was made {times} times", client.name);
                    }
                }
            }
        }
    }
}

fn is_deletion(leaf: leaf::Leaf<'_>) -> bool {
    !matches!(leaf, leaf::Leaf::Cell { to: Some(_), .. } | leaf::Leaf::Value { to: Some(_), .. })
}
