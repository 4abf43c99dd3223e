//! [`Layout`]: the only arithmetic on pieces, blocks and files.
//!
//! Pieces number a space of bytes; files lie in that space. In v1 (BEP 3) they follow each other
//! without a gap and a piece may span several; in pure v2 (BEP 52) each begins at a piece
//! boundary, so a piece has one file and a file's last piece may be short. Both are this one
//! type: `offset` says where a file lies, and a piece's size is what of it belongs to files.

use super::SafePath;
use std::ops::Range;

/// Bytes of a block, the unit of requests (BEP 3); a piece's last may be shorter.
pub const BLOCK_LENGTH: u32 = 16 << 10;
/// Bytes that a piece may have. A piece must fit a buffer, and its blocks a `u16`.
pub const PIECE_LENGTH_MAX: u32 = 512 << 20;
/// Pieces that a torrent may have: what 64 MiB of SHA-1 hashes can list.
pub const PIECE_COUNT_MAX: u32 = 1 << 22;

/// A piece that exists in its torrent's layout. Made by [`Layout::piece`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(u32);

impl PieceIndex {
    /// The number, from 0.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number as an index into a column.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// A block that exists in its torrent's layout. Made by [`Layout::block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    piece: PieceIndex,
    offset: u32,
    length: u32,
}

impl Block {
    /// Its piece.
    #[must_use]
    pub const fn piece(self) -> PieceIndex {
        self.piece
    }

    /// Bytes from the beginning of the piece.
    #[must_use]
    pub const fn offset(self) -> u32 {
        self.offset
    }

    /// Bytes in it, 1 to [`BLOCK_LENGTH`].
    #[must_use]
    pub const fn length(self) -> u32 {
        self.length
    }

    /// Its number in the piece, from 0.
    #[must_use]
    pub const fn number(self) -> usize {
        (self.offset / BLOCK_LENGTH) as usize
    }
}

/// One file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it goes.
    pub path: SafePath,
    /// Bytes in it.
    pub length: u64,
    /// Where it begins in the space that the pieces number.
    pub offset: u64,
    /// A padding file (BEP 47): zeros that are hashed and never written.
    pub pad: bool,
}

/// A part of one file that a piece covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpan {
    /// Index into [`Layout::files`].
    pub file: usize,
    /// Bytes from the beginning of the file.
    pub offset: u64,
    /// Which bytes of the piece they are.
    pub within: Range<u32>,
}

impl FileSpan {
    /// Bytes in it.
    #[must_use]
    pub const fn length(&self) -> u32 {
        self.within.end - self.within.start
    }
}

/// How pieces, blocks and files of one torrent lie to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    piece_length: u32,
    piece_count: u32,
    total_length: u64,
    files: Vec<FileEntry>,
    by_file: bool,
}

/// Why lengths make no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Zero, or above [`PIECE_LENGTH_MAX`].
    #[error("a piece length of {0} bytes, where 1 to {PIECE_LENGTH_MAX} are possible")]
    PieceLength(u64),
    /// The files' lengths overflow, or make more pieces than [`PIECE_COUNT_MAX`].
    #[error("more than {PIECE_COUNT_MAX} pieces")]
    TooLarge,
    /// No file, or none with a byte in it.
    #[error("no content: every file is empty")]
    Empty,
}

impl Layout {
    /// Files one after the other, as BEP 3 lays them.
    ///
    /// # Errors
    /// If the piece length is impossible or the lengths overflow.
    pub fn contiguous(
        piece_length: u64,
        files: impl IntoIterator<Item = (SafePath, u64, bool)>,
    ) -> Result<Self, LayoutError> {
        Self::new(piece_length, files, false)
    }

    /// Each file from a piece boundary on, as BEP 52 lays them.
    ///
    /// # Errors
    /// If the piece length is impossible or the lengths overflow.
    pub fn by_file(
        piece_length: u64,
        files: impl IntoIterator<Item = (SafePath, u64, bool)>,
    ) -> Result<Self, LayoutError> {
        Self::new(piece_length, files, true)
    }

    fn new(
        piece_length: u64,
        files: impl IntoIterator<Item = (SafePath, u64, bool)>,
        by_file: bool,
    ) -> Result<Self, LayoutError> {
        let piece = u32::try_from(piece_length)
            .ok()
            .filter(|length| (1..=PIECE_LENGTH_MAX).contains(length))
            .ok_or(LayoutError::PieceLength(piece_length))?;
        let (mut end, mut total_length) = (0_u64, 0_u64);
        let mut entries = Vec::new();
        for (path, length, pad) in files {
            let offset = if by_file { end.next_multiple_of(piece_length) } else { end };
            end = offset.checked_add(length).ok_or(LayoutError::TooLarge)?;
            if end.div_ceil(piece_length) > u64::from(PIECE_COUNT_MAX) {
                return Err(LayoutError::TooLarge);
            }
            total_length += length;
            entries.push(FileEntry { path, length, offset, pad });
        }
        let piece_count = end.div_ceil(piece_length) as u32;
        if piece_count == 0 {
            return Err(LayoutError::Empty);
        }
        Ok(Self { piece_length: piece, piece_count, total_length, files: entries, by_file })
    }

