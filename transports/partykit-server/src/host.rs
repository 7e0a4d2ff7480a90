//! The task that drives one room.

use std::{
    collections::HashMap,
    mem,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::body::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use roommate::{Changes, Content, Error, ErrorKind, Result};
use roommate_partykit_proto::{
    Commit, ConnectionId, Context, DurableRoom, Edit, Input, Output, Record, RequestId, Response, StoredCommit,
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{mpsc, oneshot},
    task::{JoinHandle, block_in_place, yield_now},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_tungstenite::tungstenite::{Utf8Bytes, protocol::CloseFrame};
use tracing::{debug, error, warn};

use crate::{
    connection::{Arrival, Connection},
    events::RoomEvent,
    fanout::{Fanout, Notice},
    room::feed::FeedSender,
    rooms::Place,
};

/// A command to a room.
#[derive(Debug)]
pub(crate) enum Command {
    /// Let a connection in. The policy has allowed it. The answer is the reason why the room did not let it in, if the
    /// room is not available.
    Connect { connection: Arc<Connection>, context: Context, answer: oneshot::Sender<Option<Response>> },
    /// Forget a connection.
    Close { connection: ConnectionId },
    /// Handle messages and pongs, in order.
    Arrived { connection: ConnectionId, arrivals: Vec<Arrival> },
    /// Answer a request. The policy has allowed it.
    Request { context: Context, body: Bytes, answer: oneshot::Sender<Response> },
    /// Edit the content, without asking the policy.
    Edit { author: Author, edit: HostEdit, answer: oneshot::Sender<Result<Edited>> },
    /// Return the content.
    Read { answer: oneshot::Sender<Result<Reading>> },
    /// Return the content, and then send each record to the feed as soon as it is stored.
    Watch { feed: FeedSender, answer: oneshot::Sender<Result<Reading>> },
    /// Store everything, close all connections, and end.
    End { answer: oneshot::Sender<()> },
}

/// The author of an edit by the program: a name, and the number of the edit if it has to take effect exactly once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Author {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) change: Option<u64>,
}

/// An edit by the program: an [`Edit`] that owns its data.
#[derive(Debug)]
pub(crate) enum HostEdit {
    Apply(Changes),
    Update(Changes),
    Replace(Content),
    Create(Content),
}

/// The outcome of an edit: the room's sequence number after it, and whether it has a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edited {
    pub(crate) seq: u64,
    pub(crate) is_recorded: bool,
}

/// A room's content; `None` while it has no store.
pub(crate) type Reading = Option<Content>;

/// Drives one [`DurableRoom`]: passes inputs to it, stores its records, and carries out its other outputs.
#[derive(Debug)]
pub(crate) struct Host {
    room: DurableRoom,
    place: Place,
    fanout: Fanout,
    /// The receivers of the answers to requests, edits and readings.
    waiting: HashMap<RequestId, Waiting>,
    feeds: Vec<FeedSender>,
    /// The outcome of the commit that is in flight.
    commit: Option<oneshot::Receiver<Result<()>>>,
    /// Whether this task may block its thread.
    may_block: bool,
    /// Tasks of the storage other than commits.
    jobs: FuturesUnordered<JoinHandle<Done>>,
    requests: u64,
    /// How many inputs were handled since the last flush.
    handled: usize,
}

#[derive(Debug)]
enum Waiting {
    Request(oneshot::Sender<Response>),
    Edit(oneshot::Sender<Result<Edited>>),
    Read(oneshot::Sender<Result<Reading>>),
    Watch(FeedSender, oneshot::Sender<Result<Reading>>),
}

/// The result of a task of the storage.
#[derive(Debug)]
enum Done {
    Snapshot(Option<usize>),
    Recall(ConnectionId, Vec<StoredCommit>),
}

/// Why a room's task ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The room is not in use, so no command can arrive.
    Unused,
    /// The program closes the room.
    Closed(oneshot::Sender<()>),
    /// Something could not be stored.
    Failed(Error),
}

/// The time between two ticks of a room: as long as a page may be busy with something else.
const TICK: Duration = Duration::from_secs(5);

/// How many inputs are handled before their outputs are sent, and how many bytes the outputs may have by then.
const GATHERED: usize = 64;
const GATHERED_BYTES: usize = 256 << 10;

/// The largest commit, in records and bytes, that the room stores itself: handing it to the writer's thread would take
/// longer.
const ALONE: usize = 2;
const ALONE_BYTES: usize = 8 << 10;

/// How many outputs, and bytes of records, may wait for the storage before the inbox is no longer read.
const HELD: usize = 16 * 1024;
const HELD_BYTES: usize = 8 << 20;

