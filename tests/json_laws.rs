//! The laws of `laws/json.rs`, for texts and contents that are chosen to be nasty.

use proptest::{collection::vec, option, prelude::*};
use roommate::{Cell, Changes, Content, Id, Map, Row, RowChanges, Text, Values};

#[path = "laws/json.rs"]
mod laws;

proptest! {
    #[test]
    fn a_content_outlives_its_json(tables in map(map(row())), values in row()) {
        laws::hold_for_content(&Content { tables, values });
    }

    #[test]
    fn changes_outlive_their_json(
        tables in map(option::of(map(option::of(row_changes())))),
        values in row_changes(),
    ) {
        laws::hold_for_changes(&Changes { tables, values });
    }

    #[test]
    fn any_text_is_read_or_refused(text in json_like()) {
        laws::hold_for_text(&text);
        laws::hold_for_text(&format!("[{{}},{{\"v\":{text}}}]"));
        laws::hold_for_text(&format!("[{{\"t\":{text}}},{{}},1]"));
    }

    #[test]
    fn a_content_cut_short_is_refused(tables in map(map(row())), cut in any::<prop::sample::Index>()) {
        let json = Content { tables, values: Values::new() }.to_json();
        let cut = json.get(..cut.index(json.len())).unwrap_or_default();
        prop_assert!(Content::from_json(cut).is_err());
    }
}

fn map<V: Clone + std::fmt::Debug>(entry: impl Strategy<Value = V>) -> impl Strategy<Value = Map<V>> {
    vec((text().prop_map(Id::from), entry), 0..5).prop_map(Map::from_iter)
}

fn row() -> impl Strategy<Value = Row> {
    vec((text().prop_map(Id::from), cell()), 0..5).prop_map(Row::from_iter)
}

fn row_changes() -> impl Strategy<Value = RowChanges> {
    vec((text().prop_map(Id::from), option::of(cell())), 0..5).prop_map(RowChanges::from_iter)
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "0",
            "10",
            "9",
            "01",
            "4294967294",
            "4294967295",
            "a",
            "__proto__",
            "constructor",
            " "
        ]),
        prop::sample::select(vec![
            "\u{FFFC}",
            "\u{FFFD}",
            "\"",
            "\\",
            "/",
            "\n",
            "\u{1}",
            "\u{7F}",
            "\u{2028}",
            "\u{1F600}"
        ]),
        prop::sample::select(vec!["\\u", "\\ud800", "{}", "[", "null", ",", ":", "\u{FEFF}", "\u{E000}", "\u{10FFFF}"]),
    ];
    prop_oneof![vec(piece, 0..4).prop_map(|pieces| pieces.concat()), any::<String>()]
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        Just(Cell::Null),
        any::<bool>().prop_map(Cell::from),
        any::<i32>().prop_map(Cell::from),
        any::<f64>().prop_filter_map("finite", |number| Cell::try_from(number).ok()),
        text().prop_filter_map("not reserved", |text| Text::new(text).map(Cell::from)),
        json_like().prop_filter_map("an object or array", |text| roommate::Json::new(text).map(Cell::from)),
    ]
}

/// JSON, and what is nearly JSON.
fn json_like() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.0",
        "1E+2",
        "1e999",
        "9007199254740993",
        "0.1",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "nul",
        "tru",
        "\"",
        "",
        "\u{1F600}",
        "+1",
        "NaN",
    ]);
    let string = prop::sample::select(vec![
        r#""""#,
        r#""a""#,
        r#""\ud83d\ude00""#,
        r#""\ud83d""#,
        r#""\uDE00\uD83D\n""#,
        r#""\u12""#,
        r#""\x""#,
        r#""\u+123""#,
        "\"\u{FFFC}\"",
        r#""\ufffc""#,
        "\"\u{FFFD}{}\"",
        r#""\uFFFD[1e999]""#,
        "\"\u{FFFD}x\"",
        "\"\n\"",
        "\"\\\"",
        r#""1""#,
        r#""0""#,
    ]);
    let leaf = prop_oneof![scalar, string.clone()].prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let space = prop::sample::select(vec!["", "", "", " ", "\t\r\n", "\u{A0}"]);
        let entry = (string.clone(), space.clone(), inner.clone())
            .prop_map(|(key, space, value)| format!("{key}{space}:{value}"));
        let object =
            (space.clone(), vec(entry, 0..5)).prop_map(|(space, entries)| format!("{{{space}{}}}", entries.join(",")));
        let array =
            (space, vec(inner, 0..5)).prop_map(|(space, elements)| format!("[{space}{}]{space}", elements.join(",")));
        prop_oneof![object, array]
    })
}
