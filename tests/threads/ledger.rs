//! Who wrote what: every value that is ever written is another one, and says who wrote it where.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use roommate::{Cell, Changes, Content, Row};

use super::lock;

pub(crate) const WRITERS: usize = 4;

/// The author that stands for everybody else in the place.
pub(crate) const OTHERS: usize = WRITERS;

/// Makes changes whose values nobody made before.
#[derive(Debug, Default)]
pub(crate) struct Mint([AtomicU64; WRITERS + 1]);

/// What the writers wrote, in the order of their transactions, until the place has it.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<String, VecDeque<Option<String>>>>);

/// Random enough, and the same from the same seed.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Mint {
    /// Sets or deletes one thing; or sets two cells of a row that always have the same value.
    pub(crate) fn part(&self, author: usize, dice: &mut Dice) -> Changes {
        let (table, row, cell) =
            (format!("t{}", dice.below(2)), format!("r{}", dice.below(2)), format!("c{}", dice.below(2)));
        let mut changes = Changes::new();
        match dice.below(16) {
            0..8 => changes.set_cell(&*table, &*row, &*cell, self.cell(author, &format!("{table}/{row}/{cell}"))),
            8 => changes.del_cell(table, row, cell),
            9 => changes.del_row(table, row),
            10 => changes.del_table(table),
            11 | 12 => changes.set_value(&*cell, self.cell(author, &cell)),
            13 => changes.del_value(cell),
            _ => {
                let both = self.cell(author, "pair");
                changes.set_cell("pair", "both", "left", both.clone());
                changes.set_cell("pair", "both", "right", both);
            }
        }
        changes
    }

    /// Whether a content shows nothing that nobody wrote, and no half of what was written together.
    pub(crate) fn check(&self, content: &Content) -> Result<(), String> {
        for (path, cell) in leaves(content) {
            let name = if path.starts_with("pair/") { "pair" } else { &path };
            let text = cell.as_str().unwrap_or_default();
            let known = text.strip_suffix(&format!(" {name}")).and_then(|id| {
                let (author, number) = id.split_once('.')?;
                let minted = self.0.get(author.parse::<usize>().ok()?)?.load(Ordering::SeqCst);
                (1..=minted).contains(&number.parse().ok()?).then_some(())
            });
            known.ok_or_else(|| format!("nobody wrote {cell:?} to {path}"))?;
        }
        match content.row("pair", "both") {
            Some(row) if row.len() != 2 || row.get("left") != row.get("right") => {
                Err(format!("half of what was written together: {row:?}"))
            }
            _ => Ok(()),
        }
    }

    fn cell(&self, author: usize, path: &str) -> Cell {
        let number = self.0[author].fetch_add(1, Ordering::SeqCst) + 1;
        Cell::try_from(format!("{author}.{number} {path}")).unwrap()
    }
}

impl Ledger {
    /// Notes a part of a writer's transaction, from inside of it.
    pub(crate) fn written(&self, changes: &Changes) {
        let mut open = lock(&self.0);
        for (path, cell) in assignments(changes) {
            match cell {
                Some(_) => open.entry(path).or_default().push_back(cell),
                // What is deleted that was never written concerns nobody.
                None => open.iter_mut().filter(|(at, _)| at.starts_with(&path)).for_each(|(_, cells)| {
                    cells.push_back(None);
                }),
            }
        }
    }

    /// Settles what has reached the place: once, and in the order in which it was written.
    pub(crate) fn received(&self, changes: &Changes) -> Result<(), String> {
        let mut open = lock(&self.0);
        for (path, cell) in assignments(changes).into_iter().filter(|(_, cell)| cell.is_some()) {
            let cells = open.entry(path.clone()).or_default();
            let Some(index) = cells.iter().position(|written| *written == cell) else {
                return Err(format!("{path} = {cell:?} reaches the place unwritten, twice or too late"));
            };
            cells.drain(..=index);
        }
        Ok(())
    }

    /// Settles everything: whatever did not reach the place was overwritten by what did, or deleted.
    pub(crate) fn close(&self) -> Result<(), String> {
        for (path, cells) in std::mem::take(&mut *lock(&self.0)) {
            if let Some(Some(lost)) = cells.back() {
                return Err(format!("{path} = {lost} never reached the place"));
            }
        }
        Ok(())
    }
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Where and what; `None` for a deletion of everything that begins with the path.
fn assignments(changes: &Changes) -> Vec<(String, Option<String>)> {
    let text = |cell: &Option<Cell>| cell.as_ref().and_then(Cell::as_str).map(str::to_owned);
    let mut all = Vec::new();
    for (table_id, rows) in &changes.tables {
        let Some(rows) = rows else {
            all.push((format!("{table_id}/"), None));
            continue;
        };
        for (row_id, cells) in rows {
            match cells {
                None => all.push((format!("{table_id}/{row_id}/"), None)),
                Some(cells) => {
                    all.extend(
                        cells.iter().map(|(cell_id, cell)| (format!("{table_id}/{row_id}/{cell_id}"), text(cell))),
                    );
                }
            }
        }
    }
    all.extend(changes.values.iter().map(|(value_id, value)| (value_id.to_string(), text(value))));
    all
}

fn leaves(content: &Content) -> Vec<(String, &Cell)> {
    let mut all = Vec::new();
    for (table_id, rows) in &content.tables {
        for (row_id, row) in rows {
            let row: &Row = row;
            all.extend(row.iter().map(|(cell_id, cell)| (format!("{table_id}/{row_id}/{cell_id}"), cell)));
        }
    }
    all.extend(content.values.iter().map(|(value_id, value)| (value_id.to_string(), value)));
    all
}
