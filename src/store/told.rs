//! The report of one transaction, or of several that are reported together.

use std::mem;

use crate::content::{Changes, Id, Map};

use super::{
    Store,
    invalid::Invalid,
    net::{IdChange, Net, NetTable, TransactionLog, cell_ids},
    shared::State,
};

/// A report to listeners.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) net: Net,
    pub(super) invalid: Invalid,
    pub(super) touched: Touched,
    /// The number of tables and of values after it.
    pub(super) counts: (usize, usize),
}

/// Whether anything was written, even without a net change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) cells: bool,
    pub(super) values: bool,
}

impl Touched {
    /// The parts that certainly were written to.
    pub(super) fn by(net: &Net) -> Self {
        Self { cells: net.has_cells(), values: !net.values.is_empty() }
    }

    pub(super) fn extend(&mut self, later: Self) {
        self.cells |= later.cells;
        self.values |= later.values;
    }
}

impl Told {
    /// The report of the open transaction so far.
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

    /// The report of a transaction that is over and had no stages. Takes it out of the state.
    pub(super) fn of_whole(state: &mut State) -> Self {
        // This has to come before the log is emptied.
        let touched = state.log.touched();
        let net = state.log.take_net(&state.data);
        let counts = (state.data.tables.len(), state.data.values.len());
        Self { net, invalid: mem::take(&mut state.invalid), touched, counts }
    }

    /// Whether there is nothing to report except that a transaction is finished.
    pub(super) fn is_empty(&self) -> bool {
        self.net.is_empty() && self.invalid.is_empty()
    }

    /// Adds a later report.
    pub(super) fn extend(&mut self, later: Self) {
        self.net.extend(later.net);
        self.invalid.extend(later.invalid);
        self.touched.extend(later.touched);
        self.counts = later.counts;
    }

    /// Whether there are tables now; none if that has not changed.
    pub(super) fn has_tables(&self) -> Option<bool> {
        changed_presence(self.counts.0, &self.net.table_ids())
    }

    /// Whether there are values now; none if that has not changed.
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

/// The number of added ids minus the number of removed ones.
pub(super) fn balance(ids: &Map<IdChange>) -> isize {
    ids.values().map(|change| if *change == IdChange::Added { 1 } else { -1 }).sum()
}

fn changed_presence(now: usize, ids: &Map<IdChange>) -> Option<bool> {
    let before = now as isize - balance(ids);
    ((before > 0) != (now > 0)).then_some(now > 0)
}

impl Store {
    /// Returns the net changes so far of the transaction that this thread has open, as
    /// [`TransactionEvent::changes`](crate::TransactionEvent::changes) does; empty outside of a transaction.
    pub fn transaction_changes(&self) -> Changes {
        self.open().net.changes()
    }

    /// Returns the changes so far of the transaction that this thread has open, at every level, as
    /// [`TransactionEvent::log`](crate::TransactionEvent::log) does; empty outside of a transaction.
    pub fn transaction_log(&self) -> TransactionLog {
        self.open().log()
    }

    /// The report of the open transaction so far.
    pub(super) fn open(&self) -> Told {
        let state = self.shared.state();
        if state.is_written_elsewhere() { Told::default() } else { Told::of_open(&state) }
    }
}

impl Store {
    /// Which cell ids the first row of a table got, or the last row that had them lost.
    ///
    /// For each cell id that was added or removed, this looks for one row that has had it all the time: usually one of
    /// the first.
    pub(super) fn table_cell_ids_changed(&self, table_id: &str, table: &NetTable) -> Map<IdChange> {
        let mut balances: Map<isize> = Map::new();
        for row in table.rows.values() {
            for (cell_id, change) in cell_ids(&row.cells) {
                *balances.get_or_default(&cell_id) += if change == IdChange::Added { 1 } else { -1 };
            }
        }
        let change = |(cell_id, balance): (Id, isize)| {
            // If the cell is in more rows than those that got it, another row has had it all the time.
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
