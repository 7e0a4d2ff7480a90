//! What became of every edit.

use std::sync::{Mutex, MutexGuard, PoisonError};

use roommate::{Cell, Changes, Content};

use super::history::Leaf;

/// Every value that was ever written. Each is written once, so that it is known wherever it turns up.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    writes: Vec<Write>,
    /// For each client, one bit for each place that it wrote last and never sent.
    unsent: Vec<u16>,
    /// Who deleted which value from its store.
    deletions: Vec<(u8, usize)>,
    /// For each client, one bit for each place of which it was told that a deletion was refused.
    kept: Vec<u16>,
    /// The server lost everything once.
    has_forgotten: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) client: u8,
    /// The place: one bit.
    pub(super) place: u16,
    /// It was there before its client joined, so that it is no edit.
    pub(super) is_initial: bool,
    /// Its client wrote the same place again.
    pub(super) is_overwritten: bool,
    /// It reached the room while the room had a store to write it to, or would make one of it.
    pub(super) is_received: bool,
    /// How often the server stored it.
    pub(super) committed: u16,
    /// How often because its client asked for it.
    pub(super) made: u16,
    /// How often its client was told that it was refused.
    pub(super) refused: u16,
}

impl Ledger {
    pub(super) fn new(clients: u8) -> Self {
        let places = || vec![0; clients.into()];
        Self { writes: Vec::new(), unsent: places(), deletions: Vec::new(), kept: places(), has_forgotten: false }
    }

    /// A client writes a place. Returns what.
    pub(super) fn write(&mut self, client: u8, leaf: Leaf, is_initial: bool) -> Option<Cell> {
        let place = leaf.covers();
        for write in self.writes.iter_mut().filter(|write| write.client == client && write.place & place != 0) {
            write.is_overwritten = true;
        }
        if !matches!(leaf, Leaf::SetCell(..) | Leaf::SetValue(_)) {
            return None;
        }
        let writes = &self.writes;
        self.deletions.retain(|(author, number)| *author != client || writes[*number].place & place == 0);
        self.writes.push(Write {
            client,
            place,
            is_initial,
            is_overwritten: false,
            is_received: false,
            committed: 0,
            made: 0,
            refused: 0,
        });
        Some(Cell::from(self.writes.len() as u32))
    }

    /// A client deletes from what its store shows.
    pub(super) fn delete(&mut self, client: u8, leaf: Leaf, shown: &Content) {
        if matches!(leaf, Leaf::SetCell(..) | Leaf::SetValue(_)) {
            return;
        }
        let places = leaf.covers();
        let gone = cells_of(shown).filter(|(place, _)| place & places != 0);
        self.deletions.extend(gone.filter_map(|(_, cell)| Some((client, number(cell)?))));
    }

    /// Takes down that a client's transaction was or will be sent, or never will be.
    pub(super) fn sent(&mut self, client: u8, changes: &Changes, is_sent: bool) {
        let places = places_of(changes, |_| true);
        let unsent = &mut self.unsent[usize::from(client)];
        *unsent = if is_sent { *unsent & !places } else { *unsent | places };
    }

