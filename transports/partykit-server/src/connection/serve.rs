//! The task of one connection.

use std::{future::poll_fn, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{
    Utf8Bytes,
    protocol::{CloseFrame, frame::coding::CloseCode},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    Connection, Work,
    frame::{Frames, PING},
    reader::{End, Reader},
};
use crate::{config::ServerConfig, host::Command, rooms::Membership};

/// The shortest heartbeat; a shorter one is set to it.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest heartbeat, ten years; a longer one is set to it.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How many arrivals are handed to the room as one command.
const ARRIVALS: usize = 32;

/// The close frame for a connection whose room has ended.
pub(crate) const GONE: CloseFrame = away("the room is gone");
const SILENT: CloseFrame = away("no answer to pings");
const RESTARTING: CloseFrame =
    CloseFrame { code: CloseCode::Restart, reason: Utf8Bytes::from_static("the server is restarting") };

const fn away(reason: &'static str) -> CloseFrame {
    CloseFrame { code: CloseCode::Away, reason: Utf8Bytes::from_static(reason) }
}

/// How a connection ends.
#[derive(Debug)]
enum Ending {
    /// The other end is gone.
    Gone,
    /// The server closes.
    Close(CloseFrame),
    /// The server closes, and cannot read any more.
    Fail(CloseFrame),
    /// The other end has closed. Only the reply has to be written.
    Closed { reply: Vec<u8> },
}

/// Serves a connection that is [attached](Connection::attach) until it ends, from either side.
pub(crate) async fn serve(
    connection: Arc<Connection>,
    mut reader: Reader,
    membership: Membership,
    config: Arc<ServerConfig>,
    stop: CancellationToken,
) {
    let ending = tokio::select! {
        biased;
        work = connection.work() => match work {
            Work::Close(frame) => Ending::Close(frame),
            Work::Broken => Ending::Gone,
        },
        () = stop.cancelled() => Ending::Close(RESTARTING),
        () = silence(&connection, config.heartbeat.clamp(SHORTEST, NEVER)) => Ending::Close(SILENT),
        // Last, since there may always be something to read.
        ending = read(&connection, &mut reader, &membership) => ending,
    };
    // The room forgets the connection now; the closing handshake may take a while.
    drop(membership);
    let _too_late = timeout(config.close_timeout, end(&connection, &mut reader, ending)).await;
    connection.end();
}

/// Passes arrivals to the room. Returns when no more will arrive.
async fn read(connection: &Connection, reader: &mut Reader, membership: &Membership) -> Ending {
    loop {
        let mut received = poll_fn(|context| reader.poll_receive(connection, context)).await;
        while !received.arrivals.is_empty() {
            let rest = received.arrivals.split_off(received.arrivals.len().min(ARRIVALS));
            let command = Command::Arrived { connection: connection.id(), arrivals: received.arrivals };
            received.arrivals = rest;
            if !membership.send(command).await {
                return Ending::Close(GONE);
            }
        }
        if received.end == Some(End::Closed) {
            return Ending::Closed { reply: received.replies };
        }
        if !received.replies.is_empty() {
            connection.send_or_drop(&Frames::one(received.replies));
        }
        match received.end {
            None => {}
            Some(End::Gone | End::Closed) => return Ending::Gone,
            Some(End::Failed(frame)) => return Ending::Fail(frame),
        }
    }
}

/// Pings once per interval. Returns when the other end has shown no sign of life for two intervals.
///
/// A sign of life is a byte that arrives, or a byte that is accepted while the socket is full. The second counts
/// because a client that reads a large content answers pings only after it. When the socket becomes full, the two
/// intervals start again.
async fn silence(connection: &Connection, interval: Duration) {
    let (mut alive, mut next_ping) = (Instant::now(), Instant::now() + interval);
    loop {
        alive = alive.max(connection.received());
        let now = Instant::now();
        if alive + interval.saturating_mul(2) <= now {
            if !connection.took() {
                return;
            }
            alive = now;
        }
        if next_ping <= now {
            next_ping = now + interval;
            // While frames are queued, accepting bytes of them is the sign of life.
            if connection.is_idle() {
                connection.send_or_drop(&Frames::one(&PING[..]));
            }
        }
        sleep_until(next_ping.min(alive + interval.saturating_mul(2))).await;
    }
}

/// Closes the connection.
async fn end(connection: &Connection, reader: &mut Reader, ending: Ending) {
    let (Ending::Close(frame) | Ending::Fail(frame)) = &ending else {
        if let Ending::Closed { reply } = ending {
            connection.finish(reply);
            let _broken = connection.drained().await;
        }
        return;
    };
    debug!(connection = connection.id().0, code = u16::from(frame.code), reason = %frame.reason, "closing");
    connection.finish(reader.close(frame.clone()));
    // If the socket were dropped with unread input, it would be reset, and the client might never read the close frame.
    let read = async {
        if let Ending::Close(_) = ending {
            while poll_fn(|context| reader.poll_receive(connection, context)).await.end.is_none() {}
        } else {
            poll_fn(|context| Reader::poll_discard(connection, context)).await;
        }
    };
    let write = async {
        if connection.drained().await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}
