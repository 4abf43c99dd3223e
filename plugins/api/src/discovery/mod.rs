//! `rtor.discovery/1`: who else is in the swarm.
//!
//! A guest gets facts and pushes wishes; the host owns every socket. So a guest needs no
//! runtime, runs in the simulator, and never sees an extension id or a file descriptor.

mod fact;
mod guest;
pub mod host;
mod raw;
pub mod virtual_time;
mod wish;

pub use fact::{Fact, Reply, Totals, Tracker};
pub use guest::{Answer, Discovery, Wishes, entry};
pub use raw::{
    RawDatagram, RawDht, RawExtension, RawFact, RawFactBody, RawFound, RawHeard, RawHttpGet,
    RawHttpGetOver, RawHttpReply, RawMapped, RawMulticast, RawNode, RawPeer, RawReport, RawResolve,
    RawResolved, RawSink, RawStarted, RawState, RawTracker, RawWish, RawWishBody, Table, fact_kind,
    wish_kind,
};
pub use wish::Wish;

/// The interface's id.
pub const INTERFACE: &str = "rtor.discovery/1";
