//! The simulated network: connections, requests and their failures. Order is preserved within a connection, but not
//! between connections.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

use super::{
    history::Which,
    random::Random,
    world::{Client, Event, World},
};
use crate::proto::{Asking, CheckId, Response, Side, socket::ABNORMAL};

/// One connection, or the attempt at one.
pub(super) struct Conn {
    pub(super) peer: usize,
    pub(super) side: Side,
    up: Pipe<Up>,
    down: Pipe<Down>,
    /// Whether the client has not given the connection up.
    pub(super) client_has: bool,
    /// Whether the client's socket is open.
    pub(super) is_open: bool,
    /// Whether the room has the connection.
    pub(super) server_has: bool,
    random: Random,
}

/// One direction of a connection.
struct Pipe<T> {
    queue: VecDeque<T>,
    /// When the last message in it arrives.
    last: Duration,
    base: Duration,
    /// Whether everything written from now on is lost.
    broken: bool,
}

/// A message to the server.
pub(super) enum Up {
    Connect,
    Frame(Arc<str>),
    /// The payload is returned in a pong. The heartbeat's pings have none.
    Ping(Option<CheckId>),
    /// The answer to the server's ping.
    Pong(u64),
    End,
}

/// A message to the client.
pub(super) enum Down {
    Opened,
    /// The attempt to connect failed.
    Failed,
    Frame(Arc<str>),
    Pong(Option<CheckId>),
    /// A ping with the number that the pong returns.
    Ping(u64),
    /// The end of the connection, with the close code.
    End(u16),
}

/// A pending HTTP request.
pub(super) struct Request {
    pub(super) peer: usize,
    pub(super) method: &'static str,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    /// Whether the room has received the request and not responded yet.
    pub(super) is_at_server: bool,
    pub(super) answering: Answering,
    pub(super) response: Option<Response>,
    /// Whether the response is lost.
    loses_answer: bool,
}

/// The origin of a request.
pub(super) enum Answering {
    Call(futures_channel::oneshot::Sender<Option<Response>>),
    Check(CheckId),
    /// The watch and its connection that wait for the server's dialect.
    Greeting(Asking),
    Stock,
}

/// How long an attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a server waits before it closes a silent connection.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

impl<T> Pipe<T> {
    fn new(random: &mut Random) -> Self {
        Self { queue: VecDeque::new(), last: Duration::ZERO, base: random.millis(1, 40), broken: false }
    }

    /// Loses some of the messages in flight, from the end. A broken pipe has lost its part already: the last message in
    /// it reports the break, and is not lost.
    fn lose(&mut self, random: &mut Random) {
        if self.broken {
            return;
        }
        let arrive = random.below(self.queue.len() as u64 + 1) as usize;
        self.queue.truncate(arrive);
    }
}

impl Conn {
    pub(super) fn is_quiet(&self) -> bool {
        let frames_up = self.up.queue.iter().any(|up| !matches!(up, Up::Ping(None)));
        let frames_down = self.down.queue.iter().any(|down| !matches!(down, Down::Pong(None)));
        let is_forgotten = self.server_has && !self.client_has;
        !(frames_up || frames_down && self.client_has || is_forgotten)
    }

    /// Whether both ends agree on the state of the connection.
    pub(super) fn is_whole(&self) -> bool {
        !self.up.broken && !self.down.broken
    }
}

/// Connections.
impl World {
    /// Begins an attempt to connect.
    pub(super) fn dial(&mut self, peer: usize, side: Side) -> usize {
        let conn = self.conns.len();
        let mut random = Random::labelled(self.seed, (conn as u64) << 8 | 1);
        let (up, down) = (Pipe::new(&mut random), Pipe::new(&mut random));
        self.conns.push(Conn { peer, side, up, down, client_has: true, is_open: false, server_has: false, random });
        if self.peers[peer].offline {
            self.freeze(conn);
        }
        self.send_up(conn, Up::Connect);
        self.schedule(self.now + CONNECT_TIMEOUT, Event::ConnectTimeout(conn));
        conn
    }

