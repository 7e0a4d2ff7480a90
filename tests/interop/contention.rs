//! Several clients, far away, that write the same few things: they end equal.
//!
//! Each client is behind a proxy of its own, which lets every chunk wait for as long as it waits there, and cuts what a
//! story wants cut. There are two tables, two rows, two cells and two values. `ROOMS=100` tells each story in as many rooms;
//! else there are five.
//!
//! Our server is the program `roommate serve`, a process of its own.
//!
//! On PartyKit's server a stock client may end apart, whoever else is in the room, and nothing that another client does
//! can keep it from that. So what is asserted there is that every client of ours equals the room; and for the stock ones
//! among themselves, that most of their rooms end apart, without which the rest would prove nothing.

use std::{
    env,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    peer::{Language, Peer},
    proxy::Proxy,
    rig::{Rig, Room},
};

/// The clients of a room.
type Cast = [Language; 3];

const THREE_STOCK: Cast = [Language::JavaScript; 3];
const THREE_OF_OURS: Cast = [Language::Rust; 3];
const MIXED: Cast = [Language::Rust, Language::JavaScript, Language::Rust];

/// How long the chunks of each wait.
const DELAYS: [u64; 3] = [3, 17, 41];

/// Makes a test of each story for some server and some clients.
macro_rules! tests {
    ($server:ident, $cast:ident: $($story:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                use crate::rig::{Direction, Rig, Server};
                let story = concat!(stringify!($story), "-", stringify!($cast));
                // No story here asks for a writer and a reader.
                if let Some(rig) = Rig::new(story, Server::$server, Direction::JS_TO_JS) {
                    super::$story(&rig, super::$cast).await;
                }
            }
        )*
    };
}

mod three_stock_clients_on_our_server {
    tests! { Serve, THREE_STOCK: simultaneous_edits edits_with_disconnections joining_a_new_room_at_once }
}

mod three_of_ours_on_our_server {
    tests! { Serve, THREE_OF_OURS: simultaneous_edits edits_with_disconnections joining_a_new_room_at_once }
}

mod three_of_ours_on_partykits_server {
    tests! { PartyKit, THREE_OF_OURS: simultaneous_edits edits_with_disconnections joining_a_new_room_at_once }
}

mod a_mixed_room_on_our_server {
    tests! { Serve, MIXED: simultaneous_edits edits_with_disconnections joining_a_new_room_at_once }
}

mod a_mixed_room_on_partykits_server {
    tests! { PartyKit, MIXED: simultaneous_edits edits_with_disconnections joining_a_new_room_at_once }
}

mod the_control_on_partykits_server {
    tests! { PartyKit, THREE_STOCK: simultaneous_edits_end_apart }
}

mod the_control_on_our_server_without_its_cures {
    tests! { StockServe, THREE_STOCK: simultaneous_edits_end_apart }
}

async fn simultaneous_edits(rig: &Rig, cast: Cast) {
    in_many_rooms(rig, "simultaneous edits", cast, async |room, seed| {
        let clients = edit_at_once(rig, &room, cast, seed).await;
        end_equal(rig, &room, clients).await
    })
    .await;
}

/// The control.
async fn simultaneous_edits_end_apart(rig: &Rig, cast: Cast) {
    let apart = in_many_rooms(rig, "the control", cast, async |room, seed| {
        let clients = edit_at_once(rig, &room, cast, seed).await;
        let held = at_rest(rig, &room, &clients).await;
        let apart = count_apart(&clients, &held).await;
        close(clients).await;
        apart
    })
    .await;
    assert!(apart > rooms() / 2, "{apart} of {} rooms are apart", rooms());
}

async fn edits_with_disconnections(rig: &Rig, cast: Cast) {
    in_many_rooms(rig, "edits with disconnections", cast, async |room, seed| {
        rig.put(&room, &json!([{}, {}])).await;
        let clients = clients(rig, &room, cast).await;
        join_all(clients.iter().map(Client::join)).await;
        let writing = clients.iter().enumerate().map(async |(number, client)| {
            let mut random = Random(seed * 64 + number as u64);
            for edit in 0..12 {
                client.peer.edit(random.edits(&format!("{number}.{edit}"))).await;
                if random.below(4) == 0 {
                    client.proxy.kill().await;
                }
                random.pause().await;
            }
        });
        join_all(writing).await;
        end_equal(rig, &room, clients).await
    })
    .await;
}

async fn joining_a_new_room_at_once(rig: &Rig, cast: Cast) {
    in_many_rooms(rig, "joining a new room at once", cast, async |room, seed| {
        let clients = clients(rig, &room, cast).await;
        for (number, client) in clients.iter().enumerate() {
            let mut random = Random(seed * 64 + number as u64);
            client.peer.edit(random.edits(&format!("{number}"))).await;
            client.peer.edit(json!([["setCell", "own", number.to_string(), "c", number]])).await;
        }
        let joining = clients.iter().enumerate().map(async |(number, client)| {
            let mut random = Random(seed * 64 + 32 + number as u64);
            random.pause().await;
            client.join().await;
            client.peer.edit(random.edits(&format!("{number} later"))).await;
        });
        join_all(joining).await;
        end_equal(rig, &room, clients).await
    })
    .await;
}

