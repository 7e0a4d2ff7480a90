//! What a client missed that only storage has.

use std::sync::Arc;

use roommate::{Content, Result};

use super::Extended;
use crate::{
    policy::ConnectionId,
    record::{Event, Record},
    room::Output,
    storage::StoredCommit,
};

/// A client waits for what storage has of what it missed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recall {
    /// It has taken in what happened up to this sequence number.
    after: u64,
    /// Storage has at least what happened up to this one.
    asked_at: u64,
}

impl Recall {
    pub(super) fn new(after: u64, asked_at: u64) -> Self {
        Self { after, asked_at }
    }

    /// The records that the client missed, up to where they were asked for: without a gap, or not at all.
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
    /// Storage has read what a connection missed. Sends it that, or the whole content where that is not all that it missed.
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
        // What cannot be read is no reason to keep the client waiting: the content is there.
        let missed = recall.missed(commits).ok().flatten();
        let resumed = missed.and_then(|missed| self.resumed(&client, recall.after, seq, &missed));
        let message = resumed.unwrap_or_else(|| self.snapshot(&client, seq, content()));
        Some(self.send(connection, &message))
    }
}
