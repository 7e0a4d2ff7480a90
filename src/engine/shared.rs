//! What an engine's handles, its driver and the store's commit hook share.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_channel::oneshot;
use futures_util::task::AtomicWaker;

use super::{
    Refused, Stats, Status,
    core::{Apply, Call, Summary},
    driver::Action,
    listeners::Listeners,
    replica::{EditId, Replica, View},
};
use crate::{
    content::{Cell, Changes, Content, Id, Row},
    error::{Error, ErrorKind, Result},
    persister::Persister,
    store::{Commit, CommitHook, Origin, Store},
    sync::{Mutex, MutexGuard},
};

/// How many calls may wait until the driver takes them.
const MAX_REQUESTS: usize = 4096;

/// The lock order: the store's write turn, then the replica, then the store's state; the inbox, then the store's list of
/// hooks. Nothing else is locked together.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) persister: Arc<dyn Persister>,
    client_id: OnceLock<String>,
    pub(super) statuses: Listeners<Status>,
    pub(super) refusals: Listeners<Refused>,
    pub(super) on_ignored_error: Option<OnIgnoredError>,
    origin: Origin,
    replica: Mutex<Replica>,
    inbox: Mutex<Inbox>,
    waker: AtomicWaker,
    public: Mutex<Public>,
}

pub(super) type OnIgnoredError = Box<dyn Fn(Error) + Send + Sync>;

#[derive(Default)]
struct Inbox {
    requests: VecDeque<Request>,
    /// Set from the first call on. Until then the store's content is what the application begins with, not an edit.
    hook: Option<CommitHook>,
    edited: bool,
    /// How the engine ended, if it has.
    ended: Option<End>,
}

/// How an engine ends.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// A call destroyed it.
    Destroyed,
    /// It cannot go on, for this reason. Edits are still captured: no call has given them up.
    Failed(Error),
}

impl End {
    /// Returns the error of every later call.
    pub(super) fn answer(&self) -> Error {
        match self {
            Self::Destroyed => Error::new(ErrorKind::Closed, "the engine is destroyed"),
            Self::Failed(error) => error.clone(),
        }
    }
}

/// What handles read without waiting for the driver.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Public {
    pub(super) status: Status,
    pub(super) stats: Stats,
    pub(super) auto_loading: bool,
    pub(super) auto_saving: bool,
}

/// An input for the driver.
pub(super) enum Incoming {
    Request(Request),
    Edited,
}

/// A call that waits for the driver.
pub(super) struct Request {
    pub(super) call: Call,
    /// What [`Call::Schedule`] is to run.
    pub(super) action: Option<Action>,
    pub(super) answer: oneshot::Sender<Result<()>>,
}

impl Shared {
    pub(super) fn new(store: Store, persister: Arc<dyn Persister>, on_ignored_error: Option<OnIgnoredError>) -> Self {
        Self {
            store,
            persister,
            client_id: OnceLock::new(),
            statuses: Listeners::default(),
            refusals: Listeners::default(),
            on_ignored_error,
            origin: Origin::next(),
            replica: Mutex::default(),
            inbox: Mutex::default(),
            waker: AtomicWaker::new(),
            public: Mutex::default(),
        }
    }

    /// Returns the id of this client. It is empty until the outbox, if there is one, has been read.
    pub(super) fn client_id(&self) -> &str {
        self.client_id.get().map_or("", String::as_str)
    }

    /// Sets the id of this client, unless it has one.
    pub(super) fn name_client(&self, client_id: String) {
        self.client_id.get_or_init(|| client_id);
    }

    /// Restores what an earlier engine of this client left in its outbox.
    pub(super) fn restore(&self, client_id: String, made: EditId, edits: Vec<(EditId, Changes)>) {
        self.name_client(client_id);
        self.transact(|replica, store| {
            replica.keep(made);
            replica.restore(made, edits, store)
        });
    }

    /// Captures edits from now on rather than from the first call on.
    pub(super) fn capture_now(self: &Arc<Self>) {
        let mut inbox = lock(&self.inbox);
        if inbox.hook.is_none() {
            inbox.hook = Some(self.capture());
        }
    }

