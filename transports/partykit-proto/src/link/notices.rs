//! The bounded queue between a link and the reader of its notices.

use std::{collections::VecDeque, mem};

use roommate::{Content, Error, MOST_UNCONFIRMED, Notice, Result};

use crate::leaf;

/// Queues notices for a reader that may be slow: a reader that lags has to reload, but loses nothing, and memory stays
/// bounded.
///
/// When more notices are queued than the capacity allows, or too many bytes, the notices about content are dropped and
/// one [`Notice::Stale`] replaces them all. Confirmations are not dropped, because nothing else reports them. They come
/// before that `Stale`: the content that is loaded then has the confirmed changes at their positions. For the same
/// reason, any other notice that arrives before the reader takes the `Stale` is dropped as well.
#[derive(Debug)]
pub struct NoticeQueue {
    capacity: usize,
    queue: VecDeque<Result<Notice>>,
    confirmations: usize,
    errors: usize,
    /// About how many bytes of memory the other notices take.
    weight: usize,
    /// The last notice in the queue is a `Stale` that replaces dropped ones.
    lagging: bool,
}

/// How many confirmations may be queued. This is more than an engine ever lets accumulate, whatever the capacity: an
/// engine does not read while it saves, so a save that waited for it to read would wait for ever.
const MOST_CONFIRMATIONS: usize = 4 * MOST_UNCONFIRMED;
/// About how many bytes may be queued in more than one notice: other clients may write faster than a reader that is
/// loading can follow.
const MOST_BYTES: usize = 64 << 20;

impl NoticeQueue {
    /// Creates a queue of at most `capacity` notices, not counting confirmations. See [`NoticeQueue::is_full`].
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            queue: VecDeque::new(),
            confirmations: 0,
            errors: 0,
            weight: 0,
            lagging: false,
        }
    }

    /// Adds a notice or an error to report.
    pub fn push(&mut self, item: Result<Notice>) {
        match &item {
            Ok(Notice::Confirmed { .. } | Notice::Missing { .. }) => {
                self.confirmations += 1;
                self.push_kept(item);
            }
            Err(_) if self.errors >= self.capacity => {}
            Err(_) => {
                self.errors += 1;
                self.push_kept(item);
            }
            Ok(_) if self.lagging => {}
            // The content that is loaded because of the first serves the second as well.
            Ok(Notice::Stale) if matches!(self.queue.back(), Some(Ok(Notice::Stale))) => {}
            Ok(notice) => {
                self.weight += weight(notice);
                self.queue.push_back(item);
            }
        }
        let count = self.queue.len() - self.confirmations - self.errors;
        if !self.lagging && (count > self.capacity || (count > 1 && self.weight > MOST_BYTES)) {
            self.weight = 0;
            self.queue.retain(|item| matches!(item, Ok(Notice::Confirmed { .. } | Notice::Missing { .. }) | Err(_)));
            self.queue.push_back(Ok(Notice::Stale));
            self.lagging = true;
        }
    }

    /// Removes and returns the next notice or error.
    pub fn pop(&mut self) -> Option<Result<Notice>> {
        let item = self.queue.pop_front()?;
        match &item {
            Ok(Notice::Confirmed { .. } | Notice::Missing { .. }) => self.confirmations -= 1,
            Err(_) => self.errors -= 1,
            Ok(notice) => self.weight -= weight(notice),
        }
        if self.queue.is_empty() {
            self.lagging = false;
        }
        Some(item)
    }

    /// Removes and returns the queued errors, to report them in another way.
    pub fn pop_errors(&mut self) -> Vec<Error> {
        if mem::take(&mut self.errors) == 0 {
            return Vec::new();
        }
        let (errors, rest) = mem::take(&mut self.queue).into_iter().partition::<VecDeque<_>, _>(Result::is_err);
        self.queue = rest;
        errors.into_iter().filter_map(Result::err).collect()
    }

    /// Removes and returns the queued content, if nothing else is queued: then nothing newer is known, and nothing
    /// older is left to report.
    pub fn pop_content(&mut self) -> Option<Content> {
        let is_all = self.queue.len() == 1 && matches!(self.queue.front(), Some(Ok(Notice::Content(_))));
        match is_all.then(|| self.pop()).flatten() {
            Some(Ok(Notice::Content(content))) => Some(content),
            _ => None,
        }
    }

    /// Whether so many confirmations are queued that no more changes should be saved before some are taken. No engine
    /// lets so many accumulate, whatever the capacity.
    pub fn is_full(&self) -> bool {
        self.confirmations >= MOST_CONFIRMATIONS
    }

    /// Whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn push_kept(&mut self, item: Result<Notice>) {
        let end = self.queue.len() - usize::from(self.lagging);
        self.queue.insert(end, item);
    }
}

