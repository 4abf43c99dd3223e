//! What the picker costs with 100,000 pieces. `cargo bench --bench picker`
//!
//! The bounds that it is to keep: a new piece under 100 us, a block under 1 us, a `have` under
//! 1 us, each with the real strategy behind the C table.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use rtor::engine::PeerId;
use rtor::engine::picker::{Asker, Picker};
use rtor::sim::torrent_of;
use rtor::torrent::{Bitfield, Block};
use rtor_plugin::strategy::Ranker;
use rtor_plugin::strategy::host::Instance;
use rtor_plugin::{Level, Services};
use std::sync::Arc;

const PIECES: u32 = 100_000;
const BLOCK: u32 = 16 << 10;
const PEER: PeerId = PeerId(1);

struct Quiet;

impl Services for Quiet {
    fn log(&self, _: Level, _: &str) {}
}

fn rarest() -> Ranker {
    let entry = &rtor_strategy_rarest::PLUGIN;
    let instance = Instance::create(entry, "", Arc::new(Quiet)).expect("it takes no options");
    Ranker::new("rarest", instance)
}

/// Every `nth` piece, as a peer has them.
fn every(nth: usize) -> Bitfield {
    let mut bits = Bitfield::new(PIECES as usize);
    (0..PIECES as usize).step_by(nth).for_each(|piece| {
        bits.insert(piece);
    });
    bits
}

/// A picker that knows a swarm in which pieces are unevenly spread, its keys asked for already.
fn picker(blocks_a_piece: u32) -> (Picker, Ranker) {
    let info = torrent_of(PIECES, blocks_a_piece * BLOCK);
    let none = Bitfield::new(PIECES as usize);
    let mut picker = Picker::new(info, none, &Bitfield::full(PIECES as usize), 1);
    [1, 2, 3, 5, 7, 11].into_iter().for_each(|nth| picker.joined(&every(nth)));
    let mut rank = rarest();
    ask(&mut picker, &mut rank, &every(1), 1, &mut Vec::new());
    (picker, rank)
}

fn ask(picker: &mut Picker, rank: &mut Ranker, has: &Bitfield, room: usize, out: &mut Vec<Block>) {
    let asker = Asker { peer: PEER, theirs: has, room, may: &|_| true };
    picker.next(rank, asker, out);
}

/// A piece of one block is a new piece each time.
#[divan::bench(args = [1, 2, 50])]
fn a_new_piece_of_a_peer_that_has_one_of(bencher: Bencher<'_, '_>, nth: usize) {
    let has = every(nth);
    bencher.with_inputs(|| picker(1)).counter(ItemsCount::new(1000_usize)).bench_local_refs(
        |(picker, rank)| {
            let mut out = Vec::with_capacity(1000);
            for _ in 0..1000 {
                ask(picker, rank, &has, 1, &mut out);
            }
            black_box(out)
        },
    );
}

/// A piece of 64 blocks, asked for block by block, and the blocks taken in.
#[divan::bench]
fn a_block_asked_and_received(bencher: Bencher<'_, '_>) {
    let has = every(1);
    bencher.with_inputs(|| picker(64)).counter(ItemsCount::new(6400_usize)).bench_local_refs(
        |(picker, rank)| {
            let mut out = Vec::with_capacity(1);
            for _ in 0..6400 {
                out.clear();
                ask(picker, rank, &has, 1, &mut out);
                for block in &out {
                    black_box(picker.received(PEER, *block));
                }
            }
        },
    );
}

/// A `have` of each of a thousand peers, and one question after every fifty of them.
#[divan::bench]
fn a_have(bencher: Bencher<'_, '_>) {
    let has = every(1);
    let layout = torrent_of(PIECES, BLOCK).layout.clone();
    let pieces: Vec<_> = (0..10_000).filter_map(|n| layout.piece(n * 7919 % PIECES)).collect();
    bencher.with_inputs(|| picker(1)).counter(ItemsCount::new(pieces.len())).bench_local_refs(
        |(picker, rank)| {
            let mut out = Vec::new();
            for (n, piece) in pieces.iter().enumerate() {
                picker.has(*piece);
                if n % 50 == 0 {
                    ask(picker, rank, &has, 1, &mut out);
                }
            }
            black_box(out)
        },
    );
}

/// A peer with everything comes and goes: all keys are asked for again.
#[divan::bench]
fn a_seed_comes_and_goes(bencher: Bencher<'_, '_>) {
    let has = every(1);
    bencher.with_inputs(|| picker(1)).bench_local_refs(|(picker, rank)| {
        picker.joined(&has);
        ask(picker, rank, &has, 1, &mut Vec::new());
        black_box(picker.left(PEER, &has, []))
    });
}

fn main() {
    divan::main();
}
