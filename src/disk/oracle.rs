//! The hashing of all cores against a serial oracle: any geometry, any damage, any number of threads.
//!
//! The oracle reads each file whole, puts a piece together, and hashes it alone, by the plain crates.

use super::check::{PieceState, piece_states};
use super::world::World;
use super::{PieceSource, PieceStore, Place};
use crate::torrent::{PieceHashes, PieceIndex};
use proptest::prelude::*;
use sha1::Digest as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flipped,
    Cut,
    Removed,
    Lengthened,
}

/// Geometries around all that the rows distinguish: fewer pieces than cores, pieces of less than a
/// chunk and of some, short ones at the end of each file (v2) and of all, and what is read ahead.
fn any_geometry() -> impl Strategy<Value = World> {
    let small = prop::collection::vec(prop_oneof![Just(0_u64), 1_u64..90_000], 1..9)
        .prop_filter("no content", |lengths| lengths.iter().sum::<u64>() > 0);
    let large = prop::collection::vec(1_u64..7_000_000, 1..3);
    let v1 =
        (small.clone(), 1000_u64..150_000, any::<bool>()).prop_map(|(lengths, length, pads)| {
            World::padded(length, &lengths, if pads { &[1, 4] } else { &[] })
        });
    let long = (large, (2_u64 << 20)..3_000_000)
        .prop_map(|(lengths, length)| World::contiguous(length, &lengths));
    let v2 =
        (small, 0_u32..4).prop_map(|(lengths, doubled)| World::v2(16_384 << doubled, &lengths));
    prop_oneof![6 => v1, 1 => long, 3 => v2]
}

fn damaged(path: &Path, damage: Damage, at: prop::sample::Index) {
    let Ok(mut bytes) = fs::read(path) else { return };
    match damage {
        Damage::Flipped if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1;
        }
        Damage::Flipped => {}
        Damage::Cut => bytes.truncate(at.index(bytes.len() + 1)),
        Damage::Removed => return fs::remove_file(path).expect("it was there"),
        Damage::Lengthened => bytes.push(7),
    }
    fs::write(path, bytes).expect("written");
}

/// Files where they lie.
fn of_files(world: &World, root: &Path, piece: PieceIndex) -> PieceState {
    let mut bytes = Vec::new();
    for span in world.info.layout.spans(piece) {
        let file = &world.info.layout.files()[span.file];
        let (from, to) = (span.offset as usize, span.offset as usize + span.length() as usize);
        if file.pad {
            bytes.resize(bytes.len() + to - from, 0);
            continue;
        }
        match fs::read(file.path.below(root)) {
            Ok(whole) if whole.len() >= to => bytes.extend(&whole[from..to]),
            _ => return PieceState::Missing,
        }
    }
    if is_right(world, piece, &bytes) { PieceState::Ok } else { PieceState::Bad }
}

/// A file a piece.
fn of_store(world: &World, root: &Path, piece: PieceIndex) -> PieceState {
    match fs::read(root.join(format!("piece_{}_complete.bin", piece.get()))) {
        Ok(bytes) if is_right(world, piece, &bytes) => PieceState::Ok,
        Ok(_) => PieceState::Bad,
        Err(_) => PieceState::Missing,
    }
}

fn is_right(world: &World, piece: PieceIndex, bytes: &[u8]) -> bool {
    let is_long = bytes.len() == world.info.layout.piece_size(piece) as usize;
    is_long
        && match &world.info.pieces {
            PieceHashes::V1(hashes) => sha1::Sha1::digest(bytes) == hashes[piece.at()],
            PieceHashes::V2(roots) => {
                let want = roots[piece.at()];
                World::merkle(bytes, want.leaves as usize) == want.root
            }
        }
}

/// What all cores say, on a pool of `threads`.
fn by_rows(source: &dyn PieceSource, world: &World, threads: usize) -> Vec<PieceState> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let told = AtomicU64::new(0);
    let progress = |bytes| {
        told.fetch_add(bytes, Ordering::Relaxed);
    };
    let never = AtomicBool::new(false);
    let states = pool.install(|| piece_states(source, &world.info, &progress, &never));
    assert_eq!(told.into_inner(), world.info.layout.total_length());
    states.expect("not cancelled")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn all_cores_say_what_one_says_of_each_piece_alone(
        world in any_geometry(),
        damages in prop::collection::vec(
            (
                prop::sample::select(vec![Damage::Flipped, Damage::Flipped, Damage::Cut, Damage::Removed, Damage::Lengthened]),
                any::<prop::sample::Index>(),
                any::<prop::sample::Index>(),
            ),
            0..4,
        ),
        threads in 1_usize..6,
    ) {
        let temporary = tempfile::tempdir().expect("a folder");
        let (files, pieces) = (temporary.path().join("files"), temporary.path().join("pieces"));
        world.write_files(&files);
        world.write_pieces(&pieces);
        let layout = &world.info.layout;
        for (damage, which, at) in damages {
            damaged(&layout.files()[which.index(layout.files().len())].path.below(&files), damage, at);
            let piece = which.index(layout.piece_count());
            damaged(&pieces.join(format!("piece_{piece}_complete.bin")), damage, at);
        }
        let place = Place::find(&files, Arc::clone(&world.info)).expect("a place");
        let serial: Vec<PieceState> = layout.pieces().map(|piece| of_files(&world, &files, piece)).collect();
        prop_assert_eq!(by_rows(&place, &world, threads), serial);
        let store = PieceStore::open(&pieces, Arc::clone(&world.info)).expect("a store");
        let serial: Vec<PieceState> = layout.pieces().map(|piece| of_store(&world, &pieces, piece)).collect();
        prop_assert_eq!(by_rows(&store, &world, threads), serial);
    }
}
