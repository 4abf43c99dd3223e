//! [`LayerTree`]: a layer of a file's Merkle tree and what stands above it (BEP 52), to send parts of
//! it with their proof; [`root_of_part`]: what such a part proves.
//!
//! Layers of millions of hashes are asked for in parts, so the roots of runs of [`PART_MAX`] and all
//! above are kept; what lies below one of those is hashed again for each part.

use super::piece_hash::{merkle_root, parent};

/// A node of a tree.
pub type Hash = [u8; 32];

/// Hashes that a part may have: what BEP 52 says nobody should ask above.
pub const PART_MAX: usize = 1 << PART_MAX_LOG;
const PART_MAX_LOG: usize = 9;

/// What stands above a layer.
#[derive(Clone, Debug)]
pub struct LayerTree {
    /// What stands for a node of the layer behind its end.
    filler: Hash,
    /// From the layer of roots of [`PART_MAX`] on, to the root.
    tops: Vec<Vec<Hash>>,
}

impl LayerTree {
    /// Over `layer`, which ends where the file does; behind that are `filler`s.
    #[must_use]
    pub fn new(layer: &[Hash], filler: Hash) -> Self {
        let first = layer.chunks(PART_MAX);
        let first = first.map(|part| merkle_root(part.to_vec(), PART_MAX, filler)).collect();
        let mut tops: Vec<Vec<Hash>> = vec![first];
        let mut above = filler_at(PART_MAX_LOG, filler);
        while let Some(nodes) = tops.last().filter(|nodes| nodes.len() > 1) {
            let pair = |pair: &[Hash]| parent(&pair[0], pair.get(1).unwrap_or(&above));
            let next = nodes.chunks(2).map(pair).collect();
            above = parent(&above, &above);
            tops.push(next);
        }
        Self { filler, tops }
    }

    /// `length` hashes of `layer`, over which it was made, from `index` on, and then, from below, those beside the way up to the layer
    /// that is `proof_layers` above this one. `None` if BEP 52 has no such part: `index` must be a
    /// multiple of `length`, that a power of two unless the layer ends before, and the proof must end
    /// below the root.
    #[must_use]
    pub fn part(
        &self,
        layer: &[Hash],
        index: usize,
        length: usize,
        proof_layers: usize,
    ) -> Option<Vec<Hash>> {
        let width = layer.len().checked_next_power_of_two()?;
        if !(1..=PART_MAX).contains(&length) || width < 2 {
            return None;
        }
        let size = length.next_power_of_two();
        let end = index.checked_add(size).filter(|end| *end <= width)?;
        let truncated = length < size && index + length < layer.len();
        if !index.is_multiple_of(size) || truncated || proof_layers >= log2(width) {
            return None;
        }
        let hashes = (index..end).take(length).map(|at| self.node(layer, 0, at));
        let beside =
            (log2(size)..=proof_layers).map(|level| self.node(layer, level, (index >> level) ^ 1));
        Some(hashes.chain(beside).collect())
    }

    /// Node `at` of the layer that is `level` above `layer`.
    fn node(&self, layer: &[Hash], level: usize, at: usize) -> Hash {
        if let Some(top) = level.checked_sub(PART_MAX_LOG) {
            let node = self.tops.get(top).and_then(|nodes| nodes.get(at));
            return node.copied().unwrap_or_else(|| filler_at(level, self.filler));
        }
        let from = (at << level).min(layer.len());
        let to = ((at + 1) << level).min(layer.len());
        merkle_root(layer[from..to].to_vec(), 1 << level, self.filler)
    }
}

/// What stands for a node that is `level` above a layer of `filler`s.
fn filler_at(level: usize, filler: Hash) -> Hash {
    (0..level).fold(filler, |node, _| parent(&node, &node))
}

/// Hashes beside the way up that come with a part of `length` whose proof ends `proof_layers` above
/// its layer: none for layers that the part itself gives.
#[must_use]
pub const fn proof_length(length: usize, proof_layers: usize) -> usize {
    (proof_layers + 1).saturating_sub(log2(length.next_power_of_two()))
}

/// The root of the tree in which `part`, filled up with `filler` to `size`, begins at `index` of its
/// layer, and `beside` stand beside the way up.
///
/// # Panics
/// If `size` is no power of two or smaller than `part`.
#[must_use]
pub fn root_of_part(
    part: Vec<Hash>,
    size: usize,
    index: usize,
    beside: &[Hash],
    filler: Hash,
) -> Hash {
    let (mut node, mut at) = (merkle_root(part, size, filler), index >> log2(size));
    for other in beside {
        node = if at.is_multiple_of(2) { parent(&node, other) } else { parent(other, &node) };
        at /= 2;
    }
    node
}

const fn log2(power: usize) -> usize {
    power.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layer(count: usize) -> Vec<Hash> {
        (0..count as u64).map(|at| std::array::from_fn(|i| (at >> (i % 8 * 8)) as u8 ^ 7)).collect()
    }

    const FILLER: Hash = [0xaa; 32];

    #[test]
    fn a_part_is_what_bep_52_counts_out() {
        let layer = layer(5);
        let tree = LayerTree::new(&layer, FILLER);
        let node = |pair: [Hash; 2]| parent(&pair[0], &pair[1]);
        let right = node([node([layer[4], FILLER]), node([FILLER, FILLER])]);
        // Eight wide: nodes at 2 and 3 are proven by their sibling pair, and by the right half.
        let proof = [layer[2], layer[3], node([layer[0], layer[1]]), right];
        assert_eq!(tree.part(&layer, 2, 2, 2), Some(proof.to_vec()));
        assert_eq!(tree.part(&layer, 2, 2, 1), Some(proof[..3].to_vec()));
        assert_eq!(
            tree.part(&layer, 2, 2, 0),
            Some(proof[..2].to_vec()),
            "its parent is all it gives"
        );
        assert_eq!(tree.part(&layer, 0, 4, 2), Some([&layer[..4], &[right]].concat()));
        // The layer ends inside.
        assert_eq!(
            tree.part(&layer, 0, 8, 2).map(|part| part[4..].to_vec()),
            Some(vec![layer[4], FILLER, FILLER, FILLER])
        );
        assert_eq!(tree.part(&layer, 0, 5, 2), Some(layer.clone()));
        for (index, length, proof_layers) in
            [(1, 2, 0), (0, 3, 0), (8, 2, 0), (0, 16, 0), (0, 0, 0), (0, 2, 3), (usize::MAX, 2, 0)]
        {
            assert_eq!(tree.part(&layer, index, length, proof_layers), None, "{index} {length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Every part of every layer proves the root, and no changed one does.
        #[test]
        fn a_part_proves_the_root(count in 2_usize..2600, log in 0_usize..10, at: prop::sample::Index, bend: prop::sample::Index) {
            let layer = layer(count);
            let width = count.next_power_of_two();
            let root = merkle_root(layer.clone(), width, FILLER);
            let tree = LayerTree::new(&layer, FILLER);
            let size = (1 << log).min(width);
            let index = at.index(count) / size * size;
            let proof_layers = log2(width) - 1;
            let mut part = tree.part(&layer, index, size, proof_layers).expect("there is such a part");
            prop_assert_eq!(part.len(), size + proof_length(size, proof_layers));
            let proven = |part: &[Hash]| root_of_part(part[..size].to_vec(), size, index, &part[size..], FILLER);
            prop_assert_eq!(proven(&part), root);
            let bent = bend.index(part.len());
            part[bent][0] ^= 1;
            prop_assert_ne!(proven(&part), root);
        }
    }
}
