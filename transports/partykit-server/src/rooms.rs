//! Which rooms there are, and the way to each.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::Router;
use roommate::{Error, ErrorKind, Result};
use roommate_partykit::proto::{ConnectionId, DurableRoom, Memory, Opened, RoomName, RoomPath, Storage};
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use crate::{
    answer::header_map,
    config::ServerConfig,
    host::{Command, Host},
    router,
};

/// The rooms of a server. Clones are the same rooms.
///
/// A room comes into being when somebody asks for it, has a task of its own, and goes when there is nothing in it and
/// nobody connected: asking for rooms that do not exist costs nothing that lasts.
#[derive(Clone)]
pub struct Rooms(Arc<Inner>);

struct Inner {
    config: Arc<ServerConfig>,
    rooms: Mutex<HashMap<String, Entry>>,
    connections: AtomicU64,
    /// Tells this server's epochs from those of any other, and of itself at another time.
    nonce: u128,
    epochs: AtomicU64,
    storage: Memory,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Entry {
    inbox: mpsc::Sender<Command>,
    /// Counts the leases: there is one clone in each.
    leases: Arc<()>,
    released: Arc<Notify>,
}

/// The right to ask something of a room. While there is one the room stays.
#[derive(Debug)]
pub(crate) struct Lease {
    inbox: mpsc::Sender<Command>,
    /// `None` only while it is dropped.
    lease: Option<Arc<()>>,
    released: Arc<Notify>,
}

/// A connection's place in its room, which is told when this is dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    connection: ConnectionId,
    lease: Option<Lease>,
}

/// Why there is no way to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    TooMany,
    Stopping,
}

/// How many inputs may wait for a room. More wait where they came from: a connection is not read from meanwhile.
const INBOX: usize = 64;

impl Rooms {
    /// Rooms without a server. Fails if the response headers of the configuration are none, or the operating system has
    /// no randomness to give.
    pub fn new(config: ServerConfig) -> Result<Self> {
        header_map(config.room.response_headers())?;
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "the operating system has no randomness to give", error)
        })?;
        Ok(Self(Arc::new(Inner {
            config: Arc::new(config),
            rooms: Mutex::default(),
            connections: AtomicU64::new(0),
            nonce: u128::from_ne_bytes(nonce),
            epochs: AtomicU64::new(0),
            storage: Memory::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })))
    }

    /// The routes to the rooms, `/parties/<party>/<room>` and `/party/<room>`, for an axum server.
    ///
    /// Serve it with connection information if the policy asks for [`Context::peer`]. Call [`Rooms::shutdown`] in the
    /// end: axum does not wait for WebSocket connections.
    ///
    /// [`Context::peer`]: roommate_partykit::proto::Context::peer
    pub fn router(&self) -> Router {
        router::router(self.clone())
    }

    /// How many rooms there are just now.
    pub fn len(&self) -> usize {
        self.map().len()
    }

    /// Whether there is no room just now.
    pub fn is_empty(&self) -> bool {
        self.map().is_empty()
    }

    /// Ends all connections with code 1012 and all rooms, and returns when they have ended. Nobody gets in any more.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        // Without their entries the rooms end with their last leases.
        self.map().clear();
        // A connection takes the close timeout at most; the rest is to be on the safe side.
        if timeout(self.0.config.close_timeout.saturating_mul(2), self.0.tasks.wait()).await.is_err() {
            debug!(tasks = self.0.tasks.len(), "not everything has ended in time");
        }
    }

    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.0.config
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Resolves when the rooms are shut down.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// The way to a room, which is made if there is none.
    pub(crate) fn lease(&self, path: RoomPath<'_>) -> Result<Lease, NoRoom> {
        let key = format!("{}/{}", path.party, path.room);
        let mut rooms = self.map();
        // Under the lock, so that no room is made behind the back of a shutdown.
        if self.0.stop.is_cancelled() {
            return Err(NoRoom::Stopping);
        }
        if let Some(entry) = rooms.get(&key).filter(|entry| !entry.inbox.is_closed()) {
            return Ok(entry.lease());
        }
        if rooms.len() >= self.0.config.max_rooms {
            return Err(NoRoom::TooMany);
        }
        let (inbox, commands) = mpsc::channel(INBOX);
        let released = Arc::new(Notify::new());
        let entry = Entry { inbox, leases: Arc::default(), released: Arc::clone(&released) };
        let lease = entry.lease();
        rooms.insert(key.clone(), entry);
        let epoch = self.0.epoch();
        let name = RoomName::from(path);
        let opened = self.0.storage.open(&name, &epoch, 0).unwrap_or_else(|_| Opened::new(epoch));
        let Ok(room) = DurableRoom::open(self.0.config.room.clone(), name, opened) else {
            return Err(NoRoom::Stopping);
        };
        let host = Host::new(room, self.0.storage.clone());
        let rooms = Arc::downgrade(&self.0);
        debug!(room = key, "opened");
        self.0.tasks.spawn(host.run(commands, released, move |inbox| retire(&rooms, &key, inbox)));
        Ok(lease)
    }

    /// A place in the room of `lease`, under a new name.
    pub(crate) fn membership(&self, lease: Lease) -> Membership {
        let connection = ConnectionId(self.0.connections.fetch_add(1, Ordering::Relaxed));
        Membership { connection, lease: Some(lease) }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.map()
    }
}

impl Inner {
    fn map(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name that no room was ever taken up under.
    fn epoch(&self) -> String {
        format!("{:032x}.{}", self.nonce, self.epochs.fetch_add(1, Ordering::Relaxed))
    }
}

impl Entry {
    fn lease(&self) -> Lease {
        Lease { inbox: self.inbox.clone(), lease: Some(Arc::clone(&self.leases)), released: Arc::clone(&self.released) }
    }
}

impl Lease {
    /// Asks something of the room, as soon as there is a place in its inbox; `false` if the room is gone.
    pub(crate) async fn send(&self, command: Command) -> bool {
        self.inbox.send(command).await.is_ok()
    }
}

impl Drop for Lease {
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
        f.debug_struct("Rooms").field("len", &self.len()).field("config", &self.0.config).finish_non_exhaustive()
    }
}

/// Takes a room off the list, unless somebody may still ask something of it.
///
/// Leases are made under the lock and used to fill the inbox: with neither, nobody can come before the entry is gone.
fn retire(rooms: &Weak<Inner>, key: &str, inbox: &mpsc::Receiver<Command>) -> bool {
    let Some(inner) = rooms.upgrade() else { return false };
    let mut map = inner.map();
    let unused = map.get(key).is_some_and(|entry| Arc::strong_count(&entry.leases) == 1) && inbox.is_empty();
    if unused {
        map.remove(key);
        debug!(room = key, "dropped");
    }
    unused
}
