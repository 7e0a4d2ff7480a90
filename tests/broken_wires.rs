//! Whatever breaks on the way to a room ends in another try or in a clear error, and leaves the edits alone.

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

#[path = "broken_wires/cuts.rs"]
mod cuts;
#[path = "broken_wires/garbage.rs"]
mod garbage;
#[path = "broken_wires/outages.rs"]
mod outages;
#[path = "proxy/tests.rs"]
mod proxy_tests;
