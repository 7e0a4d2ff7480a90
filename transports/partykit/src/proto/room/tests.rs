use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use roommate::Id;

use super::*;
use crate::proto::{AllowAll, Policy};

const ALICE: ConnectionId = ConnectionId(1);
const BOB: ConnectionId = ConnectionId(2);
const CAROL: ConnectionId = ConnectionId(3);

const CONTENT: &str = r#"[{"pets":{"fido":{"species":"dog","age":4},"felix":{"species":"cat"}}},{"open":true}]"#;

fn http(room: &mut Room, method: &str, path: &str, body: &str) -> (Vec<Output>, Response) {
    let context = Context { method: method.into(), path: path.into(), ..Context::default() };
    let mut outputs = room.handle(Input::Request { request: RequestId(7), context, body: body.as_bytes() });
    let Some(Output::Respond { request: RequestId(7), response }) = outputs.pop() else {
        panic!("the answer comes last");
    };
    (outputs, response)
}

fn get(room: &mut Room) -> String {
    let (outputs, response) = http(room, "GET", "/parties/main/r/store", "");
    assert_eq!((outputs, response.status), (vec![], 200));
    response.body
}

fn put(room: &mut Room, body: &str) -> u16 {
    let (_, response) = http(room, "PUT", "/parties/main/r/store", body);
    assert_eq!(response.body, "");
    response.status
}

fn join(room: &mut Room, connection: ConnectionId) {
    let outputs = room.handle(Input::Connect { connection, context: Context::default() });
    assert_eq!(outputs, [], "nothing is said on joining");
}

fn say(room: &mut Room, connection: ConnectionId, text: &str) -> Vec<Output> {
    room.handle(Input::Message { connection, text })
}

/// A room with [`CONTENT`] and three people in it.
fn meeting(config: RoomConfig) -> Room {
    let mut room = Room::new(config);
    assert_eq!(put(&mut room, CONTENT), 201);
    for connection in [ALICE, BOB, CAROL] {
        join(&mut room, connection);
    }
    room
}

/// The one frame that is sent, and to whom.
fn sent(outputs: &[Output]) -> (&[ConnectionId], &str) {
    match outputs {
        [Output::Commit(_), Output::Send { to, frame }] | [Output::Send { to, frame }] => (to, frame),
        _ => panic!("{outputs:?} is no single frame"),
    }
}

#[test]
fn a_room_without_a_store_is_empty_and_found() {
    for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "put"] {
        let mut room = Room::new(RoomConfig::new());
        let (outputs, response) = http(&mut room, method, "/parties/main/r/store", CONTENT);
        assert_eq!((response.status, &*response.body), (200, ""), "{method}");
        assert_eq!(outputs, [], "{method}");
        assert!(room.is_idle(), "{method}");
    }
}

#[test]
fn anything_but_a_put_returns_the_store() {
    let mut room = meeting(RoomConfig::new());
    let stored = get(&mut room);
    assert_eq!(Content::from_json(&stored).unwrap().value, Content::from_json(CONTENT).unwrap().value);
    for method in ["HEAD", "POST", "DELETE", "OPTIONS", "PATCH"] {
        let (_, response) = http(&mut room, method, "/party/r/x/store", "[{},{}]");
        assert_eq!((response.status, &response.body), (200, &stored), "{method}");
    }
}

#[test]
fn the_store_is_where_the_path_ends_with_its_own() {
    let mut room = meeting(RoomConfig::new());
    for (path, status) in [
        ("/parties/main/r/store", 200),
        ("/parties/main/r/x/store", 200),
        ("/parties/main/r/xstore", 404),
        ("/parties/main/r/store/", 404),
        ("/parties/main/r", 404),
    ] {
        assert_eq!(http(&mut room, "GET", path, "").1.status, status, "{path}");
        let (outputs, response) = http(&mut room, "PUT", path, CONTENT);
        assert_eq!((outputs, response.status), (vec![], if status == 200 { 205 } else { 404 }), "{path}");
    }
}

