//! A server whose storage fails, tears or delays a write, or is full: nothing is sent that is not stored, and nothing is lost.

#![allow(dead_code, reason = "what the tests share is more than each of them needs")]

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use roommate::{Cell, Changes, Subscription};
use roommate_partykit::{
    PartyKitConfig,
    proto::{Event, Faulty, Hold, Memory, Record, RoomConfig, RoomName, Storage, WriteFault},
};
use roommate_server::{Server, ServerConfig, Sqlite, SqliteConfig};

#[path = "support/client.rs"]
mod client;
#[path = "support/texts.rs"]
mod texts;
#[path = "support/until.rs"]
mod until;

use client::{Client, options};
use texts::texts;
use until::{until, within};

/// What goes wrong with a write.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Fails,
    Tears,
    IsLate,
}

/// A client that notes what it receives of others.
struct Author {
    name: &'static str,
    client: Client,
    received: Arc<Mutex<BTreeSet<String>>>,
    _listener: Subscription,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_r7_whichever_write_of_a_history_fails_tears_or_is_late_each_edit_is_stored_once_and_before_it_is_sent() {
    let writes = history(None).await;
    // Of some edits it depends on the time how many are one commit, so the last writes may be fewer.
    const SURE: u64 = 9;
    assert!(writes >= SURE, "{writes} writes are no history");
    for fault in [Fault::Fails, Fault::Tears, Fault::IsLate] {
        for write in 1..=writes {
            println!("write {write} of {writes} {fault:?}");
            let reached = history(Some((write, fault))).await;
            assert!(reached >= write.min(SURE), "there were {reached} writes");
        }
    }
}

/// Two clients of ours write, one after the other and at once, while another one listens in the stock dialect; the room is
/// evicted, and a new client comes. Returns how many writes that took.
async fn history(fault: Option<(u64, Fault)>) -> u64 {
    let memory = Arc::new(Memory::new());
    let storage = Faulty::new(Arc::clone(&memory));
    let hold = Hold::new();
    // A runtime waits for its threads, so none may be held when this ends.
    let _end = EndOnDrop(hold.clone());
    if let Some((write, fault)) = fault {
        let fault = match fault {
            Fault::Fails => WriteFault::fail(),
            Fault::Tears => WriteFault::tear(),
            Fault::IsLate => WriteFault::Hold(hold.clone()),
        };
        storage.nth(write, fault);
    }
    let room = RoomConfig::new().with_snapshot_after(300);
    let config = ServerConfig::new().with_storage(storage.clone()).with_room(room);
    let config = config.with_evict_after(Duration::from_millis(20));
    let server = Server::bind("127.0.0.1:0", config).await.unwrap().spawn();
    let host = server.local_addr().to_string();

    let listener = Arc::new(Author::new("stock", client::config(), &host));
    let late = tokio::spawn({
        let (memory, listener, hold) = (Arc::clone(&memory), Arc::clone(&listener), hold.clone());
        async move {
            until_reached(&hold).await;
            // What is sent too early has arrived by then.
            tokio::time::sleep(Duration::from_millis(20)).await;
            listener.check(&stored(&*memory));
            hold.end();
        }
    });
    listener.client.join().await;
    let ours = [Author::ours("ann", &host), Author::ours("ben", &host)];
    for author in &ours {
        author.client.join().await;
    }
    for number in 1..=2 {
        for author in &ours {
            author.edit(number);
            author.client.flushed().await;
        }
    }
    for number in 3..=6 {
        ours.iter().for_each(|author| author.edit(number));
    }
    for author in &ours {
        author.client.flushed().await;
    }
    let held = server.rooms().room("main", "room").content().await.unwrap().expect("a store").to_json();
    ours[0].client.until(&held).await;
    ours[1].client.until(&held).await;
    listener.client.until(&held).await;
    let mut authors = Vec::from(ours);
    for author in &authors {
        author.check(&stored(&*memory));
        author.end().await;
    }
    listener.end().await;
    until("the room is evicted", || server.rooms().is_empty()).await;

    let cleo = Author::ours("cleo", &host);
    cleo.client.join().await;
    cleo.client.until(&held).await;
    cleo.edit(1);
    cleo.client.flushed().await;
    authors.push(cleo);
    let records = stored(&*memory);
    for author in authors {
        author.check(&records);
        let own: Vec<u32> = records.iter().filter(|(text, _)| author.made(text)).map(|(_, count)| *count).collect();
        let made = if author.name == "cleo" { 1 } else { 6 };
        assert_eq!(own, vec![1; made], "{}: {records:?}", author.name);
        let lasting: Vec<_> = author.client.errors().into_iter().filter(|error| !error.is_temporary()).collect();
        assert!(lasting.is_empty(), "{lasting:?}");
    }
    if hold.is_reached() {
        late.await.expect("nothing was received of the write that was held");
    } else {
        late.abort();
    }
    hold.end();
    let writes = storage.writes();
    server.shutdown().await.unwrap();
    writes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_r6_a_full_file_is_a_clear_error_that_reaches_nobody_else_and_service_goes_on_when_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteConfig::new().with_max_bytes(1 << 20);
    let storage = Sqlite::open_with(folder.path().join("rooms.db"), sqlite).unwrap();
    let server = Server::bind("127.0.0.1:0", ServerConfig::new().with_storage(storage)).await.unwrap().spawn();
    let host = server.local_addr().to_string();
    let (big, room) = (server.rooms().room("main", "big"), server.rooms().room("main", "room"));
    let text = |length: usize| {
        let mut changes = Changes::new();
        changes.set_value("v", Cell::try_from("x".repeat(length)).unwrap());
        changes
    };
    big.apply(text(500_000)).await.unwrap();

    let author = Author::ours("ann", &host);
    author.client.join().await;
    author.edit(1);
    author.client.flushed().await;
    let listener = Author::new("stock", client::config(), &host);
    listener.client.join().await;
    let error = loop {
        match room.apply(text(100_000)).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.is_temporary(), "{error:?}");
    assert!(error.to_string().contains("free some"), "it says what to do about it: {error}");
    // Nobody is sent what cannot be stored, and its author keeps it.
    author.client.set("large", "ann ".repeat(25_000));
    author.edit(2);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!author.client.engine.unconfirmed().is_empty());
    assert!(!listener.received().contains("ann 2"));

