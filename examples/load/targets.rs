//! What a figure has to be, and whether it is.

use crate::{disk::Commits, stats::median};

/// The unit of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    Microseconds,
    Milliseconds,
    Kibibytes,
    Mebibytes,
}

/// What is required of our figure in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// So many times the floor's, or more.
    AtLeastOfFloor(f64),
    /// So many times the floor's, or less.
    AtMostOfFloor(f64),
    /// So many times ours without repairs, or more.
    AtLeastOfUnrepaired(f64),
    /// The floor's median and that of one commit, or less.
    FloorAndBusyCommit,
    /// The same, after some rest.
    FloorAndRestedCommit,
    /// The same with the 99th percentile of both.
    FloorAndRestedCommitP99,
    /// So many times our figure in another row of the case, or less.
    AtMostOfRow(usize, f64),
}

/// The figures of one round, a figure for each row of the case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// What a commit took, where a target refers to it.
    pub(crate) commits: Option<Commits>,
    pub(crate) floor: Option<Vec<f64>>,
    pub(crate) ours: Option<Vec<f64>>,
    pub(crate) unrepaired: Option<Vec<f64>>,
}

/// How our figures stand to a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// The median over the rounds of how many times the limit ours is.
    ratio: f64,
    /// The median of the limits.
    pub(crate) limit: f64,
    is_least: bool,
}

impl Target {
    /// Judges the rounds of the row `row`. `None` if a figure is missing.
    pub(crate) fn judge(self, row: usize, rounds: &[Round]) -> Option<Verdict> {
        let limits: Vec<f64> = rounds.iter().map(|round| self.limit(row, round)).collect::<Option<_>>()?;
        let ours: Vec<f64> =
            rounds.iter().map(|round| round.ours.as_ref()?.get(row).copied()).collect::<Option<_>>()?;
        let ratio = median(ours.iter().zip(&limits).map(|(ours, limit)| ours / limit))?;
        Some(Verdict { ratio, limit: median(limits)?, is_least: self.is_least() })
    }

    /// Whether a round has to measure commits.
    pub(crate) fn refers_to_commits(self) -> bool {
        matches!(self, Self::FloorAndBusyCommit | Self::FloorAndRestedCommit | Self::FloorAndRestedCommitP99)
    }

    fn limit(self, row: usize, round: &Round) -> Option<f64> {
        let of = |figures: &Option<Vec<f64>>, row: usize| figures.as_ref()?.get(row).copied();
        let floor = || of(&round.floor, row);
        Some(match self {
            Self::AtLeast(limit) | Self::AtMost(limit) => limit,
            Self::AtLeastOfFloor(times) | Self::AtMostOfFloor(times) => times * floor()?,
            Self::AtLeastOfUnrepaired(times) => times * of(&round.unrepaired, row)?,
            Self::FloorAndBusyCommit => floor()? + round.commits?.busy.p50,
            Self::FloorAndRestedCommit => floor()? + round.commits?.rested.p50,
            Self::FloorAndRestedCommitP99 => floor()? + round.commits?.rested.p99,
            Self::AtMostOfRow(other, times) => times * of(&round.ours, other)?,
        })
    }

    /// Whether the limit is the same on every machine.
    pub(crate) fn is_absolute(self) -> bool {
        matches!(self, Self::AtLeast(_) | Self::AtMost(_))
    }

    fn is_least(self) -> bool {
        matches!(self, Self::AtLeast(_) | Self::AtLeastOfFloor(_) | Self::AtLeastOfUnrepaired(_))
    }

    /// The target in words.
    pub(crate) fn words(self, unit: Unit) -> String {
        match self {
            Self::AtLeast(limit) => format!("at least {}", unit.show(limit)),
            Self::AtMost(limit) => format!("at most {}", unit.show(limit)),
            Self::AtLeastOfFloor(times) => format!("at least {times} of the floor"),
            Self::AtMostOfFloor(times) => format!("at most {times}x the floor"),
            Self::AtLeastOfUnrepaired(times) => format!("at least {times} of repairs off"),
            Self::FloorAndBusyCommit | Self::FloorAndRestedCommit | Self::FloorAndRestedCommitP99 => {
                "floor + one commit".to_owned()
            }
            Self::AtMostOfRow(_, times) => format!("at most {times}x the smallest"),
        }
    }
}

