//! What one client does, a client of the other language sees: on either server, in either direction.

use serde_json::{Map, json};

use crate::{
    content::canonical,
    every::in_every_direction,
    peer::{Language, Peer, no_errors},
    rig::Rig,
};

in_every_direction! {
    sets_updates_and_deletions_at_every_level_arrive
    a_new_room_takes_the_first_clients_content
    an_existing_room_keeps_its_content_and_gives_it_to_who_joins
    a_save_to_an_existing_room_fails_gracefully
    a_room_outlives_its_clients
    two_clients_that_start_at_once_share_one_content
    edits_of_both_sides_arrive_on_the_other
    edits_of_one_cell_by_both_sides_leave_whoever_is_told_with_the_rooms
    a_burst_of_edits_arrives_whole_and_in_order
    a_party_with_nothing_at_its_default_is_reached
    what_may_not_be_set_reaches_nobody
    what_may_not_be_deleted_stays
}

async fn sets_updates_and_deletions_at_every_level_arrive(rig: Rig) {
    let room = rig.room();
    let (writer, reader) = rig.joined(&room).await;
    let steps = [
        (json!([["setCell", "t1", "r1", "c1", 1]]), json!([{"t1": {"r1": {"c1": 1}}}, {}])),
        (json!([["setCell", "t1", "r1", "c1", 2]]), json!([{"t1": {"r1": {"c1": 2}}}, {}])),
        (
            json!([["setPartialRow", "t1", "r1", {"c2": 3, "c3": 4}]]),
            json!([{"t1": {"r1": {"c1": 2, "c2": 3, "c3": 4}}}, {}]),
        ),
        (json!([["delCell", "t1", "r1", "c2"]]), json!([{"t1": {"r1": {"c1": 2, "c3": 4}}}, {}])),
        (json!([["setRow", "t1", "r1", {"c4": 5}]]), json!([{"t1": {"r1": {"c4": 5}}}, {}])),
        (json!([["setRow", "t1", "r2", {"c1": 6}]]), json!([{"t1": {"r1": {"c4": 5}, "r2": {"c1": 6}}}, {}])),
        (json!([["delRow", "t1", "r1"]]), json!([{"t1": {"r2": {"c1": 6}}}, {}])),
        (json!([["setTable", "t1", {"r3": {"c1": 7}}]]), json!([{"t1": {"r3": {"c1": 7}}}, {}])),
        (
            json!([["setTable", "t2", {"r1": {"c1": 8}}]]),
            json!([{"t1": {"r3": {"c1": 7}}, "t2": {"r1": {"c1": 8}}}, {}]),
        ),
        (json!([["delTable", "t1"]]), json!([{"t2": {"r1": {"c1": 8}}}, {}])),
        (
            json!([["delCell", "t2", "r1", "c1"], ["setCell", "t2", "r2", "c1", 9]]),
            json!([{"t2": {"r2": {"c1": 9}}}, {}]),
        ),
        (
            json!([["setTables", {"t3": {"r1": {"c1": 10}}, "t2": {"r2": {"c2": 11}}}]]),
            json!([{"t3": {"r1": {"c1": 10}}, "t2": {"r2": {"c2": 11}}}, {}]),
        ),
        (json!([["delTables"], ["setValue", "v1", 12]]), json!([{}, {"v1": 12}])),
        (json!([["setValue", "v1", "twelve"]]), json!([{}, {"v1": "twelve"}])),
        (json!([["setPartialValues", {"v2": 13, "v3": 14}]]), json!([{}, {"v1": "twelve", "v2": 13, "v3": 14}])),
        (json!([["delValue", "v2"]]), json!([{}, {"v1": "twelve", "v3": 14}])),
        (json!([["setValues", {"v4": 15}]]), json!([{}, {"v4": 15}])),
        (json!([["setCell", "t1", "r1", "c1", 16], ["delValues"]]), json!([{"t1": {"r1": {"c1": 16}}}, {}])),
        (json!([["delTables"]]), json!([{}, {}])),
    ];
    for (edit, content) in steps {
        writer.edit(edit).await;
        rig.all_hold(&room, [&writer, &reader], &content).await;
    }
    no_errors([&writer, &reader]).await;
}

async fn a_new_room_takes_the_first_clients_content(rig: Rig) {
    let room = rig.room();
    let writer = rig.writer(&room).await;
    writer.edit(json!([["setCell", "t", "r", "c", 1], ["setValue", "v", 2]])).await;
    writer.join().await;
    let content = json!([{"t": {"r": {"c": 1}}}, {"v": 2}]);
    rig.until(&room, &content).await;

    let reader = rig.reader(&room).await;
    reader.join().await;
    rig.all_hold(&room, [&writer, &reader], &content).await;
    no_errors([&writer, &reader]).await;
}

