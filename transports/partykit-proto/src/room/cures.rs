//! What a room does so that stock clients end equal: with each other and with the room, their code unchanged.
//!
//! The stock server tells a change to everybody but its author, and nothing else to anybody. So a client that applies
//! somebody's change after it has made its own of the same cell goes on showing the wrong one; so does one whose change
//! was refused, and one that was away. All that is needed to set them right is legal on the stock wire, and a client
//! applies it as something loaded: it sends nothing back.
//!
//! # Law
//!
//! Let a client apply what it is sent in the order in which it is sent, and send what it does in the order in which it
//! does it. Take any cell or value, and let everything come to rest.
//!
//! * Was the last thing that the client was told of it sent after its own last change of it had come in? Then it has
//!   applied what it was told last, which is what the room holds.
//! * Had it been seen before the client made that change? Then the change stands there and here.
//! * Else the two may have crossed. The change is *in doubt*, and what the room holds is sent to its author: so that was
//!   not the last thing it was told.
//!
//! What has been seen is never guessed: it takes a ping that was sent behind it, its pong, and two ticks, since a browser
//! answers pings before the page has seen what came ahead of them. Whatever is not known to have been seen counts as
//! crossing. That costs no more than a message, for what changes nothing shows nowhere.
//!
//! A doubt is not settled at once, but when the author pauses: a ping is sent when the change comes in, and the answer
//! goes out with its pong, unless the same has been changed once more by then. Someone who types is not interrupted by
//! what they typed before. Nothing but this moment depends on pongs; where none comes, a tick does instead.
//!
//! The answer to a `GET` keeps no such order: it comes by another way and names no connection, and a client that loads in
//! mid-session applies it over what it did and was told since. By the second tick it has come. Whatever has changed behind
//! an answer is in doubt then, with everybody, once: not before, since a client that hears something while it loads sends
//! the older content that comes after as if that were its own edit.
//!
//! The whole content, which replaces everything that a client has in one transaction of its, is sent
//!
//! * to each connection, a ping and its pong after it opened, so that what a client wrote while it was away, and sends
//!   first of all, is in it. To a new client as well: its `GET` may have been answered before its connection was open.
//! * to everybody, when the room's store is made; who made it cannot be told, and others may have tried.
//! * to whoever sent something that cannot be read, or that is in doubt by the thousands.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use roommate::{Changes, Content};

use super::{Audience, Output};
use crate::{policy::ConnectionId, shared_str::SharedStr, wire::Wire};

mod leaf;
mod loads;
mod log;
mod member;

pub(super) use leaf::sets;
use leaf::{Leaf, leaves};
use loads::Loads;
use log::Log;
use member::{Due, MAX_LEAVES, Member};

/// How many questions are asked, of a cell and a broadcast each, before they are taken to be answered with yes.
const MAX_QUESTIONS: usize = 64 * 1024;

/// The stock clients of a room, and what each of them may not have seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Cures {
    /// Numbers what happens. What a client is sent and does is ordered by it, and so are pings.
    now: u64,
    log: Log,
    loads: Loads,
    members: BTreeMap<ConnectionId, Member>,
    /// The next tick may change something.
    unsettled: bool,
}

/// What of a change its author may have crossed with what others did.
#[derive(Debug)]
pub(super) struct Doubt(Due);

/// Where the cures look things up: the room's store, if it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    pub(super) contents: &'a Content,
    pub(super) wire: &'a Wire,
    pub(super) exists: bool,
    /// The frame that has everything, as long as somebody waits for it.
    pub(super) everything: &'a RefCell<Option<Weak<str>>>,
}

impl Cures {
    /// A stock client is in the room.
    pub(super) fn connected(&mut self, connection: ConnectionId, outputs: &mut Vec<Output>) {
        let now = self.step();
        let mut member = Member::new(now);
        member.owe(now);
        self.members.insert(connection, member);
        self.ask(connection, outputs);
    }

