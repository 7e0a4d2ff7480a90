//! Writing contents, changes and cells as JSON, byte for byte as `JSON.stringify` writes them.

use super::{
    number::write_number,
    string::{array_index, rank, write_escaped, write_string},
};
use crate::content::{Cell, Changes, Content, DELETED, Id, JSON_MARK, Row};

pub(super) fn write_content(out: &mut String, content: &Content) {
    out.push('[');
    write_map(out, content.tables.iter(), |out, table| write_map(out, table.iter(), write_row));
    out.push(',');
    write_row(out, &content.values);
    out.push(']');
}

pub(super) fn write_changes(out: &mut String, changes: &Changes) {
    out.push('[');
    write_map(out, changes.tables.iter(), |out, table| {
        write_change(out, table.as_ref(), |out, table| {
            write_map(out, table.iter(), |out, row| {
                write_change(out, row.as_ref(), |out, row| write_map(out, row.iter(), write_cell_change));
            });
        });
    });
    out.push(',');
    write_map(out, changes.values.iter(), write_cell_change);
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

fn write_cell_change(out: &mut String, cell: &Option<Cell>) {
    write_change(out, cell.as_ref(), write_cell);
}

fn write_change<T>(out: &mut String, change: Option<&T>, write: impl Fn(&mut String, &T)) {
    match change {
        Some(set) => write(out, set),
        None => write_string(out, DELETED),
    }
}

/// Writes a row. The text before each of its cells is cached in its shape.
fn write_row(out: &mut String, row: &Row) {
    let Some((shape, cells)) = row.narrow() else { return write_map(out, row.iter(), write_cell) };
    let Some(prefixes) = shape.prefixes(prefixes) else { return write_map(out, row.iter(), write_cell) };
    for (prefix, cell) in prefixes.iter().zip(cells) {
        out.push_str(prefix);
        write_cell(out, cell);
    }
    out.push('}');
}

/// The text before each cell of a row with these ids; none if JavaScript orders them differently.
fn prefixes(ids: &[Id]) -> Option<Box<[Box<str>]>> {
    let prefix = |(index, id): (usize, &Id)| {
        let mut prefix = String::from(if index == 0 { "{" } else { "," });
        write_string(&mut prefix, id);
        prefix.push(':');
        array_index(id.as_bytes()).is_none().then(|| prefix.into_boxed_str())
    };
    ids.iter().enumerate().map(prefix).collect()
}

/// Writes an object, with its keys in the order that JavaScript uses.
fn write_map<'a, V: 'a>(
    out: &mut String,
    entries: impl Iterator<Item = (&'a Id, &'a V)> + Clone,
    write: impl Fn(&mut String, &V),
) {
    out.push('{');
    if entries.clone().any(|(id, _)| array_index(id.as_bytes()).is_some()) {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by_cached_key(|(id, _)| rank(id.as_bytes()));
        write_entries(out, entries.into_iter(), write);
    } else {
        write_entries(out, entries, write);
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
