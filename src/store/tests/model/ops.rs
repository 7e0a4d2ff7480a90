//! Random writes, to a store and to a plain [`Content`].

use proptest::{collection::vec, option, prelude::*};

use crate::{
    content::{Cell, Changes, Content, Id, Map, Row, RowChanges, Table, TableChanges, Tables, Values},
    error::Result,
    store::Store,
};

/// A write.
#[derive(Clone, Debug)]
pub(in crate::store::tests) enum Op {
    SetCell(Id, Id, Id, Cell),
    SetRow(Id, Id, Row),
    SetPartialRow(Id, Id, Row),
    AddRow(Id, Row, bool),
    SetTable(Id, Table),
    SetTables(Tables),
    SetValue(Id, Cell),
    SetValues(Values),
    SetPartialValues(Values),
    SetContent(Content),
    Apply(Changes),
    DelCell(Id, Id, Id),
    DelRow(Id, Id),
    DelTable(Id),
    DelTables,
    DelValue(Id),
    DelValues,
}

/// Writes to a store, but for rows whose ids it chooses.
pub(in crate::store::tests) fn write_to_store(store: &Store, op: &Op) -> Result<()> {
    match op {
        Op::SetCell(t, r, c, cell) => store.set_cell(t, r, c, cell),
        Op::SetRow(t, r, row) => store.set_row(t, r, row),
        Op::SetPartialRow(t, r, row) => store.set_partial_row(t, r, row),
        Op::AddRow(..) => Ok(()),
        Op::SetTable(t, table) => store.set_table(t, table),
        Op::SetTables(tables) => store.set_tables(tables),
        Op::SetValue(v, value) => store.set_value(v, value),
        Op::SetValues(values) => store.set_values(values),
        Op::SetPartialValues(values) => store.set_partial_values(values),
        Op::SetContent(content) => store.set_content(content),
        Op::Apply(changes) => store.apply_changes(changes),
        Op::DelCell(t, r, c) => store.del_cell(t, r, c),
        Op::DelRow(t, r) => store.del_row(t, r),
        Op::DelTable(t) => store.del_table(t),
        Op::DelTables => store.del_tables(),
        Op::DelValue(v) => store.del_value(v),
        Op::DelValues => store.del_values(),
    }
}

/// Writes the same to a model, given the id of a row that was added.
pub(in crate::store::tests) fn write_to_model(model: &mut Content, op: &Op, added: Option<Result<Id>>) {
    match op {
        Op::SetCell(t, r, c, cell) => set_cell(model, t, r, c, cell),
        Op::SetRow(t, r, row) => set_row(model, t, r, row),
        Op::SetPartialRow(t, r, row) => row.iter().for_each(|(c, cell)| set_cell(model, t, r, c, cell)),
        Op::AddRow(t, row, _) => match added {
            Some(Ok(r)) => {
                assert_eq!(model.row(t, &r), None, "the id is new");
                set_row(model, t, &r, row);
            }
            _ => assert!(row.is_empty()),
        },
        Op::SetTable(t, table) => set_table(model, t, table),
        Op::SetTables(tables) => set_tables(model, tables),
        Op::SetValue(v, value) => drop(model.values.insert(v, value.clone())),
        Op::SetValues(values) => set_values(model, values),
        Op::SetPartialValues(values) => model.values.extend(values.clone()),
        Op::SetContent(content) => {
            match content.tables.is_empty() {
                true => model.tables.clear(),
                false => set_tables(model, &content.tables),
            }
            match content.values.is_empty() {
                true => model.values.clear(),
                false => set_values(model, &content.values),
            }
        }
        Op::Apply(changes) => apply(model, changes),
        Op::DelCell(t, r, c) => del_cell(model, t, r, c),
        Op::DelRow(t, r) => del_row(model, t, r),
        Op::DelTable(t) => drop(model.tables.remove(t)),
        Op::DelTables => model.tables.clear(),
        Op::DelValue(v) => drop(model.values.remove(v)),
        Op::DelValues => model.values.clear(),
    }
}

/// As `Content::apply`, but for the order: a row that loses its last cell is gone at once, and comes back at the end.
fn apply(model: &mut Content, changes: &Changes) {
    for (t, rows) in &changes.tables {
        let Some(rows) = rows else {
            model.tables.remove(t);
            continue;
        };
        for (r, cells) in rows {
            let Some(cells) = cells else {
                del_row(model, t, r);
                continue;
            };
            for (c, cell) in cells {
                match cell {
                    Some(cell) => set_cell(model, t, r, c, cell),
                    None => del_cell(model, t, r, c),
                }
            }
        }
    }
    for (v, value) in &changes.values {
        match value {
            Some(value) => model.values.insert(v, value.clone()),
            None => model.values.remove(v),
        };
    }
}

