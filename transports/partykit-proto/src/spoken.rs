//! Which dialect is spoken with a server.

use roommate::{Error, ErrorKind, Result};

use super::{
    dialect::{DIALECT_VERSION, MALFORMED, REPLACED},
    store::StoreAnswer,
};

/// A dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// TinyBase's own.
    Stock,
    /// Roommate's, with acknowledgements.
    Extended,
}

/// What a server that was asked makes of the conversation.
#[derive(Debug)]
pub enum Greeting {
    /// This is spoken on the connection.
    Speak(Spoken),
    /// It could not say. Asking again shows.
    AskAgain,
    /// Nothing can go on.
    End(Error),
}

impl Spoken {
    /// What a server speaks, by its answer to a request for the store and what that has as `roommate-dialect`.
    ///
    /// # Errors
    /// Of a passing kind if it cannot say.
    pub fn of(answer: StoreAnswer<'_>, says: Option<&str>) -> Result<Self> {
        match answer.content() {
            _ if says == Some(DIALECT_VERSION) => Ok(Self::Extended),
            // A gateway may answer for a server that is away.
            Err(error) if error.is_temporary() => Err(error),
            _ => Ok(Self::Stock),
        }
    }

    /// What follows when a server says what it speaks. `spoken` does not change once it is known: receipts of one dialect mean
    /// nothing in the other.
    pub fn greet(spoken: &mut Option<Self>, answer: Result<Self>) -> Greeting {
        match answer {
            Ok(said) if *spoken.get_or_insert(said) == said => Greeting::Speak(said),
            Ok(_) => Greeting::End(Error::new(
                ErrorKind::Unavailable,
                "the server has begun to speak another dialect: everything is asked anew",
            )),
            Err(error) if error.is_temporary() && spoken.is_some() => Greeting::AskAgain,
            // Whoever waits for the first answer tries again, and tells why.
            Err(error) => Greeting::End(error),
        }
    }
}

/// What it means that the server hung up with this code: an error, unless coming back is all that is to be done.
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
