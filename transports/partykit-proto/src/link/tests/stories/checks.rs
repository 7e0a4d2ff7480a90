//! Edits that do not come back: the link checks the room's content, and detects what was refused.

use super::*;

#[test]
fn l19_a_refused_edit_that_a_later_one_overtook_is_found_out_soon() {
    let mut client = Client::open();
    let first = client.save(&cell("r", "secret", Some(1)));
    let second = client.save(&value(2));
    client.hears(&value(2));
    assert_eq!(client.take_told(), [Notice::Changes(value(2))], "nothing is concluded at once");
    client.waits(999);
    assert_eq!(client.pings, []);
    client.waits(1);
    client.check(content(&value(2)));
    assert_eq!(
        client.take_told(),
        [refused(first, cell("r", "secret", Some(1))), confirmed(second), Notice::Content(content(&value(2)))],
        "and the store shows what the room has"
    );
}

#[test]
fn l19_a_partly_refused_edit_names_what_was_refused() {
    let mut client = Client::open();
    let (kept, secret) = (cell("r", "kept", Some(1)), cell("r", "secret", Some(1)));
    let receipt = client.save(&both(&kept, &secret));
    client.hears(&kept);
    // Another client overwrites it before the check.
    client.hears(&cell("r", "kept", Some(2)));
    client.waits(1000);
    client.check(content(&cell("r", "kept", Some(2))));
    assert_eq!(
        client.take_told(),
        [
            Notice::Changes(kept),
            Notice::Changes(cell("r", "kept", Some(2))),
            refused(receipt, secret),
            Notice::Content(content(&cell("r", "kept", Some(2))))
        ]
    );
}

#[test]
fn a_lonely_edit_that_was_refused_is_found_out_after_a_while() {
    let mut client = Client::open();
    let receipt = client.save(&value(1));
    client.waits(4999);
    assert_eq!(client.pings, []);
    client.waits(1);
    client.check(Content::new());
    assert_eq!(client.take_told(), [refused(receipt, value(1)), Notice::Content(Content::new())]);
}

#[test]
fn an_edit_that_may_have_been_overwritten_unheard_is_only_presumed_to_be_refused() {
    let mut client = Client::open();
    let receipt = client.save(&both(&value(1), &cell("r", "c", Some(1))));
    client.closed_by_peer(Side::Ear);
    client.opened(Side::Ear);
    client.waits(1000);
    let shown = both(&value(2), &cell("r", "c", Some(1)));
    client.check(content(&shown));
    let missing = Notice::Missing { receipt, missing: value(1) };
    assert_eq!(client.take_told(), [Notice::Stale, missing, Notice::Content(content(&shown))]);

    let receipt = client.save(&value(3));
    client.waits(5000);
    client.check(content(&shown));
    assert_eq!(client.take_told()[0], refused(receipt, value(3)), "this one would have been heard");
}

#[test]
fn an_edit_whose_echo_passed_for_that_of_one_before_it_is_only_presumed_to_be_refused() {
    let mut client = Client::open();
    let mut deletion = Changes::new();
    deletion.del_table("t");
    let first = client.save(&deletion);
    client.closed_by_peer(Side::Ear);
    client.opened(Side::Ear);
    let second = client.save(&deletion);
    client.hears(&deletion);
    let again = cell("r", "c", Some(1));
    client.hears(&again);
    client.waits(5000);
    client.check(content(&again));
    let missing = Notice::Missing { receipt: second, missing: deletion };
    let told = client.take_told();
    assert_eq!(told[..4], [Notice::Stale, confirmed(first), Notice::Changes(again.clone()), missing]);
}

#[test]
fn nothing_is_refused_before_the_main_connection_proved_to_carry() {
    let mut client = Client::open();
    client.save(&value(1));
    client.waits(60_000);
    assert_eq!(client.pings.len(), 1);
    assert_eq!(client.gets, [], "a half-open connection would swallow the edit, and a GET would not show it");
    client.closed_by_peer(Side::Main);
    client.opened(Side::Main);
    assert_eq!(client.take_sent(), [value(1), value(1)]);
    client.pong(Side::Main);
    assert_eq!(client.gets, [], "that was another connection's");
}

#[test]
fn an_edit_that_the_ear_brings_during_the_check_is_confirmed() {
    let mut client = Client::open();
    let receipt = client.save(&value(1));
    client.waits(5000);
    client.pong(Side::Main);
    client.answer(Some(content(&value(9))));
    client.hears(&value(1));
    client.hears(&value(9));
    client.pong(Side::Ear);
    assert_eq!(client.take_told(), [confirmed(receipt), Notice::Changes(value(9))]);
}

