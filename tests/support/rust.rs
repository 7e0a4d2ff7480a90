//! A Rust client, driven by the same calls as the JavaScript ones.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use roommate::{Cell, Content, Engine, Id, Map, Row, Store, Table};
use roommate_partykit::{PartyKitConfig, PartySocket, PartySocketOptions, create_partykit_persister};
use serde_json::{Value, json};

use crate::{
    content::{canonical, parse},
    js::PATIENCE,
    rig::Room,
};

/// A store, a socket and an engine, made as a program makes them.
#[derive(Debug)]
pub(crate) struct RustClient {
    store: Store,
    pub(crate) engine: Engine,
    socket: PartySocket,
    errors: Arc<Mutex<Vec<String>>>,
}

impl RustClient {
    /// Makes a client, that connects to `room`.
    pub(crate) fn open(room: &Room) -> Self {
        let options = PartySocketOptions::new(room.host.as_str(), room.name.as_str())
            .with_party(room.party)
            .with_min_reconnection_delay(Duration::from_millis(50))
            .with_max_reconnection_delay(Duration::from_millis(500));
        let socket = PartySocket::new(options).expect("the options are in order");
        let config = PartyKitConfig::new().with_store_path(room.store_path).with_message_prefix(room.message_prefix);
        let store = Store::new();
        let errors = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&errors);
        let engine = create_partykit_persister(&store, &socket, config, move |error| {
            // What passes is told as well; the engine tries again, and a busy machine has such.
            if !error.is_temporary() {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{error:?}"));
            }
        })
        .expect("the configuration is in order");
        Self { store, engine, socket, errors }
    }

    /// Begins to load and to save.
    pub(crate) async fn join(&self) {
        self.within("startAutoLoad", self.engine.start_auto_load(None)).await;
        self.within("startAutoSave", self.engine.start_auto_save()).await;
    }

    /// Loads once.
    pub(crate) async fn load(&self) {
        self.within("load", self.engine.load()).await;
    }

    /// Saves once, and waits until it is confirmed.
    pub(crate) async fn save(&self) {
        self.within("save", self.engine.save()).await;
        self.flush().await;
    }

    /// Waits until every edit is confirmed.
    pub(crate) async fn flush(&self) {
        self.within("flush", self.engine.flush()).await;
    }

    /// Does several calls of the store, `[method, ...arguments]` each with TinyBase's names, as one transaction.
    pub(crate) fn transaction(&self, calls: &Value) {
        let calls = calls.as_array().expect("calls are a list");
        self.store
            .transaction(|store| calls.iter().try_for_each(|call| apply(store, call)))
            .unwrap_or_else(|error| panic!("{error} in {calls:?}"));
    }

    /// The store's content, objects and arrays as encoded text.
    pub(crate) fn content(&self) -> Value {
        parse(&self.store.json())
    }

    /// Waits for the store to hold `content`.
    pub(crate) async fn until(&self, content: &Value) {
        let wanted = Content::from_json(&content.to_string()).expect("a content").value;
        let deadline = Instant::now() + PATIENCE;
        while self.store.content() != wanted {
            assert!(
                Instant::now() < deadline,
                "the Rust client holds\n  {}\nand not\n  {content}\nunconfirmed: {:?}\nerrors: {}",
                self.store.json(),
                self.engine.unconfirmed(),
                self.errors()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(self.content(), canonical(content.clone()));
    }

    /// What the engine gave to `on_ignored_error`, but for what passes by itself.
    pub(crate) fn errors(&self) -> Value {
        json!(*self.errors.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the client: its engine and its socket. Nothing may be unconfirmed.
    pub(crate) async fn close(self) {
        assert_eq!(self.engine.destroy().await, []);
        self.socket.close(1000, "").expect("it closes");
    }

    async fn within(&self, what: &str, call: impl Future<Output = roommate::Result<()>>) {
        match tokio::time::timeout(PATIENCE, call).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("{what}: {error:?}; errors: {}", self.errors()),
            Err(_) => panic!("{what} does not end; status {:?}, errors: {}", self.engine.status(), self.errors()),
        }
    }
}

fn apply(store: &Store, call: &Value) -> roommate::Result<()> {
    let call = call.as_array().expect("a call is a list");
    let method = call[0].as_str().expect("a method has a name");
    let id = |index: usize| call[index].as_str().expect("an id is text");
    match method {
        "setCell" => store.set_cell(id(1), id(2), id(3), &call[4]),
        "setRow" => store.set_row(id(1), id(2), entries(&call[3])),
        "setPartialRow" => store.set_partial_row(id(1), id(2), entries(&call[3])),
        "setTable" => store.set_table(id(1), &table(&call[2])?),
        "setTables" => store.set_tables(&map(&call[1], table)?),
        "setValue" => store.set_value(id(1), &call[2]),
        "setValues" => store.set_values(entries(&call[1])),
        "setPartialValues" => store.set_partial_values(entries(&call[1])),
        "delCell" => store.del_cell(id(1), id(2), id(3)),
        "delRow" => store.del_row(id(1), id(2)),
        "delTable" => store.del_table(id(1)),
        "delTables" => store.del_tables(),
        "delValue" => store.del_value(id(1)),
        "delValues" => store.del_values(),
        method => panic!("{method} is not translated"),
    }
}

fn entries(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    object.as_object().expect("an object").iter().map(|(id, entry)| (id.as_str(), entry))
}

fn table(object: &Value) -> roommate::Result<Table> {
    map(object, |row| -> roommate::Result<Row> { map(row, |cell| Cell::try_from(cell)) })
}

fn map<V>(object: &Value, of: impl Fn(&Value) -> roommate::Result<V>) -> roommate::Result<Map<V>> {
    entries(object).map(|(id, entry)| Ok((Id::from(id), of(entry)?))).collect()
}
