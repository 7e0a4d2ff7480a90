//! What an engine needs of an async runtime: to run a task, and to wait.

use std::{fmt, thread, time::Duration};

use futures_channel::oneshot;
use futures_core::future::BoxFuture;

/// Runs tasks and waits, on whatever runtime the program has.
///
/// The core crate depends on none. [`Threads`] needs nothing but the standard library; `roommate-partykit` has one for
/// tokio; a few lines make one for anything else, a browser included.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Runs `task` until it ends, without waiting for it.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Resolves after `duration`, or a little later. Dropping the future cancels it.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// A runtime of plain threads: one for each task, and one for each running sleep.
///
/// Good for a program with a few engines and no runtime of its own. Not available where there are no threads
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
            // Nobody waits any more: nothing to tell.
            let _ = done.send(());
        });
        Box::pin(async move {
            // The thread above always sends before it ends.
            let _ = wait.await;
        })
    }
}

/// Runs a future on this thread until it is done.
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
