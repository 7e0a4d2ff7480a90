//! Admission: the part of a policy that a host awaits before it passes a request to the room.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use roommate::{Error, ErrorKind, Result};

use super::{http::Response, policy::Context, room::RoomConfig};

/// The refusal of a request before it reaches its room.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The answer to the client.
    pub response: Response,
    /// The error, for the host to log; `None` if the policy refused the request.
    pub error: Option<Error>,
}

impl RoomConfig {
    /// Asks the policy whether a client may open a connection. After that the host passes in [`Input::Connect`].
    ///
    /// [`Input::Connect`]: super::Input::Connect
    ///
    /// # Errors
    ///
    /// If the client may not, or the policy fails: the answer to send in place of the room's.
    pub async fn admit_connection(&self, context: &mut Context) -> Result<(), Rejection> {
        let asked = AssertUnwindSafe(self.policy().can_connect(context)).catch_unwind().await;
        self.judge(context, asked.unwrap_or_else(|_| Err(panicked())))
    }

    /// Asks the policy whether a client may make a request. After that the host passes in [`Input::Request`].
    ///
    /// [`Input::Request`]: super::Input::Request
    ///
    /// # Errors
    ///
    /// As [`admit_connection`](Self::admit_connection).
    pub async fn admit_request(&self, context: &mut Context) -> Result<(), Rejection> {
        let asked = AssertUnwindSafe(self.policy().can_request(context)).catch_unwind().await;
        self.judge(context, asked.unwrap_or_else(|_| Err(panicked())))
    }

    /// The answer to a request that the policy has not decided in time.
    pub fn policy_timed_out(&self, context: &Context) -> Rejection {
        let error = Error::new(ErrorKind::Unavailable, "the policy has not answered in time");
        self.reject(context, 503, "the room's policy has not answered in time: try again", Some(error))
    }

    fn judge(&self, context: &Context, allowed: Result<bool>) -> Result<(), Rejection> {
        match allowed {
            Ok(true) => Ok(()),
            // A browser's preflight carries no credentials, and if it is refused the browser never sends the page's
            // request.
            Ok(false) if context.method == "OPTIONS" => Err(self.reject(context, 200, "", None)),
            Ok(false) => Err(self.reject(context, 401, "Unauthorised", None)),
            Err(error) => Err(self.reject(context, 500, "the room's policy failed", Some(error))),
        }
    }

    fn reject(&self, context: &Context, status: u16, text: &'static str, error: Option<Error>) -> Rejection {
        let is_store = context.path.ends_with(self.store_path());
        let headers = if is_store { &self.store_headers() } else { self.response_headers() };
        Rejection { response: Response::text(status, headers, text), error }
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Callback, "the policy panicked")
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use roommate::block_on;

    use super::*;
    use crate::{DIALECT_HEADER, Policy};

    /// Answers as the query asks.
    #[derive(Debug)]
    struct Obedient;

    impl Obedient {
        fn obey(context: &mut Context) -> Result<bool> {
            context.extensions.insert(7_u8);
            match &*context.query {
                "panic" => panic!("as it was told"),
                "fail" => Err(Error::new(ErrorKind::Unavailable, "no database")),
                query => Ok(query == "allow"),
            }
        }
    }

    #[async_trait]
    impl Policy for Obedient {
        async fn can_connect(&self, context: &mut Context) -> Result<bool> {
            Self::obey(context)
        }
        async fn can_request(&self, context: &mut Context) -> Result<bool> {
            Self::obey(context)
        }
    }

    fn context(method: &str, query: &str) -> Context {
        Context { method: method.into(), path: "/party/r/store".into(), query: query.into(), ..Context::default() }
    }

    #[test]
    fn r8_each_answer_of_a_policy_has_one_of_the_rooms() {
        let config = RoomConfig::new().with_policy(Obedient);
        for (query, status, error) in [
            ("refuse", 401, None),
            ("fail", 500, Some(ErrorKind::Unavailable)),
            ("panic", 500, Some(ErrorKind::Callback)),
        ] {
            let mut context = context("GET", query);
            for rejection in [
                block_on(config.admit_connection(&mut context)).unwrap_err(),
                block_on(config.admit_request(&mut context)).unwrap_err(),
            ] {
                assert_eq!(rejection.response.status, status, "{query}");
                assert_eq!(rejection.error.map(|error| error.kind()), error, "{query}");
            }
        }
        let mut context = context("GET", "allow");
        assert!(block_on(config.admit_connection(&mut context)).is_ok());
        assert!(block_on(config.admit_request(&mut context)).is_ok());
        assert_eq!(context.extensions.get(), Some(&7_u8), "what it attached is there");
        assert_eq!(config.policy_timed_out(&context).response.status, 503);
    }

    #[test]
    fn a_preflight_without_credentials_passes_and_tells_nothing() {
        let config = RoomConfig::new().with_policy(Obedient);
        let rejection = block_on(config.admit_request(&mut context("OPTIONS", "refuse"))).unwrap_err();
        assert_eq!((rejection.response.status, &*rejection.response.body), (200, ""));
    }

    #[test]
    fn a_rejected_client_learns_which_dialect_is_spoken_where_the_store_is() {
        let config = RoomConfig::new().with_policy(Obedient);
        let mut context = context("GET", "refuse");
        let has_dialect =
            |rejection: Rejection| rejection.response.headers.iter().any(|(name, _)| name == DIALECT_HEADER);
        assert!(has_dialect(block_on(config.admit_request(&mut context)).unwrap_err()));
        context.path = "/party/r".into();
        assert!(!has_dialect(block_on(config.admit_request(&mut context)).unwrap_err()));
    }
}
