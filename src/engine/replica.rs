//! Confirmed content and unconfirmed edits: the arithmetic that makes clients end equal.
//!
//! The law: whenever no code holds the store's lock, *store = confirmed content, with the unconfirmed edits replayed on
//! top in the order in which they were made* (R2). Confirmed content is stored separately, in the [`Shadow`], only
//! where an unconfirmed edit covers it. Everywhere else the store itself is the confirmed content. So the replica's
//! memory grows with the unconfirmed edits, not with the store.
//!
//! Everything here is pure. [`Replica`] never writes to the store. Each step returns the [`Changes`] that make the law
//! hold again, and the caller applies them to the store under the same lock (R3).

use std::collections::VecDeque;

use crate::{
    content::{Cell, Changes, Content, Id, Row},
    persister::Receipt,
    store::Before,
};

mod edits;
mod kept;
mod shadow;
mod told;

use edits::{
    Base, covers_row, covers_table, covers_value, is_satisfied_by, merge, replayed_row, replayed_value, without,
};
pub(crate) use kept::Sealed;
use shadow::Shadow;
pub(crate) use told::Show;
use told::show_row;

/// What the replica reads of the store.
pub(crate) trait View {
    /// A row; `None` where there is none.
    fn row(&self, table_id: &str, row_id: &str) -> Option<Row>;
    /// The ids of the rows of a table.
    fn row_ids(&self, table_id: &str) -> Vec<Id>;
    /// A value.
    fn value(&self, value_id: &str) -> Option<Cell>;
    /// Everything.
    fn content(&self) -> Content;
}

/// Identifies an unconfirmed edit. Ids rise in the order in which edits were made. Merged edits have the older edit's
/// id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EditId(pub(crate) u64);

/// How far an unconfirmed edit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not given to the persister. Further edits are merged into it. At most one edit, the last, has this stage.
    Waiting,
    /// Not given to the persister, and fixed: the outbox stores it in this form.
    Closed,
    /// A save of it failed or lost its receipt. The backend may have applied it all the same. So it is saved again
    /// unchanged, before later edits. Merged with a later edit, it could undo what the backend has, and no notice would
    /// show that.
    Again,
    /// Given to the persister, which has not answered.
    Saving,
    /// In flight. The stream confirms it.
    Sent(Receipt),
}

#[derive(Clone, Debug)]
struct Edit {
    id: EditId,
    changes: Changes,
    stage: Stage,
}

impl Edit {
    /// Whether it still has to be given to a save.
    fn waits(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Closed | Stage::Again)
    }
}

/// The unconfirmed edits of one engine, and the confirmed state of what they cover.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    shadow: Shadow,
    edits: VecDeque<Edit>,
    /// Edits that were given up while in flight. The store does not show them, but the backend may still accept them.
    discarded: Vec<Edit>,
    made: u64,
    outdated: u64,
    /// Counts the changes of the list of edits.
    revision: u64,
    /// With an outbox: the last edit that it has stored. Later edits are not given to saves.
    kept: Option<EditId>,
}

impl Replica {
    /// Captures the net changes of one transaction, and what its rows and values were before. Call it in the critical
    /// section that commits the transaction to the store (R3).
    pub(crate) fn capture(&mut self, changes: &Changes, before: &Before) {
        if changes.is_empty() {
            return;
        }
        self.shadow.cover(changes, before);
        let (id, mut merged) = self.pop_waiting().unwrap_or_else(|| {
            self.made += 1;
            (EditId(self.made), Changes::new())
        });
        // The deletion of a table no longer covers all of the table once rows are added again.
        let mut narrowed = Changes::new();
        for table_id in changes.tables.keys().filter(|table_id| covers_table(&merged, table_id)) {
            narrowed.del_table(table_id);
        }
        merge(&mut merged, changes, self);
        self.push_waiting(id, merged);
        // No edit covers any more what one of the two edits undid of the other.
        self.shadow.uncover(changes, &self.edits);
        self.shadow.uncover(&narrowed, &self.edits);
    }

