//! The client of a room: everything that decides, without sockets, clock, locks or tasks.
//!
//! A client of a room has two connections: the *main* one, on which a stock server takes changes, and the *ear*, its own,
//! which listens and in the extended dialect does everything. [`RoomClient`] negotiates the dialect, runs the [`Link`] or the
//! [`Session`] of it, queues notices for the one watch that there may be, and says which saves may begin.
//!
//! The persisters of `roommate-partykit` (on tokio) and of `roommate-partykit-sim` (in memory, and simulated) drive this
//! one machine. Each is a loop without decisions: it passes in what happened, and does what
//! [`RoomClient::poll`] returns until that is `None`.

use std::{
    collections::{BTreeSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use roommate::{Content, Error, ErrorKind, Receipt, Result};

use super::{
    CheckId, Dialect, Greeting, Link, LinkOptions, LinkOutput, Listening, Session, SessionOptions, SessionOutput, Side,
    Spoken, Wire, hung_up,
};

mod decoder;
mod saves;
#[cfg(test)]
mod tests;
mod watch;

use decoder::Message;
pub use decoder::{Decoder, Incoming};
use watch::Watch;
pub use watch::WatchId;

/// The client of one room. See the module.
///
/// Times are durations since one moment of the caller's choice.
#[derive(Debug)]
pub struct RoomClient {
    options: RoomClientOptions,
    link: Link,
    session: Session,
    watch: Option<Watch>,
    /// How many watches there were.
    watches: u64,
    /// Saves that are confirmed when they are handed to the main connection.
    handing: BTreeSet<Receipt>,
    main_is_open: bool,
    /// The main connection was open once.
    main_was_open: bool,
    /// Why the main connection will not open by itself.
    failure: Option<Error>,
    is_closed: bool,
    /// Errors that no reader of notices reads are put out.
    reports: bool,
    outputs: VecDeque<RoomClientOutput>,
}

/// How a client is set up.
#[derive(Clone, Copy, Debug)]
pub struct RoomClientOptions {
    /// Of a client on a stock server.
    pub link: LinkOptions,
    /// Of a client on a server of the extended dialect.
    pub session: SessionOptions,
    /// How many notices may wait to be read.
    pub notices: usize,
    /// Whether the extended dialect may be spoken.
    pub extends: bool,
}

/// What a client wants done.
#[derive(Clone, Debug)]
pub enum RoomClientOutput {
    /// Send this frame on this connection.
    Send(Side, Arc<str>),
    /// Ping this connection, and answer by [`RoomClient::alive`] when the pong comes.
    Ping(Side, CheckId),
    /// GET the room's content, and answer by [`RoomClient::checked`].
    Get(CheckId),
    /// Ask the server for its dialect, and answer by [`RoomClient::answered`].
    Ask(Asking),
    /// Close the ear and open another.
    Reconnect,
    /// A save with [`Ticket::Handed`](crate::Ticket::Handed) was handed over, or will not be.
    Handed(Receipt, Result<()>),
    /// An error that no call and no notice returns. Only after [`RoomClient::report_errors`].
    Report(Error),
    /// A save that found no room may find some now.
    HasRoom,
}

/// The question for the server's dialect, because of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    watch: WatchId,
    connection: u64,
}

/// How long to wait before a server that could not answer is asked again for its dialect.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Default for RoomClientOptions {
    fn default() -> Self {
        Self { link: LinkOptions::default(), session: SessionOptions::default(), notices: 1024, extends: false }
    }
}

impl RoomClient {
    /// A client without connections. `name` is as of [`Session::new`].
    pub fn new(wire: Wire, dialect: Dialect, name: impl Into<Arc<str>>, options: RoomClientOptions) -> Self {
        Self {
            link: Link::new(wire, options.link),
            session: Session::new(dialect, name, options.session),
            options,
            watch: None,
            watches: 0,
            handing: BTreeSet::new(),
            main_is_open: false,
            main_was_open: false,
            failure: None,
            is_closed: false,
            reports: false,
            outputs: VecDeque::new(),
        }
    }

    /// What to do next, until `None`.
    #[must_use]
    pub fn poll(&mut self) -> Option<RoomClientOutput> {
        self.outputs.pop_front()
    }

