//! The files that a torrent is to be made of: [`list`] finds them, and a [`Found`] sees whether they
//! are still what they were.
//!
//! Symbolic links are followed, as other programs that make torrents do: the content is what they
//! lead to. Hidden files are files like others. What is left out is not looked at, so that it may be
//! a socket, unreadable, or a link to nowhere.

use super::DiskError;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Folders inside each other.
const DEPTH_MAX: usize = 200;

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Its path from the root, a name each. None at all if the root is this file.
    pub components: Vec<Vec<u8>>,
    /// Bytes in it.
    pub length: u64,
    /// Whether its owner may run it.
    pub executable: bool,
    state: State,
}

/// What is another when a file was written to or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    identity: (u64, u64),
    length: u64,
    modified: (i64, i64),
}

impl State {
    /// Of a file that is open.
    pub(super) fn now(file: &File) -> io::Result<Self> {
        Ok(Self::of(&file.metadata()?))
    }

    fn of(metadata: &Metadata) -> Self {
        Self {
            identity: identity(metadata),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Device and inode.
fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Found {
    /// Whether this is the file at `path`, by whatever name.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|metadata| identity(&metadata) == self.state.identity)
    }

    /// Opens it.
    ///
    /// # Errors
    /// If it can't be read, or is no longer what was found.
    pub(super) fn open(&self) -> Result<File, DiskError> {
        let open = || {
            let file = File::open(&self.path)?;
            let metadata = file.metadata()?;
            Ok((file, metadata))
        };
        let (file, metadata) =
            open().map_err(|why: io::Error| DiskError::system("read", &self.path, why))?;
        if State::of(&metadata) == self.state { Ok(file) } else { Err(self.changed()) }
    }

    /// Looks whether it is still what was found.
    ///
    /// # Errors
    /// If it is not.
    pub(super) fn check(&self) -> Result<(), DiskError> {
        let now = std::fs::metadata(&self.path)
            .map_err(|why| DiskError::system("hash", &self.path, why))?;
        if State::of(&now) == self.state { Ok(()) } else { Err(self.changed()) }
    }

    /// What is said if it is not.
    pub(super) fn changed(&self) -> DiskError {
        let why = io::Error::other("it changed while it was hashed");
        DiskError::system("hash", &self.path, why)
    }
}

/// The files at or below `root`, in no order: those that are `wanted`, and nothing below it that is
/// `left_out`, by its path from there.
///
/// # Errors
/// If there is nothing at `root`, a folder or link can't be read, links lead in a circle, or
/// something is neither file nor folder.
pub fn list(
    root: &Path,
    left_out: &dyn Fn(&[Vec<u8>]) -> bool,
    wanted: &dyn Fn(&Found) -> bool,
) -> Result<Vec<Found>, DiskError> {
    let mut files = Vec::new();
    let mut left = vec![Entry { path: root.to_owned(), components: Vec::new(), above: Vec::new() }];
    while let Some(entry) = left.pop() {
        if !entry.components.is_empty() && left_out(&entry.components) {
            continue;
        }
        let metadata = std::fs::metadata(&entry.path).map_err(|why| match why.kind() {
            io::ErrorKind::NotFound if entry.components.is_empty() => {
                DiskError::Absent(entry.path.clone())
            }
            _ => DiskError::system("read", &entry.path, why),
        })?;
        if metadata.is_dir() {
            left.extend(entry.children(&metadata)?);
        } else if metadata.is_file() {
            let Entry { path, components, .. } = entry;
            let found = Found {
                path,
                components,
                length: metadata.len(),
                executable: metadata.permissions().mode() & 0o100 != 0,
                state: State::of(&metadata),
            };
            files.extend(Some(found).filter(wanted));
        } else {
            let why = io::Error::other("it is neither a file nor a folder");
            return Err(DiskError::system("use", &entry.path, why));
        }
    }
    Ok(files)
}

/// Something to look at, and the folders it was reached through, by device and inode.
struct Entry {
    path: PathBuf,
    components: Vec<Vec<u8>>,
    above: Vec<(u64, u64)>,
}

impl Entry {
    fn children(&self, metadata: &Metadata) -> Result<Vec<Self>, DiskError> {
        let failed = |why| DiskError::system("list", &self.path, why);
        let own = identity(metadata);
        if self.above.contains(&own) {
            return Err(failed(io::Error::other("it leads back to a folder above it")));
        }
        if self.above.len() >= DEPTH_MAX {
            return Err(failed(io::Error::other("folders lie too deep in each other")));
        }
        let above = [&self.above[..], &[own]].concat();
        let entry = |entry: io::Result<std::fs::DirEntry>| {
            let entry = entry?;
            let mut components = self.components.clone();
            components.push(entry.file_name().as_bytes().to_vec());
            Ok(Self { path: entry.path(), components, above: above.clone() })
        };
        let entries = std::fs::read_dir(&self.path).map_err(failed)?;
        entries.map(entry).collect::<io::Result<_>>().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, bytes) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, bytes).expect("a file");
        }
        folder
    }

    fn listed(root: &Path) -> Result<Vec<String>, DiskError> {
        let text =
            |found: Found| String::from_utf8(found.components.join(&b'/')).expect("plain names");
        let mut all: Vec<_> =
            list(root, &|path| path == [b"out"], &|_| true)?.into_iter().map(text).collect();
        all.sort_unstable();
        Ok(all)
    }

    #[test]
    fn links_are_followed_but_not_in_a_circle() {
        let tree = tree(&[("d/a", b"1"), ("b", b"22"), (".hidden", b"")]);
        let link = |to, at| std::os::unix::fs::symlink(to, tree.path().join(at)).expect("a link");
        link("b", "link");
        link("d", "twin");
        let all = [".hidden", "b", "d/a", "link", "twin/a"];
        assert_eq!(listed(tree.path()).expect("a tree"), all);
        link("..", "d/up");
        let why = listed(tree.path()).expect_err("a circle").to_string();
        assert!(why.contains("leads back"), "{why}");
    }

    #[test]
    fn what_is_left_out_may_be_anything() {
        let tree = tree(&[("a", b"1")]);
        std::os::unix::fs::symlink("nowhere", tree.path().join("out")).expect("a link");
        assert_eq!(listed(tree.path()).expect("a tree"), ["a"]);
        std::os::unix::fs::symlink("nowhere", tree.path().join("in")).expect("a link");
        let why = listed(tree.path()).expect_err("a link to nowhere").to_string();
        assert!(why.contains("/in`: No such file"), "{why}");
        std::fs::remove_file(tree.path().join("in")).expect("it is there");
        let _socket = std::os::unix::net::UnixListener::bind(tree.path().join("in"));
        let why = listed(tree.path()).expect_err("a socket").to_string();
        assert!(why.contains("neither a file nor a folder"), "{why}");
    }

    #[test]
    fn nothing_there_is_the_input_s_fault() {
        let tree = tree(&[]);
        let why = listed(&tree.path().join("nowhere")).expect_err("nothing is there");
        assert!(why.is_input(), "{why}");
    }
}
