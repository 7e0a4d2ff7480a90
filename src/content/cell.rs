//! The types of cells and values.

use std::{convert::Infallible, fmt, ops::Deref, sync::Arc};

use super::Str;
use crate::{
    error::{Error, ErrorKind},
    json,
};

/// The content of one cell or one value.
///
/// The variants cover TinyBase's six types; an object and an array are both [`Cell::Json`]. `From` converts types whose
/// every value is valid, `TryFrom` the others (`f64`, text, large integers):
///
/// ```
/// use roommate::Cell;
///
/// let species = Cell::try_from("dog")?;
/// let age = Cell::from(4);
/// assert_eq!(species.as_str(), Some("dog"));
/// assert_eq!(age.as_f64(), Some(4.0));
/// assert!(Cell::try_from(f64::NAN).is_err());
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// JSON's null: a value like any other, not the absence of one.
    Null,
    /// true or false.
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// A text that TinyBase does not reserve.
    String(Text),
    /// A JSON object or array, as text.
    Json(Json),
}

/// The type of a [`Cell`], in TinyBase's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CellKind {
    /// `null`
    Null,
    /// `'boolean'`
    Boolean,
    /// `'number'`
    Number,
    /// `'string'`
    String,
    /// `'object'`
    Object,
    /// `'array'`
    Array,
}

/// A finite `f64`. `0` and `-0` are equal, as in JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Number(f64);

/// A text that a cell may hold: anything but exactly U+FFFC, and anything that does not begin with U+FFFD.
///
/// TinyBase uses those two as marks for "deleted" and for "JSON inside" (its `isReservedString`).
///
/// A short text, of up to 14 bytes, is stored inline in its 16 bytes; clones of a long text share it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Str);

/// The text of a JSON object or array, stored exactly as it was written.
///
/// Two are equal when their texts are, as in TinyBase: `{"a":1,"b":2}` is not `{"b":2,"a":1}`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Arc<Box<str>>);

/// The mark for "deleted" in messages.
pub(crate) const DELETED: &str = "\u{FFFC}";
/// The mark in front of the JSON text of an object or array.
pub(crate) const JSON_MARK: char = '\u{FFFD}';

impl Cell {
    /// Returns the type of this cell.
    pub fn kind(&self) -> CellKind {
        match self {
            Self::Null => CellKind::Null,
            Self::Bool(_) => CellKind::Boolean,
            Self::Number(_) => CellKind::Number,
            Self::String(_) => CellKind::String,
            Self::Json(json) if json.is_array() => CellKind::Array,
            Self::Json(_) => CellKind::Object,
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(bool) => Some(*bool),
            _ => None,
        }
    }

    /// Returns the number, if this is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number.0),
            _ => None,
        }
    }

    /// Returns the text, if this is one. The JSON text of an object or array does not count: see [`Cell::as_json`].
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the object or array, if this is one.
    pub fn as_json(&self) -> Option<&Json> {
        match self {
            Self::Json(json) => Some(json),
            _ => None,
        }
    }
}

impl Number {
    /// Creates a number; `None` if `number` is not finite.
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number))
    }

    /// Returns the number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Text {
    /// Creates a text; `None` if `text` is reserved.
    pub fn new(text: impl AsRef<str> + Into<String>) -> Option<Self> {
        (!Self::is_reserved(text.as_ref())).then(|| Self(Str::new(text)))
    }

    /// A text that is known not to be reserved.
    #[inline]
    pub(crate) fn trusted(text: &str) -> Self {
        Self(Str::new(text))
    }

    pub(crate) fn is_reserved(text: &str) -> bool {
        text == DELETED || text.starts_with(JSON_MARK)
    }
}

impl Json {
    /// Creates a JSON cell with exactly this text; `None` if `text` is not a JSON object or array.
    pub fn new(text: impl AsRef<str> + Into<String>) -> Option<Self> {
        json::is_object_or_array(text.as_ref()).then(|| Self::trusted(text))
    }

    /// Returns the JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is an array, and not an object.
    pub fn is_array(&self) -> bool {
        self.0.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('[')
    }

