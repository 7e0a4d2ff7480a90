//! The outcome of a simulation, and the promises about it.

use std::ops::AddAssign;

use super::history::{Clients, Pair, Server};

/// The outcome of one simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The outcome for this project's clients.
    pub ours: Fates,
    /// The outcome for stock clients.
    pub stock: Fates,
    /// A hash of everything that happened.
    pub hash: u64,
}

/// The outcome for the clients of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Clients whose store differs from the room's content.
    pub apart: u64,
    /// Of these, clients that differ only in cells and values that they wrote last and never sent. No server can
    /// prevent that.
    pub apart_unsent: u64,
    /// Of these, other clients that differ only there, or in data that the room sent while they did not listen
    /// (`stop_auto_load`), if the load at the next `start_auto_load` failed or was skipped because of a save.
    /// TinyBase's client then reports that it loads automatically, and requests nothing. No server can prevent that
    /// either.
    pub apart_unheard: u64,
    /// Clients that still had work pending at the end.
    pub restless: u64,
    /// Values that were written, not counting those written before joining.
    pub edits: u64,
    /// Of the edits, those that the server stored.
    pub confirmed: u64,
    /// Edits that the server did not store, and that the client was notified of as refused.
    pub refused: u64,
    /// Edits that were neither stored nor reported as refused, but that their own client overwrote.
    pub overwritten: u64,
    /// Edits that are still listed as unconfirmed.
    pub unconfirmed: u64,
    /// Edits whose outcome was not reported, or that were reported as refused although the server never received them.
    pub lost: u64,
    /// Values that were deleted and that the room still holds, although no refusal of the deletion was reported.
    pub undone: u64,
    /// Edits that the server stored more than once.
    pub twice: u64,
    /// Edits that the server stored, but that the client was notified of as refused.
    pub misreported: u64,
    /// Values that were in a store at any inspected moment although no client wrote them.
    pub invented: u64,
}

/// A promise about a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// This project's clients end equal to the room, and lose and invent nothing.
    Converges,
    /// The same, and nothing takes effect twice, and what is reported as refused was refused.
    Once,
    /// Stock clients end equal to the room, except for data that they wrote and never sent, or that the room sent while
    /// they did not listen and that they did not load.
    ConvergesIfSent,
    /// Most stock clients end different from the room. This is the control.
    Diverges,
}

impl Outcome {
    /// Returns the first promise about a pair that this history breaks, if any.
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

    /// Whether any client ended different from the room.
    pub fn is_apart(&self) -> bool {
        self.ours.apart + self.stock.apart > 0
    }
}

impl Fates {
    /// Returns the number of clients that ended different for a reason that no server can prevent.
    pub fn apart_beyond(&self) -> u64 {
        self.apart_unsent + self.apart_unheard
    }
}

impl Pair {
    /// Returns the promises about the pair.
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

/// The summed outcomes of many histories of one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The number of histories.
    pub histories: u64,
    /// Of these, histories in which one of this project's clients ended different from the room.
    pub ours_apart: u64,
    /// Histories in which a stock client ended different from the room.
    pub stock_apart: u64,
    /// Of these, histories in which each such client differs only in data that it wrote last and never sent.
    pub stock_apart_unsent: u64,
    /// Of these, other histories in which each such client differs for a reason that no server can prevent.
    pub stock_apart_unheard: u64,
    /// The outcome for this project's clients.
    pub ours: Fates,
    /// The outcome for stock clients.
    pub stock: Fates,
    /// The number of histories in which a promise was broken.
    pub broken: u64,
    /// The seed of the first such history, and the promise that it broke.
    pub first_broken: Option<(u64, &'static str)>,
}

impl Totals {
    /// Adds the outcome of the history of `seed`.
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

    /// Returns a promise about the pair that these histories break, if any.
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
