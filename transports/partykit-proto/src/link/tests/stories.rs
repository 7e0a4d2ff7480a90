use super::*;

mod checks;
mod losses;

/// A link, the time, and the link's outputs so far.
struct Client {
    link: Link,
    now: Duration,
    sent: Vec<Changes>,
    told: Vec<Notice>,
    reports: Vec<Error>,
    handed: Vec<Receipt>,
    pings: Vec<(Side, CheckId)>,
    gets: Vec<CheckId>,
}

impl Client {
    fn closed() -> Self {
        let mut client = Self {
            link: Link::new(Wire::default(), LinkOptions::default()),
            now: Duration::ZERO,
            sent: vec![],
            told: vec![],
            reports: vec![],
            handed: vec![],
            pings: vec![],
            gets: vec![],
        };
        client.link.store_found(true, client.now);
        client
    }

    /// Creates a client with both connections open.
    fn open() -> Self {
        let mut client = Self::closed();
        client.listen(Listening::Ear);
        client.opened(Side::Main);
        client.opened(Side::Ear);
        client
    }

    fn listen(&mut self, listening: Listening) {
        self.link.listen(listening, self.now);
        self.drain();
    }

    fn opened(&mut self, side: Side) {
        self.link.opened(side, self.now);
        self.drain();
    }

    fn closed_by_peer(&mut self, side: Side) {
        self.closed_with(side, 1006);
    }

    fn closed_with(&mut self, side: Side, code: u16) {
        self.link.closed_with(side, code, self.now);
        self.drain();
    }

    fn save(&mut self, changes: &Changes) -> Receipt {
        let ticket = self.link.save(changes, self.now).unwrap();
        self.drain();
        match ticket {
            Ticket::Confirmed(receipt) | Ticket::Handed(receipt) => receipt,
        }
    }

    fn hears(&mut self, changes: &Changes) {
        self.link.heard(Side::Ear, Payload::Changes(changes.clone()), self.now);
        self.drain();
    }

    fn waits(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.link.tick(self.now);
        self.drain();
    }

    fn pong(&mut self, side: Side) {
        let at = self.pings.iter().position(|ping| ping.0 == side).expect("a ping was sent");
        let (_, check) = self.pings.remove(at);
        self.link.alive(check);
        self.drain();
    }

    fn answer(&mut self, content: Option<Content>) {
        let check = self.gets.pop().expect("a GET was sent");
        self.link.checked(check, Some(content), self.now);
        self.drain();
    }

    /// Runs a whole check, in which the room holds `content`.
    fn check(&mut self, content: Content) {
        self.pong(Side::Main);
        self.answer(Some(content));
        self.pong(Side::Ear);
    }

    fn drain(&mut self) {
        while let Some(output) = self.link.poll() {
            match output {
                LinkOutput::Send(frame) => self.sent.push(Wire::default().decode_changes(&frame).unwrap().value),
                LinkOutput::Notice(notice) => self.told.push(notice),
                LinkOutput::Report(error) => self.reports.push(error),
                LinkOutput::Handed(receipt) => self.handed.push(receipt),
                LinkOutput::Ping(side, check) => self.pings.push((side, check)),
                LinkOutput::Get(check) => self.gets.push(check),
            }
        }
    }

    fn take_sent(&mut self) -> Vec<Changes> {
        mem::take(&mut self.sent)
    }

    fn take_told(&mut self) -> Vec<Notice> {
        mem::take(&mut self.told)
    }
}

fn confirmed(receipt: Receipt) -> Notice {
    refused(receipt, Changes::new())
}

fn refused(receipt: Receipt, refused: Changes) -> Notice {
    Notice::Confirmed { receipt, refused }
}

#[test]
fn an_edit_is_confirmed_where_it_stands_in_the_order() {
    let mut client = Client::open();
    let receipt = client.save(&value(5));
    assert_eq!(client.take_sent(), [value(5)]);
    client.hears(&value(1));
    client.hears(&value(5));
    client.hears(&value(2));
    assert_eq!(
        client.take_told(),
        [Notice::Changes(value(1)), confirmed(receipt), Notice::Changes(value(2))],
        "others' edits before and after it are told before and after it"
    );
    assert_eq!(client.link.deadline(), None, "nothing is under way");
}

