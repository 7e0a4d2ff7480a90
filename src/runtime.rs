//! What an engine needs of an async runtime: to run tasks and to sleep.

use std::{fmt, thread, time::Duration};

use futures_channel::oneshot;
use futures_core::future::BoxFuture;

/// Runs tasks and sleeps, on the async runtime of the program.
///
/// The core crate depends on no async runtime. [`Threads`] needs only the standard library. `roommate-partykit` has an
/// implementation for tokio. Any other runtime, in a browser too, takes a few lines.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Runs `task` to its end, and returns without waiting for it.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Resolves after `duration`, or a little later. Dropping the future cancels it.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// A runtime of plain threads: one for each task, and one for each running sleep.
///
/// Suits a program with a few engines and no runtime of its own. It is not available on targets without threads
/// (`wasm32-unknown-unknown` panics on the first task).
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

impl Runtime for Threads {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        thread::spawn(move || block_on(task));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (done, wait) = oneshot::channel();
        thread::spawn(move || {
            thread::sleep(duration);
            // The receiver is gone if the sleep was dropped.
            let _ = done.send(());
        });
        Box::pin(async move {
            // The thread above always sends before it ends.
            let _ = wait.await;
        })
    }
}

/// Runs a future on this thread until it completes, and returns its output.
///
/// For programs and tests without a runtime: `block_on(engine.flush())`.
pub fn block_on<F: Future>(future: F) -> F::Output {
    use std::{
        pin::pin,
        sync::Arc,
        task::{Context, Poll, Wake, Waker},
    };

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // A wake-up that came since the poll leaves a token, so that this returns at once.
        thread::park();
    }
}
