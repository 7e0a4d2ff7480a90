//! One room: its content, its connections, and how it handles each input.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
};

use roommate::{Changes, Content, Decoded, Result};

use super::{
    dialect::MAX_CLIENT_ID,
    http::Headers,
    limits::TOO_BIG,
    policy::{Asker, ConnectionId, Context},
    record::{Decided, Event, Record},
    shared_str::SharedStr,
    snapshot::Snapshot,
    storage::Opened,
    wire::Wire,
};

mod accept;
mod answers;
mod audience;
mod config;
mod cures;
mod extended;
mod host;
mod open;
mod snapshots;

use accept::{Verdict, accept};
pub use audience::Audience;
pub use config::RoomConfig;
use cures::{Cures, Held};
use extended::{Extended, OwnChange};
pub use host::{Edit, Input, Output, RequestId};
use snapshots::Snapshots;

/// A room as TinyBase's PartyKit server implements it, without a clock, socket, task or lock.
///
/// # Law
///
/// The host passes in one [`Input`] after another, and carries out the outputs of [`Room::handle`] *in their order*. It
/// makes the record of an [`Output::Commit`] durable before it carries out any later output. Then no client receives a
/// change that a crash can undo (R6). The host may also handle several inputs, commit all their records at once, and
/// then carry out the other outputs: [`DurableRoom`] does that. A host that cannot commit has to drop the room, close
/// its connections and [open](Room::open) the room again, because the room is newer than its storage.
///
/// [`DurableRoom`]: super::DurableRoom
///
/// The room handles each input as TinyBase's server does, with two exceptions. It identifies connections by their
/// [`ConnectionId`], and not by the name that a client gives its connection. And it leaves out an assignment that this
/// library cannot represent as if the policy had refused it, where TinyBase's server refuses the whole message. In
/// addition the room repairs stock clients (unmodified TinyBase clients), so that they all end up with its content,
/// unless [`RoomConfig::with_cures`] disables that.
///
/// The room speaks the extended dialect (`PROTOCOL.md`) with connections that ask for it, unless
/// [`RoomConfig::with_extended`] disables that.
#[derive(Clone, Debug)]
pub struct Room {
    config: RoomConfig,
    wire: Wire,
    /// The number of the last record.
    number: u64,
    /// How many changes were accepted. The creation of the store counts as one.
    seq: u64,
    exists: bool,
    content: Content,
    /// The JSON of the content, while a frame or an answer that contains it is in use.
    encoded: Option<Weak<str>>,
    /// The stock frame with the whole content, likewise.
    everything: Option<Weak<str>>,
    snapshots: Snapshots,
    connections: BTreeMap<ConnectionId, Context>,
    /// The connections that are sent stock frames; `None` until they are next needed.
    stock: Option<Arc<[ConnectionId]>>,
    /// `None` if the configuration disables the repairs.
    cures: Option<Cures>,
    /// `None` in a room that speaks the stock dialect only.
    extended: Option<Extended>,
    /// The headers of answers to requests for the store.
    store_headers: Headers,
}

/// The author of a change.
#[derive(Clone, Debug)]
enum Author {
    /// A connection that sent a stock frame.
    Stock(ConnectionId),
    /// A client of the extended dialect: its connection, its id, and what was decided about its change.
    Client(ConnectionId, Arc<str>, Decided),
    /// The program that hosts the room: its name, if it gave one, and its change, if the change is to be applied only
    /// once.
    Host(Option<Arc<str>>, Option<OwnChange>),
}

/// WebSocket's close code for "try again later".
const TRY_AGAIN_LATER: u16 = 1013;

impl Room {
    /// Creates a room of which nothing is stored.
    ///
    /// The `epoch` identifies the order in which this opening of the room numbers its changes. It has to differ for
    /// every opening of every room, so it should be random.
    pub fn new(config: RoomConfig, epoch: impl Into<Arc<str>>) -> Self {
        Self::vacant(config, Opened::new(epoch).epochs)
    }