#[test]
fn an_edit_waits_until_both_connections_are_open() {
    let mut client = Client::closed();
    client.listen(Listening::Ear);
    client.opened(Side::Main);
    client.save(&value(1));
    client.save(&value(2));
    assert_eq!(client.take_sent(), [], "what it did would not be heard");
    client.opened(Side::Ear);
    assert_eq!(client.take_sent(), [value(1), value(2)]);
}

#[test]
fn saves_beyond_the_bound_are_not_taken() {
    let mut client = Client::closed();
    client.listen(Listening::Ear);
    for number in 0..128 {
        assert!(client.link.has_room());
        client.save(&value(number));
    }
    assert!(!client.link.has_room());
    assert!(client.link.save(&value(128), client.now).unwrap_err().is_temporary());
    client.opened(Side::Ear);
    client.opened(Side::Main);
    client.hears(&value(0));
    assert!(client.link.has_room());
}

#[test]
fn nothing_is_heard_before_a_connection_counts_as_open() {
    let mut client = Client::closed();
    client.listen(Listening::Ear);
    client.opened(Side::Main);
    client.hears(&value(1));
    client.opened(Side::Ear);
    assert_eq!(client.take_told(), [], "something may have been missed after it");
}

#[test]
fn two_equal_edits_are_confirmed_one_after_the_other() {
    let mut client = Client::open();
    let receipts = [client.save(&value(1)), client.save(&value(1))];
    client.hears(&value(1));
    client.hears(&value(1));
    assert_eq!(client.take_told(), receipts.map(confirmed));
}

#[test]
fn l17_l21_a_store_that_somebody_makes_is_found_though_nobody_tells() {
    let mut client = Client::open();
    client.link.store_found(false, client.now);
    client.waits(5000);
    client.answer(None);
    client.waits(5000);
    client.answer(Some(content(&value(1))));
    assert_eq!(client.take_told(), [Notice::Content(content(&value(1)))]);
    assert_eq!(client.link.store_is_present(), Some(true));
    client.waits(60_000);
    assert_eq!(client.gets, []);
}

#[test]
fn l21_a_change_to_a_store_that_was_not_there_makes_the_client_load_it() {
    let mut client = Client::closed();
    client.link = Link::new(Wire::default(), LinkOptions::default());
    client.listen(Listening::Ear);
    client.opened(Side::Ear);
    client.link.store_found(false, client.now);
    client.hears(&value(1));
    assert_eq!(client.take_told(), [Notice::Changes(value(1)), Notice::Stale]);
}

#[test]
fn l21_a_change_that_crossed_the_answer_that_there_is_no_store_makes_the_client_load_again() {
    let mut client = Client::closed();
    client.link = Link::new(Wire::default(), LinkOptions::default());
    client.listen(Listening::Ear);
    client.opened(Side::Ear);
    client.hears(&value(1));
    client.link.store_found(false, client.now);
    client.drain();
    assert_eq!(client.take_told(), [Notice::Changes(value(1)), Notice::Stale]);
}

#[test]
fn edits_outlive_a_room_that_was_emptied() {
    let mut client = Client::open();
    let receipt = client.save(&value(1));
    client.waits(5000);
    client.pong(Side::Main);
    client.answer(None);
    assert_eq!(client.take_told(), [Notice::Stale]);
    assert_eq!(client.link.store_is_present(), Some(false));
    client.link.store_found(true, client.now);
    client.drain();
    assert_eq!(client.take_sent(), [value(1), value(1)], "the room without a store ignored it");
    client.hears(&value(1));
    assert_eq!(client.take_told(), [confirmed(receipt)]);
}

