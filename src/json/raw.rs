//! Objects and arrays that arrive as JSON and not as encoded text.
//!
//! A JavaScript peer that receives one stores the result of `JSON.stringify` after `JSON.parse`. Cells are equal when
//! their texts are, so the text has to be the same here.

use indexmap::IndexMap;

use super::{
    lexer::{Lexer, Span},
    number::write_number,
    string::{array_index, rank},
};
use crate::{content::DELETED, error::Result};

/// The maximum nesting of a raw object or array; a deeper one cannot be represented.
pub(super) const MAX_DEPTH: usize = 128;

/// What a JavaScript peer turns a string into that is exactly U+FFFC.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// `undefined`, as on the socket.
    Undefined,
    /// A string like any other, as over HTTP.
    Strings,
}

/// The result of `JSON.stringify` after `JSON.parse`; none for a mark, or for a value that is nested too deep.
pub(super) fn normalise(value: &Span<'_>, marks: Marks) -> Result<Option<String>> {
    if value.depth > MAX_DEPTH {
        return Ok(None);
    }
    let mut out = String::with_capacity(value.text.len());
    let defined = write(&mut Lexer::new(value.text), marks, &mut out)?;
    Ok(defined.then_some(out))
}

/// Writes the next value and returns true, or reads a mark and returns false. Recursion ends at [`MAX_DEPTH`].
fn write(lexer: &mut Lexer<'_>, marks: Marks, out: &mut String) -> Result<bool> {
    match lexer.peek() {
        Some(b'{') => write_object(lexer, marks, out)?,
        Some(b'[') => write_array(lexer, marks, out)?,
        Some(b'"') => {
            let string = lexer.string()?;
            if marks == Marks::Undefined && string.is(DELETED) {
                return Ok(false);
            }
            string.write(out);
        }
        Some(b't' | b'f' | b'n') => out.push_str(lexer.value()?.text),
        _ => match lexer.number()?.parse::<f64>() {
            Ok(number) if number.is_finite() => write_number(out, number),
            _ => out.push_str("null"),
        },
    }
    Ok(true)
}

fn write_array(lexer: &mut Lexer<'_>, marks: Marks, out: &mut String) -> Result<()> {
    lexer.expect(b'[')?;
    out.push('[');
    let mut first = true;
    while lexer.next(b']', first)? {
        if !first {
            out.push(',');
        }
        first = false;
        if !write(lexer, marks, out)? {
            out.push_str("null");
        }
    }
    out.push(']');
    Ok(())
}

fn write_object(lexer: &mut Lexer<'_>, marks: Marks, out: &mut String) -> Result<()> {
    lexer.expect(b'{')?;
    let mut entries = IndexMap::new();
    let mut first = true;
    let mut sorted = true;
    while lexer.next(b'}', first)? {
        first = false;
        let (mut key, mut value) = (String::new(), String::new());
        lexer.key()?.write(&mut key);
        let defined = write(lexer, marks, &mut value)?;
        sorted &= array_index(inside(&key)).is_none();
        entries.insert(key, defined.then_some(value));
    }
    if !sorted {
        entries.sort_by_cached_key(|key, _| rank(inside(key)));
    }
    out.push('{');
    let mut first = true;
    for (key, value) in entries {
        let Some(value) = value else { continue };
        if !first {
            out.push(',');
        }
        first = false;
        out.push_str(&key);
        out.push(':');
        out.push_str(&value);
    }
    out.push('}');
    Ok(())
}

fn inside(quoted: &str) -> &str {
    &quoted[1..quoted.len() - 1]
}
