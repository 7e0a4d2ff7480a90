//! A place that is away.

use futures_core::stream::BoxStream;
use roommate::{Capability, Content, Error, ErrorKind, Notice, Persister, Result, Save, Saved};

/// A place that cannot be reached.
#[derive(Debug)]
pub(crate) struct Away;

#[async_trait::async_trait]
impl Persister for Away {
    fn capability(&self) -> Capability {
        Capability::default().with_watch(true).with_shared(true)
    }

    async fn load(&self) -> Result<Option<Content>> {
        Err(Error::new(ErrorKind::Unavailable, "away"))
    }

    async fn save(&self, _: Save<'_>) -> Result<Saved> {
        Err(Error::new(ErrorKind::Unavailable, "away"))
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        Err(Error::new(ErrorKind::Unavailable, "away"))
    }
}
