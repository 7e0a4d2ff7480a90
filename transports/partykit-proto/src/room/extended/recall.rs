//! Records that a client missed and that only the storage still has.

use std::sync::Arc;

use roommate::{Content, Result};

use super::Extended;
use crate::{
    policy::ConnectionId,
    record::{Event, Record},
    room::Output,
    storage::StoredCommit,
};

/// A client that waits for the storage to read what it missed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recall {
    /// The sequence number up to which the client has applied the room's changes.
    after: u64,
    /// The sequence number up to which the storage has them, at least.
    asked_at: u64,
}

impl Recall {
    pub(super) fn new(after: u64, asked_at: u64) -> Self {
        Self { after, asked_at }
    }

    /// The records that the client missed, up to `asked_at` and without a gap; `None` if there is a gap.
    fn missed(self, commits: &[StoredCommit]) -> Result<Option<Vec<Record>>> {
        let mut missed = Vec::new();
        for commit in commits {
            for record in Record::decode_lines(&commit.records)? {
                let takes_a_place = !matches!(record.event, Event::Nothing);
                if takes_a_place && record.seq > self.after && record.seq <= self.asked_at {
                    missed.push(record);
                }
            }
        }
        let is_whole = (self.after + 1..).zip(&missed).all(|(seq, record)| record.seq == seq)
            && missed.last().map_or(self.after, |record| record.seq) == self.asked_at;
        Ok(is_whole.then_some(missed))
    }
}

impl Extended {
    /// Handles what the storage has read for a connection. Sends the connection what it missed, or the whole content if
    /// the storage does not have all of that.
    pub(in crate::room) fn recalled(
        &mut self,
        connection: ConnectionId,
        commits: &[StoredCommit],
        seq: u64,
        content: impl FnOnce() -> Option<Content>,
    ) -> Option<Output> {
        let member = self.members.get_mut(&connection)?;
        let recall = member.recall.take()?;
        let client = Arc::clone(member.client.as_ref()?);
        self.readers = None;
        if self.members.get(&connection).is_some_and(|member| member.behind) {
            return None;
        }
        // If the records cannot be read, the client need not wait: the room has the content.
        let missed = recall.missed(commits).ok().flatten();
        let resumed = missed.and_then(|missed| self.resumed(&client, recall.after, seq, &missed));
        let message = resumed.unwrap_or_else(|| self.snapshot(&client, seq, content()));
        Some(self.send(connection, &message))
    }
}
