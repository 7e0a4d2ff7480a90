//! The JSON of contents and changes, compared with what Node makes of the same texts.
//!
//! The other side is `interop/json_differential.mjs`: JavaScript's own `JSON.parse`, `JSON.stringify`, `==` and order of
//! keys. Texts are random, from a fixed seed, and full of what the two languages tend to disagree about.

use std::{
    io::{ErrorKind, Write as _},
    process::{Command, Stdio},
    thread,
};

use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use roommate::{Changes, Content};

const SAMPLES: usize = 3_000;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/json_differential.mjs");

#[test]
fn every_text_ends_as_in_javascript() {
    let samples = samples();
    let Some(answers) = ask_node(&samples) else { return };
    assert_eq!(answers.len(), samples.len(), "one answer for each text");
    let mut read = 0;
    for ((reader, text), javascript) in samples.iter().zip(answers) {
        let rust = match *reader {
            "content" => Content::from_json(text).ok().map(|read| read.value.to_json()),
            _ => Changes::from_json(text).ok().map(|read| read.value.to_json()),
        };
        read += usize::from(javascript.is_some());
        assert_eq!(rust, javascript, "{reader}: {text}");
    }
    assert!(read > SAMPLES / 2, "only {read} texts were anything to read");
    assert!(read < SAMPLES, "no text was refused");
}

