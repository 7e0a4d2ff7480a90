//! The open rooms, and access to each of them.

use std::{
    collections::HashMap,
    fmt,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::Router;
use roommate::{Error, ErrorKind, Result};
use roommate_partykit_proto::{ConnectionId, DurableRoom, Response, RoomName, Storage};
use tokio::{
    runtime::Handle,
    sync::{Notify, broadcast, mpsc},
    task::spawn_blocking,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error};

use crate::{
    answer::header_map,
    config::ServerConfig,
    events::RoomEvent,
    host::{Command, Host, now, refuse_all},
    router,
    writer::Writer,
};

/// The rooms of a server. Clones are the same rooms.
///
/// A room is opened from the storage when it is first used, and has a task of its own. It is closed again after it was
/// not in use for a while. Rooms that are only stored take no memory.
#[derive(Clone)]
pub struct Rooms(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    rooms: Mutex<HashMap<RoomName, Entry>>,
    connections: AtomicU64,
    /// Distinguishes this server's epochs from those of any other server, and of earlier runs of this server.
    nonce: u128,
    names: AtomicU64,
    tasks: TaskTracker,
    /// The runtime in which this was created. All rooms run there.
    runtime: Option<Handle>,
    stop: CancellationToken,
}

/// What all rooms share.
#[derive(Debug)]
struct Shared {
    config: Arc<ServerConfig>,
    storage: Arc<dyn Storage>,
    writer: Writer,
    events: broadcast::Sender<RoomEvent>,
    /// Notified when the maximum number of rooms is open: rooms that are not in use then close at once.
    pressure: Notify,
}

#[derive(Debug)]
struct Entry {
    inbox: mpsc::Sender<Command>,
    /// Counts the leases: each lease has a clone, and there is one clone here and one in the room's [`Place`].
    leases: Arc<()>,
    released: Arc<Notify>,
}

/// The right to send commands to a room. The room stays open while a lease exists.
#[derive(Debug)]
pub(crate) struct Lease {
    inbox: mpsc::Sender<Command>,
    claim: Claim,
}

/// Keeps a room open, except in a shutdown.
#[derive(Debug)]
pub(crate) struct Claim {
    /// `None` only while the claim is being dropped.
    lease: Option<Arc<()>>,
    released: Arc<Notify>,
}

/// A connection's membership in its room. The room is notified when this is dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    connection: ConnectionId,
    lease: Option<Lease>,
}

/// An open room's own handle to the list of open rooms.
#[derive(Debug)]
pub(crate) struct Place {
    rooms: Weak<Inner>,
    shared: Arc<Shared>,
    name: RoomName,
    leases: Arc<()>,
    released: Arc<Notify>,
}

/// Why a room is not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    TooMany,
    Stopping,
}

/// How many inputs may wait in a room's inbox. When the inbox is full, the senders wait: meanwhile a connection is not
/// read.
const INBOX: usize = 64;

/// How many events a subscriber may leave unread before it misses some.
const EVENTS: usize = 1024;

/// How many references to an entry's count exist without a lease.
const UNLEASED: usize = 2;

