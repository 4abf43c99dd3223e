//! What a torrent says of its content, from the files themselves, each read once: the SHA-1 of the
//! pieces (BEP 3), and the trees of SHA-256 of the files (BEP 52).
//!
//! All cores hash, rows of pieces side by side (`rows`). A file that is not what it was
//! when it was listed is an error: before its first byte is read, and once more when all is hashed.

use super::DiskError;
use super::rows::{Content, Row, Rows};
use super::sha1_lanes::LANES_MAX;
use super::tree::Found;
use crate::torrent::FileRoot;
use crate::torrent::piece_hash::root_of_piece;
use rayon::prelude::*;
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

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
    threads: usize,
}

/// What pieces next to each other came to.
#[derive(Default)]
struct Part {
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
        Self { hashing, piece_length, spans, total, threads }
    }

    fn hash(&self, progressed: &(dyn Fn(u64) + Sync)) -> Result<Hashed, DiskError> {
        let rows = Rows::of(self.total.div_ceil(self.piece_length), self.threads);
        let failed = AtomicBool::new(false);
        let worker = || (Vec::new(), rows.buffer());
        let parts = rows.each(&failed, worker, |(open, buffer), row| {
            let part = self.hash_row(rows, row, open, buffer, progressed);
            failed.fetch_or(part.is_err(), Ordering::Relaxed);
            part
        });
        let parts = parts.into_iter().collect::<Result<Vec<Part>, DiskError>>()?;
        self.hashing.files.par_iter().try_for_each(Found::check)?;
        Ok(self.hashed(&parts))
    }

    /// The pieces of a row: those of one length side by side, and the last one by itself if it is shorter.
    fn hash_row(
        &self,
        rows: Rows,
        row: Range<u64>,
        open: &mut Open,
        buffer: &mut [u8],
        progressed: &dyn Fn(u64),
    ) -> Result<Part, DiskError> {
        let pieces: Vec<u64> = row.collect();
        let mut part = Part::default();
        for pieces in pieces.chunk_by(|a, b| self.length(*a) == self.length(*b)) {
            let leaves = match self.hashing.trees {
                true => pieces.iter().map(|piece| self.tree(*piece).0).collect(),
                false => Vec::new(),
            };
            let length = pieces.first().map_or(0, |piece| self.length(*piece));
            let row = Row { pieces, length, sha1: self.hashing.pieces, leaves };
            let found = rows.hash(row, self, open, buffer, progressed);
            for (piece, digests) in pieces.iter().zip(found) {
                let digests = digests?;
                part.pieces.extend(self.hashing.pieces.then_some(digests.sha1));
                if self.hashing.trees {
                    let only = self.tree(*piece).1;
                    let piece_length = self.hashing.piece_length;
                    part.roots.push(root_of_piece(digests.leaves, piece_length, only));
                }
            }
        }
        Ok(part)
    }

    fn length(&self, piece: u64) -> u64 {
        self.piece_length.min(self.total - piece * self.piece_length)
    }

    /// Bytes of `piece`, which belongs to one file, that are that file's: padding is no part of the
    /// tree. And whether the file has no other piece.
    fn tree(&self, piece: u64) -> (u64, bool) {
        let begin = piece * self.piece_length;
        let file = self.spans.get(self.file_at(begin)).cloned().unwrap_or(begin..begin);
        let own = (file.end - begin).min(self.piece_length);
        (own, file.end - file.start <= self.piece_length)
    }

    /// The first file that ends behind `position`.
    fn file_at(&self, position: u64) -> usize {
        self.spans.partition_point(|span| span.end <= position)
    }

    fn hashed(&self, parts: &[Part]) -> Hashed {
        let pieces = parts.iter().flat_map(|part| part.pieces.iter().copied()).collect();
        if !self.hashing.trees {
            return Hashed { pieces, trees: Vec::new() };
        }
        let mut roots = parts.iter().flat_map(|part| part.roots.iter().copied());
        let file_root = |span: &Range<u64>| {
            let count = (span.end - span.start).div_ceil(self.piece_length) as usize;
            let own = roots.by_ref().take(count).collect();
            (count > 0).then(|| FileRoot::of_pieces(own, self.hashing.piece_length))
        };
        Hashed { pieces, trees: self.spans.iter().map(file_root).collect() }
    }
}

/// The files that a worker read last, by their index; the latest last.
type Open = Vec<(usize, File)>;

impl Content for Space<'_> {
    type Hand = Open;
    type Fault = DiskError;

    /// How many bytes of it were read from files counts.
    fn read(
        &self,
        open: &mut Open,
        piece: u64,
        offset: u64,
        mut into: &mut [u8],
    ) -> Result<u64, DiskError> {
        let mut position = piece * self.piece_length + offset;
        let mut read = 0;
        let mut index = self.file_at(position);
        while !into.is_empty() {
            let span = self.spans.get(index).cloned().unwrap_or(u64::MAX..u64::MAX);
            let is_file = span.start <= position;
            let until = if is_file { span.end } else { span.start };
            let size = (until - position).min(into.len() as u64) as usize;
            let (now, later) = into.split_at_mut(size);
            if is_file {
                self.read_file(open, index, position - span.start, now)?;
                read += size as u64;
            } else {
                now.fill(0);
            }
            (into, position) = (later, position + size as u64);
            index += usize::from(is_file);
        }
        Ok(read)
    }

    /// The kernel reads it, if the file is open: of small files there is not much to read ahead.
    fn announce(&self, open: &mut Open, piece: u64, offset: u64, length: u64) {
        let position = piece.saturating_mul(self.piece_length).saturating_add(offset);
        let index = self.file_at(position);
        let Some((_, file)) = open.iter().rfind(|(open, _)| *open == index) else { return };
        let offset = position.saturating_sub(self.spans[index].start);
        // It is advice: a filesystem that takes none reads as well.
        let _ = fadvise(file, offset, NonZeroU64::new(length), Advice::WillNeed);
    }
}

impl Space<'_> {
    fn read_file(
        &self,
        open: &mut Open,
        index: usize,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DiskError> {
        // Of an empty file there is nothing to read.
        if into.is_empty() {
            return Ok(());
        }
        let found = &self.hashing.files[index];
        let at = match open.iter().rposition(|(open, _)| *open == index) {
            Some(at) => at,
            None => {
                if open.len() == OPEN_MAX {
                    open.remove(0);
                }
                open.push((index, found.open()?));
                open.len() - 1
            }
        };
        open[at].1.read_exact_at(into, offset).map_err(|why| match why.kind() {
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
    use std::sync::atomic::AtomicU64;
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
