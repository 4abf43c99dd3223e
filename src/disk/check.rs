//! Verification: every piece of a source is read, hashed and has a state, and so has every file.
//!
//! Damage is an answer, not an error: what is missing, short, too long, unreadable or a folder
//! where a file should be is a state. All cores hash, rows of pieces side by side, as where torrents
//! are made (`rows`). Pieces that lie in holes of sparse files are not read: such a
//! piece is whole only if it is all zeros, which is known without reading. Nothing is written.

use super::rows::{Content, Digests, Row, Rows, each_alone};
use super::store::{CHUNK_LENGTH, chunks};
use super::{PieceSource, PieceStore, Place, Presence};
use crate::torrent::piece_hash::MerkleRoot;
use crate::torrent::{Bitfield, Info, PieceHashes, PieceIndex};
use sha1::Digest as _;
use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a piece was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceState {
    /// Its hash is right.
    Ok,
    /// Its bytes are there and wrong, or its own file has another size.
    Bad,
    /// Some of its bytes are not there, or can't be read.
    Missing,
}

/// What a file was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Every byte lies in a piece that is right, and there are no more.
    Ok,
    /// It reaches into a bad piece, or is longer than it should be.
    Bad,
    /// There is nothing of it.
    Missing,
    /// Some of it lies in pieces that are missing, and none in bad ones.
    Partial,
}

/// A file of the torrent as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVerdict {
    /// What it is.
    pub state: FileState,
    /// Bytes of it in pieces that are right.
    pub ok_bytes: u64,
    /// Bytes of it, from and to, that are not in such pieces, or should not be there; ascending,
    /// not touching. A file that is missing has one, if it should have any bytes.
    pub bad_ranges: Vec<(u64, u64)>,
}

/// What a source was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Each piece.
    pub pieces: Vec<PieceState>,
    /// Each file in the order of the torrent, padding among them.
    pub files: Vec<FileVerdict>,
}

impl Verdict {
    /// The pieces in `state`.
    #[must_use]
    pub fn pieces_in(&self, state: PieceState) -> Bitfield {
        let mut found = Bitfield::new(self.pieces.len());
        for (i, _) in self.pieces.iter().enumerate().filter(|(_, s)| **s == state) {
            found.insert(i);
        }
        found
    }

    /// Whether all is there and right.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.files.iter().all(|file| file.state == FileState::Ok)
            && self.pieces.iter().all(|piece| *piece == PieceState::Ok)
    }
}

/// Verifies a piece store. `progress` is told bytes as they are done, by any thread; `None` if
/// `cancelled` was set meanwhile.
pub fn check_pieces(
    store: &PieceStore,
    progress: &(dyn Fn(u64) + Sync),
    cancelled: &AtomicBool,
) -> Option<Verdict> {
    let info = store.info();
    let pieces = piece_states(store, info, progress, cancelled)?;
    let there = vec![None; info.layout.files().len()];
    let files = file_verdicts(info, &pieces, &there);
    Some(Verdict { pieces, files })
}

/// Verifies files where they lie; as [`check_pieces`].
pub fn check_files(
    place: &Place,
    progress: &(dyn Fn(u64) + Sync),
    cancelled: &AtomicBool,
) -> Option<Verdict> {
    let info = place.info();
    let pieces = piece_states(place, info, progress, cancelled)?;
    let there: Vec<Option<Found>> = (0..info.layout.files().len())
        .map(|file| Some(place.length(file).map_or(Found::Nothing, Found::Bytes)))
        .collect();
    let files = file_verdicts(info, &pieces, &there);
    Some(Verdict { pieces, files })
}

/// The state of every piece of any source; as [`check_pieces`].
pub fn piece_states(
    source: &dyn PieceSource,
    info: &Info,
    progress: &(dyn Fn(u64) + Sync),
    cancelled: &AtomicBool,
) -> Option<Vec<PieceState>> {
    let rows = Rows::of(info.layout.piece_count() as u64, rayon::current_num_threads());
    let checked = Checked { source, info, zeros: ZeroPiece::of(info), cancelled };
    let states = rows.each(
        cancelled,
        || rows.buffer(),
        |buffer, row| checked.row(rows, row, buffer, progress),
    );
    let states: Vec<PieceState> = states.into_iter().flatten().flatten().collect();
    // Set after the last piece, it changes nothing.
    (states.len() == info.layout.piece_count()).then_some(states)
}

