//! Rows as Rust structs.
//!
//! [`TypedRow`] is what a struct has to be able to, [`TypedTable`] the table that holds such rows. Between a field and a
//! cell stand [`Field`] and, below it, [`ToCell`] and [`FromCell`].

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

/// For what the derive macros write.
#[doc(hidden)]
pub mod __private {
    pub use super::cell::no_such_variant;
}

/// A struct that is the row of a table: see [`TypedTable`].
///
/// To be derived, with the feature `derive`; or written by hand, field by field:
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
    /// The ids of the cells that are fields. Other cells of a row are none of this type's business.
    const CELL_IDS: &'static [&'static str];

    /// The cells; none for a field that is `None`. The same value gives the same cells.
    ///
    /// Fails with [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where no cell can stand for a field.
    fn to_row(&self) -> Result<Row>;

    /// The struct. Cells that are no fields are passed over.
    ///
    /// Fails with [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where a cell does not fit, or is missing.
    fn from_row(row: &Row) -> Result<Self>;

    /// What each cell may be, for a schema: see [`TablesSchema::with_table_of`](crate::TablesSchema::with_table_of).
    fn schema() -> Result<Map<CellSchema>>;
}

/// The struct of a row; `None` of an empty one, which is none.
fn read<R: TypedRow>(table_id: &Id, row_id: &str, row: &Row) -> Result<Option<R>> {
    if row.is_empty() {
        return Ok(None);
    }
    R::from_row(row).map(Some).map_err(|error| at(table_id, row_id, error))
}

fn at(table_id: &Id, row_id: &str, error: Error) -> Error {
    within(format_args!("row {row_id:?} of table {table_id:?}"), error)
}

/// The error, saying where it is.
fn within(place: impl fmt::Display, error: Error) -> Error {
    Error::with_source(error.kind(), format!("{place}: {error}"), error)
}