#[test]
fn l26_what_the_room_can_never_take_is_refused_alone_and_reported() {
    let mut client = Client::open();
    let mut big = Changes::new();
    big.set_value("big", Cell::try_from("x".repeat(140_000)).unwrap());
    let receipt = client.save(&both(&big, &value(1)));
    assert_eq!(client.take_sent(), [value(1)]);
    assert_eq!(client.reports.len(), 1);
    client.hears(&value(1));
    assert_eq!(client.take_told(), [refused(receipt, big.clone())]);

    let receipt = client.save(&big);
    assert_eq!(client.take_told(), [refused(receipt, big)]);
    assert!(client.link.has_room());
}

#[test]
fn l26_an_edit_too_large_for_a_message_goes_in_several() {
    let mut client = Client::open();
    let mut large = Changes::new();
    for row in 0..20 {
        large.set_cell("t", format!("r{row}"), "c", Cell::try_from("x".repeat(100_000)).unwrap());
    }
    let receipt = client.save(&large);
    let sent = client.take_sent();
    assert_eq!(sent.len(), 2);
    client.hears(&sent[0]);
    assert_eq!(client.take_told(), [Notice::Changes(sent[0].clone())]);
    client.hears(&sent[1]);
    assert_eq!(client.take_told(), [confirmed(receipt), Notice::Stale]);
}

#[test]
fn a_whole_content_and_a_call_to_reload_are_told() {
    let mut client = Client::open();
    client.link.heard(Side::Ear, Payload::Content(content(&value(1))), client.now);
    client.link.heard(Side::Ear, Payload::Reload, client.now);
    client.drain();
    assert_eq!(client.take_told(), [Notice::Content(content(&value(1))), Notice::Stale]);
}

#[test]
fn nothing_is_told_twice_because_both_connections_bring_it() {
    let mut client = Client::open();
    client.link.heard(Side::Main, Payload::Changes(value(1)), client.now);
    client.hears(&value(1));
    assert_eq!(client.take_told(), [Notice::Changes(value(1))]);
}

#[test]
fn without_an_ear_a_save_is_done_when_it_is_handed_over() {
    let mut client = Client::closed();
    client.listen(Listening::Main);
    let first = client.save(&value(1));
    assert_eq!(client.handed, []);
    client.opened(Side::Main);
    assert_eq!(client.handed, [first]);
    client.link.heard(Side::Main, Payload::Changes(value(3)), client.now);
    client.drain();
    assert_eq!(client.take_told(), [Notice::Changes(value(3))]);

    client.waits(4000);
    client.save(&value(2));
    client.take_sent();
    client.waits(2000);
    client.closed_by_peer(Side::Main);
    client.waits(60_000);
    client.opened(Side::Main);
    assert_eq!(client.take_told(), [Notice::Stale]);
    assert_eq!(client.take_sent(), [value(2)], "what was fresh when the connection was lost is sent again");
}

#[test]
fn without_an_ear_what_the_room_can_never_take_is_an_error() {
    let mut client = Client::closed();
    client.opened(Side::Main);
    let mut big = value(1);
    big.set_value("big", Cell::try_from("x".repeat(140_000)).unwrap());
    assert_eq!(client.link.save(&big, client.now).unwrap_err().kind(), ErrorKind::Refused);
    client.drain();
    assert_eq!(client.take_sent(), []);
    assert!(client.link.has_room());
}

#[test]
fn what_is_under_way_when_nobody_listens_any_more_is_forgotten() {
    let mut client = Client::open();
    client.save(&value(1));
    client.closed_by_peer(Side::Main);
    client.save(&value(2));
    client.take_sent();
    client.listen(Listening::Off);
    let handed = client.save(&value(3));
    client.listen(Listening::Ear);
    client.opened(Side::Ear);
    client.opened(Side::Main);
    assert_eq!(client.take_sent(), [value(3)], "whoever saved the others saves them again");
    assert_eq!(client.handed, [handed]);
    client.waits(60_000);
    assert_eq!((client.pings.len(), client.take_told().len()), (0, 0));
}