async fn an_existing_room_keeps_its_content_and_gives_it_to_who_joins(rig: Rig) {
    let room = rig.room();
    let writer = rig.writer(&room).await;
    writer.edit(json!([["setCell", "t", "r", "c", "the room's"]])).await;
    writer.join().await;
    let content = json!([{"t": {"r": {"c": "the room's"}}}, {}]);
    rig.until(&room, &content).await;

    let reader = rig.reader(&room).await;
    reader
        .edit(json!([["setCell", "t", "r", "c", "mine"], ["setCell", "t", "mine", "c", 1], ["setValue", "mine", 2]]))
        .await;
    reader.join().await;
    rig.all_hold(&room, [&writer, &reader], &content).await;

    reader.edit(json!([["setValue", "later", 3]])).await;
    rig.all_hold(&room, [&writer, &reader], &json!([{"t": {"r": {"c": "the room's"}}}, {"later": 3}])).await;
    no_errors([&writer, &reader]).await;
}

async fn a_save_to_an_existing_room_fails_gracefully(rig: Rig) {
    let room = rig.room();
    let writer = rig.writer(&room).await;
    writer.edit(json!([["setValue", "v", "the room's"]])).await;
    writer.save().await;
    let content = json!([{}, {"v": "the room's"}]);
    rig.until(&room, &content).await;

    let reader = rig.reader(&room).await;
    reader.edit(json!([["setValue", "v", "mine"], ["setValue", "w", "mine too"]])).await;
    reader.save().await;
    assert_eq!(rig.content(&room).await, Some(canonical(content.clone())));
    reader.load().await;
    reader.until(&content).await;
    assert_eq!(rig.content(&room).await, Some(canonical(content)));
    no_errors([&writer, &reader]).await;
}

async fn a_room_outlives_its_clients(rig: Rig) {
    let room = rig.room();
    let (writer, reader) = rig.joined(&room).await;
    writer.edit(json!([["setCell", "t", "r", "c", 1], ["setValue", "v", 2]])).await;
    let content = json!([{"t": {"r": {"c": 1}}}, {"v": 2}]);
    rig.all_hold(&room, [&writer, &reader], &content).await;
    writer.close().await;
    reader.close().await;

    let (writer, reader) = rig.joined(&room).await;
    rig.all_hold(&room, [&writer, &reader], &content).await;
    no_errors([&writer, &reader]).await;
}

async fn two_clients_that_start_at_once_share_one_content(rig: Rig) {
    let room = rig.room();
    let one = rig.writer(&room).await;
    let two = rig.reader(&room).await;
    one.edit(json!([["setCell", "t", "one", "c", 1], ["setValue", "owner", "one"]])).await;
    two.edit(json!([["setCell", "t", "two", "c", 2], ["setValue", "owner", "two"]])).await;
    tokio::join!(one.join(), two.join());

    let ones = json!([{"t": {"one": {"c": 1}}}, {"owner": "one"}]);
    let twos = json!([{"t": {"two": {"c": 2}}}, {"owner": "two"}]);
    let content = rig.content(&room).await.expect("whoever comes first makes the store");
    assert!([&ones, &twos].map(|content| canonical(content.clone())).contains(&content), "{content} is one of the two");

    for (peer, own) in [(&one, ones), (&two, twos)] {
        // A stock client whose save comes too late hears of no failure and keeps what it had.
        if told(peer) || canonical(own.clone()) == content {
            peer.until(&content).await;
        } else {
            assert!([&canonical(own), &content].contains(&&peer.content().await));
        }
    }
    no_errors([&one, &two]).await;
}

async fn edits_of_both_sides_arrive_on_the_other(rig: Rig) {
    let room = rig.room();
    let (one, two) = rig.joined(&room).await;
    let mut row = Map::new();
    for round in 0..10 {
        let (by_one, by_two) = (format!("one {round}"), format!("two {round}"));
        tokio::join!(
            one.edit(json!([["setCell", "t", "r", by_one, round]])),
            two.edit(json!([["setCell", "t", "r", by_two, round]])),
        );
        row.insert(by_one, round.into());
        row.insert(by_two, round.into());
    }
    rig.all_hold(&room, [&one, &two], &json!([{"t": {"r": row}}, {}])).await;
    no_errors([&one, &two]).await;
}

