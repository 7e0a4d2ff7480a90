//! Our client: the real `Engine`, `Store`, `Link` and `Session`, with a persister that is simulated only where the real one
//! does I/O.

use std::{collections::HashMap, sync::Arc, task::Waker, time::Duration};

use futures_channel::oneshot;
use roommate::{Changes, Content, EditKey, Error, ErrorKind, Notice, Receipt, Result};

use super::{
    network::Answering,
    world::{Client, Event, World},
};
use crate::{
    persist::no_store,
    proto::{
        CheckId, DIALECT_HEADER, Dialect, Greeting, Link, LinkOptions, LinkOutput, Listening, NoticeQueue, Response,
        Session, SessionOptions, SessionOutput, Side, Spoken, StoreAnswer, Ticket, Wire, hung_up,
    },
};

mod persister;

pub(super) use persister::SimPersister;

/// What the persister, its stream and the network share of one client.
pub(super) struct Ours {
    link: Link,
    session: Session,
    wire: Wire,
    dialect: Dialect,
    /// It speaks the extended dialect with a server that does.
    pub(super) extends: bool,
    /// Notices that may wait to be read.
    notices: usize,
    watch: Option<Watch>,
    watches: u64,
    handing: HashMap<Receipt, oneshot::Sender<()>>,
    /// Whoever waits for anything to change. An engine does one thing at a time, so there is one at most.
    waiting: Option<Waker>,
    /// When a tick of the link is scheduled.
    tick_at: Option<Duration>,
}

struct Watch {
    id: u64,
    notices: NoticeQueue,
    reader: Option<Waker>,
    /// There will be no more notices.
    ended: bool,
    /// Why, if that is an error.
    failure: Option<Error>,
    /// What is spoken with the server, once that is known.
    spoken: Option<Spoken>,
    /// Counts the connections, and whether there is one.
    opened: u64,
    is_open: bool,
    /// When to ask the server what it speaks.
    ask_at: Option<Duration>,
}

/// How long to wait before a server that could not answer is asked again what it speaks.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Ours {
    /// A client that has not begun to listen. One that is `tight` splits changes, and has room for few.
    pub(super) fn new(number: u8, tight: bool, extends: bool) -> Self {
        let wire = Wire::default();
        let dialect = Dialect::default();
        let (mut options, mut session) = (LinkOptions::default(), SessionOptions::default());
        if tight {
            options.capacity = 3;
            options.limits.cells = 2;
            (session.capacity, session.limits) = (options.capacity, options.limits);
        }
        Self {
            link: Link::new(wire.clone(), options),
            session: Session::new(dialect.clone(), format!("persister {number}"), session),
            notices: if tight { 8 } else { 1024 },
            wire,
            dialect,
            extends,
            watch: None,
            watches: 0,
            handing: HashMap::new(),
            waiting: None,
            tick_at: None,
        }
    }

    /// Whether it waits for nothing but time without an end.
    pub(super) fn is_quiet(&self) -> bool {
        self.deadline().is_none()
            && self.is_ready()
            && self.watch.as_ref().is_some_and(|watch| !watch.is_over() && watch.notices.is_empty())
    }

    fn is_ready(&self) -> bool {
        match self.watch.as_ref().and_then(|watch| watch.spoken) {
            Some(Spoken::Stock) => self.link.is_ready(),
            Some(Spoken::Extended) => self.session.is_joined(),
            None => false,
        }
    }

    fn is_extended(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.spoken == Some(Spoken::Extended))
    }

    fn store_is_present(&self) -> Option<bool> {
        let (link, session) = (self.link.store_is_present(), self.session.store_is_present());
        if self.is_extended() { session } else { link.or(session) }
    }

    fn store_found(&mut self, present: bool, now: Duration) {
        self.link.store_found(present, now);
        if present && self.is_extended() {
            self.session.store_found();
        }
    }

    /// Begins a save; `None` if there is no room for it now.
    fn save(&mut self, changes: &Changes, edit: Option<EditKey<'_>>, now: Duration) -> Result<Option<Begun>> {
        let spoken = match &self.watch {
            Some(watch) if watch.notices.is_full() => return Ok(None),
            Some(watch) => watch.spoken,
            None => Some(Spoken::Stock),
        };
        Ok(match spoken {
            Some(Spoken::Extended) if self.session.has_room() => {
                Some(Begun::Later(self.session.save(edit, changes, now)?))
            }
            Some(Spoken::Stock) if self.link.has_room() => Some(match self.link.save(changes, now)? {
                Ticket::Confirmed(receipt) => Begun::Later(receipt),
                Ticket::Handed(receipt) => {
                    let (handed, handing) = oneshot::channel();
                    self.handing.insert(receipt, handed);
                    Begun::Handing(handing)
                }
            }),
            _ if self.store_is_present() == Some(false) => return Err(no_store()),
            _ => None,
        })
    }

    /// What names an edit that a first content has, if the server takes note of that.
    fn offer(&mut self, edit: EditKey<'_>) -> Result<Option<String>> {
        if self.is_extended() { self.session.offer(edit).map(Some) } else { Ok(None) }
    }

    fn deadline(&self) -> Option<Duration> {
        let ask_at = self.watch.as_ref().and_then(|watch| watch.ask_at);
        [self.link.deadline(), self.session.deadline(), ask_at].into_iter().flatten().min()
    }

    fn poll(&mut self) -> Option<Wanted> {
        while let Some(output) = self.link.poll() {
            match (output, &mut self.watch) {
                (LinkOutput::Send(frame), _) => return Some(Wanted::Send(Side::Main, frame)),
                (LinkOutput::Ping(side, check), _) => return Some(Wanted::Ping(side, check)),
                (LinkOutput::Get(check), _) => return Some(Wanted::Get(check)),
                (LinkOutput::Notice(notice), Some(watch)) => watch.tell(Ok(notice)),
                (LinkOutput::Report(error), Some(watch)) => watch.tell(Err(error)),
                (LinkOutput::Handed(receipt), _) => {
                    if let Some(handing) = self.handing.remove(&receipt) {
                        // Nobody waits any more: nothing to tell.
                        let _ = handing.send(());
                    }
                }
                (LinkOutput::Notice(_) | LinkOutput::Report(_), None) => {}
            }
        }
        while let Some(output) = self.session.poll() {
            let Some(watch) = &mut self.watch else { continue };
            match output {
                SessionOutput::Send(frame) => return Some(Wanted::Send(Side::Ear, frame)),
                SessionOutput::Notice(notice) => watch.tell(Ok(notice)),
                SessionOutput::Report(error) => watch.tell(Err(error)),
                SessionOutput::Reconnect => return Some(Wanted::Reconnect),
            }
        }
        None
    }
}