    /// The room has got changes to judge.
    pub(super) fn received<'a>(&mut self, cells: impl Iterator<Item = &'a Cell>) {
        for cell in cells {
            if let Some(write) = self.find(cell) {
                write.is_received = true;
            }
        }
    }

    /// One bit for each place that a client wrote last and never sent.
    pub(super) fn unsent(&self, client: u8) -> u16 {
        self.unsent[usize::from(client)]
    }

    /// The server stored a value because this client asked for it, which need not be the one that wrote it.
    pub(super) fn committed(&mut self, author: usize, cell: &Cell) {
        if let Some(write) = self.find(cell) {
            write.committed += 1;
            write.made += u16::from(usize::from(write.client) == author);
        }
    }

    /// The server lost everything. What is made of a value from now on is made the first time.
    pub(super) fn forgotten(&mut self) {
        self.has_forgotten = true;
        self.writes.iter_mut().for_each(|write| write.made = 0);
    }

    /// Whether what was told as refused cannot also have been made. A server that has lost everything may have refused what
    /// the next one takes.
    pub(super) fn tells_refusals(&self) -> bool {
        !self.has_forgotten
    }

    /// A client was told that this was refused.
    pub(super) fn refused(&mut self, client: u8, changes: &Changes) {
        self.kept[usize::from(client)] |= places_of(changes, |cell| cell.is_none());
        for cell in values_of(changes) {
            if let Some(write) = self.find(cell).filter(|write| write.client == client) {
                write.refused += 1;
            }
        }
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = (u32, &Write)> {
        (1..).zip(&self.writes)
    }

    /// How many values a content has that nobody wrote there.
    pub(super) fn invented(&self, content: &Content) -> u64 {
        let is_written = |place: u16, cell: &Cell| {
            number(cell).and_then(|number| self.writes.get(number)).is_some_and(|write| write.place == place)
        };
        cells_of(content).filter(|(place, cell)| !is_written(*place, cell)).count() as u64
    }

    /// How many values a client deleted that the room holds all the same, though it was not told that it may not.
    pub(super) fn undone(&self, client: u8, held: &Content) -> u64 {
        let deleted = |number: usize, place: u16| {
            // One that was stored twice came back by itself.
            self.deletions.contains(&(client, number))
                && self.kept[usize::from(client)] & place == 0
                && self.writes[number].committed == 1
        };
        let undone = cells_of(held).filter(|(place, cell)| number(cell).is_some_and(|number| deleted(number, *place)));
        undone.count() as u64
    }

    fn find(&mut self, cell: &Cell) -> Option<&mut Write> {
        self.writes.get_mut(number(cell)?)
    }
}

/// One bit for each place in which two contents differ.
pub(super) fn difference(one: &Content, other: &Content) -> u16 {
    let only = |one: &Content, other: &Content| {
        let other: Vec<_> = cells_of(other).collect();
        cells_of(one).filter(|cell| !other.contains(cell)).fold(0, |places, (place, _)| places | place)
    };
    only(one, other) | only(other, one)
}

/// The cells and values that changes set.
pub(super) fn values_of(changes: &Changes) -> impl Iterator<Item = &Cell> {
    let rows = changes.tables.values().flatten().flat_map(|rows| rows.values().flatten());
    let cells = rows.flat_map(|cells| cells.values().flatten());
    cells.chain(changes.values.values().flatten())
}

/// The cells and values of a content, each with its place.
pub(super) fn cells_of(content: &Content) -> impl Iterator<Item = (u16, &Cell)> {
    let cells = content.tables.iter().flat_map(|(table, rows)| {
        rows.iter()
            .flat_map(move |(row, cells)| cells.iter().map(move |(cell, to)| (place(table, Some(row), Some(cell)), to)))
    });
    cells.chain(content.values.iter().map(|(value, to)| (value_place(value), to)))
}

/// One bit for each place that changes write; of cells and values, those that are `meant`.
pub(super) fn places_of(changes: &Changes, meant: impl Fn(Option<&Cell>) -> bool) -> u16 {
    let mut places = 0;
    for (table, rows) in &changes.tables {
        let Some(rows) = rows else {
            places |= place(table, None, None);
            continue;
        };
        for (row, cells) in rows {
            let Some(cells) = cells else {
                places |= place(table, Some(row), None);
                continue;
            };
            for (cell, _) in cells.iter().filter(|(_, to)| meant(to.as_ref())) {
                places |= place(table, Some(row), Some(cell));
            }
        }
    }
    let values = changes.values.iter().filter(|(_, to)| meant(to.as_ref()));
    values.fold(places, |places, (value, _)| places | value_place(value))
}

fn place(table: &str, row: Option<&str>, cell: Option<&str>) -> u16 {
    match (row, cell) {
        (None, _) => Leaf::DelTable(bit(table)),
        (Some(row), None) => Leaf::DelRow(bit(table), bit(row)),
        (Some(row), Some(cell)) => Leaf::DelCell(bit(table), bit(row), bit(cell)),
    }
    .covers()
}

fn value_place(value: &str) -> u16 {
    Leaf::DelValue(bit(value)).covers()
}

fn bit(id: &str) -> u8 {
    u8::from(id != "0")
}

/// Where in the ledger a written value stands.
pub(super) fn number(cell: &Cell) -> Option<usize> {
    let number = cell.as_f64()?;
    (number >= 1.0).then(|| number as usize - 1)
}

pub(super) fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
