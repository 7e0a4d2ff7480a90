//! Many clients on one server, simulated: a seed decides everything that happens.
//!
//! The clients are the real [`Engine`](roommate::Engine), `Store` and [`Link`](crate::proto::Link), or doubles of
//! TinyBase's. The server is the real [`Room`](crate::proto::Room). The network between them has latency in each
//! direction. It preserves order within a connection, but not between connections. It cuts connections in the middle of
//! a transfer, makes them silent, fails requests and loses responses. The server crashes, restarts with its committed
//! data, and refuses what its current rules forbid. Time is simulated, there is one thread, and nothing depends on a
//! hash or a clock, so a [`History`] always runs the same way.
//!
//! Every edit writes a unique value, so the outcome of each is known in the end: [`Outcome`].
//!
//! ```
//! use roommate_partykit_sim::sim::{History, Pair, run};
//!
//! let pair: Pair = "ours:stock".parse()?;
//! let outcome = run(&History::random(pair, 1, 2..=2, 10));
//! assert_eq!((outcome.ours.apart, outcome.ours.lost), (0, 0));
//! # Ok::<(), roommate::Error>(())
//! ```

mod executor;
mod history;
mod host;
mod ledger;
mod network;
mod ours;
mod outcome;
mod random;
mod run;
mod shrink;
mod socket;
mod stock;
mod trace;
mod world;

pub use self::{
    history::{Clients, History, Leaf, MAX_CLIENTS, Op, Pair, Server, Step, Which},
    outcome::{Fates, Outcome, Promise, Totals},
    run::{run, run_traced},
    shrink::shrink,
};
