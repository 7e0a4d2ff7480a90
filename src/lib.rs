//! A reactive store that stays in step with a place, and with everybody else who uses that place.
//!
//! ```text
//!   edits, listeners          Engine: auto-load, auto-save             Persister
//!  ──────────────────► Store ◄─────────────────────────────► Replica ◄────────────► a room, a file, ...
//!                            confirmed content, with the unconfirmed
//!                            edits replayed on top
//! ```
//!
//! * [`Store`]: tables of rows of cells, and key values; transactions; listeners. TinyBase's model and words.
//! * [`Engine`]: keeps a store in step with a place. It converges and loses nothing: see what it promises there.
//! * [`Persister`]: the way to a place, for you to implement. [`Memory`] is the simplest; PartyKit rooms are in the crate
//!   `roommate-partykit`, and a server for them in `roommate-server`.
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
//! This crate does no I/O and has no async runtime: an engine runs on whatever [`Runtime`] it is given.
//!
//! # Why clients may disagree elsewhere, and do not here
//!
//! Who shows an edit before the place has ordered it, and then only adds what others did, ends with the sum in its own
//! order: two clients that write one cell at the same moment swap values and stay apart. Here the order is the place's
//! alone. An edit is shown at once, but on probation: whatever the place tells goes *under* the edits that it has not
//! confirmed yet, so that in the end everybody shows the same fold of the same list.

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

/// The README's examples, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
