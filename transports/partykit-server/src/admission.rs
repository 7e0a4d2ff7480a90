//! Asks the policy which clients are let in, before anything else is done for a request.

use axum::response::Response as Answer;
use roommate_partykit_proto::Context;
use tokio::time::timeout;
use tracing::error;

use crate::{answer::answer, rooms::Rooms, router::unavailable};

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    Connection,
    Request,
}

/// Returns when the policy lets a client in. Otherwise fails with the answer for the client.
///
/// The policy may add to the context.
pub(crate) async fn admit(rooms: &Rooms, context: &mut Context, door: Door) -> Result<(), Answer> {
    let config = &rooms.config().room;
    let asked = async {
        match door {
            Door::Connection => config.admit_connection(context).await,
            Door::Request => config.admit_request(context).await,
        }
    };
    let asked = tokio::select! {
        asked = timeout(rooms.config().policy_timeout, asked) => asked,
        () = rooms.stop().cancelled() => return Err(unavailable(config.response_headers())),
    };
    asked.unwrap_or_else(|_elapsed| Err(config.policy_timed_out(context))).map_err(|rejection| {
        if let Some(error) = &rejection.error {
            error!(party = context.party, room = context.room, %error, "the policy failed");
        }
        answer(rejection.response)
    })
}
