//! What clients of the extended dialect are sent, frame by frame.

use roommate::Id;

use super::*;
use crate::{
    ClientMessage, DIALECT_HEADER, Dialect, Join, MALFORMED, OFFER_HEADER, Position, REPLACED, ServerMessage,
    UNACKNOWLEDGED,
};

mod returns;

const DORA: ConnectionId = ConnectionId(4);
const ERIN: ConnectionId = ConnectionId(5);

fn come(room: &mut Room, connection: ConnectionId) {
    let context = Context { query: "_pk=x&roommate=1".into(), ..Context::default() };
    assert_eq!(room.handle(Input::Connect { connection, context }), []);
}

fn joining(client: &str, at: Option<(&str, u64)>, decided: u64) -> String {
    let at = at.map(|(epoch, seq)| Position { epoch: epoch.into(), seq });
    Dialect::default().encode_client(&ClientMessage::Join(Join { client: client.into(), at, decided }))
}

fn change(id: u64, value_id: &str, value: i32) -> String {
    let mut changes = Changes::new();
    changes.set_value(value_id, Cell::from(value));
    Dialect::default().encode_change(id, &changes)
}

/// All frames that are sent, each with its connections.
fn frames(outputs: &[Output]) -> Vec<(&[ConnectionId], &str)> {
    let frames = outputs.iter().filter_map(|output| match output {
        Output::Send { to, frame } => Some((members(to), &**frame)),
        _ => None,
    });
    frames.collect()
}

fn closed(outputs: &[Output]) -> Vec<(ConnectionId, u16)> {
    let closed = outputs.iter().filter_map(|output| match output {
        Output::Close { connection, code, .. } => Some((*connection, *code)),
        _ => None,
    });
    closed.collect()
}

/// A room with an empty store, a stock client and two of the dialect, `d` and `e`.
fn mixed(config: RoomConfig) -> Room {
    let mut room = Room::new(config, "e");
    put(&mut room, "[{},{}]");
    join(&mut room, ALICE);
    for (connection, client) in [(DORA, "d"), (ERIN, "e")] {
        come(&mut room, connection);
        let outputs = say(&mut room, connection, &joining(client, None, 0));
        let snapshot = r#"r["snapshot",{"epoch":"e","seq":1,"last":null},[],[{},{}]]"#;
        assert_eq!(frames(&outputs), [(&[connection][..], snapshot)]);
    }
    room
}

#[derive(Debug)]
struct NoSecrets;

impl Policy for NoSecrets {
    fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        assert_ne!(value_id, "panic");
        value_id != "secret"
    }
}

#[test]
fn the_answers_for_the_store_say_that_the_room_speaks_the_dialect() {
    let has_header = |response: &Response| response.headers.contains(&(DIALECT_HEADER.into(), "1".into()));
    let mut room = Room::new(RoomConfig::new().with_cures(false), "e");
    for (method, path, says) in [
        ("GET", "/party/r/store", true),
        ("PUT", "/party/r/store", true),
        ("OPTIONS", "/party/r/store", true),
        ("GET", "/party/r", false),
    ] {
        assert_eq!(has_header(&http(&mut room, method, path, CONTENT).1), says, "{method} {path}");
    }
    let mut stock = Room::new(RoomConfig::new().with_cures(false).with_extended(false), "e");
    assert!(!has_header(&http(&mut stock, "GET", "/party/r/store", "").1));
}

