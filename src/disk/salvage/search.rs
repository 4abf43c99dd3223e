//! [`Search`]: reads what may be a piece, and looks its hash up among those that are missing.
//!
//! It goes in rounds: first the likeliest candidate of every file, then the next one of those that
//! still lack something. In a round a candidate is read for all that it may be.

use super::across;
use super::claims::{Claim, Wanted, alone};
use super::parts::{Part, Parts, Shelf};
use crate::disk::rows::each_alone;
use crate::disk::store::chunks;
use crate::torrent::{Bitfield, FileSpan, Info, PieceHash, PieceIndex};
use smallvec::smallvec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

/// Candidates that are read for one file of the torrent: with more of one length, most have nothing
/// to do with it, and each costs as much to read as the file.
const CANDIDATES_OF_FILE_MAX: usize = 1024;
/// Reads that are planned at once: some 100 bytes each.
const BATCH_MAX: usize = 1 << 16;
/// Longer files that one piece is read of, the shortest first.
const LONGER_MAX: usize = 1 << 16;
/// Places in a longer file that are looked at: one for each way in which pieces lie in the torrent's
/// files, the longest of them first.
const LOOKS_MAX: usize = 8;

/// The missing pieces by what they hash to.
struct Lacking {
    by_hash: Vec<(PieceHash, PieceIndex)>,
    /// A piece of each number of bytes, and width of its tree.
    by_size: BTreeMap<(u32, u32), PieceIndex>,
}

/// A read that may come to a piece.
pub(super) struct Look {
    /// Whose size and tree it has.
    pub(super) piece: PieceIndex,
    pub(super) parts: Parts,
    /// The file that the candidate would be.
    file: Option<usize>,
}

/// What identifies the bytes of a look at one candidate: where, which bytes of the piece they are,
/// its size, and the width of its tree.
type Bytes = (u64, u32, u32, u32, u32);

