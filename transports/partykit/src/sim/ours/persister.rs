//! The persister of one simulated client, and the stream of its watch.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use futures_channel::oneshot;
use futures_core::{Stream, stream::BoxStream};
use roommate::{Capability, Changes, Content, EditKey, Error, ErrorKind, Notice, Persister, Result, Save, Saved};

use super::{Begun, Ours, Watch, answer, content, unavailable};
use crate::{
    persist::{self, Carrier},
    proto::{Limits, Listening, NoticeQueue, OFFER_HEADER, Put, Response, Spoken},
    sim::{executor::Simulator, network::Answering, world::Client},
};

/// The persister of one client.
pub(in crate::sim) struct SimPersister {
    simulator: Arc<Simulator>,
    peer: usize,
}

impl SimPersister {
    pub(in crate::sim) fn new(simulator: &Arc<Simulator>, peer: usize) -> Self {
        Self { simulator: simulator.clone(), peer }
    }

    fn with<T: Default>(&self, act: impl FnOnce(&mut Ours, Duration) -> T) -> T {
        self.simulator.world().act(self.peer, act)
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

    async fn request(&self, method: &'static str, headers: Vec<(String, String)>, body: String) -> Result<Response> {
        let (answer, answered) = oneshot::channel();
        self.simulator.world().request(self.peer, method, headers, body, Answering::Call(answer));
        answered.await.ok().flatten().ok_or_else(|| unavailable(method))
    }
}

#[async_trait]
impl Carrier for SimPersister {
    fn store_is_present(&self) -> Option<bool> {
        self.with(|ours, _| ours.store_is_present())
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    async fn get(&self) -> Result<Option<Content>> {
        let content = content(&self.request("GET", Vec::new(), String::new()).await?)?;
        self.with(|ours, now| ours.store_found(content.is_some(), now));
        Ok(content)
    }

    async fn put(&self, content: &Content, edit: Option<EditKey<'_>>) -> Result<Put> {
        let offer = match edit {
            Some(edit) => self.with(|ours, _| ours.offer(edit).transpose()).transpose()?,
            None => None,
        };
        let headers = offer.into_iter().map(|offer| (OFFER_HEADER.to_owned(), offer)).collect();
        answer("PUT", &self.request("PUT", headers, content.to_json()).await?).put()
    }

    async fn send(&self, changes: &Changes, edit: Option<EditKey<'_>>) -> Result<Saved> {
        match self.until(|ours, now| ours.save(changes, edit, now)).await? {
            Begun::Later(receipt) => Ok(Saved::Later(receipt)),
            Begun::Handing(handing) => {
                handing.await.map_err(|_| Error::new(ErrorKind::Closed, "the persister is closed"))?;
                Ok(Saved::Done)
            }
        }
    }
}

#[async_trait]
impl Persister for SimPersister {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        let told = self.with(|ours, _| {
            let is_extended = ours.is_extended();
            ours.watch.as_mut().filter(|_| is_extended)?.notices.pop_content()
        });
        match told {
            Some(content) => Ok(Some(content)),
            None => self.get().await,
        }
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        persist::save(self, save).await
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        let id = {
            let mut world = self.simulator.world();
            let id = world.act(self.peer, |ours, now| {
                ours.watches += 1;
                ours.watch = Some(Watch {
                    id: ours.watches,
                    notices: NoticeQueue::new(ours.notices),
                    reader: None,
                    ended: false,
                    failure: None,
                    spoken: (!ours.extends).then_some(Spoken::Stock),
                    opened: 0,
                    is_open: false,
                    ask_at: None,
                });
                ours.session.restart();
                ours.link.listen(Listening::Ear, now);
                ours.watches
            });
            world.open_ear(self.peer);
            id
        };
        let notices = Notices { simulator: self.simulator.clone(), peer: self.peer, id };
        let is_ready = |ours: &mut Ours, _| match ours.watch.as_ref().and_then(|watch| watch.failure.clone()) {
            Some(error) => Err(error),
            None => Ok(ours.is_ready().then_some(())),
        };
        self.until(is_ready).await?;
        Ok(Box::pin(notices))
    }

    fn introduce(&self, client: &str) {
        self.with(|ours, _| ours.session.introduce(client));
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
            if let Some(error) = watch.failure.take() {
                watch.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
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
        if let Ok(Notice::Confirmed { receipt, refused }) = &notice
            && !refused.is_empty()
        {
            let receipt = *receipt;
            world.act(self.peer, |ours, _| ours.session.taken(receipt));
        }
        Poll::Ready(Some(notice))
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let mut world = self.simulator.world();
        let id = self.id;
        let was_last = world.act(self.peer, |ours, now| {
            let is_last = ours.watch.as_ref().is_some_and(|watch| watch.id == id);
            if is_last {
                ours.watch = None;
                ours.link.listen(Listening::Off, now);
                ours.session.restart();
            }
            is_last
        });
        if was_last {
            world.close_ear(self.peer);
        }
    }
}
