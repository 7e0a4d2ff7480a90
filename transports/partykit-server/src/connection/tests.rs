use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, duplex};

use super::{
    frame::FramesMut,
    testing::{AMPLE, Sent, bytes, connect, decode, record, work_once},
    *,
};

const ID: ConnectionId = ConnectionId(7);

fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Frames {
    let mut frames = FramesMut::default();
    texts.into_iter().for_each(|text| frames.push_text(text.as_bytes()));
    frames.freeze()
}

fn send(connection: &Connection, frames: &Frames) {
    connection.send(frames, 0..frames.len());
}

/// Reads everything that has arrived so far.
fn read_now(client: &mut (impl AsyncRead + Unpin), at_most: usize) -> Vec<u8> {
    let mut buffer = vec![0; at_most];
    let count = client.read(&mut buffer).now_or_never().transpose().unwrap().unwrap_or(0);
    buffer.truncate(count);
    buffer
}

#[tokio::test]
async fn what_is_sent_before_the_handshake_is_done_waits_for_it() {
    let (connection, mut client) = (Connection::new(ID, AMPLE), duplex(1000));
    send(&connection, &texts(["first", "second"]));
    connection.attach(Box::new(client.1));
    send(&connection, &texts(["third"]));
    work_once(&connection).await;
    send(&connection, &texts(["fourth"]));
    let sent = decode(&read_now(&mut client.0, 1000));
    assert_eq!(sent, ["first", "second", "third", "fourth"].map(|text| Sent::Text(text.to_owned())));
}

#[tokio::test]
async fn frames_are_written_at_once_and_together_by_the_sender() {
    let (connection, recorder) = record(ID).await;
    let frames = texts(["a", "b", "c"]);
    connection.send(&frames, 0..2);
    connection.send(&frames, 2..3);
    assert_eq!(recorder.writes(), [bytes(&frames, 0..2), bytes(&frames, 2..3)]);
}

#[tokio::test]
async fn a_slow_reader_is_behind_once_and_receives_everything_from_where_the_room_resumes() {
    let bounds = Bounds { frames: 3, bytes: 100 };
    let (connection, mut client) = connect(ID, bounds, 8).await;
    let notices = Arc::new(Notices::default());
    connection.notify(Arc::clone(&notices));
    ["half written", "queued", "queued too"].iter().for_each(|text| send(&connection, &texts([*text])));
    assert_eq!(notices.take(), []);
    // The first frame fits and the second does not. The third must then be dropped, too.
    send(&connection, &texts(["one more is too many", "lost", "lost"]));
    send(&connection, &texts(["lost"]));
    assert_eq!(notices.take(), [Notice::Behind(ID)]);
    let reading = async {
        let mut read = Vec::new();
        while read.len() < 3 {
            read.push(client.next().await.unwrap().unwrap().into_text().unwrap().to_string());
        }
        read
    };
    let read = tokio::select! {
        work = connection.work() => panic!("{work:?}"),
        read = reading => read,
    };
    assert_eq!(read, ["half written", "queued", "queued too"]);
    work_once(&connection).await;
    work_once(&connection).await;
    assert_eq!(notices.take(), [Notice::CaughtUp(ID)]);
    send(&connection, &texts(["lost as well, for the room has not answered yet"]));
    connection.resume();
    send(&connection, &texts(["new"]));
    assert_eq!(client.next().await.unwrap().unwrap().into_text().unwrap(), "new");
    assert_eq!(notices.take(), []);
}

#[tokio::test]
async fn r8_pongs_that_are_not_read_take_no_more_than_the_bounds_of_the_queue() {
    let (connection, _client) = connect(ID, Bounds { frames: 4, bytes: 100 }, 2).await;
    send(&connection, &texts(["begun", "queued"]));
    for _ in 0..1000 {
        connection.send_or_drop(&Frames::one(&[0x8A, 1, b'x'][..]));
    }
    assert_eq!(connection.state().flow, Flow::Open, "no frame of the room was dropped");
    let mut pongs = 0;
    while connection.state().queue.push(&Frames::one(&[0x8A, 0][..]), 0..1, 0, Bounds { frames: 5, bytes: 100 }) {
        pongs += 1;
    }
    assert_eq!(pongs, 1, "there were as many frames as allowed");
}

#[tokio::test]
async fn a_close_wakes_the_task_and_nothing_is_sent_after_it() {
    let (connection, mut client) = connect(ID, AMPLE, 4).await;
    send(&connection, &texts(["begun", "never sent"]));
    let frame = CloseFrame { code: 1013.into(), reason: "reading too slowly".into() };
    let (work, ()) = tokio::join!(connection.work(), async { connection.close(frame) });
    let Work::Close(frame) = work else { panic!("{work:?}") };
    assert_eq!(u16::from(frame.code), 1013);
    let mut reader = Reader::new(1000);
    connection.finish(reader.close(frame));
    send(&connection, &texts(["never sent"]));
    connection.send_or_drop(&Frames::one(frame::PING.to_vec()));
    let (drained, received) = tokio::join!(connection.drained(), async {
        [client.next().await.unwrap().unwrap(), client.next().await.unwrap().unwrap()]
    });
    drained.unwrap();
    assert_eq!(received[0].to_text().unwrap(), "begun");
    let tokio_tungstenite::tungstenite::Message::Close(Some(close)) = &received[1] else { panic!("{received:?}") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1013, "reading too slowly"));
}

#[tokio::test]
async fn a_broken_socket_ends_the_task_and_not_the_sender() {
    let (connection, client) = connect(ID, AMPLE, 1000).await;
    drop(client);
    let (work, ()) = tokio::join!(connection.work(), async { send(&connection, &texts(["to nobody"])) });
    assert!(matches!(work, Work::Broken));
    send(&connection, &texts(["to nobody"]));
    assert!(connection.is_idle(), "nothing is queued for nobody");
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<String>),
    Work,
    Read(usize),
}

proptest! {
    #[test]
    fn frames_arrive_whole_and_in_order_whether_they_are_written_or_queued(
        network in 1_usize..200,
        steps in prop::collection::vec(
            prop_oneof![
                prop::collection::vec("[a-z]{0,150}", 1..4).prop_map(Step::Send),
                Just(Step::Work),
                (1_usize..300).prop_map(Step::Read),
            ],
            1..60,
        ),
    ) {
        let (mut client, server) = duplex(network);
        let connection = Connection::new(ID, Bounds { frames: 1000, bytes: usize::MAX });
        connection.attach(Box::new(server));
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Send(payloads) => {
                    match &payloads[..] {
                        [payload] => send(&connection, &Frames::sharing(&Bytes::from(payload.clone()))),
                        payloads => send(&connection, &texts(payloads.iter().map(String::as_str))),
                    }
                    sent.extend(payloads.into_iter().map(Sent::Text));
                }
                Step::Work => {
                    let _pending = work_once(&connection).now_or_never();
                }
                Step::Read(at_most) => received.extend(read_now(&mut client, at_most)),
            }
        }
        loop {
            let _pending = work_once(&connection).now_or_never();
            let read = read_now(&mut client, 1000);
            if read.is_empty() {
                break;
            }
            received.extend(read);
        }
        prop_assert_eq!(decode(&received), sent);
        prop_assert!(connection.is_idle());
    }
}
