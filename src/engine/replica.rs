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
    Base, covers_row, covers_table, covers_value, is_satisfied_by, merge, replayed_row, replayed_value, without,
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
pub(crate) struct EditId(pub(crate) u64);

/// How far an unconfirmed edit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not given to the persister; takes in further edits. At most one, the last.
    Waiting,
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
        matches!(self.stage, Stage::Waiting | Stage::Again)
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

    /// Gives what is next to be saved to a save: an atomic change. `None` when nothing waits.
    pub(crate) fn take_next(&mut self) -> Option<(EditId, Changes)> {
        let next = self.edits.iter_mut().find(|edit| edit.waits())?;
        next.stage = Stage::Saving;
        Some((next.id, next.changes.clone()))
    }

    /// What the place holds when the running save is done: the confirmed content with the edits up to those that the save
    /// has. What was edited since is not in it, or it would reach the place without being known to.
    pub(crate) fn content_to_save(&self, view: &impl View) -> Content {
        let mut content = view.content();
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
        for edit in self.edits.iter_mut().filter(|edit| edit.stage != Stage::Waiting) {
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
        let waiting = self.edits.back().filter(|edit| edit.waits());
        if waiting.is_some_and(|edit| self.edits.len() == 1 && is_satisfied_by(&edit.changes, content)) {
            self.edits.pop_back();
            self.revision += 1;
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

    /// Closes what waits to further edits, and returns all unconfirmed edits.
    pub(crate) fn seal(&mut self) -> Sealed {
        let is_full = self.edits.len() > MAX_SEALED;
        let up_to = match self.edits.back_mut() {
            Some(last) if last.stage == Stage::Waiting && is_full => EditId(last.id.0 - 1),
            Some(last) => {
                if last.stage == Stage::Waiting {
                    last.stage = Stage::Again;
                }
                last.id
            }
            None => EditId(self.made),
        };
        let edits = self.edits.iter().map(|edit| (edit.id, edit.changes.clone())).collect();
        Sealed { revision: self.revision, made: EditId(self.made), up_to, edits }
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

    /// The unconfirmed edits, oldest first.
    pub(crate) fn unconfirmed(&self) -> impl ExactSizeIterator<Item = &Changes> {
        self.edits.iter().map(|edit| &edit.changes)
    }

    /// The edit that is to be saved next.
    pub(crate) fn next(&self) -> Option<EditId> {
        self.edits.iter().find(|edit| edit.waits()).map(|edit| edit.id)
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

    fn confirm(&mut self, index: usize, refused: &Changes, view: &impl View, show: Show) -> Step {
        let Some(edit) = self.edits.remove(index) else { return Step::default() };
        self.revision += 1;
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
pub(super) mod tests;
