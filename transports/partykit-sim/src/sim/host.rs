//! The server: the real `Room`, its storage, and what remains after a crash.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use roommate::{Cell, Changes, Content, Decoded, Error, ErrorKind, Id};

use super::{
    history::Server,
    ledger::{cells_of, lock, number, values_of},
    network::Down,
    random::Random,
    world::{Client, Event, World},
};
use crate::proto::{
    Asker, ClientMessage, Commit, ConnectionId, Context, DIALECT_PARAMETER, DIALECT_VERSION, Dialect, DurableRoom,
    Event as Happened, Input, Memory, Output, Policy, RequestId, Response, RoomConfig, RoomName, Side, Storage, Wire,
};

/// A server with one room.
pub(super) struct Host {
    server: Server,
    rules: Arc<AtomicU8>,
    storage: Memory,
    name: RoomName,
    is_up: bool,
    /// `None` if the server is down, has evicted the room, or failed to store a commit of the room.
    room: Option<DurableRoom>,
    /// The commit that is being stored.
    commit: Option<(u64, Commit)>,
    /// The client that offered each value by request. The records name the authors of other values.
    offers: BTreeMap<usize, usize>,
    /// The stored content.
    held: Content,
    commits: u64,
    /// The faults of the next commits. Each is whether the failed commit is stored all the same.
    faults: Vec<bool>,
    /// Whether a tick is scheduled.
    ticks: bool,
    /// How often the room was opened.
    openings: u64,
    /// Distinguishes the epochs of a server that lost everything from those before the loss.
    losses: u64,
    random: Random,
}

/// The time between two of a room's ticks.
const TICK: Duration = Duration::from_secs(5);
/// How long the log is stored. It is short, so that some clients reconnect after their entries are gone.
const HISTORY: Duration = Duration::from_secs(10);

/// A policy that refuses what its rules say. The rules may change.
#[derive(Debug)]
struct Rules(Arc<AtomicU8>);

impl Host {
    pub(super) fn new(server: Server, seed: u64) -> Self {
        Self {
            server,
            rules: Arc::new(AtomicU8::new(0)),
            storage: Memory::new(),
            name: RoomName::main("r"),
            is_up: true,
            room: None,
            commit: None,
            offers: BTreeMap::new(),
            held: Content::new(),
            commits: 0,
            faults: Vec::new(),
            ticks: false,
            openings: 0,
            losses: 0,
            random: Random::labelled(seed, 2),
        }
    }

    /// Restarts a stopped server with its committed data.
    pub(super) fn restart(&mut self) {
        self.is_up = true;
    }

    /// Stops the server and loses all uncommitted data. Returns whether it was running.
    pub(super) fn crash(&mut self) -> bool {
        self.drop_room();
        std::mem::take(&mut self.is_up)
    }

    /// Loses the committed data as well. The server must not be running.
    pub(super) fn forget(&mut self) {
        self.storage = Memory::new();
        self.held = Content::new();
        self.losses += 1;
    }

    /// Makes the next commit fail. `is_stored` is whether the commit is stored all the same.
    pub(super) fn fail_commit(&mut self, is_stored: bool) {
        self.faults.push(is_stored);
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
        self.restart();
    }

    pub(super) fn refuse(&self, rules: u8) {
        self.rules.store(rules, Ordering::Relaxed);
    }

    /// Returns the room's content, if the server is running and a store was ever created.
    pub(super) fn content(&mut self) -> Option<Content> {
        let room = self.open()?.room();
        room.exists().then(|| room.content().clone())
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.room.as_ref().is_none_or(DurableRoom::is_settled) && !self.wants_ticks()
    }

    fn wants_ticks(&self) -> bool {
        self.room.as_ref().is_some_and(|room| room.room().wants_ticks())
    }

    /// Returns the room, and opens it if necessary; `None` while the server is down.
    fn open(&mut self) -> Option<&mut DurableRoom> {
        if self.room.is_none() && self.is_up {
            let epoch = format!("{}.{}", self.losses, self.openings);
            self.openings += 1;
            let opened = self.storage.open(&self.name, &epoch, 0).expect("memory can be read");
            let room = DurableRoom::open(config(self.server, &self.rules), self.name.clone(), opened);
            let room = room.expect("what a room stored can be read");
            assert_eq!(room.room().content(), &self.held, "R4, R6: a room is opened with all that was stored");
            self.room = Some(room);
        }
        self.room.as_mut()
    }

    fn drop_room(&mut self) {
        self.room = None;
        self.commit = None;
    }

    /// Evicts the room, occasionally, if no client is connected and everything is stored.
    fn evict(&mut self) {
        let is_unused = |room: &DurableRoom| room.room().is_idle() && room.is_settled();
        if self.room.as_ref().is_some_and(is_unused) && self.random.is_one_in(2) {
            self.drop_room();
        }
    }
}

