//! What holds of every frame and of every room: called by the property tests and by the fuzzer.

use roommate::{Content, Payload};
use roommate_partykit_proto::{
    ClientMessage, Commit, ConnectionId, Context, Dialect, Entry, Epoch, Input, Join, Memory, Opened, Output,
    RequestId, Room, RoomConfig, RoomName, ServerMessage, Storage, Wire,
};

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
    for dialect in [Dialect::default(), Dialect::new("m:")] {
        if let Some(Ok(read)) = dialect.decode_client(frame) {
            let again =
                dialect.decode_client(&dialect.encode_client(&read.value)).expect("a frame").expect("well-formed");
            assert_eq!((again.value, again.unrepresentable), (read.value, 0), "{frame}");
        }
        if let Some(Ok(read)) = dialect.decode_server(frame) {
            let again =
                dialect.decode_server(&dialect.encode_server(&read.value)).expect("a frame").expect("well-formed");
            assert_eq!((again.value, again.unrepresentable), (read.value, 0), "{frame}");
        }
    }
}

/// Whatever a room is told, one text a line and the first of them by `PUT`: it does not panic, its storage makes the
/// same room, and whoever listened from the start, in either dialect, holds what it holds.
pub(crate) fn hold_for_room(texts: &str) {
    let mut session = Session::new();
    let mut texts = texts.lines();
    session.put(texts.next().unwrap_or_default());
    // Ignored if the first text made a store.
    session.put("[{},{}]");
    assert!(session.room.exists());
    session.heard = session.room.content().clone();
    for (text, author) in texts.zip([1, 2, AUTHOR.0, STRANGER.0].into_iter().cycle()) {
        session.say(ConnectionId(author), text);
        session.check();
    }
}

/// One who hears everything in the extended dialect and says nothing.
const LISTENER: ConnectionId = ConnectionId(3);
/// One who asks for changes in it.
const AUTHOR: ConnectionId = ConnectionId(4);
/// One who asked for it, and says anything.
const STRANGER: ConnectionId = ConnectionId(5);

#[derive(Debug)]
struct Session {
    room: Room,
    storage: Memory,
    epoch: Epoch,
    heard: Content,
    /// What the listener has made of the entries.
    entered: Option<Content>,
    seq: u64,
    changes: u64,
}

impl Session {
    fn new() -> Self {
        let room = Room::new(RoomConfig::new().with_cures(false), "e");
        let (storage, heard) = (Memory::new(), Content::new());
        let epoch = Opened::new("e").epochs.present().clone();
        let mut session = Self { room, storage, epoch, heard, entered: None, seq: 0, changes: 0 };
        for connection in 0..3 {
            session.take(Input::Connect { connection: ConnectionId(connection), context: Context::default() });
        }
        for connection in [LISTENER, AUTHOR, STRANGER] {
            session.connect(connection);
        }
        session
    }

    fn connect(&mut self, connection: ConnectionId) {
        let mut context = Context::default();
        context.query = "roommate=1".into();
        self.take(Input::Connect { connection, context });
        let join = Join { client: connection.0.to_string().into(), at: None, decided: 0 };
        self.send(connection, &Dialect::default().encode_client(&ClientMessage::Join(join)));
    }

    fn say(&mut self, author: ConnectionId, text: &str) {
        match author {
            AUTHOR => {
                self.changes += 1;
                self.send(AUTHOR, &format!("r[\"change\",{},{text}]", self.changes));
            }
            STRANGER => self.send(STRANGER, &format!("r{text}")),
            author => self.send(author, &format!("s{text}")),
        }
    }

    fn send(&mut self, connection: ConnectionId, text: &str) {
        self.take(Input::Message { connection, text });
    }

    fn put(&mut self, body: &str) {
        let mut context = Context::default();
        context.method = "PUT".into();
        context.path = "/store".into();
        self.take(Input::Request { request: RequestId(0), context, body: body.as_bytes() });
    }

    /// Does what the room says, as a host would, with an eye on the order.
    fn take(&mut self, input: Input<'_>) {
        let (mut told, mut closed) = (false, Vec::new());
        for output in self.room.handle(input) {
            match output {
                Output::Commit(record) => {
                    assert!(!told, "durable before it is sent");
                    let (room, epoch) = (RoomName::main("r"), self.epoch.clone());
                    let commit = Commit { room, epoch, time: 0, records: vec![record] };
                    self.storage.commit(&[commit]).remove(0).expect("what follows is stored");
                }
                Output::Snapshot(_) => {}
                Output::Edited { .. } | Output::Read { .. } | Output::Recall { .. } => panic!("nobody asked for that"),
                Output::Send { to, frame } => {
                    told = true;
                    self.hear(&to.iter().collect::<Vec<_>>(), &frame);
                }
                Output::Respond { response, .. } => {
                    told = true;
                    assert!([201, 205, 400].contains(&response.status), "{}", response.status);
                }
                Output::Ping { .. } => panic!("nobody is set right here"),
                Output::Close { connection, code, .. } => {
                    assert!([AUTHOR, STRANGER].contains(&connection), "{connection:?}");
                    assert_eq!(code, 4400);
                    closed.push(connection);
                }
            }
        }
        for connection in closed {
            self.connect(connection);
        }
    }

    fn hear(&mut self, to: &[ConnectionId], frame: &str) {
        let dialect = Dialect::default().decode_server(frame).map(|read| read.expect("a room sends what can be read"));
        let Some(message) = dialect else {
            assert!(to.contains(&ConnectionId(0)), "the one who says nothing hears everything");
            assert!(!to.contains(&LISTENER) && !to.contains(&AUTHOR) && !to.contains(&STRANGER));
            let changes = Wire::default().decode_changes(frame).expect("a room sends changes");
            assert_eq!(changes.unrepresentable, 0);
            self.heard.apply(&changes.value);
            return;
        };
        assert_eq!(message.unrepresentable, 0);
        match message.value {
            ServerMessage::Entry(Entry::Accepted { .. }) => assert!(!to.contains(&LISTENER)),
            ServerMessage::Entry(entry) => {
                assert!(to.contains(&LISTENER));
                self.seq += 1;
                assert_eq!(entry.seq(), self.seq);
                match entry {
                    Entry::Changed { changes, .. } => self.entered.as_mut().expect("a store").apply(&changes),
                    Entry::Created { content, .. } => self.entered = Some(content),
                    Entry::Accepted { .. } => {}
                }
            }
            ServerMessage::Snapshot { standing, content, .. } => {
                assert_eq!(content, self.room.exists().then(|| self.room.content().clone()));
                if to.contains(&LISTENER) {
                    (self.seq, self.entered) = (standing.position.seq, content);
                }
            }
            ServerMessage::Resumed { .. } => {}
        }
    }

    fn check(&mut self) {
        let content = self.room.content().clone();
        assert_eq!(content, self.heard);
        assert_eq!(Some(&content), self.entered.as_ref());
        let mut pruned = content.clone();
        pruned.prune();
        assert_eq!(content, pruned, "there are no empty rows and tables");
        let opened = self.storage.open(&RoomName::main("r"), "e", 0).expect("memory");
        // This room goes on all the same: the one that is opened here is only looked at.
        self.epoch = opened.epochs.present().clone();
        let again = Room::open(RoomConfig::new(), opened).expect("what was stored can be read");
        assert_eq!((again.exists(), again.content()), (true, &content));
    }
}
