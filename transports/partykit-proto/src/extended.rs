//! A client on a server that speaks the extended dialect: one connection, one order, and each change exactly once.
//!
//! The invariant: *a session reports the room's order, without a gap and without a repetition, beginning with a
//! content.* `PROTOCOL.md`, next to this crate's sources, specifies the messages.
//!
//! ```text
//!   save ──► pending ──change──► room ──accepted──► Confirmed, here in the order
//!              │  ▲               │────changed────► Changes
//!              │  └─ again, after │────created────► Content
//!              │     a lost       │
//!              │     connection   └───snapshot────► Confirmed for each of which it tells the fate, then Content
//! ```
//!
//! * A change has one id for as long as the session holds it, and changes are sent in the order of their ids. After a
//!   lost connection, all changes that the server has not decided are sent again. Each takes effect once.
//! * A confirmation that comes with a snapshot has no position of its own in the order. It comes before the
//!   [`Notice::Content`], which contains the change at its position together with whatever overwrote it.
//! * A change may have been decided before the session held it (a restarted program, or an engine that starts a new
//!   watch, saves it again). Such a change is confirmed when it is saved. Its position in the order has passed, so
//!   [`Notice::Stale`] follows.
//! * A server that has forgotten the client (`last` is null, and once was not) may or may not have received the sent
//!   changes. The session confirms those of them that the snapshot shows, from the oldest up to the first that it does
//!   not show, because sending these again would change nothing. The session sends the rest again. This is the only
//!   case of *at least once*.
//! * A gap, or anything else that violates the protocol, ends the connection. The next connection begins with a
//!   snapshot.
//! * A change that is larger than the server accepts ends the connection (1009). The response to the next join shows
//!   which change it was: that change is refused, and the others are sent.
//! * A room without a store refuses all changes. While it has none, pending changes wait.
//! * The server closes the connection of a client that has too many refused changes and acknowledges too few. So the
//!   session counts the refusals that the server may have to remember. A change that would exceed the bound waits until
//!   the engine has processed earlier refusals.
//! * An edit of several messages is reported once, with everything in it that was refused, and is acknowledged then:
//!   until then a later session receives the refusals again. The exception is an edit whose refused messages alone
//!   exceed that bound (256 of them, or 1 MiB): those are acknowledged while the edit is pending, since it could not
//!   continue otherwise. If the program ends before that edit is reported, the next session receives these messages as
//!   accepted, and its store shows what the room holds.
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

/// The logic of a client on a server that speaks the extended dialect. The module documentation lists what it promises.
///
/// Times are durations since one moment that the caller chooses.
#[derive(Debug)]
pub struct Session {
    dialect: Dialect,
    options: SessionOptions,
    client: Arc<str>,
    /// The last number of an edit without a key.
    number: u64,
    stage: Stage,
    /// The position up to which the order was reported; `None` if nothing was reported yet, or the position is unknown.
    at: Option<Position>,
    has_store: Option<bool>,
    /// A first content was offered, and the order has yet to report the store and the refused parts of that content.
    has_offered: bool,
    pending: VecDeque<Part>,
    /// The server has known the client, on some connection.
    was_known: bool,
    /// Every change up to this id is decided.
    last: u64,
    /// The id of the newest edit that was saved here.
    newest: u64,
    /// The refused parts of changes up to `last` that belong to edits after `newest`, which are not saved here (yet).
    refusals: BTreeMap<u64, Changes>,
    /// A change was confirmed after its position in the order had passed. The latest time to report that.
    outdated: Option<Duration>,
    /// Confirmations with a refusal that the engine has not processed yet.
    untaken: VecDeque<Receipt>,
    /// The author of each change up to this id knows its outcome.
    decided: u64,
    /// The same, as far as it was acknowledged to the server on this connection.
    acknowledged: u64,
    /// The refused parts of changes after `decided`, as far as is known.
    remembered: Remembered,
    /// The bound on `remembered` within which more changes are sent.
    most_refused: Tally,
    forgone: Option<Forgone>,
    /// A message was too large for the server, and it is not known yet which.
    oversize: Option<Oversize>,
    troubles: Troubles,
    outputs: VecDeque<SessionOutput>,
}

