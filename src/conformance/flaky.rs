//! A persister that fails on request.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use futures_core::{Stream, stream::BoxStream};
use futures_util::future::poll_fn;

use crate::{
    content::Content,
    error::{Error, Result},
    persister::{Capability, Notice, Persister, Report, Save, Saved},
    runtime::Runtime,
};

/// A persister that wraps another one, and adds the faults of [`Faults`].
pub struct Flaky<P> {
    inner: P,
    faults: Faults,
}

/// The faults of a [`Flaky`] persister, and a count of its calls. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

/// A function of a persister.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// [`Persister::load`].
    Load,
    /// [`Persister::save`].
    Save,
    /// [`Persister::watch`].
    Watch,
    /// [`Persister::close`].
    Close,
}

/// A fault in one call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call fails, and does nothing.
    Fail(Error),
    /// The call does its work, and fails all the same, like an answer that was lost.
    FailAfter(Error),
    /// The call does nothing until the gate is open.
    Hold(Gate),
    /// The call does its work, and does not return until the gate is open.
    HoldAfter(Gate),
    /// The call panics.
    Panic,
}

/// Holds calls back until it is opened. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Mutex<Passage>>);

#[derive(Debug, Default)]
struct Passage {
    open: bool,
    reached: bool,
    wakers: Vec<Waker>,
}

#[derive(Default)]
struct State {
    /// Indexed by the function and the number of the call, counting from 1.
    faults: HashMap<(Op, u64), Fault>,
    calls: HashMap<Op, u64>,
    /// How many calls are in flight, `watch` excluded.
    under_way: HashMap<Op, u64>,
    told: Vec<Result<Notice>>,
    /// The number of the open stream. Earlier streams have ended.
    stream: u64,
    waker: Option<Waker>,
}

impl<P: Persister> Flaky<P> {
    /// Wraps a persister. Without a fault it does exactly what the inner persister does.
    pub fn new(inner: P) -> (Self, Faults) {
        let faults = Faults::default();
        (Self { inner, faults: faults.clone() }, faults)
    }
}

impl Faults {
    /// Puts a fault into the next call.
    pub fn next(&self, op: Op, fault: Fault) {
        self.nth(op, 1, fault);
    }

    /// Puts a fault into the n-th call from now on; the next one is the first.
    pub fn nth(&self, op: Op, n: u64, fault: Fault) {
        let mut state = lock(&self.0);
        let call = state.calls.get(&op).unwrap_or(&0) + n;
        state.faults.insert((op, call), fault);
    }

    /// Removes every fault that has not occurred yet.
    pub fn clear(&self) {
        lock(&self.0).faults.clear();
    }

    /// Returns how often the function was called.
    pub fn calls(&self, op: Op) -> u64 {
        lock(&self.0).calls.get(&op).copied().unwrap_or(0)
    }

    /// Returns whether a call is in flight: it has begun, and was neither answered nor dropped.
    pub fn is_under_way(&self, op: Op) -> bool {
        lock(&self.0).under_way.get(&op).is_some_and(|calls| *calls > 0)
    }

    /// Sends a notice in the open stream that the backend did not send.
    pub fn tell(&self, notice: Result<Notice>) {
        let mut state = lock(&self.0);
        state.told.push(notice);
        state.waker.take().into_iter().for_each(Waker::wake);
    }

    /// Ends the open stream, and drops the added notices that it has not delivered.
    pub fn end_stream(&self) {
        let mut state = lock(&self.0);
        state.stream += 1;
        state.told.clear();
        state.waker.take().into_iter().for_each(Waker::wake);
    }

    /// Counts a call, and returns its fault.
    fn begin(&self, op: Op) -> (Option<Fault>, Call) {
        let mut state = lock(&self.0);
        let call = state.calls.entry(op).or_default();
        *call += 1;
        let number = *call;
        let busy: u64 = [Op::Load, Op::Save].iter().filter_map(|op| state.under_way.get(op)).sum();
        // A panic while the lock is held poisons it. Other calls ignore that and go on.
        assert!(busy == 0 || op == Op::Watch, "{op:?} is called while a load or a save is under way");
        *state.under_way.entry(op).or_default() += 1;
        (state.faults.remove(&(op, number)), Call { faults: self.clone(), op })
    }

