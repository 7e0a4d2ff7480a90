//! The WebSocket protocol, byte by byte.

use std::time::Duration;

use roommate_server::RunningServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Socket, eventually, put, serve, uncured};

const HANDSHAKE: &str = "GET /party/r HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n\
                         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn answer(server: &RunningServer, request: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap())
}

/// A frame as a client sends it, with a mask that changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await.expect("it ends in time").unwrap();
    rest
}

#[tokio::test]
async fn a_handshake_is_answered_as_the_standard_has_it() {
    let server = serve(uncured()).await;
    let (_stream, head) = answer(&server, &format!("{HANDSHAKE}\r\n")).await;
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for header in ["connection: upgrade", "upgrade: websocket", "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="] {
        assert!(head.contains(&format!("\r\n{header}\r\n")), "{head}");
    }
    assert!(!head.contains("sec-websocket-protocol"), "none was offered: {head}");
}

#[tokio::test]
async fn a_handshake_that_is_none_is_refused_and_leaves_no_connection() {
    let server = serve(uncured()).await;
    let no_key = HANDSHAKE.replace("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "");
    let old = HANDSHAKE.replace("version: 13", "version: 8");
    let no_upgrade = HANDSHAKE.replace("keep-alive, Upgrade", "keep-alive");
    let post = HANDSHAKE.replace("GET", "POST");
    for (request, status) in [(no_key, 400), (old, 400), (no_upgrade, 400), (post, 405)] {
        let (_stream, head) = answer(&server, &format!("{request}\r\n")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains("access-control-allow-origin: *"), "{head}");
    }
    eventually(async || server.rooms().is_empty()).await;
}

#[tokio::test]
async fn frames_that_come_with_the_handshake_are_received() {
    let server = serve(uncured()).await;
    put(&server, "/party/r/store", "[{},{}]").await;
    let mut bob = Socket::open(&server, "/party/r").await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let change = frame(0x81, b"s[{},{\"v\":1},1]");
    stream.write_all(&[format!("{HANDSHAKE}\r\n").as_bytes(), &change].concat()).await.unwrap();
    assert_eq!(bob.hear().await, "s[{},{\"v\":1},1]");
}

#[tokio::test]
async fn r8_a_client_that_breaks_the_protocol_is_closed_with_a_code_and_no_other_notices() {
    let server = serve(uncured()).await;
    put(&server, "/party/r/store", "[{},{}]").await;
    let mut bob = Socket::open(&server, "/party/r").await;
    let huge = [&[0x81, 0xFF][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    let cases = [
        (vec![0x81, 0x01, b'x'], 1002),
        (frame(0xC1, b"x"), 1002),
        (frame(0x80, b"x"), 1002),
        (frame(0x81, b"\xFF"), 1007),
        (huge, 1009),
    ];
    for (bytes, code) in cases {
        let (mut stream, _) = answer(&server, &format!("{HANDSHAKE}\r\n")).await;
        // The input after it cannot be parsed. It must not be taken for frames, and must not keep the close frame from
        // being sent.
        let change = frame(0x81, b"s[{},{\"v\":0},1]");
        stream.write_all(&[frame(0x89, b"!"), bytes.clone(), change.repeat(100)].concat()).await.unwrap();
        let mut close = [0; 4];
        stream.read_exact(&mut close[..3]).await.unwrap();
        assert_eq!(&close[..3], [0x8A, 1, b'!'], "the ping before it is answered");
        stream.read_exact(&mut close).await.unwrap();
        assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, code), "{bytes:?}");
        stream.shutdown().await.unwrap();
        read_to_end(&mut stream).await;
    }
    let mut alice = Socket::open(&server, "/party/r").await;
    alice.say("s[{},{\"v\":1},1]").await;
    assert_eq!(bob.hear().await, "s[{},{\"v\":1},1]");
}

#[tokio::test]
async fn a_client_that_closes_is_answered_and_the_server_ends_the_connection_first() {
    let server = serve(uncured()).await;
    let (mut stream, _) = answer(&server, &format!("{HANDSHAKE}\r\n")).await;
    stream.write_all(&frame(0x88, &[0x03, 0xE8, b'b', b'y', b'e'])).await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, [0x88, 5, 0x03, 0xE8, b'b', b'y', b'e']);
}
