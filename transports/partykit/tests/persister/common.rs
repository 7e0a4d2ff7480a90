//! A server to persist to, a proxy that can cut connections, and a follower of a persister's notices.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use roommate::{Cell, Changes, Content, Error, Id, Notice, Persister, Receipt, Result};
use roommate_partykit::{
    Heartbeat, PartyKitConfig, PartyKitPersister, PartySocket, PartySocketOptions,
    proto::{Asker, Context, Policy, RoomConfig},
};
use roommate_server::{RunningServer, Server, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};

/// How long a test waits for an expected event.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("what must come has not come in time")
}

pub(crate) fn value(id: &str, to: u32) -> Changes {
    let mut changes = Changes::new();
    changes.set_value(id, Cell::from(to));
    changes
}

pub(crate) fn cell(row: &str, cell: &str, to: u32) -> Changes {
    let mut changes = Changes::new();
    changes.set_cell("t", row, cell, Cell::from(to));
    changes
}

/// Changes that have no table in common.
pub(crate) fn both(one: &Changes, other: &Changes) -> Changes {
    let mut changes = one.clone();
    changes.tables.extend(other.tables.clone());
    changes.values.extend(other.values.clone());
    changes
}

pub(crate) fn content(changes: &Changes) -> Content {
    let mut content = Content::new();
    content.apply(changes);
    content
}

/// Refuses the value `secret`, and everything of the party `locked`.
#[derive(Debug)]
struct House;

#[async_trait::async_trait]
impl Policy for House {
    async fn can_connect(&self, context: &mut Context) -> Result<bool> {
        Ok(context.party != "locked")
    }

    async fn can_request(&self, context: &mut Context) -> Result<bool> {
        Ok(context.party != "locked")
    }

    fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        value_id != "secret"
    }
}

/// A server, and a proxy in front of it.
pub(crate) struct World {
    server: RunningServer,
    is_extended: bool,
    pub(crate) proxy: Proxy,
}

impl World {
    /// Starts a server whose rooms speak only the stock dialect.
    pub(crate) async fn stock() -> Self {
        Self::start_with(RoomConfig::new().with_extended(false)).await
    }

    /// Starts a server whose rooms speak the extended dialect as well.
    pub(crate) async fn extended() -> Self {
        Self::start_with(RoomConfig::new()).await
    }

    pub(crate) async fn start_with(room: RoomConfig) -> Self {
        let is_extended = room.extended();
        // The tests count notices, so stock connections receive no more than the stock server sends.
        let room = room.with_policy(House).with_cures(false);
        let config = ServerConfig::new().with_any_party().with_room(room);
        let server = Server::bind("127.0.0.1:0", config).await.unwrap().spawn();
        let proxy = Proxy::start(server.local_addr().to_string()).await;
        Self { server, is_extended, proxy }
    }

    pub(crate) fn is_extended(&self) -> bool {
        self.is_extended
    }

    /// Options of a client whose connections are never lost, however slow the machine is.
    pub(crate) fn options(&self) -> PartySocketOptions {
        quick(self.server.local_addr().to_string())
    }

    pub(crate) fn persister(&self) -> PartyKitPersister {
        self.persister_with(self.options(), PartyKitConfig::new())
    }

    /// Creates a persister whose connections can be cut.
    pub(crate) fn persister_by_proxy(&self) -> PartyKitPersister {
        let config = PartyKitConfig::new()
            .with_patience(Duration::from_millis(300))
            .with_request_timeout(Duration::from_secs(1));
        self.persister_with(self.proxy.options(), config)
    }

    pub(crate) fn persister_with(&self, options: PartySocketOptions, config: PartyKitConfig) -> PartyKitPersister {
        PartyKitPersister::new(&PartySocket::new(options).unwrap(), config).unwrap()
    }

    /// Gives the room a store, in which `made` is 1.
    pub(crate) async fn make_room(&self) {
        let made = content(&value("made", 1));
        let save = roommate::Save::new(&|| content(&value("made", 1)), None);
        assert_eq!(soon(self.persister().save(save)).await.unwrap(), roommate::Saved::Found(made));
    }
}

