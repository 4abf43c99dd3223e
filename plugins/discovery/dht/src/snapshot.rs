//! A node as bytes, from one run to the next: its ids, and nodes that answered.
//!
//! `rtdht`, a version, then for IPv4 and for IPv6: our id, a count of two bytes, and so many nodes
//! in compact form (26 or 38 bytes). Nothing of it is believed but for where to begin: every node
//! has to answer again before it stands in the table, and an id that does not fit our address is
//! given up soon.

use crate::address::{self, Family};
use crate::id::NodeId;
use crate::krpc::Known;
use crate::node::Node;
use crate::side::KNOWN_MAX;

/// What it begins with; the last byte is the version.
const HEAD: &[u8] = b"rtdht\x01";
/// Nodes of each family: as many as a node can begin with.
const NODES_MAX: usize = KNOWN_MAX;

impl Node {
    /// This node as bytes, at most 4.2 KB, for [`Node::restore`].
    #[must_use]
    pub fn snapshot(&self, now_us: u64) -> Vec<u8> {
        let mut out = HEAD.to_vec();
        for side in &self.sides {
            let nodes: Vec<_> = side.table.good(now_us).take(NODES_MAX).collect();
            out.extend(side.id.0);
            out.extend((nodes.len() as u16).to_be_bytes());
            for (id, addr) in nodes {
                out.extend(id.0);
                address::push(&mut out, addr);
            }
        }
        out
    }

    /// Takes the ids of a snapshot, and its nodes to begin with. Whether it was one; if not,
    /// nothing happened. For a node that has just been made.
    pub fn restore(&mut self, now_us: u64, bytes: &[u8]) -> bool {
        let Some((ids, nodes)) = read(bytes) else { return false };
        for (side, id) in self.sides.iter_mut().zip(ids) {
            side.renamed(now_us, id);
            side.votes.placed();
            side.upkeep_us = None;
        }
        for (id, addr) in nodes {
            if address::is_usable(addr) && id.fits(addr.ip()) {
                self.sides[Family::of(addr) as usize].know(now_us, (Some(id), addr));
            }
        }
        true
    }
}

/// Both ids, and the nodes.
fn read(bytes: &[u8]) -> Option<([NodeId; 2], Vec<Known>)> {
    let mut rest = bytes.strip_prefix(HEAD)?;
    let (mut ids, mut nodes) = ([NodeId([0; 20]); 2], Vec::new());
    for family in Family::BOTH {
        let (id, after) = rest.split_first_chunk::<20>()?;
        let (count, after) = after.split_first_chunk::<2>()?;
        let count = usize::from(u16::from_be_bytes(*count));
        if count > NODES_MAX {
            return None;
        }
        let (listed, after) = after.split_at_checked(count * (20 + family.compact_bytes()))?;
        for node in listed.chunks_exact(20 + family.compact_bytes()) {
            let (id, addr) = node.split_at(20);
            nodes.push((NodeId::read(id)?, address::read(addr)?));
        }
        ids[family as usize] = NodeId(*id);
        rest = after;
    }
    rest.is_empty().then_some((ids, nodes))
}
