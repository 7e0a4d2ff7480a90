//! One room: what it holds, who is in it, and what it makes of each input.

use std::{
    cell::LazyCell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use roommate::{Cell, Changes, Content, Decoded};

use super::{
    dialect::{DIALECT_HEADER, DIALECT_VERSION, encode},
    http::Headers,
    limits::TOO_BIG,
    policy::{Asker, ConnectionId, Context},
    storage::StorageKey,
    wire::Wire,
};

mod accept;
mod answers;
mod config;
mod contents;
mod cures;
mod extended;
mod host;

use accept::{Verdict, accept};
pub use config::RoomConfig;
use contents::Contents;
use cures::{Cures, Held};
use extended::{Extended, OwnChange};
pub use host::{Input, Output, RequestId};

/// A room as TinyBase's PartyKit server keeps it, without a clock, socket, task or lock.
///
/// # Law
///
/// The host hands in one [`Input`] after the other, and does what [`Room::handle`] puts out *in that order*, an
/// [`Output::Commit`] durably before anything behind it. Then nobody hears of a change that a crash can take back. It
/// may handle several inputs, commit all their batches at once, and go on from there. A host that cannot commit has to
/// drop the room, close its connections and [restore](Room::restore) it: the room is ahead of its storage.
///
/// What it does with each input is what the original does, with two exceptions: connections are told apart by
/// themselves and not by the name that they give themselves, and a leaf that nothing here can stand for is left out as
/// if it were refused, where the original refuses the whole. Beyond that it sets clients right so that they end equal,
/// unless it is told not to ([`RoomConfig::with_cures`]).
///
/// With connections that ask for it the room speaks the extended dialect (`PROTOCOL.md`), unless the configuration says
/// otherwise.
#[derive(Clone, Debug)]
pub struct Room {
    config: RoomConfig,
    wire: Wire,
    exists: bool,
    contents: Contents,
    connections: BTreeMap<ConnectionId, Context>,
    /// `None` where the configuration says so.
    cures: Option<Cures>,
    /// `None` in a room that speaks the stock dialect only.
    extended: Option<Extended>,
    /// The headers of answers to requests for the store.
    store_headers: Headers,
}

/// WebSocket's close code for a message that is too large.
/// WebSocket's close code for "try again later".
const TRY_AGAIN_LATER: u16 = 1013;

impl Room {
    /// A room in which nothing was ever saved.
    ///
    /// The `epoch` names the order in which this room puts what happens in it. No two rooms ever made or restored from
    /// one storage may have the same, so let it be random, or a number that goes up and is stored.
    pub fn new(config: RoomConfig, epoch: impl Into<Arc<str>>) -> Self {
        let wire = Wire::new(config.message_prefix());
        let extended = config.extended().then(|| Extended::new(&config, epoch.into()));
        let mut store_headers = Arc::clone(config.response_headers());
        if extended.is_some() {
            let dialect = [(DIALECT_HEADER, DIALECT_VERSION), ("access-control-expose-headers", DIALECT_HEADER)];
            let dialect = dialect.map(|(name, value)| (name.to_owned(), value.to_owned()));
            store_headers = store_headers.iter().cloned().chain(dialect).collect();
        }
        let (contents, connections) = (Contents::default(), BTreeMap::new());
        let cures = config.cures().then(Cures::default);
        Self { config, wire, exists: false, contents, connections, cures, extended, store_headers }
    }

    /// The room whose batches, all that were committed, left `storage` behind.
    ///
    /// Keys that do not fit are somebody else's and are passed over. The `epoch` is a new one, as in [`Room::new`].
    pub fn restore(
        config: RoomConfig,
        epoch: impl Into<Arc<str>>,
        storage: impl IntoIterator<Item = (String, Cell)>,
    ) -> Self {
        let mut room = Self::new(config, epoch);
        for (key, cell) in storage {
            match StorageKey::decode(room.config.storage_prefix(), &key) {
                Some(StorageKey::HasStore) => room.exists = is_truthy(&cell),
                Some(StorageKey::Cell(table_id, row_id, cell_id)) => {
                    room.contents.set_cell(&table_id, &row_id, &cell_id, cell);
                }
                Some(StorageKey::Value(value_id)) => room.contents.set_value(&value_id, cell),
                Some(key @ (StorageKey::Client(_) | StorageKey::Refused(..))) => {
                    if let Some(extended) = &mut room.extended {
                        extended.restore(key, &cell);
                    }
                }
                None => {}
            }
        }
        room
    }

    /// Takes one input, and says what is to be done for it, in order.
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
                let content = || self.exists.then(|| self.contents.to_content());
                let caught_up = self.extended.as_mut().and_then(|extended| extended.catch_up(connection, content));
                caught_up.into_iter().collect()
            }
            Input::Request { request, context, body } => {
                let (mut outputs, response) = self.request(&context, body);
                outputs.push(Output::Respond { request, response });
                outputs
            }
        }
    }

    /// Whether a store was ever saved here.
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// Whether there is nothing to remember: no store, nobody connected. Such a room may be dropped and made anew.
    pub fn is_idle(&self) -> bool {
        !self.exists && self.contents.is_empty() && self.connections.is_empty()
    }

    /// Whether [`Input::Tick`] changes anything.
    pub fn wants_ticks(&self) -> bool {
        self.cures.as_ref().is_some_and(Cures::wants_ticks)
    }

    /// A copy of all that the room holds.
    pub fn content(&self) -> Content {
        self.contents.to_content()
    }

    /// Who is in the room.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, &Context)> {
        self.connections.iter().map(|(connection, context)| (*connection, context))
    }

    fn connect(&mut self, connection: ConnectionId, context: Context) -> Vec<Output> {
        let asker = Asker { context: &context, connection: Some(connection) };
        let response = match caught(|| self.config.policy().can_connect(asker)) {
            Ok(true) => {
                if let Some(extended) = &mut self.extended {
                    extended.connect(connection, &context);
                }
                self.connections.insert(connection, context);
                let is_stock = self.is_stock(connection);
                return self.cure(|cures, _, outputs| {
                    if is_stock {
                        cures.connected(connection, outputs);
                    }
                });
            }
            Ok(false) => self.unauthorised(),
            Err(Panicked) => self.failed(),
        };
        vec![Output::Refuse { connection, response }]
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
        // A policy that panics refuses everything.
        let failed = || Verdict { refused: decode().unwrap_or_default().value, ..Verdict::default() };
        let Verdict { accepted, refused } = self.judge(connection, changes).unwrap_or_else(failed);
        let mut outputs = match self.exists {
            true => self.apply(connection, &accepted),
            false if cures::sets(&accepted) => self.create(Some(connection), None, &accepted),
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

    /// Applies what was accepted of a stock client's changes, and tells the others.
    fn apply(&mut self, author: ConnectionId, accepted: &Changes) -> Vec<Output> {
        if accepted.is_empty() {
            return Vec::new();
        }
        if let Some(cures) = &mut self.cures {
            cures.changing(accepted, &self.contents);
        }
        let doubt = self.cures.as_ref().map(|cures| cures.doubt(author, accepted, &self.contents));
        let batch = self.contents.apply(accepted, self.config.storage_prefix());
        let mut outputs = Vec::with_capacity(2);
        if !batch.is_empty() {
            outputs.push(Output::Commit(batch));
        }
        self.tell(author, None, accepted, &mut outputs);
        if let (Some(cures), Some(doubt)) = (&mut self.cures, doubt) {
            cures.doubted(author, doubt, &mut outputs);
        }
        outputs
    }

    /// Makes the store of what was accepted, of a stock client's changes or of a content, which decides what of it is `own`
    /// to a client of the dialect.
    fn create(&mut self, author: Option<ConnectionId>, own: Option<OwnChange>, accepted: &Changes) -> Vec<Output> {
        let mut batch = self.contents.apply(accepted, self.config.storage_prefix());
        batch.puts.push((StorageKey::HasStore.encode(self.config.storage_prefix()), Cell::from(1)));
        self.exists = true;
        if let (Some(extended), Some(own)) = (&mut self.extended, &own) {
            extended.decide(own, &mut batch);
        }
        let mut outputs = vec![Output::Commit(batch)];
        if let Some(extended) = &mut self.extended {
            let content = || self.contents.to_content().to_json();
            outputs.extend(extended.create(own, |seq| encode::created(seq, &content())));
        }
        outputs.extend(self.cure(|cures, held, outputs| cures.created(author, held, outputs)));
        outputs
    }

    /// What the cures put out, if there are any.
    fn cure(&mut self, cure: impl FnOnce(&mut Cures, Held<'_>, &mut Vec<Output>)) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some(cures) = &mut self.cures {
            let held = Held { contents: &self.contents, wire: &self.wire, exists: self.exists };
            cure(cures, held, &mut outputs);
        }
        outputs
    }

    fn is_stock(&self, connection: ConnectionId) -> bool {
        self.extended.as_ref().is_none_or(|extended| !extended.has(connection))
    }

    /// What the policy lets through of the changes that somebody asks for; `None` if it panics.
    fn judge(&self, connection: ConnectionId, changes: Changes) -> Option<Verdict> {
        let asker = Asker { context: self.connections.get(&connection)?, connection: Some(connection) };
        caught(|| accept(self.config.policy(), asker, &self.contents, changes)).ok()
    }

    /// Gives changes that were accepted their place in the order, and tells them: to the author, of what is `own` to it,
    /// otherwise than to the others.
    fn tell(&mut self, author: ConnectionId, own: Option<OwnChange>, accepted: &Changes, outputs: &mut Vec<Output>) {
        let stock = self.connections.keys().copied().filter(|other| *other != author && self.is_stock(*other));
        let stock: Vec<_> = stock.collect();
        let json = LazyCell::new(|| accepted.to_json());
        if !stock.is_empty() {
            outputs.push(Output::Send { to: stock, frame: self.wire.frame(&json) });
        }
        if let Some(extended) = &mut self.extended {
            outputs.extend(extended.enter(own, |seq| encode::changed(seq, &json)));
        }
        if let Some(cures) = &mut self.cures {
            cures.told(author, accepted);
        }
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
        if let Some(extended) = &mut self.extended {
            extended.leave(connection);
        }
        if let Some(cures) = &mut self.cures {
            cures.left(connection);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Panicked;

/// Asks the policy. Until it has answered nothing of the room has changed, so a panic leaves nothing half done.
fn caught<T>(ask: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(ask)).map_err(|_| Panicked)
}

/// Whether JavaScript takes the cell for true.
fn is_truthy(cell: &Cell) -> bool {
    match cell {
        Cell::Null => false,
        Cell::Bool(bool) => *bool,
        Cell::Number(number) => number.get() != 0.0,
        Cell::String(text) => !text.is_empty(),
        Cell::Json(_) => true,
    }
}

#[cfg(test)]
mod tests;