#[test]
fn r1_a_change_is_confirmed_to_its_author_and_told_to_the_others_each_in_their_dialect() {
    let mut room = mixed(RoomConfig::new().with_cures(false));
    let outputs = say(&mut room, DORA, &change(1, "v", 7));
    assert!(
        matches!(&outputs[0], Output::Commit(record) if record.seq == 2 && record.author.as_deref() == Some("d")),
        "{outputs:?}"
    );
    assert_eq!(
        frames(&outputs),
        [
            (&[DORA][..], r#"r["accepted",2,1,[{},{},1]]"#),
            (&[ALICE], r#"s[{},{"v":7},1]"#),
            (&[ERIN], r#"r["changed",2,[{},{"v":7},1]]"#),
        ]
    );
    let outputs = say(&mut room, ALICE, r#"s[{},{"v":8},1]"#);
    assert_eq!(frames(&outputs), [(&[DORA, ERIN][..], r#"r["changed",3,[{},{"v":8},1]]"#)]);
    // What a client of the dialect sends in the stock dialect counts as another client's change: it is sent it, too.
    let outputs = say(&mut room, DORA, r#"s[{},{"v":9},1]"#);
    let told = r#"r["changed",4,[{},{"v":9},1]]"#;
    assert_eq!(frames(&outputs), [(&[ALICE][..], r#"s[{},{"v":9},1]"#), (&[DORA, ERIN], told)]);
}

#[test]
fn the_creation_of_the_store_has_a_place_in_the_order() {
    let mut room = Room::new(RoomConfig::new().with_cures(false), "e");
    come(&mut room, DORA);
    let outputs = say(&mut room, DORA, &joining("d", None, 0));
    assert_eq!(frames(&outputs)[0].1, r#"r["snapshot",{"epoch":"e","seq":0,"last":null},[],null]"#);
    let outputs = say(&mut room, DORA, &change(1, "v", 7));
    assert_eq!(frames(&outputs), [(&[DORA][..], r#"r["accepted",0,1,[{},{"v":7},1]]"#)], "there is no store");
    let (outputs, _) = http(&mut room, "PUT", "/store", "[{},{\"v\":1}]");
    assert!(matches!(&outputs[0], Output::Commit(_)));
    assert_eq!(frames(&outputs), [(&[DORA][..], r#"r["created",1,[{},{"v":1}]]"#)]);
}

#[test]
fn r7_a_change_sent_again_is_neither_applied_nor_answered() {
    let mut room = mixed(RoomConfig::new().with_cures(false));
    let _ = say(&mut room, DORA, &change(5, "v", 7));
    let _ = say(&mut room, ALICE, r#"s[{},{"v":8},1]"#);
    assert_eq!(say(&mut room, DORA, &change(5, "v", 7)), []);
    assert_eq!(say(&mut room, DORA, &change(4, "v", 7)), [], "one that came too late is not made up for");
    assert_eq!(get(&mut room), "[{},{\"v\":8}]");
}

#[test]
fn part_of_a_change_may_be_refused_and_a_policy_that_panics_refuses_all() {
    let mut room = mixed(RoomConfig::new().with_cures(false).with_policy(NoSecrets));
    let frame = r#"r["change",1,[{"t":{"r":{}}},{"v":1,"secret":1},1]]"#;
    let outputs = say(&mut room, DORA, frame);
    assert_eq!(frames(&outputs)[0].1, r#"r["accepted",2,1,[{},{"secret":1},1]]"#);
    assert_eq!(frames(&outputs)[2].1, r#"r["changed",2,[{},{"v":1},1]]"#);
    let outputs = say(&mut room, DORA, r#"r["change",2,[{},{"v":2,"panic":1},1]]"#);
    assert_eq!(frames(&outputs), [(&[DORA][..], r#"r["accepted",2,2,[{},{"v":2,"panic":1},1]]"#)]);
    assert_eq!(get(&mut room), "[{},{\"v\":1}]");
}

#[test]
fn what_is_out_of_place_or_malformed_costs_the_connection_and_nothing_else() {
    for frame in [
        "r",
        "r[]",
        r#"r["nonsense"]"#,
        r#"r["change",2,[{},{"v":1e999},1]]"#,
        &joining("d", None, 0),
        &change(0, "v", 1),
    ] {
        let mut room = mixed(RoomConfig::new().with_cures(false));
        assert_eq!(closed(&say(&mut room, DORA, frame)), [(DORA, MALFORMED)], "{frame}");
        assert_eq!(frames(&say(&mut room, ALICE, r#"s[{},{"v":1},1]"#)).len(), 1);
        assert_eq!(say(&mut room, BOB, frame), [], "one who is not there");
        assert_eq!(say(&mut room, ALICE, frame), [], "to a stock client it is nothing");
    }
    for frame in [change(1, "v", 1), r#"r["ack",1]"#.to_owned()] {
        let mut room = mixed(RoomConfig::new().with_cures(false));
        come(&mut room, BOB);
        assert_eq!(frames(&say(&mut room, ALICE, r#"s[{},{"v":1},1]"#)).len(), 1, "nothing before the join");
        assert_eq!(closed(&say(&mut room, BOB, &frame)), [(BOB, MALFORMED)], "{frame}");
    }
}

#[test]
fn a_room_of_the_stock_dialect_only_takes_no_notice() {
    let mut room = Room::new(RoomConfig::new().with_cures(false).with_extended(false), "e");
    put(&mut room, "[{},{}]");
    join(&mut room, ALICE);
    come(&mut room, DORA);
    assert_eq!(say(&mut room, DORA, &joining("d", None, 0)), []);
    assert_eq!(say(&mut room, DORA, &change(1, "v", 1)), []);
    assert_eq!(sent(&say(&mut room, ALICE, r#"s[{},{"v":1},1]"#)), (&[DORA][..], r#"s[{},{"v":1},1]"#));
}

#[test]
fn r8_refusals_that_nobody_acknowledges_do_not_gather_without_end() {
    let mut room = mixed(RoomConfig::new().with_cures(false).with_policy(NoSecrets));
    for id in 1..=257 {
        let outputs = say(&mut room, DORA, &change(id, "secret", 1));
        assert_eq!((closed(&outputs), frames(&outputs).len()), (vec![], 1), "the last goes beyond the bound");
    }
    let one_more = change(258, "secret", 1);
    let hung_up = [Output::Close { connection: DORA, code: UNACKNOWLEDGED, reason: "acknowledge what was refused" }];
    assert_eq!(say(&mut room, DORA, &one_more), hung_up, "and no more is decided");
    come(&mut room, DORA);
    let outputs = say(&mut room, DORA, &joining("d", None, 0));
    let message = Dialect::default().decode_server(frames(&outputs)[0].1).unwrap().unwrap().value;
    let ServerMessage::Snapshot { standing, refused, .. } = message else { panic!("{message:?}") };
    assert_eq!((standing.last, refused.len()), (Some(257), 257));
    assert_eq!(say(&mut room, DORA, &change(258, "v", 1)), hung_up, "nor on the next connection, nor what is allowed");
    come(&mut room, DORA);
    assert_eq!(frames(&say(&mut room, DORA, &joining("d", None, 1))).len(), 1, "an acknowledgement, and its answer");
    assert_eq!(frames(&say(&mut room, DORA, &one_more)).len(), 1, "it was not decided before");
    assert_eq!(say(&mut room, DORA, &one_more), [], "what is decided costs nothing to say again");
    let _ = say(&mut room, DORA, r#"r["ack",258]"#);

    // By their size as well.
    for id in [259, 260] {
        assert_eq!(closed(&say(&mut room, DORA, &large("secret", id))), []);
    }
    assert_eq!(say(&mut room, DORA, &change(261, "v", 1)), hung_up);
}

#[test]
fn r8_one_who_comes_back_to_be_refused_makes_a_room_remember_no_more_than_it_may() {
    let mut room = mixed(RoomConfig::new().with_cures(false).with_policy(NoSecrets));
    let (mut told, mut rounds_cut_off) = (0, 0);
    for id in 1..=20 {
        let outputs = say(&mut room, DORA, &large("secret", id));
        rounds_cut_off += closed(&outputs).len();
        let _ = room.handle(Input::Close { connection: DORA });
        come(&mut room, DORA);
        told = frames(&say(&mut room, DORA, &joining("d", None, 0)))[0].1.len();
    }
    let stored = room.snapshot().encode().len();
    assert!(told < 5 << 19 && stored < 5 << 19, "{told} bytes are remembered, and {stored} stored");
    assert_eq!(rounds_cut_off, 18);
}

/// A change of a value of 600 kB.
fn large(value_id: &str, id: u64) -> String {
    let mut changes = Changes::new();
    changes.set_value(value_id, Cell::try_from("x".repeat(600_000)).unwrap());
    Dialect::default().encode_change(id, &changes)
}

#[test]
fn one_who_reads_too_slowly_is_told_everything_when_it_has_caught_up() {
    let mut room = mixed(RoomConfig::new().with_cures(false).with_policy(NoSecrets));
    assert_eq!(room.handle(Input::Behind { connection: DORA }), []);
    let outputs = say(&mut room, ALICE, r#"s[{},{"v":1},1]"#);
    assert_eq!(frames(&outputs)[0].0, [ERIN]);
    let outputs = say(&mut room, DORA, &change(1, "secret", 1));
    assert_eq!(frames(&outputs), [], "its own are decided all the same");
    let outputs = room.handle(Input::CaughtUp { connection: DORA });
    let all = r#"r["snapshot",{"epoch":"e","seq":2,"last":1},[[1,[{},{"secret":1},1]]],[{},{"v":1}]]"#;
    assert_eq!(frames(&outputs), [(&[DORA][..], all)]);
    assert_eq!(room.handle(Input::CaughtUp { connection: DORA }), [], "once");
    let outputs = say(&mut room, ALICE, r#"s[{},{"v":2},1]"#);
    assert_eq!(frames(&outputs)[0].0, [DORA, ERIN]);

    assert_eq!(closed(&room.handle(Input::Behind { connection: ALICE })), [(ALICE, 1013)]);
    assert_eq!(room.handle(Input::Behind { connection: ALICE }), [], "not in the room any more");
    assert_eq!(room.handle(Input::CaughtUp { connection: ALICE }), []);
}

/// Offers a first content that includes a client's changes up to some id.
fn offer(room: &mut Room, header: &str, body: &str) -> (Vec<Output>, u16) {
    let headers = vec![(OFFER_HEADER.to_owned(), header.to_owned())];
    let context = Context { method: "PUT".into(), path: "/party/r/store".into(), headers, ..Context::default() };
    let mut outputs = room.handle(Input::Request { request: RequestId(7), context, body: body.as_bytes() });
    match outputs.pop() {
        Some(Output::Respond { response, .. }) => (outputs, response.status),
        other => panic!("the answer comes last: {other:?}"),
    }
}

#[test]
fn r7_a_first_content_decides_the_changes_that_it_has() {
    let mut room = Room::new(RoomConfig::new().with_cures(false).with_policy(NoSecrets), "e");
    for (connection, client) in [(DORA, "d"), (ERIN, "e")] {
        come(&mut room, connection);
        let _ = say(&mut room, connection, &joining(client, None, 0));
    }
    let (outputs, status) = offer(&mut room, r#"["d",3]"#, r#"[{},{"v":1,"secret":2}]"#);
    assert_eq!(status, 201);
    let refused = Some("[{},{\"secret\":2},1]".into());
    let record = Record {
        number: 1,
        seq: 1,
        author: Some("d".into()),
        decided: Some(Decided { id: 3, acknowledged: 0, refused }),
        event: Event::Created(r#"[{},{"v":1}]"#.into()),
    };
    assert_eq!(records(&outputs), [record], "all or none");
    let told = r#"r["accepted",0,3,[{},{"secret":2},1]]"#;
    let created = r#"r["created",1,[{},{"v":1}]]"#;
    assert_eq!(frames(&outputs), [(&[DORA][..], told), (&[DORA, ERIN][..], created)]);

    let outputs = say(&mut room, ERIN, &change(1, "v", 5));
    assert_eq!(frames(&outputs).len(), 2);
    assert_eq!(say(&mut room, DORA, &change(3, "v", 1)), [], "it took effect");

    // A returning client is sent the same, with and without what it knew.
    let _ = room.handle(Input::Close { connection: DORA });
    come(&mut room, ALICE);
    let outputs = say(&mut room, ALICE, &joining("d", Some(("e", 0)), 0));
    let entries = [told, created, r#"r["changed",2,[{},{"v":5},1]]"#].map(|entry| &entry[1..]).join(",");
    let resumed = format!(r#"r["resumed",{{"epoch":"e","seq":2,"last":3}},[{entries}]]"#);
    assert_eq!(frames(&outputs), [(&[ALICE][..], &*resumed)]);
    come(&mut room, BOB);
    let outputs = say(&mut room, BOB, &joining("d", None, 0));
    let snapshot = r#"r["snapshot",{"epoch":"e","seq":2,"last":3},[[3,[{},{"secret":2},1]]],[{},{"v":5}]]"#;
    assert!(frames(&outputs).contains(&(&[BOB][..], snapshot)), "{outputs:?}");
}

#[test]
fn a_first_content_that_is_not_taken_decides_nothing() {
    let mut room = Room::new(RoomConfig::new().with_policy(NoSecrets), "e");
    assert_eq!(offer(&mut room, "[]", "[{},{}]"), (vec![], 400));
    assert_eq!(offer(&mut room, r#"["d",3]"#, r#"[{},{"secret":2}]"#), (vec![], 201), "nothing is left of it");
    let (outputs, status) = offer(&mut room, r#"["e",3]"#, r#"[{},{"v":1}]"#);
    assert_eq!((outputs.len(), status), (1, 201), "nobody is there to be told");
    assert_eq!(offer(&mut room, r#"["d",3]"#, r#"[{},{"v":2}]"#), (vec![], 205));
    for (connection, client, last) in [(DORA, "d", "null"), (ERIN, "e", "3")] {
        come(&mut room, connection);
        let outputs = say(&mut room, connection, &joining(client, None, 0));
        assert!(frames(&outputs)[0].1.contains(&format!("\"last\":{last}")), "{client}: {outputs:?}");
    }

    let mut room = Room::new(RoomConfig::new().with_extended(false), "e");
    assert_eq!(offer(&mut room, "[]", "[{},{}]").1, 201, "a room of the stock dialect knows of no such header");
}

#[test]
fn what_a_client_of_the_dialect_changes_behind_an_answered_request_is_told_again_to_stock_clients_alone() {
    let mut room = Room::new(RoomConfig::new(), "e");
    put(&mut room, "[{},{}]");
    let _ = room.handle(Input::Connect { connection: ALICE, context: Context::default() });
    come(&mut room, DORA);
    let _ = say(&mut room, DORA, &joining("d", None, 0));
    let _ = http(&mut room, "GET", "/store", "");
    let _ = say(&mut room, DORA, &change(1, "v", 1));
    let mut told = Vec::new();
    // No client answers pings, so the repair takes two more ticks.
    for _ in 0..6 {
        let outputs = room.handle(Input::Tick);
        told.extend(frames(&outputs).into_iter().map(|(to, frame)| (to.to_vec(), frame.to_owned())));
    }
    // The first is that of a client that has just connected.
    let again = (vec![ALICE], r#"s[{},{"v":1},1]"#.to_owned());
    assert_eq!(told, [(vec![ALICE], r#"s[{},{"v":1}]"#.to_owned()), again]);
}
