//! What lies in the places that the user named: every plain file once, by whatever names.
//!
//! Only names and lengths are looked at. Links to files are followed, links to folders are not, so
//! that nothing leads in a circle; a place itself may be a link. What can't be looked at is counted
//! and no error: somewhere in a home directory there is always such a folder.

use crate::disk::DiskError;
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Files that are kept in mind: some 200 bytes each.
const FITTING_MAX: usize = 2_000_000;

/// A file that may have something of the torrent.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) length: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// By path, those that fit.
    pub(super) candidates: Vec<Candidate>,
    /// Files, whether they fit or not.
    pub(super) files: usize,
    /// Folders and files that can't be looked at, and what is beyond [`FITTING_MAX`].
    pub(super) left_out: usize,
    seen: BTreeSet<(u64, u64)>,
}

/// Looks through `places` for what `fits`, told a file's name and length; `None` if `cancelled`
/// was set meanwhile.
///
/// # Errors
/// If a place is not there or can't be looked at.
pub(super) fn walk(
    places: &[PathBuf],
    fits: &dyn Fn(&Path, u64) -> bool,
    cancelled: &AtomicBool,
) -> Result<Option<Walked>, DiskError> {
    let mut walked = Walked::default();
    let mut folders = Vec::new();
    for place in places {
        let about = std::fs::metadata(place).map_err(|why| match why.kind() {
            io::ErrorKind::NotFound => DiskError::Absent(place.clone()),
            _ => DiskError::system("look at", place, why),
        })?;
        match about.is_dir() {
            true => folders.push(place.clone()),
            false => walked.meet(place.clone(), &about, fits),
        }
    }
    while let Some(folder) = folders.pop() {
        if cancelled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Ok(about) = std::fs::metadata(&folder)
            && !walked.seen.insert((about.dev(), about.ino()))
        {
            // A place within another, or the same twice.
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&folder) else {
            walked.left_out += 1;
            continue;
        };
        for entry in entries {
            let looked = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
            match looked {
                Ok((path, kind)) if kind.is_dir() => folders.push(path),
                Ok((path, kind)) if kind.is_file() || kind.is_symlink() => {
                    match std::fs::metadata(&path) {
                        Ok(about) => walked.meet(path, &about, fits),
                        Err(_) => walked.left_out += 1,
                    }
                }
                Ok(_) => {}
                Err(_) => walked.left_out += 1,
            }
        }
    }
    walked.candidates.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(Some(walked))
}

impl Walked {
    fn meet(&mut self, path: PathBuf, about: &Metadata, fits: &dyn Fn(&Path, u64) -> bool) {
        if !about.is_file() {
            return;
        }
        self.files += 1;
        if !fits(&path, about.len()) || !self.seen.insert((about.dev(), about.ino())) {
            return;
        }
        if self.candidates.len() >= FITTING_MAX {
            self.left_out += 1;
            return;
        }
        self.candidates.push(Candidate { path, length: about.len() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(places: &[PathBuf]) -> Vec<String> {
        let walked = walk(places, &|_, length| length > 1, &AtomicBool::new(false));
        let walked = walked.expect("places").expect("not cancelled");
        let name =
            |it: &Candidate| it.path.file_name().expect("a name").to_string_lossy().into_owned();
        walked.candidates.iter().map(name).collect()
    }

    #[test]
    fn each_file_is_met_once_and_nothing_leads_in_a_circle() {
        let temporary = tempfile::tempdir().expect("a folder");
        let at = |path: &str| temporary.path().join(path);
        std::fs::create_dir_all(at("top/inner")).expect("folders");
        std::fs::write(at("top/a"), "aa").expect("a file");
        std::fs::write(at("top/inner/b"), "bb").expect("a file");
        std::fs::write(at("top/inner/short"), "c").expect("a file");
        std::fs::write(at("elsewhere"), "dd").expect("a file");
        std::fs::hard_link(at("top/a"), at("top/inner/again")).expect("a second name");
        symlink("..", at("top/inner/up")).expect("a link");
        symlink("nowhere", at("top/dangling")).expect("a link");
        symlink(at("elsewhere"), at("top/linked")).expect("a link");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("top/fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .expect("a FIFO");
        let met = names(&[at("top"), at("top/inner"), at("top/a"), at("elsewhere")]);
        assert_eq!(met, ["elsewhere", "a", "b"]);
        symlink(at("top"), at("link")).expect("a link");
        assert_eq!(names(&[at("link")]).len(), 3);
        let error = walk(&[at("none")], &|_, _| true, &AtomicBool::new(false));
        assert!(matches!(error, Err(DiskError::Absent(_))));
    }
}
