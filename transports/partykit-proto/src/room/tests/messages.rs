//! How messages are handled, and which connections are sent what.

use super::*;

#[test]
fn r6_a_change_is_committed_before_anybody_hears_of_it() {
    let mut room = meeting(stock());
    let outputs = say(&mut room, ALICE, "s[{\"pets\":{\"fido\":{\"age\":5}}},{},1]");
    let [Output::Commit(record), Output::Send { to, frame }] = &*outputs else { panic!("{outputs:?}") };
    assert_eq!((record.number, record.seq), (2, 2));
    assert_eq!(record.event, Event::Changed("[{\"pets\":{\"fido\":{\"age\":5}}},{},1]".into()));
    assert_eq!(members(to), [BOB, CAROL]);
    assert_eq!(frame, "s[{\"pets\":{\"fido\":{\"age\":5}}},{},1]");

    let mut room = Room::new(stock(), "e");
    let (outputs, response) = http(&mut room, "PUT", "/store", "[{},{\"v\":1}]");
    let [Output::Commit(record)] = &*outputs else { panic!("{outputs:?}") };
    assert_eq!(record.event, Event::Created("[{},{\"v\":1}]".into()));
    assert_eq!(response.status, 201);
}

#[test]
fn deletions_are_sent_and_stored_as_they_came() {
    let mut room = meeting(stock());
    let outputs = say(&mut room, BOB, "s[{\"pets\":{\"fido\":\"\u{FFFC}\"}},{\"open\":\"\u{FFFC}\"},1]");
    let changes = "[{\"pets\":{\"fido\":\"\u{FFFC}\"}},{\"open\":\"\u{FFFC}\"},1]";
    assert_eq!(records(&outputs)[0].event, Event::Changed(changes.into()));
    assert_eq!(sent(&outputs).1, "s[{\"pets\":{\"fido\":\"\u{FFFC}\"}},{\"open\":\"\u{FFFC}\"},1]");

    let outputs = say(&mut room, BOB, "s[{\"pets\":\"\\uFFFC\"},{},1]");
    assert_eq!(sent(&outputs).1, "s[{\"pets\":\"\u{FFFC}\"},{},1]");
    assert_eq!(get(&mut room), "[{},{}]");
    assert!(room.exists(), "an emptied store is still one");
}

#[test]
fn what_changes_nothing_is_sent_and_takes_a_place_in_the_log() {
    let mut room = meeting(stock());
    let frame = "s[{\"pets\":{\"fido\":{\"age\":4},\"gone\":\"\u{FFFC}\"},\"gone\":\"\u{FFFC}\"},{\"open\":true},1]";
    let outputs = say(&mut room, ALICE, frame);
    assert_eq!((sent(&outputs), records(&outputs)[0].seq), ((&[BOB, CAROL][..], frame), 2));
}

#[test]
fn nothing_is_told_of_nothing() {
    let mut room = meeting(stock());
    for frame in ["s[{},{},1]", "s[{\"t\":{}},{},1]", "s[{\"t\":{\"r\":{}}},{},1]"] {
        assert_eq!(say(&mut room, ALICE, frame), [], "{frame}");
    }
    let mut alone = Room::new(stock(), "e");
    put(&mut alone, "[{},{}]");
    join(&mut alone, ALICE);
    let outputs = say(&mut alone, ALICE, "s[{},{\"v\":1},1]");
    assert!(matches!(&*outputs, [Output::Commit(_)]), "{outputs:?}");
}

#[test]
fn what_the_original_ignores_is_ignored() {
    let mut room = meeting(stock());
    let before = room.content().clone();
    for frame in [
        "",
        "s",
        "s{",
        "s{}",
        "s[]",
        "s1",
        "s0",
        "snull",
        "s\"\"",
        "c[{},{},1]",
        "S[{},{\"v\":1},1]",
        "[{},{\"v\":1},1]",
        "s[{},{\"v\":1}]",
        "s[{},{\"v\":1},2]",
        "s[{},{\"v\":1},null]",
        "s[{},{\"v\":1},1,9]",
        "s[[],{\"v\":1},1]",
        "s[{\"t\":null},{\"v\":1},1]",
        "s[{\"t\":1},{\"v\":1},1]",
        "s[{\"t\":\"x\"},{\"v\":1},1]",
        "s[{\"t\":{\"r\":null}},{\"v\":1},1]",
        "s[{\"t\":{\"r\":[]}},{\"v\":1},1]",
        "s[{},\"\u{FFFC}\",1]",
        "s[{},{\"v\":1},1] x",
        "ss[{},{\"v\":1},1]",
    ] {
        assert_eq!(say(&mut room, ALICE, frame), [], "{frame}");
    }
    assert_eq!(room.content(), &before);
}

#[test]
fn what_the_original_takes_is_taken() {
    for (frame, told) in [
        ("s[{},{\"v\":1},1]", "s[{},{\"v\":1},1]"),
        (" s[{},{\"v\":1},1]", ""),
        ("s [ {} , {\"v\" : 1.0} , 1 ] ", "s[{},{\"v\":1},1]"),
        ("s[{},{\"v\":1},\"1\"]", "s[{},{\"v\":1},1]"),
        ("s[{},{\"v\":1},true]", "s[{},{\"v\":1},1]"),
        ("s[{},{\"v\":1},[1]]", "s[{},{\"v\":1},1]"),
        ("s[{},{\"v\":null},1]", "s[{},{\"v\":null},1]"),
        ("s[{},{\"v\":{\"a\": [1]}},1]", "s[{},{\"v\":\"\u{FFFD}{\\\"a\\\":[1]}\"},1]"),
        ("s[{},{\"v\":\"\u{FFFD}[ 1 ]\"},1]", "s[{},{\"v\":\"\u{FFFD}[ 1 ]\"},1]"),
        ("s[{\"__proto__\":{\"constructor\":{\"\":0}}},{},1]", "s[{\"__proto__\":{\"constructor\":{\"\":0}}},{},1]"),
    ] {
        let mut room = meeting(stock());
        let outputs = say(&mut room, ALICE, frame);
        if told.is_empty() {
            assert_eq!(outputs, [], "{frame}");
        } else {
            assert_eq!(sent(&outputs), (&[BOB, CAROL][..], told), "{frame}");
        }
    }
}

