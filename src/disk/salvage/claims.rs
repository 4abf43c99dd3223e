//! Which candidate may hold which file of the torrent: by its length, or by its name.
//!
//! A file of a torrent's file's length may be it, whatever it is called. One of its name, or of its
//! name and an ending more (`.part`, `.!qB`), may be an unfinished or a longer one. The more of its
//! path is the torrent's too, the likelier: likely ones are read first, and often none after them.

use super::walk::Candidate;
use crate::torrent::{Bitfield, FileSpan, Info, PieceIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Files of the torrent that one candidate is tried for, those of its name first. More of one length
/// are found all the same where they begin a piece each: those are known by their hashes alone.
const FILES_OF_CANDIDATE_MAX: usize = 64;
/// Components of a path that are compared.
const ALIKE_MAX: usize = 32;

/// That a candidate may begin with a file of the torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) file: usize,
    pub(super) candidate: usize,
    /// More is likelier.
    pub(super) likeness: usize,
}

/// The files of the torrent that lack something.
pub(super) struct Wanted<'a> {
    info: &'a Info,
    files: BTreeSet<usize>,
    by_length: BTreeMap<u64, Vec<usize>>,
    by_name: BTreeMap<&'a str, Vec<usize>>,
    /// Bytes that missing pieces have.
    sizes: BTreeSet<u64>,
    /// The shortest file with a whole piece of its own: a longer one may begin with it.
    begins_longer: Option<u64>,
}

/// The only part of a file that `piece` covers, if all else of it is padding.
pub(super) fn alone(info: &Info, piece: PieceIndex) -> Option<FileSpan> {
    let mut written = info.layout.spans(piece).filter(|span| info.is_written(span.file));
    let first = written.next()?;
    written.next().is_none().then_some(first)
}

impl<'a> Wanted<'a> {
    pub(super) fn of(info: &'a Info, missing: &Bitfield) -> Self {
        let layout = &info.layout;
        let (mut files, mut sizes, mut begins_longer) = (BTreeSet::new(), BTreeSet::new(), None);
        for piece in missing.iter().filter_map(|piece| layout.piece(piece as u32)) {
            sizes.insert(u64::from(layout.piece_size(piece)));
            for span in layout.spans(piece).filter(|span| info.is_written(span.file)) {
                files.insert(span.file);
                if span.length() == layout.piece_length() {
                    let length = layout.files()[span.file].length;
                    begins_longer =
                        Some(begins_longer.map_or(length, |least: u64| least.min(length)));
                }
            }
        }
        let mut by_length = BTreeMap::<u64, Vec<usize>>::new();
        let mut by_name = BTreeMap::<&str, Vec<usize>>::new();
        for file in files.iter().copied() {
            let entry = &layout.files()[file];
            by_length.entry(entry.length).or_default().push(file);
            by_name.entry(entry.path.file_name()).or_default().push(file);
        }
        Self { info, files, by_length, by_name, sizes, begins_longer }
    }

    /// The files, in the order of the torrent.
    pub(super) fn files(&self) -> impl Iterator<Item = usize> + '_ {
        self.files.iter().copied()
    }

    /// Whether a file at `path` with so many bytes may have something that is wanted.
    pub(super) fn fits(&self, path: &Path, length: u64) -> bool {
        length > 0
            && (self.by_length.contains_key(&length)
                || self.sizes.contains(&length)
                || self.may_begin_with_one(length)
                || self.named(path).next().is_some())
    }

    /// Whether a file of this length is longer than one of the torrent's that a look at one piece
    /// would show.
    pub(super) fn may_begin_with_one(&self, length: u64) -> bool {
        self.begins_longer.is_some_and(|least| length > least)
    }

    /// What candidate number `number` may be.
    pub(super) fn claims(&self, number: usize, candidate: &Candidate) -> Vec<Claim> {
        let same = self.by_length.get(&candidate.length).into_iter().flatten().copied();
        let mut files = Vec::new();
        for file in self.named(&candidate.path).chain(same) {
            if files.len() >= FILES_OF_CANDIDATE_MAX {
                break;
            }
            if !files.contains(&file) {
                files.push(file);
            }
        }
        let claim = |file| self.claim(file, number, candidate);
        files.into_iter().map(claim).collect()
    }

    /// That `candidate` may begin with `file`.
    pub(super) fn claim(&self, file: usize, number: usize, candidate: &Candidate) -> Claim {
        let entry = &self.info.layout.files()[file];
        let own = entry.path.components().rev();
        let theirs = candidate.path.components().rev();
        let alike = own.zip(theirs).take(ALIKE_MAX);
        let alike = alike.take_while(|(own, theirs)| theirs.as_os_str() == *own).count();
        let same_length = usize::from(entry.length == candidate.length);
        Claim { file, candidate: number, likeness: same_length * (ALIKE_MAX + 1) + alike }
    }

    /// The files whose name, or whose name and an ending more, is that of `path`.
    fn named(&self, path: &Path) -> impl Iterator<Item = usize> + '_ {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let shorter = name.rsplit_once('.').map(|(name, _)| name);
        let names = [Some(name), shorter].into_iter().flatten();
        let found: Vec<usize> =
            names.filter_map(|name| self.by_name.get(name)).flatten().copied().collect();
        found.into_iter()
    }
}
