//! [`Node`]: a node of the DHT, client and server, without a clock or a socket.
//!
//! A datagram goes in with the time and the address that it came from; what is to be sent and
//! what was found is pushed to [`Out`]. It is two nodes in one, one in the DHT of each address
//! family (BEP 32), each with an id of its own since an id depends on the address (BEP 42).

use crate::address::{Family, canonical, is_believable, is_usable};
use crate::asked::{Asked, Overdue, Purpose, Question};
use crate::id::NodeId;
use crate::krpc::{self, Ask, Message, Port, Query, Reply, Want};
use crate::lookup::{Goal, Lookup};
use crate::server::Server;
use crate::side::{Hint, Side};
use crate::table::K;
use crate::upkeep::PING_US;
use rtor_plugin::SecretChance;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Lookups that may be under way, each family's counted: a download has one, upkeep another.
const LOOKUPS_MAX: usize = 16;

/// What follows from a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// Send this datagram.
    Send {
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// Peers of the torrent that was looked up; each is told once a lookup.
    Found {
        /// What [`Node::lookup`] returned.
        lookup: u64,
        /// Where they are said to be.
        peers: Vec<SocketAddr>,
    },
    /// A lookup is over, and the torrent announced if that was wanted.
    Ended {
        /// What [`Node::lookup`] returned.
        lookup: u64,
        /// Nodes that were asked.
        asked: u32,
        /// Nodes that answered.
        answered: u32,
    },
}

/// A node of the DHT.
pub struct Node {
    /// It asks and does not answer (BEP 43).
    read_only: bool,
    pub(crate) sides: [Side; 2],
    pub(crate) asked: Asked,
    /// By number and family.
    lookups: BTreeMap<(u64, Family), Lookup>,
    last_number: u64,
    server: Server,
    pub(crate) chance: SecretChance,
}

impl Node {
    /// A node that knows nobody. All that it draws comes from `seed`, which nobody else may know.
    #[must_use]
    pub fn new(seed: u64, read_only: bool) -> Self {
        let mut chance = SecretChance::new(seed);
        Self {
            read_only,
            sides: Family::BOTH.map(|family| Side::new(family, &mut chance)),
            asked: Asked::default(),
            lookups: BTreeMap::new(),
            last_number: 0,
            server: Server::new(&mut chance),
            chance,
        }
    }

    /// Nodes to begin with, at addresses that somebody who is trusted gave.
    pub fn bootstrap(&mut self, now_us: u64, addrs: impl IntoIterator<Item = SocketAddr>) {
        for addr in addrs.into_iter().map(canonical).filter(|addr| is_usable(*addr)) {
            let side = &mut self.sides[Family::of(addr) as usize];
            side.reopened();
            side.know(now_us, (None, addr));
        }
    }

    /// A peer said that its node listens there (the PORT message of BEP 5).
    pub fn heard_of(&mut self, now_us: u64, addr: SocketAddr) {
        let addr = canonical(addr);
        if is_usable(addr) {
            self.sides[Family::of(addr) as usize].newcomer(now_us, (None, addr));
        }
    }

    /// Looks up the peers of a torrent, and announces one with `announce`. The number comes back
    /// in [`Out`].
    pub fn lookup(
        &mut self,
        now_us: u64,
        info_hash: NodeId,
        announce: Option<Port>,
        out: &mut Vec<Out>,
    ) -> u64 {
        let number = self.number();
        let goal = Goal::Peers(announce);
        let open = Family::BOTH.map(|family| self.begin(now_us, number, family, info_hash, goal));
        for family in Family::BOTH {
            self.find_own(now_us, number, family, info_hash, out);
        }
        if open == [false; 2] {
            out.push(Out::Ended { lookup: number, asked: 0, answered: 0 });
        }
        for family in Family::BOTH {
            self.step(now_us, (number, family), out);
        }
        number
    }

    /// A datagram came in. Whether it was for a node; if not, somebody else may want it.
    pub fn handle(
        &mut self,
        now_us: u64,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut Vec<Out>,
    ) -> bool {
        let Some(message) = krpc::read(bytes) else { return false };
        let from = canonical(from);
        if !is_usable(from) {
            return true;
        }
        match message {
            Message::Query(query) => self.queried(now_us, from, &query, bytes.len(), out),
            Message::Faulty(transaction, fault) => {
                if !self.read_only && self.server.allows(now_us, from.ip()) {
                    out.push(Out::Send { to: from, bytes: krpc::error(transaction, fault) });
                }
            }
            Message::Reply(reply) => self.replied(now_us, from, &reply, out),
            Message::Refusal(transaction) => self.refused(now_us, from, transaction, out),
        }
        true
    }

