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
    content::{Cell, Changes, Content, Id, Row, RowChanges, apply_row, diff_row},
    persister::Receipt,
    store::Before,
};

mod edits;
mod shadow;

use edits::{
    Base, append, covers_row, covers_table, covers_value, is_satisfied_by, merge, replayed_row, replayed_value, without,
};
use shadow::Shadow;

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
pub(crate) struct EditId(u64);

/// How far an unconfirmed edit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not given to the persister; takes in further edits. At most one, the last.
    Waiting,
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
    /// A save of it, or of a part of it, may have reached the place, which then never told.
    tried: bool,
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
}

/// What came of a notice or a confirmation.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// What the store has to take.
    pub(crate) apply: Changes,
    /// What of an edit was refused.
    pub(crate) refused: Changes,
}

impl Replica {
    /// Takes in the net changes of one transaction that has just been committed to the store (R3: in the same critical
    /// section), with what its rows and values were before.
    pub(crate) fn capture(&mut self, changes: &Changes, before: &Before) {
        if changes.is_empty() {
            return;
        }
        self.shadow.cover(changes, before);
        let mut waiting = self.pop_waiting().unwrap_or_else(|| {
            self.made += 1;
            Edit { id: EditId(self.made), changes: Changes::new(), stage: Stage::Waiting, tried: false }
        });
        // A deletion of a table no longer covers all of it once rows are added again.
        let mut narrowed = Changes::new();
        for table_id in changes.tables.keys().filter(|table_id| covers_table(&waiting.changes, table_id)) {
            narrowed.del_table(table_id);
        }
        self.extend(&mut waiting, changes);
        self.push_waiting(waiting);
        // What the two edits took back of each other nothing covers any more.
        self.shadow.uncover(changes, &self.edits);
        self.shadow.uncover(&narrowed, &self.edits);
    }

    /// Gives all that waits to a save, as one atomic change. `None` when nothing waits.
    pub(crate) fn take_waiting(&mut self) -> Option<Changes> {
        let waiting = self.edits.back_mut().filter(|edit| edit.stage == Stage::Waiting)?;
        waiting.stage = Stage::Saving;
        Some(waiting.changes.clone())
    }

    /// The running save has to be made again: what it had taken waits once more, before what was edited since.
    pub(crate) fn save_failed(&mut self, written: Written) {
        let discarded = self.discarded.len();
        self.discarded.retain(|edit| edit.stage != Stage::Saving);
        if written == Written::Perhaps && self.discarded.len() < discarded {
            self.outdated += 1;
        }
        let later = self.pop_waiting();
        let Some(saving) = self.saving().and_then(|index| self.edits.remove(index)) else {
            later.into_iter().for_each(|later| self.push_waiting(later));
            return;
        };
        let tried = saving.tried || written == Written::Perhaps;
        let mut waiting = Edit { stage: Stage::Waiting, tried, ..saving.clone() };
        if let Some(later) = &later {
            self.extend(&mut waiting, &later.changes);
        }
        self.push_waiting(waiting);
        if let Some(later) = &later {
            self.shadow.uncover(&saving.changes, &self.edits);
            self.shadow.uncover(&later.changes, &self.edits);
        }
    }

    /// The running save is on its way; `receipt` names it in the stream.
    pub(crate) fn save_sent(&mut self, receipt: Receipt) {
        let edits = self.edits.iter_mut().chain(&mut self.discarded);
        for edit in edits.filter(|edit| edit.stage == Stage::Saving) {
            edit.stage = Stage::Sent(receipt);
        }
    }

    /// The stream ended, and took with it whatever would have confirmed what is on its way: all of that waits again,
    /// as one edit.
    pub(crate) fn receipts_lost(&mut self) {
        self.discarded.clear();
        let lost = std::mem::take(&mut self.edits);
        let Some(first) = lost.front() else { return };
        let mut waiting = Edit { changes: Changes::new(), stage: Stage::Waiting, ..first.clone() };
        for edit in &lost {
            self.extend(&mut waiting, &edit.changes);
            waiting.tried |= edit.tried || edit.stage != Stage::Waiting;
        }
        self.push_waiting(waiting);
        for edit in &lost {
            self.shadow.uncover(&edit.changes, &self.edits);
        }
    }

