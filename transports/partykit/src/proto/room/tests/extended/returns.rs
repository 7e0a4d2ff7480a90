//! What those are told who come back, and what is kept for them.

use super::*;

#[test]
fn r6_r7_what_was_decided_outlives_the_server() {
    let config = || RoomConfig::new().with_cures(false).with_policy(NoSecrets).with_storage_prefix("p");
    let mut room = mixed(config());
    let mut storage = BTreeMap::new();
    storage.insert("phasStore".to_owned(), Cell::from(1));
    for frame in [change(1, "v", 7), change(2, "secret", 7), change(3, "w", 7)] {
        for output in say(&mut room, DORA, &frame) {
            if let Output::Commit(batch) = output {
                storage.extend(batch.puts);
            }
        }
    }
    let keys: Vec<_> = storage.keys().map(String::as_str).collect();
    assert_eq!(keys, ["phasStore", "proommate/client/d", "proommate/refused/2/d", "pvv", "pvw"]);

    let mut room = Room::restore(config(), "f", storage);
    come(&mut room, DORA);
    let outputs = say(&mut room, DORA, &joining("d", Some(("e", 2)), 0));
    let snapshot = r#"r["snapshot",{"epoch":"f","seq":0,"last":3},[[2,[{},{"secret":7},1]]],[{},{"v":7,"w":7}]]"#;
    assert_eq!(frames(&outputs), [(&[DORA][..], snapshot)]);
    assert_eq!(say(&mut room, DORA, &change(3, "w", 7)), []);
    // Acknowledged, it is forgotten.
    let outputs = say(&mut room, DORA, r#"r["ack",3]"#);
    assert!(matches!(&*outputs, [Output::Commit(batch)] if batch.deletes == ["proommate/refused/2/d"]), "{outputs:?}");
    assert_eq!(say(&mut room, DORA, r#"r["ack",3]"#), []);
}

#[test]
fn whoever_comes_back_is_told_what_was_missed() {
    let mut room = mixed(RoomConfig::new().with_cures(false).with_policy(NoSecrets));
    let _ = room.handle(Input::Close { connection: ERIN });
    for frame in [change(1, "v", 7), change(2, "secret", 7), change(3, "w", 7), change(4, "secret", 8)] {
        let _ = say(&mut room, DORA, &frame);
    }
    come(&mut room, ERIN);
    let outputs = say(&mut room, ERIN, &joining("e", Some(("e", 1)), 0));
    let missed =
        r#"r["resumed",{"epoch":"e","seq":3,"last":null},[["changed",2,[{},{"v":7},1]],["changed",3,[{},{"w":7},1]]]]"#;
    assert_eq!(frames(&outputs), [(&[ERIN][..], missed)]);

    // The author is told what became of its own, in the order of the ids.
    let _ = room.handle(Input::Close { connection: DORA });
    come(&mut room, BOB);
    let outputs = say(&mut room, BOB, &joining("d", Some(("e", 2)), 1));
    let missed = "r[\"resumed\",{\"epoch\":\"e\",\"seq\":3,\"last\":4},[[\"accepted\",2,2,[{},{\"secret\":7},1]],\
                  [\"accepted\",3,3,[{},{},1]],[\"accepted\",3,4,[{},{\"secret\":8},1]]]]";
    assert_eq!(frames(&outputs), [(&[BOB][..], missed)]);
    // It knows all that, and missed nothing since.
    come(&mut room, CAROL);
    let outputs = say(&mut room, CAROL, &joining("d", Some(("e", 3)), 4));
    assert_eq!(closed(&outputs), [(BOB, REPLACED)]);
    let nothing = r#"r["resumed",{"epoch":"e","seq":3,"last":4},[]]"#;
    assert_eq!(frames(&outputs), [(&[CAROL][..], nothing)]);
    assert_eq!(say(&mut room, BOB, &change(9, "v", 9)), [], "who was replaced is not in the room");
    assert_eq!(room.connections().count(), 3);
}

#[test]
fn where_the_log_does_not_reach_the_whole_content_is_told() {
    let mut room = mixed(RoomConfig::new().with_cures(false).with_max_log(2, usize::MAX));
    for value in 0..4 {
        let _ = say(&mut room, ALICE, &format!("s[{{}},{{\"v\":{value}}},1]"));
    }
    for (at, resumes) in [
        (Some(("e", 5)), true),
        (Some(("e", 3)), true),
        (Some(("e", 2)), false),
        (Some(("e", 6)), false),
        (Some(("f", 5)), false),
        (None, false),
    ] {
        come(&mut room, BOB);
        let outputs = say(&mut room, BOB, &joining("b", at, 0));
        let Some(&(_, frame)) = frames(&outputs).first() else { panic!("{outputs:?}") };
        assert_eq!(frame.starts_with("r[\"resumed\""), resumes, "{at:?}: {frame}");
        let _ = room.handle(Input::Close { connection: BOB });
    }
}

#[test]
fn entries_are_kept_for_those_only_who_may_come_back() {
    let mut room = Room::new(RoomConfig::new().with_cures(false), "e");
    put(&mut room, "[{},{}]");
    join(&mut room, ALICE);
    let _ = say(&mut room, ALICE, r#"s[{},{"v":1},1]"#);
    come(&mut room, DORA);
    // Nobody can know of this epoch, and what happened before the first of them joined was not kept.
    let outputs = say(&mut room, DORA, &joining("d", Some(("e", 1)), 0));
    assert!(frames(&outputs)[0].1.starts_with("r[\"snapshot\""), "{outputs:?}");
    let read = Dialect::default().decode_server(frames(&outputs)[0].1).unwrap().unwrap().value;
    assert!(!matches!(read, ServerMessage::Entry(Entry::Changed { .. })));
}

#[test]
fn r7_what_is_refused_after_an_acknowledgement_beyond_it_is_told_again_all_the_same() {
    let mut room = mixed(RoomConfig::new().with_cures(false).with_policy(NoSecrets));
    assert_eq!(say(&mut room, DORA, r#"r["ack",1000]"#), []);
    let _ = say(&mut room, DORA, &change(5, "secret", 1));
    let resumed = |decided| joining("d", Some(("e", 1)), decided);
    for (connection, decided) in [(ConnectionId(10), 4), (ConnectionId(11), 0)] {
        come(&mut room, connection);
        let outputs = say(&mut room, connection, &resumed(decided));
        let told = r#"r["resumed",{"epoch":"e","seq":1,"last":5},[["accepted",1,5,[{},{"secret":1},1]]]]"#;
        assert_eq!(frames(&outputs).last().unwrap().1, told);
    }
    // Joining with what is yet to come acknowledges what was decided, and nothing after it.
    for (connection, id) in [(ConnectionId(12), 6), (ConnectionId(13), 7)] {
        come(&mut room, connection);
        let outputs = say(&mut room, connection, &resumed(1000));
        let told = format!(r#"r["resumed",{{"epoch":"e","seq":1,"last":{}}},[]]"#, id - 1);
        assert_eq!(frames(&outputs).last().unwrap().1, told);
        let _ = say(&mut room, connection, &change(id, "secret", 1));
    }
}

#[test]
fn r8_clients_unheard_of_for_longest_are_forgotten_and_connected_ones_are_not() {
    let config = || RoomConfig::new().with_cures(false).with_policy(NoSecrets).with_max_clients(2);
    let mut room = mixed(config());
    let mut storage = BTreeMap::from([("hasStore".to_owned(), Cell::from(1))]);
    let mut run = |room: &mut Room, connection, frame: &str| {
        for output in say(room, connection, frame) {
            if let Output::Commit(batch) = output {
                for key in batch.deletes {
                    storage.remove(&key).expect("only what is there is deleted");
                }
                storage.extend(batch.puts);
            }
        }
        storage.clone()
    };
    run(&mut room, DORA, &change(1, "secret", 1));
    for (connection, client) in [(BOB, "b"), (CAROL, "c")] {
        come(&mut room, connection);
        run(&mut room, connection, &joining(client, None, 0));
        run(&mut room, connection, &change(1, "secret", 1));
        let _ = room.handle(Input::Close { connection });
    }
    come(&mut room, ERIN);
    let storage = run(&mut room, ERIN, &joining("x", None, 0));
    let keys: Vec<_> = storage.keys().filter(|key| key.contains('/')).map(String::as_str).collect();
    let kept = ["roommate/client/c", "roommate/client/d", "roommate/refused/1/c", "roommate/refused/1/d"];
    assert_eq!(keys, kept, "d is connected, and c was heard of later than b");

    let mut room = Room::restore(config(), "f", storage);
    for (connection, client, last) in [(BOB, "b", "null"), (CAROL, "c", "1"), (DORA, "d", "1")] {
        come(&mut room, connection);
        let outputs = say(&mut room, connection, &joining(client, None, 0));
        assert!(frames(&outputs)[0].1.contains(&format!("\"last\":{last}")), "{client}: {outputs:?}");
    }
}
