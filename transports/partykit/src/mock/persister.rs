//! A persister of the room in memory.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use async_trait::async_trait;
use futures_channel::oneshot;
use futures_core::{Stream, stream::BoxStream};
use roommate::{Capability, Changes, Content, EditKey, Error, ErrorKind, Notice, Persister, Result, Save, Saved};

use super::{
    ClientId, MockRoom,
    client::{Client, content, put},
    network::Answering,
};
use crate::{
    persist::{self, Carrier},
    proto::{Limits, LinkOptions, Put, Response, Side, WatchId, closed},
};

/// A persister of a [`MockRoom`], as [`PartyKitPersister`](crate::PartyKitPersister) is one of a real room.
///
/// Its futures resolve when the room has delivered what they wait for. They run on any executor.
#[derive(Debug)]
pub struct MockPersister {
    room: MockRoom,
    number: usize,
    limits: Limits,
}

impl MockPersister {
    pub(super) fn new(room: MockRoom, number: usize, options: LinkOptions) -> Self {
        Self { room, number, limits: options.limits }
    }

    /// Its name, for what the network is to do to it.
    pub fn client(&self) -> ClientId {
        ClientId(self.number)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Client, std::time::Duration) -> T) -> T {
        self.room.with(|world| change(&mut world.clients[self.number], world.now))
    }

    /// Looks until there is something to return, each time anything has changed.
    async fn until<T>(&self, mut look: impl FnMut(&mut Client, std::time::Duration) -> Result<Option<T>>) -> Result<T> {
        loop {
            let changed = {
                let mut world = self.room.lock();
                let now = world.now;
                let client = &mut world.clients[self.number];
                let found = look(client, now);
                let (wait, changed) = oneshot::channel();
                if let Ok(None) = found {
                    client.waiting.push(wait);
                }
                drop(world);
                // What looking has changed takes its course.
                if let Some(found) = found? {
                    self.room.with(|_| ());
                    return Ok(found);
                }
                changed
            };
            changed.await.map_err(|_| closed())?;
        }
    }

    fn end(&self) {
        self.room.with(|world| {
            for side in [Side::Main, Side::Ear] {
                world.cut(self.number, side, true);
            }
            world.clients[self.number].close(world.now);
        });
    }

    async fn request(&self, method: &'static str, body: String) -> Result<Response> {
        let (answer, answered) = oneshot::channel();
        self.room.with(|world| {
            world.clients[self.number].check_open()?;
            world.network.request(self.number, method, body, Answering::Call(answer));
            Ok::<_, Error>(())
        })?;
        let response = answered.await.map_err(|_| closed())?;
        response.ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("{method} of the room did not get through")))
    }
}

#[async_trait]
impl Carrier for MockPersister {
    fn store_is_present(&self) -> Option<bool> {
        self.with(|client, _| client.client.store_is_present())
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    async fn get(&self) -> Result<Option<Content>> {
        let response = self.request("GET", String::new()).await?;
        let content = content("GET of the room", &response)?;
        self.with(|client, now| client.client.store_found(content.is_some(), now));
        Ok(content)
    }

    async fn put(&self, content: &Content, _: Option<EditKey<'_>>) -> Result<Put> {
        put("PUT of the room", &self.request("PUT", content.to_json()).await?)
    }

    async fn send(&self, changes: &Changes, _: Option<EditKey<'_>>) -> Result<Saved> {
        self.until(|client, now| client.save(changes, now)).await?.saved().await
    }
}

#[async_trait]
impl Persister for MockPersister {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        self.get().await
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        self.with(|client, _| client.check_open())?;
        persist::save(self, save).await
    }

    /// Resolves once both connections are open.
    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        let id = self.room.with(|world| {
            world.clients[self.number].check_open()?;
            world.cut(self.number, Side::Ear, true);
            let id = world.clients[self.number].client.begin_watch(true, world.now);
            world.open(self.number, Side::Ear);
            Ok::<_, Error>(id)
        })?;
        let notices = Notices { room: self.room.clone(), number: self.number, id };
        self.until(|client, _| Ok(client.client.is_watch_ready(id)?.then_some(()))).await?;
        Ok(Box::pin(notices))
    }

    async fn close(&self) -> Result<()> {
        self.end();
        Ok(())
    }
}

/// As if it were closed.
impl Drop for MockPersister {
    fn drop(&mut self) {
        self.end();
    }
}

impl Client {
    fn check_open(&self) -> Result<()> {
        if self.is_closed { Err(closed()) } else { Ok(()) }
    }
}

/// What the room tells, until it is dropped.
#[derive(Debug)]
struct Notices {
    room: MockRoom,
    number: usize,
    id: WatchId,
}

impl Stream for Notices {
    type Item = Result<Notice>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.room.with(|world| {
            let client = &mut world.clients[self.number];
            let notice = client.client.next_notice(self.id);
            if notice.is_pending() {
                client.reader = Some((self.id, context.waker().clone()));
            }
            notice
        })
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.room.with(|world| {
            if world.clients[self.number].client.end_watch(self.id, world.now) {
                world.cut(self.number, Side::Ear, true);
            }
        });
    }
}