    /// The running save is durable.
    pub(crate) fn save_done(&mut self, view: &impl View, show: Show) -> Changes {
        match self.saving() {
            Some(index) => self.confirm(index, &Changes::new(), view, show).apply,
            None => self.accepted_after_all(Stage::Saving, &Changes::new(), view, show),
        }
    }

    /// The place accepted what `receipt` names, without `refused`.
    pub(crate) fn confirmed(&mut self, receipt: Receipt, refused: &Changes, view: &impl View, show: Show) -> Step {
        match self.edits.iter().position(|edit| edit.stage == Stage::Sent(receipt)) {
            Some(index) => self.confirm(index, refused, view, show),
            None => {
                if self.discarded.iter().all(|edit| edit.stage != Stage::Sent(receipt)) {
                    // Of a save that was dropped, or failed, and reached the place all the same.
                    self.outdated += 1;
                }
                let apply = self.accepted_after_all(Stage::Sent(receipt), refused, view, show);
                Step { apply, refused: Changes::new() }
            }
        }
    }

    /// The place accepted somebody's changes.
    pub(crate) fn changed(&mut self, changes: &Changes, view: &impl View, show: Show) -> Changes {
        let mut apply = Changes::new();
        for (table_id, table) in &changes.tables {
            match table {
                None => self.table_deleted(table_id, view, &mut apply),
                Some(rows) => {
                    for (row_id, row) in rows {
                        self.row_changed(table_id, row_id, row.as_ref(), view, &mut apply);
                    }
                }
            }
        }
        for (value_id, value) in &changes.values {
            if let Some(shadow) = self.shadow.value_mut(value_id) {
                shadow.clone_from(value);
                self.show_value(value_id, view, &mut apply);
            } else {
                apply.values.insert(value_id.clone(), value.clone());
            }
        }
        match show {
            Show::All => apply,
            Show::Refused => Changes::new(),
        }
    }

    /// The place holds exactly `content`: it becomes the confirmed state, under the unconfirmed edits.
    ///
    /// An edit that still waits and that the content shows already is confirmed by it.
    pub(crate) fn replaced(&mut self, content: &Content, view: &impl View) -> Changes {
        let waiting = self.edits.back().filter(|edit| edit.stage == Stage::Waiting);
        if waiting.is_some_and(|edit| self.edits.len() == 1 && is_satisfied_by(&edit.changes, content)) {
            self.edits.pop_back();
        }
        self.shadow = Shadow::of(content, &self.edits);
        let mut shown = content.clone();
        for edit in &self.edits {
            shown.apply(&edit.changes);
        }
        view.content().diff(&shown)
    }

