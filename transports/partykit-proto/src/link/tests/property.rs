use proptest::prelude::*;

use super::*;

mod client;
mod world;

use world::{CLIENTS, Op, World};

fn any_changes() -> impl Strategy<Value = Changes> {
    samples::any_changes(0..4u32)
}

fn any_op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    let side = prop_oneof![Just(Side::Main), Just(Side::Ear)];
    prop_oneof![
        12 => (client.clone(), any_changes()).prop_map(|(number, changes)| Op::Edit(number, changes)),
        16 => client.clone().prop_map(Op::Take),
        2 => client.clone().prop_map(Op::TakeLate),
        24 => (client.clone(), prop_oneof![4 => Just(Side::Ear), 1 => Just(Side::Main)]).prop_map(|(number, side)| Op::Hear(number, side)),
        1 => (client.clone(), side.clone(), 0..3usize).prop_map(|(number, side, arrive)| Op::Break(number, side, arrive)),
        1 => (client.clone(), side.clone()).prop_map(|(number, side)| Op::Notice(number, side)),
        4 => (client.clone(), side).prop_map(|(number, side)| Op::Open(number, side)),
        6 => (client.clone(), 0..3000u64).prop_map(|(number, millis)| Op::Wait(number, millis)),
        8 => (client.clone(), any::<bool>()).prop_map(|(number, of_check)| Op::Answer(number, of_check)),
        1 => client.clone().prop_map(Op::FailGet),
        20 => client.prop_map(Op::Follow),
        1 => Just(Op::Put),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn r2_r4_r5_whatever_happens_every_client_ends_with_what_the_room_holds(
        exists in proptest::bool::weighted(0.9),
        ops in proptest::collection::vec(any_op(), 1..150),
    ) {
        let mut world = World::new(exists);
        for op in &ops {
            world.run(op);
        }
        world.rest();
        let held = world.server.content.clone().unwrap();
        for client in &world.clients {
            prop_assert!(client.open.is_empty(), "no answer for {:?}", client.open);
            prop_assert_eq!(&client.view, &held);
        }
    }
}
