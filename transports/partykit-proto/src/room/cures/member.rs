//! What the room knows about one stock client.

use std::collections::{BTreeMap, VecDeque};

use roommate::Changes;

use super::leaf::{self, Leaf};

/// How many cells and values may be in doubt, or may be stored as sent to one client alone. Beyond that, the client is
/// sent the whole content instead.
pub(super) const MAX_LEAVES: usize = 4096;

/// One stock client, and what it may have seen. Moments are those of the room's [`Cures`](super::Cures).
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    /// The client has changed something, so it matters what it sees.
    pub(super) author: bool,
    /// The client has applied everything that was sent to it up to this moment.
    pub(super) seen: u64,
    /// The client's browser has received everything that was sent up to this moment.
    received: u64,
    /// `received` at the last tick, and the moment of that tick.
    received_at_tick: u64,
    tick: u64,
    /// The moment of the ping that is in flight.
    pinged: Option<u64>,
    /// The moment when the client was last sent the whole content.
    replaced: u64,
    /// The moment since when the whole content is due.
    owed: Option<u64>,
    /// What was lately sent to this client alone.
    told: VecDeque<(u64, Changes)>,
    told_leaves: usize,
    /// What the client may show wrongly, and the moment of its last change of it. Empty while the whole content is due.
    doubtful: BTreeMap<Leaf, u64>,
}

/// What is due to be sent to a client.
#[derive(Debug, PartialEq)]
pub(super) enum Due {
    Nothing,
    Leaves(Vec<Leaf>),
    Everything,
}

impl Member {
    pub(super) fn new(now: u64) -> Self {
        Self { seen: now, received: now, received_at_tick: now, tick: now, ..Self::default() }
    }

    /// Whether the client's latest change may have crossed anything. `news` says whether that includes changes of
    /// others.
    pub(super) fn may_be_in_doubt(&self, news: bool) -> bool {
        news || self.replaced > self.seen || !self.told.is_empty() || !self.doubtful.is_empty()
    }

    /// Whether the client's change of `leaf` may have crossed what was sent to it alone.
    pub(super) fn may_have_crossed(&self, leaf: &Leaf) -> bool {
        self.replaced > self.seen
            || self.doubtful.contains_key(leaf)
            || self.told.iter().any(|(_, changes)| leaf.is_touched_by(changes))
    }

    /// The client changed `leaves` at the moment `now`, and may then have applied changes of others to them.
    pub(super) fn doubt(&mut self, leaves: Vec<Leaf>, now: u64) {
        if self.owed.is_some() {
            return;
        }
        for leaf in leaves {
            self.doubtful.insert(leaf, now);
        }
        if self.doubtful.len() > MAX_LEAVES {
            self.owe(now);
        }
    }

    /// Makes the whole content due. It settles each doubt about what the client changes until it is sent.
    pub(super) fn owe(&mut self, now: u64) {
        self.owed.get_or_insert(now);
        self.doubtful.clear();
    }

    /// Whether the whole content is due, which settles each doubt until it is sent.
    pub(super) fn is_owed(&self) -> bool {
        self.owed.is_some()
    }

    /// There is no content to send.
    pub(super) fn owed_nothing(&mut self) {
        self.owed = None;
    }

    /// The client was sent the whole content.
    pub(super) fn told_everything(&mut self, now: u64) {
        self.replaced = now;
        self.owed = None;
        self.told.clear();
        self.told_leaves = 0;
        self.doubtful.clear();
    }

    /// The client alone was sent `changes`.
    pub(super) fn told(&mut self, changes: Changes, now: u64) {
        self.author = true;
        self.told_leaves += leaf::size(&changes);
        self.told.push_back((now, changes));
        if self.told_leaves > MAX_LEAVES {
            self.told.clear();
            self.told_leaves = 0;
            // It may have been any leaf.
            self.replaced = now;
        }
    }

    /// The token of a ping, if one is to be sent: the client waits for something, and no ping is in flight.
    pub(super) fn ask(&mut self, now: u64) -> Option<u64> {
        (self.waits() && self.pinged.is_none()).then(|| *self.pinged.insert(now))
    }

    /// Handles a pong. Returns what is due: whatever the client has not changed again since the ping was sent.
    pub(super) fn pong(&mut self, token: u64) -> Due {
        if self.pinged != Some(token) {
            return Due::Nothing;
        }
        self.pinged = None;
        self.received = token;
        self.due(token)
    }

    /// Some time has passed since the last time. Returns what is due although no ping came back, and the moment to name
    /// in a ping, if one is to be sent.
    ///
    /// A browser answers a ping before the page has seen what was sent ahead of it. So what has arrived counts as seen
    /// a while later.
    pub(super) fn tick(&mut self, now: u64, last_news: u64) -> (Due, Option<u64>) {
        self.seen = self.received_at_tick;
        self.received_at_tick = self.received;
        while self.told.front().is_some_and(|(at, _)| *at <= self.seen)
            && let Some((_, changes)) = self.told.pop_front()
        {
            self.told_leaves -= leaf::size(&changes);
        }
        let due = self.due(self.tick);
        self.tick = now;
        let ask = self.news(last_news) > self.received && self.pinged.is_none();
        (due, ask.then(|| *self.pinged.insert(now)))
    }

    /// Whether a tick has an effect: the client waits for something, or may not have seen something that it can cross.
    ///
    /// No tick tells that it has seen something after its last pong. So if it has not answered the ping in flight, and what
    /// had arrived before counts as seen, then the room waits for the pong alone. That may never come.
    pub(super) fn wants_ticks(&self, last_news: u64) -> bool {
        let awaits_pong = self.pinged.is_some() && self.seen == self.received;
        self.waits() || self.news(last_news) > self.seen && !awaits_pong
    }

    /// Whether it is to be sent something.
    fn waits(&self) -> bool {
        self.owed.is_some() || !self.doubtful.is_empty()
    }

    /// The moment when the client was last sent something that its changes can cross. `last_news` is that of the last
    /// broadcast.
    fn news(&self, last_news: u64) -> u64 {
        let own_news = self.replaced.max(self.told.back().map_or(0, |(at, _)| *at));
        if self.author { own_news.max(last_news) } else { own_news }
    }

    fn due(&mut self, until: u64) -> Due {
        if self.owed.is_some_and(|since| since <= until) {
            return Due::Everything;
        }
        if !self.doubtful.values().any(|at| *at <= until) {
            return Due::Nothing;
        }
        let (due, later): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.doubtful).into_iter().partition(|(_, at)| *at <= until);
        self.doubtful = later;
        Due::Leaves(due.into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_one_who_is_to_be_told_everything_is_not_remembered_leaf_by_leaf() {
        let mut member = Member::new(0);
        let leaves = |round: usize| (0..MAX_LEAVES).map(|leaf| Leaf::Value(format!("{round} {leaf}").into())).collect();
        for round in 0..5 {
            member.doubt(leaves(round), 1);
            assert!(member.doubtful.len() <= MAX_LEAVES, "{} in round {round}", member.doubtful.len());
        }
        let ping = member.ask(2).expect("it waits");
        member.doubt(leaves(6), 3);
        assert_eq!(member.pong(ping), Due::Everything);
        member.told_everything(4);
        member.doubt(leaves(7), 5);
        let ping = member.ask(6).expect("it waits");
        assert!(matches!(member.pong(ping), Due::Leaves(leaves) if leaves.len() == MAX_LEAVES), "as before");
    }
}
