use super::{Heard, pets, row, table};
use crate::{
    ANY,
    content::{Cell, Changes, Content, Map, Row, Table, Tables, Values},
    error::ErrorKind,
    store::Store,
};

#[test]
fn an_argument_that_cannot_be_taken_changes_nothing() {
    let store = pets();
    let before = store.content();
    let invalid = [
        store.set_cell("pets", "fido", "legs", f64::INFINITY),
        store.set_cell("pets", "fido", "name", "\u{FFFD}{}"),
        store.set_row("pets", "fido", [("legs", 1.0), ("age", f64::NAN)]),
        store.set_partial_row("pets", "fido", [("legs", 1.0), ("age", f64::NAN)]),
        store.add_row("pets", [("legs", f64::NAN)]).map(drop),
        store.add_row("pets", Row::new()).map(drop),
        store.set_value("a", u64::MAX),
        store.set_values([("a", 1.5), ("b", f64::NAN)]),
        store.set_partial_values([("a", 1.5), ("b", f64::NAN)]),
        store.update_cell("pets", "fido", "legs", |_| f64::NAN),
        store.update_value("a", |_| "\u{FFFC}"),
    ];
    for result in invalid {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(store.content(), before);
}

#[test]
fn anything_that_a_cell_can_hold_can_be_set() {
    let store = Store::new();
    store.set_cell("t", "r", "integer", 5).unwrap();
    store.set_cell("t", "r", "number", 0.1).unwrap();
    store.set_cell("t", "r", "text", "dog").unwrap();
    store.set_cell("t", "r", "string", String::from("dog")).unwrap();
    store.set_cell("t", "r", "bool", true).unwrap();
    store.set_cell("t", "r", "null", ()).unwrap();
    store.set_cell("t", "r", "json", serde_json::json!({"a": [1]})).unwrap();
    store.set_cell("t", "r", "cell", Cell::Null).unwrap();
    store.set_cell("t", "r", "copy", store.cell("t", "r", "integer").as_ref().unwrap()).unwrap();
    let json = r#"[{"t":{"r":{"integer":5,"number":0.1,"text":"dog","string":"dog","bool":true,"null":null,"json":"#;
    assert!(store.json().starts_with(json), "{}", store.json());
}

#[test]
fn set_replaces_and_partial_set_does_not() {
    let store = pets();
    store.set_row("pets", "fido", [("age", 2), ("wings", 0)]).unwrap();
    assert_eq!(store.row("pets", "fido"), row(&[("age", 2), ("wings", 0)]));
    store.set_partial_row("pets", "fido", [("legs", 4)]).unwrap();
    assert_eq!(store.row("pets", "fido"), row(&[("age", 2), ("wings", 0), ("legs", 4)]));
    store.set_values([("b", 5), ("z", 6)]).unwrap();
    assert_eq!(store.values(), row(&[("b", 5), ("z", 6)]));
    store.set_partial_values([("a", 1)]).unwrap();
    assert_eq!(store.values(), row(&[("b", 5), ("z", 6), ("a", 1)]));
    store.set_table("pets", &table(&[("rex", &[("legs", 4)]), ("fido", &[("legs", 3)])])).unwrap();
    assert_eq!(store.row_ids("pets"), ["fido", "rex"]);
    let tables: Tables = [("new", table(&[("r", &[("c", 1)])]))].into_iter().collect();
    store.set_tables(&tables).unwrap();
    assert_eq!(store.tables(), tables);
}

#[test]
fn what_is_empty_changes_nothing_but_for_a_content_which_clears() {
    let store = pets();
    let before = store.content();
    let empty_rows: Table = [("fido", Row::new())].into_iter().collect();
    let empty_tables: Tables = [("pets", empty_rows.clone()), ("species", Table::new())].into_iter().collect();
    store.set_row("pets", "fido", Row::new()).unwrap();
    store.set_partial_row("pets", "fido", Row::new()).unwrap();
    store.set_table("pets", &Table::new()).unwrap();
    store.set_table("pets", &empty_rows).unwrap();
    store.set_tables(&Tables::new()).unwrap();
    store.set_tables(&empty_tables).unwrap();
    store.set_values(Row::new()).unwrap();
    store.set_partial_values(Row::new()).unwrap();
    store.set_content(&Content { tables: empty_tables, values: before.values.clone() }).unwrap();
    assert_eq!(store.content(), before);

    // An empty part of a larger write is treated as absent.
    store.set_table("pets", &Map::from_iter([("fido", Row::new()), ("nemo", row(&[("fins", 3)]))])).unwrap();
    assert_eq!(store.table("pets"), table(&[("nemo", &[("fins", 3)])]));
    store.set_content(&Content { tables: store.tables(), values: Values::new() }).unwrap();
    assert!(!store.has_values() && store.has_tables());
    store.set_content(&Content::new()).unwrap();
    assert!(store.content().is_empty());
}

#[test]
fn a_row_does_not_outlive_its_last_cell_nor_a_table_its_last_row() {
    let store = Store::new();
    store.set_cell("t", "r", "a", 1).unwrap();
    store.set_cell("t", "r", "b", 1).unwrap();
    store.del_cell("t", "r", "a").unwrap();
    assert!(store.has_row("t", "r"));
    store.del_cell("t", "r", "b").unwrap();
    assert!(!store.has_row("t", "r") && !store.has_table("t") && !store.has_tables());
}

#[test]
fn deleting_what_is_not_there_is_no_error() {
    let store = pets();
    let before = store.content();
    store.del_cell("pets", "fido", "no").unwrap();
    store.del_cell("pets", "no", "legs").unwrap();
    store.del_cell("no", "fido", "legs").unwrap();
    store.del_row("pets", "no").unwrap();
    store.del_row("no", "fido").unwrap();
    store.del_table("no").unwrap();
    store.del_value("no").unwrap();
    let mut changes = Changes::new();
    changes.del_cell("pets", "fido", "no");
    changes.del_cell("no", "no", "no");
    changes.del_row("pets", "no");
    changes.del_value("no");
    store.apply_changes(&changes).unwrap();
    assert_eq!(store.content(), before);
    assert!(!store.has_table("no"));
}

#[test]
fn an_update_keeps_its_place_and_what_is_deleted_and_added_goes_to_the_end() {
    let store = pets();
    store.set_cell("pets", "fido", "legs", 3).unwrap();
    store.del_row("pets", "polly").unwrap();
    store.set_row("pets", "polly", [("legs", 2)]).unwrap();
    store.del_value("a").unwrap();
    store.set_value("a", 1).unwrap();
    assert_eq!(store.row_ids("pets"), ["fido", "nemo", "polly"]);
    assert_eq!(store.value_ids(), ["b", "c", "a"]);
    assert_eq!(store.cell_ids("pets", "fido"), ["legs", "age", "weight"]);
    assert_eq!(store.table_ids(), ["pets", "species"]);
}

#[test]
fn new_rows_get_the_ids_that_tinybase_would_give() {
    let store = Store::new();
    let add = || store.add_row("t", [("c", 1)]).unwrap();
    assert_eq!([add(), add(), add()], ["0", "1", "2"]);
    store.set_row("t", "3", [("c", 1)]).unwrap();
    assert_eq!(add(), "4", "one that is taken is skipped");
    store.del_row("t", "1").unwrap();
    store.set_row("t", "7", [("c", 1)]).unwrap();
    store.del_row("t", "7").unwrap();
    store.set_row("t", "x1", [("c", 1)]).unwrap();
    store.del_row("t", "x1").unwrap();
    assert_eq!(store.add_row_with_new_id("t", [("c", 1)]).unwrap(), "5");
    assert_eq!([add(), add(), add()], ["1", "7", "6"], "the first that was deleted comes first");
    store.del_row("t", "2").unwrap();
    store.del_table("t").unwrap();
    assert_eq!([add(), add()], ["0", "1"], "the pool is gone with the table");
}

#[test]
fn any_text_is_an_id() {
    let store = Store::new();
    for id in ["", "__proto__", "constructor", "null", "a/b", "\u{FFFC}", "\u{FFFD}", "\u{1F600}"] {
        store.set_cell(id, id, id, 1).unwrap();
        store.set_value(id, 1).unwrap();
        assert_eq!(store.cell(id, id, id), Some(1.into()));
    }
    assert_eq!((store.table_ids().len(), store.value_ids().len()), (8, 8));
    let other = Store::new();
    assert_eq!(other.set_json(&store.json()).unwrap(), 0);
    assert_eq!(other.content(), store.content());
    store.del_cell("", "", "").unwrap();
    assert!(!store.has_table("") && store.has_table("__proto__"));
}

#[test]
fn what_is_equal_as_javascript_has_it_is_no_change() {
    let (store, heard) = (Store::new(), Heard::default());
    store.set_cell("t", "r", "zero", 0).unwrap();
    store.set_cell("t", "r", "json", serde_json::json!({"a": 1, "b": 2})).unwrap();
    let log = heard.clone();
    let cells = store.add_cell_listener(ANY, ANY, ANY, move |event| log.note(event.cell_id.to_string()));
    store.set_cell("t", "r", "zero", -0.0).unwrap();
    store.set_cell("t", "r", "zero", 0.0).unwrap();
    store.set_cell("t", "r", "json", serde_json::json!({"a": 1, "b": 2})).unwrap();
    assert!(heard.take().is_empty());
    store.set_cell("t", "r", "json", serde_json::json!({"b": 2, "a": 1})).unwrap();
    assert_eq!(heard.take(), ["json"], "objects are equal when their texts are");
    drop(cells);
}

#[test]
fn an_update_gets_what_is_there() {
    let store = pets();
    let more = |cell: Option<Cell>| cell.as_ref().and_then(Cell::as_f64).map_or(-1.0, |n| n + 1.0);
    store.update_cell("pets", "fido", "legs", more).unwrap();
    store.update_cell("pets", "fido", "wings", more).unwrap();
    store.update_value("a", more).unwrap();
    store.update_value("z", more).unwrap();
    assert_eq!(store.row("pets", "fido"), row(&[("legs", 5), ("age", 1), ("weight", 2), ("wings", -1)]));
    assert_eq!(store.values(), row(&[("a", 2), ("b", 2), ("c", 3), ("z", -1)]));
}

#[test]
fn a_table_keeps_the_ids_of_a_thousand_deleted_rows() {
    let store = Store::new();
    (0..1002).for_each(|_| drop(store.add_row("t", [("c", 1)]).unwrap()));
    store.set_cell("t", "stays", "c", 1).unwrap();
    (0..1002).for_each(|n| store.del_row("t", &n.to_string()).unwrap());
    let add = || store.add_row("t", [("c", 1)]).unwrap();
    (0..1000).for_each(|n| assert_eq!(add(), *n.to_string()));
    assert_eq!(add(), "1002", "the last two were not kept");
}

#[test]
fn changes_are_applied_in_one_transaction_and_touch_nothing_else() {
    let (store, heard) = (pets(), Heard::default());
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |event| log.note(event.changes().to_json()));
    let mut changes = Changes::new();
    changes.del_table("species");
    changes.del_row("pets", "nemo");
    changes.del_cell("pets", "polly", "age");
    changes.set_cell("pets", "polly", "wings", 2.into());
    changes.del_value("a");
    changes.set_value("b", 3.into());
    store.apply_changes(&changes).unwrap();
    assert_eq!(heard.take(), [changes.to_json()]);
    assert_eq!(store.row_ids("pets"), ["fido", "polly"]);
    assert_eq!(store.row("pets", "polly"), row(&[("legs", 2), ("weight", 2), ("wings", 2)]));
    assert_eq!(store.values(), row(&[("b", 3), ("c", 3)]));
    drop(did);
}

