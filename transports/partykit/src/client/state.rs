//! The state of a persister besides its client: two connections, and work for its task.

use std::time::Duration;

use roommate::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::{PartyKitConfig, line::Line};
use crate::{
    proto::{
        Asking, CheckId, Decoder, LinkOptions, RoomClient, RoomClientOptions, RoomClientOutput, SessionOptions, Side,
        WatchId, persist::Hosted, socket::ReadyState,
    },
    socket::{PartySocket, SocketEvents, random_id},
};

pub(super) struct State {
    pub(super) hosted: Hosted,
    /// The application's socket.
    pub(super) main: Line,
    pub(super) ear: Option<Ear>,
    /// The room that the persister belongs to.
    room_url: String,
    /// Work for the task, which takes it.
    pub(super) get: Option<CheckId>,
    pub(super) ask: Option<Asking>,
}

/// The ear: the persister's own connection, which listens, for one watch.
pub(super) struct Ear {
    pub(super) watch: WatchId,
    pub(super) line: Line,
    /// Taken by the task.
    pub(super) events: Option<SocketEvents>,
}

impl State {
    pub(super) fn new(socket: &PartySocket, config: &PartyKitConfig, decoder: Decoder, extends: bool) -> Result<Self> {
        let options = socket.options();
        let mut limits = config.limits;
        limits.message = limits.message.min(options.max_message_size);
        let link = LinkOptions { limits, patience: config.patience, ..LinkOptions::default() };
        let link = LinkOptions { overtaken_patience: link.overtaken_patience.min(config.patience), ..link };
        let session = SessionOptions { limits, ..SessionOptions::default() };
        let client = RoomClientOptions { link, session, extends, ..RoomClientOptions::default() };
        Ok(Self {
            hosted: Hosted::new(RoomClient::new(decoder, random_id()?, client)),
            main: Line::new(socket.clone()),
            ear: None,
            room_url: options.room_url()?,
            get: None,
            ask: None,
        })
    }

    /// Detects that the application made a permanently failed socket try again, or directed it back to this room.
    pub(super) fn look_at_main(&mut self) {
        if self.hosted.client.has_failed() && !self.main_is_closed() && self.check_room().is_ok() {
            self.hosted.client.retried();
        }
    }

    /// Checks that the socket still connects to the room that the persister belongs to.
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

    /// Whether the socket has stopped trying to connect.
    pub(super) fn main_is_closed(&self) -> bool {
        self.main.socket().ready_state() == ReadyState::Closed
    }

    pub(super) fn begin_watch(&mut self, ear: Option<PartySocket>, now: Duration) -> WatchId {
        let watch = self.hosted.client.begin_watch(ear.is_some(), now);
        self.ear = ear.map(|socket| Ear { watch, events: Some(socket.events()), line: Line::new(socket) });
        watch
    }

    pub(super) fn end_watch(&mut self, watch: WatchId, now: Duration) {
        if self.hosted.client.end_watch(watch, now) {
            (self.ear, self.ask) = (None, None);
        }
    }

    pub(super) fn close(&mut self, now: Duration) {
        self.hosted.client.close(now);
        (self.ear, self.ask) = (None, None);
        self.main.closed();
    }

    /// When the persister's own connection last received bytes of a message that is not complete yet.
    pub(super) fn last_arrival(&self) -> Option<Instant> {
        let line = &self.ear.as_ref()?.line;
        line.socket().last_arrival(line.epoch()?)
    }

    /// Carries out the client's outputs, and returns the errors to report.
    pub(super) fn carry_out(&mut self) -> Vec<Error> {
        let mut reports = Vec::new();
        while let Some(output) = self.hosted.client.poll() {
            match output {
                RoomClientOutput::Send(Side::Main, frame) => self.main.send(frame),
                RoomClientOutput::Ping(Side::Main, check) => self.main.ping(check),
                RoomClientOutput::Send(Side::Ear, frame) => self.ear_do(|line| line.send(frame)),
                RoomClientOutput::Ping(Side::Ear, check) => self.ear_do(|line| line.ping(check)),
                RoomClientOutput::Reconnect => {
                    if let Some(Err(error)) = self.ear.as_ref().map(|ear| ear.line.socket().reconnect()) {
                        self.hosted.client.failed(Side::Ear, error, true);
                    }
                }
                RoomClientOutput::Get(check) => self.get = Some(check),
                RoomClientOutput::Ask(asking) => self.ask = Some(asking),
                RoomClientOutput::Handed(receipt, outcome) => self.hosted.handed(receipt, outcome),
                RoomClientOutput::Report(error) => reports.push(error),
                // Waiting callers check the state after each change.
                RoomClientOutput::HasRoom => {}
            }
        }
        self.main.write();
        self.ear_do(Line::write);
        reports
    }

    fn ear_do(&mut self, act: impl FnOnce(&mut Line)) {
        if let Some(ear) = &mut self.ear {
            act(&mut ear.line);
        }
    }
}
