//! [`Store`]: the peers that were announced to us, for half an hour, and only so many.

use crate::address::{Family, is_local};
use crate::id::NodeId;
use rtor_plugin::SecretChance;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How long an announce counts: clients say it again every quarter or half of an hour.
const KEPT_US: u64 = 30 * 60 * 1_000_000;
/// Torrents that are kept. A node of a network of millions is the place for some hundreds.
const TORRENTS_MAX: usize = 1000;
/// Peers of one torrent: more than an answer holds. With all torrents at this, 5 MB.
const PEERS_MAX: usize = 100;
/// Peers at one IP address, by their ports: nobody fills a torrent alone.
const PEERS_PER_HOST_MAX: usize = 3;

#[derive(Clone, Copy, Debug)]
struct Peer {
    addr: SocketAddr,
    until_us: u64,
}

/// Peers by torrent.
#[derive(Default)]
pub(crate) struct Store(BTreeMap<NodeId, Vec<Peer>>);

impl Store {
    /// A peer is announced to the node `own`.
    pub(crate) fn announced(
        &mut self,
        now_us: u64,
        own: &NodeId,
        info_hash: NodeId,
        addr: SocketAddr,
    ) {
        if !self.0.contains_key(&info_hash) && !self.make_room(now_us, own, &info_hash) {
            return;
        }
        let peers = self.0.entry(info_hash).or_default();
        peers.retain(|peer| peer.addr != addr && now_us < peer.until_us);
        // The oldest has to go: that of the same host, if it has its share. On a local network one
        // machine may be many peers.
        let mut of_host = peers.iter().enumerate().filter(|(_, peer)| peer.addr.ip() == addr.ip());
        let oldest_of_host = of_host.next().map(|(at, _)| at);
        let has_its_share = of_host.count() + 1 >= PEERS_PER_HOST_MAX && !is_local(addr.ip());
        match oldest_of_host {
            Some(at) if has_its_share => drop(peers.remove(at)),
            Some(_) | None if peers.len() >= PEERS_MAX => drop(peers.remove(0)),
            Some(_) | None => {}
        }
        peers.push(Peer { addr, until_us: now_us.saturating_add(KEPT_US) });
    }

    /// At most `count` peers of a torrent and a family, drawn by chance.
    pub(crate) fn peers(
        &self,
        now_us: u64,
        info_hash: &NodeId,
        family: Family,
        count: usize,
        chance: &mut SecretChance,
    ) -> Vec<SocketAddr> {
        let Some(peers) = self.0.get(info_hash) else { return Vec::new() };
        let fresh = peers.iter().filter(|peer| now_us < peer.until_us);
        let addrs = fresh.map(|peer| peer.addr).filter(|addr| Family::of(*addr) == family);
        let mut addrs: Vec<SocketAddr> = addrs.collect();
        if addrs.len() > count {
            let first = chance.below(addrs.len());
            addrs.rotate_left(first);
            addrs.truncate(count);
        }
        addrs
    }

    /// Whether there is room for another torrent. In a full store the one farthest from us goes:
    /// others are asked for it first, and an attacker has to be near us to be kept.
    fn make_room(&mut self, now_us: u64, own: &NodeId, info_hash: &NodeId) -> bool {
        if self.0.len() < TORRENTS_MAX {
            return true;
        }
        self.0.retain(|_, peers| peers.iter().any(|peer| now_us < peer.until_us));
        if self.0.len() < TORRENTS_MAX {
            return true;
        }
        let farthest = self.0.keys().max_by_key(|kept| kept.distance(own)).copied();
        match farthest {
            Some(farthest) if farthest.distance(own) > info_hash.distance(own) => {
                self.0.remove(&farthest);
                true
            }
            Some(_) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId([0; 20]);
    const TORRENT: NodeId = NodeId([9; 20]);

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn peers(store: &Store, now_us: u64, family: Family) -> Vec<SocketAddr> {
        store.peers(now_us, &TORRENT, family, 1000, &mut SecretChance::new(1))
    }

    #[test]
    fn a_peer_is_kept_for_half_an_hour_from_its_last_announce() {
        let mut store = Store::default();
        let peer = addr("1.2.3.4:5");
        store.announced(0, &OWN, TORRENT, peer);
        store.announced(0, &OWN, TORRENT, addr("[2001:db8::1]:5"));
        store.announced(10, &OWN, TORRENT, peer);
        assert_eq!(peers(&store, KEPT_US + 9, Family::V4), [peer]);
        assert_eq!(peers(&store, KEPT_US + 9, Family::V6), []);
        assert_eq!(peers(&store, KEPT_US - 1, Family::V6), [addr("[2001:db8::1]:5")]);
        assert_eq!(peers(&store, KEPT_US + 10, Family::V4), []);
    }

    #[test]
    fn a_torrent_has_so_many_peers_and_a_host_so_many_of_them() {
        let mut store = Store::default();
        for port in 1..50 {
            store.announced(0, &OWN, TORRENT, ([1, 2, 3, 4], port).into());
        }
        let kept = peers(&store, 0, Family::V4);
        assert_eq!(kept, [47, 48, 49].map(|port| ([1, 2, 3, 4], port).into()));
        for number in 0..200 {
            store.announced(0, &OWN, TORRENT, ([1, 2, 4, number], 1).into());
        }
        assert_eq!(peers(&store, 0, Family::V4).len(), PEERS_MAX);
        let some = store.peers(0, &TORRENT, Family::V4, 30, &mut SecretChance::new(2));
        assert_eq!(some.len(), 30);
    }

    #[test]
    fn peers_of_one_machine_differ_by_port() {
        let mut store = Store::default();
        for port in 1..50 {
            store.announced(0, &OWN, TORRENT, ([127, 0, 0, 1], port).into());
        }
        assert_eq!(peers(&store, 0, Family::V4).len(), 49);
    }

    #[test]
    fn a_full_store_keeps_what_is_near() {
        let mut store = Store::default();
        let torrent = |number: u32| {
            let mut id = [0; 20];
            id[..4].copy_from_slice(&number.to_be_bytes());
            NodeId(id)
        };
        let peer = addr("1.2.3.4:5");
        for number in 0..3000 {
            store.announced(0, &OWN, torrent(5000 - number), peer);
        }
        assert_eq!(store.0.len(), TORRENTS_MAX);
        assert_eq!(store.0.keys().next(), Some(&torrent(2001)));
        store.announced(0, &OWN, torrent(6000), peer);
        assert!(!store.0.contains_key(&torrent(6000)));
        // What is old goes before what is far.
        store.announced(KEPT_US, &OWN, torrent(6000), peer);
        assert_eq!(store.0.len(), 1);
    }
}
