//! The extended dialect's half of a room: the order of its entries, and who is told them.

use std::{collections::BTreeMap, sync::Arc};

use roommate::{Cell, Changes, Content};

use super::{Output, RoomConfig};
use crate::proto::{
    dialect::{Dialect, Join, Offer, Position, REPLACED, Standing, encode},
    policy::{ConnectionId, Context},
    refusals::Tally,
    storage::{Batch, StorageKey},
};

mod clients;
mod hear;
mod log;

use clients::{Clients, Writes};
pub(super) use log::OwnChange;
use log::{Log, Logged, Told};

/// What a room that speaks the dialect knows beside what it holds.
#[derive(Clone, Debug)]
pub(super) struct Extended {
    dialect: Dialect,
    epoch: Arc<str>,
    seq: u64,
    log: Log,
    max_log: (usize, usize),
    clients: Clients,
    max_clients: usize,
    max_refused: Tally,
    storage_prefix: Arc<str>,
    members: BTreeMap<ConnectionId, Member>,
    /// By which connection a client is joined.
    present: BTreeMap<Arc<str>, ConnectionId>,
    /// Whether anybody ever joined. Before that nobody can come back, and a log would be kept for nothing.
    in_use: bool,
}

/// A connection that asked for the dialect.
#[derive(Clone, Debug, Default)]
struct Member {
    /// Who it is, once it has joined.
    client: Option<Arc<str>>,
    /// Its queue was full: it is told nothing until it has read that, and everything then.
    behind: bool,
}

impl Extended {
    pub(super) fn new(config: &RoomConfig, epoch: Arc<str>) -> Self {
        Self {
            dialect: Dialect::new(config.message_prefix()),
            epoch,
            seq: 0,
            log: Log::default(),
            max_log: config.max_log(),
            clients: Clients::default(),
            max_clients: config.max_clients(),
            max_refused: config.max_refused(),
            storage_prefix: config.storage_prefix().into(),
            members: BTreeMap::new(),
            present: BTreeMap::new(),
            in_use: false,
        }
    }

    /// Takes up what was stored.
    pub(super) fn restore(&mut self, key: StorageKey, cell: &Cell) {
        match key {
            StorageKey::Client(client) => self.clients.restore(client, cell),
            StorageKey::Refused(id, client) => self.clients.restore_refused(client, id, cell),
            StorageKey::HasStore | StorageKey::Cell(..) | StorageKey::Value(_) => {}
        }
    }

    /// Lets a connection in, if it asks for the dialect.
    pub(super) fn connect(&mut self, connection: ConnectionId, context: &Context) {
        if context.asks_for_dialect() {
            self.members.insert(connection, Member::default());
        }
    }

    /// Forgets a connection. Its client is remembered.
    pub(super) fn leave(&mut self, connection: ConnectionId) {
        let client = self.members.remove(&connection).and_then(|member| member.client);
        if let Some(client) = client
            && self.present.get(&client) == Some(&connection)
        {
            self.present.remove(&client);
            self.clients.goes(&client);
        }
    }

    /// Whether a connection asked for the dialect: it gets no stock frames.
    pub(super) fn has(&self, connection: ConnectionId) -> bool {
        self.members.contains_key(&connection)
    }