/// Calls `work` for every piece on all cores, in order of beginning, with a buffer of
/// [`CHUNK_LENGTH`].
pub(super) fn each_piece<T: Send>(
    info: &Info,
    cancelled: &AtomicBool,
    work: impl Fn(PieceIndex, &mut [u8]) -> T + Sync,
) -> Option<Vec<T>> {
    let said = each_alone(info.layout.piece_count(), cancelled, |number, buffer| {
        piece(info, number as u64).map(|piece| work(piece, buffer))
    })?;
    Some(said.into_iter().flatten().collect())
}

fn piece(info: &Info, number: u64) -> Option<PieceIndex> {
    u32::try_from(number).ok().and_then(|number| info.layout.piece(number))
}

/// A source, and what it is to hold.
struct Checked<'a> {
    source: &'a dyn PieceSource,
    info: &'a Info,
    zeros: ZeroPiece,
    cancelled: &'a AtomicBool,
}

/// A piece can't be read, or nobody wants to know any more.
struct Unread;

impl Checked<'_> {
    /// The states of the pieces of a row; `None` if it was cancelled meanwhile.
    fn row(
        &self,
        rows: Rows,
        row: Range<u64>,
        buffer: &mut [u8],
        progress: &(dyn Fn(u64) + Sync),
    ) -> Option<Vec<PieceState>> {
        let pieces: Vec<PieceIndex> = row.filter_map(|number| piece(self.info, number)).collect();
        let mut states: Vec<Result<PieceState, Presence>> =
            pieces.iter().map(|piece| self.state_unread(*piece)).collect();
        let size = |at: usize| u64::from(self.info.layout.piece_size(pieces[at]));
        let told = Cell::new(0);
        let tell = |bytes| {
            told.set(told.get() + bytes);
            progress(bytes);
        };
        let unread: Vec<usize> = (0..pieces.len()).filter(|at| states[*at].is_err()).collect();
        for group in unread.chunk_by(|a, b| size(*a) == size(*b)) {
            let numbers: Vec<u64> = group.iter().map(|at| u64::from(pieces[*at].get())).collect();
            let length = group.first().map_or(0, |at| size(*at));
            let is_v2 = matches!(self.info.pieces, PieceHashes::V2(_));
            let leaves = if is_v2 { vec![length; group.len()] } else { Vec::new() };
            let row = Row { pieces: &numbers, length, sha1: !is_v2, leaves };
            let digests = rows.hash(row, self, &mut (), buffer, &tell);
            for (at, digests) in group.iter().zip(digests) {
                states[*at] = states[*at].or_else(|presence| {
                    let right = digests.map(|digests| self.is_right(pieces[*at], digests));
                    Ok::<_, Presence>(match (right, presence) {
                        (Ok(true), _) => PieceState::Ok,
                        (Ok(false), Presence::There) => PieceState::Bad,
                        _ => PieceState::Missing,
                    })
                });
            }
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return None;
        }
        let all: u64 = (0..pieces.len()).map(size).sum();
        progress(all - told.get());
        states.into_iter().map(Result::ok).collect()
    }

    /// What is known of a piece before it is read, or how it is there.
    fn state_unread(&self, piece: PieceIndex) -> Result<PieceState, Presence> {
        match self.source.presence(piece) {
            Presence::Absent => Ok(PieceState::Missing),
            Presence::Damaged => Ok(PieceState::Bad),
            Presence::Hole if !self.zeros.may_be(self.info, piece) => Ok(PieceState::Missing),
            presence => Err(presence),
        }
    }

    fn is_right(&self, piece: PieceIndex, digests: Digests) -> bool {
        match &self.info.pieces {
            PieceHashes::V1(hashes) => hashes[piece.at()] == digests.sha1,
            PieceHashes::V2(roots) => {
                let due = roots[piece.at()];
                MerkleRoot::over(digests.leaves, due.leaves) == Some(due)
            }
        }
    }
}

