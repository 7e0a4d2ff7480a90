//! The table: a line for each row of a case, with the figures of all servers and the verdict.

use serde_json::{Value, json};

use crate::{
    cases::{Case, Row},
    servers::Side,
    stats::median,
    targets::{Round, Verdict},
};

/// What a case measured.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Ours, the floor and ours without repairs, round by round.
    pub(crate) rounds: Vec<Round>,
    /// The originals, which run once.
    pub(crate) workerd: Option<Vec<f64>>,
    pub(crate) node: Option<Vec<f64>>,
}

/// A line of the table.
struct Line<'a> {
    row: &'a Row,
    workerd: Option<f64>,
    node: Option<f64>,
    floor: Option<f64>,
    unrepaired: Option<f64>,
    ours: Option<f64>,
    /// How many times the floor ours is.
    of_floor: Option<f64>,
    /// A verdict on each target.
    verdicts: Vec<Option<Verdict>>,
}

impl Outcome {
    /// Notes what a server measured in the last round.
    pub(crate) fn set(&mut self, side: Side, figures: Vec<f64>) {
        let Some(round) = self.rounds.last_mut() else { return };
        let place = match side {
            Side::Workerd => &mut self.workerd,
            Side::Node => &mut self.node,
            Side::Floor => &mut round.floor,
            Side::Unrepaired => &mut round.unrepaired,
            Side::Ours => &mut round.ours,
        };
        *place = Some(figures);
    }

    fn line<'a>(&self, row: &'a Row, index: usize) -> Line<'a> {
        let at = |figures: &Option<Vec<f64>>| figures.as_ref()?.get(index).copied();
        let over_rounds = |of: fn(&Round) -> &Option<Vec<f64>>| median(self.rounds.iter().filter_map(|r| at(of(r))));
        let of_floor = |round: &Round| Some(at(&round.ours)? / at(&round.floor)?);
        Line {
            row,
            workerd: at(&self.workerd),
            node: at(&self.node),
            floor: over_rounds(|round| &round.floor),
            unrepaired: over_rounds(|round| &round.unrepaired),
            ours: over_rounds(|round| &round.ours),
            of_floor: median(self.rounds.iter().filter_map(of_floor)),
            verdicts: row.targets.iter().map(|target| target.judge(index, &self.rounds)).collect(),
        }
    }
}

/// Prints what stands above the columns.
pub(crate) fn print_head() {
    println!(
        "{:48} {:>13} {:>13} {:>14} {:>14} {:>14} {:>9}  target",
        "", "workerd", "bare Node", "floor", "repairs off", "ours", "of floor"
    );
}

/// Prints the lines of a case, and returns whether each target is met.
pub(crate) fn print(case: &Case, outcome: &Outcome, as_json: bool) -> bool {
    let mut all_met = true;
    for (index, row) in case.rows.iter().enumerate() {
        let line = outcome.line(row, index);
        all_met &= line.is_met();
        if as_json {
            println!("{}", line.json(case));
        } else {
            line.print();
        }
    }
    all_met
}

impl Line<'_> {
    fn is_met(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.is_some_and(Verdict::is_met))
    }

    fn print(&self) {
        let show = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| self.row.unit.show(figure));
        let of_floor = self.of_floor.map_or_else(|| "-".to_owned(), |times| format!("{times:.2}x"));
        let targets = self.row.targets.iter().zip(&self.verdicts).map(|(target, verdict)| {
            let words = target.words(self.row.unit);
            let limit = |verdict: &Verdict| {
                if target.is_absolute() { String::new() } else { format!(" ({})", self.row.unit.show(verdict.limit)) }
            };
            match verdict {
                Some(verdict) if verdict.is_met() => words + &limit(verdict),
                Some(verdict) => format!("{words}{}: MISSED by {:.0} %", limit(verdict), -verdict.margin()),
                None => format!("{words}: NOT MEASURED"),
            }
        });
        println!(
            "{:48} {:>13} {:>13} {:>14} {:>14} {:>14} {of_floor:>9}  {}",
            self.row.title,
            show(self.workerd),
            show(self.node),
            show(self.floor),
            show(self.unrepaired),
            show(self.ours),
            targets.collect::<Vec<_>>().join("; "),
        );
    }

    fn json(&self, case: &Case) -> Value {
        let targets = self.row.targets.iter().zip(&self.verdicts).map(|(target, verdict)| {
            json!({
                "target": target.words(self.row.unit),
                "met": verdict.is_some_and(Verdict::is_met),
                "limit": verdict.map(|verdict| verdict.limit),
                "marginPercent": verdict.map(Verdict::margin),
            })
        });
        json!({
            "case": case.name, "row": self.row.title, "unit": self.row.unit.name(), "workerd": self.workerd,
            "node": self.node, "floor": self.floor, "repairsOff": self.unrepaired, "ours": self.ours,
            "ofFloor": self.of_floor, "targets": targets.collect::<Vec<_>>(), "met": self.is_met(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{Target, Unit};

    #[test]
    fn a_row_is_met_only_if_each_target_is_and_nothing_is_missing() {
        let row =
            Row { title: "", unit: Unit::Milliseconds, targets: &[Target::AtMost(3.0), Target::AtMostOfFloor(1.5)] };
        let is_met = |floors: &[f64], ours: &[f64]| {
            let mut outcome = Outcome::default();
            for (round, figure) in ours.iter().enumerate() {
                outcome.rounds.push(Round::default());
                outcome.set(Side::Ours, vec![*figure]);
                if let Some(floor) = floors.get(round) {
                    outcome.set(Side::Floor, vec![*floor]);
                }
            }
            outcome.line(&row, 0).is_met()
        };
        assert!(is_met(&[2.0, 2.0, 2.0], &[3.0, 9.0, 1.0]));
        assert!(!is_met(&[1.9], &[3.0]));
        assert!(!is_met(&[9.0], &[3.1]));
        assert!(!is_met(&[2.0], &[1.0, 1.0]));
        assert!(!is_met(&[], &[]));
    }
}
