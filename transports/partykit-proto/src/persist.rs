//! A persister of a room: how it loads, saves and watches, in any environment.
//!
//! [`RoomClient`](crate::RoomClient) makes the decisions, and a [`Host`] provides sockets, requests, a clock and a
//! lock. This module has the code between them, which all hosts share.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use roommate::{Changes, Content, EditKey, Error, ErrorKind, Notice, Result, Save, Saved};

use crate::{Limits, Put, WatchId};

mod hosted;
mod notices;

pub use hosted::Hosted;
use notices::Notices;

/// The environment of a room's client.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Calls `act` under the client's lock, and carries out no outputs. The time passed to `act` is the client's clock.
    fn peek<T>(&self, act: impl FnOnce(&mut Hosted, Duration) -> T) -> T
    where
        Self: Sized;

    /// Carries out the client's outputs, and wakes the tasks that wait for a change.
    fn carry_out(&self);

    /// Begins a watch, and opens its ear.
    fn begin_watch(&self) -> Result<WatchId>;

    /// Ends a watch, and closes its ear.
    fn end_watch(&self, watch: WatchId);

    /// Reads the room's content over HTTP.
    async fn get(&self) -> Result<Option<Content>>;

    /// Offers a first content over HTTP, with this header for the edits in it.
    async fn put(&self, content: &Content, offer: Option<String>) -> Result<Put>;

    /// Returns the room's limits.
    fn limits(&self) -> Limits;
}

/// Calls `act` under the client's lock, and then carries out the outputs.
pub fn with<H: Host, T>(host: &H, act: impl FnOnce(&mut Hosted, Duration) -> T) -> T {
    let result = host.peek(act);
    host.carry_out();
    result
}

/// Loads the room's content: the content that the server sent on joining if nothing has changed since, else by a
/// request.
pub async fn load(host: &impl Host) -> Result<Option<Content>> {
    let joined = host.peek(|hosted, _| {
        hosted.client.check_open()?;
        Ok::<_, Error>(hosted.client.take_content())
    })?;
    match joined {
        Some(content) => Ok(Some(content)),
        None => get(host).await,
    }
}

/// Sends changes once the room is known to have a store. Before that, offers the whole content.
pub async fn save(host: &impl Host, save: Save<'_>) -> Result<Saved> {
    let is_present = host.peek(|hosted, _| {
        hosted.client.check_open()?;
        Ok::<_, Error>(hosted.client.store_is_present() == Some(true))
    })?;
    match save.changes() {
        // A room without a store drops changes silently.
        Some(changes) if is_present => send(host, changes, save.edit()).await,
        None if is_present => match get(host).await? {
            Some(content) => Ok(Saved::Found(content)),
            None => offer(host, save).await,
        },
        _ => offer(host, save).await,
    }
}

/// Begins a watch. Resolves once every connection that the watch listens to is open; in the extended dialect, once the
/// server has sent the room's state.
pub async fn watch<H: Host>(host: &Arc<H>) -> Result<BoxStream<'static, Result<Notice>>> {
    let watch = host.begin_watch()?;
    // Dropping it ends the watch.
    let notices = Notices::new(host.clone(), watch);
    until(&**host, |hosted, _| Ok(hosted.client.is_watch_ready(watch)?.then_some(()))).await?;
    Ok(Box::pin(notices))
}

/// Calls `look` after each change of the client until it returns a value. `look` may change the client only in the call
/// that returns a value.
async fn until<H: Host, T>(
    host: &H,
    mut look: impl FnMut(&mut Hosted, Duration) -> Result<Option<T>> + Send,
) -> Result<T> {
    poll_fn(|context| {
        let found = host.peek(|hosted, now| {
            let found = look(hosted, now);
            if let Ok(None) = found {
                hosted.wait(context.waker());
            }
            found
        });
        match found.transpose() {
            None => Poll::Pending,
            Some(found) => {
                host.carry_out();
                Poll::Ready(found)
            }
        }
    })
    .await
}

/// Reads the room's content over HTTP, and records whether the room has a store.
async fn get(host: &impl Host) -> Result<Option<Content>> {
    let content = host.get().await?;
    with(host, |hosted, now| hosted.client.store_found(content.is_some(), now));
    Ok(content)
}

/// Sends changes to a room that has a store.
async fn send(host: &impl Host, changes: &Changes, edit: Option<EditKey<'_>>) -> Result<Saved> {
    until(host, |hosted, now| hosted.save(changes, edit, now)).await?.saved().await
}

/// Offers a whole content to a room that may have none, and then reads the room's content.
async fn offer(host: &impl Host, save: Save<'_>) -> Result<Saved> {
    let offer = match save.edit() {
        Some(edit) => with(host, |hosted, _| hosted.client.offer(edit))?,
        None => None,
    };
    // Parts that exceed the room's limits are refused, and reported, when they are saved as changes.
    let put = host.put(&host.limits().trim(save.content()), offer).await?;
    match (get(host).await?, put) {
        (Some(content), _) => Ok(Saved::Found(content)),
        (None, Put::Created) => Err(Error::new(
            ErrorKind::Refused,
            "the room refused every part of its first content: ask its owner what this client may write",
        )),
        (None, Put::Existed) => {
            Err(Error::new(ErrorKind::Unavailable, "the room was emptied while it was asked for its content"))
        }
    }
}