impl Watch {
    fn is_over(&self) -> bool {
        self.ended || self.failure.is_some()
    }

    fn tell(&mut self, notice: Result<Notice>) {
        self.notices.push(notice);
    }
}

/// How a save began.
enum Begun {
    Later(Receipt),
    Handing(oneshot::Receiver<()>),
}

/// What a client's logic wants of the network.
enum Wanted {
    Send(Side, Arc<str>),
    Ping(Side, CheckId),
    Get(CheckId),
    Reconnect,
}

/// What happens to the client.
impl World {
    pub(super) fn ours_opened(&mut self, peer: usize, side: Side) {
        self.act(peer, |ours, now| match &mut ours.watch {
            Some(watch) if side == Side::Ear => {
                watch.opened += 1;
                watch.is_open = true;
                if ours.extends {
                    // Another server may have answered than the time before.
                    watch.ask_at = Some(now);
                } else {
                    ours.link.opened(side, now);
                }
            }
            _ => ours.link.opened(side, now),
        });
        self.ask(peer);
    }

    pub(super) fn ours_closed(&mut self, peer: usize, side: Side, code: u16) {
        self.act(peer, |ours, now| {
            ours.link.closed_with(side, code, now);
            if side == Side::Ear {
                if let Some(watch) = &mut ours.watch {
                    (watch.is_open, watch.ask_at) = (false, None);
                    if let Some(error) = hung_up(code, "") {
                        watch.failure = Some(error);
                    }
                }
                ours.session.closed_with(code);
            }
        });
    }

    pub(super) fn ours_heard(&mut self, peer: usize, side: Side, frame: &str) {
        self.act(peer, |ours, now| {
            if side == Side::Ear
                && let Some(message) = ours.dialect.decode_server(frame)
            {
                if let Ok(decoded) = message {
                    ours.session.heard(decoded.value, now);
                }
            } else if let Some(decoded) = ours.wire.decode_payload(frame) {
                ours.link.heard(side, decoded.value, now);
            }
        });
    }

    pub(super) fn ours_ponged(&mut self, peer: usize, check: CheckId) {
        self.act(peer, |ours, _| ours.link.alive(check));
    }

