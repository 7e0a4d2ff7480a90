use std::{collections::BTreeMap, mem};

use proptest::prelude::*;
use roommate::Content;

use super::{
    model::Model,
    place::{Down, Place},
    room::RealRoom,
    *,
};
use crate::proto::NoticeQueue;

/// What may happen, to client number `.0`.
#[derive(Clone, Debug)]
enum Op {
    Edit(usize, Changes),
    /// The server takes the next thing that the client's connection carries.
    Take(usize),
    /// The server takes a message that was on its way when its connection broke.
    TakeLate(usize),
    /// The client hears the next thing.
    Hear(usize),
    /// The connection breaks, and nobody notices. Of what was on its way this many messages arrive, late.
    Break(usize, usize),
    /// The client notices, or closes it.
    Notice(usize),
    Open(usize),
    Wait(usize, u64),
    /// The GET of a load is handled by the server, or its answer arrives.
    Answer(usize),
    /// The engine takes a notice.
    Follow(usize),
    /// The engine listens anew, and saves again what is not confirmed. Perhaps it is a new process.
    Relisten(usize, bool),
    /// The server sends a snapshot in place of what is on its way.
    Summarise(usize),
    /// Something is lost on a connection that goes on: a server gone mad.
    Lose(usize),
    Crash,
    Forget(usize),
    /// A stock client changes something.
    Change(Changes),
    Put,
}

#[derive(Default)]
struct Connection {
    number: u64,
    /// As the client sees it.
    open: bool,
    /// As it is.
    whole: bool,
    up: VecDeque<Arc<str>>,
    down: VecDeque<Down>,
}

enum Get {
    Asked,
    Answered(Option<Content>),
}

/// An edit, by its number.
struct Edit {
    changes: Changes,
    refused: Changes,
    confirmed: bool,
}

struct Client {
    name: String,
    session: Session,
    now: Duration,
    connection: Connection,
    late: VecDeque<(u64, Arc<str>)>,
    notices: NoticeQueue,
    view: Content,
    /// A load; the engine does not listen meanwhile.
    load: Option<Get>,
    edits: BTreeMap<u64, Edit>,
    /// Edits that the session does not have yet.
    to_save: VecDeque<u64>,
    saved: BTreeMap<Receipt, u64>,
}

struct World<P> {
    place: P,
    clients: Vec<Client>,
    connections: u64,
    /// Every edit writes values of its own.
    written: u32,
    /// Some client was forgotten that may have had something on its way.
    forgot: bool,
}

const CLIENTS: usize = 3;

fn session(client: &str) -> Session {
    // Small, so that some edits are split and some wait.
    let options =
        SessionOptions { capacity: 8, limits: Limits { cells: 3, ..Limits::default() }, ..SessionOptions::default() };
    Session::new(Dialect::default(), format!("random {client}"), options)
}

impl<P: Place> World<P> {
    fn new(place: P) -> Self {
        let clients = (0..CLIENTS)
            .map(|number| {
                let name = format!("client {number}");
                Client {
                    session: session(&name),
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
                }
            })
            .collect();
        Self { place, clients, connections: 0, written: 0, forgot: false }
    }

