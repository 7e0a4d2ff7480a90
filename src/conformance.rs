//! Checks that any persister can run, and [`Flaky`], a persister that fails on request.
//!
//! Each check is named after one rule of [`Persister`]'s contract, and panics with that rule if the persister breaks
//! it. No check can see what a crash leaves, for example of a save that returned [`Saved::Done`].
//!
//! Turn the feature on for your tests only: `roommate = { ..., features = ["conformance"] }` under
//! `[dev-dependencies]`.
//!
//! [`persister`] runs every check that the persister's [`Capability`](crate::Capability) calls for:
//!
//! ```
//! use roommate::{Memory, block_on, conformance};
//!
//! block_on(conformance::persister(|| {
//!     let place = Memory::new();
//!     move || place.client()
//! }));
//! ```

use std::{pin::pin, time::Duration};

use futures_core::stream::BoxStream;
use futures_util::{
    FutureExt, StreamExt,
    future::{Either, select},
};

use crate::{
    content::{Changes, Content},
    error::{ErrorKind, Result},
    persister::{Notice, Persister, Receipt, Save, Saved},
    runtime::{Runtime, Threads},
};

mod dropped;
mod flaky;

pub use dropped::a_dropped_save_happens_before_a_later_call_or_never;
pub use flaky::{Fault, Faults, Flaky, Gate, Op};

/// How long a check waits for the backend.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs every check that fits the persister's capability, each with a backend of its own.
///
/// `new_place` makes a backend where nothing was ever saved. It returns a function that makes the clients of that
/// backend.
///
/// # Panics
///
/// Panics if the persister breaks the contract.
pub async fn persister<P: Persister, C: Fn() -> P>(new_place: impl Fn() -> C) {
    let capability = new_place()().capability();
    loading_a_place_where_nothing_was_ever_saved_is_none(new_place()).await;
    a_content_that_was_saved_and_is_empty_is_some(new_place()).await;
    what_was_saved_is_loaded(new_place()).await;
    a_place_takes_changes_all_at_once(new_place()).await;
    what_was_written_may_safely_be_written_again(new_place()).await;
    a_future_may_be_dropped_before_it_is_done(new_place()).await;
    a_dropped_save_happens_before_a_later_call_or_never(new_place()).await;
    a_persister_closes_after_everything_else(new_place()).await;
    if capability.shared {
        a_whole_content_never_overwrites_a_place_that_others_share(new_place()).await;
    }
    if !capability.watch {
        without_the_capability_watching_is_unsupported(new_place()).await;
        return;
    }
    once_watching_nothing_is_missed(new_place()).await;
    a_stream_that_was_dropped_is_opened_again(new_place()).await;
    what_is_loaded_contains_what_the_stream_had_told(new_place()).await;
    if capability.shared {
        the_stream_tells_in_order_what_was_accepted_and_confirms_ones_own(new_place()).await;
    }
}

/// Loading returns `None`, not an error, if nothing was ever saved.
pub async fn loading_a_place_where_nothing_was_ever_saved_is_none<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "Loading a place where nothing was ever saved is no error: it is `None`";
    assert_eq!(client().load().await.expect(LINE), None, "{LINE}");
}

/// Loading returns `Some`, not `None`, if the saved content is empty.
pub async fn a_content_that_was_saved_and_is_empty_is_some<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "A content that was saved and is empty is `Some`, not `None`";
    let mut writer = Client::watching(LINE, client()).await;
    writer.save_whole(&Content::new()).await;
    assert_eq!(client().load().await.expect(LINE), Some(Content::new()), "{LINE}");
}

/// Everything that a content may hold is loaded as it was saved.
pub async fn what_was_saved_is_loaded<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "Everything that a content may hold comes back as it was saved";
    let mut changes = Changes::new();
    for (index, id) in ["plain", "", "with \"quotes\" / slashes \u{e9}\u{1f600}", "__proto__"].into_iter().enumerate() {
        changes.set_cell(id, id, id, (index as i32).into());
        changes.set_cell("cells", id, "text", id.try_into().expect("no reserved text"));
        changes.set_value(id, (index % 2 == 0).into());
    }
    changes.set_cell("cells", "null", "null", crate::Cell::Null);
    let mut content = Content::new();
    content.apply(&changes);
    let mut writer = Client::watching(LINE, client()).await;
    writer.save_whole(&content).await;
    assert_eq!(client().load().await.expect(LINE), Some(content), "{LINE}");
}

/// A backend that takes changes applies them all at once or not at all. Any other backend stores the content.
pub async fn a_place_takes_changes_all_at_once<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "A place that takes changes takes them all at once or not at all; another takes the content";
    let mut writer = Client::watching(LINE, client()).await;
    writer.save_whole(&one(0)).await;
    let mut changes = several(1);
    changes.del_row("t", "0");
    changes.del_value("v0");
    writer.save(&changes).await;
    let mut expected = one(0);
    expected.apply(&changes);
    assert_eq!(client().load().await.expect(LINE), Some(expected), "{LINE}");
}

