//! What may pass.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};

/// Whither bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer = 0,
    ToClient = 1,
}

/// Both directions of one kind of connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    pub(crate) to_server: Gate,
    pub(crate) to_client: Gate,
}

/// One direction of one kind of connections.
#[derive(Clone, Debug)]
pub(crate) struct Gate(watch::Sender<Rules>);

#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    holds: bool,
    swallows: bool,
    delay: Duration,
}

impl Lane {
    /// Holds back what comes, in both directions, until [`Lane::release`].
    pub(crate) fn hold(&self) {
        self.both(Gate::hold);
    }

    /// Lets through what was held back, and whatever comes.
    pub(crate) fn release(&self) {
        self.both(Gate::release);
    }

    /// Swallows what comes, in both directions. See [`Gate::swallow`].
    pub(crate) fn swallow(&self) {
        self.both(Gate::swallow);
    }

    fn both(&self, set: impl Fn(&Gate)) {
        set(&self.to_server);
        set(&self.to_client);
    }
}

impl Gate {
    /// Holds back what comes, until [`Gate::release`].
    pub(crate) fn hold(&self) {
        self.set(|rules| rules.holds = true);
    }

    /// Lets connections swallow what comes from now on, an end included, without a word to anybody: half open, as after a
    /// power cut. A connection that has swallowed something goes on swallowing after [`Gate::release`].
    pub(crate) fn swallow(&self) {
        self.set(|rules| rules.swallows = true);
    }

    /// Lets whatever comes wait a little.
    pub(crate) fn delay(&self, delay: Duration) {
        self.set(|rules| rules.delay = delay);
    }

    /// Lets through what was held back, and whatever comes.
    pub(crate) fn release(&self) {
        self.set(|rules| *rules = Rules::default());
    }

    /// Waits until something that came may go on: `false` if it is swallowed.
    pub(super) async fn passes(&self) -> bool {
        let mut rules = self.0.subscribe();
        let delay = rules.borrow().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        // The sender is `self`.
        let rules = rules.wait_for(|rules| !rules.holds || rules.swallows).await;
        rules.is_ok_and(|rules| !rules.swallows)
    }

    fn set(&self, set: impl FnOnce(&mut Rules)) {
        self.0.send_modify(set);
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(Rules::default()))
    }
}
