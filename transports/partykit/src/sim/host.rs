//! The server: the real `Room`, its storage, and what a crash leaves.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use roommate::{Cell, Changes, Content, Decoded, Id};

use super::{
    history::Server,
    ledger::{cells_of, lock, values_of},
    network::Down,
    random::Random,
    world::{Client, Event, World},
};
use crate::proto::{
    Asker, Batch, ClientMessage, ConnectionId, Context, DIALECT_PARAMETER, DIALECT_VERSION, Dialect, Input, Output,
    Policy, RequestId, Response, Room, RoomConfig, Side, StorageKey, Wire,
};

/// A server with one room.
pub(super) struct Host {
    server: Server,
    rules: Arc<AtomicU8>,
    storage: BTreeMap<String, Cell>,
    /// `None`: it is down.
    room: Option<Room>,
    /// What the room has put out and is not done yet, and on whose account.
    outputs: VecDeque<(usize, Output)>,
    /// The first of the outputs is being written.
    commit: Option<u64>,
    commits: u64,
    /// A tick is scheduled.
    ticks: bool,
    /// How often it was restarted: the room's epoch.
    lives: u64,
    random: Random,
}

/// How much time passes between two of a room's ticks.
const TICK: Duration = Duration::from_secs(5);

/// Refuses what its rules say, which may change.
#[derive(Debug)]
struct Rules(Arc<AtomicU8>);

impl Host {
    pub(super) fn new(server: Server, seed: u64) -> Self {
        let rules = Arc::new(AtomicU8::new(0));
        Self {
            server,
            room: Some(Room::new(config(server, &rules), "0")),
            lives: 0,
            rules,
            storage: BTreeMap::new(),
            outputs: VecDeque::new(),
            commit: None,
            commits: 0,
            ticks: false,
            random: Random::labelled(seed, 2),
        }
    }

    /// Runs again with what was committed, if it does not.
    pub(super) fn restart(&mut self) {
        if self.room.is_none() {
            self.lives += 1;
            let storage = self.storage.iter().map(|(key, cell)| (key.clone(), cell.clone()));
            self.room = Some(Room::restore(config(self.server, &self.rules), self.lives.to_string(), storage));
        }
    }

    /// Loses everything that was not committed. Whether it ran.
    pub(super) fn crash(&mut self) -> bool {
        self.outputs.clear();
        self.commit = None;
        self.room.take().is_some()
    }

    /// Loses what was committed as well. It does not run.
    pub(super) fn forget(&mut self) {
        self.storage.clear();
    }

    pub(super) fn refuse(&self, rules: u8) {
        self.rules.store(rules, Ordering::Relaxed);
    }

    /// What the room holds, if it runs and anything was ever saved.
    pub(super) fn content(&self) -> Option<Content> {
        self.room.as_ref().filter(|room| room.exists()).map(Room::content)
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.outputs.is_empty() && !self.wants_ticks()
    }

    fn wants_ticks(&self) -> bool {
        self.room.as_ref().is_some_and(Room::wants_ticks)
    }
}

/// How the room of a server is set up. The stock server is the one without anything that TinyBase's has not.
fn config(server: Server, rules: &Arc<AtomicU8>) -> RoomConfig {
    let config = RoomConfig::new().with_policy(Rules(rules.clone()));
    match server {
        Server::Ours => config,
        Server::Stock => config.with_cures(false).with_extended(false),
    }
}

impl World {
    pub(super) fn server_opens(&mut self, conn: usize) {
        let mut context = context("GET");
        if self.conns[conn].side == Side::Ear
            && let Client::Ours(ours) = &self.peers[self.conns[conn].peer].client
            && ours.extends
        {
            context.query = format!("{DIALECT_PARAMETER}={DIALECT_VERSION}");
        }
        let Some(room) = &mut self.host.room else { return self.send_down(conn, Down::Failed) };
        let outputs = room.handle(Input::Connect { connection: ConnectionId(conn as u64), context });
        if !outputs.iter().any(|output| matches!(output, Output::Refuse { .. })) {
            self.conns[conn].server_has = true;
            self.send_down(conn, Down::Opened);
        }
        self.put_out(self.conns[conn].peer, outputs);
    }

    pub(super) fn server_hears(&mut self, conn: usize, frame: &str) {
        let Some(room) = &mut self.host.room else { return };
        self.trace.note(self.now, "server hears", conn as u64, frame);
        // Ours makes a store of them.
        let is_judged = room.exists() || self.host.server == Server::Ours;
        if is_judged && let Some(changes) = changes_in(frame) {
            lock(&self.ledger).received(values_of(&changes));
        }
        let outputs = room.handle(Input::Message { connection: ConnectionId(conn as u64), text: frame });
        self.put_out(self.conns[conn].peer, outputs);
    }

    pub(super) fn server_hears_pong(&mut self, conn: usize, token: u64) {
        let Some(room) = &mut self.host.room else { return };
        let outputs = room.handle(Input::Pong { connection: ConnectionId(conn as u64), token });
        self.put_out(self.conns[conn].peer, outputs);
    }

    pub(super) fn server_loses(&mut self, conn: usize) {
        if !std::mem::take(&mut self.conns[conn].server_has) {
            return;
        }
        let Some(room) = &mut self.host.room else { return };
        let outputs = room.handle(Input::Close { connection: ConnectionId(conn as u64) });
        self.put_out(self.conns[conn].peer, outputs);
    }

