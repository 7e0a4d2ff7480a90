//! The schemas of a store.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

use super::{
    Store,
    schema::{TablesSchema, ValuesSchema},
    shared::State,
};

/// The schemas, and in a transaction that changes them those that were.
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

    /// Remembers the schemas as they are, unless that was done before.
    fn keep(&mut self) {
        if self.before.is_none() {
            let (tables, values) = (self.tables.clone(), self.values.clone());
            self.before = Some(Box::new(Self { tables, values, before: None }));
        }
    }

    /// Makes the schemas what they were when the transaction began.
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

/// Schemas: what this store's own writes are held to. They are not part of the content, and are never sent anywhere.
///
/// With a tables schema, other tables and cells than those that it names are refused; with a values schema, other
/// values. What is refused is no error: as in TinyBase, the setter does what can be done. A cell of the wrong type is
/// set to its default if it has one, else it stays as it is; the rest of the row is set; and those who added an
/// [invalid cell listener](Store::add_invalid_cell_listener) or an
/// [invalid value listener](Store::add_invalid_value_listener) hear of all that could not be taken.
///
/// - A row that comes into being, or is set as a whole, gets the defaults that it lacks.
/// - A row that is set as a whole, or added, and lacks a required cell is refused. Single cells, partial rows, deletions
///   and changes do not care.
/// - Deleting a cell or value that has a default sets it to the default. [`Store::force_del_cell`] and
///   [`Store::apply_changes`] delete the cell, and only it: TinyBase deletes all of its row.
///
/// **What a place holds is shown as it is.** Whatever an [`Engine`](crate::Engine) takes from its place is applied to the
/// letter, since everybody has to end with the same: a cell that the schema refuses is kept and listeners are told of it
/// as invalid; a deleted cell is gone, without its default; and no defaults are added to rows that others made. Such a
/// default would be an edit that nobody made, and undo others' deletions. To make a store that has just loaded fit its
/// schema, set the schema again: what that changes is an edit like any other, and saved.
impl Store {
    /// Sets which tables and cells there may be, and sets all tables anew under it: what it refuses is gone, rows that
    /// lack a required cell too, and the others get their defaults.
    ///
    /// Fails, and changes nothing, if the schema has no tables: to have none there is [`Store::del_tables_schema`].
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

    /// Sets which values there may be, and sets all values anew under it: what it refuses is gone, and those with a
    /// default are there from now on. Where a required one is missing, all are gone, as in TinyBase.
    ///
    /// Fails, and changes nothing, if the schema has no values: to have none there is [`Store::del_values_schema`].
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
    pub fn set_schema(&self, tables: TablesSchema, values: ValuesSchema) -> Result<()> {
        if tables.is_empty() || values.is_empty() {
            return Err(empty());
        }
        self.transaction(|store| {
            store.set_tables_schema(tables)?;
            store.set_values_schema(values)
        })
    }

    /// Lets any tables and cells be set. Those that are there stay as they are.
    pub fn del_tables_schema(&self) -> Result<()> {
        self.with_state(|state| {
            state.rules.keep();
            state.rules.tables = None;
        })
    }

    /// Lets any values be set. Those that are there stay as they are.
    pub fn del_values_schema(&self) -> Result<()> {
        self.with_state(|state| {
            state.rules.keep();
            state.rules.values = None;
        })
    }

    /// Lets anything be set.
    pub fn del_schema(&self) -> Result<()> {
        self.with_state(|state| {
            state.rules.keep();
            (state.rules.tables, state.rules.values) = (None, None);
        })
    }

    /// Which tables and cells there may be, if that is limited.
    pub fn tables_schema(&self) -> Option<TablesSchema> {
        self.schemas().0.as_deref().cloned()
    }

    /// Which values there may be, if that is limited.
    pub fn values_schema(&self) -> Option<ValuesSchema> {
        self.schemas().1.as_deref().cloned()
    }

    /// Whether it is limited which tables and cells there may be.
    pub fn has_tables_schema(&self) -> bool {
        self.schemas().0.is_some()
    }

    /// Whether it is limited which values there may be.
    pub fn has_values_schema(&self) -> bool {
        self.schemas().1.is_some()
    }

    /// Which tables and cells there may be, as [`TablesSchema::to_json`] writes it; `{}` if that is not limited.
    pub fn tables_schema_json(&self) -> String {
        self.tables_schema().unwrap_or_default().to_json()
    }

    /// Which values there may be, as [`ValuesSchema::to_json`] writes it; `{}` if that is not limited.
    pub fn values_schema_json(&self) -> String {
        self.values_schema().unwrap_or_default().to_json()
    }

    /// Both schemas, as a JSON array of two objects.
    pub fn schema_json(&self) -> String {
        let (tables, values) = self.schemas();
        let tables = tables.as_deref().map_or_else(|| "{}".into(), TablesSchema::to_json);
        let values = values.as_deref().map_or_else(|| "{}".into(), ValuesSchema::to_json);
        format!("[{tables},{values}]")
    }

    /// Both, as this thread may see them.
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
