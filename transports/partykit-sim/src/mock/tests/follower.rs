//! A user of a persister, step by step.

use std::{collections::BTreeMap, sync::Arc};

use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{FutureExt, StreamExt};
use roommate::{Changes, Content, ErrorKind, Notice, Persister, Receipt, Result, Save, Saved};

use super::{MockPersister, MockRoom};

/// Uses a persister as the contract requires: joins, follows the notices, and loads when a notice requires it.
pub(super) struct Follower {
    pub(super) persister: Arc<MockPersister>,
    watch: Option<BoxFuture<'static, Result<BoxStream<'static, Result<Notice>>>>>,
    pub(super) stream: Option<BoxStream<'static, Result<Notice>>>,
    load: Option<BoxFuture<'static, Result<Option<Content>>>>,
    /// The notices that arrived during a load, which are applied again over the loaded content.
    since: Vec<Notice>,
    load_again: bool,
    pub(super) view: Content,
    pub(super) saving: Option<(Changes, BoxFuture<'static, Result<Saved>>)>,
    pub(super) saves: BTreeMap<Receipt, Changes>,
    pub(super) confirmed: BTreeMap<Receipt, Changes>,
    pub(super) log: Vec<String>,
}

impl Follower {
    pub(super) fn new(room: &MockRoom) -> Self {
        let persister = Arc::new(room.persister());
        let watch = Box::pin({
            let persister = persister.clone();
            async move { persister.watch().await }
        });
        Self {
            persister,
            watch: Some(watch),
            stream: None,
            load: None,
            since: vec![],
            load_again: false,
            view: Content::new(),
            saving: None,
            saves: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            log: vec![],
        }
    }

    /// Begins to save, unless a save is in progress or the follower has not joined yet.
    pub(super) fn save(&mut self, changes: Changes) {
        if self.saving.is_none() && self.load.is_none() && self.stream.is_some() {
            let (persister, saved) = (self.persister.clone(), changes.clone());
            let saving = async move {
                let whole = || {
                    let mut content = Content::new();
                    content.apply(&saved);
                    content
                };
                persister.save(Save::new(&whole, Some(&saved))).await
            };
            self.saving = Some((changes, Box::pin(saving)));
        }
        self.step();
    }

    /// Runs as far as possible.
    pub(super) fn step(&mut self) {
        if let Some(watch) = &mut self.watch
            && let Some(stream) = watch.now_or_never()
        {
            self.stream = Some(stream.unwrap());
            self.watch = None;
            self.begin_load();
        }
        if let Some((changes, saving)) = &mut self.saving
            && let Some(saved) = saving.now_or_never()
        {
            match saved {
                Ok(Saved::Later(receipt)) => {
                    self.saves.insert(receipt, changes.clone());
                }
                Ok(Saved::Found(content)) => self.view = content,
                other => self.log.push(format!("{other:?}")),
            }
            self.saving = None;
        }
        while let Some(notice) = self.stream.as_mut().and_then(|stream| stream.next().now_or_never()).flatten() {
            let notice = notice.unwrap();
            self.log.push(format!("{notice:?}"));
            if notice == Notice::Stale {
                if self.load.is_some() { self.load_again = true } else { self.begin_load() }
            }
            self.since.push(notice.clone());
            self.fold(&notice);
        }
        if let Some(load) = &mut self.load
            && let Some(content) = load.now_or_never()
        {
            self.load = None;
            match content {
                Ok(content) => {
                    self.view = content.unwrap_or_default();
                    for notice in std::mem::take(&mut self.since) {
                        self.fold(&notice);
                    }
                    if std::mem::take(&mut self.load_again) {
                        self.begin_load();
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable);
                    self.begin_load();
                }
            }
        }
    }

    fn begin_load(&mut self) {
        self.since.clear();
        let persister = self.persister.clone();
        self.load = Some(Box::pin(async move { persister.load().await }));
        self.step();
    }

    fn fold(&mut self, notice: &Notice) {
        match notice {
            Notice::Content(content) => self.view = content.clone(),
            Notice::Changes(changes) => self.view.apply(changes),
            Notice::Confirmed { receipt, refused } | Notice::Missing { receipt, missing: refused } => {
                if let Some(mut save) = self.saves.remove(receipt).or_else(|| self.confirmed.get(receipt).cloned()) {
                    self.confirmed.insert(*receipt, save.clone());
                    save.values.retain(|id, _| !refused.values.contains(id));
                    self.view.apply(&save);
                }
            }
            _ => {}
        }
    }
}
