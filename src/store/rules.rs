//! The schemas of a store.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

use super::{
    Store,
    schema::{TablesSchema, ValuesSchema},
    shared::State,
};

/// The schemas, and, in a transaction that changes them, the previous ones.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) tables: Option<Arc<TablesSchema>>,
    pub(super) values: Option<Arc<ValuesSchema>>,
    before: Option<Box<Self>>,
}

impl Rules {
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_none() && self.values.is_none()
    }

    /// Saves the present schemas, unless that was done already.
    fn keep(&mut self) {
        if self.before.is_none() {
            let (tables, values) = (self.tables.clone(), self.values.clone());
            self.before = Some(Box::new(Self { tables, values, before: None }));
        }
    }

    /// Restores the schemas from the beginning of the transaction.
    pub(super) fn undo(&mut self) {
        if let Some(before) = self.before.take() {
            *self = *before;
        }
    }

    /// Makes the schemas final.
    pub(super) fn commit(&mut self) {
        self.before = None;
    }
}

/// Schemas: rules for the writes of this store. They are not part of the content, and are never sent to a backend.
///
/// A tables schema refuses all tables and cells that it does not name; a values schema refuses all values that it does
/// not name. A refused write is not an error: as in TinyBase, the setter does what it can. A cell of the wrong type is
/// set to its default if it has one, and otherwise stays as it is; the rest of the row is set. Every refused cell or
/// value is reported to [invalid cell listeners](Store::add_invalid_cell_listener) and [invalid value
/// listeners](Store::add_invalid_value_listener).
///
/// - A row that is created, or set as a whole, gets the defaults that it lacks.
/// - A row that is set as a whole, or added, is refused if it lacks a required cell. Requirements do not apply to
///   single cells, partial rows, deletions and changes.
/// - Deleting a cell or value that has a default sets it to the default. [`Store::force_del_cell`] and
///   [`Store::apply_changes`] delete the cell, and only that cell: TinyBase deletes the whole row.
///
/// **Content from a backend is applied as it is.** An [`Engine`](crate::Engine) applies everything that it receives
/// from its backend exactly, since all clients have to end with the same content. A cell that the schema refuses is
/// stored, and reported to listeners as invalid. A deleted cell is gone, without its default. No defaults are added to
/// rows of other clients: such a default would be an edit that no user made, and would undo deletions by other clients.
/// To make a store that has just loaded conform to its schema, set the schema again: the resulting changes are edits
/// like any other, and are saved.
impl Store {
    /// Sets which tables and cells the store may contain, and sets all present tables again under this schema: cells
    /// that it refuses are deleted, and so are rows that lack a required cell; the other rows get their defaults.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if the schema has no tables: [`Store::del_tables_schema`]
    /// removes a schema.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_tables_schema(&self, schema: TablesSchema) -> Result<()> {
        if schema.is_empty() {
            return Err(empty());
        }
        self.with_state(|state| {
            state.rules.keep();
            state.rules.tables = Some(Arc::new(schema));
            state.writer().revise_tables();
        })
    }

    /// Sets which values the store may contain, and sets all present values again under this schema: values that it
    /// refuses are deleted, and missing values are set to their defaults. If a required value is missing, all values
    /// are deleted, as in TinyBase.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if the schema has no values: [`Store::del_values_schema`]
    /// removes a schema.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_values_schema(&self, schema: ValuesSchema) -> Result<()> {
        if schema.is_empty() {
            return Err(empty());
        }
        self.with_state(|state| {
            state.rules.keep();
            state.rules.values = Some(Arc::new(schema));
            state.writer().revise_values();
        })
    }

    /// Sets both schemas in one transaction.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`], and changes nothing, if one of the two schemas is empty.
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn set_schema(&self, tables: TablesSchema, values: ValuesSchema) -> Result<()> {
        if tables.is_empty() || values.is_empty() {
            return Err(empty());
        }
        self.transaction(|store| {
            store.set_tables_schema(tables)?;
            store.set_values_schema(values)
        })
    }

    /// Removes the tables schema, so that any tables and cells can be set. The present tables stay as they are.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn del_tables_schema(&self) -> Result<()> {
        self.with_state(|state| {
            state.rules.keep();
            state.rules.tables = None;
        })
    }

    /// Removes the values schema, so that any values can be set. The present values stay as they are.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn del_values_schema(&self) -> Result<()> {
        self.with_state(|state| {
            state.rules.keep();
            state.rules.values = None;
        })
    }

    /// Removes both schemas, so that any tables and values can be set.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`], and changes nothing, if listeners have written in 100 rounds in a row, or if a
    /// listener that is called before the commit runs a nested transaction that fails: see [`Store::transaction`].
    pub fn del_schema(&self) -> Result<()> {
        self.with_state(|state| {
            state.rules.keep();
            (state.rules.tables, state.rules.values) = (None, None);
        })
    }

    /// Returns the tables schema, if there is one.
    pub fn tables_schema(&self) -> Option<TablesSchema> {
        self.schemas().0.as_deref().cloned()
    }

    /// Returns the values schema, if there is one.
    pub fn values_schema(&self) -> Option<ValuesSchema> {
        self.schemas().1.as_deref().cloned()
    }

    /// Whether there is a tables schema.
    pub fn has_tables_schema(&self) -> bool {
        self.schemas().0.is_some()
    }

    /// Whether there is a values schema.
    pub fn has_values_schema(&self) -> bool {
        self.schemas().1.is_some()
    }

    /// Returns the tables schema as [`TablesSchema::to_json`] writes it; `{}` if there is none.
    pub fn tables_schema_json(&self) -> String {
        self.tables_schema().unwrap_or_default().to_json()
    }

    /// Returns the values schema as [`ValuesSchema::to_json`] writes it; `{}` if there is none.
    pub fn values_schema_json(&self) -> String {
        self.values_schema().unwrap_or_default().to_json()
    }

    /// Returns both schemas, as a JSON array of two objects.
    pub fn schema_json(&self) -> String {
        let (tables, values) = self.schemas();
        let tables = tables.as_deref().map_or_else(|| "{}".into(), TablesSchema::to_json);
        let values = values.as_deref().map_or_else(|| "{}".into(), ValuesSchema::to_json);
        format!("[{tables},{values}]")
    }

    /// Both schemas, as this thread may see them.
    fn schemas(&self) -> (Option<Arc<TablesSchema>>, Option<Arc<ValuesSchema>>) {
        let state = self.shared.state();
        let rules = match &state.rules.before {
            Some(before) if state.is_written_elsewhere() => before,
            _ => &state.rules,
        };
        (rules.tables.clone(), rules.values.clone())
    }

    fn with_state(&self, write: impl FnOnce(&mut State)) -> Result<()> {
        self.transaction(|store| {
            write(&mut store.shared.state_mut());
            Ok(())
        })
    }
}

fn empty() -> Error {
    Error::new(ErrorKind::Invalid, "a schema needs at least one table with a cell, or one value")
}
