//! [`Shard`]: nodes that are played on one thread, one after the other.
//!
//! Up to the end of a window no node can hear what another does in it, so each is played to the
//! end before the next: what it needs is then near at hand, where in the order of time every
//! happening would find the caches full of other nodes.

use super::happening::{Happening, Letter};
use super::map::Map;
use super::node::{Node, NodeId};
use super::post::{Deal, Post};
use super::queue::Queue;
use super::turn::{Desk, News, Turn};
use crate::engine::Time;

/// Some of the nodes of a world.
pub(super) struct Shard {
    number: usize,
    deal: Deal,
    nodes: Vec<Node>,
    /// When each node has something to do; outdated if the node's own `due` is another.
    due: Queue<usize>,
    /// Letters from each shard.
    bags: Vec<Vec<Letter>>,
    desk: Desk,
}

impl Shard {
    pub(super) fn new(number: usize, deal: Deal) -> Self {
        Self {
            number,
            deal,
            nodes: Vec::new(),
            due: Queue::new(),
            bags: (0..deal.0).map(|_| Vec::new()).collect(),
            desk: Desk::new(Post::new(deal)),
        }
    }

    /// Takes in the node that is dealt to it next.
    pub(super) fn place(&mut self, node: Node) {
        self.nodes.push(node);
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[self.deal.place(id)]
    }

    /// When something happens next to one of its nodes, or to one that its letters are for.
    pub(super) fn next(&mut self) -> Option<Time> {
        while let Some((time, at)) = self.due.peek() {
            if self.nodes[*at].due == Some(time) {
                return Some(self.desk.post.earliest().map_or(time, |first| first.min(time)));
            }
            self.due.pop_before(time + 1);
        }
        self.desk.post.earliest()
    }

    /// It will happen to one of its nodes.
    pub(super) fn plan(&mut self, node: NodeId, time: Time, order: u64, what: Happening) {
        let at = self.deal.place(node);
        self.nodes[at].agenda.push(time, order, what);
        self.mind(at);
    }

    /// One of its nodes takes a turn at `now`.
    pub(super) fn turn(
        &mut self,
        map: &Map,
        now: Time,
        id: NodeId,
        take: impl FnOnce(&mut Turn<'_>),
    ) {
        let at = self.deal.place(id);
        take(&mut Turn { now, id, node: &mut self.nodes[at], map, desk: &mut self.desk });
        self.mind(at);
    }

    /// All that happens to its nodes before `end`.
    pub(super) fn run_before(&mut self, map: &Map, end: Time) {
        self.take_in();
        while let Some((time, at)) = self.due.pop_before(end) {
            let node = &mut self.nodes[at];
            if node.due != Some(time) {
                continue;
            }
            node.due = None;
            let id = NodeId((at * self.deal.0 + self.number) as u32);
            self.turn(map, time, id, |turn| turn.run_before(end));
        }
    }

    /// Gives `other` its letters for it.
    pub(super) fn hand_over(&mut self, other: &mut Self) {
        self.desk.post.hand_over(other.number, &mut other.bags[self.number]);
    }

    /// Keeps its letters to itself.
    pub(super) fn keep_own(&mut self) {
        self.desk.post.hand_over(self.number, &mut self.bags[self.number]);
        self.desk.post.handed_over();
    }

    /// What its nodes have for the world.
    pub(super) fn news(&mut self) -> News {
        std::mem::take(&mut self.desk.news)
    }

    /// Puts letters where they belong.
    fn take_in(&mut self) {
        for from in 0..self.bags.len() {
            let mut bag = std::mem::take(&mut self.bags[from]);
            for Letter { to, time, order, what } in bag.drain(..) {
                self.plan(to, time, order, what);
            }
            self.bags[from] = bag;
        }
    }

    /// The agenda of a node has changed.
    fn mind(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(next) = node.agenda.next() else { return };
        if node.due.is_none_or(|due| next < due) {
            node.due = Some(next);
            self.due.push(next, at as u64, at);
        }
    }
}
