//! What a transaction replaced in one table.

use crate::content::{Id, Map, Row};

use super::{RowLog, TableData, undo_cells};

/// The state of a table when a transaction first touched it.
///
/// New rows come after all old ones, so the slot after the last old row separates the two.
#[derive(Clone, Debug)]
pub(in crate::store) struct TableLog {
    /// The slot of the table, if it existed.
    slot: Option<usize>,
    /// The old table, once it was removed. A table with this id is a different one then, and all its rows are new.
    removed: Option<Box<TableData>>,
    /// Rows from this slot on are new.
    end: usize,
    /// Old rows that were touched, by id, in the order in which they were first touched.
    touched: Map<Touched>,
    /// New rows that are gone again, and their slots.
    gone: Vec<(usize, Id)>,
    /// Whether old rows were removed, so that a new row may have the id of an old one.
    lost: bool,
    /// Rows that were touched before the table was removed, in that order; some may be mentioned twice.
    first: Vec<Id>,
}

#[derive(Clone, Debug)]
struct Touched {
    slot: usize,
    /// The number of slots at that time: new rows in these slots were touched before.
    before: usize,
    old: RowLog,
}

impl TableLog {
    pub(super) fn new(slot: Option<usize>, end: usize) -> Self {
        Self { slot, removed: None, end, touched: Map::new(), gone: Vec::new(), lost: false, first: Vec::new() }
    }

    /// The log of a row that is about to be touched, which is at `slot` now, of `slots`; none if the row is new.
    pub(in crate::store) fn row(&mut self, row_id: &Id, slot: usize, slots: usize) -> Option<&mut RowLog> {
        if slot >= self.end {
            return None;
        }
        let at = match self.touched.slot_of(row_id.as_bytes()) {
            Some(at) => at,
            None => {
                self.touched.push(row_id.clone(), Touched { slot, before: slots, old: RowLog::default() });
                self.touched.slots() - 1
            }
        };
        self.touched.at_mut(at).map(|touched| &mut touched.old)
    }

    /// Records that a row, which was at `slot`, of `slots`, was removed.
    pub(in crate::store) fn remove_row(&mut self, row_id: Id, slot: usize, slots: usize, row: Row) {
        match self.row(&row_id, slot, slots) {
            Some(old) => {
                old.keep_whole(|| row);
                self.lost = true;
            }
            None => self.gone.push((slot, row_id)),
        }
    }

    /// Records that the table was removed.
    pub(in crate::store) fn remove(&mut self, mut table: TableData) {
        let mut first = std::mem::take(&mut self.first);
        self.each_id(&table, |row_id| first.push(row_id.clone()));
        if self.slot.is_some() && self.removed.is_none() {
            self.undo_rows(&mut table);
            first.extend(table.rows.keys().cloned());
            self.removed = Some(Box::new(table));
        }
        self.first = first;
        self.end = 0;
        self.touched.clear();
        self.gone.clear();
        self.lost = false;
    }

    /// Whether the table existed.
    pub(super) fn existed(&self) -> bool {
        self.slot.is_some()
    }

    pub(super) fn may_have_left_holes(&self) -> bool {
        self.lost || !self.gone.is_empty()
    }

    pub(super) fn undo(&self, table_id: &Id, tables: &mut Map<TableData>) {
        let present = tables.slot(table_id);
        match (self.slot, &self.removed) {
            (Some(_), None) => {
                if let Some(table) = present.and_then(|at| tables.at_mut(at)) {
                    self.undo_rows(table);
                }
            }
            (was, removed) => {
                present.map(|at| tables.take(at));
                if let (Some(slot), Some(table)) = (was, removed) {
                    tables.restore(slot, table_id.clone(), TableData::clone(table));
                }
            }
        }
    }

    fn undo_rows(&self, table: &mut TableData) {
        for slot in self.end..table.rows.slots() {
            if let Some((row_id, _)) = table.rows.take(slot) {
                table.pool.release(&row_id);
            }
        }
        table.rows.cut_holes(self.end);
        for (row_id, Touched { slot, old, .. }) in &self.touched {
            match (table.rows.at_mut(*slot), old) {
                (Some(row), RowLog::Cells(cells)) => {
                    undo_cells(cells, row);
                    row.share(&mut table.shapes);
                }
                (Some(row), RowLog::Whole(old)) => row.clone_from(old),
                (None, RowLog::Whole(old)) => table.rows.restore(*slot, row_id.clone(), old.clone()),
                // Cells alone are noted of a row that is still there.
                (None, RowLog::Cells(_)) => {}
            }
        }
    }

    /// Calls `each` with every row that was touched, its old state and its present state in `table`, in the order in
    /// which the rows were first touched.
    pub(super) fn each_row(&self, table: Option<&TableData>, mut each: impl FnMut(&Id, &RowLog, Option<&Row>)) {
        let mut seen = Map::new();
        let once = self.may_have_left_holes() || !self.first.is_empty();
        let mut visit = |row_id: &Id| {
            if once && seen.insert(row_id, ()).is_some() {
                return;
            }
            let now = table.and_then(|table| table.rows.of(row_id));
            match (&self.removed, self.touched.of(row_id)) {
                (Some(removed), _) => {
                    let old = removed.rows.get(row_id).cloned();
                    each(row_id, &RowLog::Whole(old.unwrap_or_default()), now);
                }
                (None, Some(touched)) => each(row_id, &touched.old, now),
                (None, None) => each(row_id, &RowLog::ABSENT, now),
            }
        };
        self.first.iter().for_each(&mut visit);
        match table {
            Some(table) => self.each_id(table, visit),
            None => self.each_id(&TableData::default(), visit),
        }
    }

    /// Calls `each` with the id of every row of `table` that was touched since the table began.
    fn each_id(&self, table: &TableData, mut each: impl FnMut(&Id)) {
        let mut gone: Vec<_> = self.gone.iter().collect();
        gone.sort_unstable_by_key(|(slot, _)| *slot);
        let mut gone = gone.into_iter().peekable();
        let mut at = self.end;
        let mut new_up_to = |end: usize, each: &mut dyn FnMut(&Id)| {
            while at < end {
                match table.rows.at(at) {
                    Some((row_id, _)) => each(row_id),
                    None => {
                        while let Some((_, row_id)) = gone.next_if(|(slot, _)| *slot <= at) {
                            each(row_id);
                        }
                    }
                }
                at += 1;
            }
        };
        for (row_id, touched) in &self.touched {
            new_up_to(touched.before, &mut each);
            each(row_id);
        }
        let last = self.gone.iter().map(|(slot, _)| slot + 1).max().unwrap_or(0);
        new_up_to(table.rows.slots().max(last), &mut each);
    }

    /// A row as it was, where the table is `now`.
    pub(super) fn row_before(&self, row_id: &str, now: Option<&TableData>) -> Option<Row> {
        let row = match (&self.removed, self.touched.get(row_id)) {
            (Some(removed), _) => removed.rows.get(row_id)?.clone(),
            (None, Some(touched)) => touched.old.whole(now.and_then(|table| table.rows.get(row_id))),
            (None, None) => {
                let table = now?;
                let slot = table.rows.slot(row_id).filter(|slot| *slot < self.end)?;
                table.rows.at(slot)?.1.clone()
            }
        };
        (!row.is_empty()).then_some(row)
    }
}
