//! What an engine is made with: [`Config`], and the [`Content`] of a torrent.

use super::picker::Rank;
use super::{Choking, Encryption, Guest, Transports};
use crate::torrent::{Bitfield, Info, PieceIndex};
use std::sync::Arc;

/// What a download is to be. There is no default: fetch, get, seed and the simulator each say
/// what they mean.
pub struct Config {
    /// The torrent; of a magnet, [`Info::unknown`]: then there is [`Output::Learned`](super::Output::Learned) before
    /// anything else, and what is there and wanted is said by [`Input::Learned`](super::Input::Learned).
    pub info: Arc<Info>,
    /// Our own 20 bytes (BEP 20).
    pub peer_id: [u8; 20],
    /// Client and version, for `v` of BEP 10.
    pub client: String,
    /// Pieces that are verified and stored.
    pub have: Bitfield,
    /// Pieces that are to be had at the end.
    pub wanted: Bitfield,
    /// Blocks that an earlier run left, unverified.
    pub partial: Vec<(PieceIndex, Vec<usize>)>,
    /// Announce URLs, tier by tier.
    pub trackers: Vec<Vec<String>>,
    /// Nodes of the DHT that the torrent names (BEP 5).
    pub nodes: Vec<(String, u16)>,
    /// Where we accept connections; 0: nowhere.
    pub port: u16,
    /// Where datagrams come from; 0: nowhere.
    pub udp_port: u16,
    /// Connections at once.
    pub peers_max: usize,
    /// Which connections are encrypted.
    pub encryption: Encryption,
    /// By what connections go.
    pub transports: Transports,
    /// Chance.
    pub seed: u64,
    /// The order of pieces.
    pub rank: Box<dyn Rank>,
    /// Who finds peers.
    pub guests: Vec<Guest>,
    /// Only look who is there and what they have; say that we want nothing.
    pub looks_only: bool,
    /// Whom to serve.
    pub choking: Choking,
    /// As a seed, show each peer one piece at a time (BEP 16); counts only if everything is there.
    pub super_seed: bool,
}

/// A torrent's content: what there is of it, and what is to be.
#[derive(Debug)]
pub struct Content {
    /// The torrent.
    pub info: Arc<Info>,
    /// As in [`Config`].
    pub have: Bitfield,
    /// As in [`Config`].
    pub wanted: Bitfield,
    /// As in [`Config`].
    pub partial: Vec<(PieceIndex, Vec<usize>)>,
}
