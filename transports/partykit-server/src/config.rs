//! The configuration of a server.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use roommate_partykit_proto::{MAIN_PARTY, Memory, RoomConfig, Storage};

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) room: RoomConfig,
    /// `None` allows any party.
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
    /// The party `main`, rooms as configured by [`RoomConfig::new`], and limits that suit most servers.
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

    /// Sets the configuration of each room.
    pub fn with_room(mut self, room: RoomConfig) -> Self {
        self.room = room;
        self
    }

    /// Sets the allowed parties, percent-encoded as in URLs. Defaults to `main`. A request for another party is
    /// answered with 404.
    pub fn with_parties(mut self, parties: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.parties = Some(parties.into_iter().map(Into::into).collect());
        self
    }

    /// Allows every party that a client names.
    pub fn with_any_party(mut self) -> Self {
        self.parties = None;
        self
    }

    /// Sets the interval between pings of each connection. Defaults to 20 s. A connection that stays silent for two
    /// intervals, and takes nothing of what it is sent, is ended.
    pub fn with_heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// Sets how long the policy may take to let a connection or a request in. Defaults to 10 s. After that the client
    /// is answered with 503.
    pub fn with_policy_timeout(mut self, timeout: Duration) -> Self {
        self.policy_timeout = timeout;
        self
    }

    /// Sets how long the body of a `PUT` may take to arrive. Defaults to 60 s. The limit grows by a second for each 16
    /// KiB that have arrived. A body that takes longer is answered with 408.
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Sets how long the server waits for a client to answer the close of its connection, and how long a shutdown may
    /// take. Defaults to 3 s.
    pub fn with_close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Sets the maximum number of open rooms. Defaults to 100,000. A request for one more room is answered with 503,
    /// and rooms that are not in use are closed.
    pub fn with_max_rooms(mut self, rooms: usize) -> Self {
        self.max_rooms = rooms;
        self
    }

    /// Sets the maximum number of frames in a connection's queue, and of their bytes. Defaults to 1024 frames and 8
    /// MiB.
    ///
    /// A stock client that reads too slowly for that is disconnected with code 1013. A client of the extended dialect
    /// stays connected, and is sent the whole content once it has read what was queued. A single frame may be of any
    /// size.
    pub fn with_max_queued(mut self, frames: usize, bytes: usize) -> Self {
        self.max_queued_frames = frames.max(1);
        self.max_queued_bytes = bytes;
        self
    }

    /// Sets the storage of the rooms. Defaults to [`Memory`], with which rooms end with the process.
    pub fn with_storage(self, storage: impl Storage) -> Self {
        self.with_shared_storage(Arc::new(storage))
    }

    /// Sets the storage of the rooms, as [`with_storage`](Self::with_storage) does, to one that the program uses as
    /// well.
    pub fn with_shared_storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = storage;
        self
    }

    /// Sets the minimum time for which each change is stored, with its time and author. Defaults to 7 days.
    ///
    /// From this history, clients that were away are sent what they missed, and a room can be read and restored as it
    /// was at an earlier time. Without a history, clients that were away for more than a few changes are sent the whole
    /// content.
    pub fn with_history(mut self, history: Duration) -> Self {
        self.history = history;
        self
    }

    /// Sets how long a room stays in memory while it is not in use. Defaults to 60 s. After that, the next use opens it
    /// from the storage again.
    pub fn with_evict_after(mut self, duration: Duration) -> Self {
        self.evict_after = duration;
        self
    }

    /// The time since which the log has to be stored, if it is `now`. Both are in milliseconds since the Unix epoch.
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
