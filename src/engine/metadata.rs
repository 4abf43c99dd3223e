//! [`Metadata`]: the info dictionary of a magnet, fetched from several peers at once (BEP 9).
//!
//! Peers say how many bytes it has; of each size that is said, one [`Draft`] is put together, its
//! pieces from whoever is there. Only the hash of the whole tells whether it is good. If a draft of
//! one peer is bad, that peer is the liar, by proof. If it is of several, one of them after the
//! other is asked for all of it alone, until a whole is good: then so are the liars, piece by
//! piece. Who is silent, refuses, or takes too long alone is given up, and a draft that nobody
//! sends for makes room for another size: liars can take time, but not all of it.

use super::PeerId;
use super::draft::Draft;
use super::source::Source;
use super::time::Time;
use crate::torrent::{InfoHashV1, InfoHashes};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that an info dictionary may have.
pub(super) const METADATA_BYTES_MAX: u32 = 32 << 20;
/// Drafts at once, each of another size, and bytes of all of them: what liars can make us hold.
const DRAFTS_MAX: usize = 4;
const DRAFTS_BYTES_MAX: u32 = 2 * METADATA_BYTES_MAX;
/// Pieces that one peer is asked for at once.
const ASKED_MAX: usize = 16;
/// Peers of which a piece is asked at once, if they have nothing else to send.
const ASKED_OF_MAX: u8 = 3;
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
    offers: BTreeMap<PeerId, Offer>,
    drafts: Vec<Draft>,
    whole: bool,
    /// Pieces that came, of whatever draft.
    taken: u64,
}

/// A peer that has it, and how large it says that it is.
#[derive(Debug)]
struct Offer {
    size: u32,
    source: Source,
}

impl Metadata {
    /// Nothing is known of it but its hashes.
    pub(super) const fn new(hashes: InfoHashes) -> Self {
        Self { hashes, offers: BTreeMap::new(), drafts: Vec::new(), whole: false, taken: 0 }
    }

    /// Pieces that came so far.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// `peer` has it, and says that it is of `size` bytes. What it says first counts.
    pub(super) fn offered(&mut self, now: Time, peer: PeerId, size: u32) {
        if self.whole || size == 0 || size > METADATA_BYTES_MAX {
            return;
        }
        self.offers.entry(peer).or_insert_with(|| Offer { size, source: Source::new(now) });
    }

    /// `peer` is gone.
    pub(super) fn left(&mut self, now: Time, peer: PeerId) {
        self.spare(peer);
        if let Some(offer) = self.offers.remove(&peer) {
            self.reassign(now, offer.size);
        }
    }

    /// Whom to ask for which pieces now.
    pub(super) fn questions(&mut self, now: Time) -> Vec<(PeerId, u32)> {
        if self.whole {
            return Vec::new();
        }
        self.open_drafts(now);
        let mut questions = Vec::new();
        // One of each in turn, so that the first does not get all.
        for _ in 0..ASKED_MAX {
            let before = questions.len();
            for (peer, Offer { size, source }) in &mut self.offers {
                let draft = self.drafts.iter_mut().find(|draft| draft.size == *size);
                let Some(draft) = draft.filter(|draft| draft.asks(*peer)) else { continue };
                if !source.is_ready(now) || source.asked.len() >= ASKED_MAX {
                    continue;
                }
                let asked_of_max = if source.asked.is_empty() { ASKED_OF_MAX } else { 1 };
                let Some(piece) = draft.next(asked_of_max) else { continue };
                draft.pieces[piece as usize].asked_of += 1;
                source.ask(now, piece);
                questions.push((*peer, piece));
            }
            if questions.len() == before {
                break;
            }
        }
        questions
    }