impl Content for Checked<'_> {
    type Hand = ();
    type Fault = Unread;

    fn read(&self, (): &mut (), at: u64, offset: u64, into: &mut [u8]) -> Result<u64, Unread> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Unread);
        }
        let piece = piece(self.info, at).ok_or(Unread)?;
        // Inside a piece, whose length is a `u32`.
        self.source.read(piece, offset as u32, into).map_err(|_| Unread)?;
        Ok(into.len() as u64)
    }

    fn announce(&self, (): &mut (), at: u64, offset: u64, length: u64) {
        if let Some(piece) = piece(self.info, at) {
            self.source.announce(piece, offset as u32, length);
        }
    }
}

/// What a piece of zeros hashes to, so that holes need no reading.
struct ZeroPiece {
    sha1: [u8; 20],
}

impl ZeroPiece {
    fn of(info: &Info) -> Self {
        let mut hasher = sha1::Sha1::new();
        let zeros = vec![0; CHUNK_LENGTH as usize];
        for chunk in chunks(info.layout.piece_length()) {
            hasher.update(&zeros[..chunk.len()]);
        }
        Self { sha1: hasher.finalize().into() }
    }

    /// Whether `piece`, a hole, may be right. The few of another size and those of v2 are read.
    fn may_be(&self, info: &Info, piece: PieceIndex) -> bool {
        let full = info.layout.piece_size(piece) == info.layout.piece_length();
        match &info.pieces {
            PieceHashes::V1(hashes) if full => hashes.get(piece.at()) == Some(&self.sha1),
            PieceHashes::V1(_) | PieceHashes::V2(_) => true,
        }
    }
}

/// A file as it lies there.
#[derive(Clone, Copy, Debug)]
enum Found {
    Nothing,
    Bytes(u64),
}

/// Judges files by their pieces, and by what `there` says of the file itself, if it has one.
fn file_verdicts(info: &Info, pieces: &[PieceState], there: &[Option<Found>]) -> Vec<FileVerdict> {
    let files = 0..info.layout.files().len();
    files.map(|i| file_verdict(info, pieces, i, there[i].filter(|_| info.is_written(i)))).collect()
}

fn file_verdict(
    info: &Info,
    pieces: &[PieceState],
    file: usize,
    there: Option<Found>,
) -> FileVerdict {
    let due = info.layout.files()[file].length;
    let (mut ok_bytes, mut bad, mut bad_ranges) = (0, false, Vec::new());
    for (range, state) in parts_of(info, file, pieces) {
        if state == PieceState::Ok {
            ok_bytes += range.end - range.start;
        } else {
            bad |= state == PieceState::Bad;
            add_range(&mut bad_ranges, range);
        }
    }
    let state = match there {
        Some(Found::Nothing) => FileState::Missing,
        Some(Found::Bytes(length)) if length > due => {
            add_range(&mut bad_ranges, due..length);
            FileState::Bad
        }
        _ if bad => FileState::Bad,
        _ if ok_bytes == due => FileState::Ok,
        Some(Found::Bytes(_)) => FileState::Partial,
        None if ok_bytes == 0 => FileState::Missing,
        None => FileState::Partial,
    };
    FileVerdict { state, ok_bytes, bad_ranges }
}

/// The bytes of `file` piece by piece, with what `of_piece` says of each.
pub(super) fn parts_of<'a, T: Copy>(
    info: &'a Info,
    file: usize,
    of_piece: &'a [T],
) -> impl Iterator<Item = (Range<u64>, T)> + 'a {
    let layout = &info.layout;
    layout.pieces_of(file).filter_map(|index| layout.piece(index)).flat_map(move |piece| {
        let spans = layout.spans(piece).filter(move |span| span.file == file);
        spans.map(move |span| {
            (span.offset..span.offset + u64::from(span.length()), of_piece[piece.at()])
        })
    })
}

