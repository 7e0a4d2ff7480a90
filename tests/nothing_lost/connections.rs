//! Connections that fail, go, and come back.

use std::time::Duration;

use roommate::ErrorKind;
use roommate_partykit::ReadyState;

use crate::{
    client::{Client, attentive_options, config, options},
    place::Place,
    proxy::{Asks, response},
    until::until,
};

crate::on_every_server! {
    l16_a_save_that_failed_is_tried_again
    l16_a_message_that_makes_no_sense_takes_none_of_the_others_with_it
    l23_what_others_changed_during_a_disconnection_is_seen_after_it
    l23_of_two_writes_of_one_cell_the_one_that_arrives_last_holds_everywhere
    l24_an_edit_sent_into_a_dead_connection_arrives
    l25_a_connection_opened_beside_a_dead_one_goes_on_hearing_when_that_ends
    l25_a_client_of_a_fixed_id_goes_on_hearing_as_well
    l25_two_clients_with_one_id_both_hear
    l31_more_edits_than_a_socket_would_queue_outlive_a_disconnection
    l31_a_socket_that_was_closed_strands_no_edit
    l31_a_socket_that_gave_up_says_so_and_strands_no_edit
}

async fn l16_a_save_that_failed_is_tried_again(place: Place) {
    let client = place.client();
    client.set("seed", 1);
    place.proxy.answer(Asks::Get, 2, response("503 Service Unavailable", "starting"));
    place.proxy.answer(Asks::Put, 2, response("500 Internal Server Error", "sorry"));
    client.join().await;
    client.set("mine", 1);
    let errors = client.errors();
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Unavailable), "{client:?}");
    let told = |answer| errors.iter().filter(|error| error.to_string().contains(answer)).count();
    assert_eq!((told("503: starting"), told("500: sorry")), (2, 2), "{client:?}");
    place.agree([client], r#"[{},{"seed":1,"mine":1}]"#).await;
}

