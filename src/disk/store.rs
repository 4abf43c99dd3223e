//! [`Store`]: where verified pieces go, one of two shapes with one set of verbs.

use super::partial::Partials;
use super::{DiskError, FileStore, PieceSource, PieceStore, Presence};
use crate::torrent::{BLOCK_LENGTH, Info, PieceIndex};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that are read at once: two of these fit a core's cache, and larger ones hash no faster.
pub(super) const CHUNK_LENGTH: u32 = 256 << 10;

/// Where verified pieces go.
#[derive(Debug)]
pub enum Store {
    /// A file a piece.
    Pieces(PieceStore),
    /// The final files.
    Files(FileStore),
}

/// All blocks of a piece: those without bytes lie in its partial file.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) piece: PieceIndex,
    pub(super) blocks: Vec<Option<Bytes>>,
}

impl Store {
    /// The torrent.
    #[must_use]
    pub const fn info(&self) -> &Arc<Info> {
        match self {
            Self::Pieces(store) => store.info(),
            Self::Files(store) => store.info(),
        }
    }

    /// The pieces that are not whole.
    #[must_use]
    pub const fn partials(&self) -> &Partials {
        match self {
            Self::Pieces(store) => store.partials(),
            Self::Files(store) => store.partials(),
        }
    }

    /// Every wanted piece is there: removes what only an unfinished torrent needs.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn finish(&self) -> Result<(), DiskError> {
        match self {
            Self::Pieces(store) => store.partials().remove_all(),
            Self::Files(store) => store.finish(),
        }
    }

    /// Stores a piece that was verified.
    pub(super) fn write(&self, whole: &Whole) -> Result<(), DiskError> {
        if let Some(slices) = whole.in_memory() {
            return match self {
                Self::Pieces(store) => store.write_piece(whole.piece, &slices),
                Self::Files(store) => store.write(whole.piece, 0, &slices),
            };
        }
        let partial = self.partials().open(whole.piece)?;
        match self {
            Self::Pieces(store) => {
                for (number, block) in whole.blocks.iter().enumerate() {
                    if let Some(data) = block {
                        partial.write(number as u32 * BLOCK_LENGTH, data)?;
                    }
                }
                store.promote(whole.piece, partial)
            }
            Self::Files(store) => {
                self.each_part(whole, |offset, data| store.write(whole.piece, offset, &[data]))?;
                self.partials().remove(whole.piece)
            }
        }
    }

    /// Calls `each` with the bytes of a piece in order: a block from memory or, from its partial
    /// file, at most [`CHUNK_LENGTH`].
    pub(super) fn each_part(
        &self,
        whole: &Whole,
        mut each: impl FnMut(u32, &[u8]) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let size = self.info().layout.piece_size(whole.piece);
        let spilled = whole.in_memory().is_none();
        let partial = spilled.then(|| self.partials().open(whole.piece)).transpose()?;
        let mut buffer = vec![0; if spilled { CHUNK_LENGTH.min(size) as usize } else { 0 }];
        let mut next = 0;
        while let Some(block) = whole.blocks.get(next) {
            let offset = next as u32 * BLOCK_LENGTH;
            match (block, &partial) {
                (Some(data), _) => {
                    each(offset, data)?;
                    next += 1;
                }
                (None, Some(partial)) => {
                    let run = whole.blocks[next..].iter().take_while(|b| b.is_none()).count();
                    let run = run.min((CHUNK_LENGTH / BLOCK_LENGTH) as usize);
                    let length = (run as u32 * BLOCK_LENGTH).min(size - offset);
                    let chunk = &mut buffer[..length as usize];
                    partial.read(offset, chunk)?;
                    each(offset, chunk)?;
                    next += run;
                }
                (None, None) => unreachable!("a block that is not in memory is spilled"),
            }
        }
        Ok(())
    }
}

impl PieceSource for Store {
    fn presence(&self, piece: PieceIndex) -> Presence {
        match self {
            Self::Pieces(store) => store.presence(piece),
            Self::Files(store) => store.presence(piece),
        }
    }

    fn read(&self, piece: PieceIndex, offset: u32, into: &mut [u8]) -> Result<(), DiskError> {
        match self {
            Self::Pieces(store) => store.read(piece, offset, into),
            Self::Files(store) => store.read(piece, offset, into),
        }
    }

    fn announce(&self, piece: PieceIndex, offset: u32, length: u64) {
        match self {
            Self::Pieces(store) => store.announce(piece, offset, length),
            Self::Files(store) => store.announce(piece, offset, length),
        }
    }
}

impl Whole {
    /// Bytes held in memory.
    pub(super) fn held(&self) -> u64 {
        self.blocks.iter().flatten().map(|data| data.len() as u64).sum()
    }

    /// The blocks as slices, if none lies on disk.
    pub(super) fn in_memory(&self) -> Option<Vec<&[u8]>> {
        self.blocks.iter().map(Option::as_deref).collect()
    }
}

/// The chunks of at most [`CHUNK_LENGTH`] of a piece of `size` bytes.
pub(super) fn chunks(size: u32) -> impl Iterator<Item = Range<u32>> {
    (0..size.div_ceil(CHUNK_LENGTH)).map(move |i| {
        let from = i * CHUNK_LENGTH;
        from..size.min(from + CHUNK_LENGTH)
    })
}
