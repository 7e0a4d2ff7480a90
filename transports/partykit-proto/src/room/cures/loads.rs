//! What has changed since requests were answered with a content that a client may still load.

use std::collections::BTreeSet;

use roommate::{Changes, Content};

use super::{
    leaf::{Leaf, leaves},
    member::{Due, MAX_LEAVES},
};

/// What has changed since requests were answered, as long as their answers may be in flight. No answer is in flight for
/// two ticks.
#[derive(Clone, Debug, Default)]
pub(super) struct Loads {
    /// What has changed since the first answer between the last two ticks.
    older: Option<BTreeSet<Leaf>>,
    /// What has changed since the first answer after the last tick.
    newer: Option<BTreeSet<Leaf>>,
}

impl Loads {
    /// Notes that a request was answered with the content.
    pub(super) fn answered(&mut self) {
        self.newer.get_or_insert_default();
    }

    /// Notes that `changes` are about to be applied to `contents`.
    pub(super) fn changing(&mut self, changes: &Changes, contents: &Content) {
        for changed in [&mut self.older, &mut self.newer].into_iter().flatten() {
            // One leaf too many shows that there are more.
            let room = (MAX_LEAVES + 1).saturating_sub(changed.len());
            changed.extend(leaves(changes, contents).take(room));
        }
    }

    /// Handles a tick. Returns what has changed after an answer that is no longer in flight.
    pub(super) fn tick(&mut self) -> Due {
        match std::mem::replace(&mut self.older, self.newer.take()) {
            Some(changed) if changed.len() > MAX_LEAVES => Due::Everything,
            Some(changed) if !changed.is_empty() => Due::Leaves(changed.into_iter().collect()),
            Some(_) | None => Due::Nothing,
        }
    }

    /// Whether an answer may be in flight.
    pub(super) fn is_any(&self) -> bool {
        self.older.is_some() || self.newer.is_some()
    }
}