    /// Begins drafts of sizes that somebody would send now, the size that most say first; those
    /// for which nobody does make room.
    fn open_drafts(&mut self, now: Time) {
        let mut said = BTreeMap::<u32, usize>::new();
        for offer in self.offers.values().filter(|offer| offer.source.is_ready(now)) {
            *said.entry(offer.size).or_default() += 1;
        }
        let mut wanted: Vec<(usize, u32)> = said
            .iter()
            .filter(|(size, _)| !self.drafts.iter().any(|draft| draft.size == **size))
            .map(|(size, count)| (*count, *size))
            .collect();
        wanted.sort_unstable_by_key(|(count, size)| (std::cmp::Reverse(*count), *size));
        for (_, size) in wanted {
            while !self.has_room_for(size) {
                let idle = self.drafts.iter().position(|draft| !said.contains_key(&draft.size));
                let Some(idle) = idle else { break };
                self.drop_draft(idle);
            }
            if self.has_room_for(size) {
                self.drafts.push(Draft::new(size));
            }
        }
    }

    fn has_room_for(&self, size: u32) -> bool {
        let bytes: u32 = self.drafts.iter().map(|draft| draft.size).sum();
        self.drafts.len() < DRAFTS_MAX && bytes + size <= DRAFTS_BYTES_MAX
    }

    fn drop_draft(&mut self, at: usize) {
        let draft = self.drafts.remove(at);
        for offer in self.offers.values_mut().filter(|offer| offer.size == draft.size) {
            offer.source.asked.clear();
        }
    }

    /// `peer` will not send `piece`.
    pub(super) fn refused(&mut self, now: Time, peer: PeerId, piece: u32) {
        let Some(offer) = self.offers.get_mut(&peer) else { return };
        if offer.source.asked.remove(&piece) {
            let size = offer.size;
            self.unask(size, piece);
            self.failed(now, peer);
        }
    }

    /// `peer` did not send what it was asked for.
    fn failed(&mut self, now: Time, peer: PeerId) {
        if self.offers.get_mut(&peer).is_some_and(|offer| offer.source.failed(now)) {
            self.give_up(now, peer);
        }
    }

    fn give_up(&mut self, now: Time, peer: PeerId) {
        self.spare(peer);
        let Some(offer) = self.offers.get_mut(&peer) else { return };
        offer.source.given_up = true;
        let size = offer.size;
        self.reassign(now, size);
    }

    /// `peer` sent `piece` of an info dictionary of `size` bytes.
    pub(super) fn came(
        &mut self,
        now: Time,
        peer: PeerId,
        piece: u32,
        size: u32,
        data: &[u8],
    ) -> Came {
        let Some(offer) = self.offers.get_mut(&peer).filter(|_| !self.whole) else {
            return Came::Taken;
        };
        if !offer.source.answered(now, piece) {
            return Came::Taken;
        }
        let said = offer.size;
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
        self.taken += 1;
        // A copy: the message that it is part of may be as large as a frame.
        let slot = &mut draft.pieces[piece as usize].came;
        slot.get_or_insert_with(|| (peer, Bytes::copy_from_slice(data)));
        if draft.pieces.iter().any(|piece| piece.came.is_none()) {
            return Came::Taken;
        }
        self.judged(now, at)
    }

    /// A draft is whole.
    fn judged(&mut self, now: Time, at: usize) -> Came {
        let draft = &mut self.drafts[at];
        let pieces: Vec<(PeerId, Bytes)> =
            draft.pieces.iter_mut().filter_map(|piece| piece.came.take()).collect();
        let parts: Vec<&[u8]> = pieces.iter().map(|(_, bytes)| &bytes[..]).collect();
        let whole = Bytes::from(parts.concat());
        let digests = pieces.iter().map(|(peer, bytes)| (*peer, InfoHashV1::of(bytes)));
        let copy: Vec<(PeerId, InfoHashV1)> = digests.collect();
        if self.hashes.are_of(&whole) {
            let liars = draft.suspects.iter().zip(&copy).filter(|(bad, good)| bad.1 != good.1);
            let liars: BTreeSet<PeerId> = liars.map(|(bad, _)| bad.0).collect();
            self.whole = true;
            self.drafts.clear();
            return Came::Whole(whole, liars.into_iter().collect());
        }
        let senders: BTreeSet<PeerId> = copy.iter().map(|(peer, _)| *peer).collect();
        if senders.len() == 1 {
            return Came::Bad(senders.into_iter().collect());
        }
        (draft.suspects, draft.alone) = (copy, None);
        let size = draft.size;
        self.reassign(now, size);
        Came::Bad(Vec::new())
    }

