//! The persister of a PartyKit room, over real sockets and HTTP.
//!
//! What to do is decided by `proto::client`; what is here does it. One task drives the two connections,
//! the clock and the checks of one persister.

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

/// Keeps a store in step with a PartyKit room: TinyBase's `createPartyKitPersister`, for the same rooms.
///
/// Whole contents travel over HTTP to the server that the [`PartySocket`] leads to, and changes over WebSockets. While it is
/// watched the persister has a connection of its own, with the socket's options and another id:
///
/// * With a server that speaks the extended dialect, such as Roommate's, that connection carries everything both ways. Each
///   change takes effect once however often a connection breaks, and coming back costs what was missed. The socket is left
///   to the application's own messages.
/// * With a stock server changes are sent on the socket, and the connection listens: the server tells each change to every
///   connection but its author's, so only one that writes nothing hears everything, this client's own changes included, in
///   the order in which the room took them. That makes clients end equal, and refusals visible. What a stock server cannot
///   promise: a change is sent *at least once*. One that had arrived when its connection broke is sent again, and then
///   overwrites what others wrote in between. And after the listening connection was away a refusal may be no more than
///   presumed ([`Certainty`](roommate::Certainty)): of a change that nobody heard come back, and that the room does not show.
///
/// Which of the two it is the server says in the answer to a request, each time the connection is opened.
/// [`PartyKitConfig::with_listening_connection`] does without that connection, and says what that costs.
///
/// A socket goes on trying by itself, so no call fails while it does not reach its server: the engine's `on_ignored_error`
/// hears of each attempt that failed. A server that refuses the very first one (401, 403, 404) refuses what the socket was
/// given: whoever waits by then is told at once, and who begins to wait later is told by the next attempt, which may be ten
/// seconds away. So make the persister right after its socket.
///
/// The persister belongs to the room that the socket leads to when it is made. A socket that is led elsewhere makes it
/// fail with [`ErrorKind::Invalid`] rather than write into the wrong room.
pub struct PartyKitPersister {
    shared: Arc<Shared>,
    socket: PartySocket,
    runtime: TokioRuntime,
    task: CancellationToken,
}

impl PartyKitPersister {
    /// A persister for the room that `socket` leads to, on the current tokio runtime.
    ///
    /// It keeps the socket alive, and never closes it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a socket without a room and for a configuration that makes no URL,
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

    /// The socket that changes are sent on.
    pub fn socket(&self) -> &PartySocket {
        &self.socket
    }

    /// The URL that whole contents are read from and written to.
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

    /// Sends changes over the socket once the room is known to have a store, else offers the whole content over HTTP.
    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        persist::save(&*self.shared, save).await
    }

    /// Resolves once both connections are open; in the extended dialect, once the server has said what the room holds.
    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        persist::watch(&self.shared).await
    }

    fn introduce(&self, client: &str) {
        self.shared.with(|state, _| state.hosted.client.introduce(client));
    }

    fn report_to(&self, report: Report) {
        self.shared.report_to(report);
    }

    /// That in which the persister was made.
    fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        Some(Arc::new(self.runtime.clone()))
    }

    async fn close(&self) -> Result<()> {
        self.end();
        Ok(())
    }
}

/// As if it were closed.
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
