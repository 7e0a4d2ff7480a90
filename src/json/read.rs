//! Reading contents, changes and cells from JSON.

use std::{borrow::Cow, mem, sync::Arc};

use super::{
    Decoded,
    lexer::Lexer,
    number::parse_number,
    raw::{Marks, normalise},
    string::{JsonString, rank},
};
use crate::{
    content::{
        Builder, Cell, Changes, Content, DELETED, Id, JSON_MARK, Json, Map, Number, Row, RowChanges, Shape, Shapes,
        Table, TableChanges, Text,
    },
    error::Result,
};

/// Reads the parts of a content or of changes, and counts what has to be left out.
///
/// Each method that returns an `Option` reads one entry's value; `None` leaves the entry out.
pub(super) struct Reader<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) unrepresentable: usize,
    marks: Marks,
    /// The shapes of the rows so far: the next row most likely has the same ids, which then need not be created again.
    shapes: Shapes,
    /// The cells of the row that is being read.
    cells: Vec<Cell>,
}

/// A leaf, as read.
pub(super) enum Leaf {
    Cell(Cell),
    Mark,
    Unrepresentable,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, marks: Marks) -> Self {
        Self { lexer: Lexer::new(text), unrepresentable: 0, marks, shapes: Shapes::default(), cells: Vec::new() }
    }

    /// Fails if anything is left to read, and returns `value` with the count of what was left out.
    pub(super) fn finish<T>(mut self, value: T) -> Result<Decoded<T>> {
        self.lexer.end()?;
        Ok(Decoded { value, unrepresentable: self.unrepresentable })
    }

    /// Reads `[tables, values` of a content.
    pub(super) fn content(&mut self) -> Result<Content> {
        self.lexer.expect(b'[')?;
        let tables = self.map(Self::table)?;
        self.lexer.expect(b',')?;
        let values = self.map(Self::cell)?.into_iter().collect();
        Ok(Content { tables, values })
    }

    /// Reads `[tables, values` of changes.
    pub(super) fn changes(&mut self) -> Result<Changes> {
        self.lexer.expect(b'[')?;
        let tables = self.map(Self::table_changes)?;
        self.lexer.expect(b',')?;
        let values = self.cell_changes()?;
        Ok(Changes { tables, values })
    }

    #[inline]
    pub(super) fn leaf(&mut self) -> Result<Leaf> {
        self.leaf_as(Leaf::Cell, || Leaf::Mark, |_| Leaf::Unrepresentable)
    }

    /// Reads a leaf, and converts it at once: moving a cell from one wrapper to the next takes longer than reading it.
    #[inline]
    fn leaf_as<T>(
        &mut self,
        cell: impl Fn(Cell) -> T,
        mark: impl FnOnce() -> T,
        unrepresentable: impl FnOnce(&mut Self) -> T,
    ) -> Result<T> {
        let read = match self.lexer.peek() {
            Some(b'"') => {
                let string = self.lexer.string()?;
                if string.is(DELETED) {
                    return Ok(mark());
                }
                string_cell(string).map(&cell)
            }
            Some(b'{' | b'[') => {
                let value = self.lexer.value()?;
                normalise(&value, self.marks)?.map(|text| cell(Cell::Json(Json::trusted(text))))
            }
            Some(b't') => self.lexer.literal("true").map(|()| Some(cell(Cell::Bool(true))))?,
            Some(b'f') => self.lexer.literal("false").map(|()| Some(cell(Cell::Bool(false))))?,
            Some(b'n') => self.lexer.literal("null").map(|()| Some(cell(Cell::Null)))?,
            _ => match number(&mut self.lexer)? {
                Some(number) => return Ok(cell(Cell::Number(number))),
                None => None,
            },
        };
        Ok(read.unwrap_or_else(|| unrepresentable(self)))
    }

    #[inline]
    fn cell(&mut self) -> Result<Option<Cell>> {
        self.leaf_as(Some, || None, |_| None).inspect(|cell| self.unrepresentable += usize::from(cell.is_none()))
    }

    fn row(&mut self) -> Result<Option<Row>> {
        let (lexer, unrepresentable) = (self.lexer, self.unrepresentable);
        if let Some(shape) = self.shapes.last().cloned()
            && let Some(row) = self.row_of(shape)?
        {
            return Ok(Some(row));
        }
        self.lexer = lexer;
        self.unrepresentable = unrepresentable;
        let mut row: Row = self.map(Self::cell)?.into_iter().collect();
        row.share(&mut self.shapes);
        Ok(Some(row))
    }

    /// Reads a row, if it is written as exactly the cells of `shape` in their order. Otherwise returns `None`, and the
    /// position is unspecified.
    fn row_of(&mut self, shape: Arc<Shape>) -> Result<Option<Row>> {
        self.lexer.expect(b'{')?;
        let mut cells = mem::take(&mut self.cells);
        cells.clear();
        let mut first = true;
        while self.lexer.next(b'}', first)? {
            first = false;
            let key = self.lexer.key()?;
            let expected = shape.ids().get(cells.len());
            if !expected.is_some_and(|id| key.is_plainly(id.as_bytes())) {
                return Ok(None);
            }
            let Some(cell) = self.cell()? else { return Ok(None) };
            cells.push(cell);
        }
        let complete = cells.len() == shape.ids().len();
        let row = complete.then(|| Row::of_shape(shape, cells.drain(..).collect()));
        self.cells = cells;
        Ok(row)
    }

    fn table(&mut self) -> Result<Option<Table>> {
        self.map(Self::row).map(Some)
    }

    #[inline]
    fn cell_change(&mut self) -> Result<Option<Option<Cell>>> {
        self.leaf_as(
            |cell| Some(Some(cell)),
            || Some(None),
            |reader| {
                reader.unrepresentable += 1;
                None
            },
        )
    }

    fn row_changes(&mut self) -> Result<Option<Option<RowChanges>>> {
        if self.mark()? { Ok(Some(None)) } else { self.cell_changes().map(|cells| Some(Some(cells))) }
    }

    fn table_changes(&mut self) -> Result<Option<Option<TableChanges>>> {
        if self.mark()? {
            return Ok(Some(None));
        }
        let rows = self.entries(|reader, rows| {
            let key = reader.lexer.key()?;
            if let Some(row_id) = key.unescaped()
                && let Some((cell_id, cell)) = reader.one_cell()
            {
                rows.add_new(row_id, || Some(RowChanges::of_one(Id::from(cell_id), Some(cell.into()))));
            } else if let Some((row_id, cells)) = reader.entry_of(key, Self::row_changes)? {
                rows.add(&row_id, cells);
            }
            Ok(())
        })?;
        Ok(Some(Some(rows)))
    }

    /// Reads a mark in place of an object, if there is one.
    fn mark(&mut self) -> Result<bool> {
        if self.lexer.peek() != Some(b'"') {
            return Ok(false);
        }
        if self.lexer.string()?.is(DELETED) { Ok(true) } else { Err(self.lexer.unexpected("an object or U+FFFC")) }
    }

    /// Reads the changes of a row's cells, or of the values.
    fn cell_changes(&mut self) -> Result<RowChanges> {
        self.map(Self::cell_change).map(RowChanges::from)
    }

    /// Reads the most frequent form of a row of changes: one cell without escape sequences. For anything else, returns
    /// `None` and reads nothing.
    #[inline]
    fn one_cell(&mut self) -> Option<(&'a str, Bare<'a>)> {
        let mut lexer = self.lexer;
        if !lexer.take(b'{') {
            return None;
        }
        let id = lexer.key().ok()?.unescaped()?;
        let cell = match lexer.peek()? {
            b'"' => Bare::Text(lexer.string().ok()?.unescaped().filter(|text| !Text::is_reserved(text))?),
            b'-' | b'0'..=b'9' => Bare::Number(number(&mut lexer).ok()??),
            b't' if lexer.literal("true").is_ok() => Bare::Bool(true),
            b'f' if lexer.literal("false").is_ok() => Bare::Bool(false),
            b'n' if lexer.literal("null").is_ok() => Bare::Null,
            _ => return None,
        };
        if !lexer.take(b'}') {
            return None;
        }
        self.lexer = lexer;
        Some((id, cell))
    }

    /// Reads an object.
    fn map<V: Clone>(&mut self, value: impl Fn(&mut Self) -> Result<Option<V>>) -> Result<Map<V>> {
        self.entries(|reader, entries| {
            if let Some((key, value)) = reader.entry(&value)? {
                entries.add(&key, value);
            }
            Ok(())
        })
    }

    /// Reads an object; `read` reads one entry of it.
    #[inline]
    fn entries<V: Clone>(&mut self, read: impl Fn(&mut Self, &mut Entries<V>) -> Result<()>) -> Result<Map<V>> {
        self.lexer.expect(b'{')?;
        let mut entries = Entries::new();
        let mut first = true;
        while self.lexer.next(b'}', first)? {
            first = false;
            read(self, &mut entries)?;
        }
        Ok(entries.finish())
    }

    /// Reads an entry of an object; none if its key cannot be represented. Everything that is left out of its value
    /// then counts once.
    #[inline]
    fn entry<V>(
        &mut self,
        value: impl Fn(&mut Self) -> Result<Option<V>>,
    ) -> Result<Option<(Cow<'a, str>, Option<V>)>> {
        let key = self.lexer.key()?;
        self.entry_of(key, value)
    }

    #[inline]
    fn entry_of<V>(
        &mut self,
        key: JsonString<'a>,
        value: impl Fn(&mut Self) -> Result<Option<V>>,
    ) -> Result<Option<(Cow<'a, str>, Option<V>)>> {
        let count = self.unrepresentable;
        let value = value(self)?;
        let key = key.decode();
        if key.is_none() {
            self.unrepresentable = count + 1;
        }
        Ok(key.map(|key| (key, value)))
    }
}

