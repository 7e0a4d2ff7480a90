//! What holds of a room and of those who speak the extended dialect with it, whatever happens between them.
//!
//! The room is the real one. The client is the least that `PROTOCOL.md` asks of one: it keeps what the entries make, and
//! what it knows of its changes. Every change writes a number of its own, so that storage tells how often it took effect.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use roommate::{Cell, Changes, Content, Id, Payload};
use roommate_partykit::proto::{
    Asker, ClientMessage, ConnectionId, Context, Dialect, Entry, Input, Join, Output, Policy, Position, RequestId,
    Room, RoomConfig, ServerMessage, Standing, Wire,
};

/// How many clients of the dialect there are.
pub(crate) const CLIENTS: usize = 3;

/// One step of a history. Where it makes no sense it does nothing.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A client changes something: which client, what, and whether it sends that at once.
    Edit(usize, Edit),
    /// A stock client changes something.
    StockEdit(Edit),
    /// Somebody offers the first content.
    Put,
    /// The first frame on the way from a client arrives.
    Up(usize),
    /// The first frame on the way to a client arrives.
    Down(usize),
    /// A client opens a connection, in place of the one it has; and sends what is undecided at once, if it is eager, or
    /// else when it knows what is.
    Connect(usize, bool),
    /// A client loses its connection, and so many of the frames on its way to the room arrive all the same.
    Cut(usize, usize),
    /// The room hears of it that a lost connection is lost.
    Gone,
    /// A client's queue is full.
    Behind(usize),
    /// A client acknowledges what it knows.
    Ack(usize),
    /// The server dies when it has done so much of what the next frame makes it do. What it had sent arrives or does not.
    Crash(usize, bool),
    /// The policy changes its mind.
    Rule,
}

/// What a change touches. Its number, unique, is what is written.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Sets a cell, and a value that may be refused.
    Set(&'static str, &'static str),
    /// Sets a value and deletes a row.
    DelRow(&'static str),
    /// Sets a value and deletes the table.
    DelTable,
    /// Sets a value that may be refused, and nothing else.
    Guarded,
}

/// Refuses the value `guarded` and the row `b`, while it is strict.
#[derive(Clone, Debug, Default)]
struct Moody(Arc<AtomicBool>);

