//! The tasks that share the connections of a large room.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{runtime::Handle, sync::mpsc};

use super::batch::{Part, Sealed};

/// The shards of a room, if it is large.
#[derive(Debug, Default)]
pub(super) struct Shards {
    tasks: Vec<mpsc::Sender<Arc<Sealed>>>,
    /// How many batches have not been delivered yet, counted over all tasks.
    pending: Arc<AtomicUsize>,
}

/// A shard's task ended early. The batches sent to it may be lost.
#[derive(Debug)]
pub(super) struct Lost;

/// The number of connections at which a room gets shards.
const LARGE: usize = 128;

/// How many batches may wait for a shard. While they wait, the room's frames gather in the next batch.
const PENDING: usize = 1;

impl Shards {
    /// Sends a batch in a room of `connections` connections, or passes it to the shards.
    pub(super) async fn deliver(&mut self, batch: Sealed, connections: usize) -> Result<(), Lost> {
        self.resize(connections);
        if self.tasks.is_empty() {
            batch.deliver(Part::ALL).await;
            return Ok(());
        }
        let batch = Arc::new(batch);
        for task in &self.tasks {
            self.pending.fetch_add(1, Ordering::Relaxed);
            if task.send(Arc::clone(&batch)).await.is_err() {
                *self = Self::default();
                return Err(Lost);
            }
        }
        Ok(())
    }

    /// Returns when all batches have been delivered.
    #[cfg(test)]
    pub(super) async fn delivered(&self) {
        while self.pending.load(Ordering::Acquire) > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Ends the tasks as a panic would.
    #[cfg(test)]
    pub(super) fn lose(&mut self) {
        self.tasks = vec![mpsc::channel(PENDING).0];
    }

    /// Starts or ends the tasks when the room has become large or small.
    fn resize(&mut self, connections: usize) {
        if self.tasks.is_empty() && connections >= LARGE {
            let count = Handle::current().metrics().num_workers();
            if count > 1 {
                self.tasks = (0..count).map(|index| self.start(index, count)).collect();
            }
        } else if !self.tasks.is_empty() && connections < LARGE / 2 && self.pending.load(Ordering::Acquire) == 0 {
            // They are idle, so frames written from now on come after all frames that they wrote.
            self.tasks.clear();
        }
    }

    fn start(&self, index: usize, count: usize) -> mpsc::Sender<Arc<Sealed>> {
        let (task, mut batches) = mpsc::channel::<Arc<Sealed>>(PENDING);
        let part = Part { index: index as u64, of: count as u64 };
        let pending = Arc::clone(&self.pending);
        tokio::spawn(async move {
            while let Some(batch) = batches.recv().await {
                batch.deliver(part).await;
                drop(batch);
                pending.fetch_sub(1, Ordering::Release);
            }
        });
        task
    }
}
