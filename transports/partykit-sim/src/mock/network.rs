//! The room, and channels to it and from it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use futures_channel::oneshot;
use futures_util::FutureExt;
use roommate::Content;

use crate::proto::{
    CheckId, ConnectionId, Context, Decoder, DurableRoom, Input, Memory, Opened, Output, RequestId, Response,
    RoomConfig, RoomName, SharedStr, Side, Storage,
};

/// A queue of messages that wait to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// From a connection's client to the room.
    Up(ConnectionId),
    /// From the room to a connection's client.
    Down(ConnectionId),
    /// A request that has not reached the room yet.
    Request(RequestId),
    /// The response to a request.
    Answer(RequestId),
}

/// A client's number, and which of its connections.
pub(super) type End = (usize, Side);

/// A message or event that arrives at a client.
#[derive(Debug)]
pub(super) enum Arrival {
    Opened(Side),
    Refused(Side, Response),
    Closed(Side, u16),
    Frame(Side, SharedStr),
    Pong(CheckId),
    Answer(Answering, Response),
}

/// What waits for the response to a request.
#[derive(Debug)]
pub(super) enum Answering {
    Call(oneshot::Sender<Option<Response>>),
    Check(CheckId),
}

#[derive(Debug)]
enum Up {
    Connect,
    Frame(Arc<str>),
    Ping(CheckId),
    Pong(u64),
    Close,
}

#[derive(Debug)]
enum Down {
    Opened,
    Refused(Response),
    Frame(SharedStr),
    Ping(u64),
    Pong(CheckId),
    Closed(u16),
}

/// Sent messages, each with its number in the order of all sent messages.
type Queue<T> = VecDeque<(u64, T)>;

#[derive(Debug)]
struct Connection {
    /// The client's end of the connection; `None` once it is cut.
    end: Option<End>,
    up: Queue<Up>,
    down: Queue<Down>,
    frozen: bool,
}

#[derive(Debug)]
struct Request {
    number: usize,
    sent: u64,
    stage: Stage,
    answering: Answering,
}

#[derive(Debug)]
enum Stage {
    Asked { method: &'static str, body: String },
    Answered(Response),
}

#[derive(Debug)]
pub(super) struct Network {
    config: RoomConfig,
    room: DurableRoom,
    storage: Memory,
    connections: BTreeMap<ConnectionId, Connection>,
    requests: BTreeMap<RequestId, Request>,
    /// The last number that was assigned.
    last: u64,
}

impl Network {
    pub(super) fn new(config: RoomConfig) -> Self {
        let storage = Memory::new();
        Self {
            room: open(&config, &storage, "0"),
            config,
            storage,
            connections: BTreeMap::new(),
            requests: BTreeMap::new(),
            last: 0,
        }
    }

    pub(super) fn decoder(&self) -> Decoder {
        Decoder::new(self.config.message_prefix())
    }

    pub(super) fn content(&self) -> Option<Content> {
        let room = self.room.room();
        room.exists().then(|| room.content().clone())
    }

    pub(super) fn connections(&self) -> Vec<ConnectionId> {
        self.room.room().connections().map(|(connection, _)| connection).collect()
    }

    /// Begins to connect, unless there is a connection.
    pub(super) fn connect(&mut self, end: End) {
        if self.connection(end).is_none() {
            let (id, sent) = (ConnectionId(self.next()), self.next());
            let up = VecDeque::from([(sent, Up::Connect)]);
            self.connections.insert(id, Connection { end: Some(end), up, down: VecDeque::new(), frozen: false });
        }
    }

    pub(super) fn send(&mut self, end: End, frame: Arc<str>) {
        self.send_up(end, Up::Frame(frame));
    }

    pub(super) fn ping(&mut self, end: End, check: CheckId) {
        self.send_up(end, Up::Ping(check));
    }

    pub(super) fn freeze(&mut self, end: End) {
        if let Some(id) = self.connection(end)
            && let Some(connection) = self.connections.get_mut(&id)
        {
            connection.frozen = true;
        }
    }

