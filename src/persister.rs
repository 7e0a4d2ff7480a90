//! The contract between an engine and a place.
//!
//! A *place* is where content lives when the program does not: a room, a file, a row of a database. A [`Persister`] is
//! the way to it. It only carries: whether to retry, what to do with an edit made meanwhile, which of two contents
//! wins, is decided by the [`Engine`](crate::Engine) that uses it, once, for all persisters alike.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use crate::{
    content::{Changes, Content},
    error::{Error, Result},
    runtime::Runtime,
};

mod pointers;

/// The way to a place.
///
/// # Contract
///
/// Between an implementor and the engine:
///
/// * The engine never calls [`load`](Self::load) while a `save` runs, nor the other way round; it never has two saves or
///   two loads under way. [`watch`](Self::watch) is called at most once at a time, and its stream may live beside either.
/// * Any of the futures may be dropped before it is done. A save that was dropped may or may not have happened. If it
///   happens, it happens before any later call of the same persister is answered: never over a later save, never behind
///   the back of a later load. (An offer of a whole content to a shared place overwrites nothing, so that may come late.)
/// * [`close`](Self::close) is called exactly once, last.
/// * An error of kind [`Unavailable`](crate::ErrorKind::Unavailable) passes by itself: the engine tries again, with
///   back-off. Any other error is for a person to see, and is reported.
/// * While a save runs the engine does not read the stream. So a save may wait for the place, but never for the stream to
///   be read: of the saves that were answered with [`Saved::Later`] up to [`MOST_UNCONFIRMED`] may be unread.
///
/// What makes it converge:
///
/// * The place puts accepted changes in one order, and its content is the fold of them in that order.
/// * The stream of [`watch`](Self::watch) tells in that order what was accepted since it was opened, this client's own
///   changes included ([`Notice::Confirmed`] stands where they stand in the order).
/// * What [`load`](Self::load) returns contains at least everything that the stream had told when it was called. The
///   engine replays over it what the stream tells meanwhile; a notice that the content already has does no harm.
///
/// # Example
///
/// A place that is one variable. It has no notices, so [`Capability::watch`] is false, and a save is durable at once:
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
    /// What this persister can do. Does not change over its life.
    fn capability(&self) -> Capability;

    /// Reads what the place holds.
    ///
    /// # Behavior
    ///
    /// * Loading a place where nothing was ever saved is no error: it is `None`.
    /// * A content that was saved and is empty is `Some`, not `None`.
    async fn load(&self) -> Result<Option<Content>>;

    /// Writes to the place.
    ///
    /// # Behavior
    ///
    /// * A place that takes changes takes [`Save::changes`], all at once or not at all; another takes [`Save::content`].
    /// * A whole content never overwrites a place that others share and that holds something: the answer is
    ///   [`Saved::Found`], and nothing was written.
    /// * An error means that nothing was written, or that it may safely be written again.
    /// * What a place holds and [`load`](Self::load) cannot read it does not replace: a person can still mend it.
    async fn save(&self, save: Save<'_>) -> Result<Saved>;

    /// Listens to the place until the stream is dropped.
    ///
    /// # Behavior
    ///
    /// * Once the future resolves nothing is missed: what is accepted from then on is told by the stream, or summed up by
    ///   [`Notice::Stale`].
    /// * An error in the stream is reported and does not end it. A stream that ends is opened again, with back-off.
    /// * With the stream go its receipts: what was [`Saved::Later`] and is not confirmed when the stream ends or is dropped
    ///   is saved again by the engine, and must not be sent by the persister any more.
    /// * Without [`Capability::watch`] it is never called; the default answers `Unsupported`.
    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        Err(Error::new(crate::ErrorKind::Unsupported, "this persister cannot watch its place"))
    }

    /// Tells whose edits will be saved ([`EditKey::client`]). Called before each [`watch`](Self::watch), so that a place that
    /// remembers its clients need not wait for the first edit. The default does nothing.
    fn introduce(&self, client: &str) {
        let _ = client;
    }

    /// Where to tell errors that no call is answered with and no stream tells, such as why [`watch`](Self::watch) takes its
    /// time: it is the engine's `on_ignored_error`. Called once, before everything else. The default does nothing.
    fn report_to(&self, report: Report) {
        let _ = report;
    }

    /// Where an engine runs that is not told where
    /// ([`EngineBuilder::with_runtime`](crate::EngineBuilder::with_runtime)): for a persister whose futures work on one
    /// runtime alone. The default is `None`: they work on any.
    fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        None
    }

    /// A name that only persisters of this very place have, such as `file` and its full path: an engine takes no outbox that
    /// is its own place. Asked once, when an engine with an outbox is built, and not to take its time. A persister around
    /// another one passes it on. The default is `None`: the place has no name.
    fn place(&self) -> Option<String> {
        None
    }

    /// Ends what the persister has open. Called exactly once, after everything else. The default does nothing.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// What a persister can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// It can tell what happens in the place: [`Persister::watch`] works.
    pub watch: bool,
    /// Several clients share the place, each writing changes. Then content that was in the store before the engine
    /// began is offered to an empty place only; else it is written over what is there.
    pub shared: bool,
}

