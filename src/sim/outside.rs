//! What discovery guests want of the world beside connections: datagrams, multicast groups,
//! trackers, names, and to find again what they knew.
//!
//! A datagram takes the shortest way and no turn at the links, as little as guests say; it is lost
//! as packets are. All nodes are one local network for multicast. There is no resolver: a name is
//! an address, or nobody's. What a tracker answers is for whoever runs the world to say.

use super::happening::Happening;
use super::turn::Turn;
use super::world::Asked;
use crate::engine::{Input, Output};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// Of a million packets.
const MILLION: u64 = 1_000_000;
/// Asking a resolver.
const LOOK_UP_US: u64 = 20_000;

impl Turn<'_> {
    pub(super) fn act_outside(&mut self, output: Output) {
        match output {
            Output::Datagram(to, bytes) if to.ip().is_multicast() => self.send_to_group(to, &bytes),
            Output::Datagram(to, bytes) => self.send_datagram(to, bytes),
            Output::JoinMulticast(group) => {
                self.node.groups.insert(group);
            }
            Output::HttpGet(guest, ticket, url, _) => {
                let (at, node, life) = (self.now, self.id, self.node.life);
                self.desk.news.asked.push(Asked { at, node, life, guest, ticket, url });
            }
            Output::Resolve(guest, ticket, host, port) => {
                let found = literal(&host, port).map(|addr| vec![addr]);
                let found = found.ok_or_else(|| format!("nobody is called `{host}`"));
                self.answer(Input::Resolved(guest, ticket, found));
            }
            Output::FindNode(host, port) => {
                if let Some(addr) = literal(&host, port) {
                    self.answer(Input::NodeFound(addr));
                }
            }
            Output::KeepState(guest, bytes) => {
                self.node.states.insert(guest, bytes.to_vec());
            }
            _ => {}
        }
    }

    fn answer(&mut self, input: Input) {
        self.plan(self.now + LOOK_UP_US, Happening::Told(self.node.life, input));
    }

    fn send_datagram(&mut self, to: SocketAddr, bytes: Bytes) {
        let Some(there) = self.map.at(to) else { return };
        let loss_ppm = self.map.loss_ppm(self.id, there);
        if loss_ppm > 0 && self.node.chance.below(MILLION) < loss_ppm {
            return;
        }
        let arrives = self.now + self.map.one_way_us(self.id, there);
        self.post(there, arrives, Happening::Datagram(self.id.addr(), bytes));
    }

    /// Who has not joined the group does not listen.
    fn send_to_group(&mut self, group: SocketAddr, bytes: &Bytes) {
        // Nodes have no address of the other family to say it from.
        if !group.is_ipv4() {
            return;
        }
        let ours = self.id;
        for there in self.map.nodes().filter(|there| *there != ours) {
            let arrives = self.now + self.map.one_way_us(ours, there);
            let heard = Happening::Multicast(group, ours.addr(), bytes.clone());
            self.post(there, arrives, heard);
        }
    }

    pub(super) fn hear_group(&mut self, group: SocketAddr, from: SocketAddr, bytes: Bytes) {
        if self.node.groups.contains(&group) {
            self.tell(Input::Datagram(from, bytes));
        }
    }
}

fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port))
}
