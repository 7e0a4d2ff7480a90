//! A room, a server for it, and a network in between.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use roommate::{Content, Persister, Save};
use roommate_partykit::{PartyKitPersister, PartySocket, proto::RoomConfig};
use roommate_server::{RunningServer, Server, ServerConfig};
use tokio::time::sleep;

use crate::{
    client::{Client, config, content, options},
    npm,
    partykit::PartyKit,
    proxy::Proxy,
    until::{PATIENCE, within},
};

/// One story's room.
#[derive(Debug)]
pub(crate) struct Place {
    /// The network of the client that the story is about.
    pub(crate) proxy: Proxy,
    pub(crate) room: String,
    /// Where the server listens.
    host: String,
    _server: Option<RunningServer>,
}

/// Our server, saying no more than PartyKit's would.
pub(crate) fn stock_dialect() -> ServerConfig {
    ServerConfig::new().with_room(RoomConfig::new().with_cures(false).with_extended(false))
}

impl Place {
    /// A room on our server, which ends with it, in the stock dialect: with requests for every content and a second
    /// connection to listen with.
    pub(crate) async fn ours(story: &str) -> Self {
        Self::on(stock_dialect(), story).await
    }

    /// The same with a server set up in another way.
    pub(crate) async fn on(config: ServerConfig, story: &str) -> Self {
        let server = Server::bind("127.0.0.1:0", config).await.expect("a free port of the loopback interface").spawn();
        let host = server.local_addr().to_string();
        Self { proxy: Proxy::start(&host).await, room: name(story), host, _server: Some(server) }
    }

    /// A room on PartyKit's own server, or `None` where that cannot run.
    pub(crate) async fn stock(story: &str) -> Option<Self> {
        static PARTYKIT: OnceLock<PartyKit> = OnceLock::new();
        let originals = npm::originals(story)?;
        let host = &PARTYKIT.get_or_init(|| PartyKit::start(originals)).host;
        Some(Self { proxy: Proxy::start(host).await, room: name(story), host: host.clone(), _server: None })
    }

    /// A client behind the proxy that has not begun to load or save.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.proxy.host(), &self.room)
    }

    /// A client behind the proxy that has joined.
    pub(crate) async fn joined(&self) -> Client {
        Client::joined(&self.proxy.host(), &self.room).await
    }

    /// A client with a network of its own that has joined.
    pub(crate) async fn other(&self) -> Client {
        Client::joined(&self.host, &self.room).await
    }

    /// Where the server itself listens.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Makes the room with this content.
    pub(crate) async fn put(&self, json: &str) {
        let content = || content(json);
        within("a first save", self.persister().save(Save::new(&content, None))).await.expect("the room is made");
    }

    /// What the room holds; `None` if it has no store.
    pub(crate) async fn content(&self) -> Option<Content> {
        within("a GET", self.persister().load()).await.expect("the server is there")
    }

    /// Waits for the room to hold this.
    pub(crate) async fn until(&self, json: &str) {
        let wanted = content(json);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let holds = self.content().await;
            if holds.as_ref() == Some(&wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "the room has not\n  {json}\nbut\n  {:?}", holds.map(|it| it.to_json()));
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for the room and all these clients to hold this, and for nothing to be left to save. Ends the clients.
    pub(crate) async fn agree(self, clients: impl IntoIterator<Item = Client>, json: &str) {
        let clients: Vec<_> = clients.into_iter().collect();
        for client in &clients {
            client.until(json).await;
            client.flushed().await;
        }
        self.until(json).await;
        for client in clients {
            client.until(json).await;
            assert_eq!(client.end().await, []);
        }
        self.until(json).await;
    }

    fn persister(&self) -> PartyKitPersister {
        let options = options(&self.host, &self.room).with_start_closed(true);
        let socket = PartySocket::new(options).expect("the options are in order");
        PartyKitPersister::new(&socket, config()).expect("the configuration is in order")
    }
}

fn name(story: &str) -> String {
    static STORIES: AtomicU64 = AtomicU64::new(0);
    format!("{story}-{}", STORIES.fetch_add(1, Ordering::Relaxed))
}
