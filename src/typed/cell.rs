//! Conversions between cells and Rust types.

use std::{fmt, sync::Arc};

use crate::{
    content::{Cell, CellKind, Id, Json, Number, Text},
    error::{Error, ErrorKind, Result},
    store::CellSchema,
};

/// A type whose values convert to cells. The conversion fails for some values: a reserved text, an integer beyond 2^53.
///
/// Implemented for booleans, integers, floats, texts, [`Json`] and [`Cell`] itself. Enums without data and newtypes
/// derive it (`#[derive(Cell)]`, feature `derive`). Implement it by hand for other types, together with [`FromCell`]:
///
/// ```
/// use std::net::IpAddr;
/// use roommate::{Cell, Error, ErrorKind, FromCell, Result, ToCell};
///
/// struct Address(IpAddr);
///
/// impl ToCell for Address {
///     fn to_cell(&self) -> Result<Cell> {
///         self.0.to_string().to_cell()
///     }
/// }
///
/// impl FromCell for Address {
///     fn from_cell(cell: &Cell) -> Result<Self> {
///         let text = String::from_cell(cell)?;
///         let address = text.parse().map_err(|error| Error::with_source(ErrorKind::Invalid, "no address", error))?;
///         Ok(Self(address))
///     }
/// }
///
/// let cell = Address("127.0.0.1".parse().unwrap()).to_cell()?;
/// assert_eq!(cell, Cell::try_from("127.0.0.1")?);
/// assert!(Address::from_cell(&Cell::from(4)).is_err());
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a cell can hold",
    label = "no cell",
    note = "an enum without data, and a newtype, can `#[derive(roommate::Cell)]`",
    note = "whatever serde can write can be kept as JSON: `#[row(json)]`"
)]
pub trait ToCell {
    /// Converts the value to a cell.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if no cell can represent this value.
    fn to_cell(&self) -> Result<Cell>;
}

/// A type that can be read from a cell: the other half of [`ToCell`].
///
/// Types are not converted into each other: a number is not read as a text, nor 4.5 as an integer. A float is read as
/// the nearest value of its type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a cell can hold",
    label = "no cell",
    note = "an enum without data, and a newtype, can `#[derive(roommate::Cell)]`",
    note = "whatever serde can write can be kept as JSON: `#[row(json)]`"
)]
pub trait FromCell: Sized {
    /// Converts a cell to the value.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if the cell is of another type, or out of range.
    fn from_cell(cell: &Cell) -> Result<Self>;

    /// Returns the schema of such a cell. Defaults to a schema that accepts any type but null.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if the type has no valid schema. The schemas of this crate are always valid.
    fn schema() -> Result<CellSchema> {
        any_cell()
    }
}

/// A schema that accepts any cell but null.
pub(super) fn any_cell() -> Result<CellSchema> {
    use CellKind::{Array, Boolean, Number, Object, String};
    CellSchema::any_of([String, Number, Boolean, Object, Array])
}

/// Up to here, every whole `f64` is one integer.
const MAX_SAFE: f64 = 9_007_199_254_740_992.0;

macro_rules! from_cell {
    ($($type:ty: $expected:literal, $schema:expr, $cell:ident => $read:expr;)*) => {$(
        impl FromCell for $type {
            fn from_cell($cell: &Cell) -> Result<Self> {
                $read.ok_or_else(|| unfit($expected, $cell))
            }

            fn schema() -> Result<CellSchema> {
                $schema
            }
        }
    )*};
}
from_cell! {
    Cell: "a cell", any_cell().map(CellSchema::allow_null), cell => Some(cell.clone());
    bool: "a boolean", Ok(CellSchema::boolean()), cell => cell.as_bool();
    f64: "a number", Ok(CellSchema::number()), cell => cell.as_f64();
    f32: "a number that an f32 can hold", Ok(CellSchema::number()), cell => {
        cell.as_f64().map(|number| number as Self).filter(|nearest| nearest.is_finite())
    };
    Number: "a number", Ok(CellSchema::number()), cell => cell.as_f64().and_then(Self::new);
    String: "a text", Ok(CellSchema::string()), cell => cell.as_str().map(Self::from);
    Box<str>: "a text", Ok(CellSchema::string()), cell => cell.as_str().map(Self::from);
    Arc<str>: "a text", Ok(CellSchema::string()), cell => cell.as_str().map(Self::from);
    Id: "a text", Ok(CellSchema::string()), cell => cell.as_str().map(Self::from);
    Text: "a text", Ok(CellSchema::string()), cell => match cell {
        Cell::String(text) => Some(text.clone()),
        _ => None,
    };
    Json: "an object or array", CellSchema::any_of([CellKind::Object, CellKind::Array]), cell => cell.as_json().cloned();
}

macro_rules! to_cell {
    ($($type:ty, $this:ident => $cell:expr;)*) => {$(
        impl ToCell for $type {
            fn to_cell(&self) -> Result<Cell> {
                let $this = self;
                cell($cell)
            }
        }
    )*};
}
to_cell! {
    Cell, cell => cell;
    bool, bool => *bool;
    f64, number => *number;
    f32, number => f64::from(*number);
    Number, number => *number;
    String, text => text.as_str();
    Box<str>, text => &**text;
    Arc<str>, text => &**text;
    Id, id => id.as_str();
    Text, text => text.clone();
    Json, json => json.clone();
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl ToCell for $integer {
            fn to_cell(&self) -> Result<Cell> {
                cell(*self)
            }
        }

        impl FromCell for $integer {
            fn from_cell(cell: &Cell) -> Result<Self> {
                let exact = |number: f64| {
                    // The cast saturates: a number that is out of range, or has a fraction, becomes another number.
                    let integer = number as Self;
                    (number.abs() <= MAX_SAFE && integer as f64 == number).then_some(integer)
                };
                cell.as_f64().and_then(exact).ok_or_else(|| {
                    let (min, max) = ((Self::MIN as f64).max(-MAX_SAFE), (Self::MAX as f64).min(MAX_SAFE));
                    unfit(format_args!("a whole number from {min} to {max}"), cell)
                })
            }

            fn schema() -> Result<CellSchema> {
                Ok(CellSchema::number())
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

fn cell<C: TryInto<Cell, Error: Into<Error>>>(value: C) -> Result<Cell> {
    value.try_into().map_err(Into::into)
}

/// The error of a cell that is not as expected.
pub(super) fn unfit(expected: impl fmt::Display, found: &Cell) -> Error {
    /// How many characters of a text an error repeats.
    const CHARS: usize = 40;
    let found = match found {
        Cell::Null => "null".into(),
        Cell::Bool(bool) => bool.to_string(),
        Cell::Number(number) => format!("the number {}", number.get()),
        Cell::String(text) => match text.char_indices().nth(CHARS) {
            None => format!("the text {text:?}"),
            Some((end, _)) => format!("a text that begins with {:?}", &text[..end]),
        },
        Cell::Json(json) if json.is_array() => "an array".into(),
        Cell::Json(_) => "an object".into(),
    };
    Error::new(ErrorKind::Invalid, format!("expected {expected}, found {found}"))
}

/// The error of a text that is not a variant of an enum: for `#[derive(Cell)]`.
pub fn no_such_variant(cell: &Cell, texts: &[&str]) -> Error {
    let texts: Vec<_> = texts.iter().map(|text| format!("{text:?}")).collect();
    let one_of = if texts.len() == 1 { "" } else { "one of " };
    unfit(format_args!("{one_of}{}", texts.join(", ")), cell)
}
