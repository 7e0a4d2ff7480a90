//! Many clients on one server, simulated: a seed decides everything that happens.
//!
//! The clients are the real [`Engine`](roommate::Engine), `Store` and [`Link`](crate::proto::Link), or doubles of
//! TinyBase's; the server is the real [`Room`](crate::proto::Room). Between them is a network with latency in each
//! direction, order within a connection and none between them, which cuts connections in the middle of what they carry,
//! lets them fall silent, fails requests and loses answers; and a server that crashes, keeps what it had committed, and
//! refuses what its rules say today. Time is simulated, there is one thread, and nothing depends on a hash or a clock, so
//! a [`History`] always goes the same way.
//!
//! Every edit writes a value that nobody else writes, so the fate of each is known in the end: [`Outcome`].
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
