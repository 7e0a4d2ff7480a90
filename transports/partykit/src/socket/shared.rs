//! What the handles of a socket and its task both know.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use roommate::{Error, ErrorKind, Result};
use tokio::{sync::Notify, time::Instant};

use super::tls_config;

use crate::proto::socket::{
    Fate, Message, Outgoing, PartySocketOptions, ReadyState, Retries, SendOutcome, Waiting, uuid_v4,
};

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Told when there is something to do: a call that changes what is wanted, or a message to write.
    changed: Notify,
    /// Told when a message has left the queue, and when a connection is over.
    relieved: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Arc<PartySocketOptions>,
    pub(super) id: String,
    pub(super) ready_state: ReadyState,
    /// Counts connections.
    pub(super) epoch: u64,
    pub(super) outgoing: Outgoing,
    wanted: Wanted,
    /// Counts the calls that change what is wanted: what was begun in an earlier turn is to be wound up.
    turn: u64,
    retries: Retries,
    opened_at: Option<Instant>,
    /// Whether the server may still hold a connection of this id.
    id_is_spent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Open,
    Closed(Goodbye),
    /// Closed, and nobody is left to want anything else.
    Nothing(Goodbye),
}

/// A code and a reason to close with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Goodbye {
    pub(super) code: u16,
    pub(super) reason: String,
}

/// What the next attempt connects to.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) turn: u64,
    pub(super) options: Arc<PartySocketOptions>,
    pub(super) id: String,
}

/// What a connection is to write next.
#[derive(Debug)]
pub(super) enum Next {
    Message(Waiting),
    Nothing,
    Goodbye(Goodbye),
}

impl Goodbye {
    pub(super) fn normal(reason: &str) -> Self {
        Self { code: 1000, reason: reason.to_owned() }
    }
}

