//! How a room handles the messages of clients of the dialect.

use std::sync::Arc;

use roommate::{Changes, Decoded};

use super::{Extended, OwnChange};
use crate::{
    dialect::{ClientMessage, MALFORMED, UNACKNOWLEDGED},
    policy::ConnectionId,
    room::{Author, Output, Room, accept::Verdict},
};

impl Room {
    /// Handles a message of the dialect; `None` if it is not one, or if its sender did not ask for the dialect.
    pub(in crate::room) fn hear(&mut self, connection: ConnectionId, text: &str) -> Option<Vec<Output>> {
        let extended = self.extended.as_mut()?;
        let client = extended.members.get(&connection)?.client.clone();
        let message = extended.dialect.decode_client(text)?;
        let Ok(Decoded { value: message, unrepresentable: 0 }) = message else {
            return Some(vec![self.cut_off(connection, MALFORMED, "malformed message")]);
        };
        Some(match (message, client) {
            (ClientMessage::Join(join), None) => {
                let content = || self.exists.then(|| self.content.clone());
                let outputs = extended.join(connection, join, self.seq, content);
                if let Some(Output::Close { connection: older, .. }) = outputs.first() {
                    self.connections.remove(older);
                }
                outputs
            }
            (ClientMessage::Join(_), Some(_)) => vec![self.cut_off(connection, MALFORMED, "joined already")],
            (_, None) => vec![self.cut_off(connection, MALFORMED, "join first")],
            (ClientMessage::Ack(id), Some(client)) => {
                extended.clients.acknowledge(&client, id);
                Vec::new()
            }
            // Sent again after it was decided: the join has told its fate.
            (ClientMessage::Change { id, .. }, Some(client)) if extended.clients.last(&client) >= Some(id) => {
                Vec::new()
            }
            (ClientMessage::Change { id, changes }, Some(client)) => self.change(connection, client, id, changes),
        })
    }

    /// Decides a change once. If its client leaves too much unacknowledged, it stays undecided and can be resent: else
    /// one that comes back time and again would make the room remember ever more.
    fn change(&mut self, connection: ConnectionId, client: Arc<str>, id: u64, changes: Changes) -> Vec<Output> {
        let owes = |extended: &Extended| extended.clients.owes_acknowledgement(&client, extended.max_refused);
        if self.extended.as_ref().is_some_and(owes) {
            return vec![self.cut_off(connection, UNACKNOWLEDGED, "acknowledge what was refused")];
        }
        let Verdict { accepted, refused } = self.verdict(connection, changes);
        let Some(extended) = &mut self.extended else { return Vec::new() };
        let refused = (!refused.is_empty()).then(|| refused.to_json().into());
        let change = OwnChange { client, id, refused };
        let decided = extended.decide(&change);
        if accepted.is_empty() {
            let answer = extended.confirm(connection, &change, self.seq);
            let client = Arc::clone(&change.client);
            return [self.log_nothing(client, decided)]
                .into_iter()
                .chain(answer)
                .chain(self.snapshot_if_due())
                .collect();
        }
        let answer = extended.confirm(connection, &change, self.seq + 1);
        let mut outputs = self.apply(Author::Client(connection, change.client, decided), &accepted);
        // The author is sent the confirmation before the others are sent the change, and after the change is stored.
        if let Some(answer) = answer {
            outputs.insert(1, answer);
        }
        outputs
    }

    /// Asks the policy. Everything is refused if there is no store, or if the policy panics.
    fn verdict(&self, connection: ConnectionId, changes: Changes) -> Verdict {
        let asked = changes.clone();
        let verdict = if self.exists { self.judge(connection, changes) } else { None };
        verdict.unwrap_or_else(|| {
            let mut refused = asked;
            refused.prune();
            Verdict { accepted: Changes::new(), refused }
        })
    }
}