    /// The layout of a torrent of which nothing is known: no piece, no file.
    #[must_use]
    pub(super) const fn unknown() -> Self {
        Self {
            piece_length: BLOCK_LENGTH,
            piece_count: 0,
            total_length: 0,
            files: Vec::new(),
            by_file: false,
        }
    }

    /// Bytes of a piece; the last may be shorter.
    #[must_use]
    pub const fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// How many pieces.
    #[must_use]
    pub const fn piece_count(&self) -> usize {
        self.piece_count as usize
    }

    /// Bytes in all files, padding among them.
    #[must_use]
    pub const fn total_length(&self) -> u64 {
        self.total_length
    }

    /// The files in the order of the torrent.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Piece `index`, if there is one.
    #[must_use]
    pub const fn piece(&self, index: u32) -> Option<PieceIndex> {
        if index < self.piece_count { Some(PieceIndex(index)) } else { None }
    }

    /// All pieces in order.
    pub fn pieces(&self) -> impl DoubleEndedIterator<Item = PieceIndex> + use<> {
        (0..self.piece_count).map(PieceIndex)
    }

    /// Bytes of `piece`.
    #[must_use]
    pub fn piece_size(&self, piece: PieceIndex) -> u32 {
        let start = u64::from(piece.0) * u64::from(self.piece_length);
        let end = if self.by_file {
            self.file_at(start).map_or(start, |file| file.offset + file.length)
        } else {
            self.total_length
        };
        (end - start).min(u64::from(self.piece_length)) as u32
    }

    /// How many blocks `piece` has.
    #[must_use]
    pub fn block_count(&self, piece: PieceIndex) -> usize {
        self.piece_size(piece).div_ceil(BLOCK_LENGTH) as usize
    }

    /// Block `number` of `piece`, if there is one.
    #[must_use]
    pub fn block(&self, piece: PieceIndex, number: usize) -> Option<Block> {
        let size = self.piece_size(piece);
        let offset = u32::try_from(number).ok()?.checked_mul(BLOCK_LENGTH)?;
        (offset < size).then(|| Block { piece, offset, length: (size - offset).min(BLOCK_LENGTH) })
    }

    /// The blocks of `piece` in order.
    pub fn blocks(&self, piece: PieceIndex) -> impl Iterator<Item = Block> + use<> {
        let size = self.piece_size(piece);
        (0..size.div_ceil(BLOCK_LENGTH)).map(move |number| {
            let offset = number * BLOCK_LENGTH;
            Block { piece, offset, length: (size - offset).min(BLOCK_LENGTH) }
        })
    }

    /// The block that a peer names by three numbers, if they name exactly one of ours.
    #[must_use]
    pub fn block_at(&self, index: u32, offset: u32, length: u32) -> Option<Block> {
        let block = self.block(self.piece(index)?, (offset / BLOCK_LENGTH) as usize)?;
        (block.offset == offset && block.length == length).then_some(block)
    }

    /// Whether `length` bytes at `offset` lie inside piece `index`: what a peer may request.
    #[must_use]
    pub fn lies_inside(&self, index: u32, offset: u32, length: u32) -> Option<PieceIndex> {
        let piece = self.piece(index)?;
        let end = offset.checked_add(length)?;
        (length > 0 && end <= self.piece_size(piece)).then_some(piece)
    }

