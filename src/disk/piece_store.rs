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
//! Stores merge by copying files together. One process writes, held to it by a lock on the
//! folder; any number reads. JSON is not known here: the manifest is bytes.

use super::folder::{Access, Folder};
use super::partial::{Partials, index_in};
use super::positioned::{cut, read_all_at, write_all_at};
use super::{DiskError, PieceSource, Presence};
use crate::torrent::{Bitfield, Info, PieceIndex};
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
    partials: Partials,
}

impl PieceStore {
    /// Opens a store to read.
    ///
    /// # Errors
    /// [`DiskError::Absent`] if there is no such folder.
    pub fn open(path: &Path, info: Arc<Info>) -> Result<Self, DiskError> {
        Self::of(Folder::open(path)?, info)
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
        Self::of(folder, info)
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
        let temporary = format!(".piece_{}.tmp", piece.get());
        let file = self.folder.made(&temporary, Access::Fresh)?;
        write_all_at(&file, 0, cut(slices, 0..size))
            .map_err(|e| DiskError::system("write", self.folder.at(&name(piece)), e))
            .and_then(|()| self.folder.rename(&temporary, &name(piece)))
            .inspect_err(|_| drop(self.folder.remove(&temporary)))
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

    fn of(folder: Folder, info: Arc<Info>) -> Result<Self, DiskError> {
        let folder = Arc::new(folder);
        let mut claimed = Bitfield::new(info.layout.piece_count());
        for name in folder.names("")? {
            if let Some(piece) = index_in(&name, COMPLETE).and_then(|i| info.layout.piece(i)) {
                claimed.insert(piece.at());
            }
        }
        let partials = Partials::of(Arc::clone(&folder), Arc::clone(&info));
        Ok(Self { folder, info, claimed, partials })
    }
}

impl PieceSource for PieceStore {
    fn presence(&self, piece: PieceIndex) -> Presence {
        match self.folder.length(&name(piece)) {
            Ok(Some(length)) if length == u64::from(self.info.layout.piece_size(piece)) => {
                Presence::There
            }
            Ok(Some(_)) => Presence::Damaged,
            Ok(None) | Err(_) => Presence::Absent,
        }
    }

    fn read(&self, piece: PieceIndex, offset: u32, into: &mut [u8]) -> Result<(), DiskError> {
        let name = name(piece);
        let file = self
            .folder
            .file(&name, Access::Read)?
            .ok_or_else(|| DiskError::Absent(self.folder.at(&name)))?;
        read_all_at(&file, u64::from(offset), into)
            .map_err(|e| DiskError::system("read", self.folder.at(&name), e))
    }
}

fn name(piece: PieceIndex) -> String {
    format!("piece_{}{COMPLETE}", piece.get())
}
