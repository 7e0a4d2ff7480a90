//! The contract between an engine and a backend.
//!
//! A *backend* is where content lives while the program does not run: a room, a file, a row of a database. A
//! [`Persister`] connects an engine to one backend. It only transfers data. The [`Engine`](crate::Engine) makes every
//! decision, in the same way for all persisters: whether to retry, what to do with an edit made meanwhile, which of two
//! contents wins.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use crate::{
    content::{Changes, Content},
    error::{Error, Result},
    runtime::Runtime,
};

mod pointers;

/// Connects an engine to a backend.
///
/// # Contract
///
/// The engine and an implementor promise each other:
///
/// * The engine never calls [`load`](Self::load) while a `save` runs, nor the other way round, and it never runs two
///   saves or two loads at once. It calls [`watch`](Self::watch) at most once at a time. The stream may be open while a
///   load or a save runs.
/// * The engine may drop any of the futures before it completes. A dropped save may or may not take effect. If it does,
///   it takes effect before any later call of the same persister returns: it never overwrites a later save, and it
///   never changes the backend after a later load. (An offer of a whole content to a shared backend overwrites nothing,
///   so it may take effect late.)
/// * The engine calls [`close`](Self::close) exactly once, as the last call.
/// * An error of kind [`Unavailable`](crate::ErrorKind::Unavailable) is temporary: the engine tries again, with
///   back-off. Any other error is for a person to see, and is reported.
/// * The engine does not read the stream while a save runs. So a save may wait for the backend, but it must not wait
///   until the stream is read: up to [`MOST_UNCONFIRMED`] confirmations of saves that returned [`Saved::Later`] may be
///   unread.
///
/// These rules make clients converge:
///
/// * The backend puts accepted changes in one order. Its content is the result of applying them in that order.
/// * The stream of [`watch`](Self::watch) reports, in that order, every change accepted since it was opened. This
///   includes the client's own changes: [`Notice::Confirmed`] stands at their position in the order.
/// * The content that [`load`](Self::load) returns contains at least every change that the stream had reported when
///   `load` was called. The engine replays on it what the stream reports meanwhile. A notice of changes that the
///   content already contains does no harm.
///
/// # Example
///
/// A backend that is one variable. It sends no notices, so [`Capability::watch`] is false. A save is durable at once:
///
/// ```
/// use std::sync::Mutex;
///
/// use async_trait::async_trait;
/// use roommate::{Capability, Content, Persister, Result, Save, Saved};
///
/// #[derive(Debug, Default)]
/// struct Variable(Mutex<Option<Content>>);
///
/// #[async_trait]
/// impl Persister for Variable {
///     fn capability(&self) -> Capability {
///         Capability::default()
///     }
///
///     async fn load(&self) -> Result<Option<Content>> {
///         Ok(self.0.lock().expect("nobody panics with this lock").clone())
///     }
///
///     async fn save(&self, save: Save<'_>) -> Result<Saved> {
///         *self.0.lock().expect("nobody panics with this lock") = Some(save.content());
///         Ok(Saved::Done)
///     }
/// }
/// ```
#[async_trait]
pub trait Persister: Debug + Send + Sync + 'static {
    /// Returns what this persister can do. The answer does not change during its life.
    fn capability(&self) -> Capability;

    /// Reads the content of the backend.
    ///
    /// # Behavior
    ///
    /// * The result is `None`, not an error, if nothing was ever saved there.
    /// * The result is `Some`, not `None`, if the saved content is empty.
    ///
    /// # Errors
    ///
    /// * [`Unavailable`](crate::ErrorKind::Unavailable) if the backend cannot be reached or cannot answer at the
    ///   moment.
    /// * [`Corrupt`](crate::ErrorKind::Corrupt) if the backend holds something that is not content.
    /// * [`Refused`](crate::ErrorKind::Refused) if the backend refuses, and would refuse again.
    /// * Any other kind if the cause is permanent.
    async fn load(&self) -> Result<Option<Content>>;

    /// Saves changes, or a whole content, to the backend.
    ///
    /// # Behavior
    ///
    /// * A backend that takes changes applies [`Save::changes`] all at once or not at all. Any other backend stores
    ///   [`Save::content`].
    /// * A whole content never overwrites a shared backend that holds content. The result is [`Saved::Found`], and
    ///   nothing was written.
    /// * An error means that nothing was written, or that the same save may safely be repeated.
    /// * A save does not replace stored data that [`load`](Self::load) cannot read: a person can still repair it.
    ///
    /// # Errors
    ///
    /// * [`Unavailable`](crate::ErrorKind::Unavailable) if the backend cannot be reached or cannot answer at the
    ///   moment.
    /// * [`Corrupt`](crate::ErrorKind::Corrupt) if the backend holds data that [`load`](Self::load) cannot read.
    /// * [`Refused`](crate::ErrorKind::Refused) if the backend refuses, and would refuse again.
    /// * Any other kind if the cause is permanent.
    async fn save(&self, save: Save<'_>) -> Result<Saved>;

    /// Opens a stream of what happens in the backend. Dropping the stream closes it.
    ///
    /// # Behavior
    ///
    /// * Nothing is missed once the future resolves: the stream reports every change accepted from then on, or sums up
    ///   changes as [`Notice::Stale`].
    /// * An error in the stream is reported and does not end the stream. The engine reopens a stream that ends, with
    ///   back-off.
    /// * The receipts of a stream are void once it ends or is dropped. The engine saves again every [`Saved::Later`]
    ///   save that is not confirmed by then, and the persister must not send that save any more.
    /// * The engine never calls this without [`Capability::watch`].
    ///
    /// # Errors
    ///
    /// * [`Unsupported`](crate::ErrorKind::Unsupported) from the default implementation.
    /// * [`Unavailable`](crate::ErrorKind::Unavailable) if the backend cannot be reached or cannot answer at the
    ///   moment.
    /// * [`Refused`](crate::ErrorKind::Refused) if the backend refuses, and would refuse again.
    /// * Any other kind if the cause is permanent.
    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        Err(Error::new(crate::ErrorKind::Unsupported, "this persister cannot watch its place"))
    }

    /// Receives the id of the client whose edits will be saved ([`EditKey::client`]). The engine calls this before each
    /// [`watch`](Self::watch), so that a backend that remembers its clients need not wait for the first edit. The
    /// default does nothing.
    fn introduce(&self, client: &str) {
        let _ = client;
    }

    /// Receives the callback for errors that no call returns and no stream reports, such as the reason why
    /// [`watch`](Self::watch) takes long. The callback is the engine's `on_ignored_error`. Called once, before the
    /// first load, save or watch. The default does nothing.
    fn report_to(&self, report: Report) {
        let _ = report;
    }

    /// Returns the runtime that the persister's futures need. An engine that was built without a runtime
    /// ([`EngineBuilder::with_runtime`](crate::EngineBuilder::with_runtime)) runs on it. The default is `None`: the
    /// futures work on any runtime.
    fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        None
    }

    /// Returns a name that only persisters of this very backend have, such as `file` and its full path. An engine
    /// refuses an outbox that has the name of the engine's own backend. Called once, when an engine with an outbox is
    /// built; it has to return quickly. A persister that wraps another one returns the name that the other one has. The
    /// default is `None`: the backend has no name.
    fn place(&self) -> Option<String> {
        None
    }

    /// Closes everything that the persister has open. Called exactly once, after every other call. The default does
    /// nothing.
    ///
    /// # Errors
    ///
    /// Any kind. The engine does not retry: it passes the error to `on_ignored_error`.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// What a persister can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// The persister can report what happens in the backend: [`Persister::watch`] works.
    pub watch: bool,
    /// Several clients share the backend, and each writes changes. Content that was in the store before the engine
    /// began is then offered to an empty backend only. If this is false, that content overwrites what the backend
    /// holds.
    pub shared: bool,
}

