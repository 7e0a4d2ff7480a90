//! A server that talks nonsense.

use roommate::ErrorKind;

use crate::{
    place::Place,
    proxy::{Asks, response},
    until::{until, within},
};

const HTML: &str = "<!doctype html><title>Log in to this network</title>";

/// What no HTTP client can read is a failure that passes: the load is tried again, each failure is told.
#[tokio::test]
async fn a_get_answered_with_no_http_is_tried_again() {
    for garbage in
        [&b"\0\xff\xfe garbage\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[{", b"", b"HTTP/9.9"]
    {
        let place = Place::ours("no http").await;
        place.put(r#"[{},{"seed":1}]"#).await;
        place.proxy.answer(Asks::Get, 3, garbage);
        let client = place.client();
        let joining = client.engine.start_auto_persisting(None);
        until("the load has failed", || !client.errors().is_empty()).await;
        client.set("mine", 1);
        client.done("joining", joining).await;
        // A machine that is too busy to answer in time adds to it.
        assert!(client.errors().len() >= 3, "{client:?}");
        assert!(client.errors().iter().all(|error| error.kind() == ErrorKind::Unavailable), "{client:?}");
        place.agree([client], r#"[{},{"seed":1,"mine":1}]"#).await;
    }
}

/// An answer that is no content will be none the next time either: whoever waits for the load is told.
#[tokio::test]
async fn a_get_answered_with_no_content_is_a_clear_error() {
    for body in [HTML, "{}", "[1,2]", "[{},{},1]", "null", r#"[{"t":{"r":null}},{}]"#, "[{},{", "\u{feff}"] {
        let place = Place::ours("no content").await;
        place.put(r#"[{},{"seed":1}]"#).await;
        place.proxy.answer(Asks::Get, 1, response("200 OK", body));
        let client = place.client();
        let joining = client.engine.start_auto_persisting(None);
        let error = within("joining", joining).await.expect_err(body);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        assert!(error.to_string().contains("no content"), "{error}");
        client.set("mine", 1);
        assert_eq!(client.engine.unconfirmed().len(), 1);
        assert!(!client.engine.is_auto_loading() && !client.engine.is_auto_saving());
        client.join().await;
        place.agree([client], r#"[{},{"seed":1,"mine":1}]"#).await;
    }
}

/// The same to a load of the engine's own: nobody waits for it, so it is told to `on_ignored_error`.
#[tokio::test]
async fn a_get_answered_with_no_content_after_a_reconnection_is_told_and_keeps_the_edits() {
    let place = Place::ours("no content later").await;
    place.put(r#"[{},{"seed":1}]"#).await;
    let (client, other) = (place.joined().await, place.other().await);
    place.proxy.answer(Asks::Get, u64::MAX, response("200 OK", HTML));
    place.proxy.kill().await;
    client.set("mine", 1);
    until("it is told", || client.errors().iter().any(|error| error.kind() == ErrorKind::Corrupt)).await;
    place.proxy.answer_no_more();
    other.set("theirs", 1);
    client.done("a load", client.engine.load()).await;
    place.agree([client, other], r#"[{},{"seed":1,"mine":1,"theirs":1}]"#).await;
}

#[tokio::test]
async fn an_upgrade_answered_with_garbage_is_tried_again() {
    let page = response("200 OK", HTML);
    for garbage in [&page[..], b"\0\xff\xfe garbage\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b""] {
        let place = Place::ours("no websocket").await;
        place.proxy.answer(Asks::Upgrade, 4, garbage);
        let client = place.client();
        client.set("seed", 1);
        let joining = client.engine.start_auto_persisting(None);
        until("it is tried again", || place.proxy.requests(Asks::Upgrade) > 4).await;
        client.set("mine", 1);
        client.done("joining", joining).await;
        place.agree([client], r#"[{},{"seed":1,"mine":1}]"#).await;
    }
}

/// What is no WebSocket frame costs the connection; edits go out on the next.
#[tokio::test]
async fn garbage_among_frames_costs_the_connection_and_no_edit() {
    let garbage: [&[u8]; 6] = [
        b"\xff\xff\xff\xff",
        // A text that is no UTF-8.
        b"\x81\x02\xff\xfe",
        // A masked frame, which no server sends.
        b"\x81\x81\0\0\0\0x",
        // A continuation of nothing.
        b"\x80\x01x",
        // A ping in fragments.
        b"\x09\x00",
        // A frame of 2^62 bytes.
        b"\x81\x7f\x40\0\0\0\0\0\0\0",
    ];
    let place = Place::ours("garbage").await;
    let (client, other) = (place.joined().await, place.other().await);
    for (n, garbage) in garbage.into_iter().enumerate() {
        let before = client.socket.epoch();
        place.proxy.inject(garbage);
        client.set("mine", u32::try_from(n).expect("it is small"));
        other.set("theirs", u32::try_from(n).expect("it is small"));
        until(&format!("{garbage:?} costs the connection"), || client.socket.epoch() > before).await;
        client.flushed().await;
        other.flushed().await;
    }
    place.agree([client, other], r#"[{},{"mine":5,"theirs":5}]"#).await;
}
