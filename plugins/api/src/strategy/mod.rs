//! `rtor.strategy/1`: in which order pieces matter, and which of them are wanted by a moment.
//!
//! The host owns the picker. To the first question, order, a strategy writes one key a piece,
//! smaller first. To the second, urgency, which is optional, it lists the few pieces that
//! somebody waits for, each with the time that is left; the host gives those to the peers that
//! deliver soonest. It can reorder, and so can never make the host ask for what it has, or not
//! finish.

mod guest;
pub mod host;
mod ranker;

mod swarm;
mod urgency;

pub use guest::{Strategy, entry};
pub use ranker::Ranker;
pub use swarm::{RawSwarm, Swarm};
pub use urgency::{RawUrgent, URGENT_MAX, Urgencies, Urgency, Urgent, WITHIN_US_MAX};

use crate::abi::Grown;
use crate::{Host, Lent, Status};
use std::ffi::c_void;
use std::mem::offset_of;

/// The interface's id.
pub const INTERFACE: &str = "rtor.strategy/1";

/// The functions of a strategy.
#[repr(C)]
#[derive(Clone, Copy)]
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
    /// `[engine]` Lists at most `capacity` pieces that are wanted by a moment, soonest first, and
    /// how many in `count`. Since minor 1; null: none ever is.
    pub urgent: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            swarm: *const RawSwarm,
            list: *mut RawUrgent,
            capacity: usize,
            count: *mut usize,
        ) -> Status,
    >,
}

// SAFETY: `urgent` alone was appended, and may be null; the others are listed.
unsafe impl Grown for Table {
    const FIRST_BYTES: usize = offset_of!(Self, urgent);
    const FUNCTIONS: &'static [usize] = &[
        offset_of!(Self, create),
        offset_of!(Self, destroy),
        offset_of!(Self, epoch),
        offset_of!(Self, rank),
    ];
}
