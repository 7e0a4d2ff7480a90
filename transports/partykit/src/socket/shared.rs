//! The state that the handles of a socket share with its task, with a lock and two notifications.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use roommate::{Error, ErrorKind, Result};
use tokio::{sync::Notify, time::Instant};

use super::{metered::Vitals, tls};
use crate::proto::socket::{
    Fate, Goodbye, Message, Next, PartySocketOptions, ReadyState, SendOutcome, State, Target, Waiting, uuid_v4,
};

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// The vitals of the open connection, or of the last one that was open.
    vitals: Mutex<Option<(u64, Arc<Vitals>)>>,
    began: Instant,
    /// Notified when there is work: a call that changes what is wanted, or a message to write.
    changed: Notify,
    /// Notified when a message has left the queue, and when a connection has ended.
    relieved: Notify,
}

/// The operations of the handles.
impl Shared {
    pub(super) fn new(options: PartySocketOptions) -> Result<Self> {
        let state = State::new(options, random_id()?);
        Ok(Self {
            state: Mutex::new(state),
            vitals: Mutex::default(),
            began: Instant::now(),
            changed: Notify::new(),
            relieved: Notify::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send(&self, message: Message) -> Result<SendOutcome> {
        let outcome = self.lock().send(message)?;
        self.changed.notify_waiters();
        Ok(outcome)
    }

    pub(super) fn try_send_open(&self, message: Message, epoch: u64) -> Result<()> {
        self.lock().try_send_open(message, epoch)?;
        self.changed.notify_waiters();
        Ok(())
    }

    pub(super) fn ping(&self, payload: Bytes, epoch: u64) -> Result<()> {
        self.lock().ping(payload, epoch)?;
        self.changed.notify_waiters();
        Ok(())
    }

    pub(super) async fn writable(&self, epoch: u64) -> bool {
        let room = |state: &mut State| match state.is_open(epoch) {
            true => state.outgoing.has_room(&state.options).then_some(true),
            false => Some(false),
        };
        self.until(&self.relieved, room).await
    }

    pub(super) fn last_arrival(&self, epoch: u64) -> Option<Instant> {
        self.vitals().as_ref().filter(|(of, _)| *of == epoch).and_then(|(_, vitals)| vitals.last_arrival())
    }

    pub(super) async fn closed(&self) {
        let closed = |state: &mut State| (state.ready_state == ReadyState::Closed).then_some(());
        self.until(&self.relieved, closed).await;
    }

    pub(super) fn drain(&self) -> Vec<Message> {
        let drained = self.lock().outgoing.drain();
        self.relieved.notify_waiters();
        drained
    }

    pub(super) fn retry_count(&self) -> u32 {
        self.lock().retry_count(self.began.elapsed())
    }

    pub(super) fn close(&self, goodbye: Goodbye) {
        self.lock().close(goodbye);
        self.ring();
    }

    pub(super) fn abandon(&self) {
        self.lock().abandon();
        self.ring();
    }

    pub(super) fn reconnect(&self) -> Result<()> {
        self.lock().reconnect()?;
        self.ring();
        Ok(())
    }

    pub(super) fn update(&self, change: impl Fn(PartySocketOptions) -> PartySocketOptions) -> Result<()> {
        loop {
            // `change` is the application's code, so it runs without the lock.
            let before = self.lock().options.clone();
            let after = change(before.as_ref().clone());
            after.validate()?;
            tls::check(&after)?;
            let mut state = self.lock();
            if Arc::ptr_eq(&state.options, &before) {
                state.update(after)?;
                drop(state);
                self.ring();
                return Ok(());
            }
        }
    }
}

/// The operations of the task.
impl Shared {
    /// Waits until a connection is wanted. Returns `None` when all handles are dropped.
    pub(super) async fn target(&self) -> Option<Target> {
        let target = |state: &mut State| match state.is_abandoned() {
            true => Some(None),
            // Without randomness the old id is better than no connection.
            false => state.target(|| random_id().ok()).map(Some),
        };
        self.until(&self.changed, target).await
    }

    /// Waits until this turn is over, because something else is wanted.
    pub(super) async fn turned(&self, turn: u64) {
        self.until(&self.changed, |state| (!state.is_turn(turn)).then_some(())).await;
    }

    /// Waits until all handles are dropped.
    pub(super) async fn abandoned(&self) {
        self.until(&self.changed, |state| state.is_abandoned().then_some(())).await;
    }

    /// Waits until there may be something to write, or to stop.
    pub(super) async fn something_to_write(&self, turn: u64) {
        let something = |state: &mut State| (!state.is_turn(turn) || !state.outgoing.is_empty()).then_some(());
        self.until(&self.changed, something).await;
    }

    pub(super) fn id_is_spent(&self) {
        self.lock().id_is_spent();
    }

    pub(super) fn opened(&self, turn: u64, vitals: &Arc<Vitals>) -> Option<u64> {
        let epoch = self.lock().opened(turn, self.began.elapsed())?;
        *self.vitals() = Some((epoch, vitals.clone()));
        Some(epoch)
    }

    pub(super) fn next(&self, turn: u64) -> Next {
        let next = self.lock().next(turn);
        if matches!(next, Next::Message(_)) {
            self.relieved.notify_waiters();
        }
        next
    }

    pub(super) fn put_back(&self, waiting: Waiting) {
        self.lock().outgoing.put_back(waiting);
    }

    pub(super) fn goodbye(&self, turn: u64) -> Option<Goodbye> {
        self.lock().goodbye(turn)
    }

    pub(super) fn patience(&self) -> Duration {
        self.lock().patience()
    }

    pub(super) fn ended(&self, turn: u64) -> Option<Fate> {
        let fate = self.lock().ended(turn, self.began.elapsed(), random());
        self.ring();
        fate
    }

    pub(super) fn failed(&self, turn: u64, refused: bool) -> Option<Fate> {
        let fate = self.lock().failed(turn, refused, random());
        self.ring();
        fate
    }

    pub(super) fn task_ended(&self) {
        self.lock().task_ended();
        self.ring();
    }

    fn vitals(&self) -> MutexGuard<'_, Option<(u64, Arc<Vitals>)>> {
        self.vitals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        self.changed.notify_waiters();
        self.relieved.notify_waiters();
    }

    async fn until<T>(&self, bell: &Notify, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            // The task subscribes to the notification before it checks the state, so that no change is missed.
            let mut rung = pin!(bell.notified());
            rung.as_mut().enable();
            if let Some(value) = ready(&mut self.lock()) {
                return value;
            }
            rung.await;
        }
    }
}

/// A number from 0 to 1, without 1; the middle if no randomness is available.
fn random() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / 4_294_967_296.0)
}

pub(crate) fn random_id() -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        let message = "this machine has no randomness for an id of the connection";
        Error::with_source(ErrorKind::Unavailable, message, error)
    })?;
    Ok(uuid_v4(random))
}
