//! The extended dialect's part of a room: the order of its entries, and the connections that are sent them.

use std::{collections::BTreeMap, sync::Arc};

use roommate::{Changes, Content};

use super::{Audience, Output, RoomConfig};
use crate::{
    dialect::{Dialect, Join, Offer, Position, REPLACED, Standing, encode},
    epochs::Epochs,
    policy::{ConnectionId, Context},
    record::{Decided, Event, Record},
    refusals::Tally,
    snapshot::KnownClient,
};

mod clients;
mod hear;
mod log;
mod recall;

use clients::Clients;
use log::{Log, entries_for, own_change_of};
use recall::Recall;

/// What a room that speaks the dialect stores in addition to its content.
#[derive(Clone, Debug)]
pub(super) struct Extended {
    dialect: Dialect,
    epochs: Epochs,
    log: Log,
    max_log: (usize, usize),
    clients: Clients,
    max_clients: usize,
    max_refused: Tally,
    members: BTreeMap<ConnectionId, Member>,
    /// The connection by which each client has joined.
    present: BTreeMap<Arc<str>, ConnectionId>,
    /// The members that are sent each entry; `None` until they are next needed.
    readers: Option<Arc<[ConnectionId]>>,
    /// Whether any client has joined since the room was opened. Before that, the log is in the storage only.
    in_use: bool,
}

/// A connection that asked for the dialect.
#[derive(Clone, Debug, Default)]
struct Member {
    /// The client, once it has joined.
    client: Option<Arc<str>>,
    /// The queue was full: the connection is sent nothing until it has read its queue, and the whole content then.
    behind: bool,
    /// The storage reads what the client missed: the connection is sent nothing until that has been read.
    recall: Option<Recall>,
}

/// A change of a client of the dialect, and the part of it that was refused.
#[derive(Clone, Debug)]
pub(super) struct OwnChange {
    client: Arc<str>,
    id: u64,
    /// The JSON of the refused part; `None` if nothing was refused.
    refused: Option<Arc<str>>,
}

impl Extended {
    pub(super) fn new(config: &RoomConfig, epochs: Epochs) -> Self {
        Self {
            dialect: Dialect::new(config.message_prefix()),
            epochs,
            log: Log::default(),
            max_log: config.max_log(),
            clients: Clients::default(),
            max_clients: config.max_clients(),
            max_refused: config.max_refused(),
            members: BTreeMap::new(),
            present: BTreeMap::new(),
            readers: None,
            in_use: false,
        }
    }

    /// Restores a client from a snapshot.
    pub(super) fn restore(&mut self, client: KnownClient) {
        self.clients.restore(client);
    }

    /// Restores what is known of a client from a record after the snapshot.
    pub(super) fn replay(&mut self, record: &Record) {
        if let (Some(author), Some(decided)) = (&record.author, &record.decided) {
            self.clients.replay(author, decided);
        }
    }

    /// Ends the opening, after all that is stored was restored.
    ///
    /// Clients are not forgotten before this. A client may have been connected, and so not forgotten, between two of its
    /// records. Forgotten between them and taken up again, it would be known by its last change, but not by what was refused
    /// of those before it, and those would be confirmed in full.
    pub(super) fn opened(&mut self) {
        self.clients.forget(self.max_clients);
    }

    /// The clients, for a snapshot.
    pub(super) fn known_clients(&self) -> Vec<KnownClient> {
        self.clients.snapshot()
    }

    /// Adds a connection, if it asks for the dialect.
    pub(super) fn connect(&mut self, connection: ConnectionId, context: &Context) {
        if context.asks_for_dialect() {
            self.members.insert(connection, Member::default());
        }
    }

    /// Forgets a connection. Its client is remembered.
    pub(super) fn leave(&mut self, connection: ConnectionId) {
        let Some(member) = self.members.remove(&connection) else { return };
        self.readers = None;
        if let Some(client) = member.client
            && self.present.get(&client) == Some(&connection)
        {
            self.present.remove(&client);
            self.clients.goes(&client);
        }
    }

