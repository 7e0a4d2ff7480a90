//! The client of a room: all its decisions, without sockets, clock, locks or tasks.
//!
//! A client of a room has two connections: the *main* one, on which a stock server receives changes, and the *ear*, the
//! client's own connection, which listens, and which carries everything in the extended dialect. [`RoomClient`]
//! negotiates the dialect, runs the [`Link`] or the [`Session`] for it, queues notices for the watch (there is at most
//! one), and decides which saves may begin.
//!
//! The persisters of `roommate-partykit` (on tokio) and of `roommate-partykit-sim` (in memory, and simulated) drive
//! this state machine. Each is a loop without decisions: it passes events in, and carries out what [`RoomClient::poll`]
//! returns until that is `None`.

use std::{
    collections::{BTreeSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use roommate::{Content, Error, ErrorKind, Receipt, Result};

use super::{
    CheckId, Greeting, Link, LinkOptions, LinkOutput, Listening, Session, SessionOptions, SessionOutput, Side, Spoken,
    hung_up,
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

/// The client of one room. See the module documentation.
///
/// Times are durations since one moment that the caller chooses.
#[derive(Debug)]
pub struct RoomClient {
    options: RoomClientOptions,
    link: Link,
    session: Session,
    watch: Option<Watch>,
    /// The number of watches so far.
    watches: u64,
    /// Saves that are confirmed when they are handed to the main connection.
    handing: BTreeSet<Receipt>,
    main_is_open: bool,
    /// The main connection has been open at least once.
    main_was_open: bool,
    /// The error after which the main connection will not open by itself.
    failure: Option<Error>,
    is_closed: bool,
    /// Errors that no reader of notices receives are reported as outputs.
    reports: bool,
    outputs: VecDeque<RoomClientOutput>,
}

/// The options of a client.
#[derive(Clone, Copy, Debug)]
pub struct RoomClientOptions {
    /// The options for a stock server.
    pub link: LinkOptions,
    /// The options for a server of the extended dialect.
    pub session: SessionOptions,
    /// How many unread notices are queued at most.
    pub notices: usize,
    /// Whether the extended dialect may be used.
    pub extends: bool,
}

/// An action for the caller to carry out.
#[derive(Clone, Debug)]
pub enum RoomClientOutput {
    /// Send this frame on this connection.
    Send(Side, Arc<str>),
    /// Ping this connection, and call [`RoomClient::ponged`] when the pong arrives.
    Ping(Side, CheckId),
    /// GET the room's content, and pass the result to [`RoomClient::checked`].
    Get(CheckId),
    /// Ask the server for its dialect, and pass the result to [`RoomClient::answered`].
    Ask(Asking),
    /// Close the ear and open a new one.
    Reconnect,
    /// A save with [`Ticket::Handed`](crate::Ticket::Handed) was handed to the main connection, or will not be.
    Handed(Receipt, Result<()>),
    /// An error that no notice returns: of an attempt to connect, or why later calls will fail. Occurs only after
    /// [`RoomClient::report_errors`].
    Report(Error),
    /// The notices had so many unread confirmations that saves found no room, and one was read.
    HasRoom,
}

/// Identifies a question for the server's dialect and the connection that it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    watch: WatchId,
    connection: u64,
}

/// How long to wait before asking a server again for its dialect if it could not answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Default for RoomClientOptions {
    fn default() -> Self {
        Self { link: LinkOptions::default(), session: SessionOptions::default(), notices: 1024, extends: false }
    }
}

impl RoomClient {
    /// Creates a client without connections. `name` is the `client` of [`Session::new`].
    ///
    /// `decoder` is what its messages are read with.
    pub fn new(decoder: Decoder, name: impl Into<Arc<str>>, options: RoomClientOptions) -> Self {
        Self {
            link: Link::new(decoder.wire, options.link),
            session: Session::new(decoder.dialect, name, options.session),
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

    /// Returns the next output; `None` when there are no more.
    #[must_use]
    pub fn poll(&mut self) -> Option<RoomClientOutput> {
        self.outputs.pop_front()
    }

    /// Whether [`poll`](Self::poll) returns something.
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Returns when to call [`RoomClient::tick`]. Every input may change it.
    pub fn deadline(&self) -> Option<Duration> {
        let ask_at = self.watch.as_ref().and_then(|watch| watch.ask_at);
        [self.link.deadline(), self.session.deadline(), ask_at].into_iter().flatten().min()
    }

    /// Handles the passing of time: call it at [`RoomClient::deadline`], or at any other time.
    pub fn tick(&mut self, now: Duration) {
        self.link.tick(now);
        self.session.tick(now);
        self.ask_if_due(now);
        self.carry_out();
    }

    /// Handles the opening of a connection.
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
                    // The new connection may lead to another server than the last one did.
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

    /// Handles the loss of a connection, with the server's code and reason, or with [`ABNORMAL`](crate::socket::ABNORMAL) if the server sent none.
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

    /// Handles a message that a connection received. If `side` is the ear, it must be the ear of the current watch.
    pub fn received(&mut self, side: Side, incoming: Incoming, now: Duration) {
        match incoming.0 {
            Message::Extended(message) => self.session.heard(message, now),
            Message::Stock(payload) => self.link.heard(side, payload, now),
        }
        self.carry_out();
    }

    /// Records that the ear received bytes of a message that is still incomplete. Call it before [`RoomClient::tick`].
    pub fn arriving(&mut self, at: Duration) {
        self.session.arriving(at);
    }

    /// Handles the pong of a [`RoomClientOutput::Ping`].
    pub fn ponged(&mut self, check: CheckId) {
        self.link.alive(check);
        self.carry_out();
    }

    /// Handles the result of a [`RoomClientOutput::Get`]; `None` if it failed.
    pub fn checked(&mut self, check: CheckId, answer: Option<Option<Content>>, now: Duration) {
        self.link.checked(check, answer, now);
        self.carry_out();
    }

    /// Handles the result of a [`RoomClientOutput::Ask`].
    pub fn answered(&mut self, asking: Asking, answer: Result<Spoken>, now: Duration) {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.is_current(asking)) else { return };
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

    /// Handles the failure of an attempt to connect, or of a connection. `is_final` if no other attempt follows.
    pub fn failed(&mut self, side: Side, error: Error, is_final: bool) {
        match (side, &mut self.watch) {
            (Side::Main, _) if is_final => self.main_failed(error),
            // A server that refuses the very first connection does so for a lasting cause.
            (Side::Main, Some(watch))
                if error.kind() == ErrorKind::Refused
                    && !self.main_was_open
                    && watch.may_become_ready(&self.link, &self.session) =>
            {
                watch.failure = Some(error);
            }
            (Side::Main, _) => self.report(error),
            (Side::Ear, Some(watch)) if is_final => watch.failure = Some(error),
            // An example is a message that is too large for the server.
            (Side::Ear, Some(watch)) if !error.is_temporary() => watch.notices.push(Err(error)),
            (Side::Ear, Some(_)) if self.main_is_open => self.report(error),
            // The main connection reports why.
            (Side::Ear, _) => {}
        }
        self.carry_out();
    }

    /// Clears the permanent failure of the main connection, because the connection may open again.
    pub fn retried(&mut self) {
        self.failure = None;
    }

    /// Ends the current watch after its queued notices.
    #[cfg(feature = "testing")]
    pub fn end_notices(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.is_over = true;
        }
    }

    /// Closes the client, which must not be used afterwards.
    pub fn close(&mut self, now: Duration) {
        self.is_closed = true;
        self.end_present_watch(now);
        self.give_up_handing(&closed());
        self.carry_out();
    }

    /// Makes the client put out errors that nothing else returns, as [`RoomClientOutput::Report`].
    pub fn report_errors(&mut self) {
        self.reports = true;
        self.carry_out();
    }

    /// Checks that the client can send, now or later.
    ///
    /// # Errors
    ///
    /// The error with which the main connection failed permanently; [`ErrorKind::Closed`] after [`close`](Self::close).
    pub fn check(&self) -> Result<()> {
        self.check_open()?;
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Checks that the client is not closed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] after [`close`](Self::close).
    pub fn check_open(&self) -> Result<()> {
        if self.is_closed { Err(closed()) } else { Ok(()) }
    }

    /// Whether the main connection failed permanently.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    fn is_extended(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.spoken == Some(Spoken::Extended))
    }

    /// Whether messages on a connection are of use, so that others need not be decoded.
    pub fn listens_to(&self, side: Side) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.has_ear == (side == Side::Ear))
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

    /// Moves the outputs of the link and the session to the client's outputs.
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
