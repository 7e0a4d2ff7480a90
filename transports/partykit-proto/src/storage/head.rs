//! The checks that a storage makes before it stores something.

use std::sync::Arc;

use roommate::{Error, ErrorKind, Result};

use super::{Commit, StoredSnapshot};
use crate::epochs::Epoch;

/// The end of a room's log, as far as it decides what a storage may store next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the newest epoch.
    pub epoch: u64,
    /// The id of the newest epoch.
    pub epoch_id: Arc<str>,
    /// The number of the last record.
    pub last: u64,
}

impl Head {
    fn check(&self, epoch: &Epoch) -> Result<()> {
        let is_newest = self.epoch == epoch.number && self.epoch_id == epoch.id;
        if is_newest { Ok(()) } else { Err(fenced()) }
    }
}

impl Commit {
    /// Checks that a storage may store this commit after `head`, the end of the room's log; `None` if the room is not
    /// stored.
    ///
    /// # Errors
    ///
    /// As [`Storage::commit`](super::Storage::commit).
    pub fn check(&self, head: Option<&Head>) -> Result<()> {
        if self.records.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "a commit has at least one record"));
        }
        let last = match head {
            Some(head) => head.check(&self.epoch).map(|()| head.last)?,
            // A later epoch belongs to a room that was stored, and that was deleted since.
            None if self.epoch.number != 1 => return Err(fenced()),
            None => 0,
        };
        if self.first() != last.saturating_add(1) {
            let message = format!("record {} does not follow the last one that is stored, {last}", self.first());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }
}

impl StoredSnapshot {
    /// Checks that a storage may store this snapshot for a room with the end `head`, whose newest snapshot has the
    /// number `newest`; `None` if it has no snapshot.
    ///
    /// # Errors
    ///
    /// As [`Storage::snapshot`](super::Storage::snapshot).
    pub fn check(&self, head: Option<&Head>, newest: Option<u64>) -> Result<()> {
        let head = head.ok_or_else(fenced)?;
        head.check(&self.epoch)?;
        if self.number > head.last {
            let message = format!("the snapshot has record {}, and the last one stored is {}", self.number, head.last);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if let Some(newest) = newest.filter(|newest| *newest > self.number) {
            let message = format!("the snapshot of record {} comes after the one of record {newest}", self.number);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }
}

fn fenced() -> Error {
    Error::new(
        ErrorKind::Refused,
        "the room was opened again or deleted since: this owner may not write to it any more",
    )
}
