//! TinyBase's JSON of cells, contents and changes.
//!
//! A content is `[tables, values]` (over HTTP, in files); changes are `[tables, values, 1]` (on a room's socket). In
//! both, an object or array is a string: U+FFFD followed by its JSON text, which is never reformatted. In changes, a
//! string that is exactly U+FFFC stands for a deletion, at any level.
//!
//! The text written here equals, byte for byte, what `JSON.stringify` writes for the same content. Reading has the same
//! result as in a JavaScript peer: numbers are rounded to `f64`, array-like ids come first and in ascending order, the
//! last of duplicate keys takes the position of the first, and objects and arrays that arrive unencoded are stored as
//! `JSON.stringify` prints them.
//!
//! A leaf that is legal JSON but that no [`Cell`] can represent is left out; [`Decoded`] lists these cases. An error of
//! structure (invalid JSON, a `null` for a row, a missing half) rejects the whole text.

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

/// A value that was read, and the number of parts that were left out.
///
/// Some leaves are legal JSON, but no [`Cell`] can represent them:
///
/// - a string or an id with a lone surrogate, such as a web page sends that cuts a text in the middle of an emoji,
/// - a number beyond `f64`, such as `1e999`,
/// - a string that begins with U+FFFD and continues with anything but a JSON object or array,
/// - a string that is exactly U+FFFC in a content, where it is not a deletion,
/// - an object or array that is not encoded as a string, and is nested deeper than 128.
///
/// All of these are handled alike: only that leaf, or the entry of that id, is left out and counted. TinyBase's server
/// drops a whole message for one `1e999`; this loses less.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded<T> {
    /// What was read.
    pub value: T,
    /// The number of leaves, or of entries because of their ids, that were left out. Zero for text that
    /// [`Content::to_json`] and [`Changes::to_json`] write.
    pub unrepresentable: usize,
}

/// The payload of a frame that sets changes, as a room may send it to a client.
///
/// TinyBase's server sends changes only; its client understands all three.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// `[tables, values, 1]`: these changes.
    Changes(Changes),
    /// `[tables, values]`: this content replaces everything. U+FFFC, a deletion on a socket, is absent.
    Content(Content),
    /// Anything falsy (`0`, `null`, `""`, U+FFFC, `false`): load the whole content again.
    Reload,
}

impl Content {
    /// Reads `[tables, values]`, exactly two elements, as over HTTP and in files: U+FFFC is not a deletion here.
    ///
    /// Tables without rows and rows without cells stay as they are written; [`Content::prune`] removes them.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Corrupt`] if `text` is not JSON or not a content.
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
    /// The third element may be anything that JavaScript finds `== 1`, since TinyBase's server accepts that: `1`,
    /// `1.0`, `"1"`, `true`, `[1]`.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Corrupt`] if `text` is not JSON or not changes.
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
    /// Reads the text after the type of a frame that sets changes.
    ///
    /// This is stricter than TinyBase's client, which takes `[tables, values, 2]` for a content that replaces
    /// everything: here a third element has to be the number 1.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Corrupt`] if a third element is not the number 1, and if `text` is none of the three
    /// variants.
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
    /// # Errors
    ///
    /// Returns [`ErrorKind::Corrupt`] if `text` is not JSON, and [`ErrorKind::Invalid`] if no cell can represent it, as
    /// [`Decoded`] describes.
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

    /// Writes the cell in its encoded form: an object or array as a string, U+FFFD followed by its text.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write::write_cell(&mut out, self);
        out
    }
}

/// Whether `text` is the JSON of an object or array, nested to any depth.
pub(crate) fn is_object_or_array(text: &str) -> bool {
    let mut lexer = Lexer::new(text);
    matches!(lexer.peek(), Some(b'{' | b'[')) && lexer.value().is_ok() && lexer.end().is_ok()
}

/// Reads a value, and returns whether JavaScript finds it `== 1`.
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
