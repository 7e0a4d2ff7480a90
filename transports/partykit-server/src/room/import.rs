//! Takes over rooms of other servers.

use roommate::{Cell, Content, Error, ErrorKind, Result};
use roommate_partykit_proto::Import;

use super::Room;
use crate::host::{Author, HostEdit};

/// The result of importing a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "keys that are not the store's are not imported"]
#[non_exhaustive]
pub struct Imported {
    /// The room's sequence number.
    pub seq: u64,
    /// The keys of the storage that do not belong to the store. Their data was not imported.
    pub foreign_keys: Vec<String>,
}

impl Room {
    /// Creates the room's store with a content from elsewhere. Returns the room's sequence number when it is stored.
    /// Connected clients are sent the content.
    ///
    /// [`Import::from_json`] reads the answer to a GET of a store, or the storage of a PartyKit room:
    ///
    /// ```
    /// use roommate_server::{Import, Rooms, ServerConfig};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let rooms = Rooms::new(ServerConfig::new())?;
    /// let import = Import::from_json(r#"{"hasStore":1,"t\"pets\",\"fido\",\"age\"":4,"counter":7}"#)?;
    /// if !import.foreign_keys.is_empty() {
    ///     println!("not the store's: {:?}", import.foreign_keys);
    /// }
    /// let room = rooms.room("main", "lobby");
    /// room.import_content(import.content).await?;
    /// assert_eq!(room.content().await?.expect("there is a store").to_json(), r#"[{"pets":{"fido":{"age":4}}},{}]"#);
    /// # Ok::<(), roommate_server::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if the room has a store already; it is not overwritten. Also the errors of
    /// [`apply`](Self::apply).
    pub async fn import_content(&self, mut content: Content) -> Result<u64> {
        // A store has no empty tables or rows.
        content.prune();
        let edited = self.edit(Author::default(), HostEdit::Create(content)).await?;
        if !edited.is_recorded {
            let message =
                format!("the room {} has a store already: import into another one, or delete it before", self.name);
            return Err(Error::new(ErrorKind::Refused, message));
        }
        Ok(edited.seq)
    }

    /// As [`import_content`](Self::import_content), from the keys and values of a PartyKit room's storage. `prefix` is
    /// the `storagePrefix` of that server; it is empty unless the server sets one.
    ///
    /// ```
    /// use roommate_server::{Cell, Rooms, ServerConfig};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let rooms = Rooms::new(ServerConfig::new())?;
    /// let storage = [("hasStore", Cell::from(1)), ("vopen", Cell::from(true)), ("counter", Cell::from(7))];
    /// let storage = storage.map(|(key, cell)| (key.to_owned(), cell));
    /// let imported = rooms.room("main", "lobby").import_storage(storage, "").await?;
    /// assert_eq!((imported.seq, imported.foreign_keys), (1, vec!["counter".to_owned()]));
    /// # Ok::<(), roommate_server::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`import_content`](Self::import_content). [`ErrorKind::Invalid`] if the storage has no store.
    pub async fn import_storage(
        &self,
        storage: impl IntoIterator<Item = (String, Cell)>,
        prefix: &str,
    ) -> Result<Imported> {
        let Import { content, foreign_keys, .. } = Import::from_storage(storage, prefix)?;
        let seq = self.import_content(content).await?;
        Ok(Imported { seq, foreign_keys })
    }
}
