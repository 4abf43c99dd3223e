//! [`Map`]: what all nodes know of each other at any time: where they are, and how far.

use super::link::Link;
use super::node::NodeId;
use super::path::{Path, loss_of_both, one_way_us};
use crate::torrent::Info;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where every node listens.
const PORT: u16 = 6881;

/// The torrent, and the links of all nodes. It does not change while nodes are played.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) info: Arc<Info>,
    links: Vec<Link>,
}

impl Map {
    pub(super) const fn new(info: Arc<Info>) -> Self {
        Self { info, links: Vec::new() }
    }

    pub(super) fn place(&mut self, link: Link) -> NodeId {
        let id = NodeId(self.links.len() as u32);
        self.links.push(link);
        id
    }

    /// The node that listens at `addr`.
    pub(super) fn at(&self, addr: SocketAddr) -> Option<NodeId> {
        let IpAddr::V4(ip) = addr.ip() else { return None };
        let [a, b, c, d] = ip.octets();
        let number = u32::from_be_bytes([0, b, c, d]).checked_sub(1)?;
        let is_ours = a == 10 && addr.port() == PORT && (number as usize) < self.links.len();
        is_ours.then_some(NodeId(number))
    }

    pub(super) fn path(&self, from: NodeId, to: NodeId) -> Path {
        Path::between(&self.links[from.at()], &self.links[to.at()])
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.links.len() as u32).map(NodeId)
    }

    /// Packets in a million that are lost between them.
    pub(super) fn loss_ppm(&self, from: NodeId, to: NodeId) -> u64 {
        loss_of_both(self.links[from.at()].loss_ppm, self.links[to.at()].loss_ppm)
    }

    pub(super) fn one_way_us(&self, from: NodeId, to: NodeId) -> u64 {
        one_way_us(&self.links[from.at()], &self.links[to.at()])
    }
}

impl NodeId {
    /// Where it listens: its number, in 10.0.0.0/8.
    #[must_use]
    pub fn addr(self) -> SocketAddr {
        let [_, b, c, d] = (self.0 + 1).to_be_bytes();
        SocketAddr::from(([10, b, c, d], PORT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::torrent_of;

    #[test]
    fn a_node_is_found_at_its_address_and_nobody_elsewhere() {
        let link = Link { up: 1, down: 1, latency_us: 1, loss_ppm: 0 };
        let mut map = Map::new(torrent_of(1, 16 << 10));
        let nodes: Vec<NodeId> = (0..300).map(|_| map.place(link)).collect();
        assert!(nodes.iter().all(|node| map.at(node.addr()) == Some(*node)));
        for other in
            ["10.0.0.0:6881", "10.0.1.45:6881", "11.0.0.1:6881", "10.0.0.1:80", "[::1]:6881"]
        {
            assert_eq!(map.at(other.parse().expect("an address")), None, "{other}");
        }
    }
}
