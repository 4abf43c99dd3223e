//! [`run`]: a [`Plan`] played from beginning to end.
//!
//! Nodes hear of each other from a tracker that is only a list: who comes announces, and is told
//! of others that are here. If discovery guests find them instead, the list answers the announces
//! of the guest that asks trackers, and nobody is told who did not ask.

use super::node::NodeId;
use super::outcome::{End, GroupOutcome, NodeOutcome, Outcome, ideal_us};
use super::plan::{Group, Leaves, Plan};
use super::world::{Asked, Cue, World, torrent_of};
use crate::engine::picker::Rank;
use crate::engine::time::SECOND_US;
use crate::engine::{Guest, Time};
use crate::torrent::Bitfield;
use crate::torrent::bencode::Node;
use rtor_plugin::Chance;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Of a million.
const MILLION: u64 = 1_000_000;
/// Cues: what they are about is in the low bits, the node above them.
const COMES: u64 = 0;
const ANNOUNCES: u64 = 1;
const LEAVES: u64 = 2;
const LOOKS: u64 = 3;
const KINDS: u64 = 4;

/// Makes the order of pieces of a node, by its group's number in the plan.
pub type RankOf<'a> = dyn FnMut(usize) -> Box<dyn Rank> + 'a;

/// Makes the discovery guests of a node.
pub type GuestsOf<'a> = dyn FnMut() -> Vec<Guest> + 'a;

/// Plays `plan` to its end on so many threads, which changes nothing about what comes of it.
pub fn run(
    plan: &Plan,
    threads: usize,
    rank_of: &mut RankOf<'_>,
    guests_of: &mut GuestsOf<'_>,
) -> Outcome {
    let mut swarm = Swarm::new(plan, threads);
    let end = swarm.play(rank_of, guests_of);
    swarm.outcome(end)
}

/// What the play knows of a node beside the world.
struct Member {
    group: usize,
    /// What it had when it first came.
    had: Bitfield,
    joined: Time,
    came: bool,
    /// When it announces next.
    announces_at: Time,
}

struct Swarm<'a> {
    plan: &'a Plan,
    world: World,
    chance: Chance,
    members: Vec<Member>,
    /// Who is here, in no order that matters; and where each stands in it.
    present: Vec<NodeId>,
    place: Vec<Option<usize>>,
    /// Nodes that must have everything and do not.
    awaited: usize,
    /// When the last of those that have everything got it.
    last: Time,
    /// Nodes that will come, or come back.
    to_come: usize,
    verified_before: u64,
}

impl<'a> Swarm<'a> {
    fn new(plan: &'a Plan, threads: usize) -> Self {
        let info = torrent_of(plan.pieces, plan.piece_length);
        let mut swarm = Self {
            plan,
            world: World::on_threads(info, plan.seed, threads),
            chance: Chance::new(plan.seed),
            members: Vec::new(),
            present: Vec::new(),
            place: Vec::new(),
            awaited: 0,
            last: Time(0),
            to_come: 0,
            verified_before: 0,
        };
        for (number, group) in plan.groups.iter().enumerate() {
            (0..group.count).for_each(|_| swarm.enlist(number, group));
        }
        swarm.world.cue_at(Time(plan.idle_us), LOOKS);
        swarm
    }

    fn enlist(&mut self, number: usize, group: &Group) {
        let node = self.world.place(group.link, group.manner);
        let had = self.drawn_pieces(group);
        let (first, last) = group.joins_us;
        let joined = Time(first + self.chance.below(last.saturating_sub(first) + 1));
        self.awaited += usize::from(group.is_awaited());
        self.to_come += 1;
        self.members.push(Member { group: number, had, joined, came: false, announces_at: joined });
        self.place.push(None);
        self.cue(joined, COMES, node);
    }

