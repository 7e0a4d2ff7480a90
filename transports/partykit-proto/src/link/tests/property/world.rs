//! Several clients on a model of the stock server.

use std::collections::BTreeSet;

use super::{
    client::{Client, Connection, Down, Get, Up},
    *,
};

/// What may happen, to client number `.0`.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Edit(usize, Changes),
    /// The server receives the next message on the client's main connection.
    Take(usize),
    /// The server receives a message that was in flight when its connection broke.
    TakeLate(usize),
    /// The client receives the next message on the connection.
    Hear(usize, Side),
    /// The connection breaks, and neither end notices. This many of the messages in flight arrive, late.
    Break(usize, Side, usize),
    /// The client notices, or closes it.
    Notice(usize, Side),
    Open(usize, Side),
    Wait(usize, u64),
    /// The server handles the GET of a check or of a load, or the response arrives.
    Answer(usize, bool),
    FailGet(usize),
    /// The engine takes a notice.
    Follow(usize),
    /// A client saves a first content.
    Put,
}

pub(super) const CLIENTS: usize = 3;

/// The stock server: one order, no acknowledgements, refusals in silence.
#[derive(Default)]
pub(super) struct Server {
    pub(super) content: Option<Content>,
    /// Every leaf that was ever accepted.
    pub(super) accepted: Vec<Changes>,
}

pub(super) struct World {
    pub(super) server: Server,
    pub(super) clients: Vec<Client>,
    pub(super) wire: Wire,
}

impl World {
    pub(super) fn new(exists: bool) -> Self {
        let clients = (0..CLIENTS)
            .map(|_| {
                let options = LinkOptions {
                    capacity: 8,
                    // Small, so that some edits are split.
                    limits: Limits { cells: 3, ..Limits::default() },
                    ..LinkOptions::default()
                };
                let mut link = Link::new(Wire::default(), options);
                link.listen(Listening::Ear, Duration::ZERO);
                Client {
                    link,
                    now: Duration::ZERO,
                    main: Connection::default(),
                    ear: Connection::default(),
                    late: VecDeque::new(),
                    check: None,
                    notices: NoticeQueue::new(4),
                    view: Content::new(),
                    load: None,
                    load_again: false,
                    saves: BTreeMap::new(),
                    open: BTreeSet::new(),
                    ear_was_lost: false,
                }
            })
            .collect();
        let server = Server { content: exists.then(Content::new), accepted: vec![] };
        let mut world = Self { server, clients, wire: Wire::default() };
        for number in 0..CLIENTS {
            world.run(&Op::Open(number, Side::Main));
            world.run(&Op::Open(number, Side::Ear));
            // The client does what the engine does: it begins to watch, then loads.
            world.clients[number].load = Some((Get::Asked, vec![]));
        }
        world
    }

    pub(super) fn run(&mut self, op: &Op) {
        match op {
            Op::Edit(number, changes) => {
                let client = &mut self.clients[*number];
                // Otherwise the whole content would be offered by HTTP.
                if client.link.store_is_present() == Some(true) && client.link.has_room() && !client.notices.is_full() {
                    let Ok(Ticket::Confirmed(receipt)) = client.link.save(changes, client.now) else { unreachable!() };
                    client.saves.insert(receipt, changes.clone());
                    client.open.insert(receipt);
                }
                self.drain(*number);
            }
            Op::Take(number) => {
                let client = &mut self.clients[*number];
                match client.main.up.pop_front() {
                    Some(Up::Frame(frame)) => self.accept(*number, &frame),
                    Some(Up::Ping(check)) => client.main.down.push_back(Down::Pong(check)),
                    None => {}
                }
            }
            Op::TakeLate(number) => {
                if let Some(frame) = self.clients[*number].late.pop_front() {
                    self.accept(*number, &frame);
                }
            }
            Op::Hear(number, side) => {
                let client = &mut self.clients[*number];
                let now = client.now;
                match client.connection(*side).down.pop_front() {
                    Some(Down::Frame(frame)) => {
                        let payload = self.wire.decode_payload(&frame).unwrap().value;
                        client.link.heard(*side, payload, now);
                    }
                    Some(Down::Pong(check)) => client.link.alive(check),
                    None => {}
                }
                self.drain(*number);
            }
            Op::Break(number, side, arrive) => {
                let client = &mut self.clients[*number];
                let connection = client.connection(*side);
                connection.whole = false;
                let up = mem::take(&mut connection.up);
                connection.down.clear();
                client.ear_was_lost |= *side == Side::Ear;
                client.late.extend(up.into_iter().take(*arrive).filter_map(|up| match up {
                    Up::Frame(frame) => Some(frame),
                    Up::Ping(_) => None,
                }));
            }
            Op::Notice(number, side) => {
                self.run(&Op::Break(*number, *side, 0));
                let client = &mut self.clients[*number];
                let now = client.now;
                client.connection(*side).open = false;
                client.link.closed(*side, now);
                self.drain(*number);
            }
            Op::Open(number, side) => {
                let client = &mut self.clients[*number];
                let now = client.now;
                if !client.connection(*side).open {
                    *client.connection(*side) = Connection { open: true, whole: true, ..Connection::default() };
                    client.link.opened(*side, now);
                }
                self.drain(*number);
            }
            Op::Wait(number, millis) => {
                let client = &mut self.clients[*number];
                client.now += Duration::from_millis(*millis);
                client.link.tick(client.now);
                self.drain(*number);
            }
            Op::Answer(number, of_check) => {
                let client = &mut self.clients[*number];
                if *of_check {
                    match client.check.take() {
                        Some((check, Get::Asked)) => {
                            client.check = Some((check, Get::Answered(self.server.content.clone())));
                        }
                        Some((check, Get::Answered(content))) => client.link.checked(check, Some(content), client.now),
                        None => {}
                    }
                } else {
                    match client.load.take() {
                        Some((Get::Asked, since)) => {
                            client.load = Some((Get::Answered(self.server.content.clone()), since));
                        }
                        Some((Get::Answered(content), since)) => client.loaded(content, &since),
                        None => {}
                    }
                }
                self.drain(*number);
            }
            Op::FailGet(number) => {
                let client = &mut self.clients[*number];
                if let Some((check, _)) = client.check.take() {
                    client.link.checked(check, None, client.now);
                }
                self.drain(*number);
            }
            Op::Follow(number) => self.follow(*number),
            Op::Put => {
                if self.server.content.is_none() {
                    self.server.content = Some(content(&value(100)));
                }
            }
        }
    }

