//! Confirmed content and unconfirmed edits: the arithmetic that makes clients end equal.
//!
//! The law: whenever nobody holds the store, *store = confirmed content, with the unconfirmed edits replayed on top in the
//! order in which they were made* (R2). What the place confirmed is kept only where an unconfirmed edit covers it, in the
//! [`Shadow`]; everywhere else the store itself is the confirmed content. So memory is that of the unconfirmed edits, not
//! that of the store.
//!
//! Everything here is pure. [`Replica`] never writes to the store: it answers each step with the [`Changes`] that the
//! store has to take so that the law holds again, and its caller applies them under the same lock (R3).

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

/// Which unconfirmed edit; counts up in the order in which they were made. Merged edits keep the older's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EditId(pub(crate) u64);

/// How far an unconfirmed edit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not given to the persister; takes in further edits. At most one, the last.
    Waiting,
    /// Not given to the persister, and as it will be: an outbox keeps it so.
    Closed,
    /// A save of it failed or lost its receipt. The place may have it all the same, so it is saved again as it was, before
    /// what came later: merged with that, it could take back what the place has, and nobody would say so.
    Again,
    /// Given to the persister, which has not answered.
    Saving,
    /// On its way; the stream confirms it.
    Sent(Receipt),
}

#[derive(Clone, Debug)]
struct Edit {
    id: EditId,
    changes: Changes,
    stage: Stage,
}

impl Edit {
    /// Whether it is to be given to a save.
    fn waits(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Closed | Stage::Again)
    }
}

/// The unconfirmed edits of one engine, and the confirmed state of what they cover.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    shadow: Shadow,
    edits: VecDeque<Edit>,
    /// Given up while a save had them: not shown, but the place may yet accept them.
    discarded: Vec<Edit>,
    made: u64,
    outdated: u64,
    /// Counts the changes of the list of edits.
    revision: u64,
    /// With an outbox: up to which edit it has them. Later ones are not given to saves.
    kept: Option<EditId>,
}

impl Replica {
    /// Takes in the net changes of one transaction that has just been committed to the store (R3: in the same critical
    /// section), with what its rows and values were before.
    pub(crate) fn capture(&mut self, changes: &Changes, before: &Before) {
        if changes.is_empty() {
            return;
        }
        self.shadow.cover(changes, before);
        let (id, mut merged) = self.pop_waiting().unwrap_or_else(|| {
            self.made += 1;
            (EditId(self.made), Changes::new())
        });
        // A deletion of a table no longer covers all of it once rows are added again.
        let mut narrowed = Changes::new();
        for table_id in changes.tables.keys().filter(|table_id| covers_table(&merged, table_id)) {
            narrowed.del_table(table_id);
        }
        merge(&mut merged, changes, self);
        self.push_waiting(id, merged);
        // What the two edits took back of each other nothing covers any more.
        self.shadow.uncover(changes, &self.edits);
        self.shadow.uncover(&narrowed, &self.edits);
    }

    /// Gives what is next to be saved to a save: an atomic change. `None` when nothing waits, or what does is not to be saved
    /// yet ([`Replica::keep`]).
    pub(crate) fn take_next(&mut self) -> Option<(EditId, Changes)> {
        if !self.is_ready() {
            return None;
        }
        let next = self.edits.iter_mut().find(|edit| edit.waits())?;
        next.stage = Stage::Saving;
        Some((next.id, next.changes.clone()))
    }

    /// The last edit that [`Replica::content_to_save`] has.
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

    /// The running save has to be made again.
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

    /// The running save is on its way; `receipt` names it in the stream.
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
                // Given up meanwhile. Whether what was saved has it depends on when it was asked for its content.
                let discarded = self.discarded.len();
                self.discarded.retain(|edit| edit.stage != Stage::Saving);
                self.outdated += u64::from(self.discarded.len() < discarded);
                Changes::new()
            }
        }
    }

    /// Gives up all unconfirmed edits, and returns them with what shows the confirmed state again.
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

    /// The unconfirmed edits, oldest first.
    pub(crate) fn unconfirmed(&self) -> impl ExactSizeIterator<Item = &Changes> {
        self.edits.iter().map(|edit| &edit.changes)
    }

    /// The edit that is to be saved next.
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

    /// Counts up each time that the place may hold what nobody told: only loading shows it.
    pub(crate) fn outdated(&self) -> u64 {
        self.outdated
    }

    /// How many edits are on their way.
    pub(crate) fn sent(&self) -> usize {
        self.edits.iter().filter(|edit| matches!(edit.stage, Stage::Sent(_))).count()
    }

    /// The oldest unconfirmed edit.
    pub(crate) fn oldest(&self) -> Option<EditId> {
        self.edits.front().map(|edit| edit.id)
    }

    /// The newest edit ever made. Everything made so far is confirmed once [`Replica::oldest`] is beyond it.
    pub(crate) fn newest(&self) -> EditId {
        EditId(self.made)
    }

    fn push_waiting(&mut self, id: EditId, changes: Changes) {
        self.revision += 1;
        // An edit that took itself back leaves nothing to save.
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

/// The confirmed state with all edits but the waiting one, which is taken out while another is merged into it.
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
