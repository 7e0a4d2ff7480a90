//! The check, which determines the outcome of changes that do not come back.

use std::{mem, time::Duration};

use roommate::{Certainty, Changes, Content, Notice};

use super::{Link, LinkOutput, Listening, Part, Side, StoreState, leaf};

/// Identifies a check, so that its responses can be told apart from those to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CheckId(u64);

impl CheckId {
    /// Returns the id as the payload of a ping.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Returns the id in the payload of a pong.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

/// The progress of a check. Its steps prove, in turn: the server has received the sent changes; the room holds this
/// content; the ear has delivered everything that had happened by then.
#[derive(Debug)]
pub(super) enum Checking {
    No,
    MainPing(CheckId),
    Get(CheckId, Heard),
    EarPing(CheckId, Heard, Content),
}

/// The changes received since the content was requested.
#[derive(Debug, Default)]
pub(super) struct Heard {
    changes: Vec<Changes>,
    /// About how many bytes of memory they take.
    weight: usize,
    /// There are too many changes to store.
    too_much: bool,
}

/// Changes beyond this number are not stored while a check runs. The check then ends with a [`Notice::Stale`].
const MOST_HEARD: usize = 256;
/// The same limit in bytes, approximately.
const MOST_HEARD_BYTES: usize = 16 << 20;

impl Checking {
    pub(super) fn heard(&mut self, changes: &Changes) {
        let (Self::Get(_, heard) | Self::EarPing(_, heard, _)) = self else { return };
        heard.weight += leaf::weight(changes);
        if heard.changes.len() < MOST_HEARD && heard.weight <= MOST_HEARD_BYTES {
            heard.changes.push(changes.clone());
        } else {
            heard.too_much = true;
        }
    }

    pub(super) fn heard_everything(&mut self) {
        let (Self::Get(_, heard) | Self::EarPing(_, heard, _)) = self else { return };
        heard.too_much = true;
    }
}

impl Link {
    /// Handles the pong of this check's ping.
    pub fn alive(&mut self, check: CheckId) {
        match mem::replace(&mut self.checking, Checking::No) {
            Checking::MainPing(id) if id == check => self.begin_get(id),
            Checking::EarPing(id, heard, content) if id == check => self.judge(heard, content),
            other => self.checking = other,
        }
    }

    /// Handles the result of this check's GET; `None` for a failure. The inner `None` is a room without a store.
    pub fn checked(&mut self, check: CheckId, answer: Option<Option<Content>>, now: Duration) {
        let heard = match mem::replace(&mut self.checking, Checking::No) {
            Checking::Get(id, heard) if id == check => heard,
            other => {
                self.checking = other;
                return;
            }
        };
        let again = now.saturating_add(self.options.patience);
        match answer {
            Some(Some(content)) => match self.store {
                StoreState::Absent { .. } => {
                    self.postpone(again);
                    self.store_found(true, now);
                    self.tell_content(heard, content);
                }
                _ if self.sent.iter().any(|part| part.checked) => {
                    self.store_found(true, now);
                    self.checking = Checking::EarPing(check, heard, content);
                    self.outputs.push_back(LinkOutput::Ping(Side::Ear, check));
                }
                // Everything came back without the check.
                _ => self.store_found(true, now),
            },
            Some(None) => {
                self.postpone(again);
                if self.store == StoreState::Present {
                    // The room's storage was emptied.
                    self.tell(Notice::Stale);
                }
                self.store_found(false, now);
                self.store = StoreState::Absent { look_at: again };
            }
            None => self.postpone(again),
        }
    }

    pub(super) fn check_due_at(&self) -> Option<Duration> {
        if !matches!(self.checking, Checking::No) {
            return None;
        }
        let due = self.sent.iter().filter(|part| part.awaited && self.hears_itself()).map(|part| part.due);
        let look_at = match self.store {
            StoreState::Absent { look_at } if self.hears() => Some(look_at),
            _ => None,
        };
        due.chain(look_at).min()
    }

    pub(super) fn check_what_is_due(&mut self, now: Duration) {
        if self.check_due_at().is_none_or(|due| due > now) {
            return;
        }
        let check = CheckId(self.next_check);
        self.next_check += 1;
        let hears_itself = self.hears_itself();
        let is_due = |part: &Part| hears_itself && part.awaited && part.due <= now;
        let end = self.sent.iter().rposition(is_due).map_or(0, |last| last + 1);
        // No change is decided before those that were sent before it.
        for part in self.sent.range_mut(..end).filter(|part| part.awaited) {
            part.checked = true;
        }
        if end > 0 {
            self.checking = Checking::MainPing(check);
            self.outputs.push_back(LinkOutput::Ping(Side::Main, check));
        } else {
            self.begin_get(check);
        }
    }

    /// Abandons the check in progress. Its changes become due again at their original times.
    pub(super) fn abandon_check(&mut self) {
        self.checking = Checking::No;
        for part in &mut self.sent {
            part.checked = false;
        }
    }

    fn begin_get(&mut self, check: CheckId) {
        self.checking = Checking::Get(check, Heard::default());
        self.outputs.push_back(LinkOutput::Get(check));
    }

    fn postpone(&mut self, until: Duration) {
        for part in self.sent.iter_mut().filter(|part| part.checked) {
            part.checked = false;
            part.due = until;
        }
        if let StoreState::Absent { look_at } = &mut self.store {
            *look_at = until;
        }
    }

    /// Decides the checked changes. The content is at least as new as all of them, and everything that it shows was
    /// received.
    fn judge(&mut self, heard: Heard, content: Content) {
        if !self.sent.iter().any(|part| part.checked) {
            return;
        }
        let own: Vec<&Changes> = self.sent.iter().chain(&self.queue).map(|part| &part.changes).collect();
        let mut verdicts = Vec::new();
        let awaited = self.sent.iter().enumerate().filter(|(_, part)| part.awaited);
        // Changes after the checked ones that were received whole are decided with them.
        for (index, part) in awaited.take_while(|(_, part)| part.checked || part.is_seen_whole()) {
            let later = &own[index + 1..];
            let refused = leaf::retain(&part.changes, |leaf| {
                let unknowable = later.iter().any(|later| leaf.is_overwritten_by(later));
                !unknowable && !leaf.is_in(&part.seen) && !leaf.is_shown_by(&content, later)
            });
            verdicts.push((index, refused));
        }
        for (gone, (index, refused)) in verdicts.into_iter().enumerate() {
            if let Some(part) = self.sent.remove(index - gone) {
                // A change that was accepted while the link was listening was received.
                let certainty = if part.unheard { Certainty::Presumed } else { Certainty::Certain };
                self.part_done(part.receipt, &part.changes, &refused, certainty);
            }
        }
        self.tell_content(heard, content);
    }

    /// Reports the room's content: the result of the GET, with the changes received since.
    fn tell_content(&mut self, heard: Heard, mut content: Content) {
        if heard.too_much {
            self.tell(Notice::Stale);
            return;
        }
        for changes in &heard.changes {
            content.apply(changes);
        }
        self.tell(Notice::Content(content));
    }

    /// Whether the connection that is listened to is open.
    pub(super) fn hears(&self) -> bool {
        match self.listening {
            Listening::Off => false,
            Listening::Main => self.main_open,
            Listening::Ear => self.ear_open,
        }
    }

    fn hears_itself(&self) -> bool {
        self.listening == Listening::Ear && self.main_open && self.ear_open
    }
}
