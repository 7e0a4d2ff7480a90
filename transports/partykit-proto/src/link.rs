//! A client on a stock server: the order of what was accepted, without acknowledgements.
//!
//! The invariant: *a link reports changes in the server's order.* The server broadcasts every accepted change to every
//! connection except its author's. So a client opens two connections: the *main* one, which sends, and the *ear*, which
//! listens. The ear receives everything, the client's own changes included, in the order and in the form in which the
//! room accepted them.
//!
//! ```text
//!   save ──► queue ──► sent ──main──► room ──ear──► the same changes: Confirmed, here in the order
//!              (while both are open)    │            other changes:    Changes
//!                                       └─ check ─►  what never came:  Confirmed, refused, or Missing; then Content
//! ```
//!
//! * A change that comes back whole confirms the earliest own change in flight, if the two are equal. Every other
//!   received change is reported as it is. That is always safe, because the change is in the room's order. If it is a
//!   part of an own change, the room may have refused the rest, or another client may have written the same. If it
//!   equals a later own change, the room may have refused the earlier one, which may then be sent again and accepted
//!   after the later one. So such a change only marks the own change as seen, until an earlier own change comes back
//!   that writes the same data. The mark confirms nothing.
//! * A change that does not come back before a later one does, or not within a time limit, is *checked*. A ping proves
//!   that the main connection has carried it to the server, a GET reads what the room holds, and a ping on the ear
//!   proves that the ear has delivered everything up to then. A change that was neither received by then nor is shown
//!   by the GET was refused. That is certain if the ear was open ever since the change was sent. Otherwise the change
//!   may have been accepted and overwritten ([`Notice::Missing`]).
//! * Changes are confirmed in the order in which they were sent, so a resend always covers all changes from one on. A
//!   change may be accepted too late, or may be another client's although it was taken for an own one, for instance a
//!   deletion. In both cases the resent changes follow it, so it does not have the last word.
//! * A main connection that was lost may have lost the changes in flight, so they are sent again: *at least once*. A
//!   change that had arrived then overwrites what other clients wrote in between. Nothing better is possible without
//!   acknowledgements.
//! * A change that is larger than the server accepts ends the main connection (1009), and the server does not report
//!   which change it was. If that happens twice, the link gives up the largest: if any change is too large, that one
//!   is.
//! * An ear that was lost may have missed something: the link reports [`Notice::Stale`], and checks the changes in
//!   flight.
//! * A room without a store ignores changes. While it has none, the changes in flight wait, and an occasional GET
//!   detects whether another client has created a store (which is not broadcast).
//!
//! After every input, take outputs by [`Link::poll`] until there are none.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use roommate::{Changes, Error, Notice, Payload, Receipt};

use super::{leaf, limits::Limits, wire::Wire};

mod check;
mod notices;
mod oversize;
mod saves;
#[cfg(test)]
mod tests;

pub use check::CheckId;
use check::Checking;
pub use notices::NoticeQueue;
pub use saves::Ticket;
use saves::{Part, PendingSave};

/// The logic of a client on a stock server. The module documentation lists what it promises.
///
/// Times are durations since one moment that the caller chooses.
#[derive(Debug)]
pub struct Link {
    wire: Wire,
    options: LinkOptions,
    listening: Listening,
    main_open: bool,
    ear_open: bool,
    /// The connection that is listened to was lost after listening began.
    missed: bool,
    /// The sent changes may not have arrived.
    resend: bool,
    /// The largest message that was in flight when the server closed for a message that was too large, if that was the
    /// last time.
    suspect: Option<Arc<str>>,
    store: StoreState,
    saves: BTreeMap<Receipt, PendingSave>,
    queue: VecDeque<Part>,
    sent: VecDeque<Part>,
    checking: Checking,
    next_receipt: u64,
    next_check: u64,
    outputs: VecDeque<LinkOutput>,
}

/// The timeouts and the capacity of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkOptions {
    /// How many saves may be pending at once. Defaults to 128.
    pub capacity: usize,
    /// The room's limits.
    pub limits: Limits,
    /// How long a change may take to come back before it is checked. Defaults to 5 s.
    pub patience: Duration,
    /// The same, once a later change has come back. Defaults to 1 s.
    pub overtaken_patience: Duration,
}

/// One of a client's two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The main connection, which sends.
    Main,
    /// The ear, the connection that listens.
    Ear,
}

