//! [`Oracle`]: a picker that is slow and obvious: lists that are searched from the front, every
//! number counted anew. It is what the real one is held against.

use rtor::engine::PeerId;
use rtor::engine::picker::{Arrival, Digest, OPEN_FEW, OPEN_FEW_BYTES};
use rtor::torrent::{Bitfield, Block, Layout, PieceIndex};
use std::collections::{BTreeMap, BTreeSet};

/// A block of an open piece.
#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Nowhere,
    Owed(Vec<PeerId>),
    Here(PeerId),
}

#[derive(Clone, Debug)]
enum Piece {
    Fresh,
    /// With who may send it alone: nobody, anybody, or this one.
    Open(Vec<At>, Option<Option<PeerId>>),
    Checking(Vec<PeerId>),
    Had,
}

/// A failed copy: who sent each block, and its digest.
type Copy = (usize, Vec<(PeerId, Digest)>);

pub(super) struct Oracle {
    layout: Layout,
    pieces: Vec<Piece>,
    keys: Vec<u64>,
    current: BTreeMap<PeerId, usize>,
    copies: Vec<Copy>,
}

impl Oracle {
    pub(super) fn new(layout: &Layout, keys: Vec<u64>) -> Self {
        let pieces = vec![Piece::Fresh; layout.piece_count()];
        let (current, copies) = (BTreeMap::new(), Vec::new());
        Self { layout: layout.clone(), pieces, keys, current, copies }
    }

    pub(super) fn rekeyed(&mut self, keys: Vec<u64>) {
        self.keys = keys;
    }

    fn blocks(&self, piece: usize) -> usize {
        self.layout.block_count(self.index(piece))
    }

    fn index(&self, piece: usize) -> PieceIndex {
        self.layout.piece(piece as u32).expect("a piece of it")
    }

    fn unasked(&self, piece: usize) -> usize {
        match &self.pieces[piece] {
            Piece::Open(blocks, _) => blocks.iter().filter(|at| **at == At::Nowhere).count(),
            _ => 0,
        }
    }

    fn is_open_to(&self, piece: usize, peer: PeerId) -> bool {
        match &self.pieces[piece] {
            Piece::Open(_, only) => only.is_none_or(|only| only.is_none_or(|only| only == peer)),
            _ => false,
        }
    }

    pub(super) fn next(&mut self, peer: PeerId, theirs: &Bitfield, room: usize) -> Vec<Block> {
        let mut out = Vec::new();
        if let Some(current) = self.current.get(&peer).copied() {
            self.take(current, peer, theirs, room, &mut out);
        }
        while out.len() < room {
            let is_fresh = |piece: &usize| matches!(self.pieces[*piece], Piece::Fresh);
            let fresh = (0..self.pieces.len()).filter(|p| is_fresh(p) && theirs.contains(*p));
            let fresh = fresh.min_by_key(|piece| (self.keys[*piece], *piece));
            let matters =
                |piece: usize| fresh.is_none_or(|fresh| self.keys[piece] <= self.keys[fresh]);
            let all = self.is_much_open();
            let mut loose: Vec<(usize, usize)> = (0..self.pieces.len())
                .filter(|piece| all || matters(*piece))
                .map(|piece| (self.unasked(piece), piece))
                .collect();
            loose.sort_unstable();
            for (_, piece) in loose {
                self.take(piece, peer, theirs, room, &mut out);
            }
            let Some(piece) = fresh.filter(|_| out.len() < room) else { break };
            self.pieces[piece] = Piece::Open(vec![At::Nowhere; self.blocks(piece)], None);
            self.take(piece, peer, theirs, room, &mut out);
        }
        out
    }

    fn is_much_open(&self) -> bool {
        let open = |piece: &&Piece| matches!(piece, Piece::Open(..) | Piece::Checking(_));
        let open = self.pieces.iter().filter(open).count();
        let bytes = open as u64 * u64::from(self.layout.piece_length());
        open >= OPEN_FEW && bytes >= OPEN_FEW_BYTES
    }

    fn take(
        &mut self,
        piece: usize,
        peer: PeerId,
        theirs: &Bitfield,
        room: usize,
        out: &mut Vec<Block>,
    ) {
        let fits = theirs.contains(piece) && self.is_open_to(piece, peer);
        if !fits || out.len() >= room || self.unasked(piece) == 0 {
            return;
        }
        self.current.insert(peer, piece);
        let index = self.index(piece);
        let Piece::Open(blocks, only) = &mut self.pieces[piece] else { return };
        if *only == Some(None) {
            *only = Some(Some(peer));
        }
        for (number, at) in blocks.iter_mut().enumerate() {
            if *at == At::Nowhere && out.len() < room {
                *at = At::Owed(vec![peer]);
                out.extend(self.layout.block(index, number));
            }
        }
    }

