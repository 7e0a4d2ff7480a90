//! Unconfirmed edits stored in a second backend, so that they outlive the process.
//!
//! The law: *an edit is stored before it is sent.* An edit is given to a save only when the outbox has it under its
//! number. So a program that restarts sends each edit that the last run may have sent under the same number and with
//! the same changes, and a backend that knows edits by their keys applies each exactly once (R7).

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::future::BoxFuture;
use futures_util::{FutureExt, future};

use super::{
    core::Backoff,
    replica::{EditId, Sealed},
    shared::Shared,
};
use crate::{
    content::{Cell, Changes, Content, Id, Row},
    error::{Error, ErrorKind, Result},
    json::Decoded,
    persister::{Persister, Save, Saved},
    runtime::Runtime,
};

/// The table that holds a row for each edit, by its number.
const EDITS: &str = "edits";
/// The cell of such a row with the changes, as TinyBase's JSON.
const CHANGES: &str = "changes";
/// The value with the engine's client id.
const CLIENT: &str = "client";
/// The value with the number of the newest edit ever made.
const MADE: &str = "made";

/// The largest number of an edit: half of the integers that a cell can hold, so that numbers are left for the edits of
/// this run.
const MOST_MADE: f64 = (1_u64 << 52) as f64;

/// How often reading the outbox is retried before the engine gives up.
const RESTORE_ATTEMPTS: u32 = 6;

/// Stores the edits of one engine. The engine's driver polls it.
pub(super) struct Outbox {
    persister: Arc<dyn Persister>,
    /// Its name in errors.
    name: String,
    runtime: Arc<dyn Runtime>,
    state: State,
    backoff: Backoff,
    attempts: u32,
    /// The client's id, if no earlier run had one.
    client_id: String,
    /// The revision of the list of edits that is stored.
    revision: Option<u64>,
}