    /// Captures every edit from here on, in the critical section that commits it (R3).
    fn capture(self: &Arc<Self>) -> CommitHook {
        let shared = Arc::downgrade(self);
        self.store.on_commit(Arc::new(move |commit: &Commit<'_>| {
            if let Some(shared) = shared.upgrade() {
                shared.committed(commit);
            }
        }))
    }

    /// Applies something to the replica and the store, in one critical section (R3). Call it when they can take it
    /// ([`Shared::poll_takes`]). Puts into `refused` what was refused.
    pub(super) fn apply(&self, apply: Apply, refused: &mut Changes) {
        match apply {
            Apply::SaveSent(receipt) => self.replica().save_sent(receipt),
            Apply::SaveFailed => self.replica().save_failed(),
            Apply::ReceiptsLost => self.replica().receipts_lost(),
            Apply::Content(mut content) => {
                // A backend may name tables and rows that hold nothing; a store has none of these.
                content.prune();
                self.transact(|replica, store| replica.replaced(&content, store));
            }
            Apply::Changes(changes, show) => self.transact(|replica, store| replica.changed(&changes, store, show)),
            Apply::SaveDone(show) => self.transact(|replica, store| replica.save_done(store, show)),
            Apply::Confirmed(receipt, named, _, show) => self.transact(|replica, store| {
                let step = replica.confirmed(receipt, &named, store, show);
                *refused = step.refused;
                step.apply
            }),
        }
    }

    /// Returns the content for a save of the whole content.
    pub(super) fn content_to_save(&self) -> Content {
        self.store.with_committed(|content| self.replica().content_to_save(content))
    }

    /// Gives up every unconfirmed edit.
    pub(super) fn discard(&self) -> Result<Vec<Changes>> {
        let mut discarded = None;
        self.transact(|replica, store| {
            let (edits, apply) = replica.discard(store);
            discarded = Some(edits);
            apply
        });
        self.wake();
        discarded.ok_or_else(|| {
            let message = "edits cannot be given up inside of a transaction: do it when that is over";
            Error::new(ErrorKind::Callback, message)
        })
    }

    /// Ready when the replica and the store can take something on this thread, until this runs other code.
    pub(super) fn poll_takes(&self, context: &mut Context<'_>) -> Poll<()> {
        self.store.poll_no_transaction_here(context)
    }

    pub(super) fn replica(&self) -> MutexGuard<'_, Replica> {
        lock(&self.replica)
    }

    pub(super) fn summary(&self) -> Summary {
        let replica = self.replica();
        Summary {
            next: replica.next(),
            is_retry: replica.is_retrying(),
            is_ready: replica.is_ready(),
            has_backlog: replica.has_backlog(),
            sent: replica.sent(),
            oldest: replica.oldest(),
            newest: replica.newest(),
            outdated: replica.outdated(),
        }
    }

    /// Hands a call to the driver. If the driver has ended, or too many calls wait, the call fails at once.
    pub(super) fn request(self: &Arc<Self>, request: Request) {
        let mut inbox = lock(&self.inbox);
        let error = if let Some(end) = &inbox.ended {
            Some(end.answer())
        } else if inbox.requests.len() >= MAX_REQUESTS && !matches!(request.call, Call::Destroy { .. }) {
            let message = format!("{MAX_REQUESTS} calls are waiting for the engine already: await some first");
            Some(Error::new(ErrorKind::Invalid, message))
        } else {
            None
        };
        if let Some(error) = error {
            drop(inbox);
            // The caller may have dropped its [`Pending`](super::Pending).
            let _ = request.answer.send(Err(error));
            return;
        }
        // Captures edits now, and not when the driver takes the call: a change made in between is an edit.
        if inbox.hook.is_none() {
            inbox.hook = Some(self.capture());
        }
        inbox.requests.push_back(request);
        drop(inbox);
        self.waker.wake();
    }

    pub(super) fn poll_incoming(&self, context: &mut Context<'_>) -> Poll<Incoming> {
        self.waker.register(context.waker());
        let mut inbox = lock(&self.inbox);
        if let Some(request) = inbox.requests.pop_front() {
            return Poll::Ready(Incoming::Request(request));
        }
        if std::mem::take(&mut inbox.edited) { Poll::Ready(Incoming::Edited) } else { Poll::Pending }
    }

    /// Returns the deadline of a waiting call that destroys the engine, if there is one.
    pub(super) fn poll_destroyed(&self, context: &mut Context<'_>) -> Option<Duration> {
        self.waker.register(context.waker());
        lock(&self.inbox).requests.iter().find_map(|request| match request.call {
            Call::Destroy { deadline, .. } => Some(deadline),
            _ => None,
        })
    }

    /// Accepts no more calls. Returns those that the driver has not taken.
    pub(super) fn end(&self, end: End) -> VecDeque<Request> {
        let mut inbox = lock(&self.inbox);
        if matches!(end, End::Destroyed) {
            inbox.hook = None;
        }
        inbox.ended = Some(end);
        std::mem::take(&mut inbox.requests)
    }

    pub(super) fn public(&self) -> Public {
        *lock(&self.public)
    }

    pub(super) fn publish(&self, public: Public) {
        *lock(&self.public) = public;
    }

    pub(super) fn report(&self, error: Error) {
        if let Some(on_ignored_error) = &self.on_ignored_error {
            // A panic of the callback for errors cannot be reported: there is no other callback.
            let _ = catch_unwind(AssertUnwindSafe(|| on_ignored_error(error)));
        }
    }

    fn committed(&self, commit: &Commit<'_>) {
        let (changes, before) = match (commit.origin == Some(self.origin), commit.derived) {
            (false, _) => (commit.changes, commit.before),
            (true, Some(derived)) => derived,
            (true, None) => return,
        };
        self.replica().capture(changes, before);
        self.wake();
    }

    /// Lets the driver see what has become of the edits.
    fn wake(&self) {
        lock(&self.inbox).edited = true;
        self.waker.wake();
    }

    /// Does nothing inside of a transaction that this thread has open.
    fn transact(&self, step: impl FnOnce(&mut Replica, &Store) -> Changes) {
        let transacted = self.store.transact_as(self.origin, |store| {
            let apply = step(&mut self.replica(), store);
            store.apply_confirmed(&apply)
        });
        let Some((applied, panicked)) = transacted else { return };
        if let Err(error) = applied {
            self.report(error);
        }
        if panicked {
            self.report(Error::new(ErrorKind::Callback, "a listener of the store panicked"));
        }
    }
}

impl View for Store {
    fn row(&self, table_id: &str, row_id: &str) -> Option<Row> {
        let row = Self::row(self, table_id, row_id);
        (!row.is_empty()).then_some(row)
    }

    fn row_ids(&self, table_id: &str) -> Vec<Id> {
        Self::row_ids(self, table_id)
    }

    fn value(&self, value_id: &str) -> Option<Cell> {
        Self::value(self, value_id)
    }

    fn content(&self) -> Content {
        Self::content(self)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("persister", &self.persister)
            .field("state", &self.public())
            .field("unconfirmed", &self.replica().unconfirmed().len())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
