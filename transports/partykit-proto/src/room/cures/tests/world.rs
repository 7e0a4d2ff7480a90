//! A room and its stock clients, with everything in flight between them.

use std::collections::VecDeque;

use super::*;

/// What may happen next.
#[derive(Clone, Debug)]
pub(super) enum Do {
    /// A client changes something, in one transaction.
    Edit(usize, Vec<Edit>),
    /// The room handles the next message of a client.
    DeliverUp(usize),
    /// The next message of the room reaches a client, whose end of the connection answers pings.
    DeliverDown(usize),
    /// A client's page handles the next message that its browser has received.
    See(usize),
    /// A client's request makes its next step.
    Http(usize),
    /// A client loses its connection. What it had sent may arrive.
    Cut(usize, bool),
    /// A client connects.
    Connect(usize),
    /// A client's request fails.
    LoseRequest(usize),
    /// Time passes: longer than any page needs for the messages that its browser has received.
    Tick,
}

/// One assignment. Its value is always new.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit {
    SetCell(u8, u8, u8),
    DelCell(u8, u8, u8),
    DelRow(u8, u8),
    DelTable(u8),
    SetValue(u8),
    DelValue(u8),
    /// Sets a value that the room cannot represent.
    SetOddValue,
}

/// A room that may have a policy, and clients that join it, each with some content of its own.
#[derive(Debug)]
pub(super) struct World {
    room: Room,
    clients: Vec<Client>,
    connections: u64,
    edits: i32,
}

/// TinyBase's client, with auto-load started and then auto-save, and PartySocket's queue.
#[derive(Debug)]
struct Client {
    /// Whether it answers pings.
    pongs: bool,
    shown: Content,
    phase: Phase,
    connection: Option<ConnectionId>,
    /// Changes that wait for a connection.
    unsent: VecDeque<String>,
    up: VecDeque<(ConnectionId, Up)>,
    down: VecDeque<Down>,
    /// Messages that the browser has received and the page has not handled.
    inbox: VecDeque<String>,
    /// Messages that wait for a request to end.
    deferred: Vec<Payload>,
}

#[derive(Debug)]
enum Phase {
    Get,
    Got(String),
    Put(String),
    WasPut,
    Live,
}

#[derive(Debug)]
enum Up {
    Frame(String),
    Pong(u64),
    Close,
}

#[derive(Debug)]
enum Down {
    Frame(String),
    Ping(u64),
}

/// Refuses half of everything.
#[derive(Debug)]
struct Half;

fn wire() -> Wire {
    Wire::default()
}

impl World {
    /// Creates clients, of which those answer pings that `pongs` selects.
    pub(super) fn new(guarded: bool, pongs: &[bool]) -> Self {
        let config = RoomConfig::new();
        let config = if guarded { config.with_policy(Half) } else { config };
        let client = |(number, pongs): (usize, &bool)| Client {
            pongs: *pongs,
            shown: first_content(number),
            phase: Phase::Get,
            connection: None,
            unsent: VecDeque::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            inbox: VecDeque::new(),
            deferred: Vec::new(),
        };
        Self {
            room: Room::new(config, "e"),
            clients: pongs.iter().enumerate().map(client).collect(),
            connections: 0,
            edits: 0,
        }
    }

    pub(super) fn take(&mut self, step: &Do) {
        match step {
            Do::Edit(client, edits) => self.edit(*client, edits),
            Do::DeliverUp(client) => drop(self.deliver_up(*client)),
            Do::DeliverDown(client) => drop(self.deliver_down(*client)),
            Do::See(client) => drop(self.clients[*client].see()),
            Do::Http(client) => drop(self.request(*client, true)),
            Do::LoseRequest(client) => drop(self.request(*client, false)),
            Do::Cut(client, arrives) => self.cut(*client, *arrives),
            Do::Connect(client) => self.connect(*client),
            Do::Tick => self.tick(),
        }
    }

    /// Connects every client, and lets everything in flight arrive.
    pub(super) fn come_to_rest(&mut self) {
        for client in 0..self.clients.len() {
            self.connect(client);
        }
        // Without pongs, what is due is sent after two ticks; with them, what is not seen takes four more.
        for _ in 0..8 {
            while (0..self.clients.len()).any(|client| {
                self.request(client, true)
                    || self.deliver_up(client)
                    || self.deliver_down(client)
                    || self.clients[client].see()
            }) {}
            let is_wrong = |held| self.clients.iter().any(|client| client.pongs && client.shown != held);
            if self.held().is_some_and(is_wrong) {
                // The clients have to be right before any tick.
                return;
            }
            self.tick();
        }
    }

