use roommate_partykit::sim::{History, Pair, run, run_traced, shrink};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "replay" {
        let history: History = args[2].parse().unwrap();
        let (outcome, lines) = run_traced(&history);
        for line in lines {
            println!("{line}");
        }
        println!("{outcome:?}");
        return;
    }
    let pair: Pair = args[1].parse().unwrap();
    let count: u64 = args[2].parse().unwrap();
    let from: u64 = args.get(3).map_or(0, |s| s.parse().unwrap());
    let began = std::time::Instant::now();
    let (mut ours, mut stock) = (roommate_partykit::sim::Fates::default(), roommate_partykit::sim::Fates::default());
    let mut apart = 0;
    let mut reasons: std::collections::BTreeMap<&str, (u64, u64)> = Default::default();
    for seed in from..from + count {
        let history = History::random(pair, seed, 1..=5, 40);
        let outcome = run(&history);
        ours += outcome.ours;
        stock += outcome.stock;
        apart += u64::from(outcome.is_apart());
        if let Some(reason) = outcome.broken(pair) {
            let entry = reasons.entry(reason).or_insert((0, seed));
            entry.0 += 1;
        }
    }
    println!("{pair} {count} in {:?}: apart {apart}\n ours {ours:?}\n stock {stock:?}\n {reasons:?}", began.elapsed());
    for (reason, (_, seed)) in reasons {
        let history = History::random(pair, seed, 1..=5, 40);
        let small = shrink(&history, |history| run(history).broken(pair) == Some(reason));
        println!("{reason}: seed {seed}\n  {small}");
    }
}