#[test]
fn a_leaf_that_cannot_be_represented_is_left_out_and_the_rest_is_taken() {
    let mut room = meeting(stock());
    let outputs = say(&mut room, ALICE, "s[{},{\"a\":1e999,\"b\":\"\u{FFFD}nope\",\"c\":\"\\ud800\",\"d\":1},1]");
    assert_eq!(sent(&outputs).1, "s[{},{\"d\":1},1]");
    assert_eq!(say(&mut room, ALICE, "s[{},{\"a\":1e999},1]"), []);

    let mut room = Room::new(stock(), "e");
    assert_eq!(put(&mut room, "[{},{\"a\":1e999}]"), 201);
    assert!(!room.exists(), "nothing of it was left");
    assert_eq!(put(&mut room, "[{},{\"a\":\"\u{FFFC}\",\"b\":1}]"), 201);
    assert_eq!(get(&mut room), "[{},{\"b\":1}]");
}

#[test]
fn the_message_prefix_is_used_and_demanded() {
    let mut room = meeting(stock().with_message_prefix("m:"));
    assert_eq!(say(&mut room, ALICE, "s[{},{\"v\":1},1]"), []);
    let outputs = say(&mut room, ALICE, "m:s[{},{\"v\":1},1]");
    assert_eq!(records(&outputs)[0].event, Event::Changed("[{},{\"v\":1},1]".into()));
    assert_eq!(sent(&outputs).1, "m:s[{},{\"v\":1},1]");
}

#[test]
fn messages_are_ignored_while_there_is_no_store() {
    let mut room = Room::new(stock(), "e");
    join(&mut room, ALICE);
    join(&mut room, BOB);
    assert_eq!(say(&mut room, ALICE, "s[{},{\"v\":1},1]"), []);
    assert_eq!(get(&mut room), "");
}

#[test]
fn the_first_content_is_told_to_nobody() {
    let mut room = Room::new(stock(), "e");
    join(&mut room, ALICE);
    let (outputs, _) = http(&mut room, "PUT", "/store", CONTENT);
    assert!(matches!(&*outputs, [Output::Commit(_)]), "{outputs:?}");
}

#[test]
fn connections_are_told_apart_by_themselves_and_not_by_their_name() {
    let mut room = Room::new(stock(), "e");
    put(&mut room, "[{},{}]");
    let context = Context { query: "_pk=same".into(), ..Context::default() };
    for connection in [ALICE, BOB, CAROL] {
        assert_eq!(room.handle(Input::Connect { connection, context: context.clone() }), []);
    }
    assert_eq!(sent(&say(&mut room, ALICE, "s[{},{\"v\":1},1]")).0, [BOB, CAROL]);
    assert_eq!(room.handle(Input::Close { connection: ALICE }), []);
    assert_eq!(sent(&say(&mut room, BOB, "s[{},{\"v\":2},1]")).0, [CAROL]);
    assert_eq!(say(&mut room, ALICE, "s[{},{\"v\":3},1]"), [], "who has left says nothing");
    assert_eq!(room.handle(Input::Close { connection: ALICE }), [], "nor leaves twice");
    assert_eq!(room.connections().count(), 2);
}

#[test]
fn a_message_that_is_too_big_costs_its_sender_the_connection() {
    let mut room = meeting(stock().with_max_message_size(18));
    assert!(matches!(&*say(&mut room, ALICE, "s[{},{\"v\":\"ab\"},1]"), [_, _]));
    let outputs = say(&mut room, ALICE, "s[{},{\"v\":\"abc\"},1]");
    assert!(matches!(&*outputs, [Output::Close { connection: ALICE, code: 1009, .. }]), "{outputs:?}");
    assert_eq!(sent(&say(&mut room, BOB, "s[{},{\"v\":1},1]")).0, [CAROL]);
}

#[test]
fn clients_that_are_due_everything_at_once_share_one_text() {
    let mut room = Room::new(RoomConfig::new(), "e");
    http(&mut room, "PUT", "/store", "[{},{\"v\":1}]");
    let connected = [ALICE, BOB].map(|connection| {
        let outputs = room.handle(Input::Connect { connection, context: Context::default() });
        let [Output::Ping { token, .. }] = outputs[..] else { panic!("{outputs:?}") };
        (connection, token)
    });
    let frames = connected.map(|(connection, token)| {
        let mut outputs = room.handle(Input::Pong { connection, token });
        let Output::Send { frame, .. } = outputs.remove(0) else { panic!("{outputs:?}") };
        frame
    });
    assert_eq!(frames[0], "s[{},{\"v\":1}]");
    assert!(std::ptr::eq(&*frames[0], &*frames[1]));
    say(&mut room, ALICE, "s[{},{\"v\":2},1]");
    let outputs = room.handle(Input::Connect { connection: CAROL, context: Context::default() });
    let [Output::Ping { token, .. }] = outputs[..] else { panic!("{outputs:?}") };
    let outputs = room.handle(Input::Pong { connection: CAROL, token });
    assert_eq!(sent(&outputs).1, "s[{},{\"v\":2}]");
    drop(frames);
}
