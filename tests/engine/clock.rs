//! A runtime without threads whose time passes when a test says so: what happens is the same every time.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures_core::future::BoxFuture;
use futures_util::future::poll_fn;
use roommate::Runtime;

/// Runs tasks on the thread of the test, and lets time pass from one alarm to the next. Clones are the same clock.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    now: Duration,
    tasks: Vec<Arc<Task>>,
    sleeps: Vec<Weak<Mutex<Sleep>>>,
}

struct Task {
    woken: Arc<Woken>,
    future: Mutex<Option<BoxFuture<'static, ()>>>,
}

struct Woken(AtomicBool);

struct Sleep {
    until: Duration,
    over: bool,
    waker: Option<Waker>,
}

impl Clock {
    /// Runs everything until nothing can go on without time passing.
    pub(crate) fn run(&self) {
        while self.fire(self.now()) || self.poll() {}
    }

    /// Lets time pass, stopping at each alarm on the way.
    pub(crate) fn pass(&self, time: Duration) {
        let end = self.now() + time;
        self.run();
        while let Some(next) = self.next_alarm().filter(|next| *next <= end) {
            lock(&self.0).now = next;
            self.run();
        }
        lock(&self.0).now = end;
    }

    /// Runs everything until the future is done, without time passing.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.drive(future, |_| panic!("nothing can go on without time passing, and the future is not done"))
    }

    /// Runs everything until the future is done, letting time pass when there is nothing else to do.
    pub(crate) fn wait_for<F: Future>(&self, future: F) -> F::Output {
        self.drive(future, |clock| {
            let next = clock.next_alarm().expect("nothing will ever happen again, and the future is not done");
            assert!(next < Duration::from_secs(24 * 3600), "a day has passed, and the future is not done");
            lock(&clock.0).now = next;
        })
    }

    /// Whether every task has ended.
    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.0).tasks.is_empty()
    }

    /// What has passed since the clock was made.
    pub(crate) fn now(&self) -> Duration {
        lock(&self.0).now
    }

    /// Ends all tasks where they are, as a runtime does that is shut down.
    pub(crate) fn shut_down(&self) {
        for task in std::mem::take(&mut lock(&self.0).tasks) {
            *lock(&task.future) = None;
        }
    }

    fn drive<F: Future>(&self, future: F, stuck: impl Fn(&Self)) -> F::Output {
        let mut future = pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        loop {
            if woken.0.swap(false, Ordering::AcqRel)
                && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return output;
            }
            if !self.fire(self.now()) && !self.poll() && !woken.0.load(Ordering::Acquire) {
                stuck(self);
            }
        }
    }

    fn next_alarm(&self) -> Option<Duration> {
        let inner = lock(&self.0);
        let sleeps = inner.sleeps.iter().filter_map(Weak::upgrade);
        sleeps.map(|sleep| lock(&sleep).until).min()
    }

    fn fire(&self, now: Duration) -> bool {
        let mut fired = Vec::new();
        lock(&self.0).sleeps.retain(|sleep| {
            let Some(sleep) = sleep.upgrade() else { return false };
            let is_over = lock(&sleep).until <= now;
            if is_over {
                fired.push(sleep);
            }
            !is_over
        });
        for sleep in &fired {
            let mut sleep = lock(sleep);
            sleep.over = true;
            sleep.waker.take().into_iter().for_each(Waker::wake);
        }
        !fired.is_empty()
    }

    /// Polls what was woken.
    fn poll(&self) -> bool {
        let tasks = lock(&self.0).tasks.clone();
        let mut polled = false;
        for task in tasks {
            if !task.woken.0.swap(false, Ordering::AcqRel) {
                continue;
            }
            polled = true;
            let waker = Waker::from(task.woken.clone());
            let mut future = lock(&task.future);
            if let Some(running) = &mut *future
                && running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
            {
                *future = None;
                lock(&self.0).tasks.retain(|other| !Arc::ptr_eq(other, &task));
            }
        }
        polled
    }
}

impl Runtime for Clock {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        lock(&self.0).tasks.push(Arc::new(Task { woken, future: Mutex::new(Some(task)) }));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = self.now() + duration;
        let sleep = Arc::new(Mutex::new(Sleep { until, over: false, waker: None }));
        lock(&self.0).sleeps.push(Arc::downgrade(&sleep));
        Box::pin(poll_fn(move |context| {
            let mut sleep = lock(&sleep);
            sleep.waker = Some(context.waker().clone());
            if sleep.over { Poll::Ready(()) } else { Poll::Pending }
        }))
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
