//! The task that drives one room.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::body::Bytes;
use roommate_partykit::proto::{
    ConnectionId, Context, DurableRoom, Input, Memory, Output, RequestId, Response, Storage,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::yield_now,
    time::{MissedTickBehavior, interval},
};
use tokio_tungstenite::tungstenite::{Utf8Bytes, protocol::CloseFrame};
use tracing::{debug, warn};

use crate::{
    connection::{Arrival, Connection},
    fanout::{Fanout, Notice},
};

/// What is asked of a room.
#[derive(Debug)]
pub(crate) enum Command {
    /// Let a connection in. The answer is the refusal, if it is one.
    Connect { connection: Arc<Connection>, context: Context, answer: oneshot::Sender<Option<Response>> },
    /// Forget a connection.
    Close { connection: ConnectionId },
    /// Take messages and answers to pings, in order.
    Arrived { connection: ConnectionId, arrivals: Vec<Arrival> },
    /// Answer a request.
    Request { context: Context, body: Bytes, answer: oneshot::Sender<Response> },
}

/// Drives one [`Room`]: hands it what arrives, and does what it says, in order.
#[derive(Debug)]
pub(crate) struct Host {
    room: DurableRoom,
    storage: Memory,
    fanout: Fanout,
    answers: BTreeMap<RequestId, oneshot::Sender<Response>>,
    refusals: BTreeMap<ConnectionId, oneshot::Sender<Option<Response>>>,
    requests: u64,
    /// How many inputs since the last flush.
    handled: usize,
}

/// How much time passes between two of a room's ticks: as much as a page may be busy with something else.
const TICK: Duration = Duration::from_secs(5);

/// How many inputs are handled before what comes of them is sent, and how many bytes that may be by then.
const GATHERED: usize = 64;
const GATHERED_BYTES: usize = 256 << 10;

impl Host {
    pub(crate) fn new(room: DurableRoom, storage: Memory) -> Self {
        Self {
            room,
            storage,
            fanout: Fanout::new(),
            answers: BTreeMap::new(),
            refusals: BTreeMap::new(),
            requests: 0,
            handled: 0,
        }
    }

