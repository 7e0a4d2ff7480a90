//! The latest records, for clients that return.

use std::collections::VecDeque;

use crate::{
    dialect::encode,
    record::{Decided, Event, Record},
};

/// The last records that have a sequence number of their own, without a gap, up to the present one.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    records: VecDeque<Record>,
    bytes: usize,
}

impl Log {
    /// Adds the newest record, and forgets the oldest ones beyond the bounds.
    pub(super) fn push(&mut self, record: Record, max_records: usize, max_bytes: usize) {
        self.bytes += record.size();
        self.records.push_back(record);
        while self.records.len() > max_records || self.bytes > max_bytes {
            let Some(oldest) = self.records.pop_front() else { return };
            self.bytes -= oldest.size();
        }
    }

    /// The records after `seq`, where `now` is the present sequence number; `None` if some of them are forgotten.
    pub(super) fn since(&self, seq: u64, now: u64) -> Option<impl Iterator<Item = &Record> + Clone> {
        let missed = usize::try_from(now.checked_sub(seq)?).ok()?;
        let known = self.records.len().checked_sub(missed)?;
        Some(self.records.range(known..))
    }
}

/// The JSON of the entries that `client` is sent for a record that has a sequence number of its own.
pub(super) fn entries_for<'a>(record: &'a Record, client: &str) -> impl Iterator<Item = String> + use<'a> {
    let accepted = |decided: &Decided, seq| encode::accepted(seq, decided.id, decided.refused.as_deref());
    let own = own_change_of(record, client);
    let seq = record.seq;
    let entries = match (&record.event, own) {
        (Event::Changed(changes), None) => [Some(encode::changed(seq, changes)), None],
        (Event::Changed(_), Some(own)) => [Some(accepted(own, seq)), None],
        (Event::Created(content), own) => [own.map(|own| accepted(own, seq - 1)), Some(encode::created(seq, content))],
        (Event::Nothing, _) => [None, None],
    };
    entries.into_iter().flatten()
}

/// What a record decided of a change of `client`.
pub(super) fn own_change_of<'a>(record: &'a Record, client: &str) -> Option<&'a Decided> {
    record.decided.as_ref().filter(|_| record.author.as_deref() == Some(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: usize) -> Record {
        let event = Event::Changed("x".repeat(bytes).into());
        Record { number: 1, seq: 1, author: None, decided: None, event }
    }

    #[test]
    fn it_reaches_back_as_far_as_its_bounds_let_it() {
        let mut log = Log::default();
        assert_eq!(log.since(0, 0).unwrap().count(), 0, "nothing happened");
        assert!(log.since(1, 0).is_none(), "that is yet to come");
        for _ in 0..5 {
            log.push(record(1), 3, usize::MAX);
        }
        let missed = |log: &Log, seq| log.since(seq, 5).map(Iterator::count);
        assert_eq!(missed(&log, 5), Some(0));
        assert_eq!(missed(&log, 3), Some(2));
        assert_eq!(missed(&log, 2), Some(3));
        assert_eq!(missed(&log, 1), None);
        assert_eq!(missed(&log, 6), None);
    }

    #[test]
    fn an_entry_too_large_for_it_leaves_nothing_to_resume_from_but_the_present() {
        let mut log = Log::default();
        let max_bytes = 2 * record(10).size();
        log.push(record(10), 9, max_bytes);
        log.push(record(10), 9, max_bytes);
        assert!(log.since(0, 2).is_some());
        log.push(record(1000), 9, max_bytes);
        assert!(log.since(2, 3).is_none());
        assert!(log.since(3, 3).is_some());
        assert_eq!(log.bytes, 0);
    }
}
