//! What a socket is told when it is made.

mod with;

use std::{fmt, time::Duration};

use roommate::{Error, ErrorKind, Result};

use super::{Heartbeat, Query, url};

/// The protocol of a socket's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketProtocol {
    /// Plain: for this machine and trusted networks.
    Ws,
    /// Over TLS.
    Wss,
}

impl SocketProtocol {
    /// `ws` or `wss`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// `http` or `https`: the protocol of requests to the same server.
    pub fn http(self) -> &'static str {
        match self {
            Self::Ws => "http",
            Self::Wss => "https",
        }
    }
}

/// What a `PartySocket` connects to, and how: partysocket's options under its names, in snake case.
///
/// The defaults are partysocket's where it has the option. Three differ, since here nothing is dropped silently or
/// kept without a bound: `max_enqueued_messages`, `jitter` and the heartbeat.
///
/// ```
/// use roommate_partykit_proto::socket::PartySocketOptions;
///
/// let options = PartySocketOptions::new("localhost:1999", "my room").with_party("lobby");
/// assert_eq!(options.room_url()?, "ws://localhost:1999/parties/lobby/my%20room");
/// assert_eq!(options.http_url("http", "/store")?, "http://localhost:1999/parties/lobby/my%20room/store");
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct PartySocketOptions {
    /// The server: a name or an address, with a port if need be. A protocol in front and one slash behind are cut. A path
    /// behind it is that of the server and stays, as in partysocket, for one behind a proxy:
    /// `example.com/rooms` leads to `example.com/rooms/parties/main/my_room`, for the socket and for HTTP alike.
    pub host: String,
    /// The room. Needed before the first connection, unless there is a `base_path`.
    pub room: Option<String>,
    /// The party: `main` by default.
    pub party: String,
    /// The whole path of the room, instead of prefix, party and room.
    pub base_path: Option<String>,
    /// What stands before party and room: `parties` by default.
    pub prefix: Option<String>,
    /// A path behind the room, without a slash in front. Of the socket only: HTTP requests bring their own.
    pub path: Option<String>,
    /// The protocol; by default plain for this machine and private networks, TLS for all else.
    pub protocol: Option<SocketProtocol>,
    /// The subprotocols to offer. The server must choose one of them: one that ignores them fails the attempt.
    pub protocols: Vec<String>,
    /// The connection's id, `_pk` on the wire; by default a random one.
    ///
    /// PartyKit mistakes connections of one id for each other: of two at the same time the first hears nothing. So a
    /// random id is kept over reconnections only while the server said goodbye, and is a new one after a connection
    /// that just broke, which the server may still hold. An id that is given here is kept whatever happens.
    pub id: Option<String>,
    /// The query of the URL.
    pub query: Query,
    /// Headers of the upgrade request, for instance `Authorization`.
    pub headers: Vec<(String, String)>,
    /// Certificates to trust beside Mozilla's, each in DER: for a server whose certificate is one's own.
    pub root_certificates: Vec<Vec<u8>>,
    /// Whether to wait for `reconnect` before the first attempt.
    pub start_closed: bool,
    /// The wait before the second attempt; the first comes at once. 3 s by default.
    pub min_reconnection_delay: Duration,
    /// The longest wait between attempts, before jitter. 10 s by default.
    pub max_reconnection_delay: Duration,
    /// How much longer each wait is than the one before it. 1.3 by default.
    pub reconnection_delay_grow_factor: f64,
    /// How long a connection must last for the waits to start over. 5 s by default.
    pub min_uptime: Duration,
    /// How long an attempt may take, from the look-up of the host to the server's answer. 4 s by default.
    ///
    /// Also how long a closing socket waits for the server's goodbye.
    pub connection_timeout: Duration,
    /// How many attempts may follow a failed one before the socket gives up; by default there is no limit.
    pub max_retries: Option<u32>,
    /// How many attempts in a row may be refused (HTTP 401, 403, 404...) before the socket gives up. 3 by default.
    ///
    /// Between refused attempts it waits `max_reconnection_delay`.
    pub max_refusals: u32,
    /// How many messages may wait to be written. 1024 by default, where partysocket has no limit.
    pub max_enqueued_messages: usize,
    /// How many bytes may wait to be written. 64 MiB by default. One message alone may always wait.
    pub max_enqueued_bytes: usize,
    /// The largest message, in bytes, that is taken or sent. 64 MiB by default; PartyKit's own servers take 1 MiB.
    pub max_message_size: usize,
    /// How much the waits vary, as a part of them, so that clients do not all come back at once. 0.25 by default: ±25 %.
    pub jitter: f64,
    /// How the socket finds out that the server is gone without a goodbye. `None` never does.
    pub heartbeat: Option<Heartbeat>,
}

impl PartySocketOptions {
    /// Options for `room` on `host`, with defaults for all else.
    pub fn new(host: impl Into<String>, room: impl Into<String>) -> Self {
        Self { room: Some(room.into()), ..Self::without_room(host) }
    }