    pub(super) fn asked_too(&mut self, peer: PeerId, block: Block) {
        let Piece::Open(blocks, _) = &mut self.pieces[block.piece().at()] else { return };
        if let At::Owed(by) = &mut blocks[block.number()] {
            by.push(peer);
        }
    }

    pub(super) fn received(&mut self, peer: PeerId, block: Block) -> Arrival {
        let piece = block.piece().at();
        if matches!(self.pieces[piece], Piece::Fresh) {
            self.pieces[piece] = Piece::Open(vec![At::Nowhere; self.blocks(piece)], None);
        }
        let Piece::Open(blocks, only) = &mut self.pieces[piece] else { return Arrival::Duplicate };
        if only.is_some_and(|only| only != Some(peer)) {
            return Arrival::Duplicate;
        }
        let at = std::mem::replace(&mut blocks[block.number()], At::Here(peer));
        let losers = match at {
            At::Here(earlier) => {
                blocks[block.number()] = At::Here(earlier);
                return Arrival::Duplicate;
            }
            At::Nowhere => Vec::new(),
            At::Owed(by) => by.into_iter().filter(|other| *other != peer).collect(),
        };
        let senders: Vec<PeerId> = blocks
            .iter()
            .filter_map(|at| if let At::Here(from) = at { Some(*from) } else { None })
            .collect();
        let whole = senders.len() == blocks.len();
        if whole {
            self.pieces[piece] = Piece::Checking(senders);
        }
        Arrival::New { losers, whole }
    }

    pub(super) fn refused(&mut self, peer: PeerId, block: Block) -> Option<PieceIndex> {
        let piece = block.piece().at();
        let Piece::Open(blocks, only) = &mut self.pieces[piece] else { return None };
        if let At::Owed(by) = &mut blocks[block.number()] {
            by.retain(|other| *other != peer);
            if by.is_empty() {
                blocks[block.number()] = At::Nowhere;
            }
        }
        let owed = blocks.iter().any(|at| matches!(at, At::Owed(_)));
        let untouched = blocks.iter().all(|at| *at == At::Nowhere);
        if *only == Some(Some(peer)) && !owed {
            self.fetch_alone(piece);
            return Some(block.piece());
        }
        if untouched && *only != Some(None) {
            self.pieces[piece] = Piece::Fresh;
        }
        None
    }

    pub(super) fn left(&mut self, peer: PeerId, owed: &[Block]) -> BTreeSet<PieceIndex> {
        let mut anew: BTreeSet<PieceIndex> =
            owed.iter().filter_map(|block| self.refused(peer, *block)).collect();
        self.current.remove(&peer);
        for piece in 0..self.pieces.len() {
            if matches!(&self.pieces[piece], Piece::Open(_, Some(Some(only))) if *only == peer) {
                self.fetch_alone(piece);
                anew.insert(self.index(piece));
            }
        }
        anew
    }

    pub(super) fn verified(&mut self, piece: PieceIndex, good: &[Digest]) -> BTreeSet<PeerId> {
        self.pieces[piece.at()] = Piece::Had;
        let copies = self.copies.iter().filter(|(of, _)| *of == piece.at());
        let blocks = copies.flat_map(|(_, blocks)| blocks.iter().zip(good));
        let liars = blocks.filter(|((_, bad), good)| bad != *good).map(|((who, _), _)| *who);
        liars.collect()
    }

    pub(super) fn failed(&mut self, piece: PieceIndex, digests: &[Digest]) -> Option<PeerId> {
        let Piece::Checking(senders) = &self.pieces[piece.at()] else { return None };
        let first = senders[0];
        let sole = senders.iter().all(|sender| *sender == first);
        if !sole {
            let blocks = senders.iter().copied().zip(digests.iter().copied());
            self.copies.push((piece.at(), blocks.collect()));
        }
        self.fetch_alone(piece.at());
        sole.then_some(first)
    }

    fn fetch_alone(&mut self, piece: usize) {
        self.pieces[piece] = Piece::Open(vec![At::Nowhere; self.blocks(piece)], Some(None));
    }

    /// Bytes that nobody has sent yet.
    pub(super) fn to_come_bytes(&self) -> u64 {
        let of = |piece: usize| {
            let here = |number: usize| match &self.pieces[piece] {
                Piece::Fresh => false,
                Piece::Open(blocks, _) => matches!(blocks[number], At::Here(_)),
                Piece::Checking(_) | Piece::Had => true,
            };
            let blocks = self.layout.blocks(self.index(piece));
            blocks.filter(|b| !here(b.number())).map(|b| u64::from(b.length())).sum::<u64>()
        };
        (0..self.pieces.len()).map(of).sum()
    }
}
