//! The fields of a typed row.

use std::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Error as JsonError, Value};

use super::{
    cell::{FromCell, ToCell, any_cell},
    within,
};
use crate::{
    content::{Cell, Id, Row},
    error::{Error, ErrorKind, Result},
    store::{CellSchema, Pattern},
};

/// A type that can be a field of a typed row: a type that a cell can hold ([`ToCell`] and [`FromCell`]), or an `Option`
/// of such a type.
///
/// `None` is written as the absence of the cell. A null is read as `None`, unless the type in the `Option` accepts null
/// itself, as [`Cell`] does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a row",
    note = "a field is what a cell can hold, or an `Option` of it",
    note = "an enum without data, and a newtype, can `#[derive(roommate::Cell)]`",
    note = "whatever serde can write can be kept as JSON: `#[row(json)]`"
)]
pub trait Field: Sized {
    /// Converts the field to a cell; `None` if it has no cell.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if no cell can represent the field.
    fn to_field(&self) -> Result<Option<Cell>>;

    /// Converts a cell, or its absence, to the field.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if the cell does not fit, or if it is missing and the field needs one.
    fn from_field(cell: Option<&Cell>) -> Result<Self>;

    /// Returns the schema of the cell, for rows that have it.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if the type has no valid schema.
    fn schema() -> Result<CellSchema>;
}

impl<T: ToCell + FromCell> Field for T {
    fn to_field(&self) -> Result<Option<Cell>> {
        self.to_cell().map(Some)
    }

    fn from_field(cell: Option<&Cell>) -> Result<Self> {
        Self::from_cell(cell.ok_or_else(missing)?)
    }

    fn schema() -> Result<CellSchema> {
        <T as FromCell>::schema()
    }
}

impl<T: ToCell + FromCell> Field for Option<T> {
    fn to_field(&self) -> Result<Option<Cell>> {
        self.as_ref().map(T::to_cell).transpose()
    }

    fn from_field(cell: Option<&Cell>) -> Result<Self> {
        match cell.map(|cell| (cell, T::from_cell(cell))) {
            None | Some((Cell::Null, Err(_))) => Ok(None),
            Some((_, value)) => value.map(Some),
        }
    }

    fn schema() -> Result<CellSchema> {
        <T as FromCell>::schema()
    }
}

/// The id of a cell that holds a `T`, in rows of type `R`.
///
/// `#[derive(Row)]` makes one for each field: `Pet::AGE` for `age`. It reads and writes one cell as its type
/// ([`TypedTable::cell`](super::TypedTable::cell)), and every method that takes an id accepts it:
/// `store.add_cell_listener("pets", ANY, Pet::AGE, ...)`.
pub struct CellId<R, T> {
    id: &'static str,
    to_cell: fn(&T) -> Result<Option<Cell>>,
    from_cell: fn(Option<&Cell>) -> Result<T>,
    schema: fn() -> Result<CellSchema>,
    default: Option<fn() -> T>,
    row: PhantomData<fn() -> R>,
}