/// Adds `range` behind `ranges`, joined with the last if they touch.
pub(super) fn add_range(ranges: &mut Vec<(u64, u64)>, range: Range<u64>) {
    match ranges.last_mut() {
        Some((_, end)) if *end == range.start => *end = range.end,
        _ => ranges.push((range.start, range.end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::world::{World, any_world};
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    fn check_data(world: &World, data: &Path) -> Verdict {
        let place = Place::find(data, Arc::clone(&world.info)).expect("a place");
        let told = AtomicU64::new(0);
        let progress = |bytes| {
            told.fetch_add(bytes, Ordering::Relaxed);
        };
        let verdict =
            check_files(&place, &progress, &AtomicBool::new(false)).expect("not cancelled");
        assert_eq!(told.into_inner(), world.info.layout.total_length());
        verdict
    }

    fn check_store(world: &World, path: &Path) -> Verdict {
        let store = PieceStore::open(path, Arc::clone(&world.info)).expect("a store");
        check_pieces(&store, &|_| {}, &AtomicBool::new(false)).expect("not cancelled")
    }

    fn states(verdict: &Verdict) -> String {
        verdict
            .pieces
            .iter()
            .map(|state| match state {
                PieceState::Ok => 'o',
                PieceState::Bad => 'b',
                PieceState::Missing => '-',
            })
            .collect()
    }

    fn file_states(verdict: &Verdict) -> Vec<FileState> {
        verdict.files.iter().map(|file| file.state).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// One byte changed anywhere: exactly its piece is bad, exactly the files in that piece.
        #[test]
        fn one_changed_byte_is_found(world in any_world(), at in any::<prop::sample::Index>()) {
            let temporary = tempfile::tempdir().expect("a folder");
            let (files, pieces) = (temporary.path().join("files"), temporary.path().join("pieces"));
            world.write_files(&files);
            world.write_pieces(&pieces);
            prop_assert!(check_data(&world, &files).is_whole());
            prop_assert!(check_store(&world, &pieces).is_whole());

            let layout = &world.info.layout;
            let real: Vec<_> = layout
                .pieces()
                .flat_map(|p| layout.spans(p).map(move |s| (p, s)))
                .filter(|(_, span)| !layout.files()[span.file].pad)
                .collect();
            prop_assume!(!real.is_empty());
            let (piece, span) = &real[at.index(real.len())];
            let within = at.index(span.length() as usize) as u64;
            flip(&layout.files()[span.file].path.below(&files), span.offset + within);
            flip(&pieces.join(format!("piece_{}_complete.bin", piece.get())), u64::from(span.within.start) + within);
            for verdict in [check_data(&world, &files), check_store(&world, &pieces)] {
                for other in layout.pieces() {
                    let state = if other == *piece { PieceState::Bad } else { PieceState::Ok };
                    prop_assert_eq!(verdict.pieces[other.at()], state);
                }
                for (i, file) in verdict.files.iter().enumerate() {
                    let hit = layout.spans(*piece).find(|s| s.file == i);
                    let ranges: Vec<_> = hit.iter().map(|s| (s.offset, s.offset + u64::from(s.length()))).collect();
                    prop_assert_eq!(file.state, if hit.is_some() { FileState::Bad } else { FileState::Ok });
                    prop_assert_eq!(&file.bad_ranges, &ranges);
                    let bad: u64 = ranges.iter().map(|(from, to)| to - from).sum();
                    prop_assert_eq!(file.ok_bytes, layout.files()[i].length - bad);
                }
            }
        }
    }

    fn flip(path: &Path, at: u64) {
        let mut bytes = std::fs::read(path).expect("a file");
        bytes[at as usize] ^= 0x40;
        std::fs::write(path, bytes).expect("written");
    }

    #[test]
    fn what_is_not_there_is_a_state() {
        use FileState::{Bad, Missing, Ok, Partial};
        // Files 0 | d/1 | 2 | d/3 | 4, pieces of 10: 0..25, 25..45, empty, 45..60, 60..70
        let world = World::contiguous(10, &[25, 20, 0, 15, 10]);
        let temporary = tempfile::tempdir().expect("a folder");
        let root = temporary.path();
        world.write_files(root);
        assert_eq!(file_states(&check_data(&world, root)), [Ok; 5]);

        std::fs::remove_file(root.join("d/1")).expect("removed");
        let verdict = check_data(&world, root);
        assert_eq!(states(&verdict), "oo---oo");
        assert_eq!(file_states(&verdict), [Partial, Missing, Ok, Partial, Ok]);
        assert_eq!(verdict.files[0].bad_ranges, [(20, 25)]);
        assert_eq!(verdict.files[1].bad_ranges, [(0, 20)]);
        assert_eq!((verdict.files[0].ok_bytes, verdict.files[1].ok_bytes), (20, 0));

        // Short, a folder instead, long, absent though empty.
        world.write_files(root);
        std::fs::write(root.join("0"), &world.file(0)[..12]).expect("written");
        std::fs::remove_file(root.join("d/3")).expect("removed");
        std::fs::create_dir(root.join("d/3")).expect("a folder");
        std::fs::write(root.join("4"), [world.file(4), vec![1, 2]].concat()).expect("written");
        std::fs::remove_file(root.join("2")).expect("removed");
        let verdict = check_data(&world, root);
        assert_eq!(states(&verdict), "o--o--o");
        assert_eq!(file_states(&verdict), [Partial, Partial, Missing, Missing, Bad]);
        assert_eq!(
            (verdict.files[4].ok_bytes, &verdict.files[4].bad_ranges[..]),
            (10, &[(10, 12)][..])
        );
        assert_eq!(verdict.files[2].bad_ranges, []);
        assert!(!verdict.is_whole());
    }

    #[test]
    fn a_piece_file_of_another_size_is_bad() {
        let world = World::contiguous(10, &[25, 20]);
        let temporary = tempfile::tempdir().expect("a folder");
        world.write_pieces(temporary.path());
        let path = |i: u32| temporary.path().join(format!("piece_{i}_complete.bin"));
        std::fs::write(path(0), b"short").expect("written");
        std::fs::write(path(1), [world.data[10..20].to_vec(), vec![0]].concat()).expect("written");
        std::fs::remove_file(path(3)).expect("removed");
        let verdict = check_store(&world, temporary.path());
        assert_eq!(states(&verdict), "bbo-o");
        assert_eq!(file_states(&verdict), [FileState::Bad, FileState::Partial]);
    }

    #[test]
    fn a_hole_is_missing_unless_zeros_are_right() {
        let block = 1 << 20;
        let world = World::padded(block, &[3 * block, block + 5], &[]);
        let temporary = tempfile::tempdir().expect("a folder");
        world.write_files(temporary.path());
        let sparse = std::fs::File::create(temporary.path().join("0")).expect("made");
        sparse.set_len(3 * block).expect("a length");
        assert_eq!(states(&check_data(&world, temporary.path())), "---oo");

        let zeros = World::zeros(block, &[3 * block, block + 5]);
        let sparse = std::fs::File::create(temporary.path().join("d/1")).expect("made");
        sparse.set_len(block + 5).expect("a length");
        assert_eq!(states(&check_data(&zeros, temporary.path())), "ooooo");
    }

    #[test]
    fn data_is_the_folder_or_what_holds_it_or_the_file() {
        let world = World::named("top", 10, &[("top/a", 25), ("top/b/c", 20)]);
        let temporary = tempfile::tempdir().expect("a folder");
        world.write_files(temporary.path());
        assert!(check_data(&world, temporary.path()).is_whole());
        assert!(check_data(&world, &temporary.path().join("top")).is_whole());
        std::fs::rename(temporary.path().join("top"), temporary.path().join("else"))
            .expect("moved");
        assert!(check_data(&world, &temporary.path().join("else")).is_whole());
        let error = Place::find(&temporary.path().join("else/a"), Arc::clone(&world.info));
        assert!(
            error
                .expect_err("one of two")
                .to_string()
                .contains("is one file where the torrent has 2")
        );
        let error = Place::find(&temporary.path().join("none"), Arc::clone(&world.info));
        assert!(matches!(error, Err(crate::disk::DiskError::Absent(_))));

        let single = World::named("one.bin", 10, &[("one.bin", 25)]);
        let other = temporary.path().join("renamed");
        std::fs::write(&other, single.file(0)).expect("written");
        assert!(check_data(&single, &other).is_whole());
    }

    #[test]
    fn cancelled_is_no_verdict() {
        let world = World::contiguous(10, &[5000]);
        let temporary = tempfile::tempdir().expect("a folder");
        world.write_pieces(temporary.path());
        let store = PieceStore::open(temporary.path(), Arc::clone(&world.info)).expect("a store");
        let cancelled = AtomicBool::new(false);
        let progress = |_| cancelled.store(true, Ordering::Relaxed);
        assert_eq!(check_pieces(&store, &progress, &cancelled), None);
    }
}
