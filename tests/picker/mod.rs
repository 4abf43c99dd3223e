//! The picker, told any list of facts: what it asks for is always right, and what a slow and
//! obvious one ([`oracle`]) would ask for.

mod oracle;

use oracle::Oracle;
use proptest::collection::vec;
use proptest::prelude::*;
use rtor::engine::PeerId;
use rtor::engine::picker::{Arrival, Asker, Candidate, Digest, Picker, Rank};
use rtor::sim::torrent_of_bytes;
use rtor::torrent::{Bitfield, Block, Info, PieceIndex};
use rtor_plugin::strategy::Swarm;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const BLOCK: u32 = 16 << 10;
const PIECES_MAX: usize = 12;

/// Something that happens to a picker. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Op {
    /// A peer comes, with pieces by bit.
    Join(u16),
    /// A peer goes.
    Leave(usize),
    /// A peer gets a piece.
    Has(usize, usize),
    /// A peer is asked for so many blocks.
    Ask(usize, usize),
    /// A peer sends a block that it owes.
    Deliver(usize, usize),
    /// A peer will not send a block that it owes.
    Refuse(usize, usize),
    /// A peer is asked for a block that another owes.
    AskAgain(usize, usize),
    /// A whole piece is checked: by bit, which of its blocks are bad.
    Check(usize, u16),
    /// The strategy changes its mind.
    Rekey(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (peer, n) = (0..8_usize, 0..64_usize);
    vec(
        prop_oneof![
            2 => any::<u16>().prop_map(Op::Join),
            1 => peer.clone().prop_map(Op::Leave),
            2 => (peer.clone(), n.clone()).prop_map(|(peer, piece)| Op::Has(peer, piece)),
            6 => (peer.clone(), 1..9_usize).prop_map(|(peer, room)| Op::Ask(peer, room)),
            12 => (peer.clone(), n.clone()).prop_map(|(peer, nth)| Op::Deliver(peer, nth)),
            2 => (peer.clone(), n.clone()).prop_map(|(peer, nth)| Op::Refuse(peer, nth)),
            2 => (peer, n.clone()).prop_map(|(peer, nth)| Op::AskAgain(peer, nth)),
            3 => (n, prop_oneof![3 => Just(0), 1 => any::<u16>()])
                .prop_map(|(nth, bad)| Op::Check(nth, bad)),
            1 => any::<u64>().prop_map(Op::Rekey),
        ],
        1..150,
    )
}

/// What a strategy is to answer, and what it must be shown.
struct Script {
    epoch: u64,
    keys: Vec<u64>,
    availability: Vec<u16>,
}

impl Rank for Script {
    fn epoch(&mut self, swarm: &Swarm<'_>) -> u64 {
        assert_eq!(swarm.availability, self.availability, "the sum of the bitfields");
        self.epoch
    }

    fn rank(&mut self, _swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
        pieces.iter().zip(keys).for_each(|(piece, key)| *key = self.keys[*piece as usize]);
    }
}

struct Peer {
    has: Bitfield,
    owes: Vec<Block>,
}

/// The picker, the oracle, and the truth about both.
struct World {
    info: Arc<Info>,
    picker: Picker,
    oracle: Oracle,
    rank: Script,
    peers: BTreeMap<PeerId, Peer>,
    peers_named: u32,
    had: Bitfield,
    received: BTreeSet<Block>,
    whole: Vec<PieceIndex>,
}

/// Keys of every kind: equal ones, and ones that ascend, among them.
fn keys(seed: u64, count: usize) -> Vec<u64> {
    let key = |piece: u64| match seed % 4 {
        0 => 7,
        1 => piece,
        2 => u64::MAX - piece,
        _ => seed.wrapping_mul(piece.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1) >> 60,
    };
    (0..count as u64).map(key).collect()
}

