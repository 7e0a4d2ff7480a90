//! Stories of an engine, told through the public API alone.
//!
//! They run on a [`Clock`](clock::Clock), one thread, whose time passes when a story says so, except those that are about
//! threads. What the place is and does comes from `Memory`, `Flaky`, and the persisters of [`places`].

mod clock;
mod confirming;
mod lifecycle;
mod loading;
mod outbox;
mod places;
mod races;

mod saving;
mod schemas;
mod several;
mod transactions;
mod trouble;
mod world;
