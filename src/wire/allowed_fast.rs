//! [`allowed_fast`]: which pieces a peer may have although it is choked (BEP 6, "allowed fast").

use sha1::{Digest as _, Sha1};
use std::net::Ipv4Addr;

/// Pieces that a peer is allowed.
pub const ALLOWED_FAST_COUNT: usize = 10;

/// The first `count` numbers of BEP 6's canonical set for a peer at `addr`, of a torrent with
/// `piece_count` pieces; all of its pieces, if it has no more. They follow from the peer's network
/// (its first 24 bits) and the info hash alone, so that a peer gains nothing by coming from many
/// addresses, or by coming again.
///
/// ```
/// # use rtor::wire::allowed_fast::allowed_fast;
/// // The example of BEP 6.
/// let pieces = allowed_fast([80, 4, 4, 200].into(), &[0xaa; 20], 1313, 7);
/// assert_eq!(pieces, [1059, 431, 808, 1217, 287, 376, 1188]);
/// ```
#[must_use]
pub fn allowed_fast(
    addr: Ipv4Addr,
    info_hash: &[u8; 20],
    piece_count: u32,
    count: usize,
) -> Vec<u32> {
    let count = count.min(piece_count as usize);
    let [a, b, c, _] = addr.octets();
    let mut x = [&[a, b, c, 0][..], info_hash].concat();
    let mut pieces = Vec::with_capacity(count);
    while pieces.len() < count {
        x = Sha1::digest(&x).to_vec();
        for word in x.chunks_exact(4).take(5) {
            let number = word.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)) % piece_count;
            if pieces.len() < count && !pieces.contains(&number) {
                pieces.push(number);
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nine_are_the_seven_and_two_more() {
        let pieces = allowed_fast([80, 4, 4, 200].into(), &[0xaa; 20], 1313, 9);
        assert_eq!(pieces, [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    }

    proptest! {
        #[test]
        fn each_is_a_piece_and_named_once(addr: u32, hash: [u8; 20], pieces in 1_u32..5000) {
            let allowed = allowed_fast(addr.into(), &hash, pieces, ALLOWED_FAST_COUNT);
            prop_assert_eq!(allowed.len(), ALLOWED_FAST_COUNT.min(pieces as usize));
            let once: std::collections::BTreeSet<u32> = allowed.iter().copied().collect();
            prop_assert_eq!(once.len(), allowed.len());
            prop_assert!(allowed.iter().all(|piece| *piece < pieces));
        }
    }
}
