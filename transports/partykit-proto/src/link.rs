//! A client on a stock server: the order of what was accepted, without acknowledgements.
//!
//! The law: *what a link tells is the server's order.* The server sends every accepted change to every connection but
//! its author's, so a client that has two, the *main* one to send on and the *ear* to listen with, hears everything on
//! the ear, its own changes included, in the order and in the form in which they were accepted.
//!
//! ```text
//!   save ──► queue ──► sent ──main──► room ──ear──► the same changes: Confirmed, here in the order
//!              (while both are open)    │            other changes:    Changes
//!                                       └─ check ─►  what never came:  Confirmed, refused, or Missing; then Content
//! ```
//!
//! * A change that comes back whole confirms the earliest one under way, if it is that. Anything else that is heard is told
//!   as it is, which is always safe: it is in the order. If it is a part of one's own change, the rest of that was perhaps
//!   refused, or somebody else wrote the same. If it is all of a later one, the earlier one was perhaps refused, and may be
//!   sent again and accepted after it. So it counts as seen, until an earlier own one comes back that does something to the
//!   same, and decides nothing.
//! * A change that does not come back while a later one does, or not for some time, is *checked*: a ping tells that the
//!   main connection has carried it to the server, a GET what the room holds, and a ping on the ear that it has told
//!   everything until then. What neither was heard nor is shown then was refused: for sure, if the ear was open all the
//!   while since it was sent; else it may have been accepted and overwritten ([`Notice::Missing`]).
//! * A change is confirmed after those before it, so that those that are sent again are always all from one on: what was
//!   accepted too late, or passed for one's own and was somebody else's, a deletion for instance, is not the last word.
//! * A main connection that was lost may have lost what was on its way, so that is sent again: *at least once*, and a
//!   change that had arrived overwrites what others wrote meanwhile. Nothing better exists without acknowledgements.
//! * A change that is larger than the server takes costs the main connection (1009), and nothing tells which one it was. If
//!   that happens twice, the largest is given up: it is too large if any is.
//! * An ear that was lost may have missed something: [`Notice::Stale`], and what is under way is checked.
//! * A room without a store ignores changes. While it has none, what is under way waits, and a GET now and then finds
//!   out that somebody made one (which is not broadcast).
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

/// The logic of a client on a stock server. See the module for what it promises.
///
/// Times are durations since one moment of the caller's choice.
#[derive(Debug)]
pub struct Link {
    wire: Wire,
    options: LinkOptions,
    listening: Listening,
    main_open: bool,
    ear_open: bool,
    /// The connection that is listened to was lost since it was listened to.
    missed: bool,
    /// What was sent may not have arrived.
    resend: bool,
    /// The largest message that was on its way when a message was too large for the server, if that was the last time.
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

/// How patient a link is and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkOptions {
    /// Saves that may be under way at once. 128.
    pub capacity: usize,
    /// What the room can take.
    pub limits: Limits,
    /// How long a change may take to come back before it is checked. 5 s.
    pub patience: Duration,
    /// The same, once a later one has come back. 1 s.
    pub overtaken_patience: Duration,
}

/// One of a client's two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that sends.
    Main,
    /// The one that listens.
    Ear,
}

/// Where notices come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listening {
    /// Nobody wants any.
    #[default]
    Off,
    /// The main connection, which tells of others' changes only. Where one's own stand in the order is not known, so
    /// clients that write one thing at the same moment may stay apart; and a refusal stays unseen.
    Main,
    /// The ear, which tells everything.
    Ear,
}

/// What a link wants done, or tells.
#[derive(Clone, Debug)]
pub enum LinkOutput {
    /// Send this frame on the main connection.
    Send(Arc<str>),
    /// Tell this to whoever listens.
    Notice(Notice),
    /// Report this; nothing else changes by it.
    Report(Error),
    /// A save with [`Ticket::Handed`] was handed over.
    Handed(Receipt),
    /// Ping this connection, and answer by [`Link::alive`] when the pong comes.
    Ping(Side, CheckId),
    /// GET the room's content, and answer by [`Link::checked`].
    Get(CheckId),
}

/// What is known of the room's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreState {
    /// Nothing yet. Whether changes were heard meanwhile.
    Unknown {
        heard: bool,
    },
    /// There was none. When to look again.
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
    /// A link with both connections closed, listening to neither.
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

    /// Sets where notices come from, from now on, and forgets every save that a notice was to confirm.
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

    /// A connection is open.
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

    /// A connection is closed. See [`Link::closed_with`] for one that the server closed.
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

    /// A connection brought a frame of this wire.
    pub fn heard(&mut self, side: Side, payload: Payload, now: Duration) {
        // What comes before the connection counts as open may be followed by a gap that nobody would tell of.
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

    /// A GET or PUT told whether the room has a store.
    pub fn store_found(&mut self, present: bool, now: Duration) {
        let before = self.store;
        self.store = match (present, before) {
            (true, _) => StoreState::Present,
            // Whoever asked spares us asking for a while.
            (false, _) => StoreState::Absent { look_at: now.saturating_add(self.options.patience) },
        };
        match (present, before) {
            // What was sent to a room without a store was ignored.
            (true, StoreState::Absent { .. }) => {
                self.resend = true;
                self.settle(now);
            }
            // It got one after all, since changes were heard that only a room with a store tells.
            (false, StoreState::Unknown { heard: true }) => self.tell(Notice::Stale),
            _ => {}
        }
    }

    /// Time passes: call it at [`Link::deadline`], or whenever else.
    pub fn tick(&mut self, now: Duration) {
        if self.main_open {
            self.forget_handed(now);
        }
        self.check_what_is_due(now);
    }

    /// What to do next, until `None`.
    #[must_use]
    pub fn poll(&mut self) -> Option<LinkOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`Link::tick`]; may change by any input.
    pub fn deadline(&self) -> Option<Duration> {
        self.check_due_at()
    }

    /// Whether changes are sent at once rather than kept until a connection opens.
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
        // Of two alike the second is heard second.
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
            // Somebody's PUT made the store, and told nobody.
            self.store_found(true, now);
            self.tell(Notice::Stale);
        }
    }

    /// What was heard is taken for that part, or for some of it. If that may have come back unheard, it was perhaps a later
    /// one, which then will not be heard any more.
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
