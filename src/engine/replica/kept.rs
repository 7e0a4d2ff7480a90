//! What an outbox stores of the unconfirmed edits, and how an earlier run's edits are restored.

use super::{Edit, EditId, Replica, Stage, View};
use crate::content::Changes;

/// All unconfirmed edits, to be stored in an outbox.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// The revision of the list of edits.
    pub(crate) revision: u64,
    /// The newest edit ever made.
    pub(crate) made: EditId,
    /// Once this is stored, edits up to this one may be saved.
    pub(crate) up_to: EditId,
    /// Oldest first.
    pub(crate) edits: Vec<(EditId, Changes)>,
}

/// How many edits an outbox stores separately. Any further edits are gathered in one.
const MAX_SEALED: usize = 1024;

impl Replica {
    /// Returns all unconfirmed edits. The waiting edit is closed to further changes. If the engine `gathers` edits, it
    /// is not closed: it is stored as it is so far, and may not be saved yet.
    pub(crate) fn seal(&mut self, gathers: bool) -> Sealed {
        if !gathers {
            self.close();
        }
        let up_to = match self.edits.back() {
            Some(last) if last.stage == Stage::Waiting => EditId(last.id.0 - 1),
            Some(last) => last.id,
            None => EditId(self.made),
        };
        let edits = self.edits.iter().map(|edit| (edit.id, edit.changes.clone())).collect();
        Sealed { revision: self.revision, made: EditId(self.made), up_to, edits }
    }

    /// Closes the waiting edit to further changes. Returns its id, if there was an edit to close.
    pub(crate) fn close(&mut self) -> Option<EditId> {
        let is_full = self.edits.len() > MAX_SEALED;
        let last = self.edits.back_mut().filter(|last| last.stage == Stage::Waiting && !is_full)?;
        last.stage = Stage::Closed;
        Some(last.id)
    }

    /// Closes the waiting edit, which the outbox has stored already, unless the engine `gathers` edits. The edit may
    /// then be saved. Returns whether an edit was closed.
    pub(crate) fn close_kept(&mut self, gathers: bool) -> bool {
        let closed = if gathers { None } else { self.close() };
        self.kept = closed.or(self.kept);
        closed.is_some()
    }

    /// From now on, gives only edits up to `id` to saves: those that the outbox has stored.
    pub(crate) fn keep(&mut self, id: EditId) {
        self.kept = Some(id);
    }

    /// Restores the edits of an earlier run, under the edits made since this run began.
    pub(crate) fn restore(&mut self, made: EditId, edits: Vec<(EditId, Changes)>, view: &impl View) -> Changes {
        for edit in &mut self.edits {
            edit.id.0 += made.0;
        }
        self.made += made.0;
        self.revision += 1;
        for (_, changes) in &edits {
            self.shadow.cover_shown(changes, view);
        }
        for (id, changes) in edits.into_iter().rev() {
            self.edits.push_front(Edit { id, changes, stage: Stage::Again });
        }
        let mut apply = Changes::new();
        for (table_id, rows) in &self.shadow.tables {
            rows.keys().for_each(|row_id| self.show(table_id, row_id, view, &mut apply));
        }
        self.shadow.values.keys().for_each(|value_id| self.show_value(value_id, view, &mut apply));
        apply
    }

    /// Whether the edit that is to be saved next may be: not before an outbox has it.
    pub(crate) fn is_ready(&self) -> bool {
        self.next().is_none_or(|next| self.kept.is_none_or(|kept| next <= kept))
    }

    /// Counts up each time that the list of edits changes.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }
}