    pub(super) fn request_arrives(&mut self, number: u64) {
        let Some(request) = self.requests.get(&number) else { return };
        let Some(room) = &mut self.host.room else {
            return self.schedule(self.now, Event::RequestFails(number));
        };
        let mut context = context(request.method);
        context.path = "/parties/main/r/store".into();
        context.headers.clone_from(&request.headers);
        let body = request.body.as_bytes();
        if request.method == "PUT"
            && !room.exists()
            && let Ok(content) = Content::from_json(&request.body)
        {
            lock(&self.ledger).received(cells_of(&content.value).map(|(_, cell)| cell));
        }
        let outputs = room.handle(Input::Request { request: RequestId(number), context, body });
        let peer = request.peer;
        self.put_out(peer, outputs);
    }

    /// The storage has written the first of the outputs.
    pub(super) fn committed(&mut self, commit: u64) {
        if self.host.commit != Some(commit) {
            return;
        }
        self.host.commit = None;
        if let Some((peer, Output::Commit(batch))) = self.host.outputs.pop_front() {
            self.store(peer, batch);
        }
        self.put_out(0, Vec::new());
    }

    /// Does what the room wants done because of what a client did, in order.
    fn put_out(&mut self, peer: usize, outputs: Vec<Output>) {
        self.host.outputs.extend(outputs.into_iter().map(|output| (peer, output)));
        while self.host.commit.is_none()
            && let Some((peer, output)) = self.host.outputs.pop_front()
        {
            match output {
                Output::Commit(batch) => {
                    if self.host.random.is_one_in(2) {
                        self.store(peer, batch);
                        continue;
                    }
                    self.host.commits += 1;
                    let (commit, takes) = (self.host.commits, self.host.random.millis(0, 30));
                    self.host.commit = Some(commit);
                    self.host.outputs.push_front((peer, Output::Commit(batch)));
                    self.schedule(self.now + takes, Event::Committed(commit));
                }
                Output::Send { to, frame } => {
                    let frame: Arc<str> = frame.into();
                    for conn in to {
                        self.send_down(conn.0 as usize, Down::Frame(frame.clone()));
                    }
                }
                Output::Ping { connection, token } => self.send_down(connection.0 as usize, Down::Ping(token)),
                Output::Respond { request, response } => self.respond(request.0, response),
                Output::Refuse { connection, .. } => self.send_down(connection.0 as usize, Down::Refused),
                Output::Close { connection, code, .. } => {
                    self.conns[connection.0 as usize].server_has = false;
                    self.send_down(connection.0 as usize, Down::End(code));
                }
            }
        }
        if self.host.wants_ticks() && !self.host.ticks {
            self.host.ticks = true;
            self.schedule(self.now + TICK, Event::ServerTick);
        }
    }

    /// Some time has passed.
    pub(super) fn server_ticks(&mut self) {
        self.host.ticks = false;
        let outputs = self.host.room.as_mut().map(|room| room.handle(Input::Tick)).unwrap_or_default();
        self.put_out(0, outputs);
    }

    fn store(&mut self, peer: usize, batch: Batch) {
        for key in batch.deletes {
            self.host.storage.remove(&key);
        }
        let mut ledger = lock(&self.ledger);
        for (key, cell) in batch.puts {
            if matches!(StorageKey::decode("", &key), Some(StorageKey::Cell(..) | StorageKey::Value(_))) {
                ledger.committed(peer, &cell);
            }
            self.trace.say(self.now, "server stores", 0, || format!("{key} {cell:?}"));
            self.host.storage.insert(key, cell);
        }
    }
}

/// The changes that a frame of either dialect asks for.
fn changes_in(frame: &str) -> Option<Changes> {
    match Dialect::default().decode_client(frame) {
        Some(Ok(Decoded { value: ClientMessage::Change { changes, .. }, .. })) => Some(changes),
        Some(_) => None,
        None => Wire::default().decode_changes(frame).map(|decoded| decoded.value),
    }
}

fn context(method: &str) -> Context {
    Context { method: method.to_owned(), ..Context::default() }
}

/// Bits of the rules. Each refuses one thing.
impl Rules {
    fn refuse(&self, bit: u8) -> bool {
        self.0.load(Ordering::Relaxed) & 1 << bit != 0
    }
}

impl Policy for Rules {
    fn can_del_table(&self, table_id: &Id, _: Asker<'_>) -> bool {
        !(self.refuse(0) && **table_id == *"0")
    }

    fn can_set_row(&self, table_id: &Id, row_id: &Id, _: Asker<'_>) -> bool {
        !(self.refuse(1) && **table_id == *"0" && **row_id == *"1")
    }

    fn can_del_row(&self, table_id: &Id, _: &Id, _: Asker<'_>) -> bool {
        !(self.refuse(2) && **table_id == *"1")
    }

    fn can_set_cell(
        &self,
        table_id: &Id,
        row_id: &Id,
        cell_id: &Id,
        _: &Cell,
        _: Option<&Cell>,
        asker: Asker<'_>,
    ) -> bool {
        let somebody = asker.connection.is_some_and(|connection| connection.0.is_multiple_of(2));
        let first = **table_id == *"0" && **row_id == *"0" && **cell_id == *"0";
        !(self.refuse(3) && first || self.refuse(4) && somebody && **cell_id == *"1")
    }

    fn can_del_cell(&self, _: &Id, _: &Id, cell_id: &Id, _: Asker<'_>) -> bool {
        !(self.refuse(5) && **cell_id == *"0")
    }

    fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        !(self.refuse(6) && **value_id == *"0")
    }

    fn can_del_value(&self, _: &Id, _: Asker<'_>) -> bool {
        !self.refuse(7)
    }
}

/// Whether an answer says that the request was done.
pub(super) fn is_success(response: &Response) -> bool {
    (200..300).contains(&response.status)
}
