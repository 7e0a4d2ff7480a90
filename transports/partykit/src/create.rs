//! The one line that most programs need.

use roommate::{Engine, Error, Result, Store};

use crate::{
    client::{PartyKitConfig, PartyKitPersister, TokioRuntime},
    socket::PartySocket,
};

/// Ties a store to the room that a socket leads to: TinyBase's `createPartyKitPersister`.
///
/// Returns the [`Engine`], which does nothing until it is told to: [`Engine::start_auto_persisting`] joins the room. For
/// other settings of the engine use [`Engine::builder`] with a [`PartyKitPersister`] and a [`TokioRuntime`].
///
/// `on_ignored_error` hears of every error that no awaited call is answered with, passing ones that are tried again
/// included, and of every error of the socket.
///
/// # Errors
/// As [`PartyKitPersister::new`].
///
/// ```no_run
/// use roommate::Store;
/// use roommate_partykit::{PartyKitConfig, PartySocket, PartySocketOptions, create_partykit_persister};
///
/// # async fn example() -> roommate::Result<()> {
/// let store = Store::new();
/// let socket = PartySocket::new(PartySocketOptions::new("my-project.partykit.dev", "my_room"))?;
/// let engine = create_partykit_persister(&store, &socket, PartyKitConfig::new(), |error| eprintln!("{error}"))?;
/// engine.start_auto_persisting(None).await?;
/// store.set_value("open", true)?;
/// # Ok(())
/// # }
/// ```
pub fn create_partykit_persister(
    store: &Store,
    socket: &PartySocket,
    config: PartyKitConfig,
    on_ignored_error: impl Fn(Error) + Send + Sync + 'static,
) -> Result<Engine> {
    let persister = PartyKitPersister::new(socket, config)?;
    let runtime = TokioRuntime::current()?;
    Ok(Engine::builder(store, persister).with_runtime(runtime).with_on_ignored_error(on_ignored_error).build())
}
