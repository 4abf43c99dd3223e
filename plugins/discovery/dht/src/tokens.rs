//! [`Tokens`]: proof that who announces a peer was there to ask first (BEP 5).
//!
//! A token is a hash of the asker's IP address and of the time, under our key, so nothing has to be
//! remembered about anybody, and nobody can announce a peer at an address where he gets no
//! datagrams.

use rtor_plugin::Key;
use std::net::IpAddr;

/// How often tokens change (BEP 5).
const ROTATES_US: u64 = 5 * 60 * 1_000_000;
/// The current token and two older ones are good: every one for ten minutes at the least (BEP 5).
const GOOD: u64 = 3;

/// Bytes of a token.
pub(crate) const TOKEN_BYTES: usize = 8;

/// Makes tokens, and knows its own.
pub(crate) struct Tokens(Key);

impl Tokens {
    pub(crate) const fn new(key: Key) -> Self {
        Self(key)
    }

    /// The token that `ip` gets now.
    pub(crate) fn given(&self, now_us: u64, ip: IpAddr) -> [u8; TOKEN_BYTES] {
        self.of(now_us / ROTATES_US, ip)
    }

    /// Whether `ip` got this token of late.
    pub(crate) fn is_good(&self, now_us: u64, ip: IpAddr, token: &[u8]) -> bool {
        let now = now_us / ROTATES_US;
        (now.saturating_sub(GOOD - 1)..=now).any(|epoch| self.of(epoch, ip) == token)
    }

    fn of(&self, epoch: u64, ip: IpAddr) -> [u8; TOKEN_BYTES] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&epoch.to_be_bytes());
        match ip {
            IpAddr::V4(ip) => bytes[8..12].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes[8..].copy_from_slice(&ip.octets()),
        }
        self.0.hash(&bytes).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtor_plugin::SecretChance;

    #[test]
    fn a_token_is_good_for_ten_minutes_and_its_own_address() {
        let tokens = Tokens::new(SecretChance::new(1).key());
        let ip: IpAddr = [1, 2, 3, 4].into();
        let minute = 60_000_000;
        for start in [0, 1, ROTATES_US - 1, 7 * ROTATES_US + 99] {
            let token = tokens.given(start, ip);
            assert!(tokens.is_good(start, ip, &token));
            assert!(tokens.is_good(start + 10 * minute, ip, &token));
            assert!(!tokens.is_good(start + 15 * minute, ip, &token));
            assert!(!tokens.is_good(start, [1, 2, 3, 5].into(), &token));
        }
        assert_ne!(tokens.given(0, ip), tokens.given(ROTATES_US, ip));
        assert_ne!(tokens.given(0, ip), Tokens::new(SecretChance::new(2).key()).given(0, ip));
        for token in [&b""[..], b"aoeusnth", &[0; 9]] {
            assert!(!tokens.is_good(0, ip, token));
        }
    }
}
