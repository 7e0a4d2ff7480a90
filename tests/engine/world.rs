//! A place in memory, clients of it, and a clock for them all.

use std::sync::{Arc, Mutex};

use roommate::{
    Cell, Changes, Content, Engine, EngineBuilder, Error, ErrorKind, Memory, Persister, Status, Store,
    conformance::{Faults, Flaky},
};

use crate::{clock::Clock, places::Room};

/// A place and a clock.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) place: Memory,
}

/// One engine and what belongs to it.
pub(crate) struct Client {
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    /// What goes wrong between the engine and the place.
    pub(crate) faults: Faults,
    pub(crate) errors: Errors,
}

/// What `on_ignored_error` heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errors(Arc<Mutex<Vec<Error>>>);

impl World {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A world whose place holds `values` already.
    pub(crate) fn holding(values: &[(&str, i32)]) -> Self {
        let world = Self::new();
        world.others_write(values);
        world
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(|builder| builder)
    }

    pub(crate) fn client_with(&self, settings: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Client {
        self.client_of(&Store::new(), self.place.client(), settings)
    }

    pub(crate) fn client_of(
        &self,
        store: &Store,
        persister: impl Persister,
        settings: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Client {
        let (persister, faults) = Flaky::new(persister);
        let errors = Errors::default();
        let builder = Engine::builder(store, persister).with_runtime(self.clock.clone());
        let engine = settings(builder.with_on_ignored_error(errors.listener())).build();
        Client { store: store.clone(), engine, faults, errors }
    }

    /// A client that follows the place and saves to it.
    pub(crate) fn joined(&self) -> Client {
        self.joined_to(self.place.client())
    }

    /// The same of another place than this world's.
    pub(crate) fn joined_to(&self, place: impl Persister) -> Client {
        let client = self.client_of(&Store::new(), place, |builder| builder);
        self.clock.block_on(client.engine.start_auto_persisting(None)).expect("the place is there");
        client
    }

    /// A world with a room that holds `values`, and a client that follows it and saves to it.
    pub(crate) fn with_room(values: &[(&str, i32)]) -> (Self, Room, Client) {
        let (world, room) = (Self::new(), Room::holding(content(values)));
        let client = world.joined_to(room.clone());
        (world, room, client)
    }

    /// Changes of somebody without a store.
    pub(crate) fn others_write(&self, values: &[(&str, i32)]) {
        self.place.apply_changes(&changes(values));
    }

    /// What the place holds.
    pub(crate) fn held(&self) -> Content {
        self.place.content().expect("something was saved")
    }

    pub(crate) fn run(&self) {
        self.clock.run();
    }
}

impl Client {
    pub(crate) fn set(&self, value_id: &str, to: i32) {
        self.store.set_value(value_id, to).expect("the store takes it");
    }

    pub(crate) fn values(&self) -> Content {
        self.store.content()
    }

    /// Records the statuses from now on.
    pub(crate) fn statuses(&self) -> (Arc<Mutex<Vec<Status>>>, impl Sized + use<>) {
        let statuses = Arc::<Mutex<Vec<Status>>>::default();
        let told = statuses.clone();
        let subscription = self.engine.add_status_listener(move |status| told.lock().unwrap().push(*status));
        (statuses, subscription)
    }
}

impl Errors {
    pub(crate) fn listener(&self) -> impl Fn(Error) + Send + Sync + 'static {
        let errors = self.0.clone();
        move |error| errors.lock().unwrap().push(error)
    }

    pub(crate) fn kinds(&self) -> Vec<ErrorKind> {
        self.0.lock().unwrap().iter().map(Error::kind).collect()
    }
}

/// A content of values.
pub(crate) fn content(values: &[(&str, i32)]) -> Content {
    let mut content = Content::new();
    content.apply(&changes(values));
    content
}

/// Changes that set values.
pub(crate) fn changes(values: &[(&str, i32)]) -> Changes {
    let mut changes = Changes::new();
    for (value_id, value) in values {
        changes.set_value(*value_id, Cell::from(*value));
    }
    changes
}
