//! What a story is told with: a server, the JavaScript agent, and a room of its own.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use crate::{
    content::{canonical, parse},
    js::{Js, JsClient, PATIENCE, Reply},
    npm,
    ours::Roommate,
    partykit::PartyKit,
    peer::{Language, Peer},
    rust::RustClient,
    serve::Serve,
};

/// Whose room server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// PartyKit's, on workerd, running TinyBase's `TinyBasePartyKitServer`.
    PartyKit,
    /// Ours, in this process.
    Roommate,
    /// The same, doing what the stock server does to the letter.
    StockRoommate,
    /// Ours, as the program `roommate serve`. It has one party, `main`.
    Serve,
    /// The same, with `--stock`.
    StockServe,
}

impl Server {
    /// Whether it is ours.
    pub(crate) fn is_ours(self) -> bool {
        self != Self::PartyKit
    }

    /// Whether it sets stock clients right.
    pub(crate) fn cures(self) -> bool {
        matches!(self, Self::Roommate | Self::Serve)
    }
}

/// In which languages the one is written who does something, and the one who sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    pub(crate) from: Language,
    pub(crate) to: Language,
}

impl Direction {
    pub(crate) const JS_TO_JS: Self = Self { from: Language::JavaScript, to: Language::JavaScript };
    pub(crate) const JS_TO_RUST: Self = Self { from: Language::JavaScript, to: Language::Rust };
    pub(crate) const RUST_TO_JS: Self = Self { from: Language::Rust, to: Language::JavaScript };
    pub(crate) const RUST_TO_RUST: Self = Self { from: Language::Rust, to: Language::Rust };
}

/// One story's surroundings.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) server: Server,
    direction: Direction,
    pub(crate) js: &'static Js,
    hosts: Hosts,
    id: String,
    next_client: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
