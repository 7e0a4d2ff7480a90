//! Listeners of every kind.

use super::{Heard, pets, row};
use crate::{
    ANY, IdChange, Sort,
    content::{Cell, Map},
    error::Result,
    store::Store,
};

fn signed(ids: &Map<IdChange>) -> String {
    let sign = |(id, change): (_, &IdChange)| format!("{}{id}", if *change == IdChange::Added { "+" } else { "-" });
    ids.iter().map(sign).collect::<Vec<_>>().join(" ")
}

fn sign(has: bool, id: &str) -> String {
    format!("{}{id}", if has { "+" } else { "-" })
}

/// Listens to everything, as a listener or as a mutator.
macro_rules! listen_to_all {
    ($to:expr, $heard:expr) => {{
        let to = $to;
        let log = || $heard.clone();
        let log_1 = log();
        to.add_tables_listener(move |_| log_1.note("tables")).forever();
        let log_1 = log();
        to.add_table_listener(ANY, move |event| log_1.note(format!("table {}", event.table_id))).forever();
        let log_1 = log();
        to.add_row_listener(ANY, ANY, move |event| log_1.note(format!("row {}", event.row_id))).forever();
        let log_1 = log();
        to.add_cell_listener(ANY, ANY, ANY, move |event| {
            log_1.note(format!("cell {} {}", event.row_id, event.cell_id))
        })
        .forever();
        let log_1 = log();
        to.add_has_cell_listener(ANY, ANY, ANY, move |event| {
            log_1.note(format!("has cell {} {}", event.row_id, sign(event.has, event.cell_id)));
        })
        .forever();
        let log_1 = log();
        to.add_cell_ids_listener(ANY, ANY, move |event| {
            log_1.note(format!("cell ids {} {}", event.row_id, signed(event.ids)));
        })
        .forever();
        let log_1 = log();
        to.add_sorted_row_ids_listener("pets", Sort::by_cell("legs"), move |event| {
            log_1.note(format!("sorted {:?}", event.row_ids));
        })
        .forever();
        let log_1 = log();
        to.add_has_row_listener(ANY, ANY, move |event| {
            log_1.note(format!("has row {}", sign(event.has, event.row_id)))
        })
        .forever();
        let log_1 = log();
        to.add_row_ids_listener(ANY, move |event| {
            log_1.note(format!("row ids {} {}", event.table_id, signed(event.ids)));
        })
        .forever();
        let log_1 = log();
        to.add_row_count_listener(ANY, move |event| {
            log_1.note(format!("row count {} {}", event.table_id, event.count));
        })
        .forever();
        let log_1 = log();
        to.add_has_table_cell_listener(ANY, ANY, move |event| {
            log_1.note(format!("has table cell {} {}", event.table_id, sign(event.has, event.cell_id)));
        })
        .forever();
        let log_1 = log();
        to.add_table_cell_ids_listener(ANY, move |event| {
            log_1.note(format!("table cell ids {} {}", event.table_id, signed(event.ids)));
        })
        .forever();
        let log_1 = log();
        to.add_has_table_listener(ANY, move |event| {
            log_1.note(format!("has table {}", sign(event.has, event.table_id)))
        })
        .forever();
        let log_1 = log();
        to.add_table_ids_listener(move |event| log_1.note(format!("table ids {}", signed(event.ids)))).forever();
        let log_1 = log();
        to.add_has_tables_listener(move |event| log_1.note(format!("has tables {}", event.has))).forever();
        let log_1 = log();
        to.add_invalid_cell_listener(ANY, ANY, ANY, move |event| {
            log_1.note(format!("invalid cell {:?}", event.row_id));
        })
        .forever();
        let log_1 = log();
        to.add_values_listener(move |_| log_1.note("values")).forever();
        let log_1 = log();
        to.add_value_listener(ANY, move |event| log_1.note(format!("value {}", event.value_id))).forever();
        let log_1 = log();
        to.add_has_value_listener(ANY, move |event| {
            log_1.note(format!("has value {}", sign(event.has, event.value_id)))
        })
        .forever();
        let log_1 = log();
        to.add_value_ids_listener(move |event| log_1.note(format!("value ids {}", signed(event.ids)))).forever();
        let log_1 = log();
        to.add_has_values_listener(move |event| log_1.note(format!("has values {}", event.has))).forever();
        let log_1 = log();
        to.add_invalid_value_listener(ANY, move |_| log_1.note("invalid value")).forever();
    }};
}

fn edit(store: &Store) -> Result<()> {
    store.set_row("pets", "", row(&[]))?;
    store.set_values(row(&[]))?;
    store.set_row("pets", "fido", [("legs", 4)])?;
    store.set_row("pets", "polly", [("legs", 2), ("wings", 2)])?;
    store.set_row("shops", "s", [("open", true)])?;
    store.set_values([("a", 1), ("b", 2)])
}

