//! A JSON file as a backend for [Roommate](roommate): TinyBase's `[tables, values]`, as its own file persister writes
//! it.
//!
//! ```
//! use roommate::{Engine, Store, block_on};
//! use roommate_file::FilePersister;
//!
//! # let folder = tempfile::tempdir().expect("a folder");
//! let path = folder.path().join("pets.json");
//! let store = Store::new();
//! let engine = Engine::new(&store, FilePersister::new(&path));
//! block_on(async {
//!     engine.start_auto_persisting(None).await?;
//!     store.set_cell("pets", "fido", "species", "dog")?;
//!     engine.flush().await
//! })?;
//! assert_eq!(std::fs::read_to_string(&path)?, r#"[{"pets":{"fido":{"species":"dog"}}},{}]"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A file can also be the outbox of an engine that is often disconnected from its room. An outbox stores the
//! unconfirmed edits, so that they outlive the program. It is a file of its own, never the store's:
//!
//! ```
//! use roommate::{Engine, Persister, Store};
//! use roommate_file::FilePersister;
//!
//! /// With a room: `partykit_builder(..)?.with_outbox(FilePersister::new("outbox.json")).build()`.
//! fn with_outbox(store: &Store, place: impl Persister) -> Engine {
//!     Engine::builder(store, place).with_outbox(FilePersister::new("outbox.json")).build()
//! }
//! ```

mod disk;
#[cfg(test)]
mod hold;
mod turn;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use roommate::{Capability, Content, Error, ErrorKind, Persister, Result, Save, Saved};

use self::turn::in_turn;

/// Stores a store's content in a JSON file that no other program writes.
///
/// A save replaces the whole file durably: after a crash at any moment, the file holds what it held before, or what was
/// saved. A symbolic link stays, and the file that it links to is replaced. Permissions stay as they are.
///
/// Within a process, one call at a time works with a file, even if the calls are made with different persisters. A save
/// may be dropped, for instance by [`Engine::destroy`](roommate::Engine::destroy) when its deadline passes. Its work is
/// then done before that of any later call, or never. So a later call waits for a save that hangs.
///
/// The persister does not watch the file: the next load sees what another program wrote. An existing file that is not
/// the JSON of a store is never replaced. A save then fails as the load does, with [`ErrorKind::Corrupt`], until the
/// file is repaired or removed.
#[derive(Clone, Debug)]
pub struct FilePersister {
    path: PathBuf,
    /// Whether the file may be replaced: it was read or written, or it did not exist.
    is_known: Arc<AtomicBool>,
}

impl FilePersister {
    /// Creates a persister for the file at `path`. The file need not exist, but its folder must.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), is_known: Arc::default() }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[async_trait]
impl Persister for FilePersister {
    fn capability(&self) -> Capability {
        Capability::default()
    }

    /// The full path of the file, or of the file that it links to; `None` for a path that is not UTF-8.
    fn place(&self) -> Option<String> {
        let path = disk::full_path(&self.path)?.into_os_string().into_string().ok()?;
        Some(format!("file {path}"))
    }

    async fn load(&self) -> Result<Option<Content>> {
        let loaded = self.read().await;
        self.is_known.store(loaded.is_ok(), Ordering::Release);
        loaded
    }