    /// Handles one input, and returns what the host has to do for it, in order.
    #[must_use = "what is put out has to be done, in order"]
    pub fn handle(&mut self, input: Input<'_>) -> Vec<Output> {
        match input {
            Input::Connect { connection, context } => self.connect(connection, context),
            Input::Close { connection } => {
                self.leave(connection);
                Vec::new()
            }
            Input::Message { connection, text } => self.message(connection, text),
            Input::Pong { connection, token } => {
                self.cure(|cures, held, outputs| cures.pong(connection, token, held, outputs))
            }
            Input::Tick => self.cure(Cures::tick),
            Input::Behind { connection } => self.behind(connection).into_iter().collect(),
            Input::CaughtUp { connection } => {
                let content = || self.exists.then(|| self.content.clone());
                let caught_up =
                    self.extended.as_mut().and_then(|extended| extended.catch_up(connection, self.seq, content));
                caught_up.into_iter().collect()
            }
            Input::Request { request, context, body } => {
                let (mut outputs, response) = self.request(&context, body);
                outputs.push(Output::Respond { request, response });
                outputs
            }
            Input::Edit { request, author, change, edit } => {
                let mut outputs = self.edit(author, change, edit);
                let is_recorded = !outputs.is_empty();
                outputs.push(Output::Edited { request, seq: self.seq, is_recorded });
                outputs
            }
            Input::Read { request } => {
                vec![Output::Read { request, seq: self.seq, content: self.exists.then(|| self.content.clone()) }]
            }
            Input::Recalled { connection, commits } => {
                let content = || self.exists.then(|| self.content.clone());
                let recalled = self
                    .extended
                    .as_mut()
                    .and_then(|extended| extended.recalled(connection, commits, self.seq, content));
                recalled.into_iter().collect()
            }
            Input::SnapshotEnded { bytes } => {
                self.snapshots.ended(bytes);
                Vec::new()
            }
        }
    }

    /// The number of the last record, which is also the number of records in the room's log.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the room has a store.
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// Whether the room has no connections. An idle room may be dropped once its commits are stored, and opened again.
    pub fn is_idle(&self) -> bool {
        self.connections.is_empty()
    }

    /// Whether [`Input::Tick`] has any effect.
    pub fn wants_ticks(&self) -> bool {
        self.cures.as_ref().is_some_and(Cures::wants_ticks)
    }

    /// The content. Cloning it is cheap.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The sequence number: how many changes were ever accepted. The creation of the store counts as one.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether a connection is in the room.
    pub fn has(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    /// The connections in the room, each with the request that opened it.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, &Context)> {
        self.connections.iter().map(|(connection, context)| (*connection, context))
    }

    fn connect(&mut self, connection: ConnectionId, context: Context) -> Vec<Output> {
        if let Some(extended) = &mut self.extended {
            extended.connect(connection, &context);
        }
        self.connections.insert(connection, context);
        self.stock = None;
        let is_stock = self.is_stock(connection);
        self.cure(|cures, _, outputs| {
            if is_stock {
                cures.connected(connection, outputs);
            }
        })
    }

    fn message(&mut self, connection: ConnectionId, text: &str) -> Vec<Output> {
        if !self.connections.contains_key(&connection) {
            return Vec::new();
        }
        if text.len() > self.config.max_message_size() {
            return vec![self.cut_off(connection, TOO_BIG, "message too big")];
        }
        if let Some(outputs) = self.hear(connection, text) {
            return outputs;
        }
        if !self.exists && self.cures.is_none() {
            return Vec::new();
        }
        let decode = || self.wire.decode_changes(text);
        let Some(Decoded { value: changes, unrepresentable }) = decode() else {
            return Vec::new();
        };
        // If the policy panics, everything is refused.
        let failed = || Verdict { refused: decode().unwrap_or_default().value, ..Verdict::default() };
        let Verdict { accepted, refused } = self.judge(connection, changes).unwrap_or_else(failed);
        let mut outputs = match self.exists {
            true => self.apply(Author::Stock(connection), &accepted),
            false if cures::sets(&accepted) => self.create(Some(connection), None, None, made_by(&accepted)),
            false => Vec::new(),
        };
        outputs.extend(self.cure(|cures, held, outputs| {
            if !refused.is_empty() {
                cures.refused(connection, &refused, held, outputs);
            }
            if unrepresentable > 0 {
                cures.unreadable(connection, outputs);
            }
        }));
        outputs
    }