/// The entries of an object, in the order in which `JSON.parse` leaves them. Of several entries with the same id, the
/// last one takes the position of the first.
struct Entries<V> {
    map: Builder<V>,
    /// Set once an entry is left out: its position counts if another entry with its id follows.
    gaps: Option<Map<Option<V>>>,
    sorted: bool,
    last_rank: u32,
}

impl<V: Clone> Entries<V> {
    fn new() -> Self {
        Self { map: Builder::new(), gaps: None, sorted: true, last_rank: 0 }
    }

    #[inline]
    fn add(&mut self, key: &str, value: Option<V>) {
        self.rank(key);
        match (value, &mut self.gaps) {
            (Some(value), None) => self.map.push(Id::from(key), value),
            (value, gaps) => {
                let gaps = gaps.get_or_insert_with(|| {
                    let map = mem::replace(&mut self.map, Builder::new()).finish();
                    map.into_iter().map(|(id, value)| (id, Some(value))).collect()
                });
                gaps.insert(key, value);
            }
        }
    }

    /// Adds an entry to an object of which no entry is left out, and creates the value directly in its slot.
    #[inline]
    fn add_new(&mut self, key: &str, value: impl FnOnce() -> V) {
        debug_assert!(self.gaps.is_none(), "no row of changes is left out");
        self.rank(key);
        self.map.push(Id::from(key), value());
    }

