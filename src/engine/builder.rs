//! Builds an engine from its parts and settings.

use std::{collections::hash_map::RandomState, fmt, hash::BuildHasher, sync::Arc, time::Duration};

use futures_channel::oneshot;
use futures_util::FutureExt;

use crate::{
    error::Error,
    persister::{Persister, Report},
    runtime::{Runtime, Threads},
    store::Store,
};

use super::{
    Engine, Handle,
    core::{Backoff, Core, Settings},
    driver::Driver,
    outbox::Outbox,
    shared::{OnIgnoredError, Shared},
};

/// Sets the parts and the behavior of an [`Engine`], and builds it.
#[must_use = "an engine exists once it is built"]
pub struct EngineBuilder {
    store: Store,
    persister: Arc<dyn Persister>,
    outbox: Option<Arc<dyn Persister>>,
    runtime: Option<Arc<dyn Runtime>>,
    client_id: Option<String>,
    on_ignored_error: Option<OnIgnoredError>,
    save_interval: Duration,
    retry_delays: (Duration, Duration),
    empty_poll_interval: Duration,
    flush_deadline: Duration,
    seed: Option<u64>,
}

/// The least time that an outbox has to store what is left when an engine ends.
const LEAST_OUTBOX_DEADLINE: Duration = Duration::from_secs(1);

impl EngineBuilder {
    pub(super) fn new(store: Store, persister: Arc<dyn Persister>) -> Self {
        Self {
            store,
            persister,
            outbox: None,
            runtime: None,
            client_id: None,
            on_ignored_error: None,
            save_interval: Duration::ZERO,
            retry_delays: (Duration::from_millis(100), Duration::from_secs(30)),
            empty_poll_interval: Duration::from_secs(5),
            flush_deadline: Duration::from_secs(5),
            seed: None,
        }
    }

    /// Sets the runtime on which tasks run and sleep. Defaults to the runtime that the persister needs
    /// ([`Persister::runtime`]), then to the one that the outbox needs, then to [`Threads`].
    pub fn with_runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Some(Arc::new(runtime));
        self
    }

    /// Stores unconfirmed edits in an outbox, a backend of their own, so that they outlive the process. The next engine
    /// with the same outbox shows them and sends them.
    ///
    /// Edits are then captured from [`EngineBuilder::build`] on, and an edit is sent only after the outbox has stored
    /// it. Use a persister whose saves are durable, and whose backend no other client shares. A backend that applies
    /// each edit exactly once ([`EditKey`](crate::EditKey)) does so across the restart too. Any other backend applies
    /// an edit that was in flight at least once.
    ///
    /// An outbox needs a backend of its own: not the store's, and not another engine's. Each edit replaces what the
    /// outbox holds. So an outbox that holds anything other than an engine's edits is refused as unreadable, and left
    /// as it is. An outbox with the same [`Persister::place`] as the store's persister is refused in the same way.
    ///
    /// An outbox that cannot be read ends the engine. `on_ignored_error` receives the reason, and calls fail with
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) and the reason as their source. [`Engine::unconfirmed`] still
    /// lists new edits. If an outbox cannot be written, the engine tries again and the edits wait. If the cause is
    /// permanent, [`Engine::flush`] fails with it.
    pub fn with_outbox(mut self, outbox: impl Persister) -> Self {
        self.outbox = Some(Arc::new(outbox));
        self
    }

    /// Sets the id by which backends that apply each edit exactly once know this client ([`EditKey`](crate::EditKey)).
    /// No other client may have it. Defaults to the id that the outbox stores, or else to 128 random bits.
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Sets the callback for each error that no pending call returns, including errors that will be retried. TinyBase's
    /// `onIgnoredError`.
    pub fn with_on_ignored_error(mut self, on_ignored_error: impl Fn(Error) + Send + Sync + 'static) -> Self {
        self.on_ignored_error = Some(Box::new(on_ignored_error));
        self
    }

    /// Sets the least time from one automatic save to the next. Edits made meanwhile are gathered into one. Defaults to
    /// zero.
    pub fn with_save_interval(mut self, interval: Duration) -> Self {
        self.save_interval = interval;
        self
    }

    /// Sets the delays before what failed is tried again. They start at `min` and double each time up to `max`. Each is
    /// shortened at random by up to a half. Defaults to 100 ms and 30 s.
    pub fn with_retry_delays(mut self, min: Duration, max: Duration) -> Self {
        self.retry_delays = (min, max.max(min));
        self
    }

    /// Sets the interval at which a shared backend that holds nothing is loaded again, because no notice may report its
    /// first content. Defaults to 5 s.
    pub fn with_empty_poll_interval(mut self, interval: Duration) -> Self {
        self.empty_poll_interval = interval;
        self
    }

    /// Sets how long [`Engine::destroy`] goes on saving. Defaults to 5 s.
    pub fn with_flush_deadline(mut self, deadline: Duration) -> Self {
        self.flush_deadline = deadline;
        self
    }

    /// Sets the seed of the random part of the retry delays, so that a simulation can be repeated. Defaults to a random
    /// seed.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds the engine, and starts its task.
    pub fn build(self) -> Engine {
        // The standard library's own source of randomness: 128 bits, new for each engine.
        let random = RandomState::new();
        let settings = Settings {
            capability: self.persister.capability(),
            save_interval: self.save_interval,
            min_retry_delay: self.retry_delays.0,
            max_retry_delay: self.retry_delays.1,
            empty_poll_interval: self.empty_poll_interval,
            seed: self.seed.unwrap_or_else(|| random.hash_one("jitter")),
        };
        let runtime = self.runtime.or_else(|| self.persister.runtime()).or_else(|| self.outbox.as_ref()?.runtime());
        let runtime = runtime.unwrap_or_else(|| Arc::new(Threads));
        let shared = Arc::new(Shared::new(self.store, self.persister, self.on_ignored_error));
        let told = Arc::downgrade(&shared);
        let report: Report = Arc::new(move |error| {
            if let Some(shared) = told.upgrade() {
                shared.report(error);
            }
        });
        for persister in [Some(&shared.persister), self.outbox.as_ref()].into_iter().flatten() {
            persister.report_to(report.clone());
        }
        let client_id = self.client_id.map_or_else(
            || format!("{:016x}{:016x}", random.hash_one("client"), random.hash_one("and its other half")),
            |client_id| {
                shared.name_client(client_id.clone());
                client_id
            },
        );
        let outbox = match self.outbox {
            Some(persister) => {
                let (min, max) = self.retry_delays;
                let backoff = Backoff::new(min, max, random.hash_one("outbox"));
                shared.capture_now();
                let own_place = shared.persister.place();
                Some(Outbox::new(persister, runtime.clone(), backoff, client_id, own_place))
            }
            None => {
                shared.name_client(client_id);
                None
            }
        };
        let (alive, gone) = oneshot::channel();
        let outbox_deadline = self.flush_deadline.max(LEAST_OUTBOX_DEADLINE);
        let driver = Driver::new(shared.clone(), runtime.clone(), Core::new(settings), outbox, outbox_deadline, alive);
        runtime.spawn(Box::pin(driver.run()));
        Engine(Arc::new(Handle { shared, gone: gone.shared(), flush_deadline: self.flush_deadline }))
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder").field("persister", &self.persister).finish_non_exhaustive()
    }
}
