//! A place that tells as fast as it is heard: it accepts, refuses and writes from a thread of its own.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Condvar, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use futures_core::{Stream, stream::BoxStream};
use roommate::{
    Capability, Changes, Content, Error, ErrorKind, Id, Notice, Persister, Receipt, Result, RowChanges, Save, Saved,
};

use super::{
    ledger::{Dice, Ledger, Mint, OTHERS},
    lock,
};

/// How many notices wait at most: few, so that the edits come between them.
const AHEAD: usize = 8;

/// The place. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Flood(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
    ledger: Arc<Ledger>,
}

#[derive(Debug, Default)]
struct State {
    content: Content,
    /// Saves that are neither accepted nor refused.
    open: VecDeque<(Receipt, Changes)>,
    /// What is to be told, with what it does to the confirmed content.
    queue: VecDeque<(Notice, Effect)>,
    waker: Option<Waker>,
    /// The confirmed content by what was told, and before the last that was told.
    told: Content,
    told_before: Content,
    refused: Vec<Changes>,
    saves: u64,
    notices: u64,
    /// What went wrong in a save, which has no other way to say so.
    wrong: Option<String>,
}

#[derive(Debug)]
enum Effect {
    Changes(Changes),
    Content(Content),
}

/// The engine's way to the place.
#[derive(Debug)]
struct Client(Flood);

struct Notices(Flood);

impl Flood {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), moved: Condvar::new(), ledger }))
    }

    pub(crate) fn client(&self) -> impl Persister {
        Client(self.clone())
    }

    pub(crate) fn content(&self) -> Content {
        lock(&self.0.state).content.clone()
    }

    /// What was told is confirmed: with the last notice, and without it.
    pub(crate) fn told(&self) -> [Content; 2] {
        let state = lock(&self.0.state);
        [state.told.clone(), state.told_before.clone()]
    }

    /// Everything that was refused, in order.
    pub(crate) fn refused(&self) -> Vec<Changes> {
        lock(&self.0.state).refused.clone()
    }

    /// Whether everything was told.
    pub(crate) fn is_heard(&self) -> bool {
        let state = lock(&self.0.state);
        assert_eq!(state.wrong, None);
        state.queue.is_empty()
    }

    pub(crate) fn figures(&self) -> String {
        let state = lock(&self.0.state);
        format!("{} saves, {} notices, {} of them refusals", state.saves, state.notices, state.refused.len())
    }

    /// Does one thing, once there is room to tell of it: takes in the oldest save, or, if `others`, somebody's write.
    pub(crate) fn work(&self, others: bool, dice: &mut Dice, mint: &Mint) {
        let mut state = lock(&self.0.state);
        if state.queue.len() >= AHEAD || (state.open.is_empty() && !others) {
            // Neither is news missed that way, nor the end of the round.
            drop(self.0.moved.wait_timeout(state, Duration::from_millis(1)));
            return;
        }
        let turn = dice.below(8);
        if others && (turn < 4 || state.open.is_empty()) {
            let changes = mint.part(OTHERS, dice);
            state.content.apply(&changes);
            state.tell(Notice::Changes(changes.clone()), Effect::Changes(changes));
        } else if let Some((receipt, changes)) = state.open.pop_front() {
            let (accepted, refused) = if turn == 7 { split(changes, dice) } else { (changes, Changes::new()) };
            state.content.apply(&accepted);
            if !refused.is_empty() {
                state.refused.push(refused.clone());
            }
            state.tell(Notice::Confirmed { receipt, refused }, Effect::Changes(accepted));
        }
        if dice.below(100) == 0 {
            let content = state.content.clone();
            state.tell(Notice::Content(content.clone()), Effect::Content(content));
        }
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn tell(&mut self, notice: Notice, effect: Effect) {
        self.notices += 1;
        self.queue.push_back((notice, effect));
    }
}

#[async_trait]
impl Persister for Client {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        Ok(Some(self.0.content()))
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        let Some(changes) = save.changes() else { return Ok(Saved::Found(self.0.content())) };
        let mut state = lock(&self.0.0.state);
        state.saves += 1;
        if state.saves.is_multiple_of(97) {
            return Err(Error::new(ErrorKind::Unavailable, "the place is away"));
        }
        if let Err(wrong) = self.0.0.ledger.received(changes) {
            state.wrong.get_or_insert(wrong);
        }
        let receipt = Receipt(state.saves);
        state.open.push_back((receipt, changes.clone()));
        self.0.0.moved.notify_all();
        Ok(Saved::Later(receipt))
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        Ok(Box::pin(Notices(self.0.clone())))
    }
}

impl Stream for Notices {
    type Item = Result<Notice>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = lock(&self.0.0.state);
        let Some((notice, effect)) = state.queue.pop_front() else {
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        state.told_before = state.told.clone();
        match effect {
            Effect::Changes(changes) => state.told.apply(&changes),
            Effect::Content(content) => state.told = content,
        }
        self.0.0.moved.notify_all();
        Poll::Ready(Some(Ok(notice)))
    }
}

/// Refuses some of it: rows as a whole, for what was written together stays together.
fn split(changes: Changes, dice: &mut Dice) -> (Changes, Changes) {
    let (mut accepted, mut refused) = (Changes::new(), Changes::new());
    let mut half = |yes: &mut Changes, no: &mut Changes, put: &dyn Fn(&mut Changes)| {
        put(if dice.below(2) == 0 { no } else { yes });
    };
    for (table_id, rows) in &changes.tables {
        match rows {
            None => half(&mut accepted, &mut refused, &|changes| changes.del_table(table_id)),
            Some(rows) => {
                for (row_id, cells) in rows {
                    half(&mut accepted, &mut refused, &|changes| put_row(changes, table_id, row_id, cells.as_ref()));
                }
            }
        }
    }
    for (value_id, value) in &changes.values {
        half(&mut accepted, &mut refused, &|changes| {
            changes.values.insert(value_id.clone(), value.clone());
        });
    }
    (accepted, refused)
}

fn put_row(changes: &mut Changes, table_id: &Id, row_id: &Id, cells: Option<&RowChanges>) {
    let Some(cells) = cells else { return changes.del_row(table_id, row_id) };
    for (cell_id, cell) in cells {
        match cell {
            Some(cell) => changes.set_cell(table_id, row_id, cell_id, cell.clone()),
            None => changes.del_cell(table_id, row_id, cell_id),
        }
    }
}
