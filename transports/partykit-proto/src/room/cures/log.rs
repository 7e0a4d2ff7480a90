//! The latest broadcasts.

use std::collections::VecDeque;

use roommate::Changes;

use super::leaf;
use crate::policy::ConnectionId;

/// How many assignments are stored, and in how many broadcasts.
const MAX_LEAVES: usize = 16 * 1024;
const MAX_BROADCASTS: usize = 256;

/// The last broadcasts, with the moment of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    broadcasts: VecDeque<Broadcast>,
    leaves: usize,
    /// The moment of the newest forgotten broadcast.
    forgotten: u64,
}

#[derive(Clone, Debug)]
struct Broadcast {
    at: u64,
    author: Option<ConnectionId>,
    changes: Changes,
    leaves: usize,
}

impl Log {
    pub(super) fn push(&mut self, at: u64, author: Option<ConnectionId>, changes: &Changes) {
        let leaves = leaf::size(changes);
        if leaves > MAX_LEAVES {
            self.forget(at);
            self.forgotten = at;
            return;
        }
        self.leaves += leaves;
        self.broadcasts.push_back(Broadcast { at, author, changes: changes.clone(), leaves });
        while self.leaves > MAX_LEAVES || self.broadcasts.len() > MAX_BROADCASTS {
            self.pop();
        }
    }

    /// The changes that `reader` was sent after the moment `seen`; `None` if some of them are forgotten.
    pub(super) fn after(&self, seen: u64, reader: ConnectionId) -> Option<impl Iterator<Item = &Changes>> {
        (seen >= self.forgotten).then(|| {
            let later = self.broadcasts.iter().rev().take_while(move |broadcast| broadcast.at > seen);
            later.filter(move |broadcast| broadcast.author != Some(reader)).map(|broadcast| &broadcast.changes)
        })
    }

    /// Forgets the broadcasts up to the moment `seen`.
    pub(super) fn forget(&mut self, seen: u64) {
        while self.broadcasts.front().is_some_and(|broadcast| broadcast.at <= seen) {
            self.pop();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.broadcasts.is_empty()
    }

    /// The moment of the last broadcast.
    pub(super) fn last(&self) -> u64 {
        self.broadcasts.back().map_or(self.forgotten, |broadcast| broadcast.at)
    }

    fn pop(&mut self) {
        if let Some(broadcast) = self.broadcasts.pop_front() {
            self.leaves -= broadcast.leaves;
            self.forgotten = broadcast.at;
        }
    }
}
