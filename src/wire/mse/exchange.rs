//! [`Private`] and [`Public`]: the Diffie-Hellman exchange of 768 bits.

use super::Fault;
use super::secret::Secret;
use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams as _};
use crypto_bigint::{U192, U768, const_monty_params};

const_monty_params!(
    Prime,
    U768,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
     EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563"
);

/// Bytes of a public key, and of the secret.
pub const KEY_BYTES: usize = 96;
/// Bytes of a private key: 160 bits, as the specification recommends.
pub(super) const PRIVATE_BYTES: usize = 20;

type Number = ConstMontyForm<Prime, { U768::LIMBS }>;

/// A private key.
pub(super) struct Private(U192);

/// A public key that is one: neither 0 nor 1 nor the prime less 1, of which every power is known.
#[derive(Debug)]
pub(super) struct Public(U768);

impl Private {
    /// From bytes that nobody can guess. The first bit is always set: no key is 0.
    pub(super) fn of(mut bytes: [u8; PRIVATE_BYTES]) -> Self {
        bytes[0] |= 0x80;
        let mut padded = [0; U192::BYTES];
        padded[U192::BYTES - PRIVATE_BYTES..].copy_from_slice(&bytes);
        Self(U192::from_be_slice(&padded))
    }

    /// What the other side is told.
    pub(super) fn public(&self) -> [u8; KEY_BYTES] {
        bytes(&self.power_of(&U768::from_u8(2)))
    }

    /// What both sides know afterwards.
    pub(super) fn secret(&self, theirs: &Public) -> Secret {
        Secret(bytes(&self.power_of(&theirs.0)))
    }

    fn power_of(&self, base: &U768) -> U768 {
        Number::new(base).pow_bounded_exp(&self.0, 8 * PRIVATE_BYTES as u32).retrieve()
    }
}

impl Public {
    /// Reads what the other side told.
    pub(super) fn read(bytes: &[u8; KEY_BYTES]) -> Result<Self, Fault> {
        let key = U768::from_be_slice(bytes);
        let most = Prime::PARAMS.modulus().as_ref().wrapping_sub(&U768::from_u8(2));
        if key > U768::ONE && key <= most { Ok(Self(key)) } else { Err(Fault::Key) }
    }
}

fn bytes(number: &U768) -> [u8; KEY_BYTES] {
    let bytes = number.to_be_bytes();
    std::array::from_fn(|at| bytes.as_ref()[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_come_to_the_same_secret() {
        let [one, other] = [[1; PRIVATE_BYTES], [2; PRIVATE_BYTES]].map(Private::of);
        let public = |private: &Private| Public::read(&private.public()).expect("a key");
        assert_eq!(one.secret(&public(&other)).0, other.secret(&public(&one)).0);
        assert_ne!(one.secret(&public(&one)).0, other.secret(&public(&one)).0);
    }

    #[test]
    fn keys_whose_powers_everybody_knows_are_none() {
        let prime = *Prime::PARAMS.modulus().as_ref();
        let less = |n: u8| prime.wrapping_sub(&U768::from_u8(n));
        for bad in [U768::ZERO, U768::ONE, less(1), prime, U768::MAX] {
            assert!(Public::read(&bytes(&bad)).is_err(), "{bad}");
        }
        for good in [U768::from_u8(2), less(2)] {
            assert!(Public::read(&bytes(&good)).is_ok(), "{good}");
        }
    }
}
