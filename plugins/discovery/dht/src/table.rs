//! [`Table`]: the nodes that we know, by how much of their id is ours (BEP 5).
//!
//! Only a node that has answered us from its address stands here, and only with an id that it may
//! have there (BEP 42): nobody gets in by being talked of. An old node that still answers is never
//! put out for a new one; new ones wait in the bucket's replacement cache until an old one fails.
//! Who owns a network cannot fill a bucket with it.
//!
//! There is a bucket for each number of shared bits, which is the tree of BEP 5 split all the way.

use crate::address::{is_local, is_same_host, network};
use crate::id::{ID_BITS, NodeId};
use crate::krpc::Known;
use std::net::SocketAddr;

/// `k` of Kademlia: nodes of a bucket, of an answer, and those that keep what is announced.
pub(crate) const K: usize = 8;
/// Nodes of one /24 or /64 in a bucket: two households may well share it, three are suspect.
const NETWORK_MAX: usize = 2;
/// Queries that a node may leave unanswered before it is bad: one datagram may get lost.
const FAILURES_MAX: u8 = 2;
/// How long a node is good after it was heard, and a bucket fresh (BEP 5).
pub(crate) const FRESH_US: u64 = 15 * 60 * 1_000_000;

/// A node of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Contact {
    id: NodeId,
    addr: SocketAddr,
    heard_us: u64,
    /// Queries in a row that it did not answer.
    failures: u8,
}

impl Contact {
    const fn is_bad(&self) -> bool {
        self.failures >= FAILURES_MAX
    }

    const fn is_good(&self, now_us: u64) -> bool {
        self.failures == 0 && now_us < self.heard_us.saturating_add(FRESH_US)
    }
}

/// The nodes that share just so many bits with us.
#[derive(Default)]
struct Bucket {
    contacts: Vec<Contact>,
    /// The replacement cache: nodes that answered, the newest last.
    spares: Vec<Contact>,
    /// When something here last changed or was refreshed.
    touched_us: u64,
    /// Whether it was refreshed ever.
    was_refreshed: bool,
}

/// The nodes of one family.
pub(crate) struct Table {
    own: NodeId,
    /// By shared bits, as far as anybody is known.
    buckets: Vec<Bucket>,
}

impl Table {
    pub(crate) const fn new(own: NodeId) -> Self {
        Self { own, buckets: Vec::new() }
    }

    /// A node answered us, with an id that fits its address. The answer is an old node whose
    /// place it could have: somebody should ask it whether it is still there.
    pub(crate) fn replied(&mut self, now_us: u64, id: NodeId, addr: SocketAddr) -> Option<Known> {
        let at = self.own.shared_bits(&id);
        if at >= ID_BITS || !self.has_room_for_host(id, addr) {
            return None;
        }
        if self.buckets.len() <= at {
            self.buckets.resize_with(at + 1, Bucket::default);
        }
        let contact = Contact { id, addr, heard_us: now_us, failures: 0 };
        self.buckets.get_mut(at).and_then(|bucket| bucket.replied(now_us, contact))
    }

    /// A node asked us something. Whether to find out if it answers: it is unknown or was bad,
    /// and there is room for it.
    pub(crate) fn queried(&mut self, now_us: u64, id: NodeId, addr: SocketAddr) -> bool {
        let at = self.own.shared_bits(&id);
        let Some(bucket) = self.buckets.get_mut(at) else { return at < ID_BITS };
        match bucket.contacts.iter_mut().find(|contact| contact.id == id && contact.addr == addr) {
            Some(contact) => {
                if contact.failures == 0 {
                    contact.heard_us = now_us;
                }
                contact.is_bad()
            }
            None => bucket.contacts.len() < K || bucket.contacts.iter().any(Contact::is_bad),
        }
    }

    /// A node left a query unanswered.
    pub(crate) fn failed(&mut self, now_us: u64, addr: SocketAddr) {
        for bucket in &mut self.buckets {
            bucket.spares.retain(|spare| spare.addr != addr);
            if let Some(contact) = bucket.contacts.iter_mut().find(|c| c.addr == addr) {
                contact.failures = contact.failures.saturating_add(1);
                if contact.is_bad() {
                    bucket.replace_bad(now_us);
                }
            }
        }
    }

