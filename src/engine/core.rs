//! The queue of calls, and every decision of an engine.
//!
//! [`Core`] is pure: it has no clock, task, socket or lock. The law: after every [`Core::handle`], call [`Core::next`]
//! until it returns `None`, and carry out each [`Effect`] before the next call. When what an effect starts (a load, a
//! save, a watch) ends, its result comes back as an [`Input`]. At most one load, save or action is in flight.

use std::{collections::VecDeque, mem, time::Duration};

use super::replica::{EditId, Show};
use crate::{
    content::{Changes, Content},
    error::{Error, Result},
    persister::{Capability, Certainty, MOST_UNCONFIRMED, Notice, Receipt, Saved},
};

mod answers;
mod backoff;
mod calls;
mod decide;

pub(super) use backoff::Backoff;
use calls::Queued;
pub(crate) use calls::{Call, CallId};

/// What an engine is doing. TinyBase's `Status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// The engine is idle.
    #[default]
    Idle,
    /// The engine reads the backend, or applies what the backend reports.
    Loading,
    /// The engine writes to the backend.
    Saving,
}

/// How often an engine began to load and to save. A notice that the engine applied counts as a load. TinyBase's
/// `getStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Loads begun, and notices applied.
    pub loads: u64,
    /// Saves begun.
    pub saves: u64,
}

/// The settings of an engine. They do not change during its life.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) capability: Capability,
    pub(crate) save_interval: Duration,
    pub(crate) min_retry_delay: Duration,
    pub(crate) max_retry_delay: Duration,
    pub(crate) empty_poll_interval: Duration,
    /// The seed of the jitter of the delays.
    pub(crate) seed: u64,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    Called(CallId, Call),
    Watching(Result<()>),
    Noticed(Result<Notice>),
    WatchEnded,
    Loaded(Result<Option<Content>>),
    Saved(Result<Saved>),
    Acted(Result<()>),
    Closed(Result<()>),
    /// The outbox cannot store edits, for a permanent cause.
    Unkept(Error),
    Woke(Timer),
}

/// What the driver has to do.
#[derive(Debug)]
pub(crate) enum Effect {
    Watch,
    Unwatch,
    Load,
    /// Take the next pending edit and save it, or all of the store if `whole`.
    Save {
        whole: bool,
    },
    /// Drop the load, save or action in flight.
    Abandon,
    Act(CallId),
    Close,
    Apply(Apply),
    Wake(Timer, Duration),
    Answer(CallId, Result<()>),
    Report(Error),
    Status(Status),
    /// The engine has ended.
    End,
}

/// What to apply to the replica and the store.
#[derive(Debug)]
pub(crate) enum Apply {
    Content(Content),
    Changes(Changes, Show),
    Confirmed(Receipt, Changes, Certainty, Show),
    SaveDone(Show),
    SaveSent(Receipt),
    SaveFailed,
    /// The stream ended: saves that it had not confirmed are sent again.
    ReceiptsLost,
}

/// Timers. Setting one again replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Timer {
    Retry,
    Hold,
    Poll,
    Deadline,
}

/// What the core has to know of the replica at this moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    /// The edit to save next.
    pub(crate) next: Option<EditId>,
    /// The next edit was given to a save before.
    pub(crate) is_retry: bool,
    /// The next edit may be saved now: the outbox, if there is one, has stored it.
    pub(crate) is_ready: bool,
    /// Another edit waits after the next one.
    pub(crate) has_backlog: bool,
    pub(crate) sent: usize,
    pub(crate) oldest: Option<EditId>,
    pub(crate) newest: EditId,
    pub(crate) outdated: u64,
}

