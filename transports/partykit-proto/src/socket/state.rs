//! The state machine of a socket.
//!
//! Two sides share a state: the handles, which set what is wanted, and the task, which connects. Each call that changes
//! what is wanted begins a new *turn*. The task acts for one turn at a time and names the turn in each report, so that
//! the result of an earlier turn is not mistaken for that of the current one.

use std::{mem, sync::Arc, time::Duration};

use bytes::Bytes;
use roommate::{Error, ErrorKind, Result};

use super::{
    Fate, Message, PartySocketOptions, ReadyState, SendOutcome,
    outgoing::{Outgoing, Waiting},
    retry::Retries,
};

/// The state of a socket. Times are durations since the socket was created.
#[derive(Debug)]
pub struct State {
    /// The options of the next connection.
    pub options: Arc<PartySocketOptions>,
    /// The id that is sent to the server.
    pub id: String,
    /// The ready state of the socket.
    pub ready_state: ReadyState,
    /// The number of the last connection that opened.
    pub epoch: u64,
    /// The send queue.
    pub outgoing: Outgoing,
    wanted: Wanted,
    turn: u64,
    /// The turn in which a new connection was last requested: connections of earlier turns carry no more messages.
    anew: u64,
    retries: Retries,
    opened_at: Option<Duration>,
    /// Whether the server may still hold a connection of this id.
    id_is_spent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Open,
    Closed(Goodbye),
    /// Closed, and all handles are dropped, so nothing else will be wanted.
    Nothing(Goodbye),
}

/// A code and a reason to close with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goodbye {
    /// The close code.
    pub code: u16,
    /// The close reason, which may be empty.
    pub reason: String,
}

/// The target of the next attempt.
#[derive(Debug)]
pub struct Target {
    /// The turn that the attempt belongs to.
    pub turn: u64,
    /// The options to connect with.
    pub options: Arc<PartySocketOptions>,
    /// The id to connect with.
    pub id: String,
}

/// The next thing that a connection writes.
#[derive(Debug)]
pub enum Next {
    /// This message.
    Message(Waiting),
    /// Nothing, for now.
    Nothing,
    /// A close frame.
    Goodbye(Goodbye),
}

/// How long the server may take to respond to a close frame while a new connection is wanted.
const HASTE: Duration = Duration::from_secs(1);

impl Goodbye {
    /// Returns a normal closure (1000).
    pub fn normal(reason: &str) -> Self {
        Self { code: 1000, reason: reason.to_owned() }
    }
}

/// The operations of the handles.
impl State {
    /// Creates the state of a new socket. `random_id` is its id unless the options have one.
    pub fn new(options: PartySocketOptions, random_id: String) -> Self {
        let (wanted, ready_state) = match options.start_closed {
            true => (Wanted::Closed(Goodbye::normal("")), ReadyState::Closed),
            false => (Wanted::Open, ReadyState::Connecting),
        };
        Self {
            id: options.id.clone().unwrap_or(random_id),
            options: Arc::new(options),
            ready_state,
            epoch: 0,
            outgoing: Outgoing::default(),
            wanted,
            turn: 0,
            anew: 0,
            retries: Retries::default(),
            opened_at: None,
            id_is_spent: false,
        }
    }

    /// Queues a message for any connection.
    pub fn send(&mut self, message: Message) -> Result<SendOutcome> {
        let outcome = match self.ready_state {
            ReadyState::Connecting => SendOutcome::Queued,
            ReadyState::Open => SendOutcome::Handed,
            ReadyState::Closing | ReadyState::Closed => {
                return Err(Error::new(ErrorKind::Closed, "the socket is closed: reconnect() opens it again"));
            }
        };
        self.outgoing.push(message, None, &self.options)?;
        Ok(outcome)
    }

    /// Queues a message for one connection.
    pub fn try_send_open(&mut self, message: Message, epoch: u64) -> Result<()> {
        self.check_open(epoch)?;
        self.outgoing.push(message, Some(epoch), &self.options)
    }

    /// Queues a ping for one connection.
    pub fn ping(&mut self, payload: Bytes, epoch: u64) -> Result<()> {
        self.check_open(epoch)?;
        self.outgoing.push_ping(payload, epoch, &self.options)
    }

    /// Requests that the socket close. Has no effect on a socket that is closing or closed.
    pub fn close(&mut self, goodbye: Goodbye) {
        if matches!(self.ready_state, ReadyState::Connecting | ReadyState::Open) {
            self.wind_up(Wanted::Closed(goodbye));
        }
    }

    /// Records that all handles are dropped.
    pub fn abandon(&mut self) {
        let goodbye = match &self.wanted {
            Wanted::Open => Goodbye::normal(""),
            Wanted::Closed(goodbye) | Wanted::Nothing(goodbye) => goodbye.clone(),
        };
        self.wind_up(Wanted::Nothing(goodbye));
    }

