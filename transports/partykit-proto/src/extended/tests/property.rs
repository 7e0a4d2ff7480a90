use proptest::prelude::*;

use super::{
    model::Model,
    place::{Mood, Place},
    room::RealRoom,
    *,
};

mod client;
mod world;

use world::{CLIENTS, Op, World};

fn any_changes() -> impl Strategy<Value = Changes> {
    samples::any_changes(Just(0))
}

fn any_op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    prop_oneof![
        12 => (client.clone(), any_changes()).prop_map(|(number, changes)| Op::Edit(number, changes)),
        16 => client.clone().prop_map(Op::Take),
        2 => client.clone().prop_map(Op::TakeLate),
        24 => client.clone().prop_map(Op::Hear),
        3 => (client.clone(), 0..3usize).prop_map(|(number, arrive)| Op::Break(number, arrive)),
        2 => client.clone().prop_map(Op::Notice),
        6 => client.clone().prop_map(Op::Open),
        4 => (client.clone(), 0..3000u64).prop_map(|(number, millis)| Op::Wait(number, millis)),
        6 => client.clone().prop_map(Op::Answer),
        20 => client.clone().prop_map(Op::Follow),
        1 => (client.clone(), any::<bool>()).prop_map(|(number, process)| Op::Relisten(number, process)),
        1 => client.clone().prop_map(Op::Summarise),
        1 => client.clone().prop_map(Op::Lose),
        1 => Just(Op::Crash),
        1 => client.prop_map(Op::Forget),
        3 => any_changes().prop_map(Op::Change),
        1 => Just(Op::Put),
    ]
}

/// Edits of many messages, which a room refuses in part, and processes that end in the middle of them.
fn any_ops_with_much_refused() -> impl Strategy<Value = Vec<Op>> {
    let client = 0..CLIENTS;
    let large = prop::collection::vec((0..4u32, 0..6u32, any::<bool>()), 1..16).prop_map(|cells| {
        let name = |is_long| if is_long { "long name of a cell ".repeat(3) } else { "c".to_owned() };
        let cells =
            cells.into_iter().map(|(r, c, long)| cell(&format!("r{r}"), &format!("{}{c}", name(long)), Some(0)));
        leaf::of_one_transaction(&cells.collect::<Vec<_>>())
    });
    let mood = prop_oneof![1 => Just(Mood::Usual), 2 => Just(Mood::Everything), 2 => (2..5u32).prop_map(Mood::Some)];
    let goes_on = |number, steps: Vec<u8>| {
        let step = |step| match step {
            0..4 => vec![Op::Take(number), Op::Hear(number)],
            4 => vec![Op::Answer(number), Op::Answer(number)],
            _ => vec![Op::Follow(number)],
        };
        steps.into_iter().flat_map(step).collect::<Vec<_>>()
    };
    let ops = prop_oneof![
        // A malfunctioning server that loses the response to every message in flight would make the client wait for
        // ever.
        10 => any_op()
            .prop_map(|op| if let Op::Lose(number) = op { Op::Hear(number) } else { op })
            .prop_map(|op| vec![op]),
        4 => (client.clone(), large).prop_map(|(number, changes)| vec![Op::Edit(number, changes)]),
        8 => (client.clone(), prop::collection::vec(0..6u8, 1..12)).prop_map(move |(number, steps)| goes_on(number, steps)),
        2 => (client, any::<bool>()).prop_map(|(number, process)| vec![Op::Relisten(number, process), Op::Open(number)]),
        1 => mood.prop_map(|mood| vec![Op::Rule(mood)]),
    ];
    let start = [Op::Put].into_iter().chain((0..CLIENTS).map(Op::Open)).collect::<Vec<_>>();
    prop::collection::vec(ops, 1..60)
        .prop_map(move |ops| start.iter().cloned().chain(ops.into_iter().flatten()).collect())
}

fn run<P: Place>(place: P, ops: &[Op]) {
    World::new(place, None).live(ops);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn r1_r4_r7_whatever_happens_every_change_is_made_once_and_answered_once(
        ops in prop::collection::vec(any_op(), 1..150),
    ) {
        run(Model::default(), &ops);
    }

    #[test]
    fn r1_r4_r7_with_a_real_room_every_change_is_made_once_and_answered_once(
        ops in prop::collection::vec(any_op(), 1..150),
    ) {
        run(RealRoom::new(4096), &ops);
    }

    #[test]
    fn r1_r4_r7_with_a_room_that_takes_no_large_messages_every_change_is_answered_once(
        ops in prop::collection::vec(any_op(), 1..150),
    ) {
        // A join is smaller than that, and so are most edits.
        let limit = 84;
        let mut world = World::new(RealRoom::limited(4096, limit), None);
        world.limit = limit;
        world.live(&ops);
    }

    #[test]
    fn r1_r4_with_a_room_that_forgets_its_clients_every_change_is_answered_once(
        ops in prop::collection::vec(any_op(), 1..150),
    ) {
        let mut world = World::new(RealRoom::new(1), None);
        world.forgot = true;
        world.live(&ops);
    }
    #[test]
    fn r4_r7_whatever_a_room_refuses_it_never_hangs_up_and_every_refusal_is_told_once(
        ops in any_ops_with_much_refused(),
        (count, bytes) in (0..6usize, 0..400usize),
    ) {
        let most = Tally { count, bytes };
        World::new(RealRoom::bounded(4096, most), Some(most)).live(&ops);
    }
}
