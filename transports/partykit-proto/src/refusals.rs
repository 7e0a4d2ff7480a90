//! The refusals that a server remembers for one client until the client acknowledges them. Both ends count them alike.
//!
//! The invariant: *no change is decided while the server remembers more than the bound*. So the server never remembers
//! more than the bound and one change beyond it, and a client that counts every change in flight as refused never
//! exceeds the bound.

use std::collections::BTreeMap;

/// A number of refusals, and the number of bytes of their JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// The server decides no further change of a client that has more unacknowledged refusals than this.
pub(super) const MOST_REFUSED: Tally = Tally { count: 256, bytes: 1 << 20 };

/// A client does not believe a server that reports more refusals than this many times the bound.
const INCREDIBLE: usize = 4;

/// The sizes of the refusals that a server remembers, by the ids of the changes, as far as a client knows them.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    sizes: BTreeMap<u64, usize>,
    bytes: usize,
}

impl Tally {
    /// Adds one refusal of this many bytes.
    pub(super) fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether the tally exceeds `most`, in number or in bytes.
    pub(super) fn exceeds(self, most: Self) -> bool {
        self.count > most.count || self.bytes > most.bytes
    }
}

impl Remembered {
    /// Records that a change was refused, with this many bytes.
    pub(super) fn insert(&mut self, id: u64, bytes: usize) {
        self.bytes -= self.sizes.insert(id, bytes).unwrap_or(0);
        self.bytes += bytes;
    }

    /// Drops all refusals up to `id`, which the client has acknowledged.
    pub(super) fn forget_up_to(&mut self, id: u64) {
        while let Some(first) = self.sizes.first_entry().filter(|first| *first.key() <= id) {
            self.bytes -= first.remove();
        }
    }

    /// Returns the id of the newest refusal below `id`.
    pub(super) fn newest_below(&self, id: u64) -> Option<u64> {
        self.sizes.range(..id).next_back().map(|(id, _)| *id)
    }

    pub(super) fn tally(&self) -> Tally {
        Tally { count: self.sizes.len(), bytes: self.bytes }
    }

    /// Whether these are more refusals than any server that respects the bound remembers. The newest refusal is not
    /// counted: it may have exceeded the bound, and the refused parts of a first content are as large as that content.
    pub(super) fn is_incredible(&self, most: Tally) -> bool {
        let Some((_, newest)) = self.sizes.last_key_value() else { return false };
        let others = Tally { count: self.sizes.len() - 1, bytes: self.bytes - newest };
        others.exceeds(Tally { count: INCREDIBLE * most.count, bytes: INCREDIBLE * most.bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_all_but_the_newest_keep_to_the_bound_or_are_not_believed() {
        let most = Tally { count: 2, bytes: 10 };
        let mut remembered = Remembered::default();
        remembered.insert(1, 1000);
        assert!(remembered.tally().exceeds(most) && !remembered.is_incredible(most), "a first content");
        remembered.insert(2, 1);
        assert!(remembered.is_incredible(most), "nothing is decided behind that");
        remembered.forget_up_to(1);
        assert_eq!(remembered.tally(), Tally { count: 1, bytes: 1 });
        (2..=10).for_each(|id| remembered.insert(id, 1));
        assert!(!remembered.is_incredible(most), "told twice is once");
        remembered.insert(11, 1);
        assert!(remembered.is_incredible(most));
        assert_eq!((remembered.newest_below(11), remembered.newest_below(2)), (Some(10), None));
    }
}
