//! What happened of late, for those who come back.

use std::{collections::VecDeque, sync::Arc};

use crate::proto::dialect::encode;

/// The last entries of a room's order, without a gap, up to the present one.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Logged>,
    bytes: usize,
}

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    pub(super) entry: Told,
    /// What it is to its author, if it was a change with an id.
    pub(super) own: Option<OwnChange>,
}

/// The JSON of an entry.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// As all but its author are told it.
    Changed(String),
    /// As all are told it. Its author is told before that what became of its change.
    Created(String),
}

/// What an entry is to the client whose change it was.
#[derive(Clone, Debug)]
pub(in crate::proto::room) struct OwnChange {
    pub(super) client: Arc<str>,
    pub(super) id: u64,
    /// The JSON of what was refused of it, if anything was.
    pub(super) refused: Option<Arc<str>>,
}

impl Log {
    /// Adds what happened last, and forgets the oldest of what is beyond the bounds.
    pub(super) fn push(&mut self, entry: Logged, max_entries: usize, max_bytes: usize) {
        self.bytes += entry.size();
        self.entries.push_back(entry);
        while self.entries.len() > max_entries || self.bytes > max_bytes {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.size();
        }
    }

    /// What happened after `seq`, each with its own `seq`, where `now` is the present one; `None` if that is not known.
    pub(super) fn since(&self, seq: u64, now: u64) -> Option<impl Iterator<Item = (u64, &Logged)>> {
        let missed = usize::try_from(now.checked_sub(seq)?).ok()?;
        let known = self.entries.len().checked_sub(missed)?;
        Some((seq + 1..).zip(self.entries.range(known..)))
    }
}

impl Logged {
    /// Its JSON, as `client` is told it.
    pub(super) fn told_to(&self, client: &str, seq: u64) -> impl Iterator<Item = String> {
        let accepted = |change: &OwnChange, seq| encode::accepted(seq, change.id, change.refused.as_deref());
        let own = self.own_change_of(client);
        let told = match (&self.entry, own) {
            (Told::Changed(told), None) => [Some(told.clone()), None],
            (Told::Changed(_), Some(change)) => [Some(accepted(change, seq)), None],
            (Told::Created(told), own) => [own.map(|change| accepted(change, seq - 1)), Some(told.clone())],
        };
        told.into_iter().flatten()
    }

    /// What it is to `client`, if it was a change of theirs.
    pub(super) fn own_change_of(&self, client: &str) -> Option<&OwnChange> {
        self.own.as_ref().filter(|change| &*change.client == client)
    }

    fn size(&self) -> usize {
        let refused = self.own.as_ref().and_then(|change| change.refused.as_deref()).map_or(0, str::len);
        size_of::<Self>() + self.entry.json().len() + refused
    }
}

impl Told {
    pub(super) fn json(&self) -> &str {
        let (Self::Changed(json) | Self::Created(json)) = self;
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: usize) -> Logged {
        Logged { entry: Told::Changed("x".repeat(bytes)), own: None }
    }

    #[test]
    fn it_reaches_back_as_far_as_its_bounds_let_it() {
        let mut log = Log::default();
        assert_eq!(log.since(0, 0).unwrap().count(), 0, "nothing happened");
        assert!(log.since(1, 0).is_none(), "that is yet to come");
        for _ in 0..5 {
            log.push(entry(1), 3, usize::MAX);
        }
        let seqs = |log: &Log, seq| log.since(seq, 5).map(|entries| entries.map(|(seq, _)| seq).collect::<Vec<_>>());
        assert_eq!(seqs(&log, 5), Some(vec![]));
        assert_eq!(seqs(&log, 3), Some(vec![4, 5]));
        assert_eq!(seqs(&log, 2), Some(vec![3, 4, 5]));
        assert_eq!(seqs(&log, 1), None);
        assert_eq!(seqs(&log, 6), None);
    }

    #[test]
    fn an_entry_too_large_for_it_leaves_nothing_to_resume_from_but_the_present() {
        let mut log = Log::default();
        let max_bytes = 2 * entry(10).size();
        log.push(entry(10), 9, max_bytes);
        log.push(entry(10), 9, max_bytes);
        assert!(log.since(0, 2).is_some());
        log.push(entry(1000), 9, max_bytes);
        assert!(log.since(2, 3).is_none());
        assert!(log.since(3, 3).is_some());
        assert_eq!(log.bytes, 0);
    }
}
