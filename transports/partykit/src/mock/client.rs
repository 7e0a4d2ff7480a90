//! One persister's client, and the calls that wait for it.

use std::{mem, task::Waker, time::Duration};

use futures_channel::oneshot;
use roommate::{Changes, Content, Error, ErrorKind, Result};

use super::network::{Answering, Arrival, Network};
use crate::{
    persist::{Begun, Handing},
    proto::{
        Decoder, LinkOptions, Put, Response, RoomClient, RoomClientOptions, RoomClientOutput, StoreAnswer, WatchId,
    },
};

pub(super) struct Client {
    pub(super) client: RoomClient,
    decoder: Decoder,
    handing: Handing,
    pub(super) reader: Option<(WatchId, Waker)>,
    /// Calls that wait for a change.
    pub(super) waiting: Vec<oneshot::Sender<()>>,
    pub(super) is_closed: bool,
}

/// The tasks to wake, when the world is no longer locked.
pub(super) struct Wake {
    waiting: Vec<oneshot::Sender<()>>,
    reader: Option<Waker>,
}

/// The code of a connection that ended without one.
pub(super) const LOST: u16 = 1006;

impl Client {
    pub(super) fn new(number: usize, decoder: Decoder, link: LinkOptions) -> Self {
        let options = RoomClientOptions { link, ..RoomClientOptions::default() };
        let name = format!("mock {number}");
        Self {
            client: RoomClient::new(decoder.wire.clone(), decoder.dialect.clone(), name, options),
            decoder,
            handing: Handing::default(),
            reader: None,
            waiting: Vec::new(),
            is_closed: false,
        }
    }

    pub(super) fn save(&mut self, changes: &Changes, now: Duration) -> Result<Option<Begun>> {
        Ok(self.client.save(changes, None, now)?.map(|ticket| self.handing.begin(ticket)))
    }

    pub(super) fn close(&mut self, now: Duration) {
        self.is_closed = true;
        self.client.close(now);
    }

    pub(super) fn take(&mut self, arrival: Arrival, now: Duration) {
        match arrival {
            Arrival::Opened(side) => self.client.opened(side, now),
            Arrival::Refused(side, response) => {
                let message = format!("the connection was refused with {}: {}", response.status, response.body);
                self.client.failed(side, Error::new(ErrorKind::Refused, message), true);
            }
            Arrival::Closed(side, code) => self.client.closed(side, code, "", now),
            Arrival::Frame(side, frame) => {
                if let Some(Ok(decoded)) = self.decoder.decode(side, &frame) {
                    self.client.heard(side, decoded.value, now);
                }
            }
            Arrival::Pong(check) => self.client.alive(check),
            Arrival::Answer(answering, response) => self.answered(answering, Some(response), now),
        }
    }

    /// A request was answered; `None` for one that failed.
    pub(super) fn answered(&mut self, answering: Answering, response: Option<Response>, now: Duration) {
        match answering {
            // The call may have been dropped.
            Answering::Call(call) => drop(call.send(response)),
            Answering::Check(check) => {
                let answer = response.and_then(|response| content("GET", &response).ok());
                self.client.checked(check, answer, now);
            }
        }
    }

    pub(super) fn carry_out(&mut self, number: usize, network: &mut Network) {
        while let Some(output) = self.client.poll() {
            match output {
                RoomClientOutput::Send(side, frame) => network.send((number, side), frame),
                RoomClientOutput::Ping(side, check) => network.ping((number, side), check),
                RoomClientOutput::Get(check) => {
                    network.request(number, "GET", String::new(), Answering::Check(check));
                }
                RoomClientOutput::Handed(receipt, outcome) => self.handing.end(receipt, outcome),
                // Errors are notices, and calls that wait look after each change. The dialect is not negotiated here.
                RoomClientOutput::Report(_)
                | RoomClientOutput::HasRoom
                | RoomClientOutput::Ask(_)
                | RoomClientOutput::Reconnect => {}
            }
        }
    }

    /// Takes the tasks to wake.
    pub(super) fn take_wake(&mut self) -> Option<Wake> {
        let reader = self.reader.take_if(|(watch, _)| self.client.is_readable(*watch)).map(|(_, waker)| waker);
        let waiting = mem::take(&mut self.waiting);
        (reader.is_some() || !waiting.is_empty()).then_some(Wake { waiting, reader })
    }
}

impl Wake {
    pub(super) fn wake(self) {
        for waiting in self.waiting {
            // The call may have been dropped.
            let _ = waiting.send(());
        }
        if let Some(reader) = self.reader {
            reader.wake();
        }
    }
}

/// What the answer to a GET tells.
pub(super) fn content(request: &str, response: &Response) -> Result<Option<Content>> {
    let answer = StoreAnswer { request, status: response.status, body: response.body.as_bytes() };
    Ok(answer.content()?.map(|decoded| decoded.value))
}

/// What the answer to a PUT tells.
pub(super) fn put(request: &str, response: &Response) -> Result<Put> {
    StoreAnswer { request, status: response.status, body: response.body.as_bytes() }.put()
}