/// An error means that nothing was written, or that the same save may safely be repeated.
pub async fn what_was_written_may_safely_be_written_again<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "An error means that nothing was written, or that it may safely be written again";
    let mut writer = Client::watching(LINE, client()).await;
    writer.save_whole(&one(0)).await;
    writer.save(&several(1)).await;
    writer.save(&several(1)).await;
    let mut expected = one(0);
    expected.apply(&several(1));
    assert_eq!(client().load().await.expect(LINE), Some(expected), "{LINE}");
}

/// Any of the futures may be dropped before it completes.
pub async fn a_future_may_be_dropped_before_it_is_done<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "Any of the futures may be dropped before it is done";
    let persister = client();
    let _ = persister.load().now_or_never();
    let content = || one(0);
    let _ = persister.save(Save::new(&content, None)).now_or_never();
    let _ = persister.watch().now_or_never();
    let mut writer = Client::watching(LINE, persister).await;
    writer.save_whole(&one(0)).await;
    assert_eq!(writer.persister.load().await.expect(LINE), Some(one(0)), "{LINE}");
}

/// A persister is closed exactly once, after every other call.
pub async fn a_persister_closes_after_everything_else<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "It is closed exactly once, after everything else";
    let persister = client();
    let _ = persister.load().await;
    persister.close().await.expect(LINE);
    client().close().await.expect(LINE);
}

/// A whole content never overwrites a shared backend that holds content. The result is [`Saved::Found`], and nothing
/// was written.
pub async fn a_whole_content_never_overwrites_a_place_that_others_share<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "A whole content never overwrites a place that others share and that holds something: the answer is \
        `Saved::Found`, and nothing was written";
    Client::watching(LINE, client()).await.save_whole(&one(0)).await;
    let late = Client::watching(LINE, client()).await;
    let content = || one(1);
    let saved = late.persister.save(Save::new(&content, None)).await;
    assert_eq!(saved.expect(LINE), Saved::Found(one(0)), "{LINE}");
    assert_eq!(client().load().await.expect(LINE), Some(one(0)), "nothing was written: {LINE}");
}

/// Watching is `Unsupported` without [`Capability::watch`](crate::Capability::watch).
pub async fn without_the_capability_watching_is_unsupported<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "Without `Capability::watch` watching is `Unsupported`";
    match client().watch().await {
        Ok(_) => panic!("it watches, and its capability says that it cannot: {LINE}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{LINE}"),
    }
}

/// Nothing is missed once the future of [`Persister::watch`] resolves: the stream reports every change accepted from
/// then on, or sums up changes as [`Notice::Stale`].
pub async fn once_watching_nothing_is_missed<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "Once the future resolves nothing is missed: what is accepted from then on is told by the stream, or \
        summed up by `Notice::Stale`";
    let mut writer = Client::watching(LINE, client()).await;
    writer.save_whole(&one(0)).await;
    let mut reader = Client::watching(LINE, client()).await;
    writer.save(&several(1)).await;
    let mut expected = one(0);
    expected.apply(&several(1));
    reader.shown = one(0);
    reader.wait_until_shown(&expected).await;
}

/// A stream that was dropped, or that ended, can be opened again. It misses nothing from then on.
pub async fn a_stream_that_was_dropped_is_opened_again<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "A stream that was dropped, or ended, is opened again, and misses nothing from then on";
    let mut writer = Client::watching(LINE, client()).await;
    writer.save_whole(&one(0)).await;
    let reader = Client::watching(LINE, client()).await;
    drop(reader.stream);
    let mut reader = Client::watching(LINE, reader.persister).await;
    reader.shown = one(0);
    writer.save(&several(1)).await;
    let mut expected = one(0);
    expected.apply(&several(1));
    reader.wait_until_shown(&expected).await;
}

/// The loaded content contains at least every change that the stream had reported when the load was called.
pub async fn what_is_loaded_contains_what_the_stream_had_told<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "What is loaded contains at least everything that the stream had told when it was called";
    let mut writer = Client::watching(LINE, client()).await;
    writer.save_whole(&one(0)).await;
    let mut reader = Client::watching(LINE, client()).await;
    let mut expected = one(0);
    for step in 1..10 {
        writer.save(&several(step)).await;
        expected.apply(&several(step));
        reader.hear().await;
        let loaded = reader.persister.load().await.expect(LINE).unwrap_or_default();
        assert_eq!(loaded, expected, "after what the stream told of step {step}: {LINE}");
    }
}

/// The backend puts accepted changes in one order, and every stream reports that order. [`Notice::Confirmed`] stands at
/// the position of the client's own changes in it.
pub async fn the_stream_tells_in_order_what_was_accepted_and_confirms_ones_own<P: Persister>(client: impl Fn() -> P) {
    const LINE: &str = "The place puts accepted changes in one order, which every stream tells; `Notice::Confirmed` stands \
        where one's own stand in it";
    let mut a = Client::watching(LINE, client()).await;
    a.save_whole(&one(0)).await;
    let mut b = Client::watching(LINE, client()).await;
    b.shown = one(0);
    for step in 1..20 {
        // Both clients write the same cells before either receives the other's changes: only the order decides which
        // write wins.
        a.send(&several(2 * step)).await;
        b.send(&several(2 * step + 1)).await;
    }
    a.hear_confirmations().await;
    b.hear_confirmations().await;
    let place = client().load().await.expect(LINE).unwrap_or_default();
    a.wait_until_shown(&place).await;
    b.wait_until_shown(&place).await;
}

