//! What there is to tell of a transaction, or of several that are told together.

use std::mem;

use crate::content::{Changes, Id, Map};

use super::{
    Store,
    invalid::Invalid,
    net::{IdChange, Net, NetTable, TransactionLog, cell_ids},
    shared::State,
};

/// What there is to tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) net: Net,
    pub(super) invalid: Invalid,
    pub(super) touched: Touched,
    /// How many tables and values there are after it.
    pub(super) counts: (usize, usize),
}

/// Whether anything was written, even if it came to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) cells: bool,
    pub(super) values: bool,
}

impl Touched {
    /// What surely was written to.
    pub(super) fn by(net: &Net) -> Self {
        Self { cells: net.has_cells(), values: !net.values.is_empty() }
    }

    pub(super) fn extend(&mut self, later: Self) {
        self.cells |= later.cells;
        self.values |= later.values;
    }
}

impl Told {
    /// What the open transaction has come to so far.
    pub(super) fn of_open(state: &State) -> Self {
        let (mut net, mut touched) = (state.log.net(&state.data), state.log.touched());
        if let Some(earlier) = &state.earlier {
            touched.extend(Touched::by(&earlier.net));
            let later = mem::replace(&mut net, earlier.net.clone());
            net.extend(later);
        }
        let counts = (state.data.tables.len(), state.data.values.len());
        Self { net, invalid: state.invalid.clone(), touched, counts }
    }

    /// What the transaction has come to that is over, and had no stages. Takes it out of the state.
    pub(super) fn of_whole(state: &mut State) -> Self {
        // Before the log is emptied.
        let touched = state.log.touched();
        let net = state.log.take_net(&state.data);
        let counts = (state.data.tables.len(), state.data.values.len());
        Self { net, invalid: mem::take(&mut state.invalid), touched, counts }
    }

    /// Whether there is nothing to tell but that a transaction did finish.
    pub(super) fn is_empty(&self) -> bool {
        self.net.is_empty() && self.invalid.is_empty()
    }

    /// Adds what came later.
    pub(super) fn extend(&mut self, later: Self) {
        self.net.extend(later.net);
        self.invalid.extend(later.invalid);
        self.touched.extend(later.touched);
        self.counts = later.counts;
    }

    /// Whether there are tables now, if that is new.
    pub(super) fn has_tables(&self) -> Option<bool> {
        changed_presence(self.counts.0, &self.net.table_ids())
    }

    /// Whether there are values now, if that is new.
    pub(super) fn has_values(&self) -> Option<bool> {
        changed_presence(self.counts.1, &self.value_ids())
    }

    pub(super) fn value_ids(&self) -> Map<IdChange> {
        cell_ids(&self.net.values)
    }

    pub(super) fn log(&self) -> TransactionLog {
        let mut log = self.net.log();
        log.cells_touched = self.touched.cells;
        log.values_touched = self.touched.values;
        log.invalid_cells = self.invalid.cells();
        log.invalid_values = self.invalid.values();
        log
    }
}

/// How many more there are of what came or went.
pub(super) fn balance(ids: &Map<IdChange>) -> isize {
    ids.values().map(|change| if *change == IdChange::Added { 1 } else { -1 }).sum()
}

fn changed_presence(now: usize, ids: &Map<IdChange>) -> Option<bool> {
    let before = now as isize - balance(ids);
    ((before > 0) != (now > 0)).then_some(now > 0)
}

impl Store {
    /// The net changes so far of the transaction that this thread has open, as
    /// [`TransactionEvent::changes`](crate::TransactionEvent::changes) tells them; none outside of one.
    pub fn transaction_changes(&self) -> Changes {
        self.open().net.changes()
    }

    /// What the transaction that this thread has open has changed so far, at every level, as
    /// [`TransactionEvent::log`](crate::TransactionEvent::log) tells it; nothing outside of one.
    pub fn transaction_log(&self) -> TransactionLog {
        self.open().log()
    }

    /// What the open transaction has come to so far.
    pub(super) fn open(&self) -> Told {
        let state = self.shared.state();
        if state.is_written_elsewhere() { Told::default() } else { Told::of_open(&state) }
    }
}

impl Store {
    /// Which cells came to the first row of a table that has them, or went from the last.
    ///
    /// For each cell that came or went it looks for one row that has kept it: usually one of the first.
    pub(super) fn table_cell_ids_changed(&self, table_id: &str, table: &NetTable) -> Map<IdChange> {
        let mut balances: Map<isize> = Map::new();
        for row in table.rows.values() {
            for (cell_id, change) in cell_ids(&row.cells) {
                *balances.get_or_default(&cell_id) += if change == IdChange::Added { 1 } else { -1 };
            }
        }
        let change = |(cell_id, balance): (Id, isize)| {
            // One more row than those to which it came has had it all the time.
            let enough = balance.max(0) as usize + 1;
            let now = self.rows_with_cell(table_id, &cell_id, enough);
            match (now as isize > balance, now > 0) {
                (false, true) => Some((cell_id, IdChange::Added)),
                (true, false) => Some((cell_id, IdChange::Removed)),
                _ => None,
            }
        };
        balances.into_iter().filter_map(change).collect()
    }
}