/// The close frame for connections of a room that could not be stored, or that the program closes.
const RESTARTING: CloseFrame = CloseFrame {
    code: tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode::Restart,
    reason: Utf8Bytes::from_static("the room is opened again"),
};

impl Host {
    pub(crate) fn new(room: DurableRoom, place: Place) -> Self {
        Self {
            room,
            place,
            fanout: Fanout::new(),
            waiting: HashMap::new(),
            feeds: Vec::new(),
            commit: None,
            may_block: may_block(),
            jobs: FuturesUnordered::new(),
            requests: 0,
            handled: 0,
        }
    }

    /// Runs until the room is not needed any more, or cannot continue.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let ending = self.serve(&mut inbox).await;
        // From here on no command reaches this task: the next request opens the room again.
        self.place.leave();
        let (why, answer) = match ending {
            Ending::Unused => {
                debug!(room = %self.room.name(), "closed");
                (None, None)
            }
            Ending::Closed(answer) => (None, Some(answer)),
            Ending::Failed(why) => {
                error!(room = %self.room.name(), %why, "cannot store the room, and closes its connections");
                (Some(why), None)
            }
        };
        self.fanout.close_all(&RESTARTING);
        let why = why.unwrap_or_else(|| Error::new(ErrorKind::Unavailable, "the room was closed: try again"));
        let unavailable = self.place.unavailable();
        for waiting in mem::take(&mut self.waiting).into_values() {
            waiting.fail(&why, &unavailable);
        }
        refuse_all(&mut inbox, &why, &unavailable);
        if let Some(answer) = answer {
            let _gone_meanwhile = answer.send(());
        }
    }

    async fn serve(&mut self, inbox: &mut mpsc::Receiver<Command>) -> Ending {
        let notices = Arc::clone(self.fanout.notices());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut closing = None;
        let mut unused_since = None;
        loop {
            self.handled = 0;
            let is_idle = self.is_idle();
            let unused_until = match (is_idle, unused_since) {
                (false, _) => {
                    unused_since = None;
                    None
                }
                (true, since) => Some(*unused_since.insert(since.unwrap_or_else(Instant::now)) + self.patience()),
            };
            tokio::select! {
                // What is stored comes first, since other tasks wait for it. Ticks come before the inbox, because a
                // flooded inbox is never empty.
                biased;
                outcome = outcome(&mut self.commit) => match outcome {
                    Ok(()) => self.room.committed(),
                    Err(why) => return Ending::Failed(why),
                },
                _ = ticks.tick(), if self.room.room().wants_ticks() => self.hand_in(Input::Tick),
                Some(done) = self.jobs.next(), if !self.jobs.is_empty() => self.done(done),
                () = notices.arrived() => {}
                command = inbox.recv(), if closing.is_none() && !self.is_full() => match command {
                    Some(Command::End { answer }) => closing = Some(answer),
                    Some(command) => self.take(command),
                    None => closing = Some(oneshot::channel().0),
                },
                () = self.place.unused(unused_until), if unused_until.is_some() => {
                    if self.place.retire(inbox) {
                        return Ending::Unused;
                    }
                    unused_since = None;
                }
            }
            // What has gathered meanwhile becomes one commit, and one write for each connection.
            while closing.is_none() && self.may_gather() {
                match inbox.try_recv() {
                    Ok(Command::End { answer }) => closing = Some(answer),
                    Ok(command) => self.take(command),
                    Err(_) => break,
                }
            }
            self.heed_notices();
            let alone = self.go_on(inbox.is_empty());
            self.fanout.flush().await;
            if let Some(commit) = alone
                && let Err(why) = self.commit_alone(commit).await
            {
                return Ending::Failed(why);
            }
            if self.room.is_settled()
                && let Some(answer) = closing.take()
            {
                return Ending::Closed(answer);
            }
            if self.handled >= GATHERED {
                // More inputs may be ready, and other tasks have work as well.
                yield_now().await;
            }
        }
    }

    /// Whether the room is not in use, and nothing of it is pending.
    fn is_idle(&self) -> bool {
        self.room.room().is_idle() && self.room.is_settled() && self.jobs.is_empty()
    }

    /// How long the room stays open while it is not in use.
    fn patience(&self) -> Duration {
        // A room of which nothing is stored costs nothing to open again.
        if self.room.room().number() == 0 { Duration::ZERO } else { self.place.config().evict_after }
    }

    /// Whether to handle more inputs before their outputs are sent. Outputs whose records are stored already are not
    /// delayed.
    fn may_gather(&self) -> bool {
        let is_answered = self.commit.as_ref().is_some_and(|outcome| !outcome.is_empty());
        self.handled < GATHERED && self.fanout.size() < GATHERED_BYTES && !is_answered && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.room.held() >= HELD || self.room.gathered_bytes() >= HELD_BYTES
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Connect { connection, context, answer } => {
                let id = connection.id();
                self.fanout.join(connection);
                self.hand_in(Input::Connect { connection: id, context });
                let _gone_meanwhile = answer.send(None);
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
                let request = self.wait(Waiting::Request(answer));
                self.hand_in(Input::Request { request, context, body: &body });
            }
            Command::Edit { author, edit, answer } => {
                let request = self.wait(Waiting::Edit(answer));
                let edit = match &edit {
                    HostEdit::Apply(changes) => Edit::Apply(changes),
                    HostEdit::Update(changes) => Edit::Update(changes),
                    HostEdit::Replace(content) => Edit::Replace(content),
                    HostEdit::Create(content) => Edit::Create(content),
                };
                let Author { name: author, change } = author;
                self.hand_in(Input::Edit { request, author, change, edit });
            }
            Command::Read { answer } => {
                let request = self.wait(Waiting::Read(answer));
                self.hand_in(Input::Read { request });
            }
            Command::Watch { feed, answer } => {
                let request = self.wait(Waiting::Watch(feed, answer));
                self.hand_in(Input::Read { request });
            }
            // The code that reads the inbox handles this command itself.
            Command::End { .. } => {}
        }
    }

    fn wait(&mut self, waiting: Waiting) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.waiting.insert(request, waiting);
        request
    }

    fn heed_notices(&mut self) {
        for notice in self.fanout.notices().take() {
            match notice {
                Notice::Behind(connection) => {
                    warn!(room = %self.room.name(), connection = connection.0, "reads too slowly");
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
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Snapshot(bytes)) => self.hand_in(Input::SnapshotEnded { bytes }),
            Ok(Done::Recall(connection, commits)) => self.hand_in(Input::Recalled { connection, commits: &commits }),
            // The thread panicked, or the runtime is ending.
            Err(why) => {
                error!(room = %self.room.name(), %why, "a thread of the storage ended");
                self.hand_in(Input::SnapshotEnded { bytes: None });
            }
        }
    }

    /// Carries out the outputs that are ready, and hands the next commit to the storage. If the commit is small and
    /// nothing else is pending, returns it instead.
    fn go_on(&mut self, may_be_alone: bool) -> Option<Commit> {
        while let Some(output) = self.room.poll() {
            self.put_out(output);
        }
        let commit = self.room.commit(now())?;
        let is_small =
            commit.records.len() <= ALONE && commit.records.iter().map(Record::size).sum::<usize>() <= ALONE_BYTES;
        if may_be_alone && self.may_block && is_small {
            return Some(commit);
        }
        self.commit = Some(self.place.writer().commit(commit));
        None
    }

    /// Stores a commit on this thread, if no other room's commit is being stored.
    async fn commit_alone(&mut self, commit: Commit) -> Result<()> {
        match block_in_place(|| self.place.writer().commit_alone(commit)) {
            Ok(outcome) => outcome?,
            Err(commit) => {
                self.commit = Some(self.place.writer().commit(commit));
                return Ok(());
            }
        }
        self.room.committed();
        // No input has come in meanwhile that could make another commit.
        self.go_on(false);
        self.fanout.flush().await;
        Ok(())
    }

    fn put_out(&mut self, output: Output) {
        match output {
            Output::Commit(record) => self.stored(record),
            Output::Snapshot(snapshot) => {
                let (storage, name, epoch) =
                    (Arc::clone(self.place.storage()), self.room.name().clone(), self.room.epoch().clone());
                let keep_since = self.place.config().keep_since(now());
                self.jobs.push(tokio::task::spawn_blocking(move || {
                    let snapshot = DurableRoom::encode(&name, &epoch, &snapshot);
                    let stored = storage.snapshot(&snapshot, keep_since);
                    // The log still has everything.
                    let stored = stored.inspect_err(|why| warn!(room = %name, %why, "cannot store a snapshot"));
                    Done::Snapshot(stored.is_ok().then_some(snapshot.text.len()))
                }));
            }
            Output::Recall { connection, after, max_bytes } => {
                let (storage, name) = (Arc::clone(self.place.storage()), self.room.name().clone());
                self.jobs.push(tokio::task::spawn_blocking(move || {
                    let read = storage.log(&name, after, max_bytes);
                    let read = read.inspect_err(|why| warn!(room = %name, %why, "cannot read the log"));
                    Done::Recall(connection, read.unwrap_or_default())
                }));
            }
            Output::Send { to, frame } => self.fanout.send(&to, &Bytes::from_owner(frame)),
            Output::Ping { connection, token } => self.fanout.ping(connection, token),
            Output::Respond { request, response } => {
                if let Some(Waiting::Request(answer)) = self.waiting.remove(&request) {
                    let _gone_meanwhile = answer.send(response);
                }
            }
            Output::Edited { request, seq, is_recorded } => {
                if let Some(Waiting::Edit(answer)) = self.waiting.remove(&request) {
                    let _gone_meanwhile = answer.send(Ok(Edited { seq, is_recorded }));
                }
            }
            Output::Read { request, content, .. } => match self.waiting.remove(&request) {
                Some(Waiting::Read(answer)) => drop(answer.send(Ok(content))),
                Some(Waiting::Watch(feed, answer)) => {
                    // A feed that is gone by now is dropped with the next record.
                    self.feeds.push(feed);
                    let _gone_meanwhile = answer.send(Ok(content));
                }
                _ => {}
            },
            Output::Close { connection, code, reason } => {
                debug!(connection = connection.0, code, reason, "closing");
                self.fanout.close(connection, CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) });
            }
        }
    }

    /// Sends a stored record to the feeds in this process.
    fn stored(&mut self, record: Record) {
        if self.place.has_subscribers() {
            self.place.notify(RoomEvent::Changed { room: self.room.name().clone(), seq: record.seq });
        }
        self.feeds.retain(|feed| feed.send(record.clone()));
    }
}

