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