    assert!(big.delete().await.unwrap());
    author.client.flushed().await;
    room.apply(text(1000)).await.unwrap();
    let held = room.content().await.unwrap().expect("a store").to_json();
    assert!(held.contains("ann 2"));
    author.client.until(&held).await;
    listener.client.until(&held).await;
    server.shutdown().await.unwrap();
}

struct EndOnDrop(Hold);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Author {
    fn ours(name: &'static str, host: &str) -> Self {
        Self::new(name, PartyKitConfig::new(), host)
    }

    fn new(name: &'static str, config: PartyKitConfig, host: &str) -> Self {
        let client = Client::with(options(host, "room"), config);
        let received = Arc::<Mutex<BTreeSet<String>>>::default();
        let noted = Arc::clone(&received);
        let listener = client.store.add_did_finish_transaction_listener(move |event| {
            let changes = serde_json::from_str(&event.changes().to_json()).expect("JSON");
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            texts(&changes, &mut |text| {
                noted.insert(text.to_owned());
            });
        });
        Self { name, client, received, _listener: listener }
    }

    /// Sets a cell of its own and one that others set too.
    fn edit(&self, number: u64) {
        let text = format!("{} {number}", self.name);
        let edited = self.client.store.transaction(|store| {
            store.set_cell(self.name, number.to_string(), "c", text.as_str())?;
            store.set_cell("shared", "r", "c", number)
        });
        edited.unwrap();
    }

    async fn end(&self) {
        assert_eq!(within("an end", self.client.engine.destroy()).await, []);
        self.client.socket.close(1000, "").unwrap();
    }

    fn made(&self, text: &str) -> bool {
        text.split_once(' ').is_some_and(|(name, _)| name == self.name)
    }

    fn received(&self) -> BTreeSet<String> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Holds what it received of others to what is stored.
    fn check(&self, stored: &HashMap<String, u32>) {
        for text in self.received().iter().filter(|text| !self.made(text)) {
            assert!(stored.contains_key(text), "{} received {text}, and stored is {stored:?}", self.name);
        }
    }
}

/// How many records of the room set each text.
fn stored(storage: &dyn Storage) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for commit in storage.log(&RoomName::main("room"), 0, usize::MAX).unwrap() {
        for record in Record::decode_lines(&commit.records).unwrap() {
            if let Event::Changed(json) | Event::Created(json) = &record.event {
                let changes = serde_json::from_str(json).unwrap();
                texts(&changes, &mut |text| *counts.entry(text.to_owned()).or_default() += 1);
            }
        }
    }
    counts
}

async fn until_reached(hold: &Hold) {
    while !hold.is_reached() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
