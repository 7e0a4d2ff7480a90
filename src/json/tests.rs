//! Texts that JavaScript peers send, and the expected results.

use super::{string::array_index, *};

const LONE: &str = r#""\ud83d cut""#;

/// The text of the only value of a content after reading `json`; `None` if the value is left out.
fn value_over_http(json: &str) -> Option<String> {
    let read = Content::from_json(&format!(r#"[{{}},{{"v":{json}}}]"#)).unwrap();
    let value = read.value.values.get("v").map(Cell::to_json);
    assert_eq!(read.unrepresentable, usize::from(value.is_none()), "{json}");
    value
}

/// The same for changes on a socket; a deletion is returned as its mark.
fn value_on_the_socket(json: &str) -> Option<String> {
    let read = Changes::from_json(&format!(r#"[{{}},{{"v":{json}}},1]"#)).unwrap();
    let value = read.value.values.get("v");
    assert_eq!(read.unrepresentable, usize::from(value.is_none()), "{json}");
    value.map(|value| value.as_ref().map_or_else(|| "deleted".to_owned(), Cell::to_json))
}

fn content(json: &str) -> Content {
    let read = Content::from_json(json).unwrap();
    assert_eq!(read.unrepresentable, 0);
    read.value
}

#[test]
fn a_leaf_ends_as_in_a_javascript_peer() {
    for (sent, kept) in [
        ("null", "null"),
        ("true", "true"),
        ("1.0", "1"),
        ("-0", "0"),
        ("1e21", "1e+21"),
        ("1E-7", "1e-7"),
        ("0.1", "0.1"),
        ("123456789012345680000", "123456789012345680000"),
        ("9007199254740993", "9007199254740992"),
        ("5e-324", "5e-324"),
        ("1e-999", "0"),
        (r#""""#, r#""""#),
        (r#""\u0041\/\u000b\u007F""#, "\"A/\\u000b\u{7F}\""),
        (r#""\ud83d\ude00 \uD83D\uDE00""#, "\"\u{1F600} \u{1F600}\""),
        ("\"\u{2028} a\u{FFFC} a\u{FFFD}\"", "\"\u{2028} a\u{FFFC} a\u{FFFD}\""),
        // Encoded: the text stays exactly as the sender wrote it, even if a Rust parser rejects it.
        ("\"\u{FFFD}{ \\\"b\\\":1.0}\"", "\"\u{FFFD}{ \\\"b\\\":1.0}\""),
        (r#""\ufffd[1e999,\"\\ud800\"]""#, "\"\u{FFFD}[1e999,\\\"\\\\ud800\\\"]\""),
        // Raw: the result of JSON.stringify after JSON.parse.
        (r#"{ "b" : 1.0, "1" : -0 }"#, "\"\u{FFFD}{\\\"1\\\":0,\\\"b\\\":1}\""),
        (r#"{"a":1,"b":2,"\u0061":3}"#, "\"\u{FFFD}{\\\"a\\\":3,\\\"b\\\":2}\""),
        (
            r#"{"10":1,"9":2,"01":3,"__proto__":4}"#,
            "\"\u{FFFD}{\\\"9\\\":2,\\\"10\\\":1,\\\"01\\\":3,\\\"__proto__\\\":4}\"",
        ),
        (r#"[1e400,"\ud800","\uDC00\ud800"]"#, "\"\u{FFFD}[null,\\\"\\\\ud800\\\",\\\"\\\\udc00\\\\ud800\\\"]\""),
        (r#"{"\ud800":1,"\uD800":2}"#, "\"\u{FFFD}{\\\"\\\\ud800\\\":2}\""),
        ("[]", "\"\u{FFFD}[]\""),
    ] {
        assert_eq!(value_over_http(sent).as_deref(), Some(kept), "{sent}");
        assert_eq!(value_on_the_socket(sent).as_deref(), Some(kept), "{sent}");
    }
}

#[test]
fn a_leaf_that_nothing_can_stand_for_is_left_out_alone() {
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    for leaf in
        [LONE, "1e999", "-1e999", "\"\u{FFFD}\"", "\"\u{FFFD}nope\"", "\"\u{FFFD}5\"", "\"\u{FFFD}[] []\"", &deep]
    {
        assert_eq!(value_over_http(leaf), None, "{leaf}");
        assert_eq!(value_on_the_socket(leaf), None, "{leaf}");
        assert_eq!(Cell::from_json(leaf).unwrap_err().kind(), ErrorKind::Invalid, "{leaf}");
    }
    let read = Content::from_json(&format!(r#"[{{"t":{{"r":{{"a":1,"b":{LONE},"c":1e999}}}}}},{{"v":2}}]"#)).unwrap();
    assert_eq!(read.unrepresentable, 2);
    assert_eq!(read.value.to_json(), r#"[{"t":{"r":{"a":1}}},{"v":2}]"#);
}

#[test]
fn an_entry_whose_id_nothing_can_stand_for_is_left_out_alone() {
    let text = format!(r#"[{{{LONE}:{{"r":{{"a":1e999,"b":2}}}},"t":{{"r":{{{LONE}:1,"b":2}}}}}},{{}}]"#);
    let read = Content::from_json(&text).unwrap();
    assert_eq!(read.unrepresentable, 2);
    assert_eq!(read.value.to_json(), r#"[{"t":{"r":{"b":2}}},{}]"#);
    refused(Content::from_json(&format!(r#"[{{{LONE}:null}},{{}}]"#)), "a wrong structure inside");
}

#[test]
fn the_mark_is_a_deletion_on_the_socket_only() {
    assert_eq!(value_on_the_socket("\"\u{FFFC}\"").as_deref(), Some("deleted"));
    assert_eq!(value_on_the_socket(r#""\uFFFC""#).as_deref(), Some("deleted"));
    assert_eq!(value_over_http("\"\u{FFFC}\""), None);
    let raw = r#"{"a":"\ufffc","b":["\ufffc",{"c":"\ufffc"}],"\ufffc":1}"#;
    assert_eq!(value_on_the_socket(raw).as_deref(), Some("\"\u{FFFD}{\\\"b\\\":[null,{}],\\\"\u{FFFC}\\\":1}\""));
    assert!(value_over_http(raw).unwrap().contains("[\\\"\u{FFFC}\\\","));
}

#[test]
fn deletions_of_every_level_are_read_and_written() {
    let text = "[{\"gone\":\"\u{FFFC}\",\"t\":{\"gone\":\"\u{FFFC}\",\"r\":{\"gone\":\"\u{FFFC}\",\"\u{FFFC}\":null}}},\
                {\"gone\":\"\u{FFFC}\"},1]";
    let read = Changes::from_json(text).unwrap();
    assert_eq!(read.unrepresentable, 0);
    let mut expected = Changes::new();
    expected.del_table("gone");
    expected.del_row("t", "gone");
    expected.del_cell("t", "r", "gone");
    expected.set_cell("t", "r", "\u{FFFC}", Cell::Null);
    expected.del_value("gone");
    assert_eq!(read.value, expected);
    assert_eq!(read.value.to_json(), text);
}

#[test]
fn an_error_of_structure_refuses_the_whole() {
    let no_objects =
        ["null", "[]", "1", "\"x\"", "\"\u{FFFC}\"", "{,}", "{\"a\":1,}", "{\"a\"}", "{a:1}", "{\"a\":}", ""];
    let no_tables = [r#"{"t":null}"#, r#"{"t":[]}"#, r#"{"t":1}"#, r#"{"t":"x"}"#, r#"{"t":{"r":null}}"#];
    let no_rows = [r#"{"t":{"r":[]}}"#, r#"{"t":{"r":1}}"#, r#"{"t":{"r":"x"}}"#, r#"{"t":{"r":{"c":nul}}}"#];
    for half in no_objects.iter().chain(&no_tables).chain(&no_rows) {
        refused(Content::from_json(&format!("[{half},{{}}]")), half);
        refused(Changes::from_json(&format!("[{half},{{}},1]")), half);
        refused(Payload::from_json(&format!("[{half},{{}},1]")), half);
        refused(Payload::from_json(&format!("[{half},{{}}]")), half);
    }
    for half in no_objects {
        refused(Content::from_json(&format!("[{{}},{half}]")), half);
        refused(Changes::from_json(&format!("[{{}},{half},1]")), half);
    }
    refused(Content::from_json("[{\"t\":\"\u{FFFC}\"},{}]"), "a mark in a content");
}

#[test]
fn a_content_has_two_elements_and_changes_have_three() {
    for text in
        ["", " ", "[", "[]", "[{}]", "[{},]", "[{},{},1]", "[{},{}] 1", "[{},{}", "{}", "[{} {}]", "\u{FEFF}[{},{}]"]
    {
        refused(Content::from_json(text), text);
    }
    for text in ["[{},{}]", "[{},{},1,1]", "[{},{},1", "[{},{},1]]", "[{},{},]"] {
        refused(Changes::from_json(text), text);
    }
    assert_eq!(content(" [ { } ,\t{\r} ]\n"), Content::new());
}

#[test]
fn the_third_element_of_changes_is_whatever_javascript_finds_equal_to_1() {
    for third in ["1", "1.0", "10e-1", "true", r#""1""#, r#"" 1.0 ""#, r#""\u0031""#, "[1]", "[ [\"1\"] ]"] {
        let read = Changes::from_json(&format!("[{{}},{{}},{third}]"));
        assert!(read.is_ok(), "{third}");
    }
    for third in
        ["0", "2", "11", "false", "null", r#""""#, r#""x""#, "[]", "[1,1]", r#"["1","1"]"#, "[true]", "{}", "[[1],[1]]"]
    {
        refused(Changes::from_json(&format!("[{{}},{{}},{third}]")), third);
    }
}

#[test]
fn a_room_may_send_changes_a_content_or_a_call_to_reload() {
    let payload = |text: &str| Payload::from_json(text).map(|read| read.value);
    let mut changes = Changes::new();
    changes.del_value("v");
    for one in ["1", " 1.0 "] {
        let read = payload(&format!("[{{}},{{\"v\":\"\u{FFFC}\"}},{one}]")).unwrap();
        assert_eq!(read, Payload::Changes(changes.clone()));
    }
    let read =
        payload("[{\"t\":{\"r\":{\"c\":1},\"s\":\"\u{FFFC}\"},\"u\":\"\u{FFFC}\"},{\"v\":\"\u{FFFC}\"}]").unwrap();
    assert_eq!(read, Payload::Content(content(r#"[{"t":{"r":{"c":1}}},{}]"#)));
    for falsy in ["0", "-0.0", "0e9", "null", "false", "\"\"", "\"\u{FFFC}\"", r#""\ufffc""#, " 0 "] {
        assert_eq!(payload(falsy).unwrap(), Payload::Reload, "{falsy}");
    }
    for other in
        ["", "1", "true", "{}", "[]", "\"x\"", "0 0", "[{},{},2]", "[{},{},\"1\"]", "[{},{},1,9]", "[{},{},[1]]"]
    {
        refused(payload(other), other);
    }
}

#[test]
fn ids_come_in_the_order_in_which_javascript_has_them() {
    let read =
        content(r#"[{"t":{"b":{"x":1},"10":{"x":1},"2":{"z":1,"0":2},"01":{"x":1}}},{"4294967295":1,"4294967294":2}]"#);
    let keys = |map: &crate::Table| map.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(keys(&read.tables["t"]), ["2", "10", "b", "01"]);
    let json = r#"[{"t":{"2":{"0":2,"z":1},"10":{"x":1},"b":{"x":1},"01":{"x":1}}},{"4294967294":2,"4294967295":1}]"#;
    assert_eq!(read.to_json(), json);
    let read =
        Changes::from_json(r#"[{"t":{"b":{"x":1},"10":{"x":2},"2":{"x":3,"0":4},"1":{"x":"y"}}},{},1]"#).unwrap();
    let rows = read.value.tables["t"].as_ref().unwrap();
    assert_eq!(rows.keys().map(crate::Id::as_str).collect::<Vec<_>>(), ["1", "2", "10", "b"]);
    assert_eq!(rows["2"].as_ref().unwrap().keys().map(crate::Id::as_str).collect::<Vec<_>>(), ["0", "x"]);
    let mut written = Changes::new();
    for id in ["b", "10", "-1", "2", "1.5", ""] {
        written.set_value(id, Cell::Null);
    }
    assert_eq!(written.to_json(), r#"[{},{"2":null,"10":null,"b":null,"-1":null,"1.5":null,"":null},1]"#);
}

#[test]
fn only_what_javascript_takes_for_an_array_index_is_one() {
    for (id, index) in [("0", Some(0)), ("7", Some(7)), ("4294967294", Some(4_294_967_294))] {
        assert_eq!(array_index(id), index);
    }
    for id in
        ["", "00", "01", "-1", "+1", "1.0", "1e3", "4294967295", "9999999999", "10000000000", "1a", " 1", "\u{0661}"]
    {
        assert_eq!(array_index(id), None, "{id}");
    }
}

#[test]
fn the_last_of_duplicate_keys_wins_in_the_place_of_the_first() {
    let read = content(r#"[{"t":{"r":{"old":1}},"u":{"r":{"c":1}},"t":{"r":{"new":1}}},{"a":1,"b":2,"\u0061":3}]"#);
    assert_eq!(read.to_json(), r#"[{"t":{"r":{"new":1}},"u":{"r":{"c":1}}},{"a":3,"b":2}]"#);
    let read = Content::from_json(r#"[{},{"a":1,"b":2,"a":1e999,"c":1e999,"c":5}]"#).unwrap().value;
    assert_eq!(read.to_json(), r#"[{},{"b":2,"c":5}]"#);
}

#[test]
fn a_row_of_one_cell_is_read_as_any_other_row() {
    let row = |cell: &str| Changes::from_json(&format!(r#"[{{"t":{{"r":{{"c":{cell}}}}}}},{{}},1]"#));
    for (text, cell) in [
        ("7", Cell::from(7)),
        ("0", Cell::from(0)),
        ("-0", Cell::from(0)),
        ("1e2", Cell::from(100)),
        ("10.5", Cell::try_from(10.5).unwrap()),
        ("999999999999999", Cell::try_from(999_999_999_999_999_u64).unwrap()),
        ("9007199254740993", Cell::try_from(9_007_199_254_740_992_u64).unwrap()),
        ("\"a\"", Cell::try_from("a").unwrap()),
        ("\"\\u0061\"", Cell::try_from("a").unwrap()),
        ("\"\"", Cell::try_from("").unwrap()),
        ("\"\u{FFFD}[1]\"", Cell::from(crate::Json::new("[1]").unwrap())),
        ("true", Cell::from(true)),
        ("null", Cell::Null),
    ] {
        let mut changes = Changes::new();
        changes.set_cell("t", "r", "c", cell);
        assert_eq!(row(text).unwrap().value, changes, "{text}");
    }
    let mut gone = Changes::new();
    gone.del_cell("t", "r", "c");
    assert_eq!(row("\"\u{FFFC}\"").unwrap().value, gone);
    for (text, count) in [("1e999", 1), ("\"\\ud800\"", 1), ("\"\u{FFFD}1\"", 1)] {
        let read = row(text).unwrap();
        assert_eq!(
            (read.unrepresentable, read.value.to_json().as_str()),
            (count, r#"[{"t":{"r":{}}},{},1]"#),
            "{text}"
        );
    }
    for text in ["00", "01", "1.", ".1", "+1", "1e", "-", "", "0x1", "1 1", "\"", "tru"] {
        refused(row(text), text);
    }
    let read = Changes::from_json(r#"[{"t":{"r":{"a":1e999,"b":1,"a":2}}},{},1]"#).unwrap().value;
    assert_eq!(read.to_json(), r#"[{"t":{"r":{"a":2,"b":1}}},{},1]"#);
}

#[test]
fn a_million_open_brackets_are_neither_a_crash_nor_a_wait() {
    let (open, close) = ("[".repeat(1_000_000), "]".repeat(1_000_000));
    let objects = r#"{"a":"#.repeat(1_000_000);
    for text in [&open, &objects] {
        refused(Content::from_json(text), "open");
        refused(Changes::from_json(&format!("[{{}},{{\"v\":{text}")), "open in a value");
        refused(Payload::from_json(text), "open");
        assert!(!is_object_or_array(text));
    }
    let deep = format!("{open}{close}");
    assert_eq!(value_over_http(&deep), None);
    assert_eq!(value_over_http(&format!("\"\u{FFFD}{deep}\"")), Some(format!("\"\u{FFFD}{deep}\"")));
    assert!(Changes::from_json(&format!("[{{}},{{}},{deep}]")).is_err());
    assert_eq!(value_from_cell(&Cell::from(crate::Json::new(&*deep).unwrap())), serde_json::Value::from(deep));
}

#[test]
fn a_nesting_of_128_is_kept_and_one_more_is_left_out() {
    let nested = |depth: usize| format!("{}{}", r#"{"a":["#.repeat(depth / 2), "]}".repeat(depth / 2));
    assert!(value_over_http(&nested(128)).is_some());
    assert_eq!(value_over_http(&nested(130)), None);
    assert_eq!(value_over_http(&format!("[{}]", nested(128))), None);
}

#[test]
fn a_serde_value_becomes_the_cell_that_javascript_would_have() {
    let value: serde_json::Value = serde_json::from_str(
        r#"{"b":1.0,"2":[-0.0,1e21,9007199254740993,18446744073709551615],"10":"\u0001\"\u2028"}"#,
    )
    .unwrap();
    let cell = cell_from_value(&value).unwrap();
    let text = "{\"2\":[0,1e+21,9007199254740992,18446744073709552000],\"10\":\"\\u0001\\\"\u{2028}\",\"b\":1}";
    assert_eq!(cell.as_json().map(crate::Json::as_str), Some(text));
    assert_eq!(cell_from_value(&u64::MAX.into()).unwrap().as_f64(), Some(18_446_744_073_709_551_616.0));
    assert_eq!(cell_from_value(&"\u{FFFD}{}".into()).unwrap_err().kind(), ErrorKind::Invalid);
    let deep = (0..129).fold(serde_json::Value::Null, |inside, _| vec![inside].into());
    assert_eq!(cell_from_value(&deep).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(cell_from_value(&deep[0]).is_ok());
}

#[test]
fn a_cell_becomes_the_plain_serde_value() {
    for (json, value) in [
        ("1.0", serde_json::json!(1)),
        ("-0.0", serde_json::json!(0)),
        ("0.5", serde_json::json!(0.5)),
        ("\"\u{FFFD}{\\\"a\\\":[1]}\"", serde_json::json!({"a": [1]})),
        ("\"\u{FFFD}[1e999]\"", serde_json::json!("[1e999]")),
    ] {
        assert_eq!(value_from_cell(&Cell::from_json(json).unwrap()), value);
    }
}

fn refused<T: std::fmt::Debug>(read: Result<T>, text: &str) {
    assert_eq!(read.expect_err(text).kind(), ErrorKind::Corrupt, "{text}");
}
