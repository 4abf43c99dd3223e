//! Urgency: which pieces are wanted by a moment, from the guest's list to the host's.

use super::Swarm;

/// Pieces that one answer may list: at 16 MiB/s and pieces of 256 KiB, those of four seconds.
pub const URGENT_MAX: usize = 256;

/// The most time that an urgent piece has, in microseconds: a day. More is cut down to it, so
/// that the host may add it to its clock.
pub const WITHIN_US_MAX: u64 = 24 * 60 * 60 * 1_000_000;

/// A piece that is wanted by a moment, in C layout.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawUrgent {
    /// Which.
    pub piece: u32,
    /// Zero.
    pub reserved: u32,
    /// Microseconds from now until it should be there.
    pub within_us: u64,
}

impl RawUrgent {
    /// A place in which nothing was written: a piece of no torrent.
    pub const NONE: Self = Self { piece: u32::MAX, reserved: 0, within_us: 0 };
}

/// A piece that is wanted by a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urgent {
    /// Which: still to come.
    pub piece: u32,
    /// Microseconds from now until it should be there, at most [`WITHIN_US_MAX`].
    pub within_us: u64,
}

impl Urgent {
    /// Makes `out` what is of use in `list`, soonest first and else as listed, each piece once.
    ///
    /// Left out are pieces that are had or not wanted, and pieces beyond the torrent: a window
    /// that is one too long at the end of a file is no reason to lose the whole strategy, and
    /// nothing can be broken by a piece that is not in the answer.
    pub(super) fn accepted(swarm: &Swarm<'_>, list: &[RawUrgent], out: &mut Vec<Self>) {
        out.clear();
        out.extend(
            list.iter()
                .filter(|raw| swarm.is_missing(raw.piece))
                .map(|raw| Self { piece: raw.piece, within_us: raw.within_us.min(WITHIN_US_MAX) }),
        );
        out.sort_by_key(|urgent| urgent.within_us);
        let mut kept = 0;
        for at in 0..out.len() {
            // At most `URGENT_MAX` of them: looking through beats any table.
            if out[..kept].iter().all(|sooner| sooner.piece != out[at].piece) {
                out[kept] = out[at];
                kept += 1;
            }
        }
        out.truncate(kept);
    }
}

/// How a strategy answers the second question: pushes the pieces that are wanted by a moment,
/// soonest first.
///
/// It is asked after [`epoch`](super::Strategy::epoch), again when that number changed, when
/// pieces were had, and when the reader moved, but not when peers come and go. The host has the
/// clock: it makes a moment of the time that is left, so what was once said need not be repeated.
pub type Urgency<S> = fn(&mut S, &Swarm<'_>, &mut Urgencies<'_>);

/// Where a strategy pushes urgent pieces during one call.
pub struct Urgencies<'a> {
    list: &'a mut [RawUrgent],
    pushed: usize,
}

impl<'a> Urgencies<'a> {
    /// As many as `list` has places.
    #[must_use]
    pub const fn new(list: &'a mut [RawUrgent]) -> Self {
        Self { list, pushed: 0 }
    }

    /// `piece` should be there within so many microseconds. Ignored once [`Urgencies::room`] is 0.
    pub const fn push(&mut self, piece: u32, within_us: u64) {
        if self.room() > 0 {
            self.list[self.pushed] = RawUrgent { piece, reserved: 0, within_us };
            self.pushed += 1;
        }
    }

    /// How many more pieces are heard.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.list.len() - self.pushed
    }
}