impl Capability {
    /// Sets whether the place can be watched.
    pub fn with_watch(mut self, watch: bool) -> Self {
        self.watch = watch;
        self
    }

    /// Sets whether the place is shared.
    pub fn with_shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }
}

/// What a place tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The place holds exactly this now (on joining it, on coming back to it).
    Content(Content),
    /// Somebody's changes were accepted.
    Changes(Changes),
    /// A save that was answered with [`Saved::Later`] was accepted, here in the order.
    Confirmed {
        /// Which save.
        receipt: Receipt,
        /// The part of it that was refused; empty if none was.
        refused: Changes,
    },
    /// A save that was answered with [`Saved::Later`] is over, here in the order, and the place does not show all of it: it was
    /// refused, or accepted and overwritten by somebody who was not heard. As [`Notice::Confirmed`], but the application
    /// is told that nobody knows ([`Certainty::Presumed`]). For places that answer no save.
    Missing {
        /// Which save.
        receipt: Receipt,
        /// The part of it that the place does not show, and no later edit of this client's covers.
        missing: Changes,
    },
    /// Something happened that cannot be told: the engine loads.
    Stale,
}

/// How sure it is that an edit was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// The place did not take it, when it was sent last.
    Certain,
    /// The place shows something else. It may have taken the edit, and somebody overwrote it, while the connection that
    /// listens was away.
    Presumed,
}

/// How many saves an engine leaves unconfirmed at most, of those that were answered with [`Saved::Later`]: so many
/// confirmations may wait in the stream of [`Persister::watch`] while another save runs.
pub const MOST_UNCONFIRMED: usize = 256;

/// Tells an error to whoever hears of those that no call is answered with. See [`Persister::report_to`].
pub type Report = Arc<dyn Fn(Error) + Send + Sync>;

/// Names a save whose outcome is told later, by [`Notice::Confirmed`]. Chosen by the persister, unique over its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(pub u64);

/// How a save ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Saved {
    /// It is durable in the place. Not the answer to changes where the stream may still tell changes that the place put
    /// before them: there a confirmation in the stream says where they stand.
    Done,
    /// It is on its way; the stream of [`Persister::watch`] tells when it is accepted. Only of a persister that can watch,
    /// to a shared place: the engine sees to it that a stream is open before it saves there.
    Later(Receipt),
    /// A whole content was offered, and the place holds this one. What of it is not this client's own is adopted; edits
    /// that it does not show are saved again, as changes.
    Found(Content),
}

/// What to save: the content, made when and if it is asked for, and the changes that made it so.
#[derive(Clone, Copy)]
pub struct Save<'a> {
    content: &'a (dyn Fn() -> Content + Send + Sync),
    changes: Option<&'a Changes>,
    edit: Option<EditKey<'a>>,
}

/// Names an edit to a place that takes each once, however often it is sent.
///
/// [`Notice::Confirmed`] puts an edit where it stands in the stream. So a place that took the edit before, and confirms
/// it again, tells at once after that what it holds: [`Notice::Stale`], [`Notice::Content`], or as [`Notice::Changes`]
/// the present state of everything that the edit names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EditKey<'a> {
    /// Whose edit: an id that no other client has.
    pub client: &'a str,
    /// Which one. Rises from edit to edit, with gaps. An edit that is saved again has the same number and the same changes.
    pub number: u64,
}

impl<'a> Save<'a> {
    /// A save of `content`, which is asked for when and if it is needed, because of `changes`; `None` for a save of
    /// everything.
    pub fn new(content: &'a (dyn Fn() -> Content + Send + Sync), changes: Option<&'a Changes>) -> Self {
        Self { content, changes, edit: None }
    }

    /// Names the edit that the changes are; without changes, the last edit that the content has.
    pub fn with_edit(mut self, edit: EditKey<'a>) -> Self {
        self.edit = Some(edit);
        self
    }

    /// The whole content with the changes, and without what was edited since the save began: that is saved next.
    pub fn content(&self) -> Content {
        (self.content)()
    }

    /// What changed, or `None` where everything is to be saved.
    pub fn changes(&self) -> Option<&'a Changes> {
        self.changes
    }

    /// The name of the edit that the changes are. An engine names every one. Without changes, that of the last edit that the
    /// content has and the place may not: with that one the content has all before it.
    pub fn edit(&self) -> Option<EditKey<'a>> {
        self.edit
    }
}

impl Debug for Save<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Save").field("changes", &self.changes).field("edit", &self.edit).finish_non_exhaustive()
    }
}
