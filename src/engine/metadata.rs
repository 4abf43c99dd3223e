//! [`Metadata`]: the info dictionary of a magnet, fetched from several peers at once (BEP 9).
//!
//! Peers say how many bytes it has; of each size that is said, one [`Draft`] is put together, its
//! pieces from whoever is there. Only the hash of the whole tells whether it is good. If a draft of
//! one peer is bad, that peer is the liar, by proof. If it is of several, one of them after the
//! other is asked for all of it alone, until a whole is good: then so are the liars, piece by
//! piece.

use super::PeerId;
use super::time::{SECOND_US, Time};
use crate::torrent::InfoHashes;
use crate::wire::metadata::METADATA_PIECE_BYTES;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that an info dictionary may have.
pub(super) const METADATA_BYTES_MAX: u32 = 32 << 20;
/// Drafts at once, each of another size: what liars can make us hold.
const DRAFTS_MAX: usize = 4;
/// Pieces that one peer is asked for at once.
const ASKED_MAX: usize = 16;
/// Peers of which a piece is asked at once, if they have nothing else to send.
const ASKED_OF_MAX: u8 = 3;
/// How long a peer may send nothing of what it was asked.
const PATIENCE_US: u64 = 4 * SECOND_US;
/// How long a peer that refused or was silent is not asked.
const REST_US: u64 = 3 * SECOND_US;
/// After so many silences a peer is not asked any more.
const SILENCES_MAX: u32 = 5;

/// What came of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// More are to come, or nobody asked for it.
    Taken,
    /// It is not the size that was said, or has no such piece.
    Wrong,
    /// All of it is there, with the right hash; and who sent wrong pieces before.
    Whole(Bytes, Vec<PeerId>),
    /// All of it was there, with a wrong hash; and who is to blame, if that is known.
    Bad(Vec<PeerId>),
}

/// The info dictionary on its way.
#[derive(Debug)]
pub(super) struct Metadata {
    hashes: InfoHashes,
    sources: BTreeMap<PeerId, Source>,
    drafts: Vec<Draft>,
    whole: bool,
}

/// A peer that has it.
#[derive(Debug)]
struct Source {
    size: u32,
    asked: BTreeSet<u32>,
    /// Of the last answer, or of the first question after one.
    since: Time,
    rests_until: Time,
    silences: u32,
}

/// What is there of an info dictionary of some size.
#[derive(Debug)]
struct Draft {
    size: u32,
    pieces: Vec<Piece>,
    /// Only this peer is asked.
    alone: Option<PeerId>,
    /// A copy that was bad: who sent which bytes.
    suspects: Vec<(PeerId, Bytes)>,
}

#[derive(Clone, Debug, Default)]
struct Piece {
    came: Option<(PeerId, Bytes)>,
    asked_of: u8,
}

impl Metadata {
    /// Nothing is known of it but its hashes.
    pub(super) const fn new(hashes: InfoHashes) -> Self {
        Self { hashes, sources: BTreeMap::new(), drafts: Vec::new(), whole: false }
    }

    /// `peer` has it, and says that it is of `size` bytes.
    pub(super) fn offered(&mut self, now: Time, peer: PeerId, size: u32) {
        let known = self.sources.get(&peer).map(|source| source.size);
        if self.whole || size == 0 || size > METADATA_BYTES_MAX || known == Some(size) {
            return;
        }
        self.left(peer);
        if !self.drafts.iter().any(|draft| draft.size == size) {
            if self.drafts.len() >= DRAFTS_MAX {
                return;
            }
            self.drafts.push(Draft::new(size));
        }
        let asked = BTreeSet::new();
        let source = Source { size, asked, since: now, rests_until: Time(0), silences: 0 };
        self.sources.insert(peer, source);
    }

    /// `peer` is gone.
    pub(super) fn left(&mut self, peer: PeerId) {
        self.spare(peer);
        let Some(source) = self.sources.remove(&peer) else { return };
        let offered = self.sources.values().any(|other| other.size == source.size);
        if offered {
            self.reassign(source.size);
        } else {
            self.drafts.retain(|draft| draft.size != source.size);
        }
    }

