//! What a persister, its stream and its task share.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use roommate::{Content, Error, ErrorKind, Receipt, Result};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::Instant,
};
use tracing::{trace, warn};

use super::{PartyKitConfig, closed};
use crate::{
    proto::{
        CheckId, Link, LinkOptions, LinkOutput, Listening, NoticeQueue, Side, Wire,
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
    socket: PartySocket,
}

pub(super) struct State {
    pub(super) link: Link,
    pub(super) watch: Option<Watch>,
    /// Saves that wait to be handed over.
    pub(super) handing: HashMap<Receipt, oneshot::Sender<Result<()>>>,
    socket: PartySocket,
    /// The room that the persister belongs to.
    room_url: String,
    /// The open main connection.
    epoch: Option<u64>,
    /// Why the main connection will not open by itself.
    failure: Option<Error>,
    outbox: VecDeque<Outgoing>,
    get: Option<CheckId>,
    watches: u64,
    closed: bool,
    /// Whoever read what has ended.
    ended: Option<Waker>,
}

/// Somebody who listens.
pub(super) struct Watch {
    pub(super) id: u64,
    pub(super) notices: NoticeQueue,
    pub(super) reader: Option<Waker>,
    /// Why it ends.
    pub(super) failure: Option<Error>,
    ear: Option<PartySocket>,
    ear_epoch: Option<u64>,
    /// For the task to take.
    ear_events: Option<SocketEvents>,
}

/// What waits to be written on the main connection.
enum Outgoing {
    Frame(Arc<str>),
    Ping(CheckId),
}

/// What the task is to do next.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) wake_at: Option<Instant>,
    pub(super) ear: Option<(u64, SocketEvents)>,
    pub(super) get: Option<CheckId>,
    /// The main connection, which takes no more just now.
    pub(super) blocked: Option<u64>,
}

/// Notices that may wait to be read.
const NOTICES: usize = 1024;

