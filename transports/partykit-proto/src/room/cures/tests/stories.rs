//! Which frames are sent, and when.

use super::*;

const ALICE: ConnectionId = ConnectionId(1);
const BOB: ConnectionId = ConnectionId(2);

/// A room with two clients. It stores the last ping of each.
struct Meeting {
    room: Room,
    pings: BTreeMap<ConnectionId, u64>,
    frames: Vec<(Vec<ConnectionId>, String)>,
}

impl Meeting {
    /// Both clients have joined, and have seen everything.
    fn new(content: &str) -> Self {
        let mut meeting = Self::empty(RoomConfig::new());
        meeting.put(content);
        for connection in [ALICE, BOB] {
            meeting.connect(connection);
            meeting.pong(connection);
        }
        meeting.settle();
        meeting.told();
        meeting
    }

    fn empty(config: RoomConfig) -> Self {
        Self { room: Room::new(config, "e"), pings: BTreeMap::new(), frames: Vec::new() }
    }

    fn connect(&mut self, connection: ConnectionId) {
        self.take(Input::Connect { connection, context: Context::default() });
    }

    fn put(&mut self, content: &str) {
        let context = Context { method: "PUT".into(), path: "/store".into(), ..Context::default() };
        self.take(Input::Request { request: RequestId(0), context, body: content.as_bytes() });
    }

    fn get(&mut self) {
        let context = Context { method: "GET".into(), path: "/store".into(), ..Context::default() };
        self.take(Input::Request { request: RequestId(0), context, body: b"" });
    }

    fn say(&mut self, connection: ConnectionId, text: &str) {
        self.take(Input::Message { connection, text });
    }

    fn pong(&mut self, connection: ConnectionId) {
        let token = self.pings.remove(&connection).expect("a ping is under way");
        self.take(Input::Pong { connection, token });
    }

    fn tick(&mut self) {
        self.take(Input::Tick);
    }

    /// Everything arrives and is seen. Time passes for the room as long as the room wants ticks.
    fn settle(&mut self) {
        for _ in 0..6 {
            for connection in [ALICE, BOB] {
                if self.pings.contains_key(&connection) {
                    self.pong(connection);
                }
            }
            if !self.room.wants_ticks() {
                return;
            }
            self.tick();
        }
        panic!("ticks are wanted for ever");
    }

    /// The frames that were sent since the last call.
    fn told(&mut self) -> Vec<(Vec<ConnectionId>, String)> {
        std::mem::take(&mut self.frames)
    }

    fn take(&mut self, input: Input<'_>) {
        for output in self.room.handle(input) {
            match output {
                Output::Send { to, frame } => self.frames.push((to.iter().collect(), frame.to_string())),
                Output::Ping { connection, token } => drop(self.pings.insert(connection, token)),
                _ => {}
            }
        }
    }
}

fn to(connection: ConnectionId, frame: &str) -> (Vec<ConnectionId>, String) {
    (vec![connection], frame.to_owned())
}