    pub(super) fn ours_checked(&mut self, peer: usize, check: CheckId, response: Option<Response>) {
        let answer = response.and_then(|response| content(&response).ok());
        self.act(peer, |ours, now| ours.link.checked(check, answer, now));
    }

    /// The server told what it speaks, because of the connection `opened` of a watch, or could not.
    pub(super) fn ours_greeted(&mut self, peer: usize, id: u64, opened: u64, response: Option<Response>) {
        let spoken = response.ok_or_else(|| unavailable("HEAD")).and_then(|response| {
            let says = response.headers.iter().find(|(name, _)| name == DIALECT_HEADER);
            Spoken::of(answer("HEAD", &response), says.map(|(_, says)| &**says))
        });
        self.act(peer, |ours, now| {
            let is_meant = |watch: &&mut Watch| watch.id == id && watch.opened == opened && watch.is_open;
            let Some(watch) = ours.watch.as_mut().filter(is_meant) else { return };
            match Spoken::greet(&mut watch.spoken, spoken) {
                Greeting::Speak(Spoken::Stock) => ours.link.opened(Side::Ear, now),
                Greeting::Speak(Spoken::Extended) => {
                    ours.link.listen(Listening::Off, now);
                    ours.session.opened(now);
                }
                Greeting::AskAgain => watch.ask_at = Some(now + ASK_AGAIN),
                Greeting::End(error) => watch.failure = Some(error),
            }
        });
    }

    /// The stream of notices ends, for whatever reason, behind what it has told.
    pub(super) fn end_stream(&mut self, peer: usize) {
        self.act(peer, |ours, _| {
            if let Some(watch) = &mut ours.watch {
                watch.ended = true;
            }
        });
    }

    pub(super) fn tick(&mut self, peer: usize) {
        self.act(peer, |ours, now| {
            ours.tick_at = None;
            ours.link.tick(now);
            ours.session.tick(now);
        });
        self.ask(peer);
    }

    /// Asks the server what it speaks, if that is due.
    fn ask(&mut self, peer: usize) {
        let now = self.now;
        let Client::Ours(ours) = &mut self.peers[peer].client else { return };
        if let Some(watch) = ours.watch.as_mut().filter(|watch| watch.ask_at.is_some_and(|at| at <= now)) {
            watch.ask_at = None;
            let answering = Answering::Greeting(watch.id, watch.opened);
            self.request(peer, "HEAD", Vec::new(), String::new(), answering);
        }
    }

    /// Does something to a client, and what follows from that.
    fn act<T: Default>(&mut self, peer: usize, act: impl FnOnce(&mut Ours, Duration) -> T) -> T {
        let now = self.now;
        let Client::Ours(ours) = &mut self.peers[peer].client else { return T::default() };
        let result = act(ours, now);
        while let Client::Ours(ours) = &mut self.peers[peer].client
            && let Some(wanted) = ours.poll()
        {
            match wanted {
                Wanted::Send(side, frame) => {
                    self.trace.note(now, "sends", peer as u64, &frame);
                    self.socket_send_open(peer, side, frame);
                }
                Wanted::Ping(side, check) => self.socket_ping(peer, side, check),
                Wanted::Get(check) => self.request(peer, "GET", Vec::new(), String::new(), Answering::Check(check)),
                Wanted::Reconnect => self.reconnect(peer, Side::Ear),
            }
        }
        let Client::Ours(ours) = &mut self.peers[peer].client else { return result };
        if let Some(watch) = ours.watch.as_mut().filter(|watch| watch.is_over() || !watch.notices.is_empty())
            && let Some(reader) = watch.reader.take()
        {
            reader.wake();
        }
        if let Some(waiting) = ours.waiting.take() {
            waiting.wake();
        }
        if let Some(deadline) = ours.deadline()
            && ours.tick_at.is_none_or(|tick_at| deadline < tick_at)
        {
            ours.tick_at = Some(deadline);
            self.schedule(deadline, Event::Tick(peer));
        }
        result
    }
}

fn content(response: &Response) -> Result<Option<Content>> {
    Ok(answer("GET", response).content()?.map(|decoded| decoded.value))
}

fn answer<'a>(request: &'a str, response: &'a Response) -> StoreAnswer<'a> {
    StoreAnswer { request, status: response.status, body: response.body.as_bytes() }
}

fn unavailable(method: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{method} of the room did not get through"))
}
