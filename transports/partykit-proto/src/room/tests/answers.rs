//! How HTTP requests are answered.

use super::*;

#[test]
fn a_room_without_a_store_is_empty_and_found() {
    for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "put"] {
        let mut room = Room::new(stock(), "e");
        let (outputs, response) = http(&mut room, method, "/parties/main/r/store", CONTENT);
        assert_eq!((response.status, &*response.body), (200, ""), "{method}");
        assert_eq!(outputs, [], "{method}");
        assert!(room.is_idle(), "{method}");
    }
}

#[test]
fn anything_but_a_put_returns_the_store() {
    let mut room = meeting(stock());
    let stored = get(&mut room);
    assert_eq!(Content::from_json(&stored).unwrap().value, Content::from_json(CONTENT).unwrap().value);
    for method in ["HEAD", "POST", "DELETE", "OPTIONS", "PATCH"] {
        let (_, response) = http(&mut room, method, "/party/r/x/store", "[{},{}]");
        assert_eq!((response.status, &*response.body), (200, &*stored), "{method}");
    }
}

#[test]
fn the_store_is_where_the_path_ends_with_its_own() {
    let mut room = meeting(stock());
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
        let mut room = Room::new(stock(), "e");
        assert_eq!(put(&mut room, body), new, "{body}");
        assert_eq!(room.exists(), creates, "{body}");
        let mut room = meeting(stock());
        let before = room.content().clone();
        assert_eq!(put(&mut room, body), existing, "{body}");
        assert_eq!(room.content(), &before, "{body}");
    }
}

#[test]
fn a_body_that_is_no_text_or_too_large_is_refused() {
    let mut room = Room::new(stock().with_max_body_size(8), "e");
    let context = Context { method: "PUT".into(), path: "/store".into(), ..Context::default() };
    for (body, status) in [(&b"[{},{\xff"[..], 400), (b"[{},{}]  ", 413), (b"[{},{}] ", 201)] {
        let outputs = room.handle(Input::Request { request: RequestId(1), context: context.clone(), body });
        let Some(Output::Respond { response, .. }) = outputs.last() else { panic!("{outputs:?}") };
        assert_eq!(response.status, status, "{body:?}");
    }
}

#[test]
fn every_answer_lets_pages_of_any_origin_in() {
    let mut room = Room::new(stock().with_store_path("/s").with_message_prefix("m"), "e");
    let mut responses = Vec::new();
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
    assert_eq!(statuses, [200, 400, 201, 205, 404, 200]);
    for response in responses {
        for header in ["Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"] {
            assert!(response.headers.contains(&(header.into(), "*".into())), "{} lacks {header}", response.status);
        }
    }
}