    /// Options without a room: for a `base_path`, or for a socket that starts closed and is told its room later.
    pub fn without_room(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            room: None,
            party: "main".to_owned(),
            base_path: None,
            prefix: None,
            path: None,
            protocol: None,
            protocols: Vec::new(),
            id: None,
            query: Query::default(),
            headers: Vec::new(),
            root_certificates: Vec::new(),
            start_closed: false,
            min_reconnection_delay: Duration::from_secs(3),
            max_reconnection_delay: Duration::from_secs(10),
            reconnection_delay_grow_factor: 1.3,
            min_uptime: Duration::from_secs(5),
            connection_timeout: Duration::from_secs(4),
            max_retries: None,
            max_refusals: 3,
            max_enqueued_messages: 1024,
            max_enqueued_bytes: 64 << 20,
            max_message_size: 64 << 20,
            jitter: 0.25,
            heartbeat: Some(Heartbeat::default()),
        }
    }

    /// The protocol that the socket uses: the one that was set, or the one that fits the host.
    ///
    /// Plain for `localhost` and for loopback, unspecified and private addresses, with or without a port. (partysocket
    /// compares texts: there `localhost` without a port and `[::1]:1999` get TLS, and `10.example.com` gets none.)
    pub fn effective_protocol(&self) -> SocketProtocol {
        self.protocol.unwrap_or_else(|| url::guess_protocol(&self.host))
    }

    /// The URL of the room without its query: protocol, host, prefix, party, room and path.
    ///
    /// Characters with a meaning in URLs are percent-encoded in party and room, so that any name is a room of its own. Names
    /// that work in JavaScript lead to the same room from here; there `/`, `\`, `?` and `#` lead elsewhere. A `%` stays as it
    /// is, as there: `a%2Fb` and `a/b` are one room. `^` is encoded, as in browsers of today but not in Node 20.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a host, path, party or room that makes no URL.
    pub fn room_url(&self) -> Result<String> {
        let path = match self.path.as_deref() {
            None | Some("") => String::new(),
            Some(path) => format!("/{}", url::inner_path("path", path)?),
        };
        Ok(format!("{}://{}{path}", self.effective_protocol().as_str(), self.place()?))
    }

    /// The URL that the socket connects to: that of the room, the id and the query.
    ///
    /// # Errors
    /// As [`room_url`](Self::room_url).
    pub fn socket_url(&self, id: &str, query: &[(String, Option<String>)]) -> Result<String> {
        let pairs = query.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
        let query = url::form_urlencoded(std::iter::once(("_pk", id)).chain(pairs));
        Ok(format!("{}?{query}", self.room_url()?))
    }

    /// The URL of `path` in the same room, for HTTP requests with `protocol` (`http` or `https`).
    ///
    /// The part up to the room is that of the socket, whatever shape host, prefix and base path have. The socket's
    /// path, id and query have no place in it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for another protocol, a path without a slash in front, or as [`room_url`](Self::room_url).
    pub fn http_url(&self, protocol: &str, path: &str) -> Result<String> {
        if !matches!(protocol, "http" | "https") {
            return Err(invalid(format!("the protocol of requests must be http or https, not {protocol:?}")));
        }
        let path = match path.strip_prefix('/') {
            Some(rest) => format!("/{}", url::inner_path("path", rest)?),
            None if path.is_empty() => String::new(),
            None => return Err(invalid(format!("the path of a request must start with a slash: {path:?} does not"))),
        };
        Ok(format!("{protocol}://{}{path}", self.place()?))
    }

    /// Whether all that needs no room is in order, and the room as well unless the socket starts closed.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with what is wrong.
    pub fn validate(&self) -> Result<()> {
        if self.has_place() || !self.start_closed {
            self.room_url()?;
        } else {
            url::host(&self.host)?;
        }
        for (name, value) in &self.headers {
            url::check_header(name, value)?;
        }
        for protocol in &self.protocols {
            if !url::is_token(protocol) {
                return Err(invalid(format!("{protocol:?} is no name for a subprotocol")));
            }
        }
        if self.min_reconnection_delay > self.max_reconnection_delay {
            return Err(invalid("min_reconnection_delay must not be more than max_reconnection_delay"));
        }
        if !(self.reconnection_delay_grow_factor >= 1.0 && self.reconnection_delay_grow_factor.is_finite()) {
            return Err(invalid("reconnection_delay_grow_factor must be a number from 1"));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(invalid("jitter must be a number from 0 to 1"));
        }
        let positive = [
            ("connection_timeout", !self.connection_timeout.is_zero()),
            ("max_enqueued_messages", self.max_enqueued_messages > 0),
            ("max_message_size", self.max_message_size > 0),
            ("heartbeat interval", self.heartbeat.is_none_or(|heartbeat| !heartbeat.interval.is_zero())),
            ("heartbeat timeout", self.heartbeat.is_none_or(|heartbeat| !heartbeat.timeout.is_zero())),
        ];
        match positive.iter().find(|(_, holds)| !holds) {
            Some((name, _)) => Err(invalid(format!("{name} must be more than zero"))),
            None => Ok(()),
        }
    }

    /// Whether there is a room, or a path instead.
    fn has_place(&self) -> bool {
        let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        given(&self.base_path) || given(&self.room)
    }

    /// Host and path of the room: what the socket and HTTP have in common.
    fn place(&self) -> Result<String> {
        let host = url::host(&self.host)?;
        if let Some(base_path) = self.base_path.as_deref().filter(|path| !path.is_empty()) {
            return Ok(format!("{host}/{}", url::inner_path("base_path", base_path)?));
        }
        let Some(room) = self.room.as_deref().filter(|room| !room.is_empty()) else {
            return Err(invalid("a socket needs a room or a base_path to connect to"));
        };
        let prefix = match self.prefix.as_deref() {
            None | Some("") => "parties".to_owned(),
            Some(prefix) => url::inner_path("prefix", prefix)?,
        };
        Ok(format!("{host}/{prefix}/{}/{}", url::segment("party", &self.party)?, url::segment("room", room)?))
    }
}

/// Shows no values of headers and query: they may be secrets.
impl fmt::Debug for PartySocketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartySocketOptions")
            .field("host", &self.host)
            .field("room", &self.room)
            .field("party", &self.party)
            .field("base_path", &self.base_path)
            .field("prefix", &self.prefix)
            .field("path", &self.path)
            .field("protocol", &self.protocol)
            .field("id", &self.id)
            .field("query", &self.query)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
