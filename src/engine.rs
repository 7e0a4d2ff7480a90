//! Auto-load and auto-save: keeps a store in sync with a backend.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_channel::oneshot;
use futures_util::future;

use crate::{
    content::{Changes, Content},
    error::{Error, ErrorKind, Result},
    persister::{Certainty, Persister},
    store::Store,
    subscription::Subscription,
};

mod builder;
mod core;
mod driver;
mod listeners;
mod outbox;
mod replica;
mod shared;

pub use self::{
    builder::EngineBuilder,
    core::{Stats, Status},
    listeners::Events,
};
use self::{
    core::Call,
    driver::Action,
    shared::{Request, Shared},
};

/// Keeps a [`Store`] in sync with a backend, through a [`Persister`]. TinyBase calls this the persister itself.
///
/// Cheap to clone; clones share one engine. An engine works in a task of its own from the moment it is built. It ends
/// with [`Engine::destroy`], or when its last clone is dropped. In the second case it does not save what is left.
///
/// # What it promises
///
/// * The store shows the backend's confirmed content, with this client's unconfirmed edits replayed on top in the order
///   in which they were made.
/// * From the first call on, every edit of the store stays listed until the backend confirms it, the backend refuses it
///   ([`Engine::add_refused_listener`]), or [`Engine::discard_unconfirmed`] gives it up. Edits survive loads, failed
///   loads, lost connections and a stop of auto-save. [`Engine::destroy`] returns the edits that it could not save.
/// * Content that was in the store *before* the first call is not an edit. The engine offers it to an empty backend. It
///   never overwrites a shared backend that holds content.
/// * The engine retries an operation that failed for a temporary cause, for as long as the engine lives. It passes each
///   such failure to `on_ignored_error`. An error with a permanent cause is returned by the pending call, or passed to
///   `on_ignored_error` if no call is pending.
///
/// # Calls
///
/// A call takes effect when it is made, one call after another. The returned [`Pending`] is only for waiting. Drop it
/// to stop waiting; the call goes on. Inside a transaction or a listener of the store, make calls but do not wait for
/// them: the engine needs the store to go on.
///
/// ```
/// use roommate::{Engine, Memory, Store, block_on};
///
/// let place = Memory::new();
/// let (here, there) = (Store::new(), Store::new());
/// let a = Engine::new(&here, place.client());
/// let b = Engine::new(&there, place.client());
/// block_on(async {
///     a.start_auto_persisting(None).await?;
///     b.start_auto_persisting(None).await?;
///     here.set_cell("pets", "fido", "species", "dog")?;
///     a.flush().await?;
///     b.load().await?;
///     assert_eq!(there.content(), here.content());
///     a.destroy().await;
///     b.destroy().await;
///     Ok::<(), roommate::Error>(())
/// })?;
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Engine(Arc<Handle>);

/// An edit, or the part of an edit, that a backend refused. The store shows what the backend has instead.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// The refused part of an edit.
    pub changes: Changes,
    /// Whether the refusal is certain. It always is if the backend answers each save. With a room on a stock PartyKit
    /// server it may be presumed, after a connection was lost.
    pub certainty: Certainty,
}

/// A call in flight. Await it for the outcome, or drop it; the call goes on either way.
///
/// If it is dropped, an error of the call is passed to `on_ignored_error`.
///
/// # Errors
///
/// Every call may return:
///
/// * [`ErrorKind::Closed`] if the engine is destroyed, also if that happens before the call is done; if its runtime
///   shut down; or if its outbox could not be read.
/// * [`ErrorKind::Invalid`] if 4096 calls already wait for the engine.
///
/// A call that loads or saves also returns the persister's error if its cause is permanent, and [`ErrorKind::Callback`]
/// if the persister panics. An error of kind [`ErrorKind::Unavailable`] does not end such a call: the engine passes it
/// to `on_ignored_error` and tries again.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<()>>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    /// Resolves when the engine's task has ended.
    gone: future::Shared<oneshot::Receiver<()>>,
    flush_deadline: Duration,
}

impl Engine {
    /// Creates an engine with default settings. It runs on the runtime that the persister needs, or else on threads of
    /// its own ([`Threads`](crate::Threads)).
    pub fn new(store: &Store, persister: impl Persister) -> Self {
        Self::builder(store, persister).build()
    }

    /// Creates a builder, for an engine with other settings.
    pub fn builder(store: &Store, persister: impl Persister) -> EngineBuilder {
        EngineBuilder::new(store.clone(), Arc::new(persister))
    }