    /// If a draft is to come from one peer alone and that one is gone or given up, the next is
    /// asked, of those that sent a part of the copy that was bad. If none is left, everybody is.
    fn reassign(&mut self, now: Time, size: u32) {
        let Some(draft) = self.drafts.iter_mut().find(|draft| draft.size == size) else { return };
        let here = |peer: &PeerId| {
            self.offers.get(peer).is_some_and(|o| o.size == size && !o.source.given_up)
        };
        if draft.suspects.is_empty() || draft.alone.is_some_and(|(peer, _)| here(&peer)) {
            return;
        }
        let next = draft.suspects.iter().map(|(peer, _)| *peer).find(|peer| here(peer));
        if next.is_none() {
            draft.suspects.clear();
        }
        draft.alone = next.map(|peer| (peer, now));
        for piece in &mut draft.pieces {
            piece.came = None;
        }
    }

    /// Who was silent for too long is let alone for a while, and who takes too long alone for good.
    pub(super) fn look(&mut self, now: Time) {
        let silent = self.offers.iter().filter(|(_, offer)| offer.source.is_silent(now));
        let silent: Vec<PeerId> = silent.map(|(peer, _)| *peer).collect();
        for peer in silent {
            self.spare(peer);
            self.failed(now, peer);
        }
        let late: Vec<PeerId> = self.drafts.iter().filter_map(|draft| draft.late(now)).collect();
        late.into_iter().for_each(|peer| self.give_up(now, peer));
    }

