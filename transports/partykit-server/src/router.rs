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

/// What a path that leads to no room is answered with.
pub(crate) fn not_found(headers: &Headers) -> Answer {
    answer(Response::not_found(headers))
}

async fn visit(State(rooms): State<Rooms>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let headers = rooms.config().room.response_headers();
    // Below the path at which the routes are nested.
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

/// Opens a WebSocket connection into the room.
///
/// The room has let the connection in, and sends to it, before the client learns that it is open.
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
    // Larger messages than the room takes are read all the same, up to a point, so that it can say so in good order: to any
    // client that keeps to PartyKit's limit, for one.
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

/// Answers an HTTP request. What the policy refuses opens no room, and its body is not read.
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

/// The way to a room, which is opened if it is not.
fn lease(rooms: &Rooms, path: RoomPath<'_>) -> Result<Lease, Response> {
    let headers = rooms.config().room.response_headers();
    rooms.lease(path.into()).map_err(|why| match why {
        NoRoom::TooMany => Response::text(503, headers, "there are too many rooms"),
        NoRoom::Stopping => Response::text(503, headers, STOPPING),
    })
}

const STOPPING: &str = "the room is shutting down: try again";

/// How many bytes of a body a second have to arrive at least, once it has taken its time.
const SLOWEST_BODY: usize = 16 << 10;

/// Reads a body of up to `max_size` bytes; of a larger one enough for the room to see that it is.
///
/// Fails with [`io::ErrorKind::TimedOut`] if it takes longer than `patience` and what has arrived takes at the slowest.
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
    // The socket is the connection's.
    extensions.remove::<OnUpgrade>();
    let uri = extensions.get().map_or(uri, |OriginalUri(whole)| whole.clone());
    let mut context = Context::default();
    context.party = path.party.to_owned();
    context.room = path.room.to_owned();
    context.method = method.as_str().to_owned();
    context.path = uri.path().to_owned();
    context.query = uri.query().unwrap_or_default().to_owned();
    // A character for each byte, as JavaScript's `Headers` has them.
    let text = |value: &HeaderValue| value.as_bytes().iter().copied().map(char::from).collect();
    context.headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    context.peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    // hyper's texts are pieces of its read buffer, which would stay as long as the connection: 16 KiB.
    if let Some(OriginalUri(uri)) = extensions.get_mut()
        && let Ok(own) = uri.to_string().parse()
    {
        *uri = own;
    }
    context.extensions = extensions;
    context
}