/// Whether a task may block its thread: only if tokio can move the other tasks to another thread.
fn may_block() -> bool {
    let runtime = Handle::current();
    runtime.runtime_flavor() == RuntimeFlavor::MultiThread && runtime.metrics().num_workers() > 1
}

/// Answers everything that waits for a room that is not available.
pub(crate) fn refuse_all(inbox: &mut mpsc::Receiver<Command>, why: &Error, response: &Response) {
    inbox.close();
    while let Ok(command) = inbox.try_recv() {
        match command {
            Command::Close { .. } | Command::Arrived { .. } => {}
            Command::Connect { answer, .. } => drop(answer.send(Some(response.clone()))),
            Command::Request { answer, .. } => drop(answer.send(response.clone())),
            Command::Edit { answer, .. } => drop(answer.send(Err(why.clone()))),
            Command::Read { answer } | Command::Watch { answer, .. } => drop(answer.send(Err(why.clone()))),
            Command::End { answer } => drop(answer.send(())),
        }
    }
}

impl Waiting {
    fn fail(self, why: &Error, response: &Response) {
        match self {
            Self::Request(answer) => drop(answer.send(response.clone())),
            Self::Edit(answer) => drop(answer.send(Err(why.clone()))),
            Self::Read(answer) | Self::Watch(_, answer) => drop(answer.send(Err(why.clone()))),
        }
    }
}

