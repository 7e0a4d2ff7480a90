//! The least client of the dialect that keeps to it.

use std::{collections::BTreeMap, sync::Arc};

use roommate::{Changes, Content};
use roommate_partykit_proto::{ConnectionId, Dialect, Entry, Position, ServerMessage, Standing};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: Arc<str>,
    pub(super) connection: Option<ConnectionId>,
    pub(super) joined: bool,
    pub(super) at: Option<Position>,
    pub(super) content: Option<Content>,
    pub(super) pending: BTreeMap<u64, Changes>,
    pub(super) sent: u64,
    /// Up to where it has sent without waiting for the answer to the join.
    pub(super) eager: Option<u64>,
    pub(super) last_id: u64,
    /// Each change whose fate is known, by its id, and what of it was refused.
    pub(super) fates: BTreeMap<u64, (Changes, Changes)>,
}

impl Client {
    pub(super) fn decided(&self) -> u64 {
        self.pending.first_key_value().map_or(self.last_id, |(first, _)| first - 1)
    }

    pub(super) fn hear(&mut self, message: ServerMessage) {
        match message {
            ServerMessage::Resumed { standing, entries } => {
                for entry in entries {
                    self.enter(entry);
                }
                // The order is the same, though the room may have been opened again.
                let at = self.at.as_mut().expect("one that named a place");
                at.epoch = standing.position.epoch.clone();
                assert_eq!(*at, standing.position, "the entries lead to where the room is");
                self.stand(&standing);
            }
            ServerMessage::Snapshot { standing, refused, content } => {
                for (id, refused) in refused {
                    self.decide(id, refused);
                }
                self.content = content;
                self.at = Some(standing.position.clone());
                self.stand(&standing);
            }
            ServerMessage::Entry(entry) => {
                assert!(self.joined, "nothing comes before the answer to the join");
                self.enter(entry);
            }
        }
    }

    /// What is decided and was not named was accepted as a whole; what is not is to be sent again.
    fn stand(&mut self, standing: &Standing) {
        let last = standing.last.unwrap_or_default();
        let decided: Vec<_> = self.pending.range(..=last).map(|(id, _)| *id).collect();
        for id in decided {
            self.decide(id, Changes::new());
        }
        if !self.joined {
            self.sent = self.eager.unwrap_or(last);
            self.joined = true;
        }
    }

    fn enter(&mut self, entry: Entry) {
        let at = self.at.as_mut().expect("a position to go on from");
        let (seq, before) = (entry.seq(), at.seq);
        at.seq = seq;
        match entry {
            Entry::Changed { changes, .. } => {
                assert_eq!(seq, before + 1, "no gaps");
                self.content.as_mut().expect("a store").apply(&changes);
            }
            Entry::Created { content, .. } => {
                assert_eq!(seq, before + 1, "no gaps");
                assert_eq!(self.content.replace(content), None, "made once");
            }
            Entry::Accepted { id, refused, .. } => {
                let effect = less(self.pending.get(&id).expect("told once"), &refused);
                self.decide(id, refused);
                assert_eq!(seq, before + u64::from(!effect.is_empty()), "a place for what took effect");
                if let Some(content) = &mut self.content {
                    content.apply(&effect);
                }
            }
        }
    }

    fn decide(&mut self, id: u64, refused: Changes) {
        // One that was known already and not acknowledged is named again.
        if let Some(changes) = self.pending.remove(&id) {
            self.fates.insert(id, (changes, refused));
        } else {
            assert_eq!(self.fates[&id].1, refused, "one fate");
        }
    }
}

pub(super) fn read(frame: &str) -> ServerMessage {
    let message = Dialect::default().decode_server(frame).expect("a frame of the dialect").unwrap();
    assert_eq!(message.unrepresentable, 0);
    message.value
}

/// `changes` without the leaves of `refused`.
fn less(changes: &Changes, refused: &Changes) -> Changes {
    let mut left = changes.clone();
    left.values.retain(|value_id, _| !refused.values.contains(value_id));
    left.tables.retain(|table_id, rows| match (rows, refused.tables.get(table_id)) {
        (_, None) => true,
        (Some(rows), Some(Some(refused))) => {
            rows.retain(|row_id, cells| match (cells, refused.get(row_id)) {
                (_, None) => true,
                (Some(cells), Some(Some(refused))) => {
                    cells.retain(|cell_id, _| !refused.contains(cell_id));
                    !cells.is_empty()
                }
                (_, Some(_)) => false,
            });
            !rows.is_empty()
        }
        (_, Some(_)) => false,
    });
    left
}
