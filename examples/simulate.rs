//! Many clients on one server, simulated: who ends apart, and what becomes of every edit.
//!
//! `cargo run --release --example simulate -- --histories 100000 --clients 1..5` prints a table, a row for each pair of
//! client kind and server kind, and exits with 0 only if every row keeps what is promised of it. A failing seed is run
//! again with `--seed SEED --histories 1 --pair PAIR` (and the same `--clients` and `--steps`), which tells what happened
//! in it and makes the history smaller; `--replay HISTORY` tells what happens in a smaller one.

use std::{
    io::{IsTerminal, Write, stderr},
    ops::RangeInclusive,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use clap::Parser;
use roommate_partykit_sim::sim::{Fates, History, MAX_CLIENTS, Pair, Totals, run, run_traced, shrink};

#[derive(Parser)]
#[command(about = "Many clients on one server, simulated: who ends apart, and what becomes of every edit")]
struct Args {
    /// How many histories of each pair.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    histories: u64,
    /// How many clients: `3`, or from the least to the most, `1..5`.
    #[arg(long, default_value = "1..5", value_parser = clients)]
    clients: RangeInclusive<u8>,
    /// The most that happens in a history.
    #[arg(long, default_value_t = 40)]
    steps: u16,
    /// The first history's seed; each next one's is one more.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only this pair, such as `ours:stock`: clients `ours`, `stock` or `mixed`, server `ours` or `stock`.
    #[arg(long)]
    pair: Option<Pair>,
    /// Print a line of JSON for each row.
    #[arg(long)]
    json: bool,
    /// Run this history, all of the line that `--histories 1` prints, and tell what happens.
    #[arg(long, value_parser = history)]
    replay: Option<History>,
}

fn clients(text: &str) -> Result<RangeInclusive<u8>, String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| text.trim_start_matches('=').parse::<u8>().ok();
    match (number(least), number(most)) {
        (Some(least), Some(most)) if 1 <= least && least <= most && most <= MAX_CLIENTS => Ok(least..=most),
        _ => Err(format!("say a number from 1 to {MAX_CLIENTS}, or two such as 1..{MAX_CLIENTS}, the lesser first")),
    }
}

fn history(text: &str) -> Result<History, String> {
    text.parse::<History>()
        .map_err(|error| format!("{error}: say, in quotes, the whole line that `--histories 1` prints first"))
}

fn main() -> ExitCode {
    let args = Args::parse();
    match (&args.replay, args.pair) {
        (Some(history), _) => tell(history),
        (None, Some(pair)) if args.histories == 1 => {
            let history = History::random(pair, args.seed, args.clients, args.steps);
            let Some(broken) = run(&history).broken(pair) else { return tell(&history) };
            let smaller = shrink(&history, |history| run(history).broken(pair) == Some(broken));
            println!("{history}\n\n{broken}. Smaller:\n");
            tell(&smaller)
        }
        (None, pair) => table(&args, pair.as_slice()),
    }
}

