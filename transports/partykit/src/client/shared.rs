//! What a persister, its stream and its task share: the state under its lock, and what happens to it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use roommate::{Changes, Content, Decoded, EditKey, Error, ErrorKind, Report, Result};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tracing::{trace, warn};

use super::{PartyKitConfig, state::State};
use crate::{
    persist::Begun,
    proto::{
        Asking, CheckId, DIALECT_PARAMETER, DIALECT_VERSION, Decoder, Dialect, Side, Spoken, WatchId, Wire,
        socket::{Message, PartySocketOptions, ReadyState, SocketEvent},
    },
    socket::{PartySocket, SocketEvents},
};

pub(super) struct Shared {
    state: Mutex<State>,
    /// Tells the task that there is something to do.
    pub(super) work: Notify,
    /// Tells whoever waits for a change of the state.
    news: watch::Sender<()>,
    began: Instant,
    decoder: Decoder,
    socket: PartySocket,
    /// Whether the extended dialect may be spoken.
    extends: bool,
    max_content_size: usize,
    /// Hears of what passes by itself, for all that anybody knows.
    report: OnceLock<Report>,
}

/// What the task is to do next.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) wake_at: Option<Instant>,
    pub(super) ear: Option<(WatchId, SocketEvents)>,
    pub(super) get: Option<CheckId>,
    /// Ask the server for its dialect.
    pub(super) ask: Option<Asking>,
    /// A connection that takes no more just now.
    pub(super) blocked: Option<(PartySocket, u64)>,
}

impl Shared {
    pub(super) fn new(socket: &PartySocket, config: &PartyKitConfig) -> Result<Self> {
        let prefix = &config.message_prefix;
        let decoder = Decoder { wire: Wire::new(prefix.clone()), dialect: Dialect::new(prefix.clone()) };
        let extends = config.extended_dialect && config.listening_connection;
        let state = State::new(socket, config, decoder.clone(), extends)?;
        Ok(Self {
            state: Mutex::new(state),
            work: Notify::new(),
            news: watch::Sender::new(()),
            began: Instant::now(),
            decoder,
            socket: socket.clone(),
            extends,
            max_content_size: config.max_content_size,
            report: OnceLock::new(),
        })
    }

