pub(super) use roommate::Content;

use super::*;
use crate::dialect::{Entry, Offer, ServerMessage, Standing};

pub(super) const NOW: Duration = Duration::ZERO;

pub(super) fn standing(seq: u64, last: impl Into<Option<u64>>) -> Standing {
    Standing { position: Position { epoch: "e".into(), seq }, last: last.into() }
}

pub(super) fn snapshot(
    seq: u64,
    last: impl Into<Option<u64>>,
    refused: Vec<(u64, Changes)>,
    content: &Content,
) -> ServerMessage {
    ServerMessage::Snapshot { standing: standing(seq, last), refused, content: Some(content.clone()) }
}

pub(super) fn changed(seq: u64, changes: Changes) -> ServerMessage {
    ServerMessage::Entry(Entry::Changed { seq, changes })
}

pub(super) fn accepted(seq: u64, id: u64) -> ServerMessage {
    ServerMessage::Entry(Entry::Accepted { seq, id, refused: Changes::new() })
}

pub(super) fn content(changes: &Changes) -> Content {
    let mut content = Content::new();
    content.apply(changes);
    content
}

pub(super) fn confirmed(receipt: Receipt) -> Notice {
    Notice::Confirmed { receipt, refused: Changes::new() }
}

pub(super) fn session() -> Session {
    Session::new(Dialect::default(), "me", SessionOptions::default())
}

/// A session that has joined a room that holds nothing.
pub(super) fn joined() -> Session {
    let mut session = session();
    session.opened(NOW);
    session.heard(snapshot(0, None, vec![], &Content::new()), NOW);
    while session.poll().is_some() {}
    session
}

/// The outputs of a session: its notices, and the messages that it sends.
pub(super) fn outputs(session: &mut Session) -> (Vec<Notice>, Vec<ClientMessage>) {
    let (mut notices, mut messages) = (vec![], vec![]);
    while let Some(output) = session.poll() {
        match output {
            SessionOutput::Send(frame) => {
                messages.push(Dialect::default().decode_client(&frame).unwrap().unwrap().value);
            }
            SessionOutput::Notice(notice) => notices.push(notice),
            other => panic!("{other:?}"),
        }
    }
    (notices, messages)
}

pub(super) fn ids(messages: &[ClientMessage]) -> Vec<u64> {
    messages
        .iter()
        .filter_map(|message| match message {
            ClientMessage::Change { id, .. } => Some(*id),
            _ => None,
        })
        .collect()
}

pub(super) fn reconnects(session: &mut Session) -> bool {
    std::iter::from_fn(|| session.poll()).any(|output| matches!(output, SessionOutput::Reconnect))
}

#[test]
fn r1_what_it_tells_is_the_order_of_the_room() {
    let mut session = joined();
    let receipt = session.save(None, &value(1), NOW).unwrap();
    let (_, sent) = outputs(&mut session);
    let [id] = ids(&sent)[..] else { panic!("{sent:?}") };
    session.heard(changed(1, value(2)), NOW);
    session.heard(accepted(2, id), NOW);
    session.heard(changed(3, value(3)), NOW);
    let told = outputs(&mut session).0;
    assert_eq!(told, [Notice::Changes(value(2)), confirmed(receipt), Notice::Changes(value(3))]);
}

#[test]
fn r7_what_was_not_decided_is_sent_again_under_its_id() {
    let mut session = joined();
    let receipts: Vec<_> = (1..=3).map(|to| session.save(None, &value(to), NOW).unwrap()).collect();
    let sent = ids(&outputs(&mut session).1);
    session.closed();
    let later = session.save(None, &value(4), NOW).unwrap();
    assert_eq!(outputs(&mut session), (vec![], vec![]), "nothing is sent on no connection");
    session.opened(NOW);
    let (_, join) = outputs(&mut session);
    let at = Some(standing(0, None).position);
    assert_eq!(join, [ClientMessage::Join(Join { client: "me".into(), at, decided: 0 })]);
    let entries = vec![Entry::Accepted { seq: 1, id: sent[0], refused: Changes::new() }];
    session.heard(ServerMessage::Resumed { standing: standing(1, sent[0]), entries }, NOW);
    let (told, again) = outputs(&mut session);
    assert_eq!(told, [confirmed(receipts[0])]);
    assert_eq!(ids(&again), [sent[1], sent[2], later.0]);
}

#[test]
fn r4_a_snapshot_confirms_before_it_tells_what_the_room_holds() {
    let mut session = joined();
    let receipts: Vec<_> = (1..=3).map(|to| session.save(None, &value(to), NOW).unwrap()).collect();
    let sent = ids(&outputs(&mut session).1);
    session.closed();
    session.opened(NOW);
    let room = content(&value(9));
    session.heard(snapshot(7, sent[1], vec![(sent[1], value(2))], &room), NOW);
    let (told, again) = outputs(&mut session);
    let refused = Notice::Confirmed { receipt: receipts[1], refused: value(2) };
    assert_eq!(told, [confirmed(receipts[0]), refused, Notice::Content(room)]);
    assert_eq!(ids(&again), [sent[2]]);
}

