//! The routes to the rooms.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, OriginalUri, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::Response as Answer,
    routing::any,
};
use futures_util::StreamExt;
use hyper::upgrade::OnUpgrade;
use roommate_partykit_proto::{Context, Headers, Limits, Response, RoomPath};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tracing::debug;

use crate::{
    admission::{Door, admit},
    answer::{add_headers, answer},
    connection::{self, Bounds, Connection, Reader},
    handshake::Handshake,
    host::Command,
    rooms::{Lease, NoRoom, Rooms},
};

pub(crate) fn router(rooms: Rooms) -> Router {
    Router::new().route("/party/{*rest}", any(visit)).route("/parties/{*rest}", any(visit)).with_state(rooms)
}

/// The answer to a path that does not name a room.
pub(crate) fn not_found(headers: &Headers) -> Answer {
    answer(Response::not_found(headers))
}

async fn visit(State(rooms): State<Rooms>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let headers = rooms.config().room.response_headers();
    // The path below the one at which the routes are nested.
    let path = parts.uri.path().to_owned();
    let Some(path) = RoomPath::parse(&path) else {
        return not_found(headers);
    };
    if !rooms.config().has_party(path.party) {
        return answer(Response::party_not_found(path.party, headers));
    }
    let answered = match wants_websocket(&parts.headers) {
        true => connect(&rooms, path, parts).await,
        false => request_room(&rooms, path, parts, body).await,
    };
    answered.unwrap_or_else(|answer| answer)
}

/// Opens a WebSocket connection to the room.
///
/// The room accepts the connection, and may send on it, before the client learns that it is open.
async fn connect(rooms: &Rooms, path: RoomPath<'_>, mut parts: Parts) -> Result<Answer, Answer> {
    let config = rooms.config();
    let headers = config.room.response_headers();
    let handshake = Handshake::from_request_parts(&mut parts).await.map_err(|mut rejection| {
        add_headers(&mut rejection, headers);
        rejection
    })?;
    let mut context = context(parts, path);
    admit(rooms, &mut context, Door::Connection).await?;
    let membership = rooms.membership(lease(rooms, path).map_err(answer)?);
    let bounds = Bounds { frames: config.max_queued_frames, bytes: config.max_queued_bytes };
    let connection = Connection::new(membership.connection(), bounds);
    let (let_in, refusal) = oneshot::channel();
    membership.send(Command::Connect { connection: Arc::clone(&connection), context, answer: let_in }).await;
    match refusal.await {
        Ok(None) => {}
        Ok(Some(refusal)) => return Err(answer(refusal)),
        Err(_gone) => return Err(unavailable(headers)),
    }
    // Messages larger than the room's limit are read, too, up to a certain size, so that the room can reject them with
    // the proper code. Any client within PartyKit's limit gets that code.
    let max_size = config.room.max_message_size().saturating_mul(2).max(Limits::default().message);
    let (config, stop) = (Arc::clone(config), rooms.stop().clone());
    let (answer, socket) = handshake.accept();
    rooms.tasks().spawn(async move {
        match socket.await {
            Ok(socket) => {
                connection.attach(socket);
                connection::serve(connection, Reader::new(max_size), membership, config, stop).await;
            }
            Err(error) => debug!(connection = connection.id().0, %error, "the upgrade failed"),
        }
    });
    Ok(answer)
}

/// Answers an HTTP request. A request that the policy refuses opens no room, and its body is not read.
async fn request_room(rooms: &Rooms, path: RoomPath<'_>, parts: Parts, body: Body) -> Result<Answer, Answer> {
    let config = rooms.config();
    let headers = config.room.response_headers();
    let mut context = context(parts, path);
    admit(rooms, &mut context, Door::Request).await?;
    let lease = lease(rooms, path).map_err(answer)?;
    let body = if context.method == "PUT" {
        let read = read_body(body, config.room.max_body_size(), config.body_timeout);
        let read = tokio::select! {
            read = read => read,
            () = rooms.stop().cancelled() => return Err(unavailable(headers)),
        };
        read.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => answer(Response::text(408, headers, "the body took too long to arrive")),
            _ => answer(Response::text(400, headers, error.to_string())),
        })?
    } else {
        Bytes::new()
    };
    let (reply, response) = oneshot::channel();
    lease.send(Command::Request { context, body, answer: reply }).await;
    response.await.map(answer).map_err(|_gone| unavailable(headers))
}

/// A lease of a room, which is opened if it is closed.
fn lease(rooms: &Rooms, path: RoomPath<'_>) -> Result<Lease, Response> {
    let headers = rooms.config().room.response_headers();
    rooms.lease(path.into()).map_err(|why| match why {
        NoRoom::TooMany => Response::text(503, headers, "there are too many rooms"),
        NoRoom::Stopping => Response::text(503, headers, STOPPING),
    })
}

const STOPPING: &str = "the room is shutting down: try again";

/// How many bytes of a body have to arrive in each second after the `PUT`'s time limit.
const SLOWEST_BODY: usize = 16 << 10;

/// Reads a body of up to `max_size` bytes. Of a larger one it reads just enough for the room to detect that.
///
/// Fails with [`io::ErrorKind::TimedOut`] if the body takes longer than `patience` plus the slowest allowed time for
/// the bytes that have arrived.
async fn read_body(body: Body, max_size: usize, patience: Duration) -> io::Result<Bytes> {
    let mut chunks = body.into_data_stream();
    let mut body = Vec::new();
    let began = Instant::now();
    loop {
        let allowed = patience.saturating_add(Duration::from_secs((body.len() / SLOWEST_BODY) as u64));
        let left = allowed.saturating_sub(began.elapsed());
        let Some(chunk) = timeout(left, chunks.next()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        else {
            break;
        };
        let chunk = chunk.map_err(io::Error::other)?;
        if body.is_empty() && chunk.len() > max_size {
            return Ok(chunk);
        }
        body.extend_from_slice(&chunk);
        if body.len() > max_size {
            break;
        }
    }
    Ok(body.into())
}

pub(crate) fn unavailable(headers: &Headers) -> Answer {
    answer(Response::text(503, headers, STOPPING))
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn context(parts: Parts, path: RoomPath<'_>) -> Context {
    let Parts { method, uri, headers, mut extensions, .. } = parts;
    // The socket belongs to the connection.
    extensions.remove::<OnUpgrade>();
    let uri = extensions.get().map_or(uri, |OriginalUri(whole)| whole.clone());
    let mut context = Context::default();
    context.party = path.party.to_owned();
    context.room = path.room.to_owned();
    context.method = method.as_str().to_owned();
    context.path = uri.path().to_owned();
    context.query = uri.query().unwrap_or_default().to_owned();
    // One character per byte, as in JavaScript's `Headers`.
    let text = |value: &HeaderValue| value.as_bytes().iter().copied().map(char::from).collect();
    context.headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    context.peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    // hyper's texts are parts of its read buffer of 16 KiB, which would stay in memory as long as the connection.
    if let Some(OriginalUri(uri)) = extensions.get_mut()
        && let Ok(own) = uri.to_string().parse()
    {
        *uri = own;
    }
    context.extensions = extensions;
    context
}
