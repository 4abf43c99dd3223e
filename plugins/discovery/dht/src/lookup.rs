//! [`Lookup`]: the way to the nodes closest to a target, a few questions at a time (BEP 5).
//!
//! Of all nodes that were heard of, the closest that was not asked yet is asked next, until the
//! eight closest have answered. A question that is slow makes room for another one; its answer
//! still counts. Nodes whose id does not fit their address (BEP 42) are asked last, since anybody
//! can make such up next to any target; and of one network only a few are.
//!
//! It knows no time: whoever asks says when a question is slow, and when it is dead.

use crate::address::{Family, is_local, is_same_host, network};
use crate::id::NodeId;
use crate::krpc::{Known, Port};
use crate::table::K;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Questions at a time: `alpha` of Kademlia.
const ALPHA: usize = 4;
/// Nodes that are remembered: the eight that are sought, and many to fall back upon.
const CANDIDATES_MAX: usize = 64;
/// Nodes of one /24 or /64 among them.
const NETWORK_MAX: usize = 3;
/// Questions in all: several times what an honest network needs, so that liars cannot keep a
/// lookup going.
const QUESTIONS_MAX: u32 = 80;
/// Peers that one lookup finds: more than a host takes from it.
const PEERS_MAX: usize = 2000;
/// Nodes that one answer may tell: twice what BEP 5 allows.
const NODES_PER_ANSWER_MAX: usize = 2 * K;
/// Bytes of another node's token that are sent back: those in use have 4 to 20.
const TOKEN_BYTES_MAX: usize = 64;

/// What a lookup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The closest nodes themselves.
    Nodes,
    /// The peers of a torrent; and where to announce ourselves, if at all.
    Peers(Option<Port>),
}

/// What is known of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    New,
    Asked,
    /// Asked, and it takes its time.
    Slow,
    Answered,
    /// It did not answer, or it lied.
    Out,
}

#[derive(Clone, Debug)]
struct Candidate {
    /// First those whose id fits their address, then those whose id is unknown, then the rest.
    rank: (u8, [u8; 20]),
    id: Option<NodeId>,
    addr: SocketAddr,
    state: State,
    may_retry: bool,
    token: Vec<u8>,
}

impl Candidate {
    const fn is_waited_for(&self) -> bool {
        matches!(self.state, State::Asked | State::Slow)
    }
}

/// A lookup under way.
pub(crate) struct Lookup {
    pub(crate) target: NodeId,
    pub(crate) family: Family,
    pub(crate) goal: Goal,
    /// Closest first.
    candidates: Vec<Candidate>,
    found: BTreeSet<SocketAddr>,
    retried: bool,
    pub(crate) asked: u32,
    pub(crate) answered: u32,
    /// Asked and answered in the other family, once that is over.
    pub(crate) elsewhere: (u32, u32),
}

impl Lookup {
    pub(crate) const fn new(target: NodeId, family: Family, goal: Goal) -> Self {
        Self {
            target,
            family,
            goal,
            candidates: Vec::new(),
            found: BTreeSet::new(),
            retried: false,
            asked: 0,
            answered: 0,
            elsewhere: (0, 0),
        }
    }

    /// A node that may be asked.
    pub(crate) fn heard_of(&mut self, id: Option<NodeId>, addr: SocketAddr) {
        if Family::of(addr) != self.family {
            return;
        }
        let rank = self.rank(id, addr);
        // A port at which nobody answered must not hide the one at which the host does.
        let is_it =
            |c: &Candidate| c.addr == addr || (c.state != State::Out && is_same_host(c.addr, addr));
        let near = |c: &&Candidate| network(c.addr.ip()) == network(addr.ip());
        let crowded =
            !is_local(addr.ip()) && self.candidates.iter().filter(near).count() >= NETWORK_MAX;
        if crowded || self.candidates.iter().any(is_it) {
            return;
        }
        if self.candidates.len() >= CANDIDATES_MAX {
            // Only who owes no answer may be forgotten.
            let last = self.candidates.iter().rposition(|c| !c.is_waited_for());
            match last {
                Some(last) if self.candidates[last].rank > rank => {
                    self.candidates.remove(last);
                }
                Some(_) | None => return,
            }
        }
        let (state, token) = (State::New, Vec::new());
        self.insert(Candidate { rank, id, addr, state, may_retry: true, token });
    }

