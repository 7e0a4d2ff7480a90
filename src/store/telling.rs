//! Notifying listeners of changes, in TinyBase's order.

use indexmap::IndexSet;

use crate::content::{Id, Map};

use super::{
    Store,
    events::{
        CellEvent, CellIdsEvent, Event, HasCellEvent, HasRowEvent, HasTableCellEvent, HasTableEvent, HasTablesEvent,
        HasValueEvent, HasValuesEvent, InvalidCellEvent, InvalidValueEvent, RowCountEvent, RowEvent, RowIdsEvent,
        Stage, TableCellIdsEvent, TableEvent, TableIdsEvent, TablesEvent, TransactionEvent, ValueEvent, ValueIdsEvent,
        ValuesEvent,
    },
    listeners::{Audience, Kind, Panics, Role},
    net::{CellChange, IdChange, OneChange, cell_ids},
    told::{Told, balance},
};

/// One round of notifying the listeners that were added before it.
pub(super) struct Round<'a> {
    pub(super) store: &'a Store,
    pub(super) told: &'a Told,
    pub(super) role: Role,
    /// Separates the listeners that were added before the round from later ones.
    pub(super) mark: u64,
    pub(super) panics: &'a mut Panics,
}

/// Reports which ids were added or removed, if any, and then each of them.
macro_rules! tell_ids {
    (
        $round:ident, $changed:expr, $ids_kind:ident => $ids_event:ident,
        $has_kind:ident => $has_event:ident($id:ident), [$($path:ident),*]
    ) => {
        if $round.has(Kind::$ids_kind) || $round.has(Kind::$has_kind) {
            let ids = &$changed;
            if !ids.is_empty() {
                let store = $round.store;
                let event = Event::$ids_event($ids_event { store, $($path,)* ids });
                $round.call(Kind::$ids_kind, [$($path),*], &event);
                for ($id, change) in ids {
                    let has = *change == IdChange::Added;
                    let event = Event::$has_event($has_event { store, $($path,)* $id, has });
                    $round.call(Kind::$has_kind, [$($path,)* $id], &event);
                }
            }
        }
    };
}

impl Store {
    /// Notifies listeners of a stage of an open transaction. Returns whether there may be any.
    pub(super) fn tell_stage(&self, kind: Kind, panics: &mut Panics) -> bool {
        let listeners = &self.shared.listeners;
        if !listeners.has(Role::Listener, kind) {
            return false;
        }
        let mark = listeners.mark();
        let event = Event::TransactionEvent(TransactionEvent { store: self, stage: Stage::Open });
        listeners.matching(Role::Listener, kind, &[]).tell(mark, Role::Listener, &event, panics);
        true
    }

    /// Notifies the mutators of the changes of the open transaction so far. Each of the four groups receives the
    /// changes as of its turn, and is not notified of the writes of its own members. After a panic, no further mutator
    /// is called. Returns whether there may be any mutators.
    pub(super) fn tell_mutators(&self, panics: &mut Panics) -> bool {
        let listeners = &self.shared.listeners;
        if !listeners.has_any(Role::Mutator, Kind::InvalidCell, Kind::Values) {
            return false;
        }
        let mark = listeners.mark();
        let mut group = |from, to, tell: for<'r, 's> fn(&'r mut Round<'s>)| {
            if listeners.has_any(Role::Mutator, from, to) && panics.is_empty() {
                tell(&mut Round { store: self, told: &self.open(), role: Role::Mutator, mark, panics });
            }
        };
        group(Kind::InvalidCell, Kind::InvalidCell, |round| round.tell_invalid_cells());
        group(Kind::HasTables, Kind::Tables, |round| round.tell_tables());
        group(Kind::InvalidValue, Kind::InvalidValue, |round| round.tell_invalid_values());
        group(Kind::HasValues, Kind::Values, |round| round.tell_values());
        true
    }
}

impl<'a> Round<'a> {
    /// Reports what was committed, and last that the transaction is finished.
    pub(super) fn tell(mut self) {
        self.tell_invalid_cells();
        self.tell_tables();
        self.tell_invalid_values();
        self.tell_values();
        let event = TransactionEvent { store: self.store, stage: Stage::Over(self.told) };
        self.call(Kind::DidFinishTransaction, [], &Event::TransactionEvent(event));
    }

