//! Requests to a server that responds in an unexpected way.

use std::{mem, time::Duration};

use roommate::{Cell, Changes, ErrorKind, Persister, Saved};
use roommate_partykit::{PartyKitConfig, PartyKitPersister, PartySocket, PartySocketOptions};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::sleep,
};

use super::{
    common::{answer_all, cell, content, soon, value},
    save, save_all,
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

/// Starts a server with a slow uplink, which stores the PUT content.
async fn slow_uplink() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let Ok(byte) = client.read_u8().await else { break };
                request.push(byte);
            }
            let head = String::from_utf8(request).unwrap().to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            for chunk in body.chunks_mut(16 << 10) {
                client.read_exact(chunk).await.unwrap();
                sleep(Duration::from_millis(50)).await;
            }
            let status = if head.starts_with("put ") { 201 } else { 200 };
            if status == 201 {
                held = mem::take(&mut body);
            }
            let answer = format!("HTTP/1.1 {status} OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", held.len());
            client.write_all(&[answer.as_bytes(), &held].concat()).await.unwrap();
        }
    });
    host
}

#[tokio::test]
async fn r4_a_first_content_that_takes_a_while_to_get_through_gets_through() {
    let socket = PartySocket::new(PartySocketOptions::new(slow_uplink().await, "r").with_start_closed(true)).unwrap();
    let config = PartyKitConfig::new().with_request_timeout(Duration::from_millis(400));
    let persister = PartyKitPersister::new(&socket, config).unwrap();
    let mut large = Changes::new();
    for value in 0..3 {
        large.set_value(format!("v{value}"), Cell::try_from("x".repeat(100_000)).unwrap());
    }
    let all = content(&large);
    assert_eq!(save_all(&persister, &all).await.unwrap(), Saved::Found(all));
}
