//! The persister of a PartyKit room, over real sockets and HTTP.
//!
//! `proto::client` makes the decisions, and this module carries them out. One task drives the two connections, the
//! clock and the checks of one persister.

mod config;
mod drive;
mod http;
mod line;
mod runtime;
mod shared;
mod state;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use roommate::{Capability, Content, Error, ErrorKind, Notice, Persister, Report, Result, Runtime, Save, Saved};
use tokio_util::sync::CancellationToken;

use self::shared::Shared;
pub use self::{
    config::{PartyKitConfig, StoreProtocol},
    runtime::TokioRuntime,
};
use crate::{proto::persist, socket::PartySocket};

/// Keeps a store in sync with a PartyKit room: TinyBase's `createPartyKitPersister`, for the same rooms.
///
/// Whole contents travel over HTTP to the server of the [`PartySocket`], and changes travel over WebSockets. While an
/// engine watches it, the persister has a connection of its own, with the socket's options and another id:
///
/// * With a server that speaks the extended dialect, such as Roommate's, that connection carries everything in both
///   directions. Each change takes effect exactly once, however often a connection breaks, and a reconnection transfers
///   only what was missed. The socket is left to the application's own messages.
/// * With a stock server, the socket sends changes, and the persister's own connection listens. The server broadcasts
///   each change to every connection except its author's. So only a connection that never writes receives everything,
///   this client's own changes included, in the order in which the room accepted them. That makes clients converge, and
///   makes refusals visible. A stock server has two limits. First, a change is sent *at least once*: one that had
///   arrived when its connection broke is sent again, and then overwrites what other clients wrote in between. Second,
///   after the listening connection was lost, a refusal may be only presumed ([`Certainty`](roommate::Certainty)): the
///   change was not broadcast while the client listened, and the room does not show it.
///
/// Each time the connection opens, the persister sends a request, and the server's response says which dialect it
/// speaks. [`PartyKitConfig::with_listening_connection`] turns the connection off, and documents what that costs.
///
/// A socket reconnects by itself, so no call fails while the server cannot be reached: the engine's `on_ignored_error`
/// is called for each failed attempt. A server that refuses the very first attempt (401, 403, 404) refuses the socket's
/// options: calls that are pending by then fail at once. A call that begins later fails with the next attempt, which
/// may be ten seconds away. So create the persister right after its socket.
///
/// The persister belongs to the room that the socket connects to when the persister is created. If the socket is later
/// directed to another room, the persister fails with [`ErrorKind::Invalid`] rather than write into the wrong room.
pub struct PartyKitPersister {
    shared: Arc<Shared>,
    socket: PartySocket,
    runtime: TokioRuntime,
    task: CancellationToken,
}

impl PartyKitPersister {
    /// Creates a persister for the room of `socket`, on the current tokio runtime.
    ///
    /// The persister holds a clone of the socket, and never closes it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a socket without a room and for a configuration that makes no valid URL,
    /// [`ErrorKind::Unsupported`] outside of a tokio runtime.
    pub fn new(socket: &PartySocket, config: PartyKitConfig) -> Result<Self> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| {
            let message = "a PartyKitPersister needs a tokio runtime with I/O and time: make it inside of one";
            Error::with_source(ErrorKind::Unsupported, message, error)
        })?;
        let shared = Arc::new(Shared::new(socket, &config)?);
        let task = CancellationToken::new();
        runtime.spawn(drive::drive(shared.clone(), socket.events(), task.clone()));
        Ok(Self { shared, socket: socket.clone(), runtime: runtime.into(), task })
    }

    /// Returns the socket that changes are sent on.
    pub fn socket(&self) -> &PartySocket {
        &self.socket
    }

    /// Returns the URL that whole contents are read from and written to.
    pub fn store_url(&self) -> &str {
        self.shared.endpoint().url()
    }

    fn end(&self) {
        self.task.cancel();
        self.shared.with(|state, now| state.close(now));
    }
}

#[async_trait]
impl Persister for PartyKitPersister {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        persist::load(&*self.shared).await
    }

    /// Sends changes over the socket once the room is known to have a store. Before that, offers the whole content over
    /// HTTP.
    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        persist::save(&*self.shared, save).await
    }

    /// Resolves once both connections are open. In the extended dialect, resolves once the server has sent the room's
    /// state.
    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        persist::watch(&self.shared).await
    }

    fn introduce(&self, client: &str) {
        self.shared.with(|state, _| state.hosted.client.introduce(client));
    }

    fn report_to(&self, report: Report) {
        self.shared.report_to(report);
    }

    /// The runtime in which the persister was created.
    fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        Some(Arc::new(self.runtime.clone()))
    }

    async fn close(&self) -> Result<()> {
        self.end();
        Ok(())
    }
}

/// Dropping a persister closes it.
impl Drop for PartyKitPersister {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for PartyKitPersister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartyKitPersister")
            .field("socket", &self.socket)
            .field("store_url", &self.store_url())
            .finish_non_exhaustive()
    }
}
