//! [`Telling`]: what one peer was told of the others, and when it may be told more.

use crate::SECOND;
use crate::address::can_be_peer;
use crate::message::{Contact, Message};
use rtor_plugin::Chance;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// From one message to a peer to the next (BEP 11: at most one a minute).
pub(crate) const INTERVAL_US: u64 = 60 * SECOND;
/// How long news wait for more: when a download begins, many peers join within seconds. A
/// newcomer has said by then which extensions it speaks: before that, no message would reach it.
pub(crate) const GATHER_US: u64 = 5 * SECOND;
/// Peers that one message adds, of both families together (BEP 11); and as many that it drops.
pub(crate) const CONTACTS_MAX: usize = 50;

/// One peer's view of our other peers.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    /// Those that it was told to be here. As long as some of them are gone, a message drops as
    /// many as it may add: so these are never more than were shared at once.
    told: BTreeSet<SocketAddr>,
    /// When the next message may leave.
    next_us: u64,
    /// When it does, if there is something to tell.
    due_us: Option<u64>,
}

impl Telling {
    /// Somebody joined or left.
    pub(crate) fn changed(&mut self, now_us: u64) {
        let due_us = now_us.saturating_add(GATHER_US).max(self.next_us);
        self.due_us.get_or_insert(due_us);
    }

    /// When a message may be due.
    pub(crate) const fn due_us(&self) -> Option<u64> {
        self.due_us
    }

    /// The message to the peer at `to`, if it is due and says something. `present` are the peers
    /// of whom others are told, with their flags.
    pub(crate) fn due(
        &mut self,
        now_us: u64,
        to: SocketAddr,
        present: &BTreeMap<SocketAddr, u8>,
        chance: &mut Chance,
    ) -> Option<Message> {
        self.due_us.take_if(|due_us| *due_us <= now_us)?;
        let is_news = |addr: SocketAddr| {
            addr != to && can_be_peer(addr, to.ip()) && !self.told.contains(&addr)
        };
        let news = present.iter().filter(|(addr, _)| is_news(**addr));
        let mut added: Vec<Contact> = news.map(|(&addr, &flags)| Contact { addr, flags }).collect();
        let left = self.told.iter().filter(|addr| !present.contains_key(*addr));
        let mut dropped: Vec<SocketAddr> = left.copied().collect();
        if added.is_empty() && dropped.is_empty() {
            return None;
        }
        self.next_us = now_us.saturating_add(INTERVAL_US);
        if added.len() > CONTACTS_MAX || dropped.len() > CONTACTS_MAX {
            self.due_us = Some(self.next_us);
            // Or everybody would be told the same fifty first.
            chance.shuffle(&mut added);
            added.truncate(CONTACTS_MAX);
            dropped.truncate(CONTACTS_MAX);
        }
        self.told.retain(|addr| !dropped.contains(addr));
        self.told.extend(added.iter().map(|contact| contact.addr));
        Some(Message { added, dropped })
    }
}
