//! Waiting for a condition.

use std::time::{Duration, Instant};

/// How long a condition may take to come true. Generous: it is met at once unless something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `holds`, and panics with `what` does not if that takes too long.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits for `call` to end.
pub(crate) async fn within<T>(what: &str, call: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(output) => output,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
