//! A reactive store that keeps in step with a place.

#[cfg(feature = "conformance")]
pub mod conformance;
mod content;
mod engine;
mod error;
mod json;
mod memory;
mod persister;
mod runtime;
mod store;
mod subscription;

pub use content::{
    Cell, CellKind, Changes, Content, Id, Json, Map, Number, Row, RowChanges, Table, TableChanges, Tables, Text, Values,
};
pub use engine::{Engine, EngineBuilder, Events, Pending, Refused, Stats, Status};
pub use error::{Error, ErrorKind, Result};
pub use json::{Decoded, Payload};
pub use memory::{Memory, MemoryPersister};
pub use persister::{Capability, Notice, Persister, Receipt, Save, Saved};
pub use runtime::{Runtime, Threads, block_on};
pub use store::{
    ANY, CellChange, CellEvent, CellIdsEvent, ChangesStream, IdChange, Pattern, RowEvent, RowIdsEvent, Store,
    Subscription, TableEvent, TableIdsEvent, TablesEvent, TransactionEvent, TransactionLog, ValueEvent, ValueIdsEvent,
    ValuesEvent,
};
