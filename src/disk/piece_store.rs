//! [`PieceStore`]: the folder between `fetch` and `assemble`, one file a piece.
//!
//! | name | what |
//! |---|---|
//! | `manifest.json` | the manifest, for verbs that are given none |
//! | `piece_<index>_complete.bin` | exactly the bytes of a piece whose hash was right |
//! | `piece_<index>_partial.bin` | blocks of a piece that is not whole ([`Partials`](super::Partials)) |
//! | `.piece_<index>.tmp` | a piece being written; removed when the store is next opened to write |
//!
//! A piece is written under the temporary name and renamed, so a name that says `complete` never
//! has half a piece after a kill; after a loss of power it may, and that is why a reader hashes.
//! Stores merge by copying files together. Pieces that other programs stored are read under their
//! own names ([`PieceNames`]): of several files for a piece, the first that has its size. One process
//! writes, held to it by a lock on the folder; any number reads. JSON is not known here: the
//! manifest is bytes.

use super::folder::{Access, Folder};
use super::partial::{Partials, index_in};
use super::positioned::{cut, read_all_at, write_all_at};
use super::{DiskError, Lying, PieceNames, PieceSource, Presence};
use crate::torrent::{Bitfield, Info, PieceIndex};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

/// The manifest's name in a store.
const MANIFEST: &str = "manifest.json";
const COMPLETE: &str = "_complete.bin";

/// A folder of pieces.
#[derive(Debug)]
pub struct PieceStore {
    folder: Arc<Folder>,
    info: Arc<Info>,
    claimed: Bitfield,
    /// What other files say that they are a piece.
    others: BTreeMap<PieceIndex, Vec<String>>,
    partials: Partials,
}

impl PieceStore {
    /// Opens a store to read.
    ///
    /// # Errors
    /// [`DiskError::Absent`] if there is no such folder.
    pub fn open(path: &Path, info: Arc<Info>) -> Result<Self, DiskError> {
        Self::open_by(path, info, &PieceNames::known())
    }

