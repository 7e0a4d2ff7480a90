//! TinyBase's JSON of cells, contents and changes.
//!
//! A content is `[tables, values]` (over HTTP, in files); changes are `[tables, values, 1]` (on a room's socket). In
//! both an object or array is a string, U+FFFD in front of its JSON text, and that text is never written anew. In
//! changes a string that is exactly U+FFFC stands for a deletion, at any level.
//!
//! Text written here is byte for byte what `JSON.stringify` writes of the same content, and reading ends with what a
//! JavaScript peer would end with: numbers rounded to `f64`, array-like ids first and ascending, the last of duplicate
//! keys in the place of the first, objects and arrays that arrive unencoded as `JSON.stringify` prints them.
//!
//! A leaf that is legal JSON and that nothing here can stand for costs that leaf; [`Decoded`] says which these are. An
//! error of structure (no JSON, a `null` for a row, a missing half) refuses the whole text.

use crate::{
    content::{Cell, Changes, Content},
    error::{Error, ErrorKind, Result},
};

mod lexer;
mod number;
mod raw;
mod read;
mod string;
mod value;
mod write;

use lexer::Lexer;
use raw::Marks;
use read::{Leaf, Reader};
pub(crate) use value::{cell_from_value, value_from_cell};

/// What was read, and how much of it had to be left out.
///
/// Some leaves are legal JSON and yet nothing here can stand for them:
///
/// - a string or an id with a lone surrogate, such as a web page sends that cuts a text in the middle of an emoji,
/// - a number beyond `f64`, such as `1e999`,
/// - a string that begins with U+FFFD and goes on with anything but a JSON object or array,
/// - a string that is exactly U+FFFC where that is no deletion: in a content,
/// - an object or array that is not encoded as a string, and nested deeper than 128.
///
/// They are one case: that leaf alone, or the entry of that id, is left out and counted. TinyBase's server drops a whole
/// message for one `1e999`; this loses less.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded<T> {
    /// What was read.
    pub value: T,
    /// How many leaves, or entries by their id, were left out. None, in what [`Content::to_json`] and
    /// [`Changes::to_json`] write.
    pub unrepresentable: usize,
}

/// What a room may send to a client in one frame that sets changes.
///
/// TinyBase's server sends changes only; its client understands all three.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// `[tables, values, 1]`: these changes.
    Changes(Changes),
    /// `[tables, values]`: this, in place of everything. U+FFFC, a deletion on a socket, is absent.
    Content(Content),
    /// Anything falsy (`0`, `null`, `""`, U+FFFC, `false`): load the whole content again.
    Reload,
}

impl Content {
    /// Reads `[tables, values]`, exactly two elements, as over HTTP and in files: U+FFFC is no deletion here.
    ///
    /// Tables without rows and rows without cells are kept as they are written; [`Content::prune`] removes them. Fails
    /// with [`ErrorKind::Corrupt`] when `text` is no JSON or no content.
    ///
    /// ```
    /// use roommate::Content;
    ///
    /// let read = Content::from_json(r#"[{"pets":{"fido":{"age":4}}},{"open":true}]"#)?;
    /// assert_eq!(read.unrepresentable, 0);
    /// assert_eq!(read.value.cell("pets", "fido", "age"), Some(&4.into()));
    /// # Ok::<(), roommate::Error>(())
    /// ```
    pub fn from_json(text: &str) -> Result<Decoded<Self>> {
        let mut reader = Reader::new(text, Marks::Strings);
        let content = reader.content()?;
        reader.lexer.expect(b']')?;
        reader.finish(content)
    }

    /// Writes `[tables, values]`.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write::write_content(&mut out, self);
        out
    }
}