    /// Ends a connection on the client's side. If `arrives`, the room still receives the messages in flight to it.
    pub(super) fn cut(&mut self, end: End, arrives: bool) {
        let (id, sent) = (self.connection(end), self.next());
        let Some(connection) = id.and_then(|id| self.connections.get_mut(&id)) else { return };
        connection.end = None;
        connection.down.clear();
        if !arrives || connection.frozen {
            connection.up.clear();
        }
        connection.frozen = false;
        connection.up.push_back((sent, Up::Close));
    }

    pub(super) fn request(&mut self, number: usize, method: &'static str, body: String, answering: Answering) {
        let (id, sent) = (RequestId(self.next()), self.next());
        self.requests.insert(id, Request { number, sent, stage: Stage::Asked { method, body }, answering });
    }

    /// Removes and returns the oldest request of a client.
    pub(super) fn fail_request(&mut self, number: usize) -> Option<Answering> {
        let id = *self.requests.iter().find(|(_, request)| request.number == number)?.0;
        self.requests.remove(&id).map(|request| request.answering)
    }

    /// Restarts the room with its stored data. The caller must cut the clients' ends.
    pub(super) fn restart(&mut self) {
        self.connections.clear();
        let epoch = self.next().to_string();
        self.room = open(&self.config, &self.storage, &epoch);
    }

    pub(super) fn pending(&self) -> Vec<Channel> {
        let mut pending: Vec<(u64, Channel)> = Vec::new();
        for (id, connection) in self.connections.iter().filter(|(_, connection)| !connection.frozen) {
            pending.extend(connection.up.front().map(|(sent, _)| (*sent, Channel::Up(*id))));
            pending.extend(connection.down.front().map(|(sent, _)| (*sent, Channel::Down(*id))));
        }
        pending.extend(self.requests.iter().map(|(id, request)| match request.stage {
            Stage::Asked { .. } => (request.sent, Channel::Request(*id)),
            Stage::Answered(_) => (request.sent, Channel::Answer(*id)),
        }));
        pending.sort_unstable();
        pending.into_iter().map(|(_, channel)| channel).collect()
    }

    /// Delivers the first message in a channel, and returns what arrived at a client. `None` if the channel is empty.
    pub(super) fn deliver(&mut self, channel: Channel) -> Option<Option<(usize, Arrival)>> {
        match channel {
            Channel::Up(id) => {
                let (_, up) = self.unfrozen(id)?.up.pop_front()?;
                self.take(id, up);
                Some(None)
            }
            Channel::Down(id) => {
                let connection = self.unfrozen(id)?;
                let (_, down) = connection.down.pop_front()?;
                let (number, side) = connection.end?;
                Some(self.arrival(id, side, down).map(|arrival| (number, arrival)))
            }
            Channel::Request(id) => {
                let Some(Request { stage: Stage::Asked { method, body }, .. }) = self.requests.get(&id) else {
                    return None;
                };
                let path = format!("/parties/main/room{}", self.config.store_path());
                let mut context = self.context();
                (context.method, context.path) = ((*method).to_owned(), path);
                let body = body.clone();
                let admitted = self.config.admit_request(&mut context).now_or_never();
                match admitted.unwrap_or_else(|| Err(self.config.policy_timed_out(&context))) {
                    Ok(()) => self.handle(Input::Request { request: id, context, body: body.as_bytes() }),
                    Err(rejection) => self.respond(id, rejection.response),
                }
                Some(None)
            }
            Channel::Answer(id) => match self.requests.remove(&id)? {
                Request { number, stage: Stage::Answered(response), answering, .. } => {
                    Some(Some((number, Arrival::Answer(answering, response))))
                }
                asked => {
                    self.requests.insert(id, asked);
                    None
                }
            },
        }
    }

    fn take(&mut self, id: ConnectionId, up: Up) {
        match up {
            Up::Connect => {
                let mut context = self.context();
                // Nothing runs in the background here, so a policy that waits counts as timed out.
                let admitted = self.config.admit_connection(&mut context).now_or_never();
                match admitted.unwrap_or_else(|| Err(self.config.policy_timed_out(&context))) {
                    Ok(()) => {
                        self.send_down(id, Down::Opened);
                        self.handle(Input::Connect { connection: id, context });
                    }
                    Err(rejection) => self.send_down(id, Down::Refused(rejection.response)),
                }
            }
            Up::Frame(frame) => self.handle(Input::Message { connection: id, text: &frame }),
            Up::Ping(check) => self.send_down(id, Down::Pong(check)),
            Up::Pong(token) => self.handle(Input::Pong { connection: id, token }),
            Up::Close => {
                self.connections.remove(&id);
                self.handle(Input::Close { connection: id });
            }
        }
    }

