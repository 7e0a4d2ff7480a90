//! Tests of the state machine alone: what each input makes it do.

use std::task::Poll;

use roommate::{Changes, EditKey, Notice};

use super::*;
use crate::{Ticket, Wire, socket::ABNORMAL};

const STOCK: Option<Result<Spoken>> = Some(Ok(Spoken::Stock));
const EXTENDED: Option<Result<Spoken>> = Some(Ok(Spoken::Extended));
const EMPTY_SNAPSHOT: &str = r#"r["snapshot",{"epoch":"e","seq":0,"last":null},[],[{},{}]]"#;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn client() -> RoomClient {
    let options = RoomClientOptions { extends: true, ..RoomClientOptions::default() };
    RoomClient::new(Decoder::default(), "c", options)
}

/// A client with a watch, whose connections are open and whose question for the dialect has this answer, if any.
fn watching(answer: Option<Result<Spoken>>) -> (RoomClient, WatchId) {
    let mut client = client();
    let watch = client.begin_watch(true, at(0));
    client.opened(Side::Main, at(0));
    client.opened(Side::Ear, at(0));
    let asking = asked(&mut client).expect("the server is asked");
    if let Some(answer) = answer {
        client.answered(asking, answer, at(0));
    }
    (client, watch)
}

fn outputs(client: &mut RoomClient) -> Vec<RoomClientOutput> {
    std::iter::from_fn(|| client.poll()).collect()
}

fn asked(client: &mut RoomClient) -> Option<Asking> {
    outputs(client).into_iter().find_map(|output| match output {
        RoomClientOutput::Ask(asking) => Some(asking),
        _ => None,
    })
}

fn reported(client: &mut RoomClient) -> Vec<String> {
    let reports = outputs(client).into_iter().filter_map(|output| match output {
        RoomClientOutput::Report(error) => Some(error.to_string()),
        _ => None,
    });
    reports.collect()
}

fn receive(client: &mut RoomClient, side: Side, text: &str) {
    let decoded = Decoder::default().decode(side, text).expect("a message of ours").expect("it can be read");
    client.received(side, decoded.value, at(0));
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "away")
}

fn edit() -> Changes {
    let mut changes = Changes::new();
    changes.values.insert("open", Some(true.into()));
    changes
}

#[test]
fn an_answer_for_a_connection_that_is_over_decides_nothing() {
    let mut client = client();
    let watch = client.begin_watch(true, at(0));
    client.opened(Side::Ear, at(0));
    let first = asked(&mut client).unwrap();
    client.closed(Side::Ear, ABNORMAL, "", at(1));
    client.answered(first, Ok(Spoken::Extended), at(1));
    assert!(outputs(&mut client).is_empty(), "the connection is closed");
    client.opened(Side::Ear, at(2));
    let second = asked(&mut client).expect("another server may answer");
    client.answered(first, Ok(Spoken::Extended), at(2));
    assert!(outputs(&mut client).is_empty(), "nothing is sent yet");
    client.answered(second, Ok(Spoken::Extended), at(2));
    assert!(matches!(&outputs(&mut client)[..], [RoomClientOutput::Send(Side::Ear, _)]), "it joins");
    client.end_watch(watch, at(3));
    client.answered(second, Ok(Spoken::Extended), at(3));
    assert!(outputs(&mut client).is_empty());
}