    /// Whom to ask for which pieces now.
    pub(super) fn questions(&mut self, now: Time) -> Vec<(PeerId, u32)> {
        if self.whole {
            return Vec::new();
        }
        let mut questions = Vec::new();
        // One of each in turn, so that the first does not get all.
        for _ in 0..ASKED_MAX {
            let before = questions.len();
            for (peer, source) in &mut self.sources {
                let draft = self.drafts.iter_mut().find(|draft| draft.size == source.size);
                let Some(draft) = draft.filter(|draft| draft.asks(*peer)) else { continue };
                if now < source.rests_until || source.asked.len() >= ASKED_MAX {
                    continue;
                }
                let idle = source.asked.is_empty();
                let asked_of_max = if idle { ASKED_OF_MAX } else { 1 };
                let Some(piece) = draft.next(asked_of_max) else { continue };
                if idle {
                    source.since = now;
                }
                draft.pieces[piece as usize].asked_of += 1;
                source.asked.insert(piece);
                questions.push((*peer, piece));
            }
            if questions.len() == before {
                break;
            }
        }
        questions
    }

    /// `peer` will not send `piece`.
    pub(super) fn refused(&mut self, now: Time, peer: PeerId, piece: u32) {
        let Some(source) = self.sources.get_mut(&peer) else { return };
        source.rests_until = now + REST_US;
        if source.asked.remove(&piece) {
            let size = source.size;
            self.unask(size, piece);
        }
    }

    /// `peer` sent `piece` of an info dictionary of `size` bytes.
    pub(super) fn came(
        &mut self,
        now: Time,
        peer: PeerId,
        piece: u32,
        size: u32,
        data: Bytes,
    ) -> Came {
        let Some(source) = self.sources.get_mut(&peer).filter(|_| !self.whole) else {
            return Came::Taken;
        };
        if !source.asked.remove(&piece) {
            return Came::Taken;
        }
        (source.since, source.silences) = (now, 0);
        let said = source.size;
        self.unask(said, piece);
        let at = self.drafts.iter().position(|draft| draft.size == said);
        let Some(at) = at.filter(|at| size == said && self.drafts[*at].fits(piece, data.len()))
        else {
            return Came::Wrong;
        };
        let draft = &mut self.drafts[at];
        if !draft.asks(peer) {
            return Came::Taken;
        }
        draft.pieces[piece as usize].came.get_or_insert((peer, data));
        if draft.pieces.iter().any(|piece| piece.came.is_none()) {
            return Came::Taken;
        }
        self.judged(at)
    }

    /// A draft is whole.
    fn judged(&mut self, at: usize) -> Came {
        let draft = &mut self.drafts[at];
        let pieces: Vec<(PeerId, Bytes)> =
            draft.pieces.iter_mut().filter_map(|piece| piece.came.take()).collect();
        let parts: Vec<&[u8]> = pieces.iter().map(|(_, bytes)| &bytes[..]).collect();
        let whole = Bytes::from(parts.concat());
        if self.hashes.are_of(&whole) {
            let liars = draft.suspects.iter().zip(&pieces).filter(|(bad, good)| bad.1 != good.1);
            let liars: BTreeSet<PeerId> = liars.map(|(bad, _)| bad.0).collect();
            self.whole = true;
            self.drafts.clear();
            return Came::Whole(whole, liars.into_iter().collect());
        }
        let senders: BTreeSet<PeerId> = pieces.iter().map(|(peer, _)| *peer).collect();
        if senders.len() == 1 {
            return Came::Bad(senders.into_iter().collect());
        }
        draft.suspects = pieces;
        let size = draft.size;
        draft.alone = None;
        self.reassign(size);
        Came::Bad(Vec::new())
    }

    /// If a draft is to come from one peer alone and that one is gone, the next is asked: first of
    /// those that sent a part of the copy that was bad.
    fn reassign(&mut self, size: u32) {
        let Some(draft) = self.drafts.iter_mut().find(|draft| draft.size == size) else { return };
        let here = |peer: &PeerId| self.sources.get(peer).is_some_and(|s| s.size == size);
        if draft.suspects.is_empty() || draft.alone.as_ref().is_some_and(here) {
            return;
        }
        let suspect = draft.suspects.iter().map(|(peer, _)| *peer).find(|peer| here(peer));
        draft.alone = suspect;
        for piece in &mut draft.pieces {
            piece.came = None;
        }
    }

