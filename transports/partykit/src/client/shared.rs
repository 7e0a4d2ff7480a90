//! What a persister, its stream and its task share: the state under its lock, and what happens to it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use roommate::{Changes, Content, EditKey, Error, ErrorKind, Report, Result};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tracing::{trace, warn};

use super::{
    PartyKitConfig,
    state::{Begun, State},
    watch::Watch,
};
use crate::{
    proto::{
        CheckId, DIALECT_PARAMETER, DIALECT_VERSION, Dialect, Listening, Side, Spoken, Wire,
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
    wire: Wire,
    dialect: Dialect,
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
    pub(super) ear: Option<(u64, SocketEvents)>,
    pub(super) get: Option<CheckId>,
    /// Ask the server what it speaks, for this watch and because of this connection.
    pub(super) ask: Option<(u64, u64)>,
    /// A connection that takes no more just now.
    pub(super) blocked: Option<(PartySocket, u64)>,
}

impl Shared {
    pub(super) fn new(socket: &PartySocket, config: &PartyKitConfig) -> Result<Self> {
        let wire = Wire::new(config.message_prefix.clone());
        let dialect = Dialect::new(config.message_prefix.clone());
        let state = State::new(socket, config, wire.clone(), dialect.clone())?;
        Ok(Self {
            state: Mutex::new(state),
            work: Notify::new(),
            news: watch::Sender::new(()),
            began: Instant::now(),
            wire,
            dialect,
            socket: socket.clone(),
            extends: config.extended_dialect && config.listening_connection,
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
    pub(super) fn save(&self, changes: &Changes, edit: Option<EditKey<'_>>) -> Result<Begun> {
        let mut state = self.lock();
        let begun = state.save(changes, edit, self.began.elapsed());
        if !matches!(begun, Ok(Begun::Full)) {
            self.carry_out(state);
        }
        begun
    }

    /// Does what follows from a change of the state, and tells of it.
    fn carry_out(&self, mut state: MutexGuard<'_, State>) {
        state.carry_out();
        // Without anybody who hears of them they wait for whoever will read.
        let reports = if self.report.get().is_some() { state.unread_reports() } else { Vec::new() };
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

    /// Begins a watch; its number.
    pub(super) fn begin_watch(&self, listening: Listening, ear: Option<PartySocket>) -> u64 {
        let spoken = (!self.extends || ear.is_none()).then_some(Spoken::Stock);
        self.with(|state, now| {
            state.end_watch(state.watches, now);
            state.watches += 1;
            state.watch = Some(Watch::new(state.watches, ear, spoken));
            state.link.listen(listening, now);
            state.watches
        })
    }

    /// Takes what the task is to do.
    pub(super) fn take_work(&self) -> Work {
        let mut state = self.lock();
        let now = self.began.elapsed();
        let deadlines = [state.link.deadline(), state.session.deadline()];
        let ear = state.watch.as_mut().and_then(|watch| Some((watch.id, watch.ear.as_mut()?)));
        let (mut events, mut ask, mut ask_at, mut blocked) = (None, None, None, None);
        if let Some((id, ear)) = ear {
            events = ear.events.take().map(|events| (id, events));
            ask_at = ear.ask_at;
            if ask_at.is_some_and(|at| at <= now) {
                (ask_at, ear.ask_at) = (None, None);
                ask = ear.line.epoch().map(|epoch| (id, epoch));
            }
            blocked = ear.line.blocked();
        }
        let deadline = deadlines.into_iter().flatten().chain(ask_at).min();
        Work {
            // One that no clock can show does not come.
            wake_at: deadline.and_then(|deadline| self.began.checked_add(deadline)),
            ear: events,
            get: state.get.take(),
            ask,
            blocked: blocked.or_else(|| state.main.blocked()),
        }
    }

    /// Where to tell errors from now on. The first time counts.
    pub(super) fn report_to(&self, report: Report) {
        self.report.get_or_init(|| report);
    }

    /// Tells an error to whoever hears of those that no call is answered with. With no lock held.
    fn report(&self, error: Error) {
        if let Some(report) = self.report.get() {
            report(error);
        }
    }

    /// The main socket told something.
    pub(super) fn main_event(&self, event: SocketEvent) {
        match event {
            SocketEvent::Message(message) => {
                // Only without an ear does anybody listen here.
                if self.peek(|state| state.listens_to_main()) {
                    self.heard(Side::Main, &message, |_| true);
                }
            }
            // What was never taken is refused for a cause that does not pass by itself: whoever waits need not.
            SocketEvent::Error(error)
                if error.kind() == ErrorKind::Refused && self.peek(|state| state.waits_first()) =>
            {
                self.with(|state, _| {
                    if let Some(watch) = &mut state.watch {
                        watch.failure = Some(error);
                    }
                });
            }
            // A socket goes on trying by itself, and no call fails meanwhile.
            SocketEvent::Error(error) if self.socket.ready_state() != ReadyState::Closed => self.report(error),
            SocketEvent::Error(error) => {
                let is_told = self.with(|state, _| {
                    state.fail(error.clone());
                    state.watch.is_some()
                });
                if !is_told {
                    self.report(error);
                }
            }
            event => self.with(|state, now| match event {
                SocketEvent::Open { epoch } => match state.check_room() {
                    Ok(()) => {
                        state.failure = None;
                        state.was_open = true;
                        state.main.opened(epoch);
                        state.link.opened(Side::Main, now);
                    }
                    Err(error) => state.fail(error),
                },
                SocketEvent::Close { code, .. } => {
                    state.main.closed();
                    state.link.closed_with(Side::Main, code, now);
                }
                SocketEvent::Pong(payload) => state.pong(&payload),
                SocketEvent::Message(_) | SocketEvent::Error(_) => {}
            }),
        }
    }

    /// The ear of watch `id` told something. Whether that watch still lasts.
    pub(super) fn ear_event(&self, id: u64, event: SocketEvent) -> bool {
        let lasts = move |state: &State| state.watch.as_ref().is_some_and(|watch| watch.id == id);
        match event {
            SocketEvent::Message(message) => self.heard(Side::Ear, &message, lasts),
            SocketEvent::Error(error) => {
                let (lasts, untold) = self.with(|state, _| state.ear_failed(id, error));
                if let Some(error) = untold {
                    self.report(error);
                }
                lasts
            }
            event => self.with(|state, now| {
                let Some(watch) = state.watch.as_mut().filter(|watch| watch.id == id) else { return false };
                let Some(ear) = &mut watch.ear else { return false };
                match event {
                    SocketEvent::Open { epoch } => {
                        ear.line.opened(epoch);
                        if self.extends {
                            // Another server may have answered than the time before.
                            ear.ask_at = Some(now);
                        } else {
                            state.link.opened(Side::Ear, now);
                        }
                    }
                    SocketEvent::Close { code, reason, .. } => {
                        ear.line.closed();
                        ear.ask_at = None;
                        watch.hung_up(code, &reason);
                        state.link.closed(Side::Ear, now);
                        state.session.closed_with(code);
                    }
                    SocketEvent::Pong(payload) => state.pong(&payload),
                    SocketEvent::Message(_) | SocketEvent::Error(_) => {}
                }
                true
            }),
        }
    }

    /// The server told what it speaks, or could not.
    pub(super) fn answered(&self, id: u64, epoch: u64, answer: Result<Spoken>) {
        self.with(|state, now| {
            let watch = state.watch.as_mut().filter(|watch| watch.id == id);
            match watch.and_then(|watch| watch.answered(epoch, answer, now)) {
                Some(Spoken::Stock) => state.link.opened(Side::Ear, now),
                Some(Spoken::Extended) => {
                    state.link.listen(Listening::Off, now);
                    state.session.opened(now);
                }
                None => {}
            }
        });
    }

    /// Time has passed.
    pub(super) fn tick(&self) {
        self.with(|state, now| {
            state.link.tick(now);
            if let Some(at) = state.last_arrival() {
                state.session.arriving(at.saturating_duration_since(self.began));
            }
            state.session.tick(now);
        });
    }

    /// The GET of a check was answered.
    pub(super) fn checked(&self, check: CheckId, answer: Option<Option<Content>>) {
        self.with(|state, now| state.link.checked(check, answer, now));
    }

    /// The main socket is gone, with its runtime.
    pub(super) fn socket_is_gone(&self) {
        self.with(|state, _| state.fail(Error::new(ErrorKind::Closed, "the socket is gone")));
    }

    fn heard(&self, side: Side, message: &Message, lasts: impl FnOnce(&State) -> bool) -> bool {
        let Message::Text(frame) = message else { return true };
        if side == Side::Ear
            && let Some(message) = self.dialect.decode_server(frame)
        {
            return match message {
                Ok(decoded) => {
                    complain(decoded.unrepresentable);
                    self.with(|state, now| {
                        let lasts = lasts(state);
                        if lasts {
                            state.session.heard(decoded.value, now);
                        }
                        lasts
                    })
                }
                Err(error) => {
                    warn!(%error, "ignores a message that it does not understand");
                    true
                }
            };
        }
        let Some(decoded) = self.wire.decode_payload(frame) else {
            trace!(?side, bytes = frame.len(), "ignores a message that is not TinyBase's");
            return true;
        };
        complain(decoded.unrepresentable);
        self.with(|state, now| {
            let lasts = lasts(state);
            if lasts {
                state.link.heard(side, decoded.value, now);
            }
            lasts
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn complain(unrepresentable: usize) {
    if unrepresentable > 0 {
        warn!(unrepresentable, "left out cells of a message that no cell here can hold");
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("socket", &self.socket).finish_non_exhaustive()
    }
}
