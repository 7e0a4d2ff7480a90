//! The extended dialect over real sockets.

use reqwest::Method;
use roommate::Content;
use roommate_partykit_proto::{
    ClientMessage, DIALECT_HEADER, DIALECT_VERSION, Dialect, Entry, Join, OFFER_HEADER, Position, RoomConfig,
    ServerMessage,
};
use roommate_server::{RunningServer, ServerConfig};

use crate::support::{CLIENT, Socket, get, put, request, serve, uncured};

const STORE: &str = "/party/r/store";

/// Connects and joins as `client`. Also returns the answer.
async fn join(server: &RunningServer, client: &str, at: Option<Position>) -> (Socket, ServerMessage) {
    let mut socket = Socket::open(server, "/party/r?_pk=x&roommate=1").await;
    let join = ClientMessage::Join(Join { client: client.into(), at, decided: 0 });
    socket.say(Dialect::default().encode_client(&join)).await;
    let answer = hear(&mut socket).await;
    (socket, answer)
}

async fn hear(socket: &mut Socket) -> ServerMessage {
    let frame = socket.hear().await;
    Dialect::default().decode_server(&frame).expect("a frame of the dialect").unwrap().value
}

#[tokio::test]
async fn a_server_says_that_it_speaks_the_dialect_unless_it_does_not() {
    for (extended, says) in [(true, Some(DIALECT_VERSION)), (false, None)] {
        let server =
            serve(ServerConfig::new().with_room(RoomConfig::new().with_cures(false).with_extended(extended))).await;
        for method in [Method::GET, Method::PUT, Method::OPTIONS] {
            let answer = request(&server, method.clone(), STORE, "[{},{}]").await;
            let header = answer.headers().get(DIALECT_HEADER).map(|header| header.to_str().unwrap());
            assert_eq!(header, says, "{method}");
        }
        assert!(request(&server, Method::GET, "/party/r", "").await.headers().get(DIALECT_HEADER).is_none());
    }
}

#[tokio::test]
async fn a_client_that_comes_back_is_told_what_it_missed_and_one_of_another_server_everything() {
    let mut at = None;
    for server in [serve(uncured()).await, serve(uncured()).await] {
        put(&server, STORE, "[{},{}]").await;
        let (mut alice, answer) = join(&server, "alice", at).await;
        let ServerMessage::Snapshot { standing, content: Some(_), .. } = answer else { panic!("{answer:?}") };
        let mut stock = Socket::open(&server, "/party/r").await;
        stock.say(r#"s[{},{"v":1},1]"#).await;
        assert!(matches!(hear(&mut alice).await, ServerMessage::Entry(Entry::Changed { seq: 2, .. })));
        alice.say(r#"r["change",1,[{},{"v":2},1]]"#).await;
        assert_eq!(stock.hear().await, r#"s[{},{"v":2},1]"#);
        drop(alice);
        let (mut alice, answer) = join(&server, "alice", Some(standing.position)).await;
        let ServerMessage::Resumed { standing, entries } = answer else { panic!("{answer:?}") };
        assert_eq!((standing.last, entries.len()), (Some(1), 2));
        assert!(matches!(&entries[1], Entry::Accepted { seq: 3, id: 1, refused } if refused.is_empty()));
        alice.say(r#"r["nonsense"]"#).await;
        assert_eq!(alice.closed().await.map(|close| close.code.into()), Some(4400_u16));
        at = Some(standing.position);
    }
}

/// Without the header, the changes in the content would take effect a second time.
#[tokio::test]
async fn r7_a_first_content_whose_header_cannot_be_read_makes_nothing() {
    let server = serve(uncured()).await;
    let url = format!("http://{}{STORE}", server.local_addr());
    for header in [&b"[\"\xc3\xa9\",1]"[..], b"[\"\xe9\",1]", b"[\"e\"]"] {
        let answer = CLIENT.put(&url).header(OFFER_HEADER, header).body("[{},{}]").send().await.unwrap();
        assert_eq!(answer.status(), 400, "{header:?}");
        assert_eq!(get(&server, STORE).await, "");
    }
    let answer =
        CLIENT.put(&url).header(OFFER_HEADER, br#"["\u00e9",1]"#.as_slice()).body("[{},{}]").send().await.unwrap();
    assert_eq!(answer.status(), 201);
}

#[tokio::test]
async fn r8_who_reads_too_slowly_is_told_everything_once_it_has_read_what_was_queued() {
    let server = serve(uncured().with_max_queued(64, 1 << 20)).await;
    put(&server, STORE, "[{},{}]").await;
    let (mut slow, _) = join(&server, "slow", None).await;
    let mut author = Socket::open(&server, "/party/r").await;
    let mut quick = Socket::open(&server, "/party/r").await;
    // More than a loopback connection buffers, together with the queue.
    let text = "x".repeat(512 << 10);
    let frames = 64;
    for frame in 0..frames {
        author.say(format!("s[{{}},{{\"v{frame}\":1,\"v\":\"{frame}{text}\"}},1]")).await;
        assert!(quick.hear().await.starts_with(&format!("s[{{}},{{\"v{frame}\"")));
    }
    let (mut content, mut at, mut snapshots) = (Content::new(), 1, 0);
    let mut take = |message| match message {
        ServerMessage::Entry(Entry::Changed { seq, changes }) => {
            assert_eq!(seq, at + 1, "no gaps");
            at = seq;
            content.apply(&changes);
            (snapshots, content.values.len())
        }
        ServerMessage::Snapshot { standing, content: Some(all), .. } => {
            assert!(standing.position.seq > at);
            at = standing.position.seq;
            content = all;
            snapshots += 1;
            (snapshots, content.values.len())
        }
        other => panic!("{other:?}"),
    };
    let snapshots = loop {
        let (snapshots, values) = take(hear(&mut slow).await);
        if values == frames + 1 {
            break snapshots;
        }
    };
    assert!(snapshots > 0, "not everything was kept for it");
    author.say("s[{},{\"last\":1},1]").await;
    assert_eq!(take(hear(&mut slow).await), (snapshots, frames + 2));
}
