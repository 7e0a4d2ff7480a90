//! Tests of a persister before its notices are read.

use std::{sync::Mutex, task::Poll};

use roommate_server::{Server, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    time::{Duration, advance, sleep, timeout},
};

use super::*;
use crate::{
    proto::{
        Decoder, RoomClient, RoomClientOptions, SessionOptions, Spoken, WatchId,
        socket::{Message, PartySocketOptions, SocketEvent},
    },
    socket::PartySocket,
};

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("what must come has not come in time")
}

/// A persister that begins to watch a server that speaks the extended dialect and has sent nothing so far, and the
/// errors reported meanwhile.
fn listens() -> (Arc<Shared>, WatchId, Arc<Mutex<Vec<String>>>) {
    let socket = || PartySocket::new(PartySocketOptions::new("localhost:9", "r")).expect("a socket");
    let shared = Arc::new(Shared::new(&socket(), &PartyKitConfig::new()).expect("a room"));
    let reports = Arc::<Mutex<Vec<String>>>::default();
    let heard = reports.clone();
    shared.report_to(Arc::new(move |error: Error| heard.lock().expect("whole").push(error.to_string())));
    let watch = shared.with(|state, now| state.begin_watch(Some(socket()), now));
    shared.ear_event(watch, SocketEvent::Open { epoch: 1 });
    let asking = shared.take_work().ask.expect("the server is asked");
    shared.answered(asking, Ok(Spoken::Extended));
    (shared, watch, reports)
}

fn is_ready(shared: &Shared, watch: WatchId) -> bool {
    shared.look(|state| state.hosted.client.is_watch_ready(watch)).expect("it goes on")
}

fn too_large() -> SocketEvent {
    SocketEvent::Error(Error::new(ErrorKind::Refused, "too large"))
}

#[tokio::test(start_paused = true)]
async fn r5_a_server_that_does_not_answer_is_told_of_before_anybody_reads() {
    let (shared, watch, reports) = listens();
    advance(SessionOptions::default().patience).await;
    shared.tick();
    assert!(!is_ready(&shared, watch));
    let told = std::mem::take(&mut *reports.lock().expect("whole"));
    assert!(matches!(&told[..], [one] if one.contains("message prefix")), "{told:?}");
    shared.ear_event(watch, too_large());
    assert_eq!(*reports.lock().expect("whole"), ["too large"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_is_told_in_the_stream() {
    let (shared, watch, reports) = listens();
    let answer = r#"r["snapshot",{"epoch":"e","seq":0,"last":null},[],[{},{}]]"#;
    shared.ear_event(watch, SocketEvent::Message(Message::Text(answer.into())));
    assert!(is_ready(&shared, watch));
    shared.ear_event(watch, too_large());
    assert_eq!(*reports.lock().expect("whole"), [""; 0]);
    let next = || match shared.look(|state| state.hosted.client.next_notice(watch)) {
        Poll::Ready(notice) => notice,
        Poll::Pending => None,
    };
    assert_eq!(std::iter::from_fn(next).filter(Result::is_err).count(), 1);
}

/// Forwards connections, to the client 8 kB at a time.
async fn slow_link(to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&to).await else { return };
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut buffer = vec![0; 8_000];
                while let Ok(count @ 1..) = from_server.read(&mut buffer).await
                    && to_client.write_all(&buffer[..count]).await.is_ok()
                {
                    sleep(Duration::from_millis(10)).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn r5_a_room_that_takes_longer_to_arrive_than_the_server_may_take_to_answer_arrives() {
    let server = Server::bind("127.0.0.1:0", ServerConfig::new()).await.expect("a server").spawn();
    let persister = |host: String| {
        let socket = PartySocket::new(PartySocketOptions::new(host, "r")).expect("a socket");
        PartyKitPersister::new(&socket, PartyKitConfig::new()).expect("a persister")
    };
    let mut room = Content::new();
    for value in 0..8 {
        room.values.insert(format!("v{value}"), "x".repeat(100_000).as_str().try_into().expect("a text"));
    }
    let host = server.local_addr().to_string();
    soon(persister(host.clone()).save(Save::new(&|| room.clone(), None))).await.expect("saved");

    let late = persister(slow_link(host).await);
    let session = SessionOptions { patience: Duration::from_millis(300), ..SessionOptions::default() };
    let options = RoomClientOptions { session, extends: true, ..RoomClientOptions::default() };
    let client = RoomClient::new(Decoder::default(), "late", options);
    late.shared.look(|state| state.hosted.client = client);
    let _told = soon(late.watch()).await.expect("it joins");
    assert_eq!(soon(late.load()).await.expect("loaded"), Some(room));
}
