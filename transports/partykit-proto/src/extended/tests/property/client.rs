//! A client of the world: its session, its connection, and the outcome of its edits.

use std::{collections::BTreeMap, mem};

use roommate::Content;

use super::{super::place::Down, *};
use crate::{NoticeQueue, extended::saves::last_id};

pub(super) struct Client {
    pub(super) name: String,
    pub(super) session: Session,
    pub(super) now: Duration,
    pub(super) connection: Connection,
    pub(super) late: VecDeque<(u64, Arc<str>)>,
    pub(super) notices: NoticeQueue,
    pub(super) view: Content,
    /// A load. The engine does not read notices meanwhile.
    pub(super) load: Option<Get>,
    pub(super) edits: BTreeMap<u64, Edit>,
    /// Edits that the session does not have yet.
    pub(super) to_save: VecDeque<u64>,
    pub(super) saved: BTreeMap<Receipt, u64>,
    /// Changes that may have been reported as accepted although they were refused.
    pub(super) forgone: Vec<(u64, Changes)>,
}

#[derive(Default)]
pub(super) struct Connection {
    pub(super) number: u64,
    /// Whether the client believes that the connection is open.
    pub(super) open: bool,
    /// Whether the connection is intact.
    pub(super) whole: bool,
    /// The answer to the join was lost, so the client has to report that the server does not answer.
    pub(super) answer_is_lost: bool,
    pub(super) up: VecDeque<Arc<str>>,
    pub(super) down: VecDeque<Down>,
}

pub(super) enum Get {
    Asked,
    Answered(Option<Content>),
}

/// An edit, by its number.
pub(super) struct Edit {
    pub(super) changes: Changes,
    pub(super) refused: Changes,
    pub(super) confirmed: bool,
}

impl Client {
    pub(super) fn is_idle(&self) -> bool {
        self.connection.up.is_empty()
            && self.connection.down.is_empty()
            && self.late.is_empty()
            && self.load.is_none()
            && self.notices.is_empty()
    }

    /// Records that a process ended that knew of refusals which the server no longer remembers. This can happen only to
    /// an edit whose refusals exceed the bound.
    pub(super) fn forgo(&mut self, session: Session, most: Tally) {
        let Some(forgone) = session.forgone else { return };
        let edit = forgone.receipt.0 / (last_id(0) + 1);
        let mut tally = Tally::default();
        for leaf in leaf::leaves(&forgone.refused) {
            tally.add(leaf::retain(&forgone.refused, |other| other == leaf).to_json().len());
        }
        assert!(tally.exceeds(most), "{tally:?} of edit {edit} of {} was forgone", self.name);
        self.forgone.push((edit, forgone.refused));
    }

    pub(super) fn follow(&mut self) {
        if self.load.is_some() {
            return;
        }
        match self.notices.pop().map(Result::unwrap) {
            Some(Notice::Content(content)) => self.view = content,
            Some(Notice::Changes(changes)) => self.view.apply(&changes),
            Some(Notice::Confirmed { receipt, refused }) => {
                self.session.taken(receipt);
                let edit = self.saved.remove(&receipt).expect("it is confirmed once");
                let edit = self.edits.get_mut(&edit).unwrap();
                assert!(!mem::replace(&mut edit.confirmed, true), "it is confirmed once");
                self.view.apply(&leaf::retain(&edit.changes, |leaf| !leaf.is_in(&refused)));
                edit.refused = refused;
            }
            Some(Notice::Stale) => self.load = Some(Get::Asked),
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
}

/// Creates a session. `most` is the bound on unacknowledged refusals that the room allows, if it is a very small one.
pub(super) fn session(client: &str, most: Option<Tally>) -> Session {
    // Small, so that some edits are split and some wait.
    let cells = if most.is_some() { 1 } else { 3 };
    let options =
        SessionOptions { capacity: 8, limits: Limits { cells, ..Limits::default() }, ..SessionOptions::default() };
    let mut session = Session::new(Dialect::default(), format!("random {client}"), options);
    session.most_refused = most.unwrap_or(session.most_refused);
    session
}
