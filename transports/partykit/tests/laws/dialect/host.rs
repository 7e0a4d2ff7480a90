//! What the host does for the room, and how it dies over that.

use roommate::Payload;
use roommate_partykit::proto::{ConnectionId, Input, Output, Room, Wire};

use super::{
    super::{CLIENTS, client::read},
    Pipe, World,
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
            Output::Commit(batch) => {
                assert!(!batch.is_empty());
                for key in batch.deletes {
                    self.storage.remove(&key).expect("only what is there is deleted");
                }
                for (key, cell) in batch.puts {
                    if let Some(number) = cell.as_f64() {
                        *self.written.entry((number as u64, key.clone())).or_default() += 1;
                    }
                    self.storage.insert(key, cell);
                }
            }
            Output::Send { to, frame } => {
                for connection in to {
                    if self.stock.listener == Some(connection) {
                        match Wire::default().decode_payload(&frame).expect("a stock frame").value {
                            Payload::Changes(changes) => self.stock.content.apply(&changes),
                            Payload::Content(content) => self.stock.content = content,
                            Payload::Reload => self.stock.content = self.room.content(),
                        }
                    } else if let Some(pipe) = self.pipes.get_mut(&connection) {
                        assert!(Wire::default().decode_payload(&frame).is_none(), "no stock frames");
                        if pipe.client.is_some() && !pipe.behind {
                            pipe.down.push_back(frame.clone());
                        }
                    }
                }
            }
            Output::Close { connection, .. } => self.closed(connection),
            Output::Respond { .. } | Output::Ping { .. } => {}
            Output::Refuse { .. } => panic!("everybody may come in"),
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
        self.room = Room::restore(self.config.clone(), self.epochs.to_string(), self.storage.clone());
        for index in 0..CLIENTS {
            self.lose(index);
        }
        self.pipes.clear();
        self.connect_stock();
    }
}
