//! [`Neighbours`]: who was heard of lately, so that no flood of announces becomes one of peers.
//!
//! A datagram's sender is easily forged, so what is believed is bounded, of one host and of all.
//! The bounds begin anew with each period: whoever is still there announces again, and may by then
//! be forgotten elsewhere.

use crate::INTERVAL_US;
use rtor_plugin::Addr;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// How long a peer that was believed is no news: as long as BEP 14 has it keep quiet.
const PERIOD_US: u64 = INTERVAL_US;
/// Peers that are believed in one period: more than a network has in one swarm, but for a lecture
/// hall, which has enough of them then.
pub(crate) const PEERS_MAX: usize = 100;
/// Ports of one host among them: a machine may run a few clients.
pub(crate) const PORTS_MAX: usize = 4;

/// Those of this period.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    ends_us: u64,
    peers: BTreeSet<SocketAddr>,
}

impl Neighbours {
    /// Whether `peer` can be one, is news, and there is room for it.
    pub(crate) fn believes(&mut self, now_us: u64, peer: SocketAddr) -> bool {
        if now_us >= self.ends_us {
            self.ends_us = now_us.saturating_add(PERIOD_US);
            self.peers.clear();
        }
        Addr::from(peer).is_dialable()
            && self.peers.len() < PEERS_MAX
            && self.ports(peer.ip()) < PORTS_MAX
            && self.peers.insert(peer)
    }

    /// Ports of one host that were believed.
    fn ports(&self, ip: IpAddr) -> usize {
        let all = SocketAddr::new(ip, 0)..=SocketAddr::new(ip, u16::MAX);
        self.peers.range(all).count()
    }
}