#[test]
fn ids_that_look_like_indices_come_first_in_json_alone() {
    let store = Store::new();
    store.set_row("t", "b", [("x", 1), ("1", 1), ("0", 1)]).unwrap();
    store.set_row("t", "10", [("x", 1)]).unwrap();
    store.set_row("t", "2", [("x", 1)]).unwrap();
    assert_eq!(store.row_ids("t"), ["b", "10", "2"]);
    assert_eq!(store.cell_ids("t", "b"), ["x", "1", "0"]);
    assert_eq!(store.table("t").keys().collect::<Vec<_>>(), ["b", "10", "2"]);
    assert_eq!(store.tables_json(), r#"{"t":{"2":{"x":1},"10":{"x":1},"b":{"0":1,"1":1,"x":1}}}"#);
    store.set_json(&store.json()).unwrap();
    assert_eq!(store.row_ids("t"), ["b", "10", "2"], "what is there keeps its place");
    let other = Store::new();
    other.set_json(&store.json()).unwrap();
    assert_eq!(other.row_ids("t"), ["2", "10", "b"]);
}

#[test]
fn readers_tell_what_is_there() {
    let store = pets();
    store.set_cell("pets", "polly", "wings", 2).unwrap();
    assert_eq!(store.cell("pets", "fido", "legs"), Some(4.into()));
    assert_eq!(store.cell("pets", "fido", "wings"), None);
    assert_eq!(store.row_count("pets"), 3);
    assert_eq!(store.row_count("no"), 0);
    assert_eq!(store.table_cell_ids("pets"), ["legs", "age", "weight", "wings"]);
    assert!(store.has_table_cell("pets", "wings") && !store.has_table_cell("pets", "fins"));
    assert!(store.has_cell("pets", "polly", "wings") && !store.has_cell("pets", "fido", "wings"));
    assert!(store.has_value("a") && !store.has_value("no"));
    assert!(store.row("pets", "no").is_empty() && store.table("no").is_empty());
    assert!(store.row_ids("no").is_empty() && store.cell_ids("pets", "no").is_empty());
    assert_eq!(format!("{store:?}"), "Store { tables: 2, values: 3, .. }");
}

#[test]
fn clones_share_everything() {
    let store = Store::new();
    let clone = store.clone();
    clone.set_value("v", 1).unwrap();
    assert_eq!(store.value("v"), Some(1.into()));
}
