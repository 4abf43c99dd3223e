//! What a torrent says of its content, from the files themselves, each read once: the SHA-1 of the
//! pieces (BEP 3), and the trees of SHA-256 of the files (BEP 52).
//!
//! All cores hash. Each takes up the next few pieces, as many as are worth hashing side by side
//! (`sha1_lanes`), in their order, so that a disk is read forwards; what came out is put in order at
//! the end, so that it does not depend on how many there were. A file that is not what it was when it
//! was listed is an error: before its first byte is read, and once more when all is hashed.

use super::sha1_lanes::{self, Sha1Lanes};
use super::tree::Found;
use super::{DiskError, sha1_lanes::LANES_MAX};
use crate::torrent::FileRoot;
use crate::torrent::piece_hash::{LeafHasher, root_of_piece};
use rayon::prelude::*;
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes of one piece that are read at once: those of all pieces side by side are to fit a core's
/// second cache.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes that the kernel is told of before they are read: of each piece so many more than a disk
/// reads between two seeks. A multiple of [`CHUNK_BYTES`].
const AHEAD_BYTES: u64 = 2 << 20;
/// Files that a worker keeps open: one for each piece that it reads, and as many that it may come
/// back to.
const OPEN_MAX: usize = 2 * LANES_MAX;

/// What is to be hashed.
#[derive(Clone, Copy, Debug)]
pub struct Hashing<'a> {
    /// Files, in their order.
    pub files: &'a [Found],
    /// Zeros behind each of them; for trees, so many that the next begins a piece.
    pub padding: &'a [u64],
    /// Bytes of a piece.
    pub piece_length: u32,
    /// Whether the SHA-1 of each piece is wanted.
    pub pieces: bool,
    /// Whether the tree of each file is wanted.
    pub trees: bool,
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashed {
    /// The SHA-1 of each piece.
    pub pieces: Vec<[u8; 20]>,
    /// Of each file, if it is not empty.
    pub trees: Vec<Option<FileRoot>>,
}

/// Hashes, on `threads` of them, or on all cores. `progressed` is called with bytes of files that
/// were hashed, from many threads.
///
/// # Errors
/// If a file can't be read or is no longer what was found.
pub fn hash(
    hashing: Hashing<'_>,
    threads: Option<usize>,
    progressed: &(dyn Fn(u64) + Sync),
) -> Result<Hashed, DiskError> {
    let Some(threads) = threads else {
        return Space::of(hashing, rayon::current_num_threads()).hash(progressed);
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|why| DiskError::system("start", "a thread", io::Error::other(why)))?;
    pool.install(|| Space::of(hashing, threads).hash(progressed))
}

/// Files and zeros, one behind the other.
struct Space<'a> {
    hashing: Hashing<'a>,
    piece_length: u64,
    /// Where each file begins and ends; empty ones too.
    spans: Vec<Range<u64>>,
    total: u64,
    threads: u64,
}

/// Pieces of one length that were hashed side by side.
struct Row {
    first: u64,
    pieces: Vec<[u8; 20]>,
    roots: Vec<[u8; 32]>,
}

impl<'a> Space<'a> {
    fn of(hashing: Hashing<'a>, threads: usize) -> Self {
        let mut total = 0_u64;
        // Lengths of real files: their sum is far below 2^64.
        let spans = hashing.files.iter().zip(hashing.padding).map(|(file, padding)| {
            let span = total..total.saturating_add(file.length);
            total = span.end.saturating_add(*padding);
            span
        });
        let spans = spans.collect();
        let piece_length = u64::from(hashing.piece_length);
        Self { hashing, piece_length, spans, total, threads: threads.max(1) as u64 }
    }

    fn hash(&self, progressed: &(dyn Fn(u64) + Sync)) -> Result<Hashed, DiskError> {
        // With few pieces all cores are worth more than wide rows.
        let each = self.total.div_ceil(self.piece_length).div_ceil(self.threads);
        let width = each.clamp(1, sha1_lanes::worthwhile() as u64);
        let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
        let work = |_| {
            let mut reader = Reader { space: self, open: Vec::new() };
            let mut buffer = vec![0; width as usize * CHUNK_BYTES];
            let mut rows = Vec::new();
            while !failed.load(Ordering::Relaxed)
                && let Some(row) = self.row(next.fetch_add(1, Ordering::Relaxed), width)
            {
                let row = self.hash_row(row, &mut reader, &mut buffer, progressed);
                failed.fetch_or(row.is_err(), Ordering::Relaxed);
                rows.push(row?);
            }
            Ok(rows)
        };
        let rows: Vec<Vec<Row>> =
            (0..self.threads).into_par_iter().map(work).collect::<Result<_, DiskError>>()?;
        self.hashing.files.par_iter().try_for_each(Found::check)?;
        let mut rows: Vec<Row> = rows.into_iter().flatten().collect();
        rows.sort_unstable_by_key(|row| row.first);
        Ok(self.hashed(&rows))
    }

