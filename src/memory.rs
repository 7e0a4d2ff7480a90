//! A backend in memory: the simplest one, and the model of what a shared backend does.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use futures_core::{Stream, stream::BoxStream};

use crate::{
    content::{Changes, Content},
    error::Result,
    persister::{Capability, Notice, Persister, Receipt, Save, Saved},
    sync::{Mutex, MutexGuard},
};

/// How many notices are queued for a client that does not read them. Beyond that, [`Notice::Stale`] replaces them and
/// the client loads.
const BUFFER: usize = 1024;

/// A backend in memory that the clients of one process share. Cheap to clone; clones are the same backend.
///
/// It orders changes as they arrive. It notifies each client, in that order, of the changes of others and of the
/// positions of the client's own changes. Its content is gone when its last clone is dropped.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Place>>);

/// Connects one client to a [`Memory`].
#[derive(Debug)]
pub struct MemoryPersister {
    place: Memory,
    /// The queued notices of its stream.
    mailbox: Arc<Mutex<Mailbox>>,
}

#[derive(Debug, Default)]
struct Place {
    content: Option<Content>,
    mailboxes: Vec<Weak<Mutex<Mailbox>>>,
    accepted: u64,
}

#[derive(Debug, Default)]
struct Mailbox {
    open: bool,
    notices: VecDeque<Notice>,
    waker: Option<Waker>,
}

struct Notices(Arc<Mutex<Mailbox>>);

impl Memory {
    /// Creates a backend that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a persister for one client.
    pub fn client(&self) -> MemoryPersister {
        let mailbox = Arc::default();
        lock(&self.0).mailboxes.push(Arc::downgrade(&mailbox));
        MemoryPersister { place: self.clone(), mailbox }
    }

    /// Returns the content, or `None` if nothing was ever saved.
    pub fn content(&self) -> Option<Content> {
        lock(&self.0).content.clone()
    }

    /// Changes the content as a client without a store would.
    pub fn apply_changes(&self, changes: &Changes) {
        lock(&self.0).accept(changes, None);
    }
}

#[async_trait]
impl Persister for MemoryPersister {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    fn place(&self) -> Option<String> {
        Some(format!("memory {:p}", Arc::as_ptr(&self.place.0)))
    }

    async fn load(&self) -> Result<Option<Content>> {
        Ok(self.place.content())
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        if let Some(changes) = save.changes() {
            return Ok(Saved::Later(lock(&self.place.0).accept(changes, Some(&self.mailbox))));
        }
        // Built before the backend is locked, because building it locks the store.
        let offered = save.content();
        let mut place = lock(&self.place.0);
        if let Some(content) = &place.content {
            return Ok(Saved::Found(content.clone()));
        }
        place.content = Some(offered.clone());
        for mailbox in place.others(&self.mailbox) {
            lock(&mailbox).put(Notice::Content(offered.clone()));
        }
        Ok(Saved::Done)
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        let mut mailbox = lock(&self.mailbox);
        mailbox.open = true;
        mailbox.notices.clear();
        drop(mailbox);
        Ok(Box::pin(Notices(self.mailbox.clone())))
    }
}

impl Place {
    fn accept(&mut self, changes: &Changes, author: Option<&Arc<Mutex<Mailbox>>>) -> Receipt {
        self.content.get_or_insert_default().apply(changes);
        self.accepted += 1;
        let receipt = Receipt(self.accepted);
        self.mailboxes.retain(|mailbox| mailbox.strong_count() > 0);
        for mailbox in self.mailboxes.iter().filter_map(Weak::upgrade) {
            let notice = if author.is_some_and(|author| Arc::ptr_eq(author, &mailbox)) {
                Notice::Confirmed { receipt, refused: Changes::new() }
            } else {
                Notice::Changes(changes.clone())
            };
            lock(&mailbox).put(notice);
        }
        receipt
    }

    fn others(&self, author: &Arc<Mutex<Mailbox>>) -> Vec<Arc<Mutex<Mailbox>>> {
        let mailboxes = self.mailboxes.iter().filter_map(Weak::upgrade);
        mailboxes.filter(|mailbox| !Arc::ptr_eq(author, mailbox)).collect()
    }
}

impl Mailbox {
    fn put(&mut self, notice: Notice) {
        if !self.open {
            return;
        }
        if self.notices.len() >= BUFFER {
            // A client that lags this far loads. Only confirmations stay queued, because a load does not report them.
            self.notices.retain(|notice| matches!(notice, Notice::Confirmed { .. }));
            self.notices.push_back(Notice::Stale);
        }
        self.notices.push_back(notice);
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl Stream for Notices {
    type Item = Result<Notice>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut mailbox = lock(&self.0);
        match mailbox.notices.pop_front() {
            Some(notice) => Poll::Ready(Some(Ok(notice))),
            None => {
                mailbox.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let mut mailbox = lock(&self.0);
        mailbox.open = false;
        mailbox.notices.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
