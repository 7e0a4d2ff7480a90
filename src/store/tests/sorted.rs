use super::Heard;
use crate::{
    Sort,
    content::{Cell, Id, Json},
    error::Result,
    store::Store,
};

fn by(cell_id: &str) -> Sort {
    Sort::by_cell(cell_id)
}

fn numbers(cells: &[(&str, i32)]) -> Store {
    let store = Store::new();
    cells.iter().for_each(|(row_id, n)| store.set_cell("t", *row_id, "n", *n).unwrap());
    store
}

fn joined(ids: &[Id]) -> String {
    ids.iter().map(Id::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_are_sorted_by_a_cell_and_equal_ones_stay_in_their_order() {
    let store = numbers(&[("c", 10), ("b", 9), ("a", 10), ("d", -1), ("e", 9)]);
    assert_eq!(joined(&store.sorted_row_ids("t", &by("n"))), "d b e c a");
    assert_eq!(joined(&store.sorted_row_ids("t", &by("n").descending())), "a c e b d", "the reverse");
    assert_eq!(joined(&store.sorted_row_ids("t", &by("n").with_offset(1))), "b e c a");
    assert_eq!(joined(&store.sorted_row_ids("t", &by("n").with_offset(1).with_limit(2))), "b e");
    assert_eq!(joined(&store.sorted_row_ids("t", &by("n").with_limit(0))), "");
    assert_eq!(joined(&store.sorted_row_ids("t", &by("n").with_offset(9))), "");
    assert!(store.sorted_row_ids("no", &by("n")).is_empty());
}

#[test]
fn rows_are_sorted_by_their_ids_as_texts() {
    let store = numbers(&[("10", 1), ("9", 1), ("b", 1), ("a", 1)]);
    assert_eq!(joined(&store.sorted_row_ids("t", &Sort::by_row_id())), "10 9 a b");
    assert_eq!(joined(&store.sorted_row_ids("t", &Sort::by_row_id().descending().with_limit(1))), "b");
}

#[test]
fn texts_are_sorted_by_utf16_units() {
    let store = Store::new();
    // U+10000 is the surrogates D800 DC00: before U+E000, which has the smaller code point.
    for (row_id, text) in [("private", "\u{E000}"), ("beyond", "\u{10000}"), ("a", "a"), ("B", "B"), ("empty", "")] {
        store.set_cell("t", row_id, "c", text).unwrap();
    }
    assert_eq!(joined(&store.sorted_row_ids("t", &by("c"))), "empty B a beyond private");
}

#[test]
fn what_javascript_takes_for_a_number_is_sorted_as_one() {
    let store = numbers(&[("one", 1), ("minus", -1), ("two", 2)]);
    store.set_cell("t", "missing", "other", 1).unwrap();
    store.set_cell("t", "null", "n", Cell::Null).unwrap();
    store.set_cell("t", "true", "n", true).unwrap();
    store.set_cell("t", "false", "n", false).unwrap();
    assert_eq!(joined(&store.sorted_row_ids("t", &by("n"))), "minus missing null false one true two");
}

#[test]
fn a_column_of_everything_has_one_order_however_it_was_filled() {
    let json = |text: &str| Cell::from(Json::new(text).unwrap());
    let text = |text: &str| Cell::try_from(text).unwrap();
    let cells = [json("[2]"), text("b"), Cell::from(7), json("[1]"), Cell::Null, text("a")];
    for turn in 0..cells.len() {
        let store = Store::new();
        for index in (0..cells.len()).map(|index| (index + turn) % cells.len()) {
            store.set_cell("t", &*index.to_string(), "c", &cells[index]).unwrap();
        }
        assert_eq!(joined(&store.sorted_row_ids("t", &by("c"))), "4 2 5 1 3 0");
    }
}

#[test]
fn a_listener_to_the_order_is_called_only_if_the_list_is_another() {
    let (store, heard) = (numbers(&[("a", 1), ("b", 2), ("c", 3)]), Heard::default());
    let log = heard.clone();
    let first = store.add_sorted_row_ids_listener("t", by("n").with_limit(2), move |event| {
        assert_eq!((event.table_id.as_str(), event.sort), ("t", &by("n").with_limit(2)));
        log.note(joined(event.row_ids));
    });
    store.set_cell("t", "c", "n", 4).unwrap();
    store.set_cell("t", "a", "n", 0).unwrap();
    store.set_cell("t", "a", "other", 0).unwrap();
    store.set_row("t", "d", [("n", 9)]).unwrap();
    store.set_row("u", "d", [("n", 9)]).unwrap();
    assert!(heard.take().is_empty());
    store.set_cell("t", "c", "n", 1).unwrap();
    assert_eq!(heard.take(), ["a c"]);
    store.set_row("t", "e", [("n", -1)]).unwrap();
    assert_eq!(heard.take(), ["e a"]);
    store.del_table("t").unwrap();
    assert_eq!(heard.take(), [""]);
    drop(first);
    store.set_row("t", "e", [("n", -1)]).unwrap();
    assert!(heard.take().is_empty());
}

#[test]
fn where_rows_came_all_orders_are_looked_at_and_else_those_by_what_changed() {
    let (store, heard) = (numbers(&[("a", 1), ("b", 2)]), Heard::default());
    store.set_cell("t", "a", "m", 2).unwrap();
    store.set_cell("t", "b", "m", 1).unwrap();
    let listen = |name: &'static str, sort: Sort| {
        let log = heard.clone();
        store.add_sorted_row_ids_listener("t", sort, move |event| log.note(format!("{name} {}", joined(event.row_ids))))
    };
    let listeners = [
        listen("m", by("m")),
        listen("n", by("n")),
        listen("m down", by("m").descending()),
        listen("id", Sort::by_row_id()),
    ];
    store.set_row("t", "0", [("n", 0), ("m", 0)]).unwrap();
    assert_eq!(heard.take(), ["m 0 b a", "m down a b 0", "n 0 a b", "id 0 a b"], "by cell, then by who came first");
    store
        .transaction(|store| -> Result<()> {
            store.set_cell("t", "0", "n", 9)?;
            store.set_cell("t", "0", "m", 9)
        })
        .unwrap();
    assert_eq!(heard.take(), ["n a b 0", "m b a 0", "m down 0 a b"]);
    drop(listeners);
}
