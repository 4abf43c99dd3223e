//! The disk as the driver uses it: real files, real threads, against the bytes themselves.

use super::world::{World, any_world};
use super::*;
use crate::torrent::BLOCK_LENGTH;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

fn piece(world: &World, index: u32) -> PieceIndex {
    world.info.layout.piece(index).expect("a piece")
}

fn pieces_below(path: &Path, world: &World) -> Store {
    Store::Pieces(PieceStore::make(path, Arc::clone(&world.info)).expect("a store"))
}

fn files_below(path: &Path, world: &World) -> Store {
    Store::Files(FileStore::make(path, Arc::clone(&world.info), false).expect("a store"))
}

fn open(store: Store, memory_max: u64) -> (Disk, Receiver<Done>) {
    let (sender, done) = channel();
    let disk = Disk::open(store, memory_max, 3, move |d| drop(sender.send(d))).expect("a disk");
    (disk, done)
}

/// The verdicts and failures until `count` verdicts are there.
fn verdicts(done: &Receiver<Done>, count: usize) -> Vec<(u32, bool)> {
    let mut verdicts = Vec::new();
    while verdicts.len() < count {
        match done.recv().expect("an answer") {
            Done::Checked { piece, good, .. } => verdicts.push((piece.get(), good)),
            Done::Failed { error } => panic!("{error}"),
            Done::Spilled { .. } | Done::Read { .. } | Done::Parked => {}
        }
    }
    verdicts.sort_unstable();
    verdicts
}

fn wait_for_parked(done: &Receiver<Done>) {
    loop {
        match done.recv().expect("an answer") {
            Done::Parked => return,
            Done::Failed { error } => panic!("{error}"),
            _ => {}
        }
    }
}

/// What every reader must see: each file's bytes, and each piece through `load`.
fn assert_files(root: &Path, world: &World) {
    for (i, file) in world.info.layout.files().iter().enumerate() {
        let path = file.path.below(root);
        if file.pad {
            assert!(!path.exists(), "padding is written to {}", path.display());
        } else {
            assert!(std::fs::read(&path).expect("a file") == world.file(i), "{}", path.display());
        }
    }
}