/// Tells a story in as many rooms as there are to be, side by side. A story returns how many stock clients ended apart
/// where they may; in how many rooms any did is returned.
async fn in_many_rooms(rig: &Rig, what: &str, cast: Cast, story: impl AsyncFn(Room, u64) -> usize) -> usize {
    let numbers: Vec<u64> = (0..rooms() as u64).collect();
    let apart = AtomicUsize::new(0);
    for some in numbers.chunks(10) {
        join_all(some.iter().map(async |number| {
            let room = rig.room();
            if story(Room { name: format!("{}-{number}", room.name), ..room }, *number).await > 0 {
                apart.fetch_add(1, Ordering::Relaxed);
            }
        }))
        .await;
    }
    let apart = apart.into_inner();
    println!("{what}, {cast:?} on {:?}: a stock client is apart in {apart} of {} rooms", rig.server, rooms());
    apart
}

fn rooms() -> usize {
    env::var("ROOMS").map_or(5, |rooms| rooms.parse().expect("ROOMS is a number"))
}

/// A client behind a proxy.
#[derive(Debug)]
struct Client {
    peer: Peer,
    proxy: Proxy,
}

impl Client {
    async fn open(rig: &Rig, room: &Room, language: Language, delay: u64) -> Self {
        let proxy = Proxy::start(room.host.clone()).await;
        for lane in [&proxy.http, &proxy.sockets] {
            for gate in [&lane.to_server, &lane.to_client] {
                gate.delay(Duration::from_millis(delay));
            }
        }
        let peer = rig.peer(language, &Room { host: proxy.host(), ..room.clone() }).await;
        Self { peer, proxy }
    }

    async fn join(&self) {
        self.peer.join().await;
    }

    /// Waits until the room has everything that the client did.
    async fn settle(&self, rig: &Rig, room: &Room, number: usize) {
        match &self.peer {
            Peer::Rust(client) => client.flush().await,
            Peer::JavaScript(client) => {
                client.settle(&format!("last {number}"), async || rig.content(room).await).await
            }
        }
    }
}

async fn clients(rig: &Rig, room: &Room, cast: Cast) -> Vec<Client> {
    join_all(cast.into_iter().zip(DELAYS).map(|(language, delay)| Client::open(rig, room, language, delay))).await
}

/// Three clients that are in a room, and all wrote in it as fast as they could.
async fn edit_at_once(rig: &Rig, room: &Room, cast: Cast, seed: u64) -> Vec<Client> {
    rig.put(room, &json!([{}, {}])).await;
    let clients = clients(rig, room, cast).await;
    join_all(clients.iter().map(Client::join)).await;
    let writing = clients.iter().enumerate().map(async |(number, client)| {
        let mut random = Random(seed * 64 + number as u64);
        for edit in 0..8 {
            client.peer.edit(random.edits(&format!("{number}.{edit}"))).await;
            random.pause().await;
        }
    });
    join_all(writing).await;
    clients
}

/// Waits until all that the clients did has come to rest, and holds them to what the room holds. Returns how many are
/// apart of those that may be.
async fn end_equal(rig: &Rig, room: &Room, clients: Vec<Client>) -> usize {
    let held = at_rest(rig, room, &clients).await;
    let mut apart = 0;
    for client in &clients {
        match client.peer.language() {
            Language::JavaScript if !rig.server.cures() => {
                apart += usize::from(is_apart(&client.peer, &held).await);
            }
            _ => client.peer.until(&held).await,
        }
    }
    assert_eq!(rig.content(room).await, Some(held), "nothing more happens in the room");
    for client in &clients {
        if client.peer.language() == Language::Rust {
            assert_eq!(client.peer.errors().await, json!([]));
        }
    }
    close(clients).await;
    apart
}

/// What the room holds when it has heard all that the clients did.
async fn at_rest(rig: &Rig, room: &Room, clients: &[Client]) -> Value {
    join_all(clients.iter().enumerate().map(|(number, client)| client.settle(rig, room, number))).await;
    rig.content(room).await.expect("a store")
}

async fn count_apart(clients: &[Client], held: &Value) -> usize {
    let mut apart = 0;
    for client in clients {
        apart += usize::from(is_apart(&client.peer, held).await);
    }
    apart
}

/// Whether a client that has heard everything there is to hear holds something else.
async fn is_apart(peer: &Peer, held: &Value) -> bool {
    if let Peer::JavaScript(client) = peer {
        client.ping().await;
    }
    peer.content().await != *held
}

async fn close(clients: Vec<Client>) {
    join_all(clients.into_iter().map(|client| client.peer.close())).await;
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    async fn pause(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.below(40))).await;
    }

    /// A transaction on two tables, rows, cells and values.
    fn edits(&mut self, text: &str) -> Value {
        let edits = (0..=self.below(2)).map(|_| {
            let (table, row) = (format!("t{}", self.below(2)), format!("r{}", self.below(2)));
            let (cell, value) = (format!("c{}", self.below(2)), format!("v{}", self.below(2)));
            match self.below(10) {
                0 => json!(["delTable", table]),
                1 => json!(["delRow", table, row]),
                2 => json!(["delCell", table, row, cell]),
                3 => json!(["delValue", value]),
                4 | 5 => json!(["setValue", value, text]),
                6 => json!(["setRow", table, row, { cell: text }]),
                _ => json!(["setCell", table, row, cell, text]),
            }
        });
        Value::from_iter(edits)
    }
}
