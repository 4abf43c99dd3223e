//! Random: pieces in an order drawn once from the run's seed.

use rtor_plugin::strategy::{Strategy, Swarm};
use rtor_plugin::{Options, export_plugin};

/// The strategy `random`.
pub struct Random;

impl Strategy for Random {
    const ID: &'static str = "random";
    const ABOUT: &'static str = "pieces in an order drawn once by chance";

    fn create(options: Options<'_>) -> Result<Self, String> {
        options.only(&[]).map(|()| Self)
    }

    fn rank(&mut self, swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
        for (&piece, key) in pieces.iter().zip(keys) {
            *key = u64::from(swarm.shuffle(piece));
        }
    }
}

export_plugin!(Strategy: Random);