    /// Loads the backend's content into the store, once. Unconfirmed edits stay on top of it.
    ///
    /// If the backend holds nothing, the store stays as it is.
    ///
    /// # Errors
    ///
    /// Returns the persister's permanent error, such as [`ErrorKind::Refused`] or [`ErrorKind::Corrupt`], and the
    /// errors that every [`Pending`] may return.
    pub fn load(&self) -> Pending {
        self.call(Call::Load { initial: None })
    }

    /// Loads, or sets `initial` if the backend holds nothing. A load that fails does not set `initial`.
    ///
    /// # Errors
    ///
    /// Returns the persister's permanent error, such as [`ErrorKind::Refused`] or [`ErrorKind::Corrupt`], and the
    /// errors that every [`Pending`] may return.
    pub fn load_or(&self, initial: Content) -> Pending {
        self.call(Call::Load { initial: Some(initial) })
    }

    /// Saves, once. Resolves when the persister has accepted the save. To wait until the backend has confirmed it, use
    /// [`Engine::flush`].
    ///
    /// The first save to a shared backend offers the whole store. If the backend holds content, the engine adopts that
    /// instead.
    ///
    /// # Errors
    ///
    /// Returns the persister's permanent error, such as [`ErrorKind::Refused`] or [`ErrorKind::Corrupt`], the permanent
    /// error of an outbox that cannot store the edits, and the errors that every [`Pending`] may return.
    pub fn save(&self) -> Pending {
        self.call(Call::Save)
    }

    /// Saves pending edits. Resolves when every edit made before the call is confirmed or refused.
    ///
    /// While the backend cannot be reached, the call waits: put a time-out around it.
    ///
    /// # Errors
    ///
    /// Returns the persister's permanent error, such as [`ErrorKind::Refused`] or [`ErrorKind::Corrupt`], the permanent
    /// error of an outbox that cannot store the edits, and the errors that every [`Pending`] may return.
    pub fn flush(&self) -> Pending {
        self.call(Call::Flush)
    }

    /// Loads now, and from then on keeps the store in sync with the backend.
    ///
    /// `initial` is set if the backend holds nothing. The call does not resolve while the backend cannot be reached.
    /// Edits made meanwhile are replayed on the loaded content.
    ///
    /// # Errors
    ///
    /// Returns the persister's permanent error, such as [`ErrorKind::Refused`] or [`ErrorKind::Corrupt`];
    /// [`ErrorKind::Closed`] if auto-load was stopped before this call was done; and the errors that every [`Pending`]
    /// may return.
    pub fn start_auto_load(&self, initial: Option<Content>) -> Pending {
        self.call(Call::StartAutoLoad { initial })
    }

    /// Stops following the backend, at once.
    ///
    /// # Errors
    ///
    /// Returns the errors that every [`Pending`] may return.
    pub fn stop_auto_load(&self) -> Pending {
        self.call(Call::StopAutoLoad)
    }

    /// Saves now, and from then on saves each edit. Edits made while auto-save was off are among the first.
    ///
    /// # Errors
    ///
    /// Returns the persister's permanent error, such as [`ErrorKind::Refused`] or [`ErrorKind::Corrupt`]; the permanent
    /// error of an outbox that cannot store the edits; [`ErrorKind::Closed`] if auto-save was stopped before this call
    /// was done; and the errors that every [`Pending`] may return.
    pub fn start_auto_save(&self) -> Pending {
        self.call(Call::StartAutoSave)
    }

    /// Stops saving, at once. Edits stay pending, and are saved when auto-save starts again.
    ///
    /// # Errors
    ///
    /// Returns the errors that every [`Pending`] may return.
    pub fn stop_auto_save(&self) -> Pending {
        self.call(Call::StopAutoSave)
    }

    /// Starts auto-load and then auto-save. If auto-save cannot start, auto-load is stopped again.
    ///
    /// The call does not resolve while the backend cannot be reached. Edits made meanwhile stay pending. To go on after
    /// a while, put a time-out around the call: the call itself continues.
    ///
    /// # Errors
    ///
    /// Returns the persister's permanent error, such as [`ErrorKind::Refused`] or [`ErrorKind::Corrupt`]; the permanent
    /// error of an outbox that cannot store the edits; [`ErrorKind::Closed`] if auto-persisting was stopped before this
    /// call was done; and the errors that every [`Pending`] may return.
    pub fn start_auto_persisting(&self, initial: Option<Content>) -> Pending {
        self.call(Call::StartAutoPersisting { initial, save_first: false })
    }

