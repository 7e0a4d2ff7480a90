//! A table whose rows are structs.

use std::{fmt, marker::PhantomData};

use super::{CellId, TypedRow, TypedRowEvent, at, read, within};
use crate::{
    content::{Changes, Id, diff_row},
    error::{Error, Result},
    store::{Pattern, Store},
    subscription::Subscription,
};

/// One table of a store, whose rows are read and written as `R`: see [`Store::table_of`].
///
/// ```
/// use roommate::{ANY, Cell, Id, Row, Store};
///
/// #[derive(Row)]
/// #[row(rename_all = "camelCase")]
/// struct Pet {
///     name: String,
///     species: Species,
///     #[row(default = 4)]
///     legs: u8,
///     sold_to: Option<Id>,
/// }
///
/// #[derive(Cell, Debug)]
/// #[cell(rename_all = "lowercase")]
/// enum Species {
///     Dog,
///     Cat,
/// }
///
/// let store = Store::new();
/// let pets = store.table_of::<Pet>("pets");
/// let _listener = pets.add_row_listener(ANY, |event| match event.new_row() {
///     Ok(Some(pet)) => println!("{} is a {:?} on {} legs", pet.name, pet.species, pet.legs),
///     Ok(None) => println!("{} is gone", event.row_id),
///     Err(error) => eprintln!("{error}"),
/// });
///
/// pets.set("fido", &Pet { name: "Fido".into(), species: Species::Dog, legs: 4, sold_to: None })?;
/// pets.update("fido", |pet| pet.legs = 3)?; // writes this one cell
/// pets.set_cell("fido", Pet::SOLD_TO, Some("ann".into()))?;
/// assert_eq!(store.cell("pets", "fido", "soldTo"), Some("ann".try_into()?));
///
/// store.set_cell("pets", "felix", "legs", "four")?; // what a web page may do
/// let error = pets.cell("felix", Pet::LEGS).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#"row "felix" of table "pets": cell "legs": expected a whole number from 0 to 255, found the text "four""#
/// );
/// # Ok::<(), roommate::Error>(())
/// ```
///
/// The typed table is a view of the store's table, not a copy. All readers and listeners of the store see its writes,
/// and it reads data from every other source: another client, a web page, or code without types. Reading a row or cell
/// that does not fit `R` returns an error of kind [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) that names the
/// table, the row and the cell, and has no other effect.
///
/// Each call is one transaction, or a part of the open one, as with [`Store`]. A call that fails writes nothing. A
/// schema restricts these writes as it restricts those of [`Store`];
/// [`TablesSchema::with_table_of`](crate::TablesSchema::with_table_of) makes a schema that refuses no row of `R`.
///
/// A typed table owns a clone of its store. Clones are cheap.
pub struct TypedTable<R> {
    store: Store,
    table_id: Id,
    row: PhantomData<fn() -> R>,
}

/// Typed tables.
impl Store {
    /// Returns a view of the table with rows of type `R`. Nothing is read or checked yet, and the table need not exist.
    ///
    /// Two types may be two views of one table, each with some of its cells.
    pub fn table_of<R: TypedRow>(&self, table_id: impl Into<Id>) -> TypedTable<R> {
        TypedTable { store: self.clone(), table_id: table_id.into(), row: PhantomData }
    }
}

/// Reading. The results are copies. To read several rows as of the same moment, read them in one transaction.
impl<R: TypedRow> TypedTable<R> {
    /// Returns one row; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a cell of `R` does not fit, or if a cell is missing
    /// whose field is not an `Option` and has no default. The message names the table, the row and the cell.
    pub fn get(&self, row_id: &str) -> Result<Option<R>> {
        read(&self.table_id, row_id, &self.store.row(&self.table_id, row_id))
    }

    /// Returns one field of a row; `None` if the row does not exist. Other cells are not read, and need not fit.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the cell does not fit, or if it is missing and its
    /// field is not an `Option` and has no default. The message names the table, the row and the cell.
    pub fn cell<T>(&self, row_id: &str, cell_id: CellId<R, T>) -> Result<Option<T>> {
        let value = match self.store.cell(&self.table_id, row_id, cell_id.as_str()) {
            Some(cell) => cell_id.value(Some(&cell)),
            None => {
                let row = self.store.row(&self.table_id, row_id);
                if row.is_empty() {
                    return Ok(None);
                }
                cell_id.read(&row)
            }
        };
        value.map(Some).map_err(|error| self.at(row_id, error))
    }