    /// Applies the accepted part of a change, and sends it to the other connections. The first output is the commit.
    fn apply(&mut self, author: Author, accepted: &Changes) -> Vec<Output> {
        if accepted.is_empty() {
            return Vec::new();
        }
        let sender = author.connection();
        let doubt = self.cures.as_mut().map(|cures| {
            cures.changing(accepted, &self.content);
            sender.map(|sender| cures.doubt(sender, accepted, &self.content))
        });
        self.content.apply(accepted);
        let frame = SharedStr::from(self.wire.encode_changes(accepted));
        let changes = frame.slice(self.wire.payload_start()..frame.len());
        self.seq += 1;
        // A client of the extended dialect knows its own change.
        let (except, name, decided) = match author {
            Author::Stock(connection) => (None, self.name_of(connection), None),
            Author::Client(connection, client, decided) => (Some(connection), Some(client), Some(decided)),
            Author::Host(name, own) => {
                let extended = self.extended.as_mut();
                (None, name, own.and_then(|own| Some(extended?.decide(&own))))
            }
        };
        let record = self.log(name, decided, Event::Changed(changes));
        let mut outputs = Vec::with_capacity(4);
        outputs.push(Output::Commit(record.clone()));
        if let Some(to) = Audience::all(self.stock(), sender) {
            outputs.push(Output::Send { to, frame });
        }
        if let Some(extended) = &mut self.extended {
            outputs.extend(extended.broadcast(&record, except));
        }
        if let Some(cures) = &mut self.cures {
            cures.told(sender, accepted);
            if let (Some(sender), Some(Some(doubt))) = (sender, doubt) {
                cures.doubted(sender, doubt, &mut outputs);
            }
        }
        outputs.extend(self.snapshot_if_due());
        outputs
    }

    /// Creates the store with this content, which has to be pruned. The first output is the commit.
    ///
    /// `own` is the change that this decides for the client of the extended dialect that offered the content.
    fn create(
        &mut self,
        sender: Option<ConnectionId>,
        author: Option<Arc<str>>,
        own: Option<OwnChange>,
        accepted: Content,
    ) -> Vec<Output> {
        self.content = accepted;
        self.exists = true;
        self.seq += 1;
        let decided = match (&mut self.extended, &own) {
            (Some(extended), Some(own)) => Some(extended.decide(own)),
            _ => None,
        };
        let author = match &own {
            Some(own) => Some(own.client()),
            None => author.or_else(|| self.name_of(sender?)),
        };
        let content = SharedStr::from(self.content.to_json());
        self.snapshots.created(content.len());
        let record = self.log(author, decided, Event::Created(content));
        let mut outputs = vec![Output::Commit(record.clone())];
        if let Some(extended) = &mut self.extended {
            outputs.extend(extended.created(&record, own.as_ref()));
        }
        outputs.extend(self.cure(|cures, held, outputs| cures.created(sender, held, outputs)));
        outputs
    }

    /// Carries out an edit by the program that hosts the room.
    fn edit(&mut self, author: Option<Arc<str>>, change: Option<u64>, edit: Edit<'_>) -> Vec<Output> {
        let own = author.clone().zip(change).map(|(author, change)| OwnChange::whole(author, change));
        if let (Some(extended), Some(own)) = (&self.extended, &own)
            && extended.has_decided(own)
        {
            return Vec::new();
        }
        let diff;
        let changes = match edit {
            Edit::Apply(changes) | Edit::Update(changes) => changes,
            Edit::Replace(content) | Edit::Create(content) => {
                diff = self.content.diff(content);
                &diff
            }
        };
        match edit {
            Edit::Create(_) if self.exists => Vec::new(),
            _ if self.exists => self.apply(Author::Host(author, own), changes),
            Edit::Apply(_) if !cures::sets(changes) => Vec::new(),
            Edit::Update(_) => Vec::new(),
            _ => self.create(None, author, own, made_by(changes)),
        }
    }

    /// Records that nothing of a client's change was accepted.
    fn log_nothing(&mut self, client: Arc<str>, decided: Decided) -> Output {
        Output::Commit(self.log(Some(client), Some(decided), Event::Nothing))
    }

    /// Gives what happened its place in the log.
    fn log(&mut self, author: Option<Arc<str>>, decided: Option<Decided>, event: Event) -> Record {
        self.number += 1;
        (self.encoded, self.everything) = (None, None);
        let record = Record { number: self.number, seq: self.seq, author, decided, event };
        self.snapshots.logged(record.size());
        record
    }

