use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What may happen, to client number `.0`.
#[derive(Clone, Debug)]
enum Op {
    Edit(usize, Changes),
    /// The server takes the next thing that the client's main connection carries.
    Take(usize),
    /// The server takes a message that was on its way when its connection broke.
    TakeLate(usize),
    /// The client hears the next thing on the connection.
    Hear(usize, Side),
    /// The connection breaks, and nobody notices. Of what was on its way this many messages arrive, late.
    Break(usize, Side, usize),
    /// The client notices, or closes it.
    Notice(usize, Side),
    Open(usize, Side),
    Wait(usize, u64),
    /// The GET of a check, or that of a load, is handled by the server; or its answer arrives.
    Answer(usize, bool),
    FailGet(usize),
    /// The engine takes a notice.
    Follow(usize),
    /// Somebody saves a first content.
    Put,
}

/// The stock server: one order, no acknowledgements, refusals in silence.
#[derive(Default)]
struct Server {
    content: Option<Content>,
    /// Every leaf that was ever accepted.
    accepted: Vec<Changes>,
}

enum Up {
    Frame(Arc<str>),
    Ping(CheckId),
}

enum Down {
    Frame(Arc<str>),
    Pong(CheckId),
}

#[derive(Default)]
struct Connection {
    /// As the client sees it.
    open: bool,
    /// As it is.
    whole: bool,
    up: VecDeque<Up>,
    down: VecDeque<Down>,
}

enum Get {
    Asked,
    Answered(Option<Content>),
}

struct Client {
    link: Link,
    now: Duration,
    main: Connection,
    ear: Connection,
    late: VecDeque<Arc<str>>,
    check: Option<(CheckId, Get)>,
    notices: NoticeQueue,
    /// What the notices say the room holds.
    view: Content,
    /// A load, and the notices taken since it was asked for.
    load: Option<(Get, Vec<Notice>)>,
    load_again: bool,
    saves: BTreeMap<Receipt, Changes>,
    open: BTreeSet<Receipt>,
    ear_was_lost: bool,
}

struct World {
    server: Server,
    clients: Vec<Client>,
    wire: Wire,
}

const CLIENTS: usize = 3;

/// The policy of the room: it refuses this cell, and deletions of this row.
fn is_refused(leaf: leaf::Leaf<'_>) -> bool {
    match leaf {
        leaf::Leaf::Cell { cell, .. } => *cell == *"secret",
        leaf::Leaf::NoRow { row, .. } => *row == *"kept",
        _ => false,
    }
}

impl World {
    fn new(exists: bool) -> Self {
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
            // As the engine does: listen, then load.
            world.clients[number].load = Some((Get::Asked, vec![]));
        }
        world
    }

    fn run(&mut self, op: &Op) {
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

    /// Everything is mended and comes to rest.
    fn rest(&mut self) {
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

fn is_deletion(leaf: leaf::Leaf<'_>) -> bool {
    !matches!(leaf, leaf::Leaf::Cell { to: Some(_), .. } | leaf::Leaf::Value { to: Some(_), .. })
}

impl Client {
    fn connection(&mut self, side: Side) -> &mut Connection {
        match side {
            Side::Main => &mut self.main,
            Side::Ear => &mut self.ear,
        }
    }

    fn is_idle(&self) -> bool {
        let quiet = |connection: &Connection| connection.up.is_empty() && connection.down.is_empty();
        quiet(&self.main)
            && quiet(&self.ear)
            && self.late.is_empty()
            && self.check.is_none()
            && self.load.is_none()
            && self.notices.is_empty()
    }

    fn fold(&mut self, notice: &Notice) {
        match notice {
            Notice::Content(content) => self.view = content.clone(),
            Notice::Changes(changes) => self.view.apply(changes),
            Notice::Confirmed { receipt, refused } | Notice::Missing { receipt, missing: refused } => {
                self.view.apply(&leaf::retain(&self.saves[receipt], |leaf| !leaf.is_in(refused)));
            }
            _ => {}
        }
    }

    fn loaded(&mut self, content: Option<Content>, since: &[Notice]) {
        self.link.store_found(content.is_some(), self.now);
        self.view = content.unwrap_or_default();
        for notice in since {
            self.fold(notice);
        }
        if mem::take(&mut self.load_again) {
            self.load = Some((Get::Asked, vec![]));
        }
    }
}

fn any_changes() -> impl Strategy<Value = Changes> {
    let row = prop_oneof![Just("r"), Just("s"), Just("kept")];
    let leaf = prop_oneof![
        8 => (row.clone(), prop_oneof![Just("a"), Just("b"), Just("secret")], 0..4u32).prop_map(|(r, c, to)| cell(r, c, Some(to))),
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
        3 => (0..4u32).prop_map(value),
    ];
    proptest::collection::vec(leaf, 1..5).prop_map(|leaves| leaf::of_one_transaction(&leaves))
}

fn any_op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    let side = prop_oneof![Just(Side::Main), Just(Side::Ear)];
    prop_oneof![
        12 => (client.clone(), any_changes()).prop_map(|(number, changes)| Op::Edit(number, changes)),
        16 => client.clone().prop_map(Op::Take),
        2 => client.clone().prop_map(Op::TakeLate),
        24 => (client.clone(), prop_oneof![4 => Just(Side::Ear), 1 => Just(Side::Main)]).prop_map(|(number, side)| Op::Hear(number, side)),
        1 => (client.clone(), side.clone(), 0..3usize).prop_map(|(number, side, arrive)| Op::Break(number, side, arrive)),
        1 => (client.clone(), side.clone()).prop_map(|(number, side)| Op::Notice(number, side)),
        4 => (client.clone(), side).prop_map(|(number, side)| Op::Open(number, side)),
        6 => (client.clone(), 0..3000u64).prop_map(|(number, millis)| Op::Wait(number, millis)),
        8 => (client.clone(), any::<bool>()).prop_map(|(number, of_check)| Op::Answer(number, of_check)),
        1 => client.clone().prop_map(Op::FailGet),
        20 => client.prop_map(Op::Follow),
        1 => Just(Op::Put),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn r2_r4_r5_whatever_happens_every_client_ends_with_what_the_room_holds(
        exists in proptest::bool::weighted(0.9),
        ops in proptest::collection::vec(any_op(), 1..150),
    ) {
        let mut world = World::new(exists);
        for op in &ops {
            world.run(op);
        }
        world.rest();
        let held = world.server.content.clone().unwrap();
        for client in &world.clients {
            prop_assert!(client.open.is_empty(), "no answer for {:?}", client.open);
            prop_assert_eq!(&client.view, &held);
        }
    }
}
