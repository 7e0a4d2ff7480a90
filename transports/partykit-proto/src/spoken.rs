//! The negotiation of the dialect with a server.

use roommate::{Error, ErrorKind, Result};

use super::{
    dialect::{DIALECT_VERSION, MALFORMED, REPLACED},
    store::StoreAnswer,
};

/// A dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// TinyBase's own dialect.
    Stock,
    /// Roommate's extended dialect, with acknowledgements.
    Extended,
}

/// What follows from a server's response to the question for its dialect.
#[derive(Debug)]
pub enum Greeting {
    /// The connection uses this dialect.
    Speak(Spoken),
    /// The server could not say. The client asks again.
    AskAgain,
    /// The watch ends with this error.
    End(Error),
}

impl Spoken {
    /// Returns the dialect of a server, from its response to a request for the store and that response's
    /// `roommate-dialect` header.
    ///
    /// # Errors
    /// A temporary error if the server cannot say.
    pub fn of(answer: StoreAnswer<'_>, says: Option<&str>) -> Result<Self> {
        match answer.content() {
            _ if says == Some(DIALECT_VERSION) => Ok(Self::Extended),
            // A gateway may respond in place of a server that is down.
            Err(error) if error.is_temporary() => Err(error),
            _ => Ok(Self::Stock),
        }
    }

    /// Decides what follows from a server's response. `spoken` does not change once it is known: receipts of one
    /// dialect mean nothing in the other.
    pub fn greet(spoken: &mut Option<Self>, answer: Result<Self>) -> Greeting {
        match answer {
            Ok(said) if *spoken.get_or_insert(said) == said => Greeting::Speak(said),
            Ok(_) => Greeting::End(Error::new(
                ErrorKind::Unavailable,
                "the server has begun to speak another dialect: everything is asked anew",
            )),
            Err(error) if error.is_temporary() && spoken.is_some() => Greeting::AskAgain,
            // The caller that waits for the first response retries, and reports the error.
            Err(error) => Greeting::End(error),
        }
    }
}

/// Returns what a server's close code means: an error, or `None` if the client only has to reconnect.
pub fn hung_up(code: u16, reason: &str) -> Option<Error> {
    let (kind, message) = match code {
        REPLACED => {
            (ErrorKind::Refused, "another connection writes for this client: give each engine an outbox of its own")
        }
        MALFORMED => (ErrorKind::Corrupt, "the server did not understand this client"),
        _ => return None,
    };
    Some(Error::new(kind, format!("{message} ({code} {reason})")))
}