    /// Gives up all unconfirmed edits, and returns them with what shows the confirmed state again.
    pub(crate) fn discard(&mut self, view: &impl View) -> (Vec<Changes>, Changes) {
        let discarded: Vec<_> = self.edits.iter().map(|edit| edit.changes.clone()).collect();
        self.outdated += u64::from(self.edits.iter().any(|edit| edit.tried));
        self.discarded.extend(self.edits.drain(..).filter(|edit| edit.stage != Stage::Waiting));
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

    /// Whether something waits to be saved.
    pub(crate) fn has_waiting(&self) -> bool {
        self.edits.back().is_some_and(|edit| edit.stage == Stage::Waiting)
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

    /// Counts up each time that the place may hold what nobody told: only loading shows it.
    pub(crate) fn outdated(&self) -> u64 {
        self.outdated
    }

    /// What was given up too late is anybody's change now.
    fn accepted_after_all(&mut self, stage: Stage, refused: &Changes, view: &impl View, show: Show) -> Changes {
        match self.discarded.iter().position(|edit| edit.stage == stage) {
            Some(index) => {
                let (accepted, _) = without(&self.discarded.remove(index).changes, refused);
                self.changed(&accepted, view, show)
            }
            None => Changes::new(),
        }
    }

    /// Merges what was edited later into an edit that is not among the others.
    fn extend(&self, edit: &mut Edit, later: &Changes) {
        match edit.tried {
            true => append(&mut edit.changes, later, self),
            false => merge(&mut edit.changes, later, self),
        }
    }

    fn push_waiting(&mut self, edit: Edit) {
        // An edit that took itself back leaves nothing to save.
        if !edit.changes.is_empty() {
            self.edits.push_back(edit);
        }
    }

    fn pop_waiting(&mut self) -> Option<Edit> {
        self.edits.pop_back_if(|edit| edit.stage == Stage::Waiting)
    }

    fn saving(&self) -> Option<usize> {
        self.edits.iter().rposition(|edit| edit.stage == Stage::Saving)
    }

    fn confirm(&mut self, index: usize, refused: &Changes, view: &impl View, show: Show) -> Step {
        let Some(edit) = self.edits.remove(index) else { return Step::default() };
        let (accepted, refused) = without(&edit.changes, refused);
        self.shadow.apply(&accepted);
        let mut apply = Changes::new();
        let shown = match show {
            Show::All => &edit.changes,
            Show::Refused => &refused,
        };
        for (table_id, table) in &shown.tables {
            match table {
                None => {
                    for row_id in self.shadow.row_ids(table_id) {
                        self.show(table_id, &row_id, view, &mut apply);
                    }
                }
                Some(rows) => rows.keys().for_each(|row_id| self.show(table_id, row_id, view, &mut apply)),
            }
        }
        for value_id in shown.values.keys() {
            self.show_value(value_id, view, &mut apply);
        }
        self.shadow.uncover(&edit.changes, &self.edits);
        Step { apply, refused }
    }

    fn table_deleted(&mut self, table_id: &Id, view: &impl View, apply: &mut Changes) {
        let shadowed = self.shadow.row_ids(table_id);
        if shadowed.is_empty() {
            apply.tables.insert(table_id.clone(), None);
            return;
        }
        for row_id in view.row_ids(table_id) {
            if self.shadow.row(table_id, &row_id).is_none() {
                apply.del_row(table_id, row_id);
            }
        }
        for row_id in shadowed {
            if let Some(shadow) = self.shadow.row_mut(table_id, &row_id) {
                shadow.clear();
            }
            self.show(table_id, &row_id, view, apply);
        }
    }

    fn row_changed(
        &mut self,
        table_id: &Id,
        row_id: &Id,
        cells: Option<&RowChanges>,
        view: &impl View,
        apply: &mut Changes,
    ) {
        if self.shadow.row(table_id, row_id).is_none()
            && self.edits.iter().any(|edit| covers_table(&edit.changes, table_id))
        {
            // Deleting a table put a shadow under each row that it had, so this one was not there.
            self.shadow.put_row(table_id, row_id, Row::new());
        }
        match (self.shadow.row_mut(table_id, row_id), cells) {
            (Some(shadow), cells) => {
                match cells {
                    Some(cells) => apply_row(shadow, cells),
                    None => shadow.clear(),
                }
                self.show(table_id, row_id, view, apply);
            }
            (None, Some(cells)) => {
                for (cell_id, cell) in cells {
                    match cell {
                        Some(cell) => apply.set_cell(table_id, row_id, cell_id, cell.clone()),
                        None => apply.del_cell(table_id, row_id, cell_id),
                    }
                }
            }
            (None, None) => apply.del_row(table_id, row_id),
        }
    }

    /// Makes a shadowed row look as its shadow under the unconfirmed edits says.
    fn show(&self, table_id: &Id, row_id: &Id, view: &impl View, apply: &mut Changes) {
        if let Some(shadow) = self.shadow.row(table_id, row_id) {
            let shown = replayed_row(self.changes(), table_id, row_id, shadow.clone());
            show_row(table_id, row_id, &shown, view, apply);
        }
    }

    fn show_value(&self, value_id: &Id, view: &impl View, apply: &mut Changes) {
        if let Some(shadow) = self.shadow.value(value_id) {
            let shown = replayed_value(self.changes(), value_id, shadow.clone());
            if view.value(value_id) != shown {
                apply.values.insert(value_id.clone(), shown);
            }
        }
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

/// Whether a save that failed may have reached the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It did not.
    No,
    /// Nobody knows.
    Perhaps,
}

/// What a step may change in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Everything: the store follows the place.
    All,
    /// Only what was refused: the store is saved to the place and does not follow it.
    Refused,
}

fn show_row(table_id: &Id, row_id: &Id, shown: &Row, view: &impl View, apply: &mut Changes) {
    let present = view.row(table_id, row_id);
    if shown.is_empty() {
        if present.is_some() {
            apply.del_row(table_id, row_id);
        }
        return;
    }
    for (cell_id, cell) in diff_row(present.as_ref(), shown) {
        match cell {
            Some(cell) => apply.set_cell(table_id, row_id, cell_id, cell),
            None => apply.del_cell(table_id, row_id, cell_id),
        }
    }
}

#[cfg(test)]
mod tests;
