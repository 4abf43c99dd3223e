//! [`InfoHashV1`], [`InfoHashV2`]: a torrent's name among peers.
//!
//! They are hashes of the raw bytes of the info dictionary as it lay in the file. There is no
//! way to make one from a re-encoding, which would lose unknown keys and odd orders.

use std::fmt;

macro_rules! info_hash {
    ($(#[$doc:meta])* $name:ident, $size:literal, $hasher:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $size]);

        impl $name {
            /// The hash of the raw bytes of an info dictionary.
            #[must_use]
            pub fn of(raw_info: &[u8]) -> Self {
                use sha1::Digest as _;
                Self(<$hasher>::digest(raw_info).into())
            }

            /// Reads hexadecimal digits of either case; `None` if there are not exactly enough.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0; $size];
                let digits = text.as_bytes();
                if digits.len() != $size * 2 {
                    return None;
                }
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let [high, low] = [pair[0], pair[1]].map(|d| (d as char).to_digit(16));
                    *byte = (high? << 4 | low?) as u8;
                }
                Some(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

info_hash!(
    /// SHA-1 of the raw info dictionary (BEP 3).
    InfoHashV1,
    20,
    sha1::Sha1
);
info_hash!(
    /// SHA-256 of the raw info dictionary (BEP 52).
    InfoHashV2,
    32,
    sha2::Sha256
);

/// The names of one torrent: one of them, or both for a hybrid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfoHashes {
    /// If it has v1 metadata.
    pub v1: Option<InfoHashV1>,
    /// If it has v2 metadata.
    pub v2: Option<InfoHashV2>,
}

impl InfoHashes {
    /// The 20 bytes that handshakes, trackers and the DHT use: v1 if there is one, else the first
    /// 20 of v2 (BEP 52, "Handshake").
    #[must_use]
    pub fn on_the_wire(&self) -> [u8; 20] {
        match (self.v1, self.v2) {
            (Some(v1), _) => v1.0,
            (None, _) => self.v2_on_the_wire().unwrap_or_default(),
        }
    }

    /// The first 20 bytes of v2, by which peers that speak that know the torrent (BEP 52).
    #[must_use]
    pub fn v2_on_the_wire(&self) -> Option<[u8; 20]> {
        self.v2.map(|v2| std::array::from_fn(|i| v2.0[i]))
    }

    /// By what handshakes may call the torrent: a hybrid has two names.
    pub fn names(&self) -> impl Iterator<Item = [u8; 20]> + use<> {
        [self.v1.map(|v1| v1.0), self.v2_on_the_wire()].into_iter().flatten()
    }

    /// Whether `raw` is the info dictionary that they name.
    #[must_use]
    pub fn are_of(&self, raw: &[u8]) -> bool {
        let v1 = self.v1.is_none_or(|hash| hash == InfoHashV1::of(raw));
        v1 && self.v2.is_none_or(|hash| hash == InfoHashV2::of(raw))
    }
}

impl fmt::Display for InfoHashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.v1, self.v2) {
            (Some(v1), _) => v1.fmt(f),
            (None, Some(v2)) => v2.fmt(f),
            (None, None) => f.write_str("no info hash"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_of_either_case_is_read_and_lower_is_written() {
        let upper = "D2474E86C95B19B8BCFDB92BC12C9D44667CFA36";
        let hash = InfoHashV1::from_hex(upper).expect("40 digits");
        assert_eq!(hash.to_string(), upper.to_lowercase());
        for bad in ["", "d2", &upper[1..], "x2474E86C95B19B8BCFDB92BC12C9D44667CFA36"] {
            assert_eq!(InfoHashV1::from_hex(bad), None, "{bad}");
        }
    }
}
