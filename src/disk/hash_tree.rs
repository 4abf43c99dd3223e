//! What `create` needs of the disk: the files below a path, and the SHA-1 of each piece of them.
//!
//! Symbolic links are followed, as other programs that make torrents do: the content is what they
//! lead to. Files are taken in the order of the bytes of their paths, which does not depend on
//! the filesystem and is libtorrent's canonical order. Pieces are hashed on all cores in runs that
//! are taken up in order, so that a spinning disk is read forwards.

use super::DiskError;
use rayon::prelude::*;
use sha1::Digest as _;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes that a worker hashes before it takes up the next run: enough to make opening a file
/// cheap, and little enough to keep all cores busy to the end.
const RUN_BYTES: u64 = 8 << 20;
/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;
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
}

impl Found {
    /// The components with `/` between them.
    #[must_use]
    pub fn relative(&self) -> Vec<u8> {
        self.components.join(&b'/')
    }
}

/// The files at or below `root` that are `wanted`, by their path from the root; sorted.
///
/// # Errors
/// If there is nothing at `root`, a folder or link can't be read, links lead in a circle, or
/// something is neither file nor folder.
pub fn list(root: &Path, wanted: &dyn Fn(&Found) -> bool) -> Result<Vec<Found>, DiskError> {
    let mut files = Vec::new();
    let mut left = vec![Entry { path: root.to_owned(), components: Vec::new(), above: Vec::new() }];
    while let Some(entry) = left.pop() {
        let metadata = std::fs::metadata(&entry.path).map_err(|why| match why.kind() {
            io::ErrorKind::NotFound if entry.components.is_empty() => {
                DiskError::Absent(entry.path.clone())
            }
            _ => DiskError::system("read", &entry.path, why),
        })?;
        if metadata.is_dir() {
            left.extend(entry.children(&metadata)?);
        } else if metadata.is_file() {
            let executable = metadata.permissions().mode() & 0o100 != 0;
            let Entry { path, components, .. } = entry;
            let found = Found { path, components, length: metadata.len(), executable };
            files.extend(Some(found).filter(|found| wanted(found)));
        } else {
            let why = io::Error::other("it is neither a file nor a folder");
            return Err(DiskError::system("use", &entry.path, why));
        }
    }
    files.sort_by_cached_key(Found::relative);
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
        let own = (metadata.dev(), metadata.ino());
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

/// The SHA-1 of each piece of `files`, laid one behind the other (BEP 3, `pieces`). `progressed`
/// is called with bytes that were hashed, from many threads.
///
/// # Errors
/// If a file can't be read or has no longer the length that it was found with.
pub fn hash(
    files: &[Found],
    piece_length: u32,
    progressed: &(dyn Fn(u64) + Sync),
) -> Result<Vec<[u8; 20]>, DiskError> {
    let space = Space::of(files);
    let piece_length = u64::from(piece_length);
    let run_length = (RUN_BYTES / piece_length).max(1) * piece_length;
    let runs = space.total.div_ceil(run_length);
    // Not an indexed parallel iterator: that would begin in the middle of the content.
    let mut hashed: Vec<(u64, Vec<[u8; 20]>)> = (0..runs)
        .par_bridge()
        .map(|run| {
            let start = run * run_length;
            let end = (start + run_length).min(space.total);
            let hashes = space.hash(start, end, piece_length)?;
            progressed(end - start);
            Ok((run, hashes))
        })
        .collect::<Result<_, DiskError>>()?;
    hashed.sort_unstable_by_key(|(run, _)| *run);
    Ok(hashed.into_iter().flat_map(|(_, hashes)| hashes).collect())
}

/// Files, one behind the other.
struct Space<'a> {
    files: &'a [Found],
    /// Where each file ends.
    ends: Vec<u64>,
    total: u64,
}

impl<'a> Space<'a> {
    fn of(files: &'a [Found]) -> Self {
        let mut total = 0_u64;
        let ends = files.iter().map(|file| {
            // Lengths of real files: their sum is far below 2^64.
            total = total.saturating_add(file.length);
            total
        });
        Self { files, ends: ends.collect(), total }
    }

    /// Hashes the bytes from `start`, a piece's beginning, to `end`.
    fn hash(&self, start: u64, end: u64, piece_length: u64) -> Result<Vec<[u8; 20]>, DiskError> {
        let mut hashes = Vec::new();
        let mut hasher = sha1::Sha1::new();
        let mut buffer = vec![0; READ_BYTES.min((end - start) as usize)];
        let mut at = start;
        let mut index = self.ends.partition_point(|file_end| *file_end <= start);
        while at < end {
            let file = &self.files[index];
            let begin = self.ends[index] - file.length;
            let mut reader = open(file, at - begin)?;
            let until = end.min(self.ends[index]);
            while at < until {
                let piece_end = (at / piece_length + 1) * piece_length;
                let room = (until.min(piece_end) - at).min(buffer.len() as u64) as usize;
                let bytes = &mut buffer[..room];
                reader.read_exact(bytes).map_err(|why| match why.kind() {
                    io::ErrorKind::UnexpectedEof => changed(file),
                    _ => DiskError::system("read", &file.path, why),
                })?;
                hasher.update(&*bytes);
                at += room as u64;
                if at == piece_end || at == self.total {
                    hashes.push(hasher.finalize_reset().into());
                }
            }
            index += 1;
        }
        Ok(hashes)
    }
}

