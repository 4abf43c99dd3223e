//! [`Tree`]: the files of a folder, to compare with another's or with a literal.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// How much of two files is compared at a time.
const CHUNK: usize = 1 << 20;

/// Every file below a folder, by its path relative to it; a single file has the empty path.
/// Folders count only through their files, and a link is an error: nothing here makes any.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
    files: BTreeMap<String, u64>,
}

impl Tree {
    /// Reads what is below `root`, which may be a file.
    ///
    /// # Panics
    /// If it is not there.
    pub fn at(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        walk(root, "", &mut files);
        Self { root: root.to_owned(), files }
    }

    /// Makes files in `folder` from a literal of paths and contents.
    pub fn make<'a>(folder: &Path, files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        for (path, content) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
            fs::write(path, content).expect("a file");
        }
        Self::at(folder)
    }

    /// The paths.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// How many bytes there are in all.
    pub fn total_length(&self) -> u64 {
        self.files.values().sum()
    }

    /// The first difference to `other`, as a sentence.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let missing = |from: &Self, to: &Self| {
            let path = from.files.keys().find(|path| !to.files.contains_key(*path))?;
            Some(format!("`{path}` is in {} and not in {}", from.root.display(), to.root.display()))
        };
        missing(self, other).or_else(|| missing(other, self)).or_else(|| {
            self.files.iter().find_map(|(path, &length)| {
                let other_length = other.files[path];
                if length != other_length {
                    return Some(format!("`{path}` has {length} bytes against {other_length}"));
                }
                let at = first_unlike_byte(&join(&self.root, path), &join(&other.root, path))?;
                Some(format!("`{path}` differs from byte {at} of {length} on"))
            })
        })
    }

    /// Checks that the two are the same, byte for byte.
    ///
    /// # Panics
    /// With the first difference.
    #[track_caller]
    pub fn same(&self, other: &Self) {
        if let Some(difference) = self.difference(other) {
            panic!("{difference}");
        }
    }
}

/// Checks that the file or folder `left` is the same as `right`, byte for byte.
///
/// # Panics
/// With the first difference.
#[track_caller]
pub fn same(left: &Path, right: &Path) {
    Tree::at(left).same(&Tree::at(right));
}

fn walk(path: &Path, relative: &str, files: &mut BTreeMap<String, u64>) {
    let metadata =
        fs::symlink_metadata(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    if metadata.is_file() {
        files.insert(relative.to_owned(), metadata.len());
        return;
    }
    assert!(metadata.is_dir(), "`{}` is neither file nor folder", path.display());
    for entry in fs::read_dir(path).expect("a folder can be read") {
        let entry = entry.expect("a folder can be read");
        let name = entry.file_name().into_string().expect("names here are UTF-8");
        let below = if relative.is_empty() { name } else { format!("{relative}/{name}") };
        walk(&entry.path(), &below, files);
    }
}

/// Joined with no `/` at the end when `root` is the file itself.
fn join(root: &Path, path: &str) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(path) }
}

fn first_unlike_byte(left: &Path, right: &Path) -> Option<u64> {
    let open = |path| BufReader::new(File::open(path).expect("a file that is there opens"));
    let (mut left, mut right) = (open(left), open(right));
    let (mut left_chunk, mut right_chunk) = (Vec::new(), Vec::new());
    let mut at = 0;
    loop {
        for (file, chunk) in [(&mut left, &mut left_chunk), (&mut right, &mut right_chunk)] {
            chunk.clear();
            file.take(CHUNK as u64).read_to_end(chunk).expect("a file can be read");
        }
        if left_chunk != right_chunk {
            let alike = left_chunk.iter().zip(&right_chunk).take_while(|(a, b)| a == b).count();
            return Some(at + alike as u64);
        }
        if left_chunk.is_empty() {
            return None;
        }
        at += left_chunk.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first difference of two literals.
    fn difference(left: &[(&str, &[u8])], right: &[(&str, &[u8])]) -> Option<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tree = |name, files: &[(&str, &[u8])]| {
            fs::create_dir(folder.path().join(name)).expect("a folder");
            Tree::make(&folder.path().join(name), files.iter().copied())
        };
        tree("left", left).difference(&tree("right", right))
    }

    #[test]
    fn equal_trees_do_not_differ() {
        assert_eq!(difference(&[("a/b", b"x"), ("c", b"")], &[("a/b", b"x"), ("c", b"")]), None);
    }

    #[test]
    fn a_missing_file_is_named() {
        let said = difference(&[("a", b"x"), ("b", b"")], &[("a", b"x")]).expect("they differ");
        assert!(said.starts_with("`b` is in "), "{said}");
        let said = difference(&[], &[("c", b"x")]).expect("they differ");
        assert!(said.starts_with("`c` is in "), "{said}");
    }

    #[test]
    fn the_first_byte_that_differs_is_named() {
        let said = difference(&[("a", b"same")], &[("a", b"sane")]);
        assert_eq!(said.as_deref(), Some("`a` differs from byte 2 of 4 on"));
        let said = difference(&[("a", b"same")], &[("a", b"sam")]);
        assert_eq!(said.as_deref(), Some("`a` has 4 bytes against 3"));
    }
}