impl Summary {
    /// Whether a save may begin. The stream, in which the confirmations of those before it wait, is not read while it runs.
    fn may_save(&self) -> bool {
        self.is_ready && self.sent < MOST_UNCONFIRMED
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    Watch,
    Load,
    Save,
    Act,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// If `flush`, the engine saves what is left, until the deadline.
    Ending {
        flush: bool,
    },
    Ended,
}

/// The state of one engine.
#[derive(Debug)]
pub(crate) struct Core {
    settings: Settings,
    effects: VecDeque<Effect>,
    calls: VecDeque<Queued>,
    flushes: Vec<(CallId, EditId)>,
    destroys: Vec<CallId>,
    deadline: Duration,
    busy: Option<Busy>,
    /// The operation in flight is a step of the first call. If false, the engine began it by itself.
    busy_for_call: bool,
    life: Life,
    auto_load: bool,
    auto_save: bool,
    watching: bool,
    /// Whether the backend holds content, as far as is known.
    known: Option<bool>,
    /// A load is due.
    stale: bool,
    /// The value of [`Summary::outdated`] that was handled last.
    outdated: u64,
    /// A save lost its confirmation. It is saved again, with or without auto-save.
    owed: bool,
    /// Saves are held back until the interval has passed.
    held: bool,
    polling: bool,
    backoff: Backoff,
    /// A permanent failure was reported. The engine begins nothing by itself until the application makes a call or the
    /// backend sends a notice.
    halted: bool,
    found: u32,
    status: Status,
    stats: Stats,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Self {
        let backoff = Backoff::new(settings.min_retry_delay, settings.max_retry_delay, settings.seed);
        Self {
            settings,
            effects: VecDeque::new(),
            calls: VecDeque::new(),
            flushes: Vec::new(),
            destroys: Vec::new(),
            deadline: Duration::ZERO,
            busy: None,
            busy_for_call: false,
            life: Life::Running,
            auto_load: false,
            auto_save: false,
            watching: false,
            known: None,
            stale: false,
            outdated: 0,
            owed: false,
            held: false,
            polling: false,
            backoff,
            halted: false,
            found: 0,
            status: Status::Idle,
            stats: Stats::default(),
        }
    }

    /// Handles an input.
    pub(crate) fn handle(&mut self, input: Input, summary: &Summary) {
        match input {
            Input::Called(id, call) => self.called(id, call, summary),
            Input::Watching(result) => self.watching(result),
            Input::Noticed(Ok(notice)) => self.noticed(notice),
            Input::Noticed(Err(error)) => self.report(error),
            Input::WatchEnded => {
                self.watching = false;
                self.stale = true;
                self.owed |= summary.sent > 0;
                self.apply(Apply::ReceiptsLost);
                if self.life != Life::Ended {
                    self.back_off();
                }
            }
            Input::Loaded(result) => self.loaded(result),
            Input::Saved(result) => self.saved(result),
            Input::Acted(result) => {
                self.end_busy();
                match result {
                    // The calls of a destroyed engine have their answers already.
                    _ if !self.busy_for_call => {}
                    Ok(()) => self.step_done(),
                    Err(error) => self.call_failed(error),
                }
            }
            Input::Closed(result) => {
                self.busy = None;
                if let Err(error) = result {
                    self.report(error);
                }
                self.end();
            }
            Input::Unkept(error) => self.unkept(error),
            Input::Woke(timer) => self.woke(timer),
        }
    }

    /// Returns what to do next, or `None` to wait for an input.
    #[must_use]
    pub(crate) fn next(&mut self, summary: &Summary) -> Option<Effect> {
        if self.effects.is_empty() && self.busy.is_none() {
            self.stale |= mem::replace(&mut self.outdated, summary.outdated) != summary.outdated;
            match self.life {
                Life::Running => self.decide(summary),
                Life::Ending { flush } => self.decide_end(flush, summary),
                Life::Ended => {}
            }
        }
        if self.effects.is_empty() {
            self.answer_flushes(summary);
        }
        self.effects.pop_front()
    }

    /// Whether the next notice may be taken from the stream. Not while a load or a save runs, whose answer may be older
    /// than the notice: the notice is replayed over it afterwards.
    pub(crate) fn listens(&self) -> bool {
        self.watching && !matches!(self.busy, Some(Busy::Load | Busy::Save))
    }

    /// Whether what is edited now is gathered, since nothing is saved before the interval has passed.
    pub(crate) fn gathers(&self) -> bool {
        self.held && self.auto_save && self.calls.is_empty() && self.flushes.is_empty() && self.life == Life::Running
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats
    }

    pub(crate) fn is_auto_loading(&self) -> bool {
        self.auto_load
    }

    pub(crate) fn is_auto_saving(&self) -> bool {
        self.auto_save
    }
}

#[cfg(test)]
mod tests;
