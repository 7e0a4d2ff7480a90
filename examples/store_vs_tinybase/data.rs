//! What both sides are measured on.

use roommate::{Cell, Store};

pub(crate) const TABLE: &str = "items";

/// The cells of the row `r{i}`.
pub(crate) fn item(i: u32) -> [(&'static str, Cell); 5] {
    let text = |text: String| Cell::try_from(text).expect("no reserved text");
    [
        ("title", text(format!("Item {i}"))),
        ("qty", (i % 1000).into()),
        ("price", Cell::try_from(f64::from((i * 37) % 100_000) / 100.0).expect("a finite number")),
        ("done", (i.is_multiple_of(3)).into()),
        ("note", text(format!("n{:08x}", i.wrapping_mul(2_654_435_761)))),
    ]
}

pub(crate) fn ids(count: u32) -> Vec<String> {
    (0..count).map(|i| format!("r{i}")).collect()
}

pub(crate) fn filled(count: u32) -> Store {
    let store = Store::new();
    let fill = |store: &Store| (0..count).try_for_each(|i| store.set_row(TABLE, format!("r{i}"), item(i)));
    store.transaction(fill).expect("rows that can be taken");
    store
}
