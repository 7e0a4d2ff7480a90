//! An executor of tasks on one thread, with simulated time.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures_core::future::BoxFuture;
use roommate::Runtime;

use super::world::{Event, World};

/// A world with its tasks. The tasks are never polled while the world is locked.
pub(super) struct Simulator {
    world: Mutex<World>,
    tasks: Mutex<Vec<Option<Task>>>,
    ready: Arc<Ready>,
}

/// The [`Runtime`] for the engines. It holds only a weak reference, because the simulator owns the engines' tasks.
pub(super) struct SimRuntime(Weak<Simulator>);

struct Task {
    future: BoxFuture<'static, ()>,
    wake: Arc<TaskWake>,
}

#[derive(Default)]
struct Ready(Mutex<VecDeque<usize>>);

struct TaskWake {
    task: usize,
    is_ready: AtomicBool,
    ready: Arc<Ready>,
}

impl Simulator {
    pub(super) fn new(world: World) -> Arc<Self> {
        Arc::new(Self { world: Mutex::new(world), tasks: Mutex::default(), ready: Arc::default() })
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    pub(super) fn runtime(self: &Arc<Self>) -> SimRuntime {
        SimRuntime(Arc::downgrade(self))
    }

    pub(super) fn spawn(&self, future: BoxFuture<'static, ()>) {
        let mut tasks = lock(&self.tasks);
        let task = tasks.len();
        let wake = Arc::new(TaskWake { task, is_ready: AtomicBool::new(false), ready: self.ready.clone() });
        tasks.push(Some(Task { future, wake: wake.clone() }));
        wake.wake();
    }

    /// Polls until no task can make progress.
    pub(super) fn run_tasks(&self) {
        loop {
            let Some(number) = lock(&self.ready.0).pop_front() else { return };
            let Some(mut task) = lock(&self.tasks)[number].take() else { continue };
            task.wake.is_ready.store(false, Ordering::Relaxed);
            let waker = Waker::from(task.wake.clone());
            if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                lock(&self.tasks)[number] = Some(task);
            }
        }
    }

    /// Advances the time to a moment.
    pub(super) fn run_until(&self, until: Duration) {
        loop {
            self.run_tasks();
            if !self.world().happen(until) {
                return;
            }
        }
    }

    /// Drops all tasks, and with them the engines.
    pub(super) fn end(&self) {
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        drop(tasks);
    }
}

impl Runtime for SimRuntime {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        if let Some(simulator) = self.0.upgrade() {
            simulator.spawn(task);
        }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = self.0.upgrade().map_or(Duration::ZERO, |simulator| simulator.world().now + duration);
        Box::pin(Sleep { simulator: self.0.clone(), until })
    }
}

impl fmt::Debug for SimRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimRuntime")
    }
}

struct Sleep {
    simulator: Weak<Simulator>,
    until: Duration,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(simulator) = self.simulator.upgrade() else { return Poll::Pending };
        let mut world = simulator.world();
        if world.now >= self.until {
            return Poll::Ready(());
        }
        world.schedule(self.until, Event::Wake(context.waker().clone()));
        Poll::Pending
    }
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            lock(&self.ready.0).push_back(self.task);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
