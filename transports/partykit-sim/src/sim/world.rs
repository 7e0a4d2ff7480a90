//! The whole simulated world, and its queue of events.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::{Arc, Mutex},
    task::Waker,
    time::Duration,
};

use super::{
    history::{Op, Server, Which},
    host::Host,
    ledger::{Ledger, lock},
    network::{Conn, Request},
    ours::Ours,
    random::Random,
    socket::Socket,
    stock::Stock,
    trace::Trace,
};
use crate::proto::{ConnectionId, Side};

pub(super) struct World {
    pub(super) now: Duration,
    pub(super) seed: u64,
    pub(super) peers: Vec<Peer>,
    pub(super) conns: Vec<Conn>,
    pub(super) requests: BTreeMap<u64, Request>,
    pub(super) next_request: u64,
    pub(super) host: Host,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) trace: Trace,
    events: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
}

/// A client and its access to the network.
pub(super) struct Peer {
    pub(super) client: Client,
    pub(super) main: Socket,
    pub(super) ear: Option<Socket>,
    pub(super) offline: bool,
    pub(super) slow_up: Duration,
    pub(super) slow_down: Duration,
    /// The faults of the next requests. Each is whether the failed request arrives all the same.
    pub(super) faults: Vec<bool>,
    pub(super) random: Random,
}

#[allow(clippy::large_enum_variant, reason = "there are five of them")]
pub(super) enum Client {
    Ours(Box<Ours>),
    Stock(Box<Stock>),
}

/// A scheduled event.
#[derive(Debug)]
pub(super) enum Event {
    Wake(Waker),
    /// The next message on a connection arrives at the server.
    Up(usize),
    /// The next message on a connection arrives at the client.
    Down(usize),
    /// A socket tries to connect.
    Connect(usize, Side),
    /// A connection is replaced by a new one.
    Reconnect(usize),
    /// An attempt to connect times out.
    ConnectTimeout(usize),
    /// The server gives up a silent connection.
    ServerTimeout(usize),
    /// A socket's heartbeat is due.
    Beat(usize),
    /// A client's deadline.
    Tick(usize),
    RequestArrives(u64),
    ResponseArrives(u64),
    RequestFails(u64),
    /// The server's room has a tick.
    ServerTick,
    /// The server's storage has finished a commit.
    Committed(u64),
    /// The server's storage has read the entries that a client missed.
    Recalled {
        connection: ConnectionId,
        after: u64,
        max_bytes: usize,
    },
}

struct Scheduled {
    at: Duration,
    /// Orders events with the same time: the one that was scheduled first happens first.
    number: u64,
    event: Event,
}

impl World {
    pub(super) fn new(server: Server, seed: u64, ledger: Arc<Mutex<Ledger>>, trace: Trace) -> Self {
        Self {
            now: Duration::ZERO,
            seed,
            peers: Vec::new(),
            conns: Vec::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            host: Host::new(server, seed),
            ledger,
            trace,
            events: BinaryHeap::new(),
            scheduled: 0,
        }
    }

    pub(super) fn schedule(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse(Scheduled { at: at.max(self.now), number: self.scheduled, event }));
    }

    /// Runs the next event, unless it is later than `until`; in that case the time becomes `until`. Returns whether an
    /// event was run.
    pub(super) fn happen(&mut self, until: Duration) -> bool {
        match self.events.peek() {
            Some(Reverse(next)) if next.at <= until => {}
            _ => {
                self.now = until.max(self.now);
                return false;
            }
        }
        let Some(Reverse(Scheduled { at, event, .. })) = self.events.pop() else { return false };
        self.now = at;
        match event {
            Event::Wake(waker) => waker.wake(),
            Event::Up(conn) => self.arrive_up(conn),
            Event::Down(conn) => self.arrive_down(conn),
            Event::Connect(peer, side) => self.connect(peer, side),
            Event::Reconnect(conn) => self.replace(conn),
            Event::ConnectTimeout(conn) => self.connect_timed_out(conn),
            Event::ServerTimeout(conn) => self.server_loses(conn),
            Event::Beat(conn) => self.beat(conn),
            Event::Tick(peer) => self.tick(peer),
            Event::RequestArrives(request) => self.request_arrives(request),
            Event::ResponseArrives(request) => self.response_arrives(request),
            Event::RequestFails(request) => self.request_fails(request),
            Event::ServerTick => self.server_ticks(),
            Event::Committed(commit) => self.committed(commit),
            Event::Recalled { connection, after, max_bytes } => self.recalled(connection, after, max_bytes),
        }
        true
    }

    /// Carries out the part of an operation that concerns the network and the server.
    pub(super) fn interfere(&mut self, op: &Op) {
        match *op {
            Op::Cut(peer, which) => self.cut(peer.into(), which),
            Op::Freeze(peer, which) => self.freeze_all(peer.into(), which),
            Op::Offline(peer) => {
                self.peers[usize::from(peer)].offline = true;
                self.freeze_all(peer.into(), Which::Both);
            }
            Op::Online(peer) => {
                let peer = usize::from(peer);
                if std::mem::take(&mut self.peers[peer].offline) {
                    self.thaw(peer);
                }
            }
            Op::SlowUp(peer, millis) => self.peers[usize::from(peer)].slow_up = Duration::from_millis(millis.into()),
            Op::SlowDown(peer, millis) => {
                self.peers[usize::from(peer)].slow_down = Duration::from_millis(millis.into());
            }
            Op::FailRequest(peer, arrives) => self.peers[usize::from(peer)].faults.push(arrives),
            Op::EndStream(peer) => self.end_stream(peer.into()),
            Op::Crash => self.crash(),
            Op::Forget => {
                self.crash();
                self.host.forget();
                lock(&self.ledger).forgotten();
            }
            Op::Restart => self.host.restart(),
            Op::FailCommit(is_stored) => self.host.fail_commit(is_stored),
            Op::Policy(refused) => self.host.refuse(refused),
            _ => {}
        }
    }

    /// Repairs everything.
    pub(super) fn heal(&mut self) {
        for peer in 0..self.peers.len() {
            let it = &mut self.peers[peer];
            it.offline = false;
            it.faults.clear();
            (it.slow_up, it.slow_down) = (Duration::ZERO, Duration::ZERO);
            self.thaw(peer);
        }
        self.host.heal();
    }

    /// Whether nothing is in flight, and no client or server has work left.
    pub(super) fn is_quiet(&self) -> bool {
        self.requests.is_empty()
            && self.host.is_quiet()
            && self.conns.iter().all(Conn::is_quiet)
            && self.peers.iter().all(|peer| {
                peer.main.is_open()
                    && peer.ear.as_ref().is_none_or(Socket::is_open)
                    && match &peer.client {
                        Client::Ours(ours) => ours.is_quiet(),
                        Client::Stock(stock) => stock.is_quiet(),
                    }
            })
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
