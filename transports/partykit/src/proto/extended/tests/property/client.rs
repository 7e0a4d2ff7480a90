//! A client of the world: its session, its connection, and what became of its edits.

use std::{collections::BTreeMap, mem};

use roommate::Content;

use super::{super::place::Down, *};
use crate::proto::NoticeQueue;

pub(super) struct Client {
    pub(super) name: String,
    pub(super) session: Session,
    pub(super) now: Duration,
    pub(super) connection: Connection,
    pub(super) late: VecDeque<(u64, Arc<str>)>,
    pub(super) notices: NoticeQueue,
    pub(super) view: Content,
    /// A load; the engine does not listen meanwhile.
    pub(super) load: Option<Get>,
    pub(super) edits: BTreeMap<u64, Edit>,
    /// Edits that the session does not have yet.
    pub(super) to_save: VecDeque<u64>,
    pub(super) saved: BTreeMap<Receipt, u64>,
}

#[derive(Default)]
pub(super) struct Connection {
    pub(super) number: u64,
    /// As the client sees it.
    pub(super) open: bool,
    /// As it is.
    pub(super) whole: bool,
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

pub(super) fn session(client: &str) -> Session {
    // Small, so that some edits are split and some wait.
    let options =
        SessionOptions { capacity: 8, limits: Limits { cells: 3, ..Limits::default() }, ..SessionOptions::default() };
    Session::new(Dialect::default(), format!("random {client}"), options)
}
