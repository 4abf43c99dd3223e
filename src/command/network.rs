//! The network options, the same on every verb that talks to a swarm.

use super::quantity;
use std::net::SocketAddr;
use std::time::Duration;

/// How to find and reach peers.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Network")]
pub(super) struct Network {
    /// Listen here (default: port 6881, or any that is free)
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Option<SocketAddr>,
    /// Connect to this peer too (repeatable)
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) peer: Vec<SocketAddr>,
    /// Find peers only by these plugins (default: all)
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(super) discover: Vec<String>,
    /// Do not find peers by these plugins
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(super) no_discover: Vec<String>,
    /// Ask no trackers
    #[arg(long)]
    pub(super) no_trackers: bool,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) max_peers: u16,
    /// Give up when nothing arrived for so long
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    pub(super) timeout: Option<Duration>,
}
