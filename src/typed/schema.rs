//! Schemas made from structs.

use super::{TypedRow, within};
use crate::{content::Id, error::Result, store::TablesSchema};

impl TablesSchema {
    /// Adds the cells of `R` in a table, and the table if the schema does not have it yet.
    ///
    /// A cell has its field's type; the cell of an enum is one of its texts. It is required unless the field is an
    /// `Option` or has a default. The default of the field becomes the default of the schema.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the default of a field cannot be a cell, or if the
    /// schema of its type does not accept it. The message names the table and the cell.
    ///
    /// ```
    /// use roommate::{Row, Store, TablesSchema};
    ///
    /// #[derive(Row)]
    /// struct Pet {
    ///     name: String,
    ///     #[row(default = 4)]
    ///     legs: u8,
    ///     sold_to: Option<String>,
    /// }
    ///
    /// let schema = TablesSchema::new().with_table_of::<Pet>("pets")?;
    /// let expected = concat!(
    ///     r#"{"pets":{"name":{"type":"string","required":true},"#,
    ///     r#""legs":{"type":"number","default":4},"sold_to":{"type":"string"}}}"#
    /// );
    /// assert_eq!(schema.to_json(), expected);
    ///
    /// let store = Store::new();
    /// store.set_tables_schema(schema)?;
    /// store.set_row("pets", "fido", [("name", "Fido")])?;
    /// assert_eq!(store.table_of::<Pet>("pets").cell("fido", Pet::LEGS)?, Some(4));
    /// # Ok::<(), roommate::Error>(())
    /// ```
    pub fn with_table_of<R: TypedRow>(self, table_id: impl Into<Id>) -> Result<Self> {
        let table_id = table_id.into();
        let cells = R::schema().map_err(|error| within(format_args!("table {table_id:?}"), error))?;
        Ok(cells.into_iter().fold(self, |schema, (cell_id, cell)| schema.with_cell(&table_id, cell_id, cell)))
    }
}
