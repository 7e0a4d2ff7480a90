//! The one line that most programs need.

use roommate::{Engine, EngineBuilder, Error, Result, Store};

use crate::{
    client::{PartyKitConfig, PartyKitPersister},
    socket::PartySocket,
};

/// Ties a store to the room that a socket leads to: TinyBase's `createPartyKitPersister`.
///
/// Returns the [`Engine`], which does nothing until it is told to: [`Engine::start_auto_persisting`] joins the room. Call
/// that before the first edit: what is in a store before is no edit, but offered to an empty room and given up for one that
/// exists. [`partykit_builder`] is for an engine with other settings, such as an outbox.
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
    Ok(partykit_builder(store, socket, config, on_ignored_error)?.build())
}

/// As [`create_partykit_persister`], but for [`EngineBuilder::build`]: an engine that is yet to be told how to behave.
///
/// # Errors
/// As [`PartyKitPersister::new`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use roommate::Store;
/// use roommate_partykit::{PartyKitConfig, PartySocket, PartySocketOptions, partykit_builder};
///
/// # async fn example(outbox: impl roommate::Persister) -> roommate::Result<()> {
/// let store = Store::new();
/// let socket = PartySocket::new(PartySocketOptions::new("my-project.partykit.dev", "my_room"))?;
/// let engine = partykit_builder(&store, &socket, PartyKitConfig::new(), |error| eprintln!("{error}"))?
///     .with_outbox(outbox) // a `FilePersister` of the crate `roommate-file`, for instance
///     .with_save_interval(Duration::from_millis(50))
///     .build();
/// # Ok(())
/// # }
/// ```
pub fn partykit_builder(
    store: &Store,
    socket: &PartySocket,
    config: PartyKitConfig,
    on_ignored_error: impl Fn(Error) + Send + Sync + 'static,
) -> Result<EngineBuilder> {
    let persister = PartyKitPersister::new(socket, config)?;
    Ok(Engine::builder(store, persister).with_on_ignored_error(on_ignored_error))
}
