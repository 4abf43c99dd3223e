//! [`Layers`]: the piece layers of a v2 magnet, which its info dictionary does not have, fetched from
//! several peers at once (BEP 52, hash requests).
//!
//! A layer comes in parts of 512 hashes, each with the hashes beside its way up to the file's root:
//! so each part is good or a lie by itself, and who sent a lie is the liar. A peer that refuses, is
//! silent, or has not got them yet is asked again later, and given up in the end.

use super::PeerId;
use super::source::Source;
use super::time::Time;
use crate::torrent::layer_tree::{Hash, PART_MAX, proof_length, root_of_part};
use crate::torrent::piece_layers::{filler, height};
use crate::torrent::{LayersDue, PieceLayers};
use crate::wire::HashRange;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Parts that one peer is asked for at once: 64 KiB of hashes.
const ASKED_MAX: usize = 4;
/// Peers of which a part is asked at once, if they have nothing else to send.
const ASKED_OF_MAX: u8 = 2;

/// What came of a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// More are to come, or nobody asked for it.
    Taken,
    /// It does not prove its file's root.
    Lie,
    /// All of them are there, and right.
    Whole(PieceLayers),
}

/// Layers on their way.
#[derive(Debug)]
pub(super) struct Layers {
    /// The raw info dictionary that they belong to.
    raw: Bytes,
    height: u32,
    filler: Hash,
    files: Vec<File>,
    parts: Vec<Part>,
    sources: BTreeMap<PeerId, Source>,
    missing: usize,
}

/// A file of several pieces.
#[derive(Debug)]
struct File {
    root: Hash,
    count: usize,
    /// Of its first pieces to its last, part by part.
    layer: BTreeMap<usize, Vec<Hash>>,
}

/// A run of hashes that is asked for at once.
#[derive(Debug)]
struct Part {
    file: usize,
    index: usize,
    came: bool,
    asked_of: u8,
}

impl File {
    /// The layer is filled up to so many.
    const fn width(&self) -> usize {
        self.count.next_power_of_two()
    }

    /// Hashes of one part.
    fn part_length(&self) -> usize {
        PART_MAX.min(self.width())
    }
}

