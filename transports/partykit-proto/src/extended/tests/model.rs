//! A minimal room that speaks the dialect.

use std::collections::BTreeMap;

use roommate::{Changes, Content};

use super::{
    is_refused, leaf,
    place::{Down, Place},
};
use crate::dialect::{ClientMessage, Dialect, Entry, Join, Position, REPLACED, ServerMessage, Standing};

#[derive(Debug, Default)]
pub(super) struct Model {
    content: Option<Content>,
    accepted: Vec<Changes>,
    seq: u64,
    epoch: u64,
    log: Vec<Logged>,
    clients: BTreeMap<String, Client>,
    /// The client that has joined on each connection.
    connections: BTreeMap<u64, Option<String>>,
    sent: Vec<(u64, Down)>,
}

#[derive(Debug, Default)]
struct Client {
    last: u64,
    refused: BTreeMap<u64, Changes>,
}

/// An entry in the form that other clients receive, and in the form that its author receives.
#[derive(Clone, Debug)]
struct Logged {
    others: Entry,
    author: Option<(String, Entry)>,
}

/// How many entries the log holds.
const LOG: usize = 6;

impl Logged {
    fn told(&self, client: &str) -> Entry {
        match &self.author {
            Some((author, entry)) if author == client => entry.clone(),
            _ => self.others.clone(),
        }
    }
}

impl Place for Model {
    fn connect(&mut self, connection: u64) {
        self.connections.insert(connection, None);
    }

    fn disconnect(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }

    fn take(&mut self, connection: u64, frame: &str) {
        let Some(joined) = self.connections.get(&connection).cloned() else { return };
        match (Dialect::default().decode_client(frame).unwrap().unwrap().value, joined) {
            (ClientMessage::Join(join), None) => self.join(connection, &join),
            (ClientMessage::Change { id, changes }, Some(client)) => self.decide(connection, &client, id, &changes),
            (ClientMessage::Ack(id), Some(client)) => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.refused = client.refused.split_off(&(id + 1));
                }
            }
            out_of_place => panic!("{out_of_place:?}"),
        }
    }

    fn put(&mut self, content: &Content) {
        if self.content.is_none() {
            self.content = Some(content.clone());
            self.accepted.push(Changes::from(content));
            self.seq += 1;
            self.log(Logged { others: Entry::Created { seq: self.seq, content: content.clone() }, author: None });
        }
    }

    fn change(&mut self, changes: &Changes) {
        if let (accepted, true) = self.accept(changes) {
            self.log(Logged { others: Entry::Changed { seq: self.seq, changes: accepted }, author: None });
        }
    }

    fn crash(&mut self) {
        self.epoch += 1;
        self.log.clear();
        self.connections.clear();
        self.sent.clear();
    }

    fn summarise(&mut self, connection: u64) {
        if let Some(Some(client)) = self.connections.get(&connection).cloned() {
            self.snapshot(connection, &client);
        }
    }

    fn forget(&mut self, client: &str) {
        if !self.connections.values().any(|joined| joined.as_deref() == Some(client)) {
            self.clients.remove(client);
        }
    }

    fn sent(&mut self) -> Vec<(u64, Down)> {
        std::mem::take(&mut self.sent)
    }

    fn content(&self) -> Option<Content> {
        self.content.clone()
    }

    fn accepted(&self) -> &[Changes] {
        &self.accepted
    }
}

impl Model {
    fn join(&mut self, connection: u64, join: &Join) {
        let client = join.client.to_string();
        let older = self.connections.iter().find(|(_, joined)| joined.as_ref() == Some(&client));
        if let Some(older) = older.map(|(older, _)| *older) {
            self.connections.remove(&older);
            self.sent.push((older, Down::Close(REPLACED)));
        }
        self.connections.insert(connection, Some(client.clone()));
        if let Some(known) = self.clients.get_mut(&client) {
            known.refused = known.refused.split_off(&(join.decided + 1));
        }
        let standing = self.standing(&client);
        match &join.at {
            Some(at) if at.epoch == standing.position.epoch && self.seq - at.seq <= self.log.len() as u64 => {
                let missed = (self.seq - at.seq) as usize;
                let entries = self.log[self.log.len() - missed..].iter().map(|entry| entry.told(&client)).collect();
                self.send(connection, ServerMessage::Resumed { standing, entries });
            }
            _ => self.snapshot(connection, &client),
        }
    }

    fn decide(&mut self, connection: u64, client: &str, id: u64, changes: &Changes) {
        let known = self.clients.entry(client.to_owned()).or_default();
        if id <= known.last {
            return;
        }
        known.last = id;
        let (accepted, any) = self.accept(changes);
        let refused = leaf::retain(changes, |leaf| !leaf.is_in(&accepted));
        if !refused.is_empty() {
            self.clients.entry(client.to_owned()).or_default().refused.insert(id, refused.clone());
        }
        let author = Entry::Accepted { seq: self.seq, id, refused };
        if any {
            let others = Entry::Changed { seq: self.seq, changes: accepted };
            self.log(Logged { others, author: Some((client.to_owned(), author)) });
        } else {
            self.send(connection, ServerMessage::Entry(author));
        }
    }

    /// Returns the accepted part of the changes, and whether anything was accepted.
    fn accept(&mut self, changes: &Changes) -> (Changes, bool) {
        let Some(content) = &mut self.content else { return (Changes::new(), false) };
        let accepted = leaf::retain(changes, |leaf| !is_refused(leaf));
        if accepted.is_empty() {
            return (accepted, false);
        }
        content.apply(&accepted);
        self.seq += 1;
        self.accepted.push(accepted.clone());
        (accepted, true)
    }

    fn log(&mut self, entry: Logged) {
        let joined: Vec<_> =
            self.connections.iter().filter_map(|(connection, joined)| Some((*connection, joined.clone()?))).collect();
        for (connection, client) in joined {
            self.send(connection, ServerMessage::Entry(entry.told(&client)));
        }
        self.log.push(entry);
        if self.log.len() > LOG {
            self.log.remove(0);
        }
    }

    fn snapshot(&mut self, connection: u64, client: &str) {
        let refused = self.clients.get(client).map(|client| client.refused.clone()).unwrap_or_default();
        let snapshot = ServerMessage::Snapshot {
            standing: self.standing(client),
            refused: refused.into_iter().collect(),
            content: self.content.clone(),
        };
        self.send(connection, snapshot);
    }

    fn standing(&self, client: &str) -> Standing {
        let position = Position { epoch: self.epoch.to_string().into(), seq: self.seq };
        Standing { position, last: self.clients.get(client).map(|client| client.last) }
    }

    fn send(&mut self, connection: u64, message: ServerMessage) {
        self.sent.push((connection, Down::Frame(Dialect::default().encode_server(&message))));
    }
}