impl Verdict {
    pub(crate) fn is_met(self) -> bool {
        if self.is_least { self.ratio >= 1.0 } else { self.ratio <= 1.0 }
    }

    /// How far ours is from the limit, in percent of it; negative if the target is missed.
    pub(crate) fn margin(self) -> f64 {
        let above = (self.ratio - 1.0) * 100.0;
        if self.is_least { above } else { -above }
    }
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Kibibytes => "KiB",
            Self::Mebibytes => "MiB",
        }
    }

    /// The figure with three significant digits and thousands apart.
    pub(crate) fn show(self, figure: f64) -> String {
        let decimals = match figure.abs() {
            size if size < 1.0 => 3,
            size if size < 10.0 => 2,
            size if size < 100.0 => 1,
            _ => return format!("{} {}", thousands(figure.round() as i64), self.name()),
        };
        let text = format!("{figure:.decimals$}");
        format!("{} {}", text.trim_end_matches('0').trim_end_matches('.'), self.name())
    }
}

fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Commit;

    const COMMITS: Commits = Commits { busy: Commit { p50: 1.0, p99: 2.0 }, rested: Commit { p50: 3.0, p99: 4.0 } };

    fn round(floor: f64, ours: f64) -> Round {
        Round { commits: Some(COMMITS), floor: Some(vec![floor]), ours: Some(vec![ours]), unrepaired: None }
    }

    #[test]
    fn each_round_is_compared_with_its_own_floor() {
        let rounds = [round(100.0, 80.0), round(10.0, 8.0), round(1_000.0, 300.0)];
        let verdict = Target::AtLeastOfFloor(0.75).judge(0, &rounds).expect("all figures are there");
        assert!(verdict.is_met());
        assert!((verdict.margin() - 100.0 * (0.8 / 0.75 - 1.0)).abs() < 1e-9);
        let verdict = Target::AtLeastOfFloor(0.9).judge(0, &rounds).expect("all figures are there");
        assert!(!verdict.is_met() && verdict.margin() < 0.0);
    }

    #[test]
    fn a_latency_is_met_below_its_limit() {
        let judge =
            |target: Target, ours| target.judge(0, &[round(2.0, ours)]).expect("all figures are there").is_met();
        assert!(judge(Target::AtMostOfFloor(1.5), 3.0) && !judge(Target::AtMostOfFloor(1.5), 3.1));
        assert!(judge(Target::FloorAndBusyCommit, 3.0) && !judge(Target::FloorAndBusyCommit, 3.1));
        assert!(judge(Target::FloorAndRestedCommit, 5.0) && !judge(Target::FloorAndRestedCommit, 5.1));
        assert!(judge(Target::FloorAndRestedCommitP99, 6.0) && !judge(Target::FloorAndRestedCommitP99, 6.1));
        assert!(judge(Target::AtMost(10.0), 10.0) && !judge(Target::AtMost(10.0), 10.1));
    }

    #[test]
    fn a_row_can_be_held_against_another_one() {
        let round = Round { ours: Some(vec![2.0, 2.9, 3.1]), ..Round::default() };
        let judge = |row| Target::AtMostOfRow(0, 1.5).judge(row, std::slice::from_ref(&round));
        assert_eq!([1, 2].map(|row| judge(row).map(Verdict::is_met)), [Some(true), Some(false)]);
    }

    #[test]
    fn no_verdict_comes_from_a_figure_that_is_missing() {
        let rounds = [round(1.0, 1.0), Round { ours: Some(vec![1.0]), ..Round::default() }];
        assert_eq!(Target::AtLeastOfFloor(0.5).judge(0, &rounds), None);
        assert_eq!(Target::AtLeastOfUnrepaired(0.5).judge(0, &rounds), None);
        assert_eq!(Target::AtMost(1.0).judge(0, &[]), None);
    }

    #[test]
    fn figures_are_shown_with_three_digits() {
        let show = |figure| Unit::PerSecond.show(figure);
        assert_eq!(
            [0.1234, 1.234, 12.0, 123.4, 1_234_567.0].map(show),
            ["0.123 /s", "1.23 /s", "12 /s", "123 /s", "1,234,567 /s"]
        );
    }
}