#[test]
fn what_is_heard_while_the_room_is_asked_is_not_undone_by_the_answer() {
    let mut client = Client::open();
    let receipt = client.save(&cell("r", "secret", Some(1)));
    client.waits(5000);
    client.pong(Side::Main);
    client.hears(&value(7));
    client.answer(Some(content(&value(6))));
    client.hears(&cell("r", "c", Some(8)));
    client.pong(Side::Ear);
    assert_eq!(
        client.take_told()[2..],
        [
            refused(receipt, cell("r", "secret", Some(1))),
            Notice::Content(content(&both(&value(7), &cell("r", "c", Some(8)))))
        ]
    );
}

#[test]
fn an_edit_that_the_room_shows_was_not_refused_though_it_was_not_heard() {
    let mut client = Client::open();
    let receipt = client.save(&value(1));
    client.waits(5000);
    client.check(content(&value(1)));
    assert_eq!(client.take_told()[0], confirmed(receipt));
}

#[test]
fn an_edit_that_a_later_own_one_overwrites_is_not_called_refused() {
    let mut client = Client::open();
    let first = client.save(&value(1));
    let second = client.save(&value(2));
    client.waits(5000);
    client.check(content(&value(2)));
    assert_eq!(client.take_told()[..2], [confirmed(first), confirmed(second)]);
}

#[test]
fn an_edit_that_a_later_own_one_overwrote_is_not_called_refused_once_that_came_back() {
    let mut client = Client::open();
    let first = client.save(&value(1));
    let second = client.save(&value(2));
    // The ear missed the first.
    client.hears(&value(2));
    assert_eq!(client.take_told(), [Notice::Changes(value(2))]);
    client.waits(1000);
    client.check(content(&value(2)));
    assert_eq!(client.take_told(), [confirmed(first), confirmed(second), Notice::Content(content(&value(2)))]);
}

#[test]
fn what_overtook_a_refused_edit_stands_whatever_others_did_since() {
    let mut client = Client::open();
    let first = client.save(&cell("r", "secret", Some(1)));
    let second = client.save(&value(2));
    client.hears(&value(2));
    client.hears(&value(3));
    client.waits(1000);
    client.check(content(&value(3)));
    assert_eq!(
        client.take_told()[2..],
        [refused(first, cell("r", "secret", Some(1))), confirmed(second), Notice::Content(content(&value(3)))]
    );
    client.take_sent();
    client.closed_by_peer(Side::Main);
    client.opened(Side::Main);
    assert_eq!(client.take_sent(), [], "neither is sent again");
}

#[test]
fn a_failed_get_is_tried_again() {
    let mut client = Client::open();
    let receipt = client.save(&value(1));
    client.waits(5000);
    client.pong(Side::Main);
    let check = client.gets.pop().unwrap();
    client.link.checked(check, None, client.now);
    client.waits(5000);
    client.check(content(&value(1)));
    assert_eq!(client.take_told()[0], confirmed(receipt));
}

#[test]
fn what_is_heard_behind_an_edit_while_that_is_checked_is_confirmed_with_it() {
    let mut client = Client::open();
    let first = client.save(&cell("r", "c", Some(1)));
    client.closed_by_peer(Side::Ear);
    client.opened(Side::Ear);
    client.waits(1000);
    let (second, third) = (client.save(&value(1)), client.save(&value(2)));
    client.hears(&value(1));
    client.hears(&value(2));
    client.take_told();
    let shown = content(&both(&cell("r", "c", Some(1)), &value(2)));
    client.check(shown.clone());
    assert_eq!(
        client.take_told(),
        [confirmed(first), confirmed(second), confirmed(third), Notice::Content(shown)],
        "somebody's like the second is not taken for it any more"
    );
}

/// The room has rules for each client: the first edit was refused in part, and another client may write all of it.
#[test]
fn r4_an_edit_that_was_heard_is_not_called_refused_because_of_somebodys_edit_like_the_one_before_it() {
    let mut client = Client::open();
    let first = client.save(&both(&value(1), &cell("r", "secret", Some(1))));
    let second = client.save(&value(2));
    client.hears(&value(1));
    client.hears(&value(2));
    client.take_told();
    client.hears(&both(&value(1), &cell("r", "secret", Some(1))));
    assert_eq!(client.take_told(), [confirmed(first)], "it may be that");
    client.waits(1000);
    client.check(content(&value(1)));
    let missing = Notice::Missing { receipt: second, missing: value(2) };
    assert_eq!(client.take_told(), [missing, Notice::Content(content(&value(1)))]);
}

#[test]
fn an_edit_is_decided_with_those_before_it_and_never_alone() {
    let mut client = Client::open();
    let first = client.save(&cell("r", "c", Some(1)));
    let second = client.save(&both(&value(1), &cell("r", "secret", Some(1))));
    client.hears(&value(1));
    client.take_told();
    client.waits(1000);
    client.check(content(&value(1)));
    assert_eq!(
        client.take_told(),
        [
            refused(first, cell("r", "c", Some(1))),
            refused(second, cell("r", "secret", Some(1))),
            Notice::Content(content(&value(1)))
        ]
    );
}
