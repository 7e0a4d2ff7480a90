//! The HTTP interface of a room: paths and answers.

use std::sync::Arc;

use super::shared_str::SharedStr;

/// The room that a path leads to, percent-encoded as received.
///
/// The path has one of PartyKit's two forms, `/parties/<party>/<room>` or `/party/<room>` (party `main`), optionally
/// followed by more segments:
///
/// ```
/// use roommate_partykit_proto::RoomPath;
///
/// let path = RoomPath::parse("/parties/chess/a%20b/store").expect("names a room");
/// assert_eq!((path.party, path.room), ("chess", "a%20b"));
/// assert_eq!(RoomPath::parse("/party/lobby").expect("names a room").party, "main");
/// assert_eq!(RoomPath::parse("/parties/chess"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoomPath<'a> {
    /// The party: a class of rooms.
    pub party: &'a str,
    /// The room within its party.
    pub room: &'a str,
}

/// An answer to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body; empty for most answers. The content is encoded once for all requests that are answered at the same
    /// time.
    pub body: SharedStr,
}

/// Header names and values, shared by all answers of a room.
pub type Headers = Arc<[(String, String)]>;

/// The party of `/party/<room>`, and of clients that name no party.
pub const MAIN_PARTY: &str = "main";

impl<'a> RoomPath<'a> {
    /// Parses the path of a URL; `None` if it leads to no room.
    pub fn parse(path: &'a str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let party = match segments.next()? {
            "parties" => segments.next()?,
            "party" => MAIN_PARTY,
            _ => return None,
        };
        let room = segments.next().filter(|room| !room.is_empty())?;
        Some(Self { party, room })
    }
}

impl Response {
    /// Creates an answer without a body.
    pub fn empty(status: u16, headers: &Headers) -> Self {
        Self::text(status, headers, SharedStr::default())
    }

    /// Creates an answer with a text.
    pub fn text(status: u16, headers: &Headers, body: impl Into<SharedStr>) -> Self {
        Self { status, headers: Arc::clone(headers), body: body.into() }
    }

    /// PartyKit's answer to a path that leads to no room.
    pub fn not_found(headers: &Headers) -> Self {
        Self::text(404, headers, "Not found")
    }

    /// PartyKit's answer to a party that does not exist.
    pub fn party_not_found(party: &str, headers: &Headers) -> Self {
        Self::text(404, headers, format!("Party {party} not found"))
    }
}

/// The headers that allow pages of any origin to use a room: TinyBase's default.
pub fn cors_headers() -> Headers {
    ["Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"]
        .map(|name| (name.into(), "*".into()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_path_forms_lead_to_a_room_with_anything_behind() {
        for (path, party, room) in [
            ("/parties/main/r", "main", "r"),
            ("/parties/main/r/", "main", "r"),
            ("/parties/main/r/store", "main", "r"),
            ("/parties/ch%2Fess/a%20b/x/y/store", "ch%2Fess", "a%20b"),
            ("/party/r", "main", "r"),
            ("/party/r/store", "main", "r"),
            ("/party/parties", "main", "parties"),
        ] {
            assert_eq!(RoomPath::parse(path), Some(RoomPath { party, room }), "{path}");
        }
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in
            ["", "/", "/parties", "/parties/", "/parties/main", "/parties/main/", "/party", "/party/", "/x/main/r"]
        {
            assert_eq!(RoomPath::parse(path), None, "{path}");
        }
        assert_eq!(RoomPath::parse("parties/main/r"), None);
        assert_eq!(RoomPath::parse("//parties/main/r"), None);
    }
}
