//! This project's client: the real `Engine`, `Store` and `RoomClient`, with a persister that is simulated only where
//! the real one does I/O.

use std::{task::Waker, time::Duration};

use super::{
    network::Answering,
    world::{Client, Event, World},
};
use crate::{
    answers::{answer, content, unavailable},
    persist::Hosted,
    proto::{
        Asking, CheckId, DIALECT_HEADER, Decoder, LinkOptions, Response, RoomClient, RoomClientOptions,
        RoomClientOutput, SessionOptions, Side, Spoken,
    },
};

mod persister;

pub(super) use persister::SimPersister;

/// The state of one client, which the persister, its stream and the network share.
pub(super) struct Ours {
    hosted: Hosted,
    decoder: Decoder,
    /// Whether it speaks the extended dialect with a server that supports it.
    pub(super) extends: bool,
    /// The time of the scheduled tick, if any.
    tick_at: Option<Duration>,
}

impl Ours {
    /// Creates a client without a watch. A `tight` client splits changes, and has a small queue.
    pub(super) fn new(number: u8, tight: bool, extends: bool) -> Self {
        let (mut link, mut session, mut notices) = (LinkOptions::default(), SessionOptions::default(), 1024);
        if tight {
            link.capacity = 3;
            link.limits.cells = 2;
            (session.capacity, session.limits) = (link.capacity, link.limits);
            notices = 8;
        }
        let options = RoomClientOptions { link, session, notices, extends };
        let decoder = Decoder::default();
        let name = format!("persister {number}");
        let client = RoomClient::new(decoder.clone(), name, options);
        Self { hosted: Hosted::new(client), decoder, extends, tick_at: None }
    }

    /// Whether the client is idle.
    pub(super) fn is_quiet(&self) -> bool {
        self.hosted.client.is_quiet()
    }
}

/// The client's events.
impl World {
    pub(super) fn ours_opened(&mut self, peer: usize, side: Side) {
        self.act(peer, |ours, now| ours.hosted.client.opened(side, now));
    }

    pub(super) fn ours_closed(&mut self, peer: usize, side: Side, code: u16) {
        self.act(peer, |ours, now| ours.hosted.client.closed(side, code, "", now));
    }

    pub(super) fn ours_heard(&mut self, peer: usize, side: Side, frame: &str) {
        self.act(peer, |ours, now| {
            if let Some(Ok(decoded)) = ours.decoder.decode(side, frame) {
                ours.hosted.client.received(side, decoded.value, now);
            }
        });
    }

    pub(super) fn ours_ponged(&mut self, peer: usize, check: CheckId) {
        self.act(peer, |ours, _| ours.hosted.client.ponged(check));
    }

    pub(super) fn ours_checked(&mut self, peer: usize, check: CheckId, response: Option<Response>) {
        let answer = response.and_then(|response| content("GET", &response).ok());
        self.act(peer, |ours, now| ours.hosted.client.checked(check, answer, now));
    }

    /// Handles the server's response to the question for its dialect, or the failure of that request.
    pub(super) fn ours_greeted(&mut self, peer: usize, asking: Asking, response: Option<Response>) {
        let spoken = response.ok_or_else(|| unavailable("HEAD")).and_then(|response| {
            let says = response.headers.iter().find(|(name, _)| name == DIALECT_HEADER);
            Spoken::of(answer("HEAD", &response), says.map(|(_, says)| &**says))
        });
        self.act(peer, |ours, now| ours.hosted.client.answered(asking, spoken, now));
    }

    /// Ends the stream of notices, after the queued ones.
    pub(super) fn end_stream(&mut self, peer: usize) {
        self.act(peer, |ours, _| ours.hosted.client.end_notices());
    }

    pub(super) fn tick(&mut self, peer: usize) {
        self.act(peer, |ours, now| {
            ours.tick_at = None;
            ours.hosted.client.tick(now);
        });
    }

    /// Acts on a client, and carries out its outputs.
    fn act<T: Default>(&mut self, peer: usize, act: impl FnOnce(&mut Ours, Duration) -> T) -> T {
        let now = self.now;
        let Client::Ours(ours) = &mut self.peers[peer].client else { return T::default() };
        let result = act(ours, now);
        while let Client::Ours(ours) = &mut self.peers[peer].client
            && let Some(output) = ours.hosted.client.poll()
        {
            match output {
                RoomClientOutput::Send(side, frame) => {
                    self.trace.note(now, "sends", peer as u64, &frame);
                    self.socket_send_open(peer, side, frame);
                }
                RoomClientOutput::Ping(side, check) => self.socket_ping(peer, side, check),
                RoomClientOutput::Get(check) => {
                    self.request(peer, "GET", Vec::new(), String::new(), Answering::Check(check));
                }
                RoomClientOutput::Ask(asking) => {
                    self.request(peer, "HEAD", Vec::new(), String::new(), Answering::Greeting(asking));
                }
                RoomClientOutput::Reconnect => self.reconnect(peer, Side::Ear),
                RoomClientOutput::Handed(receipt, outcome) => ours.hosted.handed(receipt, outcome),
                RoomClientOutput::Report(_) | RoomClientOutput::HasRoom => {}
            }
        }
        let Client::Ours(ours) = &mut self.peers[peer].client else { return result };
        ours.hosted.take_wakes().into_iter().for_each(Waker::wake);
        if let Some(deadline) = ours.hosted.client.deadline()
            && ours.tick_at.is_none_or(|tick_at| deadline < tick_at)
        {
            ours.tick_at = Some(deadline);
            self.schedule(deadline, Event::Tick(peer));
        }
        result
    }
}