/// A persister, its stream, and the content that a client shows if it only does what the stream says.
struct Client<P> {
    /// The rule of the contract that is checked.
    line: &'static str,
    persister: P,
    stream: Option<BoxStream<'static, Result<Notice>>>,
    shown: Content,
    sent: Vec<(Receipt, Changes)>,
    /// Whether saves were dropped. The stream may still confirm them.
    has_dropped: bool,
}

impl<P: Persister> Client<P> {
    async fn watching(line: &'static str, persister: P) -> Self {
        let stream = match persister.capability().watch {
            true => Some(within_patience(line, "watching", persister.watch()).await.expect(line)),
            false => None,
        };
        Self { line, persister, stream, shown: Content::new(), sent: Vec::new(), has_dropped: false }
    }

    /// Saves a content to a backend that holds nothing, and waits until the backend has it.
    async fn save_whole(&mut self, content: &Content) {
        let get = || content.clone();
        let saved = within_patience(self.line, "saving", self.persister.save(Save::new(&get, None))).await;
        self.shown = content.clone();
        match saved.expect(self.line) {
            Saved::Later(receipt) => {
                self.sent.push((receipt, Changes::new()));
                self.hear_confirmations().await;
            }
            Saved::Done => {}
            // Written by a save that was dropped.
            Saved::Found(found) => assert_eq!(&found, content, "nothing was ever saved there: {}", self.line),
        }
    }

    /// Saves changes, and waits until the backend has them.
    async fn save(&mut self, changes: &Changes) {
        self.send(changes).await;
        self.hear_confirmations().await;
    }

    async fn send(&mut self, changes: &Changes) {
        let mut content = self.shown.clone();
        content.apply(changes);
        let get = || content.clone();
        let saved = within_patience(self.line, "saving", self.persister.save(Save::new(&get, Some(changes)))).await;
        self.take_answer(saved, changes, content);
    }

    /// Handles the answer to a save of `changes`, which make `content`.
    fn take_answer(&mut self, saved: Result<Saved>, changes: &Changes, content: Content) {
        match saved {
            Ok(Saved::Later(receipt)) => self.sent.push((receipt, changes.clone())),
            Ok(Saved::Done) => self.shown = content,
            other => panic!("changes are answered with {other:?}: {}", self.line),
        }
    }

    async fn hear_confirmations(&mut self) {
        while !self.sent.is_empty() {
            self.hear().await;
        }
    }

    async fn wait_until_shown(&mut self, content: &Content) {
        while self.shown != *content {
            self.hear().await;
        }
    }

    async fn hear(&mut self) {
        let stream = self.stream.as_mut().expect(self.line);
        let notice = within_patience(self.line, "a notice", stream.next()).await.expect(self.line);
        match notice.expect(self.line) {
            Notice::Content(content) => self.shown = content,
            Notice::Changes(changes) => self.shown.apply(&changes),
            Notice::Stale => self.shown = self.persister.load().await.expect(self.line).unwrap_or_default(),
            Notice::Confirmed { receipt, refused } | Notice::Missing { receipt, missing: refused } => {
                assert!(refused.is_empty(), "nobody refuses anything here, and {refused:?} was: {}", self.line);
                let index = self.sent.iter().position(|(sent, _)| *sent == receipt);
                if index.is_none() && self.has_dropped {
                    // The save was dropped but took effect, so no caller has its receipt.
                    return;
                }
                let (_, changes) = self.sent.remove(index.expect(self.line));
                self.shown.apply(&changes);
            }
        }
    }
}

async fn within_patience<T>(line: &str, what: &str, future: impl Future<Output = T>) -> T {
    match select(pin!(future), Threads.sleep(PATIENCE)).await {
        Either::Left((output, _)) => output,
        Either::Right(_) => panic!("{what} does not come within {PATIENCE:?}: {line}"),
    }
}

/// A content that identifies itself by `n`.
fn one(n: i32) -> Content {
    let mut content = Content::new();
    content.apply(&several(n));
    content
}

/// Changes of several rows and values. Some rows and values are the same for every `n`.
fn several(n: i32) -> Changes {
    let mut changes = Changes::new();
    changes.set_cell("t", "same", "c", n.into());
    changes.set_cell("t", n.to_string(), "c", n.into());
    changes.set_value("same", n.into());
    changes.set_value(format!("v{n}"), n.into());
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, block_on};

    #[test]
    fn a_place_in_memory_keeps_the_contract() {
        block_on(persister(|| {
            let place = Memory::new();
            move || place.client()
        }));
    }

    #[test]
    fn a_flaky_persister_without_faults_is_the_one_that_it_wraps() {
        block_on(persister(|| {
            let place = Memory::new();
            move || Flaky::new(place.client()).0
        }));
    }
}