    #[inline]
    fn rank(&mut self, key: &str) {
        let rank = rank(key.as_bytes());
        self.sorted &= self.last_rank <= rank;
        self.last_rank = rank;
    }

    fn finish(self) -> Map<V> {
        let map = match self.gaps {
            Some(gaps) => gaps.into_iter().filter_map(|(id, value)| Some((id, value?))).collect(),
            None => self.map.finish(),
        };
        if self.sorted {
            return map;
        }
        let mut entries: Vec<_> = map.into_iter().collect();
        entries.sort_by_cached_key(|(id, _)| rank(id.as_bytes()));
        entries.into_iter().collect()
    }
}

/// A cell in its simplest form, which needs no decoding.
enum Bare<'a> {
    /// A text that is not reserved.
    Text(&'a str),
    Number(Number),
    Bool(bool),
    Null,
}

impl From<Bare<'_>> for Cell {
    #[inline]
    fn from(bare: Bare<'_>) -> Self {
        match bare {
            Bare::Text(text) => Self::String(Text::trusted(text)),
            Bare::Number(number) => Self::Number(number),
            Bare::Bool(bool) => Self::Bool(bool),
            Bare::Null => Self::Null,
        }
    }
}

/// Reads a number; none if it is beyond `f64`.
#[inline]
fn number(lexer: &mut Lexer<'_>) -> Result<Option<Number>> {
    match lexer.whole_number() {
        Some(number) => Ok(Number::new(number as f64)),
        None => Ok(parse_number(lexer.number()?)),
    }
}

fn string_cell(string: JsonString<'_>) -> Option<Cell> {
    let text = string.decode()?;
    match text.strip_prefix(JSON_MARK) {
        Some(json) => Json::new(json).map(Cell::Json),
        None => Text::new(text).map(Cell::String),
    }
}
