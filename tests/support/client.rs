//! A program that keeps a store in step with a room, with short waits and its errors kept.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use roommate::{Cell, Changes, Content, Engine, EngineBuilder, Error, Store};
use roommate_partykit::{
    Heartbeat, PartyKitConfig, PartyKitPersister, PartySocket, PartySocketOptions, StoreProtocol, TokioRuntime,
};
use tokio::time::sleep;

use crate::until::{PATIENCE, within};

/// A store, a socket and an engine.
pub(crate) struct Client {
    pub(crate) store: Store,
    pub(crate) socket: PartySocket,
    pub(crate) engine: Engine,
    errors: Arc<Mutex<Vec<Error>>>,
}

/// Options for `room` at `host`, a proxy or a server.
pub(crate) fn options(host: &str, room: &str) -> PartySocketOptions {
    PartySocketOptions::new(host, room)
        .with_min_reconnection_delay(Duration::from_millis(10))
        .with_max_reconnection_delay(Duration::from_millis(100))
        .with_connection_timeout(Duration::from_secs(2))
}

/// The same, for a socket that soon finds out when nobody is at the other end.
pub(crate) fn attentive_options(host: &str, room: &str) -> PartySocketOptions {
    options(host, room).with_heartbeat(Some(Heartbeat::new(Duration::from_millis(100), Duration::from_millis(400))))
}

/// A configuration for servers of this machine.
pub(crate) fn config() -> PartyKitConfig {
    PartyKitConfig::new()
        .with_extended_dialect(false)
        .with_store_protocol(StoreProtocol::Http)
        .with_patience(Duration::from_millis(500))
        .with_request_timeout(Duration::from_secs(2))
}

/// A content from what a GET of a store shows.
pub(crate) fn content(json: &str) -> Content {
    Content::from_json(json).unwrap_or_else(|error| panic!("{error} in {json}")).value
}

impl Client {
    /// A client of `room` at `host`, a proxy or a server, that has not begun to load or save.
    pub(crate) fn new(host: &str, room: &str) -> Self {
        Self::with(options(host, room), config())
    }

    /// The same with other options.
    pub(crate) fn with(options: PartySocketOptions, config: PartyKitConfig) -> Self {
        Self::of(options, config, |engine| engine)
    }

    /// The same, with other settings of the engine.
    pub(crate) fn of(
        options: PartySocketOptions,
        config: PartyKitConfig,
        set: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        let store = Store::new();
        let socket = PartySocket::new(options).expect("the options are in order");
        let persister = PartyKitPersister::new(&socket, config).expect("the configuration is in order");
        let errors = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&errors);
        let builder = Engine::builder(&store, persister)
            .with_runtime(TokioRuntime::current().expect("tests run on tokio"))
            .with_on_ignored_error(move |error| heard.lock().unwrap_or_else(PoisonError::into_inner).push(error))
            .with_retry_delays(Duration::from_millis(5), Duration::from_millis(50))
            .with_empty_poll_interval(Duration::from_millis(50));
        Self { store, socket, engine: set(builder).build(), errors }
    }

    /// A client that has joined.
    pub(crate) async fn joined(host: &str, room: &str) -> Self {
        let client = Self::new(host, room);
        client.join().await;
        client
    }

    /// Begins to load and to save.
    pub(crate) async fn join(&self) {
        self.done("joining", self.engine.start_auto_persisting(None)).await;
    }

    /// Waits until all edits are confirmed.
    pub(crate) async fn flushed(&self) {
        self.done("flush", self.engine.flush()).await;
    }

    /// Waits for a call that must succeed.
    pub(crate) async fn done(&self, what: &str, call: impl Future<Output = roommate::Result<()>>) {
        match tokio::time::timeout(PATIENCE, call).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("{what}: {error:?}; {self:?}"),
            Err(_) => panic!("{what} does not end: {self:?}"),
        }
    }

    /// Sets a value.
    pub(crate) fn set(&self, value_id: &str, value: impl TryInto<Cell, Error: Into<Error>>) {
        self.store.set_value(value_id, value).expect("it can be held");
    }

    /// Waits until the store holds exactly this.
    pub(crate) async fn until(&self, json: &str) {
        let wanted = content(json);
        let deadline = Instant::now() + PATIENCE;
        while self.store.content() != wanted {
            assert!(Instant::now() < deadline, "a client has no {json}: {self:?}");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// The errors that nobody awaited.
    pub(crate) fn errors(&self) -> Vec<Error> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the client; returns what it could not save.
    pub(crate) async fn end(self) -> Vec<Changes> {
        let left = within("the engine's end", self.engine.destroy()).await;
        self.socket.close(1000, "").expect("a proper goodbye");
        left
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("content", &self.store.content().to_json())
            .field("unconfirmed", &self.engine.unconfirmed())
            .field("engine", &self.engine)
            .field("ready_state", &self.socket.ready_state())
            .field("errors", &self.errors())
            .finish()
    }
}
