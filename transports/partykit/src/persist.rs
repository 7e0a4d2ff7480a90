//! How a persister of a room loads and saves, whatever carries its messages and requests.

use async_trait::async_trait;
use roommate::{Changes, Content, EditKey, Error, ErrorKind, Result, Save, Saved};

use crate::proto::{Limits, Put};

/// What carries messages and requests to a room.
#[async_trait]
pub(crate) trait Carrier: Sync {
    /// Whether the room has a store, as far as is known.
    fn store_is_present(&self) -> Option<bool>;

    /// What the room can take.
    fn limits(&self) -> Limits;

    /// Reads the room's content, and takes note whether there is one.
    async fn get(&self) -> Result<Option<Content>>;

    /// Offers a first content, which has this edit and all before it.
    async fn put(&self, content: &Content, edit: Option<EditKey<'_>>) -> Result<Put>;

    /// Sends changes to a room that has a store.
    async fn send(&self, changes: &Changes, edit: Option<EditKey<'_>>) -> Result<Saved>;
}

/// Why changes that find no room to wait in do not wait for it: what is under way waits for a store in its turn, and the engine
/// offers one only when it saves nothing.
pub(crate) fn no_store() -> Error {
    Error::new(ErrorKind::Unavailable, "the room has lost its store: it is offered one")
}

/// Sends changes once the room is known to have a store, else offers the whole content.
pub(crate) async fn save(carrier: &impl Carrier, save: Save<'_>) -> Result<Saved> {
    let present = carrier.store_is_present() == Some(true);
    match save.changes() {
        // A room without a store drops changes without a word.
        Some(changes) if present => carrier.send(changes, save.edit()).await,
        None if present => match carrier.get().await? {
            Some(content) => Ok(Saved::Found(content)),
            None => offer(carrier, save).await,
        },
        _ => offer(carrier, save).await,
    }
}

/// Offers a whole content to a room that perhaps has none, and reads what it has then.
async fn offer(carrier: &impl Carrier, save: Save<'_>) -> Result<Saved> {
    // What the room can never take is refused, and reported, when it is saved as changes.
    let put = carrier.put(&carrier.limits().trim(save.content()), save.edit()).await?;
    match (carrier.get().await?, put) {
        (Some(content), _) => Ok(Saved::Found(content)),
        (None, Put::Created) => Err(Error::new(
            ErrorKind::Refused,
            "the room refused every part of its first content: ask its owner what this client may write",
        )),
        (None, Put::Existed) => {
            Err(Error::new(ErrorKind::Unavailable, "the room was emptied while it was asked for its content"))
        }
    }
}
