use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;
use roommate::{Cell, Changes, Content, Error, ErrorKind, Id, Persister, Save, Saved, block_on};

use super::*;
use crate::proto::{Asker, Context, Policy};

mod follower;

use follower::Follower;

fn value(id: &str, to: u32) -> Changes {
    let mut changes = Changes::new();
    changes.set_value(id, Cell::from(to));
    changes
}

fn content(values: &[(&str, u32)]) -> Content {
    let mut content = Content::new();
    for (id, to) in values {
        content.values.insert(*id, Cell::from(*to));
    }
    content
}

/// A room that behaves like TinyBase's.
fn stock() -> RoomConfig {
    RoomConfig::new().with_cures(false)
}

/// Refuses the value `secret`.
#[derive(Debug)]
struct House;

impl Policy for House {
    fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        value_id != "secret"
    }
}

/// A room with a store, and the followers who have joined it.
fn joined(config: RoomConfig, count: usize) -> (MockRoom, Vec<Follower>) {
    let room = MockRoom::new(config);
    room.hold(false);
    let first = || content(&[("made", 1)]);
    assert_eq!(block_on(room.persister().save(Save::new(&first, None))).unwrap(), Saved::Found(first()));
    room.hold(true);
    let mut followers: Vec<_> = (0..count).map(|_| Follower::new(&room)).collect();
    rest(&room, &mut followers);
    assert!(followers.iter().all(|follower| follower.view == first()));
    (room, followers)
}

/// Delivers everything, and runs every follower as far as it can go.
fn rest(room: &MockRoom, followers: &mut [Follower]) {
    loop {
        followers.iter_mut().for_each(Follower::step);
        if room.deliver_all() == 0 {
            return followers.iter_mut().for_each(Follower::step);
        }
    }
}

#[test]
fn messages_are_held_until_told() {
    let (room, mut followers) = joined(stock(), 2);
    followers[0].save(value("v", 1));
    assert_eq!(room.content(), Some(content(&[("made", 1)])));
    assert!(room.deliver_next());
    assert_eq!(room.content(), Some(content(&[("made", 1), ("v", 1)])));
    followers[1].step();
    assert_eq!(followers[1].view, content(&[("made", 1)]));
    rest(&room, &mut followers);
    for follower in &followers {
        assert_eq!(follower.view, content(&[("made", 1), ("v", 1)]));
    }
    assert_eq!(followers[0].confirmed.len(), 1);
}

#[test]
fn a_cut_lets_what_was_on_its_way_arrive_and_a_loss_does_not() {
    for arrives in [true, false] {
        let (room, mut followers) = joined(stock(), 1);
        followers[0].save(value("v", 1));
        let persister = followers[0].persister.client();
        match arrives {
            true => room.cut(persister, Side::Main),
            false => room.lose(persister, Side::Main),
        }
        rest(&room, &mut followers);
        assert_eq!(room.content().unwrap().values.contains("v"), arrives);
        room.open(persister, Side::Main);
        rest(&room, &mut followers);
        assert!(room.content().unwrap().values.contains("v"), "it was sent again");
        assert_eq!(followers[0].confirmed.len(), 1);
    }
}

#[test]
fn l24_a_silent_connection_swallows_an_edit_and_it_is_not_called_refused() {
    let (room, mut followers) = joined(stock(), 1);
    let persister = followers[0].persister.client();
    room.freeze(persister, Side::Main);
    followers[0].save(value("v", 1));
    for _ in 0..20 {
        room.advance(Duration::from_secs(1));
        rest(&room, &mut followers);
    }
    assert_eq!(followers[0].log, [""; 0]);
    room.cut(persister, Side::Main);
    room.open(persister, Side::Main);
    rest(&room, &mut followers);
    assert_eq!(followers[0].view, content(&[("made", 1), ("v", 1)]));
    assert_eq!(followers[0].confirmed.len(), 1);
}

#[test]
fn l19_a_refusal_is_told_when_its_time_has_come() {
    let (room, mut followers) = joined(stock().with_policy(House), 1);
    followers[0].save(value("secret", 1));
    rest(&room, &mut followers);
    assert_eq!(followers[0].log, [""; 0]);
    room.advance(Duration::from_secs(5));
    rest(&room, &mut followers);
    assert_eq!(followers[0].view, content(&[("made", 1)]));
    assert!(followers[0].log[0].starts_with("Confirmed") && followers[0].log[0].contains("secret"));
}

#[test]
fn r6_a_server_that_is_killed_forgets_nothing_that_was_told() {
    let (room, mut followers) = joined(stock(), 2);
    followers[0].save(value("v", 1));
    rest(&room, &mut followers);
    followers[0].save(value("w", 1));
    room.restart();
    assert_eq!(room.connections(), []);
    for follower in &followers {
        room.open(follower.persister.client(), Side::Main);
        room.open(follower.persister.client(), Side::Ear);
    }
    rest(&room, &mut followers);
    for follower in &followers {
        assert_eq!(follower.view, content(&[("made", 1), ("v", 1), ("w", 1)]));
    }
}

