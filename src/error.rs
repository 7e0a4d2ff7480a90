//! One error type, with a kind to branch on.

use std::{error::Error as StdError, fmt, sync::Arc};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in a form that callers can branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is invalid: a number that is not finite, a reserved text, an option out of its range.
    Invalid,
    /// The backend returned something that is not content, or sent a message that its protocol does not have.
    Corrupt,
    /// The backend refused, and would refuse again: for example, the authorization failed, or the party does not exist.
    Refused,
    /// The backend cannot be reached, or cannot answer at the moment.
    Unavailable,
    /// The persister does not support the operation.
    Unsupported,
    /// The object that was called is closed or destroyed, or is closing.
    Closed,
    /// Code that the caller passed in (a listener, an action, an initial content) failed.
    Callback,
}

/// An error: a kind to branch on, a message that says what to do, and the error that caused it.
///
/// Cheap to clone, because one failure may be returned to several callers.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error. The message starts in lower case and ends without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), source: None }))
    }

    /// Creates an error with the error that caused it as its source. The message follows the rules of [`Error::new`].
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), source: Some(source.into()) }))
    }

    /// Returns what went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the same call may succeed later. That is so for [`ErrorKind::Unavailable`] only.
    pub fn is_temporary(&self) -> bool {
        self.0.kind == ErrorKind::Unavailable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}