    /// Whether a connection asked for the dialect. Such a connection is sent no stock frames.
    pub(super) fn has(&self, connection: ConnectionId) -> bool {
        self.members.contains_key(&connection)
    }

    /// Assigns a connection to a client, and sends the client what it missed.
    fn join(
        &mut self,
        connection: ConnectionId,
        join: Join,
        seq: u64,
        content: impl FnOnce() -> Option<Content>,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some(older) = self.present.insert(Arc::clone(&join.client), connection) {
            outputs.push(self.cut_off(older, REPLACED, "joined by a newer connection"));
        }
        self.clients.comes(&join.client);
        self.clients.acknowledge(&join.client, join.decided);
        let mut member = Member { client: Some(Arc::clone(&join.client)), ..Member::default() };
        let at = join.at.filter(|at| self.epochs.know(at, seq));
        outputs.push(match at {
            None => self.send(connection, &self.snapshot(&join.client, seq, content())),
            Some(at) => match self.resumed(&join.client, at.seq, seq, &[]) {
                Some(resumed) => self.send(connection, &resumed),
                None => {
                    member.recall = Some(Recall::new(at.seq, seq));
                    Output::Recall { connection, after: at.seq, max_bytes: self.max_log.1 }
                }
            },
        });
        self.members.insert(connection, member);
        self.readers = None;
        self.in_use = true;
        outputs
    }

    /// Stores that a change is decided, and returns the decision for its record.
    pub(super) fn decide(&mut self, change: &OwnChange) -> Decided {
        let OwnChange { client, id, refused } = change;
        // A client that offers a first content need not be connected.
        let is_away = !self.present.contains_key(client);
        if is_away {
            self.clients.comes(client);
        }
        let acknowledged = self.clients.acknowledged(client);
        self.clients.decide(client, *id, refused.as_ref());
        if is_away {
            self.clients.goes(client);
        }
        self.clients.forget(self.max_clients);
        Decided { id: *id, acknowledged, refused: refused.clone() }
    }

    /// Confirms a decided change to its author. `seq` is the change's sequence number, or the one before if it has
    /// none.
    fn confirm(&self, connection: ConnectionId, change: &OwnChange, seq: u64) -> Option<Output> {
        let reads = self.members.get(&connection).is_some_and(Member::reads);
        reads.then(|| self.send(connection, &encode::accepted(seq, change.id, change.refused.as_deref())))
    }

    /// Sends a record that has a sequence number of its own to all members but the connection `except`.
    pub(super) fn broadcast(&mut self, record: &Record, except: Option<ConnectionId>) -> Option<Output> {
        if !self.in_use {
            return None;
        }
        let message = match &record.event {
            Event::Changed(changes) => encode::changed(record.seq, changes),
            Event::Created(content) => encode::created(record.seq, content),
            Event::Nothing => return None,
        };
        let (max_records, max_bytes) = self.max_log;
        self.log.push(record.clone(), max_records, max_bytes);
        let to = Audience::all(self.readers(), except)?;
        Some(Output::Send { to, frame: self.dialect.frame(&message).into() })
    }

    /// Sends the creation of the store to all members. The author of `own` is first sent what was decided about that
    /// change.
    pub(super) fn created(&mut self, record: &Record, own: Option<&OwnChange>) -> Vec<Output> {
        let author = own.and_then(|change| Some((*self.present.get(&change.client)?, change)));
        let answer = author.and_then(|(author, change)| self.confirm(author, change, record.seq - 1));
        answer.into_iter().chain(self.broadcast(record, None)).collect()
    }

    /// Whether a change was decided earlier.
    pub(super) fn has_decided(&self, change: &OwnChange) -> bool {
        self.clients.last(&change.client) >= Some(change.id)
    }