    /// Nobody with this id is at this address any more.
    pub(crate) fn gone(&mut self, now_us: u64, id: NodeId, addr: SocketAddr) {
        let at = self.own.shared_bits(&id);
        if let Some(bucket) = self.buckets.get_mut(at) {
            let is_it = |contact: &Contact| contact.id == id && contact.addr == addr;
            bucket.spares.retain(|spare| !is_it(spare));
            if let Some(contact) = bucket.contacts.iter_mut().find(|contact| is_it(contact)) {
                contact.failures = FAILURES_MAX;
                bucket.replace_bad(now_us);
                bucket.contacts.retain(|contact| !is_it(contact));
            }
        }
    }

    /// The nodes that are closest to `target`, closest first. No bad ones.
    pub(crate) fn closest(&self, target: &NodeId, count: usize) -> Vec<Known> {
        let home = self.own.shared_bits(target).min(self.buckets.len());
        let mut found: Vec<Known> = Vec::with_capacity(count + K);
        // All nodes that share more bits with the target than we do are in our bucket of just so
        // many; the deeper buckets are equally far from it, and each of the others is farther.
        let split = (home + 1).min(self.buckets.len());
        let nearer = [&self.buckets[home..split], &self.buckets[split..]];
        let farther = self.buckets[..home].iter().rev().map(std::slice::from_ref);
        for group in nearer.into_iter().chain(farther) {
            if found.len() >= count {
                break;
            }
            let start = found.len();
            let contacts = group.iter().flat_map(|bucket| &bucket.contacts);
            found.extend(contacts.filter(|c| !c.is_bad()).map(|c| (c.id, c.addr)));
            if let Some(group) = found.get_mut(start..) {
                group.sort_by_cached_key(|(id, _)| id.distance(target));
            }
        }
        found.truncate(count);
        found
    }

    /// A bucket that was not touched for long, by the bits that its nodes share with us. One with
    /// room is looked through soon after it came to be: who has just joined knows few.
    pub(crate) fn stale(&self, now_us: u64) -> Option<usize> {
        self.buckets.iter().position(|bucket| {
            let is_new = !bucket.was_refreshed && bucket.contacts.len() < K;
            is_new || now_us >= bucket.touched_us.saturating_add(FRESH_US)
        })
    }

    /// A bucket is being refreshed.
    pub(crate) fn touch(&mut self, now_us: u64, at: usize) {
        if let Some(bucket) = self.buckets.get_mut(at) {
            (bucket.touched_us, bucket.was_refreshed) = (now_us, true);
        }
    }

    /// Our own id is another one from now on.
    pub(crate) fn moved(&mut self, now_us: u64, own: NodeId) {
        let buckets = std::mem::take(&mut self.buckets);
        self.own = own;
        for bucket in buckets {
            for contact in bucket.contacts.into_iter().filter(|contact| !contact.is_bad()) {
                let heard_us = contact.heard_us.min(now_us);
                self.replied(heard_us, contact.id, contact.addr);
            }
        }
    }

    /// The nodes that were heard of late.
    pub(crate) fn good(&self, now_us: u64) -> impl Iterator<Item = Known> {
        let contacts = self.buckets.iter().flat_map(|bucket| &bucket.contacts);
        contacts.filter(move |c| c.is_good(now_us)).map(|c| (c.id, c.addr))
    }

    /// Nodes that are not bad.
    pub(crate) fn len(&self) -> usize {
        let contacts = self.buckets.iter().flat_map(|bucket| &bucket.contacts);
        contacts.filter(|contact| !contact.is_bad()).count()
    }

    /// Whether nobody else at that IP address stands in the table. The one who answers now has
    /// proved that he is there: a bad one has to go, and so has another id at the same address.
    fn has_room_for_host(&mut self, id: NodeId, addr: SocketAddr) -> bool {
        for bucket in &mut self.buckets {
            let other = bucket.contacts.iter().position(|c| is_same_host(c.addr, addr));
            let Some(other) = other else { continue };
            let contact = bucket.contacts[other];
            if contact.id == id && contact.addr == addr {
                return true;
            }
            if !contact.is_bad() && contact.addr != addr {
                return false;
            }
            bucket.contacts.remove(other);
        }
        true
    }
}