    fn tell_invalid_cells(&mut self) {
        let Self { store, told, .. } = *self;
        if !self.has(Kind::InvalidCell) {
            return;
        }
        for cell in told.invalid.cells() {
            let (table_id, row_id, cell_id) = (cell.table_id.as_ref(), cell.row_id.as_ref(), cell.cell_id.as_ref());
            let event = InvalidCellEvent { store, table_id, row_id, cell_id, cells: &cell.cells };
            let event = Event::InvalidCellEvent(event);
            self.call_some(Kind::InvalidCell, &[table_id, row_id, cell_id], &event);
        }
    }

    fn tell_invalid_values(&mut self) {
        let Self { store, told, .. } = *self;
        if !self.has(Kind::InvalidValue) {
            return;
        }
        for value in told.invalid.values() {
            let value_id = value.value_id.as_ref();
            let event = InvalidValueEvent { store, value_id, values: &value.values };
            self.call_some(Kind::InvalidValue, &[value_id], &Event::InvalidValueEvent(event));
        }
    }

    /// First additions and removals, from tables to cells; then changes of cells, rows, tables.
    fn tell_tables(&mut self) {
        if self.told.net.has_cells() && self.has_any(Kind::HasTables, Kind::Tables) {
            let table_cell_ids = self.table_cell_ids();
            self.tell_presence_of_tables();
            self.tell_table_cell_ids(&table_cell_ids);
            self.tell_row_counts();
            self.tell_row_ids();
            self.tell_unsorted();
            self.tell_cell_ids();
            self.tell_cells();
        }
    }

    fn tell_presence_of_tables(&mut self) {
        let Self { store, told, .. } = *self;
        if self.has(Kind::HasTables)
            && let Some(has) = told.has_tables()
        {
            self.call(Kind::HasTables, [], &Event::HasTablesEvent(HasTablesEvent { store, has }));
        }
        tell_ids!(self, told.net.table_ids(), TableIds => TableIdsEvent, HasTable => HasTableEvent(table_id), []);
    }

    /// Which cell ids were added to or removed from tables. This reads the store, so it has to run before the first
    /// listener, which may write.
    fn table_cell_ids(&self) -> Vec<(&'a Id, Map<IdChange>)> {
        let Self { store, told, .. } = *self;
        if !self.has(Kind::TableCellIds) && !self.has(Kind::HasTableCell) {
            return Vec::new();
        }
        told.net.tables().iter().map(|(id, table)| (id, store.table_cell_ids_changed(id, table))).collect()
    }

    fn tell_table_cell_ids(&mut self, tables: &[(&Id, Map<IdChange>)]) {
        for (table_id, changed) in tables {
            tell_ids!(self, *changed, TableCellIds => TableCellIdsEvent, HasTableCell => HasTableCellEvent(cell_id), [table_id]);
        }
    }

    fn tell_row_counts(&mut self) {
        let Self { store, told, .. } = *self;
        if !self.has(Kind::RowCount) {
            return;
        }
        for (table_id, table) in told.net.tables() {
            if balance(&table.row_ids()) != 0 {
                let count = store.row_count(table_id);
                let event = Event::RowCountEvent(RowCountEvent { store, table_id, count });
                self.call(Kind::RowCount, [table_id], &event);
            }
        }
    }

    /// Reports rows that were added or removed, and the order in such a table.
    fn tell_row_ids(&mut self) {
        let Self { store, told, .. } = *self;
        if !self.has_any(Kind::RowIds, Kind::SortedRowIds) {
            return;
        }
        for (table_id, table) in told.net.tables() {
            tell_ids!(self, table.row_ids(), RowIds => RowIdsEvent, HasRow => HasRowEvent(row_id), [table_id]);
            if self.has(Kind::SortedRowIds) && !table.row_ids().is_empty() {
                let listeners = store.shared.listeners.below(self.role, Kind::SortedRowIds, &[table_id]);
                self.tell_audience(listeners, &Event::Unsorted(store));
            }
        }
    }

    /// Reports the order in tables whose rows are the same, by the cells that changed.
    fn tell_unsorted(&mut self) {
        let Self { store, told, .. } = *self;
        if !self.has(Kind::SortedRowIds) {
            return;
        }
        for (table_id, table) in told.net.tables().iter().filter(|(_, table)| table.row_ids().is_empty()) {
            let cell_ids: IndexSet<&Id> = table.rows.values().flat_map(|row| row.cells.keys()).collect();
            for cell_id in cell_ids {
                self.call(Kind::SortedRowIds, [table_id, cell_id], &Event::Unsorted(store));
            }
        }
    }