    fn accept(&mut self, author: usize, frame: &str) {
        let changes = self.wire.decode_changes(frame).unwrap().value;
        let Some(content) = &mut self.server.content else { return };
        let accepted = leaf::retain(&changes, |leaf| !is_refused(leaf));
        if accepted.is_empty() {
            return;
        }
        content.apply(&accepted);
        let frame: Arc<str> = self.wire.encode_changes(&accepted).into();
        self.server.accepted.push(accepted);
        for (number, client) in self.clients.iter_mut().enumerate() {
            for side in [Side::Main, Side::Ear] {
                let connection = client.connection(side);
                if connection.whole && (number, side) != (author, Side::Main) {
                    connection.down.push_back(Down::Frame(frame.clone()));
                }
            }
        }
    }

    fn drain(&mut self, number: usize) {
        let client = &mut self.clients[number];
        while let Some(output) = client.link.poll() {
            match output {
                LinkOutput::Send(frame) => {
                    assert!(client.main.open && client.ear.open, "sent only while both are open");
                    if client.main.whole {
                        client.main.up.push_back(Up::Frame(frame));
                    }
                }
                LinkOutput::Notice(notice) => client.notices.push(Ok(notice)),
                LinkOutput::Report(error) => panic!("{error}"),
                LinkOutput::Handed(receipt) => panic!("{receipt:?} was to be confirmed"),
                LinkOutput::Ping(Side::Main, check) => {
                    if client.main.whole {
                        client.main.up.push_back(Up::Ping(check));
                    }
                }
                LinkOutput::Ping(Side::Ear, check) => {
                    if client.ear.whole {
                        client.ear.down.push_back(Down::Pong(check));
                    }
                }
                LinkOutput::Get(check) => client.check = Some((check, Get::Asked)),
            }
        }
    }

    fn follow(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let Some(notice) = client.notices.pop() else { return };
        let notice = notice.unwrap();
        match (&mut client.load, &notice) {
            (None, Notice::Stale) => client.load = Some((Get::Asked, vec![])),
            (Some(_), Notice::Stale) => client.load_again = true,
            (Some((_, since)), _) => since.push(notice.clone()),
            (None, _) => {}
        }
        client.fold(&notice);
        if let Notice::Confirmed { receipt, refused } | Notice::Missing { receipt, missing: refused } = &notice {
            let is_sure = matches!(notice, Notice::Confirmed { .. });
            assert!(client.open.remove(receipt), "{receipt:?} is confirmed once");
            let save = &client.saves[receipt];
            assert!(leaf::is_part(refused, save));
            let overwritten = |leaf: leaf::Leaf<'_>| {
                client.saves.iter().any(|(later, changes)| later > receipt && leaf.is_overwritten_by(changes))
            };
            for leaf in leaf::leaves(save) {
                if leaf.is_in(refused) {
                    let missed = (client.ear_was_lost && !is_sure) || self.server.content.is_none();
                    assert!(is_refused(leaf) || missed, "{leaf:?} of {receipt:?} was not refused");
                } else {
                    let accepted = self.server.accepted.iter().any(|changes| leaf.is_in(changes));
                    assert!(
                        accepted || is_deletion(leaf) || overwritten(leaf),
                        "{leaf:?} of {receipt:?} was never accepted"
                    );
                }
            }
        }
    }

    /// Repairs all connections and runs until nothing is pending.
    pub(super) fn rest(&mut self) {
        self.run(&Op::Put);
        for number in 0..CLIENTS {
            for side in [Side::Main, Side::Ear] {
                if !self.clients[number].connection(side).whole {
                    self.run(&Op::Notice(number, side));
                }
                self.run(&Op::Open(number, side));
            }
        }
        for _ in 0..40 {
            for number in 0..CLIENTS {
                while !self.clients[number].is_idle() {
                    self.run(&Op::TakeLate(number));
                    self.run(&Op::Take(number));
                    self.run(&Op::Hear(number, Side::Main));
                    self.run(&Op::Hear(number, Side::Ear));
                    self.run(&Op::Answer(number, true));
                    self.run(&Op::Answer(number, false));
                    self.run(&Op::Follow(number));
                }
                self.run(&Op::Wait(number, 1000));
            }
        }
    }
}

/// The policy of the room: it refuses this cell, and deletions of this row.
fn is_refused(leaf: leaf::Leaf<'_>) -> bool {
    match leaf {
        leaf::Leaf::Cell { cell, .. } => *cell == *"secret",
        leaf::Leaf::NoRow { row, .. } => *row == *"kept",
        _ => false,
    }
}

fn is_deletion(leaf: leaf::Leaf<'_>) -> bool {
    !matches!(leaf, leaf::Leaf::Cell { to: Some(_), .. } | leaf::Leaf::Value { to: Some(_), .. })
}
