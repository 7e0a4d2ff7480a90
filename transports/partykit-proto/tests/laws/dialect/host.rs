//! What the host does for the room, and how it dies over that.

use roommate::{Changes, Payload};
use roommate_partykit_proto::{Commit, ConnectionId, Event, Input, Output, Room, RoomName, Storage, Wire};

use super::{
    super::{CLIENTS, client::read},
    Pipe, World, leaves,
};

impl World {
    /// Does what the room says, in order, unless the server dies over it.
    pub(super) fn take(&mut self, input: Input<'_>) {
        let outputs = self.room.handle(input);
        let crash = if outputs.is_empty() { None } else { self.crash.take() };
        for output in outputs.into_iter().take(crash.map_or(usize::MAX, |(after, _)| after)) {
            self.put_out(output);
        }
        if let Some((_, arrives)) = crash {
            self.restart(arrives);
        }
    }

    fn put_out(&mut self, output: Output) {
        match output {
            Output::Commit(record) => {
                if let Event::Changed(changes) = &record.event {
                    for (key, number) in leaves(&Changes::from_json(changes).expect("changes").value) {
                        *self.written.entry((number, key)).or_default() += 1;
                    }
                }
                let (room, epoch) = (RoomName::main("r"), self.epoch.clone());
                let commit = Commit { room, epoch, time: 0, records: vec![record] };
                self.storage.commit(&[commit]).remove(0).expect("what follows is stored");
            }
            Output::Snapshot(_) | Output::Edited { .. } | Output::Read { .. } => {}
            Output::Recall { connection, after, max_bytes } => {
                let commits = self.storage.log(&RoomName::main("r"), after, max_bytes).expect("memory");
                self.take(Input::Recalled { connection, commits: &commits });
            }
            Output::Send { to, frame } => {
                for connection in to.iter() {
                    if self.stock.listener == Some(connection) {
                        match Wire::default().decode_payload(&frame).expect("a stock frame").value {
                            Payload::Changes(changes) => self.stock.content.apply(&changes),
                            Payload::Content(content) => self.stock.content = content,
                            Payload::Reload => self.stock.content = self.room.content().clone(),
                        }
                    } else if let Some(pipe) = self.pipes.get_mut(&connection) {
                        assert!(Wire::default().decode_payload(&frame).is_none(), "no stock frames");
                        if pipe.client.is_some() && !pipe.behind {
                            pipe.down.push_back(frame.to_string());
                        }
                    }
                }
            }
            Output::Close { connection, .. } => self.closed(connection),
            Output::Respond { .. } | Output::Ping { .. } => {}
        }
    }

    fn closed(&mut self, connection: ConnectionId) {
        if let Some(Pipe { client: Some(index), .. }) = self.pipes.remove(&connection) {
            self.lose(index);
        }
    }

    fn restart(&mut self, arrives: bool) {
        for pipe in self.pipes.values_mut().filter(|_| arrives) {
            let Some(client) = pipe.client.map(|index| &mut self.clients[index]) else { continue };
            for frame in pipe.down.drain(..) {
                client.hear(read(&frame));
            }
        }
        self.epochs += 1;
        let opened = self.storage.open(&RoomName::main("r"), &self.epochs.to_string(), 0).expect("memory");
        self.epoch = opened.epochs.present().clone();
        self.room = Room::open(self.config.clone(), opened).expect("what was stored can be read");
        for index in 0..CLIENTS {
            self.lose(index);
        }
        self.pipes.clear();
        self.connect_stock();
    }
}
