//! What a storage decides before it stores something.

use std::sync::Arc;

use roommate::{Error, ErrorKind, Result};

use super::{Commit, StoredSnapshot};
use crate::epochs::Epoch;

/// What a storage has of a room, as far as it decides whether something is stored after it.
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
    /// Checks that a storage may store this for a room of which it has `head`; `None` if the room is not stored.
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
            // Later epochs are of a room that was stored: it was deleted since.
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
    /// Checks that a storage may store this for a room of which it has `head`, and whose newest snapshot has the number
    /// `newest`; `None` if there is none.
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
