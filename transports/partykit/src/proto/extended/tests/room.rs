//! The room that servers host.

use std::collections::BTreeMap;

use roommate::{Cell, Changes, Content, Id, Payload};

use super::place::{Down, Place};
use crate::proto::{
    Asker, ConnectionId, Context, DIALECT_PARAMETER, DIALECT_VERSION, Input, Output, Policy, REPLACED, RequestId, Room,
    RoomConfig, TOO_BIG, Wire,
};

#[derive(Debug)]
pub(super) struct RealRoom {
    config: RoomConfig,
    room: Room,
    storage: BTreeMap<String, Cell>,
    epochs: u32,
    accepted: Vec<Changes>,
    sent: Vec<(u64, Down)>,
}

/// The stock client that writes, and the one that hears everything.
const STOCK: ConnectionId = ConnectionId(u64::MAX);
const OBSERVER: ConnectionId = ConnectionId(u64::MAX - 1);

/// As [`super::is_refused`].
#[derive(Debug)]
struct House;

impl Policy for House {
    fn can_set_cell(&self, _: &Id, _: &Id, cell_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        cell_id != "secret"
    }

    fn can_del_row(&self, _: &Id, row_id: &Id, _: Asker<'_>) -> bool {
        row_id != "kept"
    }
}

impl RealRoom {
    pub(super) fn new(max_clients: usize) -> Self {
        Self::limited(max_clients, usize::MAX)
    }

    /// One that takes messages of so many bytes.
    pub(super) fn limited(max_clients: usize, max_message_size: usize) -> Self {
        let config = RoomConfig::new()
            .with_policy(House)
            .with_cures(false)
            .with_max_log(6, usize::MAX)
            .with_max_clients(max_clients)
            .with_max_message_size(max_message_size);
        let room = Room::new(config.clone(), "0");
        let mut room = Self { config, room, storage: BTreeMap::new(), epochs: 0, accepted: vec![], sent: vec![] };
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
                Output::Commit(batch) => {
                    for key in batch.deletes {
                        self.storage.remove(&key);
                    }
                    self.storage.extend(batch.puts);
                }
                Output::Send { to, frame } => {
                    for connection in to {
                        match connection {
                            STOCK => {}
                            OBSERVER => match Wire::default().decode_payload(&frame).unwrap().value {
                                Payload::Changes(changes) => self.accepted.push(changes),
                                other => panic!("{other:?}"),
                            },
                            ConnectionId(number) => self.sent.push((number, Down::Frame(frame.clone()))),
                        }
                    }
                }
                Output::Close { connection: ConnectionId(number), code, .. } => {
                    // One that has not joined cannot catch up.
                    assert!([REPLACED, TOO_BIG, 1013].contains(&code), "{code}");
                    self.sent.push((number, Down::Close(code)));
                }
                Output::Respond { .. } | Output::Ping { .. } => {}
                Output::Refuse { .. } => panic!("everybody is let in"),
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
        let storage = self.storage.iter().map(|(key, cell)| (key.clone(), cell.clone()));
        self.room = Room::restore(self.config.clone(), self.epochs.to_string(), storage);
        self.sent.clear();
        self.let_stock_in();
    }

    fn summarise(&mut self, connection: u64) {
        self.handle(Input::Behind { connection: ConnectionId(connection) });
        self.handle(Input::CaughtUp { connection: ConnectionId(connection) });
    }

    /// This room forgets by itself.
    fn forget(&mut self, _: &str) {}

    fn sent(&mut self) -> Vec<(u64, Down)> {
        std::mem::take(&mut self.sent)
    }

    fn content(&self) -> Option<Content> {
        self.room.exists().then(|| self.room.content())
    }

    fn accepted(&self) -> &[Changes] {
        &self.accepted
    }
}