impl World {
    fn new(bytes: u64, blocks_a_piece: u32, seed: u64) -> Self {
        let info = torrent_of_bytes(bytes, blocks_a_piece * BLOCK);
        let count = info.layout.piece_count();
        let none = Bitfield::new(count);
        let picker = Picker::new(Arc::clone(&info), none.clone(), &Bitfield::full(count), seed);
        let keys = keys(seed, count);
        let oracle = Oracle::new(&info.layout, keys.clone());
        let rank = Script { epoch: 0, keys, availability: vec![0; count] };
        Self {
            info,
            picker,
            oracle,
            rank,
            peers: BTreeMap::new(),
            peers_named: 0,
            had: none,
            received: BTreeSet::new(),
            whole: Vec::new(),
        }
    }

    fn peer(&self, nth: usize) -> Option<PeerId> {
        self.peers.keys().nth(nth % self.peers.len().max(1)).copied()
    }

    fn owed(&self, peer: PeerId, nth: usize) -> Option<Block> {
        let owes = &self.peers[&peer].owes;
        owes.get(nth % owes.len().max(1)).copied()
    }

    fn recount(&mut self) {
        let count = self.info.layout.piece_count();
        let holders = |piece| self.peers.values().filter(|p| p.has.contains(piece)).count() as u16;
        self.rank.availability = (0..count).map(holders).collect();
    }

    fn join(&mut self, bits: impl Fn(usize) -> bool) -> PeerId {
        self.peers_named += 1;
        let peer = PeerId(self.peers_named);
        let mut has = Bitfield::new(self.info.layout.piece_count());
        (0..has.len()).filter(|piece| bits(*piece)).for_each(|piece| {
            has.insert(piece);
        });
        self.picker.joined(&has);
        self.peers.insert(peer, Peer { has, owes: Vec::new() });
        self.recount();
        peer
    }

    fn leave(&mut self, peer: PeerId) {
        let Some(gone) = self.peers.remove(&peer) else { return };
        let anew = self.picker.left(peer, &gone.has, gone.owes.clone());
        let anew: BTreeSet<PieceIndex> = anew.into_iter().collect();
        assert_eq!(anew, self.oracle.left(peer, &gone.owes));
        anew.into_iter().for_each(|piece| self.forget(piece));
        self.recount();
    }

    fn forget(&mut self, piece: PieceIndex) {
        self.received.retain(|block| block.piece() != piece);
    }

    fn ask(&mut self, peer: PeerId, room: usize) -> Vec<Block> {
        let theirs = &self.peers[&peer].has;
        let mut blocks = Vec::new();
        let asker = Asker { peer, theirs, room, may: &|_| true };
        self.picker.next(&mut self.rank, asker, &mut blocks);
        assert_eq!(blocks, self.oracle.next(peer, theirs, room));
        assert!(blocks.len() <= room);
        for block in &blocks {
            let piece = block.piece();
            assert!(!self.had.contains(piece.at()), "{block:?} is had");
            assert!(theirs.contains(piece.at()), "{block:?} is not to be had there");
            assert!(!self.whole.contains(&piece), "{block:?} is being checked");
            assert!(!self.received.contains(block), "{block:?} is here");
            let owed = self.peers.values().any(|other| other.owes.contains(block));
            assert!(!owed, "{block:?} is owed already");
        }
        let owes = &mut self.peers.get_mut(&peer).expect("it is here").owes;
        owes.extend(&blocks);
        blocks
    }

    fn deliver(&mut self, peer: PeerId, block: Block) {
        let owes = &mut self.peers.get_mut(&peer).expect("it is here").owes;
        owes.retain(|owed| *owed != block);
        let arrival = self.picker.received(peer, block);
        assert_eq!(arrival, self.oracle.received(peer, block));
        if let Arrival::New { losers, whole } = arrival {
            assert!(self.received.insert(block), "{block:?} was here");
            for loser in losers {
                let owes = &mut self.peers.get_mut(&loser).expect("it is here").owes;
                assert!(owes.contains(&block), "{loser:?} does not owe {block:?}");
                owes.retain(|owed| *owed != block);
            }
            let all = self.info.layout.blocks(block.piece()).all(|b| self.received.contains(&b));
            assert_eq!(whole, all);
            if whole {
                self.whole.push(block.piece());
            }
        }
    }

