//! Auto-load and auto-save: keeps a store in step with a place.

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

/// Keeps a [`Store`] in step with a place, through a [`Persister`]. TinyBase calls this the persister itself.
///
/// Cheap to clone; clones share. It works in a task of its own from the moment it is built, and is ended by
/// [`Engine::destroy`], or when its last clone is dropped (then without saving what is left).
///
/// # What it promises
///
/// * The store is the place's confirmed content, with this client's unconfirmed edits replayed on top in the order in
///   which they were made.
/// * From the first call on, every edit of the store is kept until the place confirms it, refuses it
///   ([`Engine::add_refused_listener`]), or [`Engine::discard_unconfirmed`] gives it up: through loads, failed loads,
///   lost connections and a stop of auto-save. [`Engine::destroy`] returns what it could not save.
/// * What was in the store *before* the first call is not an edit: it is offered to an empty place, and a place that
///   others share and that holds something is never overwritten by it.
/// * What fails for a passing cause is tried again, sooner or later, for as long as the engine lives; each failure is
///   told to `on_ignored_error`. A lasting cause is told to whoever awaits the call, else to `on_ignored_error`.
///
/// # Calls
///
/// A call takes effect when it is called, one after another; the returned [`Pending`] is only for waiting. To give up
/// waiting, drop it; the call goes on. Inside of a transaction or a listener of the store, call and do not wait: the
/// engine needs the store to go on.
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

/// What a place refused of this client's edits. The store shows what the place has instead.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// The refused part of an edit.
    pub changes: Changes,
    /// Whether it was refused for sure. Always, where a place answers each save: with a room on a stock server it need not
    /// be, once a connection was lost.
    pub certainty: Certainty,
}

/// A call under way. Await it for the outcome, or drop it; the call goes on either way.
///
/// An error that nobody awaits is told to `on_ignored_error`.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<()>>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    /// Resolves when the engine's task is gone.
    gone: future::Shared<oneshot::Receiver<()>>,
    flush_deadline: Duration,
}

impl Engine {
    /// An engine with default settings, on the runtime that the persister needs, or else on threads of its own
    /// ([`Threads`](crate::Threads)).
    pub fn new(store: &Store, persister: impl Persister) -> Self {
        Self::builder(store, persister).build()
    }

    /// An engine with settings.
    pub fn builder(store: &Store, persister: impl Persister) -> EngineBuilder {
        EngineBuilder::new(store.clone(), Arc::new(persister))
    }

    /// Loads the place's content into the store, once. Unconfirmed edits stay on top of it.
    ///
    /// A place that holds nothing leaves the store as it is.
    pub fn load(&self) -> Pending {
        self.call(Call::Load { initial: None })
    }

    /// Loads, and where the place holds nothing, sets `initial` instead. Not where loading fails.
    pub fn load_or(&self, initial: Content) -> Pending {
        self.call(Call::Load { initial: Some(initial) })
    }

    /// Saves, once. Resolves when the persister has taken it; [`Engine::flush`] when the place has confirmed it.
    ///
    /// The first save to a shared place offers the whole store, and adopts what the place holds if it holds something.
    pub fn save(&self) -> Pending {
        self.call(Call::Save)
    }

    /// Saves what waits, and resolves when every edit made before the call is confirmed or refused.
    ///
    /// Fails when saving fails for good. While the place is away it waits: put a time-out around it.
    pub fn flush(&self) -> Pending {
        self.call(Call::Flush)
    }

    /// Loads now, and keeps the store in step with the place from then on.
    ///
    /// `initial`: what to set where the place holds nothing. Does not resolve while the place cannot be reached; edits
    /// made meanwhile are replayed on what is loaded.
    pub fn start_auto_load(&self, initial: Option<Content>) -> Pending {
        self.call(Call::StartAutoLoad { initial })
    }

    /// Stops following the place, at once.
    pub fn stop_auto_load(&self) -> Pending {
        self.call(Call::StopAutoLoad)
    }

    /// Saves now, and each edit from then on. Edits made while auto-save was off are among the first.
    pub fn start_auto_save(&self) -> Pending {
        self.call(Call::StartAutoSave)
    }

