//! A feed: what a room sends to a reader in its own process. It sends each record as soon as it is stored.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_util::Stream;
use roommate_partykit_proto::{Event, Record};

/// How many items, and bytes of their records, may wait for the reader.
const MAX_ITEMS: usize = 4096;
const MAX_BYTES: usize = 8 << 20;

/// An item of a feed, in the room's order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// A record was stored.
    Stored(Record),
    /// Records were left out, because the reader was too slow. It has to read the content.
    Missed,
    /// An edit of the reader was stored before the feed began. Its effect may have been overwritten by now.
    Known(u64),
}

/// The room's end of a feed. Dropping it ends the feed.
#[derive(Debug)]
pub(crate) struct FeedSender(Arc<Feed>);

/// The reader's end of a feed. When it is dropped, the room forgets the feed.
#[derive(Debug)]
pub(crate) struct FeedReceiver(Arc<Feed>);

/// A queue of bounded length. If the reader is too slow, the queue leaves out other authors' records. It does not leave
/// out the reader's own, because only they show the outcome of the reader's edits.
#[derive(Debug)]
pub(crate) struct Feed {
    /// The author of the reader's own edits.
    own: Arc<str>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    waker: Option<Waker>,
    /// One of the two ends is gone.
    is_closed: bool,
}

/// Creates a feed for a reader whose own edits have this author.
pub(crate) fn feed(own: Arc<str>) -> (FeedSender, FeedReceiver) {
    let feed = Arc::new(Feed { own, queue: Mutex::default() });
    (FeedSender(Arc::clone(&feed)), FeedReceiver(feed))
}

impl FeedSender {
    /// Sends a record. Returns `false` if the reader is gone.
    pub(crate) fn send(&self, record: Record) -> bool {
        let is_open = !self.0.queue().is_closed;
        if is_open && record.event != Event::Nothing {
            self.0.push(Item::Stored(record));
        }
        is_open
    }
}

impl FeedReceiver {
    /// Returns the feed, so that the reader can add items of its own.
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.0
    }
}

impl Feed {
    /// Adds an item at the end.
    pub(crate) fn push(&self, item: Item) {
        let mut queue = self.queue();
        let bytes = size(&item);
        if queue.items.len() >= MAX_ITEMS || queue.bytes + bytes > MAX_BYTES && !queue.items.is_empty() {
            queue.leave_out(&self.own);
        }
        queue.bytes += bytes;
        queue.items.push_back(item);
        queue.wake();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the feed.
    pub(crate) fn close(&self) {
        let mut queue = self.queue();
        queue.is_closed = true;
        queue.wake();
    }
}

impl Queue {
    /// Leaves out other authors' records. The reader's own records stay in order. Their position among the others does
    /// not matter, since the reader reads the content afterwards.
    fn leave_out(&mut self, own: &str) {
        self.items.retain(|item| match item {
            Item::Stored(record) => record.author.as_deref() == Some(own),
            Item::Known(_) => true,
            Item::Missed => false,
        });
        self.items.push_back(Item::Missed);
        self.bytes = self.items.iter().map(size).sum();
    }

    fn wake(&mut self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

fn size(item: &Item) -> usize {
    match item {
        Item::Stored(Record { event: Event::Changed(json) | Event::Created(json), .. }) => json.len(),
        _ => 0,
    }
}

impl Stream for FeedReceiver {
    type Item = Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        let mut queue = self.0.queue();
        match queue.items.pop_front() {
            Some(item) => {
                queue.bytes -= size(&item);
                Poll::Ready(Some(item))
            }
            None if queue.is_closed => Poll::Ready(None),
            None => {
                queue.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for FeedSender {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Drop for FeedReceiver {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn record(seq: u64, author: &str, event: Event) -> Record {
        Record { number: seq, seq, author: Some(author.into()), decided: None, event }
    }

    fn changed(seq: u64, author: &str) -> Record {
        record(seq, author, Event::Changed("[{},{},1]".into()))
    }

    fn rest(mut receiver: FeedReceiver) -> Vec<Item> {
        std::iter::from_fn(|| receiver.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn records_come_in_order_until_the_room_is_gone() {
        let (sender, receiver) = feed("me".into());
        assert!(sender.send(changed(1, "me")) && sender.send(record(1, "me", Event::Nothing)));
        assert!(sender.send(changed(2, "you")));
        drop(sender);
        assert_eq!(rest(receiver), [Item::Stored(changed(1, "me")), Item::Stored(changed(2, "you"))]);
    }

    #[test]
    fn a_room_that_nobody_reads_from_forgets_the_feed() {
        let (sender, receiver) = feed("me".into());
        drop(receiver);
        assert!(!sender.send(changed(1, "me")));
    }

    #[test]
    fn r4_a_slow_reader_misses_what_others_did_and_not_what_became_of_its_own() {
        let (sender, receiver) = feed("me".into());
        let count = MAX_ITEMS as u64;
        for seq in 1..=count {
            sender.send(changed(seq, if seq % 1000 == 0 { "me" } else { "you" }));
        }
        receiver.feed().push(Item::Known(7));
        sender.send(changed(count + 1, "you"));
        let own = (1..=count / 1000).map(|n| Item::Stored(changed(n * 1000, "me")));
        let after = [Item::Missed, Item::Known(7), Item::Stored(changed(count + 1, "you"))];
        assert_eq!(rest(receiver), own.chain(after).collect::<Vec<_>>());
    }

    #[test]
    fn r8_the_bytes_that_wait_are_bounded_and_one_record_always_fits() {
        let (sender, receiver) = feed("me".into());
        let large = || record(1, "you", Event::Changed("x".repeat(MAX_BYTES / 2 + 1).into()));
        sender.send(large());
        sender.send(large());
        assert_eq!(rest(receiver), [Item::Missed, Item::Stored(large())]);
        let (sender, receiver) = feed("me".into());
        let huge = record(1, "you", Event::Changed("x".repeat(2 * MAX_BYTES).into()));
        sender.send(huge.clone());
        assert_eq!(rest(receiver), [Item::Stored(huge)]);
    }
}
