//! A client on a server that speaks the extended dialect: one socket, an order, and every change once.
//!
//! The law: *what a session tells is the room's order, without a gap and without a repetition, beginning with a content.*
//! `PROTOCOL.md`, next to this crate's sources, says what travels.
//!
//! ```text
//!   save ──► pending ──change──► room ──accepted──► Confirmed, here in the order
//!              │  ▲               │────changed────► Changes
//!              │  └─ again, after │────created────► Content
//!              │     a lost       │
//!              │     connection   └───snapshot────► Confirmed for each of which it tells the fate, then Content
//! ```
//!
//! * A change keeps its id as long as the session has it, and goes out in the order of the ids. After a lost connection
//!   all that the server has not decided is sent again, and takes effect once.
//! * A confirmation that comes with a snapshot has no place of its own in the order. It comes before the
//!   [`Notice::Content`], which has the change where it belongs and whatever overwrote it.
//! * What was decided before the session had it (saved again by a program that was started anew, or by an engine that
//!   listens anew) is confirmed when it is saved. Its place in the order is long past, so [`Notice::Stale`] follows.
//! * A server that has forgotten the client (`last` is null, and once was not) may have what was sent or not. What of it the
//!   snapshot shows from the oldest on is confirmed, since to send it again there would change nothing; the rest is sent
//!   again. That, and only that, is *at least once*.
//! * A gap, or anything else that cannot be, ends the connection; the next one begins with a snapshot.
//! * A change that is larger than the server takes costs the connection (1009). The answer to the next join tells which one
//!   it was: that one is refused, the others are sent.
//! * A room without a store refuses all changes. While it has none, what is pending waits.
//! * The server hangs up on whoever is refused too much and acknowledges too little. So what it may have to remember is counted,
//!   and what would go beyond that waits until whoever listens takes note of refusals.
//! * An edit of several messages is told once, with all that was refused of it, and acknowledged then: before that, a later
//!   session is told it again. Not so where the refused messages of one edit go beyond that bound by themselves (256 of them,
//!   or 1 MiB): those are acknowledged while it is under way, since it could not go on. If the program ends before the edit
//!   is told, the next one is told that these messages were accepted, and its store shows what the room holds.
//!
//! After every input, take outputs by [`Session::poll`] until there are none.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use roommate::{Changes, Error, ErrorKind, Notice, Receipt};

use super::{
    dialect::{ClientMessage, Dialect, Join, Position},
    limits::Limits,
    refusals::{MOST_REFUSED, Remembered, Tally},
};

mod hear;
mod oversize;
mod refused;
mod saves;
#[cfg(test)]
mod tests;

use oversize::Oversize;
use refused::Forgone;
use saves::Part;

/// The logic of a client on a server that speaks the extended dialect. See the module for what it promises.
///
/// Times are durations since one moment of the caller's choice.
#[derive(Debug)]
pub struct Session {
    dialect: Dialect,
    options: SessionOptions,
    client: Arc<str>,
    /// The last number of an edit without a key.
    number: u64,
    stage: Stage,
    /// Up to where the order was told; `None` if nothing was told yet, or nothing more is known.
    at: Option<Position>,
    has_store: Option<bool>,
    /// A first content was offered, and the order has yet to tell of the store, and of what was refused of that content.
    has_offered: bool,
    pending: VecDeque<Part>,
    /// The server has known the client, on some connection.
    was_known: bool,
    /// Every change up to this id is decided.
    last: u64,
    /// The id of the newest edit that was saved here.
    newest: u64,
    /// What was refused of changes up to `last` of edits behind that one, which are not saved here (yet).
    refusals: BTreeMap<u64, Changes>,
    /// Something was confirmed after its place in the order. When to say so at the latest.
    outdated: Option<Duration>,
    /// Confirmations with a refusal that nobody has taken note of yet.
    untaken: VecDeque<Receipt>,
    /// The fate of changes up to this id is known to whoever made them.
    decided: u64,
    /// The same, as far as the server was told on this connection.
    acknowledged: u64,
    /// What was refused of changes beyond `decided`, as far as is known.
    remembered: Remembered,
    /// How much of that there may be while more is asked for.
    most_refused: Tally,
    forgone: Option<Forgone>,
    /// A message was too large for the server, and which one is not known yet.
    oversize: Option<Oversize>,
    troubles: Troubles,
    outputs: VecDeque<SessionOutput>,
}

/// How patient a session is and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Saves that may be under way at once. 128.
    pub capacity: usize,
    /// What the room can take.
    pub limits: Limits,
    /// How long nothing may come of the server's answer when a connection is opened, before that is given up. 30 s.
    pub patience: Duration,
}

/// What a session wants done, or tells.
#[derive(Clone, Debug)]
pub enum SessionOutput {
    /// Send this frame.
    Send(Arc<str>),
    /// Tell this to whoever listens.
    Notice(Notice),
    /// Report this; nothing else changes by it.
    Report(Error),
    /// Close the connection and open another.
    Reconnect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Closed,
    /// The server has yet to answer; by then.
    Joining(Duration),
    Joined,
    /// Nothing more is taken from this connection, which is to be replaced then.
    Leaving(Duration),
    /// It is being replaced.
    Left,
}

/// How often a server said what cannot be.
#[derive(Debug, Default)]
struct Troubles {
    count: u32,
    last: Duration,
}

