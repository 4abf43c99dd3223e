//! What a run was: [`Outcome`] at its end, [`Progress`] and events, through [`Watch`], before.

use crate::engine::{Event, Report};
use crate::torrent::Bitfield;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every wanted piece is verified and stored.
    Complete,
    /// Enough was given, or for long enough.
    Seeded,
    /// It was told to stop.
    Stopped,
    /// Nothing arrived for as long as the user would wait.
    NothingArrived,
}

/// Until when to go on when everything is there; without either for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Goal {
    /// Until so many times the bytes of what is here were given.
    pub ratio: Option<f64>,
    /// For so long.
    pub time: Option<Duration>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Why.
    pub end: End,
    /// What it was like.
    pub report: Report,
    /// Pieces that are verified and stored.
    pub have: Bitfield,
    /// Bytes of them.
    pub have_bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// The most bytes in block buffers at once.
    pub memory_peak: u64,
    /// Where it listened.
    pub port: u16,
    /// Where others reached it by way of a router.
    pub external: Option<SocketAddr>,
}

/// Who was there.
#[derive(Debug)]
pub struct Seen {
    /// Peers, and what they have.
    pub report: Report,
    /// How many of those that are here have each piece.
    pub availability: Vec<u16>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Since it began.
    pub seconds: f64,
    /// Pieces verified.
    pub have: usize,
    /// Bytes of wanted pieces that are still to come.
    pub left_bytes: u64,
    /// Bytes of blocks received.
    pub downloaded_bytes: u64,
    /// Bytes of blocks sent.
    pub uploaded_bytes: u64,
    /// Peers here.
    pub peers: usize,
}

/// Whoever watches a run: a progress bar, an event log.
pub trait Watch {
    /// Something happened, `seconds` after the beginning.
    fn told(&mut self, seconds: f64, event: &Event);
    /// How far it is, a few times a second.
    fn progressed(&mut self, progress: &Progress);
}