    /// Stops saving, at once. Edits are kept, and saved when auto-save starts again.
    pub fn stop_auto_save(&self) -> Pending {
        self.call(Call::StopAutoSave)
    }

    /// Starts auto-load and then auto-save. If the second cannot start, the first is stopped again.
    ///
    /// It waits for the place: while that cannot be reached it does not resolve, and edits made meanwhile are kept for it.
    /// To go on after a while, put a time-out around it; the call goes on too.
    pub fn start_auto_persisting(&self, initial: Option<Content>) -> Pending {
        self.call(Call::StartAutoPersisting { initial, save_first: false })
    }

    /// Starts auto-save and then auto-load: TinyBase's `startAutoPersisting(initial, true)`.
    pub fn start_auto_persisting_save_first(&self, initial: Option<Content>) -> Pending {
        self.call(Call::StartAutoPersisting { initial, save_first: true })
    }

    /// Stops auto-load and auto-save, at once.
    pub fn stop_auto_persisting(&self) -> Pending {
        self.call(Call::StopAutoPersisting)
    }

    /// Runs an action in the engine's queue: after the calls before it, while no load or save runs.
    pub fn schedule(&self, action: impl Future<Output = Result<()>> + Send + 'static) -> Pending {
        self.request(Call::Schedule, Some(Box::pin(action)))
    }

    /// Gives up the unconfirmed edits and shows what the place has confirmed. Returns them, oldest first.
    ///
    /// What is on its way already may still be accepted, and then comes back as anybody's changes do. With an outbox that
    /// has not told yet what it keeps, what that is comes back as well.
    ///
    /// Fails, and gives up nothing, inside of a transaction ([`ErrorKind::Callback`]).
    pub fn discard_unconfirmed(&self) -> Result<Vec<Changes>> {
        self.0.shared.discard()
    }

    /// Ends the engine, and returns the edits that are still unconfirmed, oldest first.
    ///
    /// With auto-save on it first saves what is left, for at most the deadline ([`EngineBuilder::with_flush_deadline`]). The
    /// persister and the outbox then have as long again to close, whatever they do. A transaction that is open on the thread
    /// on which the engine runs has to end first.
    /// The store lives on. Further calls fail with [`ErrorKind::Closed`].
    pub async fn destroy(&self) -> Vec<Changes> {
        // Destroying cannot fail; an engine whose task died with its runtime is destroyed already.
        let _ = self.call(Call::Destroy { flush: true, deadline: self.0.flush_deadline }).await;
        // The outbox, if there is one, has taken what is left.
        let _ = self.0.gone.clone().await;
        self.unconfirmed()
    }

    /// The edits that the place has not confirmed, oldest first.
    pub fn unconfirmed(&self) -> Vec<Changes> {
        self.0.shared.replica().unconfirmed().cloned().collect()
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.shared.store
    }

    /// What the engine is doing.
    pub fn status(&self) -> Status {
        self.0.shared.public().status
    }

    /// How often it loaded and saved.
    pub fn stats(&self) -> Stats {
        self.0.shared.public().stats
    }

    /// Whether the store follows the place.
    pub fn is_auto_loading(&self) -> bool {
        self.0.shared.public().auto_loading
    }

    /// Whether edits are saved as they are made.
    pub fn is_auto_saving(&self) -> bool {
        self.0.shared.public().auto_saving
    }

    /// Calls `listener` with each change of the status, until the subscription is dropped.
    pub fn add_status_listener(&self, listener: impl Fn(&Status) + Send + Sync + 'static) -> Subscription {
        self.0.shared.statuses.add(listener)
    }

    /// The changes of the status from now on.
    pub fn statuses(&self) -> Events<Status> {
        self.0.shared.statuses.stream()
    }

    /// Calls `listener` with each refusal, until the subscription is dropped.
    pub fn add_refused_listener(&self, listener: impl Fn(&Refused) + Send + Sync + 'static) -> Subscription {
        self.0.shared.refusals.add(listener)
    }

    /// The refusals from now on.
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