    /// Who was silent for too long is let alone for a while.
    pub(super) fn look(&mut self, now: Time) {
        let silent =
            |source: &Source| !source.asked.is_empty() && now.since_us(source.since) >= PATIENCE_US;
        let silent = self.sources.iter().filter(|(_, source)| silent(source));
        let silent: Vec<PeerId> = silent.map(|(peer, _)| *peer).collect();
        for peer in silent {
            self.spare(peer);
            let Some(source) = self.sources.get_mut(&peer) else { continue };
            source.rests_until = now + REST_US;
            source.silences += 1;
            if source.silences >= SILENCES_MAX {
                self.left(peer);
            }
        }
    }

    /// What `peer` was asked for is to be asked of others.
    fn spare(&mut self, peer: PeerId) {
        let Some(source) = self.sources.get_mut(&peer) else { return };
        let size = source.size;
        for piece in std::mem::take(&mut source.asked) {
            self.unask(size, piece);
        }
    }

    fn unask(&mut self, size: u32, piece: u32) {
        let draft = self.drafts.iter_mut().find(|draft| draft.size == size);
        if let Some(piece) = draft.and_then(|draft| draft.pieces.get_mut(piece as usize)) {
            piece.asked_of = piece.asked_of.saturating_sub(1);
        }
    }
}

impl Draft {
    fn new(size: u32) -> Self {
        let count = (size as usize).div_ceil(METADATA_PIECE_BYTES);
        let pieces = vec![Piece::default(); count];
        Self { size, pieces, alone: None, suspects: Vec::new() }
    }

    fn asks(&self, peer: PeerId) -> bool {
        self.alone.is_none_or(|alone| alone == peer)
    }

    fn fits(&self, piece: u32, bytes: usize) -> bool {
        let start = piece as usize * METADATA_PIECE_BYTES;
        let rest = (self.size as usize).checked_sub(start);
        rest.is_some_and(|rest| rest > 0 && bytes == rest.min(METADATA_PIECE_BYTES))
    }

