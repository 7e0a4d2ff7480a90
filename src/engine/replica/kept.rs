//! What an outbox keeps of the unconfirmed edits, and what comes back of an earlier life.

use super::{Edit, EditId, Replica, Stage, View};
use crate::content::Changes;

/// All unconfirmed edits, to be kept elsewhere.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// Which state of the list this is.
    pub(crate) revision: u64,
    /// The newest edit ever made.
    pub(crate) made: EditId,
    /// Once this is kept, edits up to here may be saved.
    pub(crate) up_to: EditId,
    /// Oldest first.
    pub(crate) edits: Vec<(EditId, Changes)>,
}

/// How many edits an outbox keeps apart; what is edited beyond that is gathered in one.
const MAX_SEALED: usize = 1024;

impl Replica {
    /// Returns all unconfirmed edits. What waits is closed to further ones, unless it `gathers` them; then it is kept as it is
    /// so far, and not to be saved yet.
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

    /// Closes what waits to further edits; its id, if there was something to close.
    pub(crate) fn close(&mut self) -> Option<EditId> {
        let is_full = self.edits.len() > MAX_SEALED;
        let last = self.edits.back_mut().filter(|last| last.stage == Stage::Waiting && !is_full)?;
        last.stage = Stage::Closed;
        Some(last.id)
    }

    /// The same where all of it is kept elsewhere already, unless it `gathers`: then it may be saved. Whether that is new.
    pub(crate) fn close_kept(&mut self, gathers: bool) -> bool {
        let closed = if gathers { None } else { self.close() };
        self.kept = closed.or(self.kept);
        closed.is_some()
    }

    /// Gives only edits up to `id` to saves, from now on: those that are kept elsewhere.
    pub(crate) fn keep(&mut self, id: EditId) {
        self.kept = Some(id);
    }

    /// Takes edits of an earlier life in, under what was edited since this one began.
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
