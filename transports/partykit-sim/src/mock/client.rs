//! One persister's client.

use std::{task::Waker, time::Duration};

use roommate::{Content, Error, ErrorKind, Result};

use super::network::{Answering, Arrival, Network};
use crate::{
    persist::Hosted,
    proto::{Decoder, LinkOptions, Put, Response, RoomClient, RoomClientOptions, RoomClientOutput, StoreAnswer},
};

pub(super) struct Client {
    pub(super) hosted: Hosted,
    decoder: Decoder,
}

/// The close code of a connection that ended without one.
pub(super) const LOST: u16 = 1006;

impl Client {
    pub(super) fn new(number: usize, decoder: Decoder, link: LinkOptions) -> Self {
        let options = RoomClientOptions { link, ..RoomClientOptions::default() };
        let name = format!("mock {number}");
        let client = RoomClient::new(decoder.wire.clone(), decoder.dialect.clone(), name, options);
        Self { hosted: Hosted::new(client), decoder }
    }

    pub(super) fn take(&mut self, arrival: Arrival, now: Duration) {
        match arrival {
            Arrival::Opened(side) => self.hosted.client.opened(side, now),
            Arrival::Refused(side, response) => {
                let message = format!("the connection was refused with {}: {}", response.status, response.body);
                self.hosted.client.failed(side, Error::new(ErrorKind::Refused, message), true);
            }
            Arrival::Closed(side, code) => self.hosted.client.closed(side, code, "", now),
            Arrival::Frame(side, frame) => {
                if let Some(Ok(decoded)) = self.decoder.decode(side, &frame) {
                    self.hosted.client.heard(side, decoded.value, now);
                }
            }
            Arrival::Pong(check) => self.hosted.client.alive(check),
            Arrival::Answer(answering, response) => self.answered(answering, Some(response), now),
        }
    }

    /// Handles the response to a request; `None` if the request failed.
    pub(super) fn answered(&mut self, answering: Answering, response: Option<Response>, now: Duration) {
        match answering {
            // The call may have been dropped.
            Answering::Call(call) => drop(call.send(response)),
            Answering::Check(check) => {
                let answer = response.and_then(|response| content("GET", &response).ok());
                self.hosted.client.checked(check, answer, now);
            }
        }
    }

    pub(super) fn carry_out(&mut self, number: usize, network: &mut Network) {
        while let Some(output) = self.hosted.client.poll() {
            match output {
                RoomClientOutput::Send(side, frame) => network.send((number, side), frame),
                RoomClientOutput::Ping(side, check) => network.ping((number, side), check),
                RoomClientOutput::Get(check) => {
                    network.request(number, "GET", String::new(), Answering::Check(check));
                }
                RoomClientOutput::Handed(receipt, outcome) => self.hosted.handed(receipt, outcome),
                // Errors are notices, and waiting calls check the state after each change. The dialect is not
                // negotiated here.
                RoomClientOutput::Report(_)
                | RoomClientOutput::HasRoom
                | RoomClientOutput::Ask(_)
                | RoomClientOutput::Reconnect => {}
            }
        }
    }

    pub(super) fn take_wakes(&mut self) -> Vec<Waker> {
        self.hosted.take_wakes()
    }
}

/// The content in the response to a GET.
pub(super) fn content(request: &str, response: &Response) -> Result<Option<Content>> {
    let answer = StoreAnswer { request, status: response.status, body: response.body.as_bytes() };
    Ok(answer.content()?.map(|decoded| decoded.value))
}

/// The outcome in the response to a PUT.
pub(super) fn put(request: &str, response: &Response) -> Result<Put> {
    StoreAnswer { request, status: response.status, body: response.body.as_bytes() }.put()
}