/// What Node makes of each text: what it writes then, or that it refuses it.
fn ask_node(samples: &[(&'static str, String)]) -> Option<Vec<Option<String>>> {
    let spawned = Command::new("node").arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut node = match spawned {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "node is missing, and CI must not skip this");
            eprintln!("SKIPPED: node is missing, so nothing was compared with JavaScript");
            return None;
        }
        spawned => spawned.expect("node starts"),
    };
    let lines: String = samples.iter().map(|sample| serde_json::to_string(sample).unwrap() + "\n").collect();
    let mut stdin = node.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "node failed");
    let answers = String::from_utf8(output.stdout).unwrap();
    Some(answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn samples() -> Vec<(&'static str, String)> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = prop_oneof![
        halves(false).prop_map(|halves| ("content", format!("[{halves}]"))),
        (halves(true), third()).prop_map(|(halves, third)| ("changes", format!("[{halves},{third}]"))),
        (halves(true), third()).prop_map(|(halves, third)| ("content", format!("[{halves},{third}]"))),
        raw().prop_map(|raw| ("content", format!("[{{}},{{\"v\":{raw}}}]"))),
        raw().prop_map(|raw| ("changes", format!("[{{}},{{\"v\":{raw}}},1]"))),
    ];
    (0..SAMPLES).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn halves(socket: bool) -> impl Strategy<Value = String> {
    let deleted = prop::sample::select(if socket { vec!["\"\u{FFFC}\"", r#""\ufffC""#] } else { vec!["{}"] });
    let or_deleted =
        |level: BoxedStrategy<String>| prop_oneof![9 => level, 1 => deleted.clone().prop_map(str::to_owned)];
    let misplaced = prop::sample::select(vec!["null", "[]", "0", r#""a""#]).prop_map(str::to_owned);
    let row = or_deleted(object(leaf()).boxed());
    let table = or_deleted(prop_oneof![60 => object(row), 1 => misplaced.clone()].boxed());
    let tables = prop_oneof![60 => object(table), 1 => misplaced.clone()];
    let values = prop_oneof![60 => object(leaf()), 1 => misplaced];
    (tables, values).prop_map(|(tables, values)| format!("{tables},{values}"))
}

fn third() -> impl Strategy<Value = &'static str> {
    let equal =
        vec!["1", "1", "1", "1", "1.0", "10e-1", "true", r#""1""#, r#"" 1\n""#, r#""1.0""#, "[1]", "[[\"1\"] ]"];
    let other =
        vec!["0", "null", "false", "2", "\"\"", "\"x\"", "[]", "[1,1]", "[\"1\",\"1\"]", "[true]", "{}", "{\"a\":1}"];
    prop_oneof![4 => prop::sample::select(equal), 1 => prop::sample::select(other)]
}

fn object(entry: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let entry = (string(), space(), space(), entry)
        .prop_map(|(key, before, behind, entry)| format!("{key}{before}:{behind}{entry}"));
    (space(), vec(entry, 0..6)).prop_map(|(space, entries)| format!("{{{space}{}}}", entries.join(",")))
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "\t", "\r\n"])
}

fn leaf() -> impl Strategy<Value = String> {
    prop_oneof![4 => scalar(), 1 => raw()]
}

fn raw() -> impl Strategy<Value = String> {
    scalar().prop_recursive(6, 40, 6, |inner| {
        let array = (space(), vec(inner.clone(), 0..5))
            .prop_map(|(space, elements)| format!("[{space}{}]", elements.join(",")));
        prop_oneof![object(inner), array]
    })
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        string(),
        encoded(),
        number(),
    ]
}

/// A string that encodes an object or array, or claims to.
fn encoded() -> impl Strategy<Value = String> {
    let inside = prop_oneof![
        prop::sample::select(vec![
            "",
            "5",
            "null",
            "[",
            "{}x",
            "{} ",
            " [1.0]",
            "\u{FEFF}{}",
            "[1e999]",
            r#"["\ud800"]"#,
            "[01]"
        ])
        .prop_map(str::to_owned),
        vec(string(), 0..3).prop_map(|strings| format!("[{}]", strings.join(" , "))),
    ];
    inside.prop_map(|inside| serde_json::to_string(&format!("\u{FFFD}{inside}")).unwrap())
}

fn number() -> impl Strategy<Value = String> {
    let odd = vec![
        "0",
        "-0",
        "-0.0",
        "1.0",
        "1E2",
        "1e+21",
        "1e21",
        "1e20",
        "1e-6",
        "1e-7",
        "0.1",
        "5e-324",
        "2e-324",
        "1e999",
        "-1e999",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "9007199254740993",
        "18446744073709551616",
        "0.30000000000000004",
        "123456789012345678901234567890",
        "0.000001234567890123456789",
    ];
    prop_oneof![
        prop::sample::select(odd).prop_map(str::to_owned),
        any::<f64>().prop_filter_map("finite", |number| number.is_finite().then(|| format!("{number:e}"))),
        any::<i64>().prop_map(|number| number.to_string()),
        (any::<i32>(), any::<u32>(), -330..330_i32)
            .prop_map(|(whole, digits, exponent)| format!("{whole}.{digits}e{exponent}")),
    ]
}

/// A JSON string, of pieces that are easily confused, or simple; ids are likely to meet again.
fn string() -> impl Strategy<Value = String> {
    let id = prop::sample::select(vec![
        "a",
        "b",
        "\\u0061",
        "0",
        "1",
        "2",
        "9",
        "10",
        "\\u0031",
        "01",
        "-1",
        "1.5",
        "4294967294",
        "4294967295",
        "4294967296",
        "99999999999",
        "__proto__",
        "constructor",
        "toString",
        "",
    ]);
    let piece = prop::sample::select(vec![
        "\u{FFFC}",
        "\\uFFFC",
        "\u{FFFD}",
        "\\ufffd",
        "{}",
        "[1]",
        "\\ud83d",
        "\\uDE00",
        "\\ud83d\\ude00",
        "\u{1F600}",
        "\\\"",
        "\\\\",
        "\\/",
        "/",
        "\\b\\f\\n\\r\\t",
        "\\u0000",
        "\\u001F",
        "\\u007f",
        "\u{7F}",
        "\u{2028}",
        "\\u2029",
        "\u{FEFF}",
        "\u{E000}",
        "x",
    ]);
    prop_oneof![3 => id.prop_map(str::to_owned), 1 => vec(piece, 0..4).prop_map(|pieces| pieces.concat())]
        .prop_map(|inside| format!("\"{inside}\""))
}
