//! [`PathConflict`]: two files of a torrent that can't both be written.
//!
//! Such a torrent can be shown and even fetched piece by piece; whoever writes files must refuse
//! it, because the second would destroy the first. Paths that are one only to some filesystems
//! (`a` and `A`) are a finding, not a conflict.

use super::Layout;
use std::fmt;

/// Two files of a torrent that can't both be written, as indices into [`Layout::files`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathConflict {
    /// The path that is wanted twice.
    pub path: String,
    /// One of the files.
    pub first: usize,
    /// The other one.
    pub second: usize,
    /// Whether `first` is a file where `second` needs a folder, and not a file of the same path.
    pub folder: bool,
}

impl PathConflict {
    /// The first conflict of `layout`, padding aside.
    #[must_use]
    pub fn find(layout: &Layout) -> Option<Self> {
        let mut order: Vec<usize> = layout
            .files()
            .iter()
            .enumerate()
            .filter(|(_, file)| !file.pad)
            .map(|(i, _)| i)
            .collect();
        let path = |index: usize| &layout.files()[index].path;
        // By components, whatever lies below `a` follows right behind `a`; by characters, `a-b`
        // would come between `a` and `a/b`.
        order.sort_by(|a, b| path(*a).components().cmp(path(*b).components()).then(a.cmp(b)));
        order.windows(2).find_map(|pair| {
            let (first, second) = (pair[0], pair[1]);
            let (upper, lower) = (path(first).as_str(), path(second).as_str());
            let rest = lower.strip_prefix(upper)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| Self {
                path: upper.to_owned(),
                first,
                second,
                folder: !rest.is_empty(),
            })
        })
    }
}

impl fmt::Display for PathConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, first, second, folder } = self;
        if *folder {
            write!(f, "`{path}` is file {first} of the torrent and a folder of file {second}")
        } else {
            write!(f, "files {first} and {second} of the torrent have one path `{path}`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::SafePath;

    fn conflict(paths: &[&str]) -> Option<(usize, usize, bool)> {
        let files = paths.iter().map(|path| {
            let components = path.split('/').map(str::as_bytes);
            (SafePath::from_components(components).expect("a path"), 1, path.contains(".pad"))
        });
        let layout = Layout::contiguous(16384, files).expect("a layout");
        PathConflict::find(&layout).map(|found| (found.first, found.second, found.folder))
    }

    #[test]
    fn one_path_twice_and_a_file_as_a_folder_are_found() {
        assert_eq!(conflict(&["t/a", "t/b", "t/a"]), Some((0, 2, false)));
        assert_eq!(conflict(&["t/a/b", "t/a-b", "t/a"]), Some((2, 0, true)));
        assert_eq!(conflict(&["t/a", "t/ab", "t/a-b", "t/b/a"]), None);
    }

    #[test]
    fn padding_is_never_written_and_so_never_in_the_way() {
        assert_eq!(conflict(&["t/.pad/1", "t/a", "t/.pad/1"]), None);
    }
}
