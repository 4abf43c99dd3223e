//! Salvage against a slow oracle, and what it must find, one by one.

use super::*;
use crate::disk::assemble::{Assembled, Assembly};
use crate::disk::check::{PieceState, add_range, piece_states};
use crate::disk::world::World;
use crate::disk::{Layered, PieceStore};
use crate::torrent::Layout;
use proptest::prelude::*;
use std::sync::atomic::AtomicU64;

/// A folder with other people's files.
struct Attic {
    temporary: tempfile::TempDir,
    /// Name below `attic` and bytes.
    files: Vec<(String, Vec<u8>)>,
}

impl Attic {
    fn new() -> Self {
        Self { temporary: tempfile::tempdir().expect("a folder"), files: Vec::new() }
    }

    fn put(&mut self, name: &str, bytes: Vec<u8>) {
        let path = self.at(&format!("attic/{name}"));
        std::fs::create_dir_all(path.parent().expect("a folder above")).expect("made");
        std::fs::write(path, &bytes).expect("written");
        self.files.push((name.to_owned(), bytes));
    }

    fn at(&self, path: &str) -> PathBuf {
        self.temporary.path().join(path)
    }

    fn salvage(&self, world: &World, missing: &Bitfield) -> Salvaged {
        std::fs::create_dir_all(self.at("attic")).expect("made");
        let cancelled = AtomicBool::new(false);
        let found = salvage(&world.info, missing, &[self.at("attic")], &|_| {}, &cancelled);
        found.expect("a place").expect("not cancelled")
    }

    /// The pieces found of a torrent that lacks all, each held against its bytes.
    fn found(&self, world: &World) -> Vec<usize> {
        let salvaged = self.salvage(world, &all(&world.info.layout));
        held(world, &salvaged)
    }
}

fn all(layout: &Layout) -> Bitfield {
    Bitfield::full(layout.piece_count())
}

fn held(world: &World, salvaged: &Salvaged) -> Vec<usize> {
    for piece in world.info.layout.pieces().filter(|p| salvaged.pieces().contains(p.at())) {
        let mut bytes = vec![0; world.piece(piece).len()];
        salvaged.read(piece, 0, &mut bytes).expect("found, so it can be read");
        assert!(bytes == world.piece(piece), "{piece:?}");
    }
    salvaged.pieces().iter().collect()
}

fn pieces_of(world: &World) -> Vec<usize> {
    (0..world.info.layout.piece_count()).collect()
}

/// What may lie in the attic.
#[derive(Clone, Debug)]
enum Lie {
    /// A file under some name, with one byte changed if that is `Some`.
    Renamed(prop::sample::Index, Option<prop::sample::Index>),
    /// The beginning of a file under its own name, in some folder.
    Short(prop::sample::Index, prop::sample::Index),
    /// A file and more, under its name and an ending.
    Long(prop::sample::Index),
    /// A piece, with one byte changed if that is `Some`.
    Piece(prop::sample::Index, Option<prop::sample::Index>),
}

fn any_lie() -> impl Strategy<Value = Lie> {
    use prop::sample::Index;
    let maybe = || prop::option::weighted(0.3, any::<Index>());
    prop_oneof![
        3 => (any::<Index>(), maybe()).prop_map(|(file, flip)| Lie::Renamed(file, flip)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(file, end)| Lie::Short(file, end)),
        1 => any::<Index>().prop_map(Lie::Long),
        2 => (any::<Index>(), maybe()).prop_map(|(piece, flip)| Lie::Piece(piece, flip)),
    ]
}

fn any_small_world() -> impl Strategy<Value = World> {
    let lengths = prop::collection::vec(prop_oneof![Just(0_u64), 1_u64..40_000], 1..5);
    (lengths, 1000_u64..30_000, 0_u8..3).prop_filter_map("no content", |(lengths, length, kind)| {
        (lengths.iter().sum::<u64>() > 0).then(|| match kind {
            0 => World::contiguous(length, &lengths),
            1 => World::padded(length, &lengths, &[1]),
            _ => World::by_file(length, &lengths),
        })
    })
}

