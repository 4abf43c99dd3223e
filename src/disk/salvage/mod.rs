//! Salvage: the pieces of a torrent that lie somewhere else, found by length, name and hash.
//!
//! Other folders may have the torrent's files under other names, damaged, unfinished or longer ones,
//! the same content as another torrent has it, or pieces in stores of any program. What is looked
//! for, in this order, and only for what is still missing:
//!
//! 1. files of the length of a piece: what they are says their hash alone;
//! 2. files of the length or the name of one of the torrent's: the pieces that lie wholly in it;
//! 3. longer files of any name: one piece shows whether they begin with one of the torrent's;
//! 4. pieces that reach across files, put together of what the files' likeliest candidates have.
//!
//! A candidate is read once for all that it may be, by all cores; what bytes hash to is looked up
//! among all missing pieces. What is found is a [`Salvaged`], a source of pieces: whoever copies from
//! it hashes again, since anything may have changed meanwhile. Nothing is written here.

mod across;
mod claims;
mod parts;
mod search;
mod walk;

use super::{DiskError, Lying, PieceSource, Presence};
use crate::torrent::{Bitfield, Info, PieceIndex};
use claims::Wanted;
use parts::{Parts, Shelf};
use search::Search;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What was found.
#[derive(Debug)]
pub struct Salvaged {
    info: Arc<Info>,
    shelf: Shelf,
    found: BTreeMap<PieceIndex, Parts>,
    pieces: Bitfield,
    files: usize,
    left_out: usize,
}

/// Looks for the `missing` pieces of a torrent in `places`, files and folders. `progress` is told
/// bytes as they are hashed, by any thread; `None` if `cancelled` was set meanwhile.
///
/// # Errors
/// If a place is not there. What can't be read in it is passed over.
pub fn salvage(
    info: &Arc<Info>,
    missing: &Bitfield,
    places: &[PathBuf],
    progress: &(dyn Fn(u64) + Sync),
    cancelled: &AtomicBool,
) -> Result<Option<Salvaged>, DiskError> {
    let wanted = Wanted::of(info, missing);
    let Some(walked) = walk::walk(places, &|path, length| wanted.fits(path, length), cancelled)?
    else {
        return Ok(None);
    };
    let shelf = Shelf::of(walked.candidates);
    let search = Search::new(info, &shelf, &wanted, missing, progress, cancelled);
    let Some(found) = search.run() else { return Ok(None) };
    let mut pieces = Bitfield::new(info.layout.piece_count());
    for piece in found.keys() {
        pieces.insert(piece.at());
    }
    let (files, left_out) = (walked.files, walked.left_out);
    let info = Arc::clone(info);
    Ok(Some(Salvaged { info, shelf, found, pieces, files, left_out }))
}

impl Salvaged {
    /// Nothing, of a torrent.
    #[must_use]
    pub fn none(info: &Arc<Info>) -> Self {
        Self {
            info: Arc::clone(info),
            shelf: Shelf::of(Vec::new()),
            found: BTreeMap::new(),
            pieces: Bitfield::new(info.layout.piece_count()),
            files: 0,
            left_out: 0,
        }
    }

    /// The pieces that were found.
    #[must_use]
    pub const fn pieces(&self) -> &Bitfield {
        &self.pieces
    }

    /// Files that were met, whatever their length.
    #[must_use]
    pub const fn files(&self) -> usize {
        self.files
    }

    /// Files and folders that could not be looked at, or were too many.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// Each file that has pieces among `of`, by its path, and which. One that reaches across files
    /// is told of each.
    pub fn origins<'a>(
        &'a self,
        of: &'a Bitfield,
    ) -> impl Iterator<Item = (&'a Path, Bitfield)> + 'a {
        let mut by_candidate = BTreeMap::<usize, Vec<PieceIndex>>::new();
        for (piece, parts) in self.found.iter().filter(|(piece, _)| of.contains(piece.at())) {
            for part in parts {
                let pieces = by_candidate.entry(part.candidate).or_default();
                if pieces.last() != Some(piece) {
                    pieces.push(*piece);
                }
            }
        }
        by_candidate.into_iter().map(|(candidate, pieces)| {
            let mut field = Bitfield::new(self.pieces.len());
            pieces.iter().for_each(|piece| {
                field.insert(piece.at());
            });
            (self.shelf.candidates()[candidate].path.as_path(), field)
        })
    }
}

impl PieceSource for Salvaged {
    fn presence(&self, piece: PieceIndex) -> Presence {
        if self.found.contains_key(&piece) { Presence::There } else { Presence::Absent }
    }

    fn read(&self, piece: PieceIndex, offset: u32, into: &mut [u8]) -> Result<(), DiskError> {
        match self.found.get(&piece) {
            Some(parts) => self.shelf.read(parts, offset, into),
            None => Err(DiskError::Absent(PathBuf::from(format!("piece {}", piece.get())))),
        }
    }

    fn lying(&self, piece: PieceIndex) -> Option<Lying> {
        let [part] = self.found.get(&piece)?.as_slice() else { return None };
        let whole = part.within == (0..self.info.layout.piece_size(piece));
        let file = whole.then(|| self.shelf.file(part.candidate).ok()).flatten()?;
        Some(Lying { file, offset: part.offset })
    }
}

#[cfg(test)]
mod tests;
