//! `rtor.strategy/1`: in which order pieces matter.
//!
//! The host owns the picker; a strategy only writes one key a piece, smaller first. It can
//! reorder, and so can never make the host ask twice, ask for what it has, or not finish.

mod guest;
pub mod host;
mod ranker;

pub use guest::{Strategy, Swarm, entry};
pub use ranker::Ranker;

use crate::{Host, Lent, Status};
use std::ffi::c_void;

/// The interface's id.
pub const INTERFACE: &str = "rtor.strategy/1";

/// The columns of the picker, lent for one call.
#[repr(C)]
pub struct RawSwarm {
    /// `size_of::<RawSwarm>()` on the host's side.
    pub size: u32,
    /// Pieces of the torrent: the length of the columns.
    pub piece_count: u32,
    /// How many connected peers have each piece.
    pub availability: *const u16,
    /// 0 not wanted, 1 to 7 wanted, 4 is normal.
    pub priority: *const u8,
    /// One bit a piece, least significant first, in words of 64: verified and kept.
    pub have: *const u64,
    /// Chance: the same for the whole run.
    pub seed: u64,
    /// Pieces had so far.
    pub have_count: u32,
    /// The piece that a reader waits for; 0 if nobody reads.
    pub playhead: u32,
}

/// The functions of a strategy.
#[repr(C)]
pub struct Table {
    /// `size_of::<Table>()` on the guest's side.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// `[engine]` Makes an instance from `key=value,..`; on `FAILED` it has logged why.
    pub create: unsafe extern "C" fn(
        host: *const Host,
        options: Lent<'_>,
        instance: *mut *mut c_void,
    ) -> Status,
    /// `[engine]` Ends an instance.
    pub destroy: unsafe extern "C" fn(instance: *mut c_void),
    /// `[engine]` When this number changes, the keys of all pieces are asked for again.
    pub epoch: unsafe extern "C" fn(
        instance: *mut c_void,
        swarm: *const RawSwarm,
        epoch: *mut u64,
    ) -> Status,
    /// `[engine]` Writes the keys of `count` pieces, smaller first.
    pub rank: unsafe extern "C" fn(
        instance: *mut c_void,
        swarm: *const RawSwarm,
        pieces: *const u32,
        keys: *mut u64,
        count: usize,
    ) -> Status,
}
