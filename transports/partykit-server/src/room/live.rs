//! A store in the server's process that is in sync with a room.

use std::{ops::Deref, time::Duration};

use roommate::{Engine, Result, Store};
use tracing::warn;

use super::Room;

/// A [`Store`] in sync with a room of this process. Made by [`Room::store`].
///
/// What it sets every client of the room is sent, and what clients set is in it, and its listeners are called. It holds the
/// room open. A room that is closed is opened again, and what was set meanwhile is stored then.
///
/// Dropped, it leaves edits behind that the room has not stored yet: [`close`](Self::close) it. Until then it has hold of
/// the [`Rooms`](crate::Rooms), and so of their storage: close it before a file is opened again in the same process.
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

/// How long to wait before a room that could not be opened is asked for again: at least, and at most.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

impl Room {
    /// Makes a store that is in sync with the room, and returns when it shows the room's content. A room without a store
    /// has an empty one then.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content).
    pub async fn store(&self) -> Result<LiveStore> {
        self.sync(Store::new()).await
    }

    /// As [`store`](Self::store), with a store that the program has made: with schemas or listeners, say. What is in it
    /// before is the first content of a room that has no store, and is replaced by that of one that has.
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
    /// The store. Clones of it are the same store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The engine that keeps the store in sync: its status, and what is not confirmed yet.
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

    /// Stores what is not stored yet, for 5 s at most, and ends the sync. The store stays as it is.
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