    pub(super) fn send_up(&mut self, conn: usize, up: Up) {
        let slow = self.peers[self.conns[conn].peer].slow_up;
        let it = &mut self.conns[conn];
        if it.up.broken {
            return;
        }
        let at = self.now.saturating_add(slow + delay(it.up.base, &mut it.random)).max(it.up.last);
        it.up.last = at;
        it.up.queue.push_back(up);
        self.schedule(at, Event::Up(conn));
    }

    pub(super) fn send_down(&mut self, conn: usize, down: Down) {
        let slow = self.peers[self.conns[conn].peer].slow_down;
        let it = &mut self.conns[conn];
        if it.down.broken {
            return;
        }
        let at = self.now.saturating_add(slow + delay(it.down.base, &mut it.random)).max(it.down.last);
        it.down.last = at;
        it.down.queue.push_back(down);
        self.schedule(at, Event::Down(conn));
    }

    pub(super) fn arrive_up(&mut self, conn: usize) {
        let Some(up) = self.conns[conn].up.queue.pop_front() else { return };
        match up {
            Up::Connect => self.server_opens(conn),
            Up::Frame(frame) => self.server_hears(conn, &frame),
            Up::Ping(payload) => {
                if self.conns[conn].server_has {
                    self.send_down(conn, Down::Pong(payload));
                }
            }
            Up::Pong(token) => self.server_hears_pong(conn, token),
            Up::End => {
                self.server_loses(conn);
                self.conns[conn].up.broken = true;
            }
        }
    }

    pub(super) fn arrive_down(&mut self, conn: usize) {
        let Some(down) = self.conns[conn].down.queue.pop_front() else { return };
        if !self.conns[conn].client_has {
            return;
        }
        match down {
            Down::Opened => self.socket_opened(conn),
            Down::Failed => self.socket_failed(conn),
            Down::Frame(frame) => self.socket_heard(conn, &frame),
            Down::Pong(payload) => self.socket_ponged(conn, payload),
            Down::Ping(token) => self.send_up(conn, Up::Pong(token)),
            Down::End(code) => self.socket_lost(conn, code),
        }
    }

    /// Gives up a connection on the client's side, and sends a close frame.
    pub(super) fn hang_up(&mut self, conn: usize) {
        self.conns[conn].client_has = false;
        self.conns[conn].is_open = false;
        self.send_up(conn, Up::End);
    }

    /// Cuts connections: some of the messages in flight arrive, and then both ends notice.
    pub(super) fn cut(&mut self, peer: usize, which: Which) {
        for conn in self.conns_of(peer, which) {
            let it = &mut self.conns[conn];
            it.up.lose(&mut it.random);
            it.down.lose(&mut it.random);
            self.send_up(conn, Up::End);
            self.send_down(conn, Down::End(ABNORMAL));
            let it = &mut self.conns[conn];
            (it.up.broken, it.down.broken) = (true, true);
        }
    }

    pub(super) fn freeze_all(&mut self, peer: usize, which: Which) {
        for conn in self.conns_of(peer, which) {
            self.freeze(conn);
        }
    }

    /// Makes both ends of a frozen connection notice that it is gone.
    pub(super) fn thaw(&mut self, peer: usize) {
        for conn in self.conns_of(peer, Which::Both) {
            let it = &mut self.conns[conn];
            if !it.is_whole() {
                (it.up.broken, it.down.broken) = (false, false);
                self.send_up(conn, Up::End);
                self.send_down(conn, Down::End(ABNORMAL));
                let it = &mut self.conns[conn];
                (it.up.broken, it.down.broken) = (true, true);
            }
        }
    }

    /// Cuts all connections to a server that crashed.
    pub(super) fn crash(&mut self) {
        if !self.host.crash() {
            return;
        }
        self.trace.note(self.now, "crash of the server", 0_u8, "");
        for conn in 0..self.conns.len() {
            let it = &mut self.conns[conn];
            it.up.queue.clear();
            it.up.broken = true;
            it.server_has = false;
            it.down.lose(&mut it.random);
            self.send_down(conn, Down::End(ABNORMAL));
            self.conns[conn].down.broken = true;
        }
        let requests: Vec<u64> = self.requests.keys().copied().collect();
        for request in requests {
            self.schedule(self.now, Event::RequestFails(request));
        }
    }

