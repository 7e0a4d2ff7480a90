//! A client's socket: the decisions of the real one, on a simulated network.

use std::{sync::Arc, time::Duration};

use super::{
    history::MAX_CLIENTS,
    network::Up,
    random::Random,
    world::{Client, Event, World},
};
use crate::proto::{
    CheckId, Side,
    socket::{ABNORMAL, Beat, Fate, Heartbeat, Message, Next, PartySocketOptions, Pulse, State},
};

/// A `PartySocket` whose connections are simulated.
pub(super) struct Socket {
    state: State,
    heartbeat: Option<Heartbeat>,
    turn: u64,
    conn: Option<usize>,
    pulse: Pulse,
    opened_at: Duration,
    random: Random,
}

impl Socket {
    /// Creates a socket that is about to connect. TinyBase's has no heartbeat.
    pub(super) fn new(seed: u64, peer: usize, side: Side, heartbeat: Option<Heartbeat>) -> Self {
        let label = 3 + 2 * peer as u64 + u64::from(side == Side::Ear) + u64::from(MAX_CLIENTS) * 16;
        let mut options = PartySocketOptions::new("localhost", "r");
        if heartbeat.is_none() {
            options.jitter = 0.0;
        }
        Self {
            state: State::new(options, String::new()),
            heartbeat,
            turn: 0,
            conn: None,
            pulse: Pulse::default(),
            opened_at: Duration::ZERO,
            random: Random::labelled(seed, label),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.is_open(self.state.epoch)
    }

    fn since_opened(&self, now: Duration) -> Duration {
        now.saturating_sub(self.opened_at)
    }
}

impl World {
    /// Begins an attempt to connect, if the socket still wants one.
    pub(super) fn connect(&mut self, peer: usize, side: Side) {
        let Some(socket) = self.socket(peer, side) else { return };
        if socket.conn.is_some() {
            return;
        }
        let Some(target) = socket.state.target(|| Some(String::new())) else { return };
        socket.turn = target.turn;
        let conn = self.dial(peer, side);
        if let Some(socket) = self.socket(peer, side) {
            socket.conn = Some(conn);
        }
    }

    /// Opens an ear, the connection that listens, and closes the current one, if any.
    pub(super) fn open_ear(&mut self, peer: usize) {
        self.close_ear(peer);
        let mut socket = Socket::new(self.seed ^ self.conns.len() as u64, peer, Side::Ear, Some(Heartbeat::default()));
        socket.random.next();
        self.peers[peer].ear = Some(socket);
        self.connect(peer, Side::Ear);
    }

    pub(super) fn close_ear(&mut self, peer: usize) {
        if let Some(conn) = self.peers[peer].ear.take().and_then(|socket| socket.conn) {
            self.hang_up(conn);
        }
    }

    pub(super) fn connect_timed_out(&mut self, conn: usize) {
        if self.conns[conn].client_has && !self.conns[conn].is_open {
            self.socket_failed(conn);
        }
    }

    pub(super) fn socket_opened(&mut self, conn: usize) {
        let now = self.now;
        let (peer, side) = (self.conns[conn].peer, self.conns[conn].side);
        let Some(socket) = self.socket_of(conn) else { return };
        if socket.state.opened(socket.turn, now).is_none() {
            return;
        }
        socket.opened_at = now;
        socket.pulse = Pulse::default();
        let beats = socket.heartbeat.map(|heartbeat| now + heartbeat.interval);
        self.conns[conn].is_open = true;
        if let Some(at) = beats {
            self.schedule(at, Event::Beat(conn));
        }
        self.trace.note(now, "opened", peer as u64, if side == Side::Main { "main" } else { "ear" });
        // Queued messages are written before subscribers are notified that the socket is open.
        self.write(peer, side);
        self.client_opened(peer, side);
    }

    pub(super) fn socket_failed(&mut self, conn: usize) {
        let (peer, side) = (self.conns[conn].peer, self.conns[conn].side);
        self.hang_up(conn);
        let Some(socket) = self.socket_of(conn) else { return };
        socket.conn = None;
        let fate = socket.state.failed(socket.turn, false, socket.random.fraction());
        self.connect_again(peer, side, fate);
    }

    pub(super) fn socket_lost(&mut self, conn: usize, code: u16) {
        let now = self.now;
        let (peer, side) = (self.conns[conn].peer, self.conns[conn].side);
        if !self.conns[conn].is_open {
            return self.socket_failed(conn);
        }
        self.hang_up(conn);
        let Some(socket) = self.socket_of(conn) else { return };
        socket.conn = None;
        let fate = socket.state.ended(socket.turn, now, socket.random.fraction());
        self.trace.note(now, "closed", peer as u64, if side == Side::Main { "main" } else { "ear" });
        self.connect_again(peer, side, fate);
        self.client_closed(peer, side, code);
    }

    /// Closes the open connection, and begins a new one.
    pub(super) fn reconnect(&mut self, peer: usize, side: Side) {
        let now = self.now;
        let Some(socket) = self.socket(peer, side) else { return };
        // This cannot fail, because the options name a room.
        let _ = socket.state.reconnect();
        if let Some(conn) = socket.conn {
            self.schedule(now, Event::Reconnect(conn));
        }
    }

