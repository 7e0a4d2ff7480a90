//! A precise alarm for a poll whose time-out has whole milliseconds.

use std::{
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::Instant,
};

use mio::Waker;

/// A thread that sleeps until a time and then wakes the poll. Ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Alarm {
    times: SyncSender<Instant>,
    set: Option<Instant>,
}

impl Alarm {
    pub(crate) fn new(waker: Waker) -> Self {
        let (times, received) = sync_channel::<Instant>(1);
        thread::spawn(move || {
            for time in received {
                thread::sleep(time.saturating_duration_since(Instant::now()));
                if waker.wake().is_err() {
                    break;
                }
            }
        });
        Self { times, set: None }
    }

    /// Wakes the poll at `time`. An earlier alarm has to be over.
    ///
    /// # Errors
    /// If the poll cannot be woken.
    pub(crate) fn set(&mut self, time: Instant) -> io::Result<()> {
        if self.set == Some(time) {
            return Ok(());
        }
        self.set = Some(time);
        self.times.send(time).map_err(|_gone| io::Error::other("the poll cannot be woken"))
    }
}
