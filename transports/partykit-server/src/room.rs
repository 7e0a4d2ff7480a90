//! Access to a room for the program that hosts it.

use std::sync::Arc;

use roommate::{Changes, Content, Error, ErrorKind, Result};
use roommate_partykit_proto::{RoomInfo, RoomName};
use tokio::{sync::oneshot, task::spawn_blocking};

use crate::{
    host::{Author, Command, Edited, HostEdit, Reading},
    rooms::{Claim, Lease, NoRoom, Rooms},
};

pub(crate) mod feed;
mod history;
mod import;
mod live;
mod persister;

use feed::FeedSender;
pub use import::Imported;
pub use live::LiveStore;
pub use persister::RoomPersister;

/// A room of a server, for the program that hosts it. Clones are the same room.
///
/// What the program does goes through the room like what clients do: it is stored, has a position in the room's order,
/// and every client is sent it. The [`Policy`](crate::Policy) is not asked.
///
/// ```
/// use roommate_server::{Changes, Rooms, ServerConfig};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let rooms = Rooms::new(ServerConfig::new())?;
/// let room = rooms.room("main", "lobby");
/// let mut changes = Changes::new();
/// changes.set_value("open", true.into());
/// room.apply(changes).await?;
/// assert_eq!(room.content().await?.expect("there is a store").to_json(), r#"[{},{"open":true}]"#);
/// # Ok::<(), roommate_server::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Room {
    pub(crate) rooms: Rooms,
    pub(crate) name: RoomName,
}

impl Rooms {
    /// Returns a room, by its party and its own name, both percent-encoded as in URLs. The room need not exist.
    pub fn room(&self, party: &str, room: &str) -> Room {
        Room { rooms: self.clone(), name: RoomName::new(party, room) }
    }

    /// Lists up to `max` stored rooms that come after `after`, in the order of their names.
    ///
    /// # Errors
    ///
    /// The errors of the storage.
    pub async fn list(&self, after: Option<&RoomName>, max: usize) -> Result<Vec<RoomInfo>> {
        let (storage, after) = (Arc::clone(self.storage()), after.cloned());
        blocking(move || storage.list(after.as_ref(), max)).await
    }
}

impl Room {
    /// Returns the name.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// Returns the stored content; `None` while the room has no store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the room cannot be opened at the moment, [`ErrorKind::Corrupt`] if its stored data
    /// cannot be read, [`ErrorKind::Closed`] if the rooms were shut down.
    pub async fn content(&self) -> Result<Option<Content>> {
        self.read().await
    }

    /// Applies changes, and returns the room's sequence number when they are stored. If the room has no store, changes
    /// that set something create it.
    ///
    /// If the future is dropped, the changes may still be applied.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content). After [`ErrorKind::Unavailable`] the changes may or may not be stored.
    pub async fn apply(&self, changes: Changes) -> Result<u64> {
        Ok(self.edit(Author::default(), HostEdit::Apply(changes)).await?.seq)
    }

    /// Replaces the content, by the changes that lead to the new one. Returns the room's sequence number when they are
    /// stored.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub async fn replace(&self, content: Content) -> Result<u64> {
        Ok(self.edit(Author::default(), HostEdit::Replace(content)).await?.seq)
    }

    /// Returns what is known of the room without opening it; `None` if the room is not stored.
    ///
    /// # Errors
    ///
    /// The errors of the storage.
    pub async fn describe(&self) -> Result<Option<RoomInfo>> {
        let (storage, name) = (Arc::clone(self.rooms.storage()), self.name.clone());
        blocking(move || storage.describe(&name)).await
    }

    /// Stores everything, closes all connections with code 1012, and closes the room. The next use opens it again.
    pub async fn close(&self) {
        if let Some(lease) = self.rooms.lease_open(&self.name) {
            let (answer, closed) = oneshot::channel();
            if lease.send(Command::End { answer }).await {
                let _gone_already = closed.await;
            }
        }
    }

    /// Closes the room and removes all its stored data. Returns whether there was any.
    ///
    /// A Roommate client that was connected reconnects, and restores the content that it has, as in any room without a
    /// store. To empty a room that has clients, [`replace`](Self::replace) its content.
    ///
    /// # Errors
    ///
    /// The errors of the storage.
    pub async fn delete(&self) -> Result<bool> {
        self.close().await;
        let (storage, name) = (Arc::clone(self.rooms.storage()), self.name.clone());
        let deleted = blocking(move || storage.delete(&name)).await?;
        // A room that was opened meanwhile has content that is not stored any more. It may not write, and is opened
        // again.
        self.close().await;
        Ok(deleted)
    }

    async fn edit(&self, author: Author, edit: HostEdit) -> Result<Edited> {
        self.ask(&self.lease()?, |answer| Command::Edit { author, edit, answer }).await
    }

    async fn read(&self) -> Result<Reading> {
        self.ask(&self.lease()?, |answer| Command::Read { answer }).await
    }

    /// Sends each record that is stored from now on to `feed`, while the room is open.
    async fn watch(&self, feed: FeedSender) -> Result<Claim> {
        let lease = self.lease()?;
        self.ask(&lease, |answer| Command::Watch { feed, answer }).await?;
        Ok(lease.into_claim())
    }

    async fn ask<T>(&self, lease: &Lease, command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        lease.send(command(answer)).await;
        answered.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, "the room was closed: try again")))
    }

    fn lease(&self) -> Result<Lease> {
        self.rooms.lease(self.name.clone()).map_err(|why| match why {
            NoRoom::TooMany => Error::new(ErrorKind::Unavailable, "too many rooms are open: try again"),
            NoRoom::Stopping => Error::new(ErrorKind::Closed, "the rooms were shut down"),
        })
    }
}

pub(crate) async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(ask)
        .await
        .unwrap_or_else(|error| Err(Error::with_source(ErrorKind::Unavailable, "the storage failed", error)))
}