impl Bucket {
    fn replied(&mut self, now_us: u64, new: Contact) -> Option<Known> {
        if let Some(old) = self.contacts.iter_mut().find(|contact| contact.id == new.id) {
            // Nobody takes an id from a node that is still there.
            if old.addr == new.addr || old.is_bad() {
                *old = new;
                self.touched_us = now_us;
            }
            return None;
        }
        self.spares.retain(|spare| spare.id != new.id && !is_same_host(spare.addr, new.addr));
        if is_crowded(&self.contacts, new.addr) {
            return None;
        }
        if let Some(bad) = self.contacts.iter_mut().find(|contact| contact.is_bad()) {
            *bad = new;
        } else if self.contacts.len() < K {
            self.contacts.push(new);
        } else {
            if is_crowded(&self.spares, new.addr) {
                return None;
            }
            if self.spares.len() >= K {
                self.spares.remove(0);
            }
            self.spares.push(new);
            let oldest = self.contacts.iter().min_by_key(|contact| contact.heard_us);
            return oldest.filter(|c| !c.is_good(now_us)).map(|c| (c.id, c.addr));
        }
        self.touched_us = now_us;
        None
    }

    /// Gives a bad node's place to the newest spare.
    fn replace_bad(&mut self, now_us: u64) {
        let Some(bad) = self.contacts.iter().position(Contact::is_bad) else { return };
        while let Some(spare) = self.spares.pop() {
            let bad_leaves = self.contacts[bad].addr;
            let mut staying = self.contacts.clone();
            staying.retain(|contact| contact.addr != bad_leaves);
            if !is_crowded(&staying, spare.addr) {
                self.contacts[bad] = spare;
                self.touched_us = now_us;
                return;
            }
        }
    }
}

