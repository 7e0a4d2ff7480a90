//! Connects an engine to a room in its own process.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{Stream, StreamExt, future::BoxFuture, stream::BoxStream};
use roommate::{
    Capability, Changes, Content, Decoded, Error, ErrorKind, Notice, Persister, Receipt, Result, Runtime, Save, Saved,
};
use roommate_partykit_proto::Event;
use tokio::runtime::Handle;

use super::{
    Room,
    feed::{Feed, FeedReceiver, Item, feed},
};
use crate::{
    host::{Author, Edited, HostEdit},
    rooms::Claim,
};

/// Persists a store to a room of this process. Edits are stored, have a position in the room's order, and are sent to
/// every client, like those of any client. The [`Policy`](crate::Policy) is not asked.
///
/// [`Room::store`] is the short way to a store that is in sync with a room. This persister is for an engine with other
/// settings, such as a local copy of its own.
///
/// While an engine watches the room, the room stays open. When the room is closed, or fails to store a change, the
/// engine opens it again. Each edit takes effect once, even if the storage has stored a change and reported an error.
/// The exception is a room that uses only the stock dialect
/// ([`RoomConfig::with_extended`](crate::RoomConfig::with_extended)), because it remembers no clients.
///
/// ```
/// use roommate::{Engine, Store};
/// use roommate_server::{Rooms, ServerConfig};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let rooms = Rooms::new(ServerConfig::new())?;
/// let store = Store::new();
/// let engine = Engine::builder(&store, rooms.room("main", "lobby").persister()).build();
/// engine.start_auto_persisting(None).await?;
/// store.set_value("open", true)?;
/// engine.flush().await?;
/// assert_eq!(rooms.room("main", "lobby").content().await?, Some(store.content()));
/// # engine.destroy().await;
/// # Ok::<(), roommate_server::Error>(())
/// # }).unwrap();
/// ```
pub struct RoomPersister {
    room: Room,
    runtime: Option<Handle>,
    /// The author of the edits: the name by which they are recognised in the room's records.
    client: Mutex<Arc<str>>,
    /// The open stream, if there is one.
    feed: Mutex<Weak<Feed>>,
    /// How many edits the room already had.
    known: AtomicU64,
    is_closed: AtomicBool,
}

impl Room {
    /// Creates a persister of this room, for an engine. The engine runs in the runtime of the rooms.
    pub fn persister(&self) -> RoomPersister {
        RoomPersister {
            room: self.clone(),
            runtime: self.rooms.runtime().cloned().or_else(|| Handle::try_current().ok()),
            client: Mutex::new(self.rooms.unique_name().into()),
            feed: Mutex::default(),
            known: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
        }
    }
}

impl RoomPersister {
    /// Returns the room.
    pub fn room(&self) -> &Room {
        &self.room
    }

    fn check_open(&self) -> Result<()> {
        match self.is_closed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(Error::new(ErrorKind::Closed, "the persister is closed")),
        }
    }

    async fn read(&self) -> Result<Option<Content>> {
        self.room.read().await.map_err(temporary)
    }

    async fn edit(&self, save: &Save<'_>, edit: HostEdit) -> Result<Edited> {
        let author = match save.edit() {
            Some(edit) => Author { name: Some(edit.client.into()), change: Some(edit.number) },
            None => Author { name: Some(Arc::clone(&lock(&self.client))), change: None },
        };
        self.room.edit(author, edit).await.map_err(temporary)
    }

    /// Offers a first content to a room that may have none, and then reads the room's content.
    async fn offer(&self, save: &Save<'_>) -> Result<Saved> {
        self.edit(save, HostEdit::Create(save.content())).await?;
        match self.read().await? {
            Some(content) => Ok(Saved::Found(content)),
            None => Err(Error::new(ErrorKind::Unavailable, "the room was deleted while it was offered a content")),
        }
    }

    /// A receipt for an edit that made no record now: it changes nothing, or the room had it already.
    fn receipt_of_known(&self) -> Receipt {
        // Other receipts are sequence numbers, which count up from below.
        let receipt = u64::MAX - self.known.fetch_add(1, Ordering::Relaxed);
        // Without a stream, the engine saves the edit again when the next stream is open.
        if let Some(feed) = lock(&self.feed).upgrade() {
            feed.push(Item::Known(receipt));
        }
        Receipt(receipt)
    }
}