/// The search for the missing pieces of one torrent.
pub(super) struct Search<'a> {
    pub(super) info: &'a Info,
    pub(super) shelf: &'a Shelf,
    wanted: &'a Wanted<'a>,
    lacking: Lacking,
    pub(super) missing: Bitfield,
    found: BTreeMap<PieceIndex, Parts>,
    /// By file, the likeliest first.
    pub(super) claims: BTreeMap<usize, Vec<Claim>>,
    /// Pieces that a candidate had of a file.
    pub(super) proven: BTreeMap<(usize, usize), u32>,
    progress: &'a (dyn Fn(u64) + Sync),
    pub(super) cancelled: &'a AtomicBool,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        info: &'a Info,
        shelf: &'a Shelf,
        wanted: &'a Wanted<'a>,
        missing: &Bitfield,
        progress: &'a (dyn Fn(u64) + Sync),
        cancelled: &'a AtomicBool,
    ) -> Self {
        let lacking = Lacking::of(info, missing);
        Self {
            info,
            shelf,
            wanted,
            lacking,
            missing: missing.clone(),
            found: BTreeMap::new(),
            claims: BTreeMap::new(),
            proven: BTreeMap::new(),
            progress,
            cancelled,
        }
    }

    /// What was found; `None` if it was cancelled.
    pub(super) fn run(mut self) -> Option<BTreeMap<PieceIndex, Parts>> {
        let mut claims = Vec::new();
        for (number, candidate) in self.shelf.candidates().iter().enumerate() {
            claims.extend(self.wanted.claims(number, candidate));
        }
        self.single_pieces()?;
        self.rounds(claims)?;
        let begun = self.longer()?;
        self.rounds(begun)?;
        let across = across::looks(&self)?;
        self.record(across);
        Some(self.found)
    }

    /// Hashes every file that has as many bytes as a piece.
    fn single_pieces(&mut self) -> Option<()> {
        let mut looks = Vec::new();
        for (number, candidate) in self.shelf.candidates().iter().enumerate() {
            let Ok(size) = u32::try_from(candidate.length) else { continue };
            for piece in self.lacking.of_size(size) {
                let parts = smallvec![Part { within: 0..size, candidate: number, offset: 0 }];
                looks.push(Look { piece, parts, file: None });
            }
            if looks.len() >= BATCH_MAX {
                self.take(&mut looks)?;
            }
        }
        self.take(&mut looks)
    }

    /// Reads candidates for what they claim to be, the likeliest of each file first.
    fn rounds(&mut self, claims: Vec<Claim>) -> Option<()> {
        let mut by_file = BTreeMap::<usize, Vec<Claim>>::new();
        let mut of_candidate = BTreeMap::<usize, Vec<usize>>::new();
        for claim in claims {
            by_file.entry(claim.file).or_default().push(claim);
            of_candidate.entry(claim.candidate).or_default().push(claim.file);
        }
        let mut round_of = BTreeMap::<usize, usize>::new();
        for claims in by_file.values_mut() {
            claims
                .sort_unstable_by_key(|claim| (std::cmp::Reverse(claim.likeness), claim.candidate));
            claims.truncate(CANDIDATES_OF_FILE_MAX);
            for (rank, claim) in claims.iter().enumerate() {
                let round = round_of.entry(claim.candidate).or_insert(rank);
                *round = rank.min(*round);
            }
        }
        let mut rounds = BTreeMap::<usize, Vec<usize>>::new();
        round_of.into_iter().for_each(|(candidate, round)| {
            rounds.entry(round).or_default().push(candidate);
        });
        for candidates in rounds.into_values() {
            let mut looks = Vec::new();
            for candidate in candidates {
                let files = of_candidate.get(&candidate).map_or(&[] as &[usize], Vec::as_slice);
                self.look_into(candidate, files, &mut looks);
                if looks.len() >= BATCH_MAX {
                    self.take(&mut looks)?;
                }
            }
            self.take(&mut looks)?;
        }
        for (file, claims) in by_file {
            self.claims.entry(file).or_default().extend(claims);
        }
        Some(())
    }

    /// Adds a look for every missing piece that `candidate` may have, if it is one of `files`.
    fn look_into(&self, candidate: usize, files: &[usize], looks: &mut Vec<Look>) {
        let layout = &self.info.layout;
        let mut seen = BTreeSet::<Bytes>::new();
        for file in files {
            for piece in layout.pieces_of(*file).filter_map(|index| layout.piece(index)) {
                if !self.missing.contains(piece.at()) {
                    continue;
                }
                let span = alone(self.info, piece).filter(|span| span.file == *file);
                let Some(span) = span.filter(|span| self.reaches(candidate, span)) else {
                    continue;
                };
                if files.len() == 1 || seen.insert(self.bytes(piece, &span)) {
                    looks.push(look(piece, &span, candidate));
                }
            }
        }
    }

    /// Whether `candidate` is long enough for `span` of a file that it begins with.
    pub(super) fn reaches(&self, candidate: usize, span: &FileSpan) -> bool {
        let end = span.offset + u64::from(span.length());
        end <= self.shelf.candidates()[candidate].length
    }

    fn bytes(&self, piece: PieceIndex, span: &FileSpan) -> Bytes {
        let size = self.info.layout.piece_size(piece);
        let width = width(self.info.pieces.of(piece));
        (span.offset, span.within.start, span.within.end, size, width)
    }

    /// Looks at one piece of every file that is longer than one of the torrent's; what those that had
    /// it claim from then on.
    fn longer(&mut self) -> Option<Vec<Claim>> {
        let firsts = self.first_pieces();
        let candidates = self.shelf.candidates();
        let mut longer: Vec<usize> = (0..candidates.len())
            .filter(|number| self.wanted.may_begin_with_one(candidates[*number].length))
            .collect();
        longer.sort_by_key(|number| candidates[*number].length);
        longer.truncate(LONGER_MAX);
        let mut looks = Vec::new();
        for candidate in longer {
            let length = candidates[candidate].length;
            let fitting = firsts.iter().filter(|(_, span)| {
                self.info.layout.files()[span.file].length < length && self.reaches(candidate, span)
            });
            looks.extend(fitting.map(|(piece, span)| look(*piece, span, candidate)));
        }
        let mut claims = Vec::new();
        let mut looks = looks.into_iter().peekable();
        while looks.peek().is_some() {
            let batch: Vec<Look> = looks.by_ref().take(BATCH_MAX).collect();
            let hits = self.hashed(batch)?;
            for (look, hash) in &hits {
                claims.extend(self.begun(look, *hash));
            }
            self.record(hits);
        }
        Some(claims)
    }

    /// Of each file with a missing piece of its own the first, one for each way in which they lie.
    fn first_pieces(&self) -> Vec<(PieceIndex, FileSpan)> {
        let layout = &self.info.layout;
        let mut files: Vec<usize> = self.wanted.files().collect();
        files.sort_by_key(|file| (std::cmp::Reverse(layout.files()[*file].length), *file));
        let (mut seen, mut firsts) = (BTreeSet::<Bytes>::new(), Vec::new());
        for file in files {
            let pieces = layout.pieces_of(file).filter_map(|index| layout.piece(index));
            let first =
                pieces.filter(|piece| self.missing.contains(piece.at())).find_map(|piece| {
                    let span = alone(self.info, piece).filter(|span| span.file == file)?;
                    (span.length() == layout.piece_length()).then_some((piece, span))
                });
            if let Some((piece, span)) = first
                && seen.insert(self.bytes(piece, &span))
            {
                firsts.push((piece, span));
                if firsts.len() >= LOOKS_MAX {
                    break;
                }
            }
        }
        firsts
    }

    /// The files that a candidate begins with, since it has a piece where they have it.
    fn begun(&self, look: &Look, hash: Option<PieceHash>) -> Vec<Claim> {
        let Some(part) = look.parts.first() else { return Vec::new() };
        let pieces = self.lacking.pieces_of(hash);
        let files = pieces.iter().filter_map(|(_, piece)| {
            let span = alone(self.info, *piece)?;
            (span.offset == part.offset).then_some(span.file)
        });
        let candidate = &self.shelf.candidates()[part.candidate];
        files.map(|file| self.wanted.claim(file, part.candidate, candidate)).collect()
    }

    fn take(&mut self, looks: &mut Vec<Look>) -> Option<()> {
        let hashed = self.hashed(std::mem::take(looks))?;
        self.record(hashed);
        Some(())
    }

    /// Hashes what is looked at, on all cores; `None` if it was cancelled.
    fn hashed(&self, looks: Vec<Look>) -> Option<Vec<(Look, Option<PieceHash>)>> {
        let hashes = each_alone(looks.len(), self.cancelled, |number, buffer| {
            self.hash(looks[number].piece, &looks[number].parts, buffer)
        })?;
        Some(looks.into_iter().zip(hashes).collect())
    }

    /// What `parts`, taken for `piece`, hash to; `None` if they can't be read.
    pub(super) fn hash(
        &self,
        piece: PieceIndex,
        parts: &Parts,
        buffer: &mut [u8],
    ) -> Option<PieceHash> {
        let mut check = self.info.pieces.check(piece);
        let size = self.info.layout.piece_size(piece);
        for chunk in chunks(size) {
            let into = &mut buffer[..chunk.len()];
            self.shelf.read(parts, chunk.start, into).ok()?;
            check.update(into);
        }
        (self.progress)(u64::from(size));
        check.hash()
    }

    /// Keeps where pieces are that hashes are those of.
    fn record(&mut self, hashed: Vec<(Look, Option<PieceHash>)>) {
        for (look, hash) in hashed {
            for (_, piece) in self.lacking.pieces_of(hash) {
                if self.missing.remove(piece.at()) {
                    self.found.insert(*piece, look.parts.clone());
                }
            }
            if let (Some(file), Some(part)) = (look.file, look.parts.first())
                && hash == Some(self.info.pieces.of(look.piece))
            {
                *self.proven.entry((file, part.candidate)).or_default() += 1;
            }
        }
    }
}