    /// Gives the next edit, an atomic change, to a save. Returns `None` if no edit waits, or if the next one may not be
    /// saved yet ([`Replica::keep`]).
    pub(crate) fn take_next(&mut self) -> Option<(EditId, Changes)> {
        if !self.is_ready() {
            return None;
        }
        let next = self.edits.iter_mut().find(|edit| edit.waits())?;
        next.stage = Stage::Saving;
        Some((next.id, next.changes.clone()))
    }

    /// Returns the last edit that [`Replica::content_to_save`] contains.
    pub(crate) fn last_to_save(&self) -> Option<EditId> {
        self.edits.iter().take_while(|edit| !edit.waits()).last().map(|edit| edit.id)
    }

    /// What the place holds when the running save is done, where the store shows `content`: the confirmed content with the
    /// edits up to those that the save has. What was edited since is not in it, or it would reach the place without being
    /// known to.
    pub(crate) fn content_to_save(&self, mut content: Content) -> Content {
        let Some(index) = self.edits.iter().position(Edit::waits) else { return content };
        let earlier = || self.changes().take(index);
        for later in self.changes().skip(index) {
            for (table_id, table) in &later.tables {
                let row_ids = match table {
                    None => self.shadow.row_ids(table_id),
                    Some(rows) => rows.keys().cloned().collect(),
                };
                for row_id in row_ids {
                    let row = self.shadow.row(table_id, &row_id).cloned().unwrap_or_default();
                    let row = replayed_row(earlier(), table_id, &row_id, row);
                    content.tables.get_or_default(table_id).insert(row_id, row);
                }
            }
            for value_id in later.values.keys() {
                let value = self.shadow.value(value_id).cloned().flatten();
                match replayed_value(earlier(), value_id, value) {
                    Some(value) => content.values.insert(value_id, value),
                    None => content.values.remove(value_id),
                };
            }
        }
        content.prune();
        content
    }

    /// The running save has to be repeated.
    pub(crate) fn save_failed(&mut self) {
        let discarded = self.discarded.len();
        self.discarded.retain(|edit| edit.stage != Stage::Saving);
        if self.discarded.len() < discarded {
            self.outdated += 1;
        }
        if let Some(index) = self.saving() {
            self.edits[index].stage = Stage::Again;
        }
    }

    /// The running save is in flight. `receipt` identifies it in the stream.
    pub(crate) fn save_sent(&mut self, receipt: Receipt) {
        let edits = self.edits.iter_mut().chain(&mut self.discarded);
        for edit in edits.filter(|edit| edit.stage == Stage::Saving) {
            edit.stage = Stage::Sent(receipt);
        }
    }

    /// The stream ended, and took with it whatever would have confirmed what is on its way.
    pub(crate) fn receipts_lost(&mut self) {
        self.discarded.clear();
        for edit in self.edits.iter_mut().filter(|edit| !edit.waits()) {
            edit.stage = Stage::Again;
        }
    }

    /// The running save is durable.
    pub(crate) fn save_done(&mut self, view: &impl View, show: Show) -> Changes {
        match self.saving() {
            Some(index) => self.confirm(index, &Changes::new(), view, show).apply,
            None => {
                // The edit was given up meanwhile. Whether the save contained it depends on when the save asked for its
                // content.
                let discarded = self.discarded.len();
                self.discarded.retain(|edit| edit.stage != Stage::Saving);
                self.outdated += u64::from(self.discarded.len() < discarded);
                Changes::new()
            }
        }
    }