    /// The room's content, if it has a store.
    pub(super) fn held(&self) -> Option<Content> {
        self.room.exists().then(|| self.room.content().clone())
    }

    /// What a client shows.
    pub(super) fn shown(&self, client: usize) -> &Content {
        &self.clients[client].shown
    }

    pub(super) fn wants_ticks(&self) -> bool {
        self.room.wants_ticks()
    }

    /// Whether the room pings a client, or sends it anything, after a change of the client that crosses nothing.
    pub(super) fn is_answered(&mut self, client: usize) -> bool {
        self.edit(client, &[Edit::SetValue(0)]);
        while self.deliver_up(client) {}
        !self.clients[client].down.is_empty()
    }

    fn edit(&mut self, number: usize, edits: &[Edit]) {
        let client = &mut self.clients[number];
        // An earlier edit would be overwritten by what is loaded, or never be sent.
        if !matches!(client.phase, Phase::Live) {
            return;
        }
        let mut changes = Changes::new();
        let mut odd = false;
        for edit in edits {
            self.edits += 1;
            let cell = Cell::from(self.edits);
            match *edit {
                Edit::SetCell(t, r, c) => changes.set_cell(id('t', t), id('r', r), id('c', c), cell),
                Edit::DelCell(t, r, c) => changes.del_cell(id('t', t), id('r', r), id('c', c)),
                Edit::DelRow(t, r) => changes.del_row(id('t', t), id('r', r)),
                Edit::DelTable(t) => changes.del_table(id('t', t)),
                Edit::SetValue(v) => changes.set_value(id('v', v), cell),
                Edit::DelValue(v) => changes.del_value(id('v', v)),
                Edit::SetOddValue => odd = true,
            }
        }
        if odd {
            changes.set_value("odd", Cell::try_from("odd").expect("text"));
        }
        // A store sends net changes only, and nothing if there are none.
        let before = client.shown.clone();
        client.shown.apply(&changes);
        let changes = before.diff(&client.shown);
        if !changes.is_empty() {
            let frame = wire().encode_changes(&changes).replace("\"odd\":\"odd\"", "\"odd\":\"\\ud83d\"");
            match client.connection {
                Some(connection) => client.up.push_back((connection, Up::Frame(frame))),
                None => client.unsent.push_back(frame),
            }
        }
    }

    fn deliver_up(&mut self, number: usize) -> bool {
        let Some((connection, up)) = self.clients[number].up.pop_front() else { return false };
        match up {
            Up::Frame(text) => self.handle(Input::Message { connection, text: &text }),
            Up::Pong(token) => self.handle(Input::Pong { connection, token }),
            Up::Close => self.handle(Input::Close { connection }),
        }
        true
    }

    fn deliver_down(&mut self, number: usize) -> bool {
        let client = &mut self.clients[number];
        match (client.down.pop_front(), client.connection) {
            (Some(Down::Frame(frame)), _) => client.inbox.push_back(frame),
            (Some(Down::Ping(token)), Some(connection)) if client.pongs => {
                client.up.push_back((connection, Up::Pong(token)));
            }
            (Some(Down::Ping(_)), _) => {}
            (None, _) => return false,
        }
        true
    }

    fn request(&mut self, number: usize, succeeds: bool) -> bool {
        let phase = std::mem::replace(&mut self.clients[number].phase, Phase::Live);
        let next = match phase {
            Phase::Live => return false,
            Phase::Get if !succeeds => self.got(number, String::new()),
            Phase::Get => Phase::Got(self.http("GET", "")),
            Phase::Got(body) => self.got(number, body),
            Phase::Put(body) => {
                if succeeds {
                    self.http("PUT", &body);
                }
                Phase::WasPut
            }
            Phase::WasPut => {
                self.clients[number].take_deferred();
                Phase::Live
            }
        };
        self.clients[number].phase = next;
        true
    }

    /// A client loads the answer to its request, then the messages that came meanwhile; then it saves.
    fn got(&mut self, number: usize, body: String) -> Phase {
        let client = &mut self.clients[number];
        if let Ok(content) = Content::from_json(&body) {
            client.shown = content.value;
        }
        client.take_deferred();
        Phase::Put(client.shown.to_json())
    }