#[test]
fn a_put_is_answered_as_tinybase_answers_it() {
    for (body, new, existing, creates) in [
        (CONTENT, 201, 205, true),
        ("[{},{}]", 201, 205, true),
        ("[{},{\"v\":null}]", 201, 205, true),
        ("[{\"t\":{}},{}]", 201, 205, false),
        ("[{\"t\":{\"r\":{}}},{}]", 201, 205, false),
        ("", 400, 400, false),
        ("{", 400, 400, false),
        ("{}", 400, 400, false),
        ("null", 400, 400, false),
        ("[{}]", 400, 400, false),
        ("[{},{},1]", 400, 400, false),
        ("[{\"t\":null},{}]", 400, 400, false),
        ("[{\"t\":{\"r\":[]}},{}]", 400, 400, false),
        ("[[],{}]", 400, 400, false),
    ] {
        let mut room = Room::new(RoomConfig::new());
        assert_eq!(put(&mut room, body), new, "{body}");
        assert_eq!(room.exists(), creates, "{body}");
        let mut room = meeting(RoomConfig::new());
        let before = room.content();
        assert_eq!(put(&mut room, body), existing, "{body}");
        assert_eq!(room.content(), before, "{body}");
    }
}

#[test]
fn a_body_that_is_no_text_or_too_large_is_refused() {
    let mut room = Room::new(RoomConfig::new().with_max_body_size(8));
    let context = Context { method: "PUT".into(), path: "/store".into(), ..Context::default() };
    for (body, status) in [(&b"[{},{\xff"[..], 400), (b"[{},{}]  ", 413), (b"[{},{}] ", 201)] {
        let outputs = room.handle(Input::Request { request: RequestId(1), context: context.clone(), body });
        let Some(Output::Respond { response, .. }) = outputs.last() else { panic!("{outputs:?}") };
        assert_eq!(response.status, status, "{body:?}");
    }
}

#[test]
fn every_answer_lets_pages_of_any_origin_in() {
    let mut room = Room::new(RoomConfig::new().with_store_path("/s").with_policy(Nobody));
    let mut responses =
        vec![http(&mut room, "GET", "/parties/main/r/s", "").1, http(&mut room, "OPTIONS", "/parties/main/r/s", "").1];
    room = Room::new(RoomConfig::new().with_store_path("/s").with_message_prefix("m").with_storage_prefix("p"));
    for (method, path, body) in [
        ("GET", "/party/r/s", ""),
        ("PUT", "/party/r/s", "{"),
        ("PUT", "/party/r/s", CONTENT),
        ("PUT", "/party/r/s", CONTENT),
        ("GET", "/party/r/x", ""),
        ("OPTIONS", "/party/r/s", ""),
    ] {
        responses.push(http(&mut room, method, path, body).1);
    }
    let statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [401, 200, 200, 400, 201, 205, 404, 200]);
    for response in responses {
        for header in ["Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"] {
            assert!(response.headers.contains(&(header.into(), "*".into())), "{} lacks {header}", response.status);
        }
    }
}

#[test]
fn a_preflight_without_credentials_passes_and_tells_nothing() {
    #[derive(Debug)]
    struct Token;
    impl Policy for Token {
        fn can_request(&self, asker: Asker<'_>) -> bool {
            asker.context.header("authorization") == Some("secret")
        }
    }
    let mut room = Room::new(RoomConfig::new().with_policy(Token));
    let mut context = Context { method: "PUT".into(), path: "/store".into(), ..Context::default() };
    context.headers = vec![("authorization".into(), "secret".into())];
    let _ = room.handle(Input::Request { request: RequestId(1), context, body: CONTENT.as_bytes() });
    assert!(room.exists());
    let (_, response) = http(&mut room, "OPTIONS", "/store", "");
    assert_eq!((response.status, &*response.body), (200, ""));
    let (_, response) = http(&mut room, "GET", "/store", "");
    assert_eq!((response.status, &*response.body), (401, "Unauthorised"));
}