fn assert_pieces(root: &Path, world: &World) {
    for piece in world.info.layout.pieces() {
        let path = root.join(format!("piece_{}_complete.bin", piece.get()));
        assert!(std::fs::read(path).expect("a file") == world.piece(piece), "{piece:?}");
    }
    let names = std::fs::read_dir(root).expect("a folder").count();
    assert_eq!(names, world.info.layout.piece_count(), "something else was left");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the geometry, the order of blocks and the budget: the same bytes, in both stores,
    /// and each piece reads back.
    #[test]
    fn what_goes_in_comes_out(world in any_world(), seed in any::<u64>(), tiny: bool, parked: bool) {
        for by_files in [false, true] {
            let temporary = tempfile::tempdir().expect("a folder");
            let root = temporary.path().join("out");
            let make = || if by_files { files_below(&root, &world) } else { pieces_below(&root, &world) };
            let budget = if tiny { 0 } else { 1 << 20 };
            let (mut disk, mut done) = open(make(), budget);
            let layout = &world.info.layout;
            let mut blocks: Vec<Block> = layout.pieces().flat_map(|p| layout.blocks(p)).collect();
            blocks.sort_by_key(|b| (u64::from(b.piece().get()) << 32 | u64::from(b.offset())).wrapping_mul(seed | 1));
            let (now, later) = blocks.split_at(blocks.len() / 2);
            let mut left: Vec<usize> = layout.pieces().map(|p| layout.block_count(p)).collect();
            let mut checked = 0;
            for half in [now, later] {
                for block in half {
                    let (block, data) = world.block(block.piece(), block.number());
                    disk.keep(block, data);
                    left[block.piece().at()] -= 1;
                    if left[block.piece().at()] == 0 {
                        disk.check(block.piece(), false);
                        checked += 1;
                    }
                }
                if parked {
                    prop_assert!(verdicts(&done, checked).iter().all(|(_, good)| *good));
                    checked = 0;
                    disk.park();
                    wait_for_parked(&done);
                    drop(disk);
                    (disk, done) = open(make(), budget);
                    let mut kept: Vec<usize> = layout.pieces().map(|p| layout.block_count(p)).collect();
                    for (piece, map) in disk.partials() {
                        kept[piece.at()] -= map.count();
                    }
                    for (piece, (kept, left)) in kept.iter().zip(&left).enumerate() {
                        prop_assert!(kept == left || *left == 0, "piece {} has {} blocks to go, not {}", piece, kept, left);
                    }
                }
            }
            prop_assert!(verdicts(&done, checked).iter().all(|(_, good)| *good));
            for piece in layout.pieces() {
                let size = layout.piece_size(piece);
                let (from, to) = (size / 3, size - size / 5);
                prop_assert_eq!(disk.load(7, piece, from, to - from), None);
                let Done::Read { piece, offset, length, result } = done.recv().expect("an answer") else {
                    panic!("another answer");
                };
                let blocks = disk.loaded(piece, offset, length, result);
                let wanted = Bytes::from(world.piece(piece)[from as usize..to as usize].to_vec());
                prop_assert_eq!(blocks, [(7, Some(wanted))]);
            }
            // But for what was read ahead, all is given back.
            prop_assert_eq!(disk.workers.shared().memory.blocks(), 0);
            prop_assert!(disk.memory_held() <= disk.memory_max() / 8);
            drop(disk);
            if by_files { assert_files(&root, &world) } else { assert_pieces(&root, &world) }
            let side = std::fs::read_dir(&root).expect("a folder").filter(|e| {
                e.as_ref().expect("an entry").file_name().to_string_lossy().starts_with(".rtor-")
            });
            prop_assert_eq!(side.count(), 0);
        }
    }
}

#[test]
fn a_bad_piece_is_never_stored_and_its_blocks_are_named() {
    use sha1::Digest as _;
    let world = World::contiguous(40_000, &[100_000]);
    for budget in [0, 1 << 20] {
        let temporary = tempfile::tempdir().expect("a folder");
        let (mut disk, done) = open(pieces_below(temporary.path(), &world), budget);
        let bad = piece(&world, 1);
        let mut sent = Vec::new();
        for number in 0..3 {
            let (block, data) = world.block(bad, number);
            let mut data = data.to_vec();
            data[100] ^= u8::from(number == 1);
            sent.push(<[u8; 20]>::from(sha1::Sha1::digest(&data)));
            disk.keep(block, data.into());
        }
        disk.check(bad, false);
        let blocks = loop {
            if let Done::Checked { piece, good, blocks } = done.recv().expect("an answer") {
                assert_eq!((piece, good), (bad, false));
                break blocks;
            }
        };
        assert_eq!(blocks, sent);
        assert_eq!(disk.partials(), []);
        assert_eq!(std::fs::read_dir(temporary.path()).expect("a folder").count(), 0);
        // It can be had again, and tells of its blocks if it is asked.
        let mut sent = Vec::new();
        for number in 0..3 {
            let (block, data) = world.block(bad, number);
            sent.push(<[u8; 20]>::from(sha1::Sha1::digest(&data)));
            disk.keep(block, data);
        }
        disk.check(bad, true);
        let good = done.iter().find(|done| matches!(done, Done::Checked { .. }));
        let Some(Done::Checked { good: true, blocks, .. }) = good else { panic!("{good:?}") };
        assert_eq!(blocks, sent);
    }
}

