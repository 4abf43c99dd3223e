//! [`OpenPieces`]: the pieces that are being fetched, and which of them have blocks to ask for.

use super::open_piece::OpenPiece;
use crate::torrent::PieceIndex;
use std::collections::{BTreeMap, BTreeSet};

/// Open pieces by number, and the loose ones (with blocks that nobody was asked for) by how few
/// of those are left.
#[derive(Debug, Default)]
pub(super) struct OpenPieces {
    pieces: BTreeMap<PieceIndex, OpenPiece>,
    loose: BTreeSet<(usize, PieceIndex)>,
    received_bytes: u64,
}

impl OpenPieces {
    pub(super) fn get(&self, piece: PieceIndex) -> Option<&OpenPiece> {
        self.pieces.get(&piece)
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Puts a piece in, in place of what was there.
    pub(super) fn insert(&mut self, piece: PieceIndex, open: OpenPiece) {
        self.remove(piece);
        self.count_in(piece, &open);
        self.pieces.insert(piece, open);
    }

    /// Takes a piece out.
    pub(super) fn remove(&mut self, piece: PieceIndex) -> Option<OpenPiece> {
        let open = self.pieces.remove(&piece)?;
        self.loose.remove(&(open.unasked(), piece));
        self.received_bytes -= open.received_bytes();
        Some(open)
    }

    /// Changes a piece, if it is open; what `f` says of it.
    pub(super) fn change<T>(
        &mut self,
        piece: PieceIndex,
        f: impl FnOnce(&mut OpenPiece) -> T,
    ) -> Option<T> {
        let open = self.pieces.get_mut(&piece)?;
        let unasked = open.unasked();
        self.received_bytes -= open.received_bytes();
        let said = f(open);
        self.received_bytes += open.received_bytes();
        if open.unasked() != unasked {
            self.loose.remove(&(unasked, piece));
            if open.unasked() > 0 {
                self.loose.insert((open.unasked(), piece));
            }
        }
        Some(said)
    }

    /// Bytes of blocks that are here.
    pub(super) const fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Pieces with blocks to ask for, nearest to whole first.
    pub(super) fn loose(&self) -> impl Iterator<Item = (PieceIndex, &OpenPiece)> {
        self.loose.iter().filter_map(|(_, piece)| Some((*piece, self.pieces.get(piece)?)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PieceIndex, &OpenPiece)> {
        self.pieces.iter().map(|(piece, open)| (*piece, open))
    }

    fn count_in(&mut self, piece: PieceIndex, open: &OpenPiece) {
        self.received_bytes += open.received_bytes();
        if open.unasked() > 0 {
            self.loose.insert((open.unasked(), piece));
        }
    }
}
