//! A swarm on virtual time: the same engine and the same plugins, no socket, no clock. Pure.
//!
//! A [`World`] has nodes with links between them and a queue of things that will happen. Bytes of
//! blocks are not made up: a block is good or bad, and takes its time on the wire. The same seed
//! gives the same run, to the microsecond, on any number of threads.

mod crew;
mod endpoint;
mod happening;
mod link;
mod map;
mod node;
mod outcome;
mod outside;
mod parcel;
mod path;
mod plan;
mod post;
mod queue;
mod shard;
mod swarm;
mod traffic;
mod turn;
mod world;

pub use link::Link;
pub use node::{ALWAYS, Going, Manner, Moved, NodeId};
pub use outcome::{End, Figures, GroupOutcome, NodeOutcome, Outcome, Spread};
pub use plan::{Group, Leaves, Plan, TrackerPlan};
pub use swarm::{GuestsOf, RankOf, run};
pub use world::{Asked, Cue, World, torrent_of, torrent_of_bytes};