    fn http(&mut self, method: &str, body: &str) -> String {
        let context = Context { method: method.into(), path: "/store".into(), ..Context::default() };
        let outputs = self.room.handle(Input::Request { request: RequestId(0), context, body: body.as_bytes() });
        let body = match outputs.last() {
            Some(Output::Respond { response, .. }) => response.body.clone(),
            _ => panic!("a request is answered"),
        };
        self.put_out(outputs);
        body.to_string()
    }

    fn connect(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if client.connection.is_some() {
            return;
        }
        let connection = ConnectionId(self.connections);
        self.connections += 1;
        client.connection = Some(connection);
        let unsent = std::mem::take(&mut client.unsent);
        client.up.extend(unsent.into_iter().map(|frame| (connection, Up::Frame(frame))));
        self.handle(Input::Connect { connection, context: Context::default() });
    }

    fn cut(&mut self, number: usize, arrives: bool) {
        let client = &mut self.clients[number];
        let Some(connection) = client.connection.take() else { return };
        client.down.clear();
        if !arrives {
            client.up.retain(|(_, up)| matches!(up, Up::Close));
        }
        client.up.push_back((connection, Up::Close));
    }

    /// Time passes. The room gets a tick only if it wants ticks: if not, a tick has no effect.
    fn tick(&mut self) {
        for client in &mut self.clients {
            while client.see() {}
        }
        if self.room.wants_ticks() {
            return self.handle(Input::Tick);
        }
        let mut room = self.room.clone();
        assert_eq!(room.handle(Input::Tick), []);
        assert!(!room.wants_ticks());
    }

    fn handle(&mut self, input: Input<'_>) {
        let outputs = self.room.handle(input);
        self.put_out(outputs);
    }

    fn put_out(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { to, frame } => to.iter().for_each(|to| self.down(to, Down::Frame(frame.to_string()))),
                Output::Ping { connection, token } => self.down(connection, Down::Ping(token)),
                Output::Commit(_) | Output::Snapshot(_) | Output::Respond { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn down(&mut self, to: ConnectionId, down: Down) {
        if let Some(client) = self.clients.iter_mut().find(|client| client.connection == Some(to)) {
            client.down.push_back(down);
        }
    }
}

impl Client {
    fn see(&mut self) -> bool {
        let Some(frame) = self.inbox.pop_front() else { return false };
        let payload = wire().decode_payload(&frame).expect("a stock frame").value;
        if matches!(self.phase, Phase::Live) {
            self.apply(payload);
        } else {
            self.deferred.push(payload);
        }
        true
    }

    fn take_deferred(&mut self) {
        for payload in std::mem::take(&mut self.deferred) {
            self.apply(payload);
        }
    }

    fn apply(&mut self, payload: Payload) {
        match payload {
            Payload::Changes(changes) => self.shown.apply(&changes),
            Payload::Content(content) => self.shown = content,
            Payload::Reload => panic!("nobody is asked to load"),
        }
    }
}

impl Policy for Half {
    fn can_set_cell(&self, _: &Id, row: &Id, cell: &Id, to: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        row != "r1" || cell != "c1" || to != &Cell::from(3)
    }
    fn can_set_row(&self, table: &Id, row: &Id, _: Asker<'_>) -> bool {
        table != "t1" || row != "r1"
    }
    fn can_del_row(&self, _: &Id, row: &Id, _: Asker<'_>) -> bool {
        row != "r0"
    }
    fn can_del_table(&self, table: &Id, _: Asker<'_>) -> bool {
        table != "t0"
    }
    fn can_set_value(&self, value: &Id, to: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
        assert_ne!(to, &Cell::from(7), "the policy failed");
        value != "v1"
    }
    fn can_del_value(&self, value: &Id, _: Asker<'_>) -> bool {
        value != "v0"
    }
}

fn id(kind: char, number: u8) -> Id {
    format!("{kind}{number}").into()
}

/// A client's content before it joins: something that no other client has, and something that differs between clients.
fn first_content(number: usize) -> Content {
    let mut content = Content::new();
    let mut changes = Changes::new();
    if number < 2 {
        let cell = i32::try_from(number).map(|number| Cell::from(-1 - number)).expect("few clients");
        changes.set_cell("t0", "r0", "c0", cell.clone());
        changes.set_cell("t1", format!("own{number}"), "c0", cell);
    }
    content.apply(&changes);
    content
}
