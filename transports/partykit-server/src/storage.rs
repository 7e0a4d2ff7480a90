//! Storages of rooms, and the suite that tests a storage.

#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "sqlite")]
pub use sqlite::{Sqlite, SqliteConfig};