    /// A client is gone, stock or not.
    pub(super) fn left(&mut self, connection: ConnectionId) {
        self.members.remove(&connection);
        // A tick forgets what was remembered for that client alone.
        self.unsettled |= !self.log.is_empty();
    }

    /// What of `changes`, which `author` sent and which are accepted, may have crossed what it was told. Ask before they
    /// are applied.
    pub(super) fn doubt(&self, author: ConnectionId, changes: &Changes, contents: &Content) -> Doubt {
        let none = Doubt(Due::Nothing);
        let Some(member) = self.members.get(&author).filter(|member| !member.is_owed()) else { return none };
        let news: Option<Vec<&Changes>> = self.log.after(member.seen, author).map(Iterator::collect);
        if !member.may_be_in_doubt(news.as_ref().is_none_or(|news| !news.is_empty())) {
            return none;
        }
        let touched: Vec<Leaf> = leaves(changes, contents).take(MAX_LEAVES + 1).collect();
        if touched.len() > MAX_LEAVES {
            return Doubt(Due::Everything);
        }
        let news = news.filter(|news| news.len() * touched.len() <= MAX_QUESTIONS);
        let crossed = |leaf: &Leaf| {
            let by_others = news.as_ref().is_none_or(|news| news.iter().any(|changes| leaf.is_touched_by(changes)));
            by_others || member.may_have_crossed(leaf)
        };
        Doubt(Due::Leaves(touched.into_iter().filter(crossed).collect()))
    }

    /// Somebody was handed the content by request, who may be any of the clients, and may load it late.
    pub(super) fn handed_out(&mut self) {
        self.loads.answered();
        self.unsettled = true;
    }

    /// `changes` are about to be applied to `contents`.
    pub(super) fn changing(&mut self, changes: &Changes, contents: &Content) {
        self.loads.changing(changes, contents);
    }

    /// Everybody but `author`, stock or not, was told `changes`.
    pub(super) fn told(&mut self, author: Option<ConnectionId>, changes: &Changes) {
        let now = self.step();
        if !self.members.is_empty() {
            self.log.push(now, author, changes);
            self.unsettled = true;
        }
    }

    /// `author` has changed something, which may have crossed what it was told as far as `doubt` says.
    pub(super) fn doubted(&mut self, author: ConnectionId, doubt: Doubt, outputs: &mut Vec<Output>) {
        let now = self.step();
        let Some(member) = self.members.get_mut(&author) else { return };
        member.author = true;
        match doubt.0 {
            Due::Nothing => {}
            Due::Leaves(leaves) => member.doubt(leaves, now),
            Due::Everything => member.owe(now),
        }
        self.ask(author, outputs);
    }

    /// `changes` of `author` were refused: tells it what there is in their place.
    pub(super) fn refused(
        &mut self,
        author: ConnectionId,
        changes: &Changes,
        held: Held<'_>,
        outputs: &mut Vec<Output>,
    ) {
        let refused: Vec<Leaf> = leaves(changes, held.contents).take(MAX_LEAVES + 1).collect();
        if refused.len() > MAX_LEAVES {
            self.unreadable(author, outputs);
        } else {
            self.tell(author, Due::Leaves(refused), held, outputs);
        }
    }

    /// `author` sent something that is not known here, and is told everything.
    pub(super) fn unreadable(&mut self, author: ConnectionId, outputs: &mut Vec<Output>) {
        let now = self.step();
        if let Some(member) = self.members.get_mut(&author) {
            member.owe(now);
            self.ask(author, outputs);
        }
    }

    /// The room's store was made, by a change of `author` or by a request.
    pub(super) fn created(&mut self, author: Option<ConnectionId>, held: Held<'_>, outputs: &mut Vec<Output>) {
        let now = self.step();
        self.unsettled = true;
        let members = self.members.keys().copied().collect();
        if let Some(to) = Audience::all(&members, author) {
            outputs.push(Output::Send { to, frame: held.frame() });
        }
        for (connection, member) in &mut self.members {
            if Some(*connection) == author {
                member.author = true;
                member.owe(now);
            } else {
                member.told_everything(now);
            }
        }
        if let Some(author) = author {
            self.ask(author, outputs);
        }
    }