    /// The parts of files that `piece` covers, padding among them, in order.
    pub fn spans(&self, piece: PieceIndex) -> impl Iterator<Item = FileSpan> + '_ {
        self.spans_within(piece, 0..self.piece_size(piece))
    }

    /// The parts of files that the bytes `range` of `piece` cover, in order.
    pub fn spans_within(
        &self,
        piece: PieceIndex,
        range: Range<u32>,
    ) -> impl Iterator<Item = FileSpan> + '_ {
        let base = u64::from(piece.0) * u64::from(self.piece_length);
        let (from, to) = (base + u64::from(range.start), base + u64::from(range.end));
        let first = self.files.partition_point(|file| file.offset + file.length <= from);
        self.files[first..]
            .iter()
            .enumerate()
            .take_while(move |(_, file)| file.offset < to)
            .filter_map(move |(i, file)| {
                let start = file.offset.max(from);
                let end = (file.offset + file.length).min(to);
                (start < end).then(|| FileSpan {
                    file: first + i,
                    offset: start - file.offset,
                    within: (start - base) as u32..(end - base) as u32,
                })
            })
    }

    /// The pieces that cover file `file`; none if it is empty.
    #[must_use]
    pub fn pieces_of(&self, file: usize) -> Range<u32> {
        let Some(entry) = self.files.get(file).filter(|entry| entry.length > 0) else {
            return 0..0;
        };
        let piece_length = u64::from(self.piece_length);
        let end = (entry.offset + entry.length).div_ceil(piece_length);
        (entry.offset / piece_length) as u32..end as u32
    }

    fn file_at(&self, position: u64) -> Option<&FileEntry> {
        let first = self.files.partition_point(|file| file.offset + file.length <= position);
        self.files.get(first).filter(|file| file.offset <= position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn files(lengths: &[u64]) -> Vec<(SafePath, u64, bool)> {
        lengths
            .iter()
            .enumerate()
            .map(|(i, length)| {
                let name = i.to_string();
                (SafePath::from_components([name.as_bytes()]).expect("a name"), *length, false)
            })
            .collect()
    }

    #[test]
    fn a_v2_layout_gives_each_file_its_own_pieces() {
        let layout = Layout::by_file(32768, files(&[5, 0, 40000])).expect("a layout");
        assert_eq!(layout.piece_count(), 3);
        let sizes: Vec<u32> = layout.pieces().map(|p| layout.piece_size(p)).collect();
        assert_eq!(sizes, [5, 32768, 7232]);
        assert_eq!(layout.total_length(), 40005);
        assert_eq!(
            [layout.pieces_of(0), layout.pieces_of(1), layout.pieces_of(2)],
            [0..1, 0..0, 1..3]
        );
    }

    #[test]
    fn impossible_lengths_are_refused() {
        assert_eq!(Layout::contiguous(0, files(&[1])), Err(LayoutError::PieceLength(0)));
        assert_eq!(Layout::contiguous(1, files(&[u64::MAX, 1])), Err(LayoutError::TooLarge));
        assert_eq!(Layout::contiguous(1 << 20, files(&[u64::MAX, 9])), Err(LayoutError::TooLarge));
        assert_eq!(Layout::contiguous(16384, files(&[0, 0])), Err(LayoutError::Empty));
        assert_eq!(Layout::contiguous(16384, files(&[])), Err(LayoutError::Empty));
    }

    #[test]
    fn a_peer_can_only_name_what_exists() {
        let layout = Layout::contiguous(40000, files(&[50000])).expect("a layout");
        assert!(layout.block_at(0, 16384, 16384).is_some());
        assert!(layout.block_at(0, 32768, 7232).is_some());
        for (index, offset, length) in
            [(2, 0, 16384), (0, 1, 16384), (0, 32768, 16384), (0, 0, 0), (0, u32::MAX, 1)]
        {
            assert_eq!(layout.block_at(index, offset, length), None);
        }
        assert!(layout.lies_inside(1, 9999, 1).is_some());
        assert_eq!(layout.lies_inside(1, 9999, 2), None);
        assert_eq!(layout.lies_inside(1, u32::MAX, 2), None);
    }

    proptest! {
        /// Every byte of every file lies in exactly one span of one piece, in order.
        #[test]
        fn spans_tile_the_files(
            lengths in prop::collection::vec(0_u64..100_000, 1..12),
            piece_length in 1_u64..70_000,
            by_file: bool,
        ) {
            prop_assume!(lengths.iter().sum::<u64>() > 0);
            let layout = Layout::new(piece_length.max(lengths.iter().sum::<u64>() / 5000 + 1), files(&lengths), by_file).expect("a layout");
            let mut reached = vec![0_u64; lengths.len()];
            for piece in layout.pieces() {
                let mut within = 0;
                for span in layout.spans(piece) {
                    prop_assert_eq!(span.within.start, within);
                    prop_assert_eq!(span.offset, reached[span.file]);
                    prop_assert!(layout.pieces_of(span.file).contains(&piece.get()));
                    within = span.within.end;
                    reached[span.file] += u64::from(span.length());
                }
                prop_assert_eq!(within, layout.piece_size(piece));
                let blocks: u32 = layout.blocks(piece).map(Block::length).sum();
                prop_assert_eq!(blocks, layout.piece_size(piece));
                for block in layout.blocks(piece) {
                    prop_assert_eq!(layout.block(piece, block.number()), Some(block));
                    prop_assert_eq!(layout.block_at(piece.get(), block.offset(), block.length()), Some(block));
                }
            }
            prop_assert_eq!(reached, lengths);
        }
    }
}
