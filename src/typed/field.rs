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

/// What a field of a typed row may be: what a cell holds ([`ToCell`] and [`FromCell`]), or an `Option` of that.
///
/// `None` is no cell. Read, a null is `None` as well, unless the type in the `Option` takes a null itself, as [`Cell`]
/// does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a row",
    note = "a field is what a cell can hold, or an `Option` of it",
    note = "an enum without data, and a newtype, can `#[derive(roommate::Cell)]`",
    note = "whatever serde can write can be kept as JSON: `#[row(json)]`"
)]
pub trait Field: Sized {
    /// The cell; `None` for none.
    fn to_field(&self) -> Result<Option<Cell>>;

    /// The value of the cell, or of its absence. Fails with [`ErrorKind::Invalid`].
    fn from_field(cell: Option<&Cell>) -> Result<Self>;

    /// What a schema may say of the cell, where there is one.
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

/// The id of a cell that holds a `T`, in rows that are an `R`.
///
/// `#[derive(Row)]` makes one for each field: `Pet::AGE` for `age`. With it one cell is read and written as its type
/// ([`TypedTable::cell`](super::TypedTable::cell)), and it is taken wherever an id is:
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
    /// A field that is a cell.
    pub const fn new(id: &'static str) -> Self
    where
        T: Field,
    {
        let (to_cell, from_cell, schema) = (T::to_field, T::from_field, <T as Field>::schema);
        Self { id, to_cell, from_cell, schema, default: None, row: PhantomData }
    }

    /// A field that is kept as JSON: an object or array, a text, a number or a boolean, as serde writes the type. What
    /// serde writes as `null` is no cell.
    ///
    /// Integers beyond 2^53 are refused, since JavaScript would round them. A float that is not finite is `null` to
    /// `serde_json`, which then cannot read it: such a type needs `#[serde(with = ...)]`.
    pub const fn json(id: &'static str) -> Self
    where
        T: Serialize + DeserializeOwned,
    {
        let (to_cell, from_cell, schema) = (to_json, from_json, any_cell);
        Self { id, to_cell, from_cell, schema, default: None, row: PhantomData }
    }

    /// The same, with what the field is where there is no such cell.
    pub const fn with_default(self, default: fn() -> T) -> Self {
        Self { default: Some(default), ..self }
    }

    /// The id as text.
    pub const fn as_str(&self) -> &'static str {
        self.id
    }

    /// Reads the field from a row. Fails with [`ErrorKind::Invalid`], in the name of the cell.
    pub fn read(&self, row: &Row) -> Result<T> {
        self.value(row.get(self.id))
    }

    /// Writes the field to a row; a field that is no cell removes the one that is there. Fails with
    /// [`ErrorKind::Invalid`], in the name of the cell.
    pub fn write(&self, value: &T, row: &mut Row) -> Result<()> {
        match self.cell(value)? {
            Some(cell) => row.insert(self.id, cell),
            None => row.remove(self.id),
        };
        Ok(())
    }

    /// What a schema says of the cell: of its type; required, unless it may be absent; with the default, if there is one.
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

/// Fails where an integer would be rounded.
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