    /// Iterates over the present rows, each with its id, in the order of insertion.
    ///
    /// # Errors
    ///
    /// A row that does not fit is an item with the error of [`TypedTable::get`]. The iteration continues after it.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Id, R)>> + use<R> {
        let (rows, table_id) = (self.store.table(&self.table_id), self.table_id.clone());
        rows.into_iter().map(move |(row_id, row)| match R::from_row(&row) {
            Ok(row) => Ok((row_id, row)),
            Err(error) => Err(at(&table_id, &row_id, error)),
        })
    }

    /// Returns the ids of the rows, including those that do not fit `R`.
    pub fn ids(&self) -> Vec<Id> {
        self.store.row_ids(&self.table_id)
    }

    /// Whether the row exists, even if it does not fit `R`.
    pub fn contains(&self, row_id: &str) -> bool {
        self.store.has_row(&self.table_id, row_id)
    }

    /// Returns the number of rows, including those that do not fit `R`.
    pub fn len(&self) -> usize {
        self.store.row_count(&self.table_id)
    }

    /// Whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the id of the table.
    pub fn id(&self) -> &Id {
        &self.table_id
    }

    /// Returns the store that holds the table.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// Writing. An error that concerns a field names the row and the cell. Other errors are those of the [`Store`] method
/// that is called.
impl<R: TypedRow> TypedTable<R> {
    /// Sets one row to the cells of `row` and no others, as with [`Store::set_row`]. Cells that are not fields of `R`
    /// are deleted; [`TypedTable::update`] preserves them.
    ///
    /// A row whose fields are all `None` has no cells, and is deleted.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and writes nothing, if no cell can represent a field.
    ///
    /// Returns [`ErrorKind::Callback`](crate::ErrorKind::Callback), and writes nothing, under the conditions of
    /// [`Store::transaction`].
    pub fn set(&self, row_id: impl Into<Id>, row: &R) -> Result<()> {
        let row_id = row_id.into();
        let cells = row.to_row().map_err(|error| self.at(&row_id, error))?;
        if cells.is_empty() {
            return self.del(&row_id);
        }
        self.store.set_row(&self.table_id, row_id, cells)
    }

    /// Sets the cells that `row` has and leaves all others as they are, as with [`Store::set_partial_row`]. A field
    /// that is `None` does not delete its cell.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and writes nothing, if no cell can represent a field.
    ///
    /// Returns [`ErrorKind::Callback`](crate::ErrorKind::Callback), and writes nothing, under the conditions of
    /// [`Store::transaction`].
    pub fn set_partial(&self, row_id: impl Into<Id>, row: &R) -> Result<()> {
        let row_id = row_id.into();
        let cells = row.to_row().map_err(|error| self.at(&row_id, error))?;
        self.store.set_partial_row(&self.table_id, row_id, cells)
    }

    /// Changes one row, in one transaction, and returns the changed row; `None` if the row does not exist.
    ///
    /// Only cells whose fields `update` changes are written. Other clients can therefore write the other cells at the
    /// same time, and cells that are not fields of `R` stay.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and writes nothing, if the present row does not fit
    /// `R`, as with [`TypedTable::get`], or if no cell can represent a field.
    ///
    /// Returns [`ErrorKind::Callback`](crate::ErrorKind::Callback), and writes nothing, under the conditions of
    /// [`Store::transaction`].
    ///
    /// ```
    /// use roommate::{Row, Store};
    ///
    /// #[derive(Row)]
    /// struct Pet {
    ///     name: String,
    ///     visits: u32,
    /// }
    ///
    /// let store = Store::new();
    /// let pets = store.table_of::<Pet>("pets");
    /// pets.set("fido", &Pet { name: "Fido".into(), visits: 0 })?;
    /// pets.update("fido", |pet| pet.visits += 1)?;
    /// assert_eq!(pets.cell("fido", Pet::VISITS)?, Some(1));
    /// # Ok::<(), roommate::Error>(())
    /// ```
    pub fn update(&self, row_id: &str, update: impl FnOnce(&mut R)) -> Result<Option<R>> {
        // The inner result is only returned from this call: a row that does not fit rolls back no open transaction.
        self.store.transaction(|_| Ok::<_, Error>(self.update_open(row_id, update)))?
    }