    fn tell_cell_ids(&mut self) {
        let told = self.told;
        if !self.has(Kind::CellIds) && !self.has(Kind::HasCell) {
            return;
        }
        for (table_id, table) in told.net.tables() {
            for (row_id, row) in &table.rows {
                tell_ids!(self, cell_ids(&row.cells), CellIds => CellIdsEvent, HasCell => HasCellEvent(cell_id), [table_id, row_id]);
            }
        }
    }

    fn tell_cells(&mut self) {
        let Self { store, told: Told { net, .. }, .. } = *self;
        let (cells, rows, tables) = (self.has(Kind::Cell), self.has(Kind::Row), self.has(Kind::Table));
        match net.one() {
            Some(OneChange { table_id, row_id, cell_id, change }) => {
                self.tell_cell(table_id, row_id, cell_id, change);
                self.tell_row(table_id, row_id);
                self.tell_table(table_id);
            }
            None if cells || rows || tables => {
                for (table_id, table) in net.tables() {
                    for (row_id, row) in table.rows.iter().filter(|_| cells || rows) {
                        for (cell_id, change) in row.cells.iter().filter(|_| cells) {
                            self.tell_cell(table_id, row_id, cell_id, change);
                        }
                        self.tell_row(table_id, row_id);
                    }
                    self.tell_table(table_id);
                }
            }
            None => {}
        }
        self.call(Kind::Tables, [], &Event::TablesEvent(TablesEvent { store, net }));
    }

    fn tell_cell(&mut self, table_id: &Id, row_id: &Id, cell_id: &Id, CellChange { old, new }: &CellChange) {
        let (store, net, old, new) = (self.store, &self.told.net, old.as_ref(), new.as_ref());
        let event = CellEvent { store, table_id, row_id, cell_id, old, new, net };
        self.call(Kind::Cell, [table_id, row_id, cell_id], &Event::CellEvent(event));
    }

    fn tell_row(&mut self, table_id: &Id, row_id: &Id) {
        let event = RowEvent { store: self.store, table_id, row_id, net: &self.told.net };
        self.call(Kind::Row, [table_id, row_id], &Event::RowEvent(event));
    }

    fn tell_table(&mut self, table_id: &Id) {
        let event = TableEvent { store: self.store, table_id, net: &self.told.net };
        self.call(Kind::Table, [table_id], &Event::TableEvent(event));
    }

    fn tell_values(&mut self) {
        let Self { store, told, .. } = *self;
        let Told { net, .. } = told;
        if net.values.is_empty() || !self.has_any(Kind::HasValues, Kind::Values) {
            return;
        }
        if self.has(Kind::HasValues)
            && let Some(has) = told.has_values()
        {
            self.call(Kind::HasValues, [], &Event::HasValuesEvent(HasValuesEvent { store, has }));
        }
        tell_ids!(self, told.value_ids(), ValueIds => ValueIdsEvent, HasValue => HasValueEvent(value_id), []);
        if self.has(Kind::Value) {
            for (value_id, CellChange { old, new }) in &net.values {
                let event = ValueEvent { store, value_id, old: old.as_ref(), new: new.as_ref(), net };
                self.call(Kind::Value, [value_id], &Event::ValueEvent(event));
            }
        }
        self.call(Kind::Values, [], &Event::ValuesEvent(ValuesEvent { store, net }));
    }

    fn has(&self, kind: Kind) -> bool {
        self.store.shared.listeners.has(self.role, kind)
    }

    fn has_any(&self, from: Kind, to: Kind) -> bool {
        self.store.shared.listeners.has_any(self.role, from, to)
    }

    fn call<const N: usize>(&mut self, kind: Kind, ids: [&Id; N], event: &Event<'_>) {
        if self.has(kind) {
            self.call_some(kind, &ids.map(Some), event);
        }
    }

    /// Like `call`, with ids that may be missing.
    fn call_some(&mut self, kind: Kind, ids: &[Option<&Id>], event: &Event<'_>) {
        let audience = self.store.shared.listeners.matching(self.role, kind, ids);
        self.tell_audience(audience, event);
    }

    fn tell_audience(&mut self, audience: Audience, event: &Event<'_>) {
        audience.tell(self.mark, self.role, event, self.panics);
    }
}