async fn l16_a_message_that_makes_no_sense_takes_none_of_the_others_with_it(place: Place) {
    let (client, other) = (place.joined().await, place.other().await);
    for message in ["", "s", "s{", "x", "s[", r#"s[{"t":null},{},1]"#, r#"s[{"t":{"r":null}},{},1]"#, r#"s[1,2,1]"#] {
        place.proxy.inject(text_frame(message));
        other.set("theirs", message);
        client.set("mine", message);
        other.flushed().await;
        client.flushed().await;
    }
    assert_eq!(client.socket.epoch(), 1, "the connection lasts: {client:?}");
    place.agree([client, other], r#"[{},{"theirs":"s[1,2,1]","mine":"s[1,2,1]"}]"#).await;
}

async fn l23_what_others_changed_during_a_disconnection_is_seen_after_it(place: Place) {
    place.put(r#"[{"t":{"r":{"a":1,"b":1},"gone":{"a":1}}},{"x":1}]"#).await;
    let (client, other) = (place.joined().await, place.other().await);
    place.proxy.refuse().await;
    place.proxy.kill().await;
    until("the client notices", || client.socket.ready_state() != ReadyState::Open).await;
    other.store.set_cell("t", "r", "a", 2).expect("it can be held");
    other.store.del_row("t", "gone").expect("it can be deleted");
    other.set("y", 2);
    other.flushed().await;
    client.store.set_cell("t", "r", "b", 2).expect("it can be held");
    client.set("z", 2);
    place.proxy.accept().await;
    place.agree([client, other], r#"[{"t":{"r":{"a":2,"b":2}}},{"x":1,"y":2,"z":2}]"#).await;
}

async fn l23_of_two_writes_of_one_cell_the_one_that_arrives_last_holds_everywhere(place: Place) {
    place.put(r#"[{},{"x":"before"}]"#).await;
    let (client, other) = (place.joined().await, place.other().await);
    place.proxy.refuse().await;
    place.proxy.kill().await;
    until("the client notices", || client.socket.ready_state() != ReadyState::Open).await;
    client.set("x", "written first, arrives last");
    other.set("x", "written last, arrives first");
    other.flushed().await;
    place.proxy.accept().await;
    place.agree([client, other], r#"[{},{"x":"written first, arrives last"}]"#).await;
}

async fn l24_an_edit_sent_into_a_dead_connection_arrives(place: Place) {
    place.put(r#"[{},{"x":1}]"#).await;
    let (client, other) = (attentive(&place).await, place.other().await);
    place.proxy.sockets.swallow();
    client.set("x", 2);
    client.set("mine", 2);
    other.set("theirs", 2);
    other.flushed().await;
    let dead = place.proxy.requests(Asks::Upgrade);
    until("the client gives the connections up", || place.proxy.requests(Asks::Upgrade) > dead).await;
    place.proxy.sockets.release();
    place.agree([client, other], r#"[{},{"x":2,"mine":2,"theirs":2}]"#).await;
}

async fn l25_a_connection_opened_beside_a_dead_one_goes_on_hearing_when_that_ends(place: Place) {
    let client = attentive(&place).await;
    hears_beside_a_dead_connection(place, client).await;
}

async fn l25_a_client_of_a_fixed_id_goes_on_hearing_as_well(place: Place) {
    let client = Client::with(attentive_options(&place.proxy.host(), &place.room).with_id("fixed"), config());
    client.join().await;
    hears_beside_a_dead_connection(place, client).await;
}

async fn hears_beside_a_dead_connection(place: Place, client: Client) {
    let other = place.other().await;
    place.proxy.sockets.swallow();
    client.set("mine", 1);
    let dead = place.proxy.requests(Asks::Upgrade);
    until("the client gives the connections up", || place.proxy.requests(Asks::Upgrade) > dead).await;
    place.proxy.sockets.release();
    client.flushed().await;
    // The server learns only now that the old connections have ended.
    place.proxy.bury();
    for n in 0..20 {
        other.set("theirs", n);
        other.flushed().await;
        client.set("mine", n);
        client.flushed().await;
    }
    place.agree([client, other], r#"[{},{"mine":19,"theirs":19}]"#).await;
}

async fn l25_two_clients_with_one_id_both_hear(place: Place) {
    let same = || Client::with(options(&place.proxy.host(), &place.room).with_id("same"), config());
    let (a, b) = (same(), same());
    a.join().await;
    b.join().await;
    a.set("of a", 1);
    b.set("of b", 1);
    a.flushed().await;
    b.flushed().await;
    a.set("of a", 2);
    b.set("of b", 2);
    place.agree([a, b], r#"[{},{"of a":2,"of b":2}]"#).await;
}

async fn l31_more_edits_than_a_socket_would_queue_outlive_a_disconnection(place: Place) {
    let options = options(&place.proxy.host(), &place.room).with_max_enqueued_messages(1);
    let client = Client::with(options, config());
    client.join().await;
    place.proxy.refuse().await;
    place.proxy.kill().await;
    for n in 0..500 {
        client.set(&format!("n{}", n % 10), n);
        tokio::task::yield_now().await;
    }
    place.proxy.accept().await;
    let json = (0..10).map(|n| format!(r#""n{n}":{}"#, 490 + n)).collect::<Vec<_>>().join(",");
    place.agree([client], &format!("[{{}},{{{json}}}]")).await;
}

async fn l31_a_socket_that_was_closed_strands_no_edit(place: Place) {
    let client = place.joined().await;
    client.set("n", 1);
    client.socket.close(1000, "for a while").expect("a proper goodbye");
    client.set("n", 2);
    client.socket.closed().await;
    client.set("m", 3);
    assert_ne!(client.engine.unconfirmed(), []);
    client.socket.reconnect().expect("there is a room");
    place.agree([client], r#"[{},{"n":2,"m":3}]"#).await;
}

async fn l31_a_socket_that_gave_up_says_so_and_strands_no_edit(place: Place) {
    let options = options(&place.proxy.host(), &place.room).with_max_retries(1).with_min_uptime(Duration::ZERO);
    let client = Client::with(options, config());
    client.join().await;
    place.proxy.refuse().await;
    place.proxy.kill().await;
    client.set("n", 1);
    let says_so = |error: &roommate::Error| error.to_string().contains("reconnect()");
    until("the client is told", || client.errors().iter().any(says_so)).await;
    client.set("m", 2);
    assert_ne!(client.engine.unconfirmed(), []);
    place.proxy.accept().await;
    client.socket.reconnect().expect("there is a room");
    place.agree([client], r#"[{},{"n":1,"m":2}]"#).await;
}

/// A client that has joined, and soon finds out when nobody is at the other end.
async fn attentive(place: &Place) -> Client {
    let client = Client::with(attentive_options(&place.proxy.host(), &place.room), config());
    client.join().await;
    client
}

/// A short text message, as a server sends it.
fn text_frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, u8::try_from(text.len()).expect("it is short")];
    frame.extend_from_slice(text.as_bytes());
    frame
}