#[test]
fn r6_a_change_is_committed_before_anybody_hears_of_it() {
    let mut room = meeting(RoomConfig::new());
    let outputs = say(&mut room, ALICE, "s[{\"pets\":{\"fido\":{\"age\":5}}},{},1]");
    let [Output::Commit(batch), Output::Send { to, frame }] = &*outputs else { panic!("{outputs:?}") };
    assert_eq!(batch.puts, [("t\"pets\",\"fido\",\"age\"".to_owned(), Cell::from(5))]);
    assert_eq!(batch.deletes, [""; 0]);
    assert_eq!(to, &[BOB, CAROL]);
    assert_eq!(frame, "s[{\"pets\":{\"fido\":{\"age\":5}}},{},1]");

    let mut room = Room::new(RoomConfig::new());
    let (outputs, response) = http(&mut room, "PUT", "/store", "[{},{\"v\":1}]");
    let [Output::Commit(batch)] = &*outputs else { panic!("{outputs:?}") };
    assert_eq!(batch.puts, [("vv".to_owned(), Cell::from(1)), ("hasStore".to_owned(), Cell::from(1))]);
    assert_eq!(response.status, 201);
}

#[test]
fn deletions_reach_the_storage_key_by_key_and_the_others_in_one_frame() {
    let mut room = meeting(RoomConfig::new());
    let outputs = say(&mut room, BOB, "s[{\"pets\":{\"fido\":\"\u{FFFC}\"}},{\"open\":\"\u{FFFC}\"},1]");
    let Output::Commit(batch) = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!(batch.deletes, ["t\"pets\",\"fido\",\"age\"", "t\"pets\",\"fido\",\"species\"", "vopen"]);
    assert_eq!(sent(&outputs).1, "s[{\"pets\":{\"fido\":\"\u{FFFC}\"}},{\"open\":\"\u{FFFC}\"},1]");

    let outputs = say(&mut room, BOB, "s[{\"pets\":\"\\uFFFC\"},{},1]");
    let Output::Commit(batch) = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!(batch.deletes, ["t\"pets\",\"felix\",\"species\""]);
    assert_eq!(get(&mut room), "[{},{}]");
    assert!(room.exists(), "an emptied store is still one");
}

#[test]
fn what_changes_nothing_is_told_and_not_stored() {
    let mut room = meeting(RoomConfig::new());
    let frame = "s[{\"pets\":{\"fido\":{\"age\":4},\"gone\":\"\u{FFFC}\"},\"gone\":\"\u{FFFC}\"},{\"open\":true},1]";
    let outputs = say(&mut room, ALICE, frame);
    assert_eq!(outputs, [Output::Send { to: vec![BOB, CAROL], frame: frame.into() }]);
}

#[test]
fn nothing_is_told_of_nothing() {
    let mut room = meeting(RoomConfig::new());
    for frame in ["s[{},{},1]", "s[{\"t\":{}},{},1]", "s[{\"t\":{\"r\":{}}},{},1]"] {
        assert_eq!(say(&mut room, ALICE, frame), [], "{frame}");
    }
    let mut alone = Room::new(RoomConfig::new());
    put(&mut alone, "[{},{}]");
    join(&mut alone, ALICE);
    let outputs = say(&mut alone, ALICE, "s[{},{\"v\":1},1]");
    assert!(matches!(&*outputs, [Output::Commit(_)]), "{outputs:?}");
}

#[test]
fn what_the_original_ignores_is_ignored() {
    let mut room = meeting(RoomConfig::new());
    let before = room.content();
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
    assert_eq!(room.content(), before);
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
        let mut room = meeting(RoomConfig::new());
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
    let mut room = meeting(RoomConfig::new());
    let outputs = say(&mut room, ALICE, "s[{},{\"a\":1e999,\"b\":\"\u{FFFD}nope\",\"c\":\"\\ud800\",\"d\":1},1]");
    assert_eq!(sent(&outputs).1, "s[{},{\"d\":1},1]");
    assert_eq!(say(&mut room, ALICE, "s[{},{\"a\":1e999},1]"), []);

    let mut room = Room::new(RoomConfig::new());
    assert_eq!(put(&mut room, "[{},{\"a\":1e999}]"), 201);
    assert!(!room.exists(), "nothing of it was left");
    assert_eq!(put(&mut room, "[{},{\"a\":\"\u{FFFC}\",\"b\":1}]"), 201);
    assert_eq!(get(&mut room), "[{},{\"b\":1}]");
}

