//! What a persister, its stream and its task share: the state under its lock, and the state's transitions.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    task::Waker,
    time::Duration,
};

use async_trait::async_trait;
use roommate::{Content, Decoded, Error, ErrorKind, Report, Result};
use tokio::{sync::Notify, time::Instant};
use tracing::{trace, warn};

use super::{PartyKitConfig, http::Endpoint, state::State};
use crate::{
    proto::{
        Asking, CheckId, DIALECT_PARAMETER, DIALECT_VERSION, Decoder, Limits, Put, Side, Spoken, WatchId,
        persist::{Host, Hosted},
        socket::{Message, PartySocketOptions, ReadyState, SocketEvent},
    },
    socket::{PartySocket, SocketEvents},
};

pub(super) struct Shared {
    state: Mutex<State>,
    /// Wakes the task when there is work.
    pub(super) work: Notify,
    began: Instant,
    decoder: Decoder,
    socket: PartySocket,
    /// Whether the extended dialect may be used.
    extends: bool,
    /// Whether each watch opens a connection of its own.
    has_ear: bool,
    max_content_size: usize,
    limits: Limits,
    endpoint: Endpoint,
    /// Called for each error that no call returns.
    report: OnceLock<Report>,
}

/// The task's next work.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) wake_at: Option<Instant>,
    pub(super) ear: Option<(WatchId, SocketEvents)>,
    pub(super) get: Option<CheckId>,
    /// Ask the server for its dialect.
    pub(super) ask: Option<Asking>,
    /// A connection that accepts no more messages for now.
    pub(super) blocked: Option<(PartySocket, u64)>,
}

impl Shared {
    pub(super) fn new(socket: &PartySocket, config: &PartyKitConfig) -> Result<Self> {
        let prefix = &config.message_prefix;
        let decoder = Decoder::new(prefix.clone());
        let extends = config.extended_dialect && config.listening_connection;
        let state = State::new(socket, config, decoder.clone(), extends)?;
        Ok(Self {
            state: Mutex::new(state),
            work: Notify::new(),
            began: Instant::now(),
            decoder,
            socket: socket.clone(),
            extends,
            has_ear: config.listening_connection,
            max_content_size: config.max_content_size,
            limits: config.limits,
            endpoint: Endpoint::new(socket, config)?,
            report: OnceLock::new(),
        })
    }

