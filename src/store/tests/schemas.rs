use super::{Heard, row, table};
use crate::{
    ANY, CellKind, CellSchema, TablesSchema, ValuesSchema,
    content::{Cell, Changes, Content, Map, Row, Table, Tables},
    error::{ErrorKind, Result},
    store::Store,
};

fn text(text: &str) -> Cell {
    Cell::try_from(text).unwrap()
}

/// Pets have a species ("dog" by default), legs, and a price that may be null.
pub(super) fn schema() -> TablesSchema {
    TablesSchema::new()
        .with_cell("pets", "species", CellSchema::string().with_default("dog").unwrap())
        .with_cell("pets", "legs", CellSchema::number())
        .with_cell("pets", "price", CellSchema::number().allow_null())
}

pub(super) fn store() -> Store {
    let store = Store::new();
    store.set_tables_schema(schema()).unwrap();
    store
}

fn one_cell(cell: CellSchema) -> Store {
    let store = Store::new();
    store.set_tables_schema(TablesSchema::new().with_cell("t", "c", cell)).unwrap();
    store
}

fn listen(store: &Store, heard: &Heard) {
    let log = heard.clone();
    let show = |id: Option<&crate::content::Id>| id.map_or_else(|| "?".to_owned(), ToString::to_string);
    let cells = move |event: &crate::InvalidCellEvent<'_>| {
        let cells: Vec<_> =
            event.cells.iter().map(|cell| cell.as_ref().map_or_else(|| "-".into(), Cell::to_json)).collect();
        let (table_id, row_id, cell_id) = (show(event.table_id), show(event.row_id), show(event.cell_id));
        log.note(format!("{table_id} {row_id} {cell_id}: {}", cells.join(" ")));
    };
    store.add_invalid_cell_listener(ANY, ANY, ANY, cells).forever();
    let log = heard.clone();
    let values = move |event: &crate::InvalidValueEvent<'_>| {
        let values: Vec<_> =
            event.values.iter().map(|cell| cell.as_ref().map_or_else(|| "-".into(), Cell::to_json)).collect();
        log.note(format!("{}: {}", show(event.value_id), values.join(" ")));
    };
    store.add_invalid_value_listener(ANY, values).forever();
}

#[test]
fn unknown_tables_and_cells_are_refused_and_told() {
    let (store, heard) = (store(), Heard::default());
    listen(&store, &heard);
    store.set_cell("people", "p", "name", 1).unwrap();
    store.set_cell("pets", "fido", "wings", 2).unwrap();
    assert!(!store.has_tables());
    assert_eq!(heard.take(), ["people p name: 1", "pets fido wings: 2"]);
    store.set_table("people", &table(&[("p", &[("name", 1)])])).unwrap();
    assert_eq!(heard.take(), ["people ? ?: -"], "the table as a whole");
    store.set_row("people", "p", [("name", 1)]).unwrap();
    assert_eq!(heard.take(), ["people p name: 1"]);
    assert!(!store.has_tables());
}

#[test]
fn each_type_accepts_itself_alone() {
    let json = |text: &str| Cell::from(crate::content::Json::new(text).unwrap());
    let cells = [text("a"), Cell::from(1), Cell::from(true), json("{}"), json("[]")];
    let schemas =
        [CellSchema::string(), CellSchema::number(), CellSchema::boolean(), CellSchema::object(), CellSchema::array()];
    for (n, schema) in schemas.into_iter().enumerate() {
        let store = one_cell(schema);
        for (m, cell) in cells.iter().enumerate() {
            store.set_cell("t", &*m.to_string(), "c", cell).unwrap();
        }
        assert_eq!(store.row_ids("t"), [&*n.to_string()]);
        store.set_cell("t", "null", "c", Cell::Null).unwrap();
        assert!(!store.has_row("t", "null"));
    }
}

#[test]
fn a_list_of_types_accepts_each_of_them() {
    let store = one_cell(CellSchema::any_of([CellKind::String, CellKind::Array]).unwrap());
    store.set_cell("t", "text", "c", "a").unwrap();
    store.set_cell("t", "array", "c", serde_json::json!([1])).unwrap();
    store.set_cell("t", "number", "c", 1).unwrap();
    assert_eq!(store.row_ids("t"), ["text", "array"]);
}

#[test]
fn choices_accept_themselves_alone() {
    let size = CellSchema::one_of(["small", "large"]).unwrap().with_default("small").unwrap();
    let store = one_cell(size);
    store.set_cell("t", "r", "c", "large").unwrap();
    assert_eq!(store.cell("t", "r", "c"), Some(text("large")));
    store.set_cell("t", "r", "c", "huge").unwrap();
    assert_eq!(store.cell("t", "r", "c"), Some(text("small")), "the default");
}