    /// Requests a new connection.
    pub fn reconnect(&mut self) -> Result<()> {
        if self.is_abandoned() {
            return Err(Error::new(ErrorKind::Closed, "the socket's runtime is gone: make a new socket"));
        }
        self.options.room_url()?;
        self.connect_anew();
        Ok(())
    }

    /// Sets valid options, and requests a new connection if they name another room or id.
    pub fn update(&mut self, options: PartySocketOptions) -> Result<()> {
        // Without a room there is no URL, and any new options name another one.
        let moves = options.room_url().ok() != self.options.room_url().ok() || options.id != self.options.id;
        if moves && self.outgoing.queued() > 0 {
            let count = self.outgoing.queued();
            let message =
                format!("{count} messages wait for the room that would be left: drain_queued_messages() first");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let is_running = matches!(self.ready_state, ReadyState::Connecting | ReadyState::Open);
        if moves && is_running {
            options.room_url()?;
        }
        self.options = Arc::new(options);
        if let Some(id) = &self.options.id {
            self.id.clone_from(id);
        }
        if moves && is_running {
            self.connect_anew();
        }
        Ok(())
    }

    /// Whether this connection is open.
    pub fn is_open(&self, epoch: u64) -> bool {
        self.ready_state == ReadyState::Open && self.epoch == epoch
    }

    /// Returns the number of attempts after the first, since the last connection that lasted.
    pub fn retry_count(&self, now: Duration) -> u32 {
        match self.opened_at {
            Some(opened_at) if now.saturating_sub(opened_at) >= self.options.min_uptime => 0,
            _ => self.retries.count(),
        }
    }

    fn check_open(&self, epoch: u64) -> Result<()> {
        match self.is_open(epoch) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Closed, format!("connection {epoch} is not open"))),
        }
    }

    fn wind_up(&mut self, wanted: Wanted) {
        self.wanted = wanted;
        self.turn += 1;
        self.ready_state = match self.opened_at {
            Some(_) => ReadyState::Closing,
            None => ReadyState::Closed,
        };
    }

    fn connect_anew(&mut self) {
        self.wanted = Wanted::Open;
        self.turn += 1;
        self.anew = self.turn;
        self.retries = Retries::default();
        self.ready_state = ReadyState::Connecting;
    }
}

/// The operations of the task.
impl State {
    /// Returns the target to connect to now, if any. Replaces a random id that is spent by the next one.
    pub fn target(&mut self, next_id: impl FnOnce() -> Option<String>) -> Option<Target> {
        if self.wanted != Wanted::Open {
            return None;
        }
        if mem::take(&mut self.id_is_spent)
            && self.options.id.is_none()
            && let Some(id) = next_id()
        {
            self.id = id;
        }
        Some(Target { turn: self.turn, options: self.options.clone(), id: self.id.clone() })
    }

    /// Whether all handles are dropped.
    pub fn is_abandoned(&self) -> bool {
        matches!(self.wanted, Wanted::Nothing(_))
    }

    /// Whether this is still the current turn.
    pub fn is_turn(&self, turn: u64) -> bool {
        self.turn == turn
    }

    /// Records that the server may hold a connection that is not known to have ended.
    pub fn id_is_spent(&mut self) {
        self.id_is_spent = true;
    }

    /// Records that a connection is open. Returns its number, unless the connection is not wanted any more.
    pub fn opened(&mut self, turn: u64, now: Duration) -> Option<u64> {
        if !self.is_turn(turn) {
            return None;
        }
        self.epoch += 1;
        self.ready_state = ReadyState::Open;
        self.opened_at = Some(now);
        Some(self.epoch)
    }

    /// Returns the next thing that the open connection of a turn writes.
    pub fn next(&mut self, turn: u64) -> Next {
        let goodbye = self.goodbye(turn);
        // Messages that are queued after a new start are for the next connection, and may be for another room.
        let message = if turn < self.anew { None } else { self.outgoing.pop() };
        match (message, goodbye) {
            (Some(waiting), _) => Next::Message(waiting),
            (None, Some(goodbye)) => Next::Goodbye(goodbye),
            (None, None) => Next::Nothing,
        }
    }

    /// Returns the close frame of the open connection of a turn, once something else is wanted.
    pub fn goodbye(&self, turn: u64) -> Option<Goodbye> {
        match &self.wanted {
            Wanted::Open if self.is_turn(turn) => None,
            Wanted::Open => Some(Goodbye::normal("reconnect")),
            Wanted::Closed(goodbye) | Wanted::Nothing(goodbye) => Some(goodbye.clone()),
        }
    }