    /// Accesses the state without carrying out outputs.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.lock())
    }

    /// Changes the state and carries out the resulting outputs.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state, self.began.elapsed());
        self.follow(state);
        result
    }

    /// Carries out the outputs that a change of the state produced.
    fn follow(&self, mut state: MutexGuard<'_, State>) {
        let reports = state.carry_out();
        let wakes = state.hosted.take_wakes();
        drop(state);
        wakes.into_iter().for_each(Waker::wake);
        self.work.notify_one();
        reports.into_iter().for_each(|error| self.report(error));
    }

    /// Options of the persister's own connection: the socket's, with an id of its own, a message size limit that admits
    /// whole contents, and an offer of the extended dialect.
    pub(super) fn ear_options(&self) -> Result<PartySocketOptions> {
        self.look(|state| state.check_room())?;
        let mut options = self.socket.options().as_ref().clone();
        (options.id, options.start_closed) = (None, false);
        // This connection receives whole contents.
        options.max_message_size = options.max_message_size.max(self.max_content_size);
        if self.extends {
            options.query = options.query.with_pair(DIALECT_PARAMETER, DIALECT_VERSION);
        }
        Ok(options)
    }

    /// Takes the task's work out of the state.
    pub(super) fn take_work(&self) -> Work {
        let mut state = self.lock();
        let State { hosted, main, ear, get, ask, .. } = &mut *state;
        let ear = ear.as_mut();
        let blocked = ear.as_ref().and_then(|ear| ear.line.blocked());
        Work {
            // A deadline beyond the clock's range never comes.
            wake_at: hosted.client.deadline().and_then(|deadline| self.began.checked_add(deadline)),
            ear: ear.and_then(|ear| Some((ear.watch, ear.events.take()?))),
            get: get.take(),
            ask: ask.take(),
            blocked: blocked.or_else(|| main.blocked()),
        }
    }

    /// Sets the callback for errors from now on. Only the first call has an effect.
    pub(super) fn report_to(&self, report: Report) {
        self.report.get_or_init(|| report);
        self.with(|state, _| state.hosted.client.report_errors());
    }

    /// Reports an error that no pending call returns. Must be called without the lock.
    fn report(&self, error: Error) {
        if let Some(report) = self.report.get() {
            report(error);
        }
    }

    /// Handles an event of the main socket.
    pub(super) fn main_event(&self, event: SocketEvent) {
        match event {
            SocketEvent::Message(message) => {
                // Without an ear notices come from the main connection.
                if self.look(|state| state.hosted.client.listens_to(Side::Main)) {
                    self.received(Side::Main, &message, |_| true);
                }
            }
            event => self.with(|state, now| match event {
                SocketEvent::Open { epoch } => match state.check_room() {
                    Ok(()) => {
                        state.main.opened(epoch);
                        state.hosted.client.opened(Side::Main, now);
                    }
                    Err(error) => state.hosted.client.failed(Side::Main, error, true),
                },
                SocketEvent::Close { code, reason, .. } => {
                    state.main.closed();
                    state.hosted.client.closed(Side::Main, code, &reason, now);
                }
                SocketEvent::Pong(payload) => pong(state, &payload),
                SocketEvent::Error(error) => {
                    let is_final = state.main_is_closed();
                    state.hosted.client.failed(Side::Main, error, is_final);
                }
                _ => {}
            }),
        }
    }

    /// Handles an event of the ear of a watch. Returns whether that watch still lasts.
    pub(super) fn ear_event(&self, watch: WatchId, event: SocketEvent) -> bool {
        let lasts = move |state: &State| state.ear.as_ref().is_some_and(|ear| ear.watch == watch);
        if let SocketEvent::Message(message) = event {
            return self.received(Side::Ear, &message, lasts);
        }
        self.with(|state, now| {
            let Some(ear) = state.ear.as_mut().filter(|ear| ear.watch == watch) else { return false };
            match event {
                SocketEvent::Open { epoch } => {
                    ear.line.opened(epoch);
                    state.hosted.client.opened(Side::Ear, now);
                }
                SocketEvent::Close { code, reason, .. } => {
                    ear.line.closed();
                    state.hosted.client.closed(Side::Ear, code, &reason, now);
                }
                SocketEvent::Pong(payload) => pong(state, &payload),
                SocketEvent::Error(error) => {
                    let is_final = ear.line.socket().ready_state() == ReadyState::Closed;
                    state.hosted.client.failed(Side::Ear, error, is_final);
                }
                _ => {}
            }
            true
        })
    }

    /// Handles the server's response to the question for its dialect, or the failure of that request.
    pub(super) fn answered(&self, asking: Asking, answer: Result<Spoken>) {
        self.with(|state, now| state.hosted.client.answered(asking, answer, now));
    }

    /// Handles the passing of time.
    pub(super) fn tick(&self) {
        self.with(|state, now| {
            if let Some(at) = state.last_arrival() {
                state.hosted.client.arriving(at.saturating_duration_since(self.began));
            }
            state.hosted.client.tick(now);
        });
    }

    /// Handles the response to the GET of a check.
    pub(super) fn checked(&self, check: CheckId, answer: Option<Option<Content>>) {
        self.with(|state, now| state.hosted.client.checked(check, answer, now));
    }

    /// Handles the end of the main socket, whose runtime is gone.
    pub(super) fn socket_is_gone(&self) {
        let error = Error::new(ErrorKind::Closed, "the socket is gone");
        self.with(|state, _| state.hosted.client.failed(Side::Main, error, true));
    }

    fn received(&self, side: Side, message: &Message, lasts: impl FnOnce(&State) -> bool) -> bool {
        let Message::Text(frame) = message else { return true };
        match self.decoder.decode(side, frame) {
            Some(Ok(Decoded { value, unrepresentable })) => {
                if unrepresentable > 0 {
                    warn!(unrepresentable, "left out cells of a message that no cell here can hold");
                }
                self.with(|state, now| {
                    let lasts = lasts(state);
                    if lasts {
                        state.hosted.client.received(side, value, now);
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

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pong(state: &mut State, payload: &[u8]) {
    if let Ok(payload) = payload.try_into() {
        state.hosted.client.ponged(CheckId::from_bytes(payload));
    }
}

#[async_trait]
impl Host for Shared {
    fn peek<T>(&self, act: impl FnOnce(&mut Hosted, Duration) -> T) -> T {
        let mut state = self.lock();
        state.look_at_main();
        act(&mut state.hosted, self.began.elapsed())
    }

    fn carry_out(&self) {
        self.follow(self.lock());
    }

    fn begin_watch(&self) -> Result<WatchId> {
        self.look(|state| state.hosted.client.check_open())?;
        let ear = self.has_ear.then(|| PartySocket::new(self.ear_options()?)).transpose()?;
        Ok(self.with(|state, now| state.begin_watch(ear, now)))
    }

    fn end_watch(&self, watch: WatchId) {
        self.with(|state, now| state.end_watch(watch, now));
    }

    async fn get(&self) -> Result<Option<Content>> {
        self.endpoint.get().await
    }

    async fn put(&self, content: &Content, offer: Option<String>) -> Result<Put> {
        self.endpoint.put(content, offer).await
    }

    fn limits(&self) -> Limits {
        self.limits
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("socket", &self.socket).finish_non_exhaustive()
    }
}
