//! The stream of one watch.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use roommate::{Notice, Result};

use super::Host;
use crate::WatchId;

/// The notices of a watch. Dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct Notices<H: Host> {
    host: Arc<H>,
    watch: WatchId,
}

impl<H: Host> Notices<H> {
    pub(crate) fn new(host: Arc<H>, watch: WatchId) -> Self {
        Self { host, watch }
    }
}

impl<H: Host> Stream for Notices<H> {
    type Item = Result<Notice>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (notice, has_output) = self.host.peek(|hosted, _| {
            let notice = hosted.poll_notice(self.watch, context);
            (notice, hosted.client.has_output())
        });
        if has_output {
            self.host.carry_out();
        }
        notice
    }
}

impl<H: Host> Drop for Notices<H> {
    fn drop(&mut self) {
        self.host.end_watch(self.watch);
    }
}