impl Capability {
    /// Sets whether the backend can be watched.
    pub fn with_watch(mut self, watch: bool) -> Self {
        self.watch = watch;
        self
    }

    /// Sets whether several clients share the backend.
    pub fn with_shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }
}

/// What a backend reports.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The backend holds exactly this content now. Reported when the client joins, and when it comes back.
    Content(Content),
    /// Another client's changes were accepted.
    Changes(Changes),
    /// A save that returned [`Saved::Later`] was accepted, at this position in the order.
    Confirmed {
        /// Which save.
        receipt: Receipt,
        /// The part of the save that was refused. Empty if none was.
        refused: Changes,
    },
    /// A save that returned [`Saved::Later`] is over, at this position in the order, but the backend does not show all
    /// of it. Either the backend refused it, or it accepted the save and another client, whose change this client did
    /// not receive, overwrote it. The engine handles this as [`Notice::Confirmed`], but reports to the application that
    /// the outcome is uncertain ([`Certainty::Presumed`]). For backends that answer no save.
    Missing {
        /// Which save.
        receipt: Receipt,
        /// The part of the save that the backend does not show, and that no later edit of this client covers.
        missing: Changes,
    },
    /// Something happened that no other notice describes. The engine loads.
    Stale,
}

/// How certain it is that an edit was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// The backend refused the edit when it was last sent.
    Certain,
    /// The backend shows something else. It may have accepted the edit, and another client may have overwritten it,
    /// while the connection that listens was down.
    Presumed,
}

