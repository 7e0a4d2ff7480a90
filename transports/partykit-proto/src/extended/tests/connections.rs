//! Tests of connections that are slow, or that end because of a message.

use super::{stories::*, *};
use crate::{
    TOO_BIG,
    dialect::{Entry, ServerMessage, Standing},
};

#[test]
fn r5_a_content_that_takes_longer_than_the_server_may_take_to_begin_with_it_is_waited_for() {
    let mut session = session();
    session.opened(NOW);
    while session.poll().is_some() {}
    let mut last = NOW;
    for _ in 0..9 {
        let due = session.deadline().unwrap();
        last = due - Duration::from_secs(1);
        session.arriving(last);
        session.tick(due);
        assert!(session.poll().is_none());
    }
    assert_eq!(session.deadline(), Some(last + SessionOptions::default().patience));
    session.heard(snapshot(0, None, vec![], &Content::new()), last);
    assert!(session.is_joined());
}

#[test]
fn a_content_of_which_no_more_comes_is_asked_for_anew() {
    let mut session = session();
    session.opened(NOW);
    let last = Duration::from_secs(20);
    session.arriving(last);
    session.arriving(NOW);
    let due = session.deadline().unwrap();
    assert_eq!(due, last + SessionOptions::default().patience, "what came before counts for nothing");
    session.tick(due);
    assert!(reconnects(&mut session));
}

/// The notice that confirms a save with these refused parts.
fn refused(receipt: Receipt, refused: Changes) -> Notice {
    Notice::Confirmed { receipt, refused }
}

fn resumed(seq: u64, last: impl Into<Option<u64>>, entries: Vec<Entry>) -> ServerMessage {
    ServerMessage::Resumed { standing: standing(seq, last), entries }
}

/// The errors that a session reports, and its other outputs.
fn reports_and_outputs(session: &mut Session) -> (Vec<Error>, (Vec<Notice>, Vec<ClientMessage>)) {
    let (mut reports, mut rest) = (vec![], vec![]);
    while let Some(output) = session.poll() {
        match output {
            SessionOutput::Report(error) => reports.push(error),
            other => rest.push(other),
        }
    }
    session.outputs = rest.into();
    (reports, outputs(session))
}

#[test]
fn r4_the_change_that_was_too_large_for_the_server_is_refused_and_the_others_are_sent() {
    let mut session = joined();
    let receipts: Vec<_> = (1..=3).map(|to| session.save(None, &value(to), NOW).unwrap()).collect();
    let sent = ids(&outputs(&mut session).1);
    session.closed_with(TOO_BIG);
    session.opened(NOW);
    assert_eq!(ids(&outputs(&mut session).1), [0; 0]);
    let entries = vec![Entry::Accepted { seq: 1, id: sent[0], refused: Changes::new() }];
    session.heard(resumed(1, sent[0], entries), NOW);
    let (reports, (told, again)) = reports_and_outputs(&mut session);
    assert_eq!(told, [confirmed(receipts[0]), refused(receipts[1], value(2))], "the server reads in order");
    assert!(matches!(&reports[..], [error] if error.to_string().contains("1009")), "{reports:?}");
    assert_eq!(ids(&again), [sent[2]]);
    session.closed();
    session.opened(NOW);
    session.heard(resumed(1, sent[0], vec![]), NOW);
    assert_eq!(ids(&outputs(&mut session).1), [sent[2]], "once");
}

#[test]
fn r4_the_very_first_change_may_be_the_one_that_was_too_large() {
    let mut session = joined();
    let receipt = session.save(None, &value(1), NOW).unwrap();
    outputs(&mut session);
    session.closed_with(TOO_BIG);
    // The next connection is lost before it is answered.
    session.opened(NOW);
    session.closed_with(1006);
    session.save(None, &value(2), NOW).unwrap();
    session.opened(NOW);
    session.heard(resumed(0, None, vec![]), NOW);
    let (_, (told, again)) = reports_and_outputs(&mut session);
    assert_eq!((told, ids(&again).len()), (vec![refused(receipt, value(1))], 1), "what was not on its way is sent");
}

#[test]
fn r4_a_server_that_may_have_forgotten_how_far_it_came_is_sent_everything() {
    for epoch in ["e", "another"] {
        let mut session = joined();
        session.save(None, &value(1), NOW).unwrap();
        let sent = ids(&outputs(&mut session).1);
        session.heard(accepted(1, sent[0]), NOW);
        session.save(None, &value(2), NOW).unwrap();
        session.save(None, &value(3), NOW).unwrap();
        let sent = ids(&outputs(&mut session).1);
        session.closed_with(TOO_BIG);
        session.opened(NOW);
        let position = Position { epoch: epoch.into(), seq: 9 };
        let last = (epoch != "e").then_some(1);
        let standing = Standing { position, last };
        session.heard(ServerMessage::Snapshot { standing, refused: vec![], content: Some(content(&value(9))) }, NOW);
        let (reports, (_, again)) = reports_and_outputs(&mut session);
        assert_eq!((ids(&again), reports.len()), (sent, 0));
    }
}

#[test]
fn a_connection_that_ends_over_a_message_of_nobody_costs_no_edit() {
    let mut session = joined();
    session.closed_with(TOO_BIG);
    let receipt = session.save(None, &value(1), NOW).unwrap();
    session.opened(NOW);
    session.heard(resumed(0, None, vec![]), NOW);
    assert_eq!(ids(&outputs(&mut session).1), [receipt.0]);
}
