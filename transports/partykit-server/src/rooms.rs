//! Which rooms are open, and the way to each.

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
/// A room is opened from the storage when it is asked for, has a task of its own, and is closed again when nobody needed it
/// for a while. Rooms that are only stored take no memory.
#[derive(Clone)]
pub struct Rooms(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    rooms: Mutex<HashMap<RoomName, Entry>>,
    connections: AtomicU64,
    /// Tells this server's epochs from those of any other, and of itself at another time.
    nonce: u128,
    names: AtomicU64,
    tasks: TaskTracker,
    /// The runtime in which this was made. All rooms run there.
    runtime: Option<Handle>,
    stop: CancellationToken,
}

/// What all rooms use.
#[derive(Debug)]
struct Shared {
    config: Arc<ServerConfig>,
    storage: Arc<dyn Storage>,
    writer: Writer,
    events: broadcast::Sender<RoomEvent>,
    /// There are as many rooms as there may be: those that nobody needs go at once.
    pressure: Notify,
}

#[derive(Debug)]
struct Entry {
    inbox: mpsc::Sender<Command>,
    /// Counts the leases: there is one clone in each, one here and one in the room's [`Place`].
    leases: Arc<()>,
    released: Arc<Notify>,
}

/// The right to ask something of a room. While there is one the room stays.
#[derive(Debug)]
pub(crate) struct Lease {
    inbox: mpsc::Sender<Command>,
    claim: Claim,
}

/// Keeps a room open, but for a shutdown.
#[derive(Debug)]
pub(crate) struct Claim {
    /// `None` only while it is dropped.
    lease: Option<Arc<()>>,
    released: Arc<Notify>,
}

/// A connection's place in its room, which is notified when this is dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    connection: ConnectionId,
    lease: Option<Lease>,
}

/// A room's place among the open ones.
#[derive(Debug)]
pub(crate) struct Place {
    rooms: Weak<Inner>,
    shared: Arc<Shared>,
    name: RoomName,
    leases: Arc<()>,
    released: Arc<Notify>,
}

/// Why there is no way to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    TooMany,
    Stopping,
}

/// How many inputs may wait for a room. More wait where they came from: a connection is not read from meanwhile.
const INBOX: usize = 64;

/// How many events a subscriber may leave unread before it misses some.
const EVENTS: usize = 1024;

/// How many references to an entry's count there are without a lease.
const UNLEASED: usize = 2;

impl Rooms {
    /// Rooms without a server. They run in the tokio runtime in which this is called.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the response headers of the configuration are none, [`ErrorKind::Unavailable`] if the
    /// operating system has no randomness or no thread to give.
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

    /// The routes to the rooms, `/parties/<party>/<room>` and `/party/<room>`, for an axum server. They nest below any path.
    ///
    /// What middleware attaches to a request, the policy finds in [`Context::extensions`].
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
    /// Serve it with connection information if the policy asks for [`Context::peer`]. Call [`Rooms::shutdown`] in the
    /// end: axum does not wait for WebSocket connections.
    ///
    /// [`Context::extensions`]: roommate_partykit_proto::Context::extensions
    /// [`Context::peer`]: roommate_partykit_proto::Context::peer
    pub fn router(&self) -> Router {
        router::router(self.clone())
    }

    /// How many rooms are open just now.
    pub fn len(&self) -> usize {
        self.map().len()
    }

    /// Whether no room is open just now.
    pub fn is_empty(&self) -> bool {
        self.map().is_empty()
    }

    /// Ends all connections with code 1012 and all rooms, and returns when they have ended and what they accepted is stored.
    /// Nobody gets in any more.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        // Without their entries the rooms end with their last leases.
        self.map().clear();
        // A connection takes the close timeout at most; the rest is to be on the safe side.
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

    /// Where the rooms run, if they were made in a runtime.
    pub(crate) fn runtime(&self) -> Option<&Handle> {
        self.0.runtime.as_ref()
    }

    /// A name that nothing else has.
    pub(crate) fn unique_name(&self) -> String {
        self.0.unique_name()
    }

    /// What tells these rooms from others of this process.
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

    /// The way to a room, which is opened if it is not.
    pub(crate) fn lease(&self, name: RoomName) -> Result<Lease, NoRoom> {
        let mut rooms = self.map();
        // Under the lock, so that no room is opened that a shutdown does not know of.
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

    /// A place that no entry belongs to.
    #[cfg(test)]
    pub(crate) fn place_apart(&self, name: RoomName) -> Place {
        let (leases, released) = (Arc::default(), Arc::default());
        Place { rooms: Arc::downgrade(&self.0), shared: Arc::clone(&self.0.shared), name, leases, released }
    }

    /// The way to a room that is open; `None` if it is not.
    pub(crate) fn lease_open(&self, name: &RoomName) -> Option<Lease> {
        self.map().get(name).filter(|entry| !entry.inbox.is_closed()).map(Entry::lease)
    }

    /// A place in the room of `lease`, under a new name.
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

    /// Sends an event to those who subscribed.
    pub(crate) fn notify(&self, event: RoomEvent) {
        let _nobody = self.shared.events.send(event);
    }

    /// Whether anybody subscribed to events.
    pub(crate) fn has_subscribers(&self) -> bool {
        self.shared.events.receiver_count() > 0
    }

    /// What requests are answered while the room cannot be had. The cause is for the log: it may name paths.
    pub(crate) fn unavailable(&self) -> Response {
        let text = "the room is not available just now: try again; the server's log says why";
        Response::text(503, self.config().room.response_headers(), text)
    }

    /// Returns when nobody has asked anything of the room until then, or there are too many rooms, and nobody has the right
    /// to ask any more.
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

    /// Takes the room off the list, unless somebody may still ask something of it.
    ///
    /// Leases are made under the lock and used to fill the inbox: with neither, nobody can come before the entry is gone.
    pub(crate) fn retire(&self, inbox: &mpsc::Receiver<Command>) -> bool {
        let Some(rooms) = self.rooms.upgrade() else { return true };
        let mut map = rooms.map();
        let is_unused = Arc::strong_count(&self.leases) <= UNLEASED && inbox.is_empty();
        if is_unused {
            self.remove(&mut map);
        }
        is_unused
    }

    /// Takes the room off the list.
    pub(crate) fn leave(&self) {
        if let Some(rooms) = self.rooms.upgrade() {
            self.remove(&mut rooms.map());
        }
        self.notify(RoomEvent::Closed { room: self.name.clone() });
    }

    /// Removes this room's entry, and no other that has come in its place.
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
    /// Asks something of the room, as soon as there is a place in its inbox; `false` if the room is gone.
    pub(crate) async fn send(&self, command: Command) -> bool {
        self.inbox.send(command).await.is_ok()
    }

    /// Gives up asking, and keeps the room open.
    pub(crate) fn into_claim(self) -> Claim {
        self.claim
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // First the count, then the notice: the room counts when it hears of it.
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
