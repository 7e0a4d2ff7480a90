//! Changes as a stream, for async code.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_core::Stream;

use crate::{content::Changes, sync::Mutex};

use super::{
    Store,
    commit::Before,
    listeners::Panics,
    shared::{Shared, lock},
};

/// A stream of the changes of a store since the stream was last read: see [`Store::changes`].
///
/// Each item is the net difference between the store at the time of the last item and the store now. A slow reader
/// receives fewer and larger items, never a longer queue: in the meantime, only the old state of the touched rows and
/// values is stored. A cell that was set and then restored is not mentioned.
///
/// The stream never waits for a transaction. It ends once the last [`Store`] that shares the data is gone, and all
/// changes until then have been read.
#[derive(Debug)]
#[must_use = "nothing is kept for a stream that is dropped"]
pub struct ChangesStream {
    shared: Arc<Shared>,
    feed: Arc<Feed>,
}

/// The changes that one stream has not returned yet.
#[derive(Debug, Default)]
pub(super) struct Feed(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    before: Before,
    waker: Option<Waker>,
    closed: bool,
}

impl Store {
    /// Returns the changes from now on, as a [`Stream`].
    ///
    /// To start from the present content, take both the content and the stream in one transaction; otherwise an edit
    /// may come between them. If you take the content after the stream, the first item may repeat changes that the
    /// content already has; applying them again does no harm.
    ///
    /// ```
    /// # use futures_util::StreamExt;
    /// use roommate::{Error, Store};
    ///
    /// let store = Store::new();
    /// let (mut copy, mut changes) = store.transaction(|store| Ok::<_, Error>((store.content(), store.changes())))?;
    ///
    /// store.set_value("open", true)?;
    /// store.set_cell("pets", "fido", "species", "dog")?;
    /// # roommate::block_on(async {
    /// copy.apply(&changes.next().await.expect("the store is still there"));
    /// # });
    /// assert_eq!(copy, store.content());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn changes(&self) -> ChangesStream {
        let feed = Arc::new(Feed::default());
        // A transaction that another thread is committing is either settled by now, or looks for feeds later.
        let state = self.shared.state();
        lock(&self.shared.feeds).push(Arc::clone(&feed));
        self.shared.add_trace();
        drop(state);
        ChangesStream { shared: Arc::clone(&self.shared), feed }
    }
}

impl Shared {
    /// Wakes the readers that may have something to read, now that no transaction is open.
    pub(super) fn wake_feeds(&self, panics: &mut Panics) {
        let feeds = lock(&self.feeds).clone();
        for waker in feeds.iter().filter_map(|feed| feed.due()) {
            panics.catch(|| waker.wake());
        }
    }

    /// Ends the streams: no writer is left.
    pub(super) fn close_feeds(&self) {
        let feeds = lock(&self.feeds).clone();
        for feed in feeds {
            lock(&feed.0).closed = true;
            if let Some(waker) = feed.due() {
                waker.wake();
            }
        }
    }
}

impl Feed {
    /// Adds what a commit replaced. The caller holds the state's lock, and has made that commit visible under it.
    pub(super) fn push(&self, before: Before) {
        lock(&self.0).before.extend(before);
    }

    /// The waker, if the stream has an item or has ended.
    fn due(&self) -> Option<Waker> {
        let mut pending = lock(&self.0);
        if pending.before.is_empty() && !pending.closed { None } else { pending.waker.take() }
    }
}