fn weight(notice: &Notice) -> usize {
    match notice {
        Notice::Changes(changes) => leaf::weight(changes),
        Notice::Content(content) => leaf::weight_of_content(content),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use roommate::{Cell, Changes, Error, ErrorKind, Receipt};

    use super::*;

    fn changes(value: u32) -> Result<Notice> {
        let mut changes = Changes::new();
        changes.set_value("v", value.into());
        Ok(Notice::Changes(changes))
    }

    fn confirmed(receipt: u64) -> Result<Notice> {
        Ok(Notice::Confirmed { receipt: Receipt(receipt), refused: Changes::new() })
    }

    fn drain(queue: &mut NoticeQueue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop())
            .map(|item| match item {
                Ok(Notice::Changes(changes)) => format!("v={:?}", changes.values["v"].as_ref().unwrap().as_f64()),
                Ok(Notice::Confirmed { receipt, .. }) => format!("{}", receipt.0),
                Ok(Notice::Missing { receipt, .. }) => format!("{} is missing", receipt.0),
                Ok(Notice::Stale) => "stale".into(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn what_fits_comes_out_as_it_went_in() {
        let mut queue = NoticeQueue::new(2);
        for item in [changes(1), confirmed(1), changes(2), confirmed(2)] {
            queue.push(item);
        }
        assert_eq!(drain(&mut queue), ["v=Some(1.0)", "1", "v=Some(2.0)", "2"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_slow_reader_is_told_to_load_and_misses_no_confirmation() {
        let mut queue = NoticeQueue::new(2);
        for item in [changes(1), confirmed(1), changes(2), changes(3), confirmed(2), changes(4)] {
            queue.push(item);
        }
        assert_eq!(drain(&mut queue), ["1", "2", "stale"]);
        queue.push(changes(5));
        assert_eq!(drain(&mut queue), ["v=Some(5.0)"], "it has caught up");
    }

    #[test]
    fn what_is_missing_is_kept_as_a_confirmation_is() {
        let mut queue = NoticeQueue::new(1);
        queue.push(Ok(Notice::Missing { receipt: Receipt(1), missing: Changes::new() }));
        for item in [changes(1), changes(2)] {
            queue.push(item);
        }
        assert_eq!(drain(&mut queue), ["1 is missing", "stale"]);
    }

    #[test]
    fn a_confirmation_after_an_overflow_comes_before_the_load_that_has_it() {
        let mut queue = NoticeQueue::new(1);
        queue.push(changes(1));
        queue.push(changes(2));
        queue.push(confirmed(1));
        assert_eq!(queue.pop().unwrap().unwrap(), confirmed(1).unwrap());
        queue.push(changes(3));
        queue.push(confirmed(2));
        assert_eq!(drain(&mut queue), ["2", "stale"]);
    }

    #[test]
    fn a_content_is_for_a_load_only_while_nothing_else_waits() {
        let content = || Ok(Notice::Content(Content::new()));
        let mut queue = NoticeQueue::new(3);
        assert_eq!(queue.pop_content(), None);
        queue.push(content());
        assert_eq!(queue.pop_content(), Some(Content::new()));
        assert!(queue.is_empty());
        queue.push(content());
        queue.push(changes(1));
        assert_eq!(queue.pop_content(), None);
        assert_eq!(queue.pop().unwrap().unwrap(), content().unwrap());
        assert_eq!(queue.pop_content(), None);
        assert_eq!(drain(&mut queue), ["v=Some(1.0)"]);
    }

    #[test]
    fn r8_a_few_notices_that_are_large_are_too_many_as_well() {
        let large = Cell::try_from("x".repeat(1 << 20)).unwrap();
        let mut changes = Changes::new();
        changes.set_cell("t", "r", "c", large.clone());
        changes.set_value("v", large);
        let mut content = Content::new();
        content.apply(&changes);
        let mut queue = NoticeQueue::new(1000);
        for _ in 0..100 {
            queue.push(Ok(Notice::Changes(changes.clone())));
            queue.push(Ok(Notice::Content(content.clone())));
            assert!(queue.weight <= MOST_BYTES && queue.queue.len() <= 32);
        }
        assert_eq!(drain(&mut queue), ["stale"]);
        queue.push(Ok(Notice::Changes(changes.clone())));
        assert_eq!(queue.pop().unwrap().unwrap(), Notice::Changes(changes));
        assert_eq!(queue.weight, 0);
    }

    #[test]
    fn nothing_in_it_grows_without_a_bound() {
        let mut queue = NoticeQueue::new(3);
        for number in 0..100 {
            queue.push(changes(number));
            queue.push(Ok(Notice::Stale));
            queue.push(Err(Error::new(ErrorKind::Refused, "too large")));
        }
        assert!(!queue.is_full());
        assert_eq!(queue.queue.len(), 4, "three errors and a stale");
        for receipt in 0..MOST_CONFIRMATIONS as u64 {
            assert!(!queue.is_full(), "an engine that saves must not wait");
            queue.push(confirmed(receipt));
        }
        assert!(queue.is_full(), "whoever saves more than any engine waits now");
    }
}
