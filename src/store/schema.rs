//! Schemas: the data types, their JSON, and the decisions about cells and values. Without side effects.

use crate::content::{Id, Map};

mod cell_schema;
mod json;
mod validate;

#[cfg(test)]
mod tests;

pub use cell_schema::CellSchema;

/// Which tables a store may contain, and which cells in their rows: TinyBase's `TablesSchema`.
///
/// ```
/// use roommate::{CellSchema, Store, TablesSchema};
///
/// let schema = TablesSchema::new()
///     .with_cell("pets", "species", CellSchema::string().with_default("dog")?)
///     .with_cell("pets", "legs", CellSchema::number().allow_null());
/// let store = Store::new();
/// store.set_tables_schema(schema)?;
/// store.set_row("pets", "fido", [("legs", 4)])?;
/// assert_eq!(store.cell("pets", "fido", "species"), Some("dog".try_into()?));
/// store.set_cell("pets", "fido", "legs", "many")?;
/// assert_eq!(store.cell("pets", "fido", "legs"), Some(4.into()));
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TablesSchema(Map<Map<CellSchema>>);

/// Which values a store may contain: TinyBase's `ValuesSchema`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValuesSchema(Map<CellSchema>);

impl TablesSchema {
    /// Creates a schema without tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a cell, and its table if the schema does not have that yet.
    pub fn with_cell(mut self, table_id: impl Into<Id>, cell_id: impl Into<Id>, cell: CellSchema) -> Self {
        self.0.get_or_default(&table_id.into()).insert(cell_id, cell);
        self
    }

    /// Returns the schema of one cell.
    pub fn cell(&self, table_id: &str, cell_id: &str) -> Option<&CellSchema> {
        self.0.get(table_id)?.get(cell_id)
    }

    /// Returns the tables and their cells, in the order in which they were added.
    pub fn tables(&self) -> impl Iterator<Item = (&Id, &Map<CellSchema>)> {
        self.0.iter()
    }

    /// Whether there are no tables.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl ValuesSchema {
    /// Creates a schema without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value.
    pub fn with_value(mut self, value_id: impl Into<Id>, value: CellSchema) -> Self {
        self.0.insert(value_id, value);
        self
    }

    /// Returns the schema of one value.
    pub fn value(&self, value_id: &str) -> Option<&CellSchema> {
        self.0.get(value_id)
    }

    /// Returns the values, in the order in which they were added.
    pub fn values(&self) -> impl Iterator<Item = (&Id, &CellSchema)> {
        self.0.iter()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
