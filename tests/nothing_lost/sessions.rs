//! Starting, stopping and ending: edits made before, between and after.

use std::time::Duration;

use roommate::{Changes, ErrorKind, Store};

use crate::{
    client::{Client, config, options},
    place::Place,
    proxy::Asks,
    until::{until, within},
};

crate::on_every_server! {
    l5_what_a_listener_derives_from_others_changes_is_saved
    l7_destroying_right_after_edits_saves_them_all
    l7_destroying_behind_a_first_save_under_way_saves_what_came_after_it
    l7_destroying_while_the_room_is_away_hands_the_edits_out
    l8_edits_made_while_auto_save_was_off_are_saved_when_it_is_on
    l9_a_session_that_began_without_the_room_loses_nothing_to_it
    l9_what_a_session_could_not_save_the_next_one_can
    l14_a_socket_led_to_another_room_takes_no_edit_there
    l14_http_goes_where_the_socket_goes
    l15_an_edit_made_among_overlapping_loads_outlives_them
}

async fn l5_what_a_listener_derives_from_others_changes_is_saved(place: Place) {
    place.put(r#"[{"cart":{"1":{"price":3,"count":1}}},{}]"#).await;
    let client = place.joined().await;
    let _derives = client.store.add_row_listener("cart", roommate::ANY, |event| {
        let number = |cell| match event.store.cell(event.table_id, event.row_id, cell) {
            Some(roommate::Cell::Number(number)) => number.get(),
            _ => 0.0,
        };
        let total = number("price") * number("count");
        event.store.set_cell(event.table_id.clone(), event.row_id.clone(), "total", total).expect("a number");
    });
    let other = place.other().await;
    other.store.set_cell("cart", "1", "count", 2).expect("it can be held");
    place.agree([client, other], r#"[{"cart":{"1":{"price":3,"count":2,"total":6}}},{}]"#).await;
}

async fn l7_destroying_right_after_edits_saves_them_all(place: Place) {
    let (client, other) = (place.joined().await, place.other().await);
    for n in 1..=5 {
        client.set(&format!("n{n}"), n);
    }
    assert_eq!(client.end().await, []);
    place.agree([other], r#"[{},{"n1":1,"n2":2,"n3":3,"n4":4,"n5":5}]"#).await;
}

async fn l7_destroying_behind_a_first_save_under_way_saves_what_came_after_it(place: Place) {
    let client = place.client();
    client.done("the load", client.engine.start_auto_load(None)).await;
    client.set("n", 1);
    place.proxy.http.to_client.hold();
    let saving = client.engine.start_auto_save();
    until("the first save is under way", || place.proxy.requests(Asks::Put) == 1).await;
    client.set("n", 2);
    client.set("m", 2);
    let ending = tokio::spawn(client.end());
    assert!(within("the save", saving).await.is_err_and(|error| error.kind() == ErrorKind::Closed));
    place.proxy.http.release();
    assert_eq!(within("the end", ending).await.expect("it ends"), []);
    place.until(r#"[{},{"n":2,"m":2}]"#).await;
}

async fn l7_destroying_while_the_room_is_away_hands_the_edits_out(place: Place) {
    let client = impatient(&place);
    client.join().await;
    place.proxy.refuse().await;
    place.proxy.kill().await;
    client.set("n", 1);
    client.set("m", 2);
    let left = client.end().await;
    let store = Store::new();
    for changes in &left {
        store.apply_changes(changes).expect("they came from a store");
    }
    assert_eq!(store.content().to_json(), r#"[{},{"n":1,"m":2}]"#);
}

async fn l8_edits_made_while_auto_save_was_off_are_saved_when_it_is_on(place: Place) {
    place.put(r#"[{},{"seed":1}]"#).await;
    let (client, other) = (place.joined().await, place.other().await);
    client.done("stopping", client.engine.stop_auto_save()).await;
    client.set("off", 1);
    other.set("meanwhile", 1);
    other.flushed().await;
    client.until(r#"[{},{"seed":1,"off":1,"meanwhile":1}]"#).await;
    client.done("starting", client.engine.start_auto_save()).await;
    place.agree([client, other], r#"[{},{"seed":1,"off":1,"meanwhile":1}]"#).await;
}

async fn l9_a_session_that_began_without_the_room_loses_nothing_to_it(place: Place) {
    place.put(r#"[{},{"seed":1,"both":1}]"#).await;
    place.proxy.refuse().await;
    let client = place.client();
    let joining = client.engine.start_auto_persisting(None);
    client.set("both", 2);
    client.store.set_cell("pets", "fido", "legs", 4).expect("it can be held");
    client.set("offline", 2);
    place.proxy.accept().await;
    client.done("joining", joining).await;
    place.agree([client], r#"[{"pets":{"fido":{"legs":4}}},{"seed":1,"both":2,"offline":2}]"#).await;
}

async fn l9_what_a_session_could_not_save_the_next_one_can(place: Place) {
    place.put(r#"[{},{"seed":1,"gone":1}]"#).await;
    let client = impatient(&place);
    client.join().await;
    place.proxy.refuse().await;
    place.proxy.kill().await;
    client.set("offline", 1);
    client.store.del_value("gone").expect("it can be deleted");
    // An application keeps these where it likes.
    let kept: Vec<Changes> = client.end().await;

    let other = place.other().await;
    other.set("seed", 2);
    other.flushed().await;
    place.proxy.accept().await;
    let client = place.joined().await;
    for changes in &kept {
        client.store.apply_changes(changes).expect("they came from a store");
    }
    place.agree([client, other], r#"[{},{"seed":2,"offline":1}]"#).await;
}

async fn l14_a_socket_led_to_another_room_takes_no_edit_there(place: Place) {
    place.put(r#"[{},{"seed":1}]"#).await;
    let elsewhere = format!("{}-elsewhere", place.room);
    let client = place.joined().await;
    let there = Client::joined(place.host(), &elsewhere).await;
    client.socket.update_properties(|options| options.with_room(&elsewhere)).expect("nothing waits");
    client.set("mine", 1);
    until("the client is told", || client.errors().iter().any(|error| error.kind() == ErrorKind::Invalid)).await;
    assert_eq!(client.engine.unconfirmed().len(), 1);
    assert_eq!(there.store.content().to_json(), "[{},{}]");

    client.socket.update_properties(|options| options.with_room(&place.room)).expect("nothing waits");
    client.done("coming back", client.engine.flush()).await;
    assert_eq!(there.store.content().to_json(), "[{},{}]");
    there.end().await;
    place.agree([client], r#"[{},{"seed":1,"mine":1}]"#).await;
}

async fn l14_http_goes_where_the_socket_goes(place: Place) {
    let host = format!("http://{}/", place.proxy.host());
    let base = options(&place.proxy.host(), &place.room).with_host(&host);
    let by_path = base.clone().with_base_path(format!("parties/main/{}", place.room));
    let by_prefix = base.with_prefix("parties");
    let mut clients = Vec::new();
    for (n, options) in [by_path, by_prefix].into_iter().enumerate() {
        let client = Client::with(options, config());
        client.join().await;
        client.set(&format!("n{n}"), 1);
        client.flushed().await;
        clients.push(client);
    }
    place.agree(clients, r#"[{},{"n0":1,"n1":1}]"#).await;
}

async fn l15_an_edit_made_among_overlapping_loads_outlives_them(place: Place) {
    place.put(r#"[{},{"x":1}]"#).await;
    let (client, other) = (place.joined().await, place.other().await);
    place.proxy.http.to_client.hold();
    let before = place.proxy.requests(Asks::Get);
    let loads = [client.engine.load(), client.engine.load(), client.engine.load()];
    until("the first is under way", || place.proxy.requests(Asks::Get) > before).await;
    client.set("x", 2);
    other.set("y", 2);
    other.flushed().await;
    place.proxy.http.release();
    for load in loads {
        client.done("a load", load).await;
        client.set("x", 3);
    }
    place.agree([client, other], r#"[{},{"x":3,"y":2}]"#).await;
}

/// A client that does not go on saving for long once it is to end.
fn impatient(place: &Place) -> Client {
    Client::of(options(&place.proxy.host(), &place.room), config(), |engine| {
        engine.with_flush_deadline(Duration::from_millis(50))
    })
}