/// Hashed side by side, each piece has a verdict of its own; the last is shorter.
#[test]
fn a_bad_piece_does_not_spoil_those_beside_it() {
    let world = World::contiguous(40_000, &[330_000]);
    let temporary = tempfile::tempdir().expect("a folder");
    let (mut disk, done) = open(files_below(temporary.path(), &world), 1 << 20);
    for piece in world.info.layout.pieces() {
        for block in world.info.layout.blocks(piece) {
            let (block, mut data) = world.block(piece, block.number());
            if (piece.get(), block.number()) == (2, 1) {
                data = [&b"liar"[..], &data[4..]].concat().into();
            }
            disk.keep(block, data);
        }
        disk.check(piece, false);
    }
    let found = verdicts(&done, 9);
    assert_eq!(found, (0..9).map(|piece| (piece, piece != 2)).collect::<Vec<_>>());
}

#[test]
fn a_tiny_budget_bounds_memory() {
    let world = World::contiguous(1 << 20, &[8 << 20]);
    let temporary = tempfile::tempdir().expect("a folder");
    let budget = 1 << 20;
    let (mut disk, done) = open(files_below(temporary.path(), &world), budget);
    // All pieces at once, block by block: none fits before all do.
    for number in 0..64 {
        for piece in world.info.layout.pieces() {
            let (block, data) = world.block(piece, number);
            while !disk.takes_blocks(0) {
                assert!(matches!(done.recv().expect("room comes"), Done::Spilled { .. }));
            }
            disk.keep(block, data);
        }
    }
    world.info.layout.pieces().for_each(|piece| disk.check(piece, false));
    assert_eq!(verdicts(&done, 8), (0..8).map(|i| (i, true)).collect::<Vec<_>>());
    assert!(disk.memory_peak() <= budget, "{}", disk.memory_peak());
    drop(disk);
    assert_files(temporary.path(), &world);
}

/// Whatever the buffers pin: either blocks are taken, or something is under way that sets some
/// free.
#[test]
fn a_block_that_pins_too_much_goes_to_disk() {
    let world = World::contiguous(40_000, &[400_000]);
    let budget = 1 << 20;
    for pinned in [budget / 4 * 3, budget, budget * 2] {
        let temporary = tempfile::tempdir().expect("a folder");
        let (mut disk, done) = open(files_below(temporary.path(), &world), budget);
        disk.pinned(pinned);
        assert!(disk.takes_blocks(budget), "nothing is kept: only messages can pin it");
        let (block, data) = world.block(piece(&world, 3), 1);
        disk.keep(block, data);
        assert!(!disk.takes_blocks(budget));
        disk.pinned(pinned);
        let spilled = done.recv().expect("an answer");
        assert!(matches!(spilled, Done::Spilled { piece } if piece.get() == 3), "{spilled:?}");
        assert!(disk.takes_blocks(budget));
        assert_eq!((disk.memory_held(), disk.memory_peak()), (pinned, pinned));
        disk.pinned(0);
        assert_eq!(disk.memory_held(), 0);
    }
}

#[test]
fn what_was_asked_is_done_before_the_threads_end() {
    let world = World::contiguous(100_000, &[3_000_000]);
    let temporary = tempfile::tempdir().expect("a folder");
    let (mut disk, done) = open(pieces_below(temporary.path(), &world), 64 << 20);
    for piece in world.info.layout.pieces() {
        for block in world.info.layout.blocks(piece) {
            let (block, data) = world.block(piece, block.number());
            disk.keep(block, data);
        }
        disk.check(piece, false);
    }
    drop(disk);
    // The sender lived in the workers: the channel ends because they have.
    assert_eq!(done.iter().filter(|d| matches!(d, Done::Checked { good: true, .. })).count(), 30);
    assert_pieces(temporary.path(), &world);
}

