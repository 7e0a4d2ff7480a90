//! The agent that holds the stock JavaScript clients.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{ChildStdin, Command},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{child::Kept, content::parse};

/// How long a condition may take to come true. Generous: it is met at once unless something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The same for the agent, in milliseconds.
const TIMEOUT: u64 = PATIENCE.as_secs() * 1000;

/// A Node process that runs `client.mjs`; any number of tests share it.
#[derive(Debug)]
pub(crate) struct Js {
    agent: Kept,
    requests: Mutex<ChildStdin>,
    answers: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    next_id: AtomicU64,
}

/// What a request failed with, as the agent describes it.
#[derive(Debug)]
pub(crate) struct JsError(pub(crate) Value);

impl Js {
    /// Starts the agent with the originals of `directory`.
    pub(crate) fn start(directory: &Path) -> Self {
        let (agent, requests, answers) = Kept::spawn(Command::new("node").arg("client.mjs").current_dir(directory));
        let waiting = Arc::new(Mutex::new(HashMap::<u64, oneshot::Sender<Value>>::new()));
        let told = Arc::clone(&waiting);
        thread::spawn(move || {
            for line in BufReader::new(answers).lines().map_while(Result::ok) {
                let answer: Value = serde_json::from_str(&line).expect("the agent answers in JSON");
                let id = answer["id"].as_u64().expect("an answer has the id of its request");
                let waiting = told.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                if let Some(waiting) = waiting {
                    let _ = waiting.send(answer);
                }
            }
            // The agent is gone: whoever waits hears so.
            told.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Self { agent, requests: Mutex::new(requests), answers: waiting, next_id: AtomicU64::new(0) }
    }

    /// Asks the agent to do `op`.
    ///
    /// # Panics
    ///
    /// When the agent does not answer, with what it said last.
    pub(crate) async fn request(&self, op: &str, mut request: Value) -> Result<Value, JsError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        request["id"] = id.into();
        request["op"] = op.into();
        let (sender, answer) = oneshot::channel();
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        let line = format!("{request}\n");
        let written = self.requests.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes()).is_ok();
        let answer = match tokio::time::timeout(PATIENCE * 2, answer).await {
            Ok(Ok(mut answer)) if written => answer.as_object_mut().expect("an answer is an object").clone(),
            Ok(_) => panic!("the JavaScript agent is gone; it said\n{}", self.agent.last_words()),
            Err(_) => panic!(
                "the JavaScript agent does not answer to {}; it said\n{}",
                line.chars().take(500).collect::<String>(),
                self.agent.last_words()
            ),
        };
        match answer.get("error") {
            Some(error) => Err(JsError(error.clone())),
            None => Ok(answer.get("ok").cloned().unwrap_or_default()),
        }
    }

    /// One HTTP request, exactly as given. A GET that gets no answer is made again: on a busy machine PartyKit's server
    /// hangs up on some.
    pub(crate) async fn http(&self, host: &str, method: &str, path: &str, body: &str) -> Reply {
        let request = json!({"host": host, "method": method, "path": path, "body": body});
        let deadline = Instant::now() + PATIENCE;
        let reply = loop {
            match self.request("http", request.clone()).await {
                Ok(reply) => break reply,
                Err(_) if method == "GET" && Instant::now() < deadline => {}
                Err(error) => panic!("{method} {path}: {error:?}"),
            }
        };
        Reply {
            status: reply["status"].as_u64().expect("a status").try_into().expect("a small status"),
            headers: reply["headers"].clone(),
            body: reply["body"].as_str().expect("a body").to_owned(),
        }
    }
}

/// An HTTP response.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// By lower-case name.
    pub(crate) headers: Value,
    pub(crate) body: String,
}

/// One stock client: a store, a socket and a persister, made as an application makes them.
#[derive(Debug)]
pub(crate) struct JsClient {
    js: &'static Js,
    name: String,
}

impl JsClient {
    /// Makes a client. `options` are those of the agent's `open`: PartySocket's, and `config` for the persister's.
    pub(crate) async fn open(js: &'static Js, name: String, mut options: Value) -> Self {
        options["client"] = name.as_str().into();
        if let Err(error) = js.request("open", options.clone()).await {
            panic!("{options}: {error:?}");
        }
        Self { js, name }
    }

