//! [`Side`]: all that a node knows of one of the two DHTs (BEP 32): its own id there, its table,
//! and where to begin.

use crate::address::{Family, is_local, is_usable};
use crate::id::NodeId;
use crate::krpc::Reply;
use crate::round_trip::RoundTrips;
use crate::table::{FRESH_US, K, Table};
use crate::upkeep::{PING_US, REFRESH_US, UPKEEP_US};
use crate::votes::Votes;
use rtor_plugin::SecretChance;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Nodes to begin with: bootstrap nodes, and those of the run before.
pub(crate) const KNOWN_MAX: usize = 64;
/// Nodes that are still to be asked whether they are there; others are forgotten.
const NEWCOMERS_MAX: usize = 32;
/// How long the DHT counts as out of reach after a lookup that nobody answered; doubled each time.
/// A datagram may get lost, or a network be about to come up.
const SILENT_US: u64 = 5 * 1_000_000;
/// And at most: this machine may have no IPv6 at all.
const SILENT_US_MAX: u64 = 5 * 60 * 1_000_000;
/// How soon we look for our own neighbours again: those that had hardly any themselves when we
/// came know more by then. Doubled each time, until it is as rare as any refresh.
const OWN_US_MIN: u64 = 30 * 1_000_000;

/// A node that may be there, with its id if that is known.
pub(crate) type Hint = (Option<NodeId>, SocketAddr);

/// One DHT as we see it.
pub(crate) struct Side {
    pub(crate) family: Family,
    pub(crate) id: NodeId,
    pub(crate) table: Table,
    pub(crate) round_trips: RoundTrips,
    pub(crate) votes: Votes,
    /// Where to begin while the table is empty.
    known: Vec<Hint>,
    /// To be asked whether they are there.
    pub(crate) newcomers: VecDeque<Hint>,
    silent: u32,
    silent_until_us: u64,
    /// The lookup that refreshes a bucket.
    pub(crate) refreshing: Option<u64>,
    /// When to look for our own neighbours again.
    own_due_us: u64,
    own_pause_us: u64,
    /// When to look after all this; never while nobody is known.
    pub(crate) upkeep_us: Option<u64>,
}

impl Side {
    pub(crate) fn new(family: Family, chance: &mut SecretChance) -> Self {
        let id = NodeId::drawn(chance);
        Self {
            family,
            id,
            table: Table::new(id),
            round_trips: RoundTrips::default(),
            votes: Votes::default(),
            known: Vec::new(),
            newcomers: VecDeque::new(),
            silent: 0,
            silent_until_us: 0,
            refreshing: None,
            own_due_us: 0,
            own_pause_us: OWN_US_MIN,
            upkeep_us: None,
        }
    }

    /// A node to begin with.
    pub(crate) fn know(&mut self, now_us: u64, hint: Hint) {
        if self.known.iter().any(|(_, addr)| *addr == hint.1) {
            return;
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.remove(0);
        }
        self.known.push(hint);
        self.wake(now_us);
    }

    /// A node that is to be asked soon whether it is there.
    pub(crate) fn newcomer(&mut self, due_us: u64, hint: Hint) {
        let is_new = self.newcomers.iter().all(|(_, addr)| *addr != hint.1);
        if is_new && self.newcomers.len() < NEWCOMERS_MAX {
            self.newcomers.push_back(hint);
            self.wake(due_us);
        }
    }

    /// Whom a lookup begins with.
    pub(crate) fn seeds(&self, target: &NodeId) -> Vec<Hint> {
        let closest = self.table.closest(target, 2 * K);
        let mut seeds: Vec<Hint> = closest.into_iter().map(|(id, addr)| (Some(id), addr)).collect();
        if seeds.len() < K {
            seeds.extend(&self.known);
        }
        seeds
    }

    /// Whether there is anybody to ask, and reason to believe that somebody answers.
    pub(crate) fn is_open(&self, now_us: u64) -> bool {
        let anybody = !self.known.is_empty() || self.table.len() > 0;
        anybody && !self.is_silent(now_us)
    }

    /// Whether more nodes are needed than there are, and any of use.
    pub(crate) fn is_sparse(&self, now_us: u64) -> bool {
        !self.is_silent(now_us) && self.table.len() < K
    }

