//! A server that fails, refuses, falls silent or starts again.

use std::time::Duration;

use roommate::ErrorKind;
use roommate_partykit::ReadyState;
use roommate_server::ServerConfig;

use crate::{
    client::{Client, attentive_options, config},
    place::{Place, stock_dialect},
    proxy::{Asks, response},
    until::{until, within},
};

#[tokio::test]
async fn a_500_for_a_get_is_told_and_tried_again() {
    let place = Place::ours("500").await;
    place.put(r#"[{},{"seed":1}]"#).await;
    place.proxy.answer(Asks::Get, 3, response("500 Internal Server Error", "out of memory"));
    let client = place.client();
    let joining = client.engine.start_auto_persisting(None);
    until("the load has failed", || !client.errors().is_empty()).await;
    client.set("mine", 1);
    client.done("joining", joining).await;
    let errors = client.errors();
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Unavailable), "{errors:?}");
    let told = errors.iter().filter(|error| error.to_string().contains("500: out of memory")).count();
    assert_eq!(told, 3, "{errors:?}");
    place.agree([client], r#"[{},{"seed":1,"mine":1}]"#).await;
}

/// What will not pass by itself goes to whoever waits, and is not asked again.
#[tokio::test]
async fn a_401_for_a_get_is_an_error_of_the_call() {
    let place = Place::ours("401").await;
    place.proxy.answer(Asks::Get, u64::MAX, response("401 Unauthorized", "who are you?"));
    let client = place.client();
    let error = within("joining", client.engine.start_auto_persisting(None)).await.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("401: who are you?"), "{error}");
    client.set("mine", 1);
    assert_eq!((place.proxy.requests(Asks::Get), client.engine.unconfirmed().len()), (1, 1));
    place.proxy.answer_no_more();
    client.join().await;
    place.agree([client], r#"[{},{"mine":1}]"#).await;
}

#[tokio::test]
async fn a_socket_that_is_refused_says_so_and_leaves_the_edits_alone() {
    let place = Place::ours("403").await;
    place.put(r#"[{},{"seed":1}]"#).await;
    place.proxy.answer(Asks::Upgrade, u64::MAX, response("403 Forbidden", "not you"));
    let client = place.client();
    let error = within("joining", client.engine.start_auto_persisting(None)).await.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("403 Forbidden: not you"), "{error}");
    client.set("mine", 1);
    assert_eq!(client.engine.unconfirmed().len(), 1);
    place.proxy.answer_no_more();
    client.socket.reconnect().expect("there is a room");
    until("it is connected", || client.socket.ready_state() == ReadyState::Open).await;
    client.join().await;
    place.agree([client], r#"[{},{"seed":1,"mine":1}]"#).await;
}

#[tokio::test]
async fn where_nobody_listens_it_is_tried_again_until_somebody_does() {
    let place = Place::ours("nobody").await;
    place.proxy.refuse().await;
    let client = place.client();
    client.set("seed", 1);
    let joining = client.engine.start_auto_persisting(None);
    until("it is tried again", || client.socket.retry_count() > 1).await;
    until("it is told", || !client.errors().is_empty()).await;
    assert!(client.errors().iter().all(|error| error.kind() == ErrorKind::Unavailable), "{client:?}");
    client.set("mine", 1);
    place.proxy.accept().await;
    client.done("joining", joining).await;
    place.agree([client], r#"[{},{"seed":1,"mine":1}]"#).await;
}

/// Both HTTP and the sockets fall silent, in both directions.
#[tokio::test]
async fn a_network_that_swallows_everything_is_found_out_and_swallows_no_edit() {
    let place = Place::ours("silence").await;
    let client = Client::with(
        attentive_options(&place.proxy.host(), &place.room).with_connection_timeout(Duration::from_millis(500)),
        config().with_request_timeout(Duration::from_millis(500)),
    );
    client.join().await;
    let other = place.other().await;
    place.proxy.sockets.swallow();
    place.proxy.http.swallow();
    client.set("mine", 1);
    let before = place.proxy.requests(Asks::Upgrade);
    until("it is tried again", || place.proxy.requests(Asks::Upgrade) > before + 2).await;
    client.set("also", 1);
    other.set("theirs", 1);
    place.proxy.sockets.release();
    place.proxy.http.release();
    place.agree([client, other], r#"[{},{"mine":1,"theirs":1,"also":1}]"#).await;
}

/// A load into silence ends by the deadline of the request.
#[tokio::test]
async fn a_get_that_is_never_answered_is_told_and_tried_again() {
    let place = Place::ours("no answer").await;
    place.put(r#"[{},{"seed":1}]"#).await;
    place.proxy.http.to_client.swallow();
    let client = Client::with(
        crate::client::options(&place.proxy.host(), &place.room),
        config().with_request_timeout(Duration::from_millis(100)),
    );
    let joining = client.engine.start_auto_persisting(None);
    until("it is told", || !client.errors().is_empty()).await;
    client.set("mine", 1);
    place.proxy.http.to_client.release();
    client.done("joining", joining).await;
    assert!(client.errors().iter().all(|error| error.kind() == ErrorKind::Unavailable), "{client:?}");
    place.agree([client], r#"[{},{"seed":1,"mine":1}]"#).await;
}

/// A server that keeps rooms in memory comes back without them: who was there makes the room again.
#[tokio::test]
async fn a_server_that_starts_again_without_its_rooms_gets_them_back() {
    let place = Place::ours("restart").await;
    let client = place.joined().await;
    client.set("seed", 1);
    client.flushed().await;
    let again = Place::on(stock_dialect(), "restarted").await;
    place.proxy.lead_to(again.host());
    place.proxy.kill().await;
    client.set("mine", 1);
    client.done("coming back", client.engine.flush()).await;
    let late = Client::joined(again.host(), &place.room).await;
    let json = r#"[{},{"seed":1,"mine":1}]"#;
    client.until(json).await;
    late.until(json).await;
    assert_eq!((client.end().await, late.end().await), (vec![], vec![]));
}

/// What is on its way waits for the room's store, which only another save would make; and it leaves no room for that.
#[tokio::test]
async fn r4_a_room_that_a_restart_lost_comes_back_with_more_edits_than_may_be_on_their_way() {
    const MANY: i32 = 300;
    for (server, speaks) in [(stock_dialect(), config()), (ServerConfig::new(), config().with_extended_dialect(true))] {
        let place = Place::on(server.clone(), "many").await;
        let client = Client::with(crate::client::options(&place.proxy.host(), &place.room), speaks);
        client.join().await;
        client.set("seed", 1);
        client.flushed().await;
        place.proxy.refuse().await;
        place.proxy.kill().await;
        let restarted = Place::on(server, "made anew").await;
        place.proxy.lead_to(restarted.host());
        for number in 0..MANY {
            client.set(&format!("v{number}"), number);
            // Each a save of its own, as long as there is room.
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        place.proxy.accept().await;
        client.done("coming back", client.engine.flush()).await;
        let late = Client::joined(restarted.host(), &place.room).await;
        until("everything is there", || late.store.values().len() == MANY as usize + 1).await;
        assert_eq!((client.end().await, late.end().await), (vec![], vec![]));
    }
}
