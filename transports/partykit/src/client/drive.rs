//! The task of a persister: it passes events to the client and carries out the client's outputs.

use std::{future::pending, sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use roommate::{Content, Result};
use tokio::{
    select,
    time::{sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::shared::Shared;
use crate::{
    proto::{Asking, CheckId, Spoken, WatchId},
    socket::SocketEvents,
};

/// How long to pause before trying again on a connection that has some room but accepts no more messages.
const BREATH: Duration = Duration::from_millis(20);

/// The result of the GET of a check; `None` for a failure.
type Answer = (CheckId, Option<Option<Content>>);

/// The result of asking the server for its dialect.
type Spoke = (Asking, Result<Spoken>);

/// Runs until the persister is closed or dropped.
pub(super) async fn drive(shared: Arc<Shared>, mut main: SocketEvents, ended: CancellationToken) {
    let mut ear: Option<(WatchId, SocketEvents)> = None;
    let mut get: Option<BoxFuture<'static, Answer>> = None;
    let mut ask: Option<BoxFuture<'static, Spoke>> = None;
    loop {
        let work = shared.take_work();
        if work.ear.is_some() {
            ear = work.ear;
        }
        if let Some(check) = work.get {
            get = Some(Box::pin(answer(shared.clone(), check)));
        }
        if let Some(asking) = work.ask {
            let shared = shared.clone();
            ask = Some(Box::pin(async move { (asking, shared.endpoint().spoken().await) }));
        }
        let timer = async {
            match work.wake_at {
                Some(wake_at) => sleep_until(wake_at).await,
                None => pending().await,
            }
        };
        let unblocked = async {
            match work.blocked {
                Some((socket, epoch)) => {
                    socket.writable(epoch).await;
                    sleep(BREATH).await;
                }
                None => pending().await,
            }
        };
        select! {
            () = ended.cancelled() => return,
            event = main.recv() => match event {
                Some(event) => shared.main_event(event),
                None => return shared.socket_is_gone(),
            },
            event = next(&mut ear) => {
                let listens = event.is_some_and(|(id, event)| shared.ear_event(id, event));
                if !listens {
                    ear = None;
                }
            }
            (check, content) = taken(&mut get) => {
                get = None;
                shared.checked(check, content);
            }
            (asking, answer) = taken(&mut ask) => {
                ask = None;
                shared.answered(asking, answer);
            }
            () = timer => shared.tick(),
            () = unblocked => shared.tick(),
            () = shared.work.notified() => {}
        }
    }
}

async fn answer(shared: Arc<Shared>, check: CheckId) -> Answer {
    match shared.endpoint().get().await {
        Ok(content) => (check, Some(content)),
        Err(error) => {
            debug!(%error, "cannot check what became of changes");
            (check, None)
        }
    }
}

async fn next(ear: &mut Option<(WatchId, SocketEvents)>) -> Option<(WatchId, crate::SocketEvent)> {
    match ear {
        Some((id, events)) => Some((*id, events.recv().await?)),
        None => pending().await,
    }
}

async fn taken<T>(pending_answer: &mut Option<BoxFuture<'static, T>>) -> T {
    match pending_answer {
        Some(answer) => answer.await,
        None => pending().await,
    }
}
