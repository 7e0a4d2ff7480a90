//! Contents, changes and cells into JSON, byte for byte as `JSON.stringify` writes them.

use super::string::{array_index, rank, write_escaped, write_string};
use crate::content::{Cell, Changes, Content, DELETED, Id, JSON_MARK, Map};

pub(super) fn write_content(out: &mut String, content: &Content) {
    out.push('[');
    write_map(out, &content.tables, |out, table| {
        write_map(out, table, |out, row| write_map(out, row, write_cell));
    });
    out.push(',');
    write_map(out, &content.values, write_cell);
    out.push(']');
}

pub(super) fn write_changes(out: &mut String, changes: &Changes) {
    out.push('[');
    write_map(out, &changes.tables, |out, table| {
        write_change(out, table.as_ref(), |out, table| {
            write_map(out, table, |out, row| {
                write_change(out, row.as_ref(), |out, row| write_map(out, row, write_cell_change));
            });
        });
    });
    out.push(',');
    write_map(out, &changes.values, write_cell_change);
    out.push_str(",1]");
}

/// Writes a cell in its encoded form: an object or array as a string.
pub(super) fn write_cell(out: &mut String, cell: &Cell) {
    match cell {
        Cell::Null => out.push_str("null"),
        Cell::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Cell::Number(number) => write_number(out, number.get()),
        Cell::String(text) => write_string(out, text),
        Cell::Json(json) => {
            out.push('"');
            out.push(JSON_MARK);
            write_escaped(out, json.as_str());
            out.push('"');
        }
    }
}

/// Writes a finite number as JavaScript does: `1`, `1e+21`, and `0` for `-0`.
pub(super) fn write_number(out: &mut String, number: f64) {
    out.push_str(ryu_js::Buffer::new().format_finite(number));
}

fn write_cell_change(out: &mut String, cell: &Option<Cell>) {
    write_change(out, cell.as_ref(), write_cell);
}

fn write_change<T>(out: &mut String, change: Option<&T>, write: impl Fn(&mut String, &T)) {
    match change {
        Some(set) => write(out, set),
        None => write_string(out, DELETED),
    }
}

/// Writes an object, its keys in the order in which JavaScript has them.
fn write_map<V>(out: &mut String, map: &Map<V>, write: impl Fn(&mut String, &V)) {
    out.push('{');
    if map.keys().any(|id| array_index(id).is_some()) {
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_by_cached_key(|(id, _)| rank(id));
        write_entries(out, entries.into_iter(), write);
    } else {
        write_entries(out, map.iter(), write);
    }
    out.push('}');
}

fn write_entries<'a, V: 'a>(
    out: &mut String,
    entries: impl Iterator<Item = (&'a Id, &'a V)>,
    write: impl Fn(&mut String, &V),
) {
    for (index, (id, value)) in entries.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, id);
        out.push(':');
        write(out, value);
    }
}
