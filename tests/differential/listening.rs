//! Listeners that tell what they were told.

use std::sync::Arc;

use roommate::{CellChange, Subscription, TransactionEvent};
use serde_json::{Value, json};

use super::{
    ours::{World, pattern},
    script::{Kind, Listen},
    show,
};

/// Adds the listener of this number.
pub(crate) fn listen(World { store, heard }: &World, number: usize, listen: &Listen) -> Subscription {
    let p = |index| pattern(listen, index);
    let does = listen.does.clone();
    let heard = Arc::clone(heard);
    macro_rules! add {
        ($add:ident($($id:expr),*), $event:ident => $($shown:expr),*) => {
            store.$add($($id,)* move |$event| heard.call($event.store, &does, json!([number, $($shown),*])))
        };
    }
    match listen.kind {
        Kind::Cell => add!(add_cell_listener(p(0), p(1), p(2)), event =>
            event.table_id.as_str(), event.row_id.as_str(), event.cell_id.as_str(),
            show::option(event.new), show::option(event.old), change(event.cell_change("a", "a", "a"))),
        Kind::CellIds => add!(add_cell_ids_listener(p(0), p(1)), event =>
            event.table_id.as_str(), event.row_id.as_str(), show::id_changes(event.ids)),
        Kind::Row => add!(add_row_listener(p(0), p(1)), event =>
            event.table_id.as_str(), event.row_id.as_str(), change(event.cell_change("a", "a", "a"))),
        Kind::RowIds => add!(add_row_ids_listener(p(0)), event =>
            event.table_id.as_str(), show::id_changes(event.ids)),
        Kind::Table => add!(add_table_listener(p(0)), event =>
            event.table_id.as_str(), change(event.cell_change("a", "a", "a"))),
        Kind::TableIds => add!(add_table_ids_listener(), event => show::id_changes(event.ids)),
        Kind::Tables => add!(add_tables_listener(), event => change(event.cell_change("a", "a", "a"))),
        Kind::Value => add!(add_value_listener(p(0)), event =>
            event.value_id.as_str(), show::option(event.new), show::option(event.old), change(event.value_change("a"))),
        Kind::ValueIds => add!(add_value_ids_listener(), event => show::id_changes(event.ids)),
        Kind::Values => add!(add_values_listener(), event => change(event.value_change("a"))),
        Kind::StartTransaction => add!(add_start_transaction_listener(), event => Value::Null),
        Kind::WillFinishTransaction => add!(add_will_finish_transaction_listener(), event => transaction(event)),
        Kind::DidFinishTransaction => add!(add_did_finish_transaction_listener(), event => transaction(event)),
    }
}

fn change(change: Option<&CellChange>) -> Value {
    change.map_or(Value::Null, |change| json!([show::option(change.old.as_ref()), show::option(change.new.as_ref())]))
}

fn transaction(event: &TransactionEvent<'_>) -> Value {
    json!([event.changes().to_json(), show::log(&event.log())])
}
