//! Where a persister stands: its link and its session, the two connections, and whoever saves or listens.

use std::{collections::HashMap, task::Waker, time::Duration};

use roommate::{Changes, Content, EditKey, Error, ErrorKind, Receipt, Result, Saved};
use tokio::{sync::oneshot, time::Instant};

use super::{PartyKitConfig, closed, line::Line, watch::Watch};
use crate::{
    persist::no_store,
    proto::{
        CheckId, Dialect, Link, LinkOptions, LinkOutput, Listening, Session, SessionOptions, SessionOutput, Side,
        Spoken, Ticket, Wire, socket::ReadyState,
    },
    socket::{PartySocket, random_id},
};

pub(super) struct State {
    pub(super) link: Link,
    pub(super) session: Session,
    pub(super) watch: Option<Watch>,
    /// Saves that wait to be handed over.
    pub(super) handing: HashMap<Receipt, oneshot::Sender<Result<()>>>,
    /// The socket, which is the application's.
    pub(super) main: Line,
    /// The room that the persister belongs to.
    room_url: String,
    /// Why the main connection will not open by itself.
    pub(super) failure: Option<Error>,
    /// The main connection was open once: the server knows better than to refuse it for good at the first attempt.
    pub(super) was_open: bool,
    pub(super) get: Option<CheckId>,
    pub(super) watches: u64,
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

impl State {
    pub(super) fn new(socket: &PartySocket, config: &PartyKitConfig, wire: Wire, dialect: Dialect) -> Result<Self> {
        let options = socket.options();
        let mut limits = config.limits;
        limits.message = limits.message.min(options.max_message_size);
        let link = LinkOptions { limits, patience: config.patience, ..LinkOptions::default() };
        let link = LinkOptions { overtaken_patience: link.overtaken_patience.min(config.patience), ..link };
        let session = SessionOptions { limits, ..SessionOptions::default() };
        Ok(Self {
            link: Link::new(wire, link),
            session: Session::new(dialect, random_id()?, session),
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
        })
    }

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
    pub(super) fn check_room(&self) -> Result<()> {
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
    pub(super) fn save(&mut self, changes: &Changes, edit: Option<EditKey<'_>>, now: Duration) -> Result<Begun> {
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
            _ if self.store_is_present() == Some(false) => Err(no_store()),
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

    /// When the persister's own connection brought some of a message that has yet to come whole.
    pub(super) fn last_arrival(&self) -> Option<Instant> {
        let line = &self.watch.as_ref()?.ear.as_ref()?.line;
        line.socket().last_arrival(line.epoch()?)
    }

    /// Takes what is to be reported and nobody reads, since the watch has yet to be ready for the first time.
    pub(super) fn unread_reports(&mut self) -> Vec<Error> {
        match &mut self.watch {
            Some(watch) if !watch.is_read => watch.notices.pop_errors(),
            _ => Vec::new(),
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
    pub(super) fn ear_failed(&mut self, id: u64, error: Error) -> (bool, Option<Error>) {
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
    pub(super) fn waits_first(&self) -> bool {
        let waits = |watch: &Watch| watch.failure.is_none() && !watch.is_over;
        !self.was_open
            && !self.is_ready()
            && self.main.socket().ready_state() != ReadyState::Closed
            && self.watch.as_ref().is_some_and(waits)
    }

    pub(super) fn listens_to_main(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.ear.is_none())
    }

    /// The main connection will not open any more.
    pub(super) fn fail(&mut self, error: Error) {
        for (_, handing) in self.handing.drain() {
            // Nobody waits any more: nothing to tell.
            let _ = handing.send(Err(error.clone()));
        }
        if let Some(watch) = &mut self.watch {
            watch.failure = Some(error.clone());
        }
        self.failure = Some(error);
    }

    pub(super) fn pong(&mut self, payload: &[u8]) {
        if let Ok(payload) = payload.try_into() {
            self.link.alive(CheckId::from_bytes(payload));
        }
    }

    pub(super) fn carry_out(&mut self) {
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

    pub(super) fn reader_to_wake(&mut self) -> Option<Waker> {
        match &mut self.watch {
            Some(watch) if !watch.notices.is_empty() || watch.failure.is_some() => watch.reader.take(),
            _ => self.ended.take(),
        }
    }
}
