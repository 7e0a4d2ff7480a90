use proptest::prelude::*;

use super::{
    super::testing::{Sent, decode},
    *,
};

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

const FINAL: u8 = 0x80;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = FINAL | 8;
const PING: u8 = FINAL | 9;
const PONG: u8 = FINAL | 10;

fn text(text: &str) -> Arrival {
    Arrival::Text(text.into())
}

/// The result of reading bytes that arrive in pieces of some size.
fn receive(bytes: &[u8], piece: usize) -> Received {
    let (mut reader, mut all) = (Reader::new(1000), Received::default());
    for piece in bytes.chunks(piece) {
        let received = reader.receive(piece);
        all.arrivals.extend(received.arrivals);
        all.replies.extend(received.replies);
        all.end = received.end;
        if all.end.is_some() {
            break;
        }
    }
    all
}

#[test]
fn texts_and_pongs_arrive_in_order_and_pings_are_answered_in_between() {
    let bytes = [
        frame(FINAL | TEXT, b"one"),
        frame(TEXT, b"tw"),
        frame(PING, b"there?"),
        frame(FINAL, b"o"),
        frame(FINAL | BINARY, b"nobody's"),
        frame(PONG, &[0, 0, 0, 0, 0, 0, 0, 9]),
        frame(PONG, b""),
        frame(PONG, b"of somebody else"),
        frame(FINAL | TEXT, "drei \u{1F600}".as_bytes()),
    ]
    .concat();
    for piece in [1, 2, 7, 1000] {
        let received = receive(&bytes, piece);
        assert_eq!(received.arrivals, [text("one"), text("two"), Arrival::Pong(9), text("drei \u{1F600}")]);
        assert_eq!(decode(&received.replies), [Sent::Pong(b"there?".to_vec())]);
        assert_eq!(received.end, None);
    }
}

#[test]
fn a_close_is_answered_with_its_code_and_ends_the_reading() {
    let close = [&1000_u16.to_be_bytes()[..], b"bye"].concat();
    let bytes = [frame(FINAL | TEXT, b"last"), frame(CLOSE, &close), frame(FINAL | TEXT, b"too late")].concat();
    for piece in [1, 1000] {
        let received = receive(&bytes, piece);
        assert_eq!(received.arrivals, [text("last")]);
        assert_eq!(decode(&received.replies), [Sent::Close(1000, "bye".to_owned())]);
        assert_eq!(received.end, Some(End::Closed));
    }
    let received = receive(&frame(CLOSE, &1005_u16.to_be_bytes()), 1000);
    assert_eq!(decode(&received.replies), [Sent::Close(1002, "Protocol violation".to_owned())], "none may send it");
}

#[test]
fn the_answer_to_a_close_of_ours_ends_the_reading() {
    let mut reader = Reader::new(1000);
    let frame_of = |code: u16| CloseFrame { code: code.into(), reason: "the server is restarting".into() };
    let sent = reader.close(frame_of(1012));
    assert_eq!(decode(&sent), [Sent::Close(1012, "the server is restarting".to_owned())]);
    assert_eq!(reader.receive(&frame(FINAL | TEXT, b"under way")).end, None);
    let received = reader.receive(&frame(CLOSE, &1012_u16.to_be_bytes()));
    assert_eq!((received.end, received.replies), (Some(End::Closed), vec![]));
}

#[test]
fn r8_what_breaks_the_protocol_is_answered_with_the_code_for_it() {
    let mut unmasked = frame(FINAL | TEXT, b"abcd");
    unmasked[1] &= 0x7F;
    let huge = [&[FINAL | TEXT, 0x80 | 127][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    let cases = [
        ("no mask", unmasked, 1002),
        ("a reserved bit", frame(FINAL | 0x40 | TEXT, b""), 1002),
        ("a reserved kind of message", frame(FINAL | 3, b""), 1002),
        ("a reserved kind of control frame", frame(FINAL | 11, b""), 1002),
        ("a ping in pieces", frame(9, b""), 1002),
        ("a large ping", frame(PING, &[0; 126]), 1002),
        ("a piece of nothing", frame(FINAL, b""), 1002),
        ("a message amid another", [frame(TEXT, b"a"), frame(FINAL | TEXT, b"b")].concat(), 1002),
        ("a text that is none", frame(FINAL | TEXT, b"\xFF"), 1007),
        ("a text that is none, in pieces", [frame(TEXT, b"\xE2\x82"), frame(FINAL, b"x")].concat(), 1007),
        ("a large message", frame(FINAL | TEXT, &[b'x'; 1001]), 1009),
        ("a large message in pieces", [frame(TEXT, &[b'x'; 600]), frame(0, &[b'x'; 600])].concat(), 1009),
        ("a message larger than anything", huge, 1009),
    ];
    for (what, bytes, expected) in cases {
        for piece in [1, 5, 2000] {
            let all = [frame(FINAL | TEXT, b"fine"), bytes.clone()].concat();
            let received = receive(&all, piece);
            assert_eq!(received.arrivals, [text("fine")], "{what}");
            let Some(End::Failed(close)) = received.end else { panic!("{what}: {received:?}") };
            assert_eq!(u16::from(close.code), expected, "{what}");
        }
    }
}

proptest! {
    #[test]
    fn r8_any_bytes_have_an_answer_and_it_does_not_depend_on_how_they_arrive(
        bytes in prop::collection::vec(
            prop_oneof![
                3 => prop::collection::vec(any::<u8>(), 0..20),
                2 => "[a-z\u{e9}\u{1F600}]{0,40}".prop_map(|text| frame(FINAL | TEXT, text.as_bytes())),
                1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(|payload| frame(PING, &payload)),
            ],
            0..8,
        ),
        piece in 1_usize..30,
    ) {
        let bytes = bytes.concat();
        let (whole, pieces) = (receive(&bytes, usize::MAX), receive(&bytes, piece));
        prop_assert_eq!(whole.arrivals, pieces.arrivals);
        prop_assert_eq!(whole.replies, pieces.replies);
        prop_assert_eq!(whole.end, pieces.end);
    }
}
