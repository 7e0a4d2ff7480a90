//! A client of the model: its link, its two connections, and the view that its notices produce.

use std::collections::BTreeSet;

use super::*;

pub(super) struct Client {
    pub(super) link: Link,
    pub(super) now: Duration,
    pub(super) main: Connection,
    pub(super) ear: Connection,
    pub(super) late: VecDeque<Arc<str>>,
    pub(super) check: Option<(CheckId, Get)>,
    pub(super) notices: NoticeQueue,
    /// The room's content according to the notices.
    pub(super) view: Content,
    /// A load, and the notices taken since it was requested.
    pub(super) load: Option<(Get, Vec<Notice>)>,
    pub(super) load_again: bool,
    pub(super) saves: BTreeMap<Receipt, Changes>,
    pub(super) open: BTreeSet<Receipt>,
    pub(super) ear_was_lost: bool,
}

#[derive(Default)]
pub(super) struct Connection {
    /// Whether the client believes that the connection is open.
    pub(super) open: bool,
    /// Whether the connection is intact.
    pub(super) whole: bool,
    pub(super) up: VecDeque<Up>,
    pub(super) down: VecDeque<Down>,
}

pub(super) enum Up {
    Frame(Arc<str>),
    Ping(CheckId),
}

pub(super) enum Down {
    Frame(Arc<str>),
    Pong(CheckId),
}

pub(super) enum Get {
    Asked,
    Answered(Option<Content>),
}

impl Client {
    pub(super) fn connection(&mut self, side: Side) -> &mut Connection {
        match side {
            Side::Main => &mut self.main,
            Side::Ear => &mut self.ear,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        let quiet = |connection: &Connection| connection.up.is_empty() && connection.down.is_empty();
        quiet(&self.main)
            && quiet(&self.ear)
            && self.late.is_empty()
            && self.check.is_none()
            && self.load.is_none()
            && self.notices.is_empty()
    }

    pub(super) fn fold(&mut self, notice: &Notice) {
        match notice {
            Notice::Content(content) => self.view = content.clone(),
            Notice::Changes(changes) => self.view.apply(changes),
            Notice::Confirmed { receipt, refused } | Notice::Missing { receipt, missing: refused } => {
                self.view.apply(&leaf::retain(&self.saves[receipt], |leaf| !leaf.is_in(refused)));
            }
            _ => {}
        }
    }

    pub(super) fn loaded(&mut self, content: Option<Content>, since: &[Notice]) {
        self.link.store_found(content.is_some(), self.now);
        self.view = content.unwrap_or_default();
        for notice in since {
            self.fold(notice);
        }
        if mem::take(&mut self.load_again) {
            self.load = Some((Get::Asked, vec![]));
        }
    }
}
