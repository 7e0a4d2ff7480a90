//! A client of either language, driven alike, so that a story is written once.

use serde_json::{Value, json};

use crate::{js::JsClient, rust::RustClient};

/// In which language a client is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// TinyBase's own.
    JavaScript,
    /// Ours.
    Rust,
}

/// A client that is connected to a room.
#[derive(Debug)]
pub(crate) enum Peer {
    JavaScript(JsClient),
    Rust(RustClient),
}

impl Peer {
    pub(crate) fn language(&self) -> Language {
        match self {
            Self::JavaScript(_) => Language::JavaScript,
            Self::Rust(_) => Language::Rust,
        }
    }

    /// Begins to load and to save.
    pub(crate) async fn join(&self) {
        match self {
            Self::JavaScript(client) => {
                client.persister("startAutoLoad", json!([])).await;
                client.persister("startAutoSave", json!([])).await;
            }
            Self::Rust(client) => client.join().await,
        }
    }

    /// Loads once.
    pub(crate) async fn load(&self) {
        match self {
            Self::JavaScript(client) => drop(client.persister("load", json!([])).await),
            Self::Rust(client) => client.load().await,
        }
    }

    /// Saves once.
    pub(crate) async fn save(&self) {
        match self {
            Self::JavaScript(client) => drop(client.persister("save", json!([])).await),
            Self::Rust(client) => client.save().await,
        }
    }

    /// Does several edits as one transaction. Each is `[method, ...arguments]` with TinyBase's names.
    pub(crate) async fn edit(&self, calls: Value) {
        match self {
            Self::JavaScript(client) => client.transaction(calls).await,
            Self::Rust(client) => client.transaction(&calls),
        }
    }

    /// Everything in the store, objects and arrays as encoded text.
    pub(crate) async fn content(&self) -> Value {
        match self {
            Self::JavaScript(client) => client.content().await,
            Self::Rust(client) => client.content(),
        }
    }

    /// Waits for the store to hold `content`.
    pub(crate) async fn until(&self, content: &Value) {
        match self {
            Self::JavaScript(client) => client.until(content).await,
            Self::Rust(client) => client.until(content).await,
        }
    }

    /// What was reported as an ignored error.
    pub(crate) async fn errors(&self) -> Value {
        match self {
            Self::JavaScript(client) => client.errors().await,
            Self::Rust(client) => client.errors(),
        }
    }

    /// Ends the client and its connection.
    pub(crate) async fn close(self) {
        match self {
            Self::JavaScript(client) => client.close().await,
            Self::Rust(client) => client.close().await,
        }
    }
}

/// Asserts that nothing was reported to either.
pub(crate) async fn no_errors(peers: [&Peer; 2]) {
    for peer in peers {
        assert_eq!(peer.errors().await, json!([]));
    }
}
