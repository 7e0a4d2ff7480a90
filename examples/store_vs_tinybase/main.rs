//! The store against the original's: the same work on both, in turn, in one session.
//!
//! `cargo run --release --example store_vs_tinybase` prints for each case what both took, in the median of the rounds,
//! and how many times faster ours is, with the least and the most of any round. It exits with 0 only if every case
//! meets its target. Needs Node 20 and npm.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use clap::Parser;
use serde_json::json;

mod cases;
mod data;
#[path = "../../tests/support/npm.rs"]
mod npm;
mod ours;
mod theirs;

use cases::{CASES, Case, Target};
use theirs::Node;

#[derive(Parser)]
#[command(about = "The store against TinyBase's: the same work on both, in turn, in one session")]
struct Args {
    /// How often each case runs on each side.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only these cases.
    #[arg(long = "case", value_parser = case)]
    cases: Vec<&'static Case>,
    /// Print a line of JSON for each case.
    #[arg(long)]
    json: bool,
    /// Ours alone, without Node and without a judgement.
    #[arg(long)]
    ours: bool,
    /// Measure the memory that the data takes in this process, print it and exit: what the case `memory` starts.
    #[arg(long, hide = true)]
    measure_memory: bool,
}

/// What both sides took in one round, by unit.
#[derive(Clone, Copy)]
struct Round {
    ours: f64,
    theirs: f64,
}

fn case(name: &str) -> Result<&'static Case, String> {
    CASES.iter().find(|case| case.name == name).ok_or_else(|| {
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        format!("the cases are {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.measure_memory {
        println!("{}", ours::memory_per_cell());
        return ExitCode::SUCCESS;
    }
    let cases = if args.cases.is_empty() { CASES.iter().collect() } else { args.cases.clone() };
    if args.ours {
        for case in cases {
            let mut took: Vec<_> = (0..args.rounds).map(|_| ours_once(case)).collect();
            println!("{:24} {:12.3} {}", case.name, median(&mut took), case.unit);
        }
        return ExitCode::SUCCESS;
    }
    let Some(originals) = npm::originals("store_vs_tinybase") else { return ExitCode::FAILURE };
    if !args.json {
        println!("{:24} {:>12} {:>12} {:16} {:>7} {:>17}  target", "", "ours", "theirs", "", "ratio", "(min to max)");
    }
    let mut missed = false;
    for case in cases {
        missed |= !compare(case, &args, originals);
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs a case on both sides, prints it, and returns whether ours meets its target.
fn compare(case: &Case, args: &Args, originals: &Path) -> bool {
    let mut node = Node::start(originals);
    let rounds: Vec<_> = (0..args.rounds)
        .map(|_| {
            // What memory takes shows in a fresh process alone.
            if case.target == Target::AtMost(40.0) {
                node = Node::start(originals);
            }
            let ours = ours_once(case);
            Round { ours, theirs: node.run(case.name) }
        })
        .collect();
    let ours = median(&mut rounds.iter().map(|round| round.ours).collect::<Vec<_>>());
    let theirs = median(&mut rounds.iter().map(|round| round.theirs).collect::<Vec<_>>());
    let mut ratios: Vec<_> = rounds.iter().map(|round| round.theirs / round.ours).collect();
    let ratio = median(&mut ratios);
    let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
    let (met, target) = match case.target {
        Target::Times(times) => (ratio >= times, format!("at least {times}x")),
        Target::AtMost(most) => (ours <= most, format!("at most {most}")),
    };
    if args.json {
        let (Target::Times(target) | Target::AtMost(target)) = case.target;
        println!(
            "{}",
            json!({
                "case": case.name, "ours": ours, "theirs": theirs, "unit": case.unit, "ratio": ratio, "min": least,
                "max": most, "target": target, "met": met,
            })
        );
    } else {
        let met = if met { "" } else { "  MISSED" };
        println!(
            "{:24} {ours:12.3} {theirs:12.3} {:16} {ratio:6.1}x {:>17}  {target}{met}",
            case.name,
            case.unit,
            format!("({least:.1} to {most:.1})"),
        );
    }
    met
}

fn ours_once(case: &Case) -> f64 {
    match case.run {
        Some(run) => run(),
        None => memory_in_a_fresh_process(),
    }
}

fn memory_in_a_fresh_process() -> f64 {
    let this = std::env::current_exe().expect("the path of this program");
    let output = Command::new(this).arg("--measure-memory").output().expect("this program starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| panic!("not a number of bytes: {text:?}"))
}

/// The median; sorts them.
fn median(took: &mut [f64]) -> f64 {
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}
