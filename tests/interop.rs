//! Stories with the JavaScript originals: TinyBase's clients, TinyBase's server on PartyKit's.
//!
//! They need Node 20 and npm, and are skipped, loudly, where there is none. What they run is pinned in `tests/interop`.

#![allow(dead_code, reason = "what the tests share is more than each of them needs")]

#[path = "support/child.rs"]
mod child;
#[path = "support/content.rs"]
mod content;
#[path = "support/every.rs"]
mod every;
#[path = "support/js.rs"]
mod js;
#[path = "support/npm.rs"]
mod npm;
#[path = "support/ours.rs"]
mod ours;
#[path = "support/partykit.rs"]
mod partykit;
#[path = "support/peer.rs"]
mod peer;
#[path = "proxy/proxy.rs"]
#[expect(dead_code, unused_imports, reason = "these stories only break connections")]
mod proxy;
#[path = "support/rig.rs"]
mod rig;
#[path = "support/rust.rs"]
mod rust;
#[path = "support/serve.rs"]
mod serve;

#[path = "interop/away.rs"]
mod away;
#[path = "interop/contention.rs"]
mod contention;
#[path = "interop/example.rs"]
mod example;
#[path = "interop/frames.rs"]
mod frames;
#[path = "interop/hosted.rs"]
mod hosted;
#[path = "interop/large.rs"]
mod large;
#[path = "interop/matrix.rs"]
mod matrix;
#[path = "interop/originals.rs"]
mod originals;
#[path = "interop/spellings.rs"]
mod spellings;
#[path = "interop/statuses.rs"]
mod statuses;
#[path = "interop/stock_clients.rs"]
mod stock_clients;
#[path = "interop/tinybase_stories.rs"]
mod tinybase_stories;
