//! The room that servers host.

use std::sync::{Arc, Mutex};

use roommate::{Cell, Changes, Content, Id, Payload};

use super::place::{Down, Mood, Place};
use crate::{
    Asker, Commit, ConnectionId, Context, DIALECT_PARAMETER, DIALECT_VERSION, Epoch, Input, Memory, Opened, Output,
    Policy, REPLACED, RequestId, Room, RoomConfig, RoomName, Storage, TOO_BIG, Wire,
    refusals::{MOST_REFUSED, Tally},
};

#[derive(Debug)]
pub(super) struct RealRoom {
    config: RoomConfig,
    mood: Arc<Mutex<Mood>>,
    room: Room,
    storage: Memory,
    epoch: Epoch,
    epochs: u32,
    accepted: Vec<Changes>,
    sent: Vec<(u64, Down)>,
}

/// The stock client that writes, and the one that receives everything.
const STOCK: ConnectionId = ConnectionId(u64::MAX);
const OBSERVER: ConnectionId = ConnectionId(u64::MAX - 1);

#[derive(Debug)]
struct House(Arc<Mutex<Mood>>);

impl House {
    fn lets(&self, usually: bool, to: Option<&Cell>) -> bool {
        match *self.0.lock().unwrap() {
            Mood::Usual => usually,
            Mood::Everything => false,
            Mood::Some(nth) => to.and_then(Cell::as_f64).is_none_or(|to| !(to as u32).is_multiple_of(nth)),
        }
    }
}

impl Policy for House {
    fn can_set_cell(&self, _: &Id, _: &Id, cell_id: &Id, to: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        self.lets(cell_id != "secret", Some(to))
    }

    fn can_set_value(&self, _: &Id, to: &Cell, _: Option<&Cell>, asker: Asker<'_>) -> bool {
        // The content of a request creates the store.
        asker.connection.is_none() || self.lets(true, Some(to))
    }

    fn can_del_row(&self, _: &Id, row_id: &Id, _: Asker<'_>) -> bool {
        self.lets(row_id != "kept", None)
    }

    fn can_del_table(&self, _: &Id, _: Asker<'_>) -> bool {
        self.lets(true, None)
    }
}

impl RealRoom {
    pub(super) fn new(max_clients: usize) -> Self {
        Self::made(max_clients, MOST_REFUSED, usize::MAX)
    }

    /// Creates a room that closes the connection of a client with more unacknowledged refusals than `most`.
    pub(super) fn bounded(max_clients: usize, most: Tally) -> Self {
        Self::made(max_clients, most, usize::MAX)
    }

    /// Creates a room that accepts messages of up to this many bytes.
    pub(super) fn limited(max_clients: usize, max_message_size: usize) -> Self {
        Self::made(max_clients, MOST_REFUSED, max_message_size)
    }

    fn made(max_clients: usize, most: Tally, max_message_size: usize) -> Self {
        let mood = Arc::<Mutex<Mood>>::default();
        let config = RoomConfig::new()
            .with_policy(House(Arc::clone(&mood)))
            .with_max_refused(most)
            .with_cures(false)
            .with_max_log(6, usize::MAX)
            .with_max_clients(max_clients)
            .with_max_message_size(max_message_size);
        let room = Room::new(config.clone(), "0");
        let mut room = Self {
            config,
            mood,
            room,
            storage: Memory::new(),
            epoch: Opened::new("0").epochs.present().clone(),
            epochs: 0,
            accepted: vec![],
            sent: vec![],
        };
        room.let_stock_in();
        room
    }

    fn let_stock_in(&mut self) {
        for connection in [STOCK, OBSERVER] {
            self.handle(Input::Connect { connection, context: Context::default() });
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        for output in self.room.handle(input) {
            match output {
                Output::Commit(record) => {
                    let (room, epoch) = (RoomName::main("r"), self.epoch.clone());
                    let commit = Commit { room, epoch, time: 0, records: vec![record] };
                    self.storage.commit(&[commit]).remove(0).unwrap();
                }
                Output::Snapshot(_) | Output::Edited { .. } | Output::Read { .. } => {}
                Output::Recall { connection, after, max_bytes } => {
                    let commits = self.storage.log(&RoomName::main("r"), after, max_bytes).unwrap();
                    self.handle(Input::Recalled { connection, commits: &commits });
                }
                Output::Send { to, frame } => {
                    for connection in to.iter() {
                        match connection {
                            STOCK => {}
                            OBSERVER => match Wire::default().decode_payload(&frame).unwrap().value {
                                Payload::Changes(changes) => self.accepted.push(changes),
                                other => panic!("{other:?}"),
                            },
                            ConnectionId(number) => self.sent.push((number, Down::Frame(frame.to_string()))),
                        }
                    }
                }
                Output::Close { connection: ConnectionId(number), code, .. } => {
                    // A connection that has not joined cannot catch up. No client exceeds the bound on unacknowledged
                    // refusals.
                    assert!([REPLACED, TOO_BIG, 1013].contains(&code), "{code}");
                    self.sent.push((number, Down::Close(code)));
                }
                Output::Respond { .. } | Output::Ping { .. } => {}
            }
        }
    }
}

impl Place for RealRoom {
    fn connect(&mut self, connection: u64) {
        let query = format!("{DIALECT_PARAMETER}={DIALECT_VERSION}");
        let context = Context { query, ..Context::default() };
        self.handle(Input::Connect { connection: ConnectionId(connection), context });
    }

    fn disconnect(&mut self, connection: u64) {
        self.handle(Input::Close { connection: ConnectionId(connection) });
    }

    fn take(&mut self, connection: u64, frame: &str) {
        self.handle(Input::Message { connection: ConnectionId(connection), text: frame });
    }

    fn put(&mut self, content: &Content) {
        if !self.room.exists() {
            self.accepted.push(Changes::from(content));
        }
        let context = Context { method: "PUT".into(), path: "/store".into(), ..Context::default() };
        self.handle(Input::Request { request: RequestId(0), context, body: content.to_json().as_bytes() });
    }

    fn change(&mut self, changes: &Changes) {
        let frame = Wire::default().encode_changes(changes);
        self.handle(Input::Message { connection: STOCK, text: &frame });
    }

    fn crash(&mut self) {
        self.epochs += 1;
        let opened = self.storage.open(&RoomName::main("r"), &self.epochs.to_string(), 0).unwrap();
        self.epoch = opened.epochs.present().clone();
        self.room = Room::open(self.config.clone(), opened).unwrap();
        self.sent.clear();
        self.let_stock_in();
    }

    fn summarise(&mut self, connection: u64) {
        self.handle(Input::Behind { connection: ConnectionId(connection) });
        self.handle(Input::CaughtUp { connection: ConnectionId(connection) });
    }

    /// This room forgets clients by itself.
    fn forget(&mut self, _: &str) {}

    fn rule(&mut self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn sent(&mut self) -> Vec<(u64, Down)> {
        std::mem::take(&mut self.sent)
    }

    fn content(&self) -> Option<Content> {
        self.room.exists().then(|| self.room.content().clone())
    }

    fn accepted(&self) -> &[Changes] {
        &self.accepted
    }
}
