use std::collections::BTreeMap;

use futures_util::StreamExt;
use proptest::prelude::*;
use tokio::runtime::Builder;

use super::*;
use crate::connection::{
    Bounds, Work,
    testing::{Recorder, Sent, connect, decode, record},
};

fn all(members: &Arc<[ConnectionId]>, except: Option<ConnectionId>) -> Audience {
    Audience::All { members: Arc::clone(members), except }
}

fn ids(ids: impl IntoIterator<Item = u64>) -> Arc<[ConnectionId]> {
    ids.into_iter().map(ConnectionId).collect()
}

fn payload(text: impl Into<String>) -> Bytes {
    Bytes::from(text.into())
}

fn text(text: &str) -> Sent {
    Sent::Text(text.to_owned())
}

/// A fan-out to recorders.
async fn fanout(count: u64) -> (Fanout, Vec<Recorder>) {
    let (mut fanout, mut recorders) = (Fanout::new(), Vec::new());
    for id in 0..count {
        let (connection, recorder) = record(ConnectionId(id)).await;
        fanout.join(connection);
        recorders.push(recorder);
    }
    (fanout, recorders)
}

#[tokio::test]
async fn what_gathers_between_two_flushes_is_one_write_for_each_connection() {
    let (mut fanout, recorders) = fanout(4).await;
    let members = ids(0..4);
    for round in ["a", "b", "c"] {
        fanout.send(&all(&members, Some(ConnectionId(0))), &payload(round));
        fanout.send(&Audience::One(ConnectionId(0)), &payload(format!("{round} is stored")));
    }
    fanout.ping(ConnectionId(1), 5);
    assert_eq!(recorders[0].writes().len() + recorders[1].writes().len(), 0, "nothing before it is flushed");
    fanout.flush().await;
    for (recorder, frames) in recorders.iter().zip([3, 4, 3, 3]) {
        let writes = recorder.writes();
        assert_eq!(writes.len(), 1);
        assert_eq!(decode(&writes[0]).len(), frames);
    }
    fanout.flush().await;
    assert_eq!(recorders[0].writes().len(), 0);
}

#[tokio::test]
async fn a_large_content_for_single_connections_is_sent_between_small_frames() {
    let (mut fanout, recorders) = fanout(50).await;
    let (members, content) = (ids(0..50), payload("x".repeat(1 << 20)));
    for id in 0..50 {
        fanout.send(&Audience::One(ConnectionId(id)), &payload("hello"));
        fanout.send(&Audience::One(ConnectionId(id)), &content);
    }
    fanout.send(&all(&members, None), &payload("bye"));
    fanout.flush().await;
    for recorder in recorders {
        let frames = recorder.frames();
        assert_eq!((&frames[0], &frames[2], frames.len()), (&text("hello"), &text("bye"), 3));
        assert!(matches!(&frames[1], Sent::Text(text) if text.len() == 1 << 20));
    }
}

#[tokio::test]
async fn a_large_frame_that_is_broadcast_twice_is_sent_twice() {
    let (mut fanout, recorders) = fanout(2).await;
    let (members, content) = (ids(0..2), payload("x".repeat(100_000)));
    for _ in 0..2 {
        fanout.send(&all(&members, None), &content);
        fanout.send(&all(&members, None), &payload("small"));
    }
    fanout.flush().await;
    for recorder in recorders {
        let lengths = recorder.frames().into_iter().map(|frame| match frame {
            Sent::Text(text) => text.len(),
            other => panic!("{other:?}"),
        });
        assert_eq!(lengths.collect::<Vec<_>>(), [100_000, 5, 100_000, 5]);
    }
}

#[tokio::test]
async fn a_connection_that_resumes_is_sent_what_comes_after_and_nothing_from_before() {
    let (mut fanout, _recorders) = fanout(1).await;
    let id = ConnectionId(9);
    let (slow, mut client) = connect(id, Bounds { frames: 1, bytes: 1 }, 1).await;
    fanout.join(Arc::clone(&slow));
    let members = ids([0, 9]);
    fanout.send(&all(&members, None), &payload("begun"));
    fanout.flush().await;
    fanout.send(&all(&members, None), &payload("too much"));
    fanout.flush().await;
    assert_eq!(fanout.notices().take(), [Notice::Behind(id)]);
    let working = tokio::spawn(async move { slow.work().await });
    assert_eq!(client.next().await.unwrap().unwrap().to_text().unwrap(), "begun");
    fanout.notices().arrived().await;
    assert_eq!(fanout.notices().take(), [Notice::CaughtUp(id)]);
    fanout.send(&all(&members, None), &payload("before"));
    fanout.resume(id);
    fanout.send(&Audience::One(id), &payload("everything"));
    fanout.flush().await;
    assert_eq!(client.next().await.unwrap().unwrap().to_text().unwrap(), "everything");
    working.abort();
}

#[tokio::test]
async fn all_connections_of_a_room_that_ends_are_closed() {
    let (fanout, _recorders) = fanout(1).await;
    let connection = Arc::clone(&fanout.connections[&ConnectionId(0)]);
    drop(fanout);
    let Work::Close(close) = connection.work().await else { panic!("it works on") };
    assert_eq!(close, GONE);
}