#[test]
fn prefixes_are_used_and_demanded() {
    let mut room = meeting(RoomConfig::new().with_message_prefix("m:").with_storage_prefix("p:"));
    assert_eq!(say(&mut room, ALICE, "s[{},{\"v\":1},1]"), []);
    let outputs = say(&mut room, ALICE, "m:s[{},{\"v\":1},1]");
    let Output::Commit(batch) = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!(batch.puts[0].0, "p:vv");
    assert_eq!(sent(&outputs).1, "m:s[{},{\"v\":1},1]");
}

#[test]
fn messages_are_ignored_while_there_is_no_store() {
    let mut room = Room::new(RoomConfig::new());
    join(&mut room, ALICE);
    join(&mut room, BOB);
    assert_eq!(say(&mut room, ALICE, "s[{},{\"v\":1},1]"), []);
    assert_eq!(get(&mut room), "");
}

#[test]
fn the_first_content_is_told_to_nobody() {
    let mut room = Room::new(RoomConfig::new());
    join(&mut room, ALICE);
    let (outputs, _) = http(&mut room, "PUT", "/store", CONTENT);
    assert!(matches!(&*outputs, [Output::Commit(_)]), "{outputs:?}");
}

#[test]
fn connections_are_told_apart_by_themselves_and_not_by_their_name() {
    let mut room = Room::new(RoomConfig::new());
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
    let mut room = meeting(RoomConfig::new().with_max_message_size(18));
    assert!(matches!(&*say(&mut room, ALICE, "s[{},{\"v\":\"ab\"},1]"), [_, _]));
    let outputs = say(&mut room, ALICE, "s[{},{\"v\":\"abc\"},1]");
    assert!(matches!(&*outputs, [Output::Close { connection: ALICE, code: 1009, .. }]), "{outputs:?}");
    assert_eq!(sent(&say(&mut room, BOB, "s[{},{\"v\":1},1]")).0, [CAROL]);
}

/// Lets nobody in.
#[derive(Debug)]
struct Nobody;

impl Policy for Nobody {
    fn can_connect(&self, _: Asker<'_>) -> bool {
        false
    }
    fn can_request(&self, _: Asker<'_>) -> bool {
        false
    }
}