    /// A text that is known to be a JSON object or array.
    pub(crate) fn trusted(text: impl Into<String>) -> Self {
        Self(Arc::new(text.into().into_boxed_str()))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<()> for Cell {
    fn from((): ()) -> Self {
        Self::Null
    }
}

impl From<bool> for Cell {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<Number> for Cell {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<Text> for Cell {
    fn from(text: Text) -> Self {
        Self::String(text)
    }
}

impl From<Json> for Cell {
    fn from(json: Json) -> Self {
        Self::Json(json)
    }
}

impl From<&Self> for Cell {
    fn from(cell: &Self) -> Self {
        cell.clone()
    }
}

macro_rules! from_small_integer {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Cell {
            fn from(integer: $integer) -> Self {
                Self::Number(Number(integer.into()))
            }
        }
    )*};
}
from_small_integer!(i8 i16 i32 u8 u16 u32);

macro_rules! try_from_large_integer {
    ($($integer:ty)*) => {$(
        /// Fails with [`ErrorKind::Invalid`] beyond 2^53, where an `f64` no longer holds every integer.
        impl TryFrom<$integer> for Cell {
            type Error = Error;

            fn try_from(integer: $integer) -> Result<Self, Error> {
                let number = integer as f64;
                if number.abs() <= 9_007_199_254_740_992.0 && number as $integer == integer {
                    Ok(Self::Number(Number(number)))
                } else {
                    Err(Error::new(ErrorKind::Invalid, format!("{integer} is not a number that a cell can hold exactly")))
                }
            }
        }
    )*};
}
try_from_large_integer!(i64 u64 isize usize);

impl TryFrom<f64> for Cell {
    type Error = Error;

    fn try_from(number: f64) -> Result<Self, Error> {
        Number::new(number)
            .map(Self::Number)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, format!("a cell cannot hold {number}: it is not finite")))
    }
}

impl TryFrom<&str> for Cell {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        Text::new(text).map(Self::String).ok_or_else(reserved)
    }
}

impl TryFrom<String> for Cell {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Text::new(text).map(Self::String).ok_or_else(reserved)
    }
}

/// Objects and arrays are written as `JSON.stringify` would write them.
impl TryFrom<&serde_json::Value> for Cell {
    type Error = Error;

    fn try_from(value: &serde_json::Value) -> Result<Self, Error> {
        json::cell_from_value(value)
    }
}

/// Objects and arrays are written as `JSON.stringify` would write them.
impl TryFrom<serde_json::Value> for Cell {
    type Error = Error;

    fn try_from(value: serde_json::Value) -> Result<Self, Error> {
        json::cell_from_value(&value)
    }
}

/// Plain JSON: an object or array as itself, not as encoded text.
impl From<&Cell> for serde_json::Value {
    fn from(cell: &Cell) -> Self {
        json::value_from_cell(cell)
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

fn reserved() -> Error {
    Error::new(
        ErrorKind::Invalid,
        "a cell cannot hold exactly U+FFFC or a text that begins with U+FFFD: TinyBase reserves them as marks",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_equals_negative_zero_as_in_javascript() {
        assert_eq!(Number::new(0.0), Number::new(-0.0));
    }

    #[test]
    fn reserved_texts_are_refused_and_their_neighbours_are_not() {
        assert!(Cell::try_from("\u{FFFC}").is_err());
        assert!(Cell::try_from("\u{FFFD}{}").is_err());
        assert!(Cell::try_from("a\u{FFFC}").is_ok());
        assert!(Cell::try_from("a\u{FFFD}").is_ok());
        assert!(Cell::try_from("").is_ok());
    }

    #[test]
    fn an_integer_that_javascript_would_round_is_refused() {
        assert!(Cell::try_from(9_007_199_254_740_992_i64).is_ok());
        assert!(Cell::try_from(9_007_199_254_740_993_i64).is_err());
        assert!(Cell::try_from(u64::MAX).is_err());
        assert!(Cell::try_from(i64::MIN).is_err());
    }
}
