//! What is measured, and what ours has to reach.

use super::ours;

/// One measured piece of work, that `tests/interop/store_bench.mjs` knows by the same name.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    /// Runs it once and returns what one unit took; `None` takes a fresh process.
    pub(crate) run: Option<fn() -> f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// So many times faster than theirs.
    Times(f64),
    /// So much, whatever theirs is.
    AtMost(f64),
}

const fn times(name: &'static str, unit: &'static str, times: f64, run: fn() -> f64) -> Case {
    Case { name, unit, target: Target::Times(times), run: Some(run) }
}

pub(crate) static CASES: &[Case] = &[
    times("set_row", "ms", 15.0, ours::set_row),
    times("set_cell", "us", 20.0, ours::set_cell),
    times("set_cell_100_listeners", "us", 15.0, ours::set_cell_100_listeners),
    times("set_cell_changes_read", "us", 15.0, ours::set_cell_changes_read),
    times("content", "ms", 15.0, ours::content),
    times("set_content", "ms", 15.0, ours::set_content),
    times("json", "ms", 20.0, ours::json),
    times("set_json", "ms", 20.0, ours::set_json),
    times("apply_1", "us", 15.0, ours::apply_1),
    times("apply_1000", "ms", 12.0, ours::apply_1000),
    Case { name: "memory", unit: "bytes a cell", target: Target::AtMost(40.0), run: None },
];
