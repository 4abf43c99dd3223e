//! [`Secret`]: what both sides know after the exchange, and what follows from it: the hashes that
//! a responder looks for, and the [`Cipher`] of each direction.

use super::exchange::KEY_BYTES;
use super::rc4::Rc4;
use sha1::{Digest as _, Sha1};
use std::fmt;

/// The first bytes of the key stream give the key away: nobody uses them.
const DISCARDED_BYTES: usize = 1024;

/// S.
pub(super) struct Secret(pub(super) [u8; KEY_BYTES]);

impl Secret {
    /// `HASH('req1', S)`: behind it the initiator's request begins.
    pub(super) fn req1(&self) -> [u8; 20] {
        hash(b"req1", &[&self.0])
    }

    /// `HASH('req2', SKEY) xor HASH('req3', S)`: which torrent it is about.
    pub(super) fn req2_xor_req3(&self, skey: &[u8; 20]) -> [u8; 20] {
        let (req2, req3) = (hash(b"req2", &[skey]), hash(b"req3", &[&self.0]));
        std::array::from_fn(|at| req2[at] ^ req3[at])
    }

    /// Of what the initiator sends.
    pub(super) fn initiators(&self, skey: &[u8; 20]) -> Cipher {
        Cipher::new(&hash(b"keyA", &[&self.0, skey]))
    }

    /// Of what the responder sends.
    pub(super) fn responders(&self, skey: &[u8; 20]) -> Cipher {
        Cipher::new(&hash(b"keyB", &[&self.0, skey]))
    }
}

fn hash(label: &[u8; 4], parts: &[&[u8]]) -> [u8; 20] {
    let begun = Sha1::new_with_prefix(label);
    parts.iter().fold(begun, Sha1::chain_update).finalize().into()
}

/// One direction's RC4. A kibibyte, which stays where it is while what has it moves.
pub struct Cipher(Box<Rc4>);

impl Cipher {
    fn new(key: &[u8; 20]) -> Self {
        let mut cipher = Self(Box::new(Rc4::new(key)));
        cipher.apply(&mut [0; DISCARDED_BYTES]);
        cipher
    }

    /// Encrypts or decrypts the next bytes of its direction, in place.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply(bytes);
    }

    /// The next bytes, encrypted.
    pub(super) fn applied<const COUNT: usize>(&mut self, mut bytes: [u8; COUNT]) -> [u8; COUNT] {
        self.apply(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}