    /// What `peer` was asked for is to be asked of others.
    fn spare(&mut self, peer: PeerId) {
        let Some(offer) = self.offers.get_mut(&peer) else { return };
        let size = offer.size;
        for piece in std::mem::take(&mut offer.source.asked) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::source::{PATIENCE_US, REST_US};
    use crate::engine::time::SECOND_US;
    use crate::wire::metadata::METADATA_PIECE_BYTES;

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
                match metadata.came(now, peer, piece, raw.len() as u32, &data) {
                    Came::Taken => {}
                    Came::Wrong => panic!("piece {piece} of {peer:?} does not fit"),
                    Came::Bad(liars) => {
                        liars.iter().for_each(|liar| metadata.left(now, *liar));
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
            let part = part(&raw, piece);
            let came = metadata.came(Time(1), peer, piece, raw.len() as u32, &part);
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
            let came = metadata.came(Time(1), A, 1, said, &vec![0; bytes]);
            assert_eq!(came, Came::Wrong, "{said} {bytes}");
        }
    }

    #[test]
    fn nothing_that_was_not_asked_is_taken() {
        let raw = raw(1);
        let mut metadata = metadata(&raw);
        metadata.offered(Time(0), A, raw.len() as u32);
        assert_eq!(metadata.came(Time(0), A, 0, raw.len() as u32, &raw), Came::Taken);
        assert_eq!(metadata.came(Time(0), B, 0, raw.len() as u32, &raw), Came::Taken);
        assert_eq!(metadata.questions(Time(0)), [(A, 0)]);
    }

    /// What is asked for from `from` on, looked at four times a second as the engine does; whether
    /// `peer` is asked within `seconds`, while others refuse or are silent.
    fn is_asked_within(
        metadata: &mut Metadata,
        peer: PeerId,
        seconds: u64,
        mut answer: impl FnMut(&mut Metadata, Time, PeerId, u32),
    ) -> bool {
        for tick in 0..seconds * 4 {
            let now = Time(tick * SECOND_US / 4);
            metadata.look(now);
            for (asked, piece) in metadata.questions(now) {
                if asked == peer {
                    return true;
                }
                answer(metadata, now, asked, piece);
            }
        }
        false
    }

    #[test]
    fn sizes_that_nobody_sends_for_make_room() {
        let raw = raw(3);
        for refuse in [true, false] {
            let mut metadata = metadata(&raw);
            for liar in 0..DRAFTS_MAX as u32 {
                metadata.offered(Time(0), PeerId(10 + liar), 1000 + liar);
            }
            assert_eq!(metadata.questions(Time(0)).len(), DRAFTS_MAX);
            metadata.offered(Time(0), C, raw.len() as u32);
            let asked = is_asked_within(&mut metadata, C, 60, |metadata, now, liar, piece| {
                if refuse {
                    metadata.refused(now, liar, piece);
                }
            });
            assert!(asked, "refuse: {refuse}");
        }
    }

    #[test]
    fn large_sizes_that_are_lies_do_not_take_all_the_memory() {
        let raw = raw(3);
        let mut metadata = metadata(&raw);
        for liar in 0..DRAFTS_MAX as u32 {
            metadata.offered(Time(0), PeerId(10 + liar), METADATA_BYTES_MAX - liar);
        }
        metadata.questions(Time(0));
        let held: u32 = metadata.drafts.iter().map(|draft| draft.size).sum();
        assert!(held <= DRAFTS_BYTES_MAX, "{held}");
    }

    /// A bad copy of two peers, of which `first` is asked alone next.
    fn suspected(raw: &Bytes) -> (Metadata, PeerId, PeerId) {
        let mut metadata = metadata(raw);
        for peer in [A, B] {
            metadata.offered(Time(0), peer, raw.len() as u32);
        }
        for (peer, piece) in metadata.questions(Time(0)) {
            let zeros = vec![0; part(raw, piece).len()];
            metadata.came(Time(0), peer, piece, raw.len() as u32, &zeros);
        }
        let first = metadata.drafts[0].alone.expect("one is asked alone").0;
        (metadata, first, if first == A { B } else { A })
    }

    #[test]
    fn whoever_is_asked_alone_can_not_hold_it_up() {
        let raw = raw(4);
        let (mut metadata, _, second) = suspected(&raw);
        let refuses = |metadata: &mut Metadata, now, peer, piece| {
            metadata.refused(now, peer, piece);
        };
        assert!(is_asked_within(&mut metadata, second, 60, refuses), "it refuses");
        let (mut metadata, _, second) = suspected(&raw);
        assert!(is_asked_within(&mut metadata, second, 60, |_, _, _, _| {}), "it is silent");
        // It sends a piece again and again, and never the last.
        let (mut metadata, _, second) = suspected(&raw);
        let mut sent = 0;
        let drips = |metadata: &mut Metadata, now, peer, piece| {
            sent += 1;
            if piece < 3 {
                metadata.came(now, peer, piece, raw.len() as u32, &part(&raw, piece));
            }
        };
        assert!(is_asked_within(&mut metadata, second, 60, drips), "it drips");
        assert!(sent > 0);
    }

    #[test]
    fn a_message_that_is_larger_than_its_piece_is_not_kept() {
        let raw = raw(2);
        let mut metadata = metadata(&raw);
        metadata.offered(Time(0), A, raw.len() as u32);
        metadata.questions(Time(0));
        let message = Bytes::from([vec![0; 1 << 20], part(&raw, 0).to_vec()].concat());
        let data = message.slice(1 << 20..);
        metadata.came(Time(0), A, 0, raw.len() as u32, &data);
        drop(data);
        assert!(message.is_unique(), "a slice of it is held");
    }
}