/// A look at `candidate` for `piece`, which has nothing but `span` of a file.
fn look(piece: PieceIndex, span: &FileSpan, candidate: usize) -> Look {
    let part = Part { within: span.within.clone(), candidate, offset: span.offset };
    Look { piece, parts: smallvec![part], file: Some(span.file) }
}

impl Look {
    /// A look at what was put together of several candidates.
    pub(super) const fn across(piece: PieceIndex, parts: Parts) -> Self {
        Self { piece, parts, file: None }
    }
}

impl Lacking {
    fn of(info: &Info, missing: &Bitfield) -> Self {
        let (mut by_hash, mut by_size) = (Vec::new(), BTreeMap::new());
        for piece in missing.iter().filter_map(|piece| info.layout.piece(piece as u32)) {
            let hash = info.pieces.of(piece);
            by_hash.push((hash, piece));
            by_size.entry((info.layout.piece_size(piece), width(hash))).or_insert(piece);
        }
        by_hash.sort_unstable();
        Self { by_hash, by_size }
    }

    /// The missing pieces with this hash.
    fn pieces_of(&self, hash: Option<PieceHash>) -> &[(PieceHash, PieceIndex)] {
        let Some(hash) = hash else { return &[] };
        let from = self.by_hash.partition_point(|(other, _)| *other < hash);
        let count = self.by_hash[from..].partition_point(|(other, _)| *other == hash);
        &self.by_hash[from..from + count]
    }

    /// One piece for each tree that missing pieces of this size have.
    fn of_size(&self, size: u32) -> impl Iterator<Item = PieceIndex> + '_ {
        self.by_size.range((size, 0)..=(size, u32::MAX)).map(|(_, piece)| *piece)
    }
}

/// Leaves of a piece's tree; v1 has none.
const fn width(hash: PieceHash) -> u32 {
    match hash {
        PieceHash::V1(_) => 0,
        PieceHash::V2(root) => root.leaves,
    }
}