    /// The name that a stock client gives its connection.
    fn name_of(&self, connection: ConnectionId) -> Option<Arc<str>> {
        let name = self.connections.get(&connection)?.query_parameter("_pk")?;
        (name.len() <= MAX_CLIENT_ID).then(|| name.into())
    }

    fn snapshot_if_due(&mut self) -> Option<Output> {
        self.snapshots.begins().then(|| Output::Snapshot(self.snapshot()))
    }

    /// A snapshot of the room, to be stored. Its time is `None`, because the room has no clock.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            number: self.number,
            seq: self.seq,
            time: None,
            content: self.exists.then(|| self.content.clone()),
            clients: self.extended.as_ref().map(Extended::known_clients).unwrap_or_default(),
        }
    }

    /// The JSON of the content, shared by all requests that are being answered.
    fn encoded_content(&mut self) -> SharedStr {
        let encoded = self.encoded.as_ref().and_then(Weak::upgrade).unwrap_or_else(|| self.content.to_json().into());
        self.encoded = Some(Arc::downgrade(&encoded));
        encoded.into()
    }

    /// Runs a step of the repairs and returns its outputs; does nothing if the repairs are disabled.
    fn cure(&mut self, cure: impl FnOnce(&mut Cures, Held<'_>, &mut Vec<Output>)) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some(cures) = &mut self.cures {
            let everything = RefCell::new(self.everything.take());
            let (contents, wire) = (&self.content, &self.wire);
            cure(cures, Held { contents, wire, exists: self.exists, everything: &everything }, &mut outputs);
            // A text that no output uses would otherwise stay in memory until the next change.
            self.everything = everything.into_inner().filter(|text| text.strong_count() > 0);
            self.encoded.take_if(|text| text.strong_count() == 0);
        }
        outputs
    }

    fn is_stock(&self, connection: ConnectionId) -> bool {
        self.extended.as_ref().is_none_or(|extended| !extended.has(connection))
    }

    /// Asks the policy which part of a connection's changes it accepts; `None` if the policy panics.
    fn judge(&self, connection: ConnectionId, changes: Changes) -> Option<Verdict> {
        let asker = Asker { context: self.connections.get(&connection)?, connection: Some(connection) };
        caught(|| accept(self.config.policy(), asker, &self.content, changes)).ok()
    }

    /// The connections that are sent stock frames.
    fn stock(&mut self) -> &Arc<[ConnectionId]> {
        let (connections, extended) = (&self.connections, &self.extended);
        self.stock.get_or_insert_with(|| {
            let is_stock = |connection: &ConnectionId| !extended.as_ref().is_some_and(|it| it.has(*connection));
            connections.keys().copied().filter(is_stock).collect()
        })
    }

    fn behind(&mut self, connection: ConnectionId) -> Option<Output> {
        let waits = self.extended.as_mut().is_some_and(|extended| extended.fall_behind(connection));
        let cut_off = !waits && self.connections.contains_key(&connection);
        cut_off.then(|| self.cut_off(connection, TRY_AGAIN_LATER, "reading too slowly"))
    }

    fn cut_off(&mut self, connection: ConnectionId, code: u16, reason: &'static str) -> Output {
        self.leave(connection);
        Output::Close { connection, code, reason }
    }

    fn leave(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.stock = None;
        if let Some(extended) = &mut self.extended {
            extended.leave(connection);
        }
        if let Some(cures) = &mut self.cures {
            cures.left(connection);
        }
    }
}

impl Author {
    /// The connection that sent the change.
    fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Stock(connection) | Self::Client(connection, ..) => Some(*connection),
            Self::Host(..) => None,
        }
    }
}

/// The content that results from applying `changes` to an empty content.
fn made_by(changes: &Changes) -> Content {
    let mut content = Content::new();
    content.apply(changes);
    content
}

#[derive(Clone, Copy, Debug)]
struct Panicked;

/// Asks the policy. The room changes nothing before the policy has answered, so a panic leaves nothing half done.
fn caught<T>(ask: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(ask)).map_err(|_| Panicked)
}

#[cfg(test)]
mod tests;
