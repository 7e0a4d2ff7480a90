//! What a persister, its stream and its task share.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    task::Waker,
    time::Duration,
};

use roommate::{Changes, Content, EditKey, Error, ErrorKind, Receipt, Report, Result, Saved};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::Instant,
};
use tracing::{trace, warn};

use super::{PartyKitConfig, closed, line::Line, watch::Watch};
use crate::{
    proto::{
        CheckId, DIALECT_PARAMETER, DIALECT_VERSION, Dialect, Link, LinkOptions, LinkOutput, Listening, Session,
        SessionOptions, SessionOutput, Side, Spoken, Ticket, Wire,
        socket::{Message, PartySocketOptions, ReadyState, SocketEvent},
    },
    socket::{PartySocket, SocketEvents, random_id},
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

pub(super) struct State {
    pub(super) link: Link,
    pub(super) session: Session,
    pub(super) watch: Option<Watch>,
    /// Saves that wait to be handed over.
    pub(super) handing: HashMap<Receipt, oneshot::Sender<Result<()>>>,
    /// The socket, which is the application's.
    main: Line,
    /// The room that the persister belongs to.
    room_url: String,
    /// Why the main connection will not open by itself.
    failure: Option<Error>,
    /// The main connection was open once: the server knows better than to refuse it for good at the first attempt.
    was_open: bool,
    get: Option<CheckId>,
    watches: u64,
    closed: bool,
    /// Whoever read what has ended.
    ended: Option<Waker>,
}

/// How a save began.
pub(super) enum Begun {
    /// There is no room for it now.
    Full,
    Later(Saved),
    Handing(oneshot::Receiver<Result<()>>),
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
        let options = socket.options();
        let mut limits = config.limits;
        limits.message = limits.message.min(options.max_message_size);
        let wire = Wire::new(config.message_prefix.clone());
        let link = LinkOptions { limits, patience: config.patience, ..LinkOptions::default() };
        let link = LinkOptions { overtaken_patience: link.overtaken_patience.min(config.patience), ..link };
        let dialect = Dialect::new(config.message_prefix.clone());
        let session = SessionOptions { limits, ..SessionOptions::default() };
        let state = State {
            link: Link::new(wire.clone(), link),
            session: Session::new(dialect.clone(), random_id()?, session),
            watch: None,
            handing: HashMap::new(),
            main: Line::new(socket.clone()),
            room_url: options.room_url()?,
            failure: None,
            was_open: false,
            get: None,
            watches: 0,
            closed: false,
            ended: None,
        };
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
        let reader = state.reader_to_wake();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
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
        Work {
            wake_at: deadlines.into_iter().flatten().chain(ask_at).min().map(|deadline| self.began + deadline),
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
                SocketEvent::Close { .. } => {
                    state.main.closed();
                    state.link.closed(Side::Main, now);
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
                        state.session.closed();
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

impl State {
    /// Why nothing can be sent now or later, if that is so.
    pub(super) fn check(&mut self) -> Result<()> {
        if self.closed {
            return Err(closed());
        }
        if self.failure.is_some() && self.main.socket().ready_state() != ReadyState::Closed && self.check_room().is_ok()
        {
            // Somebody made it try again, or led it back.
            self.failure = None;
        }
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Whether the socket leads to the room that the persister belongs to.
    fn check_room(&self) -> Result<()> {
        if self.main.socket().options().room_url()? == self.room_url {
            return Ok(());
        }
        let message = format!(
            "the socket leads to another room than {}: lead it back, or make a persister for that room",
            self.room_url
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// Begins a save of changes.
    fn save(&mut self, changes: &Changes, edit: Option<EditKey<'_>>, now: Duration) -> Result<Begun> {
        self.check()?;
        let spoken = match &self.watch {
            // Nothing that waits would be confirmed any more, and whoever listens learns why when nothing is being saved.
            Some(watch) if watch.ends() => {
                return Err(Error::new(ErrorKind::Unavailable, "nobody listens to the room any more"));
            }
            Some(watch) if watch.notices.is_full() => return Ok(Begun::Full),
            Some(watch) => watch.spoken,
            None => Some(Spoken::Stock),
        };
        match spoken {
            Some(Spoken::Extended) if self.session.has_room() => {
                self.session.save(edit, changes, now).map(|receipt| Begun::Later(Saved::Later(receipt)))
            }
            Some(Spoken::Stock) if self.link.has_room() => Ok(match self.link.save(changes, now)? {
                Ticket::Confirmed(receipt) => Begun::Later(Saved::Later(receipt)),
                Ticket::Handed(receipt) => {
                    let (handed, handing) = oneshot::channel();
                    self.handing.insert(receipt, handed);
                    Begun::Handing(handing)
                }
            }),
            _ => Ok(Begun::Full),
        }
    }

    /// What names an edit that a first content has, if the server takes note of that.
    pub(super) fn offer(&mut self, edit: EditKey<'_>) -> Result<Option<String>> {
        if self.is_extended() { self.session.offer(edit).map(Some) } else { Ok(None) }
    }

    /// Whether everything that the watch listens to is open.
    pub(super) fn is_ready(&self) -> bool {
        match self.watch.as_ref().and_then(|watch| watch.spoken) {
            Some(Spoken::Stock) => self.link.is_ready(),
            Some(Spoken::Extended) => self.session.is_joined(),
            None => false,
        }
    }

    /// Whether the room has a store, as far as is known.
    pub(super) fn store_is_present(&self) -> Option<bool> {
        let (link, session) = (self.link.store_is_present(), self.session.store_is_present());
        if self.is_extended() { session } else { link.or(session) }
    }

    /// A request told whether the room has a store.
    pub(super) fn store_found(&mut self, present: bool, now: Duration) {
        self.link.store_found(present, now);
        if present && self.is_extended() {
            self.session.store_found();
        }
    }

    /// Takes the content that the server sent on joining, while it is all that there is to tell.
    pub(super) fn take_content(&mut self) -> Option<Content> {
        self.watch.as_mut().filter(|watch| watch.is_extended())?.notices.pop_content()
    }

    fn is_extended(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_extended)
    }

    pub(super) fn end_watch(&mut self, id: u64, now: Duration) {
        if id == self.watches {
            self.ended = self.watch.take().and_then(|watch| watch.reader);
            self.link.listen(Listening::Off, now);
            self.session.restart();
        }
    }

    pub(super) fn close(&mut self, now: Duration) {
        self.closed = true;
        self.end_watch(self.watches, now);
        self.handing.clear();
        self.main.closed();
    }

    /// The ear of watch `id` failed. Whether that watch still lasts, and the error if nothing else tells of it.
    fn ear_failed(&mut self, id: u64, error: Error) -> (bool, Option<Error>) {
        let main_is_open = self.main.epoch().is_some();
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.id == id) else { return (false, None) };
        let Some(ear) = &watch.ear else { return (false, None) };
        match ear.line.socket().ready_state() {
            ReadyState::Closed => watch.failure = Some(error),
            // Such as a message that is too large for the server.
            _ if !error.is_temporary() => watch.notices.push(Err(error)),
            // Else the main connection tells why.
            _ if main_is_open => return (true, Some(error)),
            _ => {}
        }
        (true, None)
    }

    /// Whether somebody waits for the very first connection.
    fn waits_first(&self) -> bool {
        let waits = |watch: &Watch| watch.failure.is_none() && !watch.is_over;
        !self.was_open
            && !self.is_ready()
            && self.main.socket().ready_state() != ReadyState::Closed
            && self.watch.as_ref().is_some_and(waits)
    }

    fn listens_to_main(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.ear.is_none())
    }

    /// The main connection will not open any more.
    fn fail(&mut self, error: Error) {
        for (_, handing) in self.handing.drain() {
            // Nobody waits any more: nothing to tell.
            let _ = handing.send(Err(error.clone()));
        }
        if let Some(watch) = &mut self.watch {
            watch.failure = Some(error.clone());
        }
        self.failure = Some(error);
    }

    fn pong(&mut self, payload: &[u8]) {
        if let Ok(payload) = payload.try_into() {
            self.link.alive(CheckId::from_bytes(payload));
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.link.poll() {
            match (output, &mut self.watch) {
                (LinkOutput::Send(frame), _) => self.main.send(frame),
                (LinkOutput::Ping(Side::Main, check), _) => self.main.ping(check),
                (LinkOutput::Ping(Side::Ear, check), Some(Watch { ear: Some(ear), .. })) => ear.line.ping(check),
                (LinkOutput::Get(check), _) => self.get = Some(check),
                (LinkOutput::Notice(notice), Some(watch)) => watch.notices.push(Ok(notice)),
                (LinkOutput::Report(error), Some(watch)) => watch.notices.push(Err(error)),
                (LinkOutput::Handed(receipt), _) => {
                    if let Some(handing) = self.handing.remove(&receipt) {
                        // Nobody waits any more: nothing to tell.
                        let _ = handing.send(Ok(()));
                    }
                }
                (LinkOutput::Ping(Side::Ear, _) | LinkOutput::Notice(_) | LinkOutput::Report(_), _) => {}
            }
        }
        while let Some(output) = self.session.poll() {
            let Some(Watch { ear: Some(ear), notices, failure, .. }) = &mut self.watch else { continue };
            match output {
                SessionOutput::Send(frame) => ear.line.send(frame),
                SessionOutput::Notice(notice) => notices.push(Ok(notice)),
                SessionOutput::Report(error) => notices.push(Err(error)),
                SessionOutput::Reconnect => {
                    if let Err(error) = ear.line.socket().reconnect() {
                        *failure = Some(error);
                    }
                }
            }
        }
        self.main.write();
        if let Some(Watch { ear: Some(ear), .. }) = &mut self.watch {
            ear.line.write();
        }
    }

    fn reader_to_wake(&mut self) -> Option<Waker> {
        match &mut self.watch {
            Some(watch) if !watch.notices.is_empty() || watch.failure.is_some() => watch.reader.take(),
            _ => self.ended.take(),
        }
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