impl Changes {
    /// Reads `[tables, values, 1]`, exactly three elements, as on a room's socket.
    ///
    /// The third may be whatever JavaScript finds `== 1`, since TinyBase's server takes that: `1`, `1.0`, `"1"`,
    /// `true`, `[1]`. Fails with [`ErrorKind::Corrupt`] when `text` is no JSON or no changes.
    pub fn from_json(text: &str) -> Result<Decoded<Self>> {
        let mut reader = Reader::new(text, Marks::Undefined);
        let changes = reader.changes()?;
        reader.lexer.expect(b',')?;
        if !is_loosely_one(&mut reader.lexer)? {
            return Err(reader.lexer.unexpected("1 as the third element of changes"));
        }
        reader.lexer.expect(b']')?;
        reader.finish(changes)
    }

    /// Writes `[tables, values, 1]`, each deletion as U+FFFC.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write::write_changes(&mut out, self);
        out
    }
}

impl Payload {
    /// Reads what comes behind the type of a frame that sets changes.
    ///
    /// Stricter than TinyBase's client, which takes `[tables, values, 2]` for a content that replaces everything: a third
    /// element has to be the number 1. Fails with [`ErrorKind::Corrupt`] on that, and on everything that is none of the
    /// three.
    pub fn from_json(text: &str) -> Result<Decoded<Self>> {
        let mut reader = Reader::new(text, Marks::Undefined);
        if reader.lexer.peek() != Some(b'[') {
            let falsy = match reader.leaf()? {
                Leaf::Mark | Leaf::Cell(Cell::Null | Cell::Bool(false)) => true,
                Leaf::Cell(Cell::Number(number)) => number.get() == 0.0,
                Leaf::Cell(Cell::String(text)) => text.is_empty(),
                _ => false,
            };
            return if falsy {
                reader.finish(Self::Reload)
            } else {
                Err(reader.lexer.unexpected("changes or a content"))
            };
        }
        let changes = reader.changes()?;
        if reader.lexer.take(b']') {
            let mut content = Content::new();
            content.apply(&changes);
            return reader.finish(Self::Content(content));
        }
        reader.lexer.expect(b',')?;
        if reader.lexer.number()?.parse() != Ok(1.0) {
            return Err(reader.lexer.unexpected("1 as the third element of changes"));
        }
        reader.lexer.expect(b']')?;
        reader.finish(Self::Changes(changes))
    }
}

impl Cell {
    /// Reads one cell or value, as a room stores it: an object or array as its encoded string, or as itself.
    ///
    /// Fails with [`ErrorKind::Corrupt`] when `text` is no JSON, and with [`ErrorKind::Invalid`] when nothing here can
    /// stand for it, as [`Decoded`] says.
    pub fn from_json(text: &str) -> Result<Self> {
        let mut reader = Reader::new(text, Marks::Strings);
        let leaf = reader.leaf()?;
        reader.lexer.end()?;
        match leaf {
            Leaf::Cell(cell) => Ok(cell),
            Leaf::Mark | Leaf::Unrepresentable => {
                Err(Error::new(ErrorKind::Invalid, "this JSON is none that a cell can hold"))
            }
        }
    }

    /// Writes the cell in its encoded form: an object or array as a string, U+FFFD in front of its text.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write::write_cell(&mut out, self);
        out
    }
}

/// Whether `text` is the JSON of an object or array, however deep.
pub(crate) fn is_object_or_array(text: &str) -> bool {
    let mut lexer = Lexer::new(text);
    matches!(lexer.peek(), Some(b'{' | b'[')) && lexer.value().is_ok() && lexer.end().is_ok()
}

/// Reads a value and tells whether JavaScript finds it `== 1`.
fn is_loosely_one(lexer: &mut Lexer<'_>) -> Result<bool> {
    let value = lexer.value()?.text;
    let mut text = value;
    // JavaScript compares an array of one element by that element's text.
    while let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        text = inside.trim_matches([' ', '\t', '\n', '\r']);
    }
    if text.starts_with('"') {
        let mut lexer = Lexer::new(text);
        let string = lexer.string()?.decode();
        return Ok(lexer.end().is_ok() && string.is_some_and(|string| string.trim().parse() == Ok(1.0)));
    }
    Ok(text.parse() == Ok(1.0) || value == "true")
}

#[cfg(test)]
mod tests;
