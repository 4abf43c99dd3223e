//! [`Torrent`]: what the stages of the pipeline work with, whether it came from a file, a magnet
//! or a bare info hash.

use super::{Info, InfoHashV1, InfoHashV2, InfoHashes};
use bytes::Bytes;
use std::sync::Arc;

/// A torrent as far as it is known.
#[derive(Clone, Debug)]
pub struct Torrent {
    /// Its names among peers.
    pub hashes: InfoHashes,
    /// What it is called: by its info dictionary, or by a magnet's `dn` until that is known.
    pub name: Option<String>,
    /// The info dictionary; `None` until a magnet is resolved.
    pub info: Option<Arc<Info>>,
    /// Trackers in tiers (BEP 12), as they were given, byte for byte.
    pub trackers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// DHT nodes to begin with (BEP 5).
    pub nodes: Vec<(String, u16)>,
    /// Peers to begin with, `host:port` (BEP 9, `x.pe`).
    pub peers: Vec<String>,
    /// What its maker says about it.
    pub comment: Option<String>,
    /// The program that made it.
    pub created_by: Option<String>,
    /// When it was made, in seconds since 1970.
    pub creation_date: Option<i64>,
    /// The raw dictionary of piece layers (BEP 52).
    pub piece_layers: Option<Bytes>,
    /// The files that a magnet selects (BEP 53): ranges of their indices, ascending.
    pub select: Vec<(u32, u32)>,
}

impl Torrent {
    /// One of which only the hashes are known.
    #[must_use]
    pub const fn unresolved(hashes: InfoHashes) -> Self {
        Self {
            hashes,
            name: None,
            info: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            nodes: Vec::new(),
            peers: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
            piece_layers: None,
            select: Vec::new(),
        }
    }

    /// One whose info dictionary is known.
    #[must_use]
    pub fn of_info(info: Info) -> Self {
        let mut torrent = Self::unresolved(info.hashes);
        torrent.name = Some(info.name.clone());
        torrent.info = Some(Arc::new(info));
        torrent
    }

    /// The torrent of a bare info hash: 40 or 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        let hashes =
            InfoHashes { v1: InfoHashV1::from_hex(digits), v2: InfoHashV2::from_hex(digits) };
        (hashes.v1.is_some() || hashes.v2.is_some()).then(|| Self::unresolved(hashes))
    }

    /// Every tracker, tier after tier.
    pub fn tracker_urls(&self) -> impl Iterator<Item = &str> {
        self.trackers.iter().flatten().map(String::as_str)
    }

    /// Whether only trackers may be asked for peers (BEP 27); not known before the info
    /// dictionary is.
    #[must_use]
    pub fn private(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.private)
    }
}