    /// Starts auto-save and then auto-load, as TinyBase's `startAutoPersisting(initial, true)` does.
    ///
    /// # Errors
    ///
    /// Returns the persister's permanent error, such as [`ErrorKind::Refused`] or [`ErrorKind::Corrupt`]; the permanent
    /// error of an outbox that cannot store the edits; [`ErrorKind::Closed`] if auto-persisting was stopped before this
    /// call was done; and the errors that every [`Pending`] may return.
    pub fn start_auto_persisting_save_first(&self, initial: Option<Content>) -> Pending {
        self.call(Call::StartAutoPersisting { initial, save_first: true })
    }

    /// Stops auto-load and auto-save, at once.
    ///
    /// # Errors
    ///
    /// Returns the errors that every [`Pending`] may return.
    pub fn stop_auto_persisting(&self) -> Pending {
        self.call(Call::StopAutoPersisting)
    }

    /// Runs an action in the engine's queue: after the calls made before it, and while no load or save runs.
    ///
    /// # Errors
    ///
    /// Returns the action's own error, of any kind, without trying again; [`ErrorKind::Callback`] if the action panics;
    /// and the errors that every [`Pending`] may return.
    pub fn schedule(&self, action: impl Future<Output = Result<()>> + Send + 'static) -> Pending {
        self.request(Call::Schedule, Some(Box::pin(action)))
    }

    /// Gives up the unconfirmed edits, and shows the content that the backend has confirmed. Returns the edits, oldest
    /// first.
    ///
    /// The backend may still accept an edit that is in flight. That edit then comes back like another client's change.
    /// If the outbox has not been read yet, the edits that it stores come back too.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and gives up no edit, if the calling thread has a transaction of the store open
    /// or is committing one.
    pub fn discard_unconfirmed(&self) -> Result<Vec<Changes>> {
        self.0.shared.discard()
    }

    /// Ends the engine, and returns the edits that are still unconfirmed, oldest first.
    ///
    /// If auto-save is on, the engine first saves what is left, for at most the deadline
    /// ([`EngineBuilder::with_flush_deadline`]). The persister and the outbox then have the same time again to close.
    /// If a transaction is open on the thread on which the engine runs, that transaction has to end first. The store
    /// lives on. Further calls fail with [`ErrorKind::Closed`].
    pub async fn destroy(&self) -> Vec<Changes> {
        // Destroying cannot fail. An engine whose task ended with its runtime is destroyed already.
        let _ = self.call(Call::Destroy { flush: true, deadline: self.0.flush_deadline }).await;
        // After this the outbox, if there is one, has stored what is left.
        let _ = self.0.gone.clone().await;
        self.unconfirmed()
    }

    /// Returns the edits that the backend has not confirmed, oldest first.
    pub fn unconfirmed(&self) -> Vec<Changes> {
        self.0.shared.replica().unconfirmed().cloned().collect()
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.0.shared.store
    }

    /// Returns what the engine is doing.
    pub fn status(&self) -> Status {
        self.0.shared.public().status
    }

    /// Returns how often the engine loaded and saved.
    pub fn stats(&self) -> Stats {
        self.0.shared.public().stats
    }

    /// Returns whether the store follows the backend.
    pub fn is_auto_loading(&self) -> bool {
        self.0.shared.public().auto_loading
    }

    /// Returns whether edits are saved as they are made.
    pub fn is_auto_saving(&self) -> bool {
        self.0.shared.public().auto_saving
    }

    /// Calls `listener` with each change of the status, until the subscription is dropped.
    pub fn add_status_listener(&self, listener: impl Fn(&Status) + Send + Sync + 'static) -> Subscription {
        self.0.shared.statuses.add(listener)
    }

    /// Returns a stream of the changes of the status from now on.
    pub fn statuses(&self) -> Events<Status> {
        self.0.shared.statuses.stream()
    }

    /// Calls `listener` with each refusal, until the subscription is dropped.
    pub fn add_refused_listener(&self, listener: impl Fn(&Refused) + Send + Sync + 'static) -> Subscription {
        self.0.shared.refusals.add(listener)
    }

    /// Returns a stream of the refusals from now on.
    pub fn refusals(&self) -> Events<Refused> {
        self.0.shared.refusals.stream()
    }

    fn call(&self, call: Call) -> Pending {
        self.request(call, None)
    }

    fn request(&self, call: Call, action: Option<Action>) -> Pending {
        let (answer, pending) = oneshot::channel();
        self.0.shared.request(Request { call, action, answer });
        Pending(pending)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let (answer, _) = oneshot::channel();
        let call = Call::Destroy { flush: false, deadline: self.flush_deadline };
        self.shared.request(Request { call, action: None, answer });
    }
}

impl Future for Pending {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll(context).map(|answer| {
            answer.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Closed, "the engine's runtime ended before the call did"))
            })
        })
    }
}
