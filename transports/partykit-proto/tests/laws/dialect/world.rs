//! The room, those who speak with it, and everything between them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use roommate::{Cell, Changes, Content, Id};
use roommate_partykit_proto::{
    Asker, ClientMessage, ConnectionId, Context, Dialect, Epoch, Input, Join, Memory, Opened, Policy, RequestId, Room,
    RoomConfig, RoomName, Storage, Wire,
};

use super::{
    CLIENTS, Edit, Op,
    client::{Client, read},
};

mod host;

#[derive(Debug)]
pub(super) struct World {
    config: RoomConfig,
    room: Room,
    storage: Memory,
    epoch: Epoch,
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

/// A stock client that changes things, and one that only hears everything since it connected.
#[derive(Debug, Default)]
struct Stock {
    writer: Option<ConnectionId>,
    listener: Option<ConnectionId>,
    content: Content,
}

impl World {
    pub(super) fn new(log: usize) -> Self {
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
            storage: Memory::new(),
            epoch: Opened::new("0").epochs.present().clone(),
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

    pub(super) fn step(&mut self, op: &Op) {
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
    pub(super) fn settle(&mut self) {
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

    pub(super) fn check(&self) {
        let content = self.room.content().clone();
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
        let opened = self.storage.open(&RoomName::main("r"), "other", 0).expect("memory");
        let again = Room::open(self.config.clone(), opened).expect("what was stored can be read");
        assert_eq!((again.exists(), again.content()), (true, &content), "r6: everything was stored");
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
        self.stock = Stock { writer: Some(writer), listener: Some(listener), content: self.room.content().clone() };
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
        self.stock.content = self.room.content().clone();
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
