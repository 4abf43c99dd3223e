//! [`DiskError`]: what went wrong with a file, in one sentence that names it.
//!
//! Whose fault it was is part of it: an output folder with a symlink in it or a file that would
//! have to be cut is the user's input, a full disk is the world's. What *to do* about a file that
//! is missing, short or unreadable is not decided here: for `check` those are states.

use crate::torrent::PathConflict;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system refused.
    #[error("can't {doing} `{}`: {}", path.display(), reason(source))]
    System {
        /// What was tried: a verb.
        doing: &'static str,
        /// Of which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A folder or file that the user named is not there.
    #[error("there is no `{}`", .0.display())]
    Absent(PathBuf),
    /// A symbolic link on the way, which could lead out of the folder.
    #[error("`{}` is or lies below a symbolic link, which is not followed", .0.display())]
    Symlink(PathBuf),
    /// A folder where a file should be, a file where a folder should be, a socket, ..
    #[error("`{}` is not what the torrent says: a file where a folder is due, or the reverse", .0.display())]
    WrongType(PathBuf),
    /// A file that would have to be cut.
    #[error("`{}` has {length} bytes where the torrent's has {due}", path.display())]
    Longer {
        /// The file.
        path: PathBuf,
        /// Bytes in it.
        length: u64,
        /// Bytes due.
        due: u64,
    },
    /// A file that would have to be replaced.
    #[error("`{}` exists with other content", .0.display())]
    Different(PathBuf),
    /// Two files of a torrent of which only one can be written.
    #[error("{0}")]
    Conflict(PathConflict),
    /// Another process writes here.
    #[error("`{}` is in use by another process", .0.display())]
    Busy(PathBuf),
    /// The user named a file for a torrent that has several.
    #[error("`{}` is one file where the torrent has {files}", path.display())]
    OneFile {
        /// What the user named.
        path: PathBuf,
        /// Files in the torrent.
        files: usize,
    },
    /// A pattern for files of pieces that names no piece, or two, or a path.
    #[error("`{0}` is no pattern of a file's name with `{{index}}` in it once")]
    Pattern(String),
    /// A worker thread ended by a bug of ours.
    #[error("a disk worker stopped unexpectedly")]
    Worker,
}

impl DiskError {
    /// Whether the user's input is at fault (exit 2) and not the world (exit 3).
    #[must_use]
    pub const fn is_input(&self) -> bool {
        match self {
            Self::System { .. } | Self::Busy(_) | Self::Worker => false,
            Self::Absent(_)
            | Self::Symlink(_)
            | Self::WrongType(_)
            | Self::Longer { .. }
            | Self::Different(_)
            | Self::Conflict(_)
            | Self::OneFile { .. }
            | Self::Pattern(_) => true,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Longer { .. } | Self::Different(_) => Some("--force replaces it"),
            Self::Symlink(_) => Some("name the real folder, or remove the link"),
            _ => None,
        }
    }

    pub(super) fn system(
        doing: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::System { doing, path: path.as_ref().to_owned(), source: source.into() }
    }
}

/// The system's words without the number that std puts behind them.
fn reason(source: &io::Error) -> String {
    let mut text = source.to_string();
    if let Some(number) = text.find(" (os error") {
        text.truncate(number);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_the_path_and_the_reason() {
        let full = io::Error::from_raw_os_error(28);
        let error = DiskError::system("write", "out/a.mkv", full);
        assert_eq!(error.to_string(), "can't write `out/a.mkv`: No space left on device");
        assert!(!error.is_input());
    }

    #[test]
    fn a_file_that_would_be_cut_is_the_input_s_fault() {
        let error = DiskError::Longer { path: "a".into(), length: 9, due: 5 };
        assert_eq!(error.to_string(), "`a` has 9 bytes where the torrent's has 5");
        assert!(error.is_input());
        assert_eq!(error.hint(), Some("--force replaces it"));
        let pattern = DiskError::Pattern("x".into());
        assert_eq!(
            pattern.to_string(),
            "`x` is no pattern of a file's name with `{index}` in it once"
        );
    }
}