impl Policy for Moody {
    fn can_set_row(&self, _: &Id, row_id: &Id, _: Asker<'_>) -> bool {
        row_id != "b" || !self.0.load(Ordering::Relaxed)
    }
    fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        value_id != "guarded" || !self.0.load(Ordering::Relaxed)
    }
    fn can_del_table(&self, _: &Id, _: Asker<'_>) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// Runs a history to its end, and on until nothing is under way; then everybody knows the same, and everything is known.
pub(crate) fn hold_for_history(ops: &[Op], log: usize) {
    let mut world = World::new(log);
    for op in ops {
        world.step(op);
    }
    world.settle();
    world.check();
}

#[derive(Debug)]
struct World {
    config: RoomConfig,
    room: Room,
    storage: BTreeMap<String, Cell>,
    /// How often each number was written, as part of what: by the key.
    written: BTreeMap<(u64, String), usize>,
    strict: Arc<AtomicBool>,
    epochs: u64,
    connections: u64,
    changes: u64,
    pipes: BTreeMap<ConnectionId, Pipe>,
    clients: Vec<Client>,
    stock: Stock,
    crash: Option<(usize, bool)>,
}

/// A connection of a client, or one that it has lost and of which the room does not know yet.
#[derive(Debug, Default)]
struct Pipe {
    client: Option<usize>,
    up: VecDeque<String>,
    down: VecDeque<String>,
    behind: bool,
}

#[derive(Debug)]
struct Client {
    id: Arc<str>,
    connection: Option<ConnectionId>,
    joined: bool,
    at: Option<Position>,
    content: Option<Content>,
    pending: BTreeMap<u64, Changes>,
    sent: u64,
    /// Up to where it has sent without waiting for the answer to the join.
    eager: Option<u64>,
    last_id: u64,
    /// Each change whose fate is known, by its id, and what of it was refused.
    fates: BTreeMap<u64, (Changes, Changes)>,
}

/// A stock client that changes things, and one that only hears everything since it connected.
#[derive(Debug, Default)]
struct Stock {
    writer: Option<ConnectionId>,
    listener: Option<ConnectionId>,
    content: Content,
}

impl World {
    fn new(log: usize) -> Self {
        let policy = Moody::default();
        let strict = Arc::clone(&policy.0);
        let config = RoomConfig::new().with_policy(policy).with_max_log(log, 1 << 20);
        let client = |index| Client {
            id: format!("client {index}").into(),
            connection: None,
            joined: false,
            at: None,
            content: None,
            pending: BTreeMap::new(),
            sent: 0,
            eager: None,
            last_id: 0,
            fates: BTreeMap::new(),
        };
        let mut world = Self {
            room: Room::new(config.clone(), "0"),
            config,
            storage: BTreeMap::new(),
            written: BTreeMap::new(),
            strict,
            epochs: 0,
            connections: 0,
            changes: 0,
            pipes: BTreeMap::new(),
            clients: (0..CLIENTS).map(client).collect(),
            stock: Stock::default(),
            crash: None,
        };
        world.connect_stock();
        world
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Edit(client, edit) => self.edit(*client, edit),
            Op::StockEdit(edit) => {
                let frame = Wire::default().encode_changes(&self.changes_of(edit));
                if let Some(connection) = self.stock.writer {
                    self.take(Input::Message { connection, text: &frame });
                }
            }
            Op::Put => self.put(),
            Op::Up(client) => self.up(*client),
            Op::Down(client) => self.down(*client),
            Op::Connect(client, eager) => self.connect(*client, *eager),
            Op::Cut(client, arrive) => self.cut(*client, *arrive),
            Op::Gone => self.gone(),
            Op::Behind(client) => self.behind(*client),
            Op::Ack(client) => {
                let client = &self.clients[*client];
                if client.joined {
                    let ack = Dialect::default().encode_client(&ClientMessage::Ack(client.decided()));
                    self.send(client.connection, ack);
                }
            }
            Op::Crash(after, arrives) => self.crash = Some((*after, *arrives)),
            Op::Rule => {
                self.strict.fetch_xor(true, Ordering::Relaxed);
            }
        }
    }

    /// Lets everything come to an end.
    fn settle(&mut self) {
        self.crash = None;
        self.put();
        for _ in 0..4 {
            self.gone();
            for client in 0..CLIENTS {
                if self.clients[client].connection.is_none() {
                    self.connect(client, false);
                }
            }
            while self.pipes.values().any(|pipe| !pipe.up.is_empty() || !pipe.down.is_empty() || pipe.behind) {
                for client in 0..CLIENTS {
                    self.up(client);
                    self.down(client);
                }
            }
        }
    }

    fn check(&self) {
        let content = self.room.content();
        assert_eq!(self.stock.content, content, "the stock client heard everything");
        for client in &self.clients {
            assert_eq!(client.content.as_ref(), Some(&content), "r1: {} holds what the room holds", client.id);
            assert!(client.pending.is_empty(), "r4: {} knows the fate of all its changes", client.id);
            for (id, (changes, refused)) in &client.fates {
                for (key, number) in leaves(changes) {
                    let written = self.written.get(&(number, key.clone())).copied().unwrap_or_default();
                    let refused = leaves(refused).any(|leaf| leaf == (key.clone(), number));
                    assert_eq!(written, usize::from(!refused), "r7: change {id} of {}, {key}", client.id);
                }
            }
        }
        let restored = Room::restore(self.config.clone(), "restored", self.storage.clone());
        assert_eq!((restored.exists(), restored.content()), (true, content), "r6: everything was stored");
    }

    fn changes_of(&mut self, edit: &Edit) -> Changes {
        self.changes += 1;
        let number = Cell::try_from(self.changes).unwrap();
        let mut changes = Changes::new();
        match edit {
            Edit::Set(row, cell) => {
                changes.set_cell("t", *row, *cell, number.clone());
                changes.set_value("guarded", number);
            }
            Edit::DelRow(row) => {
                changes.del_row("t", *row);
                changes.set_value("free", number);
            }
            Edit::DelTable => {
                changes.del_table("t");
                changes.set_value("free", number);
            }
            Edit::Guarded => changes.set_value("guarded", number),
        }
        changes
    }

    fn edit(&mut self, index: usize, edit: &Edit) {
        let changes = self.changes_of(edit);
        let client = &mut self.clients[index];
        client.last_id += 1;
        client.pending.insert(client.last_id, changes);
        self.send_pending(index);
    }

    fn send_pending(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if !client.joined {
            return;
        }
        let unsent = client.pending.range(client.sent + 1..);
        let frames: Vec<_> = unsent.map(|(id, changes)| Dialect::default().encode_change(*id, changes)).collect();
        client.sent = client.last_id;
        let connection = client.connection;
        for frame in frames {
            self.send(connection, frame);
        }
    }

    fn send(&mut self, connection: Option<ConnectionId>, frame: String) {
        if let Some(pipe) = connection.and_then(|connection| self.pipes.get_mut(&connection)) {
            pipe.up.push_back(frame);
        }
    }

    fn connect(&mut self, index: usize, eager: bool) {
        self.lose(index);
        let connection = self.new_connection();
        let mut context = Context::default();
        context.query = "_pk=x&roommate=1".into();
        let client = &mut self.clients[index];
        client.connection = Some(connection);
        client.joined = false;
        let join = Join { client: Arc::clone(&client.id), at: client.at.clone(), decided: client.decided() };
        let mut up = VecDeque::from([Dialect::default().encode_client(&ClientMessage::Join(join))]);
        if eager {
            up.extend(client.pending.iter().map(|(id, changes)| Dialect::default().encode_change(*id, changes)));
        }
        client.eager = eager.then_some(client.last_id);
        self.pipes.insert(connection, Pipe { client: Some(index), up, ..Pipe::default() });
        self.take(Input::Connect { connection, context });
    }

    fn connect_stock(&mut self) {
        let [writer, listener] = [self.new_connection(), self.new_connection()];
        self.stock = Stock { writer: Some(writer), listener: Some(listener), content: self.room.content() };
        for connection in [writer, listener] {
            self.take(Input::Connect { connection, context: Context::default() });
        }
    }

    fn new_connection(&mut self) -> ConnectionId {
        self.connections += 1;
        ConnectionId(self.connections)
    }

    fn put(&mut self) {
        let mut context = Context::default();
        context.method = "PUT".into();
        context.path = "/store".into();
        self.take(Input::Request { request: RequestId(0), context, body: br#"[{"t":{"a":{"x":0}}},{"first":0}]"# });
        // Not told on the stock wire: whoever is there asks for it.
        self.stock.content = self.room.content();
    }

    fn up(&mut self, index: usize) {
        let Some(connection) = self.clients[index].connection else { return };
        if let Some(frame) = self.pipes.get_mut(&connection).and_then(|pipe| pipe.up.pop_front()) {
            self.take(Input::Message { connection, text: &frame });
        }
    }

    fn down(&mut self, index: usize) {
        let Some(connection) = self.clients[index].connection else { return };
        let Some(pipe) = self.pipes.get_mut(&connection) else { return };
        if let Some(frame) = pipe.down.pop_front() {
            self.clients[index].hear(read(&frame));
            self.send_pending(index);
        } else if std::mem::take(&mut pipe.behind) {
            self.take(Input::CaughtUp { connection });
        }
    }

    /// The client's end goes. The room's stays until it is told.
    fn lose(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.joined = false;
        let Some(connection) = client.connection.take() else { return };
        if let Some(pipe) = self.pipes.get_mut(&connection) {
            pipe.client = None;
            pipe.down.clear();
        }
    }

    fn cut(&mut self, index: usize, arrive: usize) {
        let connection = self.clients[index].connection;
        self.lose(index);
        if let Some(pipe) = connection.and_then(|connection| self.pipes.get_mut(&connection)) {
            pipe.up.truncate(arrive);
        }
    }

    /// What was on its way on lost connections arrives, and then that they are lost.
    fn gone(&mut self) {
        let lost: Vec<_> =
            self.pipes.iter().filter(|(_, pipe)| pipe.client.is_none()).map(|(connection, _)| *connection).collect();
        for connection in lost {
            while let Some(frame) = self.pipes.get_mut(&connection).and_then(|pipe| pipe.up.pop_front()) {
                self.take(Input::Message { connection, text: &frame });
            }
            if self.pipes.remove(&connection).is_some() {
                self.take(Input::Close { connection });
            }
        }
    }

    fn behind(&mut self, index: usize) {
        let Some(connection) = self.clients[index].connection.filter(|_| self.clients[index].joined) else { return };
        if let Some(pipe) = self.pipes.get_mut(&connection)
            && !pipe.behind
        {
            // The frame for which there was no place is lost.
            if pipe.down.pop_back().is_some() {
                pipe.behind = true;
                self.take(Input::Behind { connection });
            }
        }
    }

    /// Does what the room says, in order, unless the server dies over it.
    fn take(&mut self, input: Input<'_>) {
        let outputs = self.room.handle(input);
        let crash = if outputs.is_empty() { None } else { self.crash.take() };
        for output in outputs.into_iter().take(crash.map_or(usize::MAX, |(after, _)| after)) {
            self.put_out(output);
        }
        if let Some((_, arrives)) = crash {
            self.restart(arrives);
        }
    }

    fn put_out(&mut self, output: Output) {
        match output {
            Output::Commit(batch) => {
                assert!(!batch.is_empty());
                for key in batch.deletes {
                    self.storage.remove(&key).expect("only what is there is deleted");
                }
                for (key, cell) in batch.puts {
                    if let Some(number) = cell.as_f64() {
                        *self.written.entry((number as u64, key.clone())).or_default() += 1;
                    }
                    self.storage.insert(key, cell);
                }
            }
            Output::Send { to, frame } => {
                for connection in to {
                    if self.stock.listener == Some(connection) {
                        match Wire::default().decode_payload(&frame).expect("a stock frame").value {
                            Payload::Changes(changes) => self.stock.content.apply(&changes),
                            Payload::Content(content) => self.stock.content = content,
                            Payload::Reload => self.stock.content = self.room.content(),
                        }
                    } else if let Some(pipe) = self.pipes.get_mut(&connection) {
                        assert!(Wire::default().decode_payload(&frame).is_none(), "no stock frames");
                        if pipe.client.is_some() && !pipe.behind {
                            pipe.down.push_back(frame.clone());
                        }
                    }
                }
            }
            Output::Close { connection, .. } => self.closed(connection),
            Output::Respond { .. } | Output::Ping { .. } => {}
            Output::Refuse { .. } => panic!("everybody may come in"),
        }
    }

    fn closed(&mut self, connection: ConnectionId) {
        if let Some(Pipe { client: Some(index), .. }) = self.pipes.remove(&connection) {
            self.lose(index);
        }
    }

    fn restart(&mut self, arrives: bool) {
        for pipe in self.pipes.values_mut().filter(|_| arrives) {
            let Some(client) = pipe.client.map(|index| &mut self.clients[index]) else { continue };
            for frame in pipe.down.drain(..) {
                client.hear(read(&frame));
            }
        }
        self.epochs += 1;
        self.room = Room::restore(self.config.clone(), self.epochs.to_string(), self.storage.clone());
        for index in 0..CLIENTS {
            self.lose(index);
        }
        self.pipes.clear();
        self.connect_stock();
    }
}

impl Client {
    fn decided(&self) -> u64 {
        self.pending.first_key_value().map_or(self.last_id, |(first, _)| first - 1)
    }

    fn hear(&mut self, message: ServerMessage) {
        match message {
            ServerMessage::Resumed { standing, entries } => {
                for entry in entries {
                    self.enter(entry);
                }
                assert_eq!(self.at.as_ref(), Some(&standing.position), "the entries lead to where the room is");
                self.stand(&standing);
            }
            ServerMessage::Snapshot { standing, refused, content } => {
                for (id, refused) in refused {
                    self.decide(id, refused);
                }
                self.content = content;
                self.at = Some(standing.position.clone());
                self.stand(&standing);
            }
            ServerMessage::Entry(entry) => {
                assert!(self.joined, "nothing comes before the answer to the join");
                self.enter(entry);
            }
        }
    }

    /// What is decided and was not named was accepted as a whole; what is not is to be sent again.
    fn stand(&mut self, standing: &Standing) {
        let last = standing.last.unwrap_or_default();
        let decided: Vec<_> = self.pending.range(..=last).map(|(id, _)| *id).collect();
        for id in decided {
            self.decide(id, Changes::new());
        }
        if !self.joined {
            self.sent = self.eager.unwrap_or(last);
            self.joined = true;
        }
    }

    fn enter(&mut self, entry: Entry) {
        let at = self.at.as_mut().expect("a position to go on from");
        let (seq, before) = (entry.seq(), at.seq);
        at.seq = seq;
        match entry {
            Entry::Changed { changes, .. } => {
                assert_eq!(seq, before + 1, "no gaps");
                self.content.as_mut().expect("a store").apply(&changes);
            }
            Entry::Created { content, .. } => {
                assert_eq!(seq, before + 1, "no gaps");
                assert_eq!(self.content.replace(content), None, "made once");
            }
            Entry::Accepted { id, refused, .. } => {
                let effect = less(self.pending.get(&id).expect("told once"), &refused);
                self.decide(id, refused);
                assert_eq!(seq, before + u64::from(!effect.is_empty()), "a place for what took effect");
                if let Some(content) = &mut self.content {
                    content.apply(&effect);
                }
            }
        }
    }

    fn decide(&mut self, id: u64, refused: Changes) {
        // One that was known already and not acknowledged is named again.
        if let Some(changes) = self.pending.remove(&id) {
            self.fates.insert(id, (changes, refused));
        } else {
            assert_eq!(self.fates[&id].1, refused, "one fate");
        }
    }
}

fn read(frame: &str) -> ServerMessage {
    let message = Dialect::default().decode_server(frame).expect("a frame of the dialect").unwrap();
    assert_eq!(message.unrepresentable, 0);
    message.value
}

/// `changes` without the leaves of `refused`.
fn less(changes: &Changes, refused: &Changes) -> Changes {
    let mut left = changes.clone();
    left.values.retain(|value_id, _| !refused.values.contains(value_id));
    left.tables.retain(|table_id, rows| match (rows, refused.tables.get(table_id)) {
        (_, None) => true,
        (Some(rows), Some(Some(refused))) => {
            rows.retain(|row_id, cells| match (cells, refused.get(row_id)) {
                (_, None) => true,
                (Some(cells), Some(Some(refused))) => {
                    cells.retain(|cell_id, _| !refused.contains(cell_id));
                    !cells.is_empty()
                }
                (_, Some(_)) => false,
            });
            !rows.is_empty()
        }
        (_, Some(_)) => false,
    });
    left
}

/// The numbers that changes set, by the storage keys that they are set under.
fn leaves(changes: &Changes) -> impl Iterator<Item = (String, u64)> {
    let mut leaves = BTreeSet::new();
    for (table_id, rows) in &changes.tables {
        for (row_id, cells) in rows.iter().flatten() {
            for (cell_id, cell) in cells.iter().flatten() {
                if let Some(number) = cell.as_ref().and_then(Cell::as_f64) {
                    leaves.insert((format!("t{:?},{:?},{:?}", table_id, row_id, cell_id), number as u64));
                }
            }
        }
    }
    for (value_id, value) in &changes.values {
        if let Some(number) = value.as_ref().and_then(Cell::as_f64) {
            leaves.insert((format!("v{value_id}"), number as u64));
        }
    }
    leaves.into_iter()
}