    /// Does what is due by now.
    pub fn tick(&mut self, now_us: u64, out: &mut Vec<Out>) {
        while let Some(overdue) = self.asked.overdue(now_us) {
            match overdue {
                Overdue::Slow(question) => {
                    self.advance(now_us, &question, out, |lookup| lookup.slow(question.to));
                }
                Overdue::Dead(question) => {
                    let side = &mut self.sides[Family::of(question.to) as usize];
                    side.table.failed(now_us, question.to);
                    self.advance(now_us, &question, out, |lookup| lookup.lost(question.to));
                }
            }
        }
        for family in Family::BOTH {
            self.upkeep(now_us, family, out);
        }
    }

    /// When to call [`Node::tick`] if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let upkeep = self.sides.iter().filter_map(|side| side.upkeep_us).min();
        [self.asked.deadline(), upkeep].into_iter().flatten().min()
    }

    /// Whether there is anybody to ask.
    #[must_use]
    pub fn is_open(&self, now_us: u64) -> bool {
        self.sides.iter().any(|side| side.is_open(now_us))
    }

    /// Nodes in the table that are not known to be bad.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.sides.iter().map(|side| side.table.len()).sum()
    }

    pub(crate) const fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Begins a lookup in one family, if anybody there can be asked; it still has to be stepped.
    pub(crate) fn begin(
        &mut self,
        now_us: u64,
        number: u64,
        family: Family,
        target: NodeId,
        goal: Goal,
    ) -> bool {
        let side = &self.sides[family as usize];
        let open = side.is_open(now_us) && self.lookups.len() < LOOKUPS_MAX;
        if open {
            let mut lookup = Lookup::new(target, family, goal);
            side.seeds(&target).into_iter().for_each(|(id, addr)| lookup.heard_of(id, addr));
            self.lookups.insert((number, family), lookup);
        }
        open
    }

    /// What others announced to us is found without asking anybody.
    fn find_own(
        &mut self,
        now_us: u64,
        number: u64,
        family: Family,
        info_hash: NodeId,
        out: &mut Vec<Out>,
    ) {
        let peers = self.server.announced(now_us, &info_hash, family, &mut self.chance);
        if let Some(lookup) = self.lookups.get_mut(&(number, family)) {
            lookup.peers(peers.iter().copied());
        }
        if !peers.is_empty() {
            out.push(Out::Found { lookup: number, peers });
        }
    }

    /// Asks whom the lookup wants to ask next, or ends it.
    pub(crate) fn step(&mut self, now_us: u64, key: (u64, Family), out: &mut Vec<Out>) {
        loop {
            let Some(lookup) = self.lookups.get_mut(&key) else { return };
            if lookup.is_over() {
                return self.ended(now_us, key, out);
            }
            let Some(hint) = lookup.next() else { return };
            let ask = match lookup.goal {
                Goal::Nodes => Ask::FindNode(lookup.target),
                Goal::Peers(_) => Ask::GetPeers(lookup.target),
            };
            let sent = self.ask(now_us, hint, Purpose::Lookup(key.0), ask, out);
            if !sent && let Some(lookup) = self.lookups.get_mut(&key) {
                lookup.lost(hint.1);
            }
        }
    }

    /// Sends a query, if not too many are under way.
    pub(crate) fn ask(
        &mut self,
        now_us: u64,
        (id, to): Hint,
        purpose: Purpose,
        ask: Ask<'_>,
        out: &mut Vec<Out>,
    ) -> bool {
        let family = Family::of(to);
        let side = &self.sides[family as usize];
        let slow_us = now_us.saturating_add(side.round_trips.slow_us());
        let dead_us = now_us.saturating_add(side.round_trips.dead_us());
        let question = Question { to, id, purpose, sent_us: now_us, slow_us, dead_us };
        let Some(transaction) = self.asked.begin(question, &mut self.chance) else { return false };
        let tells_nodes = matches!(ask, Ask::FindNode(_) | Ask::GetPeers(_));
        let both = tells_nodes && self.sides[family.other() as usize].is_sparse(now_us);
        let want = Want { v4: both, v6: both };
        let (sender, read_only) = (side.id, self.read_only);
        let query = Query { transaction: &transaction, sender, ask, want, read_only };
        out.push(Out::Send { to, bytes: krpc::query(&query) });
        true
    }

    fn ended(&mut self, now_us: u64, key: (u64, Family), out: &mut Vec<Out>) {
        let Some(lookup) = self.lookups.remove(&key) else { return };
        let (number, family) = key;
        if let Goal::Peers(Some(port)) = lookup.goal {
            let info_hash = lookup.target;
            for (id, to, token) in lookup.closest() {
                let ask = Ask::AnnouncePeer { info_hash, port, token };
                self.ask(now_us, (Some(id), to), Purpose::Announce, ask, out);
            }
        }
        let (asked, answered) = (lookup.asked, lookup.answered);
        self.sides[family as usize].ended(now_us, number, asked, answered);
        let (asked, answered) = (asked + lookup.elsewhere.0, answered + lookup.elsewhere.1);
        match self.lookups.get_mut(&(number, family.other())) {
            Some(twin) => twin.elsewhere = (asked, answered),
            None if lookup.goal == Goal::Nodes => {}
            None => out.push(Out::Ended { lookup: number, asked, answered }),
        }
    }

    fn queried(
        &mut self,
        now_us: u64,
        from: SocketAddr,
        query: &Query<'_>,
        size: usize,
        out: &mut Vec<Out>,
    ) {
        if self.read_only || !self.server.allows(now_us, from.ip()) {
            return;
        }
        let Self { server, sides, chance, .. } = self;
        let answer = server.answer(now_us, from, query, size, sides, chance);
        out.extend(answer.map(|bytes| Out::Send { to: from, bytes }));
        let side = &mut sides[Family::of(from) as usize];
        let may_stand = !query.read_only && query.sender.fits(from.ip());
        if may_stand && side.table.queried(now_us, query.sender, from) {
            // Not now: whoever forged the address would get two datagrams for one.
            side.newcomer(now_us.saturating_add(PING_US), (Some(query.sender), from));
        }
    }

    fn replied(&mut self, now_us: u64, from: SocketAddr, reply: &Reply<'_>, out: &mut Vec<Out>) {
        let Some(question) = self.asked.answered(reply.transaction, from) else { return };
        let family = Family::of(from);
        let side = &mut self.sides[family as usize];
        side.round_trips.measured(now_us.saturating_sub(question.sent_us));
        side.answered(now_us, from, question.id, reply, &mut self.chance);
        let own = side.id;
        let is_who_was_asked = question.id.is_none_or(|id| id == reply.sender);
        if !is_who_was_asked && !reply.sender.fits(from.ip()) {
            return self.advance(now_us, &question, out, |lookup| lookup.useless(from));
        }
        let Purpose::Lookup(number) = question.purpose else { return };
        self.know_others(now_us, from, reply);
        let key = (number, family);
        let Some(lookup) = self.lookups.get_mut(&key) else { return };
        let nodes = reply.nodes(family);
        lookup.told(nodes.filter(|(id, addr)| *id != own && is_believable(*addr, from)));
        lookup.answered(from, reply.sender, reply.token);
        if lookup.goal != Goal::Nodes {
            let peers = reply.peers().map(canonical).filter(|peer| is_believable(*peer, from));
            let peers = lookup.peers(peers);
            if !peers.is_empty() {
                out.push(Out::Found { lookup: number, peers });
            }
        }
        self.step(now_us, key, out);
    }

    /// Keeps nodes of the family of which too few are known.
    fn know_others(&mut self, now_us: u64, from: SocketAddr, reply: &Reply<'_>) {
        let other = Family::of(from).other();
        let side = &mut self.sides[other as usize];
        if side.is_sparse(now_us) {
            for (id, addr) in reply.nodes(other).take(K) {
                if id.fits(addr.ip()) && is_believable(addr, from) {
                    side.know(now_us, (Some(id), addr));
                }
            }
        }
    }

    /// A node answered with an error: it is there, and of no use for this.
    fn refused(&mut self, now_us: u64, from: SocketAddr, transaction: &[u8], out: &mut Vec<Out>) {
        if let Some(question) = self.asked.answered(transaction, from) {
            self.advance(now_us, &question, out, |lookup| lookup.useless(from));
        }
    }

    /// Tells the lookup that `question` belongs to, if any, and lets it go on.
    fn advance(
        &mut self,
        now_us: u64,
        question: &Question,
        out: &mut Vec<Out>,
        tell: impl FnOnce(&mut Lookup),
    ) {
        let Purpose::Lookup(number) = question.purpose else { return };
        let key = (number, Family::of(question.to));
        if let Some(lookup) = self.lookups.get_mut(&key) {
            tell(lookup);
            self.step(now_us, key, out);
        }
    }
}
