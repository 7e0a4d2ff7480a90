//! A store in the server's process that is in sync with a room.

use std::{ops::Deref, time::Duration};

use roommate::{Engine, Result, Store};
use tracing::warn;

use super::Room;

/// A [`Store`] in sync with a room of this process. Created by [`Room::store`].
///
/// Every client of the room is sent what this store sets. What clients set appears in this store, and its listeners are
/// called. The store holds the room open. A room that was closed is opened again, and edits that were made meanwhile
/// are stored then.
///
/// Call [`close`](Self::close) at the end: a store that is just dropped loses the edits that the room has not stored
/// yet. Until it is closed it holds the [`Rooms`](crate::Rooms), and so their storage. Close it before a file is opened
/// again in the same process.
///
/// ```
/// use roommate_server::{Rooms, ServerConfig};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let rooms = Rooms::new(ServerConfig::new())?;
/// let room = rooms.room("main", "lobby");
/// let store = room.store().await?;
/// let listener = store.add_value_listener(roommate::ANY, |event| println!("{event:?}"));
/// store.set_value("open", true)?;
/// store.flush().await?; // it is stored
/// assert_eq!(room.content().await?, Some(store.content()));
/// store.close().await;
/// # drop(listener);
/// # Ok::<(), roommate_server::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct LiveStore {
    store: Store,
    engine: Engine,
}

/// The shortest and the longest wait before a room that could not be opened is tried again.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

impl Room {
    /// Creates a store that is in sync with the room. Returns when the store shows the room's content. If the room has
    /// no store, it is empty then.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content).
    pub async fn store(&self) -> Result<LiveStore> {
        self.sync(Store::new()).await
    }

    /// As [`store`](Self::store), with a store that the program has created, for instance with schemas or listeners.
    /// Content that is in it already becomes the first content of a room that has no store. The content of a room that
    /// has one replaces it.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content).
    pub async fn sync(&self, store: Store) -> Result<LiveStore> {
        let name = self.name.clone();
        let engine = Engine::builder(&store, self.persister())
            .with_retry_delays(RETRY_DELAYS.0, RETRY_DELAYS.1)
            .with_on_ignored_error(move |error| warn!(room = %name, %error, "a store is not in sync with its room"))
            .build();
        engine.start_auto_persisting(None).await?;
        Ok(LiveStore { store, engine })
    }
}

impl LiveStore {
    /// Returns the store. Clones of it are the same store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the engine that keeps the store in sync: it has the status, and the unconfirmed edits.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns when the room has stored everything that was edited before this call.
    ///
    /// # Errors
    ///
    /// As [`Engine::flush`].
    pub async fn flush(&self) -> Result<()> {
        self.engine.flush().await
    }

    /// Stores what is not stored yet, for 5 s at most, and ends the sync. The store keeps its content.
    pub async fn close(self) {
        self.engine.destroy().await;
    }
}

impl Deref for LiveStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}
