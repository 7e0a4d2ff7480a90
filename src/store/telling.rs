//! Telling listeners what changed, in TinyBase's order.

use crate::content::{Id, Map};

use super::{
    Store,
    events::{
        CellEvent, CellIdsEvent, Event, RowEvent, RowIdsEvent, Stage, TableEvent, TableIdsEvent, TablesEvent,
        TransactionEvent, ValueEvent, ValueIdsEvent, ValuesEvent,
    },
    listeners::{Kind, Panics, tell},
    net::{CellChange, Net, cell_ids},
    shared::lock,
};

/// One round of telling those who listened before it.
pub(super) struct Round<'a> {
    pub(super) store: &'a Store,
    pub(super) net: &'a Net,
    /// Separates those who listened already from those who will.
    pub(super) mark: u64,
    pub(super) panics: &'a mut Panics,
}

impl Store {
    /// Tells those who listen to the stages of transactions.
    pub(super) fn tell_stage(&self, kind: Kind, panics: &mut Panics) {
        let mark = {
            let book = lock(&self.shared.book);
            if !book.has(kind) {
                return;
            }
            book.mark()
        };
        let stage = if kind == Kind::StartTransaction { Stage::Start } else { Stage::WillFinish };
        let event = Event::Transaction(TransactionEvent { store: self, stage });
        tell(&self.shared.book, mark, kind, &[], &event, panics);
    }
}

impl Round<'_> {
    /// Tells everything: first who came and went, from tables to cells, then cells, rows, tables; then values; last that
    /// the transaction did finish.
    pub(super) fn tell(mut self) {
        let net = self.net;
        if !net.tables.is_empty() {
            self.tell_ids();
            self.tell_cells();
        }
        if !net.values.is_empty() {
            self.tell_values(&net.values);
        }
        let event = TransactionEvent { store: self.store, stage: Stage::DidFinish(net) };
        self.call(Kind::DidFinishTransaction, &[], &Event::Transaction(event));
    }

    fn tell_ids(&mut self) {
        let Self { store, net, .. } = *self;
        if self.has(Kind::TableIds) {
            let ids = &net.table_ids();
            if !ids.is_empty() {
                self.call(Kind::TableIds, &[], &Event::TableIds(TableIdsEvent { store, ids }));
            }
        }
        if self.has(Kind::RowIds) {
            for (table_id, table) in &net.tables {
                let ids = &table.row_ids();
                if !ids.is_empty() {
                    self.call(Kind::RowIds, &[table_id], &Event::RowIds(RowIdsEvent { store, table_id, ids }));
                }
            }
        }
        if self.has(Kind::CellIds) {
            for (table_id, table) in &net.tables {
                for (row_id, row) in &table.rows {
                    let ids = &cell_ids(&row.cells);
                    if !ids.is_empty() {
                        let event = CellIdsEvent { store, table_id, row_id, ids };
                        self.call(Kind::CellIds, &[table_id, row_id], &Event::CellIds(event));
                    }
                }
            }
        }
    }

    fn tell_cells(&mut self) {
        let Self { store, net, .. } = *self;
        let (cells, rows, tables) = (self.has(Kind::Cell), self.has(Kind::Row), self.has(Kind::Table));
        for (table_id, table) in &net.tables {
            if cells || rows {
                for (row_id, row) in &table.rows {
                    for (cell_id, CellChange { old, new }) in row.cells.iter().filter(|_| cells) {
                        let (old, new) = (old.as_ref(), new.as_ref());
                        let event = CellEvent { store, table_id, row_id, cell_id, old, new, net };
                        self.call(Kind::Cell, &[table_id, row_id, cell_id], &Event::Cell(event));
                    }
                    if rows {
                        let event = RowEvent { store, table_id, row_id, net };
                        self.call(Kind::Row, &[table_id, row_id], &Event::Row(event));
                    }
                }
            }
            if tables {
                self.call(Kind::Table, &[table_id], &Event::Table(TableEvent { store, table_id, net }));
            }
        }
        self.call(Kind::Tables, &[], &Event::Tables(TablesEvent { store, net }));
    }

    fn tell_values(&mut self, values: &Map<CellChange>) {
        let Self { store, net, .. } = *self;
        if self.has(Kind::ValueIds) {
            let ids = &cell_ids(values);
            if !ids.is_empty() {
                self.call(Kind::ValueIds, &[], &Event::ValueIds(ValueIdsEvent { store, ids }));
            }
        }
        if self.has(Kind::Value) {
            for (value_id, CellChange { old, new }) in values {
                let event = ValueEvent { store, value_id, old: old.as_ref(), new: new.as_ref(), net };
                self.call(Kind::Value, &[value_id], &Event::Value(event));
            }
        }
        self.call(Kind::Values, &[], &Event::Values(ValuesEvent { store, net }));
    }

    fn has(&self, kind: Kind) -> bool {
        lock(&self.store.shared.book).has(kind)
    }

    fn call(&mut self, kind: Kind, ids: &[&Id], event: &Event<'_>) {
        tell(&self.store.shared.book, self.mark, kind, ids, event, self.panics);
    }
}