    /// What a node of `group` has from the start.
    fn drawn_pieces(&mut self, group: &Group) -> Bitfield {
        let pieces = self.plan.pieces as usize;
        if group.is_seed() {
            return Bitfield::full(pieces);
        }
        let mut had = Bitfield::new(pieces);
        let count = u64::from(group.have_ppm) * u64::from(self.plan.pieces) / MILLION;
        for index in self.drawn(self.plan.pieces as usize, count as usize) {
            had.insert(index);
        }
        had
    }

    /// `count` different numbers below `bound`, all of them if that is fewer (Floyd's way).
    fn drawn(&mut self, bound: usize, count: usize) -> BTreeSet<usize> {
        let mut drawn = BTreeSet::new();
        for last in bound - count.min(bound)..bound {
            let number = self.chance.below(last as u64 + 1) as usize;
            drawn.insert(if drawn.contains(&number) { last } else { number });
        }
        drawn
    }

    fn cue(&mut self, time: Time, kind: u64, node: NodeId) {
        self.world.cue_at(time, u64::from(node.0) * KINDS + kind);
    }

    fn play(&mut self, rank_of: &mut RankOf<'_>, guests_of: &mut GuestsOf<'_>) -> End {
        while self.awaited > 0 {
            let Some(cue) = self.world.run_to_cue(Time(self.plan.limit_us)) else {
                return End::Limit;
            };
            match cue {
                Cue::Completed(node) => self.completed(node),
                Cue::Asked(asked) => self.answers(asked),
                Cue::Due(number) => {
                    let node = NodeId((number / KINDS) as u32);
                    match number % KINDS {
                        COMES => self.comes(node, rank_of, guests_of),
                        ANNOUNCES => self.announces(node),
                        LEAVES => self.leaves(node),
                        _ if self.is_idle() => return End::Idle,
                        _ => {}
                    }
                }
            }
        }
        End::Complete
    }