    /// The ping that carried `token` came back.
    pub(super) fn pong(&mut self, connection: ConnectionId, token: u64, held: Held<'_>, outputs: &mut Vec<Output>) {
        let Some(member) = self.members.get_mut(&connection) else { return };
        let due = member.pong(token);
        self.tell(connection, due, held, outputs);
        self.ask(connection, outputs);
    }

    /// Some time has passed since the last time.
    pub(super) fn tick(&mut self, held: Held<'_>, outputs: &mut Vec<Output>) {
        let now = self.step();
        let last_news = self.log.last();
        let connections: Vec<_> = self.members.keys().copied().collect();
        for connection in connections {
            let Some(member) = self.members.get_mut(&connection) else { continue };
            let (due, ping) = member.tick(now, last_news);
            self.tell(connection, due, held, outputs);
            outputs.extend(ping.map(|token| Output::Ping { connection, token }));
        }
        self.doubt_loads(now, outputs);
        // Whoever has changed nothing yet is not waited for: its first change will be in doubt.
        let seen = self.members.values().filter(|member| member.author).map(|member| member.seen).min();
        self.log.forget(seen.unwrap_or(now));
        let last_news = self.log.last();
        self.unsettled = self.loads.is_any() || self.members.values().any(|member| member.wants_ticks(last_news));
    }

    /// What has changed behind a content that is loaded by now may be loaded over, by anybody.
    fn doubt_loads(&mut self, now: u64, outputs: &mut Vec<Output>) {
        let due = self.loads.tick();
        if due == Due::Nothing {
            return;
        }
        let connections: Vec<_> = self.members.keys().copied().collect();
        for connection in connections {
            match (self.members.get_mut(&connection), &due) {
                (Some(member), Due::Leaves(leaves)) => member.doubt(leaves.clone(), now),
                (Some(member), _) => member.owe(now),
                (None, _) => {}
            }
            self.ask(connection, outputs);
        }
    }

    /// Whether ticks change anything.
    pub(super) fn wants_ticks(&self) -> bool {
        self.unsettled
    }

    /// Tells one client alone what the room holds of that which is due.
    fn tell(&mut self, connection: ConnectionId, due: Due, held: Held<'_>, outputs: &mut Vec<Output>) {
        let now = self.step();
        let Some(member) = self.members.get_mut(&connection) else { return };
        let frame = match due {
            Due::Everything if !held.exists => {
                member.owed_nothing();
                return;
            }
            Due::Everything => {
                member.told_everything(now);
                held.frame()
            }
            Due::Leaves(leaves) if !leaves.is_empty() => {
                let mut changes = Changes::new();
                for leaf in leaves {
                    leaf.tell(held.contents, &mut changes);
                }
                let frame = held.wire.encode_changes(&changes).into();
                member.told(changes, now);
                frame
            }
            Due::Nothing | Due::Leaves(_) => return,
        };
        self.unsettled = true;
        outputs.push(Output::Send { to: Audience::One(connection), frame });
    }

    /// Pings a client that waits for something, if no ping to it is in flight.
    fn ask(&mut self, connection: ConnectionId, outputs: &mut Vec<Output>) {
        let Some(member) = self.members.get_mut(&connection) else { return };
        let ping = member.ask(self.now);
        self.unsettled |= member.wants_ticks(self.log.last());
        outputs.extend(ping.map(|token| Output::Ping { connection, token }));
    }

    fn step(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}

impl Held<'_> {
    /// Everything, in place of what a client has. Many clients that are due it at once are sent the same text.
    fn frame(&self) -> SharedStr {
        let mut everything = self.everything.borrow_mut();
        let frame = everything.as_ref().and_then(Weak::upgrade).unwrap_or_else(|| {
            let frame = Arc::from(self.wire.encode_content(self.contents));
            *everything = Some(Arc::downgrade(&frame));
            frame
        });
        frame.into()
    }
}

#[cfg(test)]
mod tests;