impl<R, T> CellId<R, T> {
    /// The id of a field that is stored as a cell.
    pub const fn new(id: &'static str) -> Self
    where
        T: Field,
    {
        let (to_cell, from_cell, schema) = (T::to_field, T::from_field, <T as Field>::schema);
        Self { id, to_cell, from_cell, schema, default: None, row: PhantomData }
    }

    /// The id of a field that is stored as JSON: as an object or array, a text, a number or a boolean, depending on how
    /// serde writes the type. A field that serde writes as `null` has no cell.
    ///
    /// Integers beyond 2^53 are refused, since JavaScript would round them. `serde_json` writes a float that is not
    /// finite as `null`, which it then cannot read as a float: such a type needs `#[serde(with = ...)]`.
    pub const fn json(id: &'static str) -> Self
    where
        T: Serialize + DeserializeOwned,
    {
        let (to_cell, from_cell, schema) = (to_json, from_json, any_cell);
        Self { id, to_cell, from_cell, schema, default: None, row: PhantomData }
    }

    /// Sets the value of the field for rows without the cell.
    pub const fn with_default(self, default: fn() -> T) -> Self {
        Self { default: Some(default), ..self }
    }

    /// Returns the id as text.
    pub const fn as_str(&self) -> &'static str {
        self.id
    }

    /// Reads the field from a row.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if the cell does not fit, or if it is missing and the field needs one. The
    /// message names the cell.
    pub fn read(&self, row: &Row) -> Result<T> {
        self.value(row.get(self.id))
    }

    /// Writes the field to a row. A field without a cell, such as `None`, removes the present cell.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if no cell can represent `value`. The message names the cell.
    pub fn write(&self, value: &T, row: &mut Row) -> Result<()> {
        match self.cell(value)? {
            Some(cell) => row.insert(self.id, cell),
            None => row.remove(self.id),
        };
        Ok(())
    }

    /// Returns the schema of the cell: its type and its default, if there is one. The cell is required, unless the
    /// field can be absent or has a default.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`] if the default cannot be a cell, or if the schema of the type does not accept it.
    /// The message names the cell.
    pub fn schema(&self) -> Result<CellSchema> {
        let schema = || {
            let schema = (self.schema)()?;
            match self.default {
                Some(default) => match (self.to_cell)(&default())? {
                    Some(default) => schema.with_default(default),
                    None => Ok(schema),
                },
                None if (self.from_cell)(None).is_err() => Ok(schema.required()),
                None => Ok(schema),
            }
        };
        schema().map_err(|error| self.name(error))
    }

    pub(super) fn cell(&self, value: &T) -> Result<Option<Cell>> {
        (self.to_cell)(value).map_err(|error| self.name(error))
    }

    pub(super) fn value(&self, cell: Option<&Cell>) -> Result<T> {
        match (cell, self.default) {
            (None, Some(default)) => Ok(default()),
            _ => (self.from_cell)(cell).map_err(|error| self.name(error)),
        }
    }

    fn name(&self, error: Error) -> Error {
        within(format_args!("cell {:?}", self.id), error)
    }
}

fn missing() -> Error {
    Error::new(ErrorKind::Invalid, "there is no such cell, and no default")
}

fn to_json<T: Serialize>(value: &T) -> Result<Option<Cell>> {
    let value = serde_json::to_value(value).map_err(|error| json_error("no JSON can stand for it", error))?;
    if value.is_null() {
        return Ok(None);
    }
    check_integers(&value)?;
    Cell::try_from(value).map(Some)
}

fn from_json<T: DeserializeOwned>(cell: Option<&Cell>) -> Result<T> {
    match cell {
        None => serde_json::from_value(Value::Null).map_err(|_| missing()),
        Some(Cell::Json(json)) => {
            serde_json::from_str(json.as_str()).map_err(|error| json_error("it does not fit", error))
        }
        Some(cell) => serde_json::from_value(cell.into()).map_err(|error| json_error("it does not fit", error)),
    }
}

/// Fails if an integer would be rounded.
fn check_integers(value: &Value) -> Result<()> {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Cell::try_from(integer).map(drop),
            (_, Some(integer)) => Cell::try_from(integer).map(drop),
            _ => Ok(()),
        },
        Value::Array(elements) => elements.iter().try_for_each(check_integers),
        Value::Object(entries) => entries.values().try_for_each(check_integers),
        _ => Ok(()),
    }
}

fn json_error(message: &str, error: JsonError) -> Error {
    Error::with_source(ErrorKind::Invalid, format!("{message}: {error}"), error)
}

impl<R, T> Clone for CellId<R, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, T> Copy for CellId<R, T> {}

impl<R, T> AsRef<str> for CellId<R, T> {
    fn as_ref(&self) -> &str {
        self.id
    }
}

impl<R, T> From<CellId<R, T>> for Id {
    fn from(id: CellId<R, T>) -> Self {
        id.id.into()
    }
}

impl<R, T> From<CellId<R, T>> for Pattern {
    fn from(id: CellId<R, T>) -> Self {
        id.id.into()
    }
}

impl<R, T> fmt::Debug for CellId<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CellId").field(&self.id).finish()
    }
}