const FIRST: [&str; 33] = [
    "invalid cell Some(\"\")",
    "has tables true",
    "table ids +pets +shops",
    "has table +pets",
    "has table +shops",
    "table cell ids pets +legs +wings",
    "has table cell pets +legs",
    "has table cell pets +wings",
    "table cell ids shops +open",
    "has table cell shops +open",
    "row count pets 2",
    "row count shops 1",
    "row ids pets +fido +polly",
    "has row +fido",
    "has row +polly",
    "sorted [\"polly\", \"fido\"]",
    "row ids shops +s",
    "has row +s",
    "cell ids fido +legs",
    "has cell fido +legs",
    "cell ids polly +legs +wings",
    "has cell polly +legs",
    "has cell polly +wings",
    "cell ids s +open",
    "has cell s +open",
    "cell fido legs",
    "row fido",
    "cell polly legs",
    "cell polly wings",
    "row polly",
    "table pets",
    "cell s open",
    "row s",
];
const LAST: [&str; 10] = [
    "table shops",
    "tables",
    "invalid value",
    "has values true",
    "value ids +a +b",
    "has value +a",
    "has value +b",
    "value a",
    "value b",
    "values",
];

#[test]
fn every_kind_is_told_in_tinybases_order() {
    let (store, heard) = (Store::new(), Heard::default());
    listen_to_all!(&store, heard);
    store.transaction(edit).unwrap();
    assert_eq!(heard.take(), [&FIRST[..], &LAST[..]].concat());

    store.set_cell("pets", "fido", "legs", 1).unwrap();
    assert_eq!(
        heard.take(),
        ["sorted [\"fido\", \"polly\"]", "cell fido legs", "row fido", "table pets", "tables"],
        "nothing came or went"
    );
    store.set_cell("pets", "fido", "legs", 0).unwrap();
    assert_eq!(heard.take(), ["cell fido legs", "row fido", "table pets", "tables"], "and the order is the same");
    store.del_tables().unwrap();
    store.del_values().unwrap();
    let gone = heard.take();
    assert_eq!(gone[0..2], ["has tables false", "table ids -pets -shops"]);
    assert!(gone.contains(&"row count pets 0".into()) && gone.contains(&"sorted []".into()), "{gone:?}");
    assert!(gone.contains(&"has values false".into()));
}

#[test]
fn mutators_of_every_kind_are_told_in_the_same_order() {
    let (store, heard) = (Store::new(), Heard::default());
    let log = heard.clone();
    let will = store.add_will_finish_transaction_listener(move |_| log.note("will finish"));
    listen_to_all!(store.mutators(), heard);
    store
        .transaction(|store| -> Result<()> {
            edit(store)?;
            assert!(heard.take().is_empty(), "not before the body is done");
            Ok(())
        })
        .unwrap();
    assert_eq!(heard.take(), [&FIRST[..], &LAST[..], &["will finish"]].concat());
    drop(will);
}

#[test]
fn what_is_told_first_is_what_was_touched_first() {
    let (store, heard) = (pets(), Heard::default());
    let log = heard.clone();
    let ids =
        store.add_row_ids_listener(ANY, move |event| log.note(format!("{} {}", event.table_id, signed(event.ids))));
    let log = heard.clone();
    let cells = store.add_cell_listener(ANY, ANY, ANY, move |event| log.note(event.cell_id.to_string()));
    store
        .transaction(|store| -> Result<()> {
            store.set_cell("pets", "fido", "weight", 9)?;
            store.set_row("species", "cat", [("price", 4)])?;
            store.set_row("pets", "rex", [("legs", 4)])
        })
        .unwrap();
    let told = ["pets +rex", "species +cat", "weight", "legs", "price"];
    assert_eq!(heard.take(), told, "pets were touched first, though their row came later");
    store
        .transaction(|store| -> Result<()> {
            store.set_cell("pets", "polly", "weight", 9)?;
            store.set_cell("pets", "polly", "age", 9)?;
            store.set_cell("pets", "fido", "weight", 8)?;
            store.del_cell("pets", "fido", "legs")
        })
        .unwrap();
    assert_eq!(heard.take(), ["weight", "age", "legs", "weight"], "the second row as it was, for its deletion");
    drop((ids, cells));
}

#[test]
fn a_count_is_told_only_if_it_is_another() {
    let (store, heard) = (pets(), Heard::default());
    let log = heard.clone();
    let count = store.add_row_count_listener("pets", move |event| log.note(event.count.to_string()));
    store
        .transaction(|store| -> Result<()> {
            store.del_row("pets", "fido")?;
            store.set_row("pets", "rex", [("legs", 4)])
        })
        .unwrap();
    assert!(heard.take().is_empty(), "one went and one came");
    store.del_row("pets", "rex").unwrap();
    assert_eq!(heard.take(), ["2"]);
    store.del_table("pets").unwrap();
    assert_eq!(heard.take(), ["0"]);
    drop(count);
}