#[test]
fn a_request_that_fails_is_an_error_that_passes() {
    let (room, _) = joined(stock(), 0);
    let persister = room.persister();
    let mut load = persister.load();
    assert!((&mut load).now_or_never().is_none());
    assert!(room.fail_request(persister.client()));
    assert!(!room.fail_request(persister.client()));
    assert!(load.now_or_never().unwrap().unwrap_err().is_temporary());
}

#[test]
fn who_is_not_let_in_is_told_why() {
    #[derive(Debug)]
    struct Nobody;
    #[async_trait::async_trait]
    impl Policy for Nobody {
        async fn can_connect(&self, _: &mut Context) -> roommate::Result<bool> {
            Ok(false)
        }
    }
    let room = MockRoom::new(stock().with_policy(Nobody));
    room.hold(false);
    let persister = room.persister();
    let error: Error = block_on(persister.watch()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[test]
fn a_closed_persister_is_closed() {
    let (room, mut followers) = joined(stock(), 1);
    let follower = &mut followers[0];
    block_on(follower.persister.close()).unwrap();
    assert!(follower.stream.as_mut().unwrap().next().now_or_never().unwrap().is_none());
    assert_eq!(block_on(follower.persister.load()).unwrap_err().kind(), ErrorKind::Closed);
    room.deliver_all();
    assert_eq!(room.connections(), []);
}

#[derive(Clone, Debug)]
enum Op {
    Save(usize, u8, u32),
    Deliver(usize),
    Step(usize),
    Cut(usize, bool, bool),
    Freeze(usize, bool),
    Open(usize, bool),
    Fail(usize),
    Advance(u64),
    Restart,
}

const FOLLOWERS: usize = 3;

fn any_op() -> impl Strategy<Value = Op> {
    let who = 0..FOLLOWERS;
    prop_oneof![
        8 => (who.clone(), 0..4u8, 0..9u32).prop_map(|(who, id, to)| Op::Save(who, id, to)),
        30 => (0..12usize).prop_map(Op::Deliver),
        8 => who.clone().prop_map(Op::Step),
        2 => (who.clone(), any::<bool>(), any::<bool>()).prop_map(|(who, main, arrives)| Op::Cut(who, main, arrives)),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, main)| Op::Freeze(who, main)),
        4 => (who.clone(), any::<bool>()).prop_map(|(who, main)| Op::Open(who, main)),
        1 => who.prop_map(Op::Fail),
        4 => (0..3000u64).prop_map(Op::Advance),
        1 => Just(Op::Restart),
    ]
}

fn side(main: bool) -> Side {
    if main { Side::Main } else { Side::Ear }
}

/// Runs the operations until nothing is pending. Returns what every follower received, and the room's content.
fn play(ops: &[Op]) -> (Vec<Vec<String>>, Content) {
    let (room, mut followers) = joined(stock().with_policy(House), FOLLOWERS);
    for op in ops {
        match *op {
            Op::Save(who, id, to) => followers[who].save(value(["a", "b", "c", "secret"][usize::from(id)], to)),
            Op::Deliver(at) => {
                let pending = room.pending();
                if !pending.is_empty() {
                    assert!(room.deliver(pending[at % pending.len()]));
                }
            }
            Op::Step(who) => followers[who].step(),
            Op::Cut(who, main, true) => room.cut(followers[who].persister.client(), side(main)),
            Op::Cut(who, main, false) => room.lose(followers[who].persister.client(), side(main)),
            Op::Freeze(who, main) => room.freeze(followers[who].persister.client(), side(main)),
            Op::Open(who, main) => room.open(followers[who].persister.client(), side(main)),
            Op::Fail(who) => {
                room.fail_request(followers[who].persister.client());
            }
            Op::Advance(millis) => room.advance(Duration::from_millis(millis)),
            Op::Restart => room.restart(),
        }
    }
    for follower in &followers {
        for side in [Side::Main, Side::Ear] {
            room.cut(follower.persister.client(), side);
            room.open(follower.persister.client(), side);
        }
    }
    for _ in 0..20 {
        rest(&room, &mut followers);
        room.advance(Duration::from_secs(1));
    }
    let held = room.content().unwrap();
    for follower in &followers {
        assert!(follower.saving.is_none() && follower.saves.is_empty(), "every save is answered");
        assert_eq!(follower.view, held);
    }
    (followers.into_iter().map(|follower| follower.log).collect(), held)
}

proptest! {
    #[test]
    fn r2_r4_r5_persisters_of_one_room_end_equal_whatever_happens_and_each_time_alike(
        ops in proptest::collection::vec(any_op(), 1..120),
    ) {
        prop_assert_eq!(play(&ops), play(&ops));
    }
}
