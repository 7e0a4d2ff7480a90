//! Clients of ours and stock ones that write as fast as they can.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use roommate::{Changes, Error, Subscription};
use roommate_partykit::PartyKitConfig;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    client::{Client, options},
    content::parse,
    js::{Js, JsClient},
    ledger::Ledger,
    texts::texts,
};

/// The room that all are in.
pub(crate) const ROOM: &str = "room";

/// How many edits of ours may be unconfirmed before one waits for some of them.
const UNCONFIRMED: usize = 64;
/// How many rows an author leaves in its table. More than may be unconfirmed, so that the removal of a row is never one
/// change with its making.
const ROWS: u64 = 200;

/// Two clients of ours and two stock ones.
#[derive(Debug)]
pub(crate) struct Authors {
    ours: Vec<Ours>,
    stock: Vec<Stock>,
}

/// A client of ours.
#[derive(Debug)]
struct Ours {
    name: String,
    client: Arc<Client>,
    /// What it has received of others that is not looked up in a ledger yet.
    received: Arc<Mutex<HashSet<String>>>,
    _listener: Subscription,
    /// How many edits it has made, shared with the task that makes them.
    made: Arc<Mutex<u64>>,
    writing: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

/// A stock client.
#[derive(Debug)]
struct Stock {
    client: JsClient,
    /// How many of the messages that it received were looked up in a ledger.
    checked: usize,
}

impl Authors {
    /// Clients that are in the room.
    pub(crate) async fn join(js: &'static Js, host: &str) -> Self {
        let ours = join_all(["ours 1", "ours 2"].map(|name| Ours::join(name, host))).await;
        let stock = join_all(["stock 1", "stock 2"].map(|name| Stock::join(js, name, host))).await;
        Self { ours, stock }
    }

    /// All write from now on.
    pub(crate) async fn write(&mut self) {
        self.ours.iter_mut().for_each(Ours::write);
        for stock in &self.stock {
            stock.client.write().await;
        }
    }

    /// All have stopped writing.
    pub(crate) async fn stop(&mut self) {
        for ours in &mut self.ours {
            ours.stop().await;
        }
        for stock in &self.stock {
            stock.client.stop_writing().await;
        }
    }

    /// Holds the ledger of a server that is gone to what it confirmed, and to what anybody received of it.
    pub(crate) async fn check(&mut self, ledger: &Ledger) {
        for ours in &self.ours {
            ours.check(ledger);
        }
        for stock in &mut self.stock {
            stock.check(ledger).await;
        }
    }

    /// Waits until nothing is left to be said, and all are equal to the room. Nobody writes meanwhile.
    pub(crate) async fn settle(&self, js: &'static Js, host: &str) {
        for ours in &self.ours {
            ours.client.flushed().await;
        }
        for stock in &self.stock {
            stock.client.settle(stock.client.name(), async || Some(held(js, host).await)).await;
        }
        let held = held(js, host).await;
        for stock in &self.stock {
            stock.client.until(&held).await;
        }
        for ours in &self.ours {
            ours.client.until(&held.to_string()).await;
        }
        assert_eq!(self::held(js, host).await, held, "nothing more happens in the room");
    }

    /// Ends all. The ledger is that of the end: it has each edit of ours once.
    pub(crate) async fn end(self, ledger: &Ledger) {
        for ours in self.ours {
            let made = *ours.made();
            for row in 1..=made {
                assert_eq!(ledger.count(&ours.name, row), 1, "edit {row} of {made} by {}", ours.name);
            }
            let lasting: Vec<Error> = ours.client.errors().into_iter().filter(|error| !error.is_temporary()).collect();
            assert!(lasting.is_empty(), "{}: {lasting:?}", ours.name);
            println!("{}: {made} edits, each in one record", ours.name);
            drop(ours._listener);
        }
        for Stock { client, checked } in self.stock {
            assert!(checked > 0);
            println!("a stock client: {} edits, {checked} messages received", client.stop_writing().await);
        }
    }
}

impl Ours {
    async fn join(name: &str, host: &str) -> Self {
        let client = Client::with(options(host, ROOM), PartyKitConfig::new());
        let received = Arc::new(Mutex::new(HashSet::new()));
        let listener = {
            let (received, own) = (Arc::clone(&received), format!("{name} "));
            client.store.add_did_finish_transaction_listener(move |event| {
                let changes = serde_json::from_str(&event.changes().to_json()).expect("changes are JSON");
                let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
                texts(&changes, &mut |text| {
                    if !text.starts_with(&own) {
                        received.insert(text.to_owned());
                    }
                });
            })
        };
        client.join().await;
        Self {
            name: name.to_owned(),
            client: Arc::new(client),
            received,
            _listener: listener,
            made: Arc::default(),
            writing: Arc::default(),
            task: None,
        }
    }

