//! Cells and ids of every kind arrive as they were: in a first content, as changes, and as what is deleted.

use serde_json::{Map, Value, json};

use crate::{every::in_every_direction, peer::no_errors, rig::Rig};

in_every_direction! {
    cells_of_every_kind_arrive_in_a_first_content
    cells_of_every_kind_arrive_as_changes
    ids_of_every_spelling_arrive_and_can_be_deleted
}

/// Cells by name, as a program sets them, and what a store then holds: objects and arrays as the text that JavaScript
/// makes of them.
fn cells() -> (Map<String, Value>, Map<String, Value>) {
    let plain = json!({
        "null": null, "true": true, "false": false, "zero": 0, "minus zero": -0.0, "one": 1, "minus one": -1,
        "a tenth": 0.1, "0.1 + 0.2": 0.1 + 0.2, "third": 1.0 / 3.0, "1e21": 1e21, "1e-7": 1e-7, "largest": f64::MAX,
        "smallest": 5e-324, "2^53": 9_007_199_254_740_992_u64, "2^53 + 1": 9_007_199_254_740_993_u64,
        "a timestamp": 1_790_000_000_123.25, "empty": "", "space": " ", "text": "text", "number": "1",
        "quotes": "\"'`\\/", "controls": "\u{0}\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}\u{7f}\u{80}", "lines": "\u{2028}\u{2029}\u{85}",
        "emoji": "\u{1f388}\u{1f469}\u{200d}\u{1f680}", "astral": "\u{10ffff}\u{10000}", "private": "\u{e000}\u{f8ff}",
        "marker inside": "a\u{FFFC}b", "marker first": "\u{FFFC}b", "marker last": "a\u{FFFC}", "two markers": "\u{FFFC}\u{FFFC}",
        "prefix inside": "a\u{FFFD}{}", "bom": "\u{feff}x", "like JSON": "{\"a\":1}", "like a frame": "s[{},{},1]",
        "__proto__": "__proto__",
    });
    let encoded = [
        ("object", json!({"a": 1, "b": [true, null]}), r#"{"a":1,"b":[true,null]}"#),
        ("empty object", json!({}), "{}"),
        ("array", json!([1, "two", {"three": 3}]), r#"[1,"two",{"three":3}]"#),
        ("empty array", json!([]), "[]"),
        (
            "numbers",
            json!([0.1, 1e21, -0.0, 1e-7, 9_007_199_254_740_993_u64, 1.0, 1e300]),
            "[0.1,1e+21,0,1e-7,9007199254740992,1,1e+300]",
        ),
        (
            "order of keys",
            json!({"b": 1, "10": 2, "a": 3, "9": 4, "01": 5, "-1": 6}),
            r#"{"9":4,"10":2,"b":1,"a":3,"01":5,"-1":6}"#,
        ),
        (
            "texts",
            json!(["\u{1f388}", "a\"b\\", "\n\u{1}", "\u{2028}"]),
            "[\"\u{1f388}\",\"a\\\"b\\\\\",\"\\n\\u0001\",\"\u{2028}\"]",
        ),
        (
            "markers",
            json!({"\u{FFFC}": "\u{FFFC}", "b": "\u{FFFD}{}"}),
            "{\"\u{FFFC}\":\"\u{FFFC}\",\"b\":\"\u{FFFD}{}\"}",
        ),
        ("proto", json!({"__proto__": {"constructor": 1}}), r#"{"__proto__":{"constructor":1}}"#),
        ("deep", json!([[[[[[[[[[[[1]]]]]]]]]]]]), "[[[[[[[[[[[[1]]]]]]]]]]]]"),
    ];
    let Value::Object(mut set) = plain else { unreachable!("it is an object") };
    let mut held = set.clone();
    for (name, cell, text) in encoded {
        set.insert(name.to_owned(), cell);
        held.insert(name.to_owned(), format!("\u{FFFD}{text}").into());
    }
    (set, held)
}

async fn cells_of_every_kind_arrive_in_a_first_content(rig: Rig) {
    let room = rig.room();
    let (cells, held) = cells();
    let writer = rig.writer(&room).await;
    writer.edit(json!([["setRow", "t", "r", cells], ["setValues", cells]])).await;
    writer.join().await;
    let reader = rig.reader(&room).await;
    reader.join().await;

    rig.all_hold(&room, [&writer, &reader], &json!([{"t": {"r": held}}, held])).await;
    no_errors([&writer, &reader]).await;
}

async fn cells_of_every_kind_arrive_as_changes(rig: Rig) {
    let room = rig.room();
    let (writer, reader) = rig.joined(&room).await;
    let (cells, held) = cells();
    writer.edit(json!([["setRow", "t", "r", cells]])).await;
    writer.edit(json!([["setValues", cells]])).await;
    rig.all_hold(&room, [&writer, &reader], &json!([{"t": {"r": held}}, held])).await;

    // Of every kind to every other: a step further round the list, and back to null.
    let names: Vec<_> = cells.keys().cloned().collect();
    let turn = |cells: &Map<String, Value>| -> Map<String, Value> {
        names.iter().zip(names.iter().cycle().skip(7)).map(|(name, from)| (name.clone(), cells[from].clone())).collect()
    };
    writer.edit(json!([["setRow", "t", "r", turn(&cells)], ["setValues", turn(&cells)]])).await;
    rig.all_hold(&room, [&writer, &reader], &json!([{"t": {"r": turn(&held)}}, turn(&held)])).await;

    let nulls: Map<_, _> = names.iter().map(|name| (name.clone(), Value::Null)).collect();
    writer.edit(json!([["setRow", "t", "r", nulls], ["setValues", nulls]])).await;
    rig.all_hold(&room, [&writer, &reader], &json!([{"t": {"r": nulls}}, nulls])).await;
    no_errors([&writer, &reader]).await;
}

async fn ids_of_every_spelling_arrive_and_can_be_deleted(rig: Rig) {
    const IDS: &[&str] = &[
        "",
        " ",
        "a b",
        "a/b",
        "/",
        "a\"b",
        "'",
        "\\",
        "\\\\",
        "a,b",
        "\",\"",
        "[",
        "{}",
        "__proto__",
        "constructor",
        "prototype",
        "toString",
        "hasOwnProperty",
        "length",
        "0",
        "1",
        "10",
        "01",
        "-1",
        "4294967295",
        "1.5",
        "null",
        "undefined",
        "hasStore",
        "t",
        "v",
        "\n",
        "\u{0}",
        "\u{7f}",
        "\u{2028}",
        "\u{1f388}",
        "\u{e000}",
        "\u{FFFC}",
        "\u{FFFD}",
        "\u{FFFD}{}",
        "%20",
        "?a=b#c",
    ];
    let room = rig.room();
    let (writer, reader) = rig.joined(&room).await;
    let mut tables = Map::new();
    let mut values = Map::new();
    for (index, id) in IDS.iter().enumerate() {
        let next = IDS[(index + 1) % IDS.len()];
        tables.insert((*id).to_owned(), json!({*id: {*id: index, next: "n"}, next: {*id: index}}));
        values.insert((*id).to_owned(), index.into());
    }
    writer.edit(json!([["setTables", tables], ["setValues", values]])).await;
    rig.all_hold(&room, [&writer, &reader], &json!([tables, values])).await;

    writer.edit(IDS.iter().map(|id| json!(["delCell", id, id, id])).collect()).await;
    for (index, id) in IDS.iter().enumerate() {
        tables[*id][*id] = json!({IDS[(index + 1) % IDS.len()]: "n"});
    }
    rig.all_hold(&room, [&writer, &reader], &json!([tables, values])).await;

    writer.edit(IDS.iter().map(|id| json!(["delRow", id, id])).collect()).await;
    for (index, id) in IDS.iter().enumerate() {
        tables[*id] = json!({IDS[(index + 1) % IDS.len()]: {*id: index}});
    }
    rig.all_hold(&room, [&writer, &reader], &json!([tables, values])).await;

    for id in &IDS[1..] {
        writer.edit(json!([["delTable", id], ["delValue", id]])).await;
    }
    tables.retain(|id, _| id.is_empty());
    values.retain(|id, _| id.is_empty());
    rig.all_hold(&room, [&writer, &reader], &json!([tables, values])).await;
    no_errors([&writer, &reader]).await;
}
