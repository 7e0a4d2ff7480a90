//! Translates SQLite's errors for a host of rooms, with advice on what to do.

use std::path::{Path, PathBuf};

use roommate::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// Creates errors that name the file.
pub(super) struct Errors {
    path: PathBuf,
}

impl Errors {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(super) fn of(&self, error: rusqlite::Error) -> Error {
        let path = self.path.display();
        let (kind, message) = match code(&error) {
            Some(ErrorCode::DiskFull) => (
                ErrorKind::Unavailable,
                format!("there is no space for {path}: free some on its disk, or raise its limit of bytes"),
            ),
            Some(ErrorCode::SystemIoFailure) => (
                ErrorKind::Unavailable,
                format!("the disk of {path} cannot be read or written: see that it is attached, healthy and not full"),
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
                ErrorKind::Unavailable,
                format!(
                    "another program has locked {path} for seconds: end what it does, as `sqlite3`'s `COMMIT` does"
                ),
            ),
            Some(ErrorCode::CannotOpen) => (
                ErrorKind::Unavailable,
                format!("{path} cannot be opened: see that its folder exists and can be written"),
            ),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
                ErrorKind::Unavailable,
                format!("{path} may not be written: give this user the right to write to it and to its folder"),
            ),
            Some(ErrorCode::NotADatabase) => {
                (ErrorKind::Invalid, format!("{path} is no SQLite database: name another file"))
            }
            Some(ErrorCode::DatabaseCorrupt) | None => (
                ErrorKind::Corrupt,
                format!("{path} is damaged: put back a copy, or save what can be read with `sqlite3`'s `.recover`"),
            ),
            Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation) => {
                (ErrorKind::Invalid, format!("{path} cannot store it"))
            }
            Some(_) => (ErrorKind::Unavailable, format!("{path} cannot be used just now")),
        };
        Error::with_source(kind, format!("{message} ({error})"), error)
    }
}

/// SQLite's code; `None` if the data that was read was never written in this form.
fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..) => None,
        other => Some(other.sqlite_error_code().unwrap_or(ErrorCode::Unknown)),
    }
}
