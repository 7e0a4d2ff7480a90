//! How a server is set up.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use roommate_partykit_proto::{MAIN_PARTY, Memory, RoomConfig, Storage};

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) room: RoomConfig,
    /// `None` is any.
    pub(crate) parties: Option<BTreeSet<String>>,
    pub(crate) heartbeat: Duration,
    pub(crate) policy_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) max_rooms: usize,
    pub(crate) max_queued_frames: usize,
    pub(crate) max_queued_bytes: usize,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) history: Duration,
    pub(crate) evict_after: Duration,
}

impl ServerConfig {
    /// The party `main`, rooms as [`RoomConfig::new`] sets them up, and limits that suit most.
    pub fn new() -> Self {
        Self {
            room: RoomConfig::new(),
            parties: Some([MAIN_PARTY.to_owned()].into()),
            heartbeat: Duration::from_secs(20),
            policy_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(3),
            max_rooms: 100_000,
            max_queued_frames: 1024,
            max_queued_bytes: 8 << 20,
            storage: Arc::new(Memory::new()),
            history: Duration::from_secs(7 * 24 * 60 * 60),
            evict_after: Duration::from_secs(60),
        }
    }

    /// Sets how each room is set up.
    pub fn with_room(mut self, room: RoomConfig) -> Self {
        self.room = room;
        self
    }

    /// Sets the parties that there are, percent-encoded as in URLs; `main` otherwise. Others are answered with 404.
    pub fn with_parties(mut self, parties: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.parties = Some(parties.into_iter().map(Into::into).collect());
        self
    }

    /// Lets there be any party that a client names.
    pub fn with_any_party(mut self) -> Self {
        self.parties = None;
        self
    }

    /// Sets how often each connection is pinged; 20 seconds otherwise. One that is silent for
    /// twice as long, and takes nothing of what it is sent, is ended.
    pub fn with_heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// Sets how long the policy may take to let a connection or a request in. Defaults to 10 s. Then the client is answered
    /// with 503.
    pub fn with_policy_timeout(mut self, timeout: Duration) -> Self {
        self.policy_timeout = timeout;
        self
    }

    /// Sets how long the body of a `PUT` may take to arrive, besides a second for each 16 KiB of it that did; a minute
    /// otherwise. Longer is answered with 408.
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Sets how long a client may take to answer the end of its connection, and the server to shut down; 3 seconds
    /// otherwise.
    pub fn with_close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Sets how many rooms may be open at once. Defaults to 100,000. One more is answered with 503, and those that nobody
    /// uses are closed.
    pub fn with_max_rooms(mut self, rooms: usize) -> Self {
        self.max_rooms = rooms;
        self
    }

    /// Sets how many frames, and bytes in all of them, may wait for a connection; 1024 and 8 MiB otherwise.
    ///
    /// A client that reads too slowly for that is cut off with code 1013; one of the extended dialect is not, and is told
    /// the whole content once it has read what was queued. A single frame may be of any size.
    pub fn with_max_queued(mut self, frames: usize, bytes: usize) -> Self {
        self.max_queued_frames = frames.max(1);
        self.max_queued_bytes = bytes;
        self
    }

    /// Sets where rooms are stored. Defaults to [`Memory`]: rooms end with the process.
    pub fn with_storage(self, storage: impl Storage) -> Self {
        self.with_shared_storage(Arc::new(storage))
    }

    /// Sets where rooms are stored, as [`with_storage`](Self::with_storage), by a storage that the program uses as well.
    pub fn with_shared_storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = storage;
        self
    }

    /// Sets for how long each change is kept at least, with its time and author. Defaults to 7 days.
    ///
    /// Clients that were away are sent what they missed from it, and a room can be read as it was then, and restored to
    /// that. With no history at all clients that were away for more than a few changes are sent the whole content.
    pub fn with_history(mut self, history: Duration) -> Self {
        self.history = history;
        self
    }

    /// Sets for how long a room stays in memory that nobody uses. Defaults to 60 s. Then it is opened from the storage again
    /// when it is asked for.
    pub fn with_evict_after(mut self, duration: Duration) -> Self {
        self.evict_after = duration;
        self
    }

    /// The time since which the log is kept, if it is `now`; both in milliseconds since the Unix epoch.
    pub(crate) fn keep_since(&self, now: u64) -> u64 {
        match u64::try_from(self.history.as_millis()) {
            Ok(0) => u64::MAX,
            Ok(history) => now.saturating_sub(history),
            Err(_) => 0,
        }
    }

    pub(crate) fn has_party(&self, party: &str) -> bool {
        self.parties.as_ref().is_none_or(|parties| parties.contains(party))
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
}
