//! [`Hurry`]: the pieces that a strategy wants by a certain time.

use super::Rank;
use crate::engine::time::Time;
use crate::torrent::{Layout, PieceIndex};
use rtor_plugin::strategy::{Swarm, Urgent};

/// What the answer depended on: the epoch, the pieces had, what is read.
type Facts = (u64, u32, u32);

/// Urgent pieces, soonest first.
#[derive(Debug, Default)]
pub(super) struct Hurry {
    pieces: Vec<(PieceIndex, Time)>,
    asked: Option<Facts>,
    answer: Vec<Urgent>,
}

impl Hurry {
    /// Asks the strategy, if it has something to say and what it depends on changed.
    pub(super) fn refresh(
        &mut self,
        now: Time,
        rank: &mut dyn Rank,
        swarm: &Swarm<'_>,
        layout: &Layout,
    ) {
        if !rank.has_urgency() {
            self.pieces.clear();
            return;
        }
        let facts = (rank.epoch(swarm), swarm.have_count, swarm.playhead);
        if self.asked.replace(facts) == Some(facts) {
            return;
        }
        rank.urgent(swarm, &mut self.answer);
        // Who names a piece again does not put it off: it would never be late.
        let moment = |urgent: &Urgent| {
            let piece = layout.piece(urgent.piece)?;
            let by = now + urgent.within_us;
            Some((piece, self.by(piece).map_or(by, |before| before.min(by))))
        };
        let mut pieces: Vec<(PieceIndex, Time)> = self.answer.iter().filter_map(moment).collect();
        pieces.sort_by_key(|(_, by)| *by);
        self.pieces = pieces;
    }

    /// By when the piece is wanted, if it is urgent.
    pub(super) fn by(&self, piece: PieceIndex) -> Option<Time> {
        self.pieces.iter().find(|(urgent, _)| *urgent == piece).map(|(_, by)| *by)
    }

    /// The `n`th of them.
    pub(super) fn nth(&self, n: usize) -> Option<(PieceIndex, Time)> {
        self.pieces.get(n).copied()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}
