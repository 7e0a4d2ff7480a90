//! Whatever breaks on the way to a room ends in another try or in a clear error, and leaves the edits alone.

#[path = "proxy/proxy.rs"]
mod proxy;
#[path = "support/until.rs"]
mod until;

#[path = "proxy/tests.rs"]
mod proxy_tests;