fn hide(attic: &mut Attic, world: &World, number: usize, lie: &Lie) {
    let layout = &world.info.layout;
    let files: Vec<usize> =
        (0..layout.files().len()).filter(|f| world.info.is_written(*f)).collect();
    let flipped = |mut bytes: Vec<u8>, at: &Option<prop::sample::Index>| {
        if let Some(at) = at
            && !bytes.is_empty()
        {
            let at = at.index(bytes.len());
            bytes[at] ^= 0x20;
        }
        bytes
    };
    let name = |file: usize| layout.files()[file].path.file_name().to_owned();
    match lie {
        Lie::Renamed(file, flip) => {
            let bytes = world.file(files[file.index(files.len())]);
            attic.put(&format!("renamed {number}"), flipped(bytes, flip));
        }
        Lie::Short(file, end) => {
            let file = files[file.index(files.len())];
            let mut bytes = world.file(file);
            bytes.truncate(end.index(bytes.len() + 1));
            attic.put(&format!("{number}/{}", name(file)), bytes);
        }
        Lie::Long(file) => {
            let file = files[file.index(files.len())];
            let bytes = [world.file(file), vec![9; 500]].concat();
            attic.put(&format!("{number}/{}.part", name(file)), bytes);
        }
        Lie::Piece(piece, flip) => {
            let piece = layout.piece(piece.index(layout.piece_count()) as u32).expect("a piece");
            attic.put(&format!("any {number}"), flipped(world.piece(piece).to_vec(), flip));
        }
    }
}