    fn group(&self, node: NodeId) -> &'a Group {
        &self.plan.groups[self.members[node.at()].group]
    }

    fn comes(&mut self, node: NodeId, rank_of: &mut RankOf<'_>, guests_of: &mut GuestsOf<'_>) {
        let now = self.world.now();
        self.to_come -= 1;
        let member = &mut self.members[node.at()];
        let again = std::mem::replace(&mut member.came, true);
        let have = if again { self.world.have(node).clone() } else { member.had.clone() };
        let rank = rank_of(member.group);
        self.place[node.at()] = Some(self.present.len());
        self.present.push(node);
        self.world.come(node, have, self.plan.connections, rank, guests_of());
        match self.group(node).leaves {
            Leaves::After(us) => self.cue(now + us, LEAVES, node),
            Leaves::Churn { stays_us, .. } => {
                let stays_us = self.about(stays_us);
                self.cue(now + stays_us, LEAVES, node);
            }
            Leaves::Never | Leaves::Complete(_) => {}
        }
        if !self.plan.has_guests {
            self.announces(node);
        }
    }

    /// Between half and one and a half times `us`.
    fn about(&mut self, us: u64) -> u64 {
        us / 2 + self.chance.below(us + 1)
    }

    fn announces(&mut self, node: NodeId) {
        let now = self.world.now();
        let due = std::mem::replace(&mut self.members[node.at()].announces_at, now) <= now;
        if !due || !self.world.is_here(node) || self.world.completed_at(node).is_some() {
            return;
        }
        let told = now + 2 * self.group(node).link.latency_us;
        for other in self.others(node) {
            self.world.introduce_at(told, node, other);
        }
        let next = now + self.plan.tracker.every_us;
        self.members[node.at()].announces_at = next;
        self.cue(next, ANNOUNCES, node);
    }

    /// Whom the tracker names to `node`.
    fn others(&mut self, node: NodeId) -> Vec<NodeId> {
        let told = self.plan.tracker.told;
        // One more is drawn, for it may draw itself.
        let drawn = self.drawn(self.present.len(), told + 1).into_iter();
        let others = drawn.map(|at| self.present[at]).filter(|other| *other != node);
        others.take(told).collect()
    }

    /// The tracker answers an announce (BEP 3, "tracker responses"; BEP 23).
    fn answers(&mut self, asked: Asked) {
        let peers = self.others(asked.node).into_iter().map(NodeId::addr);
        let peers: Vec<u8> = peers
            .flat_map(|addr| match addr.ip() {
                IpAddr::V4(ip) => [&ip.octets()[..], &addr.port().to_be_bytes()].concat(),
                IpAddr::V6(_) => Vec::new(),
            })
            .collect();
        let interval_s = (self.plan.tracker.every_us / SECOND_US) as i64;
        let entries = [("interval", Node::Integer(interval_s)), ("peers", Node::from(peers))];
        let told = asked.at + 2 * self.group(asked.node).link.latency_us;
        self.world.answer(asked, told, Node::dictionary(entries).encode().into());
    }

    fn completed(&mut self, node: NodeId) {
        let group = self.group(node);
        let Some(at) = self.world.completed_at(node) else { return };
        let first = self.world.verified(node).next_back().is_some();
        // A seed says so too, when it comes.
        if group.is_awaited() && first {
            self.awaited -= 1;
            self.last = self.last.max(at);
        }
        if let Leaves::Complete(us) = group.leaves {
            self.cue(at + us, LEAVES, node);
        }
    }

    fn leaves(&mut self, node: NodeId) {
        let now = self.world.now();
        let group = self.group(node);
        let complete = self.world.completed_at(node).is_some();
        if let Leaves::Churn { away_us, .. } = group.leaves {
            if complete {
                return;
            }
            self.to_come += 1;
            let away_us = self.about(away_us);
            self.cue(now + away_us, COMES, node);
        }
        self.world.go(node, group.going);
        let Some(at) = self.place[node.at()].take() else { return };
        self.present.swap_remove(at);
        if let Some(moved) = self.present.get(at) {
            self.place[moved.at()] = Some(at);
        }
    }

    /// Whether nothing was verified since the last look, and nobody is to come.
    fn is_idle(&mut self) -> bool {
        self.world.cue_at(self.world.now() + self.plan.idle_us, LOOKS);
        let verified = self.world.verified_count();
        let before = std::mem::replace(&mut self.verified_before, verified);
        verified == before && self.to_come == 0
    }

    fn outcome(&self, end: End) -> Outcome {
        let mut groups: Vec<GroupOutcome> =
            self.plan.groups.iter().map(|_| GroupOutcome::default()).collect();
        let mut held = Bitfield::new(self.plan.pieces as usize);
        for (number, member) in self.members.iter().enumerate() {
            let node = NodeId(number as u32);
            groups[member.group].nodes.push(self.node_outcome(node, member));
            for (guest, count) in self.world.found(node) {
                *groups[member.group].found.entry(guest.clone()).or_default() += count;
            }
            if self.world.is_here(node) {
                self.world.have(node).iter().for_each(|piece| {
                    held.insert(piece);
                });
            }
        }
        Outcome {
            end,
            at: if end == End::Complete { self.last } else { self.world.now() },
            pieces_nowhere: held.len() - held.count(),
            ideal_us: ideal_us(self.plan, self.members.iter().map(|m| (m.group, &m.had))),
            groups,
        }
    }

    fn node_outcome(&self, node: NodeId, member: &Member) -> NodeOutcome {
        let missing = member.had.len() - member.had.count();
        let completed = self.world.completed_at(node).filter(|_| missing > 0);
        // As the engine has it: when at most one of a hundred is still to come.
        let at_99 = (missing - missing / 100).checked_sub(1);
        let at_99 = at_99.and_then(|nth| self.world.verified(node).nth(nth));
        let (banned, faults) = self.world.blamed(node);
        let group = self.group(node);
        NodeOutcome {
            awaited: group.is_awaited(),
            completed_us: completed.map(|at| at.since_us(member.joined)),
            t_99_to_100_us: completed.zip(at_99).map(|(end, (from, _))| end.since_us(from)),
            moved: self.world.moved(node),
            banned,
            faults,
        }
    }
}