/// What the public methods do.
impl Shared {
    pub(super) fn new(options: PartySocketOptions) -> Result<Self> {
        let id = match &options.id {
            Some(id) => id.clone(),
            None => random_id()?,
        };
        let (wanted, ready_state) = match options.start_closed {
            true => (Wanted::Closed(Goodbye::normal("")), ReadyState::Closed),
            false => (Wanted::Open, ReadyState::Connecting),
        };
        let state = State {
            options: Arc::new(options),
            id,
            ready_state,
            epoch: 0,
            outgoing: Outgoing::default(),
            wanted,
            turn: 0,
            retries: Retries::default(),
            opened_at: None,
            id_is_spent: false,
        };
        Ok(Self { state: Mutex::new(state), changed: Notify::new(), relieved: Notify::new() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send(&self, message: Message) -> Result<SendOutcome> {
        let mut state = self.lock();
        let outcome = match state.ready_state {
            ReadyState::Connecting => SendOutcome::Queued,
            ReadyState::Open => SendOutcome::Handed,
            ReadyState::Closing | ReadyState::Closed => {
                return Err(Error::new(ErrorKind::Closed, "the socket is closed: reconnect() opens it again"));
            }
        };
        state.push(message, None)?;
        drop(state);
        self.changed.notify_waiters();
        Ok(outcome)
    }

    pub(super) fn try_send_open(&self, message: Message, epoch: u64) -> Result<()> {
        let mut state = self.lock();
        if !state.is_open(epoch) {
            return Err(Error::new(ErrorKind::Closed, format!("connection {epoch} is not open")));
        }
        state.push(message, Some(epoch))?;
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    pub(super) fn ping(&self, payload: Bytes, epoch: u64) -> Result<()> {
        let mut state = self.lock();
        if !state.is_open(epoch) {
            return Err(Error::new(ErrorKind::Closed, format!("connection {epoch} is not open")));
        }
        let options = state.options.clone();
        state.outgoing.push_ping(payload, epoch, &options)?;
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    pub(super) async fn writable(&self, epoch: u64) -> bool {
        let room = |state: &mut State| match state.is_open(epoch) {
            true => state.outgoing.has_room(&state.options).then_some(true),
            false => Some(false),
        };
        self.until(&self.relieved, room).await
    }

    pub(super) async fn closed(&self) {
        let closed = |state: &mut State| (state.ready_state == ReadyState::Closed).then_some(());
        self.until(&self.relieved, closed).await;
    }

    pub(super) fn drain(&self) -> Vec<Message> {
        let drained = self.lock().outgoing.drain();
        self.relieved.notify_waiters();
        drained
    }

    pub(super) fn retry_count(&self) -> u32 {
        let state = self.lock();
        match state.opened_at {
            Some(opened_at) if opened_at.elapsed() >= state.options.min_uptime => 0,
            _ => state.retries.count(),
        }
    }

    pub(super) fn close(&self, goodbye: Goodbye) {
        let mut state = self.lock();
        if matches!(state.ready_state, ReadyState::Connecting | ReadyState::Open) {
            state.wind_up(Wanted::Closed(goodbye));
            drop(state);
            self.told();
        }
    }

    pub(super) fn dropped(&self) {
        let mut state = self.lock();
        let goodbye = match &state.wanted {
            Wanted::Open => Goodbye::normal(""),
            Wanted::Closed(goodbye) | Wanted::Nothing(goodbye) => goodbye.clone(),
        };
        state.wind_up(Wanted::Nothing(goodbye));
        drop(state);
        self.told();
    }

    pub(super) fn reconnect(&self) -> Result<()> {
        let mut state = self.lock();
        state.check_task()?;
        state.options.room_url()?;
        state.connect_anew();
        drop(state);
        self.told();
        Ok(())
    }

    pub(super) fn update(&self, change: impl Fn(PartySocketOptions) -> PartySocketOptions) -> Result<()> {
        loop {
            // Outside of the lock: what `change` does is not ours to know.
            let before = self.lock().options.clone();
            let after = change(before.as_ref().clone());
            after.validate()?;
            tls_config(&after)?;
            let mut state = self.lock();
            if Arc::ptr_eq(&state.options, &before) {
                state.update(after)?;
                drop(state);
                self.told();
                return Ok(());
            }
        }
    }

    fn told(&self) {
        self.changed.notify_waiters();
        self.relieved.notify_waiters();
    }
}

/// What the socket's task does.
impl Shared {
    /// Waits until the socket is wanted; `None` when nobody wants it any more.
    pub(super) async fn target(&self) -> Option<Target> {
        self.until(&self.changed, |state| match state.wanted {
            Wanted::Nothing(_) => Some(None),
            Wanted::Closed(_) => None,
            Wanted::Open => {
                if std::mem::take(&mut state.id_is_spent) && state.options.id.is_none() {
                    // Without randomness the old id is better than no connection.
                    state.id = random_id().unwrap_or_else(|_| state.id.clone());
                }
                Some(Some(Target { turn: state.turn, options: state.options.clone(), id: state.id.clone() }))
            }
        })
        .await
    }

    /// Waits until something else is wanted than in this turn.
    pub(super) async fn turned(&self, turn: u64) {
        self.until(&self.changed, |state| (state.turn != turn).then_some(())).await;
    }

    /// Waits until nobody is left to want anything.
    pub(super) async fn abandoned(&self) {
        self.until(&self.changed, |state| matches!(state.wanted, Wanted::Nothing(_)).then_some(())).await;
    }

    /// Waits until there may be something to write, or to stop.
    pub(super) async fn something_to_write(&self, turn: u64) {
        let something = |state: &mut State| (state.turn != turn || !state.outgoing.is_empty()).then_some(());
        self.until(&self.changed, something).await;
    }

    /// Says that the server may have a connection that is not known to have ended.
    pub(super) fn id_is_spent(&self) {
        self.lock().id_is_spent = true;
    }

    /// Takes note that a connection is open; `None` if it is not wanted any more.
    pub(super) fn opened(&self, turn: u64) -> Option<u64> {
        let mut state = self.lock();
        if state.turn != turn {
            return None;
        }
        state.epoch += 1;
        state.ready_state = ReadyState::Open;
        state.opened_at = Some(Instant::now());
        Some(state.epoch)
    }

    /// What an open connection is to write next.
    pub(super) fn next(&self, turn: u64) -> Next {
        let mut state = self.lock();
        let goodbye = state.goodbye(turn);
        if state.wanted == Wanted::Open
            && let Some(goodbye) = goodbye
        {
            // Begun anew: what waits is for the next connection.
            return Next::Goodbye(goodbye);
        }
        match state.outgoing.pop() {
            Some(waiting) => {
                drop(state);
                self.relieved.notify_waiters();
                Next::Message(waiting)
            }
            None => goodbye.map_or(Next::Nothing, Next::Goodbye),
        }
    }

    /// Takes back a message that could not be written.
    pub(super) fn put_back(&self, waiting: Waiting) {
        self.lock().outgoing.put_back(waiting);
    }

    /// What an open connection is to end with, once something else is wanted.
    pub(super) fn goodbye(&self, turn: u64) -> Option<Goodbye> {
        self.lock().goodbye(turn)
    }

    /// How long an open connection may take to say goodbye.
    pub(super) fn patience(&self) -> Duration {
        let state = self.lock();
        match state.wanted {
            // Somebody waits for the next connection.
            Wanted::Open => state.options.connection_timeout.min(Duration::from_secs(1)),
            _ => state.options.connection_timeout,
        }
    }

    /// Takes note that the open connection ended, and says what is next unless something else is wanted anyway.
    pub(super) fn ended(&self, turn: u64, random: f64) -> Option<Fate> {
        let mut state = self.lock();
        let uptime = state.opened_at.take().map(|opened_at| opened_at.elapsed()).unwrap_or_default();
        state.outgoing.connection_ended();
        let options = state.options.clone();
        let fate = if state.turn == turn { Some(state.retries.ended(uptime, &options, random)) } else { None };
        state.settle(fate);
        drop(state);
        self.told();
        fate
    }

    /// Takes note that an attempt failed, and says what is next unless something else is wanted anyway.
    pub(super) fn failed(&self, turn: u64, refused: bool, random: f64) -> Option<Fate> {
        let mut state = self.lock();
        if state.turn != turn {
            return None;
        }
        let options = state.options.clone();
        let fate = Some(state.retries.failed(refused, &options, random));
        state.settle(fate);
        drop(state);
        self.told();
        fate
    }

    /// The runtime has dropped the task: there will be no more connection.
    pub(super) fn task_ended(&self) {
        let mut state = self.lock();
        state.wanted = Wanted::Nothing(Goodbye::normal(""));
        state.ready_state = ReadyState::Closed;
        state.opened_at = None;
        drop(state);
        self.told();
    }

    async fn until<T>(&self, notify: &Notify, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            // Listening begins before looking, so that no change falls between the two.
            let mut notified = pin!(notify.notified());
            notified.as_mut().enable();
            if let Some(value) = ready(&mut self.lock()) {
                return value;
            }
            notified.await;
        }
    }
}

impl State {
    fn is_open(&self, epoch: u64) -> bool {
        self.ready_state == ReadyState::Open && self.epoch == epoch
    }

    fn goodbye(&self, turn: u64) -> Option<Goodbye> {
        match &self.wanted {
            Wanted::Open if self.turn == turn => None,
            Wanted::Open => Some(Goodbye::normal("reconnect")),
            Wanted::Closed(goodbye) | Wanted::Nothing(goodbye) => Some(goodbye.clone()),
        }
    }

    fn push(&mut self, message: Message, epoch: Option<u64>) -> Result<()> {
        self.outgoing.push(message, epoch, &self.options)
    }

    fn update(&mut self, options: PartySocketOptions) -> Result<()> {
        // Without a room there is no URL, and whatever comes next is another one.
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

    /// Whether the task that connects is still there: it goes with its runtime.
    fn check_task(&self) -> Result<()> {
        match self.wanted {
            Wanted::Nothing(_) => Err(Error::new(ErrorKind::Closed, "the socket's runtime is gone: make a new socket")),
            Wanted::Open | Wanted::Closed(_) => Ok(()),
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
        self.retries = Retries::default();
        self.ready_state = ReadyState::Connecting;
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

/// A number from 0 to 1, without 1; the middle where there is no randomness to be had.
pub(super) fn random() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / 4_294_967_296.0)
}

fn random_id() -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        Error::with_source(
            ErrorKind::Unavailable,
            "this machine has no randomness for an id: set one with with_id",
            error,
        )
    })?;
    Ok(uuid_v4(random))
}
