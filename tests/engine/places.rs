//! Places that do what a story says.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use futures_core::{Stream, stream::BoxStream};
use roommate::{Capability, Changes, Content, Notice, Persister, Receipt, Result, Save, Saved};

/// A shared place that confirms a save when the story says so, and in the order that it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(Arc<Mutex<State>>);

/// A place of one's own, such as a file: saves are durable at once, and somebody else's writes are noticed.
#[derive(Clone, Debug, Default)]
pub(crate) struct File(Arc<Mutex<State>>);

/// A place of one's own that nobody can watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variable(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    content: Option<Content>,
    /// Every save, with its changes.
    saves: Vec<(Content, Option<Changes>)>,
    /// The number of the edit of every save.
    edits: Vec<Option<u64>>,
    open: Vec<(Receipt, Changes)>,
    receipts: u64,
    told: VecDeque<Notice>,
    waker: Option<Waker>,
}

impl Room {
    pub(crate) fn holding(content: Content) -> Self {
        let room = Self::default();
        lock(&room.0).content = Some(content);
        room
    }

    /// What is on its way and not confirmed.
    pub(crate) fn open(&self) -> Vec<Changes> {
        lock(&self.0).open.iter().map(|(_, changes)| changes.clone()).collect()
    }

    /// Accepts the n-th of what is open.
    pub(crate) fn confirm(&self, n: usize) {
        let mut state = lock(&self.0);
        let (receipt, changes) = state.open.remove(n);
        state.content.get_or_insert_default().apply(&changes);
        state.tell(Notice::Confirmed { receipt, refused: Changes::new() });
    }

    /// Refuses all of the n-th of what is open.
    pub(crate) fn refuse(&self, n: usize) {
        let mut state = lock(&self.0);
        let (receipt, refused) = state.open.remove(n);
        state.tell(Notice::Confirmed { receipt, refused });
    }

    /// Shows nothing of the n-th of what is open, and does not know why.
    pub(crate) fn lose(&self, n: usize) {
        let mut state = lock(&self.0);
        let (receipt, missing) = state.open.remove(n);
        state.tell(Notice::Missing { receipt, missing });
    }

    /// Forgets everything, as if nothing had ever been saved.
    pub(crate) fn empty(&self) {
        let mut state = lock(&self.0);
        state.content = None;
        state.tell(Notice::Stale);
    }

    /// The number of the edit of every save.
    pub(crate) fn saves(&self) -> Vec<Option<u64>> {
        lock(&self.0).edits.clone()
    }

    /// Accepts somebody's changes.
    pub(crate) fn others_write(&self, changes: Changes) {
        let mut state = lock(&self.0);
        state.content.get_or_insert_default().apply(&changes);
        state.tell(Notice::Changes(changes));
    }

    pub(crate) fn content(&self) -> Option<Content> {
        lock(&self.0).content.clone()
    }
}

impl File {
    /// Somebody else writes the file, or deletes it.
    pub(crate) fn others_write(&self, content: Option<Content>) {
        let mut state = lock(&self.0);
        state.content = content;
        state.tell(Notice::Stale);
    }

    pub(crate) fn content(&self) -> Option<Content> {
        lock(&self.0).content.clone()
    }
}

impl Variable {
    pub(crate) fn holding(content: Content) -> Self {
        let variable = Self::default();
        lock(&variable.0).content = Some(content);
        variable
    }

    pub(crate) fn content(&self) -> Option<Content> {
        lock(&self.0).content.clone()
    }

    pub(crate) fn saves(&self) -> Vec<(Content, Option<Changes>)> {
        lock(&self.0).saves.clone()
    }
}

#[async_trait]
impl Persister for Room {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        Ok(self.content())
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        lock(&self.0).edits.push(save.edit().map(|edit| edit.number));
        let Some(changes) = save.changes() else {
            let offered = save.content();
            let mut state = lock(&self.0);
            if let Some(content) = &state.content {
                return Ok(Saved::Found(content.clone()));
            }
            state.content = Some(offered);
            return Ok(Saved::Done);
        };
        let mut state = lock(&self.0);
        state.receipts += 1;
        let receipt = Receipt(state.receipts);
        state.open.push((receipt, changes.clone()));
        Ok(Saved::Later(receipt))
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        Ok(watch(&self.0))
    }
}

#[async_trait]
impl Persister for File {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        Ok(self.content())
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        let content = save.content();
        lock(&self.0).content = Some(content);
        Ok(Saved::Done)
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        Ok(watch(&self.0))
    }
}

#[async_trait]
impl Persister for Variable {
    fn capability(&self) -> Capability {
        Capability::default()
    }

    async fn load(&self) -> Result<Option<Content>> {
        Ok(self.content())
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        let content = save.content();
        let mut state = lock(&self.0);
        state.saves.push((content.clone(), save.changes().cloned()));
        state.content = Some(content);
        Ok(Saved::Done)
    }
}

impl State {
    fn tell(&mut self, notice: Notice) {
        self.told.push_back(notice);
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

fn watch(state: &Arc<Mutex<State>>) -> BoxStream<'static, Result<Notice>> {
    lock(state).told.clear();
    Box::pin(Notices(state.clone()))
}

struct Notices(Arc<Mutex<State>>);

impl Stream for Notices {
    type Item = Result<Notice>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = lock(&self.0);
        match state.told.pop_front() {
            Some(notice) => Poll::Ready(Some(Ok(notice))),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
