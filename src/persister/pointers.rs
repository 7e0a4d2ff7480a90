//! A pointer to a persister is a persister, so that an application can choose one at run time.

use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use super::{Capability, Notice, Persister, Report, Save, Saved};
use crate::{content::Content, error::Result, runtime::Runtime};

/// Forwards every method, those with a default too: the default would replace what the persister's own method does.
macro_rules! through_a_pointer {
    ($pointer:ident) => {
        #[async_trait]
        impl<P: Persister + ?Sized> Persister for $pointer<P> {
            fn capability(&self) -> Capability {
                (**self).capability()
            }

            async fn load(&self) -> Result<Option<Content>> {
                (**self).load().await
            }

            async fn save(&self, save: Save<'_>) -> Result<Saved> {
                (**self).save(save).await
            }

            async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
                (**self).watch().await
            }

            fn introduce(&self, client: &str) {
                (**self).introduce(client);
            }

            fn report_to(&self, report: Report) {
                (**self).report_to(report);
            }

            fn runtime(&self) -> Option<Arc<dyn Runtime>> {
                (**self).runtime()
            }

            fn place(&self) -> Option<String> {
                (**self).place()
            }

            async fn close(&self) -> Result<()> {
                (**self).close().await
            }
        }
    };
}

through_a_pointer!(Arc);
through_a_pointer!(Box);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{Error, ErrorKind, Threads, block_on};

    /// Records which methods were called. Each method does something other than the default.
    #[derive(Clone, Debug, Default)]
    struct Noting(Arc<Mutex<Vec<&'static str>>>);

    impl Noting {
        fn note(&self, method: &'static str) {
            self.0.lock().unwrap().push(method);
        }
    }

    #[async_trait]
    impl Persister for Noting {
        fn capability(&self) -> Capability {
            self.note("capability");
            Capability::default().with_watch(true).with_shared(true)
        }

        async fn load(&self) -> Result<Option<Content>> {
            self.note("load");
            Ok(Some(Content::new()))
        }

        async fn save(&self, _: Save<'_>) -> Result<Saved> {
            self.note("save");
            Ok(Saved::Done)
        }

        async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
            self.note("watch");
            Ok(Box::pin(futures_util::stream::empty()))
        }

        fn introduce(&self, client: &str) {
            assert_eq!(client, "ann");
            self.note("introduce");
        }

        fn report_to(&self, report: Report) {
            report(Error::new(ErrorKind::Invalid, "reported"));
            self.note("report_to");
        }

        fn runtime(&self) -> Option<Arc<dyn Runtime>> {
            self.note("runtime");
            Some(Arc::new(Threads))
        }

        fn place(&self) -> Option<String> {
            self.note("place");
            Some("here".to_owned())
        }

        async fn close(&self) -> Result<()> {
            self.note("close");
            Err(Error::new(ErrorKind::Closed, "closed"))
        }
    }

    fn call_all(persister: &impl Persister) {
        assert_eq!(persister.capability(), Capability::default().with_watch(true).with_shared(true));
        persister.report_to(Arc::new(|error| assert_eq!(error.to_string(), "reported")));
        persister.introduce("ann");
        assert!(persister.runtime().is_some());
        assert_eq!(persister.place().as_deref(), Some("here"));
        assert_eq!(block_on(persister.load()).unwrap(), Some(Content::new()));
        assert_eq!(block_on(persister.save(Save::new(&Content::new, None))).unwrap(), Saved::Done);
        assert!(block_on(persister.watch()).is_ok());
        assert_eq!(block_on(persister.close()).unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn a_pointer_forgets_no_method_of_its_persister() {
        let noting = Noting::default();
        call_all(&noting);
        let direct = std::mem::take(&mut *noting.0.lock().unwrap());
        call_all(&(Arc::new(noting.clone()) as Arc<dyn Persister>));
        call_all(&(Box::new(noting.clone()) as Box<dyn Persister>));
        call_all(&Arc::new(noting.clone()));
        assert_eq!(*noting.0.lock().unwrap(), [&direct[..]; 3].concat());
        let methods = include_str!("../persister.rs").split("pub trait Persister").nth(1).expect("the trait is there");
        let methods = methods.split("\n}\n").next().expect("a split has a first part");
        assert_eq!(direct.len(), methods.matches("fn ").count(), "each method of the trait is called");
    }
}
