//! [`Partials`]: `piece_<index>_partial.bin`, the blocks of a piece that is not whole yet.
//!
//! They come from a paused run, or from a piece that had to leave memory. They are unverified:
//! a piece made from them is hashed like any other, so a file that lies costs one bad piece and
//! no more. Nothing here is ever mistaken for a whole piece.
//!
//! # The format
//!
//! Numbers are big-endian. The piece's bytes lie in place, with holes where blocks are missing:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | `size` | the piece, sparse |
//! | `size` | `ceil(blocks / 8)` | which blocks are there: block 0 is the high bit of the first byte (as BEP 3's bitfield) |
//! | | 4 | bytes of a block: 16,384 |
//! | | 4 | `size`, bytes of the piece |
//! | | 20 | the info hash as peers say it (v1, or the first 20 bytes of v2) |
//! | | 8 | `rtorpart` |
//!
//! A file whose length or trailer is not exactly this for its torrent is ignored and written
//! anew. The trailer is written after the blocks that it names, so that a killed process leaves
//! a map that claims too little.

use super::DiskError;
use super::folder::{Access, Folder};
use super::positioned::{read_all_at, write_all_at};
use crate::torrent::{BLOCK_LENGTH, Bitfield, Block, Info, PieceIndex};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"rtorpart";

/// The partial pieces of one torrent in one folder.
#[derive(Debug)]
pub struct Partials {
    folder: Arc<Folder>,
    /// Where in the folder: empty, or a name and `/`.
    prefix: String,
    info: Arc<Info>,
}

impl Partials {
    /// Those directly in `folder`.
    pub(super) fn of(folder: Arc<Folder>, info: Arc<Info>) -> Self {
        Self { folder, prefix: String::new(), info }
    }

    /// Those in the folder `name` of `folder`, which is there while there are any.
    pub(super) fn below(folder: Arc<Folder>, name: &str, info: Arc<Info>) -> Self {
        Self { folder, prefix: format!("{name}/"), info }
    }

    /// The pieces that have blocks here, and which.
    ///
    /// # Errors
    /// If the folder can't be listed. A file that can't be used is not an error.
    pub fn list(&self) -> Result<Vec<(PieceIndex, Bitfield)>, DiskError> {
        let mut found = Vec::new();
        for name in self.folder.names(self.prefix.trim_end_matches('/'))? {
            let Some(piece) =
                index_in(&name, "_partial.bin").and_then(|i| self.info.layout.piece(i))
            else {
                continue;
            };
            let Ok(Some(file)) = self.folder.file(&self.path(piece), Access::Read) else {
                continue;
            };
            match self.map(&file, piece) {
                Ok(Some(map)) if !map.is_empty() => found.push((piece, map)),
                _ => {}
            }
        }
        found.sort_unstable_by_key(|(piece, _)| *piece);
        Ok(found)
    }

    /// Adds `blocks` to those of `piece` that are here.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn keep(
        &self,
        piece: PieceIndex,
        blocks: &[(Block, Bytes)],
    ) -> Result<(), DiskError> {
        let path = self.path(piece);
        let file = self.folder.made(&path, Access::Write)?;
        let kept = (|| -> io::Result<()> {
            let mut map = match self.map(&file, piece)? {
                Some(map) => map,
                None => {
                    file.set_len(0)?;
                    Bitfield::new(self.info.layout.block_count(piece))
                }
            };
            for run in blocks.chunk_by(|(a, _), (b, _)| a.number() + 1 == b.number()) {
                if let [(first, _), ..] = run {
                    let slices = run.iter().map(|(_, data)| IoSlice::new(data)).collect();
                    write_all_at(&file, u64::from(first.offset()), slices)?;
                }
            }
            for (block, _) in blocks {
                map.insert(block.number());
            }
            let size = u64::from(self.info.layout.piece_size(piece));
            write_all_at(&file, size, vec![IoSlice::new(&self.trailer(piece, &map))])
        })();
        kept.map_err(|e| DiskError::system("write", self.folder.at(&path), e))
    }

    /// Opens what is here of `piece`.
    ///
    /// # Errors
    /// If it is gone or can't be opened.
    pub(super) fn open(&self, piece: PieceIndex) -> Result<Partial, DiskError> {
        let path = self.path(piece);
        let file = self.folder.made(&path, Access::Write)?;
        Ok(Partial { file, path: self.folder.at(&path) })
    }

    /// Forgets `piece`, and the folder with the last of them.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn remove(&self, piece: PieceIndex) -> Result<(), DiskError> {
        self.folder.remove(&self.path(piece))?;
        if self.prefix.is_empty() {
            return Ok(());
        }
        self.folder.remove_folder(self.prefix.trim_end_matches('/'))
    }

    /// Forgets all.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn remove_all(&self) -> Result<(), DiskError> {
        for name in self.folder.names(self.prefix.trim_end_matches('/'))? {
            if index_in(&name, "_partial.bin").is_some() {
                self.folder.remove(&format!("{}{name}", self.prefix))?;
            }
        }
        if self.prefix.is_empty() {
            return Ok(());
        }
        self.folder.remove_folder(self.prefix.trim_end_matches('/'))
    }

    /// Where the blocks of `piece` are, below the folder.
    pub(super) fn path(&self, piece: PieceIndex) -> String {
        format!("{}piece_{}_partial.bin", self.prefix, piece.get())
    }

    /// The block map of `file`, if it is a partial file of `piece` of this torrent.
    fn map(&self, file: &File, piece: PieceIndex) -> io::Result<Option<Bitfield>> {
        let blocks = self.info.layout.block_count(piece);
        let size = u64::from(self.info.layout.piece_size(piece));
        let mut trailer = self.trailer(piece, &Bitfield::new(blocks));
        if file.metadata()?.len() != size + trailer.len() as u64 {
            return Ok(None);
        }
        let fixed = trailer.split_off(blocks.div_ceil(8));
        let mut there = vec![0; trailer.len() + fixed.len()];
        read_all_at(file, size, &mut there)?;
        let (map, rest) = there.split_at(trailer.len());
        Ok((rest == fixed).then(|| Bitfield::from_wire(map, blocks).ok()).flatten())
    }

    fn trailer(&self, piece: PieceIndex, map: &Bitfield) -> Vec<u8> {
        let mut trailer = map.to_wire();
        trailer.extend(BLOCK_LENGTH.to_be_bytes());
        trailer.extend(self.info.layout.piece_size(piece).to_be_bytes());
        trailer.extend(self.info.hashes.on_the_wire());
        trailer.extend(MAGIC);
        trailer
    }
}