#[test]
fn r7_an_edit_that_was_decided_before_this_process_began_is_confirmed_when_it_is_saved() {
    let mut session = session();
    let key = |number| Some(EditKey { client: "me", number });
    let id = session.save(key(5), &value(5), NOW).unwrap().0;
    session.opened(NOW);
    session.heard(snapshot(9, 2 * id, vec![(id, value(5)), (2 * id, value(10))], &content(&value(9))), NOW);
    let (told, sent) = outputs(&mut session);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(ids(&sent), [0; 0]);

    let receipt = session.save(key(10), &value(10), NOW).unwrap();
    let (told, sent) = outputs(&mut session);
    let refused = Notice::Confirmed { receipt, refused: value(10) };
    assert_eq!(told, [refused, Notice::Stale], "it was overwritten by what was told before it");
    assert_eq!(ids(&sent), [0; 0]);
    let receipt = session.save(key(11), &value(11), NOW).unwrap();
    assert_eq!(ids(&outputs(&mut session).1), [receipt.0]);
}

#[test]
fn r4_a_server_that_has_forgotten_the_client_is_sent_what_its_room_does_not_show() {
    let mut session = session();
    session.opened(NOW);
    session.heard(snapshot(0, 3, vec![], &Content::new()), NOW);
    let shown = session.save(None, &cell("r", "a", Some(1)), NOW).unwrap();
    let overwritten = session.save(None, &value(1), NOW).unwrap();
    let last = session.save(None, &cell("r", "b", Some(1)), NOW).unwrap();
    outputs(&mut session);
    session.closed();
    session.opened(NOW);
    outputs(&mut session);
    let mut room = content(&cell("r", "a", Some(1)));
    room.apply(&cell("r", "b", Some(1)));
    room.apply(&value(9));
    session.heard(snapshot(9, None, vec![], &room), NOW);
    let (told, again) = outputs(&mut session);
    assert_eq!(told, [confirmed(shown), Notice::Content(room)]);
    assert_eq!(ids(&again), [overwritten.0, last.0]);
}

#[test]
fn what_is_saved_in_a_room_without_a_store_waits_for_one() {
    let mut session = session();
    session.opened(NOW);
    let empty = ServerMessage::Snapshot { standing: standing(0, None), refused: vec![], content: None };
    session.heard(empty, NOW);
    let receipt = session.save(None, &value(1), NOW).unwrap();
    let (told, sent) = outputs(&mut session);
    assert_eq!((told, ids(&sent)), (vec![], vec![]));
    assert_eq!(session.store_is_present(), Some(false));
    let made = content(&value(9));
    session.heard(ServerMessage::Entry(Entry::Created { seq: 1, content: made.clone() }), NOW);
    let (told, sent) = outputs(&mut session);
    assert_eq!((told, ids(&sent)), (vec![Notice::Content(made)], vec![receipt.0]));
}