#[test]
fn who_connects_is_told_everything_behind_what_it_had_to_say() {
    let mut meeting = Meeting::empty(RoomConfig::new());
    meeting.put(r#"[{},{"v":1}]"#);
    meeting.connect(ALICE);
    meeting.say(ALICE, r#"s[{},{"w":2},1]"#);
    assert_eq!(meeting.told(), []);
    meeting.pong(ALICE);
    assert_eq!(meeting.told()[0], to(ALICE, r#"s[{},{"v":1,"w":2}]"#));
}

#[test]
fn nothing_is_answered_where_nothing_crossed() {
    let mut meeting = Meeting::new("[{},{}]");
    meeting.say(ALICE, r#"s[{"t":{"r":{"c":1}}},{},1]"#);
    meeting.say(BOB, r#"s[{"t":{"r":{"d":1}}},{"v":1},1]"#);
    meeting.say(ALICE, r#"s[{"t":{"r":{"c":2}}},{},1]"#);
    assert_eq!(meeting.told().len(), 3);
    assert_eq!(meeting.pings.len(), 0);
    meeting.settle();
    assert_eq!(meeting.told(), []);
}

#[test]
fn l18_what_may_have_crossed_is_answered_when_its_author_pauses() {
    let mut meeting = Meeting::new("[{},{}]");
    meeting.say(ALICE, r#"s[{},{"v":"from Alice","w":1},1]"#);
    meeting.say(BOB, r#"s[{},{"v":"from B","mine":1},1]"#);
    meeting.say(BOB, r#"s[{},{"v":"from Bob"},1]"#);
    meeting.told();
    meeting.pong(BOB);
    assert_eq!(meeting.told(), [], "it was changed since the ping");
    meeting.pong(BOB);
    assert_eq!(meeting.told(), [to(BOB, r#"s[{},{"v":"from Bob"},1]"#)]);
    assert_eq!(meeting.pings.len(), 0);
}

#[test]
fn what_was_answered_may_cross_as_well() {
    let mut meeting = Meeting::new("[{},{}]");
    meeting.say(ALICE, r#"s[{},{"v":1},1]"#);
    meeting.say(BOB, r#"s[{},{"v":2},1]"#);
    meeting.pong(BOB);
    meeting.say(BOB, r#"s[{},{"v":3},1]"#);
    meeting.told();
    meeting.pong(BOB);
    assert_eq!(meeting.told(), [to(BOB, r#"s[{},{"v":3},1]"#)]);
}

#[test]
fn a_pong_alone_does_not_tell_that_a_page_has_seen_something() {
    let mut meeting = Meeting::new("[{},{}]");
    meeting.say(ALICE, r#"s[{},{"v":1,"w":1},1]"#);
    meeting.say(BOB, r#"s[{},{"w":2},1]"#);
    meeting.pong(BOB);
    meeting.told();
    meeting.tick();
    meeting.pong(BOB);
    meeting.say(BOB, r#"s[{},{"v":2},1]"#);
    meeting.told();
    meeting.pong(BOB);
    assert_eq!(meeting.told(), [to(BOB, r#"s[{},{"v":2},1]"#)]);
}

#[test]
fn deletions_cross_what_is_inside() {
    let content = r#"[{"t":{"r":{"c":1,"d":1},"s":{"c":1}}},{}]"#;
    let mut meeting = Meeting::new(content);
    meeting.say(ALICE, "s[{\"t\":{\"r\":\"\u{FFFC}\"}},{},1]");
    meeting.say(BOB, r#"s[{"t":{"r":{"c":2},"s":{"c":2}}},{},1]"#);
    meeting.told();
    meeting.pong(BOB);
    assert_eq!(meeting.told(), [to(BOB, r#"s[{"t":{"r":{"c":2}}},{},1]"#)], "Bob may show no row");

    let mut meeting = Meeting::new(content);
    meeting.say(ALICE, r#"s[{"t":{"r":{"c":2}}},{},1]"#);
    meeting.say(BOB, "s[{\"t\":{\"r\":\"\u{FFFC}\"}},{},1]");
    meeting.told();
    meeting.pong(BOB);
    assert_eq!(meeting.told(), [to(BOB, "s[{\"t\":{\"r\":\"\u{FFFC}\"}},{},1]")], "Bob may show a row");
}

#[test]
fn l19_what_is_refused_is_answered_at_once() {
    #[derive(Debug)]
    struct Keep;
    impl Policy for Keep {
        fn can_del_table(&self, _: &Id, _: Asker<'_>) -> bool {
            false
        }
        fn can_set_value(&self, value: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
            value == "mine"
        }
    }
    let mut meeting = Meeting::empty(RoomConfig::new().with_policy(Keep));
    meeting.put(r#"[{"t":{"r":{"c":1,"d":2},"s":{"c":3}}},{"mine":1}]"#);
    meeting.connect(ALICE);
    meeting.settle();
    meeting.told();
    meeting.say(ALICE, "s[{\"t\":\"\u{FFFC}\"},{\"mine\":2,\"no\":1},1]");
    assert_eq!(
        meeting.told(),
        [to(ALICE, "s[{\"t\":{\"r\":{\"c\":1,\"d\":2},\"s\":{\"c\":3}}},{\"no\":\"\u{FFFC}\"},1]")]
    );
}

#[test]
fn l20_l21_the_first_content_is_told_to_everybody_there() {
    let mut meeting = Meeting::empty(RoomConfig::new());
    for connection in [ALICE, BOB] {
        meeting.connect(connection);
        meeting.pong(connection);
    }
    assert_eq!(meeting.told(), []);
    meeting.put(r#"[{},{"v":1}]"#);
    assert_eq!(meeting.told(), [(vec![ALICE, BOB], r#"s[{},{"v":1}]"#.to_owned())]);
    meeting.put(r#"[{},{"v":2}]"#);
    assert_eq!(meeting.told(), []);
}

#[test]
fn l17_a_change_that_sets_something_makes_the_store() {
    let mut meeting = Meeting::empty(RoomConfig::new());
    for connection in [ALICE, BOB] {
        meeting.connect(connection);
        meeting.pong(connection);
    }
    meeting.say(ALICE, "s[{\"t\":\"\u{FFFC}\"},{\"v\":\"\u{FFFC}\"},1]");
    assert!(!meeting.room.exists());
    meeting.say(ALICE, r#"s[{},{"v":1},1]"#);
    assert!(meeting.room.exists());
    assert_eq!(meeting.told(), [to(BOB, r#"s[{},{"v":1}]"#)]);
    meeting.say(ALICE, r#"s[{},{"w":2},1]"#);
    meeting.told();
    meeting.pong(ALICE);
    assert_eq!(meeting.told()[0], to(ALICE, r#"s[{},{"v":1,"w":2}]"#));
}

#[test]
fn ticks_do_in_place_of_pongs_that_never_come() {
    let mut meeting = Meeting::new("[{},{}]");
    meeting.say(ALICE, r#"s[{},{"v":1},1]"#);
    meeting.say(BOB, r#"s[{},{"v":2},1]"#);
    meeting.told();
    meeting.tick();
    assert_eq!(meeting.told(), []);
    meeting.tick();
    assert_eq!(meeting.told(), [to(BOB, r#"s[{},{"v":2},1]"#)]);
}

#[test]
fn a_client_that_answers_no_pings_does_not_make_its_room_want_ticks_for_ever() {
    let mut meeting = Meeting::empty(RoomConfig::new());
    meeting.connect(ALICE);
    meeting.put(r#"[{},{"v":1}]"#);
    (0..3).for_each(|_| meeting.tick());
    assert!(!meeting.room.wants_ticks(), "only its pong changes anything");
    meeting.settle();
    meeting.told();
    meeting.say(ALICE, r#"s[{},{"v":2},1]"#);
    assert_eq!(meeting.pings.len(), 0, "its pong came at last, and the content has been seen");
}

#[test]
fn a_client_that_answers_no_pings_is_repaired_by_ticks_each_time() {
    let mut meeting = Meeting::new("[{},{}]");
    for round in 0..3 {
        meeting.say(ALICE, &format!("s[{{}},{{\"v\":\"from Alice\",\"w\":{round}}},1]"));
        meeting.say(BOB, &format!("s[{{}},{{\"v\":{round}}},1]"));
        meeting.told();
        for _ in 0..6 {
            if meeting.room.wants_ticks() {
                meeting.tick();
            }
        }
        assert!(meeting.told().contains(&to(BOB, &format!("s[{{}},{{\"v\":{round}}},1]"))), "in round {round}");
        assert!(!meeting.room.wants_ticks());
    }
}

#[test]
fn a_change_that_is_too_large_to_be_remembered_is_waited_for_until_it_has_been_seen() {
    let mut meeting = Meeting::new("[{},{}]");
    for connection in [ALICE, BOB] {
        meeting.say(connection, r#"s[{},{"v":1},1]"#);
        meeting.settle();
    }
    let values: Vec<String> = (0..20_000).map(|value| format!("\"v{value}\":1")).collect();
    meeting.say(ALICE, &format!("s[{{}},{{{}}},1]", values.join(",")));
    meeting.settle();
    meeting.say(BOB, r#"s[{},{"v":2},1]"#);
    assert_eq!(meeting.pings.len(), 0);
}

#[test]
fn r8_what_was_remembered_for_a_client_that_left_is_forgotten() {
    let mut meeting = Meeting::new("[{},{}]");
    meeting.say(BOB, r#"s[{},{"v":1},1]"#);
    meeting.say(ALICE, r#"s[{},{"w":1},1]"#);
    for _ in 0..6 {
        if meeting.pings.contains_key(&ALICE) {
            meeting.pong(ALICE);
        }
        if meeting.room.wants_ticks() {
            meeting.tick();
        }
    }
    assert!(!meeting.room.wants_ticks(), "only Bob's pong changes anything");
    let log = |meeting: &Meeting| meeting.room.cures.as_ref().map(|cures| cures.log.is_empty());
    assert_eq!(log(&meeting), Some(false), "Bob may not have seen it");
    meeting.take(Input::Close { connection: BOB });
    meeting.pings.remove(&BOB);
    meeting.settle();
    assert_eq!(log(&meeting), Some(true));
}

#[test]
fn r8_a_doubt_about_very_much_is_answered_by_everything() {
    let row: Vec<String> = (0..=MAX_LEAVES).map(|cell| format!("\"c{cell}\":1")).collect();
    let mut meeting = Meeting::new(&format!("[{{\"t\":{{\"r\":{{{}}}}}}},{{}}]", row.join(",")));
    meeting.say(ALICE, r#"s[{"t":{"r":{"c0":2}}},{},1]"#);
    meeting.say(BOB, "s[{\"t\":\"\u{FFFC}\"},{\"v\":1},1]");
    meeting.told();
    meeting.pong(BOB);
    assert_eq!(meeting.told(), [to(BOB, r#"s[{},{"v":1}]"#)]);
}

#[test]
fn r8_what_is_remembered_is_bounded_and_what_is_forgotten_counts_as_crossing() {
    let mut meeting = Meeting::new("[{},{}]");
    for count in 0..1000 {
        meeting.say(ALICE, &format!("s[{{}},{{\"v{count}\":1}},1]"));
    }
    meeting.say(BOB, r#"s[{},{"v0":2},1]"#);
    meeting.told();
    meeting.pong(BOB);
    assert_eq!(meeting.told(), [to(BOB, r#"s[{},{"v0":2},1]"#)]);
}

#[test]
fn l1_what_changed_behind_an_answered_request_is_told_once_more_when_it_must_have_been_loaded() {
    let mut meeting = Meeting::new(r#"[{"t":{"r":{"c":1}}},{}]"#);
    meeting.get();
    meeting.say(ALICE, r#"s[{},{"v":1},1]"#);
    meeting.say(BOB, "s[{\"t\":\"\u{FFFC}\"},{},1]");
    meeting.say(ALICE, r#"s[{},{"v":2},1]"#);
    meeting.told();
    meeting.tick();
    meeting.pong(ALICE);
    meeting.pong(BOB);
    assert_eq!(meeting.told(), [], "the answer may still be under way");
    meeting.tick();
    meeting.pong(ALICE);
    meeting.pong(BOB);
    let holds = "s[{\"t\":{\"r\":\"\u{FFFC}\"}},{\"v\":2},1]";
    assert_eq!(meeting.told(), [to(ALICE, holds), to(BOB, holds)], "whoever loaded, and whoever changed it");
    meeting.settle();
    assert_eq!(meeting.told(), [], "and no more than once");
}

#[test]
fn what_changed_behind_an_answered_request_waits_until_its_author_pauses() {
    let mut meeting = Meeting::new("[{},{}]");
    meeting.get();
    meeting.say(ALICE, r#"s[{},{"v":1},1]"#);
    meeting.tick();
    meeting.tick();
    meeting.say(ALICE, r#"s[{},{"v":2},1]"#);
    meeting.told();
    meeting.pong(ALICE);
    assert_eq!(meeting.told(), [], "it was changed since the ping");
    meeting.pong(ALICE);
    assert_eq!(meeting.told(), [to(ALICE, r#"s[{},{"v":2},1]"#)]);
}

#[test]
fn nothing_is_told_for_a_request_behind_which_nothing_changes() {
    let mut meeting = Meeting::new(r#"[{},{"v":1}]"#);
    meeting.say(ALICE, r#"s[{},{"v":2},1]"#);
    meeting.get();
    meeting.told();
    meeting.settle();
    meeting.say(ALICE, r#"s[{},{"v":3},1]"#);
    meeting.told();
    meeting.settle();
    assert_eq!(meeting.told(), []);
}

#[test]
fn r8_very_much_behind_an_answered_request_is_told_by_everything() {
    let mut meeting = Meeting::new("[{},{}]");
    meeting.get();
    for count in 0..=MAX_LEAVES {
        meeting.say(ALICE, &format!("s[{{}},{{\"v{count}\":1}},1]"));
    }
    let mut deleted = Changes::new();
    (0..=MAX_LEAVES).for_each(|count| deleted.del_value(format!("v{count}")));
    meeting.say(ALICE, &Wire::default().encode_changes(&deleted));
    meeting.say(ALICE, r#"s[{},{"w":1},1]"#);
    meeting.tick();
    meeting.tick();
    meeting.told();
    meeting.pong(BOB);
    assert_eq!(meeting.told(), [to(BOB, r#"s[{},{"w":1}]"#)]);
}