    /// Somebody told of these nodes.
    pub(crate) fn told(&mut self, nodes: impl Iterator<Item = Known>) {
        for (id, addr) in nodes.take(NODES_PER_ANSWER_MAX) {
            self.heard_of(Some(id), addr);
        }
    }

    /// Peers were told of: those that are new.
    pub(crate) fn peers(&mut self, peers: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
        let mut new = Vec::new();
        for peer in peers {
            if self.found.len() < PEERS_MAX && self.found.insert(peer) {
                new.push(peer);
            }
        }
        new
    }

    /// Whom to ask next, if anybody now.
    pub(crate) fn next(&mut self) -> Option<(Option<NodeId>, SocketAddr)> {
        let under_way = self.candidates.iter().filter(|c| c.state == State::Asked).count();
        if under_way >= ALPHA || self.asked >= QUESTIONS_MAX {
            return None;
        }
        // The slow ones have no place among the eight until they answer.
        let next = self
            .candidates
            .iter_mut()
            .filter(|c| c.state != State::Out && c.state != State::Slow)
            .take(K)
            .find(|c| c.state == State::New)?;
        next.state = State::Asked;
        self.asked += 1;
        Some((next.id, next.addr))
    }

    /// Whether nothing more will come of it. One that came to a poor end asks those again that
    /// did not answer, once: a lost datagram must not hide the node that has the peers.
    pub(crate) fn is_over(&mut self) -> bool {
        let over = |lookup: &Self| {
            let waiting = lookup.candidates.iter().any(Candidate::is_waited_for);
            !waiting && (lookup.asked >= QUESTIONS_MAX || !lookup.has_next())
        };
        if !over(self) {
            return false;
        }
        let without_peers = self.found.is_empty() && self.goal != Goal::Nodes;
        let is_poor = without_peers || self.answered == 0;
        if is_poor && !self.retried {
            self.retried = true;
            let lost = |c: &&mut Candidate| c.state == State::Out && c.may_retry;
            for candidate in self.candidates.iter_mut().take(2 * K).filter(lost) {
                candidate.state = State::New;
                candidate.may_retry = false;
            }
        }
        over(self)
    }

    /// `addr` answered as `id`, whatever it said besides.
    pub(crate) fn answered(&mut self, addr: SocketAddr, id: NodeId, token: Option<&[u8]>) {
        let Some(at) = self.candidates.iter().position(|c| c.addr == addr) else { return };
        let mut candidate = self.candidates.remove(at);
        candidate.state = State::Answered;
        candidate.id = Some(id);
        candidate.rank = self.rank(Some(id), addr);
        if let Some(token) = token.filter(|token| token.len() <= TOKEN_BYTES_MAX) {
            candidate.token = token.to_vec();
        }
        self.answered += 1;
        self.insert(candidate);
    }

    /// `addr` takes its time.
    pub(crate) fn slow(&mut self, addr: SocketAddr) {
        self.set(addr, State::Slow, true);
    }

    /// `addr` did not answer.
    pub(crate) fn lost(&mut self, addr: SocketAddr) {
        self.set(addr, State::Out, true);
    }

    /// `addr` is not who it was said to be, or refused.
    pub(crate) fn useless(&mut self, addr: SocketAddr) {
        self.set(addr, State::Out, false);
    }

    /// Where to announce: the closest that gave a token and have an id that fits (BEP 42).
    pub(crate) fn closest(&self) -> impl Iterator<Item = (NodeId, SocketAddr, &[u8])> {
        let answered = self.candidates.iter().filter(|c| c.state == State::Answered);
        let fitting = answered.filter(|c| c.rank.0 == 0).take(K);
        fitting.filter(|c| !c.token.is_empty()).filter_map(|c| Some((c.id?, c.addr, &*c.token)))
    }

