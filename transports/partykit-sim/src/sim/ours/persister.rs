//! The persister of one simulated client.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_channel::oneshot;
use futures_core::stream::BoxStream;
use roommate::{Capability, Content, Notice, Persister, Result, Save, Saved};

use crate::{
    answers::{answer, content, unavailable},
    persist::{self, Host, Hosted},
    proto::{Limits, OFFER_HEADER, Put, Response, WatchId},
    sim::{executor::Simulator, network::Answering, world::Client},
};

/// The persister of one client.
pub(in crate::sim) struct SimPersister(Arc<SimHost>);

struct SimHost {
    simulator: Arc<Simulator>,
    peer: usize,
}

impl SimPersister {
    pub(in crate::sim) fn new(simulator: &Arc<Simulator>, peer: usize) -> Self {
        Self(Arc::new(SimHost { simulator: simulator.clone(), peer }))
    }
}

impl SimHost {
    async fn request(&self, method: &'static str, headers: Vec<(String, String)>, body: String) -> Result<Response> {
        let (answer, answered) = oneshot::channel();
        self.simulator.world().request(self.peer, method, headers, body, Answering::Call(answer));
        answered.await.ok().flatten().ok_or_else(|| unavailable(method))
    }
}

#[async_trait]
impl Host for SimHost {
    fn peek<T>(&self, act: impl FnOnce(&mut Hosted, Duration) -> T) -> T {
        let mut world = self.simulator.world();
        let now = world.now;
        match &mut world.peers[self.peer].client {
            Client::Ours(ours) => act(&mut ours.hosted, now),
            Client::Stock(_) => unreachable!("this persister is of a client of ours"),
        }
    }

    fn carry_out(&self) {
        self.simulator.world().act(self.peer, |_, _| ());
    }

    fn begin_watch(&self) -> Result<WatchId> {
        let watch = persist::with(self, |hosted, now| hosted.client.begin_watch(true, now));
        self.simulator.world().open_ear(self.peer);
        Ok(watch)
    }

    fn end_watch(&self, watch: WatchId) {
        if persist::with(self, |hosted, now| hosted.client.end_watch(watch, now)) {
            self.simulator.world().close_ear(self.peer);
        }
    }

    async fn get(&self) -> Result<Option<Content>> {
        content("GET", &self.request("GET", Vec::new(), String::new()).await?)
    }

    async fn put(&self, content: &Content, offer: Option<String>) -> Result<Put> {
        let headers = offer.into_iter().map(|offer| (OFFER_HEADER.to_owned(), offer)).collect();
        answer("PUT", &self.request("PUT", headers, content.to_json()).await?).put()
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }
}

#[async_trait]
impl Persister for SimPersister {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        persist::load(&*self.0).await
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        persist::save(&*self.0, save).await
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        persist::watch(&self.0).await
    }

    fn introduce(&self, client: &str) {
        persist::with(&*self.0, |hosted, _| hosted.client.introduce(client));
    }
}

impl fmt::Debug for SimPersister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimPersister").field("peer", &self.0.peer).finish_non_exhaustive()
    }
}
