//! Coming to a room: while it is loaded, made, found, or not there yet.

use roommate::ErrorKind;
use roommate_partykit::QueryPairs;
use tokio::sync::watch;

use crate::{
    client::{Client, config, content, options},
    place::Place,
    proxy::{Asks, response},
    until::{until, within},
};

crate::on_every_server! {
    l2a_an_edit_made_while_joining_outlives_the_load
    l2b_an_edit_made_during_a_later_load_outlives_it
    l2c_an_edit_made_while_a_load_fails_is_saved_all_the_same
    l3_an_edit_made_while_the_room_is_made_is_saved
    l4_an_edit_made_while_others_are_heard_during_a_first_save_is_saved
    l6_a_load_that_fails_replaces_nothing_by_the_initial_content
    l17_changes_wait_until_the_room_has_a_store
    l20_two_clients_that_find_the_room_empty_keep_what_both_wrote
    l20_of_two_contents_offered_to_an_empty_room_one_is_taken_by_both
    l21_a_viewer_who_was_there_first_sees_what_the_creator_saved
    l22_what_is_told_before_the_socket_opens_is_not_missed
    l22_what_is_told_while_a_token_is_fetched_is_not_missed
}

async fn l2a_an_edit_made_while_joining_outlives_the_load(place: Place) {
    place.put(r#"[{},{"seed":1,"both":1}]"#).await;
    let client = place.client();
    place.proxy.http.to_client.hold();
    let joining = client.engine.start_auto_persisting(None);
    until("the load is under way", || place.proxy.requests(Asks::Get) == 1).await;
    client.set("mine", 2);
    client.set("both", 2);
    place.proxy.http.release();
    client.done("joining", joining).await;
    place.agree([client], r#"[{},{"seed":1,"both":2,"mine":2}]"#).await;
}

async fn l2b_an_edit_made_during_a_later_load_outlives_it(place: Place) {
    place.put(r#"[{},{"seed":1,"both":1}]"#).await;
    let (client, other) = (place.joined().await, place.other().await);
    place.proxy.http.to_client.hold();
    let before = place.proxy.requests(Asks::Get);
    let loading = client.engine.load();
    until("the load is under way", || place.proxy.requests(Asks::Get) > before).await;
    client.set("mine", 2);
    client.set("both", 2);
    place.proxy.http.release();
    client.done("the load", loading).await;
    place.agree([client, other], r#"[{},{"seed":1,"both":2,"mine":2}]"#).await;
}

async fn l2c_an_edit_made_while_a_load_fails_is_saved_all_the_same(place: Place) {
    place.put(r#"[{},{"seed":1}]"#).await;
    let (client, other) = (place.joined().await, place.other().await);
    place.proxy.answer(Asks::Get, u64::MAX, response("500 Internal Server Error", "sorry"));
    let loading = client.engine.load();
    until("the load has failed", || !client.errors().is_empty()).await;
    client.set("mine", 2);
    until("it has failed again", || client.errors().len() > 1).await;
    assert!(client.errors().iter().all(|error| error.kind() == ErrorKind::Unavailable), "{client:?}");
    place.proxy.answer_no_more();
    client.done("the load", loading).await;
    place.agree([client, other], r#"[{},{"seed":1,"mine":2}]"#).await;
}

async fn l3_an_edit_made_while_the_room_is_made_is_saved(place: Place) {
    let client = place.client();
    client.set("seed", 1);
    client.done("the load", client.engine.start_auto_load(None)).await;
    place.proxy.http.to_client.hold();
    let saving = client.engine.start_auto_save();
    until("the first save is under way", || place.proxy.requests(Asks::Put) == 1).await;
    place.until(r#"[{},{"seed":1}]"#).await;
    client.set("mine", 2);
    client.set("seed", 3);
    place.proxy.http.release();
    client.done("the first save", saving).await;
    place.agree([client], r#"[{},{"seed":3,"mine":2}]"#).await;
}

async fn l4_an_edit_made_while_others_are_heard_during_a_first_save_is_saved(place: Place) {
    let client = place.client();
    client.done("the load", client.engine.start_auto_load(None)).await;
    place.proxy.http.to_server.hold();
    client.set("mine", 1);
    let saving = client.engine.start_auto_save();
    until("the first save is under way", || place.proxy.requests(Asks::Put) == 1).await;
    let other = place.other().await;
    other.set("theirs", 1);
    other.flushed().await;
    client.set("mine", 2);
    other.set("theirs", 2);
    other.flushed().await;
    place.proxy.http.release();
    client.done("the first save", saving).await;
    place.agree([client, other], r#"[{},{"theirs":2,"mine":2}]"#).await;
}

async fn l6_a_load_that_fails_replaces_nothing_by_the_initial_content(place: Place) {
    place.put(r#"[{},{"seed":1}]"#).await;
    let client = place.client();
    client.set("there", "before");
    place.proxy.answer(Asks::Get, u64::MAX, response("500 Internal Server Error", "sorry"));
    let joining = client.engine.start_auto_persisting(Some(content(r#"[{},{"initial":1}]"#)));
    until("the load has failed", || !client.errors().is_empty()).await;
    client.set("draft", 2);
    until("it has failed again", || client.errors().len() > 1).await;
    client.until(r#"[{},{"there":"before","draft":2}]"#).await;
    place.proxy.answer_no_more();
    client.done("joining", joining).await;
    // What was in the store before the first call would have been offered to an empty room; this one wins.
    place.agree([client], r#"[{},{"seed":1,"draft":2}]"#).await;
}

async fn l17_changes_wait_until_the_room_has_a_store(place: Place) {
    let client = place.client();
    client.set("first", 1);
    place.proxy.answer(Asks::Put, 3, response("500 Internal Server Error", "sorry"));
    place.proxy.answer(Asks::Put, 2, "");
    let joining = client.engine.start_auto_persisting(None);
    for n in 0..5 {
        until("the first save fails", || client.errors().len() > n).await;
        client.set("n", u32::try_from(n).expect("it is small"));
    }
    client.done("joining", joining).await;
    client.set("later", 5);
    place.agree([client], r#"[{},{"first":1,"n":4,"later":5}]"#).await;
}

async fn l20_two_clients_that_find_the_room_empty_keep_what_both_wrote(place: Place) {
    let (a, b) = (place.client(), place.client());
    for client in [&a, &b] {
        client.done("the load", client.engine.start_auto_load(None)).await;
    }
    a.set("of a", 1);
    b.set("of b", 1);
    place.proxy.http.to_server.hold();
    let (saving_a, saving_b) = (a.engine.start_auto_save(), b.engine.start_auto_save());
    until("both offer their content", || place.proxy.requests(Asks::Put) == 2).await;
    place.proxy.http.release();
    a.done("a's save", saving_a).await;
    b.done("b's save", saving_b).await;
    place.agree([a, b], r#"[{},{"of a":1,"of b":1}]"#).await;
}

async fn l20_of_two_contents_offered_to_an_empty_room_one_is_taken_by_both(place: Place) {
    let (a, b) = (place.client(), place.client());
    a.set("owner", "a");
    b.set("owner", "b");
    b.set("of b alone", 1);
    a.done("a's load", a.engine.start_auto_load(None)).await;
    b.done("b's load", b.engine.start_auto_load(None)).await;
    a.done("a's save", a.engine.start_auto_save()).await;
    b.done("b's save", b.engine.start_auto_save()).await;
    b.set("edit", 1);
    place.agree([a, b], r#"[{},{"owner":"a","edit":1}]"#).await;
}

async fn l21_a_viewer_who_was_there_first_sees_what_the_creator_saved(place: Place) {
    let viewer = place.client();
    viewer.done("the load", viewer.engine.start_auto_load(None)).await;
    let creator = Client::new(place.host(), &place.room);
    creator.store.set_row("pets", "fido", [("legs", 4), ("tails", 1)]).expect("it can be held");
    creator.join().await;
    viewer.until(r#"[{"pets":{"fido":{"legs":4,"tails":1}}},{}]"#).await;
    creator.store.set_cell("pets", "fido", "legs", 3).expect("it can be held");
    place.agree([viewer, creator], r#"[{"pets":{"fido":{"legs":3,"tails":1}}},{}]"#).await;
}

async fn l22_what_is_told_before_the_socket_opens_is_not_missed(place: Place) {
    let other = place.other().await;
    other.set("before", 1);
    other.flushed().await;
    // The first attempts fail, the next take their time.
    place.proxy.answer(Asks::Upgrade, 2, "");
    place.proxy.sockets.hold();
    let client = place.client();
    let joining = client.engine.start_auto_persisting(None);
    until("the sockets are opened again", || place.proxy.requests(Asks::Upgrade) >= 4).await;
    other.set("meanwhile", 1);
    other.flushed().await;
    place.proxy.sockets.release();
    client.done("joining", joining).await;
    other.set("after", 1);
    place.agree([client, other], r#"[{},{"before":1,"meanwhile":1,"after":1}]"#).await;
}

async fn l22_what_is_told_while_a_token_is_fetched_is_not_missed(place: Place) {
    let other = place.other().await;
    let (issue, issued) = watch::channel(false);
    let query = move || {
        let mut issued = issued.clone();
        async move {
            issued.wait_for(|issued| *issued).await.expect("the story issues it");
            Ok(QueryPairs::from([("token".to_owned(), Some("secret".to_owned()))]))
        }
    };
    let client = Client::with(options(&place.proxy.host(), &place.room).with_query_function(query), config());
    let joining = client.engine.start_auto_persisting(None);
    client.set("mine", 1);
    other.set("meanwhile", 1);
    other.flushed().await;
    issue.send_replace(true);
    within("joining", joining).await.expect("the room is there");
    place.agree([client, other], r#"[{},{"mine":1,"meanwhile":1}]"#).await;
}