    /// Whether [`poll`](Self::poll) returns something.
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// When to call [`RoomClient::tick`]; may change by any input.
    pub fn deadline(&self) -> Option<Duration> {
        let ask_at = self.watch.as_ref().and_then(|watch| watch.ask_at);
        [self.link.deadline(), self.session.deadline(), ask_at].into_iter().flatten().min()
    }

    /// Time passes: call it at [`RoomClient::deadline`], or at any other time.
    pub fn tick(&mut self, now: Duration) {
        self.link.tick(now);
        self.session.tick(now);
        self.ask_if_due(now);
        self.carry_out();
    }

    /// A connection is open.
    pub fn opened(&mut self, side: Side, now: Duration) {
        match (side, &mut self.watch) {
            (Side::Main, _) => {
                self.failure = None;
                (self.main_is_open, self.main_was_open) = (true, true);
                self.link.opened(side, now);
            }
            (Side::Ear, Some(watch)) => {
                watch.connection += 1;
                watch.is_open = true;
                if self.options.extends {
                    // Another server may answer than the time before.
                    watch.ask_at = Some(now);
                    self.ask_if_due(now);
                } else {
                    self.link.opened(side, now);
                }
            }
            (Side::Ear, None) => {}
        }
        self.carry_out();
    }

    /// A connection is closed, by the server with this code and reason or otherwise with 1006.
    pub fn closed(&mut self, side: Side, code: u16, reason: &str, now: Duration) {
        match side {
            Side::Main => self.main_is_open = false,
            Side::Ear => {
                if let Some(watch) = &mut self.watch {
                    (watch.is_open, watch.ask_at) = (false, None);
                    if let Some(error) = hung_up(code, reason) {
                        watch.failure = Some(error);
                    }
                }
                self.session.closed_with(code);
            }
        }
        self.link.closed_with(side, code, now);
        self.carry_out();
    }

    /// A connection received this. The ear has to be that of the present watch.
    pub fn heard(&mut self, side: Side, incoming: Incoming, now: Duration) {
        match incoming.0 {
            Message::Extended(message) => self.session.heard(message, now),
            Message::Stock(payload) => self.link.heard(side, payload, now),
        }
        self.carry_out();
    }

    /// At this moment the ear received some of a message that has yet to come whole. Call it before
    /// [`RoomClient::tick`].
    pub fn arriving(&mut self, at: Duration) {
        self.session.arriving(at);
    }

    /// The pong of [`RoomClientOutput::Ping`] came.
    pub fn alive(&mut self, check: CheckId) {
        self.link.alive(check);
        self.carry_out();
    }

    /// The GET of [`RoomClientOutput::Get`] was answered; `None` if it failed.
    pub fn checked(&mut self, check: CheckId, answer: Option<Option<Content>>, now: Duration) {
        self.link.checked(check, answer, now);
        self.carry_out();
    }

