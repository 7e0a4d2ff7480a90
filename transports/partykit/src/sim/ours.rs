//! Our client: the real `Engine`, `Store` and `Link`, with a persister that is simulated only where the real one does I/O.

use std::{
    collections::HashMap,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use futures_channel::oneshot;
use futures_core::{Stream, stream::BoxStream};
use roommate::{
    Capability, Changes, Content, EditKey, Error, ErrorKind, Notice, Persister, Receipt, Result, Save, Saved,
};

use super::{
    executor::Simulator,
    network::Answering,
    world::{Client, Event, World},
};
use crate::{
    persist::{self, Carrier},
    proto::{
        CheckId, Limits, Link, LinkOptions, LinkOutput, Listening, NoticeQueue, Put, Response, Side, StoreAnswer,
        Ticket, Wire,
    },
};

/// What the persister, its stream and the network share of one client.
pub(super) struct Ours {
    pub(super) link: Link,
    wire: Wire,
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
}

impl Ours {
    /// A client that has not begun to listen. One that is `tight` splits changes, and has room for few.
    pub(super) fn new(tight: bool) -> Self {
        let wire = Wire::default();
        let mut options = LinkOptions::default();
        if tight {
            options.capacity = 3;
            options.limits.cells = 2;
        }
        Self {
            link: Link::new(wire.clone(), options),
            notices: if tight { 8 } else { 1024 },
            wire,
            watch: None,
            watches: 0,
            handing: HashMap::new(),
            waiting: None,
            tick_at: None,
        }
    }

    /// Whether the link waits for nothing but time without an end.
    pub(super) fn is_quiet(&self) -> bool {
        self.link.deadline().is_none()
            && self.watch.as_ref().is_some_and(|watch| !watch.ended && watch.notices.is_empty())
    }

    fn has_room(&self) -> bool {
        self.link.has_room() && !self.watch.as_ref().is_some_and(|watch| watch.notices.is_full())
    }
}

/// What happens to the link.
impl World {
    pub(super) fn ours_opened(&mut self, peer: usize, side: Side) {
        self.link(peer, |ours, now| ours.link.opened(side, now));
    }

    pub(super) fn ours_closed(&mut self, peer: usize, side: Side) {
        self.link(peer, |ours, now| ours.link.closed(side, now));
    }

    pub(super) fn ours_heard(&mut self, peer: usize, side: Side, frame: &str) {
        self.link(peer, |ours, now| {
            if let Some(decoded) = ours.wire.decode_payload(frame) {
                ours.link.heard(side, decoded.value, now);
            }
        });
    }

    pub(super) fn ours_ponged(&mut self, peer: usize, check: CheckId) {
        self.link(peer, |ours, _| ours.link.alive(check));
    }

    pub(super) fn ours_checked(&mut self, peer: usize, check: CheckId, response: Option<Response>) {
        let answer = response.and_then(|response| content(&response).ok());
        self.link(peer, |ours, now| ours.link.checked(check, answer, now));
    }

    /// The stream of notices ends, for whatever reason, behind what it has told.
    pub(super) fn end_stream(&mut self, peer: usize) {
        self.link(peer, |ours, _| {
            if let Some(watch) = &mut ours.watch {
                watch.ended = true;
            }
        });
    }

    pub(super) fn tick(&mut self, peer: usize) {
        self.link(peer, |ours, now| {
            ours.tick_at = None;
            ours.link.tick(now);
        });
    }

    /// Does something to a client's link, and what follows from that.
    fn link<T: Default>(&mut self, peer: usize, act: impl FnOnce(&mut Ours, Duration) -> T) -> T {
        let now = self.now;
        let Client::Ours(ours) = &mut self.peers[peer].client else { return T::default() };
        let result = act(ours, now);
        while let Client::Ours(ours) = &mut self.peers[peer].client
            && let Some(output) = ours.link.poll()
        {
            match (output, &mut ours.watch) {
                (LinkOutput::Send(frame), _) => {
                    self.trace.note(now, "sends", peer as u64, &frame);
                    self.socket_send_open(peer, frame);
                }
                (LinkOutput::Ping(side, check), _) => self.socket_ping(peer, side, check),
                (LinkOutput::Get(check), _) => {
                    self.request(peer, "GET", String::new(), Answering::Check(check));
                }
                (LinkOutput::Notice(notice), Some(watch)) => {
                    self.trace.say(now, "is told", peer, || format!("{notice:?}"));
                    watch.notices.push(Ok(notice));
                }
                (LinkOutput::Report(error), Some(watch)) => watch.notices.push(Err(error)),
                (LinkOutput::Handed(receipt), _) => {
                    if let Some(handing) = ours.handing.remove(&receipt) {
                        // Nobody waits any more: nothing to tell.
                        let _ = handing.send(());
                    }
                }
                (LinkOutput::Notice(_) | LinkOutput::Report(_), None) => {}
            }
        }
        let Client::Ours(ours) = &mut self.peers[peer].client else { return result };
        if let Some(watch) = ours.watch.as_mut().filter(|watch| watch.ended || !watch.notices.is_empty())
            && let Some(reader) = watch.reader.take()
        {
            reader.wake();
        }
        if let Some(waiting) = ours.waiting.take() {
            waiting.wake();
        }
        if let Some(deadline) = ours.link.deadline()
            && ours.tick_at.is_none_or(|tick_at| deadline < tick_at)
        {
            ours.tick_at = Some(deadline);
            self.schedule(deadline, Event::Tick(peer));
        }
        result
    }
}

/// The persister of one client.
pub(super) struct SimPersister {
    simulator: Arc<Simulator>,
    peer: usize,
}

impl SimPersister {
    pub(super) fn new(simulator: &Arc<Simulator>, peer: usize) -> Self {
        Self { simulator: simulator.clone(), peer }
    }

    fn with<T: Default>(&self, act: impl FnOnce(&mut Ours, Duration) -> T) -> T {
        self.simulator.world().link(self.peer, act)
    }

    /// Looks until there is something to return, each time anything has changed.
    async fn until<T>(&self, mut look: impl FnMut(&mut Ours, Duration) -> Result<Option<T>>) -> Result<T> {
        poll_fn(|context| {
            // Whoever looks now need not be told to look.
            let found = self.with(|ours, now| {
                ours.waiting = None;
                Some(look(ours, now))
            });
            match found {
                Some(Ok(Some(found))) => Poll::Ready(Ok(found)),
                Some(Err(error)) => Poll::Ready(Err(error)),
                Some(Ok(None)) | None => {
                    if let Client::Ours(ours) = &mut self.simulator.world().peers[self.peer].client {
                        ours.waiting = Some(context.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    async fn request(&self, method: &'static str, body: String) -> Result<Response> {
        let (answer, answered) = oneshot::channel();
        self.simulator.world().request(self.peer, method, body, Answering::Call(answer));
        answered
            .await
            .ok()
            .flatten()
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("{method} of the room did not get through")))
    }
}

#[async_trait]
impl Carrier for SimPersister {
    fn store_is_present(&self) -> Option<bool> {
        self.with(|ours, _| ours.link.store_is_present())
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    async fn get(&self) -> Result<Option<Content>> {
        let content = content(&self.request("GET", String::new()).await?)?;
        self.with(|ours, now| ours.link.store_found(content.is_some(), now));
        Ok(content)
    }

    async fn put(&self, content: &Content) -> Result<Put> {
        answer("PUT", &self.request("PUT", content.to_json()).await?).put()
    }

    async fn send(&self, changes: &Changes, _: Option<EditKey<'_>>) -> Result<Saved> {
        let begun = self.until(|ours, now| {
            if !ours.has_room() {
                return Ok(None);
            }
            Ok(Some(match ours.link.save(changes, now)? {
                Ticket::Confirmed(receipt) => Begun::Later(receipt),
                Ticket::Handed(receipt) => {
                    let (handed, handing) = oneshot::channel();
                    ours.handing.insert(receipt, handed);
                    Begun::Handing(handing)
                }
            }))
        });
        match begun.await? {
            Begun::Later(receipt) => Ok(Saved::Later(receipt)),
            Begun::Handing(handing) => {
                handing.await.map_err(|_| Error::new(ErrorKind::Closed, "the persister is closed"))?;
                Ok(Saved::Done)
            }
        }
    }
}

/// How a save began.
enum Begun {
    Later(Receipt),
    Handing(oneshot::Receiver<()>),
}

#[async_trait]
impl Persister for SimPersister {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        self.get().await
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        persist::save(self, save).await
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        let id = {
            let mut world = self.simulator.world();
            let id = world.link(self.peer, |ours, now| {
                ours.watches += 1;
                ours.watch = Some(Watch {
                    id: ours.watches,
                    notices: NoticeQueue::new(ours.notices),
                    reader: None,
                    ended: false,
                });
                ours.link.listen(Listening::Ear, now);
                ours.watches
            });
            world.open_ear(self.peer);
            id
        };
        let notices = Notices { simulator: self.simulator.clone(), peer: self.peer, id };
        self.until(|ours, _| Ok(ours.link.is_ready().then_some(()))).await?;
        Ok(Box::pin(notices))
    }
}

impl fmt::Debug for SimPersister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimPersister").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// What the room tells, until it is dropped.
struct Notices {
    simulator: Arc<Simulator>,
    peer: usize,
    id: u64,
}

impl Stream for Notices {
    type Item = Result<Notice>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut world = self.simulator.world();
        let Client::Ours(ours) = &mut world.peers[self.peer].client else { return Poll::Ready(None) };
        let Some(watch) = ours.watch.as_mut().filter(|watch| watch.id == self.id) else { return Poll::Ready(None) };
        let was_full = watch.notices.is_full();
        let Some(notice) = watch.notices.pop() else {
            if watch.ended {
                return Poll::Ready(None);
            }
            watch.reader = Some(context.waker().clone());
            return Poll::Pending;
        };
        if was_full {
            // A save may wait for that.
            if let Some(waiting) = ours.waiting.take() {
                waiting.wake();
            }
        }
        Poll::Ready(Some(notice))
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let mut world = self.simulator.world();
        let id = self.id;
        let was_last = world.link(self.peer, |ours, now| {
            let is_last = ours.watch.as_ref().is_some_and(|watch| watch.id == id);
            if is_last {
                ours.watch = None;
                ours.link.listen(Listening::Off, now);
            }
            is_last
        });
        if was_last {
            world.close_ear(self.peer);
        }
    }
}

fn content(response: &Response) -> Result<Option<Content>> {
    Ok(answer("GET", response).content()?.map(|decoded| decoded.value))
}

fn answer<'a>(request: &'a str, response: &'a Response) -> StoreAnswer<'a> {
    StoreAnswer { request, status: response.status, body: response.body.as_bytes() }
}
