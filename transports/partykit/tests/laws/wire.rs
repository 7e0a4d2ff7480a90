//! What holds of every frame and of every room: called by the property tests and by the fuzzer.

use std::collections::BTreeMap;

use roommate::{Cell, Content, Payload};
use roommate_partykit::proto::{ConnectionId, Context, Input, Output, RequestId, Room, RoomConfig, StorageKey, Wire};

const PREFIX: &str = "p";

/// Any text is a frame or is none, and what a frame says outlives being written.
pub(crate) fn hold_for_frame(frame: &str) {
    for wire in [Wire::default(), Wire::new("m:")] {
        if let Some(read) = wire.decode_changes(frame) {
            let again = wire.decode_changes(&wire.encode_changes(&read.value)).expect("what is written can be read");
            assert_eq!((again.value, again.unrepresentable), (read.value, 0), "{frame}");
        }
        let written = match wire.decode_payload(frame).map(|read| read.value) {
            Some(Payload::Changes(changes)) => wire.encode_changes(&changes),
            Some(Payload::Content(content)) => wire.encode_content(&content),
            Some(Payload::Reload) | None => continue,
        };
        let again = wire.decode_payload(&written).expect("what is written can be read");
        assert_eq!(Some(again.value), wire.decode_payload(frame).map(|read| read.value), "{frame}");
        assert_eq!(again.unrepresentable, 0);
    }
}

/// Whatever a room is told, one text a line and the first of them by `PUT`: it does not panic, its storage makes the
/// same room, and whoever listened from the start holds what it holds.
pub(crate) fn hold_for_room(texts: &str) {
    let mut session = Session::new();
    let mut texts = texts.lines();
    session.put(texts.next().unwrap_or_default());
    // Ignored if the first text made a store.
    session.put("[{},{}]");
    assert!(session.room.exists());
    session.heard = session.room.content();
    for (text, author) in texts.zip([1, 2].into_iter().cycle()) {
        let text = format!("s{text}");
        session.take(Input::Message { connection: ConnectionId(author), text: &text });
        session.check();
    }
}

#[derive(Debug)]
struct Session {
    room: Room,
    storage: BTreeMap<String, Cell>,
    heard: Content,
}

impl Session {
    fn new() -> Self {
        let room = Room::new(RoomConfig::new().with_storage_prefix(PREFIX), "e");
        let mut session = Self { room, storage: BTreeMap::new(), heard: Content::new() };
        for connection in 0..3 {
            session.take(Input::Connect { connection: ConnectionId(connection), context: Context::default() });
        }
        session
    }

    fn put(&mut self, body: &str) {
        let mut context = Context::default();
        context.method = "PUT".into();
        context.path = "/store".into();
        self.take(Input::Request { request: RequestId(0), context, body: body.as_bytes() });
    }

    /// Does what the room says, as a host would, with an eye on the order.
    fn take(&mut self, input: Input<'_>) {
        let mut told = false;
        for output in self.room.handle(input) {
            match output {
                Output::Commit(batch) => {
                    assert!(!told, "durable before told");
                    assert!(!batch.is_empty());
                    for key in batch.deletes {
                        self.storage.remove(&key).expect("only what is there is deleted");
                    }
                    for (key, cell) in batch.puts {
                        assert!(StorageKey::decode(PREFIX, &key).is_some(), "{key}");
                        self.storage.insert(key, cell);
                    }
                }
                Output::Send { to, frame } => {
                    told = true;
                    assert!(to.contains(&ConnectionId(0)), "the one who says nothing hears everything");
                    let changes = Wire::default().decode_changes(&frame).expect("a room sends changes");
                    assert_eq!(changes.unrepresentable, 0);
                    self.heard.apply(&changes.value);
                }
                Output::Respond { response, .. } => {
                    told = true;
                    assert!([201, 205, 400].contains(&response.status), "{}", response.status);
                }
                Output::Refuse { .. } | Output::Close { .. } => panic!("nobody is refused here"),
            }
        }
    }

    fn check(&self) {
        let content = self.room.content();
        assert_eq!(content, self.heard);
        let mut pruned = content.clone();
        pruned.prune();
        assert_eq!(content, pruned, "there are no empty rows and tables");
        let restored = Room::restore(RoomConfig::new().with_storage_prefix(PREFIX), "e", self.storage.clone());
        assert_eq!((restored.exists(), restored.content()), (true, content));
    }
}
