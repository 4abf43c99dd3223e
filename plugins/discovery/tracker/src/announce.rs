//! What a tracker is asked ([`Purpose`], [`Announce`]) and what it answers ([`Reply`], or
//! [`Failure`]), over UDP or HTTP.

use rtor_plugin::Addr;
use rtor_plugin::discovery::Totals;
use std::net::{IpAddr, SocketAddr};

/// Peers that one reply may bring; what lies beyond is not read.
pub(crate) const PEERS_MAX: usize = 3000;
/// Peers that one announce asks for. Trackers give 50 to 200, whatever is asked.
pub(crate) const NUMWANT_MAX: u32 = 200;
/// Bytes of a failure reason or warning that are kept.
const TEXT_BYTES_MAX: usize = 1024;

/// Why a tracker is told something out of turn (BEP 3 and 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing happened: the interval is over.
    None,
    /// The last wanted piece arrived.
    Completed,
    /// It hears of us for the first time.
    Started,
    /// We leave.
    Stopped,
}

/// What a tracker is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// For peers, as one of them.
    Announce(Event),
    /// How many there are, as nobody (BEP 48).
    Scrape,
}

/// What stays the same for the whole run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) info_hash: [u8; 20],
    pub(crate) peer_id: [u8; 20],
    /// Lets a tracker know us again behind another address.
    pub(crate) key: u32,
    /// Where we accept TCP; 0: nowhere.
    pub(crate) port: u16,
    /// Where others reach us over the family of this address, if elsewhere.
    pub(crate) mapped: Option<Addr>,
}

impl Identity {
    /// Where others reach us over a family, 4 or 6.
    pub(crate) fn port_over(&self, family: u8) -> u16 {
        self.mapped.filter(|addr| addr.family == family).map_or(self.port, |addr| addr.port)
    }
}

/// One announce.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announce<'a> {
    pub(crate) identity: &'a Identity,
    /// Where others reach us; 0: nowhere.
    pub(crate) port: u16,
    pub(crate) totals: Totals,
    pub(crate) event: Event,
    /// What the tracker said to send it again.
    pub(crate) tracker_id: &'a [u8],
}

impl Announce<'_> {
    /// Peers that we would like; who leaves wants none.
    pub(crate) fn numwant(&self) -> u32 {
        match self.event {
            Event::Stopped => 0,
            Event::None | Event::Completed | Event::Started => {
                self.totals.peers_wanted.min(NUMWANT_MAX)
            }
        }
    }
}

/// Why there is no answer that is of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// One sentence: the tracker's own reason, or what is wrong with the reply.
    pub(crate) why: String,
    /// When the tracker wants to be asked again (BEP 31), if it says so.
    pub(crate) retry: Option<Retry>,
}

/// `retry in` of a refusal (BEP 31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    AfterMinutes(u64),
    Never,
}

impl<T: Into<String>> From<T> for Failure {
    fn from(why: T) -> Self {
        Self { why: why.into(), retry: None }
    }
}

/// What a tracker answered. Counts and intervals are as it said them: the caller clamps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) peers: Vec<Addr>,
    pub(crate) interval_s: Option<i64>,
    pub(crate) interval_s_min: Option<i64>,
    pub(crate) seeds: Option<u64>,
    pub(crate) leeches: Option<u64>,
    pub(crate) downloads: Option<u64>,
    pub(crate) tracker_id: Vec<u8>,
    pub(crate) warning: Option<String>,
    /// Where it sees us (BEP 24).
    pub(crate) external_ip: Option<IpAddr>,
}

impl Reply {
    /// Drops ourselves from the peers, if the tracker said what our address is.
    pub(crate) fn forget_us(&mut self, port: u16) {
        if let Some(ip) = self.external_ip {
            let us = Addr::from(SocketAddr::new(ip, port));
            self.peers.retain(|peer| *peer != us);
        }
    }

    /// Adds a peer, if it can be one and there is room.
    pub(crate) fn push(&mut self, peer: Addr) {
        if peer.is_dialable() && self.peers.len() < PEERS_MAX {
            self.peers.push(peer);
        }
    }

    /// Adds peers in compact form (BEP 23: 6 bytes each; BEP 7: 18). A torn last one is left out.
    pub(crate) fn push_compact(&mut self, bytes: &[u8], family: u8) {
        let size = if family == 6 { 18 } else { 6 };
        let peers = bytes.chunks_exact(size).take(PEERS_MAX);
        peers.filter_map(Addr::from_compact).for_each(|peer| self.push(peer));
    }
}

/// A tracker's words, short enough to be passed on.
pub(crate) fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_peers_of_both_families_are_read() {
        let mut reply = Reply::default();
        reply.push_compact(&[10, 0, 0, 1, 0x1a, 0xe1, 10, 0, 0, 2], 4);
        let mut six = [0; 18];
        (six[0], six[1], six[15], six[17]) = (0x20, 0x01, 7, 80);
        reply.push_compact(&six, 6);
        let sockets: Vec<_> =
            reply.peers.iter().map(|p| p.socket().expect("a family").to_string()).collect();
        assert_eq!(sockets, ["10.0.0.1:6881", "[2001::7]:80"]);
    }

    #[test]
    fn nobody_listens_on_port_0_or_at_no_address() {
        let mut reply = Reply::default();
        reply.push_compact(&[10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 80], 4);
        assert_eq!(reply.peers, []);
    }
}
