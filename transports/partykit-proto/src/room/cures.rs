//! Repairs ("cures") of stock clients, which are unmodified TinyBase clients: what a room does so that all of them end
//! up equal to each other and to the room.
//!
//! The stock server sends a change to every connection but its author's, and nothing else to any connection. So three
//! kinds of client go on showing wrong content: a client that applies another client's change after it has made its own
//! change of the same cell, a client whose change was refused, and a client that was away. Every frame that repairs
//! them is legal on the stock wire. A client applies such a frame as loaded content, and sends nothing back.
//!
//! # Law
//!
//! Let a client apply what it is sent in the order of sending, and let the room receive what the client does in the
//! order in which the client does it. Take any cell or value, wait until nothing is in flight, and compare the last
//! update of the cell that the client was sent with the client's own last change of the cell.
//!
//! * If the room sent the update after the change had arrived, the client applied the update last. The update is what
//!   the room holds.
//! * If the client had seen the update before it made the change, the change stands in the client and in the room.
//! * If neither holds, the two may have crossed. The change is *in doubt*, and the room sends its author what the room
//!   holds. So the update was not the last one.
//!
//! The room never guesses what a page has seen. An update counts as seen after a later ping, the pong to that ping, and
//! two ticks, since a browser answers pings before the page has seen what came before them. An update that is not known
//! to be seen counts as crossing. That costs no more than a message, because an update that changes nothing has no
//! visible effect.
//!
//! A doubt is not settled at once, but when the author pauses. The room sends a ping when the change arrives, and sends
//! the repair after the pong, unless the author has changed the same cell again by then. So earlier keystrokes do not
//! interrupt a user who types. Only this moment depends on pongs; if no pong comes, a tick takes its role.
//!
//! The answer to a `GET` is outside of this order: it does not arrive on the connection and does not identify one, and
//! a client that loads in mid-session applies it over what it did and received since. By the second tick the answer has
//! arrived. Everything that changed after the answer was made is then in doubt once, for every client. It is not in
//! doubt earlier, because a client that receives an update while it loads sends the older content that comes after as
//! if that were its own edit.
//!
//! The whole content replaces everything that a client has, in one transaction of the client. It is sent
//!
//! * to each connection, one ping and its pong after it opened, so that it includes what the client wrote while it was
//!   away, which the client sends first of all. A new client is sent it as well: its `GET` may have been answered
//!   before its connection was open.
//! * to every client, when the room's store is created. The room cannot know which client created it, and others may
//!   have tried.
//! * to a client that sent something that cannot be read, or that has thousands of cells in doubt.

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

/// How many pairs of a cell and a broadcast are compared. Beyond that, every cell counts as crossed.
const MAX_QUESTIONS: usize = 64 * 1024;

/// The stock clients of a room, and what each of them may not have seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Cures {
    /// Numbers the events. Everything that a client is sent and does is ordered by this number, and so are pings.
    now: u64,
    log: Log,
    loads: Loads,
    members: BTreeMap<ConnectionId, Member>,
    /// The next tick may change something.
    unsettled: bool,
}

/// The part of a change that may have crossed changes of others.
#[derive(Debug)]
pub(super) struct Doubt(Due);

/// What the repairs read: the room's store, if it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    pub(super) contents: &'a Content,
    pub(super) wire: &'a Wire,
    pub(super) exists: bool,
    /// The frame with the whole content, while it is in use.
    pub(super) everything: &'a RefCell<Option<Weak<str>>>,
}

impl Cures {
    /// Notes that a stock client is in the room.
    pub(super) fn connected(&mut self, connection: ConnectionId, outputs: &mut Vec<Output>) {
        let now = self.step();
        let mut member = Member::new(now);
        member.owe(now);
        self.members.insert(connection, member);
        self.ask(connection, outputs);
    }

    /// Notes that a client, stock or not, has left.
    pub(super) fn left(&mut self, connection: ConnectionId) {
        self.members.remove(&connection);
        // A tick forgets what was stored for that client alone.
        self.unsettled |= !self.log.is_empty();
    }

    /// The part of `changes`, which are accepted changes of `author`, that may have crossed what the author was sent.
    /// Call this before they are applied.
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

    /// Notes that a request was answered with the content. Any client may have made it, and may load the answer late.
    pub(super) fn handed_out(&mut self) {
        self.loads.answered();
        self.unsettled = true;
    }

    /// Notes that `changes` are about to be applied to `contents`.
    pub(super) fn changing(&mut self, changes: &Changes, contents: &Content) {
        self.loads.changing(changes, contents);
    }

    /// Notes that `changes` were sent to every client but `author`, stock or not.
    pub(super) fn told(&mut self, author: Option<ConnectionId>, changes: &Changes) {
        let now = self.step();
        if !self.members.is_empty() {
            self.log.push(now, author, changes);
            self.unsettled = true;
        }
    }

    /// Notes that `author` has changed something. `doubt` is what may have crossed what the author was sent.
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

    /// `changes` of `author` were refused: sends it the room's state of what they change.
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

    /// `author` sent something that the room cannot represent: it will be sent the whole content.
    pub(super) fn unreadable(&mut self, author: ConnectionId, outputs: &mut Vec<Output>) {
        let now = self.step();
        if let Some(member) = self.members.get_mut(&author) {
            member.owe(now);
            self.ask(author, outputs);
        }
    }

    /// The room's store was created, by a change of `author` or by a request.
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

    /// Handles the pong with the `token` of a ping.
    pub(super) fn pong(&mut self, connection: ConnectionId, token: u64, held: Held<'_>, outputs: &mut Vec<Output>) {
        let Some(member) = self.members.get_mut(&connection) else { return };
        let due = member.pong(token);
        self.tell(connection, due, held, outputs);
        self.ask(connection, outputs);
    }

    /// Handles a tick: some time has passed since the last one.
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
        // A client that has changed nothing yet is not waited for: its first change will be in doubt.
        let seen = self.members.values().filter(|member| member.author).map(|member| member.seen).min();
        self.log.forget(seen.unwrap_or(now));
        let last_news = self.log.last();
        self.unsettled = self.loads.is_any() || self.members.values().any(|member| member.wants_ticks(last_news));
    }

    /// Puts in doubt, for every client, what changed after an answer that is loaded by now: the load may have
    /// overwritten it.
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

    /// Sends one client the room's state of what is due.
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
    /// The frame with the whole content. Many clients that need it at once are sent the same text.
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