    /// Returns how long the close handshake of an open connection may take.
    pub fn patience(&self) -> Duration {
        match self.wanted {
            Wanted::Open => self.options.connection_timeout.min(HASTE),
            Wanted::Closed(_) | Wanted::Nothing(_) => self.options.connection_timeout,
        }
    }

    /// Records that the open connection ended. Returns what follows, unless something else is wanted.
    pub fn ended(&mut self, turn: u64, now: Duration, random: f64) -> Option<Fate> {
        let uptime = now.saturating_sub(self.opened_at.take().unwrap_or(now));
        self.outgoing.connection_ended();
        let fate = self.is_turn(turn).then(|| self.retries.ended(uptime, &self.options, random));
        self.settle(fate);
        fate
    }

    /// Records that an attempt failed. Returns what follows, unless something else is wanted.
    pub fn failed(&mut self, turn: u64, refused: bool, random: f64) -> Option<Fate> {
        let fate = self.is_turn(turn).then(|| self.retries.failed(refused, &self.options, random));
        self.settle(fate);
        fate
    }

    /// Records that the task has ended, for instance with its runtime: there will be no more connections.
    pub fn task_ended(&mut self) {
        self.wanted = Wanted::Nothing(Goodbye::normal(""));
        self.ready_state = ReadyState::Closed;
        self.opened_at = None;
    }

    /// Sets the state after an attempt or a connection.
    fn settle(&mut self, fate: Option<Fate>) {
        if matches!(fate, Some(Fate::OutOfRetries | Fate::Refused)) {
            self.wanted = Wanted::Closed(Goodbye::normal(""));
        }
        self.ready_state = match self.wanted {
            Wanted::Open => ReadyState::Connecting,
            Wanted::Closed(_) | Wanted::Nothing(_) => ReadyState::Closed,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(room: &str) -> PartySocketOptions {
        PartySocketOptions::new("localhost", room)
    }

    fn connecting() -> State {
        State::new(options("a"), "id".to_owned())
    }

    fn open() -> State {
        let mut state = connecting();
        assert_eq!(state.opened(0, Duration::ZERO), Some(1));
        state
    }

    #[test]
    fn a_connection_that_is_left_for_another_room_carries_nothing_for_that_room() {
        let mut state = open();
        state.update(options("b")).expect("nothing waits");
        state.send("for b".into()).expect("room");
        // The same holds when the socket is closed before that.
        state.close(Goodbye::normal("done"));
        assert_eq!(state.ready_state, ReadyState::Closing);
        assert!(matches!(state.next(0), Next::Goodbye(goodbye) if goodbye.reason == "done"));
        assert_eq!(state.ended(0, Duration::ZERO, 0.5), None);
        assert_eq!(state.ready_state, ReadyState::Closed);
        assert_eq!(state.outgoing.queued(), 1);
    }

    #[test]
    fn a_closing_connection_writes_what_waits_before_the_goodbye() {
        let mut state = open();
        state.send("a".into()).expect("room");
        state.close(Goodbye { code: 4000, reason: "x".to_owned() });
        state.abandon();
        assert!(matches!(state.next(0), Next::Message(_)));
        assert!(matches!(state.next(0), Next::Goodbye(Goodbye { code: 4000, .. })));
    }

    #[test]
    fn a_connection_that_opens_after_its_turn_is_not_wanted() {
        let mut state = connecting();
        state.close(Goodbye::normal(""));
        assert_eq!(state.opened(0, Duration::ZERO), None);
        assert_eq!(state.ready_state, ReadyState::Closed);
        assert!(state.target(|| None).is_none());
        state.reconnect().expect("a room");
        assert_eq!(state.target(|| None).expect("wanted").turn, 2);
        assert_eq!(state.failed(0, false, 0.5), None, "a report of an earlier turn counts for nothing");
        assert_eq!(state.retry_count(Duration::ZERO), 0);
    }

    #[test]
    fn retries_count_from_zero_once_a_connection_has_lasted() {
        let mut state = connecting();
        assert!(matches!(state.failed(0, false, 0.5), Some(Fate::Again(_))));
        state.opened(0, Duration::from_secs(1));
        assert_eq!(state.retry_count(Duration::from_secs(5)), 1);
        assert_eq!(state.retry_count(Duration::from_secs(6)), 0);
    }

    #[test]
    fn only_a_random_id_that_is_spent_gives_way() {
        let mut state = connecting();
        let next = || Some("next".to_owned());
        assert_eq!(state.target(next).expect("wanted").id, "id");
        state.id_is_spent();
        assert_eq!(state.target(next).expect("wanted").id, "next");
        let mut own = State::new(options("a").with_id("own"), "id".to_owned());
        own.id_is_spent();
        assert_eq!(own.target(next).expect("wanted").id, "own");
    }
}