impl Shared {
    pub(super) fn new(socket: &PartySocket, config: &PartyKitConfig) -> Result<Self> {
        let options = socket.options();
        let mut limits = config.limits;
        limits.message = limits.message.min(options.max_message_size);
        let wire = Wire::new(config.message_prefix.clone());
        let link = LinkOptions { limits, patience: config.patience, ..LinkOptions::default() };
        let link = LinkOptions { overtaken_patience: link.overtaken_patience.min(config.patience), ..link };
        let state = State {
            link: Link::new(wire.clone(), link),
            watch: None,
            handing: HashMap::new(),
            socket: socket.clone(),
            room_url: options.room_url()?,
            epoch: None,
            failure: None,
            outbox: VecDeque::new(),
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
            socket: socket.clone(),
        })
    }

    /// Looks at the state, or changes what nothing else depends on.
    pub(super) fn peek<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.lock())
    }

    /// Changes the state and does what follows from that.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state, self.began.elapsed());
        state.carry_out();
        let reader = state.reader_to_wake();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        self.tell_news();
        self.work.notify_one();
        result
    }

    /// Resolves after each change of the state from now on.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    pub(super) fn tell_news(&self) {
        self.news.send_replace(());
    }

    /// Options of a listening connection: the socket's, with an id of its own.
    pub(super) fn ear_options(&self) -> Result<PartySocketOptions> {
        self.peek(|state| {
            let options = state.socket.options();
            state.check_room()?;
            Ok(PartySocketOptions { id: None, start_closed: false, ..options.as_ref().clone() })
        })
    }

    /// Takes what the task is to do.
    pub(super) fn take_work(&self) -> Work {
        let mut state = self.lock();
        Work {
            wake_at: state.link.deadline().map(|deadline| self.began + deadline),
            ear: state.watch.as_mut().and_then(|watch| Some((watch.id, watch.ear_events.take()?))),
            get: state.get.take(),
            blocked: state.epoch.filter(|_| !state.outbox.is_empty()),
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
            event => self.with(|state, now| match event {
                SocketEvent::Open { epoch } => match state.check_room() {
                    Ok(()) => {
                        state.failure = None;
                        state.epoch = Some(epoch);
                        state.link.opened(Side::Main, now);
                    }
                    Err(error) => state.fail(error),
                },
                SocketEvent::Close { .. } => {
                    state.epoch = None;
                    state.outbox.clear();
                    state.link.closed(Side::Main, now);
                }
                SocketEvent::Pong(payload) => state.pong(&payload),
                SocketEvent::Error(error) if self.socket.ready_state() == ReadyState::Closed => state.fail(error),
                _ => {}
            }),
        }
    }

    /// The ear of watch `id` told something. Whether that watch still lasts.
    pub(super) fn ear_event(&self, id: u64, event: SocketEvent) -> bool {
        let lasts = move |state: &State| state.watch.as_ref().is_some_and(|watch| watch.id == id);
        match event {
            SocketEvent::Message(message) => self.heard(Side::Ear, &message, lasts),
            event => self.with(|state, now| {
                let Some(watch) = state.watch.as_mut().filter(|watch| watch.id == id) else { return false };
                match event {
                    SocketEvent::Open { epoch } => {
                        watch.ear_epoch = Some(epoch);
                        state.link.opened(Side::Ear, now);
                    }
                    SocketEvent::Close { .. } => {
                        watch.ear_epoch = None;
                        state.link.closed(Side::Ear, now);
                    }
                    SocketEvent::Pong(payload) => state.pong(&payload),
                    SocketEvent::Error(error) => {
                        if watch.ear.as_ref().is_some_and(|ear| ear.ready_state() == ReadyState::Closed) {
                            watch.failure = Some(error);
                        }
                    }
                    SocketEvent::Message(_) => {}
                }
                true
            }),
        }
    }

    /// Waits until the main connection could take more, or is over.
    pub(super) async fn writable(&self, epoch: u64) {
        self.socket.writable(epoch).await;
    }

    /// Time has passed.
    pub(super) fn tick(&self) {
        self.with(|state, now| state.link.tick(now));
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
        let Some(decoded) = self.wire.decode_payload(frame) else {
            trace!(?side, bytes = frame.len(), "ignores a message that is not TinyBase's");
            return true;
        };
        if decoded.unrepresentable > 0 {
            warn!(decoded.unrepresentable, "left out cells of a message that no cell here can hold");
        }
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
        if self.failure.is_some() && self.socket.ready_state() != ReadyState::Closed && self.check_room().is_ok() {
            // Somebody made it try again, or led it back.
            self.failure = None;
        }
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Whether the socket leads to the room that the persister belongs to.
    fn check_room(&self) -> Result<()> {
        if self.socket.options().room_url()? == self.room_url {
            return Ok(());
        }
        let message = format!(
            "the socket leads to another room than {}: lead it back, or make a persister for that room",
            self.room_url
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }

    pub(super) fn has_room(&self) -> bool {
        self.link.has_room() && !self.watch.as_ref().is_some_and(|watch| watch.notices.is_full())
    }

    pub(super) fn begin_watch(&mut self, listening: Listening, ear: Option<PartySocket>, now: Duration) -> u64 {
        self.end_watch(self.watches, now);
        self.watches += 1;
        let ear_events = ear.as_ref().map(PartySocket::events);
        self.watch = Some(Watch {
            id: self.watches,
            notices: NoticeQueue::new(NOTICES),
            reader: None,
            failure: None,
            ear,
            ear_epoch: None,
            ear_events,
        });
        self.link.listen(listening, now);
        self.watches
    }

    pub(super) fn end_watch(&mut self, id: u64, now: Duration) {
        if id == self.watches {
            self.ended = self.watch.take().and_then(|watch| watch.reader);
            self.link.listen(Listening::Off, now);
        }
    }

    pub(super) fn close(&mut self, now: Duration) {
        self.closed = true;
        self.end_watch(self.watches, now);
        self.handing.clear();
        self.outbox.clear();
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
                (LinkOutput::Send(frame), _) => self.outbox.push_back(Outgoing::Frame(frame)),
                (LinkOutput::Ping(Side::Main, check), _) => self.outbox.push_back(Outgoing::Ping(check)),
                (LinkOutput::Ping(Side::Ear, check), Some(Watch { ear: Some(ear), ear_epoch: Some(epoch), .. })) => {
                    // One that is not open any more says so by its own event, which ends the check.
                    let _ = ear.ping(check.to_bytes().to_vec(), *epoch);
                }
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
        self.write();
    }

    /// Writes what the main connection takes.
    fn write(&mut self) {
        let Some(epoch) = self.epoch else { return };
        while let Some(next) = self.outbox.front() {
            let written = match next {
                Outgoing::Frame(frame) => self.socket.try_send_open(frame.clone(), epoch),
                Outgoing::Ping(check) => self.socket.ping(check.to_bytes().to_vec(), epoch),
            };
            match written {
                Err(error) if error.is_temporary() => return,
                // A connection that is over says so by its event, and then everything is sent again.
                Err(error) if error.kind() == ErrorKind::Closed => return self.outbox.clear(),
                Err(error) => warn!(%error, "cannot send a message"),
                Ok(()) => {}
            }
            self.outbox.pop_front();
        }
    }

    fn reader_to_wake(&mut self) -> Option<Waker> {
        match &mut self.watch {
            Some(watch) if !watch.notices.is_empty() || watch.failure.is_some() => watch.reader.take(),
            _ => self.ended.take(),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("socket", &self.socket).finish_non_exhaustive()
    }
}
