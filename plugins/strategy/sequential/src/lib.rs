//! Sequential: pieces in the order of the files, from the playhead on.

use rtor_plugin::strategy::{Strategy, Swarm};
use rtor_plugin::{Options, export_plugin};

/// The strategy `sequential`.
pub struct Sequential;

impl Strategy for Sequential {
    const ID: &'static str = "sequential";
    const ABOUT: &'static str = "pieces in the order of the files";

    fn create(options: Options<'_>) -> Result<Self, String> {
        options.only(&[]).map(|()| Self)
    }

    fn epoch(&mut self, swarm: &Swarm<'_>) -> u64 {
        u64::from(swarm.playhead)
    }

    fn rank(&mut self, swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
        for (&piece, key) in pieces.iter().zip(keys) {
            // What lies behind the playhead wraps to the end.
            *key = u64::from(piece.wrapping_sub(swarm.playhead));
        }
    }
}

export_plugin!(Strategy: Sequential);
