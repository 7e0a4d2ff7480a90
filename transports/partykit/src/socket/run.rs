//! The task of a socket: it connects again and again, for as long as the socket is wanted.

use std::sync::Arc;

use roommate::{Error, ErrorKind};
use tokio::{select, sync::mpsc, time::sleep};
use tracing::debug;

use super::{
    connect::{Failure, WebSocket, connect},
    connection::{Connection, End},
    events::Told,
    metered::Vitals,
    shared::Shared,
};
use crate::proto::socket::{Fate, SocketEvent, Target};

/// Runs a socket until its last handle is dropped.
pub(super) async fn run(task: Task) {
    while let Some(target) = task.shared.target().await {
        let vitals = Vitals::new();
        let attempt = select! {
            biased;
            () = task.shared.turned(target.turn) => {
                // The server may be accepting the connection at this moment.
                task.shared.id_is_spent();
                continue;
            }
            attempt = connect(&target, vitals.clone()) => attempt,
        };
        let fate = match attempt {
            Ok(socket) => task.open(socket, &target, vitals).await,
            Err(failure) => task.failed(failure, &target).await,
        };
        if let Some(Fate::Again(delay)) = fate {
            debug!(host = target.options.host, ?delay, "waits before the next attempt");
            select! {
                () = task.shared.turned(target.turn) => {}
                () = sleep(delay) => {}
            }
        }
    }
}

/// The state of the task. Dropping it marks the socket as ended, for instance when the runtime shuts down.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) shared: Arc<Shared>,
    pub(super) events: mpsc::Sender<Told>,
}

impl Task {
    /// Runs a connection from its first to its last event.
    async fn open(&self, socket: WebSocket, target: &Target, vitals: Arc<Vitals>) -> Option<Fate> {
        // The bytes read so far are the handshake.
        vitals.is_whole();
        let Some(epoch) = self.shared.opened(target.turn, &vitals) else {
            // The connection is dropped without a close frame, so the server may notice late.
            self.shared.id_is_spent();
            return None;
        };
        debug!(host = target.options.host, id = target.id, epoch, "open");
        self.tell(SocketEvent::Open { epoch }).await;
        vitals.heard();
        let connection = Connection {
            shared: &self.shared,
            turn: target.turn,
            heartbeat: target.options.heartbeat,
            vitals,
            events: &self.events,
        };
        let End { goodbye, is_clean, error } = connection.run(socket).await;
        debug!(host = target.options.host, epoch, code = goodbye.code, reason = goodbye.reason, "closed");
        if !is_clean {
            self.shared.id_is_spent();
        }
        let fate = self.shared.ended(target.turn);
        if let Some(error) = error {
            self.tell(SocketEvent::Error(error)).await;
        }
        self.tell(SocketEvent::Close { code: goodbye.code, reason: goodbye.reason, epoch }).await;
        if let Some(Fate::OutOfRetries) = fate {
            self.give_up("the connection ended and max_retries allows no other: reconnect() starts over".into(), None)
                .await;
        }
        fate
    }

    /// Reports a failed attempt.
    async fn failed(&self, Failure { error, may_have_opened }: Failure, target: &Target) -> Option<Fate> {
        debug!(host = target.options.host, %error, "cannot connect");
        if may_have_opened {
            self.shared.id_is_spent();
        }
        let fate = self.shared.failed(target.turn, error.kind() == ErrorKind::Refused);
        match fate {
            Some(Fate::OutOfRetries) => {
                self.give_up(format!("{error}; max_retries is reached, reconnect() starts over"), Some(error)).await;
            }
            Some(Fate::Refused) => {
                self.give_up(
                    format!(
                        "{error}; refused too often: mend the query, the headers or the address, then call reconnect()"
                    ),
                    Some(error),
                )
                .await;
            }
            _ => self.tell(SocketEvent::Error(error)).await,
        }
        fate
    }

    async fn give_up(&self, message: String, cause: Option<Error>) {
        let error = match cause {
            Some(cause) => Error::with_source(cause.kind(), message, cause),
            None => Error::new(ErrorKind::Unavailable, message),
        };
        self.pass(Told::GaveUp(error)).await;
    }

    async fn tell(&self, event: SocketEvent) {
        self.pass(Told::Event(event)).await;
    }

    /// Waits for slow subscribers, but not once the socket itself is dropped.
    async fn pass(&self, told: Told) {
        select! {
            biased;
            // The send fails only if the dispatcher ended with its runtime.
            _ = self.events.send(told) => {}
            () = self.shared.abandoned() => {}
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.shared.task_ended();
    }
}