#[test]
fn a_late_block_does_not_come_back_to_life() {
    let world = World::contiguous(BLOCK_LENGTH.into(), &[100_000]);
    let temporary = tempfile::tempdir().expect("a folder");
    let (mut disk, done) = open(pieces_below(temporary.path(), &world), 0);
    let (block, data) = world.block(piece(&world, 0), 0);
    disk.keep(block, data.clone());
    disk.check(block.piece(), false);
    disk.keep(block, data.clone());
    assert_eq!(verdicts(&done, 1), [(0, true)]);
    disk.keep(block, data);
    disk.park();
    wait_for_parked(&done);
    assert_eq!(disk.partials(), []);
}

#[test]
fn what_a_killed_run_left_half_is_cleaned_and_no_piece() {
    let world = World::contiguous(40_000, &[100_000]);
    let temporary = tempfile::tempdir().expect("a folder");
    let root = temporary.path();
    let left = [".piece_1.tmp", "manifest.json.tmp"];
    let kept = ["piece_1_complete.bin.bak", ".piece_x.tmp", "piece_7_complete.bin", "notes.tmp"];
    for name in left.iter().chain(&kept) {
        std::fs::write(root.join(name), "half").expect("a file");
    }
    let store = PieceStore::make(root, Arc::clone(&world.info)).expect("a store");
    assert!(store.claimed().is_empty());
    for name in left {
        assert!(!root.join(name).exists(), "{name}");
    }
    for name in kept {
        assert!(root.join(name).exists(), "{name}");
    }
    let second = PieceStore::make(root, Arc::clone(&world.info)).expect_err("one writer");
    assert!(matches!(second, DiskError::Busy(_)));
    PieceStore::open(root, Arc::clone(&world.info)).expect("any number of readers");
}

#[test]
fn a_full_disk_says_which_file() {
    let world = World::contiguous(40_000, &[100_000]);
    let temporary = tempfile::tempdir().expect("a folder");
    let (mut disk, done) = open(files_below(temporary.path(), &world), 1 << 20);
    // A folder takes the file's place after the store was opened.
    std::fs::create_dir(temporary.path().join("0")).expect("a folder");
    for block in world.info.layout.blocks(piece(&world, 0)) {
        let (block, data) = world.block(block.piece(), block.number());
        disk.keep(block, data);
    }
    disk.check(piece(&world, 0), false);
    let Done::Failed { error } = done.recv().expect("an answer") else { panic!("no failure") };
    assert!(error.to_string().contains("/0`"), "{error}");
    assert_eq!(disk.memory_held(), 0);
}

#[test]
fn files_that_lead_elsewhere_or_are_longer_are_refused() {
    let world = World::contiguous(40_000, &[50_000, 70_000, 0]);
    let temporary = tempfile::tempdir().expect("a folder");
    let outside = temporary.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    let make = |name: &str, force| {
        FileStore::make(&temporary.path().join(name), Arc::clone(&world.info), force)
    };
    let below = |name: &str| {
        let root = temporary.path().join(name);
        std::fs::create_dir(&root).expect("a folder");
        root
    };

    std::os::unix::fs::symlink(&outside, below("link").join("d")).expect("a link");
    let error = make("link", true).expect_err("a link");
    assert!(matches!(error, DiskError::Symlink(_)) && error.is_input(), "{error}");
    assert!(error.to_string().contains("link/d"), "{error}");

    let long = below("long").join("0");
    std::fs::write(&long, vec![1; 50_001]).expect("a file");
    let error = make("long", false).expect_err("longer");
    assert!(
        error.to_string().ends_with("has 50001 bytes where the torrent's has 50000"),
        "{error}"
    );
    assert!(error.is_input());
    make("long", true).expect("forced");
    assert_eq!(std::fs::metadata(&long).expect("kept").len(), 50_001, "cut before it is written");

    std::fs::write(below("short").join("0"), "ours").expect("a file");
    make("short", false).expect("a shorter one");
    let empty = temporary.path().join("short/2");
    assert_eq!(std::fs::metadata(empty).expect("an empty file is made at once").len(), 0);
    assert!(!temporary.path().join("short/d").exists(), "others are made when needed");
}
