use proptest::prelude::*;
use roommate::{Cell, ErrorKind, Id, Row, Table};

use super::*;

fn dialect() -> Dialect {
    Dialect::new("app:")
}

fn changes() -> Changes {
    let mut changes = Changes::new();
    changes.set_cell("pets", "fido", "sold", Cell::from(true));
    changes.del_row("pets", "felix");
    changes.del_value("open");
    changes
}

fn position() -> Position {
    Position { epoch: "e".into(), seq: 21 }
}

#[test]
fn frames_are_those_of_the_protocol() {
    let join = Join { client: "c".into(), at: Some(position()), decided: 4 };
    let nowhere = Join { at: None, decided: 0, ..join.clone() };
    for (message, frame) in [
        (ClientMessage::Join(join), r#"app:r["join",{"client":"c","epoch":"e","seq":21,"decided":4}]"#),
        (ClientMessage::Join(nowhere), r#"app:r["join",{"client":"c","epoch":null,"seq":null,"decided":0}]"#),
        (
            ClientMessage::Change { id: 5, changes: changes() },
            "app:r[\"change\",5,[{\"pets\":{\"fido\":{\"sold\":true},\"felix\":\"\u{FFFC}\"}},{\"open\":\"\u{FFFC}\"},1]]",
        ),
        (ClientMessage::Ack(5), r#"app:r["ack",5]"#),
    ] {
        assert_eq!(dialect().encode_client(&message), frame);
        assert_eq!(dialect().decode_client(frame).unwrap().unwrap().value, message);
    }
    assert_eq!(
        dialect().encode_change(5, &changes()),
        dialect().encode_client(&ClientMessage::Change { id: 5, changes: changes() })
    );

    let standing = Standing { position: position(), last: Some(6) };
    let stranger = Standing { last: None, ..standing.clone() };
    let refused = {
        let mut refused = Changes::new();
        refused.set_value("v", Cell::from(1));
        refused
    };
    let entries = vec![
        Entry::Changed { seq: 20, changes: changes() },
        Entry::Accepted { seq: 21, id: 5, refused: Changes::new() },
        Entry::Accepted { seq: 21, id: 6, refused: refused.clone() },
    ];
    let created = Entry::Created { seq: 1, content: Content::new() };
    for (message, frame) in [
        (
            ServerMessage::Resumed { standing, entries },
            "app:r[\"resumed\",{\"epoch\":\"e\",\"seq\":21,\"last\":6},[\
             [\"changed\",20,[{\"pets\":{\"fido\":{\"sold\":true},\"felix\":\"\u{FFFC}\"}},{\"open\":\"\u{FFFC}\"},1]],\
             [\"accepted\",21,5,[{},{},1]],[\"accepted\",21,6,[{},{\"v\":1},1]]]]",
        ),
        (
            ServerMessage::Snapshot {
                standing: stranger.clone(),
                refused: vec![(5, refused)],
                content: Some(Content::new()),
            },
            r#"app:r["snapshot",{"epoch":"e","seq":21,"last":null},[[5,[{},{"v":1},1]]],[{},{}]]"#,
        ),
        (
            ServerMessage::Snapshot { standing: stranger, refused: vec![], content: None },
            r#"app:r["snapshot",{"epoch":"e","seq":21,"last":null},[],null]"#,
        ),
        (ServerMessage::Entry(created), r#"app:r["created",1,[{},{}]]"#),
    ] {
        assert_eq!(dialect().encode_server(&message), frame);
        assert_eq!(dialect().decode_server(frame).unwrap().unwrap().value, message);
    }
}

#[test]
fn what_is_not_ours_is_none_and_what_is_malformed_an_error() {
    for frame in ["", "app:", "app:s[{},{},1]", r#"r["ack",1]"#, r#"APP:r["ack",1]"#] {
        assert!(dialect().decode_client(frame).is_none(), "{frame}");
        assert!(dialect().decode_server(frame).is_none(), "{frame}");
    }
    for message in [
        "",
        "null",
        "{}",
        "[]",
        "[null]",
        "[1]",
        r#"["ack"]"#,
        r#"["ack",1"#,
        r#"["ack",1]]"#,
        r#"["ack",1,2]"#,
        r#"["ack",-1]"#,
        r#"["ack",1.5]"#,
        r#"["ack",9007199254740992]"#,
        r#"["ack","1"]"#,
        r#"["nack",1]"#,
        r#"["change",0,[{},{},1]]"#,
        r#"["change",1,[{},{}]]"#,
        r#"["change",1,[{"t":null},{},1]]"#,
        r#"["change",1]"#,
        r#"["join"]"#,
        r#"["join",{}]"#,
        r#"["join",["c",null,null,0]]"#,
        r#"["join",{"client":"","epoch":null,"seq":null,"decided":0}]"#,
        r#"["join",{"client":1,"epoch":null,"seq":null,"decided":0}]"#,
        r#"["join",{"client":"c","epoch":"e","seq":null,"decided":0}]"#,
        r#"["join",{"client":"c","epoch":null,"seq":0,"decided":0}]"#,
        r#"["join",{"client":"c","epoch":null,"seq":null}]"#,
        r#"["join",{"client":"c","decided":0}]"#,
        r#"["changed",1,[{},{},1]]"#,
    ] {
        let error = dialect().decode_client(&format!("app:r{message}")).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{message}");
    }
    let long = "x".repeat(MAX_CLIENT_ID + 1);
    for (client, valid) in [(&long[1..], true), (&long, false)] {
        let join = Join { client: client.into(), at: None, decided: 0 };
        let frame = dialect().encode_client(&ClientMessage::Join(join));
        assert_eq!(dialect().decode_client(&frame).unwrap().is_ok(), valid);
    }
    for message in [
        r#"["join",{"client":"c","epoch":null,"seq":null,"decided":0}]"#,
        r#"["snapshot",{"epoch":"e","seq":1,"last":1},[]]"#,
        r#"["snapshot",{"epoch":"e","seq":1},[],null]"#,
        r#"["snapshot",{"epoch":null,"seq":null,"last":null},[],null]"#,
        r#"["snapshot",{"epoch":"e","seq":1,"last":1},[[1]],null]"#,
        r#"["snapshot",{"epoch":"e","seq":1,"last":1},[],[{},{},1]]"#,
        r#"["resumed",{"epoch":"e","seq":1,"last":1},[["ack",1]]]"#,
        r#"["resumed",{"epoch":"e","seq":1,"last":1},[["resumed",{"epoch":"e","seq":1,"last":1},[]]]]"#,
        r#"["accepted",1,0,[{},{},1]]"#,
        r#"["created",1,null]"#,
    ] {
        let error = dialect().decode_server(&format!("app:r{message}")).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{message}");
    }
}

#[test]
fn what_more_an_object_says_is_passed_over() {
    let frame = r#"app:r [ "join" , {"more":[{}],"decided":0,"seq":null,"epoch":null,"client":"c"} ] "#;
    let join = Join { client: "c".into(), at: None, decided: 0 };
    assert_eq!(dialect().decode_client(frame).unwrap().unwrap().value, ClientMessage::Join(join));
}

#[test]
fn leaves_that_nothing_here_can_stand_for_are_counted() {
    let frame = r#"app:r["change",1,[{"t":{"r":{"a":1e999,"b":"\ud800"}}},{"\udc00":1,"v":1},1]]"#;
    let read = dialect().decode_client(frame).unwrap().unwrap();
    assert_eq!(read.unrepresentable, 3);
    let ClientMessage::Change { id: 1, changes } = read.value else { panic!("{read:?}") };
    assert_eq!(changes.values.len(), 1);
    let frame = r#"app:r["snapshot",{"epoch":"e","seq":1,"last":1},[[1,[{},{"v":1e999},1]]],[{},{"v":1e999}]]"#;
    assert_eq!(dialect().decode_server(frame).unwrap().unwrap().unrepresentable, 2);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(vec!["a", "b", "1", "", "\"", "é"]).prop_map(str::to_owned), any::<String>()]
}

fn id() -> impl Strategy<Value = Id> {
    text().prop_map(Id::from)
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        any::<f64>().prop_filter_map("no number", |number| Cell::try_from(number).ok()),
        text().prop_filter_map("reserved", |text| Cell::try_from(text.as_str()).ok()),
        any::<bool>().prop_map(Cell::from),
        Just(Cell::Null),
        Just(Cell::Json(roommate::Json::new(r#"{ "a" : [1e999] }"#).unwrap())),
    ]
}

fn any_changes() -> impl Strategy<Value = Changes> {
    let cells = || prop::collection::vec((id(), prop::option::of(cell())), 0..3);
    let row = prop::option::of(cells().prop_map(|cells| cells.into_iter().collect()));
    let rows = prop::collection::vec((id(), row), 0..3).prop_map(|rows| rows.into_iter().collect());
    let tables = prop::collection::vec((id(), prop::option::of(rows)), 0..3);
    (tables, cells()).prop_map(|(tables, values)| Changes {
        tables: tables.into_iter().collect(),
        values: values.into_iter().collect(),
    })
}

fn content() -> impl Strategy<Value = Content> {
    let cells = || prop::collection::vec((id(), cell()), 0..3).prop_map(|cells| cells.into_iter().collect::<Row>());
    let rows = prop::collection::vec((id(), cells()), 0..3).prop_map(|rows| rows.into_iter().collect::<Table>());
    let tables = prop::collection::vec((id(), rows), 0..3);
    (tables, cells()).prop_map(|(tables, values)| Content { tables: tables.into_iter().collect(), values })
}

fn integer() -> impl Strategy<Value = u64> {
    0..=MAX_SAFE_INTEGER
}

fn change_id() -> impl Strategy<Value = u64> {
    1..=MAX_SAFE_INTEGER
}

fn any_position() -> impl Strategy<Value = Position> {
    (text(), integer()).prop_map(|(epoch, seq)| Position { epoch: epoch.into(), seq })
}

fn standing() -> impl Strategy<Value = Standing> {
    (any_position(), prop::option::of(integer())).prop_map(|(position, last)| Standing { position, last })
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    let client = text().prop_filter("too long", |client| (1..=MAX_CLIENT_ID).contains(&client.len()));
    let join = (client, prop::option::of(any_position()), integer())
        .prop_map(|(client, at, decided)| ClientMessage::Join(Join { client: client.into(), at, decided }));
    let change = (change_id(), any_changes()).prop_map(|(id, changes)| ClientMessage::Change { id, changes });
    prop_oneof![join, change, integer().prop_map(ClientMessage::Ack)]
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (integer(), any_changes()).prop_map(|(seq, changes)| Entry::Changed { seq, changes }),
        (integer(), change_id(), any_changes()).prop_map(|(seq, id, refused)| Entry::Accepted { seq, id, refused }),
        (integer(), content()).prop_map(|(seq, content)| Entry::Created { seq, content }),
    ]
}

fn server_message() -> impl Strategy<Value = ServerMessage> {
    let refused = prop::collection::vec((change_id(), any_changes()), 0..3);
    let snapshot = (standing(), refused, prop::option::of(content()))
        .prop_map(|(standing, refused, content)| ServerMessage::Snapshot { standing, refused, content });
    let resumed = (standing(), prop::collection::vec(entry(), 0..4))
        .prop_map(|(standing, entries)| ServerMessage::Resumed { standing, entries });
    prop_oneof![entry().prop_map(ServerMessage::Entry), snapshot, resumed]
}

#[test]
fn what_an_offer_says_is_ascii() {
    let offer = Offer { client: "a \"\u{e9}\u{1F600}\n".into(), id: 7 };
    assert_eq!(offer.encode(), r#"["a \"\u00e9\ud83d\ude00\n",7]"#);
    assert_eq!(Offer::decode("[\"\u{e9}\",7]").unwrap_err().kind(), ErrorKind::Corrupt);
    for text in ["", "[]", "[1,1]", r#"["",1]"#, r#"["a",0]"#, r#"["a",1.5]"#, r#"["a",1,1]"#, r#"{"a":1}"#] {
        assert!(Offer::decode(text).is_err(), "{text}");
    }
    assert!(Offer::decode(&format!(r#"["{}",1]"#, "x".repeat(MAX_CLIENT_ID + 1))).is_err());
}

proptest! {
    #[test]
    fn an_offer_reads_as_the_same(client in text(), id in change_id()) {
        prop_assume!((1..=MAX_CLIENT_ID).contains(&client.len()));
        let offer = Offer { client: client.into(), id };
        let header = offer.encode();
        prop_assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", header);
        prop_assert_eq!(Offer::decode(&header).unwrap(), offer);
    }

    #[test]
    fn what_a_client_says_reads_as_the_same(message in client_message(), prefix in text()) {
        let dialect = Dialect::new(prefix);
        let read = dialect.decode_client(&dialect.encode_client(&message)).unwrap().unwrap();
        prop_assert_eq!((read.value, read.unrepresentable), (message, 0));
    }

    #[test]
    fn what_a_server_says_reads_as_the_same(message in server_message(), prefix in text()) {
        let dialect = Dialect::new(prefix);
        let read = dialect.decode_server(&dialect.encode_server(&message)).unwrap().unwrap();
        prop_assert_eq!((read.value, read.unrepresentable), (message, 0));
    }
}
