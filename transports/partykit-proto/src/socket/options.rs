//! The options of a socket.

mod with;

use std::{fmt, time::Duration};

use roommate::{Error, ErrorKind, Result};

use super::{Heartbeat, Query, url};

/// The protocol of a socket's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketProtocol {
    /// Without TLS: for this machine and trusted networks.
    Ws,
    /// With TLS.
    Wss,
}

impl SocketProtocol {
    /// Returns `ws` or `wss`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Returns `http` or `https`: the protocol of requests to the same server.
    pub fn http(self) -> &'static str {
        match self {
            Self::Ws => "http",
            Self::Wss => "https",
        }
    }
}

/// The server and room that a `PartySocket` connects to, and its settings: partysocket's options with their names in
/// snake case.
///
/// The defaults are partysocket's where it has the option. Three differ, since here nothing is dropped silently or
/// queued without a limit: `max_enqueued_messages`, `jitter` and the heartbeat.
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
    /// The server: a name or an address, optionally with a port. A leading protocol and one trailing slash are removed.
    /// A path after the host is the server's path and stays, as in partysocket, for a server at a path of a proxy:
    /// `example.com/rooms` leads to `example.com/rooms/parties/main/my_room`, for the socket and for HTTP alike.
    pub host: String,
    /// The room. Required before the first connection, unless there is a `base_path`.
    pub room: Option<String>,
    /// The party. Defaults to `main`.
    pub party: String,
    /// The whole path of the room, instead of prefix, party and room.
    pub base_path: Option<String>,
    /// The path segment before party and room. Defaults to `parties`.
    pub prefix: Option<String>,
    /// A path that follows the room, without a leading slash. It applies only to the socket: HTTP requests have their
    /// own.
    pub path: Option<String>,
    /// The protocol. Defaults to no TLS for this machine and private networks, and to TLS for all other hosts.
    pub protocol: Option<SocketProtocol>,
    /// The subprotocols to offer. The server must choose one of them: if it ignores them, the attempt fails.
    pub protocols: Vec<String>,
    /// The connection's id, `_pk` on the wire. Defaults to a random one.
    ///
    /// PartyKit confuses connections with the same id: of two open at the same time the first receives nothing. So a
    /// random id is reused for the next connection only if the server ended the last one with a close frame. After a
    /// connection that broke, which the server may still hold, the id is new. An id that is set here is always used.
    pub id: Option<String>,
    /// The query of the URL.
    pub query: Query,
    /// Headers of the upgrade request, for instance `Authorization`.
    pub headers: Vec<(String, String)>,
    /// Certificates to trust in addition to Mozilla's, each in DER: for a server with a self-signed or private
    /// certificate.
    pub root_certificates: Vec<Vec<u8>>,
    /// Whether to wait for `reconnect` before the first attempt.
    pub start_closed: bool,
    /// The delay before the second attempt; the first attempt starts at once. Defaults to 3 s.
    pub min_reconnection_delay: Duration,
    /// The longest delay between attempts, before jitter. Defaults to 10 s.
    pub max_reconnection_delay: Duration,
    /// The factor by which each delay is longer than the one before it. Defaults to 1.3.
    pub reconnection_delay_grow_factor: f64,
    /// How long a connection must last before the delays start over. Defaults to 5 s.
    pub min_uptime: Duration,
    /// How long an attempt may take, from the host look-up to the server's response. Defaults to 4 s.
    ///
    /// This is also how long a closing socket waits for the server's close frame.
    pub connection_timeout: Duration,
    /// How many attempts may follow a failed one before the socket gives up. Defaults to no limit.
    pub max_retries: Option<u32>,
    /// How many attempts in a row may be refused (HTTP 401, 403, 404...) before the socket gives up. Defaults to 3.
    ///
    /// Between refused attempts the socket waits for `max_reconnection_delay`.
    pub max_refusals: u32,
    /// How many messages may be queued. Defaults to 1024, where partysocket has no limit.
    pub max_enqueued_messages: usize,
    /// How many bytes may be queued. Defaults to 64 MiB. A single message may always be queued.
    pub max_enqueued_bytes: usize,
    /// The largest message, in bytes, that is received or sent. Defaults to 64 MiB. PartyKit's own servers accept 1
    /// MiB.
    pub max_message_size: usize,
    /// How much the delays vary, as a fraction, so that clients do not all reconnect at once. Defaults to 0.25: ±25 %.
    pub jitter: f64,
    /// How the socket detects that the server is gone without a close frame. `None` disables the detection.
    pub heartbeat: Option<Heartbeat>,
}

impl PartySocketOptions {
    /// Creates options for `room` on `host`, with defaults for everything else.
    pub fn new(host: impl Into<String>, room: impl Into<String>) -> Self {
        Self { room: Some(room.into()), ..Self::without_room(host) }
    }

    /// Creates options without a room: for a `base_path`, or for a socket that starts closed and gets its room later.
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

    /// Returns the protocol that the socket uses: the one that was set, or the default for the host.
    ///
    /// The default is no TLS for `localhost` and for loopback, unspecified and private addresses, with or without a
    /// port. (partysocket compares texts: there `localhost` without a port and `[::1]:1999` get TLS, and
    /// `10.example.com` gets none.)
    pub fn effective_protocol(&self) -> SocketProtocol {
        self.protocol.unwrap_or_else(|| url::guess_protocol(&self.host))
    }

    /// Returns the URL of the room without its query: protocol, host, prefix, party, room and path.
    ///
    /// Characters with a meaning in URLs are percent-encoded in party and room, so that any name is a room of its own.
    /// A name that works in JavaScript leads to the same room here. In JavaScript, names with `/`, `\`, `?` or `#` lead
    /// elsewhere. A `%` is not encoded, as in JavaScript: `a%2Fb` and `a/b` are one room. `^` is encoded, as in current
    /// browsers but not in Node 20.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a host, path, party or room that makes no valid URL.
    pub fn room_url(&self) -> Result<String> {
        let path = match self.path.as_deref() {
            None | Some("") => String::new(),
            Some(path) => format!("/{}", url::inner_path("path", path)?),
        };
        Ok(format!("{}://{}{path}", self.effective_protocol().as_str(), self.place()?))
    }

    /// Returns the URL that the socket connects to: the room's URL with the id and the query.
    ///
    /// # Errors
    /// As [`room_url`](Self::room_url).
    pub fn socket_url(&self, id: &str, query: &[(String, Option<String>)]) -> Result<String> {
        let pairs = query.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
        let query = url::form_urlencoded(std::iter::once(("_pk", id)).chain(pairs));
        Ok(format!("{}?{query}", self.room_url()?))
    }

    /// Returns the URL of `path` in the same room, for HTTP requests with `protocol` (`http` or `https`).
    ///
    /// The part up to the room is the socket's, whatever form host, prefix and base path have. The socket's path, id
    /// and query are not part of it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for another protocol, a path without a leading slash, or as [`room_url`](Self::room_url).
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

    /// Checks all options that are independent of the room, and the room as well unless the socket starts closed.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with a description of the invalid option.
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

    /// Whether there is a room, or a base path instead.
    fn has_place(&self) -> bool {
        let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        given(&self.base_path) || given(&self.room)
    }

    /// Host and path of the room: the part that the socket's URL and HTTP URLs share.
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

/// Hides the values of headers and query, since they may be secrets.
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