/// The connection that notices come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listening {
    /// There is no watch: no notices are produced.
    #[default]
    Off,
    /// The main connection, which receives only other clients' changes. The position of the client's own changes in the
    /// order is not known. So clients that write the same data at the same moment may stay different, and a refusal
    /// stays undetected.
    Main,
    /// The ear, which receives everything.
    Ear,
}

/// An action for the caller to carry out, or a notice or error to pass on.
#[derive(Clone, Debug)]
pub enum LinkOutput {
    /// Send this frame on the main connection.
    Send(Arc<str>),
    /// Pass this notice to the watch.
    Notice(Notice),
    /// Report this error, which has no other effect.
    Report(Error),
    /// A save with [`Ticket::Handed`] was handed to the connection.
    Handed(Receipt),
    /// Ping this connection, and call [`Link::alive`] when the pong arrives.
    Ping(Side, CheckId),
    /// GET the room's content, and pass the result to [`Link::checked`].
    Get(CheckId),
}

/// What is known of the room's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreState {
    /// Nothing yet. `heard` is whether changes have been received.
    Unknown {
        heard: bool,
    },
    /// There was no store. `look_at` is when to check again.
    Absent {
        look_at: Duration,
    },
    Present,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            capacity: 128,
            limits: Limits::default(),
            patience: Duration::from_secs(5),
            overtaken_patience: Duration::from_secs(1),
        }
    }
}

impl Link {
    /// Creates a link with both connections closed, listening to neither.
    pub fn new(wire: Wire, options: LinkOptions) -> Self {
        Self {
            wire,
            options,
            listening: Listening::Off,
            main_open: false,
            ear_open: false,
            missed: false,
            resend: false,
            suspect: None,
            store: StoreState::Unknown { heard: false },
            saves: BTreeMap::new(),
            queue: VecDeque::new(),
            sent: VecDeque::new(),
            checking: Checking::No,
            next_receipt: 1,
            next_check: 1,
            outputs: VecDeque::new(),
        }
    }

    /// Sets the connection that notices come from, and drops every save that a notice was to confirm.
    pub fn listen(&mut self, listening: Listening, now: Duration) {
        self.abandon_check();
        self.listening = listening;
        self.ear_open = false;
        self.missed = false;
        for parts in [&mut self.queue, &mut self.sent] {
            parts.retain(|part| !part.awaited);
        }
        let queued: BTreeSet<Receipt> = self.queue.iter().map(|part| part.receipt).collect();
        self.saves.retain(|receipt, _| queued.contains(receipt));
        self.outputs.retain(|output| !matches!(output, LinkOutput::Notice(_)));
        self.settle(now);
    }

    /// Handles the opening of a connection.
    pub fn opened(&mut self, side: Side, now: Duration) {
        match side {
            Side::Main => self.main_open = true,
            Side::Ear => self.ear_open = true,
        }
        if self.source() == Some(side) {
            if mem::take(&mut self.missed) {
                self.tell(Notice::Stale);
                for index in 0..self.sent.len() {
                    let changes = self.sent[index].changes.clone();
                    self.forget_seen(index + 1, &changes);
                }
            }
            if let StoreState::Absent { look_at } = &mut self.store {
                *look_at = now;
            }
            for part in self.sent.iter_mut().filter(|part| part.awaited) {
                part.due = now.saturating_add(self.options.overtaken_patience);
            }
        }
        self.settle(now);
    }

    /// Handles the loss of a connection. See [`Link::closed_with`] for one that the server closed.
    pub fn closed(&mut self, side: Side, now: Duration) {
        let was_open = match side {
            Side::Main => mem::take(&mut self.main_open),
            Side::Ear => mem::take(&mut self.ear_open),
        };
        if !was_open {
            return;
        }
        self.abandon_check();
        if self.source() == Some(side) {
            self.missed = true;
            self.sent.iter_mut().for_each(|part| part.unheard = true);
        }
        if side == Side::Main {
            self.forget_handed(now);
            self.resend = true;
        }
    }

    /// Handles a frame of this wire that a connection received.
    pub fn heard(&mut self, side: Side, payload: Payload, now: Duration) {
        // A frame that arrives before the connection counts as open may be followed by a gap that would not be
        // detected.
        if self.source() != Some(side) || !self.hears() {
            return;
        }
        match payload {
            Payload::Changes(changes) => self.heard_changes(changes, now),
            Payload::Content(content) => {
                self.checking.heard_everything();
                self.store_found(true, now);
                self.tell(Notice::Content(content));
            }
            Payload::Reload => self.tell(Notice::Stale),
        }
    }