#[test]
fn a_server_that_speaks_another_dialect_than_before_ends_the_watch() {
    let (mut client, watch) = watching(EXTENDED);
    client.closed(Side::Ear, ABNORMAL, "", at(1));
    client.opened(Side::Ear, at(2));
    let asking = asked(&mut client).unwrap();
    client.answered(asking, Ok(Spoken::Stock), at(2));
    let Poll::Ready(Some(Err(error))) = client.next_notice(watch) else { panic!("no error") };
    assert!(error.to_string().contains("another dialect"), "{error}");
    assert!(matches!(client.next_notice(watch), Poll::Ready(None)));
    let error = client.save(&edit(), None, at(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "nothing would confirm it");
}

#[test]
fn a_server_that_cannot_answer_for_its_dialect_is_asked_again_once_it_is_known() {
    let (mut client, _) = watching(EXTENDED);
    client.closed(Side::Ear, ABNORMAL, "", at(1));
    client.opened(Side::Ear, at(2));
    let asking = asked(&mut client).unwrap();
    client.answered(asking, Err(unavailable()), at(2));
    assert!(asked(&mut client).is_none());
    assert_eq!(client.deadline(), Some(at(2) + ASK_AGAIN));
    client.tick(at(2) + ASK_AGAIN);
    assert_eq!(asked(&mut client), Some(asking));
}

#[test]
fn a_server_that_cannot_answer_for_the_first_time_ends_the_watch() {
    let (mut client, watch) = watching(Some(Err(unavailable())));
    assert_eq!(client.is_watch_ready(watch).unwrap_err().to_string(), "away");
}

#[test]
fn a_save_waits_until_the_dialect_is_known() {
    let (mut client, _) = watching(None);
    client.store_found(true, at(0));
    assert_eq!(client.save(&edit(), None, at(0)).unwrap(), None);
    let (mut client, _) = watching(STOCK);
    client.store_found(true, at(0));
    assert!(matches!(client.save(&edit(), None, at(0)), Ok(Some(Ticket::Confirmed(_)))));
    assert!(matches!(&outputs(&mut client)[..], [RoomClientOutput::Send(Side::Main, _)]));
    let (mut client, _) = watching(EXTENDED);
    receive(&mut client, Side::Ear, EMPTY_SNAPSHOT);
    outputs(&mut client);
    assert!(matches!(client.save(&edit(), None, at(0)), Ok(Some(Ticket::Confirmed(_)))));
    assert!(matches!(&outputs(&mut client)[..], [RoomClientOutput::Send(Side::Ear, _)]));
}

#[test]
fn without_a_watch_a_save_is_done_when_it_is_handed_over() {
    let mut client = client();
    let Ok(Some(Ticket::Handed(receipt))) = client.save(&edit(), None, at(0)) else { panic!("not taken") };
    assert!(outputs(&mut client).is_empty(), "the connection is not open");
    client.opened(Side::Main, at(1));
    let outputs = outputs(&mut client);
    let handed = |output: &RoomClientOutput| matches!(output, RoomClientOutput::Handed(one, Ok(())) if *one == receipt);
    assert!(outputs.iter().any(handed), "{outputs:?}");
}

#[test]
fn a_save_that_waits_to_be_handed_over_fails_with_the_main_connection_or_with_the_client() {
    let ends: [fn(&mut RoomClient); 2] =
        [|client| client.failed(Side::Main, Error::new(ErrorKind::Refused, "no"), true), |client| client.close(at(1))];
    for end in ends {
        let mut client = client();
        let Ok(Some(Ticket::Handed(receipt))) = client.save(&edit(), None, at(0)) else { panic!("not taken") };
        end(&mut client);
        let outputs = outputs(&mut client);
        let failed =
            |output: &RoomClientOutput| matches!(output, RoomClientOutput::Handed(one, Err(_)) if *one == receipt);
        assert!(outputs.iter().any(failed), "{outputs:?}");
        assert!(client.check().is_err() && client.save(&edit(), None, at(1)).is_err());
    }
}

#[test]
fn a_refusal_of_the_very_first_connection_ends_the_watch_and_a_later_one_is_reported() {
    let refused = || Error::new(ErrorKind::Refused, "no");
    let mut first = client();
    let watch = first.begin_watch(true, at(0));
    first.failed(Side::Main, unavailable(), false);
    assert!(!first.is_watch_ready(watch).unwrap(), "the socket tries again");
    first.failed(Side::Main, refused(), false);
    assert_eq!(first.is_watch_ready(watch).unwrap_err().to_string(), "no");

    let (mut later, watch) = watching(None);
    later.report_errors();
    later.closed(Side::Main, ABNORMAL, "", at(1));
    later.failed(Side::Main, refused(), false);
    assert!(!later.is_watch_ready(watch).unwrap());
    assert_eq!(reported(&mut later), ["no"]);
}

#[test]
fn a_main_connection_that_fails_for_good_may_be_led_back() {
    let mut client = client();
    client.failed(Side::Main, Error::new(ErrorKind::Invalid, "another room"), true);
    assert!(client.has_failed());
    assert_eq!(client.check().unwrap_err().to_string(), "another room");
    client.retried();
    client.check().unwrap();
    client.close(at(0));
    client.retried();
    assert_eq!(client.check().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn an_error_of_the_ear_is_a_notice_or_a_report_and_neither_while_main_is_closed() {
    let (mut client, watch) = watching(EXTENDED);
    client.report_errors();
    receive(&mut client, Side::Ear, EMPTY_SNAPSHOT);
    assert!(client.is_watch_ready(watch).unwrap());
    while client.next_notice(watch).is_ready() {}
    client.failed(Side::Ear, unavailable(), false);
    assert_eq!(reported(&mut client), ["away"], "the main connection is open");
    client.closed(Side::Main, ABNORMAL, "", at(1));
    client.failed(Side::Ear, unavailable(), false);
    assert!(!client.has_output() && !client.is_readable(watch), "the main connection reports why");
    client.failed(Side::Ear, Error::new(ErrorKind::Refused, "too large"), false);
    assert!(matches!(client.next_notice(watch), Poll::Ready(Some(Err(error))) if error.to_string() == "too large"));
    client.failed(Side::Ear, Error::new(ErrorKind::Refused, "gone"), true);
    assert!(matches!(client.next_notice(watch), Poll::Ready(Some(Err(error))) if error.to_string() == "gone"));
    assert!(matches!(client.next_notice(watch), Poll::Ready(None)));
}

#[test]
fn errors_are_reported_while_the_watch_has_no_reader() {
    let (mut client, watch) = watching(EXTENDED);
    client.failed(Side::Ear, Error::new(ErrorKind::Refused, "too large"), false);
    assert!(!client.has_output() || reported(&mut client).is_empty(), "nobody asked for reports");
    client.report_errors();
    assert_eq!(reported(&mut client), ["too large"]);
    assert!(!client.is_readable(watch));
}

#[test]
fn a_connection_that_writes_for_the_same_client_elsewhere_ends_the_watch() {
    let (mut client, watch) = watching(EXTENDED);
    client.closed(Side::Ear, crate::REPLACED, "replaced", at(1));
    let error = client.is_watch_ready(watch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("outbox of its own"), "{error}");
}

#[test]
fn a_save_waits_while_confirmations_are_not_read_and_learns_when_one_is() {
    let (mut client, watch) = watching(STOCK);
    client.store_found(true, at(0));
    let mut saved = 0;
    while let Some(ticket) = client.save(&edit(), None, at(0)).unwrap() {
        assert!(saved < 100_000, "the queue has no bound");
        assert!(matches!(ticket, Ticket::Confirmed(_)));
        saved += 1;
        receive(&mut client, Side::Ear, &Wire::default().encode_changes(&edit()));
        outputs(&mut client);
    }
    assert!(saved > 128, "{saved}");
    assert!(matches!(client.next_notice(watch), Poll::Ready(Some(Ok(Notice::Confirmed { .. })))));
    assert!(matches!(&outputs(&mut client)[..], [RoomClientOutput::HasRoom]));
    assert!(client.save(&edit(), None, at(0)).unwrap().is_some());
}

#[test]
fn a_save_does_not_wait_for_a_store_that_the_engine_offers_when_it_saves_nothing() {
    let (mut client, _) = watching(EXTENDED);
    receive(&mut client, Side::Ear, r#"r["snapshot",{"epoch":"e","seq":0,"last":null},[],null]"#);
    let mut save = || client.save(&edit(), None, at(0));
    let error = std::iter::repeat_with(&mut save).take(1000).find_map(Result::err).expect("there is no room any more");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("lost its store"), "{error}");
}

#[test]
fn a_watch_that_begins_ends_the_one_before() {
    let (mut client, first) = watching(STOCK);
    let second = client.begin_watch(false, at(1));
    assert!(client.is_readable(first), "its reader is woken");
    assert!(matches!(client.next_notice(first), Poll::Ready(None)));
    assert!(!client.end_watch(first, at(1)), "its ear is not that of the second");
    assert!(client.is_watch_ready(second).unwrap(), "it listens to the main connection");
    assert!(client.end_watch(second, at(1)));
}

#[test]
fn a_content_that_is_the_only_notice_is_loaded_without_a_request() {
    let (mut client, watch) = watching(EXTENDED);
    receive(&mut client, Side::Ear, EMPTY_SNAPSHOT);
    assert!(client.take_content().is_some());
    assert!(client.next_notice(watch).is_pending(), "it is not sent twice");
    let (mut client, _) = watching(STOCK);
    receive(&mut client, Side::Ear, &Wire::default().encode_content(&Content::new()));
    assert!(client.take_content().is_none(), "a stock server's notice is not all that there is");
}

/// Found by a review: the session's wish stayed where no host looks.
#[test]
fn an_offer_for_another_client_than_the_one_that_joined_takes_another_connection() {
    let (mut client, _) = watching(EXTENDED);
    receive(&mut client, Side::Ear, r#"r["snapshot",{"epoch":"e","seq":0,"last":null},[],null]"#);
    outputs(&mut client);
    let offer = client.offer(EditKey { client: "another", number: 1 }).unwrap();
    assert!(offer.is_some_and(|offer| offer.contains("another")));
    assert!(matches!(&outputs(&mut client)[..], [RoomClientOutput::Reconnect]));
}

#[test]
fn what_is_to_be_sent_on_the_ear_of_a_watch_is_not_sent_on_the_next_ones() {
    let (mut client, watch) = watching(None);
    client.closed(Side::Ear, ABNORMAL, "", at(1));
    client.opened(Side::Ear, at(2));
    assert!(client.has_output(), "it asks for the dialect");
    client.end_watch(watch, at(2));
    assert!(!client.has_output());
}

#[test]
fn a_client_listens_to_the_ear_if_the_watch_has_one_and_else_to_main() {
    let mut client = client();
    let listens = |client: &RoomClient| [Side::Main, Side::Ear].map(|side| client.listens_to(side));
    assert_eq!(listens(&client), [false, false]);
    client.begin_watch(true, at(0));
    assert_eq!(listens(&client), [false, true]);
    client.begin_watch(false, at(0));
    assert_eq!(listens(&client), [true, false]);
}