fn set_cell(model: &mut Content, t: &Id, r: &Id, c: &Id, cell: &Cell) {
    model.tables.get_or_default(t).get_or_default(r).insert(c, cell.clone());
}

fn del_cell(model: &mut Content, t: &Id, r: &Id, c: &Id) {
    if let Some(row) = model.tables.get_mut(t).and_then(|table| table.get_mut(r)) {
        row.remove(c);
        model.prune();
    }
}

fn del_row(model: &mut Content, t: &Id, r: &Id) {
    if let Some(table) = model.tables.get_mut(t) {
        table.remove(r);
        model.prune();
    }
}

fn set_row(model: &mut Content, t: &Id, r: &Id, row: &Row) {
    if !row.is_empty() {
        let old = model.tables.get_or_default(t).get_or_default(r);
        old.extend(row.clone());
        old.retain(|c, _| row.contains(c));
    }
}

fn set_table(model: &mut Content, t: &Id, table: &Table) {
    if table.values().any(|row| !row.is_empty()) {
        table.iter().for_each(|(r, row)| set_row(model, t, r, row));
        model.tables.get_or_default(t).retain(|r, _| table.get(r).is_some_and(|row| !row.is_empty()));
    }
}

fn set_tables(model: &mut Content, tables: &Tables) {
    let holds = |table: &Table| table.values().any(|row| !row.is_empty());
    if tables.values().any(holds) {
        tables.iter().for_each(|(t, table)| set_table(model, t, table));
        model.tables.retain(|t, _| tables.get(t).is_some_and(holds));
    }
}

fn set_values(model: &mut Content, values: &Values) {
    if !values.is_empty() {
        model.values.extend(values.clone());
        model.values.retain(|v, _| values.contains(v));
    }
}

pub(in crate::store::tests) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (id(), id(), id(), cell()).prop_map(|(t, r, c, cell)| Op::SetCell(t, r, c, cell)),
        4 => (id(), id(), id()).prop_map(|(t, r, c)| Op::DelCell(t, r, c)),
        3 => (id(), id()).prop_map(|(t, r)| Op::DelRow(t, r)),
        2 => (id(), id(), row()).prop_map(|(t, r, row)| Op::SetRow(t, r, row)),
        2 => (id(), id(), row()).prop_map(|(t, r, row)| Op::SetPartialRow(t, r, row)),
        2 => (id(), row(), any::<bool>()).prop_map(|(t, row, reuse)| Op::AddRow(t, row, reuse)),
        1 => (id(), table()).prop_map(|(t, table)| Op::SetTable(t, table)),
        1 => tables().prop_map(Op::SetTables),
        2 => id().prop_map(Op::DelTable),
        1 => Just(Op::DelTables),
        3 => (id(), cell()).prop_map(|(v, value)| Op::SetValue(v, value)),
        2 => id().prop_map(Op::DelValue),
        1 => row().prop_map(Op::SetValues),
        1 => row().prop_map(Op::SetPartialValues),
        1 => Just(Op::DelValues),
        1 => (tables(), row()).prop_map(|(tables, values)| Op::SetContent(Content { tables, values })),
        2 => changes().prop_map(Op::Apply),
    ]
}

/// Few ids, so that they meet; two that the pool of row ids gives out as well.
pub(in crate::store::tests) fn id() -> impl Strategy<Value = Id> {
    prop_oneof![Just("a"), Just("b"), Just("0"), Just("1")].prop_map(Id::from)
}

pub(in crate::store::tests) fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![Just(Cell::Null), any::<bool>().prop_map(Cell::from), (0..3).prop_map(Cell::from)]
}

fn row() -> impl Strategy<Value = Row> {
    vec((id(), cell()), 0..3).prop_map(Row::from_iter)
}

fn table() -> impl Strategy<Value = Table> {
    vec((id(), row()), 0..3).prop_map(Map::from_iter)
}

fn tables() -> impl Strategy<Value = Tables> {
    vec((id(), table()), 0..3).prop_map(Map::from_iter)
}

fn row_changes() -> impl Strategy<Value = RowChanges> {
    vec((id(), option::of(cell())), 0..3).prop_map(RowChanges::from_iter)
}

fn table_changes() -> impl Strategy<Value = TableChanges> {
    vec((id(), option::of(row_changes())), 0..3).prop_map(Map::from_iter)
}

fn changes() -> impl Strategy<Value = Changes> {
    let tables = vec((id(), option::of(table_changes())), 0..3).prop_map(Map::from_iter);
    (tables, row_changes()).prop_map(|(tables, values)| Changes { tables, values })
}
