//! How a simulation ended, and what is promised of that.

use std::ops::AddAssign;

use super::history::{Clients, Pair, Server};

/// How one simulation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Of our clients and of stock clients.
    pub ours: Fates,
    /// Of stock clients.
    pub stock: Fates,
    /// A number that everything that happened decides.
    pub hash: u64,
}

/// How the clients of one kind ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Clients whose store is not what the room holds.
    pub apart: u64,
    /// Of these, clients that differ only where they wrote last and never sent it: beyond any server.
    pub apart_unsent: u64,
    /// Of these, others that differ only there, or in what they were told while they did not listen (`stop_auto_load`), and
    /// the load with which they began to listen again failed or was skipped, since they were saving. The original calls
    /// itself loading automatically then, and asks for nothing: beyond any server as well.
    pub apart_unheard: u64,
    /// Clients that did not come to rest.
    pub restless: u64,
    /// Values that were written, those before joining not counted.
    pub edits: u64,
    /// Of the edits, those that the server stored.
    pub confirmed: u64,
    /// Those that the server did not store, and of which the client was told that.
    pub refused: u64,
    /// Those that were neither stored nor refused aloud, but that their own client overwrote.
    pub overwritten: u64,
    /// Those that are still listed as unconfirmed.
    pub unconfirmed: u64,
    /// Those of which nothing was heard, or only that they were refused when the server had never got them.
    pub lost: u64,
    /// Values that were deleted and that the room holds all the same, without a word that they may not be deleted.
    pub undone: u64,
    /// Those that the server stored more than once.
    pub twice: u64,
    /// Those that the server stored, and of which the client was told that it did not.
    pub misreported: u64,
    /// Values in a store, at any moment looked at, that nobody wrote.
    pub invented: u64,
}

/// What is promised of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Our clients end equal to the room, and lose and invent nothing.
    Converges,
    /// That, nothing takes effect twice, and what is reported as refused is.
    Once,
    /// Stock clients end equal to the room, but where they never sent what they wrote, or were told what holds while they did
    /// not listen and did not load it.
    ConvergesIfSent,
    /// Stock clients end apart, mostly: the control.
    Diverges,
}

impl Outcome {
    /// What of the promises to a pair is broken in this one history.
    pub fn broken(&self, pair: Pair) -> Option<&'static str> {
        let Fates { apart, restless, unconfirmed, lost, undone, twice, misreported, invented, .. } = self.ours;
        let promises = pair.promises();
        let ours = promises.contains(&Promise::Converges) || promises.contains(&Promise::Once);
        match () {
            () if ours && restless > 0 => Some("did not come to rest"),
            () if ours && apart > 0 => Some("ended apart"),
            () if ours && lost > 0 => Some("lost an edit"),
            () if ours && undone > 0 => Some("lost a deletion"),
            () if ours && unconfirmed > 0 => Some("left an edit unconfirmed"),
            () if ours && invented > 0 => Some("showed what nobody wrote"),
            () if promises.contains(&Promise::Once) && twice > 0 => Some("applied an edit twice"),
            () if promises.contains(&Promise::Once) && misreported > 0 => Some("called refused what was stored"),
            () if promises.contains(&Promise::ConvergesIfSent) && self.stock.apart > self.stock.apart_beyond() => {
                Some("a stock client ended apart")
            }
            () => None,
        }
    }

    /// Whether any client ended apart.
    pub fn is_apart(&self) -> bool {
        self.ours.apart + self.stock.apart > 0
    }
}

impl Fates {
    /// Clients that ended apart for a reason that is beyond any server.
    pub fn apart_beyond(&self) -> u64 {
        self.apart_unsent + self.apart_unheard
    }
}

impl Pair {
    /// What is promised of it.
    pub fn promises(self) -> &'static [Promise] {
        match (self.clients, self.server) {
            (Clients::Ours, Server::Ours) => &[Promise::Once],
            (Clients::Mixed, Server::Ours) => &[Promise::Once, Promise::ConvergesIfSent],
            (Clients::Plain, _) | (Clients::Ours | Clients::Mixed, Server::Stock) => &[Promise::Converges],
            (Clients::Stock, Server::Ours) => &[Promise::ConvergesIfSent],
            (Clients::Stock, Server::Stock) => &[Promise::Diverges],
        }
    }
}

impl AddAssign for Fates {
    fn add_assign(&mut self, other: Self) {
        self.apart += other.apart;
        self.apart_unsent += other.apart_unsent;
        self.apart_unheard += other.apart_unheard;
        self.restless += other.restless;
        self.edits += other.edits;
        self.confirmed += other.confirmed;
        self.refused += other.refused;
        self.overwritten += other.overwritten;
        self.unconfirmed += other.unconfirmed;
        self.lost += other.lost;
        self.undone += other.undone;
        self.twice += other.twice;
        self.misreported += other.misreported;
        self.invented += other.invented;
    }
}

/// What came of many histories of one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many histories.
    pub histories: u64,
    /// Of these, those in which a client of ours ended apart.
    pub ours_apart: u64,
    /// Those in which a stock client ended apart.
    pub stock_apart: u64,
    /// Of these, those in which each that did differs only where it wrote last and never sent it.
    pub stock_apart_unsent: u64,
    /// Of these, others in which it is beyond any server for each that did.
    pub stock_apart_unheard: u64,
    /// The fates of our clients.
    pub ours: Fates,
    /// The fates of stock clients.
    pub stock: Fates,
    /// The histories in which a promise was broken.
    pub broken: u64,
    /// The first of them, by its seed, and what was broken in it.
    pub first_broken: Option<(u64, &'static str)>,
}

impl Totals {
    /// Adds what came of the history of `seed`.
    pub fn add(&mut self, pair: Pair, seed: u64, outcome: &Outcome) {
        let broken = outcome.broken(pair);
        let stock = outcome.stock;
        let is_unsent = stock.apart > 0 && stock.apart == stock.apart_unsent;
        *self += Self {
            histories: 1,
            ours_apart: u64::from(outcome.ours.apart > 0),
            stock_apart: u64::from(outcome.stock.apart > 0),
            stock_apart_unsent: u64::from(is_unsent),
            stock_apart_unheard: u64::from(!is_unsent && stock.apart == stock.apart_beyond() && stock.apart > 0),
            ours: outcome.ours,
            stock: outcome.stock,
            broken: u64::from(broken.is_some()),
            first_broken: broken.map(|broken| (seed, broken)),
        };
    }

    /// What of the promises to the pair is broken in these histories, if anything is.
    pub fn broken(&self, pair: Pair) -> Option<&'static str> {
        match self.first_broken {
            Some((_, broken)) => Some(broken),
            None if pair.promises().contains(&Promise::Diverges) && self.stock_apart * 2 <= self.histories => {
                Some("the control came out equal in most histories, so that the others prove nothing")
            }
            None => None,
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.histories += other.histories;
        self.ours_apart += other.ours_apart;
        self.stock_apart += other.stock_apart;
        self.stock_apart_unsent += other.stock_apart_unsent;
        self.stock_apart_unheard += other.stock_apart_unheard;
        self.ours += other.ours;
        self.stock += other.stock;
        self.broken += other.broken;
        self.first_broken = [self.first_broken, other.first_broken].into_iter().flatten().min();
    }
}
