//! Tests of refusals: which sessions receive them, when they are acknowledged, and which changes they hold back.

use roommate::Content;

use super::{
    place::{Down, Place},
    room::RealRoom,
    stories::{NOW, ids, joined, outputs, reconnects, session, snapshot, standing},
    *,
};
use crate::dialect::{Entry, Offer, ServerMessage};

fn refusal(id: u64, refused: Changes) -> ServerMessage {
    ServerMessage::Entry(Entry::Accepted { seq: 0, id, refused })
}

fn large(bytes: usize) -> Changes {
    let mut changes = Changes::new();
    changes.set_value("v", "x".repeat(bytes).as_str().try_into().unwrap());
    changes
}

#[test]
fn a_refusal_is_acknowledged_once_somebody_took_note_of_it() {
    let mut session = joined();
    let receipt = session.save(None, &value(1), NOW).unwrap();
    let id = ids(&outputs(&mut session).1)[0];
    session.heard(ServerMessage::Entry(Entry::Accepted { seq: 0, id, refused: value(1) }), NOW);
    assert_eq!(outputs(&mut session), (vec![Notice::Confirmed { receipt, refused: value(1) }], vec![]));
    session.taken(receipt);
    assert_eq!(outputs(&mut session), (vec![], vec![ClientMessage::Ack(id)]));
    session.closed();
    session.opened(NOW);
    let join = outputs(&mut session).1;
    assert!(matches!(&join[..], [ClientMessage::Join(join)] if join.decided == id), "{join:?}");
}

#[test]
fn refusals_that_nobody_takes_note_of_hold_back_further_changes() {
    let mut session = joined();
    let mut receipts = vec![];
    for round in 0..10 {
        receipts.push(session.save(None, &large(120_000), NOW).unwrap());
        let sent = ids(&outputs(&mut session).1);
        match sent[..] {
            [id] => session.heard(ServerMessage::Entry(Entry::Accepted { seq: 0, id, refused: large(120_000) }), NOW),
            _ => assert_eq!((round, sent), (9, vec![]), "nine make more than a MiB"),
        }
    }
    session.taken(receipts[0]);
    assert_eq!(ids(&outputs(&mut session).1), [receipts[9].0]);
}

#[test]
fn a_save_is_taken_while_refusals_wait_to_be_taken_note_of() {
    let mut session = joined();
    let receipts: Vec<_> = (0..257)
        .map(|seq| {
            let receipt = session.save(None, &value(seq), NOW).unwrap();
            let id = ids(&outputs(&mut session).1)[0];
            session.heard(ServerMessage::Entry(Entry::Accepted { seq: 0, id, refused: value(seq) }), NOW);
            receipt
        })
        .collect();
    assert!(session.has_room(), "whoever saves reads nothing meanwhile");
    session.save(None, &value(300), NOW).unwrap();
    assert!(ids(&outputs(&mut session).1).is_empty(), "but it is not sent");
    session.taken(receipts[0]);
    assert_eq!(ids(&outputs(&mut session).1).len(), 1);
}

#[test]
fn r4_a_refusal_that_a_snapshot_tells_again_is_acknowledged_when_it_is_taken_note_of_and_not_before() {
    for saves_another in [true, false] {
        let mut session = joined();
        let first = session.save(None, &value(1), NOW).unwrap();
        let id = ids(&outputs(&mut session).1)[0];
        session.heard(refusal(id, value(1)), NOW);
        session.heard(snapshot(0, id, vec![(id, value(1))], &Content::new()), NOW);
        outputs(&mut session);
        if saves_another {
            session.save(None, &value(2), NOW).unwrap();
            let sent = outputs(&mut session).1;
            assert!(
                matches!(sent[..], [ClientMessage::Change { .. }]),
                "whoever listens may end before that: {sent:?}"
            );
        }
        session.taken(first);
        assert_eq!(outputs(&mut session).1, [ClientMessage::Ack(id)]);
    }
}

#[test]
fn a_refusal_that_is_taken_note_of_while_it_joins_is_acknowledged_once_it_has_joined() {
    let mut session = joined();
    let receipt = session.save(None, &value(1), NOW).unwrap();
    let id = ids(&outputs(&mut session).1)[0];
    session.heard(refusal(id, value(1)), NOW);
    session.closed();
    session.opened(NOW);
    session.taken(receipt);
    let told = outputs(&mut session).1;
    assert!(matches!(&told[..], [ClientMessage::Join(Join { decided: 0, .. })]), "{told:?}");
    session.heard(snapshot(0, id, vec![(id, value(1))], &Content::new()), NOW);
    assert_eq!(outputs(&mut session).1, [ClientMessage::Ack(id)]);
}

#[test]
fn r8_a_server_that_says_too_much_makes_a_client_hold_no_more_than_a_server_remembers() {
    let mut session = joined();
    let refused = large(100_000);
    for id in 1..=1000 {
        session.heard(refusal(id, refused.clone()), NOW);
        while session.poll().is_some() {}
    }
    let held = format!("{session:?}").len();
    assert!(held < 8 << 20, "it holds {} MiB", held >> 20);

    for refused in [value(1), Changes::new()] {
        let mut session = joined();
        let gone = (1..=100_000).find(|id| {
            session.heard(refusal(*id, refused.clone()), NOW);
            reconnects(&mut session)
        });
        assert_eq!(gone.is_some(), !refused.is_empty(), "it hangs up: {gone:?}");
        assert!(format!("{session:?}").len() < 1 << 18, "what was not refused takes nothing");
    }
}

