//! How a persister of a room loads and saves, whatever carries its messages and requests.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_channel::oneshot;
use roommate::{Changes, Content, EditKey, Error, ErrorKind, Receipt, Result, Save, Saved};

use crate::proto::{Limits, Put, Ticket, closed};

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

/// The calls that wait for a save to be handed over.
#[derive(Debug, Default)]
pub(crate) struct Handing(HashMap<Receipt, oneshot::Sender<Result<()>>>);

/// A save that has begun.
#[derive(Debug)]
pub(crate) enum Begun {
    /// A notice tells of its outcome.
    Later(Receipt),
    Handing(oneshot::Receiver<Result<()>>),
}

impl Handing {
    /// A save that has begun with this ticket. Call it before the client's next output is taken.
    pub(crate) fn begin(&mut self, ticket: Ticket) -> Begun {
        match ticket {
            Ticket::Confirmed(receipt) => Begun::Later(receipt),
            Ticket::Handed(receipt) => {
                let (handed, handing) = oneshot::channel();
                self.0.insert(receipt, handed);
                Begun::Handing(handing)
            }
        }
    }

    /// The outcome of [`RoomClientOutput::Handed`](crate::proto::RoomClientOutput::Handed).
    pub(crate) fn end(&mut self, receipt: Receipt, outcome: Result<()>) {
        // The call may have been dropped.
        let _ = self.0.remove(&receipt).map(|handing| handing.send(outcome));
    }
}

impl Begun {
    /// Resolves when the save is all done, or a notice will tell.
    pub(crate) async fn saved(self) -> Result<Saved> {
        match self {
            Self::Later(receipt) => Ok(Saved::Later(receipt)),
            Self::Handing(handing) => {
                handing.await.map_err(|_| closed())??;
                Ok(Saved::Done)
            }
        }
    }
}
