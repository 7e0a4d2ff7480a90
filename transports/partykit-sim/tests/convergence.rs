//! Many clients on one server, simulated: what is promised of each pair, over random histories that shrink.
//!
//! Histories that once went wrong are in `tests/convergence/histories.txt`, one a line, and are run first.

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use roommate_partykit_sim::sim::{Clients, History, Leaf, MAX_CLIENTS, Op, Pair, Server, Step, Totals, Which, run};

const OLD: &str = include_str!("convergence/histories.txt");

fn pair(clients: Clients, server: Server) -> Pair {
    Pair { clients, server }
}

fn any_leaf() -> impl Strategy<Value = Leaf> {
    let bit = || 0..2_u8;
    prop_oneof![
        8 => (bit(), bit(), bit()).prop_map(|(t, r, c)| Leaf::SetCell(t, r, c)),
        2 => (bit(), bit(), bit()).prop_map(|(t, r, c)| Leaf::DelCell(t, r, c)),
        2 => (bit(), bit()).prop_map(|(t, r)| Leaf::DelRow(t, r)),
        1 => bit().prop_map(Leaf::DelTable),
        2 => bit().prop_map(Leaf::SetValue),
        1 => bit().prop_map(Leaf::DelValue),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let client = || 0..MAX_CLIENTS;
    let which = || prop_oneof![Just(Which::Main), Just(Which::Ear), Just(Which::Both)];
    prop_oneof![
        60 => (client(), proptest::collection::vec(any_leaf(), 1..4)).prop_map(|(client, leaves)| Op::Edit(client, leaves)),
        5 => (client(), 0..800_u16).prop_map(|(client, by)| Op::SlowUp(client, by)),
        5 => (client(), 0..800_u16).prop_map(|(client, by)| Op::SlowDown(client, by)),
        7 => (client(), which()).prop_map(|(client, which)| Op::Cut(client, which)),
        4 => (client(), which()).prop_map(|(client, which)| Op::Freeze(client, which)),
        2 => client().prop_map(Op::Offline),
        3 => client().prop_map(Op::Online),
        2 => (client(), any::<bool>()).prop_map(|(client, arrives)| Op::FailRequest(client, arrives)),
        6 => client().prop_map(Op::Start),
        4 => client().prop_map(Op::Load),
        2 => client().prop_map(Op::StartLoad),
        2 => client().prop_map(Op::StartSave),
        2 => client().prop_map(Op::StopLoad),
        2 => client().prop_map(Op::StopSave),
        1 => client().prop_map(Op::EndStream),
        2 => Just(Op::Crash),
        4 => Just(Op::Restart),
        5 => prop_oneof![Just(0), (0..8_u32).prop_map(|bit| 1_u8 << bit)].prop_map(Op::Policy),
    ]
}

fn any_history(pair: Pair) -> impl Strategy<Value = History> {
    let after = prop_oneof![4 => Just(0), 4 => 0..60_u16, 1 => 0..500_u16, 1 => 0..8000_u16];
    let step = (after, any_op()).prop_map(|(after, op)| Step { after, op });
    let steps = proptest::collection::vec(step, 1..=40);
    (1..=MAX_CLIENTS, any::<u16>(), any::<u8>(), any::<u8>(), steps).prop_map(
        move |(clients, seed, with_content, joined, mut steps)| {
            for step in &mut steps {
                if let Some(client) = step.op.client_mut() {
                    *client %= clients;
                }
            }
            History { pair, clients, seed: seed.into(), with_content, joined, steps }
        },
    )
}

/// Histories in which the server loses everything that it stored, once: a client whose edits were in what was lost sends
/// them again, and if that is lost as well it cannot know which of them the next room shows.
fn any_history_of_losses(pair: Pair) -> impl Strategy<Value = History> {
    (any_history(pair), any::<prop::sample::Index>(), 0..200_u16).prop_map(|(mut history, index, after)| {
        let at = index.index(history.steps.len());
        for op in [Op::Restart, Op::Forget] {
            history.steps.insert(at, Step { after, op });
        }
        history
    })
}

/// Runs histories of a pair. Each has to keep what is promised of one, and all together what is promised of all.
fn hold(pair: Pair) {
    let totals = hold_each(pair, &any_history(pair));
    assert_eq!(totals.broken(pair), None, "{totals:?}");
}

/// Runs histories of a pair, and old ones. Each has to keep what is promised of one.
fn hold_each(pair: Pair, histories: &impl Strategy<Value = History>) -> Totals {
    let old = OLD.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for history in old.map(|line| line.parse::<History>().expect("a history")).filter(|old| old.pair == pair) {
        assert_eq!(run(&history).broken(pair), None, "{history}");
    }
    let mut config = ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() };
    config.cases *= 2;
    config.failure_persistence = Some(Box::new(FileFailurePersistence::Direct("tests/convergence/seeds.txt")));
    let totals = std::cell::RefCell::new(Totals::default());
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(histories, |history| {
        let outcome = run(&history);
        totals.borrow_mut().add(pair, history.seed, &outcome);
        match outcome.broken(pair) {
            None => Ok(()),
            Some(broken) => Err(TestCaseError::fail(format!("{broken}: {history}"))),
        }
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    totals.into_inner()
}

#[test]
fn r2_r4_r5_r7_our_clients_on_our_server_end_equal_lose_nothing_and_do_nothing_twice() {
    hold(pair(Clients::Ours, Server::Ours));
}

#[test]
fn r2_r4_r5_our_clients_in_the_stock_dialect_on_our_server_end_equal_and_lose_nothing() {
    hold(pair(Clients::Plain, Server::Ours));
}

#[test]
fn r2_r4_r5_our_clients_on_a_stock_server_end_equal_and_lose_nothing() {
    hold(pair(Clients::Ours, Server::Stock));
}

#[test]
fn r5_r7_a_room_that_its_server_lost_is_made_again_by_its_clients_and_no_edit_is_made_twice() {
    for clients in [Clients::Ours, Clients::Plain] {
        let pair = pair(clients, Server::Ours);
        hold_each(pair, &any_history_of_losses(pair));
    }
}

#[test]
fn r5_stock_clients_on_our_server_keep_what_is_promised_of_them() {
    hold(pair(Clients::Stock, Server::Ours));
}

#[test]
fn the_control_stock_clients_on_a_stock_server_end_apart_mostly() {
    hold(pair(Clients::Stock, Server::Stock));
}

#[test]
fn r2_r4_r5_r7_our_clients_among_stock_clients_on_our_server_keep_what_is_promised_of_each() {
    hold(pair(Clients::Mixed, Server::Ours));
}

#[test]
fn r2_r4_r5_our_clients_among_stock_clients_on_a_stock_server_end_equal_and_lose_nothing() {
    hold(pair(Clients::Mixed, Server::Stock));
}

#[test]
fn r9_one_history_always_goes_the_same_way() {
    for (seed, pair) in (0..60).zip(Pair::ALL.into_iter().cycle()) {
        let history = History::random(pair, seed, 1..=MAX_CLIENTS, 40);
        let outcome = run(&history);
        assert_eq!(run(&history), outcome, "{history}");
        assert_eq!(history.to_string().parse::<History>().map(|again| run(&again)).ok(), Some(outcome), "{history}");
    }
}