    fn freeze(&mut self, conn: usize) {
        let it = &mut self.conns[conn];
        if it.up.broken && it.down.broken {
            return;
        }
        it.up.lose(&mut it.random);
        it.down.lose(&mut it.random);
        (it.up.broken, it.down.broken) = (true, true);
        self.schedule(self.now + SERVER_TIMEOUT, Event::ServerTimeout(conn));
    }

    /// Returns the connections that at least one end still has.
    fn conns_of(&self, peer: usize, which: Which) -> Vec<usize> {
        let is_meant = |side| match which {
            Which::Both => true,
            Which::Main => side == Side::Main,
            Which::Ear => side == Side::Ear,
        };
        let conns = self.conns.iter().enumerate();
        conns
            .filter(|(_, conn)| conn.peer == peer && (conn.client_has || conn.server_has) && is_meant(conn.side))
            .map(|(number, _)| number)
            .collect()
    }
}

/// Requests.
impl World {
    pub(super) fn request(
        &mut self,
        peer: usize,
        method: &'static str,
        headers: Vec<(String, String)>,
        body: String,
        answering: Answering,
    ) {
        let number = self.next_request;
        self.next_request += 1;
        let it = &mut self.peers[peer];
        let fault = (!it.faults.is_empty()).then(|| it.faults.remove(0));
        let arrives = !it.offline && fault != Some(false);
        let delay = it.slow_up + delay(it.random.millis(1, 40), &mut it.random);
        let loses_answer = fault == Some(true);
        let request =
            Request { peer, method, headers, body, is_at_server: false, answering, response: None, loses_answer };
        self.requests.insert(number, request);
        self.trace.note(self.now, method, peer as u64, "");
        match arrives {
            true => self.schedule(self.now + delay, Event::RequestArrives(number)),
            false => self.schedule(self.now + delay, Event::RequestFails(number)),
        }
    }

    pub(super) fn respond(&mut self, number: u64, response: Response) {
        let Some(request) = self.requests.get_mut(&number) else { return };
        request.response = Some(response);
        request.is_at_server = false;
        let loses_answer = request.loses_answer;
        let it = &mut self.peers[request.peer];
        let delay = it.slow_down + delay(it.random.millis(1, 40), &mut it.random);
        match loses_answer {
            true => self.schedule(self.now + REQUEST_TIMEOUT, Event::RequestFails(number)),
            false => self.schedule(self.now + delay, Event::ResponseArrives(number)),
        }
    }

    pub(super) fn response_arrives(&mut self, number: u64) {
        let offline = self.requests.get(&number).is_some_and(|request| self.peers[request.peer].offline);
        match offline {
            true => self.schedule(self.now + REQUEST_TIMEOUT, Event::RequestFails(number)),
            false => self.answered(number, true),
        }
    }

    pub(super) fn request_fails(&mut self, number: u64) {
        self.answered(number, false);
    }

    fn answered(&mut self, number: u64, got_through: bool) {
        let Some(request) = self.requests.remove(&number) else { return };
        let response = request.response.filter(|_| got_through);
        let peer = request.peer;
        let text = response.as_ref().map_or("failed", |response| response.body.as_str());
        self.trace.note(self.now, request.method, peer as u64, text);
        match (request.answering, &mut self.peers[peer].client) {
            // The call may have been dropped.
            (Answering::Call(call), _) => drop(call.send(response)),
            (Answering::Check(check), Client::Ours(_)) => self.ours_checked(peer, check, response),
            (Answering::Greeting(asking), Client::Ours(_)) => self.ours_greeted(peer, asking, response),
            (Answering::Stock, Client::Stock(_)) => self.stock_answered(peer, response),
            _ => {}
        }
    }
}

/// Draws a delay: mostly short, occasionally long.
fn delay(base: Duration, random: &mut Random) -> Duration {
    let jitter = random.millis(0, 10);
    let spike = if random.is_one_in(24) { random.millis(20, 900) } else { Duration::ZERO };
    base + jitter + spike
}

/// Removes state that a long simulation does not need any more.
impl World {
    pub(super) fn take_trace(&mut self) -> super::trace::Trace {
        mem::replace(&mut self.trace, super::trace::Trace::new(false))
    }
}
