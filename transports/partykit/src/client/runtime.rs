//! The implementation of the engine's runtime on tokio.

use std::time::Duration;

use futures_core::future::BoxFuture;
use roommate::{Error, ErrorKind, Result, Runtime};
use tokio::runtime::Handle;

/// Runs engines on a tokio runtime.
#[derive(Clone, Debug)]
pub struct TokioRuntime(Handle);

impl TokioRuntime {
    /// Returns the runtime of the calling task.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] outside of a tokio runtime.
    pub fn current() -> Result<Self> {
        Handle::try_current().map(Self).map_err(|error| {
            Error::with_source(ErrorKind::Unsupported, "there is no tokio runtime here: call it inside of one", error)
        })
    }
}

impl From<Handle> for TokioRuntime {
    fn from(handle: Handle) -> Self {
        Self(handle)
    }
}

impl Runtime for TokioRuntime {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // A sleep belongs to the runtime in which it is created, not to the task that awaits it.
        let _entered = self.0.enter();
        Box::pin(tokio::time::sleep(duration))
    }
}