    /// Sets one field of a row, and leaves the others as they are. A field without a cell (`None`) deletes its cell.
    ///
    /// If the row does not exist yet, this creates a row of a single cell.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and writes nothing, if no cell can represent `value`.
    ///
    /// Returns [`ErrorKind::Callback`](crate::ErrorKind::Callback), and writes nothing, under the conditions of
    /// [`Store::transaction`].
    pub fn set_cell<T>(&self, row_id: impl Into<Id>, cell_id: CellId<R, T>, value: T) -> Result<()> {
        let row_id = row_id.into();
        match cell_id.cell(&value).map_err(|error| self.at(&row_id, error))? {
            Some(cell) => self.store.set_cell(&self.table_id, row_id, cell_id, cell),
            None => self.store.del_cell(&self.table_id, &row_id, cell_id.as_str()),
        }
    }

    /// Adds a row under an id that is a number, and returns the id; see [`Store::add_row`] for when not to.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and writes nothing, if no cell can represent a field,
    /// if all fields are `None`, or if a schema refuses the row.
    ///
    /// Returns [`ErrorKind::Callback`](crate::ErrorKind::Callback), and writes nothing, under the conditions of
    /// [`Store::transaction`].
    pub fn add(&self, row: &R) -> Result<Id> {
        let cells =
            row.to_row().map_err(|error| within(format_args!("a new row of table {:?}", self.table_id), error))?;
        self.store.add_row(&self.table_id, cells)
    }

    /// Deletes one row, with all of its cells.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`](crate::ErrorKind::Callback), and writes nothing, under the conditions of
    /// [`Store::transaction`].
    pub fn del(&self, row_id: &str) -> Result<()> {
        self.store.del_row(&self.table_id, row_id)
    }

    fn update_open(&self, row_id: &str, update: impl FnOnce(&mut R)) -> Result<Option<R>> {
        let Some(mut row) = self.get(row_id)? else { return Ok(None) };
        let cells = |row: &R| row.to_row().map_err(|error| self.at(row_id, error));
        let before = cells(&row)?;
        update(&mut row);
        let changed = diff_row(Some(&before), &cells(&row)?);
        if !changed.is_empty() {
            let mut changes = Changes::new();
            let rows = [(Id::from(row_id), Some(changed))];
            changes.tables.insert(&self.table_id, Some(rows.into_iter().collect()));
            self.store.apply_changes(&changes)?;
        }
        Ok(Some(row))
    }
}

/// Listening.
impl<R: TypedRow + 'static> TypedTable<R> {
    /// Calls `listener` for each row that is added or removed, or in which a cell of `R` changes, until the
    /// [`Subscription`] is dropped. The id may be [`ANY`](crate::ANY). The order is that of [row
    /// listeners](Store#listeners).
    ///
    /// ```
    /// use roommate::{ANY, Row, Store};
    ///
    /// #[derive(Row)]
    /// struct Pet {
    ///     name: String,
    /// }
    ///
    /// let pets = Store::new().table_of::<Pet>("pets");
    /// let listener = pets.add_row_listener(ANY, |event| match (event.old_row(), event.new_row()) {
    ///     (Ok(None), Ok(Some(new))) => println!("{} has come", new.name),
    ///     (Ok(Some(old)), Ok(None)) => println!("{} has gone", old.name),
    ///     (Ok(Some(old)), Ok(Some(new))) => println!("{} is {} now", old.name, new.name),
    ///     (_, Err(error)) => println!("somebody wrote what does not fit: {error}"),
    ///     _ => {}
    /// });
    /// pets.set("fido", &Pet { name: "Fido".into() })?;
    /// # Ok::<(), roommate::Error>(())
    /// ```
    pub fn add_row_listener(
        &self,
        row_id: impl Into<Pattern>,
        listener: impl Fn(&TypedRowEvent<'_, R>) + Send + Sync + 'static,
    ) -> Subscription {
        self.store.add_row_listener(&self.table_id, row_id, move |event| {
            if let Some(event) = TypedRowEvent::of(event) {
                listener(&event);
            }
        })
    }
}

impl<R> TypedTable<R> {
    fn at(&self, row_id: &str, error: Error) -> Error {
        at(&self.table_id, row_id, error)
    }
}

impl<R> Clone for TypedTable<R> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), table_id: self.table_id.clone(), row: PhantomData }
    }
}

impl<R> fmt::Debug for TypedTable<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedTable").field("store", &self.store).field("table_id", &self.table_id).finish()
    }
}
