//! How traces show things: cells as the text of their JSON, maps as pairs in order.

use roommate::{Cell, Changes, Content, Id, IdChange, Map, Row, RowChanges, Store, TableChanges, TransactionLog};
use serde_json::{Value, json};

/// The encoded JSON of a cell, as text.
pub(crate) fn cell(cell: &Cell) -> Value {
    let values = Row::from_iter([("", cell.clone())]);
    let text = Content { values, ..Content::new() }.to_json();
    let text = text.strip_prefix(r#"[{},{"":"#).and_then(|text| text.strip_suffix("}]"));
    Value::from(text.expect("a content of one value is written like this"))
}

/// The same, or null.
pub(crate) fn option(option: Option<&Cell>) -> Value {
    option.map_or(Value::Null, cell)
}

/// Everything in a store, level by level, in the order in which it is iterated.
pub(crate) fn content(store: &Store) -> Value {
    let row = |table_id: &Id, row_id: &Id| {
        let cells = store.cell_ids(table_id, row_id);
        let cells = cells
            .iter()
            .map(|cell_id| json!([cell_id.as_str(), option(store.cell(table_id, row_id, cell_id).as_ref())]));
        cells.collect::<Value>()
    };
    let table = |table_id: &Id| {
        let rows = store.row_ids(table_id);
        let rows = rows.iter().map(|row_id| json!([row_id.as_str(), row(table_id, row_id)])).collect::<Value>();
        let mut cell_ids = store.table_cell_ids(table_id);
        // The order differs (D14).
        cell_ids.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        let cell_ids = cell_ids.iter().map(Id::as_str).collect::<Value>();
        json!([table_id.as_str(), rows, store.row_count(table_id), cell_ids])
    };
    let tables = store.table_ids().iter().map(table).collect::<Value>();
    let values = store.value_ids();
    let values = values.iter().map(|id| json!([id.as_str(), option(store.value(id).as_ref())])).collect::<Value>();
    json!([tables, values, store.json(), schema(&store.tables_schema_json()), schema(&store.values_schema_json())])
}

/// The same in the order of ids, without its JSON.
pub(crate) fn content_in_order_of_ids(store: &Store) -> Value {
    fn sort(pairs: &mut Value, levels: usize) {
        let Some(pairs) = pairs.as_array_mut() else { return };
        pairs.sort_by(|a, b| a[0].as_str().cmp(&b[0].as_str()));
        if levels > 1 {
            pairs.iter_mut().for_each(|pair| sort(&mut pair[1], levels - 1));
        }
    }
    let mut content = content(store);
    sort(&mut content[0], 3);
    sort(&mut content[1], 1);
    content[2] = Value::Null;
    content
}

/// A schema's JSON, with the keys of every object in order.
fn schema(json: &str) -> Value {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(object) => {
                let mut pairs: Vec<_> = object.into_iter().collect();
                pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
                pairs.into_iter().map(|(key, value)| json!([key, sorted(value)])).collect()
            }
            // As JavaScript writes it, without a fraction.
            Value::Number(number) => match number.as_f64() {
                Some(whole) if whole.fract() == 0.0 => json!(whole as i64),
                other => json!(other),
            },
            Value::Array(array) => array.into_iter().map(sorted).collect(),
            other => other,
        }
    }
    sorted(serde_json::from_str(json).expect("schemas are JSON")).to_string().into()
}

/// Ids in their order.
pub(crate) fn ids(ids: &[Id]) -> Value {
    ids.iter().map(Id::as_str).collect()
}

/// What was offered and could not be taken.
pub(crate) fn offered(cells: &[Option<Cell>]) -> Value {
    cells.iter().map(|cell| option(cell.as_ref())).collect()
}

/// Ids that came or went, in order.
pub(crate) fn id_changes(ids: &Map<IdChange>) -> Value {
    pairs(ids, |change| json!(if *change == IdChange::Added { 1 } else { -1 }))
}

/// Changes, each map of them sorted; null is what was deleted.
pub(crate) fn changes(changes: &Changes) -> Value {
    let cells = |cells: &RowChanges| pairs(cells, |cell| option(cell.as_ref()));
    let rows = |rows: &TableChanges| pairs(rows, |row| row.as_ref().map_or(Value::Null, cells));
    json!([pairs(&changes.tables, |table| table.as_ref().map_or(Value::Null, rows)), cells(&changes.values)])
}

/// A log, each map of it sorted.
pub(crate) fn log(log: &TransactionLog) -> Value {
    let cells = |cells: &Map<roommate::CellChange>| {
        pairs(cells, |change| json!([option(change.old.as_ref()), option(change.new.as_ref())]))
    };
    let id = |id: &Option<Id>| id.as_ref().map_or("undefined", Id::as_str).to_owned();
    let mut invalid_cells: Vec<_> = log.invalid_cells.iter().collect();
    invalid_cells.sort_by_key(|cell| [id(&cell.table_id), id(&cell.row_id), id(&cell.cell_id)]);
    let invalid_cells: Value = invalid_cells
        .into_iter()
        .map(|cell| json!([id(&cell.table_id), id(&cell.row_id), id(&cell.cell_id), offered(&cell.cells)]))
        .collect();
    let mut invalid_values: Vec<_> = log.invalid_values.iter().collect();
    invalid_values.sort_by_key(|value| id(&value.value_id));
    let invalid_values: Value =
        invalid_values.into_iter().map(|value| json!([id(&value.value_id), offered(&value.values)])).collect();
    json!([
        pairs(&log.changed_cells, |table| pairs(table, cells)),
        cells(&log.changed_values),
        id_changes(&log.changed_table_ids),
        pairs(&log.changed_row_ids, id_changes),
        pairs(&log.changed_cell_ids, |table| pairs(table, id_changes)),
        id_changes(&log.changed_value_ids),
        log.cells_touched,
        log.values_touched,
        invalid_cells,
        invalid_values,
    ])
}

/// Entries in the order of ids.
fn pairs<'a, V: 'a>(entries: impl IntoIterator<Item = (&'a Id, &'a V)>, entry: impl Fn(&V) -> Value) -> Value {
    let mut pairs: Vec<_> = entries.into_iter().collect();
    pairs.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    pairs.into_iter().map(|(id, value)| json!([id.as_str(), entry(value)])).collect()
}
