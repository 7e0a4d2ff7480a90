//! The laws of the extended dialect, for histories with everything in them that can go wrong.

use proptest::prelude::*;

#[path = "laws/dialect.rs"]
mod laws;

use laws::{CLIENTS, Edit, Op};

fn edit() -> impl Strategy<Value = Edit> {
    let id = || prop::sample::select(vec!["a", "b"]);
    prop_oneof![
        4 => (id(), id()).prop_map(|(row, cell)| Edit::Set(row, cell)),
        1 => id().prop_map(Edit::DelRow),
        1 => Just(Edit::DelTable),
        2 => Just(Edit::Guarded),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let client = || 0..CLIENTS;
    prop_oneof![
        8 => (client(), edit()).prop_map(|(client, edit)| Op::Edit(client, edit)),
        2 => edit().prop_map(Op::StockEdit),
        1 => Just(Op::Put),
        12 => client().prop_map(Op::Up),
        12 => client().prop_map(Op::Down),
        3 => (client(), any::<bool>()).prop_map(|(client, eager)| Op::Connect(client, eager)),
        2 => (client(), 0..4_usize).prop_map(|(client, arrive)| Op::Cut(client, arrive)),
        1 => Just(Op::Gone),
        1 => client().prop_map(Op::Behind),
        2 => client().prop_map(Op::Ack),
        1 => (0..4_usize, any::<bool>()).prop_map(|(after, arrives)| Op::Crash(after, arrives)),
        2 => Just(Op::Rule),
    ]
}

fn history() -> impl Strategy<Value = Vec<Op>> {
    // Most begin with somebody there and a store, so that there is something to go wrong.
    let start = prop::sample::select(vec![
        vec![],
        vec![Op::Put],
        vec![Op::Put, Op::Connect(0, false), Op::Up(0), Op::Down(0), Op::Connect(1, false), Op::Up(1), Op::Down(1)],
    ]);
    (start, prop::collection::vec(op(), 0..80)).prop_map(|(start, ops)| start.into_iter().chain(ops).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn r1_r6_r7_everybody_ends_with_what_the_room_holds_and_every_change_counts_once(
        history in history(),
        log in prop::sample::select(vec![0, 3, 4096]),
    ) {
        laws::hold_for_history(&history, log);
    }
}