    fn live(&mut self, ops: &[Op]) {
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
                    Some(Down::Close) => self.run(&Op::Notice(*number)),
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
                match process {
                    true => client.session = session(&client.name),
                    false => client.session.restart(),
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
                if connection.whole && !connection.down.iter().any(|down| matches!(down, Down::Close)) {
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
                let down = &mut self.clients[*number].connection.down;
                if let Some(Down::Frame(_)) = down.front() {
                    down.pop_front();
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
        }
    }

    /// `shape`, each of whose leaves writes a value that nothing else writes.
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

    /// What the place sends goes onto connections.
    fn carry(&mut self) {
        for (number, down) in self.place.sent() {
            for client in &mut self.clients {
                if client.connection.number == number && client.connection.whole {
                    client.connection.down.push_back(down.clone());
                }
            }
        }
    }

    /// The client does what follows from what happened to it.
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
                SessionOutput::Report(error) => panic!("{error}"),
                SessionOutput::Reconnect => reconnects = true,
            }
        }
        if reconnects {
            self.place.disconnect(self.clients[number].connection.number);
            self.run(&Op::Notice(number));
            self.run(&Op::Open(number));
        }
    }

    /// Everything is mended and comes to rest.
    fn rest(&mut self) {
        self.run(&Op::Put);
        // What comes last shows that something before it was lost.
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
                for leaf in leaf::leaves(&edit.changes) {
                    let refused = leaf.is_in(&edit.refused);
                    // To delete what is not there changes nothing, whether that is refused or not.
                    let untold = self.forgot && is_deletion(leaf) && !refused;
                    assert!(refused == is_refused(leaf) || untold, "{leaf:?} of edit {number} of {}", client.name);
                    if !is_deletion(leaf) {
                        let times = written.get(&format!("{leaf:?}")).copied().unwrap_or(0);
                        let right = if refused { times == 0 } else { times == 1 || self.forgot && times > 1 };
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

impl Client {
    fn is_idle(&self) -> bool {
        self.connection.up.is_empty()
            && self.connection.down.is_empty()
            && self.late.is_empty()
            && self.load.is_none()
            && self.notices.is_empty()
    }

    fn follow(&mut self) {
        if self.load.is_some() {
            return;
        }
        match self.notices.pop().map(Result::unwrap) {
            Some(Notice::Content(content)) => self.view = content,
            Some(Notice::Changes(changes)) => self.view.apply(&changes),
            Some(Notice::Confirmed { receipt, refused }) => {
                self.session.taken(receipt);
                let edit = self.saved.remove(&receipt).expect("it is confirmed once");
                let edit = self.edits.get_mut(&edit).unwrap();
                assert!(!mem::replace(&mut edit.confirmed, true), "it is confirmed once");
                self.view.apply(&leaf::retain(&edit.changes, |leaf| !leaf.is_in(&refused)));
                edit.refused = refused;
            }
            Some(Notice::Stale) => self.load = Some(Get::Asked),
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
}

fn any_changes() -> impl Strategy<Value = Changes> {
    let row = prop_oneof![Just("r"), Just("s"), Just("kept")];
    let leaf = prop_oneof![
        8 => (row.clone(), prop_oneof![Just("a"), Just("b"), Just("secret")]).prop_map(|(r, c)| cell(r, c, Some(0))),
        2 => (row.clone(), prop_oneof![Just("a"), Just("b")]).prop_map(|(r, c)| cell(r, c, None)),
        2 => row.prop_map(|row| {
            let mut changes = Changes::new();
            changes.del_row("t", row);
            changes
        }),
        1 => Just({
            let mut changes = Changes::new();
            changes.del_table("t");
            changes
        }),
        3 => Just(value(0)),
    ];
    prop::collection::vec(leaf, 1..5).prop_map(|leaves| leaf::of_one_transaction(&leaves))
}

fn any_op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    prop_oneof![
        12 => (client.clone(), any_changes()).prop_map(|(number, changes)| Op::Edit(number, changes)),
        16 => client.clone().prop_map(Op::Take),
        2 => client.clone().prop_map(Op::TakeLate),
        24 => client.clone().prop_map(Op::Hear),
        3 => (client.clone(), 0..3usize).prop_map(|(number, arrive)| Op::Break(number, arrive)),
        2 => client.clone().prop_map(Op::Notice),
        6 => client.clone().prop_map(Op::Open),
        4 => (client.clone(), 0..3000u64).prop_map(|(number, millis)| Op::Wait(number, millis)),
        6 => client.clone().prop_map(Op::Answer),
        20 => client.clone().prop_map(Op::Follow),
        1 => (client.clone(), any::<bool>()).prop_map(|(number, process)| Op::Relisten(number, process)),
        1 => client.clone().prop_map(Op::Summarise),
        1 => client.clone().prop_map(Op::Lose),
        1 => Just(Op::Crash),
        1 => client.prop_map(Op::Forget),
        3 => any_changes().prop_map(Op::Change),
        1 => Just(Op::Put),
    ]
}

fn run<P: Place>(place: P, ops: &[Op]) {
    World::new(place).live(ops);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn r1_r4_r7_whatever_happens_every_change_is_made_once_and_answered_once(
        ops in prop::collection::vec(any_op(), 1..150),
    ) {
        run(Model::default(), &ops);
    }

    #[test]
    fn r1_r4_r7_with_a_real_room_every_change_is_made_once_and_answered_once(
        ops in prop::collection::vec(any_op(), 1..150),
    ) {
        run(RealRoom::new(4096), &ops);
    }

    #[test]
    fn r1_r4_with_a_room_that_forgets_its_clients_every_change_is_answered_once(
        ops in prop::collection::vec(any_op(), 1..150),
    ) {
        let mut world = World::new(RealRoom::new(1));
        world.forgot = true;
        world.live(&ops);
    }
}
