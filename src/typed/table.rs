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
/// It is the store's table, and no copy: what it writes everybody sees and hears of, and whatever is written otherwise
/// (by another client, a web page, code without types) is read here. Where that does not fit `R`, reading it is an error
/// of kind [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) that names the table, the row and the cell, and nothing else
/// comes of it.
///
/// Each call is one transaction, or a part of the one that is open, as with [`Store`]. What fails writes nothing. Under a
/// schema, what that refuses is written here no more than by [`Store`]; one that refuses nothing of `R` is made by
/// [`TablesSchema::with_table_of`](crate::TablesSchema::with_table_of).
///
/// It holds its store; clones are cheap.
pub struct TypedTable<R> {
    store: Store,
    table_id: Id,
    row: PhantomData<fn() -> R>,
}

/// Typed tables.
impl Store {
    /// The table, as one whose rows are `R`. Nothing is read or checked yet, and there need not be such a table.
    ///
    /// Two types may be two views of one table, each of which knows some of the cells.
    pub fn table_of<R: TypedRow>(&self, table_id: impl Into<Id>) -> TypedTable<R> {
        TypedTable { store: self.clone(), table_id: table_id.into(), row: PhantomData }
    }
}

/// Reading. What is returned is a copy; to read several rows as they are at one time, read them in one transaction.
impl<R: TypedRow> TypedTable<R> {
    /// One row, if there is one. Fails where a cell does not fit, or one is missing that is no `Option` and has no
    /// default.
    pub fn get(&self, row_id: &str) -> Result<Option<R>> {
        read(&self.table_id, row_id, &self.store.row(&self.table_id, row_id))
    }

    /// One field of a row, if there is such a row: no other cell is read, nor has to fit.
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

    /// The rows as they are now, each with its id, in the order in which they were inserted. A row that does not fit is
    /// an error in its place, and ends nothing.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Id, R)>> + use<R> {
        let (rows, table_id) = (self.store.table(&self.table_id), self.table_id.clone());
        rows.into_iter().map(move |(row_id, row)| match R::from_row(&row) {
            Ok(row) => Ok((row_id, row)),
            Err(error) => Err(at(&table_id, &row_id, error)),
        })
    }

    /// The ids of the rows, those that do not fit included.
    pub fn ids(&self) -> Vec<Id> {
        self.store.row_ids(&self.table_id)
    }

    /// Whether there is such a row, fit or not.
    pub fn contains(&self, row_id: &str) -> bool {
        self.store.has_row(&self.table_id, row_id)
    }

    /// How many rows there are, those that do not fit included.
    pub fn len(&self) -> usize {
        self.store.row_count(&self.table_id)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of the table.
    pub fn id(&self) -> &Id {
        &self.table_id
    }

    /// The store that holds the table.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// Writing. Each fails where no cell can stand for a field, in the name of the row and the cell, and otherwise as the
/// method of [`Store`] does that it calls.
impl<R: TypedRow> TypedTable<R> {
    /// Sets one row: its cells are those of `row` and no others, as with [`Store::set_row`]. So cells that `R` does not
    /// know are deleted; [`TypedTable::update`] keeps them.
    ///
    /// A row all of whose fields are `None` has no cells, and so is deleted.
    pub fn set(&self, row_id: impl Into<Id>, row: &R) -> Result<()> {
        let row_id = row_id.into();
        let cells = row.to_row().map_err(|error| self.at(&row_id, error))?;
        if cells.is_empty() {
            return self.del(&row_id);
        }
        self.store.set_row(&self.table_id, row_id, cells)
    }

    /// Sets the cells that `row` has and leaves all others, as with [`Store::set_partial_row`]: also those whose field
    /// is `None`.
    pub fn set_partial(&self, row_id: impl Into<Id>, row: &R) -> Result<()> {
        let row_id = row_id.into();
        let cells = row.to_row().map_err(|error| self.at(&row_id, error))?;
        self.store.set_partial_row(&self.table_id, row_id, cells)
    }

    /// Changes one row, in one transaction, and returns what it is then; `None` if there is no such row.
    ///
    /// Only cells whose field `update` changes are written, so that others may write the others at the same time, and
    /// cells that `R` does not know stay.
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
        // The inner result is this call's alone: what does not fit rolls back nobody's transaction.
        self.store.transaction(|_| Ok::<_, Error>(self.update_open(row_id, update)))?
    }

    /// Sets one field of a row, and leaves the others; a field that is no cell (`None`) is deleted.
    ///
    /// Of a row that is not there yet, this makes one of a single cell.
    pub fn set_cell<T>(&self, row_id: impl Into<Id>, cell_id: CellId<R, T>, value: T) -> Result<()> {
        let row_id = row_id.into();
        match cell_id.cell(&value).map_err(|error| self.at(&row_id, error))? {
            Some(cell) => self.store.set_cell(&self.table_id, row_id, cell_id, cell),
            None => self.store.del_cell(&self.table_id, &row_id, cell_id.as_str()),
        }
    }

    /// Adds a row under an id that is a number, and returns it; see [`Store::add_row`] for when not to.
    pub fn add(&self, row: &R) -> Result<Id> {
        let cells =
            row.to_row().map_err(|error| within(format_args!("a new row of table {:?}", self.table_id), error))?;
        self.store.add_row(&self.table_id, cells)
    }

    /// Deletes one row, with all of its cells.
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
    /// Calls `listener` for each row that came, went, or of which a cell of `R` changed, until the [`Subscription`] is
    /// dropped. The id may be [`ANY`](crate::ANY). The order is that of [row listeners](Store#listeners).
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
