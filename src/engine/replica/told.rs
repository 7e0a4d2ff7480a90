//! What the backend reports (confirmations, other clients' changes, whole contents), and what the store shows of it.

use super::{Replica, Shadow, Stage, View, covers_table, is_satisfied_by, replayed_row, replayed_value, without};
use crate::{
    content::{Changes, Content, Id, Row, RowChanges, apply_row, diff_row},
    persister::Receipt,
};

/// What came of a notice or a confirmation.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// What to apply to the store.
    pub(crate) apply: Changes,
    /// The refused part of an edit.
    pub(crate) refused: Changes,
}

/// What a step may change in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Everything: the store follows the backend.
    All,
    /// Only what was refused: the store is saved to the backend and does not follow it.
    Refused,
}

impl Replica {
    /// The backend accepted the edit of `receipt`, except for `refused`.
    pub(crate) fn confirmed(&mut self, receipt: Receipt, refused: &Changes, view: &impl View, show: Show) -> Step {
        match self.edits.iter().position(|edit| edit.stage == Stage::Sent(receipt)) {
            Some(index) => self.confirm(index, refused, view, show),
            None => {
                if self.discarded.iter().all(|edit| edit.stage != Stage::Sent(receipt)) {
                    // The receipt is of a save that was dropped or failed, and that reached the backend all the same.
                    self.outdated += 1;
                }
                let apply = self.accepted_after_all(Stage::Sent(receipt), refused, view, show);
                Step { apply, refused: Changes::new() }
            }
        }
    }

    /// The backend accepted another client's changes.
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

    /// The backend holds exactly `content`. It becomes the confirmed state, under the unconfirmed edits.
    ///
    /// If only one edit is left, it still waits, and the content shows it already, then the content confirms it.
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

    /// An edit that was given up too late counts as another client's change now.
    fn accepted_after_all(&mut self, stage: Stage, refused: &Changes, view: &impl View, show: Show) -> Changes {
        match self.discarded.iter().position(|edit| edit.stage == stage) {
            Some(index) => {
                let (accepted, _) = without(&self.discarded.remove(index).changes, refused);
                self.changed(&accepted, view, show)
            }
            None => Changes::new(),
        }
    }

    pub(super) fn confirm(&mut self, index: usize, refused: &Changes, view: &impl View, show: Show) -> Step {
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

    /// Makes a shadowed row show its shadow with the unconfirmed edits on top.
    pub(super) fn show(&self, table_id: &Id, row_id: &Id, view: &impl View, apply: &mut Changes) {
        if let Some(shadow) = self.shadow.row(table_id, row_id) {
            let shown = replayed_row(self.changes(), table_id, row_id, shadow.clone());
            show_row(table_id, row_id, &shown, view, apply);
        }
    }

    pub(super) fn show_value(&self, value_id: &Id, view: &impl View, apply: &mut Changes) {
        if let Some(shadow) = self.shadow.value(value_id) {
            let shown = replayed_value(self.changes(), value_id, shadow.clone());
            if view.value(value_id) != shown {
                apply.values.insert(value_id.clone(), shown);
            }
        }
    }
}

pub(super) fn show_row(table_id: &Id, row_id: &Id, shown: &Row, view: &impl View, apply: &mut Changes) {
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
