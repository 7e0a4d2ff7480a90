//! What a policy is asked, and what its answers do.

use std::sync::{Arc, Mutex};

use roommate::Id;

use super::*;

/// Records what it is asked, and refuses the listed changes.
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
    let mut room = meeting(stock().with_policy(policy.clone()));
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
        let mut room = Room::new(stock().with_policy(Notes::refusing(&[refused])), "e");
        put(&mut room, "[{\"t\":{\"r\":{\"c\":0,\"d\":0},\"s\":{\"c\":0}},\"u\":{\"r\":{\"c\":0}}},{\"v\":0,\"w\":0}]");
        join(&mut room, ALICE);
        join(&mut room, BOB);
        assert_eq!(sent(&say(&mut room, ALICE, frame)).1, told.replace('⌫', "\u{FFFC}"), "{refused}");
    }
}

#[test]
fn what_is_refused_is_neither_stored_nor_told() {
    let policy = Notes::refusing(&["1: set pets fido age 4->5", "1: del open", "1: set secret nothing->1"]);
    let mut room = meeting(stock().with_policy(policy));
    let before = get(&mut room);
    let frame = "s[{\"pets\":{\"fido\":{\"age\":5}}},{\"open\":\"\u{FFFC}\",\"secret\":1},1]";
    assert_eq!(say(&mut room, ALICE, frame), []);
    assert_eq!(get(&mut room), before);
}

#[test]
fn a_first_content_of_which_everything_is_refused_makes_no_store() {
    let policy = Notes::refusing(&["put: set open nothing->1"]);
    let mut room = Room::new(stock().with_policy(policy), "e");
    assert_eq!(put(&mut room, "[{},{\"open\":1}]"), 201);
    assert_eq!(get(&mut room), "");
    assert!(!room.exists());
    assert_eq!(put(&mut room, "[{},{\"open\":2}]"), 201);
    assert_eq!(put(&mut room, "[{},{\"open\":2}]"), 205);
}

#[test]
fn what_the_host_attached_to_a_request_is_there_when_the_policy_is_asked_what_may_change() {
    #[derive(Clone)]
    struct User(&'static str);
    #[derive(Debug)]
    struct ByUser;
    impl Policy for ByUser {
        fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, asker: Asker<'_>) -> bool {
            asker.context.extensions.get::<User>().is_some_and(|user| value_id == user.0)
        }
    }
    let mut room = Room::new(stock().with_policy(ByUser), "e");
    let as_user = |user| {
        let mut context = Context { method: "PUT".into(), path: "/party/r/store".into(), ..Context::default() };
        context.extensions.insert(User(user));
        context
    };
    let body = br#"[{},{"ann":1,"bob":1}]"#;
    let _ = room.handle(Input::Request { request: RequestId(1), context: as_user("ann"), body });
    assert_eq!(get(&mut room), r#"[{},{"ann":1}]"#);
    let _ = room.handle(Input::Connect { connection: ALICE, context: as_user("ann") });
    let _ = room.handle(Input::Connect { connection: BOB, context: as_user("bob") });
    let _ = say(&mut room, ALICE, r#"s[{},{"ann":2,"bob":2},1]"#);
    let _ = say(&mut room, BOB, r#"s[{},{"ann":3,"bob":3},1]"#);
    assert_eq!(get(&mut room), r#"[{},{"ann":2,"bob":3}]"#);
}

#[test]
fn a_policy_that_panics_fails_that_input_and_nothing_else() {
    #[derive(Debug)]
    struct Fragile;
    impl Policy for Fragile {
        fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
            assert_ne!(value_id, "panic");
            true
        }
    }
    let mut room = Room::new(stock().with_policy(Fragile), "e");
    let (outputs, response) = http(&mut room, "PUT", "/store", "[{},{\"a\":1,\"panic\":1}]");
    assert_eq!((outputs, response.status), (vec![], 500));
    assert!(!room.exists());
    assert_eq!(put(&mut room, "[{},{}]"), 201);
    join(&mut room, ALICE);
    join(&mut room, BOB);
    assert_eq!(say(&mut room, ALICE, "s[{},{\"a\":1,\"panic\":1},1]"), []);
    assert_eq!(get(&mut room), "[{},{}]");
    assert_eq!(sent(&say(&mut room, ALICE, "s[{},{\"a\":1},1]")).0, [BOB]);
}
