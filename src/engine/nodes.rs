//! Nodes of the DHT (BEP 5): who is told of ours, and who tells us of others.
//!
//! Nothing of this happens on a private torrent (BEP 27), whatever a guest wishes.

use super::output::Output;
use super::time::Time;
use super::{Engine, PeerId};
use crate::wire::{Handshake, Message};
use rtor_plugin::Addr;
use rtor_plugin::discovery::Fact;
use std::net::SocketAddr;

/// Nodes that a torrent may name; the rest is not looked up.
const NODES_MAX: usize = 16;

impl Engine {
    /// A guest is a node of the DHT; `answers`: it may be told to peers. Where it begins stands in
    /// the torrent too.
    pub(super) fn dht_joined(&mut self, answers: bool, out: &mut Vec<Output>) {
        if self.info.private {
            return;
        }
        if answers && self.udp_port != 0 {
            self.handshake = self.handshake.with_dht();
        }
        let nodes = std::mem::take(&mut self.nodes).into_iter().take(NODES_MAX);
        out.extend(nodes.map(|(host, port)| Output::FindNode(host, port)));
    }

    /// Tells a peer that is a node too where ours listens.
    pub(super) fn tell_port(
        &self,
        peer: PeerId,
        addr: SocketAddr,
        theirs: &Handshake,
        out: &mut Vec<Output>,
    ) {
        if theirs.dht() && self.handshake.dht() {
            out.push(Output::Send(peer, Message::Port(self.ports_for(addr).1)));
        }
    }

    /// Somebody says that there is a node.
    pub(super) fn heard_of_node(&mut self, now: Time, addr: SocketAddr, out: &mut Vec<Output>) {
        if self.info.private || self.stopping {
            return;
        }
        let fact = Fact::Node { addr: Addr::from(addr) };
        self.with_guests(now, out, |guests, wished| guests.tell(now, &fact, wished));
    }
}
