//! Connections that are lost with messages in flight.

use super::*;
use crate::TOO_BIG;

#[test]
fn l23_a_lost_main_connection_loses_no_edit() {
    let mut client = Client::open();
    let first = client.save(&value(1));
    client.closed_by_peer(Side::Main);
    let second = client.save(&value(2));
    assert_eq!(client.take_sent(), [value(1)]);
    client.opened(Side::Main);
    assert_eq!(client.take_sent(), [value(1), value(2)], "sent again, and then what waited");
    client.hears(&value(1));
    client.hears(&value(1));
    client.hears(&value(2));
    assert_eq!(
        client.take_told(),
        [confirmed(first), Notice::Changes(value(1)), confirmed(second)],
        "it took effect twice, and is told so"
    );
}

#[test]
fn l23_an_edit_that_somebody_elses_passed_for_is_sent_again_behind_the_one_before_it() {
    let mut client = Client::open();
    let (set, deleted) = (cell("r", "c", Some(1)), cell("r", "c", None));
    let first = client.save(&set);
    let second = client.save(&deleted);
    assert_eq!(client.take_sent(), [set.clone(), deleted.clone()]);
    client.closed_by_peer(Side::Main);
    client.hears(&deleted);
    assert_eq!(client.take_told(), [Notice::Changes(deleted.clone())], "it was perhaps somebody else's");
    client.waits(60_000);
    client.opened(Side::Main);
    assert_eq!(client.take_sent(), [set.clone(), deleted.clone()], "else the first would stand");
    client.hears(&set);
    assert_eq!(client.take_told(), [confirmed(first)]);
    client.hears(&deleted);
    assert_eq!(client.take_told(), [confirmed(second)]);
    client.closed_by_peer(Side::Main);
    client.opened(Side::Main);
    assert_eq!(client.take_sent(), [], "nothing is behind anything any more");
}

#[test]
fn r4_a_deletion_refused_behind_an_edit_that_is_accepted_when_sent_again_is_called_refused() {
    let mut client = Client::open();
    let (set, deleted) = (cell("r", "c", Some(1)), cell("r", "c", None));
    let first = client.save(&set);
    let second = client.save(&deleted);
    // The rules refuse the first.
    client.hears(&deleted);
    client.closed_by_peer(Side::Main);
    client.opened(Side::Main);
    client.take_told();
    // Now they refuse the second instead.
    client.hears(&set);
    assert_eq!(client.take_told(), [confirmed(first)]);
    client.waits(5000);
    client.check(content(&set));
    assert_eq!(client.take_told(), [refused(second, deleted), Notice::Content(content(&set))]);
}

#[test]
fn r4_that_is_found_out_as_well_when_the_ear_missed_the_edit() {
    let mut client = Client::open();
    let (set, deleted) = (cell("r", "c", Some(1)), cell("r", "c", None));
    let first = client.save(&set);
    let second = client.save(&deleted);
    client.hears(&deleted);
    for side in [Side::Main, Side::Ear] {
        client.closed_by_peer(side);
        client.opened(side);
    }
    client.take_told();
    client.waits(5000);
    client.check(content(&set));
    let missing = Notice::Missing { receipt: second, missing: deleted };
    assert_eq!(client.take_told(), [confirmed(first), missing, Notice::Content(content(&set))]);
}

#[test]
fn l22_l23_a_lost_ear_may_have_missed_something() {
    let mut client = Client::open();
    let receipt = client.save(&value(1));
    client.closed_by_peer(Side::Ear);
    client.save(&value(2));
    client.opened(Side::Ear);
    assert_eq!(client.take_told(), [Notice::Stale]);
    assert_eq!(client.take_sent(), [value(1), value(2)], "the main connection carried the first: it is not sent again");
    client.waits(1000);
    client.check(content(&value(1)));
    assert_eq!(client.take_told()[0], confirmed(receipt));
}

/// Changes whose message is larger than any other here.
fn large(to: char) -> Changes {
    let mut changes = Changes::new();
    changes.set_value(to.to_string(), Cell::try_from(to.to_string().repeat(5000)).unwrap());
    changes
}

#[test]
fn r4_what_is_too_large_for_the_server_is_given_up_when_that_ends_the_connection_again() {
    let mut client = Client::open();
    let first = client.save(&value(1));
    let too_large = client.save(&large('x'));
    let last = client.save(&value(2));
    client.take_sent();
    client.hears(&value(1));
    client.closed_with(Side::Main, TOO_BIG);
    assert_eq!(client.reports.len(), 0, "it may have been a message of the application");
    client.opened(Side::Main);
    assert_eq!(client.take_sent(), [large('x'), value(2)]);
    client.closed_with(Side::Main, TOO_BIG);
    let missing = Notice::Missing { receipt: too_large, missing: large('x') };
    assert_eq!(client.take_told(), [confirmed(first), missing]);
    assert_eq!(client.reports.len(), 1);
    assert!(client.reports[0].to_string().contains("1009"), "{}", client.reports[0]);
    client.opened(Side::Main);
    assert_eq!(client.take_sent(), [value(2)]);
    client.hears(&value(2));
    assert_eq!(client.take_told(), [confirmed(last)]);
}

#[test]
fn r4_a_message_of_the_application_that_is_too_large_costs_no_edit() {
    let mut client = Client::open();
    for _ in 0..9 {
        let receipt = client.save(&value(1));
        client.closed_with(Side::Main, TOO_BIG);
        client.opened(Side::Main);
        client.hears(&value(1));
        assert_eq!(client.take_told(), [confirmed(receipt)]);
    }
    assert_eq!(client.reports.len(), 0);
}

#[test]
fn however_many_are_too_large_for_the_server_the_others_get_through() {
    let mut client = Client::open();
    let saves: Vec<_> = "abc".chars().map(|to| client.save(&large(to))).collect();
    let small = client.save(&value(1));
    client.take_sent();
    let mut lost = 0;
    while lost < 9 {
        client.closed_with(Side::Main, TOO_BIG);
        client.opened(Side::Main);
        lost += 1;
        if client.take_sent() == [value(1)] {
            break;
        }
    }
    assert_eq!(lost, 6, "two for each");
    client.hears(&value(1));
    let told = client.take_told();
    let is_missing = |receipt: &Receipt| {
        told.iter().any(|notice| matches!(notice, Notice::Missing { receipt: missing, .. } if missing == receipt))
    };
    assert!(saves.iter().all(is_missing), "{told:?}");
    assert_eq!(told.last(), Some(&confirmed(small)));
}

#[test]
fn what_was_handed_over_and_is_too_large_for_the_server_is_not_sent_for_ever() {
    let mut client = Client::closed();
    client.listen(Listening::Main);
    client.opened(Side::Main);
    client.save(&large('x'));
    client.save(&value(1));
    for _ in 0..2 {
        assert_eq!(client.take_sent(), [large('x'), value(1)]);
        client.closed_with(Side::Main, TOO_BIG);
        client.opened(Side::Main);
    }
    assert_eq!(client.take_sent(), [value(1)]);
    assert_eq!(client.reports.len(), 1);
}
