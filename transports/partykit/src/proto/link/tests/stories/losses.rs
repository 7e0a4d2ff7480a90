//! Connections that are lost with something on them.

use super::*;

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
