//! Pieces of another source go into a store, each hashed on its way.

use super::rows::each_alone;
use super::store::chunks;
use super::{DiskError, PieceSource, Store};
use crate::torrent::{Bitfield, PieceIndex};
use std::sync::atomic::{AtomicBool, Ordering};

impl Store {
    /// Copies `pieces` of `source`, and says which were what the torrent says: those are stored.
    /// `progress` is told bytes as they are done, by any thread; `None` if `cancelled` was set
    /// meanwhile, and what was copied before stays.
    ///
    /// # Errors
    /// If the system refuses to write. What can't be read is not copied.
    pub fn adopt(
        &self,
        source: &dyn PieceSource,
        pieces: &Bitfield,
        progress: &(dyn Fn(u64) + Sync),
        cancelled: &AtomicBool,
    ) -> Result<Option<Bitfield>, DiskError> {
        let layout = &self.info().layout;
        let pieces: Vec<PieceIndex> =
            pieces.iter().filter_map(|piece| layout.piece(piece as u32)).collect();
        let failed = AtomicBool::new(false);
        let adopted = each_alone(pieces.len(), cancelled, |number, buffer| {
            if failed.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let adopted = self.adopt_piece(source, pieces[number], buffer);
            failed.fetch_or(adopted.is_err(), Ordering::Relaxed);
            progress(u64::from(layout.piece_size(pieces[number])));
            adopted
        });
        let Some(adopted) = adopted else { return Ok(None) };
        let mut arrived = Bitfield::new(layout.piece_count());
        for (piece, good) in pieces.iter().zip(adopted) {
            if good? {
                arrived.insert(piece.at());
            }
        }
        Ok(Some(arrived))
    }

    fn adopt_piece(
        &self,
        source: &dyn PieceSource,
        piece: PieceIndex,
        buffer: &mut [u8],
    ) -> Result<bool, DiskError> {
        let info = self.info();
        let mut check = info.pieces.check(piece);
        let draft = match self {
            Self::Pieces(store) => Some(store.begin(piece)?),
            Self::Files(_) => None,
        };
        for chunk in chunks(info.layout.piece_size(piece)) {
            let bytes = &mut buffer[..chunk.len()];
            if source.read(piece, chunk.start, bytes).is_err() {
                return Ok(false);
            }
            check.update(bytes);
            match (self, &draft) {
                (Self::Files(store), _) => store.write(piece, chunk.start, &[bytes])?,
                (_, Some(draft)) => draft.write(chunk.start, bytes)?,
                (Self::Pieces(_), None) => {}
            }
        }
        let good = check.matches();
        // What is wrong in final files is what lay there before: bytes that nobody counts on.
        if let Some(draft) = draft.filter(|_| good) {
            draft.finish()?;
        }
        Ok(good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::world::any_world;
    use crate::disk::{FileStore, PieceStore};
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        /// Between the two stores, with some pieces missing and some wrong: the right ones arrive.
        #[test]
        fn what_is_right_arrives(
            world in any_world(),
            damage in prop::collection::vec(prop_oneof![4 => Just(0), 1 => Just(1), 1 => Just(2)], 1..40),
            to_files: bool,
        ) {
            let temporary = tempfile::tempdir().expect("a folder");
            let (from, to) = (temporary.path().join("from"), temporary.path().join("to"));
            world.write_pieces(&from);
            let (mut all, mut due) = (Bitfield::new(world.info.layout.piece_count()), Vec::new());
            for piece in world.info.layout.pieces() {
                all.insert(piece.at());
                let path = from.join(format!("piece_{}_complete.bin", piece.get()));
                match damage[piece.at() % damage.len()] {
                    0 => due.push(piece.at()),
                    1 => std::fs::remove_file(path).expect("removed"),
                    _ => {
                        let mut bytes = world.piece(piece).to_vec();
                        bytes[0] ^= 1;
                        std::fs::write(path, bytes).expect("written");
                    }
                }
            }
            let source = PieceStore::open(&from, Arc::clone(&world.info)).expect("a store");
            let info = Arc::clone(&world.info);
            let store = match to_files {
                true => Store::Files(FileStore::make(&to, info, false).expect("a store")),
                false => Store::Pieces(PieceStore::make(&to, info).expect("a store")),
            };
            let cancelled = AtomicBool::new(false);
            let arrived = store.adopt(&source, &all, &|_| {}, &cancelled).expect("copied");
            let arrived = arrived.expect("not cancelled");
            prop_assert_eq!(arrived.iter().collect::<Vec<_>>(), due);
            for piece in world.info.layout.pieces().filter(|piece| arrived.contains(piece.at())) {
                let mut bytes = vec![0; world.piece(piece).len()];
                store.read(piece, 0, &mut bytes).expect("it is there");
                prop_assert!(bytes == world.piece(piece));
            }
            if !to_files {
                let left = std::fs::read_dir(&to).expect("a folder").count();
                prop_assert_eq!(left, arrived.count());
            }
        }
    }
}
