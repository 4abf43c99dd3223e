//! rtor: a BitTorrent toolkit for the command line.
//!
//! The rooms, in reading order. Rooms that think ([`torrent`], [`wire`], [`engine`]) have no
//! socket, file, clock, thread or lock; rooms that touch the world ([`net`], [`disk`], [`host`],
//! [`driver`]) decide nothing about BitTorrent. `docs/ARCHITECTURE.md` says why.

pub mod torrent;
pub mod wire;

pub mod engine;

pub mod disk;
pub mod host;
pub mod manifest;
pub mod net;

pub mod driver;

pub mod command;