/// Notes what it is asked, and refuses what is listed.
#[derive(Clone, Debug, Default)]
struct Notes {
    refused: Vec<&'static str>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Notes {
    fn refusing(refused: &[&'static str]) -> Self {
        Self { refused: refused.into(), asked: Arc::default() }
    }

    fn answer(&self, question: String, asker: Asker<'_>) -> bool {
        let who = asker.connection.map_or_else(|| "put".to_owned(), |connection| connection.0.to_string());
        assert_eq!(asker.initial_save(), who == "put");
        let question = format!("{who}: {question}");
        let answer = !self.refused.contains(&&*question);
        self.asked.lock().unwrap().push(question);
        answer
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Policy for Notes {
    fn can_set_table(&self, table: &Id, asker: Asker<'_>) -> bool {
        self.answer(format!("set {table}"), asker)
    }
    fn can_del_table(&self, table: &Id, asker: Asker<'_>) -> bool {
        self.answer(format!("del {table}"), asker)
    }
    fn can_set_row(&self, table: &Id, row: &Id, asker: Asker<'_>) -> bool {
        self.answer(format!("set {table} {row}"), asker)
    }
    fn can_del_row(&self, table: &Id, row: &Id, asker: Asker<'_>) -> bool {
        self.answer(format!("del {table} {row}"), asker)
    }
    fn can_set_cell(&self, t: &Id, r: &Id, c: &Id, cell: &Cell, old: Option<&Cell>, asker: Asker<'_>) -> bool {
        let old = old.map_or_else(|| "nothing".to_owned(), Cell::to_json);
        self.answer(format!("set {t} {r} {c} {old}->{}", cell.to_json()), asker)
    }
    fn can_del_cell(&self, t: &Id, r: &Id, c: &Id, asker: Asker<'_>) -> bool {
        self.answer(format!("del {t} {r} {c}"), asker)
    }
    fn can_set_value(&self, value_id: &Id, value: &Cell, old: Option<&Cell>, asker: Asker<'_>) -> bool {
        let old = old.map_or_else(|| "nothing".to_owned(), Cell::to_json);
        self.answer(format!("set {value_id} {old}->{}", value.to_json()), asker)
    }
    fn can_del_value(&self, value_id: &Id, asker: Asker<'_>) -> bool {
        self.answer(format!("del {value_id}"), asker)
    }
}

#[test]
fn the_policy_is_asked_from_the_outside_in_and_told_who_asks() {
    let policy = Notes::default();
    let mut room = meeting(RoomConfig::new().with_policy(policy.clone()));
    assert_eq!(
        policy.asked(),
        [
            "put: set pets",
            "put: set pets fido",
            "put: set pets fido species nothing->\"dog\"",
            "put: set pets fido age nothing->4",
            "put: set pets felix",
            "put: set pets felix species nothing->\"cat\"",
            "put: set open nothing->true",
        ]
    );
    let frame = "s[{\"pets\":{\"fido\":{\"age\":5,\"species\":\"\u{FFFC}\"},\"felix\":\"\u{FFFC}\"},\"x\":\"\u{FFFC}\"},\
                 {\"open\":\"\u{FFFC}\",\"v\":1},1]";
    let _ = say(&mut room, BOB, frame);
    assert_eq!(
        policy.asked(),
        [
            "2: set pets",
            "2: set pets fido",
            "2: set pets fido age 4->5",
            "2: del pets fido species",
            "2: del pets felix",
            "2: del x",
            "2: del open",
            "2: set v nothing->1",
        ]
    );
}

#[test]
fn refusals_nest_as_in_the_original() {
    let frame = "s[{\"t\":{\"r\":{\"c\":1,\"d\":\"\u{FFFC}\"},\"s\":\"\u{FFFC}\"},\"u\":\"\u{FFFC}\"},\
                 {\"v\":1,\"w\":\"\u{FFFC}\"},1]";
    for (refused, told) in [
        ("set t", "s[{\"u\":\"⌫\"},{\"v\":1,\"w\":\"⌫\"},1]"),
        ("set t r", "s[{\"t\":{\"s\":\"⌫\"},\"u\":\"⌫\"},{\"v\":1,\"w\":\"⌫\"},1]"),
        ("set t r c 0->1", "s[{\"t\":{\"r\":{\"d\":\"⌫\"},\"s\":\"⌫\"},\"u\":\"⌫\"},{\"v\":1,\"w\":\"⌫\"},1]"),
        ("del t r d", "s[{\"t\":{\"r\":{\"c\":1},\"s\":\"⌫\"},\"u\":\"⌫\"},{\"v\":1,\"w\":\"⌫\"},1]"),
        ("del t s", "s[{\"t\":{\"r\":{\"c\":1,\"d\":\"⌫\"}},\"u\":\"⌫\"},{\"v\":1,\"w\":\"⌫\"},1]"),
        ("del u", "s[{\"t\":{\"r\":{\"c\":1,\"d\":\"⌫\"},\"s\":\"⌫\"}},{\"v\":1,\"w\":\"⌫\"},1]"),
        ("set v 0->1", "s[{\"t\":{\"r\":{\"c\":1,\"d\":\"⌫\"},\"s\":\"⌫\"},\"u\":\"⌫\"},{\"w\":\"⌫\"},1]"),
        ("del w", "s[{\"t\":{\"r\":{\"c\":1,\"d\":\"⌫\"},\"s\":\"⌫\"},\"u\":\"⌫\"},{\"v\":1},1]"),
        ("del t", "s[{\"t\":{\"r\":{\"c\":1,\"d\":\"⌫\"},\"s\":\"⌫\"},\"u\":\"⌫\"},{\"v\":1,\"w\":\"⌫\"},1]"),
        ("set u", "s[{\"t\":{\"r\":{\"c\":1,\"d\":\"⌫\"},\"s\":\"⌫\"},\"u\":\"⌫\"},{\"v\":1,\"w\":\"⌫\"},1]"),
    ] {
        let refused = format!("1: {refused}").leak();
        let mut room = Room::new(RoomConfig::new().with_policy(Notes::refusing(&[refused])));
        put(&mut room, "[{\"t\":{\"r\":{\"c\":0,\"d\":0},\"s\":{\"c\":0}},\"u\":{\"r\":{\"c\":0}}},{\"v\":0,\"w\":0}]");
        join(&mut room, ALICE);
        join(&mut room, BOB);
        assert_eq!(sent(&say(&mut room, ALICE, frame)).1, told.replace('⌫', "\u{FFFC}"), "{refused}");
    }
}

#[test]
fn what_is_refused_is_neither_stored_nor_told() {
    let policy = Notes::refusing(&["1: set pets fido age 4->5", "1: del open", "1: set secret nothing->1"]);
    let mut room = meeting(RoomConfig::new().with_policy(policy));
    let before = get(&mut room);
    let frame = "s[{\"pets\":{\"fido\":{\"age\":5}}},{\"open\":\"\u{FFFC}\",\"secret\":1},1]";
    assert_eq!(say(&mut room, ALICE, frame), []);
    assert_eq!(get(&mut room), before);
}

#[test]
fn a_first_content_of_which_everything_is_refused_makes_no_store() {
    let policy = Notes::refusing(&["put: set open nothing->1"]);
    let mut room = Room::new(RoomConfig::new().with_policy(policy));
    assert_eq!(put(&mut room, "[{},{\"open\":1}]"), 201);
    assert_eq!(get(&mut room), "");
    assert!(!room.exists());
    assert_eq!(put(&mut room, "[{},{\"open\":2}]"), 201);
    assert_eq!(put(&mut room, "[{},{\"open\":2}]"), 205);
}

#[test]
fn whoever_may_not_connect_is_not_in_the_room() {
    let mut room = Room::new(RoomConfig::new().with_policy(Nobody));
    let outputs = room.handle(Input::Connect { connection: ALICE, context: Context::default() });
    let [Output::Refuse { connection: ALICE, response }] = &*outputs else { panic!("{outputs:?}") };
    assert_eq!(response.status, 401);
    assert_eq!(room.connections().count(), 0);
}

#[test]
fn a_policy_that_panics_fails_that_input_and_nothing_else() {
    #[derive(Debug)]
    struct Fragile;
    impl Policy for Fragile {
        fn can_connect(&self, asker: Asker<'_>) -> bool {
            assert_ne!(asker.context.query, "panic");
            true
        }
        fn can_request(&self, asker: Asker<'_>) -> bool {
            assert_ne!(asker.context.query, "panic");
            true
        }
        fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
            assert_ne!(value_id, "panic");
            true
        }
    }
    let mut room = Room::new(RoomConfig::new().with_policy(Fragile));
    let (outputs, response) = http(&mut room, "PUT", "/store", "[{},{\"a\":1,\"panic\":1}]");
    assert_eq!((outputs, response.status), (vec![], 500));
    assert!(!room.exists());
    assert_eq!(put(&mut room, "[{},{}]"), 201);
    join(&mut room, ALICE);
    join(&mut room, BOB);
    assert_eq!(say(&mut room, ALICE, "s[{},{\"a\":1,\"panic\":1},1]"), []);
    assert_eq!(get(&mut room), "[{},{}]");
    assert_eq!(sent(&say(&mut room, ALICE, "s[{},{\"a\":1},1]")).0, [BOB]);

    let context = Context { query: "panic".into(), path: "/store".into(), ..Context::default() };
    let outputs = room.handle(Input::Connect { connection: CAROL, context: context.clone() });
    assert!(matches!(&*outputs, [Output::Refuse { response, .. }] if response.status == 500), "{outputs:?}");
    let outputs = room.handle(Input::Request { request: RequestId(1), context, body: b"" });
    assert!(matches!(&*outputs, [Output::Respond { response, .. }] if response.status == 500), "{outputs:?}");
}

#[test]
fn a_restored_room_passes_over_what_is_not_its_own() {
    let storage = [
        ("phasStore", Cell::from(1)),
        ("pt\"t\",\"r\",\"c\"", Cell::from(2)),
        ("pvv", Cell::from(3)),
        ("pt\"t\",\"r\"", Cell::from(4)),
        ("t\"t\",\"r\",\"x\"", Cell::from(5)),
        ("px", Cell::from(6)),
        ("hasStore", Cell::from(7)),
    ];
    let storage = storage.map(|(key, cell)| (key.to_owned(), cell));
    let mut room = Room::restore(RoomConfig::new().with_storage_prefix("p"), storage);
    assert!(room.exists());
    assert_eq!(get(&mut room), "[{\"t\":{\"r\":{\"c\":2}}},{\"v\":3}]");
    for falsy in [Cell::Null, Cell::from(false), Cell::from(0), Cell::try_from("").unwrap()] {
        assert!(!Room::restore(RoomConfig::new(), [("hasStore".to_owned(), falsy)]).exists());
    }
}

/// A few ids, so that changes meet.
fn id() -> impl Strategy<Value = Id> {
    prop::sample::select(vec!["a", "b", "", "\"", "1"]).prop_map(Id::from)
}

fn cell() -> impl Strategy<Value = Option<Cell>> {
    prop::option::weighted(0.7, (0..3).prop_map(Cell::from))
}

fn changes() -> impl Strategy<Value = Changes> {
    let cells = prop::collection::vec((id(), cell()), 0..3);
    let row = prop::option::weighted(0.8, cells.prop_map(|cells| cells.into_iter().collect()));
    let rows = prop::collection::vec((id(), row), 0..3);
    let table = prop::option::weighted(0.8, rows.prop_map(|rows| rows.into_iter().collect()));
    let tables = prop::collection::vec((id(), table), 0..3);
    let values = prop::collection::vec((id(), cell()), 0..3);
    (tables, values).prop_map(|(tables, values)| Changes {
        tables: tables.into_iter().collect(),
        values: values.into_iter().collect(),
    })
}

#[derive(Debug)]
struct NoB;

impl Policy for NoB {
    fn can_set_row(&self, _: &Id, row_id: &Id, _: Asker<'_>) -> bool {
        row_id != "b"
    }
    fn can_del_cell(&self, _: &Id, _: &Id, cell_id: &Id, _: Asker<'_>) -> bool {
        cell_id != "b"
    }
    fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        value_id != "b"
    }
}

proptest! {
    #[test]
    fn r1_r6_the_batches_and_the_frames_both_make_the_room(
        history in prop::collection::vec(changes(), 0..20),
        refusing in any::<bool>(),
    ) {
        let config = RoomConfig::new().with_storage_prefix("p");
        let config = if refusing { config.with_policy(NoB) } else { config.with_policy(AllowAll) };
        let mut room = Room::new(config.clone());
        let mut storage = BTreeMap::new();
        let mut heard = Content::new();
        let mut model = Content::new();
        let (outputs, _) = http(&mut room, "PUT", "/store", "[{},{}]");
        store(&mut storage, &outputs);
        join(&mut room, ALICE);
        join(&mut room, BOB);
        for changes in &history {
            let outputs = say(&mut room, ALICE, &Wire::default().encode_changes(changes));
            store(&mut storage, &outputs);
            for output in &outputs {
                if let Output::Send { frame, .. } = output {
                    heard.apply(&Wire::default().decode_changes(frame).unwrap().value);
                }
            }
            prop_assert_eq!(&room.content(), &heard);
            model.apply(changes);
            if !refusing {
                prop_assert_eq!(&heard, &model);
            }
        }
        let restored = Room::restore(config, storage);
        prop_assert_eq!(restored.exists(), room.exists());
        prop_assert_eq!(restored.content(), room.content());
    }
}

fn store(storage: &mut BTreeMap<String, Cell>, outputs: &[Output]) {
    for output in outputs {
        if let Output::Commit(batch) = output {
            for key in &batch.deletes {
                storage.remove(key).expect("only what is there is deleted");
            }
            storage.extend(batch.puts.iter().cloned());
        }
    }
}
