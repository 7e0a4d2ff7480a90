//! The laws of the wire, for frames that are nearly right.

use proptest::prelude::*;

#[path = "laws/wire.rs"]
mod laws;

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "c", "1", "0"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["", "__proto__", "\\\"", "\\u0000", "\\ud83d", "\\ud83d\\ude00", ",", "é"])
            .prop_map(str::to_owned),
    ]
}

fn leaf() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "0",
        "-0",
        "1",
        "1.5",
        "1e21",
        "1e999",
        "null",
        "true",
        "\"\"",
        "\"x\"",
        "\"\u{FFFC}\"",
        "\"\\uFFFC\"",
        "\"\u{FFFC}x\"",
        "\"\u{FFFD}{}\"",
        "\"\u{FFFD}[ 1 ]\"",
        "\"\u{FFFD}nope\"",
        "\"\\ud800\"",
        "{\"b\":1,\"1\":2}",
        "[]",
    ])
    .prop_map(str::to_owned)
}

/// An object of `entry`, or now and then something else in its place.
fn object(entry: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    let object = prop::collection::vec((id(), entry), 0..4).prop_map(|entries| {
        let entries: Vec<_> = entries.into_iter().map(|(id, entry)| format!("\"{id}\":{entry}")).collect();
        format!("{{{}}}", entries.join(","))
    });
    prop_oneof![20 => object, 3 => Just("\"\u{FFFC}\"".to_owned()), 1 => leaf()].boxed()
}

fn payload() -> impl Strategy<Value = String> {
    let third = prop::sample::select(vec![",1", ",1", ",1", ",1.0", ",\"1\"", ",[1]", ",2", "", "", ",1,9", ","]);
    (object(object(object(leaf()))), object(leaf()), third)
        .prop_map(|(tables, values, third)| format!("[{tables},{values}{third}]"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn a_frame_that_decodes_encodes_and_decodes_to_the_same(payload in payload()) {
        laws::hold_for_frame(&format!("s{payload}"));
        laws::hold_for_frame(&format!("m:s{payload}"));
        laws::hold_for_frame(&format!("r[\"change\",1,{payload}]"));
        laws::hold_for_frame(&format!("r[\"accepted\",7,1,{payload}]"));
        laws::hold_for_frame(&format!(
            "m:r[\"snapshot\",{{\"epoch\":\"e\",\"seq\":7,\"last\":1}},[[1,{payload}]],{payload}]"
        ));
        laws::hold_for_frame(&format!(
            "r[\"resumed\",{{\"epoch\":\"e\",\"seq\":7,\"last\":1}},[[\"created\",7,{payload}]]]"
        ));
    }

    #[test]
    fn r6_r8_whatever_it_is_told_a_room_is_what_it_stores_and_tells(texts in prop::collection::vec(payload(), 0..8)) {
        laws::hold_for_room(&texts.join("\n"));
    }

    #[test]
    fn r8_no_text_makes_it_panic(text in any::<String>()) {
        laws::hold_for_frame(&text);
        laws::hold_for_room(&text);
    }
}
