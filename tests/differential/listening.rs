//! Listeners that tell what they were told.

use std::sync::Arc;

use roommate::{CellChange, Id, Sort, Subscription, TransactionEvent};
use serde_json::{Value, json};

use super::{
    ours::{World, pattern},
    script::{Kind, Listen, Role},
    show,
};

/// Adds the listener of this number.
pub(crate) fn listen(World { store, heard }: &World, number: usize, listen: &Listen) -> Subscription {
    let p = |index| pattern(listen, index);
    let mutator = listen.role == Role::Mutator;
    let (kind, does) = (listen.kind, listen.does.clone());
    let heard = Arc::clone(heard);
    // What a mutator may look up is as of when its group's turn came (D24).
    let change =
        move |change: Option<&CellChange>| if mutator { Value::Null } else { change.map_or(Value::Null, shown) };
    macro_rules! stage {
        ($add:ident, $event:ident => $shown:expr) => {
            store.$add(move |$event| heard.call($event.store, kind, &does, json!([number, $shown])))
        };
    }
    macro_rules! add {
        ($add:ident($($id:expr),*), $event:ident => $($shown:expr),*) => {
            match listen.role {
                Role::Mutator => store.mutators().$add($($id,)* move |$event| {
                    heard.call($event.store, kind, &does, json!([number, $($shown),*]));
                }),
                Role::Listener => store.$add($($id,)* move |$event| {
                    heard.call($event.store, kind, &does, json!([number, $($shown),*]));
                }),
            }
        };
    }
    match kind {
        Kind::Cell => add!(add_cell_listener(p(0), p(1), p(2)), event =>
            event.table_id.as_str(), event.row_id.as_str(), event.cell_id.as_str(),
            show::option(event.new), show::option(event.old), change(event.cell_change("a", "a", "a"))),
        Kind::HasCell => add!(add_has_cell_listener(p(0), p(1), p(2)), event =>
            event.table_id.as_str(), event.row_id.as_str(), event.cell_id.as_str(), event.has),
        Kind::CellIds => add!(add_cell_ids_listener(p(0), p(1)), event =>
            event.table_id.as_str(), event.row_id.as_str(), show::id_changes(event.ids)),
        Kind::Row => add!(add_row_listener(p(0), p(1)), event =>
            event.table_id.as_str(), event.row_id.as_str(), change(event.cell_change("a", "a", "a"))),
        Kind::HasRow => add!(add_has_row_listener(p(0), p(1)), event =>
            event.table_id.as_str(), event.row_id.as_str(), event.has),
        Kind::RowIds => add!(add_row_ids_listener(p(0)), event =>
            event.table_id.as_str(), show::id_changes(event.ids)),
        Kind::SortedRowIds => add!(add_sorted_row_ids_listener(first(listen), Sort::by_row_id()), event =>
            event.table_id.as_str(), show::ids(event.row_ids)),
        Kind::RowCount => add!(add_row_count_listener(p(0)), event => event.table_id.as_str(), event.count),
        Kind::Table => add!(add_table_listener(p(0)), event =>
            event.table_id.as_str(), change(event.cell_change("a", "a", "a"))),
        Kind::HasTable => add!(add_has_table_listener(p(0)), event => event.table_id.as_str(), event.has),
        Kind::TableIds => add!(add_table_ids_listener(), event => show::id_changes(event.ids)),
        Kind::TableCellIds => add!(add_table_cell_ids_listener(p(0)), event =>
            event.table_id.as_str(), show::id_changes(event.ids)),
        Kind::HasTableCell => add!(add_has_table_cell_listener(p(0), p(1)), event =>
            event.table_id.as_str(), event.cell_id.as_str(), event.has),
        Kind::Tables => add!(add_tables_listener(), event => change(event.cell_change("a", "a", "a"))),
        Kind::HasTables => add!(add_has_tables_listener(), event => event.has),
        Kind::InvalidCell => add!(add_invalid_cell_listener(p(0), p(1), p(2)), event =>
            event.table_id.map(Id::as_str), event.row_id.map(Id::as_str), event.cell_id.map(Id::as_str),
            show::offered(event.cells)),
        Kind::Value => add!(add_value_listener(p(0)), event =>
            event.value_id.as_str(), show::option(event.new), show::option(event.old), change(event.value_change("a"))),
        Kind::HasValue => add!(add_has_value_listener(p(0)), event => event.value_id.as_str(), event.has),
        Kind::ValueIds => add!(add_value_ids_listener(), event => show::id_changes(event.ids)),
        Kind::Values => add!(add_values_listener(), event => change(event.value_change("a"))),
        Kind::HasValues => add!(add_has_values_listener(), event => event.has),
        Kind::InvalidValue => add!(add_invalid_value_listener(p(0)), event =>
            event.value_id.map(Id::as_str), show::offered(event.values)),
        Kind::StartTransaction => stage!(add_start_transaction_listener, event => transaction(event)),
        Kind::WillFinishTransaction => stage!(add_will_finish_transaction_listener, event => transaction(event)),
        Kind::DidFinishTransaction => stage!(add_did_finish_transaction_listener, event => transaction(event)),
    }
}

fn first(Listen { ids, .. }: &Listen) -> &str {
    ids.first().and_then(Option::as_deref).unwrap_or_default()
}

fn shown(change: &CellChange) -> Value {
    json!([show::option(change.old.as_ref()), show::option(change.new.as_ref())])
}

fn transaction(event: &TransactionEvent<'_>) -> Value {
    json!([show::changes(&event.changes()), show::log(&event.log())])
}