impl Layers {
    /// Of the info dictionary `raw`, which is to be used with the layers that are `due`.
    pub(super) fn new(raw: Bytes, due: &LayersDue) -> Self {
        let files = due.files.iter();
        let files: Vec<File> = files
            .map(|(root, count)| File { root: *root, count: *count, layer: BTreeMap::new() })
            .collect();
        let mut parts = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let indices = (0..file.count).step_by(file.part_length());
            parts.extend(indices.map(|index| Part {
                file: number,
                index,
                came: false,
                asked_of: 0,
            }));
        }
        Self {
            raw,
            height: height(due.piece_length),
            filler: filler(due.piece_length),
            missing: parts.len(),
            files,
            parts,
            sources: BTreeMap::new(),
        }
    }

    /// The raw info dictionary.
    pub(super) const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Parts that came so far.
    pub(super) const fn taken(&self) -> usize {
        self.parts.len() - self.missing
    }

    /// `peer` speaks v2, and may have them.
    pub(super) fn joined(&mut self, now: Time, peer: PeerId) {
        self.sources.entry(peer).or_insert_with(|| Source::new(now));
    }

    /// `peer` is gone.
    pub(super) fn left(&mut self, peer: PeerId) {
        self.spare(peer);
        self.sources.remove(&peer);
    }

    /// Whom to ask for what now.
    pub(super) fn questions(&mut self, now: Time) -> Vec<(PeerId, HashRange)> {
        let mut questions = Vec::new();
        // One of each in turn, so that the first does not get all.
        for _ in 0..ASKED_MAX {
            let before = questions.len();
            for (peer, source) in &mut self.sources {
                if !source.is_ready(now) || source.asked.len() >= ASKED_MAX {
                    continue;
                }
                let asked_of_max = if source.asked.is_empty() { ASKED_OF_MAX } else { 1 };
                let open = (0_u32..).zip(&mut self.parts).filter(|(number, part)| {
                    !part.came && part.asked_of < asked_of_max && !source.asked.contains(number)
                });
                let Some((number, part)) = open.min_by_key(|(_, part)| part.asked_of) else {
                    continue;
                };
                part.asked_of += 1;
                source.ask(now, number);
                let file = &self.files[part.file];
                questions.push((*peer, range(file, part.index, self.height)));
            }
            if questions.len() == before {
                break;
            }
        }
        questions
    }

    /// `peer` will not send `range`.
    pub(super) fn refused(&mut self, now: Time, peer: PeerId, range: &HashRange) {
        let Some(number) = self.number(range) else { return };
        let Some(source) = self.sources.get_mut(&peer) else { return };
        if source.asked.remove(&number) {
            self.unask(number);
            self.failed(now, peer);
        }
    }

    /// `peer` sent the `hashes` of `range`.
    pub(super) fn came(
        &mut self,
        now: Time,
        peer: PeerId,
        range: &HashRange,
        hashes: &[u8],
    ) -> Came {
        let Some(number) = self.number(range) else { return Came::Taken };
        let asked = self.sources.get_mut(&peer).is_some_and(|s| s.answered(now, number));
        if !asked {
            return Came::Taken;
        }
        self.unask(number);
        let part = &mut self.parts[number as usize];
        if part.came {
            return Came::Taken;
        }
        let file = &mut self.files[part.file];
        let Some(layer) = proven(file, part.index, hashes, self.filler) else { return Came::Lie };
        part.came = true;
        file.layer.insert(part.index, layer);
        self.missing -= 1;
        match self.missing {
            0 => Came::Whole(self.whole()),
            _ => Came::Taken,
        }
    }

    fn whole(&mut self) -> PieceLayers {
        let files = std::mem::take(&mut self.files).into_iter();
        files.map(|file| (file.root, file.layer.into_values().flatten().collect())).collect()
    }

    /// Who was silent for too long is let alone for a while.
    pub(super) fn look(&mut self, now: Time) {
        let silent = self.sources.iter().filter(|(_, source)| source.is_silent(now));
        let silent: Vec<PeerId> = silent.map(|(peer, _)| *peer).collect();
        for peer in silent {
            self.spare(peer);
            self.failed(now, peer);
        }
    }

    fn failed(&mut self, now: Time, peer: PeerId) {
        let too_often = self.sources.get_mut(&peer).is_some_and(|source| source.failed(now));
        if too_often {
            self.spare(peer);
            self.sources.entry(peer).and_modify(|source| source.given_up = true);
        }
    }

    /// What `peer` was asked for is to be asked of others.
    fn spare(&mut self, peer: PeerId) {
        let Some(source) = self.sources.get_mut(&peer) else { return };
        for number in std::mem::take(&mut source.asked) {
            self.unask(number);
        }
    }

    fn unask(&mut self, number: u32) {
        if let Some(part) = self.parts.get_mut(number as usize) {
            part.asked_of = part.asked_of.saturating_sub(1);
        }
    }

    /// The part that is asked for by `asked`, if one is.
    fn number(&self, asked: &HashRange) -> Option<u32> {
        let is_it = |part: &Part| {
            let file = self.files.get(part.file);
            file.is_some_and(|file| range(file, part.index, self.height) == *asked)
        };
        self.parts.iter().position(is_it).map(|number| number as u32)
    }
}

/// How the part of `file` from `index` on is asked for: with all that proves it.
fn range(file: &File, index: usize, height: u32) -> HashRange {
    HashRange {
        root: file.root,
        base_layer: height,
        index: index as u32,
        length: file.part_length() as u32,
        proof_layers: proof_layers(file) as u32,
    }
}

/// Layers between that of the pieces and the root.
const fn proof_layers(file: &File) -> usize {
    file.width().trailing_zeros() as usize - 1
}