    /// The pieces of row `number`: whole ones, and at the end a shorter one alone.
    fn row(&self, number: u64, width: u64) -> Option<Range<u64>> {
        let whole = self.total / self.piece_length;
        let first = number.checked_mul(width)?;
        if first < whole {
            return Some(first..(first + width).min(whole));
        }
        let is_last = number == whole.div_ceil(width);
        let is_short = !self.total.is_multiple_of(self.piece_length);
        (is_last && is_short).then(|| whole..whole + 1)
    }

    fn hash_row(
        &self,
        row: Range<u64>,
        reader: &mut Reader<'_>,
        buffer: &mut [u8],
        progressed: &(dyn Fn(u64) + Sync),
    ) -> Result<Row, DiskError> {
        let count = (row.end - row.start) as usize;
        let begins = |piece: u64| piece * self.piece_length;
        let length = self.piece_length.min(self.total - begins(row.start));
        let mut lanes = self.hashing.pieces.then(|| Sha1Lanes::new(count));
        let mut trees: Vec<Tree> = match self.hashing.trees {
            true => row.clone().map(|piece| self.tree(begins(piece))).collect(),
            false => Vec::new(),
        };
        for from in (0..length).step_by(CHUNK_BYTES) {
            let size = (length - from).min(CHUNK_BYTES as u64) as usize;
            self.announce(&row, from, length, reader);
            let mut read = 0;
            for (piece, part) in row.clone().zip(buffer.chunks_exact_mut(size)) {
                read += reader.read(begins(piece) + from, part)?;
            }
            let parts: Vec<&[u8]> = buffer.chunks_exact(size).take(count).collect();
            if let Some(lanes) = &mut lanes {
                lanes.update(&parts);
            }
            for (tree, part) in trees.iter_mut().zip(&parts) {
                tree.update(part);
            }
            progressed(read);
        }
        Ok(Row {
            first: row.start,
            pieces: lanes.map(Sha1Lanes::finish).unwrap_or_default(),
            roots: trees.into_iter().map(|tree| tree.finish(self.hashing.piece_length)).collect(),
        })
    }

    /// Tells the kernel what is read next: of long pieces what lies further on in each, of others, and
    /// at their end, what this thread will take up, which is so many rows on as there are threads.
    fn announce(&self, row: &Range<u64>, from: u64, length: u64, reader: &Reader<'_>) {
        if !from.is_multiple_of(AHEAD_BYTES) {
            return;
        }
        let ahead = self.threads * (row.end - row.start);
        let begins = |piece: u64| piece * self.piece_length;
        if length <= AHEAD_BYTES {
            return reader.announce(begins(row.start + ahead), begins(row.end) - begins(row.start));
        }
        for piece in row.clone() {
            let next = from + AHEAD_BYTES;
            let at = if next < length { begins(piece) + next } else { begins(piece + ahead) };
            reader.announce(at, AHEAD_BYTES);
        }
    }

    /// That of the piece at `begin`, which belongs to one file.
    fn tree(&self, begin: u64) -> Tree {
        let file = self.spans.get(self.file_at(begin)).cloned().unwrap_or(begin..begin);
        let left = (file.end - begin).min(self.piece_length);
        Tree { leaves: LeafHasher::new(), left, only: file.end - file.start <= self.piece_length }
    }

    /// The first file that ends behind `position`.
    fn file_at(&self, position: u64) -> usize {
        self.spans.partition_point(|span| span.end <= position)
    }

    fn hashed(&self, rows: &[Row]) -> Hashed {
        let pieces = rows.iter().flat_map(|row| row.pieces.iter().copied()).collect();
        if !self.hashing.trees {
            return Hashed { pieces, trees: Vec::new() };
        }
        let mut roots = rows.iter().flat_map(|row| row.roots.iter().copied());
        let file_root = |span: &Range<u64>| {
            let count = (span.end - span.start).div_ceil(self.piece_length) as usize;
            let own = roots.by_ref().take(count).collect();
            (count > 0).then(|| FileRoot::of_pieces(own, self.hashing.piece_length))
        };
        Hashed { pieces, trees: self.spans.iter().map(file_root).collect() }
    }
}