    /// Closes a connection that is to be replaced.
    pub(super) fn replace(&mut self, conn: usize) {
        if self.conns[conn].client_has {
            self.socket_lost(conn, ABNORMAL);
            self.connect(self.conns[conn].peer, self.conns[conn].side);
        }
    }

    pub(super) fn socket_heard(&mut self, conn: usize, frame: &str) {
        let now = self.now;
        let Some(socket) = self.socket_of(conn) else { return };
        let since = socket.since_opened(now);
        socket.pulse.heard(since);
        let (peer, side) = (self.conns[conn].peer, self.conns[conn].side);
        self.trace.note(now, if side == Side::Main { "main hears" } else { "ear hears" }, peer as u64, frame);
        match self.peers[peer].client {
            Client::Ours(_) => self.ours_heard(peer, side, frame),
            Client::Stock(_) => self.stock_heard(peer, frame),
        }
    }

    pub(super) fn socket_ponged(&mut self, conn: usize, payload: Option<CheckId>) {
        let now = self.now;
        let Some(socket) = self.socket_of(conn) else { return };
        let since = socket.since_opened(now);
        socket.pulse.heard(since);
        if let Some(check) = payload {
            self.ours_ponged(self.conns[conn].peer, check);
        }
    }

    /// Checks whether the server still responds.
    pub(super) fn beat(&mut self, conn: usize) {
        let now = self.now;
        if !self.conns[conn].is_open {
            return;
        }
        let Some(socket) = self.socket_of(conn) else { return };
        let Some(heartbeat) = socket.heartbeat else { return };
        let (since, opened_at) = (socket.since_opened(now), socket.opened_at);
        match socket.pulse.beat(heartbeat, since) {
            Beat::Wait(until) => self.schedule(opened_at + until, Event::Beat(conn)),
            Beat::Ping => {
                socket.pulse.ping(since);
                socket.pulse.pinged(since);
                self.send_up(conn, Up::Ping(None));
                self.schedule(now, Event::Beat(conn));
            }
            Beat::Dead(_) => self.socket_lost(conn, ABNORMAL),
        }
    }

    /// Sends on the open connection, or on the next one: a stock client's `send`.
    pub(super) fn socket_send(&mut self, peer: usize, frame: Arc<str>) {
        if let Some(socket) = self.socket(peer, Side::Main) {
            // The queue of TinyBase's socket has no limit. No simulation comes near the limit of this one.
            let _ = socket.state.send(Message::Text(frame));
        }
        self.write(peer, Side::Main);
    }

    /// Sends on the connection that is open at present.
    pub(super) fn socket_send_open(&mut self, peer: usize, side: Side, frame: Arc<str>) {
        if let Some(socket) = self.socket(peer, side) {
            let epoch = socket.state.epoch;
            // A connection that is not open has reported that by an event, and then everything is sent again.
            let _ = socket.state.try_send_open(Message::Text(frame), epoch);
        }
        self.write(peer, side);
    }

    pub(super) fn socket_ping(&mut self, peer: usize, side: Side, check: CheckId) {
        let Some(socket) = self.socket(peer, side) else { return };
        if let Some(conn) = socket.conn.filter(|_| socket.is_open()) {
            self.send_up(conn, Up::Ping(Some(check)));
        }
    }

    fn write(&mut self, peer: usize, side: Side) {
        let mut frames = Vec::new();
        let Some(socket) = self.socket(peer, side) else { return };
        let Some(conn) = socket.conn.filter(|_| socket.is_open()) else { return };
        while let Next::Message(waiting) = socket.state.next(socket.turn) {
            frames.extend(match waiting.message {
                Message::Text(frame) => Some(frame),
                Message::Binary(_) => None,
            });
        }
        for frame in frames {
            self.send_up(conn, Up::Frame(frame));
        }
    }

    fn connect_again(&mut self, peer: usize, side: Side, fate: Option<Fate>) {
        if let Some(Fate::Again(after)) = fate {
            self.schedule(self.now + after, Event::Connect(peer, side));
        }
    }

    fn client_opened(&mut self, peer: usize, side: Side) {
        match self.peers[peer].client {
            Client::Ours(_) => self.ours_opened(peer, side),
            // Its queued messages are written already.
            Client::Stock(_) => {}
        }
    }

    fn client_closed(&mut self, peer: usize, side: Side, code: u16) {
        match self.peers[peer].client {
            Client::Ours(_) => self.ours_closed(peer, side, code),
            Client::Stock(_) => {}
        }
    }

    fn socket(&mut self, peer: usize, side: Side) -> Option<&mut Socket> {
        match side {
            Side::Main => Some(&mut self.peers[peer].main),
            Side::Ear => self.peers[peer].ear.as_mut(),
        }
    }

    /// Returns the socket of a connection, if the socket still has this connection.
    fn socket_of(&mut self, conn: usize) -> Option<&mut Socket> {
        let (peer, side) = (self.conns[conn].peer, self.conns[conn].side);
        self.socket(peer, side).filter(|socket| socket.conn == Some(conn))
    }
}
