//! Checks what a dropped save may do.

use std::time::Duration;

use futures_util::future::{Either, select};

use super::{Client, one};
use crate::{
    content::Changes,
    persister::{Persister, Save},
    runtime::{Runtime, Threads},
};

const LINE: &str = "A save that was dropped may or may not have happened. If it happens, it happens before any later call of \
    the same persister is answered";

/// How long a save runs before it is dropped. The first is too short for any save, the last long enough for most.
const RUNS: [Duration; 4] =
    [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(2), Duration::from_millis(10)];

/// How long the checks wait for a dropped save that takes effect too late.
const LATE: Duration = Duration::from_millis(60);

/// A dropped save may or may not take effect. If it does, it takes effect before any later call of the same persister
/// returns.
///
/// A backend that is not shared gets up to four megabytes, which take a while to write. The check may miss a save that
/// takes effect very late. It never fails for a save that takes effect in time.
pub async fn a_dropped_save_happens_before_a_later_call_or_never<P: Persister>(client: impl Fn() -> P) {
    let mut writer = Client::watching(LINE, client()).await;
    writer.save_whole(&one(0)).await;
    // A shared backend may have limits, and gets the changes only.
    let size = if writer.persister.capability().shared { 1 << 10 } else { 1 << 22 };
    for (n, runs) in (1..).zip(RUNS) {
        if writer.drop_a_save(&changes(10 * n, Some(&"x".repeat(size))), runs).await {
            let loaded = writer.persister.load().await.expect(LINE);
            Threads.sleep(LATE).await;
            let held = writer.persister.load().await.expect(LINE);
            assert!(held == loaded, "it came after a load: {LINE}");
        }
        let dropped = writer.drop_a_save(&changes(10 * n + 1, Some(&"y".repeat(size))), runs).await;
        let later = changes(10 * n + 2, None);
        writer.save(&later).await;
        let mut expected = one(0);
        expected.apply(&later);
        for wait in [Duration::ZERO, LATE] {
            if dropped {
                Threads.sleep(wait).await;
            }
            let held = writer.persister.load().await.expect(LINE).unwrap_or_default();
            assert!(held == expected, "it came after a later save: {LINE}");
        }
    }
}

impl<P: Persister> Client<P> {
    /// Saves changes, and drops the save after a while. Returns false if the save ended before that.
    async fn drop_a_save(&mut self, changes: &Changes, after: Duration) -> bool {
        let mut content = self.shown.clone();
        content.apply(changes);
        let get = || content.clone();
        let save = self.persister.save(Save::new(&get, Some(changes)));
        let saved = match select(save, Threads.sleep(after)).await {
            Either::Left((saved, _)) => saved,
            Either::Right(_) => {
                self.has_dropped = true;
                return true;
            }
        };
        self.take_answer(saved, changes, content);
        false
    }
}

/// Changes that identify themselves by `n`, and cover the changes before them.
fn changes(n: i32, text: Option<&str>) -> Changes {
    let mut changes = Changes::new();
    changes.set_cell("t", "same", "c", n.into());
    changes.set_value("same", n.into());
    match text {
        Some(text) => changes.set_value("large", text.try_into().expect("no reserved text")),
        None => changes.del_value("large"),
    }
    changes
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        thread,
    };

    use async_trait::async_trait;
    use futures_channel::oneshot;

    use super::*;
    use crate::{Capability, Content, Result, Saved, block_on};

    /// A backend whose saves run on threads in no defined order.
    #[derive(Clone, Debug, Default)]
    struct Late(Arc<Mutex<Option<Content>>>);

    #[async_trait]
    impl Persister for Late {
        fn capability(&self) -> Capability {
            Capability::default()
        }

        async fn load(&self) -> Result<Option<Content>> {
            Ok(self.0.lock().unwrap().clone())
        }

        async fn save(&self, save: Save<'_>) -> Result<Saved> {
            let (place, content) = (self.0.clone(), save.content());
            let (done, wait) = oneshot::channel();
            thread::spawn(move || {
                if content.values.contains("large") {
                    thread::sleep(Duration::from_millis(20));
                }
                *place.lock().unwrap() = Some(content);
                let _ = done.send(());
            });
            wait.await.unwrap();
            Ok(Saved::Done)
        }
    }

    #[test]
    #[should_panic(expected = "If it happens, it happens before any later call")]
    fn r4_a_persister_whose_dropped_saves_come_late_is_found_out() {
        let place = Late::default();
        block_on(a_dropped_save_happens_before_a_later_call_or_never(|| place.clone()));
    }
}
