//! [`Tiers`]: which tracker is asked when (BEP 12).
//!
//! Within a tier trackers are shuffled once, asked from the front until one answers, and the one
//! that answered goes to the front. Tiers are independent of each other: each is asked by
//! itself, where BEP 12 would ask the second only when all of the first fail. That finds peers
//! sooner, and no tracker's failure delays another tier. Nor does a silent tracker hold up its
//! own: after [`PATIENCE_S`] the next one is asked beside it.
//!
//! IPv4 and IPv6 are two swarms at a tracker, which lists us by where we ask from (BEP 7). So
//! each tier stands here once for each family, and a tracker with a name in both; that it cannot
//! be reached over one of them is worth a warning only if the other fails too.

use crate::tracker::{Complaint, Outcome, Tracker};
use crate::turn::Turn;
use crate::url::{Endpoint, Family};
use rtor_plugin::{Chance, Level};
use std::collections::BTreeSet;

/// How long a tier waits for one tracker before it asks the next as well. Nearly all answer in
/// less than two seconds, those that are far away and look a name up first too.
const PATIENCE_S: u64 = 5;
/// With fewer peers than this, and room for more, a tracker is asked as soon as it may be.
const FEW_PEERS: u32 = 8;
/// Trackers of one torrent; what lies beyond is not asked.
pub(crate) const TRACKERS_MAX: usize = 256;

/// A tracker that the torrent names, and that can be asked.
pub(crate) struct Usable<'a> {
    pub(crate) tier: u32,
    pub(crate) url: &'a str,
    pub(crate) endpoint: Endpoint,
}

/// The trackers of a torrent, in tiers.
#[derive(Default)]
pub(crate) struct Tiers {
    trackers: Vec<Tracker>,
    /// For each of them, the same tracker over the other family.
    siblings: Vec<Option<usize>>,
    tiers: Vec<Tier>,
}

/// One tier.
struct Tier {
    /// Indices of trackers, best first.
    order: Vec<usize>,
    /// When the next round begins.
    due_us: u64,
    round: Option<Round>,
}

/// One search for a tracker that answers.
struct Round {
    asked: BTreeSet<usize>,
    /// When the next tracker is asked.
    next_us: u64,
}