    /// Handles what a GET or PUT showed: whether the room has a store.
    pub fn store_found(&mut self, present: bool, now: Duration) {
        let before = self.store;
        self.store = match (present, before) {
            (true, _) => StoreState::Present,
            // The caller has just checked, so the link need not check for a while.
            (false, _) => StoreState::Absent { look_at: now.saturating_add(self.options.patience) },
        };
        match (present, before) {
            // What was sent to a room without a store was ignored.
            (true, StoreState::Absent { .. }) => {
                self.resend = true;
                self.settle(now);
            }
            // A store was created after all: changes were received, and only a room with a store broadcasts changes.
            (false, StoreState::Unknown { heard: true }) => self.tell(Notice::Stale),
            _ => {}
        }
    }

    /// Handles the passing of time: call it at [`Link::deadline`], or at any other time.
    pub fn tick(&mut self, now: Duration) {
        if self.main_open {
            self.forget_handed(now);
        }
        self.check_what_is_due(now);
    }

    /// Returns the next output; `None` when there are no more.
    #[must_use]
    pub fn poll(&mut self) -> Option<LinkOutput> {
        self.outputs.pop_front()
    }

    /// Returns when to call [`Link::tick`]. Every input may change it.
    pub fn deadline(&self) -> Option<Duration> {
        self.check_due_at()
    }

    /// Whether changes are sent at once rather than queued until a connection opens.
    pub fn is_ready(&self) -> bool {
        self.main_open && (self.listening != Listening::Ear || self.ear_open)
    }

    /// Whether the room has a store, as far as is known.
    pub fn store_is_present(&self) -> Option<bool> {
        match self.store {
            StoreState::Unknown { .. } => None,
            StoreState::Absent { .. } => Some(false),
            StoreState::Present => Some(true),
        }
    }

    fn heard_changes(&mut self, mut changes: Changes, now: Duration) {
        changes.prune();
        if changes.is_empty() {
            return;
        }
        let mut made_unheard = false;
        match &mut self.store {
            StoreState::Unknown { heard } => *heard = true,
            StoreState::Absent { .. } => made_unheard = true,
            StoreState::Present => {}
        }
        self.checking.heard(&changes);
        let first = self.sent.iter().position(|part| part.awaited);
        // Of two equal changes the second comes back second.
        let unseen = |part: &Part| part.awaited && !leaf::is_part(&changes, &part.seen);
        let own = self.sent.iter().position(|part| unseen(part) && part.changes == changes);
        let again = || first.filter(|first| self.sent[*first].changes == changes);
        match own.or_else(again) {
            Some(own) if Some(own) == first => {
                self.taken_for(own, &changes);
                self.part_heard(own);
            }
            own => {
                let is_part = |part: &Part| unseen(part) && leaf::is_part(&changes, &part.changes);
                if let Some(seen) = own.or_else(|| self.sent.iter().position(is_part)) {
                    self.taken_for(seen, &changes);
                    self.part_seen(seen, &changes, now);
                }
                self.tell(Notice::Changes(changes));
            }
        }
        if made_unheard {
            // Another client's PUT created the store, which is not broadcast.
            self.store_found(true, now);
            self.tell(Notice::Stale);
        }
    }

    /// Handles that the received changes were attributed to the part at `index`, wholly or partly. If that part may
    /// have come back before without being received, the changes may have been a later part instead, which then will
    /// not come back again.
    fn taken_for(&mut self, index: usize, changes: &Changes) {
        if self.sent.get(index).is_some_and(|part| part.unheard) {
            for later in self.sent.range_mut(index + 1..).filter(|later| leaf::is_part(changes, &later.changes)) {
                later.unheard = true;
            }
        }
    }

    fn tell(&mut self, notice: Notice) {
        if self.listening != Listening::Off {
            self.outputs.push_back(LinkOutput::Notice(notice));
        }
    }

    /// The connection that is listened to.
    fn source(&self) -> Option<Side> {
        match self.listening {
            Listening::Off => None,
            Listening::Main => Some(Side::Main),
            Listening::Ear => Some(Side::Ear),
        }
    }
}
