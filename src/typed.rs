//! Rows as Rust structs.
//!
//! [`TypedRow`] is the trait of a struct that is a row, and [`TypedTable`] is the table of such rows. [`Field`]
//! converts a field to and from an optional cell. It builds on [`ToCell`] and [`FromCell`].

use std::fmt;

use crate::{
    content::{Id, Map, Row},
    error::{Error, Result},
    store::CellSchema,
};

mod cell;
mod event;
mod field;
mod schema;
mod table;

pub use cell::{FromCell, ToCell};
pub use event::TypedRowEvent;
pub use field::{CellId, Field};
pub use table::TypedTable;

/// For the code that the derive macros generate.
#[doc(hidden)]
pub mod __private {
    pub use super::cell::no_such_variant;
}

/// A struct that is the row of a table: see [`TypedTable`].
///
/// Derive it, with the feature `derive`, or implement it by hand, field by field:
///
/// ```
/// use roommate::{CellId, CellSchema, Map, Result, Row, TypedRow};
///
/// struct Pet {
///     species: String,
///     sold: bool,
/// }
///
/// impl Pet {
///     const SPECIES: CellId<Self, String> = CellId::new("species");
///     const SOLD: CellId<Self, bool> = CellId::new("sold").with_default(|| false);
/// }
///
/// impl TypedRow for Pet {
///     const CELL_IDS: &'static [&'static str] = &["species", "sold"];
///
///     fn to_row(&self) -> Result<Row> {
///         let mut row = Row::new();
///         Self::SPECIES.write(&self.species, &mut row)?;
///         Self::SOLD.write(&self.sold, &mut row)?;
///         Ok(row)
///     }
///
///     fn from_row(row: &Row) -> Result<Self> {
///         Ok(Self { species: Self::SPECIES.read(row)?, sold: Self::SOLD.read(row)? })
///     }
///
///     fn schema() -> Result<Map<CellSchema>> {
///         let cells = [(Self::SPECIES.as_str(), Self::SPECIES.schema()?), (Self::SOLD.as_str(), Self::SOLD.schema()?)];
///         Ok(cells.into_iter().collect())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no typed row",
    label = "no typed row",
    note = "a struct can `#[derive(roommate::Row)]`"
)]
pub trait TypedRow: Sized {
    /// The ids of the cells that are fields. The type ignores other cells of a row.
    const CELL_IDS: &'static [&'static str];

    /// Converts the struct to cells; a field that is `None` has no cell. The same value always gives the same cells.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if no cell can represent a field.
    fn to_row(&self) -> Result<Row>;

    /// Converts a row to the struct. Ignores cells that are not fields.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a cell does not fit its field, or is missing.
    fn from_row(row: &Row) -> Result<Self>;

    /// Returns the schema of each cell: see [`TablesSchema::with_table_of`](crate::TablesSchema::with_table_of).
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a default cannot be a cell, or if the schema of its
    /// cell does not accept it.
    fn schema() -> Result<Map<CellSchema>>;
}

/// The struct of a row; `None` for an empty row, which does not exist.
fn read<R: TypedRow>(table_id: &Id, row_id: &str, row: &Row) -> Result<Option<R>> {
    if row.is_empty() {
        return Ok(None);
    }
    R::from_row(row).map(Some).map_err(|error| at(table_id, row_id, error))
}

fn at(table_id: &Id, row_id: &str, error: Error) -> Error {
    within(format_args!("row {row_id:?} of table {table_id:?}"), error)
}

/// The error, with its location added to the message.
fn within(place: impl fmt::Display, error: Error) -> Error {
    Error::with_source(error.kind(), format!("{place}: {error}"), error)
}
