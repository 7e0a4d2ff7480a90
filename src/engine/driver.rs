//! The loop that carries out what [`Core`] decides.

use std::{
    collections::HashMap,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_channel::oneshot;
use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{
    FutureExt, StreamExt,
    future::{Either, select},
};

use super::{
    Refused,
    core::{Apply, CallId, Core, Effect, Input, Timer},
    outbox::{Outbox, Progress},
    replica::EditId,
    shared::{End, Incoming, Public, Request, Shared},
};
use crate::{
    content::Changes,
    error::{Error, ErrorKind, Result},
    persister::{Certainty, EditKey, Notice, Save},
    runtime::Runtime,
};

/// An action that the application scheduled.
pub(super) type Action = BoxFuture<'static, Result<()>>;

type NoticeStream = BoxStream<'static, Result<Notice>>;

/// How many turns a driver takes before it yields to other tasks.
const MAX_TURNS: u32 = 64;

/// What has ended, of the operations in flight.
enum Done {
    Input(Input),
    Watching(Result<NoticeStream>),
}

pub(super) struct Driver {
    shared: Arc<Shared>,
    runtime: Arc<dyn Runtime>,
    core: Core,
    under_way: Option<BoxFuture<'static, Done>>,
    stream: Option<NoticeStream>,
    timers: HashMap<Timer, BoxFuture<'static, ()>>,
    answers: HashMap<CallId, oneshot::Sender<Result<()>>>,
    actions: HashMap<CallId, Action>,
    calls: u64,
    outbox: Option<Outbox>,
    /// How long closing the outbox may take.
    outbox_deadline: Duration,
    /// How many turns it has taken in a row without waiting.
    turns: u32,
    ended: bool,
    /// Dropped with the driver. The receiver, at the other end, then sees that the driver has ended.
    _alive: oneshot::Sender<()>,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        runtime: Arc<dyn Runtime>,
        core: Core,
        outbox: Option<Outbox>,
        outbox_deadline: Duration,
        alive: oneshot::Sender<()>,
    ) -> Self {
        Self {
            shared,
            runtime,
            core,
            outbox,
            outbox_deadline,
            turns: 0,
            _alive: alive,
            under_way: None,
            stream: None,
            timers: HashMap::new(),
            answers: HashMap::new(),
            actions: HashMap::new(),
            calls: 0,
            ended: false,
        }
    }

    /// Runs until the engine is destroyed.
    pub(super) async fn run(mut self) {
        while !self.ended {
            // An edit is not an input: the core sees in the summary that an edit waits.
            if let Some(done) = poll_fn(|context| self.poll(context)).await {
                self.take(done);
            }
            while !self.ended
                && let Some(effect) = self.core.next(&self.shared.summary())
            {
                if let Effect::Apply(_) = &effect {
                    // A change from the backend must not become part of a transaction that is open on this thread.
                    poll_fn(|context| self.shared.poll_takes(context)).await;
                }
                self.carry_out(effect);
            }
            self.publish();
        }
        if let Some(outbox) = self.outbox.take() {
            let deadline = self.runtime.sleep(self.outbox_deadline);
            // The statement drops the outbox's save too: a caller that waits for the end may then open another engine
            // on the same outbox.
            let is_late = matches!(select(pin!(outbox.finish(&self.shared)), deadline).await, Either::Right(_));
            if is_late {
                self.shared.report(Error::new(
                    ErrorKind::Unavailable,
                    "the outbox did not take what is left in time: it may lack the last edits",
                ));
            }
        }
    }

    /// Takes a turn, and yields to other tasks in between. A backend that always has a notice must not block the
    /// runtime's other work, such as its timers.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Done>> {
        if self.turns == MAX_TURNS {
            self.turns = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let done = self.poll_parts(context);
        self.turns = if done.is_ready() { self.turns + 1 } else { 0 };
        done
    }

    fn poll_parts(&mut self, context: &mut Context<'_>) -> Poll<Option<Done>> {
        if self.outbox.as_ref().is_none_or(Outbox::is_restored) {
            // Timers come first. Everything after them may always be ready, and may use up the work that a runtime lets
            // a task do at a time. So a deadline holds whatever a persister does.
            for timer in [Timer::Deadline, Timer::Retry, Timer::Hold, Timer::Poll] {
                if let Some(sleep) = self.timers.get_mut(&timer)
                    && sleep.poll_unpin(context).is_ready()
                {
                    self.timers.remove(&timer);
                    return Poll::Ready(Some(Done::Input(Input::Woke(timer))));
                }
            }
        }
        if let Some(outbox) = &mut self.outbox {
            match outbox.poll(&self.shared, self.core.gathers(), context) {
                Poll::Ready(Progress::Some) => return Poll::Ready(None),
                Poll::Ready(Progress::Unkept(error)) => return Poll::Ready(Some(Done::Input(Input::Unkept(error)))),
                Poll::Ready(Progress::Unreadable(error)) => {
                    self.lose_outbox(error);
                    return Poll::Ready(None);
                }
                Poll::Pending if !outbox.is_restored() => return self.poll_destroyed(context),
                Poll::Pending => {}
            }
        }
        match self.shared.poll_incoming(context) {
            Poll::Ready(Incoming::Request(request)) => return Poll::Ready(Some(self.requested(request))),
            Poll::Ready(Incoming::Edited) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        if let Some(under_way) = &mut self.under_way
            && let Poll::Ready(done) = under_way.poll_unpin(context)
        {
            self.under_way = None;
            return Poll::Ready(Some(done));
        }
        if self.core.listens()
            && let Some(stream) = &mut self.stream
            && let Poll::Ready(notice) = stream.poll_next_unpin(context)
        {
            return Poll::Ready(Some(Done::Input(match notice {
                Some(notice) => Input::Noticed(notice),
                None => {
                    self.stream = None;
                    Input::WatchEnded
                }
            })));
        }
        Poll::Pending
    }

    /// Takes no call until the outbox is read, except that a call that destroys the engine ends it.
    fn poll_destroyed(&mut self, context: &mut Context<'_>) -> Poll<Option<Done>> {
        let Some(deadline) = self.shared.poll_destroyed(context) else { return Poll::Pending };
        let sleep = self.timers.entry(Timer::Deadline).or_insert_with(|| self.runtime.sleep(deadline));
        std::task::ready!(sleep.poll_unpin(context));
        self.lose_outbox(Error::new(ErrorKind::Unavailable, "it did not answer before the engine was destroyed"));
        Poll::Ready(None)
    }

    /// Ends because of an outbox that cannot be read: its content must not be overwritten.
    fn lose_outbox(&mut self, error: Error) {
        self.outbox = None;
        self.shared.report(error.clone());
        let message = format!("the outbox cannot be read, so the engine ended: {error}");
        self.end(End::Failed(Error::with_source(ErrorKind::Closed, message, error)));
    }

    fn requested(&mut self, request: Request) -> Done {
        self.calls += 1;
        let id = CallId(self.calls);
        self.answers.insert(id, request.answer);
        if let Some(action) = request.action {
            self.actions.insert(id, action);
        }
        Done::Input(Input::Called(id, request.call))
    }

    fn take(&mut self, done: Done) {
        let input = match done {
            Done::Input(input) => input,
            Done::Watching(Ok(stream)) => {
                let stream = AssertUnwindSafe(stream).catch_unwind();
                self.stream = Some(stream.map(|notice| notice.unwrap_or_else(|_| Err(panicked("the stream")))).boxed());
                Input::Watching(Ok(()))
            }
            Done::Watching(Err(error)) => Input::Watching(Err(error)),
        };
        self.core.handle(input, &self.shared.summary());
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Watch => self.begin(Done::Watching, |shared| async move {
                shared.persister.introduce(shared.client_id());
                shared.persister.watch().await
            }),
            Effect::Unwatch => self.stream = None,
            Effect::Load => self.begin(
                |result| Done::Input(Input::Loaded(result)),
                |shared| async move { shared.persister.load().await },
            ),
            Effect::Save { whole } => {
                let (taken, last) = {
                    let mut replica = self.shared.replica();
                    (replica.take_next(), replica.last_to_save())
                };
                let (edit, changes) = match taken {
                    Some((id, changes)) if !whole => (Some(id), Some(changes)),
                    _ => (last, None),
                };
                self.begin(
                    |result| Done::Input(Input::Saved(result)),
                    |shared| async move {
                        let content = || shared.content_to_save();
                        let mut save = Save::new(&content, changes.as_ref());
                        if let Some(EditId(number)) = edit {
                            save = save.with_edit(EditKey { client: shared.client_id(), number });
                        }
                        shared.persister.save(save).await
                    },
                );
            }
            Effect::Act(id) => {
                let action = self.actions.remove(&id);
                self.begin(
                    |result| Done::Input(Input::Acted(result)),
                    |_| async move {
                        match action {
                            Some(action) => action.await,
                            None => Ok(()),
                        }
                    },
                );
            }
            Effect::Close => self.begin(
                |result| Done::Input(Input::Closed(result)),
                |shared| async move { shared.persister.close().await },
            ),
            Effect::Abandon => self.under_way = None,
            Effect::Apply(apply) => self.apply(apply),
            Effect::Wake(timer, after) => {
                self.timers.insert(timer, self.runtime.sleep(after));
            }
            Effect::Answer(id, result) => self.answer(id, result),
            Effect::Report(error) => self.shared.report(error),
            Effect::Status(status) => {
                self.publish();
                self.guarded("a status listener", |shared| shared.statuses.tell(&status));
            }
            Effect::End => self.end(End::Destroyed),
        }
    }

    /// Begins an operation of the persister or the application. A panic of the operation is its failure.
    fn begin<T, F>(
        &mut self,
        done: impl FnOnce(Result<T>) -> Done + Send + 'static,
        begin: impl FnOnce(Arc<Shared>) -> F,
    ) where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let future = AssertUnwindSafe(begin(self.shared.clone())).catch_unwind();
        self.under_way = Some(Box::pin(async move { done(future.await.unwrap_or_else(|_| Err(panicked("it")))) }));
    }

    fn apply(&self, apply: Apply) {
        let certainty = match &apply {
            Apply::Confirmed(_, _, certainty, _) => *certainty,
            _ => Certainty::Certain,
        };
        let mut refused = Changes::new();
        self.shared.apply(apply, &mut refused);
        if !refused.is_empty() {
            let refused = Refused { changes: refused, certainty };
            self.guarded("a listener of refusals", |shared| shared.refusals.tell(&refused));
        }
    }

    fn answer(&mut self, id: CallId, result: Result<()>) {
        let Some(answer) = self.answers.remove(&id) else { return };
        self.publish();
        // The caller has dropped its [`Pending`](super::Pending): an error is reported.
        if let Err(Err(error)) = answer.send(result) {
            self.shared.report(error);
        }
    }

    /// Calls the application's code. A panic of that code must not end the engine.
    fn guarded(&self, whose: &str, call: impl FnOnce(&Shared)) {
        if catch_unwind(AssertUnwindSafe(|| call(&self.shared))).is_err() {
            self.shared.report(panicked(whose));
        }
    }

    fn publish(&self) {
        self.shared.publish(Public {
            status: self.core.status(),
            stats: self.core.stats(),
            auto_loading: self.core.is_auto_loading(),
            auto_saving: self.core.is_auto_saving(),
        });
    }

    fn end(&mut self, end: End) {
        self.ended = true;
        self.stream = None;
        self.publish();
        let requests = self.shared.end(end.clone()).into_iter().map(|request| request.answer);
        for answer in requests.chain(self.answers.drain().map(|(_, answer)| answer)) {
            // The caller may have dropped its [`Pending`](super::Pending).
            let _ = answer.send(Err(end.answer()));
        }
        self.shared.statuses.end();
        self.shared.refusals.end();
    }
}

/// A runtime that shuts down drops the task. Callers must not wait for it then.
impl Drop for Driver {
    fn drop(&mut self) {
        if !self.ended {
            // This comes first: a caller that sees the engine's end may open another engine on the same backend.
            self.under_way = None;
            self.outbox = None;
            self.end(End::Failed(Error::new(
                ErrorKind::Closed,
                "the engine's runtime ended, and the engine with it: its edits are in `unconfirmed()`",
            )));
        }
    }
}

fn panicked(whose: &str) -> Error {
    Error::new(ErrorKind::Callback, format!("{whose} panicked"))
}