    fn refuse(&mut self, peer: PeerId, block: Block) {
        let owes = &mut self.peers.get_mut(&peer).expect("it is here").owes;
        owes.retain(|owed| *owed != block);
        let anew = self.picker.refused(peer, block);
        assert_eq!(anew, self.oracle.refused(peer, block));
        anew.into_iter().for_each(|piece| self.forget(piece));
    }

    fn ask_again(&mut self, peer: PeerId, nth: usize) {
        let theirs = &self.peers[&peer].has;
        let others = self.peers.iter().filter(|(other, _)| **other != peer);
        let owed: Vec<Block> = others.flat_map(|(_, other)| other.owes.iter().copied()).collect();
        let Some(block) = owed.get(nth % owed.len().max(1)).copied() else { return };
        let has = theirs.contains(block.piece().at());
        if has && self.picker.may_be_asked_again(peer, block) {
            assert!(!self.peers[&peer].owes.contains(&block), "it owes {block:?} itself");
            self.picker.asked_too(peer, block);
            self.oracle.asked_too(peer, block);
            self.peers.get_mut(&peer).expect("it is here").owes.push(block);
        }
    }

    fn check(&mut self, nth: usize, bad: u16) {
        if self.whole.is_empty() {
            return;
        }
        let piece = self.whole.remove(nth % self.whole.len());
        let digest = |number: usize| [(bad >> (number % 16) & 1) as u8; 20];
        let digests: Vec<Digest> = (0..self.info.layout.block_count(piece)).map(digest).collect();
        self.forget(piece);
        let good = digests.iter().all(|digest| *digest == [0; 20]);
        let liars = if good {
            self.had.insert(piece.at());
            let liars = self.picker.verified(piece, &digests);
            assert_eq!(liars, self.oracle.verified(piece, &digests));
            liars
        } else {
            let liar = self.picker.failed(piece, digests.clone());
            assert_eq!(liar, self.oracle.failed(piece, &digests));
            liar.into_iter().collect()
        };
        liars.into_iter().for_each(|liar| self.leave(liar));
    }

    fn happen(&mut self, op: &Op) {
        match *op {
            Op::Join(bits) if self.peers.len() < 8 => {
                self.join(|piece| bits >> piece & 1 == 1);
            }
            Op::Join(_) => {}
            Op::Rekey(seed) => {
                let keys = keys(seed, self.info.layout.piece_count());
                self.oracle.rekeyed(keys.clone());
                self.rank.keys = keys;
                self.rank.epoch += 1;
            }
            Op::Check(nth, bad) => self.check(nth, bad),
            Op::Leave(nth)
            | Op::Has(nth, _)
            | Op::Ask(nth, _)
            | Op::Deliver(nth, _)
            | Op::Refuse(nth, _)
            | Op::AskAgain(nth, _) => {
                if let Some(peer) = self.peer(nth) {
                    self.happen_to(peer, op);
                }
            }
        }
        assert_eq!(self.picker.to_come_bytes(), self.oracle.to_come_bytes());
        assert_eq!(self.picker.have(), &self.had);
        assert_eq!(self.picker.wanted_left(), self.had.len() - self.had.count());
    }

    fn happen_to(&mut self, peer: PeerId, op: &Op) {
        match *op {
            Op::Leave(_) => self.leave(peer),
            Op::Has(_, piece) => {
                let piece = piece % self.info.layout.piece_count();
                let has = &mut self.peers.get_mut(&peer).expect("it is here").has;
                if has.insert(piece) {
                    self.picker.has(self.info.layout.piece(piece as u32).expect("a piece"));
                }
                self.recount();
            }
            Op::Ask(_, room) => {
                self.ask(peer, room);
            }
            Op::Deliver(_, nth) => {
                if let Some(block) = self.owed(peer, nth) {
                    self.deliver(peer, block);
                }
            }
            Op::Refuse(_, nth) => {
                if let Some(block) = self.owed(peer, nth) {
                    self.refuse(peer, block);
                }
            }
            Op::AskAgain(_, nth) => self.ask_again(peer, nth),
            Op::Join(_) | Op::Check(..) | Op::Rekey(_) => {}
        }
    }

