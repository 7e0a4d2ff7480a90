//! The rooms' contents and the changes that are sent to them.

use std::fmt::Write;

use crate::frames::PLACE;

/// How many rows a room has that is not said to be larger. A row has [`CELLS`] cells.
pub(crate) const ROWS: usize = 1_000;
/// How many cells a row has.
pub(crate) const CELLS: usize = 5;

/// A room of so many rows.
pub(crate) fn content(rows: usize) -> String {
    table(rows, |text, row| write!(text, r#""r{row}":{}"#, cells(row, "note")))
}

/// A room whose rows can be deleted in turn: each row's id is its number.
pub(crate) fn deletable(rows: usize) -> String {
    table(rows, |text, row| write!(text, r#""{row:08}":{}"#, cells(row, "note")))
}

fn table(rows: usize, row: impl Fn(&mut String, usize) -> std::fmt::Result) -> String {
    let mut text = r#"[{"items":{"#.to_owned();
    for number in 0..rows {
        if number > 0 {
            text.push(',');
        }
        row(&mut text, number).expect("a text can be written to");
    }
    text.push_str("}},{}]");
    text
}

fn cells(row: usize, note: &str) -> String {
    let (quantity, is_done) = (row % 1_000, row.is_multiple_of(3));
    format!(r#"{{"title":"Item {row}","qty":{quantity},"price":{quantity}.5,"done":{is_done},"note":"{note}"}}"#)
}

/// Changes of one cell, of one row after the other.
pub(crate) fn set_cell() -> Vec<String> {
    (0..ROWS).map(|row| change(&format!(r#""r{row}":{{"note":"~{PLACE}~"}}"#), "{}")).collect()
}

/// Changes of all cells of a row, of one row after the other.
pub(crate) fn set_row() -> Vec<String> {
    (0..ROWS).map(|row| change(&format!(r#""r{row}":{}"#, cells(row + 1, &format!("~{PLACE}~"))), "{}")).collect()
}

/// Changes of one cell of each of [`ROWS`] rows. Each differs from the one before.
pub(crate) fn set_cell_of_every_row() -> Vec<String> {
    let changes = (0..4).map(|variant| {
        let mut rows = format!(r#""r0":{{"note":"~{PLACE}~"}}"#);
        for row in 1..ROWS {
            write!(rows, r#","r{row}":{{"qty":{}}}"#, row + variant).expect("a text can be written to");
        }
        change(&rows, "{}")
    });
    changes.collect()
}

/// The deletion of one row of a [`deletable`] room. A key value names it, for what lists a room's rows looks the same.
pub(crate) fn delete_row() -> Vec<String> {
    // What TinyBase has for `undefined`.
    vec![change(&format!("\"{PLACE}\":\"\u{fffc}\""), &format!(r#"{{"deleted":"~{PLACE}~"}}"#))]
}

fn change(rows: &str, values: &str) -> String {
    format!(r#"s[{{"items":{{{rows}}}}},{values},1]"#)
}

#[cfg(test)]
mod tests {
    use roommate::{Changes, Content};

    use super::*;

    #[test]
    fn contents_have_as_many_cells_as_they_say() {
        for text in [content(ROWS), deletable(ROWS)] {
            let content = Content::from_json(&text).expect("a content");
            assert_eq!(content.unrepresentable, 0);
            let rows = content.value.tables.values().flat_map(|table| table.values());
            assert_eq!(rows.map(|row| row.len()).sum::<usize>(), ROWS * CELLS);
        }
    }

    #[test]
    fn changes_are_what_a_page_sends() {
        for (templates, rows, cells) in
            [(set_cell(), 1, 1), (set_row(), 1, CELLS), (set_cell_of_every_row(), ROWS, ROWS), (delete_row(), 1, 0)]
        {
            for template in templates {
                assert_eq!(template.matches(&format!("~{PLACE}~")).count(), 1);
                let text = template.strip_prefix('s').expect("the type of a change").replace(PLACE, "00000001");
                let changes = Changes::from_json(&text).expect("changes").value;
                let table = changes.tables.get("items").and_then(Option::as_ref).expect("changes of the table");
                assert_eq!(table.len(), rows);
                assert_eq!(table.values().flatten().map(|row| row.len()).sum::<usize>(), cells);
            }
        }
    }
}
