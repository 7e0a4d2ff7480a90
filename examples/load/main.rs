//! The speed of `roommate serve`, against TinyBase's server and against the floor: a bare broadcast.
//!
//! `cargo run --release --example load` measures each case on each server in turn, in a fresh room, with the load generator
//! in this process and each server in its own. It prints a line for each row, and exits with 0 only if every target holds.
//! Needs Linux. The originals need Node 20 and npm, and are left out, loudly, where these are missing.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use serde_json::json;

mod alarm;
mod bench;
mod cases;
mod content;
mod disk;
mod floor;
mod frames;
mod generator;
mod http;
#[path = "../../tests/support/npm.rs"]
mod npm;
mod process;
mod schedule;
mod servers;
mod stats;
mod table;
mod tally;
mod targets;

use bench::Bench;
use cases::{CASES, Case};
use servers::Servers;
use table::Outcome;
use targets::Round;

#[derive(Parser)]
#[command(about = "The speed of `roommate serve`, against TinyBase's server and against the floor: a bare broadcast")]
struct Args {
    /// Only this case; may be repeated
    #[arg(long, value_name = "CASE", value_parser = cases::named)]
    only: Vec<&'static Case>,

    /// How often each case runs on ours and on the floor, in turn; the originals run once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// One round of short runs: to see that it works, not to compare
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,

    /// Leave the originals out
    #[arg(long)]
    no_stock: bool,

    /// Print a line of JSON for each row
    #[arg(long)]
    json: bool,

    /// Print to standard error what each run measured
    #[arg(long)]
    verbose: bool,

    /// The program `roommate`; it is built if this is not given
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,

    /// Where rooms are stored, in a directory that is removed afterwards; defaults to where this program is
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,

    /// Serve the floor: what this program starts
    #[arg(long, hide = true)]
    serve_floor: bool,

    /// Run a program until standard input is closed: what this program starts
    #[arg(long, hide = true, num_args = 1.., allow_hyphen_values = true)]
    until_closed: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = if args.serve_floor {
        process::exit_when_closed();
        floor::serve().map(|()| true)
    } else if !args.until_closed.is_empty() {
        process::run_until_closed(&args.until_closed).map(|()| true)
    } else {
        compare(&args)
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the cases, and returns whether every target holds.
fn compare(args: &Args) -> io::Result<bool> {
    let program = match &args.server {
        Some(program) => program.canonicalize().map_err(|error| named(program, error))?,
        None => servers::build()?,
    };
    let originals = if args.no_stock { None } else { npm::originals("the comparison with the originals") };
    let directory = servers::new_directory(args.directory.as_deref())
        .map_err(|error| named(args.directory.as_deref().unwrap_or_else(|| Path::new("a directory")), error))?;
    let is_met = compare_in(&directory, program, originals, args);
    fs::remove_dir_all(&directory)?;
    is_met
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn compare_in(directory: &Path, program: PathBuf, originals: Option<&Path>, args: &Args) -> io::Result<bool> {
    let servers = Servers::new(program, originals.map(Path::to_owned), directory.to_owned())?;
    let is_durable = servers.are_durable() && !disk::is_in_memory(directory);
    if !servers.are_durable() {
        eprintln!(
            "NOT DURABLE: this `roommate serve` has no --data, and its rooms are in memory. No target counts as met."
        );
    } else if !is_durable {
        let directory = directory.display();
        eprintln!(
            "NOT DURABLE: {directory} is in memory: name one on a disk with --directory. No target counts as met."
        );
    }
    if args.json {
        println!("{}", json!({ "durable": is_durable, "rounds": args.rounds, "quick": args.quick }));
    } else {
        table::print_head();
    }
    let mut bench = Bench::new(servers, args.quick, args.verbose);
    let cases: Vec<_> = if args.only.is_empty() { CASES.iter().collect() } else { args.only.clone() };
    let mut missed = Vec::new();
    for case in cases {
        let outcome = measure(case, &mut bench, directory, args)?;
        if !table::print(case, &outcome, args.json) {
            missed.push(case.name);
        }
    }
    if !missed.is_empty() {
        eprintln!("targets are missed in: {}", missed.join(", "));
    }
    Ok(is_durable && missed.is_empty())
}

/// Measures a case on each of its servers. What fails is reported and stays without a figure.
fn measure(case: &Case, bench: &mut Bench, directory: &Path, args: &Args) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut targets = case.rows.iter().flat_map(|row| row.targets);
    let needs_commits = targets.any(|target| target.refers_to_commits());
    for round in 0..if args.quick { 1 } else { args.rounds } {
        let commits = needs_commits.then(|| disk::measure(directory, args.quick)).transpose()?;
        outcome.rounds.push(Round { commits, ..Round::default() });
        for &side in case.sides {
            if !bench.can_run(side) || (side.is_stock() && round > 0) {
                continue;
            }
            match (case.run)(bench, side) {
                Ok(figures) => outcome.set(side, figures),
                Err(error) => {
                    let _unread = writeln!(io::stderr(), "{}: {error}", case.name);
                }
            }
        }
        // The originals would only take memory and time from the others.
        bench.end();
    }
    Ok(outcome)
}