/// Options of a socket that reconnects at once.
fn quick(host: String) -> PartySocketOptions {
    PartySocketOptions::new(host, "room")
        .with_min_reconnection_delay(Duration::from_millis(5))
        .with_max_reconnection_delay(Duration::from_millis(20))
}

/// Forwards connections, and cuts them on request.
pub(crate) struct Proxy {
    host: String,
    state: Arc<ProxyState>,
}

struct ProxyState {
    server: Mutex<String>,
    open: AtomicUsize,
    /// How many requests for a content were forwarded.
    gets: AtomicUsize,
    /// How many more bytes may be forwarded to the server.
    budget: Mutex<Option<usize>>,
    /// Counts the losses of all connections.
    cuts: watch::Sender<u64>,
    /// Counts the times that all connections fell silent.
    freezes: watch::Sender<u64>,
}

impl Proxy {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(ProxyState {
            server: Mutex::new(server),
            open: AtomicUsize::new(0),
            gets: AtomicUsize::new(0),
            budget: Mutex::new(None),
            cuts: watch::Sender::new(0),
            freezes: watch::Sender::new(0),
        });
        let shared = Arc::downgrade(&state);
        tokio::spawn(async move {
            while let (Ok((client, _)), Some(state)) = (listener.accept().await, shared.upgrade()) {
                let server = state.server.lock().unwrap().clone();
                let Ok(server) = TcpStream::connect(server).await else { return };
                tokio::spawn(pass(client, server, state));
            }
        });
        Self { host, state }
    }

    /// Options of a client that soon detects a dead peer.
    pub(crate) fn options(&self) -> PartySocketOptions {
        quick(self.host.clone())
            .with_heartbeat(Some(Heartbeat::new(Duration::from_millis(300), Duration::from_millis(700))))
    }

    /// Cuts all connections once this many more bytes have been forwarded to the server.
    pub(crate) fn cut_after(&self, bytes: usize) {
        *self.state.budget.lock().unwrap() = Some(bytes);
    }

    /// Cuts all open connections.
    pub(crate) fn cut(&self) {
        self.state.cuts.send_modify(|count| *count += 1);
    }

    /// Directs all new connections to the server of another world, and cuts the open ones.
    pub(crate) fn lead_to(&self, world: &World) {
        *self.state.server.lock().unwrap() = world.server.local_addr().to_string();
        self.cut();
    }

    /// How often a content was requested.
    pub(crate) fn gets(&self) -> usize {
        self.state.gets.load(Ordering::SeqCst)
    }

    /// Makes all open connections silent, without closing them.
    pub(crate) fn freeze(&self) {
        self.state.freezes.send_modify(|count| *count += 1);
    }

    /// Waits until that many WebSockets are open.
    pub(crate) async fn until_open(&self, count: usize) {
        soon(async {
            while self.state.open.load(Ordering::SeqCst) != count {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

impl ProxyState {
    /// Returns how many of these bytes may be forwarded to the server.
    fn spend(&self, bytes: usize) -> usize {
        let mut budget = self.budget.lock().unwrap();
        match &mut *budget {
            Some(left) if *left < bytes => budget.take().unwrap_or_default(),
            Some(left) => {
                *left -= bytes;
                bytes
            }
            None => bytes,
        }
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, state: Arc<ProxyState>) {
    let (mut cuts, mut freezes) = (state.cuts.subscribe(), state.freezes.subscribe());
    let (mut up, mut down) = (vec![0; 4096], vec![0; 4096]);
    let mut counts = false;
    loop {
        tokio::select! {
            _ = cuts.changed() => break,
            _ = freezes.changed() => {
                // The proxy reads on, so that the client believes that its messages arrive.
                loop {
                    tokio::select! {
                        _ = cuts.changed() => break,
                        read = client.read(&mut up) => if read.unwrap_or(0) == 0 { break },
                    }
                }
                break;
            }
            read = client.read(&mut up) => {
                let read = read.unwrap_or(0);
                if read == 0 {
                    break;
                }
                let upgrades = up[..read].to_ascii_lowercase().windows(9).any(|word| word == b"websocket");
                if !counts && upgrades {
                    counts = true;
                    state.open.fetch_add(1, Ordering::SeqCst);
                } else if up[..read].starts_with(b"GET ") {
                    state.gets.fetch_add(1, Ordering::SeqCst);
                }
                let spent = state.spend(read);
                if server.write_all(&up[..spent]).await.is_err() {
                    break;
                }
                if spent < read {
                    state.cuts.send_modify(|count| *count += 1);
                    break;
                }
            }
            read = server.read(&mut down) => {
                let read = read.unwrap_or(0);
                if read == 0 || client.write_all(&down[..read]).await.is_err() {
                    break;
                }
            }
        }
    }
    if counts {
        state.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Starts a server that sends every connection this response, and then closes it.
pub(crate) async fn answer_all(answer: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let answer: Arc<str> = answer.into();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                // Small requests come in one piece.
                let _ = client.read(&mut request).await;
                let _ = client.write_all(answer.as_bytes()).await;
            });
        }
    });
    host
}

/// Follows a persister as the contract requires, and tracks the room's content.
pub(crate) struct Told {
    stream: Pin<Box<dyn Stream<Item = Result<Notice>> + Send>>,
    pub(crate) view: Content,
    open: BTreeMap<Receipt, Changes>,
    /// The refused parts of each save that had any.
    pub(crate) refused: Vec<Changes>,
}

impl Told {
    pub(crate) async fn join(persister: &PartyKitPersister) -> Self {
        let stream = soon(persister.watch()).await.unwrap();
        let view = soon(persister.load()).await.unwrap().unwrap_or_default();
        Self { stream, view, open: BTreeMap::new(), refused: vec![] }
    }

    pub(crate) fn expect(&mut self, receipt: Receipt, changes: Changes) {
        self.open.insert(receipt, changes);
    }

    /// Returns the next notice unprocessed.
    pub(crate) async fn next(&mut self) -> Option<Notice> {
        self.stream.next().await.map(|notice| notice.unwrap())
    }

    pub(crate) async fn until_confirmed(&mut self, persister: &PartyKitPersister) {
        while !self.open.is_empty() {
            self.follow(persister).await;
        }
    }

    pub(crate) async fn until_shows(&mut self, persister: &PartyKitPersister, content: &Content) {
        while self.view != *content {
            self.follow(persister).await;
        }
    }

    pub(crate) async fn until_error(&mut self) -> Error {
        soon(async {
            loop {
                if let Err(error) = self.stream.next().await.expect("an error comes before the end") {
                    return error;
                }
            }
        })
        .await
    }

    /// Processes the next notice.
    pub(crate) async fn follow(&mut self, persister: &PartyKitPersister) {
        let notice = soon(self.stream.next()).await.expect("the stream goes on");
        match notice.expect("nothing to report") {
            Notice::Content(content) => self.view = content,
            Notice::Changes(changes) => self.view.apply(&changes),
            Notice::Confirmed { receipt, refused } | Notice::Missing { receipt, missing: refused } => {
                let mut save = self.open.remove(&receipt).expect("confirmed once");
                // These tests refuse values only.
                save.values.retain(|id, _| !refused.values.contains(id));
                self.view.apply(&save);
                if !refused.is_empty() {
                    self.refused.push(refused);
                }
            }
            Notice::Stale => {
                // A load may fail while connections are being lost: the engine would try again.
                self.view = soon(async {
                    loop {
                        match persister.load().await {
                            Ok(content) => return content.unwrap_or_default(),
                            Err(error) if error.is_temporary() => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
                .await;
            }
            other => panic!("{other:?}"),
        }
    }
}