    /// The server answered [`RoomClientOutput::Ask`], or could not.
    pub fn answered(&mut self, asking: Asking, answer: Result<Spoken>, now: Duration) {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.is_meant(asking)) else { return };
        match Spoken::greet(&mut watch.spoken, answer) {
            Greeting::Speak(Spoken::Stock) => self.link.opened(Side::Ear, now),
            Greeting::Speak(Spoken::Extended) => {
                self.link.listen(Listening::Off, now);
                self.session.opened(now);
            }
            Greeting::AskAgain => watch.ask_at = Some(now.saturating_add(ASK_AGAIN)),
            Greeting::End(error) => watch.failure = Some(error),
        }
        self.carry_out();
    }

    /// An attempt to connect failed, or the connection did. `is_final` if no other attempt follows.
    pub fn failed(&mut self, side: Side, error: Error, is_final: bool) {
        match (side, &mut self.watch) {
            (Side::Main, _) if is_final => self.main_failed(error),
            // A server that refuses the very first connection does so for a cause that does not pass by itself.
            (Side::Main, Some(watch))
                if error.kind() == ErrorKind::Refused
                    && !self.main_was_open
                    && watch.waits(&self.link, &self.session) =>
            {
                watch.failure = Some(error);
            }
            (Side::Main, _) => self.report(error),
            (Side::Ear, Some(watch)) if is_final => watch.failure = Some(error),
            // Such as a message that is too large for the server.
            (Side::Ear, Some(watch)) if !error.is_temporary() => watch.notices.push(Err(error)),
            (Side::Ear, Some(_)) if self.main_is_open => self.report(error),
            // The main connection reports why.
            (Side::Ear, _) => {}
        }
        self.carry_out();
    }

    /// The main connection may open again though it failed for good.
    pub fn retried(&mut self) {
        self.failure = None;
    }

    /// The present watch ends after the notices that wait.
    #[cfg(feature = "testing")]
    pub fn end_notices(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.is_over = true;
        }
    }

    /// The client will not be used any more.
    pub fn close(&mut self, now: Duration) {
        self.is_closed = true;
        self.end_present_watch(now);
        self.give_up_handing(&closed());
        self.carry_out();
    }

    /// From now on errors that nothing else returns are put out as [`RoomClientOutput::Report`].
    pub fn report_errors(&mut self) {
        self.reports = true;
        self.carry_out();
    }

    /// Why nothing can be sent, now or later.
    ///
    /// # Errors
    ///
    /// The error with which the main connection failed for good; [`ErrorKind::Closed`] after [`close`](Self::close).
    pub fn check(&self) -> Result<()> {
        self.check_open()?;
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Whether the client may be used.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] after [`close`](Self::close).
    pub fn check_open(&self) -> Result<()> {
        if self.is_closed { Err(closed()) } else { Ok(()) }
    }

    /// Whether the main connection failed for good.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    fn is_extended(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.spoken == Some(Spoken::Extended))
    }

    fn ask_if_due(&mut self, now: Duration) {
        if let Some(watch) = &mut self.watch
            && watch.ask_at.take_if(|at| *at <= now).is_some()
        {
            let asking = Asking { watch: watch.id, connection: watch.connection };
            self.outputs.push_back(RoomClientOutput::Ask(asking));
        }
    }

    fn main_failed(&mut self, error: Error) {
        self.give_up_handing(&error);
        match &mut self.watch {
            Some(watch) => watch.failure = Some(error.clone()),
            None => self.report(error.clone()),
        }
        self.failure = Some(error);
    }

    fn give_up_handing(&mut self, error: &Error) {
        let handing = mem::take(&mut self.handing).into_iter();
        self.outputs.extend(handing.map(|receipt| RoomClientOutput::Handed(receipt, Err(error.clone()))));
    }

    fn report(&mut self, error: Error) {
        if self.reports {
            self.outputs.push_back(RoomClientOutput::Report(error));
        }
    }

    /// Moves what the link and the session put out.
    fn carry_out(&mut self) {
        while let Some(output) = self.link.poll() {
            match (output, &mut self.watch) {
                (LinkOutput::Send(frame), _) => self.outputs.push_back(RoomClientOutput::Send(Side::Main, frame)),
                (LinkOutput::Ping(side, check), _) => self.outputs.push_back(RoomClientOutput::Ping(side, check)),
                (LinkOutput::Get(check), _) => self.outputs.push_back(RoomClientOutput::Get(check)),
                (LinkOutput::Notice(notice), Some(watch)) => watch.notices.push(Ok(notice)),
                (LinkOutput::Report(error), Some(watch)) => watch.notices.push(Err(error)),
                (LinkOutput::Handed(receipt), _) => {
                    if self.handing.remove(&receipt) {
                        self.outputs.push_back(RoomClientOutput::Handed(receipt, Ok(())));
                    }
                }
                (LinkOutput::Notice(_) | LinkOutput::Report(_), None) => {}
            }
        }
        while let Some(output) = self.session.poll() {
            let Some(watch) = &mut self.watch else { continue };
            match output {
                SessionOutput::Send(frame) => self.outputs.push_back(RoomClientOutput::Send(Side::Ear, frame)),
                SessionOutput::Notice(notice) => watch.notices.push(Ok(notice)),
                SessionOutput::Report(error) => watch.notices.push(Err(error)),
                SessionOutput::Reconnect => self.outputs.push_back(RoomClientOutput::Reconnect),
            }
        }
        if let Some(watch) = self.watch.as_mut().filter(|watch| self.reports && !watch.is_read) {
            self.outputs.extend(watch.notices.pop_errors().into_iter().map(RoomClientOutput::Report));
        }
    }
}

/// The error of a persister that was closed.
pub fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the persister is closed")
}