/// Tells what happens in one history.
fn tell(history: &History) -> ExitCode {
    let (outcome, lines) = run_traced(history);
    println!("{history}\n");
    lines.iter().for_each(|line| println!("{line}"));
    println!("\nours:  {:?}\nstock: {:?}", outcome.ours, outcome.stock);
    match outcome.broken(history.pair) {
        Some(broken) => {
            println!("broken: {broken}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn table(args: &Args, pairs: &[Pair]) -> ExitCode {
    let pairs = if pairs.is_empty() { &Pair::ALL } else { pairs };
    if !args.json {
        println!(
            "{:<12} {:>5} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9} {:>8} {:>11} {:>8} {:>8} {:>8} {:>7}",
            "pair",
            "",
            "histories",
            "apart",
            "unsent",
            "unheard",
            "edits",
            "confirmed",
            "refused",
            "overwritten",
            "lost",
            "undone",
            "invented",
            "twice",
        );
    }
    let mut kept = true;
    for pair in pairs {
        let totals = simulate(args, *pair);
        let broken = totals.broken(*pair);
        kept &= broken.is_none();
        match args.json {
            true => println!("{}", json(*pair, &totals, broken)),
            false => print(args, *pair, &totals, broken),
        }
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the histories of a pair on all cores.
fn simulate(args: &Args, pair: Pair) -> Totals {
    const CHUNK: u64 = 64;
    let next = AtomicU64::new(0);
    let worker = || {
        let mut totals = Totals::default();
        loop {
            let begin = next.fetch_add(CHUNK, Ordering::Relaxed);
            if begin >= args.histories {
                return totals;
            }
            progress(pair, begin, args.histories);
            for number in begin..args.histories.min(begin + CHUNK) {
                let seed = args.seed.wrapping_add(number);
                let history = History::random(pair, seed, args.clients.clone(), args.steps);
                totals.add(pair, seed, &run(&history));
            }
        }
    };
    let mut totals = Totals::default();
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            totals += worker.join().expect("a history does not panic");
        }
    });
    clear_progress();
    totals
}

fn progress(pair: Pair, done: u64, all: u64) {
    const WIDTH: u64 = 40;
    let mut stderr = stderr();
    if stderr.is_terminal() {
        let filled = (done * WIDTH / all.max(1)) as usize;
        let bar = format!("{}{}", "#".repeat(filled), ".".repeat(WIDTH as usize - filled));
        // Nobody is harmed by a bar that cannot be shown.
        let _ = write!(stderr, "\r{pair:<12} [{bar}] {done}/{all}");
    }
}

fn clear_progress() {
    if stderr().is_terminal() {
        let _ = write!(stderr(), "\r\x1b[K");
    }
}

fn print(args: &Args, pair: Pair, totals: &Totals, broken: Option<&str>) {
    let rows = [
        ("ours", totals.ours_apart, [0, 0], &totals.ours),
        ("stock", totals.stock_apart, [totals.stock_apart_unsent, totals.stock_apart_unheard], &totals.stock),
    ];
    let has_stock = !(0..MAX_CLIENTS).all(|client| pair.is_ours(client));
    let has = [pair.is_ours(0), has_stock];
    for ((kind, apart, [unsent, unheard], fates), _) in rows.into_iter().zip(has).filter(|(_, has)| *has) {
        let Fates { edits, confirmed, refused, overwritten, lost, undone, invented, twice, .. } = fates;
        println!(
            "{:<12} {kind:>5} {:>9} {apart:>7} {unsent:>7} {unheard:>7} {edits:>9} {confirmed:>9} {refused:>8} {overwritten:>11} \
             {lost:>8} {undone:>8} {invented:>8} {twice:>7}",
            pair.to_string(),
            totals.histories,
        );
    }
    let Args { clients, steps, .. } = args;
    let clients = format!("{}..{}", clients.start(), clients.end());
    if let Some((seed, _)) = totals.first_broken {
        println!("  broken in {} histories, first in that of seed {seed}. To see it:", totals.broken);
        println!("  --seed {seed} --histories 1 --pair {pair} --clients {clients} --steps {steps}");
    }
    if let Some(broken) = broken {
        println!("  broken: {broken}");
    }
}

fn json(pair: Pair, totals: &Totals, broken: Option<&str>) -> serde_json::Value {
    let fates = |fates: &Fates| {
        serde_json::json!({
            "clients_apart": fates.apart, "restless": fates.restless, "edits": fates.edits,
            "confirmed": fates.confirmed, "refused": fates.refused, "overwritten": fates.overwritten,
            "unconfirmed": fates.unconfirmed, "lost": fates.lost, "undone": fates.undone,
            "invented": fates.invented, "twice": fates.twice, "misreported": fates.misreported,
        })
    };
    serde_json::json!({
        "pair": pair.to_string(), "histories": totals.histories, "ours_apart": totals.ours_apart,
        "stock_apart": totals.stock_apart, "stock_apart_unsent": totals.stock_apart_unsent,
        "stock_apart_unheard": totals.stock_apart_unheard,
        "ours": fates(&totals.ours), "stock": fates(&totals.stock), "broken_histories": totals.broken,
        "first_broken_seed": totals.first_broken.map(|(seed, _)| seed), "broken": broken,
    })
}