    fn write(&mut self) {
        self.writing.store(true, Ordering::Relaxed);
        let (name, client, made, writing) =
            (self.name.clone(), Arc::clone(&self.client), Arc::clone(&self.made), Arc::clone(&self.writing));
        self.task = Some(tokio::spawn(async move {
            while writing.load(Ordering::Relaxed) {
                for _ in 0..16 {
                    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                    let number = *made + 1;
                    edit(&client, &name, number);
                    *made = number;
                }
                tokio::task::yield_now().await;
                while rows_of(&client.engine.unconfirmed(), &name).len() > UNCONFIRMED {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }));
    }

    async fn stop(&mut self) {
        self.writing.store(false, Ordering::Relaxed);
        if let Some(task) = self.task.take() {
            task.await.expect("it wrote without a panic");
        }
    }

    fn check(&self, ledger: &Ledger) {
        let made = *self.made();
        // What is not here was confirmed by the server that is gone: there is no other yet.
        let unconfirmed = rows_of(&self.client.engine.unconfirmed(), &self.name);
        for row in (1..=made).filter(|row| !unconfirmed.contains(row)) {
            assert_eq!(ledger.count(&self.name, row), 1, "edit {row} of {} is confirmed", self.name);
        }
        for text in self.received.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            assert!(ledger.has(&text), "{} received {text}, and it is not stored", self.name);
        }
    }

    fn made(&self) -> std::sync::MutexGuard<'_, u64> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stock {
    async fn join(js: &'static Js, name: &str, host: &str) -> Self {
        let options = json!({"host": host, "room": ROOM, "maxReconnectionDelay": 200});
        let client = JsClient::open(js, name.to_owned(), options).await;
        client.persister("startAutoLoad", json!([])).await;
        client.persister("startAutoSave", json!([])).await;
        Self { client, checked: 0 }
    }

    async fn check(&mut self, ledger: &Ledger) {
        let frames = self.client.frames_from(self.checked).await;
        self.checked += frames.len();
        for frame in frames {
            let changes: Value = serde_json::from_str(&frame[1..]).expect("a letter and JSON");
            texts(&changes, &mut |text| assert!(ledger.has(text), "received and not stored: {text} of {frame}"));
        }
    }
}

/// A row of the author's own, a cell that others set too, and the end of an old row.
fn edit(client: &Client, name: &str, number: u64) {
    let text = format!("{name} {number}");
    let edited = client.store.transaction(|store| {
        store.set_cell(name, number.to_string(), "c", text.as_str())?;
        store.set_cell("shared", format!("r{}", number % 3), format!("c{}", number % 2), text.as_str())?;
        store.del_row(name, &number.saturating_sub(ROWS).to_string())
    });
    edited.expect("it can be held");
}

/// Which rows of the author's own table some changes make.
fn rows_of(changes: &[Changes], name: &str) -> HashSet<u64> {
    let tables = changes.iter().filter_map(|changes| changes.tables.get(name)?.as_ref());
    let made = tables.flat_map(|rows| rows.iter().filter(|(_, cells)| cells.is_some()));
    made.filter_map(|(row, _)| row.as_str().parse().ok()).collect()
}

async fn held(js: &'static Js, host: &str) -> Value {
    parse(&js.http(host, "GET", &format!("/parties/main/{ROOM}/store"), "").await.body)
}