#[test]
fn a_cell_of_a_table_comes_with_the_first_row_and_goes_with_the_last() {
    let (store, heard) = (Store::new(), Heard::default());
    let log = heard.clone();
    let ids = store.add_table_cell_ids_listener(ANY, move |event| log.note(signed(event.ids)));
    let log = heard.clone();
    let has = store.add_has_table_cell_listener("t", "c", move |event| log.note(format!("has {}", event.has)));
    store.set_cell("t", "1", "c", 1).unwrap();
    assert_eq!(heard.take(), ["+c", "has true"]);
    store.set_cell("t", "2", "c", 1).unwrap();
    store.set_cell("t", "3", "c", 1).unwrap();
    store.del_row("t", "1").unwrap();
    assert!(heard.take().is_empty());
    store
        .transaction(|store| -> Result<()> {
            store.del_row("t", "2")?;
            store.set_row("t", "4", [("c", 1), ("d", 1)])?;
            store.del_row("t", "3")
        })
        .unwrap();
    assert_eq!(heard.take(), ["+d"], "another row has it now");
    store.set_row("t", "4", [("d", 1)]).unwrap();
    assert_eq!(heard.take(), ["-c", "has false"]);
    store.del_tables().unwrap();
    assert_eq!(heard.take(), ["-d"]);
    drop((ids, has));
}

#[test]
fn that_there_is_something_is_told_when_there_was_nothing() {
    let (store, heard) = (Store::new(), Heard::default());
    let log = heard.clone();
    let tables = store.add_has_tables_listener(move |event| log.note(format!("tables {}", event.has)));
    let log = heard.clone();
    let values = store.add_has_values_listener(move |event| log.note(format!("values {}", event.has)));
    store.set_cell("t", "r", "c", 1).unwrap();
    store.set_cell("u", "r", "c", 1).unwrap();
    store.set_value("v", 1).unwrap();
    store.set_value("w", 1).unwrap();
    assert_eq!(heard.take(), ["tables true", "values true"]);
    store.del_table("t").unwrap();
    store
        .transaction(|store| -> Result<()> {
            store.del_tables()?;
            store.set_cell("t", "r", "c", 1)?;
            store.del_values()?;
            store.set_value("x", 1)
        })
        .unwrap();
    assert!(heard.take().is_empty());
    store.set_content(&crate::content::Content::new()).unwrap();
    assert_eq!(heard.take(), ["tables false", "values false"]);
    drop((tables, values));
}

#[test]
fn a_listener_to_an_id_hears_of_no_invalid_thing_without_one() {
    let (store, heard) = (Store::new(), Heard::default());
    let log = heard.clone();
    let exact = store.add_invalid_cell_listener("t", "r", "c", move |_| log.note("exact"));
    let log = heard.clone();
    let row_of_t =
        store.add_invalid_cell_listener("t", ANY, ANY, move |event| log.note(format!("{:?}", event.cell_id)));
    store.set_row("t", "r", row(&[])).unwrap();
    assert_eq!(heard.take(), ["None"]);
    store.set_row("u", "r", row(&[])).unwrap();
    assert!(heard.take().is_empty());
    drop((exact, row_of_t));
}

#[test]
fn going_through_a_store_tells_what_is_there() {
    let store = pets();
    store.set_cell("pets", "polly", "wings", 2).unwrap();
    let ids = |ids: Vec<crate::content::Id>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(ids(store.iter_tables().map(|(id, _)| id).collect()), "pets species");
    let counts: Vec<_> = store.iter_table_cells("pets").map(|(id, count)| format!("{id} {count}")).collect();
    assert_eq!(counts, ["legs 3", "age 3", "weight 3", "wings 1"]);
    assert_eq!(store.iter_cells("species", "dog").collect::<Vec<_>>(), [("price".into(), Cell::from(5))]);
    assert_eq!(ids(store.iter_values().map(|(id, _)| id).collect()), "a b c");
    let mut seen = Vec::new();
    for (row_id, pet) in store.iter_rows("pets") {
        // A loop may write, and goes on through what was there when it began.
        store.del_row("pets", "polly").unwrap();
        store.set_row("pets", "rex", [("legs", 4)]).unwrap();
        assert!(pet.contains("legs"));
        seen.push(row_id);
    }
    assert_eq!(ids(seen), "fido polly nemo");
    assert_eq!(store.iter_rows("no").count() + store.iter_table_cells("no").count(), 0);
}
