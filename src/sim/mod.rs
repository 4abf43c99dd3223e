//! A swarm on virtual time: the same engine and the same plugins, no socket, no clock. Pure.
//!
//! A [`World`] has nodes with links between them and a heap of things that will happen. Bytes of
//! blocks are not made up: a block is good or bad, and takes its time on the wire. The same seed
//! gives the same run, to the microsecond.

mod node;
mod world;

pub use node::{Link, Manner, NodeId};
pub use world::{World, torrent_of, torrent_of_bytes};
