//! A program that keeps a store in step with a room, with short waits and its errors kept.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use roommate::{Cell, Changes, Content, Engine, Error, Store};
use roommate_partykit::{
    Heartbeat, PartyKitConfig, PartyKitPersister, PartySocket, PartySocketOptions, StoreProtocol, TokioRuntime,
};

use crate::until::{PATIENCE, until, within};

/// A store, a socket and an engine.
#[derive(Debug)]
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
        .with_heartbeat(Some(Heartbeat::new(Duration::from_millis(200), Duration::from_millis(400))))
}

/// A configuration for servers of this machine.
pub(crate) fn config() -> PartyKitConfig {
    PartyKitConfig::new()
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
        Self::of(Store::new(), options, config)
    }

    /// The same, of a store that there is already.
    pub(crate) fn of(store: Store, options: PartySocketOptions, config: PartyKitConfig) -> Self {
        let socket = PartySocket::new(options).expect("the options are in order");
        let persister = PartyKitPersister::new(&socket, config).expect("the configuration is in order");
        let errors = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&errors);
        let engine = Engine::builder(&store, persister)
            .with_runtime(TokioRuntime::current().expect("tests run on tokio"))
            .with_on_ignored_error(move |error| heard.lock().unwrap_or_else(PoisonError::into_inner).push(error))
            .with_retry_delays(Duration::from_millis(5), Duration::from_millis(50))
            .with_empty_poll_interval(Duration::from_millis(50))
            .build();
        Self { store, socket, engine, errors }
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
        until(&format!("a client has {json}; it is {self:?}"), || self.store.content() == wanted).await;
    }

    /// The errors that nobody awaited.
    pub(crate) fn errors(&self) -> Vec<Error> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is not confirmed, as one.
    pub(crate) fn unconfirmed(&self) -> Vec<Changes> {
        self.engine.unconfirmed()
    }

    /// Ends the client; returns what it could not save.
    pub(crate) async fn end(self) -> Vec<Changes> {
        let left = within("the engine's end", self.engine.destroy()).await;
        self.socket.close(1000, "").expect("a proper goodbye");
        left
    }
}