#[test]
fn a_wrong_type_is_set_to_the_default_or_else_ignored() {
    let (store, heard) = (store(), Heard::default());
    listen(&store, &heard);
    store.set_row("pets", "polly", [("species", text("parrot")), ("legs", 2.into())]).unwrap();
    heard.take();
    store.set_cell("pets", "polly", "species", 5).unwrap();
    store.set_cell("pets", "polly", "legs", "two").unwrap();
    assert_eq!(store.json(), r#"[{"pets":{"polly":{"species":"dog","legs":2}}},{}]"#);
    assert_eq!(heard.take(), ["pets polly species: 5", r#"pets polly legs: "two""#]);
    store.set_partial_row("pets", "polly", [("legs", text("two")), ("price", 3.into())]).unwrap();
    assert_eq!(store.json(), r#"[{"pets":{"polly":{"species":"dog","legs":2,"price":3}}},{}]"#, "the others are set");
}

#[test]
fn null_is_accepted_where_it_is_allowed() {
    let store = store();
    store.set_row("pets", "fido", [("price", Cell::Null), ("legs", Cell::Null), ("species", Cell::Null)]).unwrap();
    assert_eq!(store.json(), r#"[{"pets":{"fido":{"price":null,"species":"dog"}}},{}]"#);
    let default = CellSchema::number().allow_null().with_default(Cell::Null).unwrap();
    let store = one_cell(default);
    store.set_cell("t", "r", "c", "text").unwrap();
    assert_eq!(store.cell("t", "r", "c"), Some(Cell::Null), "null as a default");
}

#[test]
fn a_new_row_gets_its_defaults_behind_what_was_given() {
    let store = store();
    store.set_cell("pets", "a", "legs", 4).unwrap();
    store.set_row("pets", "b", [("legs", 4)]).unwrap();
    store.set_partial_row("pets", "c", [("legs", 4), ("price", 1)]).unwrap();
    assert_eq!(store.cell_ids("pets", "a"), ["legs", "species"]);
    assert_eq!(store.cell_ids("pets", "b"), ["legs", "species"]);
    assert_eq!(store.cell_ids("pets", "c"), ["legs", "species", "price"], "the first cell made the row");
    let row_id = store.add_row("pets", [("legs", 4)]).unwrap();
    assert_eq!(store.cell("pets", &row_id, "species"), Some(text("dog")));
    store.set_row("pets", "d", Row::new()).unwrap();
    assert_eq!(store.row("pets", "d"), Row::from_iter([("species", text("dog"))]), "an empty row is one of defaults");
    let row_id = store.add_row("pets", Row::new()).unwrap();
    assert!(store.has_row("pets", &row_id));
}

#[test]
fn a_row_that_is_there_gets_defaults_when_it_is_replaced_and_not_when_it_is_edited() {
    let store = Store::new();
    store.set_cell("pets", "fido", "legs", 4).unwrap();
    let mut changes = Changes::new();
    changes.del_cell("pets", "fido", "species");
    store.set_tables_schema(schema()).unwrap();
    store.apply_changes(&changes).unwrap();
    store.set_cell("pets", "fido", "legs", 3).unwrap();
    store.set_partial_row("pets", "fido", [("price", 1)]).unwrap();
    assert_eq!(store.cell_ids("pets", "fido"), ["legs", "price"]);
    store.set_row("pets", "fido", [("legs", 4)]).unwrap();
    assert_eq!(store.cell_ids("pets", "fido"), ["legs", "species"]);
}

#[test]
fn a_whole_row_that_lacks_a_cell_without_default_is_told_of() {
    let (store, heard) = (store(), Heard::default());
    listen(&store, &heard);
    store.set_row("pets", "fido", [("legs", 4)]).unwrap();
    assert_eq!(heard.take(), ["pets fido price: -"], "and is set");
    store.add_row("pets", [("price", 4)]).unwrap();
    assert_eq!(heard.take(), ["pets ? legs: -"], "a row that is added has no id yet");
    store.set_cell("pets", "felix", "legs", 4).unwrap();
    assert_eq!(heard.take(), ["pets felix price: -"], "a cell that makes a row too");
    store.set_cell("pets", "felix", "legs", 3).unwrap();
    assert!(heard.take().is_empty());
}

#[test]
fn a_required_cell_is_required_of_whole_rows_alone() {
    let schema = TablesSchema::new().with_cell("t", "must", CellSchema::number().required()).with_cell(
        "t",
        "may",
        CellSchema::number(),
    );
    let store = Store::new();
    store.set_tables_schema(schema).unwrap();
    store.set_row("t", "r", [("may", 1)]).unwrap();
    assert_eq!(store.add_row("t", [("may", 1)]).unwrap_err().kind(), ErrorKind::Invalid);
    store.set_table("t", &table(&[("r", &[("may", 1)])])).unwrap();
    store.set_tables(&Map::from_iter([("t", table(&[("r", &[("may", 1)])]))])).unwrap();
    assert!(!store.has_tables());
    store.set_table("t", &table(&[("bad", &[("may", 1)]), ("good", &[("must", 1)])])).unwrap();
    assert_eq!(store.row_ids("t"), ["good"]);

    store.set_cell("t", "cell", "may", 1).unwrap();
    store.set_partial_row("t", "partial", [("may", 1)]).unwrap();
    let mut changes = Changes::new();
    changes.set_cell("t", "changes", "may", 1.into());
    store.apply_changes(&changes).unwrap();
    store.del_cell("t", "good", "must").unwrap();
    assert_eq!(store.row_ids("t"), ["cell", "partial", "changes"]);
}

#[test]
fn an_object_as_a_default_is_not_told_as_invalid() {
    let store = one_cell(CellSchema::object().with_default(serde_json::json!({"a": 1})).unwrap());
    let heard = Heard::default();
    listen(&store, &heard);
    store.set_row("t", "r", Row::new()).unwrap();
    store.set_cell("t", "r", "c", 1).unwrap();
    assert_eq!(store.json(), "[{\"t\":{\"r\":{\"c\":\"\u{FFFD}{\\\"a\\\":1}\"}}},{}]");
    assert_eq!(heard.take(), ["t r c: 1"]);
}

#[test]
fn a_required_cell_with_a_default_is_not_missed() {
    let store = one_cell(CellSchema::number().required().with_default(1).unwrap());
    store.set_row("t", "r", Row::new()).unwrap();
    assert_eq!(store.cell("t", "r", "c"), Some(1.into()));
}

#[test]
fn a_row_of_which_nothing_is_valid_stays_as_it_was() {
    let store = Store::new();
    store.set_tables_schema(TablesSchema::new().with_cell("t", "c", CellSchema::number())).unwrap();
    store.set_cell("t", "r", "c", 1).unwrap();
    let before = store.content();
    store.set_row("t", "r", [("c", "text")]).unwrap();
    store.set_row("t", "r", [("d", 1)]).unwrap();
    store.set_table("t", &table(&[("r", &[("d", 1)])])).unwrap();
    store.set_tables(&Map::from_iter([("u", table(&[("r", &[("c", 1)])]))])).unwrap();
    store.set_content(&Content { tables: Map::from_iter([("u", Table::new())]), values: Row::new() }).unwrap();
    assert_eq!(store.content(), before);
}

#[test]
fn deleting_a_cell_with_a_default_sets_the_default_again() {
    let store = store();
    store.set_row("pets", "polly", [("species", text("parrot")), ("legs", 2.into())]).unwrap();
    store.del_cell("pets", "polly", "species").unwrap();
    assert_eq!(store.cell("pets", "polly", "species"), Some(text("dog")));
    store.del_cell("pets", "polly", "legs").unwrap();
    assert_eq!(store.cell_ids("pets", "polly"), ["species"]);
    store.del_cell("pets", "nobody", "species").unwrap();
    assert_eq!(store.row_ids("pets"), ["polly"], "a row that is not there gets none");
    store.del_row("pets", "polly").unwrap();
    assert!(!store.has_tables(), "a deleted row is gone");
}

#[test]
fn a_forced_deletion_deletes_that_cell_alone() {
    let store = store();
    store.set_row("pets", "polly", [("legs", 2)]).unwrap();
    store.force_del_cell("pets", "polly", "species").unwrap();
    assert_eq!(store.row("pets", "polly"), row(&[("legs", 2)]));
    store.force_del_cell("pets", "polly", "legs").unwrap();
    assert!(!store.has_tables());
}

#[test]
fn changes_obey_the_schema_and_their_deletions_bring_no_default_back() {
    let (store, heard) = (store(), Heard::default());
    store.set_row("pets", "polly", [("legs", 2)]).unwrap();
    listen(&store, &heard);
    let mut changes = Changes::new();
    changes.set_cell("pets", "polly", "legs", text("two"));
    changes.del_cell("pets", "polly", "species");
    changes.set_cell("pets", "fido", "legs", 4.into());
    changes.set_cell("people", "p", "name", 1.into());
    store.apply_changes(&changes).unwrap();
    assert_eq!(store.json(), r#"[{"pets":{"polly":{"legs":2},"fido":{"legs":4,"species":"dog"}}},{}]"#);
    assert_eq!(heard.take(), [r#"pets polly legs: "two""#, "pets fido price: -", "people p name: 1"]);
}

#[test]
fn values_with_defaults_are_there_from_the_schema_on_and_come_back() {
    let (store, heard) = (Store::new(), Heard::default());
    let schema = ValuesSchema::new()
        .with_value("open", CellSchema::boolean().with_default(false).unwrap())
        .with_value("name", CellSchema::string());
    store.set_values_schema(schema).unwrap();
    assert_eq!(store.values_json(), r#"{"open":false}"#);
    listen(&store, &heard);
    store.set_value("open", true).unwrap();
    store.del_value("open").unwrap();
    assert_eq!(store.value("open"), Some(false.into()));
    store.set_value("open", 1).unwrap();
    store.set_value("closed", 1).unwrap();
    store.set_value("name", Cell::Null).unwrap();
    assert_eq!(store.values_json(), r#"{"open":false}"#);
    assert_eq!(heard.take(), ["open: 1", "closed: 1", "name: null"]);
    store.set_partial_values([("name", text("shop")), ("open", true.into())]).unwrap();
    store.del_values().unwrap();
    assert_eq!(store.values_json(), r#"{"open":false}"#);
    store.set_values([("name", "shop")]).unwrap();
    assert_eq!(store.values_json(), r#"{"open":false,"name":"shop"}"#);
    let mut changes = Changes::new();
    changes.set_value("open", true.into());
    store.apply_changes(&changes).unwrap();
    changes.del_value("open");
    store.apply_changes(&changes).unwrap();
    assert_eq!(store.value("open"), Some(false.into()), "of values the default comes back even by changes");
    store.set_content(&Content::new()).unwrap();
    assert_eq!(store.json(), r#"[{},{"open":false}]"#);
}

#[test]
fn a_required_value_is_required_of_all_values_alone() {
    let store = Store::new();
    let schema =
        ValuesSchema::new().with_value("must", CellSchema::number().required()).with_value("may", CellSchema::number());
    store.set_values_schema(schema).unwrap();
    store.set_values([("may", 1)]).unwrap();
    assert!(!store.has_values());
    store.set_value("may", 1).unwrap();
    store.set_partial_values([("may", 2)]).unwrap();
    assert_eq!(store.values(), row(&[("may", 2)]));
    store.set_values([("must", 1)]).unwrap();
    assert_eq!(store.values(), row(&[("must", 1)]));
}

#[test]
fn the_log_has_what_was_invalid() {
    let store = store();
    store
        .transaction(|store| -> Result<()> {
            store.set_cell("pets", "fido", "legs", "four")?;
            store.set_cell("pets", "fido", "legs", true)?;
            store.set_values(Row::new())?;
            let log = store.transaction_log();
            assert_eq!(log.invalid_cells.len(), 1);
            assert_eq!(log.invalid_cells[0].cells, [Some(text("four")), Some(true.into())]);
            assert_eq!(log.invalid_cells[0].cell_id.as_deref(), Some("legs"));
            assert_eq!(log.invalid_values.len(), 1);
            assert_eq!((&log.invalid_values[0].value_id, &*log.invalid_values[0].values), (&None, &[None][..]));
            assert!(!log.cells_touched && !log.values_touched);
            Ok(())
        })
        .unwrap();
    assert!(store.transaction_log().invalid_cells.is_empty(), "outside of a transaction there is none");
}

#[test]
fn what_holds_nothing_is_invalid_without_a_schema_too() {
    let (store, heard) = (Store::new(), Heard::default());
    listen(&store, &heard);
    store.set_row("t", "r", Row::new()).unwrap();
    store.set_partial_row("t", "r", Row::new()).unwrap();
    assert!(store.add_row("t", Row::new()).is_err());
    store.set_table("t", &Table::new()).unwrap();
    store.set_table("t", &Map::from_iter([("r", Row::new()), ("s", row(&[("c", 1)]))])).unwrap();
    store.set_tables(&Tables::new()).unwrap();
    store.set_values(Row::new()).unwrap();
    store.set_partial_values(Row::new()).unwrap();
    let expected = ["t r ?: -", "t r ?: -", "t ? ?: -", "t ? ?: -", "t r ?: -", "? ? ?: -", "?: -", "?: -"];
    assert_eq!(heard.take(), expected);
    assert_eq!(store.row_ids("t"), ["s"]);
}

#[test]
fn json_obeys_the_schema_as_setters_do() {
    let store = store();
    store.set_json(r#"[{"pets":{"fido":{"legs":"four","price":1}},"people":{"p":{"a":1}}},{}]"#).unwrap();
    assert_eq!(store.json(), r#"[{"pets":{"fido":{"price":1,"species":"dog"}}},{}]"#);
    store.set_tables_json(r#"{"pets":{"felix":{"legs":4}}}"#).unwrap();
    assert_eq!(store.tables_json(), r#"{"pets":{"felix":{"legs":4,"species":"dog"}}}"#);
}
