//! The functions that create an engine for a room.

use roommate::{Engine, EngineBuilder, Error, Result, Store};

use crate::{
    client::{PartyKitConfig, PartyKitPersister},
    socket::PartySocket,
};

/// Creates an engine that keeps a store in sync with the room of a socket: TinyBase's `createPartyKitPersister`.
///
/// Returns the [`Engine`], which does nothing until it is started: [`Engine::start_auto_persisting`] joins the room.
/// Call that before the first edit. Content that is in the store before then does not count as an edit: it is offered
/// to an empty room, and dropped if the room already has a store. [`partykit_builder`] is for an engine with other
/// settings, such as an outbox.
///
/// `on_ignored_error` is called for each error that no pending call returns, including errors that will be retried, and
/// for each error of the socket.
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

/// Like [`create_partykit_persister`], but returns the builder, so that the caller can change the engine's settings
/// before [`EngineBuilder::build`].
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
