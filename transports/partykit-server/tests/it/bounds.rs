use std::{net::SocketAddr, time::Duration};

use axum::Router;
use roommate_partykit_proto::RoomConfig;
use roommate_server::{Rooms, Server, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::sleep,
};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{CLIENT, Socket, eventually, get, put, serve, uncured};

const STORE: &str = "/party/r/store";

#[tokio::test]
async fn r8_who_reads_too_slowly_is_cut_off_and_nobody_waits() {
    let server = serve(uncured().with_max_queued(64, 1 << 20)).await;
    put(&server, STORE, "[{},{}]").await;
    let mut author = Socket::open(&server, "/party/r").await;
    let mut quick = Socket::open(&server, "/party/r").await;
    let mut slow = Socket::open(&server, "/party/r").await;
    // More than a loopback connection buffers, together with the queue.
    let text = "x".repeat(512 << 10);
    let frames = 64;
    for frame in 0..frames {
        author.say(format!("s[{{}},{{\"v\":\"{frame}{text}\"}},1]")).await;
        assert!(quick.hear().await.starts_with(&format!("s[{{}},{{\"v\":\"{frame}x")));
    }
    let mut heard = 0;
    let close = loop {
        match slow.next().await {
            Some(Message::Text(_)) => heard += 1,
            Some(Message::Close(close)) => break close,
            None => break None,
            Some(_) => {}
        }
    };
    assert!(heard < frames, "the rest was not kept for it");
    assert!(close.is_none_or(|close| u16::from(close.code) == 1013));
    author.say("s[{},{\"v\":1},1]").await;
    assert_eq!(quick.hear().await, "s[{},{\"v\":1},1]");
}

#[tokio::test]
async fn a_message_that_is_too_big_is_answered_by_a_close() {
    let server =
        serve(ServerConfig::new().with_room(RoomConfig::new().with_cures(false).with_max_message_size(1000))).await;
    put(&server, STORE, "[{},{}]").await;
    let mut bob = Socket::open(&server, "/party/r").await;
    for size in [1001, 5000] {
        let mut alice = Socket::open(&server, "/party/r").await;
        alice.say("x".repeat(size)).await;
        assert_eq!(alice.closed().await.map(|close| close.code.into()), Some(1009_u16), "{size}");
    }
    let mut carol = Socket::open(&server, "/party/r").await;
    carol.say("s[{},{\"v\":1},1]").await;
    assert_eq!(bob.hear().await, "s[{},{\"v\":1},1]");
}

#[tokio::test]
async fn a_connection_that_answers_no_ping_is_ended_and_one_that_does_is_kept() {
    let server =
        serve(uncured().with_heartbeat(Duration::from_secs(1)).with_close_timeout(Duration::from_millis(50))).await;
    put(&server, STORE, "[{},{}]").await;
    // Pings are answered only while the client reads.
    let mut dead = Socket::open(&server, "/party/r").await;
    let mut live = Socket::open(&server, "/party/r").await;
    // This connection outlives by far the silence that is allowed to the other one, and is read all the time.
    for _ in 0..4 {
        assert!(matches!(live.next().await, Some(Message::Ping(_))));
    }
    let mut author = Socket::open(&server, "/party/r").await;
    author.say("s[{},{\"v\":1},1]").await;
    assert_eq!(live.hear().await, "s[{},{\"v\":1},1]");
    assert!(dead.closed().await.is_none_or(|close| u16::from(close.code) == 1001));
}

/// Opens a connection that sends nothing, with small network buffers.
async fn open_mute(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let handshake = "GET /party/r HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    stream
}

/// Reads to the end, with a pause after each part, and counts the bytes.
async fn read_slowly(mut stream: TcpStream, pause: Duration) -> usize {
    let mut buffer = vec![0; 256 << 10];
    let mut count = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        count += read;
        sleep(pause).await;
    }
    count
}

#[tokio::test]
async fn r5_a_content_that_takes_longer_than_a_peer_may_be_silent_arrives() {
    let heartbeat = Duration::from_millis(400);
    let config = ServerConfig::new().with_heartbeat(heartbeat).with_close_timeout(Duration::from_millis(50));
    let server = serve(config).await;
    let content = format!("[{{}},{{\"v\":\"{}\"}}]", "x".repeat(9 << 20));
    let slow = open_mute(server.local_addr()).await;
    let dead = open_mute(server.local_addr()).await;
    assert_eq!(put(&server, STORE, &content).await, 201);
    // Once it has read everything, silence ends it.
    let arrived = read_slowly(slow, Duration::from_millis(15)).await;
    assert!(arrived > content.len(), "{arrived} of {} bytes arrived", content.len());
    assert!(read_slowly(dead, Duration::ZERO).await < content.len(), "whoever took nothing was waited for");
}

#[tokio::test]
async fn a_handshake_that_is_given_up_leaves_nothing_behind() {
    let server = serve(uncured()).await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        let handshake = "GET /party/r HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(handshake.as_bytes()).await.unwrap();
    }
    // Some of them have read more than others.
    Socket::open(&server, "/party/r").await;
    eventually(async || server.rooms().is_empty()).await;
}

#[tokio::test]
async fn a_server_that_ends_says_so_and_its_address_is_free_at_once() {
    let server = serve(uncured().with_close_timeout(Duration::from_millis(200))).await;
    let address = server.local_addr();
    put(&server, STORE, "[{},{}]").await;
    let mut alice = Socket::open(&server, "/party/r").await;
    let mut bob = Socket::open(&server, "/party/r").await;
    let (ended, code, _) = tokio::join!(
        server.shutdown(),
        async { alice.closed().await.map(|close| u16::from(close.code)) },
        // Bob does not close his end.
        async { bob.next().await }
    );
    ended.unwrap();
    assert_eq!(code, Some(1012));

    let server = Server::bind(address, ServerConfig::new()).await.unwrap().spawn();
    assert_eq!(get(&server, STORE).await, "", "what was in memory is gone");
    let error = Server::bind(address, ServerConfig::new()).await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_ends() {
    let server = serve(uncured()).await;
    let address = server.local_addr();
    let mut alice = Socket::open(&server, "/party/r").await;
    drop(server);
    assert_eq!(alice.closed().await.map(|close| u16::from(close.code)), Some(1012));
    eventually(async || TcpListener::bind(address).await.is_ok()).await;
}

#[tokio::test]
async fn rooms_can_be_part_of_another_server() {
    let rooms = Rooms::new(ServerConfig::new()).unwrap();
    let app = Router::new().route("/health", axum::routing::get(async || "well")).merge(rooms.router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async { axum::serve(listener, app).await });
    let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/party/r")).await.unwrap();
    let mut socket = Socket(socket);
    assert_eq!(CLIENT.get(format!("http://{address}/health")).send().await.unwrap().text().await.unwrap(), "well");
    assert_eq!(rooms.len(), 1);
    let (close, ()) = tokio::join!(socket.closed(), rooms.shutdown());
    assert_eq!(close.map(|close| close.code.into()), Some(1012_u16));
    assert!(rooms.is_empty());
    assert_eq!(CLIENT.get(format!("http://{address}{STORE}")).send().await.unwrap().status(), 503);
    serving.abort();
}

#[tokio::test]
async fn a_request_under_way_does_not_hold_up_the_end() {
    let server = serve(uncured().with_close_timeout(Duration::from_millis(20))).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(b"PUT /party/r/store HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n[{}").await.unwrap();
    eventually(async || server.rooms().len() == 1).await;
    server.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _reset = stream.read_to_end(&mut rest).await;
}
