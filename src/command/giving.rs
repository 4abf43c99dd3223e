//! How much to give back, and to whom: the options of every verb that seeds.

use super::quantity;
use crate::driver::Goal;
use crate::engine::{Choking, SeedChoke};
use std::time::Duration;

/// Whom to serve, and until when.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Seeding")]
pub(super) struct Giving {
    /// Seed until so many times the size of what is here was given
    #[arg(long, value_name = "R", value_parser = quantity::ratio)]
    ratio: Option<f64>,
    /// Seed for so long
    #[arg(long = "for", value_name = "DURATION", value_parser = quantity::duration)]
    time: Option<Duration>,
    /// Peers served at once [default: by the rate]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    slots: Option<u16>,
    /// Whom a seed serves: everybody in turn, or those who take fastest
    #[arg(long, value_name = "ORDER", default_value = "round-robin")]
    choke: Order,
}

/// `--choke`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Order {
    RoundRobin,
    Fastest,
}

impl Giving {
    /// Whom to serve.
    pub(super) fn choking(&self) -> Choking {
        Choking {
            slots: self.slots.map(usize::from),
            limit: None,
            seed: match self.choke {
                Order::RoundRobin => SeedChoke::RoundRobin,
                Order::Fastest => SeedChoke::Fastest,
            },
        }
    }

    /// Until when.
    pub(super) const fn goal(&self) -> Goal {
        Goal { ratio: self.ratio, time: self.time }
    }

    /// Whether the user said until when.
    pub(super) const fn has_goal(&self) -> bool {
        self.ratio.is_some() || self.time.is_some()
    }
}