#[async_trait]
impl Persister for RoomPersister {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        self.check_open()?;
        self.read().await
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        self.check_open()?;
        let Some(changes) = save.changes() else { return self.offer(&save).await };
        match self.edit(&save, HostEdit::Update(changes.clone())).await? {
            // The room has no store. It may have been deleted.
            Edited { seq: 0, .. } => self.offer(&save).await,
            Edited { seq, is_recorded: true } => Ok(Saved::Later(Receipt(seq))),
            Edited { is_recorded: false, .. } => Ok(Saved::Later(self.receipt_of_known())),
        }
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        self.check_open()?;
        let own = Arc::clone(&lock(&self.client));
        let (sender, receiver) = feed(Arc::clone(&own));
        let claim = self.room.watch(sender).await.map_err(temporary)?;
        *lock(&self.feed) = Arc::downgrade(receiver.feed());
        Ok(Notices { receiver, own, next: None, _claim: claim }.boxed())
    }

    fn introduce(&self, client: &str) {
        *lock(&self.client) = client.into();
    }

    fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        Some(Arc::new(Tokio(self.runtime.clone()?)))
    }

    fn place(&self) -> Option<String> {
        Some(format!("room {} of {:?}", self.room.name, self.room.rooms.address()))
    }

    async fn close(&self) -> Result<()> {
        self.is_closed.store(true, Ordering::Release);
        if let Some(feed) = lock(&self.feed).upgrade() {
            feed.close();
        }
        Ok(())
    }
}

impl fmt::Debug for RoomPersister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomPersister").field("room", &self.room.name).finish_non_exhaustive()
    }
}

/// The stream of notices for an engine, made from a room's feed.
struct Notices {
    receiver: FeedReceiver,
    own: Arc<str>,
    /// The notices that follow the last one sent.
    next: Option<Notice>,
    _claim: Claim,
}

impl Notices {
    fn notice(&mut self, item: Item) -> Result<Notice> {
        let record = match item {
            Item::Stored(record) => record,
            Item::Missed => return Ok(Notice::Stale),
            Item::Known(receipt) => {
                self.next = Some(Notice::Stale);
                return Ok(confirmed(receipt));
            }
        };
        match &record.event {
            Event::Changed(_) if record.author.as_ref() == Some(&self.own) => Ok(confirmed(record.seq)),
            Event::Changed(changes) => Ok(Notice::Changes(whole(Changes::from_json(changes)?)?)),
            Event::Created(content) => Ok(Notice::Content(whole(Content::from_json(content)?)?)),
            // It changed nothing, so no feed has it.
            Event::Nothing => Ok(Notice::Stale),
        }
    }
}

impl Stream for Notices {
    type Item = Result<Notice>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Notice>>> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(Some(Ok(next)));
        }
        let item = ready!(self.receiver.poll_next_unpin(context));
        Poll::Ready(item.map(|item| self.notice(item)))
    }
}

fn confirmed(receipt: u64) -> Notice {
    Notice::Confirmed { receipt: Receipt(receipt), refused: Changes::new() }
}

/// What a room encodes contains nothing that a cell cannot hold.
fn whole<T>(read: Decoded<T>) -> Result<T> {
    match read {
        Decoded { value, unrepresentable: 0 } => Ok(value),
        Decoded { .. } => Err(Error::new(ErrorKind::Corrupt, "a record of the room has what no cell can hold")),
    }
}

/// Makes an error temporary if it ended only one opening of the room: the next opening may succeed.
fn temporary(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Closed | ErrorKind::Corrupt | ErrorKind::Unavailable => error,
        _ => {
            let message = format!("the room could not store the edit, and is opened again: {error}");
            Error::with_source(ErrorKind::Unavailable, message, error)
        }
    }
}

/// Tokio, as a runtime for engines.
#[derive(Debug)]
struct Tokio(Handle);

impl Runtime for Tokio {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // A sleep belongs to the runtime in which it is created.
        let _entered = self.0.enter();
        Box::pin(tokio::time::sleep(duration))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
