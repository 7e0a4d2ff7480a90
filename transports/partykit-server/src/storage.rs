//! Storages of rooms, and what they are tested with.

#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "sqlite")]
pub use sqlite::{Sqlite, SqliteConfig};
