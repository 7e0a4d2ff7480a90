//! One persister's client.

use std::time::Duration;

use roommate::{Error, ErrorKind};

use super::network::{Answering, Arrival, Network};
use crate::{
    answers::content,
    persist::Hosted,
    proto::{Decoder, LinkOptions, Response, RoomClient, RoomClientOptions, RoomClientOutput},
};

pub(super) struct Client {
    pub(super) hosted: Hosted,
    decoder: Decoder,
}

impl Client {
    pub(super) fn new(number: usize, decoder: Decoder, link: LinkOptions) -> Self {
        let options = RoomClientOptions { link, ..RoomClientOptions::default() };
        let name = format!("mock {number}");
        let client = RoomClient::new(decoder.clone(), name, options);
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
                    self.hosted.client.received(side, decoded.value, now);
                }
            }
            Arrival::Pong(check) => self.hosted.client.ponged(check),
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
}