/// The part of the layer of `file` from `index` on, if `hashes` are that and what proves it.
fn proven(file: &File, index: usize, hashes: &[u8], filler: Hash) -> Option<Vec<Hash>> {
    let (hashes, rest) = hashes.as_chunks::<32>();
    let length = file.part_length();
    if !rest.is_empty() || hashes.len() != length + proof_length(length, proof_layers(file)) {
        return None;
    }
    let (part, beside) = hashes.split_at(length);
    // What lies behind the end is known.
    let part = part[..length.min(file.count - index)].to_vec();
    let root = root_of_part(part.clone(), length, index, beside, filler);
    (root == file.root).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::layer_tree::LayerTree;
    use crate::torrent::piece_hash::merkle_root;

    const A: PeerId = PeerId(1);
    const B: PeerId = PeerId(2);
    const PIECE_LENGTH: u32 = 64 << 10;

    fn layer(count: usize) -> Vec<Hash> {
        (0..count).map(|at| std::array::from_fn(|i| (at >> (i % 4 * 8)) as u8 ^ 9)).collect()
    }

    fn root(layer: &[Hash]) -> Hash {
        merkle_root(layer.to_vec(), layer.len().next_power_of_two(), filler(PIECE_LENGTH))
    }

    fn due(layers: &[Vec<Hash>]) -> LayersDue {
        let files = layers.iter().map(|layer| (root(layer), layer.len())).collect();
        LayersDue { piece_length: PIECE_LENGTH, files, needed: true, private: false }
    }

    fn answer(layers: &[Vec<Hash>], range: &HashRange) -> Vec<u8> {
        let layer = layers.iter().find(|layer| root(layer) == range.root).expect("a file's");
        let tree = LayerTree::new(layer, filler(PIECE_LENGTH));
        let [index, length, proofs] =
            [range.index, range.length, range.proof_layers].map(|n| n as usize);
        tree.part(layer, index, length, proofs).expect("there is such a part").concat()
    }

    #[test]
    fn layers_of_all_sizes_come_in_parts_that_two_peers_share() {
        let layers = [layer(2), layer(512), layer(513), layer(3000)];
        let mut sought = Layers::new(Bytes::new(), &due(&layers));
        sought.joined(Time(0), A);
        sought.joined(Time(0), B);
        let mut asked = BTreeMap::<PeerId, usize>::new();
        let mut whole = None;
        while whole.is_none() {
            let questions = sought.questions(Time(1));
            assert!(!questions.is_empty(), "{sought:?}");
            for (peer, range) in questions {
                assert_eq!(range.base_layer, 2);
                *asked.entry(peer).or_default() += 1;
                match sought.came(Time(1), peer, &range, &answer(&layers, &range)) {
                    Came::Taken => {}
                    Came::Lie => panic!("{range:?} is right"),
                    Came::Whole(layers) => whole = Some(layers),
                }
            }
        }
        let whole = whole.expect("it is there");
        for layer in &layers {
            assert_eq!(whole.layer(&root(layer)), Some(&layer[..]));
        }
        assert!(asked.values().all(|count| *count >= 5), "{asked:?}");
    }

    #[test]
    fn a_lie_is_known_by_itself_and_another_is_asked() {
        let layers = [layer(1025)];
        let mut sought = Layers::new(Bytes::new(), &due(&layers));
        sought.joined(Time(0), A);
        for (peer, range) in sought.questions(Time(0)) {
            let good = answer(&layers, &range);
            let mut bent = good.clone();
            bent[40] ^= 1;
            let short = &good[..good.len() - 32];
            for lie in [&bent[..], short, &[], &good[1..]] {
                let again = HashRange { index: 0, ..range };
                let mut one = Layers::new(Bytes::new(), &due(&layers));
                one.joined(Time(0), peer);
                one.questions(Time(0));
                let came = one.came(Time(0), peer, &again, lie);
                assert_eq!(came, Came::Lie, "{range:?}");
            }
            assert_eq!(sought.came(Time(0), B, &range, &bent), Came::Taken, "B was not asked");
        }
        sought.left(A);
        sought.joined(Time(0), B);
        assert_eq!(sought.questions(Time(0)).len(), 3);
    }

    #[test]
    fn who_refuses_or_is_silent_rests_and_is_given_up_in_the_end() {
        let layers = [layer(2)];
        let mut sought = Layers::new(Bytes::new(), &due(&layers));
        sought.joined(Time(0), A);
        let (mut now, mut asked) = (Time(0), 0);
        for turn in 0..200 {
            now = now + 1_000_000;
            for (peer, range) in sought.questions(now) {
                asked += 1;
                if turn % 2 == 0 {
                    sought.refused(now, peer, &range);
                }
            }
            sought.look(now);
        }
        assert_eq!(asked, 5);
        assert_eq!(sought.taken(), 0);
        sought.joined(now, B);
        let [(B, range)] = sought.questions(now)[..] else { panic!("another is asked") };
        assert!(matches!(sought.came(now, B, &range, &answer(&layers, &range)), Came::Whole(_)));
    }
}