    /// Makes a connection that of a client, and tells it what it missed.
    fn join(&mut self, connection: ConnectionId, join: Join, content: impl FnOnce() -> Option<Content>) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some(older) = self.present.insert(Arc::clone(&join.client), connection) {
            outputs.push(self.cut_off(older, REPLACED, "joined by a newer connection"));
        }
        self.clients.comes(&join.client);
        outputs.extend(self.acknowledge(&join.client, join.decided));
        let resumed = join.at.and_then(|at| self.resumed(&join.client, &at));
        let message = resumed.unwrap_or_else(|| self.snapshot(&join.client, content()));
        outputs.push(self.send(connection, &message));
        self.members.insert(connection, Member { client: Some(join.client), behind: false });
        self.in_use = true;
        outputs
    }

    /// Forgets the refusals that a client knows of.
    fn acknowledge(&mut self, client: &Arc<str>, id: u64) -> Option<Output> {
        let mut batch = Batch::default();
        self.clients.acknowledge(client, id, &mut Writes { prefix: &self.storage_prefix, batch: &mut batch });
        (!batch.is_empty()).then_some(Output::Commit(batch))
    }

    /// Remembers that a change is decided, in what is written of it.
    pub(super) fn decide(&mut self, change: &OwnChange, batch: &mut Batch) {
        let mut writes = Writes { prefix: &self.storage_prefix, batch };
        // Who offers a first content need not be connected.
        let is_away = !self.present.contains_key(&change.client);
        if is_away {
            self.clients.comes(&change.client);
        }
        self.clients.decide(&change.client, change.id, change.refused.as_ref(), &mut writes);
        if is_away {
            self.clients.goes(&change.client);
        }
        self.clients.forget(self.max_clients, &mut writes);
    }

    /// Tells the author that a change is decided, before it enters the order if anything of it was accepted.
    fn confirm(&self, connection: ConnectionId, change: &OwnChange, accepted: bool) -> Option<Output> {
        let seq = self.seq + u64::from(accepted);
        let told = self.members.get(&connection).is_some_and(|member| !member.behind);
        told.then(|| self.send(connection, &encode::accepted(seq, change.id, change.refused.as_deref())))
    }

    /// Gives changes the next place in the order, and tells them to all but their author, who is told otherwise.
    ///
    /// `told` makes their JSON from their place.
    pub(super) fn enter(&mut self, own: Option<OwnChange>, told: impl FnOnce(u64) -> String) -> Option<Output> {
        let author = own.as_ref().map(|change| Arc::clone(&change.client));
        self.put_in_order(own, author.as_deref(), |seq| Told::Changed(told(seq)))
    }

    /// Gives the making of the store the next place in the order, and tells it to all. To the author of what is `own` it is
    /// told before that what became of that.
    pub(super) fn create(&mut self, own: Option<OwnChange>, told: impl FnOnce(u64) -> String) -> Vec<Output> {
        let author = own.as_ref().and_then(|change| Some((*self.present.get(&change.client)?, change)));
        let mut outputs: Vec<_> =
            author.and_then(|(author, change)| self.confirm(author, change, false)).into_iter().collect();
        outputs.extend(self.put_in_order(own, None, |seq| Told::Created(told(seq))));
        outputs
    }

    /// What is the client's own of an offered content: changes that were not decided before.
    pub(super) fn own_of(&self, offer: Offer, refused: &Changes) -> Option<OwnChange> {
        let refused = (!refused.is_empty()).then(|| refused.to_json().into());
        let is_new = self.clients.last(&offer.client) < Some(offer.id);
        is_new.then_some(OwnChange { client: offer.client, id: offer.id, refused })
    }

    fn put_in_order(
        &mut self,
        own: Option<OwnChange>,
        but: Option<&str>,
        entry: impl FnOnce(u64) -> Told,
    ) -> Option<Output> {
        self.seq += 1;
        if !self.in_use {
            return None;
        }
        let entry = entry(self.seq);
        let reads = |member: &Member| !member.behind && member.client.is_some() && member.client.as_deref() != but;
        let to = self.members.iter().filter(|(_, member)| reads(member));
        let to: Vec<_> = to.map(|(connection, _)| *connection).collect();
        let output = (!to.is_empty()).then(|| Output::Send { to, frame: self.dialect.frame(entry.json()) });
        let (max_entries, max_bytes) = self.max_log;
        self.log.push(Logged { entry, own }, max_entries, max_bytes);
        output
    }

    /// Tells a connection nothing more until it has caught up; `false` if it is none that has joined.
    pub(super) fn fall_behind(&mut self, connection: ConnectionId) -> bool {
        let member = self.members.get_mut(&connection).filter(|member| member.client.is_some());
        member.map(|member| member.behind = true).is_some()
    }

    /// Tells a connection that was behind everything in place of what it was not told.
    pub(super) fn catch_up(
        &mut self,
        connection: ConnectionId,
        content: impl FnOnce() -> Option<Content>,
    ) -> Option<Output> {
        let member = self.members.get_mut(&connection).filter(|member| member.behind)?;
        member.behind = false;
        let client = Arc::clone(member.client.as_ref()?);
        Some(self.send(connection, &self.snapshot(&client, content())))
    }

    /// Closes a connection, which is not in the room any more.
    fn cut_off(&mut self, connection: ConnectionId, code: u16, reason: &'static str) -> Output {
        self.leave(connection);
        Output::Close { connection, code, reason }
    }

    fn snapshot(&self, client: &str, content: Option<Content>) -> String {
        let content = content.as_ref().map(Content::to_json);
        encode::snapshot(&self.standing(client), self.clients.refused(client), content.as_deref())
    }

    /// What a client missed, if the log reaches back to where it was.
    fn resumed(&self, client: &str, at: &Position) -> Option<String> {
        if at.epoch != self.epoch {
            return None;
        }
        let mut entries = Vec::new();
        let mut refused = self.clients.refused(client).peekable();
        let mut seq = at.seq;
        for (place, entry) in self.log.since(at.seq, self.seq)? {
            if let Some(change) = entry.own_change_of(client) {
                // Those of which nothing was accepted have no place in the order, and are told in that of their ids.
                while let Some((id, refused)) = refused.next_if(|(id, _)| *id <= change.id) {
                    if id < change.id {
                        entries.push(encode::accepted(seq, id, Some(refused)));
                    }
                }
            }
            seq = place;
            entries.extend(entry.told_to(client, seq));
        }
        entries.extend(refused.map(|(id, refused)| encode::accepted(seq, id, Some(refused))));
        Some(encode::resumed(&self.standing(client), entries))
    }

    fn standing(&self, client: &str) -> Standing {
        let position = Position { epoch: Arc::clone(&self.epoch), seq: self.seq };
        Standing { position, last: self.clients.last(client) }
    }

    fn send(&self, connection: ConnectionId, message: &str) -> Output {
        Output::Send { to: vec![connection], frame: self.dialect.frame(message) }
    }
}