/// The configuration of a server's room. The stock server lacks everything that TinyBase's server lacks.
fn config(server: Server, rules: &Arc<AtomicU8>) -> RoomConfig {
    // The threshold is small, so that rooms are opened from snapshots and the commits after them.
    let config = RoomConfig::new().with_policy(Rules(rules.clone())).with_snapshot_after(600);
    match server {
        Server::Ours => config,
        Server::Stock => config.with_cures(false).with_extended(false),
    }
}

impl World {
    pub(super) fn server_opens(&mut self, conn: usize) {
        let mut context = context("GET");
        let name = format!("_pk={}", self.conns[conn].peer);
        context.query.clone_from(&name);
        if self.conns[conn].side == Side::Ear
            && let Client::Ours(ours) = &self.peers[self.conns[conn].peer].client
            && ours.extends
        {
            context.query = format!("{name}&{DIALECT_PARAMETER}={DIALECT_VERSION}");
        }
        let connection = ConnectionId(conn as u64);
        let Some(room) = self.host.open() else { return self.send_down(conn, Down::Failed) };
        room.handle(Input::Connect { connection, context });
        if room.room().has(connection) {
            self.conns[conn].server_has = true;
            self.send_down(conn, Down::Opened);
        }
        self.put_out();
    }

    pub(super) fn server_hears(&mut self, conn: usize, frame: &str) {
        // A connection ends with its room.
        let Some(room) = &mut self.host.room else { return };
        self.trace.note(self.now, "server hears", conn as u64, frame);
        // This project's server creates a store from them.
        let is_judged = room.room().exists() || self.host.server == Server::Ours;
        if is_judged && let Some(changes) = changes_in(frame) {
            lock(&self.ledger).received(values_of(&changes));
        }
        room.handle(Input::Message { connection: ConnectionId(conn as u64), text: frame });
        self.put_out();
    }

    pub(super) fn server_hears_pong(&mut self, conn: usize, token: u64) {
        let Some(room) = &mut self.host.room else { return };
        room.handle(Input::Pong { connection: ConnectionId(conn as u64), token });
        self.put_out();
    }

    pub(super) fn server_loses(&mut self, conn: usize) {
        if !std::mem::take(&mut self.conns[conn].server_has) {
            return;
        }
        let Some(room) = &mut self.host.room else { return };
        room.handle(Input::Close { connection: ConnectionId(conn as u64) });
        self.put_out();
    }

    pub(super) fn request_arrives(&mut self, request_number: u64) {
        let Some(request) = self.requests.get_mut(&request_number) else { return };
        let Some(room) = self.host.open() else {
            return self.schedule(self.now, Event::RequestFails(request_number));
        };
        let mut context = context(request.method);
        context.path = "/parties/main/r/store".into();
        context.headers.clone_from(&request.headers);
        let content = match request.method {
            "PUT" if !room.room().exists() => Content::from_json(&request.body).ok(),
            _ => None,
        };
        let mut offered = Vec::new();
        if let Some(content) = &content {
            let cells: Vec<_> = cells_of(&content.value).map(|(_, cell)| cell).collect();
            lock(&self.ledger).received(cells.iter().copied());
            offered.extend(cells.into_iter().filter_map(number).map(|value| (value, request.peer)));
        }
        room.handle(Input::Request { request: RequestId(request_number), context, body: request.body.as_bytes() });
        request.is_at_server = true;
        self.host.offers.extend(offered);
        self.put_out();
    }

    /// Handles the end of a commit in the storage.
    pub(super) fn committed(&mut self, number: u64) {
        let Some((_, commit)) = self.host.commit.take_if(|(pending, _)| *pending == number) else { return };
        self.store(commit);
        self.put_out();
    }

    /// Stores a commit. If that fails, the room is gone, and its connections end.
    fn store(&mut self, commit: Commit) {
        let fault = self.host.faults.pop();
        let outcome = match fault {
            Some(false) => Err(Error::new(ErrorKind::Unavailable, "the disk is full")),
            Some(true) | None => self.host.storage.commit(std::slice::from_ref(&commit)).remove(0),
        };
        if outcome.is_ok() {
            self.note_stored(&commit);
        }
        match (outcome, &mut self.host.room) {
            (Ok(()), Some(room)) if fault.is_none() => room.committed(),
            _ => self.room_failed(),
        }
    }

    /// Counts the values that a commit has changed, by the clients that requested the changes.
    fn note_stored(&mut self, commit: &Commit) {
        let mut ledger = lock(&self.ledger);
        for record in &commit.records {
            self.trace.say(self.now, "server stores", 0, || format!("{record:?}"));
            let before = self.host.held.clone();
            match &record.event {
                Happened::Changed(changes) => {
                    let changes = Changes::from_json(changes).map(|changes| changes.value);
                    self.host.held.apply(&changes.unwrap_or_default());
                }
                Happened::Created(content) => {
                    let content = Content::from_json(content).map(|content| content.value);
                    self.host.held = content.unwrap_or_default();
                }
                Happened::Nothing => {}
            }
            // "1", or "persister 1".
            let author = record.author.as_deref().and_then(|author| author.rsplit(' ').next()?.parse().ok());
            let held_before: Vec<_> = cells_of(&before).collect();
            for (_, cell) in cells_of(&self.host.held).filter(|cell| !held_before.contains(cell)) {
                let offered = || number(cell).and_then(|value| self.host.offers.get(&value).copied());
                ledger.committed(author.or_else(offered).unwrap_or(usize::MAX), cell);
            }
        }
    }

