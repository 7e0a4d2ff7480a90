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
use roommate::{Capability, Changes, Content, EditKey, Notice, Persister, Result, Save, Saved};

use super::{Ours, answer, content, unavailable};
use crate::{
    persist::{self, Carrier},
    proto::{Limits, OFFER_HEADER, Put, Response, WatchId, closed},
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
        self.with(|ours, _| ours.client.store_is_present())
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    async fn get(&self) -> Result<Option<Content>> {
        let content = content(&self.request("GET", Vec::new(), String::new()).await?)?;
        self.with(|ours, now| ours.client.store_found(content.is_some(), now));
        Ok(content)
    }

    async fn put(&self, content: &Content, edit: Option<EditKey<'_>>) -> Result<Put> {
        let offer = match edit {
            Some(edit) => self.with(|ours, _| ours.client.offer(edit).transpose()).transpose()?,
            None => None,
        };
        let headers = offer.into_iter().map(|offer| (OFFER_HEADER.to_owned(), offer)).collect();
        answer("PUT", &self.request("PUT", headers, content.to_json()).await?).put()
    }

    async fn send(&self, changes: &Changes, edit: Option<EditKey<'_>>) -> Result<Saved> {
        self.until(|ours, now| ours.save(changes, edit, now)).await?.saved().await
    }
}

#[async_trait]
impl Persister for SimPersister {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        let told = self.with(|ours, _| ours.client.take_content());
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
            let id = world.act(self.peer, |ours, now| Some(ours.client.begin_watch(true, now)));
            world.open_ear(self.peer);
            id
        };
        let id = id.ok_or_else(closed)?;
        let notices = Notices { simulator: self.simulator.clone(), peer: self.peer, id };
        self.until(|ours, _| Ok(ours.client.is_watch_ready(id)?.then_some(()))).await?;
        Ok(Box::pin(notices))
    }

    fn introduce(&self, client: &str) {
        self.with(|ours, _| ours.client.introduce(client));
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
    id: WatchId,
}

impl Stream for Notices {
    type Item = Result<Notice>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut world = self.simulator.world();
        let Client::Ours(ours) = &mut world.peers[self.peer].client else { return Poll::Ready(None) };
        let notice = ours.client.next_notice(self.id);
        if notice.is_pending() {
            ours.reader = Some((self.id, context.waker().clone()));
        }
        if ours.client.has_output() {
            world.act(self.peer, |_, _| ());
        }
        notice
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let mut world = self.simulator.world();
        let id = self.id;
        if world.act(self.peer, |ours, now| ours.client.end_watch(id, now)) {
            world.close_ear(self.peer);
        }
    }
}
