//! Each way in which the JavaScript originals lose data, and what becomes of the data here.
//!
//! The stories carry the numbers that the losses have in this project's notes on the originals. Each is told on our server
//! and on PartyKit's own; those on PartyKit's need Node 20 and npm, and are skipped, loudly, where there is none.

#![allow(dead_code, reason = "what the tests share is more than each of them needs")]

#[path = "support/child.rs"]
mod child;
#[path = "support/client.rs"]
mod client;
#[path = "support/npm.rs"]
mod npm;
#[path = "support/partykit.rs"]
mod partykit;
#[path = "support/place.rs"]
mod place;
#[path = "proxy/proxy.rs"]
mod proxy;
#[path = "support/until.rs"]
mod until;

/// Makes a test of each story for each server. A story is an `async fn` that takes a [`Place`](place::Place).
macro_rules! on_every_server {
    ($($story:ident)*) => {
        mod on_our_server {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(crate::place::Place::ours(stringify!($story)).await).await;
            }
        )*}
        mod on_partykits_server {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                if let Some(place) = crate::place::Place::stock(stringify!($story)).await {
                    super::$story(place).await;
                }
            }
        )*}
    };
}
use on_every_server;

#[path = "nothing_lost/connections.rs"]
mod connections;
#[path = "nothing_lost/joining.rs"]
mod joining;
#[path = "nothing_lost/sessions.rs"]
mod sessions;
