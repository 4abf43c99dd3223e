//! [`Choker`]: whom to serve.
//!
//! Every [`ROUND_US`] the peers that gave us most (or, once we have everything, took most) keep
//! their slots, and one slot goes to somebody drawn by chance, so that newcomers can show what
//! they have (BEP 3, "optimistic unchoking").

use super::PeerId;
use super::sessions::Sessions;
use super::time::{SECOND_US, Time};
use rtor_plugin::Chance;

/// Peers served at once.
const SLOTS: usize = 8;
/// Of these, drawn by chance.
const SLOTS_OPTIMISTIC: usize = 1;
/// How long a choice holds.
const ROUND_US: u64 = 10 * SECOND_US;

#[derive(Debug)]
pub(super) struct Choker {
    next_round: Time,
}

impl Choker {
    pub(super) const fn new() -> Self {
        Self { next_round: Time(0) }
    }

    /// Whether a peer that has just become interested can be served at once.
    pub(super) fn has_room(sessions: &Sessions) -> bool {
        sessions.values().filter(|s| !s.choked_by_us && s.is_interested).count() < SLOTS
    }

    /// If a round is due: who is to be served from now on.
    pub(super) fn round(
        &mut self,
        now: Time,
        chance: &mut Chance,
        sessions: &mut Sessions,
        complete: bool,
    ) -> Option<Vec<PeerId>> {
        if now < self.next_round {
            return None;
        }
        self.next_round = now + ROUND_US;
        let mut ranked: Vec<(u64, u64, PeerId)> = sessions
            .iter()
            .filter(|(_, session)| session.is_interested)
            .map(|(peer, s)| {
                let worth = if complete { s.uploaded_lately } else { s.downloaded_lately };
                (u64::MAX - worth, chance.draw(), *peer)
            })
            .collect();
        ranked.sort_unstable();
        let mut served: Vec<PeerId> =
            ranked.iter().take(SLOTS - SLOTS_OPTIMISTIC).map(|(.., peer)| *peer).collect();
        let rest = ranked.get(served.len()..).unwrap_or_default();
        let lucky = chance.below(rest.len() as u64) as usize;
        served.extend(rest.get(lucky).map(|(.., peer)| *peer));
        for session in sessions.values_mut() {
            session.downloaded_lately = 0;
            session.uploaded_lately = 0;
        }
        Some(served)
    }
}