    /// What the agent knows the client by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Calls a method of the client's store.
    pub(crate) async fn store(&self, method: &str, args: Value) -> Value {
        self.call("store", method, args).await
    }

    /// Calls a method of the client's persister and waits for its promise.
    pub(crate) async fn persister(&self, method: &str, args: Value) -> Value {
        self.call("persister", method, args).await
    }

    /// Calls a method of the client's socket.
    pub(crate) async fn socket(&self, method: &str, args: Value) -> Value {
        self.call("socket", method, args).await
    }

    /// Does several calls of the store, `[method, ...arguments]` each, as one transaction.
    pub(crate) async fn transaction(&self, calls: Value) {
        self.ask("transaction", json!({ "calls": calls })).await;
    }

    /// The store's content, objects and arrays as encoded text.
    pub(crate) async fn content(&self) -> Value {
        parse(self.ask("json", json!({})).await.as_str().expect("JSON is text"))
    }

    /// Waits for the store to hold `content`.
    pub(crate) async fn until(&self, content: &Value) {
        self.ask("until", json!({"content": content.to_string(), "timeout": TIMEOUT})).await;
    }

    /// Waits until the client has noticed that its connection is gone.
    pub(crate) async fn until_closed(&self) {
        self.ask("closed", json!({ "timeout": TIMEOUT })).await;
    }

    /// What the persister gave to `onIgnoredError`.
    pub(crate) async fn errors(&self) -> Value {
        self.ask("errors", json!({})).await
    }

    /// Every message that the client received.
    pub(crate) async fn frames(&self) -> Vec<String> {
        let frames = self.ask("frames", json!({})).await;
        serde_json::from_value(frames).expect("frames are texts")
    }

    /// The same, once there are `count`.
    pub(crate) async fn frames_until(&self, count: usize) -> Vec<String> {
        let frames = self.ask("framesUntil", json!({ "count": count, "timeout": TIMEOUT })).await;
        serde_json::from_value(frames).expect("frames are texts")
    }

    /// The messages that the client received behind the first `from`.
    pub(crate) async fn frames_from(&self, from: usize) -> Vec<String> {
        let frames = self.ask("frames", json!({ "from": from })).await;
        serde_json::from_value(frames).expect("frames are texts")
    }

    /// Writes as fast as the server takes it, from now on.
    pub(crate) async fn write(&self) {
        self.ask("write", json!({ "name": self.name })).await;
    }

    /// Ends that, and returns how many transactions there were.
    pub(crate) async fn stop_writing(&self) -> u64 {
        self.ask("stop", json!({})).await.as_u64().expect("a count")
    }

    /// Sends a message of bytes.
    pub(crate) async fn send_binary(&self, text: &str) {
        self.ask("sendBinary", json!({ "text": text })).await;
    }

    /// Sends a ping and waits for its pong: what the server sent earlier has arrived then.
    pub(crate) async fn ping(&self) {
        self.ask("ping", json!({ "timeout": TIMEOUT })).await;
    }

    /// Waits until the room has all that the client has said, as `held` shows what the room holds.
    ///
    /// The client sets a value last, which is behind everything else that it says. That is said once more if a connection that
    /// broke swallowed it.
    pub(crate) async fn settle(&self, value_id: &str, held: impl AsyncFn() -> Option<Value>) {
        static SAID: AtomicU64 = AtomicU64::new(0);
        for attempt in 1.. {
            let said = format!("attempt {attempt}, {}", SAID.fetch_add(1, Ordering::Relaxed));
            self.store("setValue", json!([value_id, said])).await;
            let deadline = Instant::now() + PATIENCE / 10;
            while Instant::now() < deadline {
                if held().await.is_some_and(|held| held[1][value_id] == *said) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(attempt < 10, "{} is not heard", self.name);
        }
    }

    /// Ends the client: its persister and its socket.
    pub(crate) async fn close(self) {
        self.ask("close", json!({})).await;
    }

    async fn call(&self, on: &str, method: &str, args: Value) -> Value {
        self.ask("call", json!({"on": on, "method": method, "args": args})).await
    }

    async fn ask(&self, op: &str, mut request: Value) -> Value {
        request["client"] = self.name.as_str().into();
        match self.js.request(op, request).await {
            Ok(answer) => answer,
            Err(JsError(error)) => match error["message"].as_str() {
                Some(message) => panic!("{op}: {message}"),
                None => panic!("{op}: {error}"),
            },
        }
    }
}