impl Stream for ChangesStream {
    type Item = Changes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Changes>> {
        // Wakers run code from outside this crate: they are cloned and dropped without a lock.
        let waker = context.waker().clone();
        let state = self.shared.state();
        let mut pending = lock(&self.feed.0);
        // While a transaction is open, even one of this thread, the data may still be rolled back. The end of the
        // transaction wakes the reader.
        if state.writer.is_none() {
            let changes = mem::take(&mut pending.before).changes_to(&state.data);
            if !changes.is_empty() {
                return Poll::Ready(Some(changes));
            }
            if pending.closed {
                return Poll::Ready(None);
            }
        }
        let old = pending.waker.replace(waker);
        drop(pending);
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for ChangesStream {
    fn drop(&mut self) {
        let mut feeds = lock(&self.shared.feeds);
        feeds.retain(|feed| !Arc::ptr_eq(feed, &self.feed));
        drop(feeds);
        self.shared.remove_trace();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        task::Wake,
        thread,
    };

    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::{
        content::{Cell, Content},
        error::{Error, ErrorKind, Result},
        runtime::block_on,
        store::commit::Commit,
    };

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_slow_reader_gets_one_item_with_the_net_difference() {
        let store = Store::new();
        store.set_cell("t", "gone", "c", 1).unwrap();
        store.set_cell("t", "kept", "c", 1).unwrap();
        store.set_cell("u", "r", "c", 1).unwrap();
        let mut changes = store.changes();
        for n in 0..1000 {
            store.set_cell("t", "kept", "c", n).unwrap();
            store.set_value("there and back", n).unwrap();
        }
        store.del_row("t", "gone").unwrap();
        store.del_table("u").unwrap();
        store.del_value("there and back").unwrap();
        let mut expected = Changes::new();
        expected.set_cell("t", "kept", "c", 999.into());
        expected.del_row("t", "gone");
        expected.del_table("u");
        assert_eq!(changes.next().now_or_never(), Some(Some(expected)));
        assert_eq!(changes.next().now_or_never(), None);
    }

    #[test]
    fn what_was_set_and_set_back_wakes_and_is_not_told() {
        let store = Store::new();
        let mut changes = store.changes();
        store.set_value("v", 1).unwrap();
        store.del_value("v").unwrap();
        assert_eq!(changes.next().now_or_never(), None);
    }

    #[test]
    fn a_poll_inside_an_open_transaction_tells_nothing_that_may_be_rolled_back() {
        let store = Store::new();
        let mut changes = store.changes();
        store.set_value("before", 1).unwrap();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let refused = store.transaction(|store| -> Result<()> {
            store.set_value("before", 2)?;
            assert_eq!(changes.poll_next_unpin(&mut context), Poll::Pending);
            Err(Error::new(ErrorKind::Invalid, "no"))
        });
        assert!(refused.is_err());
        assert_eq!(count.0.load(Ordering::SeqCst), 1, "the end of the transaction wakes for what was left");
        let mut expected = Changes::new();
        expected.set_value("before", 1.into());
        assert_eq!(changes.next().now_or_never(), Some(Some(expected)));
    }

    #[test]
    fn it_ends_with_the_last_store_and_not_before_everything_was_told() {
        let store = Store::new();
        let mut changes = store.changes();
        let writer = thread::spawn(move || {
            for n in 0..100 {
                store.set_value("n", n).unwrap();
            }
        });
        let last = block_on(async {
            let mut last = None;
            while let Some(changes) = changes.next().await {
                last = changes.values.get("n").cloned();
            }
            last
        });
        writer.join().unwrap();
        assert_eq!(last, Some(Some(Cell::from(99))));
        assert_eq!(changes.next().now_or_never(), Some(None));
    }

    #[test]
    fn a_stream_that_begins_while_another_thread_commits_tells_that_commit() {
        let store = Store::new();
        let ((committing, is_committing), (let_go, go)) = (mpsc::channel(), mpsc::channel());
        let go = Mutex::new(go);
        let hook = store.on_commit(Arc::new(move |_: &Commit<'_>| {
            committing.send(()).unwrap();
            go.lock().unwrap().recv().unwrap();
        }));
        let other = store.clone();
        let writer = thread::spawn(move || other.set_value("v", 1).unwrap());
        is_committing.recv().unwrap();
        let mut changes = store.changes();
        let mut copy = store.content();
        assert_eq!(copy, Content::new(), "nobody sees it yet");
        let_go.send(()).unwrap();
        writer.join().unwrap();
        copy.apply(&changes.next().now_or_never().expect("there is an item").expect("the store is still there"));
        assert_eq!(copy, store.content());
        drop(hook);
    }

    #[test]
    fn a_dropped_stream_is_forgotten() {
        let store = Store::new();
        drop(store.changes());
        assert!(lock(&store.shared.feeds).is_empty());
    }
}