/// Whether as many of a network are there as may be.
fn is_crowded(contacts: &[Contact], addr: SocketAddr) -> bool {
    let ip = addr.ip();
    let same = contacts.iter().filter(|contact| network(contact.addr.ip()) == network(ip));
    !is_local(ip) && same.count() >= NETWORK_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const OWN: NodeId = NodeId([0; 20]);

    /// Node `number`, which shares no bit with us, in a network of its own.
    fn far(number: u8) -> Known {
        let mut id = [0x80; 20];
        id[19] = number;
        (NodeId(id), at([8, 8, number, 1], 6881))
    }

    fn at(ip: [u8; 4], port: u16) -> SocketAddr {
        (Ipv4Addr::from(ip), port).into()
    }

    fn table(numbers: std::ops::Range<u8>) -> Table {
        let mut table = Table::new(OWN);
        for number in numbers {
            let (id, addr) = far(number);
            assert_eq!(table.replied(0, id, addr), None);
        }
        table
    }

    fn everybody(table: &Table) -> Vec<Known> {
        table.closest(&NodeId([0x80; 20]), 100)
    }

    #[test]
    fn a_full_bucket_keeps_the_old_that_answer_and_the_new_wait() {
        let mut table = table(0..8);
        let old = everybody(&table);
        let (id, addr) = far(8);
        assert_eq!(table.replied(1, id, addr), None);
        assert_eq!(everybody(&table), old);
        // One lost datagram is nothing yet.
        table.failed(2, far(3).1);
        assert_eq!(everybody(&table), old);
        table.failed(3, far(3).1);
        let now = everybody(&table);
        assert!(!now.contains(&far(3)) && now.contains(&far(8)));
    }

    #[test]
    fn of_a_full_bucket_the_one_not_heard_for_longest_is_to_be_asked() {
        let mut table = table(0..8);
        for number in (0..8).filter(|number| *number != 5) {
            let (id, addr) = far(number);
            table.replied(1, id, addr);
        }
        let (id, addr) = far(9);
        assert_eq!(table.replied(FRESH_US, id, addr), Some(far(5)));
        assert_eq!(table.good(FRESH_US).count(), 7);
        assert!(!table.queried(FRESH_US, far(5).0, far(5).1));
        assert_eq!(table.good(FRESH_US).count(), 8);
    }

    #[test]
    fn one_node_an_address_and_two_a_network() {
        let mut table = table(0..2);
        let mut id = far(0).0;
        for (last, port) in [(1, 1), (1, 2), (2, 1), (3, 1), (4, 1)] {
            id.0[10] += 1;
            table.replied(0, id, at([9, 9, 9, last], port));
        }
        let of_it = everybody(&table).into_iter().filter(|(_, addr)| {
            let text = addr.to_string();
            text.starts_with("9.9.9.")
        });
        assert_eq!(
            of_it.map(|(_, addr)| addr).collect::<Vec<_>>(),
            [at([9, 9, 9, 1], 1), at([9, 9, 9, 2], 1)]
        );
        table.replied(0, OWN, at([7, 7, 7, 7], 1));
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn a_flood_of_new_nodes_moves_none_of_the_old() {
        let mut table = table(0..8);
        let old = everybody(&table);
        for number in 0..20_000_u32 {
            let mut id = far(0).0;
            id.0[4..8].copy_from_slice(&number.to_be_bytes());
            let [_, a, b, c] = number.to_be_bytes();
            table.replied(1, id, at([11 + a, b, c, 1], 1));
        }
        assert_eq!(everybody(&table), old);
        assert_eq!(table.buckets[0].spares.len(), K);
    }

    #[test]
    fn nobody_takes_the_id_or_the_address_of_a_node_that_answers() {
        let mut table = table(0..4);
        let (id, addr) = far(1);
        table.replied(1, id, at([66, 6, 6, 6], 1));
        assert!(everybody(&table).contains(&(id, addr)));
        table.replied(1, far(50).0, at([8, 8, 1, 1], 7));
        assert_eq!(everybody(&table).len(), 4);
        // At the very same address the newest answer counts.
        table.replied(1, far(60).0, addr);
        let now = everybody(&table);
        assert!(now.contains(&(far(60).0, addr)) && !now.contains(&(id, addr)));
    }

    #[test]
    fn the_closest_come_first_whatever_bucket_they_are_in() {
        let mut chance = rtor_plugin::SecretChance::new(5);
        let own = NodeId::drawn(&mut chance);
        let mut table = Table::new(own);
        for number in 0..500_u32 {
            let [_, _, a, b] = number.to_be_bytes();
            table.replied(0, NodeId::drawn(&mut chance), at([20 + a, b, a, 1], 1));
        }
        let mut all: Vec<Known> = table.good(0).collect();
        for _ in 0..50 {
            let target = NodeId::drawn(&mut chance);
            all.sort_by_key(|(id, _)| id.distance(&target));
            assert_eq!(table.closest(&target, K), all[..K]);
        }
        assert_eq!(table.closest(&own, 1000).len(), all.len());
    }

    #[test]
    fn a_bucket_is_stale_after_a_quarter_of_an_hour_and_a_new_id_sorts_anew() {
        let mut table = table(0..4);
        assert_eq!(table.stale(0), Some(0), "it has room");
        table.touch(0, 0);
        assert_eq!(table.stale(FRESH_US - 1), None);
        assert_eq!(table.stale(FRESH_US), Some(0));
        table.touch(FRESH_US, 0);
        assert_eq!(table.stale(FRESH_US), None);
        let mut own = [0x80; 20];
        own[1] = 0;
        table.moved(FRESH_US, NodeId(own));
        assert_eq!(table.len(), 4);
        assert_eq!(table.stale(FRESH_US), Some(0));
        assert_eq!(table.buckets[8].contacts.len(), 4);
    }

    #[test]
    fn who_asks_us_is_looked_at_only_if_there_is_room() {
        let mut table = table(0..7);
        assert!(table.queried(0, far(20).0, far(20).1));
        table.replied(0, far(7).0, far(7).1);
        assert!(!table.queried(0, far(20).0, far(20).1));
        table.failed(0, far(2).1);
        table.failed(0, far(2).1);
        assert!(table.queried(0, far(20).0, far(20).1));
        assert!(table.queried(0, far(2).0, far(2).1));
    }
}