/// The outcome of a commit, once there is one.
async fn outcome(commit: &mut Option<oneshot::Receiver<Result<()>>>) -> Result<()> {
    let Some(receiver) = commit else { return std::future::pending().await };
    let outcome = receiver.await;
    *commit = None;
    outcome.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, "the storage has ended")))
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_util::StreamExt;
    use roommate_partykit_proto::{Opened, RoomConfig, RoomName};
    use tokio_tungstenite::tungstenite::Message;

    use super::*;
    use crate::{
        config::ServerConfig,
        connection::testing::{AMPLE, connect},
        rooms::Rooms,
    };

    #[tokio::test]
    async fn r8_whoever_floods_a_room_does_not_hold_up_its_ticks() {
        // The clock of ticks advances in milliseconds, so the flood has to last for some.
        let flood = 20_000;
        let (ask, inbox) = mpsc::channel(flood + 100);
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
        // The pongs to the pings that the room sent when it connected.
        (0..10).for_each(|token| arrived(reader, Arrival::Pong(token)));
        say(r#"s[{},{"v":1},1]"#);
        (0..flood).for_each(|_| say("flood"));
        say(r#"s[{},{"v":2},1]"#);
        drop(ask);
        let name = RoomName::main("r");
        let room = DurableRoom::open(RoomConfig::new(), name.clone(), Opened::new("e")).unwrap();
        let rooms = Rooms::new(ServerConfig::new()).unwrap();
        Host::new(room, rooms.place_apart(name)).run(inbox).await;
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