enum Hosts {
    PartyKit(&'static PartyKit),
    Roommate(&'static Roommate),
    Serve(&'static Serve),
}

/// A room, and how its party is configured.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) host: String,
    pub(crate) party: &'static str,
    pub(crate) name: String,
    pub(crate) store_path: &'static str,
    pub(crate) message_prefix: &'static str,
}

impl Rig {
    /// Sets up for `story`, or skips it (`None`) where the originals cannot run.
    pub(crate) fn new(story: &str, server: Server, direction: Direction) -> Option<Self> {
        static AGENT: OnceLock<Js> = OnceLock::new();
        static PARTYKIT: OnceLock<PartyKit> = OnceLock::new();
        static ROOMMATE: OnceLock<Roommate> = OnceLock::new();
        static SERVE: OnceLock<Serve> = OnceLock::new();
        static STOCK_SERVE: OnceLock<Serve> = OnceLock::new();
        static STORIES: AtomicU64 = AtomicU64::new(0);

        let originals = npm::originals(story)?;
        Some(Self {
            server,
            direction,
            js: AGENT.get_or_init(|| Js::start(originals)),
            hosts: match server {
                Server::PartyKit => Hosts::PartyKit(PARTYKIT.get_or_init(|| PartyKit::start(originals))),
                Server::Roommate | Server::StockRoommate => Hosts::Roommate(ROOMMATE.get_or_init(Roommate::start)),
                Server::Serve => Hosts::Serve(SERVE.get_or_init(|| Serve::start(originals, &[]))),
                Server::StockServe => Hosts::Serve(STOCK_SERVE.get_or_init(|| Serve::start(originals, &["--stock"]))),
            },
            id: format!("{}-{}", story.replace(' ', "-"), STORIES.fetch_add(1, Ordering::Relaxed)),
            next_client: AtomicU64::new(0),
        })
    }

    /// This story's room of party `main`, where everything is at its default.
    pub(crate) fn room(&self) -> Room {
        self.room_of("main")
    }

    /// This story's room of any party of `tests/interop/party`.
    pub(crate) fn room_of(&self, party: &'static str) -> Room {
        let (store_path, message_prefix) = match party {
            "prefixed" => ("/my_tinybase", "tb_"),
            "bare" => ("/bare_store", ""),
            _ => ("/store", ""),
        };
        let host = match self.hosts {
            Hosts::PartyKit(server) => server.host.clone(),
            Hosts::Roommate(server) => server.host(party, self.server.cures()),
            Hosts::Serve(server) => server.host.clone(),
        };
        Room { host, party, name: self.id.clone(), store_path, message_prefix }
    }

    /// `room` as the program has it that hosts it: this one.
    pub(crate) fn hosted(&self, room: &Room) -> roommate_server::Room {
        match self.hosts {
            Hosts::Roommate(server) => server.rooms(room.party, self.server.cures()).room(room.party, &room.name),
            Hosts::PartyKit(_) | Hosts::Serve(_) => panic!("the rooms of {:?} are another process's", self.server),
        }
    }

    /// A client of the language that the story's direction begins with, connected to `room`.
    pub(crate) async fn writer(&self, room: &Room) -> Peer {
        self.peer(self.direction.from, room).await
    }

    /// A client of the language that the story's direction ends with, connected to `room`.
    pub(crate) async fn reader(&self, room: &Room) -> Peer {
        self.peer(self.direction.to, room).await
    }

    /// A client of some language, connected to `room`.
    pub(crate) async fn peer(&self, language: Language, room: &Room) -> Peer {
        match language {
            Language::JavaScript => Peer::JavaScript(self.js(room).await),
            Language::Rust => Peer::Rust(RustClient::open(room)),
        }
    }

    /// A stock client that loads and saves, as TinyBase's documentation has it.
    pub(crate) async fn join(&self, room: &Room) -> JsClient {
        let client = self.js(room).await;
        client.persister("startAutoLoad", json!([])).await;
        client.persister("startAutoSave", json!([])).await;
        client
    }

    /// A stock client, connected to `room`, that has not begun to load or save.
    pub(crate) async fn js(&self, room: &Room) -> JsClient {
        let config = json!({"storePath": room.store_path, "messagePrefix": room.message_prefix});
        self.js_with(room, json!({ "config": config })).await
    }

    /// The same with other options, the agent's.
    pub(crate) async fn js_with(&self, room: &Room, mut options: Value) -> JsClient {
        options["host"] = room.host.as_str().into();
        options["party"] = room.party.into();
        options["room"] = room.name.as_str().into();
        let name = format!("{}/{}", self.id, self.next_client.fetch_add(1, Ordering::Relaxed));
        JsClient::open(self.js, name, options).await
    }

    /// A writer and a reader that load from and save to `room`.
    pub(crate) async fn joined(&self, room: &Room) -> (Peer, Peer) {
        let writer = self.writer(room).await;
        writer.join().await;
        let reader = self.reader(room).await;
        reader.join().await;
        (writer, reader)
    }

    /// Waits for both clients and `room` to hold `content`.
    pub(crate) async fn all_hold(&self, room: &Room, peers: impl IntoIterator<Item = &Peer>, content: &Value) {
        self.until(room, content).await;
        for peer in peers {
            peer.until(content).await;
        }
    }

    /// A request to a path of `room`.
    pub(crate) async fn http(&self, method: &str, room: &Room, path: &str, body: &str) -> Reply {
        self.js.http(&room.host, method, &format!("/parties/{}/{}{path}", room.party, room.name), body).await
    }

    /// Saves a first content to `room`.
    pub(crate) async fn put(&self, room: &Room, content: &Value) -> Reply {
        self.http("PUT", room, room.store_path, &content.to_string()).await
    }

    /// What `room` holds, by a GET of its store; `None` if it has none.
    pub(crate) async fn content(&self, room: &Room) -> Option<Value> {
        let reply = self.http("GET", room, room.store_path, "").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        (!reply.body.is_empty()).then(|| parse(&reply.body))
    }

    /// Asserts what `room` stores durably, pair by pair, where that can be seen: in the parties of PartyKit's server that
    /// show it. Elsewhere what a GET of the store shows is all there is to see.
    pub(crate) async fn assert_stored(&self, room: &Room, pairs: Value) {
        if self.server == Server::PartyKit {
            let Value::Object(wanted) = canonical(pairs) else { panic!("pairs are an object") };
            assert_eq!(self.stored(room).await, wanted);
        }
    }

    /// What `room`, of a party of PartyKit's server that shows it, stores durably.
    pub(crate) async fn stored(&self, room: &Room) -> Map<String, Value> {
        let reply = self.http("GET", room, "/pairs", "").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let pairs: Vec<(String, Value)> = serde_json::from_str(&reply.body).expect("pairs are JSON");
        pairs.into_iter().map(|(key, value)| (key, canonical(value))).collect()
    }

    /// Writes pairs to the durable storage of such a room, past its server.
    pub(crate) async fn store(&self, room: &Room, pairs: &Value) {
        let reply = self.http("PUT", room, "/pairs", &pairs.to_string()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Waits for `room` to hold `content`.
    pub(crate) async fn until(&self, room: &Room, content: &Value) {
        let wanted = canonical(content.clone());
        self.until_some(room, |held| *held == wanted).await;
    }

    /// Waits for `room` to hold something `wanted`, and returns what it holds.
    pub(crate) async fn until_some(&self, room: &Room, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.content(room).await {
                Some(held) if wanted(&held) => return held,
                held if Instant::now() > deadline => {
                    panic!("{room:?} holds\n  {}\nand not what was wanted", held.unwrap_or_default())
                }
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}
