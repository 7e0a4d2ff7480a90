//! Stories of connections that take their time, or end over a message.

use super::{stories::*, *};

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