/// The server tells each change to all but its author, so two stock clients may swap their values and stay apart. Ours
/// learns of the order.
async fn edits_of_one_cell_by_both_sides_leave_whoever_is_told_with_the_rooms(rig: Rig) {
    let room = rig.room();
    let (one, two) = rig.joined(&room).await;
    for round in 0..20 {
        let by = |name: &str| {
            let text = format!("{name} {round}");
            match round % 5 {
                4 => json!([["delRow", "t", "r"], ["setValue", "v", text]]),
                3 => json!([["setRow", "t", "r", {name: text}]]),
                _ => json!([["setCell", "t", "r", "c", text], ["setCell", "t", "r", "d", name]]),
            }
        };
        tokio::join!(one.edit(by("one")), two.edit(by("two")));
    }
    for (peer, id) in [(&one, "one is done"), (&two, "two is done")] {
        peer.edit(json!([["setValue", id, true]])).await;
    }
    let content = rig
        .until_some(&room, |content| content[1].get("one is done").is_some() && content[1].get("two is done").is_some())
        .await;
    for peer in [&one, &two] {
        if told(peer) {
            peer.until(&content).await;
        }
    }
    assert_eq!(rig.content(&room).await, Some(content));
    no_errors([&one, &two]).await;
}

async fn a_burst_of_edits_arrives_whole_and_in_order(rig: Rig) {
    let room = rig.room();
    let (writer, reader) = rig.joined(&room).await;
    let mut log = Map::new();
    for count in 0..200 {
        writer.edit(json!([["setValue", "count", count], ["setCell", "log", "row", count.to_string(), count]])).await;
        log.insert(count.to_string(), count.into());
    }
    rig.all_hold(&room, [&writer, &reader], &json!([{"log": {"row": log}}, {"count": 199}])).await;
    no_errors([&writer, &reader]).await;
}

async fn a_party_with_nothing_at_its_default_is_reached(rig: Rig) {
    let room = rig.room_of("prefixed");
    let (writer, reader) = rig.joined(&room).await;
    writer.edit(json!([["setCell", "t", "r", "c", 1], ["setCell", "t", "r2", "c", 1]])).await;
    reader.until(&json!([{"t": {"r": {"c": 1}, "r2": {"c": 1}}}, {}])).await;
    reader.edit(json!([["delRow", "t", "r"], ["setValue", "v", {"o": 1}]])).await;
    rig.all_hold(&room, [&writer, &reader], &json!([{"t": {"r2": {"c": 1}}}, {"v": "\u{FFFD}{\"o\":1}"}])).await;
    no_errors([&writer, &reader]).await;
}

async fn what_may_not_be_set_reaches_nobody(rig: Rig) {
    let room = rig.room_of("guarded");
    let (writer, reader) = rig.joined(&room).await;
    writer
        .edit(json!([
            ["setCell", "t", "r", "open", 1],
            ["setCell", "t", "r", "secret", 2],
            ["setCell", "t", "secret", "c", 3],
            ["setCell", "secret", "r", "c", 4],
            ["setValue", "open", 5],
            ["setValue", "secret", 6],
        ]))
        .await;
    let content = json!([{"t": {"r": {"open": 1}}}, {"open": 5}]);
    reader.until(&content).await;
    // A change of which nothing at all is accepted is heard of by nobody, its author included.
    writer.edit(json!([["setValue", "secret", 7]])).await;
    writer.edit(json!([["setValue", "open", 8]])).await;
    let content = json!([{"t": {"r": {"open": 1}}}, {"open": 8}]);
    reader.until(&content).await;
    rig.until(&room, &content).await;
    if told(&writer) {
        writer.until(&content).await;
    }
}

async fn what_may_not_be_deleted_stays(rig: Rig) {
    let room = rig.room_of("guarded");
    let (writer, reader) = rig.joined(&room).await;
    let tables = json!({"t": {"r": {"c": 1, "kept": 2}, "kept": {"c": 3}, "s": {"c": 4}}, "kept": {"r": {"c": 5}}});
    writer.edit(json!([["setTables", tables], ["setValues", {"kept": 6, "v": 7}]])).await;
    reader.until(&json!([tables, {"kept": 6, "v": 7}])).await;
    writer
        .edit(json!([
            ["delCell", "t", "r", "kept"],
            ["delRow", "t", "kept"],
            ["delRow", "t", "s"],
            ["delTable", "kept"],
            ["delValue", "kept"],
            ["delValue", "v"],
        ]))
        .await;
    let content = json!([{"t": {"r": {"c": 1, "kept": 2}, "kept": {"c": 3}}, "kept": {"r": {"c": 5}}}, {"kept": 6}]);
    reader.until(&content).await;
    rig.until(&room, &content).await;
    if told(&writer) {
        writer.until(&content).await;
    }
}

/// Whether this client learns that what it sent was refused, or came too late. A stock client does not.
fn told(peer: &Peer) -> bool {
    peer.language() != Language::JavaScript
}
