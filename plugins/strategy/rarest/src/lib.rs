//! Rarest first: the piece that the fewest peers have comes next, ties broken by chance.
//!
//! The first `RANDOM_FIRST` pieces are random: a newcomer that starts with the rarest piece
//! waits for the few peers that have it and has nothing to give meanwhile.

use rtor_plugin::strategy::{Strategy, Swarm};
use rtor_plugin::{Options, export_plugin};

/// Pieces had before rarity counts.
const RANDOM_FIRST: u32 = 4;

/// The strategy `rarest`.
pub struct Rarest;

impl Strategy for Rarest {
    const ID: &'static str = "rarest";
    const ABOUT: &'static str = "the piece that the fewest peers have comes first";

    fn create(options: Options<'_>) -> Result<Self, String> {
        options.only(&[]).map(|()| Self)
    }

    fn epoch(&mut self, swarm: &Swarm<'_>) -> u64 {
        u64::from(swarm.have_count >= RANDOM_FIRST)
    }

    fn rank(&mut self, swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
        let rarity_counts = swarm.have_count >= RANDOM_FIRST;
        for (&piece, key) in pieces.iter().zip(keys) {
            let holders = if rarity_counts { swarm.availability[piece as usize] } else { 0 };
            *key = u64::from(holders) << 32 | u64::from(swarm.shuffle(piece));
        }
    }
}

export_plugin!(Strategy: Rarest);

#[cfg(test)]
mod tests {
    use super::*;

    /// All pieces in the order of their keys, with `had` of them had.
    fn order(availability: &[u16], seed: u64, had: u32) -> Vec<u32> {
        let (priority, have) = (vec![4; availability.len()], [(1 << had) - 1]);
        let swarm = Swarm::new(availability, &priority, &have, seed, had, 0);
        let pieces: Vec<u32> = (0..availability.len() as u32).collect();
        let mut keys = vec![0; pieces.len()];
        Rarest.rank(&swarm, &pieces, &mut keys);
        let mut keyed: Vec<(u64, u32)> = keys.into_iter().zip(pieces).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, piece)| piece).collect()
    }

    #[test]
    fn until_four_pieces_are_had_they_come_by_chance() {
        let (common, rare) = ([9; 16], [1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1]);
        for had in 0..4 {
            assert_eq!(order(&rare, 1, had), order(&common, 1, had), "holders do not count");
        }
        assert_ne!(order(&rare, 1, 4), order(&common, 1, 4), "from the fourth on they do");
        let firsts: std::collections::BTreeSet<u32> =
            (0..64).map(|seed| order(&rare, seed, 0)[0]).collect();
        assert!(firsts.len() > 8, "each run has its own first piece: {firsts:?}");
    }

    #[test]
    fn all_keys_are_asked_for_again_at_the_fourth_piece_and_never_more() {
        let epoch = |had| Rarest.epoch(&Swarm::new(&[1], &[4], &[0], 1, had, 0));
        let changes: Vec<u32> = (1..50).filter(|&had| epoch(had) != epoch(had - 1)).collect();
        assert_eq!(changes, [4]);
    }

    #[test]
    fn then_the_rarest_comes_first_and_the_seed_breaks_ties() {
        let availability = [3, 1, 2, 2, 2, 2, 2, 2, 1, 3];
        let holders = |order: &[u32]| -> Vec<u16> {
            order.iter().map(|&piece| availability[piece as usize]).collect()
        };
        let orders: Vec<Vec<u32>> = (0..8).map(|seed| order(&availability, seed, 4)).collect();
        for (seed, order_of_seed) in (0..).zip(&orders) {
            assert_eq!(holders(order_of_seed), [1, 1, 2, 2, 2, 2, 2, 2, 3, 3]);
            assert_eq!(*order_of_seed, order(&availability, seed, 4), "the same seed, the same");
        }
        assert!(orders.iter().any(|other| *other != orders[0]), "another seed, another order");
    }
}
