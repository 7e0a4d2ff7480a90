//! What has changed since contents were handed out that some client may yet load.

use std::collections::BTreeSet;

use roommate::{Changes, Content};

use super::{
    leaf::{Leaf, leaves},
    member::{Due, MAX_LEAVES},
};

/// What has changed since contents were handed out, as far as they may be under way: no answer is for two ticks.
#[derive(Clone, Debug, Default)]
pub(super) struct Loads {
    /// What has changed since the first that was answered between the last two ticks.
    older: Option<BTreeSet<Leaf>>,
    /// What has changed since the first that was answered after the last tick.
    newer: Option<BTreeSet<Leaf>>,
}

impl Loads {
    /// The content was handed out.
    pub(super) fn answered(&mut self) {
        self.newer.get_or_insert_default();
    }

    /// `changes` are about to be applied to `contents`.
    pub(super) fn changing(&mut self, changes: &Changes, contents: &Content) {
        for changed in [&mut self.older, &mut self.newer].into_iter().flatten() {
            // One too many tells that there are others.
            let room = (MAX_LEAVES + 1).saturating_sub(changed.len());
            changed.extend(leaves(changes, contents).take(room));
        }
    }

    /// Some time has passed. Returns what has changed behind a content that is under way no more.
    pub(super) fn tick(&mut self) -> Due {
        match std::mem::replace(&mut self.older, self.newer.take()) {
            Some(changed) if changed.len() > MAX_LEAVES => Due::Everything,
            Some(changed) if !changed.is_empty() => Due::Leaves(changed.into_iter().collect()),
            Some(_) | None => Due::Nothing,
        }
    }

    /// Whether an answer may be on its way.
    pub(super) fn is_any(&self) -> bool {
        self.older.is_some() || self.newer.is_some()
    }
}