    /// Runs until nobody can ask for anything any more, or `retire` allows a room with nothing in it to go.
    ///
    /// `released` tells that somebody who could ask has gone. `retire` is told whether nothing waits in the inbox.
    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        released: Arc<Notify>,
        retire: impl Fn(&mpsc::Receiver<Command>) -> bool,
    ) {
        let notices = Arc::clone(self.fanout.notices());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.handled = 0;
            tokio::select! {
                // Ticks before everything: an inbox is never empty while somebody floods it. And what arrived is done before
                // anything is made of somebody's going.
                biased;
                _ = ticks.tick(), if self.room.room().wants_ticks() => self.hand_in(Input::Tick),
                () = notices.arrived() => {}
                command = inbox.recv() => match command {
                    Some(command) => self.take(command),
                    None => return,
                },
                () = released.notified() => {}
            }
            // What has gathered meanwhile goes out in one write for each connection.
            while self.handled < GATHERED && self.fanout.size() < GATHERED_BYTES {
                let Ok(command) = inbox.try_recv() else { break };
                self.take(command);
            }
            self.heed_notices();
            self.fanout.flush().await;
            if self.room.room().is_idle() && retire(&inbox) {
                return;
            }
            if self.handled >= GATHERED {
                // There may be more at once, and others have work as well.
                yield_now().await;
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Connect { connection, context, answer } => {
                let id = connection.id();
                self.fanout.join(connection);
                self.refusals.insert(id, answer);
                self.hand_in(Input::Connect { connection: id, context });
            }
            Command::Close { connection } => {
                self.fanout.leave(connection);
                self.hand_in(Input::Close { connection });
            }
            Command::Arrived { connection, arrivals } => {
                for arrival in arrivals {
                    match arrival {
                        Arrival::Text(text) => self.hand_in(Input::Message { connection, text: &text }),
                        Arrival::Pong(token) => self.hand_in(Input::Pong { connection, token }),
                    }
                }
            }
            Command::Request { context, body, answer } => {
                self.requests += 1;
                let request = RequestId(self.requests);
                self.answers.insert(request, answer);
                self.hand_in(Input::Request { request, context, body: &body });
            }
        }
        // Whoever was not refused is in.
        while let Some((_, answer)) = self.refusals.pop_first() {
            let _gone_meanwhile = answer.send(None);
        }
    }

    fn heed_notices(&mut self) {
        for notice in self.fanout.notices().take() {
            match notice {
                Notice::Behind(connection) => {
                    warn!(connection = connection.0, "reads too slowly");
                    self.hand_in(Input::Behind { connection });
                }
                Notice::CaughtUp(connection) => {
                    self.fanout.resume(connection);
                    self.hand_in(Input::CaughtUp { connection });
                }
            }
        }
    }

    fn hand_in(&mut self, input: Input<'_>) {
        self.handled += 1;
        self.room.handle(input);
        loop {
            while let Some(output) = self.room.poll() {
                self.put_out(output);
            }
            let Some(commit) = self.room.commit(0) else { return };
            if self.storage.commit(&[commit]).iter().all(Result::is_ok) {
                self.room.committed();
            }
        }
    }

    fn put_out(&mut self, output: Output) {
        match output {
            Output::Commit(_) | Output::Edited { .. } => {}
            Output::Snapshot(snapshot) => {
                let snapshot = DurableRoom::encode(self.room.name(), self.room.epoch(), &snapshot);
                let bytes = self.storage.snapshot(&snapshot, u64::MAX).is_ok().then_some(snapshot.text.len());
                self.room.handle(Input::SnapshotEnded { bytes });
            }
            Output::Recall { connection, after, max_bytes } => {
                let commits = self.storage.log(self.room.name(), after, max_bytes).unwrap_or_default();
                self.room.handle(Input::Recalled { connection, commits: &commits });
            }
            Output::Send { to, frame } => self.fanout.send(&to, &Bytes::from_owner(frame)),
            Output::Ping { connection, token } => self.fanout.ping(connection, token),
            Output::Respond { request, response } => {
                if let Some(answer) = self.answers.remove(&request) {
                    let _gone_meanwhile = answer.send(response);
                }
            }
            Output::Refuse { connection, response } => {
                self.fanout.leave(connection);
                if let Some(answer) = self.refusals.remove(&connection) {
                    let _gone_meanwhile = answer.send(Some(response));
                }
            }
            Output::Close { connection, code, reason } => {
                debug!(connection = connection.0, code, reason, "closing");
                self.fanout.close(connection, CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_util::StreamExt;
    use roommate_partykit::proto::{Opened, RoomConfig, RoomName};
    use tokio_tungstenite::tungstenite::Message;

    use super::*;
    use crate::connection::testing::{AMPLE, connect};

    #[tokio::test]
    async fn r8_whoever_floods_a_room_does_not_hold_up_its_ticks() {
        let (ask, inbox) = mpsc::channel(1024);
        let (author, reader) = (ConnectionId(1), ConnectionId(2));
        let (connection, received) = connect(reader, AMPLE, 1 << 20).await;
        for connection in [Connection::new(author, AMPLE), Arc::clone(&connection)] {
            let (answer, _) = oneshot::channel();
            ask.try_send(Command::Connect { connection, context: Context::default(), answer }).unwrap();
        }
        let mut context = Context::default();
        (context.method, context.path) = ("PUT".to_owned(), "/party/r/store".to_owned());
        let (answer, _) = oneshot::channel();
        ask.try_send(Command::Request { context, body: "[{},{}]".into(), answer }).unwrap();
        let arrived =
            |connection, arrival| ask.try_send(Command::Arrived { connection, arrivals: vec![arrival] }).unwrap();
        let say = |text: &'static str| arrived(author, Arrival::Text(Utf8Bytes::from_static(text)));
        // The answers to what it was asked on connecting.
        (0..10).for_each(|token| arrived(reader, Arrival::Pong(token)));
        say(r#"s[{},{"v":1},1]"#);
        (0..500).for_each(|_| say("flood"));
        say(r#"s[{},{"v":2},1]"#);
        drop(ask);
        let room = DurableRoom::open(RoomConfig::new(), RoomName::main("r"), Opened::new("e")).unwrap();
        Host::new(room, Memory::new()).run(inbox, Arc::default(), |_| false).await;
        // An empty close frame.
        connection.finish(&[0x88, 0][..]);
        connection.drained().await.unwrap();
        let told: Vec<Message> =
            received.map(Result::unwrap).take_while(|message| ready(!message.is_close())).collect().await;
        let told_of = |what: &str| {
            let is_that = |frame: &Message| matches!(frame, Message::Text(text) if text.contains(what));
            told.iter().position(is_that).expect("it is told every change")
        };
        let between = told_of("\"v\":1")..told_of("\"v\":2");
        assert!(told[between].iter().any(Message::is_ping), "no tick asked meanwhile what had arrived: {told:?}");
    }
}
