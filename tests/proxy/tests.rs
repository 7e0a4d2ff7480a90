//! The proxy itself does what it says.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    proxy::{Asks, Direction, Proxy, response},
    until::until,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";

/// A server that says back what it hears, and a proxy in front of it.
async fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().to_string()).await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    proxy
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.host()).await.unwrap()
}

/// Everything until the end of the connection, however it ends.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut bytes).await {}
    bytes
}

#[tokio::test]
async fn what_is_let_pass_arrives_unchanged() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    for words in [GET, UPGRADE, b"PUT / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", GET] {
        stream.write_all(words).await.unwrap();
        let mut echo = vec![0; words.len()];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, words);
    }
    assert_eq!([Asks::Get, Asks::Put, Asks::Upgrade].map(|asks| proxy.requests(asks)), [2, 1, 1]);
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
}

#[tokio::test]
async fn a_cut_lets_pass_exactly_as_many_bytes_as_were_asked_for() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        for bytes in 0..UPGRADE.len() {
            let proxy = echo().await;
            proxy.cut_after(direction, bytes as u64);
            let mut stream = connect(&proxy).await;
            stream.write_all(UPGRADE).await.unwrap();
            let heard = rest(&mut stream).await;
            assert!(UPGRADE.starts_with(&heard), "{heard:?}");
            if direction == Direction::ToClient {
                assert_eq!(heard.len(), bytes);
            }
            assert_eq!((proxy.passed(direction), proxy.cuts()), (bytes as u64, 1));
            // Only that one connection was cut.
            let mut stream = connect(&proxy).await;
            stream.write_all(UPGRADE).await.unwrap();
            stream.read_exact(&mut [0; UPGRADE.len()]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn requests_are_answered_as_often_as_was_asked_for() {
    let proxy = echo().await;
    proxy.answer(Asks::Get, 2, response("500 Oops", "no"));
    for answer in ["HTTP/1.1 500 Oops\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno".as_bytes(); 2] {
        let mut stream = connect(&proxy).await;
        stream.write_all(GET).await.unwrap();
        assert_eq!(rest(&mut stream).await, answer);
    }
    let mut stream = connect(&proxy).await;
    stream.write_all(GET).await.unwrap();
    stream.read_exact(&mut [0; GET.len()]).await.unwrap();
    proxy.answer(Asks::Get, 9, b"x");
    stream.write_all(GET).await.unwrap();
    assert_eq!(rest(&mut stream).await, b"x");
    proxy.answer_no_more();
    let mut stream = connect(&proxy).await;
    stream.write_all(GET).await.unwrap();
    stream.read_exact(&mut [0; GET.len()]).await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_is_refused_and_later_is_not() {
    let proxy = echo().await;
    let mut open = connect(&proxy).await;
    open.write_all(UPGRADE).await.unwrap();
    open.read_exact(&mut [0; UPGRADE.len()]).await.unwrap();
    for _ in 0..3 {
        proxy.refuse().await;
        let error = TcpStream::connect(proxy.host()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        open.write_all(b"still there").await.unwrap();
        open.read_exact(&mut [0; 11]).await.unwrap();
        proxy.accept().await;
        connect(&proxy).await;
    }
    proxy.kill().await;
    assert_eq!(rest(&mut open).await, b"");
}

#[tokio::test]
async fn what_is_held_arrives_late_and_what_is_swallowed_never() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.sockets.hold();
    stream.write_all(UPGRADE).await.unwrap();
    until("it is there", || proxy.requests(Asks::Upgrade) == 1).await;
    assert_eq!((proxy.passed(Direction::ToServer), proxy.passed(Direction::ToClient)), (0, 0));
    proxy.sockets.release();
    stream.read_exact(&mut [0; UPGRADE.len()]).await.unwrap();

    proxy.sockets.to_client.delay(Duration::from_millis(1));
    stream.write_all(b"\x81\x02hi").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();

    // What comes back is half a frame, and then the rest of it.
    stream.write_all(b"\x81\x03ab").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    proxy.inject(b"!");
    stream.write_all(b"c").await.unwrap();
    let mut rest_of_frame = [0; 2];
    stream.read_exact(&mut rest_of_frame).await.unwrap();
    assert_eq!(&rest_of_frame, b"c!");

    proxy.sockets.swallow();
    let passed = proxy.passed(Direction::ToServer);
    stream.write_all(b"nobody hears this").await.unwrap();
    // Another kind of connection is not concerned; once it has been through, so has the other's write, or nearly.
    let mut other = connect(&proxy).await;
    other.write_all(GET).await.unwrap();
    other.read_exact(&mut [0; GET.len()]).await.unwrap();
    assert_eq!(proxy.passed(Direction::ToServer), passed + GET.len() as u64);
    stream.shutdown().await.unwrap();
    proxy.kill().await;
    assert_eq!(rest(&mut stream).await, b"");
}
