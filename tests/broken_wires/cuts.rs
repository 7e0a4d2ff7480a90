//! A connection that breaks at any byte, of a frame or of a request.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    client::Client,
    place::Place,
    proxy::{Direction, Proxy},
    until::within,
};

/// How many sessions run side by side.
const AT_ONCE: usize = 48;

/// How many sessions are looked at to know how long they may be.
const UNCUT: usize = 16;

const END: &str = r#"[{"t":{"r":{"a":1,"b":2}}},{"first":1,"mine":2,"theirs":3}]"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_at_any_byte_to_the_server_loses_nothing() {
    cut_everywhere(Direction::ToServer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_at_any_byte_to_the_client_loses_nothing() {
    cut_everywhere(Direction::ToClient).await;
}

/// Cuts a session at each byte, up to the last one of the longest that was seen.
///
/// No two sessions need to be alike: edits travel together or not, as it comes. So a session may be over before the byte
/// at which it was to be cut; but joining is the same each time, and most of it.
async fn cut_everywhere(direction: Direction) {
    let place = Arc::new(Place::ours("cuts").await);
    let mut uncut = Vec::new();
    for number in 0..UNCUT {
        let session = session(&place, &format!("uncut-{number:04}"), direction, u64::MAX).await;
        assert_eq!(session.cuts, 0);
        uncut.push(session);
    }
    let joined = uncut.iter().map(|session| session.joined).min().expect("there are some");
    let longest = uncut.iter().map(|session| session.passed).max().expect("there are some");
    assert!(joined > 500, "{joined} bytes are no way to join");
    assert!(longest < joined * 3 / 2, "{joined} bytes are not most of {longest}");
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut sessions = JoinSet::new();
    for at in 0..longest {
        let place = place.clone();
        let permit = places.clone().acquire_owned().await.expect("it is never closed");
        sessions.spawn(async move {
            let session = session(&place, &format!("cut-{at:06}"), direction, at).await;
            drop(permit);
            let is_over = session.cuts == 0 && session.passed <= at && at >= joined;
            assert!(session.cuts == 1 || is_over, "to be cut at {at} of at least {joined}: {session:?}");
        });
        while let Some(session) = sessions.try_join_next() {
            session.expect("the session ends well");
        }
    }
    sessions.join_all().await;
}

/// How a session went: how many bytes had passed when it had joined, and at the end, and how often it was cut.
#[derive(Debug)]
struct Session {
    joined: u64,
    passed: u64,
    cuts: u64,
}

/// Runs a small session of which one connection is cut, if it gets so far.
async fn session(place: &Place, room: &str, direction: Direction, cut_at: u64) -> Session {
    let proxy = Proxy::start(place.host()).await;
    proxy.cut_after(direction, cut_at);
    let client = Client::new(&proxy.host(), room);
    client.set("first", 1);
    client.join().await;
    let joined = proxy.passed(direction);
    let other = Client::joined(place.host(), room).await;
    client.store.set_row("t", "r", [("a", 1), ("b", 1)]).expect("it can be held");
    other.set("theirs", 3);
    client.flushed().await;
    client.store.set_cell("t", "r", "b", 2).expect("it can be held");
    client.set("mine", 2);
    client.flushed().await;
    other.flushed().await;
    for client in [&client, &other] {
        client.until(END).await;
        assert_eq!(client.engine.unconfirmed(), []);
    }
    // In this order: what passes in between may be the cut.
    let passed = proxy.passed(direction);
    let session = Session { joined, passed, cuts: proxy.cuts() };
    assert_eq!(within("the end", other.end()).await, []);
    session
}