/// The maximum number of unconfirmed saves, of those that returned [`Saved::Later`]. Up to this many confirmations may
/// wait in the stream of [`Persister::watch`] while another save runs.
pub const MOST_UNCONFIRMED: usize = 256;

/// Reports an error that no call returns. See [`Persister::report_to`].
pub type Report = Arc<dyn Fn(Error) + Send + Sync>;

/// Identifies a save whose outcome [`Notice::Confirmed`] or [`Notice::Missing`] reports later. The persister chooses
/// it. It is unique during the persister's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(pub u64);

/// How a save ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Saved {
    /// The save is durable in the backend. Not allowed for changes while the stream may still report changes that the
    /// backend put before them: there a confirmation in the stream has to mark their position.
    Done,
    /// The save is in flight. The stream of [`Persister::watch`] reports when it is accepted. Only a persister that can
    /// watch a shared backend may return this: the engine makes sure that a stream is open before it saves there.
    Later(Receipt),
    /// A whole content was offered, but the backend already holds this one. The engine adopts it under this client's
    /// own edits, and saves again, as changes, the edits that it does not show.
    Found(Content),
}

/// What to save: the content, which is built only if it is asked for, and the changes that led to it.
#[derive(Clone, Copy)]
pub struct Save<'a> {
    content: &'a (dyn Fn() -> Content + Send + Sync),
    changes: Option<&'a Changes>,
    edit: Option<EditKey<'a>>,
}

/// Identifies an edit, so that a backend can apply it exactly once even if it is sent again.
///
/// [`Notice::Confirmed`] marks the position of an edit in the stream. A backend that applied the edit before, and now
/// confirms it again, marks that position too late. So right after that confirmation it has to report what it holds: by
/// [`Notice::Stale`], by [`Notice::Content`], or by [`Notice::Changes`] with the present state of everything that the
/// edit names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EditKey<'a> {
    /// The client that made the edit: an id that no other client has.
    pub client: &'a str,
    /// The number of the edit. It rises from edit to edit, with gaps. An edit that is saved again has the same number
    /// and the same changes.
    pub number: u64,
}

impl<'a> Save<'a> {
    /// Creates a save of `content`, because of `changes`. `content` is called only if the persister asks for it.
    /// `changes` is `None` if everything is to be saved.
    pub fn new(content: &'a (dyn Fn() -> Content + Send + Sync), changes: Option<&'a Changes>) -> Self {
        Self { content, changes, edit: None }
    }

    /// Sets the key of the edit that the changes are. Without changes, it is the key of the last edit that the content
    /// contains.
    pub fn with_edit(mut self, edit: EditKey<'a>) -> Self {
        self.edit = Some(edit);
        self
    }

    /// Returns the whole content, with the changes, and without edits made since the save began. Those are saved next.
    pub fn content(&self) -> Content {
        (self.content)()
    }

    /// Returns the changes, or `None` if everything is to be saved.
    pub fn changes(&self) -> Option<&'a Changes> {
        self.changes
    }

    /// Returns the key of the edit that the changes are. An engine sets it for every edit. Without changes, it is the
    /// key of the last edit that the content contains and the backend may lack; the content then contains every edit
    /// before that one, too.
    pub fn edit(&self) -> Option<EditKey<'a>> {
        self.edit
    }
}

impl Debug for Save<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Save").field("changes", &self.changes).field("edit", &self.edit).finish_non_exhaustive()
    }
}