/// Whether a piece can be had, by comparing bytes: as a file of its own, or of files that each have
/// the length or the name of one of the torrent's.
fn can_be_had(world: &World, attic: &Attic, piece: PieceIndex) -> bool {
    let layout = &world.info.layout;
    let is_for = |name: &str, bytes: &[u8], file: usize| {
        let own = layout.files()[file].path.file_name();
        let theirs = name.rsplit('/').next().unwrap_or_default();
        bytes.len() as u64 == layout.files()[file].length
            || theirs == own
            || theirs.strip_suffix(".part") == Some(own)
    };
    if attic.files.iter().any(|(_, bytes)| bytes == world.piece(piece)) {
        return true;
    }
    layout.spans(piece).filter(|span| world.info.is_written(span.file)).all(|span| {
        let due = &world.piece(piece)[span.within.start as usize..span.within.end as usize];
        attic.files.iter().any(|(name, bytes)| {
            let from = span.offset as usize;
            is_for(name, bytes, span.file) && bytes.get(from..from + due.len()) == Some(due)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Any geometry, any pieces of the store missing or wrong, anything in the attic: the files are
    /// what can be had, and the holes are exactly the rest.
    #[test]
    fn what_can_be_had_is_had(
        world in any_small_world(),
        lies in prop::collection::vec(any_lie(), 0..7),
        damage in prop::collection::vec(prop_oneof![1 => Just(0), 2 => Just(1), 1 => Just(2)], 1..40),
    ) {
        let (info, mut attic) = (Arc::clone(&world.info), Attic::new());
        prop_assume!((0..info.layout.files().len()).any(|file| info.is_written(file)));
        for (number, lie) in lies.iter().enumerate() {
            hide(&mut attic, &world, number, lie);
        }
        let pieces = attic.at("pieces");
        world.write_pieces(&pieces);
        for piece in info.layout.pieces() {
            let path = pieces.join(format!("piece_{}_complete.bin", piece.get()));
            match damage[piece.at() % damage.len()] {
                0 => {}
                1 => std::fs::remove_file(path).expect("removed"),
                _ => {
                    let mut bytes = world.piece(piece).to_vec();
                    bytes[0] ^= 1;
                    std::fs::write(path, bytes).expect("written");
                }
            }
        }
        let store = PieceStore::open(&pieces, Arc::clone(&info)).expect("a store");
        let cancelled = AtomicBool::new(false);
        let states = piece_states(&store, &info, &|_| {}, &cancelled).expect("not cancelled");
        let (mut has, mut missing) = (Bitfield::new(states.len()), Bitfield::new(states.len()));
        for (piece, state) in states.iter().enumerate() {
            if *state == PieceState::Ok { has.insert(piece) } else { missing.insert(piece) };
        }
        let salvaged = attic.salvage(&world, &missing);
        held(&world, &salvaged);
        let mut due = Vec::new();
        for piece in info.layout.pieces() {
            let lucky = world.piece(piece).len() < 8 && salvaged.pieces().contains(piece.at());
            due.push(has.contains(piece.at()) || can_be_had(&world, &attic, piece) || lucky);
        }
        let source = Layered { first: &store, has: &has, then: &salvaged };
        let wanted: Vec<bool> = info.layout.files().iter().map(|file| !file.pad).collect();
        let assembly = Assembly { info: &info, source: &source, wanted: &wanted, fill: Some(0x5a), force: false };
        let files = assembly.run(&attic.at("out"), &|_| {}, &cancelled);
        for Assembled { file, holes, .. } in files.expect("assembled").expect("not cancelled") {
            let (mut bytes, mut filled) = (world.file(file), Vec::new());
            for piece in info.layout.pieces_of(file).filter_map(|i| info.layout.piece(i)) {
                for span in info.layout.spans(piece).filter(|s| s.file == file && !due[piece.at()]) {
                    let range = span.offset..span.offset + u64::from(span.length());
                    bytes[range.start as usize..range.end as usize].fill(0x5a);
                    add_range(&mut filled, range);
                }
            }
            let holes: Vec<_> = holes.iter().map(|hole| (hole.start, hole.end)).collect();
            prop_assert_eq!(holes, filled);
            let path = info.layout.files()[file].path.below(&attic.at("out"));
            prop_assert!(std::fs::read(path).expect("written") == bytes);
        }
    }
}

/// Three files, two of which share pieces: 0..45 | 45..90 | 90..120, in pieces of 10.
fn three() -> World {
    World::named("top", 10, &[("top/a", 45), ("top/d/b", 45), ("top/c", 30)])
}

#[test]
fn renamed_files_give_all_pieces_those_across_them_too() {
    let (world, mut attic) = (three(), Attic::new());
    // Two of one length: which is which is found out by what they have.
    attic.put("x/2", world.file(0));
    attic.put("x/1", world.file(1));
    attic.put("y", world.file(2));
    assert_eq!(attic.found(&world), pieces_of(&world));
}

#[test]
fn a_longer_file_of_any_name_is_known_by_one_piece() {
    let (world, mut attic) = (three(), Attic::new());
    attic.put("disc.img", [world.file(1), vec![0; 1000]].concat());
    attic.put("noise", vec![3; 1045]);
    // `b` begins in the middle of piece 4.
    assert_eq!(attic.found(&world), [5, 6, 7, 8]);
}

#[test]
fn pieces_of_any_store_are_known_by_their_hash() {
    let (world, mut attic) = (three(), Attic::new());
    let piece = |index| world.piece(world.info.layout.piece(index).expect("a piece")).to_vec();
    attic.put("store/piece_7_complete.bin", piece(3));
    attic.put("store/blob", piece(4));
    attic.put("store/piece_5_complete.bin", vec![1; 10]);
    assert_eq!(attic.found(&world), [3, 4]);
}

#[test]
fn only_what_is_missing_is_looked_for_and_a_likely_file_saves_reading_others() {
    let (world, mut attic) = (World::named("top", 10, &[("top/a", 1000)]), Attic::new());
    attic.put("top/a", world.file(0));
    for other in 0..20 {
        attic.put(&format!("o{other}"), vec![other; 1000]);
    }
    let read = AtomicU64::new(0);
    let progress = |bytes| {
        read.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    };
    let mut missing = all(&world.info.layout);
    missing.remove(0);
    let cancelled = AtomicBool::new(false);
    let found = salvage(&world.info, &missing, &[attic.at("attic")], &progress, &cancelled);
    let found = found.expect("a place").expect("not cancelled");
    assert_eq!(found.pieces(), &missing);
    assert_eq!((read.into_inner(), found.files()), (990, 21));
}

#[test]
fn each_piece_is_told_with_where_it_came_from() {
    let (world, mut attic) = (three(), Attic::new());
    attic.put("x", world.file(0));
    attic.put("y", world.file(2));
    attic.put("b.part", world.file(1)[..20].to_vec());
    let salvaged = attic.salvage(&world, &all(&world.info.layout));
    let pieces = all(&world.info.layout);
    let told: Vec<(String, Vec<usize>)> = salvaged
        .origins(&pieces)
        .map(|(path, pieces)| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, pieces.iter().collect())
        })
        .collect();
    let due = [("b.part", vec![4, 5]), ("x", vec![0, 1, 2, 3, 4]), ("y", vec![9, 10, 11])];
    assert_eq!(told, due.map(|(name, pieces)| (name.to_owned(), pieces)));
}

#[test]
fn cancelled_it_finds_nothing() {
    let (world, mut attic) = (three(), Attic::new());
    attic.put("x", world.file(0));
    let missing = all(&world.info.layout);
    let found =
        salvage(&world.info, &missing, &[attic.at("attic")], &|_| {}, &AtomicBool::new(true));
    assert!(found.expect("a place").is_none());
}