    fn arrival(&mut self, id: ConnectionId, side: Side, down: Down) -> Option<Arrival> {
        Some(match down {
            Down::Opened => Arrival::Opened(side),
            Down::Refused(response) => {
                self.connections.remove(&id);
                Arrival::Refused(side, response)
            }
            Down::Closed(code) => {
                self.connections.remove(&id);
                Arrival::Closed(side, code)
            }
            Down::Ping(token) => {
                let sent = self.next();
                self.connections.get_mut(&id)?.up.push_back((sent, Up::Pong(token)));
                return None;
            }
            Down::Frame(frame) => Arrival::Frame(side, frame),
            Down::Pong(check) => Arrival::Pong(check),
        })
    }

    fn handle(&mut self, input: Input<'_>) {
        self.room.handle(input);
        loop {
            while let Some(output) = self.room.poll() {
                self.put_out(output);
            }
            let Some(commit) = self.room.commit(0) else { return };
            // The memory storage accepts every commit that follows the stored ones, and no other room opens it here.
            if self.storage.commit(&[commit]).iter().all(Result::is_ok) {
                self.room.committed();
            }
        }
    }

    fn put_out(&mut self, output: Output) {
        match output {
            Output::Commit(_) | Output::Edited { .. } | Output::Read { .. } => {}
            Output::Snapshot(snapshot) => {
                let snapshot = DurableRoom::encode(self.room.name(), self.room.epoch(), &snapshot);
                let bytes = self.storage.snapshot(&snapshot, 0).is_ok().then_some(snapshot.text.len());
                self.room.handle(Input::SnapshotEnded { bytes });
            }
            Output::Recall { connection, after, max_bytes } => {
                let commits = self.storage.log(self.room.name(), after, max_bytes).unwrap_or_default();
                self.room.handle(Input::Recalled { connection, commits: &commits });
            }
            Output::Send { to, frame } => {
                for id in to.iter() {
                    self.send_down(id, Down::Frame(frame.clone()));
                }
            }
            Output::Ping { connection, token } => self.send_down(connection, Down::Ping(token)),
            Output::Respond { request, response } => self.respond(request, response),
            Output::Close { connection, code, .. } => self.send_down(connection, Down::Closed(code)),
        }
    }

    fn respond(&mut self, request: RequestId, response: Response) {
        let sent = self.next();
        if let Some(request) = self.requests.get_mut(&request) {
            request.sent = sent;
            request.stage = Stage::Answered(response);
        }
    }

    fn send_up(&mut self, end: End, up: Up) {
        let (id, sent) = (self.connection(end), self.next());
        if let Some(connection) = id.and_then(|id| self.connections.get_mut(&id)) {
            connection.up.push_back((sent, up));
        }
    }

    fn send_down(&mut self, id: ConnectionId, down: Down) {
        let sent = self.next();
        if let Some(connection) = self.connections.get_mut(&id).filter(|connection| connection.end.is_some()) {
            connection.down.push_back((sent, down));
        }
    }

    fn unfrozen(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(&id).filter(|connection| !connection.frozen)
    }

    fn connection(&self, end: End) -> Option<ConnectionId> {
        self.connections.iter().find(|(_, connection)| connection.end == Some(end)).map(|(id, _)| *id)
    }

    fn context(&self) -> Context {
        let mut context = Context::default();
        context.party = "main".to_owned();
        context.room = "room".to_owned();
        context.method = "GET".to_owned();
        context.path = "/parties/main/room".to_owned();
        context
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// Opens the only room of a storage.
fn open(config: &RoomConfig, storage: &Memory, epoch: &str) -> DurableRoom {
    let name = RoomName::main("room");
    let opened = storage.open(&name, epoch, 0).unwrap_or_else(|_| Opened::new(epoch));
    DurableRoom::open(config.clone(), name, opened).expect("what a room stored can be read")
}
