use roommate::Cell;

use super::*;
use crate::{Epoch, Epochs, Policy, Response, StoredCommit};

mod answers;
mod extended;
mod messages;
mod policies;
mod storage;

const ALICE: ConnectionId = ConnectionId(1);
const BOB: ConnectionId = ConnectionId(2);
const CAROL: ConnectionId = ConnectionId(3);

const CONTENT: &str = r#"[{"pets":{"fido":{"species":"dog","age":4},"felix":{"species":"cat"}}},{"open":true}]"#;

/// A configuration with which a room does what TinyBase's server does.
fn stock() -> RoomConfig {
    RoomConfig::new().with_cures(false)
}

fn http(room: &mut Room, method: &str, path: &str, body: &str) -> (Vec<Output>, Response) {
    let context = Context { method: method.into(), path: path.into(), ..Context::default() };
    let mut outputs = room.handle(Input::Request { request: RequestId(7), context, body: body.as_bytes() });
    let Some(Output::Respond { request: RequestId(7), response }) = outputs.pop() else {
        panic!("the answer comes last");
    };
    (outputs, response)
}

fn get(room: &mut Room) -> String {
    let (outputs, response) = http(room, "GET", "/parties/main/r/store", "");
    assert_eq!((outputs, response.status), (vec![], 200));
    response.body.to_string()
}

fn put(room: &mut Room, body: &str) -> u16 {
    let (_, response) = http(room, "PUT", "/parties/main/r/store", body);
    assert_eq!(response.body, "");
    response.status
}

fn join(room: &mut Room, connection: ConnectionId) {
    let outputs = room.handle(Input::Connect { connection, context: Context::default() });
    assert_eq!(outputs, [], "nothing is said on joining");
}

fn say(room: &mut Room, connection: ConnectionId, text: &str) -> Vec<Output> {
    room.handle(Input::Message { connection, text })
}

/// A room with [`CONTENT`] and three connections.
fn meeting(config: RoomConfig) -> Room {
    let mut room = Room::new(config, "e");
    assert_eq!(put(&mut room, CONTENT), 201);
    for connection in [ALICE, BOB, CAROL] {
        join(&mut room, connection);
    }
    room
}

/// The one frame that is sent, and its connections.
fn sent(outputs: &[Output]) -> (&[ConnectionId], &str) {
    match outputs {
        [Output::Commit(_), Output::Send { to, frame }] | [Output::Send { to, frame }] => (members(to), frame),
        _ => panic!("{outputs:?} is no single frame"),
    }
}

fn members(to: &Audience) -> &'static [ConnectionId] {
    Vec::leak(to.iter().collect())
}

/// The records that are to be stored.
fn records(outputs: &[Output]) -> Vec<Record> {
    let records = outputs.iter().filter_map(|output| match output {
        Output::Commit(record) => Some(record.clone()),
        _ => None,
    });
    records.collect()
}

/// What a storage with these records has of a room that was opened under these epochs before. An epoch is its id and
/// the sequence number at which it began.
fn stored(records: &[Record], before: &[(&str, u64)], present: (&str, u64)) -> Opened {
    let epoch = |(number, (id, begins)): (u64, &(&str, u64))| Epoch { number, id: (*id).into(), begins: *begins };
    let before: Vec<_> = (1..).zip(before).map(epoch).collect();
    let present = epoch((before.len() as u64 + 1, &present));
    let commit = |record: &Record| {
        let mut text = String::new();
        record.encode(&mut text);
        StoredCommit { last: record.number, seq: record.seq, time: 0, records: text + "\n" }
    };
    Opened { epochs: Epochs::new(before, present), snapshot: None, log: records.iter().map(commit).collect() }
}