    /// Whether nobody answered of late.
    const fn is_silent(&self, now_us: u64) -> bool {
        self.silent > 0 && now_us < self.silent_until_us
    }

    /// A lookup ended.
    pub(crate) fn ended(&mut self, now_us: u64, number: u64, asked: u32, answered: u32) {
        if asked > 0 && answered == 0 {
            let pause_us = SILENT_US.checked_shl(self.silent).unwrap_or(SILENT_US_MAX);
            self.silent = (self.silent + 1).min(16);
            self.silent_until_us = now_us.saturating_add(pause_us.min(SILENT_US_MAX));
            self.wake(self.silent_until_us);
        }
        if self.refreshing == Some(number) {
            self.refreshing = None;
            if answered == 0 {
                (self.own_due_us, self.own_pause_us) = (self.silent_until_us, OWN_US_MIN);
            } else if self.table.len() < K {
                self.own_pause_us = OWN_US_MIN;
                self.own_due_us = self.own_due_us.min(now_us.saturating_add(OWN_US_MIN));
            }
            // There may be buckets now that were not there when it began.
            self.wake(now_us.saturating_add(REFRESH_US));
        }
    }

    /// The way out may be open again: somebody told where to begin.
    pub(crate) const fn reopened(&mut self) {
        self.silent = 0;
    }

    /// `from` answered us; who should have been there is `expected`.
    pub(crate) fn answered(
        &mut self,
        now_us: u64,
        from: SocketAddr,
        expected: Option<NodeId>,
        reply: &Reply<'_>,
        chance: &mut SecretChance,
    ) {
        self.silent = 0;
        if let Some(expected) = expected.filter(|id| *id != reply.sender) {
            self.table.gone(now_us, expected, from);
        }
        // Who makes his id up has no place in the table. He has a vote: before anybody knows where
        // he is, all ids are made up.
        if reply.sender.fits(from.ip())
            && let Some((id, addr)) = self.table.replied(now_us, reply.sender, from)
        {
            self.newcomer(now_us, (Some(id), addr));
        }
        let ours = reply.ip.filter(|ours| {
            // On a local network we are seen at another address than from outside.
            let counts = !is_local(from.ip()) && !is_local(ours.ip()) && is_usable(*ours);
            counts && Family::of(*ours) == self.family
        });
        let elected = ours.and_then(|ours| self.votes.cast(from.ip(), ours.ip()));
        if let Some(ip) = elected.filter(|ip| !self.id.fits(*ip)) {
            self.renamed(now_us, NodeId::at(ip, NodeId::drawn(chance)));
        }
    }

    /// Takes another id.
    pub(crate) fn renamed(&mut self, now_us: u64, id: NodeId) {
        self.id = id;
        self.table.moved(now_us, id);
        (self.own_due_us, self.own_pause_us) = (now_us, OWN_US_MIN);
        self.wake(now_us);
    }

    /// What to look for now so that the table stays whole: our own neighbours first, then somebody
    /// in a bucket that was not touched for long.
    pub(crate) fn refresh(&mut self, now_us: u64, chance: &mut SecretChance) -> Option<NodeId> {
        if now_us >= self.own_due_us {
            self.own_due_us = now_us.saturating_add(self.own_pause_us);
            self.own_pause_us = (self.own_pause_us * 2).min(FRESH_US);
            return Some(self.id);
        }
        let stale = self.table.stale(now_us)?;
        self.table.touch(now_us, stale);
        Some(self.id.beside(stale, chance))
    }

    /// When to look after all this again.
    pub(crate) fn rest(&mut self, now_us: u64) {
        let is_stale = now_us >= self.own_due_us || self.table.stale(now_us).is_some();
        let pause_us = if !self.newcomers.is_empty() {
            PING_US
        } else if self.is_open(now_us) && is_stale {
            REFRESH_US
        } else {
            UPKEEP_US
        };
        let due = [now_us.saturating_add(pause_us), self.own_due_us, self.silent_until_us];
        due.into_iter().filter(|due| *due > now_us).for_each(|due| self.wake(due));
    }

    /// Sees to it that upkeep comes then at the latest.
    pub(crate) fn wake(&mut self, due_us: u64) {
        self.upkeep_us = Some(self.upkeep_us.map_or(due_us, |upkeep| upkeep.min(due_us)));
    }
}