    /// The same, of pieces whose files have `names`.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_by(path: &Path, info: Arc<Info>, names: &PieceNames) -> Result<Self, DiskError> {
        Self::of(Folder::open(path)?, info, names)
    }

    /// Opens a store to write, made if it is not there, and removes what a killed run left.
    ///
    /// # Errors
    /// [`DiskError::Busy`] if another process writes to it.
    pub fn make(path: &Path, info: Arc<Info>) -> Result<Self, DiskError> {
        let folder = Folder::make(path)?;
        folder.lock()?;
        for name in folder.names("")? {
            let piece = name.strip_prefix('.').and_then(|name| index_in(name, ".tmp"));
            if piece.is_some() || name.strip_suffix(".tmp") == Some(MANIFEST) {
                folder.remove(&name)?;
            }
        }
        Self::of(folder, info, &PieceNames::known())
    }

    /// The manifest of the store at `path`; `None` if it has none.
    ///
    /// # Errors
    /// [`DiskError::Absent`] if there is no such folder.
    pub fn manifest(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
        Folder::open(path)?.read_whole(MANIFEST)
    }

    /// Replaces the manifest, all or nothing.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn write_manifest(&self, bytes: &[u8]) -> Result<(), DiskError> {
        self.folder.write_whole(MANIFEST, bytes)
    }

    /// The pieces that were there when it was opened, by their names alone.
    #[must_use]
    pub const fn claimed(&self) -> &Bitfield {
        &self.claimed
    }

    /// The pieces that are not whole.
    #[must_use]
    pub const fn partials(&self) -> &Partials {
        &self.partials
    }

    /// The torrent.
    #[must_use]
    pub const fn info(&self) -> &Arc<Info> {
        &self.info
    }

    /// Stores `piece`, whose bytes, `slices` one behind the other, were verified.
    ///
    /// # Errors
    /// If the system refuses; nothing is left then.
    pub(super) fn write_piece(&self, piece: PieceIndex, slices: &[&[u8]]) -> Result<(), DiskError> {
        let size = self.info.layout.piece_size(piece);
        let temporary = temporary(piece);
        let file = self.folder.made(&temporary, Access::Fresh)?;
        write_all_at(&file, 0, cut(slices, 0..size))
            .map_err(|e| DiskError::system("write", self.folder.at(&name(piece)), e))
            .and_then(|()| self.folder.rename(&temporary, &name(piece)))
            .inspect_err(|_| drop(self.folder.remove(&temporary)))
    }

    /// Begins to store `piece` from its beginning on, not verified yet.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn begin(&self, piece: PieceIndex) -> Result<Draft<'_>, DiskError> {
        let file = self.folder.made(&temporary(piece), Access::Fresh)?;
        Ok(Draft { store: self, piece, file, finished: false })
    }

    /// Makes the partial file of `piece`, all of whose bytes are in it and verified, the piece.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn promote(
        &self,
        piece: PieceIndex,
        partial: super::partial::Partial,
    ) -> Result<(), DiskError> {
        partial.cut(self.info.layout.piece_size(piece))?;
        self.folder.rename(&self.partials.path(piece), &name(piece))
    }

    fn of(folder: Folder, info: Arc<Info>, names: &PieceNames) -> Result<Self, DiskError> {
        let folder = Arc::new(folder);
        let mut claimed = Bitfield::new(info.layout.piece_count());
        let is_ours = |own: &String| {
            let piece = index_in(own, COMPLETE).and_then(|i| info.layout.piece(i));
            piece.is_some_and(|piece| {
                claimed.insert(piece.at());
                true
            })
        };
        let (_, others): (Vec<_>, Vec<_>) = folder.names("")?.into_iter().partition(is_ours);
        let others = names.sorted(&info.layout, others);
        others.keys().for_each(|piece| {
            claimed.insert(piece.at());
        });
        let partials = Partials::of(Arc::clone(&folder), Arc::clone(&info));
        Ok(Self { folder, info, claimed, others, partials })
    }

    /// The name of the file that `piece` is read from.
    fn name_of(&self, piece: PieceIndex) -> String {
        match self.others.contains_key(&piece) {
            true => self.file_of(piece).0.unwrap_or_else(|| name(piece)),
            false => name(piece),
        }
    }

    /// The file of `piece` that has its size, and what there is of it.
    fn file_of(&self, piece: PieceIndex) -> (Option<String>, Presence) {
        let mut found = Presence::Absent;
        let others = self.others.get(&piece).into_iter().flatten().cloned();
        for name in std::iter::once(name(piece)).chain(others) {
            match self.folder.length(&name) {
                Ok(Some(length)) if length == u64::from(self.info.layout.piece_size(piece)) => {
                    return (Some(name), Presence::There);
                }
                Ok(Some(_)) => found = Presence::Damaged,
                Ok(None) | Err(_) => {}
            }
        }
        (None, found)
    }
}

impl PieceSource for PieceStore {
    fn presence(&self, piece: PieceIndex) -> Presence {
        self.file_of(piece).1
    }

    fn read(&self, piece: PieceIndex, offset: u32, into: &mut [u8]) -> Result<(), DiskError> {
        let name = self.name_of(piece);
        let file = self
            .folder
            .file(&name, Access::Read)?
            .ok_or_else(|| DiskError::Absent(self.folder.at(&name)))?;
        read_all_at(&file, u64::from(offset), into)
            .map_err(|e| DiskError::system("read", self.folder.at(&name), e))
    }

    fn lying(&self, piece: PieceIndex) -> Option<Lying> {
        let file = self.folder.file(&self.name_of(piece), Access::Read).ok()??;
        Some(Lying { file: Arc::new(file), offset: 0 })
    }
}

/// A piece that is being written; dropped before it is finished, nothing of it is left.
pub(super) struct Draft<'a> {
    store: &'a PieceStore,
    piece: PieceIndex,
    file: File,
    finished: bool,
}

impl Draft<'_> {
    /// Writes `bytes` at `offset` of the piece.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn write(&self, offset: u32, bytes: &[u8]) -> Result<(), DiskError> {
        write_all_at(&self.file, u64::from(offset), vec![IoSlice::new(bytes)])
            .map_err(|e| DiskError::system("write", self.store.folder.at(&name(self.piece)), e))
    }

    /// All is written and was verified: it is a piece of the store.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn finish(mut self) -> Result<(), DiskError> {
        self.store.folder.rename(&temporary(self.piece), &name(self.piece))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // Else the next run removes it.
            let _ = self.store.folder.remove(&temporary(self.piece));
        }
    }
}

fn temporary(piece: PieceIndex) -> String {
    format!(".piece_{}.tmp", piece.get())
}

fn name(piece: PieceIndex) -> String {
    format!("piece_{}{COMPLETE}", piece.get())
}
