//! One persister's link, and who waits for it.

use std::{collections::HashMap, mem, task::Waker, time::Duration};

use futures_channel::oneshot;
use roommate::{Content, Error, ErrorKind, Receipt, Result};

use super::network::{Answering, Arrival, Network};
use crate::proto::{Link, LinkOptions, LinkOutput, Listening, NoticeQueue, Put, Response, Side, StoreAnswer, Wire};

pub(super) struct Client {
    pub(super) link: Link,
    pub(super) watch: Option<Watch>,
    /// Saves that wait to be handed over.
    pub(super) handing: HashMap<Receipt, oneshot::Sender<()>>,
    /// Whoever waits for anything to change.
    pub(super) waiting: Vec<oneshot::Sender<()>>,
    /// The last answer that refused a connection.
    pub(super) failure: Option<Error>,
    pub(super) closed: bool,
    /// Whoever read what has ended.
    ended: Option<Waker>,
    watches: u64,
}

/// Somebody who listens.
pub(super) struct Watch {
    pub(super) id: u64,
    pub(super) notices: NoticeQueue,
    pub(super) reader: Option<Waker>,
}

/// Wakes, when the world is no longer locked, whoever waits for something in it.
pub(super) struct Wake {
    waiting: Vec<oneshot::Sender<()>>,
    reader: Option<Waker>,
}

/// Notices that may wait to be read.
const NOTICES: usize = 1024;

impl Client {
    pub(super) fn new(wire: Wire, options: LinkOptions) -> Self {
        Self {
            link: Link::new(wire, options),
            watch: None,
            handing: HashMap::new(),
            waiting: Vec::new(),
            failure: None,
            closed: false,
            ended: None,
            watches: 0,
        }
    }

    /// Why nothing can be sent, now or later.
    pub(super) fn check(&self) -> Result<()> {
        match &self.failure {
            _ if self.closed => Err(closed()),
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    pub(super) fn begin_watch(&mut self, now: Duration) -> u64 {
        self.end_watch(self.watches, now);
        self.watches += 1;
        self.watch = Some(Watch { id: self.watches, notices: NoticeQueue::new(NOTICES), reader: None });
        self.link.listen(Listening::Ear, now);
        self.watches
    }

    /// Ends a watch. Whether it was the present one.
    pub(super) fn end_watch(&mut self, id: u64, now: Duration) -> bool {
        let present = self.watch.as_ref().is_some_and(|watch| watch.id == id);
        if present {
            self.ended = self.watch.take().and_then(|watch| watch.reader);
            self.link.listen(Listening::Off, now);
        }
        present
    }

    pub(super) fn close(&mut self, now: Duration) {
        self.closed = true;
        self.end_watch(self.watches, now);
        self.handing.clear();
    }

    pub(super) fn listens_by_ear(&self) -> bool {
        self.watch.is_some()
    }

    pub(super) fn has_room(&self) -> bool {
        self.link.has_room() && !self.watch.as_ref().is_some_and(|watch| watch.notices.is_full())
    }

    pub(super) fn take(&mut self, arrival: Arrival, now: Duration) {
        match arrival {
            Arrival::Opened(side) => self.link.opened(side, now),
            Arrival::Refused(response) => {
                let message = format!("the connection was refused with {}: {}", response.status, response.body);
                self.failure = Some(Error::new(ErrorKind::Refused, message));
                self.handing.clear();
            }
            Arrival::Closed(side) => self.link.closed(side, now),
            Arrival::Payload(side, payload) => self.link.heard(side, payload, now),
            Arrival::Pong(check) => self.link.alive(check),
            Arrival::Answer(answering, response) => self.answered(answering, Some(response), now),
        }
    }

    /// A request was answered; `None` for one that failed.
    pub(super) fn answered(&mut self, answering: Answering, response: Option<Response>, now: Duration) {
        match answering {
            // Whoever asked may be gone.
            Answering::Call(call) => drop(call.send(response)),
            Answering::Check(check) => {
                let answer = response.and_then(|response| content("GET", &response).ok());
                self.link.checked(check, answer, now);
            }
        }
    }

    pub(super) fn carry_out(&mut self, number: usize, network: &mut Network) {
        while let Some(output) = self.link.poll() {
            match (output, &mut self.watch) {
                (LinkOutput::Send(frame), _) => network.send((number, Side::Main), frame),
                (LinkOutput::Ping(side, check), _) => network.ping((number, side), check),
                (LinkOutput::Get(check), _) => {
                    network.request(number, "GET", String::new(), Answering::Check(check));
                }
                (LinkOutput::Notice(notice), Some(watch)) => watch.notices.push(Ok(notice)),
                (LinkOutput::Report(error), Some(watch)) => watch.notices.push(Err(error)),
                (LinkOutput::Handed(receipt), _) => {
                    if let Some(handing) = self.handing.remove(&receipt) {
                        // Nobody waits any more: nothing to tell.
                        let _ = handing.send(());
                    }
                }
                (LinkOutput::Notice(_) | LinkOutput::Report(_), None) => {}
            }
        }
    }

    /// Takes whom to wake.
    pub(super) fn take_wake(&mut self) -> Option<Wake> {
        let reader = match &mut self.watch {
            Some(watch) if !watch.notices.is_empty() => watch.reader.take(),
            _ => self.ended.take(),
        };
        let waiting = mem::take(&mut self.waiting);
        (reader.is_some() || !waiting.is_empty()).then_some(Wake { waiting, reader })
    }
}

impl Wake {
    pub(super) fn wake(self) {
        for waiting in self.waiting {
            // Nobody waits any more: nothing to tell.
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

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the persister is closed")
}