    /// The next piece to ask for, of those that fewer than `asked_of_max` peers are asked for: the
    /// one that the fewest are.
    fn next(&self, asked_of_max: u8) -> Option<u32> {
        let missing = (0_u32..)
            .zip(&self.pieces)
            .filter(|(_, piece)| piece.came.is_none() && piece.asked_of < asked_of_max);
        missing.min_by_key(|(number, piece)| (piece.asked_of, *number)).map(|(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::InfoHashV1;

    const A: PeerId = PeerId(1);
    const B: PeerId = PeerId(2);
    const C: PeerId = PeerId(3);

    fn raw(pieces: usize) -> Bytes {
        let length = (pieces - 1) * METADATA_PIECE_BYTES + 100;
        (0..length).map(|at| (at / 7) as u8).collect::<Vec<u8>>().into()
    }

    fn metadata(raw: &[u8]) -> Metadata {
        Metadata::new(InfoHashes { v1: Some(InfoHashV1::of(raw)), v2: None })
    }

    fn part(raw: &Bytes, piece: u32) -> Bytes {
        let start = piece as usize * METADATA_PIECE_BYTES;
        raw.slice(start..raw.len().min(start + METADATA_PIECE_BYTES))
    }

    struct Played {
        whole: bool,
        blamed: BTreeSet<PeerId>,
        asked: BTreeMap<PeerId, usize>,
    }

    /// Peers answer until the end: of `liars`, with zeros.
    fn play(metadata: &mut Metadata, raw: &Bytes, liars: &[PeerId]) -> Played {
        let mut played = Played { whole: false, blamed: BTreeSet::new(), asked: BTreeMap::new() };
        for turn in 0..100 {
            let now = Time(turn);
            for (peer, piece) in metadata.questions(now) {
                *played.asked.entry(peer).or_default() += 1;
                let good = part(raw, piece);
                let lies = liars.contains(&peer);
                let data = if lies { Bytes::from(vec![0; good.len()]) } else { good };
                match metadata.came(now, peer, piece, raw.len() as u32, data) {
                    Came::Taken => {}
                    Came::Wrong => panic!("piece {piece} of {peer:?} does not fit"),
                    Came::Bad(liars) => {
                        liars.iter().for_each(|liar| metadata.left(*liar));
                        played.blamed.extend(liars);
                    }
                    Came::Whole(whole, liars) => {
                        played.blamed.extend(liars);
                        return Played { whole: whole == raw, ..played };
                    }
                }
            }
        }
        played
    }

    #[test]
    fn several_peers_share_the_pieces() {
        let raw = raw(20);
        let mut metadata = metadata(&raw);
        for peer in [A, B] {
            metadata.offered(Time(0), peer, raw.len() as u32);
        }
        let Played { whole, blamed, asked } = play(&mut metadata, &raw, &[]);
        assert!(whole);
        assert_eq!(blamed, [].into());
        assert!(asked[&A] >= 10 && asked[&B] >= 10, "{asked:?}");
        assert_eq!(metadata.questions(Time(1)), [], "it is whole");
    }

    #[test]
    fn a_liar_among_several_is_found_and_nobody_else_is_blamed() {
        let raw = raw(7);
        for liar in [A, B, C] {
            let mut metadata = metadata(&raw);
            for peer in [A, B, C] {
                metadata.offered(Time(0), peer, raw.len() as u32);
            }
            let played = play(&mut metadata, &raw, &[liar]);
            assert!(played.whole, "past {liar:?}");
            assert_eq!(played.blamed, [liar].into());
        }
    }

    #[test]
    fn two_liars_of_three_are_found() {
        let raw = raw(5);
        let mut metadata = metadata(&raw);
        for peer in [A, B, C] {
            metadata.offered(Time(0), peer, raw.len() as u32);
        }
        let played = play(&mut metadata, &raw, &[A, B]);
        assert!(played.whole);
        assert_eq!(played.blamed, [A, B].into());
    }

    #[test]
    fn sizes_that_are_lies_do_not_hold_up_the_right_one() {
        let raw = raw(3);
        let mut metadata = metadata(&raw);
        metadata.offered(Time(0), A, METADATA_BYTES_MAX + 1);
        metadata.offered(Time(0), B, raw.len() as u32 + 1);
        metadata.offered(Time(0), C, raw.len() as u32);
        let questions = metadata.questions(Time(0));
        assert!(questions.iter().all(|(peer, _)| *peer != A), "too large: {questions:?}");
        let mut whole = None;
        for (peer, piece) in questions.into_iter().filter(|(peer, _)| *peer == C) {
            let came = metadata.came(Time(1), peer, piece, raw.len() as u32, part(&raw, piece));
            if let Came::Whole(bytes, _) = came {
                whole = Some(bytes);
            }
        }
        assert!(whole == Some(raw));
    }

    #[test]
    fn what_a_silent_peer_owes_is_asked_of_another_and_it_rests() {
        let raw = raw(1);
        let mut metadata = metadata(&raw);
        metadata.offered(Time(0), A, raw.len() as u32);
        assert_eq!(metadata.questions(Time(0)), [(A, 0)]);
        metadata.look(Time(PATIENCE_US));
        assert_eq!(metadata.questions(Time(PATIENCE_US)), []);
        metadata.offered(Time(PATIENCE_US), B, raw.len() as u32);
        assert_eq!(metadata.questions(Time(PATIENCE_US)), [(B, 0)]);
        metadata.refused(Time(PATIENCE_US), B, 0);
        assert_eq!(metadata.questions(Time(PATIENCE_US + REST_US)), [(A, 0), (B, 0)]);
    }

    #[test]
    fn a_piece_of_another_length_or_size_is_wrong() {
        let raw = raw(2);
        let size = raw.len() as u32;
        for (said, bytes) in [(size, 99), (size, METADATA_PIECE_BYTES), (size + 1, 100)] {
            let mut metadata = metadata(&raw);
            metadata.offered(Time(0), A, size);
            assert_eq!(metadata.questions(Time(0)).len(), 2);
            let came = metadata.came(Time(1), A, 1, said, Bytes::from(vec![0; bytes]));
            assert_eq!(came, Came::Wrong, "{said} {bytes}");
        }
    }

    #[test]
    fn nothing_that_was_not_asked_is_taken() {
        let raw = raw(1);
        let mut metadata = metadata(&raw);
        metadata.offered(Time(0), A, raw.len() as u32);
        assert_eq!(metadata.came(Time(0), A, 0, raw.len() as u32, raw.clone()), Came::Taken);
        assert_eq!(metadata.came(Time(0), B, 0, raw.len() as u32, raw), Came::Taken);
        assert_eq!(metadata.questions(Time(0)), [(A, 0)]);
    }
}