    async fn run<T>(&self, op: Op, work: impl Future<Output = Result<T>>) -> Result<T> {
        let (fault, _call) = self.begin(op);
        match fault {
            None => work.await,
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::FailAfter(error)) => work.await.and(Err(error)),
            Some(Fault::Hold(gate)) => {
                gate.pass().await;
                work.await
            }
            Some(Fault::HoldAfter(gate)) => {
                let output = work.await;
                gate.pass().await;
                output
            }
            Some(Fault::Panic) => panic!("a fault that was asked for"),
        }
    }
}

impl Fault {
    /// Creates a failure with a temporary cause.
    pub fn unavailable() -> Self {
        Self::Fail(Error::new(crate::ErrorKind::Unavailable, "the place is away"))
    }

    /// Creates a failure with a permanent cause.
    pub fn refused() -> Self {
        Self::Fail(Error::new(crate::ErrorKind::Refused, "the place says no"))
    }
}

impl Gate {
    /// Creates a closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the calls go on that wait, or that come later.
    pub fn open(&self) {
        let mut passage = lock(&self.0);
        passage.open = true;
        passage.wakers.drain(..).for_each(Waker::wake);
    }

    /// Resolves when a call waits at the gate, or has passed it.
    pub async fn reached(&self) {
        self.wait(|passage| passage.reached).await;
    }

    /// Returns whether a call waits at the gate, or has passed it.
    pub fn is_reached(&self) -> bool {
        lock(&self.0).reached
    }

    /// Waits at the gate until it is open.
    pub async fn pass(&self) {
        {
            let mut passage = lock(&self.0);
            passage.reached = true;
            passage.wakers.drain(..).for_each(Waker::wake);
        }
        self.wait(|passage| passage.open).await;
    }

    async fn wait(&self, until: impl Fn(&Passage) -> bool) {
        poll_fn(|context| {
            let mut passage = lock(&self.0);
            if until(&passage) {
                return Poll::Ready(());
            }
            passage.wakers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[async_trait]
impl<P: Persister> Persister for Flaky<P> {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn load(&self) -> Result<Option<Content>> {
        self.faults.run(Op::Load, self.inner.load()).await
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        self.faults.run(Op::Save, self.inner.save(save)).await
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        let inner = self.faults.run(Op::Watch, self.inner.watch()).await?;
        let mut state = lock(&self.faults.0);
        state.stream += 1;
        state.told.clear();
        let number = state.stream;
        drop(state);
        Ok(Box::pin(Notices { inner: Some(inner), faults: self.faults.clone(), number }))
    }

    fn introduce(&self, client: &str) {
        self.inner.introduce(client);
    }

    fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        self.inner.runtime()
    }

    fn report_to(&self, report: Report) {
        self.inner.report_to(report);
    }

    fn place(&self) -> Option<String> {
        self.inner.place()
    }

    async fn close(&self) -> Result<()> {
        self.faults.run(Op::Close, self.inner.close()).await
    }
}

/// A call in flight. It ends when it is done or dropped.
struct Call {
    faults: Faults,
    op: Op,
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(under_way) = lock(&self.faults.0).under_way.get_mut(&self.op) {
            *under_way -= 1;
        }
    }
}

struct Notices {
    inner: Option<BoxStream<'static, Result<Notice>>>,
    faults: Faults,
    number: u64,
}

impl Stream for Notices {
    type Item = Result<Notice>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        {
            let mut state = lock(&self.faults.0);
            if state.stream != self.number {
                drop(state);
                self.inner = None;
                return Poll::Ready(None);
            }
            if !state.told.is_empty() {
                return Poll::Ready(Some(state.told.remove(0)));
            }
            state.waker = Some(context.waker().clone());
        }
        match &mut self.inner {
            Some(inner) => inner.as_mut().poll_next(context),
            None => Poll::Ready(None),
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for Flaky<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flaky").field(&self.inner).finish()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0);
        f.debug_struct("Faults").field("to_come", &state.faults).field("calls", &state.calls).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