impl Rooms {
    /// Creates rooms without a server. They run in the tokio runtime in which this is called.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the response headers of the configuration are not valid, [`ErrorKind::Unavailable`] if
    /// the operating system provides no randomness or no thread.
    pub fn new(config: ServerConfig) -> Result<Self> {
        header_map(config.room.response_headers())?;
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "the operating system has no randomness to give", error)
        })?;
        let storage = Arc::clone(&config.storage);
        let writer = Writer::start(Arc::clone(&storage)).map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "the operating system has no thread to give", error)
        })?;
        let (events, _) = broadcast::channel(EVENTS);
        let shared = Shared { config: Arc::new(config), storage, writer, events, pressure: Notify::new() };
        Ok(Self(Arc::new(Inner {
            shared: Arc::new(shared),
            rooms: Mutex::default(),
            connections: AtomicU64::new(0),
            nonce: u128::from_ne_bytes(nonce),
            names: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            runtime: Handle::try_current().ok(),
            stop: CancellationToken::new(),
        })))
    }

    /// Returns the routes to the rooms, `/parties/<party>/<room>` and `/party/<room>`, for an axum server. They nest
    /// below any path.
    ///
    /// The policy finds what middleware attached to a request in [`Context::extensions`].
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use roommate_server::{Rooms, ServerConfig};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let rooms = Rooms::new(ServerConfig::new())?;
    /// let app: Router = Router::new().route("/", get("hello")).nest("/sync", rooms.router());
    /// // A room is at /sync/party/<room> now. Serve the app until it is to end, and then:
    /// rooms.shutdown().await;
    /// # drop(app);
    /// # Ok::<(), roommate_server::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// Serve it with connection information if the policy reads [`Context::peer`]. Call [`Rooms::shutdown`] at the end:
    /// axum does not wait for WebSocket connections.
    ///
    /// [`Context::extensions`]: roommate_partykit_proto::Context::extensions
    /// [`Context::peer`]: roommate_partykit_proto::Context::peer
    pub fn router(&self) -> Router {
        router::router(self.clone())
    }

    /// Returns the number of rooms that are open at the moment.
    pub fn len(&self) -> usize {
        self.map().len()
    }

    /// Whether no room is open at the moment.
    pub fn is_empty(&self) -> bool {
        self.map().is_empty()
    }

    /// Ends all connections with code 1012 and closes all rooms. Returns when all have ended and everything that they
    /// accepted is stored. Later requests are refused.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        // Without their entries, the rooms end when their last leases end.
        self.map().clear();
        // A connection takes the close timeout at most; the rest is a safety margin.
        if timeout(self.config().close_timeout.saturating_mul(2), self.0.tasks.wait()).await.is_err() {
            debug!(tasks = self.0.tasks.len(), "not everything has ended in time");
        }
    }

    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.0.shared.config
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.0.shared.storage
    }

    /// The runtime in which the rooms run, if they were created in one.
    pub(crate) fn runtime(&self) -> Option<&Handle> {
        self.0.runtime.as_ref()
    }

    /// A name that nothing else has.
    pub(crate) fn unique_name(&self) -> String {
        self.0.unique_name()
    }

    /// Distinguishes these rooms from others of this process.
    pub(crate) fn address(&self) -> impl fmt::Debug + use<> {
        Arc::as_ptr(&self.0)
    }

    pub(crate) fn event_sender(&self) -> &broadcast::Sender<RoomEvent> {
        &self.0.shared.events
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Resolves when the rooms are shut down.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// A lease of a room, which is opened if it is closed.
    pub(crate) fn lease(&self, name: RoomName) -> Result<Lease, NoRoom> {
        let mut rooms = self.map();
        // Done while the lock is held, so that a shutdown knows of every room that is opened.
        if self.0.stop.is_cancelled() {
            return Err(NoRoom::Stopping);
        }
        if let Some(entry) = rooms.get(&name).filter(|entry| !entry.inbox.is_closed()) {
            return Ok(entry.lease());
        }
        let shared = &self.0.shared;
        if rooms.len() >= shared.config.max_rooms {
            shared.pressure.notify_waiters();
            return Err(NoRoom::TooMany);
        }
        let (inbox, commands) = mpsc::channel(INBOX);
        let entry = Entry { inbox, leases: Arc::default(), released: Arc::default() };
        let lease = entry.lease();
        let place = Place {
            rooms: Arc::downgrade(&self.0),
            shared: Arc::clone(shared),
            name: name.clone(),
            leases: Arc::clone(&entry.leases),
            released: Arc::clone(&entry.released),
        };
        rooms.insert(name, entry);
        let room = open(place, self.0.unique_name(), commands);
        match &self.0.runtime {
            Some(runtime) => self.0.tasks.spawn_on(room, runtime),
            None => self.0.tasks.spawn(room),
        };
        Ok(lease)
    }

    /// A place that belongs to no entry.
    #[cfg(test)]
    pub(crate) fn place_apart(&self, name: RoomName) -> Place {
        let (leases, released) = (Arc::default(), Arc::default());
        Place { rooms: Arc::downgrade(&self.0), shared: Arc::clone(&self.0.shared), name, leases, released }
    }

    /// A lease of a room that is open; `None` if it is closed.
    pub(crate) fn lease_open(&self, name: &RoomName) -> Option<Lease> {
        self.map().get(name).filter(|entry| !entry.inbox.is_closed()).map(Entry::lease)
    }

    /// A membership in the room of `lease`, under a new connection id.
    pub(crate) fn membership(&self, lease: Lease) -> Membership {
        let connection = ConnectionId(self.0.connections.fetch_add(1, Ordering::Relaxed));
        Membership { connection, lease: Some(lease) }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<RoomName, Entry>> {
        self.0.map()
    }
}

/// Opens a room, and serves it until it ends.
async fn open(place: Place, epoch: String, mut inbox: mpsc::Receiver<Command>) {
    let (shared, name) = (Arc::clone(&place.shared), place.name.clone());
    let opened = spawn_blocking(move || {
        let opened = shared.storage.open(&name, &epoch, now())?;
        DurableRoom::open(shared.config.room.clone(), name, opened)
    });
    let opened = opened.await.unwrap_or_else(|error| {
        Err(Error::with_source(ErrorKind::Unavailable, "the storage failed while the room was opened", error))
    });
    match opened {
        Ok(room) => {
            debug!(room = %place.name, epoch = room.epoch().number, "opened");
            place.notify(RoomEvent::Opened { room: place.name.clone() });
            Host::new(room, place).run(inbox).await;
        }
        Err(why) => {
            error!(room = %place.name, %why, "cannot open the room");
            place.leave();
            let response = place.unavailable();
            refuse_all(&mut inbox, &why, &response);
        }
    }
}

impl Inner {
    fn map(&self) -> MutexGuard<'_, HashMap<RoomName, Entry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name that nothing else has, in this process or another.
    fn unique_name(&self) -> String {
        format!("{:032x}.{}", self.nonce, self.names.fetch_add(1, Ordering::Relaxed))
    }
}

impl Place {
    pub(crate) fn config(&self) -> &ServerConfig {
        &self.shared.config
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.shared.storage
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.shared.writer
    }

    /// Sends an event to the subscribers.
    pub(crate) fn notify(&self, event: RoomEvent) {
        let _nobody = self.shared.events.send(event);
    }

    /// Whether there is a subscriber to events.
    pub(crate) fn has_subscribers(&self) -> bool {
        self.shared.events.receiver_count() > 0
    }

    /// The answer to requests while the room is not available. The cause goes only to the log, because it may name
    /// paths.
    pub(crate) fn unavailable(&self) -> Response {
        let text = "the room is not available just now: try again; the server's log says why";
        Response::text(503, self.config().room.response_headers(), text)
    }

    /// Returns when `until` is reached or too many rooms are open, and no lease of the room exists any more.
    pub(crate) async fn unused(&self, until: Option<Instant>) {
        let Some(until) = until else { return pending().await };
        tokio::select! {
            () = sleep_until(until) => {}
            () = self.shared.pressure.notified() => {}
        }
        while Arc::strong_count(&self.leases) > UNLEASED {
            self.released.notified().await;
        }
    }

    /// Removes the room from the list, unless a command may still arrive.
    ///
    /// Leases are created while the lock is held, and only leases fill the inbox. So if there is no lease and the inbox
    /// is empty, no command can arrive before the entry is removed.
    pub(crate) fn retire(&self, inbox: &mpsc::Receiver<Command>) -> bool {
        let Some(rooms) = self.rooms.upgrade() else { return true };
        let mut map = rooms.map();
        let is_unused = Arc::strong_count(&self.leases) <= UNLEASED && inbox.is_empty();
        if is_unused {
            self.remove(&mut map);
        }
        is_unused
    }

    /// Removes the room from the list.
    pub(crate) fn leave(&self) {
        if let Some(rooms) = self.rooms.upgrade() {
            self.remove(&mut rooms.map());
        }
        self.notify(RoomEvent::Closed { room: self.name.clone() });
    }

    /// Removes this room's entry, and not an entry that has replaced it.
    fn remove(&self, map: &mut HashMap<RoomName, Entry>) {
        if map.get(&self.name).is_some_and(|entry| Arc::ptr_eq(&entry.leases, &self.leases)) {
            map.remove(&self.name);
        }
    }
}

impl Entry {
    fn lease(&self) -> Lease {
        let claim = Claim { lease: Some(Arc::clone(&self.leases)), released: Arc::clone(&self.released) };
        Lease { inbox: self.inbox.clone(), claim }
    }
}

impl Lease {
    /// Sends a command to the room as soon as its inbox has space. Returns `false` if the room is gone.
    pub(crate) async fn send(&self, command: Command) -> bool {
        self.inbox.send(command).await.is_ok()
    }

    /// Gives up the right to send commands, and keeps the room open.
    pub(crate) fn into_claim(self) -> Claim {
        self.claim
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The count has to change before the notification: the room reads the count when it is notified.
        drop(self.lease.take());
        self.released.notify_one();
    }
}

impl Membership {
    pub(crate) fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// As [`Lease::send`].
    pub(crate) async fn send(&self, command: Command) -> bool {
        match &self.lease {
            Some(lease) => lease.send(command).await,
            None => false,
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let close = Command::Close { connection: self.connection };
        if let Err(mpsc::error::TrySendError::Full(close)) = lease.inbox.try_send(close)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move { lease.send(close).await });
        }
    }
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").field("len", &self.len()).field("config", self.config()).finish_non_exhaustive()
    }
}
