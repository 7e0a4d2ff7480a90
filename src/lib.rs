//! A reactive store that stays in sync with a backend, and so with every other client of that backend.
//!
//! ```text
//!   edits, listeners          Engine: auto-load, auto-save             Persister
//!  ──────────────────► Store ◄─────────────────────────────► Replica ◄────────────► a room, a file, ...
//!                            confirmed content, with the unconfirmed
//!                            edits replayed on top
//! ```
//!
//! * [`Store`] holds tables of rows of cells, and keyed values. It has transactions and listeners. The model and the
//!   names are TinyBase's.
//! * [`Engine`] keeps a store in sync with a backend. It converges and loses no edit: its documentation says what it
//!   promises.
//! * [`Persister`] is the trait that connects an engine to a backend; implement it for your own. [`Memory`] is the
//!   simplest backend. The crate `roommate-partykit` connects to PartyKit rooms, and `roommate-server` is a server for
//!   them.
//!
//! ```
//! use roommate::{ANY, Engine, Memory, Store, block_on};
//!
//! let store = Store::new();
//! let listener = store.add_cell_listener("pets", ANY, "sold", |event| println!("{}: {:?}", event.row_id, event.new));
//! store.set_cell("pets", "fido", "species", "dog")?;
//!
//! let place = Memory::new();
//! let engine = Engine::new(&store, place.client());
//! block_on(async {
//!     engine.start_auto_persisting(None).await?;
//!     store.transaction(|store| {
//!         store.set_cell("pets", "fido", "sold", false)?;
//!         store.set_cell("pets", "felix", "species", "cat")
//!     })?;
//!     engine.flush().await
//! })?;
//! assert_eq!(place.content(), Some(store.content()));
//! # Ok::<(), roommate::Error>(())
//! ```
//!
//! This crate does no I/O and depends on no async runtime: an engine runs on the [`Runtime`] that it is given.
//!
//! # Why clients converge
//!
//! Some sync protocols let a client show its edit before the backend has ordered it, and then apply other clients'
//! changes on top as they arrive. Such a client ends with the changes in its own order: two clients that write one cell
//! at the same moment swap values and stay different. Here the backend alone defines the order. An edit is shown at
//! once, but it stays unconfirmed for a while, and every change that the backend sends is applied *under* the
//! unconfirmed edits. In the end every client has applied the same list of changes in the same order.

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
mod sync;
mod typed;

pub use content::{
    Cell, CellKind, Changes, Content, Id, Json, Map, Number, Row, RowChanges, Table, TableChanges, Tables, Text, Values,
};
pub use engine::{Engine, EngineBuilder, Events, Pending, Refused, Stats, Status};
pub use error::{Error, ErrorKind, Result};
pub use json::{Decoded, Payload};
pub use memory::{Memory, MemoryPersister};
pub use persister::{
    Capability, Certainty, EditKey, MOST_UNCONFIRMED, Notice, Persister, Receipt, Report, Save, Saved,
};
pub use runtime::{Runtime, Threads, block_on};
pub use store::{
    ANY, CellChange, CellEvent, CellIdsEvent, CellSchema, ChangesStream, HasCellEvent, HasRowEvent, HasTableCellEvent,
    HasTableEvent, HasTablesEvent, HasValueEvent, HasValuesEvent, IdChange, InvalidCell, InvalidCellEvent,
    InvalidValue, InvalidValueEvent, Mutators, OpenTransaction, Pattern, RowCountEvent, RowEvent, RowIdsEvent, Sort,
    SortedRowIdsEvent, Store, TableCellIdsEvent, TableEvent, TableIdsEvent, TablesEvent, TablesSchema,
    TransactionEvent, TransactionLog, ValueEvent, ValueIdsEvent, ValuesEvent, ValuesSchema,
};
pub use subscription::Subscription;
#[doc(hidden)]
pub use typed::__private;
pub use typed::{CellId, Field, FromCell, ToCell, TypedRow, TypedRowEvent, TypedTable};

#[cfg(feature = "derive")]
pub use roommate_derive::{Cell, Row};

/// The README's examples, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
