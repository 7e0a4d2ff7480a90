//! A shared backend: one order, a queue of notices for each client, and accidents.

use std::collections::{HashSet, VecDeque};

use crate::{
    content::{Cell, Changes, Content},
    persister::{Notice, Receipt},
};

/// The backend that all clients share.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) content: Option<Content>,
    mailboxes: Vec<Mailbox>,
    receipts: u64,
    /// Refuses the values of changes, and accepts their cells.
    pub(super) refuses_values: bool,
    /// Applies each edit of a client exactly once, however often it is sent (R7).
    pub(super) takes_once: bool,
    /// The newest accepted edit of each client.
    newest: Vec<u64>,
    /// Every cell and value that was ever accepted.
    pub(super) accepted: HashSet<String>,
}

/// The queue of a client's stream.
#[derive(Debug, Default)]
struct Mailbox {
    open: bool,
    told: VecDeque<Told>,
}

/// What comes out of a stream.
#[derive(Debug)]
pub(super) enum Told {
    Notice(Notice),
    End,
}

impl Place {
    pub(super) fn new(clients: usize) -> Self {
        let mailboxes = (0..clients).map(|_| Mailbox::default()).collect();
        Self {
            content: None,
            mailboxes,
            receipts: 0,
            refuses_values: false,
            takes_once: false,
            newest: vec![0; clients],
            accepted: HashSet::new(),
        }
    }

    /// Opens the stream of a client.
    pub(super) fn watch(&mut self, client: usize) {
        self.mailboxes[client] = Mailbox { open: true, told: VecDeque::new() };
    }

    pub(super) fn unwatch(&mut self, client: usize) {
        self.mailboxes[client] = Mailbox::default();
    }

    /// Cuts the stream of a client: the stream delivers `kept` more notices, and ends.
    pub(super) fn cut(&mut self, client: usize, kept: usize) {
        let mailbox = &mut self.mailboxes[client];
        if mailbox.open {
            mailbox.open = false;
            mailbox.told.truncate(kept);
            mailbox.told.push_back(Told::End);
        }
    }

    /// Drops the notices that a client has not read, except its confirmations, and makes it load.
    pub(super) fn overflow(&mut self, client: usize) {
        let mailbox = &mut self.mailboxes[client];
        if mailbox.open {
            mailbox.told.retain(|told| matches!(told, Told::Notice(Notice::Confirmed { .. })));
            mailbox.told.push_back(Told::Notice(Notice::Stale));
        }
    }

    pub(super) fn tell(&mut self, client: usize) -> Option<Told> {
        self.mailboxes[client].told.pop_front()
    }

    /// Accepts a whole content, unless the backend holds content. Returns that content then.
    pub(super) fn offer(&mut self, author: usize, offered: &Content) -> Option<Content> {
        if let Some(content) = &self.content {
            return Some(content.clone());
        }
        self.content = Some(offered.clone());
        self.accepted.extend(paths(offered));
        for (client, mailbox) in self.mailboxes.iter_mut().enumerate() {
            if client != author {
                mailbox.put(Notice::Content(offered.clone()));
            }
        }
        None
    }

    /// Accepts an edit of a client, unless it was accepted before.
    ///
    /// A confirmation marks the position of an edit in the order. If the edit was accepted before, the confirmation
    /// comes too late for that, so the client also has to be sent what the backend holds.
    pub(super) fn accept_edit(&mut self, author: usize, number: u64, changes: &Changes) -> Receipt {
        let newest = &mut self.newest[author];
        if !self.takes_once || number > *newest {
            *newest = number;
            return self.accept(Some(author), changes);
        }
        self.receipts += 1;
        let receipt = Receipt(self.receipts);
        self.mailboxes[author].put(Notice::Confirmed { receipt, refused: Changes::new() });
        self.mailboxes[author].put(Notice::Stale);
        receipt
    }

    /// Puts changes in the order, and notifies every client.
    pub(super) fn accept(&mut self, author: Option<usize>, changes: &Changes) -> Receipt {
        let (mut accepted, mut refused) = (changes.clone(), Changes::new());
        if self.refuses_values && author.is_some() {
            refused.values = std::mem::take(&mut accepted.values);
        }
        let content = self.content.get_or_insert_default();
        content.apply(&accepted);
        // Applied to empty content, so that cells that were there already also count as accepted.
        let mut told = Content::new();
        told.apply(&accepted);
        self.accepted.extend(paths(&told));
        self.receipts += 1;
        let receipt = Receipt(self.receipts);
        for (client, mailbox) in self.mailboxes.iter_mut().enumerate() {
            mailbox.put(match author == Some(client) {
                true => Notice::Confirmed { receipt, refused: refused.clone() },
                false => Notice::Changes(accepted.clone()),
            });
        }
        receipt
    }
}

impl Mailbox {
    fn put(&mut self, notice: Notice) {
        if self.open {
            self.told.push_back(Told::Notice(notice));
        }
    }
}

/// Every cell and value of a content, as `where = what`.
pub(super) fn paths(content: &Content) -> impl Iterator<Item = String> {
    let mut paths = Vec::new();
    for (table_id, table) in &content.tables {
        for (row_id, row) in table {
            paths.extend(row.iter().map(|(cell_id, cell)| path(&format!("{table_id}/{row_id}/{cell_id}"), cell)));
        }
    }
    paths.extend(content.values.iter().map(|(value_id, value)| path(value_id, value)));
    paths.into_iter()
}

fn path(at: &str, cell: &Cell) -> String {
    format!("{at} = {}", cell.as_f64().unwrap_or(f64::NAN))
}