/// The tree of one piece: padding is no part of it.
struct Tree {
    leaves: LeafHasher,
    /// Bytes of its file that are to come.
    left: u64,
    /// Whether the file has no other piece.
    only: bool,
}

impl Tree {
    fn update(&mut self, part: &[u8]) {
        let own = self.left.min(part.len() as u64);
        self.leaves.update(&part[..own as usize]);
        self.left -= own;
    }

    fn finish(self, piece_length: u32) -> [u8; 32] {
        root_of_piece(self.leaves.finish(), piece_length, self.only)
    }
}

/// Reads the content, and keeps the files open that it read last.
struct Reader<'a> {
    space: &'a Space<'a>,
    /// By their index; the latest last.
    open: Vec<(usize, File)>,
}

impl Reader<'_> {
    /// Fills `into` from `position` on; how many bytes of it were read from files.
    fn read(&mut self, mut position: u64, mut into: &mut [u8]) -> Result<u64, DiskError> {
        let mut read = 0;
        let mut index = self.space.file_at(position);
        while !into.is_empty() {
            let span = self.space.spans.get(index).cloned().unwrap_or(u64::MAX..u64::MAX);
            let is_file = span.start <= position;
            let until = if is_file { span.end } else { span.start };
            let size = (until - position).min(into.len() as u64) as usize;
            let (now, later) = into.split_at_mut(size);
            if is_file {
                self.read_file(index, position - span.start, now)?;
                read += size as u64;
            } else {
                now.fill(0);
            }
            (into, position) = (later, position + size as u64);
            index += usize::from(is_file);
        }
        Ok(read)
    }

    /// Has the kernel read `length` bytes of the file that is at `position`, if it is open: of small
    /// files there is not much to read ahead.
    fn announce(&self, position: u64, length: u64) {
        let index = self.space.file_at(position);
        let Some((_, file)) = self.open.iter().rfind(|(open, _)| *open == index) else { return };
        let offset = position.saturating_sub(self.space.spans[index].start);
        // It is advice: a filesystem that takes none reads as well.
        let _ = fadvise(file, offset, NonZeroU64::new(length), Advice::WillNeed);
    }

    fn read_file(&mut self, index: usize, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        // Of an empty file there is nothing to read.
        if into.is_empty() {
            return Ok(());
        }
        let found = &self.space.hashing.files[index];
        let at = match self.open.iter().rposition(|(open, _)| *open == index) {
            Some(at) => at,
            None => {
                if self.open.len() == OPEN_MAX {
                    self.open.remove(0);
                }
                self.open.push((index, found.open()?));
                self.open.len() - 1
            }
        };
        self.open[at].1.read_exact_at(into, offset).map_err(|why| match why.kind() {
            io::ErrorKind::UnexpectedEof => found.changed(),
            _ => DiskError::system("read", &found.path, why),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tree::list;
    use crate::torrent::padding;
    use proptest::prelude::*;
    use sha1::Digest as _;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    const LEAF: usize = 16 << 10;

    fn content(lengths: &[usize]) -> Vec<Vec<u8>> {
        let bytes =
            |(i, n): (usize, &usize)| (0..*n).map(|at| (at * 31 + at / 251 + i) as u8).collect();
        lengths.iter().enumerate().map(bytes).collect()
    }

    /// Written an hour ago: what is done to them from now on shows in their times.
    fn written(folder: &Path, contents: &[Vec<u8>]) -> Vec<Found> {
        let earlier = SystemTime::now() - Duration::from_secs(3600);
        for (i, bytes) in contents.iter().enumerate() {
            let path = folder.join(format!("f{i:02}"));
            std::fs::write(&path, bytes).expect("a file");
            let file = File::options().write(true).open(path).expect("it is there");
            file.set_modified(earlier).expect("a time");
        }
        let mut files = list(folder, &|_| false, &|_| true).expect("a tree");
        files.sort_by(|a, b| a.components.cmp(&b.components));
        files
    }

    /// Every leaf and every zero beside them hashed, one after the other.
    fn merkle(leaves: &[[u8; 32]], width: usize) -> [u8; 32] {
        let mut nodes = leaves.to_vec();
        nodes.resize(width, [0; 32]);
        while nodes.len() > 1 {
            nodes =
                nodes.chunks(2).map(|pair| sha2::Sha256::digest(pair.concat()).into()).collect();
        }
        nodes[0]
    }

    /// As BEP 52 puts it: the whole tree first, then the layer in it.
    fn tree(bytes: &[u8], piece_length: usize) -> Option<FileRoot> {
        let leaves: Vec<[u8; 32]> =
            bytes.chunks(LEAF).map(|leaf| sha2::Sha256::digest(leaf).into()).collect();
        let root = || merkle(&leaves, leaves.len().next_power_of_two());
        let each = piece_length / LEAF;
        let layer = match bytes.len() > piece_length {
            true => leaves.chunks(each).map(|own| merkle(own, each)).collect(),
            false => Vec::new(),
        };
        (!bytes.is_empty()).then(|| FileRoot { root: root(), layer })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Against the plain way: all bytes in one row, cut into pieces, one after the other.
        #[test]
        fn hashes_are_those_of_the_content_in_one_row(
            lengths in prop::collection::vec(prop_oneof![Just(0_usize), 1..3000_usize, 1..40_000_usize, 1..3_000_000_usize], 1..12),
            odd in prop::option::weighted(0.2, 1000..70_000_u32),
            doubled in 0..8_u32,
            aligned: bool,
            threads in 1..5_usize,
        ) {
            let piece_length = odd.unwrap_or((LEAF as u32) << doubled);
            let trees = aligned && odd.is_none();
            let contents = content(&lengths);
            let folder = tempfile::tempdir().expect("a folder");
            let files = written(folder.path(), &contents);
            let long: Vec<u64> = lengths.iter().map(|n| *n as u64).collect();
            let padding = if aligned { padding::behind(&long, piece_length) } else { vec![0; long.len()] };

            let mut row = Vec::new();
            for (bytes, zeros) in contents.iter().zip(&padding) {
                row.extend_from_slice(bytes);
                row.resize(row.len() + *zeros as usize, 0);
            }
            let plain = Hashed {
                pieces: row.chunks(piece_length as usize).map(|piece| sha1::Sha1::digest(piece).into()).collect(),
                trees: contents.iter().filter(|_| trees).map(|bytes| tree(bytes, piece_length as usize)).collect(),
            };
            let count = AtomicU64::new(0);
            let hashing = Hashing { files: &files, padding: &padding, piece_length, pieces: true, trees };
            let hashed = hash(hashing, Some(threads), &|n| { count.fetch_add(n, Ordering::Relaxed); }).expect("hashes");
            prop_assert_eq!(&hashed, &plain);
            prop_assert_eq!(count.into_inner(), long.iter().sum::<u64>());
            let only = hash(Hashing { pieces: false, ..hashing }, None, &|_| {}).expect("hashes");
            prop_assert_eq!(only, Hashed { pieces: Vec::new(), trees: plain.trees });
        }
    }

    /// What is said when `deed` is done to the file `f01` while the others are hashed.
    fn said_after(deed: fn(&Path)) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let files = written(folder.path(), &content(&[300_000, 5, 0, 70_000]));
        let path = folder.path().join("f01");
        let done = AtomicBool::new(false);
        let hashing = Hashing {
            files: &files,
            padding: &[0; 4],
            piece_length: 16384,
            pieces: true,
            trees: false,
        };
        let deed = |_| {
            if !done.fetch_or(true, Ordering::Relaxed) {
                deed(&path);
            }
        };
        hash(hashing, Some(1), &deed).expect_err("it is another file").to_string()
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_an_error_and_not_a_wrong_hash() {
        let deeds: [fn(&Path); 4] = [
            |path| std::fs::write(path, b"abcd").expect("shorter"),
            |path| std::fs::write(path, b"abcdef").expect("longer"),
            |path| std::fs::write(path, b"abcde").expect("as long"),
            |path| {
                std::fs::write(path.with_extension("new"), b"abcde").expect("another");
                std::fs::rename(path.with_extension("new"), path).expect("in its place");
            },
        ];
        for deed in deeds {
            let said = said_after(deed);
            assert!(said.ends_with("/f01`: it changed while it was hashed"), "{said}");
        }
    }

    #[test]
    fn a_file_that_vanishes_meanwhile_is_an_error() {
        let said = said_after(|path| std::fs::remove_file(path).expect("it was there"));
        assert!(said.ends_with("/f01`: No such file or directory"), "{said}");
    }

    /// All of it is read before the deed: only the last look finds it.
    #[test]
    fn a_file_that_changes_when_it_was_read_is_found_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = written(folder.path(), &content(&[50_000]));
        let cut = |_| std::fs::write(folder.path().join("f00"), b"").expect("cut");
        let hashing = Hashing {
            files: &files,
            padding: &[0],
            piece_length: 1 << 17,
            pieces: true,
            trees: false,
        };
        let said = hash(hashing, Some(1), &cut).expect_err("it was cut").to_string();
        assert!(said.contains("changed while"), "{said}");
    }
}