/// How long after something was confirmed too late for its place others like it are waited for.
const GATHERING: Duration = Duration::from_secs(1);
/// How long a connection has to be without trouble for that to be forgotten.
const PEACE: Duration = Duration::from_secs(60);
/// The longest wait before a server that says what cannot be is asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Default for SessionOptions {
    fn default() -> Self {
        Self { capacity: 128, limits: Limits::default(), patience: Duration::from_secs(30) }
    }
}

impl Session {
    /// A session without a connection. `client` is for edits without a key of their own, and to listen: chosen at random,
    /// of at most [`MAX_CLIENT_ID`](super::MAX_CLIENT_ID) bytes, and used by nobody else.
    pub fn new(dialect: Dialect, client: impl Into<Arc<str>>, options: SessionOptions) -> Self {
        Self {
            dialect,
            options,
            client: client.into(),
            number: 0,
            stage: Stage::Closed,
            at: None,
            has_store: None,
            has_offered: false,
            pending: VecDeque::new(),
            was_known: false,
            last: 0,
            newest: 0,
            refusals: BTreeMap::new(),
            outdated: None,
            untaken: VecDeque::new(),
            decided: 0,
            acknowledged: 0,
            remembered: Remembered::default(),
            most_refused: MOST_REFUSED,
            forgone: None,
            oversize: None,
            troubles: Troubles::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Begins anew for somebody else who listens, without a connection: forgets every save that a notice was to confirm.
    ///
    /// A connection that was open must not be used any more: what was sent on it could arrive after what is saved again.
    pub fn restart(&mut self) {
        self.stage = Stage::Closed;
        self.at = None;
        self.has_offered = false;
        self.keep_forgone();
        self.pending.clear();
        self.last = 0;
        self.newest = 0;
        self.refusals.clear();
        self.outdated = None;
        self.untaken.clear();
        self.remembered = Remembered::default();
        self.oversize = None;
        self.outputs.clear();
    }

    /// The connection is open, and the server speaks the dialect.
    pub fn opened(&mut self, now: Duration) {
        self.stage = Stage::Joining(now.saturating_add(self.options.patience));
        let join = Join { client: self.client.clone(), at: self.at.clone(), decided: self.decided };
        self.acknowledged = self.decided;
        self.send(self.dialect.encode_client(&ClientMessage::Join(join)));
    }

    /// The connection is closed. See [`Session::closed_with`] for one that the server closed.
    pub fn closed(&mut self) {
        self.stage = Stage::Closed;
        for part in &mut self.pending {
            part.is_on_its_way = false;
        }
    }

    /// A request told that the room has a store.
    pub fn store_found(&mut self) {
        self.has_store = Some(true);
        self.settle();
    }

    /// At this moment the connection brought some of a message that has yet to come whole: an answer may be under way for
    /// longer than the server may take to begin with it. Tell it before [`Session::tick`].
    pub fn arriving(&mut self, at: Duration) {
        if let Stage::Joining(until) = &mut self.stage {
            *until = at.saturating_add(self.options.patience).max(*until);
        }
    }

    /// Time passes: call it at [`Session::deadline`], or whenever else.
    pub fn tick(&mut self, now: Duration) {
        match self.stage {
            Stage::Joining(until) if now >= until => {
                let message = "the server does not answer: do its message prefix and this one's agree?";
                self.outputs.push_back(SessionOutput::Report(Error::new(ErrorKind::Unavailable, message)));
                self.leave(now);
            }
            Stage::Leaving(until) if now >= until => self.reconnect(),
            _ => {}
        }
        if self.outdated.is_some_and(|until| now >= until) {
            self.tell_outdated();
        }
    }

    /// What to do next, until `None`.
    #[must_use]
    pub fn poll(&mut self) -> Option<SessionOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`Session::tick`]; may change by any input.
    pub fn deadline(&self) -> Option<Duration> {
        let stage = match self.stage {
            Stage::Joining(until) | Stage::Leaving(until) => Some(until),
            Stage::Closed | Stage::Joined | Stage::Left => None,
        };
        stage.into_iter().chain(self.outdated).min()
    }

    /// Whether the server has answered on the connection that is open: everything from then on is told.
    pub fn is_joined(&self) -> bool {
        self.stage == Stage::Joined
    }

    /// Whether the room has a store, as far as is known.
    pub fn store_is_present(&self) -> Option<bool> {
        self.has_store
    }

    /// The server said what cannot be, or says nothing: asks for everything on another connection.
    fn leave(&mut self, now: Duration) {
        self.at = None;
        if now > self.troubles.last + PEACE {
            self.troubles.count = 0;
        }
        let wait = match self.troubles.count {
            0 => Duration::ZERO,
            count => LONGEST_WAIT.min(Duration::from_secs(1) * (1 << (count - 1).min(10))),
        };
        self.troubles.count = self.troubles.count.saturating_add(1);
        self.troubles.last = now + wait;
        if wait.is_zero() {
            self.reconnect();
        } else {
            self.stage = Stage::Leaving(now + wait);
        }
    }

    fn reconnect(&mut self) {
        self.stage = Stage::Left;
        self.outputs.push_back(SessionOutput::Reconnect);
    }

    fn send(&mut self, frame: impl Into<Arc<str>>) {
        self.outputs.push_back(SessionOutput::Send(frame.into()));
    }

    fn tell(&mut self, notice: Notice) {
        self.outputs.push_back(SessionOutput::Notice(notice));
    }

    fn tell_outdated(&mut self) {
        if self.outdated.take().is_some() {
            self.tell(Notice::Stale);
        }
    }
}
