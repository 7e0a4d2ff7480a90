//! The task that drives one room.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Utf8Bytes},
};
use roommate_partykit::proto::{
    Audience, ConnectionId, Context, DurableRoom, Input, Memory, Output, RequestId, Response, Storage,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, warn};

use crate::connection::{Frame, Outbox};

/// What is asked of a room.
#[derive(Debug)]
pub(crate) enum Command {
    /// Let a connection in. The answer is the refusal, if it is one.
    Connect { connection: ConnectionId, context: Context, outbox: Outbox, answer: oneshot::Sender<Option<Response>> },
    /// Forget a connection.
    Close { connection: ConnectionId },
    /// Go on with a connection that has read what was queued for it when its queue was full.
    CaughtUp { connection: ConnectionId },
    /// Take a message.
    Message { connection: ConnectionId, text: Utf8Bytes },
    /// Take the answer to a ping.
    Pong { connection: ConnectionId, token: u64 },
    /// Answer a request.
    Request { context: Context, body: Bytes, answer: oneshot::Sender<Response> },
}

/// Drives one [`Room`]: hands it what arrives, and does what it says, in order.
#[derive(Debug)]
pub(crate) struct Host {
    room: DurableRoom,
    storage: Memory,
    outboxes: HashMap<ConnectionId, Outbox>,
    answers: BTreeMap<RequestId, oneshot::Sender<Response>>,
    refusals: BTreeMap<ConnectionId, oneshot::Sender<Option<Response>>>,
    requests: u64,
}

/// How much time passes between two of a room's ticks: as much as a page may be busy with something else.
const TICK: Duration = Duration::from_secs(5);

impl Host {
    pub(crate) fn new(room: DurableRoom, storage: Memory) -> Self {
        Self {
            room,
            storage,
            outboxes: HashMap::new(),
            answers: BTreeMap::new(),
            refusals: BTreeMap::new(),
            requests: 0,
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
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // Ticks before everything: an inbox is never empty while somebody floods it. And what arrived is done before
                // anything is made of somebody's going.
                biased;
                _ = ticks.tick(), if self.room.room().wants_ticks() => self.hand_in(Input::Tick),
                command = inbox.recv() => match command {
                    Some(command) => self.take(command),
                    None => return,
                },
                () = released.notified() => {}
            }
            if self.room.room().is_idle() && retire(&inbox) {
                return;
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Connect { connection, context, outbox, answer } => {
                self.outboxes.insert(connection, outbox);
                self.refusals.insert(connection, answer);
                self.hand_in(Input::Connect { connection, context });
            }
            Command::Close { connection } => {
                self.outboxes.remove(&connection);
                self.hand_in(Input::Close { connection });
            }
            Command::CaughtUp { connection } => {
                if let Some(outbox) = self.outboxes.get_mut(&connection) {
                    outbox.resume();
                }
                self.hand_in(Input::CaughtUp { connection });
            }
            Command::Message { connection, text } => self.hand_in(Input::Message { connection, text: &text }),
            Command::Pong { connection, token } => self.hand_in(Input::Pong { connection, token }),
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

    fn hand_in(&mut self, input: Input<'_>) {
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
            Output::Send { to, frame } => self.send(&to, &Frame::Text(frame.as_str().into())),
            Output::Ping { connection, token } => self.send(&Audience::One(connection), &Frame::Ping(token)),
            Output::Respond { request, response } => {
                if let Some(answer) = self.answers.remove(&request) {
                    let _gone_meanwhile = answer.send(response);
                }
            }
            Output::Refuse { connection, response } => {
                self.outboxes.remove(&connection);
                if let Some(answer) = self.refusals.remove(&connection) {
                    let _gone_meanwhile = answer.send(Some(response));
                }
            }
            Output::Close { connection, code, reason } => {
                debug!(connection = connection.0, code, reason, "closing");
                if let Some(outbox) = self.outboxes.remove(&connection) {
                    outbox.close(CloseFrame { code, reason: Utf8Bytes::from_static(reason) });
                }
            }
        }
    }

    /// Queues one frame, which all its readers share.
    fn send(&mut self, to: &Audience, frame: &Frame) {
        for connection in to.iter() {
            if self.outboxes.get_mut(&connection).is_none_or(|outbox| outbox.push(frame.clone())) {
                continue;
            }
            warn!(connection = connection.0, "reads too slowly");
            self.room.handle(Input::Behind { connection });
        }
    }
}

#[cfg(test)]
mod tests {
    use roommate_partykit::proto::{Opened, RoomConfig, RoomName};

    use super::*;
    use crate::{config::ServerConfig, connection};

    /// `true` for a ping, `false` for a text.
    fn is_ping(frame: &Frame) -> bool {
        matches!(frame, Frame::Ping(_))
    }

    #[tokio::test]
    async fn r8_whoever_floods_a_room_does_not_hold_up_its_ticks() {
        let (ask, inbox) = mpsc::channel(1024);
        let (author, reader) = (ConnectionId(1), ConnectionId(2));
        let mut mailboxes = Vec::new();
        for connection in [author, reader] {
            let (outbox, mailbox) = connection::queue(&ServerConfig::new());
            let (answer, _) = oneshot::channel();
            let connect = Command::Connect { connection, context: Context::default(), outbox, answer };
            ask.try_send(connect).unwrap();
            mailboxes.push(mailbox);
        }
        let mut context = Context::default();
        (context.method, context.path) = ("PUT".to_owned(), "/party/r/store".to_owned());
        let (answer, _) = oneshot::channel();
        ask.try_send(Command::Request { context, body: "[{},{}]".into(), answer }).unwrap();
        let say = |text: &'static str| {
            ask.try_send(Command::Message { connection: author, text: Utf8Bytes::from_static(text) }).unwrap();
        };
        // The answers to what it was asked on connecting.
        (0..10).for_each(|token| ask.try_send(Command::Pong { connection: reader, token }).unwrap());
        say(r#"s[{},{"v":1},1]"#);
        (0..500).for_each(|_| say("flood"));
        say(r#"s[{},{"v":2},1]"#);
        drop(ask);
        let name = RoomName::main("r");
        let room = DurableRoom::open(RoomConfig::new(), name, Opened::new("e")).unwrap();
        Host::new(room, Memory::new()).run(inbox, Arc::default(), |_| false).await;
        let mut told = Vec::new();
        while let Ok(frame) = mailboxes[1].frames.try_recv() {
            told.push(frame);
        }
        let told_of = |what: &str| {
            let is_that = |frame: &Frame| matches!(frame, Frame::Text(text) if text.contains(what));
            told.iter().position(is_that).expect("it is told every change")
        };
        let between = told_of("\"v\":1")..told_of("\"v\":2");
        assert!(told[between].iter().any(is_ping), "no tick asked meanwhile what had arrived: {told:?}");
    }
}