/// The timeouts and the capacity of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// How many saves may be pending at once. Defaults to 128.
    pub capacity: usize,
    /// The room's limits.
    pub limits: Limits,
    /// How long the session waits without receiving anything of the server's response after a connection opens, before
    /// it gives up. Defaults to 30 s.
    pub patience: Duration,
}

/// An action for the caller to carry out, or a notice or error to pass on.
#[derive(Clone, Debug)]
pub enum SessionOutput {
    /// Send this frame.
    Send(Arc<str>),
    /// Pass this notice to the watch.
    Notice(Notice),
    /// Report this error, which has no other effect.
    Report(Error),
    /// Close the connection and open a new one.
    Reconnect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Closed,
    /// The server has yet to respond, by this time.
    Joining(Duration),
    Joined,
    /// Messages of this connection are ignored. It is to be replaced at this time.
    Leaving(Duration),
    /// The connection is being replaced.
    Left,
}

/// How often a server violated the protocol.
#[derive(Debug, Default)]
struct Troubles {
    count: u32,
    last: Duration,
}

/// How long to collect late confirmations before they are reported together.
const GATHERING: Duration = Duration::from_secs(1);
/// How long a connection must go without trouble before earlier trouble no longer counts.
const PEACE: Duration = Duration::from_secs(60);
/// The longest wait before reconnecting to a server that violates the protocol.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Default for SessionOptions {
    fn default() -> Self {
        Self { capacity: 128, limits: Limits::default(), patience: Duration::from_secs(30) }
    }
}

impl Session {
    /// Creates a session without a connection. `client` identifies the session in joins and in edits without a key of
    /// their own. It must be chosen at random, have at most [`MAX_CLIENT_ID`](super::MAX_CLIENT_ID) bytes, and be used
    /// by no other session.
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

    /// Restarts the session without a connection, for a new watch: drops every save that a notice was to confirm.
    ///
    /// A connection that was open must not be used any more: changes sent on it could arrive after changes that are
    /// saved again.
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

    /// Handles the opening of a connection to a server that speaks the dialect.
    pub fn opened(&mut self, now: Duration) {
        self.stage = Stage::Joining(now.saturating_add(self.options.patience));
        let join = Join { client: self.client.clone(), at: self.at.clone(), decided: self.decided };
        self.acknowledged = self.decided;
        self.send(self.dialect.encode_client(&ClientMessage::Join(join)));
    }

    /// Handles the loss of the connection. See [`Session::closed_with`] for one that the server closed.
    pub fn closed(&mut self) {
        self.stage = Stage::Closed;
        for part in &mut self.pending {
            part.is_on_its_way = false;
        }
    }

    /// Handles what a request showed: the room has a store.
    pub fn store_found(&mut self) {
        self.has_store = Some(true);
        self.settle();
    }

    /// Records that the connection received bytes of a message that is still incomplete: a response may take longer to
    /// arrive than the server may take to begin with it. Call this before [`Session::tick`].
    pub fn arriving(&mut self, at: Duration) {
        if let Stage::Joining(until) = &mut self.stage {
            *until = at.saturating_add(self.options.patience).max(*until);
        }
    }

    /// Handles the passing of time: call it at [`Session::deadline`], or at any other time.
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

    /// Returns the next output; `None` when there are no more.
    #[must_use]
    pub fn poll(&mut self) -> Option<SessionOutput> {
        self.outputs.pop_front()
    }

    /// Returns when to call [`Session::tick`]. Every input may change it.
    pub fn deadline(&self) -> Option<Duration> {
        let stage = match self.stage {
            Stage::Joining(until) | Stage::Leaving(until) => Some(until),
            Stage::Closed | Stage::Joined | Stage::Left => None,
        };
        stage.into_iter().chain(self.outdated).min()
    }

    /// Whether the server has responded to the join on the open connection: everything from then on is reported.
    pub fn is_joined(&self) -> bool {
        self.stage == Stage::Joined
    }

    /// Whether the room has a store, as far as is known.
    pub fn store_is_present(&self) -> Option<bool> {
        self.has_store
    }

    /// Leaves a connection whose server violates the protocol or does not respond, and requests everything on a new
    /// one.
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
