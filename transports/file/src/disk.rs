//! Finds a file through its links, and replaces it.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{self, Path, PathBuf},
};

/// The full path of the file itself. Links in `path` are resolved, and the result is the same before and after the file
/// exists. `None` for a path that does not end in a file name, or if the current folder is unknown.
pub(crate) fn full_path(path: &Path) -> Option<PathBuf> {
    let path = target(path);
    let folder = folder_of(&path);
    let folder = fs::canonicalize(folder).or_else(|_| path::absolute(folder)).ok()?;
    Some(folder.join(path.file_name()?))
}

/// Replaces the file at `path`, which is not a link, in one step that survives a crash.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    match fs::metadata(path) {
        Ok(present) => file.as_file().set_permissions(present.permissions())?,
        Err(_) => make_ordinary(file.as_file())?,
    }
    file.as_file().sync_all()?;
    #[cfg(test)]
    crate::hold::pass(path);
    file.persist(path)?;
    sync_folder(folder)
}

/// The folder that the file at `path` is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// The file itself, if `path` is a link.
fn target(path: &Path) -> PathBuf {
    match fs::canonicalize(path) {
        Ok(path) => path,
        // The file does not exist yet. If `path` is a link to nothing, its target will be created.
        Err(_) => match fs::read_link(path) {
            Ok(target) => path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target)),
            Err(_) => path.to_path_buf(),
        },
    }
}

/// Only the owner may read a temporary file. A new file of the application's has no such restriction.
#[cfg(unix)]
fn make_ordinary(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_ordinary(_: &File) -> io::Result<()> {
    Ok(())
}

/// The new name is durable once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