#[test]
fn r8_a_snapshot_of_more_refusals_than_a_server_remembers_is_not_believed() {
    let mut session = session();
    session.opened(NOW);
    let many = (1..=10_000).map(|id| (id, value(1))).collect();
    session.heard(snapshot(1, 10_000, many, &Content::new()), NOW);
    assert!(reconnects(&mut session));
    session.closed();
    session.opened(NOW);
    session.heard(snapshot(1, 1, vec![(1, large(9 << 20))], &Content::new()), NOW);
    assert!(!reconnects(&mut session), "what was refused of a first content may be as large as that");
}

/// An edit of this many cells, each of 100 kB, that are all refused.
fn unwelcome(cells: usize) -> Changes {
    let mut changes = Changes::new();
    for row in 0..cells {
        changes.set_cell("t", format!("{row}"), "secret", "x".repeat(100_000).as_str().try_into().unwrap());
    }
    changes
}

/// Runs a session and a room, which never closes a connection here, until nothing is pending. Returns the
/// confirmations.
fn rest(session: &mut Session, room: &mut RealRoom) -> Vec<Notice> {
    let mut told = vec![];
    loop {
        let (notices, messages) = outputs(session);
        told.extend(notices.into_iter().filter(|notice| matches!(notice, Notice::Confirmed { .. })));
        for message in &messages {
            room.take(1, &Dialect::default().encode_client(message));
        }
        let sent = room.sent();
        if sent.is_empty() && messages.is_empty() {
            return told;
        }
        for (_, down) in sent {
            let Down::Frame(frame) = down else { panic!("nobody hangs up") };
            session.heard(Dialect::default().decode_server(&frame).unwrap().unwrap().value, NOW);
        }
    }
}

fn come(session: &mut Session, room: &mut RealRoom) {
    room.connect(1);
    session.opened(NOW);
    assert_eq!(rest(session, room), []);
}

#[test]
fn an_edit_of_several_messages_that_are_all_refused_is_refused_as_a_whole_over_one_connection() {
    let mut room = RealRoom::new(1);
    room.put(&Content::new());
    let mut session = session();
    come(&mut session, &mut room);
    let edit = unwelcome(80);
    let receipt = session.save(None, &edit, NOW).unwrap();
    assert_eq!(rest(&mut session, &mut room), [Notice::Confirmed { receipt, refused: edit }]);
}

#[test]
fn r4_what_was_refused_of_an_edit_of_two_messages_is_told_to_the_next_process() {
    let mut room = RealRoom::new(1);
    room.put(&Content::new());
    let edit = unwelcome(12);
    let key = Some(EditKey { client: "me", number: 1 });
    let mut last = session();
    come(&mut last, &mut room);
    last.save(key, &edit, NOW).unwrap();
    rest(&mut last, &mut room);

    let mut session = session();
    room.disconnect(1);
    come(&mut session, &mut room);
    let receipt = session.save(key, &edit, NOW).unwrap();
    assert_eq!(rest(&mut session, &mut room), [Notice::Confirmed { receipt, refused: edit }]);
}

#[test]
fn what_follows_a_first_content_waits_until_the_room_tells_what_it_refused_of_that() {
    let mut session = session();
    session.opened(NOW);
    session.heard(ServerMessage::Snapshot { standing: standing(0, None), refused: vec![], content: None }, NOW);
    let key = |number| EditKey { client: "me", number };
    let offer = Offer::decode(&session.offer(key(1)).unwrap()).unwrap();
    session.store_found();
    let first = session.save(Some(key(1)), &large(120_000), NOW).unwrap();
    let second = session.save(Some(key(2)), &value(2), NOW).unwrap();
    assert_eq!(ids(&outputs(&mut session).1), [0; 0], "it may owe an acknowledgement already");
    session.heard(refusal(offer.id, large(2 << 20)), NOW);
    session.heard(ServerMessage::Entry(Entry::Created { seq: 1, content: Content::new() }), NOW);
    assert_eq!(ids(&outputs(&mut session).1), [0; 0], "and does");
    session.taken(first);
    let sent = outputs(&mut session).1;
    assert!(
        matches!(sent[..], [ClientMessage::Ack(acknowledged), ClientMessage::Change { id, .. }]
        if acknowledged == offer.id && id == second.0),
        "{sent:?}"
    );
}

#[test]
fn as_many_changes_are_on_their_way_as_a_server_lets_anybody_be_refused() {
    let limits = Limits { cells: 1, ..Limits::default() };
    let mut session = Session::new(Dialect::default(), "me", SessionOptions { limits, ..SessionOptions::default() });
    session.opened(NOW);
    session.heard(snapshot(0, None, vec![], &Content::new()), NOW);
    let mut changes = Changes::new();
    (0..1000).for_each(|number| changes.set_value(format!("v{number}"), number.into()));
    session.save(None, &changes, NOW).unwrap();
    let sent = ids(&outputs(&mut session).1);
    assert_eq!(sent.len(), 257);
    session.heard(ServerMessage::Entry(Entry::Accepted { seq: 1, id: sent[0], refused: Changes::new() }), NOW);
    assert_eq!(ids(&outputs(&mut session).1).len(), 1, "one is decided, and one may follow");
}