    /// Handles a room that could not be stored: its connections end, and its requests get no response.
    fn room_failed(&mut self) {
        let Some(room) = self.host.room.take() else { return };
        self.host.drop_room();
        self.trace.note(self.now, "server", 0_u8, "cannot commit, and drops the room");
        for (connection, _) in room.room().connections() {
            let conn = connection.0 as usize;
            self.conns[conn].server_has = false;
            self.send_down(conn, Down::End(1012));
        }
        let waiting = self.requests.iter().filter(|(_, request)| request.is_at_server).map(|(number, _)| *number);
        for number in waiting.collect::<Vec<_>>() {
            self.schedule(self.now, Event::RequestFails(number));
        }
    }

    /// Carries out the room's outputs, in order.
    fn put_out(&mut self) {
        loop {
            while let Some(output) = self.host.room.as_mut().and_then(DurableRoom::poll) {
                self.do_output(output);
            }
            if self.host.commit.is_some() {
                break;
            }
            let now = self.now.as_millis() as u64;
            let Some(commit) = self.host.room.as_mut().and_then(|room| room.commit(now)) else { break };
            if self.host.random.is_one_in(2) {
                self.store(commit);
                continue;
            }
            self.host.commits += 1;
            let (number, takes) = (self.host.commits, self.host.random.millis(0, 30));
            self.host.commit = Some((number, commit));
            self.schedule(self.now + takes, Event::Committed(number));
        }
        self.host.evict();
        if self.host.wants_ticks() && !self.host.ticks {
            self.host.ticks = true;
            self.schedule(self.now + TICK, Event::ServerTick);
        }
    }

    fn do_output(&mut self, output: Output) {
        match output {
            Output::Commit(_) | Output::Edited { .. } | Output::Read { .. } => {}
            Output::Snapshot(snapshot) => {
                let Some(room) = &mut self.host.room else { return };
                let snapshot = DurableRoom::encode(room.name(), room.epoch(), &snapshot);
                let keep_since = self.now.saturating_sub(HISTORY).as_millis() as u64;
                let is_stored = self.host.storage.snapshot(&snapshot, keep_since).is_ok();
                room.handle(Input::SnapshotEnded { bytes: is_stored.then_some(snapshot.text.len()) });
            }
            Output::Recall { connection, after, max_bytes } => {
                let takes = self.host.random.millis(0, 30);
                self.schedule(self.now + takes, Event::Recalled { connection, after, max_bytes });
            }
            Output::Send { to, frame } => {
                let frame: Arc<str> = frame.as_str().into();
                for conn in to.iter() {
                    self.send_down(conn.0 as usize, Down::Frame(frame.clone()));
                }
            }
            Output::Ping { connection, token } => self.send_down(connection.0 as usize, Down::Ping(token)),
            Output::Respond { request, response } => self.respond(request.0, response),
            Output::Close { connection, code, .. } => {
                self.conns[connection.0 as usize].server_has = false;
                self.send_down(connection.0 as usize, Down::End(code));
            }
        }
    }

    /// Handles the entries that the storage has read for a client that missed them.
    pub(super) fn recalled(&mut self, connection: ConnectionId, after: u64, max_bytes: usize) {
        let Some(room) = &mut self.host.room else { return };
        let commits = self.host.storage.log(room.name(), after, max_bytes).unwrap_or_default();
        room.handle(Input::Recalled { connection, commits: &commits });
        self.put_out();
    }

    /// Handles the passing of time.
    pub(super) fn server_ticks(&mut self) {
        self.host.ticks = false;
        if let Some(room) = &mut self.host.room {
            room.handle(Input::Tick);
            self.put_out();
        }
    }
}

/// Returns the changes that a frame of either dialect requests.
fn changes_in(frame: &str) -> Option<Changes> {
    match Dialect::default().decode_client(frame) {
        Some(Ok(Decoded { value: ClientMessage::Change { changes, .. }, .. })) => Some(changes),
        Some(_) => None,
        None => Wire::default().decode_changes(frame).map(|decoded| decoded.value),
    }
}

fn context(method: &str) -> Context {
    let mut context = Context::default();
    context.method = method.to_owned();
    context
}

/// The rules are bits. Each refuses one kind of change.
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

/// Whether a response reports success.
pub(super) fn is_success(response: &Response) -> bool {
    (200..300).contains(&response.status)
}