    /// Looks at the state, or changes what nothing else depends on. Tells no news, so whoever waits for some may look.
    pub(super) fn peek<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.lock())
    }

    /// Changes the state and does what follows from that.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state, self.began.elapsed());
        self.carry_out(state);
        result
    }

    /// Begins a save. One for which there is no room changes nothing and is no news: whoever waits for room would wake
    /// itself, for ever.
    pub(super) fn save(&self, changes: &Changes, edit: Option<EditKey<'_>>) -> Result<Option<Begun>> {
        let mut state = self.lock();
        let begun = state.save(changes, edit, self.began.elapsed());
        if !matches!(begun, Ok(None)) {
            self.carry_out(state);
        }
        begun
    }

    /// Does what follows from a change of the state, and tells of it.
    fn carry_out(&self, mut state: MutexGuard<'_, State>) {
        let reports = state.carry_out();
        let reader = state.reader_to_wake();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        reports.into_iter().for_each(|error| self.report(error));
        self.tell_news();
        self.work.notify_one();
    }

    /// Resolves after each change of the state from now on.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    pub(super) fn tell_news(&self) {
        self.news.send_replace(());
    }

    /// Options of the persister's own connection: the socket's, with an id of its own, room for contents, and a sign for the
    /// server.
    pub(super) fn ear_options(&self) -> Result<PartySocketOptions> {
        self.peek(|state| state.check_room())?;
        let mut options =
            PartySocketOptions { id: None, start_closed: false, ..self.socket.options().as_ref().clone() };
        // It brings whole contents.
        options.max_message_size = options.max_message_size.max(self.max_content_size);
        if self.extends {
            options.query = options.query.with_pair(DIALECT_PARAMETER, DIALECT_VERSION);
        }
        Ok(options)
    }

    /// Takes what the task is to do.
    pub(super) fn take_work(&self) -> Work {
        let mut state = self.lock();
        let State { client, main, ear, get, ask, .. } = &mut *state;
        let ear = ear.as_mut();
        let blocked = ear.as_ref().and_then(|ear| ear.line.blocked());
        Work {
            // One that no clock can show does not come.
            wake_at: client.deadline().and_then(|deadline| self.began.checked_add(deadline)),
            ear: ear.and_then(|ear| Some((ear.watch, ear.events.take()?))),
            get: get.take(),
            ask: ask.take(),
            blocked: blocked.or_else(|| main.blocked()),
        }
    }

    /// Where to tell errors from now on. The first time counts.
    pub(super) fn report_to(&self, report: Report) {
        self.report.get_or_init(|| report);
        self.with(|state, _| state.client.report_errors());
    }

    /// Tells an error to whoever hears of those that no call is answered with. With no lock held.
    fn report(&self, error: Error) {
        if let Some(report) = self.report.get() {
            report(error);
        }
    }

    /// The main socket has an event.
    pub(super) fn main_event(&self, event: SocketEvent) {
        match event {
            SocketEvent::Message(message) => {
                // Without an ear notices come from the main connection.
                if self.peek(|state| state.ear.is_none()) {
                    self.heard(Side::Main, &message, |_| true);
                }
            }
            event => self.with(|state, now| match event {
                SocketEvent::Open { epoch } => match state.check_room() {
                    Ok(()) => {
                        state.main.opened(epoch);
                        state.client.opened(Side::Main, now);
                    }
                    Err(error) => state.client.failed(Side::Main, error, true),
                },
                SocketEvent::Close { code, reason, .. } => {
                    state.main.closed();
                    state.client.closed(Side::Main, code, &reason, now);
                }
                SocketEvent::Pong(payload) => pong(state, &payload),
                SocketEvent::Error(error) => {
                    let is_final = state.main_is_closed();
                    state.client.failed(Side::Main, error, is_final);
                }
                SocketEvent::Message(_) => {}
            }),
        }
    }

    /// The ear of a watch has an event. Returns whether that watch still lasts.
    pub(super) fn ear_event(&self, watch: WatchId, event: SocketEvent) -> bool {
        let lasts = move |state: &State| state.ear.as_ref().is_some_and(|ear| ear.watch == watch);
        if let SocketEvent::Message(message) = event {
            return self.heard(Side::Ear, &message, lasts);
        }
        self.with(|state, now| {
            let Some(ear) = state.ear.as_mut().filter(|ear| ear.watch == watch) else { return false };
            match event {
                SocketEvent::Open { epoch } => {
                    ear.line.opened(epoch);
                    state.client.opened(Side::Ear, now);
                }
                SocketEvent::Close { code, reason, .. } => {
                    ear.line.closed();
                    state.client.closed(Side::Ear, code, &reason, now);
                }
                SocketEvent::Pong(payload) => pong(state, &payload),
                SocketEvent::Error(error) => {
                    let is_final = ear.line.socket().ready_state() == ReadyState::Closed;
                    state.client.failed(Side::Ear, error, is_final);
                }
                SocketEvent::Message(_) => {}
            }
            true
        })
    }

    /// The server answered for its dialect, or could not.
    pub(super) fn answered(&self, asking: Asking, answer: Result<Spoken>) {
        self.with(|state, now| state.client.answered(asking, answer, now));
    }

    /// Time has passed.
    pub(super) fn tick(&self) {
        self.with(|state, now| {
            if let Some(at) = state.last_arrival() {
                state.client.arriving(at.saturating_duration_since(self.began));
            }
            state.client.tick(now);
        });
    }

    /// The GET of a check was answered.
    pub(super) fn checked(&self, check: CheckId, answer: Option<Option<Content>>) {
        self.with(|state, now| state.client.checked(check, answer, now));
    }

    /// The main socket is gone, with its runtime.
    pub(super) fn socket_is_gone(&self) {
        let error = Error::new(ErrorKind::Closed, "the socket is gone");
        self.with(|state, _| state.client.failed(Side::Main, error, true));
    }

    fn heard(&self, side: Side, message: &Message, lasts: impl FnOnce(&State) -> bool) -> bool {
        let Message::Text(frame) = message else { return true };
        match self.decoder.decode(side, frame) {
            Some(Ok(Decoded { value, unrepresentable })) => {
                if unrepresentable > 0 {
                    warn!(unrepresentable, "left out cells of a message that no cell here can hold");
                }
                self.with(|state, now| {
                    let lasts = lasts(state);
                    if lasts {
                        state.client.heard(side, value, now);
                    }
                    lasts
                })
            }
            Some(Err(error)) => {
                warn!(%error, "ignores a message that it does not understand");
                true
            }
            None => {
                trace!(?side, bytes = frame.len(), "ignores a message that is not TinyBase's");
                true
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pong(state: &mut State, payload: &[u8]) {
    if let Ok(payload) = payload.try_into() {
        state.client.alive(CheckId::from_bytes(payload));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("socket", &self.socket).finish_non_exhaustive()
    }
}
