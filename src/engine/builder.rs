//! What an engine is made of, and how it behaves.

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

/// An engine to be: what it is made of, and how it behaves.
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

/// How long an outbox has at least to take what is left when an engine ends.
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

    /// Where tasks run and sleep. Default: where the persister needs it ([`Persister::runtime`]), else [`Threads`].
    pub fn with_runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Some(Arc::new(runtime));
        self
    }

    /// Keeps unconfirmed edits in a place of their own, so that they outlive the process: the next engine with the same
    /// outbox shows them, and sends them.
    ///
    /// Edits are then captured from [`EngineBuilder::build`] on, and each is sent only when the outbox has it. Use a
    /// persister whose saves are durable and that nobody shares. A place that takes each edit once
    /// ([`EditKey`](crate::EditKey)) takes each once across the restart too; another takes at least once what was on its way.
    ///
    /// It needs a place of its own: not the store's, and not another engine's. What an outbox holds is replaced with each
    /// edit, so one that holds anything else than an engine's edits is refused as unreadable, and left as it is; and so is
    /// one that names the same [`Persister::place`] as the store's persister.
    ///
    /// An outbox that cannot be read ends the engine: `on_ignored_error` is told why, and calls fail with
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) and that as their source. [`Engine::unconfirmed`] goes on listing
    /// what is edited. One that cannot be written is tried again, and edits wait; if the cause is a lasting one,
    /// [`Engine::flush`] fails with it.
    pub fn with_outbox(mut self, outbox: impl Persister) -> Self {
        self.outbox = Some(Arc::new(outbox));
        self
    }

    /// Names this client to places that take each edit once ([`EditKey`](crate::EditKey)): an id that no other client has.
    /// Default: the one that the outbox knows, else 128 random bits.
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Hears of each error that no awaited call is answered with. TinyBase's `onIgnoredError`.
    pub fn with_on_ignored_error(mut self, on_ignored_error: impl Fn(Error) + Send + Sync + 'static) -> Self {
        self.on_ignored_error = Some(Box::new(on_ignored_error));
        self
    }

    /// The least time from one automatic save to the next; edits made meanwhile are gathered into one. Default: none.
    pub fn with_save_interval(mut self, interval: Duration) -> Self {
        self.save_interval = interval;
        self
    }

    /// How long to wait before trying again what failed: from `min`, doubled each time, to `max`, each shortened at random
    /// by up to a half. Default: 100 ms to 30 s.
    pub fn with_retry_delays(mut self, min: Duration, max: Duration) -> Self {
        self.retry_delays = (min, max.max(min));
        self
    }

    /// How often a shared place that holds nothing is asked again, since nobody may tell that it was made. Default: 5 s.
    pub fn with_empty_poll_interval(mut self, interval: Duration) -> Self {
        self.empty_poll_interval = interval;
        self
    }

    /// How long [`Engine::destroy`] goes on saving. Default: 5 s.
    pub fn with_flush_deadline(mut self, deadline: Duration) -> Self {
        self.flush_deadline = deadline;
        self
    }

    /// Where the random part of the retry delays begins, so that a simulation can be repeated. Default: anywhere.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds the engine, whose task begins at once.
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