enum State {
    Restoring(BoxFuture<'static, Result<Option<Content>>>),
    RestoresLater(BoxFuture<'static, ()>),
    Idle,
    Keeping { revision: u64, up_to: EditId, saving: BoxFuture<'static, Result<()>> },
    KeepsLater(BoxFuture<'static, ()>),
}

/// What came of the operation in flight.
pub(super) enum Progress {
    /// It has made progress, or will be tried again later.
    Some,
    /// The outbox cannot store edits, for a permanent cause. The engine tries again all the same.
    Unkept(Error),
    /// Its content cannot be read. The engine ends.
    Unreadable(Error),
}

/// What an earlier run left.
#[derive(Debug, Default, PartialEq)]
struct Kept {
    client_id: Option<String>,
    made: u64,
    edits: Vec<(EditId, Changes)>,
}

impl Outbox {
    pub(super) fn new(
        persister: Arc<dyn Persister>,
        runtime: Arc<dyn Runtime>,
        backoff: Backoff,
        client_id: String,
        own_place: Option<String>,
    ) -> Self {
        let place = persister.place();
        let name = place.as_ref().map_or_else(|| "the outbox".to_owned(), |place| format!("the outbox, {place},"));
        let state = State::Restoring(match place.filter(|place| own_place.as_ref() == Some(place)) {
            Some(place) => future::ready(Err(not_its_own(&place))).boxed(),
            None => load(persister.clone()),
        });
        Self { persister, name, runtime, state, backoff, attempts: 0, client_id, revision: None }
    }

    /// Whether the edits of an earlier run are restored.
    pub(super) fn is_restored(&self) -> bool {
        !matches!(self.state, State::Restoring(_) | State::RestoresLater(_))
    }

    /// Makes progress. Ready after each step, so that other work never waits for more than one step. While the engine
    /// `gathers` edits, the waiting edit is stored as it is so far; it is closed when gathering is over.
    pub(super) fn poll(&mut self, shared: &Shared, gathers: bool, context: &mut Context<'_>) -> Poll<Progress> {
        loop {
            match &mut self.state {
                State::Restoring(loading) => {
                    std::task::ready!(shared.poll_takes(context));
                    let loaded = std::task::ready!(loading.poll_unpin(context));
                    let kept = match loaded {
                        Ok(Some(content)) => decode(&content, &self.name),
                        Ok(None) => Ok(Kept::default()),
                        Err(error) => Err(error),
                    };
                    match kept {
                        Ok(kept) => {
                            let client_id = kept.client_id.unwrap_or_else(|| mem::take(&mut self.client_id));
                            shared.restore(client_id, EditId(kept.made), kept.edits);
                            self.state = State::Idle;
                            self.backoff.reset();
                            return Poll::Ready(Progress::Some);
                        }
                        Err(error) if error.is_temporary() && self.attempts < RESTORE_ATTEMPTS => {
                            self.attempts += 1;
                            shared.report(error);
                            self.state = State::RestoresLater(self.sleep());
                        }
                        Err(error) => return Poll::Ready(Progress::Unreadable(error)),
                    }
                }
                State::RestoresLater(sleep) => {
                    std::task::ready!(sleep.poll_unpin(context));
                    self.state = State::Restoring(load(self.persister.clone()));
                }
                State::Idle => {
                    let mut replica = shared.replica();
                    if self.revision == Some(replica.revision()) {
                        // It is stored already; only closing it is left.
                        return match replica.close_kept(gathers) {
                            true => Poll::Ready(Progress::Some),
                            false => Poll::Pending,
                        };
                    }
                    drop(replica);
                    self.state = self.keep(shared, gathers);
                }
                State::Keeping { revision, up_to, saving } => match std::task::ready!(saving.poll_unpin(context)) {
                    Ok(()) => {
                        self.revision = Some(*revision);
                        shared.replica().keep(*up_to);
                        self.state = State::Idle;
                        self.backoff.reset();
                        return Poll::Ready(Progress::Some);
                    }
                    Err(error) => {
                        self.state = State::KeepsLater(self.sleep());
                        if !error.is_temporary() {
                            return Poll::Ready(Progress::Unkept(error));
                        }
                        shared.report(error);
                        return Poll::Ready(Progress::Some);
                    }
                },
                State::KeepsLater(sleep) => {
                    std::task::ready!(sleep.poll_unpin(context));
                    self.state = State::Idle;
                }
            }
        }
    }

    /// Stores what is left, once, and closes.
    pub(super) async fn finish(mut self, shared: &Shared) {
        if let State::Keeping { saving, .. } = &mut self.state
            && let Err(error) = saving.await
        {
            shared.report(error);
        }
        if self.is_restored()
            && self.revision != Some(shared.replica().revision())
            && let State::Keeping { saving, .. } = self.keep(shared, false)
            && let Err(error) = saving.await
        {
            shared.report(error);
        }
        if let Err(error) = self.persister.close().await {
            shared.report(error);
        }
    }

    fn keep(&self, shared: &Shared, gathers: bool) -> State {
        let sealed = shared.replica().seal(gathers);
        let (revision, up_to) = (sealed.revision, sealed.up_to);
        let content = encode(shared.client_id(), &sealed);
        let persister = self.persister.clone();
        let saving = async move {
            let content = || content.clone();
            match persister.save(Save::new(&content, None)).await? {
                Saved::Done => Ok(()),
                _ => Err(Error::new(
                    ErrorKind::Unsupported,
                    "an outbox has to be a place that nobody shares: use another",
                )),
            }
        };
        State::Keeping { revision, up_to, saving: unpanicking(saving) }
    }

    fn sleep(&mut self) -> BoxFuture<'static, ()> {
        let delay: Duration = self.backoff.wait();
        self.runtime.sleep(delay)
    }
}

fn not_its_own(place: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("the outbox is the store's own place, {place}: give it a place of its own"))
}

fn load(persister: Arc<dyn Persister>) -> BoxFuture<'static, Result<Option<Content>>> {
    unpanicking(async move { persister.load().await })
}

fn unpanicking<T: Send + 'static>(
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> BoxFuture<'static, Result<T>> {
    let panicked = || Error::new(ErrorKind::Callback, "the outbox panicked");
    std::panic::AssertUnwindSafe(future)
        .catch_unwind()
        .then(move |result| future::ready(result.unwrap_or_else(|_| Err(panicked()))))
        .boxed()
}

fn encode(client_id: &str, sealed: &Sealed) -> Content {
    let mut content = Content::new();
    for (EditId(number), changes) in &sealed.edits {
        // JSON text begins with a bracket, so it is not a reserved text.
        if let Ok(text) = Cell::try_from(changes.to_json()) {
            let row: Row = [(CHANGES, text)].into_iter().collect();
            content.tables.get_or_default(&EDITS.into()).insert(number.to_string(), row);
        }
    }
    if let (Ok(client_id), Ok(made)) = (Cell::try_from(client_id), Cell::try_from(sealed.made.0)) {
        content.values.insert(CLIENT, client_id);
        content.values.insert(MADE, made);
    }
    content
}

