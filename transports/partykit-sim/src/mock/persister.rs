//! A persister of the room in memory.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_channel::oneshot;
use futures_core::stream::BoxStream;
use roommate::{Capability, Content, Error, Notice, Persister, Result, Save, Saved};

use super::{ClientId, MockRoom, network::Answering};
use crate::{
    answers::{answer, content, unavailable},
    persist::{self, Host, Hosted},
    proto::{Limits, LinkOptions, Put, Response, Side, WatchId, closed},
};

/// A persister of a [`MockRoom`], the counterpart of `PartyKitPersister`.
///
/// Its futures resolve once the messages that they wait for are delivered. They run on any executor.
#[derive(Debug)]
pub struct MockPersister(Arc<MockHost>);

#[derive(Debug)]
struct MockHost {
    room: MockRoom,
    number: usize,
    limits: Limits,
}

impl MockPersister {
    pub(super) fn new(room: MockRoom, number: usize, options: LinkOptions) -> Self {
        Self(Arc::new(MockHost { room, number, limits: options.limits }))
    }

    /// Returns the id of this persister, for the network operations of [`MockRoom`].
    pub fn client(&self) -> ClientId {
        ClientId(self.0.number)
    }

    fn end(&self) {
        let MockHost { room, number, .. } = &*self.0;
        room.with(|world| {
            for side in [Side::Main, Side::Ear] {
                world.cut(*number, side, true);
            }
            let now = world.now;
            world.clients[*number].hosted.client.close(now);
        });
    }
}

impl MockHost {
    async fn request(&self, method: &'static str, body: String) -> Result<Response> {
        let (answer, answered) = oneshot::channel();
        self.room.with(|world| {
            world.clients[self.number].hosted.client.check_open()?;
            world.network.request(self.number, method, body, Answering::Call(answer));
            Ok::<_, Error>(())
        })?;
        let response = answered.await.map_err(|_| closed())?;
        response.ok_or_else(|| unavailable(method))
    }
}

#[async_trait]
impl Host for MockHost {
    fn peek<T>(&self, act: impl FnOnce(&mut Hosted, Duration) -> T) -> T {
        let mut world = self.room.lock();
        let now = world.now;
        act(&mut world.clients[self.number].hosted, now)
    }

    fn carry_out(&self) {
        self.room.with(|_| ());
    }

    fn begin_watch(&self) -> Result<WatchId> {
        self.room.with(|world| {
            world.clients[self.number].hosted.client.check_open()?;
            world.cut(self.number, Side::Ear, true);
            let now = world.now;
            let watch = world.clients[self.number].hosted.client.begin_watch(true, now);
            world.open(self.number, Side::Ear);
            Ok(watch)
        })
    }

    fn end_watch(&self, watch: WatchId) {
        self.room.with(|world| {
            let now = world.now;
            if world.clients[self.number].hosted.client.end_watch(watch, now) {
                world.cut(self.number, Side::Ear, true);
            }
        });
    }

    async fn get(&self) -> Result<Option<Content>> {
        content("GET of the room", &self.request("GET", String::new()).await?)
    }

    async fn put(&self, content: &Content, _: Option<String>) -> Result<Put> {
        answer("PUT of the room", &self.request("PUT", content.to_json()).await?).put()
    }

    fn limits(&self) -> Limits {
        self.limits
    }
}

#[async_trait]
impl Persister for MockPersister {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        persist::load(&*self.0).await
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        persist::save(&*self.0, save).await
    }

    /// Resolves once both connections are open.
    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        persist::watch(&self.0).await
    }

    async fn close(&self) -> Result<()> {
        self.end();
        Ok(())
    }
}

/// Dropping a persister closes it.
impl Drop for MockPersister {
    fn drop(&mut self) {
        self.end();
    }
}
