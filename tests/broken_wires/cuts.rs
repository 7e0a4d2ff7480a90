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

const END: &str = r#"[{"t":{"r":{"a":1,"b":2}}},{"first":1,"mine":2,"theirs":3}]"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_at_any_byte_to_the_server_loses_nothing() {
    cut_everywhere(Direction::ToServer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_at_any_byte_to_the_client_loses_nothing() {
    cut_everywhere(Direction::ToClient).await;
}

async fn cut_everywhere(direction: Direction) {
    let place = Arc::new(Place::ours("cuts").await);
    let (bytes, cuts) = session(&place, "uncut", direction, u64::MAX).await;
    assert_eq!(cuts, 0);
    assert!(bytes > 500, "{bytes} bytes are no session");
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut sessions = JoinSet::new();
    for at in 0..bytes {
        let place = place.clone();
        let permit = places.clone().acquire_owned().await.expect("it is never closed");
        sessions.spawn(async move {
            let (_, cuts) = session(&place, &format!("cut-{at}"), direction, at).await;
            drop(permit);
            cuts
        });
        while let Some(session) = sessions.try_join_next() {
            assert_eq!(session.expect("the session ends well"), 1, "one connection was cut");
        }
    }
    for cuts in sessions.join_all().await {
        assert_eq!(cuts, 1, "one connection was cut");
    }
}

/// Runs a small session of which one connection is cut; tells how many bytes passed, and how often it was cut.
async fn session(place: &Place, room: &str, direction: Direction, cut_at: u64) -> (u64, u64) {
    let proxy = Proxy::start(place.host()).await;
    proxy.cut_after(direction, cut_at);
    let client = Client::new(&proxy.host(), room);
    client.set("first", 1);
    client.join().await;
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
    let told = (proxy.passed(direction), proxy.cuts());
    assert_eq!(within("the end", other.end()).await, []);
    drop(proxy);
    told
}