#[test]
fn r8_what_cannot_be_ends_the_connection_and_the_next_one_begins_with_a_snapshot() {
    let own = || Entry::Accepted { seq: 1, id: 1, refused: Changes::new() };
    let mut now = NOW;
    for nonsense in [
        changed(0, value(1)),
        changed(2, value(1)),
        ServerMessage::Entry(Entry::Created { seq: 5, content: Content::new() }),
        ServerMessage::Entry(own()),
        ServerMessage::Resumed { standing: standing(0, None), entries: vec![] },
    ] {
        let mut session = joined();
        session.heard(nonsense, now);
        assert!(reconnects(&mut session));
        session.heard(changed(1, value(1)), now);
        session.closed();
        session.opened(now);
        let (told, join) = outputs(&mut session);
        assert_eq!(told, [], "nothing more is taken from that connection");
        assert!(matches!(&join[..], [ClientMessage::Join(Join { at: None, .. })]), "{join:?}");
    }
    // Each time it happens again the wait is longer.
    let mut session = joined();
    let mut waits = vec![];
    for _ in 0..8 {
        session.heard(changed(7, value(1)), now);
        let began = now;
        while !reconnects(&mut session) {
            now = session.deadline().expect("it does not wait for ever");
            session.tick(now);
        }
        waits.push((now - began).as_secs());
        session.closed();
        session.opened(now);
        session.heard(snapshot(0, None, vec![], &Content::new()), now);
    }
    assert_eq!(waits, [0, 1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn a_server_that_does_not_answer_a_join_is_asked_anew() {
    let mut session = session();
    session.opened(NOW);
    let due = session.deadline().unwrap();
    session.tick(due - Duration::from_nanos(1));
    assert!(!reconnects(&mut session));
    session.tick(due);
    assert!(reconnects(&mut session));
}

#[test]
fn edits_are_saved_in_their_order_by_one_client_at_a_time() {
    let mut session = joined();
    let key = |client, number| Some(EditKey { client, number });
    let receipt = session.save(key("me", 2), &value(1), NOW).unwrap();
    assert_eq!(session.save(key("me", 2), &value(1), NOW).unwrap(), receipt, "it is under way");
    for (client, number) in [("me", 1), ("me", 0), ("me", u64::MAX), ("you", 3), ("", 3)] {
        let error = session.save(key(client, number), &value(1), NOW).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{client} {number}");
    }
    session.restart();
    session.introduce("you");
    session.opened(NOW);
    let join = outputs(&mut session).1;
    assert!(matches!(&join[..], [ClientMessage::Join(join)] if &*join.client == "you"), "{join:?}");
}

/// The response to a join of a room without a store.
fn empty() -> ServerMessage {
    ServerMessage::Snapshot { standing: standing(0, None), refused: vec![], content: None }
}

const KEY: EditKey<'_> = EditKey { client: "me", number: 1 };

#[test]
fn r7_what_a_first_content_had_is_confirmed_and_not_sent() {
    let mut session = session();
    session.opened(NOW);
    session.heard(empty(), NOW);
    let offer = Offer::decode(&session.offer(KEY).unwrap()).unwrap();
    assert_eq!(&*offer.client, "me");
    let mut made = value(1);
    leaf::merge(&mut made, &cell("r", "secret", Some(2)));
    session.heard(
        ServerMessage::Entry(Entry::Accepted { seq: 0, id: offer.id, refused: cell("r", "secret", Some(2)) }),
        NOW,
    );
    session.heard(ServerMessage::Entry(Entry::Created { seq: 1, content: content(&value(1)) }), NOW);
    outputs(&mut session);
    let receipt = session.save(Some(KEY), &made, NOW).unwrap();
    let refused = Notice::Confirmed { receipt, refused: cell("r", "secret", Some(2)) };
    assert_eq!(outputs(&mut session), (vec![refused, Notice::Stale], vec![]));
    session.taken(receipt);
    assert_eq!(outputs(&mut session).1, [ClientMessage::Ack(offer.id)]);
    let next = EditKey { number: 2, ..KEY };
    session.save(Some(next), &value(3), NOW).unwrap();
    assert_eq!(ids(&outputs(&mut session).1).len(), 1, "later ones are sent");
}

#[test]
fn r7_what_a_first_content_had_is_confirmed_with_it_when_it_was_saved_again_already() {
    let mut session = session();
    session.opened(NOW);
    session.heard(empty(), NOW);
    let offer = Offer::decode(&session.offer(KEY).unwrap()).unwrap();
    // Its GET was answered before the connection received anything.
    session.store_found();
    let first = session.save(Some(KEY), &value(1), NOW).unwrap();
    let second = session.save(Some(EditKey { number: 2, ..KEY }), &value(2), NOW).unwrap();
    outputs(&mut session);
    session.heard(accepted(0, offer.id), NOW);
    session.heard(ServerMessage::Entry(Entry::Created { seq: 1, content: content(&value(1)) }), NOW);
    assert_eq!(outputs(&mut session).0, [confirmed(first), Notice::Content(content(&value(1)))]);
    session.heard(accepted(2, offer.id + 1), NOW);
    assert_eq!(outputs(&mut session).0, [confirmed(second)]);
}

#[test]
fn r4_what_was_refused_of_a_first_content_is_told_with_the_edit_that_it_came_from() {
    let mut session = session();
    session.opened(NOW);
    session.heard(empty(), NOW);
    let secret = cell("r", "secret", Some(2));
    let first = session.save(Some(KEY), &secret, NOW).unwrap();
    let later = EditKey { number: 2, ..KEY };
    let second = session.save(Some(later), &value(1), NOW).unwrap();
    let offer = Offer::decode(&session.offer(later).unwrap()).unwrap();
    outputs(&mut session);
    let answer = Entry::Accepted { seq: 0, id: offer.id, refused: secret.clone() };
    session.heard(ServerMessage::Entry(answer), NOW);
    let told = outputs(&mut session).0;
    assert_eq!(told[0], Notice::Confirmed { receipt: first, refused: secret });
    assert!(matches!(&told[1], Notice::Confirmed { receipt, .. } if *receipt == second));
}

#[test]
fn a_server_that_does_not_answer_is_told_of_and_asked_again() {
    let mut session = session();
    session.opened(NOW);
    let patience = session.deadline().unwrap();
    session.tick(patience - Duration::from_millis(1));
    assert_eq!(outputs(&mut session).1.len(), 1, "the join, and no more");
    session.tick(patience);
    let Some(SessionOutput::Report(error)) = session.poll() else { panic!("nobody is told") };
    assert!(error.is_temporary() && error.to_string().contains("message prefix"), "{error}");
    assert!(reconnects(&mut session));
}

#[test]
fn r4_a_resumption_that_keeps_silent_about_a_change_decides_nothing() {
    let mut session = joined();
    session.save(None, &value(1), NOW).unwrap();
    let id = ids(&outputs(&mut session).1)[0];
    session.closed();
    session.opened(NOW);
    session.heard(ServerMessage::Resumed { standing: standing(0, id), entries: vec![] }, NOW);
    assert!(reconnects(&mut session));
    session.save(None, &value(2), NOW).unwrap();
    assert_eq!(outputs(&mut session).0, [], "it was perhaps refused");
}