    fn has_next(&self) -> bool {
        let live = self.candidates.iter().filter(|c| c.state != State::Out);
        live.take(K).any(|c| c.state == State::New)
    }

    fn set(&mut self, addr: SocketAddr, state: State, may_retry: bool) {
        let waiting = self.candidates.iter_mut().filter(|c| c.is_waited_for());
        let mut waiting = waiting.filter(|c| c.addr == addr);
        if let Some(candidate) = waiting.next() {
            candidate.state = state;
            candidate.may_retry &= may_retry;
        }
    }

    fn rank(&self, id: Option<NodeId>, addr: SocketAddr) -> (u8, [u8; 20]) {
        match id {
            Some(id) if id.fits(addr.ip()) => (0, id.distance(&self.target)),
            None => (1, [0; 20]),
            Some(id) => (2, id.distance(&self.target)),
        }
    }

    fn insert(&mut self, candidate: Candidate) {
        let at = self.candidates.partition_point(|other| other.rank <= candidate.rank);
        self.candidates.insert(at, candidate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: NodeId = NodeId([0; 20]);

    /// A node on a local network, where every id fits, so far from the target.
    fn node(distance: u8) -> Known {
        let mut id = [0; 20];
        id[0] = distance;
        (NodeId(id), ([10, 0, 0, distance], 1).into())
    }

    fn lookup(distances: impl Iterator<Item = u8>) -> Lookup {
        let mut lookup = Lookup::new(TARGET, Family::V4, Goal::Nodes);
        distances.for_each(|distance| {
            let (id, addr) = node(distance);
            lookup.heard_of(Some(id), addr);
        });
        lookup
    }

    /// Asks everybody who may be asked now.
    fn asked(lookup: &mut Lookup) -> Vec<SocketAddr> {
        std::iter::from_fn(|| lookup.next()).map(|(_, addr)| addr).collect()
    }

    fn addrs<const N: usize>(distances: [u8; N]) -> Vec<SocketAddr> {
        distances.map(|distance| node(distance).1).to_vec()
    }

    fn answers(lookup: &mut Lookup, distance: u8) {
        let (id, addr) = node(distance);
        lookup.answered(addr, id, Some(b"token"));
    }

    #[test]
    fn the_closest_are_asked_four_at_a_time_until_eight_have_answered() {
        let mut lookup = lookup((1..=20).rev());
        assert_eq!(asked(&mut lookup), addrs([1, 2, 3, 4]));
        (1..=4).for_each(|distance| answers(&mut lookup, distance));
        assert_eq!(asked(&mut lookup), addrs([5, 6, 7, 8]));
        (5..=8).for_each(|distance| answers(&mut lookup, distance));
        assert_eq!(asked(&mut lookup), []);
        assert!(lookup.is_over());
        assert_eq!(
            lookup.closest().map(|(_, addr, _)| addr).collect::<Vec<_>>(),
            addrs([1, 2, 3, 4, 5, 6, 7, 8])
        );
    }

    #[test]
    fn a_closer_one_that_is_told_of_comes_next() {
        let mut lookup = lookup(10..=30);
        asked(&mut lookup);
        lookup.told([node(5)].into_iter());
        answers(&mut lookup, 12);
        assert_eq!(asked(&mut lookup), addrs([5]));
    }

    #[test]
    fn a_slow_one_makes_room_and_still_counts_and_a_lost_one_is_replaced() {
        let mut lookup = lookup(1..=20);
        asked(&mut lookup);
        lookup.slow(node(1).1);
        assert_eq!(asked(&mut lookup), addrs([5]));
        lookup.lost(node(2).1);
        assert_eq!(asked(&mut lookup), addrs([6]));
        for distance in [3, 4, 5, 6] {
            answers(&mut lookup, distance);
        }
        assert_eq!(asked(&mut lookup), addrs([7, 8, 9, 10]));
        for distance in [7, 8, 9, 10] {
            answers(&mut lookup, distance);
        }
        assert!(!lookup.is_over(), "the slow one may still answer");
        answers(&mut lookup, 1);
        assert!(lookup.is_over());
        assert_eq!(lookup.closest().next().map(|(id, ..)| id), Some(node(1).0));
    }

    #[test]
    fn without_any_peers_the_lost_are_asked_once_more_and_liars_are_not() {
        let mut lookup = lookup(1..=3);
        lookup.goal = Goal::Peers(None);
        asked(&mut lookup);
        answers(&mut lookup, 1);
        lookup.lost(node(2).1);
        lookup.useless(node(3).1);
        assert!(!lookup.is_over());
        assert_eq!(asked(&mut lookup), addrs([2]));
        lookup.lost(node(2).1);
        assert!(lookup.is_over());
        assert_eq!((lookup.asked, lookup.answered), (4, 1));
    }

    #[test]
    fn ids_that_do_not_fit_are_asked_last_and_never_announced_to() {
        let mut lookup = Lookup::new(TARGET, Family::V4, Goal::Peers(None));
        let made_up: SocketAddr = ([8, 8, 8, 8], 1).into();
        lookup.heard_of(Some(TARGET), made_up);
        for distance in 1..=8 {
            let (id, addr) = node(distance);
            lookup.heard_of(Some(id), addr);
        }
        for distance in 1..=8 {
            asked(&mut lookup);
            answers(&mut lookup, distance);
        }
        lookup.peers([made_up].into_iter());
        assert!(lookup.is_over());
        assert_eq!(lookup.asked, 8);
        // Where there are not enough others it is better than nobody.
        let mut lookup = Lookup::new(TARGET, Family::V4, Goal::Peers(None));
        lookup.heard_of(Some(TARGET), made_up);
        assert_eq!(asked(&mut lookup), [made_up]);
        lookup.answered(made_up, TARGET, Some(b"token"));
        assert_eq!(lookup.closest().count(), 0);
    }

    #[test]
    fn one_network_and_one_host_get_only_so_many_places() {
        let mut lookup = Lookup::new(TARGET, Family::V4, Goal::Nodes);
        for last in 0..20 {
            lookup.heard_of(None, ([8, 8, 8, last], 1).into());
            lookup.heard_of(None, ([9, 9, 9, 9], u16::from(last) + 1).into());
        }
        assert_eq!(lookup.candidates.len(), NETWORK_MAX + 1);
    }

    #[test]
    fn a_made_up_port_does_not_hide_the_host() {
        let mut lookup = Lookup::new(TARGET, Family::V4, Goal::Nodes);
        let [wrong, right] = [1, 2].map(|port| SocketAddr::from(([8, 8, 8, 8], port)));
        lookup.heard_of(None, wrong);
        assert_eq!(asked(&mut lookup), [wrong]);
        lookup.lost(wrong);
        lookup.heard_of(None, right);
        lookup.heard_of(None, wrong);
        assert_eq!(asked(&mut lookup), [right]);
    }

    #[test]
    fn liars_cannot_keep_it_going() {
        let mut lookup = lookup([200].into_iter());
        for round in 0..10_000_u32 {
            let Some((_, addr)) = lookup.next() else { break };
            let [_, _, a, b] = round.to_be_bytes();
            let mut id = [0; 20];
            id[..4].copy_from_slice(&(u32::MAX / 2 - round).to_be_bytes());
            lookup.told([(NodeId(id), ([10, 1 + a, b, 1], 1).into())].into_iter());
            lookup.answered(addr, NodeId(id), None);
        }
        assert!(lookup.is_over());
        assert_eq!(lookup.asked, QUESTIONS_MAX);
        assert!(lookup.candidates.len() <= CANDIDATES_MAX);
    }
}