#[tokio::test]
async fn connections_are_closed_when_what_they_were_sent_is_lost_and_those_that_follow_are_not() {
    let (mut fanout, _recorders) = fanout(100).await;
    let connection = Arc::clone(&fanout.connections[&ConnectionId(0)]);
    fanout.shards.lose();
    fanout.send(&all(&ids(0..100), None), &payload("lost"));
    fanout.flush().await;
    let Work::Close(close) = connection.work().await else { panic!("it works on") };
    assert_eq!(close, GONE);
    let (connection, recorder) = record(ConnectionId(100)).await;
    fanout.join(connection);
    fanout.send(&all(&ids(0..101), None), &payload("sent"));
    fanout.flush().await;
    assert_eq!(recorder.frames(), [text("sent")]);
}

#[derive(Clone, Debug)]
enum Step {
    /// To all members, or to those with an even id.
    Broadcast {
        even: bool,
        except: Option<u64>,
        large: bool,
    },
    One(u64),
    Ping(u64),
    Join,
    Leave(u64),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..8_u64;
    prop_oneof![
        8 => (any::<bool>(), prop::option::of(id()), prop::bool::weighted(0.1))
            .prop_map(|(even, except, large)| Step::Broadcast { even, except, large }),
        3 => id().prop_map(Step::One),
        2 => id().prop_map(Step::Ping),
        1 => Just(Step::Join),
        1 => id().prop_map(Step::Leave),
        3 => Just(Step::Flush),
    ]
}

/// Takes the steps, and compares the frames that each connection is sent with the expected ones.
async fn every_connection_is_sent_everything_in_order(steps: Vec<Step>, count: u64) {
    let (mut fanout, recorders) = fanout(count).await;
    let mut recorders: BTreeMap<u64, Recorder> = (0..).zip(recorders).collect();
    let mut here: Vec<u64> = (0..count).collect();
    let mut expected: BTreeMap<u64, Vec<Sent>> = BTreeMap::new();
    let mut audiences = [ids([]), ids([])];
    let mut changed = true;
    for (number, step) in steps.into_iter().chain([Step::Flush]).enumerate() {
        if changed {
            audiences = [ids(here.iter().copied()), ids(here.iter().copied().filter(|id| id % 2 == 0))];
            changed = false;
        }
        match step {
            Step::Broadcast { even, except, large } => {
                let members = &audiences[usize::from(even)];
                let frame = format!("{number}{}", if large { "x".repeat(20_000) } else { String::new() });
                fanout.send(&all(members, except.map(ConnectionId)), &payload(frame.clone()));
                for member in members.iter().filter(|member| Some(member.0) != except) {
                    expected.entry(member.0).or_default().push(text(&frame));
                }
            }
            Step::One(id) => {
                fanout.send(&Audience::One(ConnectionId(id)), &payload(format!("{number} for you")));
                if here.contains(&id) {
                    expected.entry(id).or_default().push(text(&format!("{number} for you")));
                }
            }
            Step::Ping(id) => {
                fanout.ping(ConnectionId(id), number as u64);
                if here.contains(&id) {
                    expected.entry(id).or_default().push(Sent::Ping((number as u64).to_be_bytes().to_vec()));
                }
            }
            Step::Join => {
                let id = recorders.len() as u64;
                let (connection, recorder) = record(ConnectionId(id)).await;
                fanout.join(connection);
                recorders.insert(id, recorder);
                here.push(id);
                changed = true;
            }
            Step::Leave(id) => {
                fanout.leave(ConnectionId(id));
                here.retain(|other| *other != id);
                changed = true;
            }
            Step::Flush => fanout.flush().await,
        }
    }
    fanout.shards.delivered().await;
    for (id, recorder) in recorders {
        assert_eq!(recorder.frames(), expected.remove(&id).unwrap_or_default(), "connection {id}");
    }
}

proptest! {
    #[test]
    fn a_small_room_sends_everything_in_order(steps in prop::collection::vec(step(), 1..60)) {
        Builder::new_current_thread().build().unwrap().block_on(every_connection_is_sent_everything_in_order(steps, 6));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_large_room_sends_everything_in_order(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let test = every_connection_is_sent_everything_in_order(steps, 200);
        runtime.block_on(async { tokio::spawn(test).await.unwrap() });
    }
}

/// The number of connections changes how frames are written to them, in both directions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_becomes_large_and_small_again_sends_everything_in_order() {
    let (mut fanout, recorders) = fanout(300).await;
    for id in 130..300 {
        fanout.leave(ConnectionId(id));
    }
    let first = ids(0..1);
    for round in 0..300 {
        let (left, members) = (130 - round.min(129), ids(0..(130 - round.min(129))));
        fanout.leave(ConnectionId(left));
        fanout.send(&all(&members, None), &payload(format!("{round}")));
        fanout.send(&all(&first, None), &payload(format!("{round} again")));
        fanout.flush().await;
    }
    fanout.shards.delivered().await;
    let expected: Vec<_> = (0..300).flat_map(|round| [format!("{round}"), format!("{round} again")]).collect();
    assert_eq!(recorders[0].frames(), expected.iter().map(|frame| text(frame)).collect::<Vec<_>>());
    assert_eq!(recorders[129].frames(), [text("0")]);
}