/// Reads what an outbox called `name` stores in `content`.
fn decode(content: &Content, name: &str) -> Result<Kept> {
    let corrupt = |what: &str| {
        Error::new(
            ErrorKind::Corrupt,
            format!("{name} holds something else than an engine's edits ({what}): mend or remove it"),
        )
    };
    if has_others(content.tables.keys(), &[EDITS]) || has_others(content.values.keys(), &[CLIENT, MADE]) {
        return Err(corrupt("what a store holds, perhaps: an outbox needs a place of its own"));
    }
    let client_id = match content.values.get(CLIENT) {
        None => None,
        Some(client_id) => Some(client_id.as_str().ok_or_else(|| corrupt("its client"))?.to_owned()),
    };
    let made = match content.values.get(MADE) {
        None => 0,
        Some(made) => {
            let is_count = |made: &f64| (0.0..=MOST_MADE).contains(made) && made.fract() == 0.0;
            made.as_f64().filter(is_count).ok_or_else(|| corrupt("its count"))? as u64
        }
    };
    let mut edits = Vec::new();
    for (number, row) in content.tables.get(EDITS).into_iter().flatten() {
        let number = decimal(number).filter(|number| *number <= made).ok_or_else(|| corrupt("a number"))?;
        if has_others(row.keys(), &[CHANGES]) {
            return Err(corrupt("an edit with more than its changes"));
        }
        let text = row.get(CHANGES).and_then(Cell::as_str).ok_or_else(|| corrupt("an edit"))?;
        match Changes::from_json(text) {
            Ok(Decoded { value, unrepresentable: 0 }) => edits.push((EditId(number), value)),
            _ => return Err(corrupt("changes")),
        }
    }
    edits.sort_by_key(|(id, _)| *id);
    Ok(Kept { client_id, made, edits })
}

/// Parses a number that is written in its one canonical form.
fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// Whether there is an id that is not in `ids`.
fn has_others<'a>(mut present: impl Iterator<Item = &'a Id>, ids: &[&str]) -> bool {
    present.any(|id| !ids.contains(&id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(to: i32) -> Changes {
        let mut changes = Changes::new();
        changes.set_cell("t", "r", "c", to.into());
        changes.del_row("t", "gone");
        changes.del_value("v");
        changes
    }

    #[test]
    fn edits_are_read_back_in_their_order_and_under_their_numbers() {
        let edits: Vec<_> = [2, 9, 10, 11].map(|number| (EditId(number), changes(number as i32))).into();
        let sealed = Sealed { revision: 1, made: EditId(12), up_to: EditId(11), edits: edits.clone() };
        let text = encode("me", &sealed).to_json();
        let content = Content::from_json(&text).unwrap().value;
        assert_eq!(decode(&content, "it").unwrap(), Kept { client_id: Some("me".into()), made: 12, edits });
    }

    #[test]
    fn something_else_than_edits_is_refused_with_advice() {
        for text in [
            r#"[{"edits":{"1":{"changes":5}}},{"made":1}]"#,
            r#"[{"edits":{"x":{"changes":"[{},{},1]"}}},{"made":1}]"#,
            r#"[{"edits":{"2":{"changes":"[{},{},1]"}}},{"made":1}]"#,
            r#"[{"edits":{"01":{"changes":"[{},{},1]"}}},{"made":1}]"#,
            r#"[{},{"made":-1}]"#,
            r#"[{},{"made":1e300}]"#,
            r#"[{},{"client":true}]"#,
            r#"[{"edits":{"1":{"changes":"[{},{},1]","more":1}}},{"made":1}]"#,
            r#"[{"pets":{"fido":{"species":"dog"}}},{}]"#,
            r#"[{"edits":{},"pets":{"fido":{"species":"dog"}}},{"client":"me","made":1}]"#,
            r#"[{},{"open":true}]"#,
            r#"[{"edits":{"1":{"changes":"[{},{},1"}}},{"made":1}]"#,
            r#"[{"edits":{"1":{"changes":"[{\"t\":{\"r\":{\"c\":1e999}}},{},1]"}}},{"made":1}]"#,
        ] {
            let error = decode(&Content::from_json(text).unwrap().value, "the outbox, file /a,").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
            let said = error.to_string();
            assert!(said.starts_with("the outbox, file /a, holds") && said.contains("mend or remove"), "{said}");
        }
    }
}
