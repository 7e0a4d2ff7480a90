//! The epochs of a room: which of a client's sequence numbers are still valid.

use std::sync::Arc;

use super::dialect::Position;

/// One opening of a room.
///
/// An epoch is like a timeline of Postgres: a sequence number has a meaning only together with the epoch in which it
/// was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Increases by 1 with each opening. A commit under an older epoch than the newest is refused.
    pub number: u64,
    /// A random id that no other opening of any room has.
    pub id: Arc<str>,
    /// The room's sequence number when it was opened.
    pub begins: u64,
}

/// The known epochs of a room, oldest first. The last is the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epochs {
    before: Vec<Epoch>,
    present: Epoch,
}

/// How many epochs of a room a storage remembers. A client of an older epoch is sent the whole content.
pub const MAX_EPOCHS: usize = 1000;

impl Epochs {
    /// Creates the list of the epochs `before`, oldest first, and then the `present` one.
    pub fn new(before: Vec<Epoch>, present: Epoch) -> Self {
        Self { before, present }
    }

    /// Creates the list of a room that is not stored, with its first epoch.
    pub fn first(id: impl Into<Arc<str>>) -> Self {
        Self::new(Vec::new(), Epoch { number: 1, id: id.into(), begins: 0 })
    }

    /// The epoch under which the room is open.
    pub fn present(&self) -> &Epoch {
        &self.present
    }

    /// Whether a client at `position` was sent this room's changes up to that position, and no others.
    ///
    /// That holds if the epoch is one of this room's and the sequence number was given in that epoch: not before the
    /// epoch began, and not after the next one began. `now` is the room's sequence number. If the storage was replaced
    /// by an older copy, the epochs since that copy are unknown.
    pub fn know(&self, position: &Position, now: u64) -> bool {
        let mut ends = now;
        for epoch in [&self.present].into_iter().chain(self.before.iter().rev()) {
            if epoch.id == position.epoch {
                return (epoch.begins..=ends).contains(&position.seq);
            }
            ends = epoch.begins;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: u64, id: &str, begins: u64) -> Epoch {
        Epoch { number, id: id.into(), begins }
    }

    #[test]
    fn r5_a_sequence_number_is_known_only_under_the_epoch_that_gave_it() {
        let epochs = Epochs::new(vec![epoch(1, "a", 0), epoch(2, "b", 5), epoch(3, "c", 5)], epoch(4, "d", 9));
        for (id, seq, known) in [
            ("a", 0, true),
            ("a", 5, true),
            ("a", 6, false),
            ("b", 4, false),
            ("b", 5, true),
            ("b", 6, false),
            ("c", 9, true),
            ("c", 10, false),
            ("d", 8, false),
            ("d", 9, true),
            ("d", 12, true),
            ("d", 13, false),
            ("e", 9, false),
        ] {
            assert_eq!(epochs.know(&Position { epoch: id.into(), seq }, 12), known, "{id} {seq}");
        }
    }
}