    /// Everyone who is here answers, in turn, until nothing more comes.
    fn play_to_the_end(&mut self) {
        loop {
            let peers: Vec<PeerId> = self.peers.keys().copied().collect();
            let mut moved = false;
            for peer in peers {
                if !self.peers.contains_key(&peer) {
                    // It was proven a liar meanwhile.
                    continue;
                }
                self.ask(peer, 3);
                for block in self.peers[&peer].owes.clone() {
                    if self.peers[&peer].owes.contains(&block) {
                        self.deliver(peer, block);
                        moved = true;
                    }
                }
                while !self.whole.is_empty() {
                    self.check(0, 0);
                }
            }
            if !moved {
                return;
            }
        }
    }
}

/// A torrent of 1 to [`PIECES_MAX`] pieces of 1 to 4 blocks, the last one cut.
fn shapes() -> impl Strategy<Value = (u64, u32)> {
    (1..=PIECES_MAX as u64, 1..5_u32, 0..u64::from(BLOCK)).prop_map(|(pieces, blocks, cut)| {
        ((pieces * u64::from(blocks) * u64::from(BLOCK)).saturating_sub(cut).max(1), blocks)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn it_never_asks_wrongly_and_does_as_the_oracle(
        (bytes, blocks) in shapes(), seed in any::<u64>(), ops in ops(),
    ) {
        let mut world = World::new(bytes, blocks, seed);
        ops.iter().for_each(|op| world.happen(op));
    }

    #[test]
    fn if_the_peers_together_have_everything_it_ends_whatever_the_keys(
        (bytes, blocks) in shapes(), seed in any::<u64>(), ops in ops(), shares in vec(any::<u16>(), 1..4),
    ) {
        let mut world = World::new(bytes, blocks, seed);
        ops.iter().for_each(|op| world.happen(op));
        for share in &shares {
            world.join(|piece| share >> piece & 1 == 1);
        }
        world.join(|piece| shares.iter().all(|share| share >> piece & 1 == 0));
        world.play_to_the_end();
        prop_assert_eq!(world.picker.wanted_left(), 0);
        prop_assert_eq!(world.picker.to_come_bytes(), 0);
        prop_assert_eq!(world.picker.open_count(), 0);
    }

    #[test]
    fn a_veto_is_kept_and_what_is_open_is_finished_first(
        (bytes, blocks) in shapes(), seed in any::<u64>(), ops in ops(), vetoed in any::<u16>(),
    ) {
        let mut world = World::new(bytes, blocks, seed);
        ops.iter().for_each(|op| world.happen(op));
        let peer = world.join(|_| true);
        let theirs = world.peers[&peer].has.clone();
        let seen = RefCell::new(Vec::new());
        let may = |candidate: Candidate| {
            seen.borrow_mut().push(candidate.piece.at());
            vetoed >> candidate.piece.at() & 1 == 0
        };
        let asker = Asker { peer, theirs: &theirs, room: 1000, may: &may };
        let open = world.picker.open_count();
        let mut out = Vec::new();
        world.picker.next(&mut world.rank, asker, &mut out);
        prop_assert!(out.iter().all(|block| vetoed >> block.piece().at() & 1 == 0));
        prop_assert!(out.iter().all(|block| seen.borrow().contains(&block.piece().at())));
        if vetoed == 0 && out.len() < 1000 {
            let fresh = world.picker.open_count() - open;
            prop_assert!(fresh <= out.len());
        }
    }

    #[test]
    fn one_seed_alone_never_has_more_open_than_it_owes_blocks_of(
        (bytes, blocks) in shapes(), seed in any::<u64>(), rooms in vec(1..5_usize, 1..40),
    ) {
        let mut world = World::new(bytes, blocks, seed);
        let peer = world.join(|_| true);
        for room in rooms {
            let asked = world.ask(peer, room);
            let bound = asked.len().div_ceil(blocks as usize) + 1;
            prop_assert!(world.picker.open_count() <= bound, "{} open", world.picker.open_count());
            asked.into_iter().for_each(|block| world.deliver(peer, block));
            while !world.whole.is_empty() {
                world.check(0, 0);
            }
        }
    }
}