/// The blocks of one piece, open.
#[derive(Debug)]
pub(super) struct Partial {
    file: File,
    path: PathBuf,
}

impl Partial {
    /// Fills `into` from `offset` of the piece.
    pub(super) fn read(&self, offset: u32, into: &mut [u8]) -> Result<(), DiskError> {
        read_all_at(&self.file, u64::from(offset), into)
            .map_err(|e| DiskError::system("read", &self.path, e))
    }

    /// Puts `data` at `offset` of the piece; the block map does not say so.
    pub(super) fn write(&self, offset: u32, data: &[u8]) -> Result<(), DiskError> {
        write_all_at(&self.file, u64::from(offset), vec![IoSlice::new(data)])
            .map_err(|e| DiskError::system("write", &self.path, e))
    }

    /// Cuts the trailer off: what is left is a piece and no partial one.
    pub(super) fn cut(self, size: u32) -> Result<(), DiskError> {
        self.file.set_len(u64::from(size)).map_err(|e| DiskError::system("write", &self.path, e))
    }
}

/// The number in `piece_<index><suffix>`, if it is written as we write it.
pub(super) fn index_in(name: &str, suffix: &str) -> Option<u32> {
    let digits = name.strip_prefix("piece_")?.strip_suffix(suffix)?;
    let plain =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::world::World;

    fn partials(world: &World) -> (tempfile::TempDir, Partials) {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = Arc::new(Folder::open(temporary.path()).expect("there"));
        let partials = Partials::below(folder, ".side", Arc::clone(&world.info));
        (temporary, partials)
    }

    #[test]
    fn blocks_come_back_and_the_last_takes_the_folder_along() {
        let world = World::contiguous(40_000, &[100_000]);
        let (temporary, partials) = partials(&world);
        let [first, second] = [0, 1].map(|i| world.info.layout.piece(i).expect("a piece"));
        partials.keep(first, &[world.block(first, 2)]).expect("kept");
        partials.keep(first, &[world.block(first, 0)]).expect("kept");
        partials.keep(second, &[world.block(second, 1)]).expect("kept");
        let maps: Vec<(u32, Vec<usize>)> = partials
            .list()
            .expect("listed")
            .iter()
            .map(|(piece, map)| (piece.get(), map.iter().collect()))
            .collect();
        assert_eq!(maps, [(0, vec![0, 2]), (1, vec![1])]);
        let mut read = vec![0; 7232];
        partials.open(first).expect("there").read(32_768, &mut read).expect("read");
        assert_eq!(read, world.data[32_768..40_000]);
        partials.remove(first).expect("removed");
        assert!(temporary.path().join(".side").exists());
        partials.remove(second).expect("removed");
        assert!(!temporary.path().join(".side").exists());
    }

    /// Each is one change to a good file; none may be trusted, none may be an error.
    #[test]
    fn a_trailer_that_does_not_fit_is_ignored_and_written_anew() {
        let world = World::contiguous(40_000, &[100_000]);
        let piece = world.info.layout.piece(0).expect("a piece");
        let (temporary, partials) = partials(&world);
        partials.keep(piece, &[world.block(piece, 0)]).expect("kept");
        let path = temporary.path().join(partials.path(piece));
        let good = std::fs::read(&path).expect("there");
        assert_eq!(good.len(), 40_000 + 1 + 4 + 4 + 20 + 8);
        let changed = |at: usize, to: u8| {
            let mut bad = good.clone();
            bad[at] = to;
            bad
        };
        let bad = [
            vec![],
            good[..good.len() - 1].to_vec(),
            [&good[..], b"x"].concat(),
            changed(good.len() - 1, b'T'),
            changed(40_000 + 4 + 4 + 3, 0xee),
            changed(40_000 + 4, 1),
            changed(40_000, 0b1001_0000),
        ];
        for bad in bad {
            std::fs::write(&path, &bad).expect("written");
            assert_eq!(partials.list().expect("listed"), []);
            partials.keep(piece, &[world.block(piece, 1)]).expect("kept");
            let map = partials.list().expect("listed").remove(0).1;
            assert_eq!(map.iter().collect::<Vec<_>>(), [1]);
        }
    }

    #[test]
    fn only_names_that_we_write_are_ours() {
        assert_eq!(index_in("piece_0_partial.bin", "_partial.bin"), Some(0));
        assert_eq!(index_in("piece_120_partial.bin", "_partial.bin"), Some(120));
        for name in [
            "piece_01_partial.bin",
            "piece__partial.bin",
            "piece_+1_partial.bin",
            "piece_1_partial.bin~",
            "piece_99999999999_partial.bin",
        ] {
            assert_eq!(index_in(name, "_partial.bin"), None, "{name}");
        }
    }
}
