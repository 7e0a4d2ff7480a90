//! Stock clients, with all kinds of delays.

use proptest::prelude::*;
use roommate::{Cell, Changes, Content, Id, Payload};

use super::*;
use crate::{
    Asker, Context, Policy, RequestId,
    room::{Input, Room, RoomConfig},
};

mod stories;
mod world;

use world::{Do, World};

fn an_edit() -> impl Strategy<Value = Vec<world::Edit>> {
    let id = || 0..2_u8;
    let edit = prop_oneof![
        6 => (id(), id(), id()).prop_map(|(table, row, cell)| world::Edit::SetCell(table, row, cell)),
        2 => (id(), id(), id()).prop_map(|(table, row, cell)| world::Edit::DelCell(table, row, cell)),
        2 => (id(), id()).prop_map(|(table, row)| world::Edit::DelRow(table, row)),
        1 => id().prop_map(world::Edit::DelTable),
        3 => id().prop_map(world::Edit::SetValue),
        1 => id().prop_map(world::Edit::DelValue),
        1 => Just(world::Edit::SetOddValue),
    ];
    prop::collection::vec(edit, 1..4)
}

fn a_step(clients: usize) -> impl Strategy<Value = Do> {
    let client = move || 0..clients;
    prop_oneof![
        6 => (client(), an_edit()).prop_map(|(client, edits)| Do::Edit(client, edits)),
        6 => client().prop_map(Do::DeliverUp),
        6 => client().prop_map(Do::DeliverDown),
        4 => client().prop_map(Do::See),
        4 => client().prop_map(Do::Http),
        1 => (client(), any::<bool>()).prop_map(|(client, arrives)| Do::Cut(client, arrives)),
        2 => client().prop_map(Do::Connect),
        1 => client().prop_map(Do::LoseRequest),
        1 => Just(Do::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn r5_stock_clients_end_equal(
        guarded in any::<bool>(),
        pongs in prop::array::uniform3(prop::bool::weighted(0.9)),
        joined in any::<bool>(),
        steps in prop::collection::vec(a_step(3), 0..60),
    ) {
        let mut world = World::new(guarded, &pongs);
        if joined {
            world.come_to_rest();
        }
        for step in &steps {
            world.take(step);
        }
        world.come_to_rest();
        if let Some(held) = world.held() {
            for client in 0..3 {
                prop_assert_eq!(world.shown(client), &held, "client {}", client);
            }
        }
        prop_assert!(!world.wants_ticks(), "everything is settled in the end");
        if !guarded {
            // The client need not have seen what it was sent before its first change.
            for client in 0..3 {
                world.is_answered(client);
                world.come_to_rest();
            }
            for client in (0..3).filter(|client| pongs[*client]) {
                world.come_to_rest();
                prop_assert!(!world.is_answered(client), "client {} has seen everything", client);
            }
        }
    }
}