    /// What is the client's own of an offered content: changes that were not decided before.
    pub(super) fn own_of(&self, offer: Offer, refused: &Changes) -> Option<OwnChange> {
        let refused = (!refused.is_empty()).then(|| refused.to_json().into());
        let is_new = self.clients.last(&offer.client) < Some(offer.id);
        is_new.then_some(OwnChange { client: offer.client, id: offer.id, refused })
    }

    /// Stops sending to a connection until it has caught up; `false` if no client has joined by it.
    pub(super) fn fall_behind(&mut self, connection: ConnectionId) -> bool {
        let member = self.members.get_mut(&connection).filter(|member| member.client.is_some());
        let is_joined = member.map(|member| member.behind = true).is_some();
        if is_joined {
            self.readers = None;
        }
        is_joined
    }

    /// Sends the whole content to a connection that was behind, in place of what it was not sent.
    pub(super) fn catch_up(
        &mut self,
        connection: ConnectionId,
        seq: u64,
        content: impl FnOnce() -> Option<Content>,
    ) -> Option<Output> {
        let member = self.members.get_mut(&connection).filter(|member| member.behind)?;
        let client = Arc::clone(member.client.as_ref()?);
        (member.behind, member.recall) = (false, None);
        self.readers = None;
        Some(self.send(connection, &self.snapshot(&client, seq, content())))
    }

    fn readers(&mut self) -> &Arc<[ConnectionId]> {
        let members = &self.members;
        self.readers.get_or_insert_with(|| {
            let readers = members.iter().filter(|(_, member)| member.reads());
            readers.map(|(connection, _)| *connection).collect()
        })
    }

    /// Closes a connection and removes it from the room.
    fn cut_off(&mut self, connection: ConnectionId, code: u16, reason: &'static str) -> Output {
        self.leave(connection);
        Output::Close { connection, code, reason }
    }

    fn snapshot(&self, client: &str, seq: u64, content: Option<Content>) -> String {
        let content = content.as_ref().map(Content::to_json);
        encode::snapshot(&self.standing(client, seq), self.clients.refused(client), content.as_deref())
    }

    /// The entries that a client missed after the sequence number `after`; `None` if they are not known. `older` are
    /// records from storage: the first that the client missed, without a gap.
    fn resumed(&self, client: &str, after: u64, now: u64, older: &[Record]) -> Option<String> {
        let older_to = older.last().map_or(after, |record| record.seq);
        let missed = older.iter().chain(self.log.since(older_to, now)?);
        let mut entries = Vec::new();
        let mut refused = self.clients.refused(client).peekable();
        let mut seq = after;
        for record in missed {
            if let Some(own) = own_change_of(record, client) {
                // Changes of which nothing was accepted have no sequence number of their own. They are sent in the
                // order of their ids.
                while let Some((id, refused)) = refused.next_if(|(id, _)| *id <= own.id) {
                    if id < own.id {
                        entries.push(encode::accepted(seq, id, Some(refused)));
                    }
                }
            }
            seq = record.seq;
            entries.extend(entries_for(record, client));
        }
        entries.extend(refused.map(|(id, refused)| encode::accepted(seq, id, Some(refused))));
        Some(encode::resumed(&self.standing(client, now), entries))
    }

    fn standing(&self, client: &str, seq: u64) -> Standing {
        let position = Position { epoch: Arc::clone(&self.epochs.present().id), seq };
        Standing { position, last: self.clients.last(client) }
    }

    fn send(&self, connection: ConnectionId, message: &str) -> Output {
        Output::Send { to: Audience::One(connection), frame: self.dialect.frame(message).into() }
    }
}

impl OwnChange {
    /// A change of which nothing is refused.
    pub(super) fn whole(client: Arc<str>, id: u64) -> Self {
        Self { client, id, refused: None }
    }

    /// The client that made the change.
    pub(super) fn client(&self) -> Arc<str> {
        Arc::clone(&self.client)
    }
}

impl Member {
    /// Whether it is sent each entry.
    fn reads(&self) -> bool {
        self.client.is_some() && !self.behind && self.recall.is_none()
    }
}