    async fn save(&self, save: Save<'_>) -> Result<Saved> {
        if !self.is_known.load(Ordering::Acquire) {
            self.load().await?;
        }
        let text = save.content().to_json();
        let written = in_turn(&self.path, move |path| disk::replace(path, &text)).await?;
        written.map_err(|error| self.failed("write", error))?;
        Ok(Saved::Done)
    }
}

impl FilePersister {
    async fn read(&self) -> Result<Option<Content>> {
        match in_turn(&self.path, |path| fs::read_to_string(path)).await? {
            Ok(text) => {
                let decoded = Content::from_json(&text).map_err(|error| self.corrupt(error))?;
                match decoded.unrepresentable {
                    0 => Ok(Some(decoded.value)),
                    // The next save would remove them from the file.
                    count => Err(Error::new(
                        ErrorKind::Corrupt,
                        format!("{} has {count} cells that no store can hold: mend or remove it", self.path.display()),
                    )),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(self.corrupt(error)),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    fn corrupt(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let message = format!("{} is no JSON of a store: mend or remove it", self.path.display());
        Error::with_source(ErrorKind::Corrupt, message, source)
    }

    fn failed(&self, what: &str, source: io::Error) -> Error {
        let kind = match source.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::Refused,
            io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => ErrorKind::Invalid,
            // A full disk, or a network drive that is not connected.
            _ => ErrorKind::Unavailable,
        };
        let folder = disk::folder_of(&self.path);
        if source.kind() == io::ErrorKind::NotFound && !folder.is_dir() {
            let name = self.path.file_name().unwrap_or_default().display();
            let message = format!("cannot {what} {name}: make the folder {} first", folder.display());
            // The source names a temporary file in that folder.
            return Error::new(kind, message);
        }
        Error::with_source(kind, format!("cannot {what} {}: {source}", self.path.display()), source)
    }
}

#[cfg(test)]
mod tests {
    use roommate::{Changes, block_on, conformance};

    use super::*;

    fn content(to: i32) -> Content {
        let mut changes = Changes::new();
        changes.set_cell("t", "r", "c", to.into());
        let mut content = Content::new();
        content.apply(&changes);
        content
    }

    fn save(persister: &FilePersister, content: &Content) -> Result<Saved> {
        block_on(persister.save(Save::new(&|| content.clone(), None)))
    }

    #[test]
    fn a_file_keeps_the_contract() {
        block_on(conformance::persister(|| {
            let folder = tempfile::tempdir().unwrap();
            move || FilePersister::new(folder.path().join("a.json"))
        }));
    }

    #[test]
    fn what_was_saved_is_loaded_and_a_missing_file_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let persister = FilePersister::new(folder.path().join("a.json"));
        assert_eq!(block_on(persister.load()).unwrap(), None);
        for to in 1..=2 {
            assert_eq!(save(&persister, &content(to)).unwrap(), Saved::Done);
            assert_eq!(block_on(persister.load()).unwrap(), Some(content(to)));
        }
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file is left: {left:?}");
    }

    #[test]
    fn a_file_that_is_no_store_is_corrupt_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        for text in [&b""[..], b"{", b"[1]", b"\xff"] {
            fs::write(&path, text).unwrap();
            let persister = FilePersister::new(&path);
            assert_eq!(save(&persister, &content(1)).unwrap_err().kind(), ErrorKind::Corrupt, "{text:?}");
            assert_eq!(block_on(persister.load()).unwrap_err().kind(), ErrorKind::Corrupt, "{text:?}");
            assert_eq!(save(&persister, &content(1)).unwrap_err().kind(), ErrorKind::Corrupt, "{text:?}");
            assert_eq!(fs::read(&path).unwrap(), text);
            fs::remove_file(&path).unwrap();
            assert_eq!(save(&persister, &content(1)).unwrap(), Saved::Done, "it was removed, as the error says");
        }
    }

    #[test]
    fn a_cell_that_no_store_can_hold_is_told_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let text = r#"[{"t":{"r":{"fits":1,"does not":1e999}}},{}]"#;
        fs::write(&path, text).unwrap();
        let error = block_on(FilePersister::new(&path).load()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("1 cells that no store can hold"), "{error}");
        assert_eq!(save(&FilePersister::new(&path), &content(1)).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = save(&FilePersister::new("/nowhere/at/all.json"), &content(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "cannot write all.json: make the folder /nowhere/at first");
    }

    #[test]
    fn one_file_is_one_place_however_it_is_written_and_before_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = |path: &str| FilePersister::new(folder.path().join(path)).place();
        fs::create_dir(folder.path().join("sub")).unwrap();
        assert!(place("a.json").is_some());
        assert_eq!(place("a.json"), place("sub/../a.json"));
        assert_ne!(place("a.json"), place("b.json"));
        assert_ne!(place("a.json"), place("sub/a.json"));
        let before = place("a.json");
        fs::write(folder.path().join("a.json"), "[{},{}]").unwrap();
        assert_eq!(place("a.json"), before);
        assert!(place("none/a.json").is_some(), "a folder that is not there yet");
        assert_eq!(place("none/a.json"), place("./none/a.json"));
        #[cfg(unix)]
        {
            for (target, link) in [("a.json", "to a"), ("c.json", "to nothing")] {
                std::os::unix::fs::symlink(target, folder.path().join(link)).unwrap();
                assert_eq!(place(link), place(target));
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target.json"), folder.path().join("link.json"));
        symlink("target.json", &link).unwrap();
        save(&FilePersister::new(&link), &content(1)).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        save(&FilePersister::new(&link), &content(2)).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(block_on(FilePersister::new(&target).load()).unwrap(), Some(content(2)));
    }
}