impl Tiers {
    /// Tiers of these trackers, due at once.
    pub(crate) fn new(usable: Vec<Usable<'_>>, turn: &mut Turn<'_>) -> Self {
        let mut own = Self::default();
        let mut places: Vec<(u32, Family, usize)> = Vec::new();
        for Usable { tier, url, endpoint } in usable {
            let (first, families) = (own.trackers.len(), endpoint.families());
            let has_choice = families.len() > 1;
            for (&family, index) in families.iter().zip(first..) {
                places.push((tier, family, index));
                let family = has_choice.then_some(family);
                own.trackers.push(Tracker::new(url, endpoint.clone(), family));
                // The other of two.
                own.siblings.push(has_choice.then_some(first + (first + 1 - index)));
            }
        }
        places.sort_unstable();
        for group in places.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let mut order: Vec<usize> = group.iter().map(|(.., tracker)| *tracker).collect();
            Chance::new(turn.chance.draw()).shuffle(&mut order);
            own.tiers.push(Tier { order, due_us: turn.now_us, round: None });
        }
        own
    }

    /// Asks each of these trackers for the counts of the swarm, all at once, and for nothing else.
    pub(crate) fn scraped(usable: Vec<Usable<'_>>, turn: &mut Turn<'_>) -> Self {
        let mut own = Self::default();
        for (index, Usable { url, endpoint, .. }) in usable.into_iter().enumerate() {
            own.trackers.push(Tracker::new(url, endpoint, None));
            own.siblings.push(None);
            own.trackers[index].scrape(turn);
            own.air(index, turn);
        }
        own
    }

    /// Scrapes that are still under way have taken too long.
    pub(crate) fn give_up(&mut self, turn: &mut Turn<'_>) {
        for index in 0..self.trackers.len() {
            self.trackers[index].give_up(turn);
            self.air(index, turn);
        }
    }

    /// Asks `question` of each tracker until one feels meant, and draws the consequences.
    /// `false` if nobody does.
    pub(crate) fn route(
        &mut self,
        turn: &mut Turn<'_>,
        mut question: impl FnMut(&mut Tracker, &mut Turn<'_>) -> Option<Outcome>,
    ) -> bool {
        let meant = self
            .trackers
            .iter_mut()
            .enumerate()
            .find_map(|(index, tracker)| Some((index, question(tracker, turn)?)));
        if let Some((index, outcome)) = meant {
            self.air(index, turn);
            self.settle(index, outcome, turn);
        }
        meant.is_some()
    }

    /// Time passed: sends again, gives up, begins rounds.
    pub(crate) fn tick(&mut self, turn: &mut Turn<'_>) {
        for index in 0..self.trackers.len() {
            let outcome = self.trackers[index].tick(turn);
            self.air(index, turn);
            self.settle(index, outcome, turn);
        }
        for tier in &mut self.tiers {
            if tier.round.is_none() && tier.due_us <= turn.now_us {
                tier.round = Some(Round { asked: BTreeSet::new(), next_us: turn.now_us });
            }
            if tier.round.as_ref().is_some_and(|round| round.next_us <= turn.now_us) {
                tier.ask_next(&mut self.trackers, turn);
            }
        }
    }

    /// When something is to be done.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let tiers = self.tiers.iter().map(|tier| match &tier.round {
            Some(round) => round.next_us,
            None => tier.due_us,
        });
        let trackers = self.trackers.iter().filter_map(Tracker::deadline);
        tiers.chain(trackers).filter(|&us| us != u64::MAX).min()
    }

    /// There are few peers and room for more: asks again as soon as the trackers allow.
    pub(crate) fn hurry(&mut self, turn: &Turn<'_>) {
        if turn.totals.peers_wanted == 0 || turn.totals.peers >= FEW_PEERS {
            return;
        }
        for tier in &mut self.tiers {
            let front = tier.order.first().and_then(|&index| self.trackers.get(index));
            if let Some(front) = front.filter(|front| front.is_well()) {
                tier.due_us = tier.due_us.min(front.free_us());
            }
        }
    }

    /// The download is complete: tells the trackers that knew us as a leech.
    pub(crate) fn completed(&mut self) {
        self.trackers.iter_mut().for_each(Tracker::completed);
        for tier in &mut self.tiers {
            let front = tier.order.first().and_then(|&index| self.trackers.get(index));
            if let Some(front) = front {
                tier.due_us = tier.due_us.min(front.next_us().max(front.free_us()));
            }
        }
    }

    /// Others reach us at another port over this family: tells the trackers that know the one before.
    pub(crate) fn moved(&mut self, family: u8) {
        let meant = self.trackers.iter_mut().filter(|tracker| tracker.family() == family);
        meant.for_each(Tracker::moved);
        for tier in &mut self.tiers {
            let front = tier.order.first().and_then(|&index| self.trackers.get(index));
            if let Some(front) = front {
                tier.due_us = tier.due_us.min(front.next_us().max(front.free_us()));
            }
        }
    }

    /// Leaves every tracker that knows us; no round begins any more.
    pub(crate) fn leave(&mut self, turn: &mut Turn<'_>) {
        for tier in &mut self.tiers {
            (tier.round, tier.due_us) = (None, u64::MAX);
        }
        self.trackers.iter_mut().for_each(|tracker| tracker.leave(turn));
    }

    /// Whether any announce is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.trackers.iter().any(Tracker::is_busy)
    }

    /// Says what is to be said of a tracker. That it fails over one family is no warning while the
    /// other may do.
    fn air(&mut self, index: usize, turn: &mut Turn<'_>) {
        let Some(Complaint { text, is_its_own }) = self.trackers[index].complaint() else {
            return;
        };
        let other = self.siblings[index].map(|other| &self.trackers[other]);
        let matters = is_its_own || other.is_none_or(Tracker::is_failing);
        let level = if matters { Level::Warning } else { Level::Debug };
        turn.report(level, self.trackers[index].url(), &text);
    }

    fn settle(&mut self, index: usize, outcome: Outcome, turn: &mut Turn<'_>) {
        let Some(tier) = self.tiers.iter_mut().find(|tier| tier.order.contains(&index)) else {
            return;
        };
        let Some(round) = tier.round.as_mut().filter(|round| round.asked.contains(&index)) else {
            // A tracker that answered after another one did, or a good-bye.
            return;
        };
        match outcome {
            Outcome::GoingOn => {}
            Outcome::Failed => round.next_us = turn.now_us,
            Outcome::Answered => {
                for &other in round.asked.iter().filter(|&&other| other != index) {
                    self.trackers[other].abandon(turn);
                }
                tier.round = None;
                tier.due_us = self.trackers[index].next_us();
                tier.order.retain(|&other| other != index);
                tier.order.insert(0, index);
            }
        }
    }
}

impl Tier {
    /// Asks the next tracker that may be asked: one that was not asked in this round before one
    /// that failed in it and has paused since. With nobody under way the round ends.
    fn ask_next(&mut self, trackers: &mut [Tracker], turn: &mut Turn<'_>) {
        let Some(round) = &mut self.round else {
            return;
        };
        let idle = || self.order.iter().copied().filter(|&index| !trackers[index].is_busy());
        let mut free = idle().filter(|&index| trackers[index].free_us() <= turn.now_us);
        let again = free.clone().next();
        let next = free.find(|index| !round.asked.contains(index)).or(again);
        // Nobody is free now, so this is later than now.
        let free_us = idle().map(|index| trackers[index].free_us()).min();
        if let Some(index) = next {
            round.asked.insert(index);
            round.next_us = turn.after_s(PATIENCE_S);
            trackers[index].ask(turn);
        } else if round.asked.iter().any(|&index| trackers[index].is_busy()) {
            round.next_us = free_us.unwrap_or(u64::MAX);
        } else {
            self.round = None;
            self.due_us = free_us.unwrap_or_else(|| turn.after_s(PATIENCE_S));
        }
    }
}