/// Opens a file at `offset`; its length must be what it was.
fn open(file: &Found, offset: u64) -> Result<File, DiskError> {
    let open = || {
        let mut reader = File::open(&file.path)?;
        reader.seek(SeekFrom::Start(offset))?;
        let length = reader.metadata()?.len();
        Ok((reader, length))
    };
    let (reader, length) =
        open().map_err(|why: io::Error| DiskError::system("read", &file.path, why))?;
    if length == file.length { Ok(reader) } else { Err(changed(file)) }
}

fn changed(file: &Found) -> DiskError {
    let why = io::Error::other("its length changed while it was hashed");
    DiskError::system("hash", &file.path, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        let text = |found: Found| String::from_utf8(found.relative()).expect("plain names");
        Ok(list(root, &|_| true)?.into_iter().map(text).collect())
    }

    #[test]
    fn files_come_in_the_order_of_the_bytes_of_their_paths() {
        let tree = tree(&[("d/a", b""), ("d-1/q", b""), ("d.x", b""), ("B", b""), ("a", b"")]);
        let order = ["B", "a", "d-1/q", "d.x", "d/a"];
        assert_eq!(listed(tree.path()).expect("a tree"), order);
    }

    #[test]
    fn links_are_followed_but_not_in_a_circle() {
        let tree = tree(&[("d/a", b"1"), ("b", b"22")]);
        std::os::unix::fs::symlink("b", tree.path().join("link")).expect("a link");
        std::os::unix::fs::symlink("../d", tree.path().join("twin")).expect("a link");
        std::fs::remove_file(tree.path().join("twin")).expect("it was there");
        std::os::unix::fs::symlink("d", tree.path().join("twin")).expect("a link");
        assert_eq!(listed(tree.path()).expect("a tree"), ["b", "d/a", "link", "twin/a"]);
        std::os::unix::fs::symlink("..", tree.path().join("d/up")).expect("a link");
        let why = listed(tree.path()).expect_err("a circle").to_string();
        assert!(why.contains("leads back"), "{why}");
    }

    #[test]
    fn a_file_that_changed_is_an_error_and_not_a_wrong_hash() {
        let tree = tree(&[("a", b"12345"), ("b", b"1")]);
        let files = list(tree.path(), &|_| true).expect("a tree");
        for other in [&b"1234"[..], b"123456"] {
            std::fs::write(tree.path().join("a"), other).expect("a file");
            let why = hash(&files, 16384, &|_| {}).expect_err("it changed").to_string();
            assert!(why.contains("changed") && why.contains("/a`"), "{why}");
        }
    }

    #[test]
    fn nothing_there_is_the_input_s_fault() {
        let tree = tree(&[]);
        let why = listed(&tree.path().join("nowhere")).expect_err("nothing is there");
        assert!(why.is_input(), "{why}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Against the plain way: all bytes in one row, cut into pieces.
        #[test]
        fn hashes_are_those_of_the_content_in_one_row(
            lengths in prop::collection::vec(prop_oneof![Just(0_usize), 1..3000_usize, 1..3_000_000_usize], 1..6),
            piece_length in prop_oneof![Just(1000_u32), Just(16384), Just(1 << 20), Just(16 << 20)],
        ) {
            let contents: Vec<Vec<u8>> = lengths.iter().enumerate()
                .map(|(i, n)| (0..*n).map(|at| (at * 31 + at / 251 + i) as u8).collect()).collect();
            let names: Vec<String> = (0..lengths.len()).map(|i| format!("f{i}")).collect();
            let entries: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
            let tree = tree(&entries);
            let files = list(tree.path(), &|_| true).expect("a tree");
            let count = std::sync::atomic::AtomicU64::new(0);
            let hashes = hash(&files, piece_length, &|n| { count.fetch_add(n, std::sync::atomic::Ordering::Relaxed); }).expect("hashes");
            let row = contents.concat();
            let plain: Vec<[u8; 20]> = row.chunks(piece_length as usize).map(|piece| sha1::Sha1::digest(piece).into()).collect();
            prop_assert_eq!(hashes, plain);
            prop_assert_eq!(count.into_inner(), row.len() as u64);
        }
    }
}
