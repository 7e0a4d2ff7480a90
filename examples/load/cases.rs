//! The cases, their rows in the table, and what is required in each.

use std::io;

use crate::{
    bench::Bench,
    servers::Side::{self, Floor, Node, Ours, Unrepaired, Workerd},
    targets::{
        Target::{self, *},
        Unit::{self, *},
    },
};

/// Something that is done on several servers.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) sides: &'static [Side],
    pub(crate) rows: &'static [Row],
    /// Measures once on a server: a figure for each row.
    pub(crate) run: fn(&mut Bench, Side) -> io::Result<Vec<f64>>,
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) targets: &'static [Target],
}

const ALL: &[Side] = &[Workerd, Node, Floor, Ours];
const REPAIRS: &[Side] = &[Workerd, Node, Unrepaired, Ours];
const ROOMS: &[Side] = &[Workerd, Node, Ours];

const fn row(title: &'static str, unit: Unit, targets: &'static [Target]) -> Row {
    Row { title, unit, targets }
}

/// A message is a change of one cell in a room of 1,000 rows of 5 cells where the title says nothing else. There is one
/// writer, and one listener where the title says nothing else.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "1-256",
        sides: ALL,
        rows: &[row("1 listener, window 256: messages", PerSecond, &[AtLeastOfFloor(0.4)])],
        run: |bench, side| bench.closed(side, 1, 256),
    },
    Case {
        name: "10-16",
        sides: ALL,
        rows: &[row("10 listeners, window 16: deliveries", PerSecond, &[AtLeastOfFloor(0.7)])],
        run: |bench, side| bench.closed(side, 10, 16),
    },
    Case {
        name: "100-16",
        sides: ALL,
        rows: &[row("100 listeners, window 16: deliveries", PerSecond, &[AtLeastOfFloor(0.75)])],
        run: |bench, side| bench.closed(side, 100, 16),
    },
    Case {
        name: "500-16",
        sides: ALL,
        rows: &[row("500 listeners, window 16: deliveries", PerSecond, &[AtLeastOfFloor(0.75)])],
        run: |bench, side| bench.closed(side, 500, 16),
    },
    Case {
        name: "100-1",
        sides: ALL,
        rows: &[row("100 listeners, window 1: deliveries", PerSecond, &[AtLeastOfFloor(0.5)])],
        run: |bench, side| bench.closed(side, 100, 1),
    },
    Case {
        name: "500-1",
        sides: ALL,
        rows: &[row("500 listeners, window 1: deliveries", PerSecond, &[AtLeastOfFloor(0.75)])],
        run: |bench, side| bench.closed(side, 500, 1),
    },
    Case {
        name: "trickle",
        sides: ALL,
        rows: &[
            row("500 listeners, 20 messages/s: CPU a delivery", Microseconds, &[AtMostOfFloor(1.5)]),
            row("the same: p50 of a delivery", Milliseconds, &[AtMostOfFloor(1.3)]),
        ],
        run: |bench, side| bench.trickle(side, 500, 20.0),
    },
    Case {
        name: "latency",
        sides: ALL,
        rows: &[
            row("1 listener, 50 messages/s: p50", Milliseconds, &[FloorAndRestedCommit]),
            row("the same: p99", Milliseconds, &[FloorAndRestedCommitP99]),
        ],
        run: |bench, side| bench.latency(side, 1, 50.0),
    },
    Case {
        name: "rows",
        sides: REPAIRS,
        rows: &[row("changes of 5 cells, window 16: messages", PerSecond, &[AtLeastOfUnrepaired(0.9)])],
        run: |bench, side| bench.rows(side, 16),
    },
    Case {
        name: "large-changes",
        sides: REPAIRS,
        rows: &[row("changes of 1,000 cells, window 4: messages", PerSecond, &[AtLeast(3_000.0)])],
        run: |bench, side| bench.large_changes(side, 4),
    },
    Case {
        name: "deletions",
        sides: ALL,
        rows: &[
            row("delete one row in 1,000 cells: p50", Milliseconds, &[FloorAndBusyCommit]),
            row("delete one row in 10,000 cells: p50", Milliseconds, &[FloorAndBusyCommit, AtMostOfRow(0, 1.5)]),
            row("delete one row in 100,000 cells: p50", Milliseconds, &[FloorAndBusyCommit, AtMostOfRow(0, 1.5)]),
        ],
        run: |bench, side| bench.deletions(side, &[1_000, 10_000, 100_000]),
    },
    Case {
        name: "large-room",
        sides: ROOMS,
        rows: &[
            row("GET of 100,000 cells", Milliseconds, &[AtMost(10.0)]),
            row("PUT of 100,000 cells", Milliseconds, &[AtMost(80.0)]),
            row("memory after it", Mebibytes, &[AtMost(20.0)]),
            row("memory with 500 listeners more", Mebibytes, &[AtMost(40.0)]),
        ],
        run: |bench, side| bench.large_room(side),
    },
    Case {
        name: "idle",
        sides: &[Ours],
        rows: &[row("memory of an idle connection", Kibibytes, &[AtMost(10.0)])],
        run: |bench, side| bench.idle(side),
    },
];

/// The case with this name.
///
/// # Errors
/// The names that there are.
pub(crate) fn named(name: &str) -> Result<&'static Case, String> {
    CASES.iter().find(|case| case.name == name).ok_or_else(|| {
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        format!("the cases are {}", names.join(", "))
    })
}
