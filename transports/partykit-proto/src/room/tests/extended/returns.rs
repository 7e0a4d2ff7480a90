//! What returning clients are sent, and what is stored for them.

use super::*;

/// A room with an empty store, and the records of it.
fn stored_room(config: RoomConfig) -> (Room, Vec<Record>) {
    let mut room = Room::new(config, "e");
    let log = records(&http(&mut room, "PUT", "/store", "[{},{}]").0);
    for (connection, client) in [(DORA, "d"), (ERIN, "e")] {
        come(&mut room, connection);
        let _ = say(&mut room, connection, &joining(client, None, 0));
    }
    (room, log)
}

#[test]
fn r6_r7_what_was_decided_outlives_the_server() {
    let config = || RoomConfig::new().with_cures(false).with_policy(NoSecrets);
    let (mut room, mut log) = stored_room(config());
    for frame in [change(1, "v", 7), change(2, "secret", 7), change(3, "w", 7)] {
        log.extend(records(&say(&mut room, DORA, &frame)));
    }
    let snapshot = room.snapshot().encode();
    let from_log = stored(&log, &[("e", 0)], ("f", 3));
    let from_snapshot = Opened { snapshot: Some(snapshot), log: Vec::new(), ..from_log.clone() };
    for opened in [from_log, from_snapshot] {
        let mut room = Room::open(config(), opened).unwrap();
        come(&mut room, DORA);
        let outputs = say(&mut room, DORA, &joining("d", None, 0));
        let snapshot = r#"r["snapshot",{"epoch":"f","seq":3,"last":3},[[2,[{},{"secret":7},1]]],[{},{"v":7,"w":7}]]"#;
        assert_eq!(frames(&outputs), [(&[DORA][..], snapshot)]);
        assert_eq!(say(&mut room, DORA, &change(3, "w", 7)), []);
        // An acknowledged refusal is forgotten, and the acknowledgement is stored with the next change.
        assert_eq!(say(&mut room, DORA, r#"r["ack",3]"#), []);
        assert!(room.snapshot().clients[0].refused.is_empty());
        let next = records(&say(&mut room, DORA, &change(4, "v", 8)));
        assert!(matches!(&next[0].decided, Some(Decided { id: 4, acknowledged: 3, refused: None })), "{next:?}");
        let log: Vec<_> = log.iter().cloned().chain(next).collect();
        let room = Room::open(config(), stored(&log, &[("e", 0), ("f", 3)], ("g", 4))).unwrap();
        assert!(room.snapshot().clients[0].refused.is_empty());
    }
}

#[test]
fn one_that_comes_back_after_the_room_was_opened_again_is_sent_what_it_missed() {
    let config = || RoomConfig::new().with_cures(false).with_policy(NoSecrets);
    let (mut room, mut log) = stored_room(config());
    for frame in [change(1, "v", 7), change(2, "secret", 7), change(3, "w", 7)] {
        log.extend(records(&say(&mut room, DORA, &frame)));
    }
    let opened = stored(&log, &[("e", 0)], ("f", 3));
    let commits = opened.log.clone();
    let reopened = || Room::open(config(), opened.clone()).unwrap();
    let recall = |room: &mut Room, connection, at| {
        come(room, connection);
        say(room, connection, &joining("x", Some(at), 0))
    };

    let mut room = reopened();
    let outputs = recall(&mut room, DORA, ("e", 1));
    assert_eq!(outputs, [Output::Recall { connection: DORA, after: 1, max_bytes: 4 << 20 }]);
    // What happens meanwhile is sent after that.
    let outputs = say(&mut room, DORA, &change(1, "v", 9));
    assert_eq!(frames(&outputs), []);
    let outputs = room.handle(Input::Recalled { connection: DORA, commits: &commits });
    let resumed = r#"r["resumed",{"epoch":"f","seq":4,"last":1},[["changed",2,[{},{"v":7},1]],["changed",3,[{},{"w":7},1]],["accepted",4,1,[{},{},1]]]]"#;
    assert_eq!(frames(&outputs), [(&[DORA][..], resumed)]);
    assert_eq!(room.handle(Input::Recalled { connection: DORA, commits: &commits }), [], "once");
    assert_eq!(frames(&say(&mut room, DORA, &change(2, "v", 10))).len(), 1, "from then on it is answered");

    // A client that missed nothing needs no storage.
    let outputs = recall(&mut reopened(), DORA, ("e", 3));
    assert_eq!(frames(&outputs), [(&[DORA][..], r#"r["resumed",{"epoch":"f","seq":3,"last":null},[]]"#)]);
    // R5: an epoch that the storage does not know, or a sequence number that was not given under it.
    for at in [("z", 1), ("e", 4), ("f", 2)] {
        let outputs = recall(&mut reopened(), DORA, at);
        assert!(frames(&outputs)[0].1.starts_with("r[\"snapshot\""), "{at:?}: {outputs:?}");
    }
    // If the storage does not have all of it, the whole content is sent.
    for some in [&[][..], &commits[2..], &commits[..2]] {
        let mut room = reopened();
        let _ = recall(&mut room, DORA, ("e", 1));
        let outputs = room.handle(Input::Recalled { connection: DORA, commits: some });
        assert!(frames(&outputs)[0].1.starts_with("r[\"snapshot\""), "{outputs:?}");
    }
    // A client that falls behind meanwhile is sent the whole content once it has caught up, and nothing before.
    let mut room = reopened();
    let _ = recall(&mut room, DORA, ("e", 1));
    assert_eq!(room.handle(Input::Behind { connection: DORA }), []);
    assert_eq!(room.handle(Input::Recalled { connection: DORA, commits: &commits }), []);
    let outputs = room.handle(Input::CaughtUp { connection: DORA });
    assert!(frames(&outputs)[0].1.starts_with("r[\"snapshot\""), "{outputs:?}");
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

    // The author is sent what was decided about its changes, in the order of their ids.
    let _ = room.handle(Input::Close { connection: DORA });
    come(&mut room, BOB);
    let outputs = say(&mut room, BOB, &joining("d", Some(("e", 2)), 1));
    let missed = "r[\"resumed\",{\"epoch\":\"e\",\"seq\":3,\"last\":4},[[\"accepted\",2,2,[{},{\"secret\":7},1]],\
                  [\"accepted\",3,3,[{},{},1]],[\"accepted\",3,4,[{},{\"secret\":8},1]]]]";
    assert_eq!(frames(&outputs), [(&[BOB][..], missed)]);
    // The client knows all that, and missed nothing since.
    come(&mut room, CAROL);
    let outputs = say(&mut room, CAROL, &joining("d", Some(("e", 3)), 4));
    assert_eq!(closed(&outputs), [(BOB, REPLACED)]);
    let nothing = r#"r["resumed",{"epoch":"e","seq":3,"last":4},[]]"#;
    assert_eq!(frames(&outputs), [(&[CAROL][..], nothing)]);
    assert_eq!(say(&mut room, BOB, &change(9, "v", 9)), [], "who was replaced is not in the room");
    assert_eq!(room.connections().count(), 3);
}

#[test]
fn where_the_log_does_not_reach_storage_is_asked_or_the_whole_content_is_sent() {
    let mut room = mixed(RoomConfig::new().with_cures(false).with_max_log(2, usize::MAX));
    for value in 0..4 {
        let _ = say(&mut room, ALICE, &format!("s[{{}},{{\"v\":{value}}},1]"));
    }
    for (at, answer) in [
        (Some(("e", 5)), "resumed"),
        (Some(("e", 3)), "resumed"),
        (Some(("e", 2)), "recall"),
        (Some(("e", 6)), "snapshot"),
        (Some(("f", 5)), "snapshot"),
        (None, "snapshot"),
    ] {
        come(&mut room, BOB);
        let outputs = say(&mut room, BOB, &joining("b", at, 0));
        match &*outputs {
            [Output::Recall { connection: BOB, after, .. }] => assert_eq!((answer, *after), ("recall", at.unwrap().1)),
            [Output::Send { frame, .. }] => assert!(frame.starts_with(&format!("r[\"{answer}\"")), "{at:?}: {frame}"),
            _ => panic!("{outputs:?}"),
        }
        let _ = room.handle(Input::Close { connection: BOB });
    }
}

#[test]
fn records_are_kept_in_memory_once_somebody_has_joined_who_may_come_back() {
    let mut room = Room::new(RoomConfig::new().with_cures(false), "e");
    put(&mut room, "[{},{}]");
    join(&mut room, ALICE);
    let _ = say(&mut room, ALICE, r#"s[{},{"v":1},1]"#);
    come(&mut room, DORA);
    let outputs = say(&mut room, DORA, &joining("d", Some(("e", 1)), 0));
    assert!(matches!(&*outputs, [Output::Recall { after: 1, .. }]), "{outputs:?}");
    let _ = say(&mut room, ALICE, r#"s[{},{"v":2},1]"#);
    come(&mut room, ERIN);
    let outputs = say(&mut room, ERIN, &joining("e", Some(("e", 2)), 0));
    assert!(frames(&outputs)[0].1.starts_with("r[\"resumed\""), "{outputs:?}");
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
    // Joining acknowledges what was decided, and nothing after it, even if the join names later changes.
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
    let (mut room, mut log) = stored_room(config());
    let _ = room.handle(Input::Close { connection: ERIN });
    let mut run = |room: &mut Room, connection, frame: &str| log.extend(records(&say(room, connection, frame)));
    run(&mut room, DORA, &change(1, "secret", 1));
    for (connection, client) in [(BOB, "b"), (CAROL, "c")] {
        come(&mut room, connection);
        run(&mut room, connection, &joining(client, None, 0));
        run(&mut room, connection, &change(1, "secret", 1));
        let _ = room.handle(Input::Close { connection });
    }
    let known = |room: &Room| room.snapshot().clients.iter().map(|known| known.client.to_string()).collect::<Vec<_>>();
    assert_eq!(known(&room), ["d", "c"], "d is connected, and c was heard of later than b");
    let snapshot = Some(room.snapshot().encode());

    let opened = Opened { snapshot, ..stored(&[], &[("e", 0)], ("f", 1)) };
    let mut room = Room::open(config(), opened).unwrap();
    for (connection, client, last) in [(BOB, "b", "null"), (CAROL, "c", "1"), (DORA, "d", "1")] {
        come(&mut room, connection);
        let outputs = say(&mut room, connection, &joining(client, None, 0));
        assert!(frames(&outputs)[0].1.contains(&format!("\"last\":{last}")), "{client}: {outputs:?}");
    }
}