    /// Gives up all unconfirmed edits. Returns them, and the changes that make the store show the confirmed state
    /// again.
    pub(crate) fn discard(&mut self, view: &impl View) -> (Vec<Changes>, Changes) {
        self.revision += 1;
        let discarded: Vec<_> = self.edits.iter().map(|edit| edit.changes.clone()).collect();
        self.outdated += u64::from(self.is_retrying());
        self.discarded.extend(self.edits.drain(..).filter(|edit| !edit.waits()));
        let mut apply = Changes::new();
        let shadow = std::mem::take(&mut self.shadow);
        for (table_id, rows) in &shadow.tables {
            for (row_id, row) in rows {
                show_row(table_id, row_id, row, view, &mut apply);
            }
        }
        for (value_id, value) in &shadow.values {
            if view.value(value_id) != *value {
                apply.values.insert(value_id.clone(), value.clone());
            }
        }
        (discarded, apply)
    }

    /// Returns the unconfirmed edits, oldest first.
    pub(crate) fn unconfirmed(&self) -> impl ExactSizeIterator<Item = &Changes> {
        self.edits.iter().map(|edit| &edit.changes)
    }

    /// Returns the edit to save next.
    pub(crate) fn next(&self) -> Option<EditId> {
        self.edits.iter().find(|edit| edit.waits()).map(|edit| edit.id)
    }

    /// Whether more than one edit waits, so that the next one takes in no further edits.
    pub(crate) fn has_backlog(&self) -> bool {
        self.edits.iter().filter(|edit| edit.waits()).count() > 1
    }

    /// Whether the edit that is to be saved next was given to a save before.
    pub(crate) fn is_retrying(&self) -> bool {
        self.edits.iter().any(|edit| edit.stage == Stage::Again)
    }

    /// Returns a count of the events after which the backend may hold something that no notice reported. Only a load
    /// shows it.
    pub(crate) fn outdated(&self) -> u64 {
        self.outdated
    }

    /// Returns how many edits are in flight.
    pub(crate) fn sent(&self) -> usize {
        self.edits.iter().filter(|edit| matches!(edit.stage, Stage::Sent(_))).count()
    }

    /// Returns the oldest unconfirmed edit.
    pub(crate) fn oldest(&self) -> Option<EditId> {
        self.edits.front().map(|edit| edit.id)
    }

    /// Returns the newest edit ever made. Every edit made so far is confirmed once [`Replica::oldest`] is newer than
    /// it.
    pub(crate) fn newest(&self) -> EditId {
        EditId(self.made)
    }

    fn push_waiting(&mut self, id: EditId, changes: Changes) {
        self.revision += 1;
        // An edit that undid itself leaves nothing to save.
        if !changes.is_empty() {
            self.edits.push_back(Edit { id, changes, stage: Stage::Waiting });
        }
    }

    fn pop_waiting(&mut self) -> Option<(EditId, Changes)> {
        self.edits.pop_back_if(|edit| edit.stage == Stage::Waiting).map(|edit| (edit.id, edit.changes))
    }

    fn saving(&self) -> Option<usize> {
        self.edits.iter().rposition(|edit| edit.stage == Stage::Saving)
    }

    fn changes(&self) -> impl Iterator<Item = &Changes> {
        self.edits.iter().map(|edit| &edit.changes)
    }
}

/// The confirmed state with all edits but the waiting one. That one is taken out while another edit is merged into it.
impl Base for Replica {
    fn row(&self, table_id: &str, row_id: &str) -> Row {
        let shadow = self.shadow.row(table_id, row_id).cloned().unwrap_or_default();
        replayed_row(self.changes(), table_id, row_id, shadow)
    }

    fn row_ids(&self, table_id: &str) -> Vec<Id> {
        let mut row_ids = self.shadow.row_ids(table_id);
        row_ids.retain(|row_id| !Base::row(self, table_id, row_id).is_empty());
        row_ids
    }

    fn value(&self, value_id: &str) -> Option<Cell> {
        let shadow = self.shadow.value(value_id).cloned().flatten();
        replayed_value(self.changes(), value_id, shadow)
    }
}

#[cfg(test)]
pub(super) mod tests;
