//! What becomes of a request to a server that answers it in some other way.

use roommate::{ErrorKind, Persister};
use roommate_partykit::{PartyKitConfig, PartyKitPersister, PartySocket, PartySocketOptions};

use super::{
    common::{answer_all, cell, content, soon, value},
    save,
};

#[tokio::test]
async fn l16_what_goes_wrong_with_a_request_says_whether_to_try_again() {
    for (answer, kind) in [
        ("HTTP/1.1 500 Oh\r\ncontent-length: 4\r\n\r\noops", ErrorKind::Unavailable),
        ("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", ErrorKind::Unavailable),
        ("HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n", ErrorKind::Unavailable),
        ("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", ErrorKind::Refused),
        ("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n", ErrorKind::Refused),
        ("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", ErrorKind::Refused),
        ("HTTP/1.1 418 Tea\r\ncontent-length: 0\r\n\r\n", ErrorKind::Refused),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[{},{}, 1", ErrorKind::Corrupt),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\u{e9}", ErrorKind::Corrupt),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[{},", ErrorKind::Unavailable),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", ErrorKind::Unavailable),
        ("garbage\r\n\r\n", ErrorKind::Unavailable),
        ("", ErrorKind::Unavailable),
    ] {
        let host = answer_all(answer).await;
        let options = PartySocketOptions::new(host, "room").with_start_closed(true);
        let socket = PartySocket::new(options).unwrap();
        let a = PartyKitPersister::new(&socket, PartyKitConfig::new()).unwrap();
        let error = soon(a.load()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}: {error}");
        assert!(error.to_string().contains("/parties/main/room/store"), "{error}");
        assert!(save(&a, &value("v", 1)).await.is_err(), "{answer:?}");
    }
}

#[tokio::test]
async fn cells_that_nothing_here_can_hold_are_left_out_of_a_content() {
    let body = r#"[{"t":{"r":{"fine":1,"not":1e999}}},{"v":"\ud800"}]"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let host = answer_all(&answer).await;
    let socket = PartySocket::new(PartySocketOptions::new(host, "room").with_start_closed(true)).unwrap();
    let a = PartyKitPersister::new(&socket, PartyKitConfig::new()).unwrap();
    assert_eq!(soon(a.load()).await.unwrap().unwrap(), content(&cell("r", "fine", 1)));
}

#[tokio::test]
async fn a_content_beyond_the_bound_is_not_read() {
    let host = answer_all("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n[{},{}]").await;
    let socket = PartySocket::new(PartySocketOptions::new(host, "room").with_start_closed(true)).unwrap();
    let a = PartyKitPersister::new(&socket, PartyKitConfig::new().with_max_content_size(6)).unwrap();
    assert_eq!(soon(a.load()).await.unwrap_err().kind(), ErrorKind::Refused);
}
