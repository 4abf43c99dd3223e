//! The command line: the list of verbs, and the options that all of them have.
//!
//! A verb is one file of [`crate::command`] with its `Args` and its `run`; a new one is a line in
//! [`Verb`] and a line in [`Verb::run`]. Words that clap does not understand exit 2, as every
//! unusable input does.

use crate::command::{self, globals::Globals};
use crate::env::Env;
use crate::error::{Error, Exit};
use clap::builder::styling::Styles;

/// A BitTorrent toolkit: composable verbs, one JSON manifest between them.
#[derive(Debug, clap::Parser)]
#[command(name = "rtor", version, about, styles = Styles::plain())]
#[command(disable_help_subcommand = false, subcommand_required = true)]
#[command(after_help = "Exit codes: 0 done, 1 the answer is no, 2 unusable input, \
    3 the world failed, 130 interrupted and resumable.")]
pub struct Cli {
    /// What every verb has.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Show what a torrent, magnet or info hash says, as a manifest
    Decode(command::decode::Args),
    /// Say which files matter, how files and pieces lie to each other, and what is odd
    Analyze(command::analyze::Args),
    /// Download pieces into a store that verify and assemble work on
    Fetch(command::fetch::Args),
    /// Hash a piece store or finished data, and say what is damaged or missing
    Verify(command::verify::Args),
    /// Write the files of a torrent from a piece store
    Assemble(command::assemble::Args),
    /// Download straight into the final files
    Get(command::get::Args),
    /// Give finished data, or a piece store, to whoever asks
    Seed(command::seed::Args),
    /// Play a swarm of simulated peers, described in a file, on virtual time
    Sim(command::sim::Args),
    /// Show the plugins that can be used, and where they come from
    Plugins(command::plugins::Args),
    /// Make a torrent of a file or a folder
    Create(command::create::Args),
    /// Print the magnet URI of a torrent
    Magnet(command::magnet::Args),
}

impl Verb {
    /// Does it.
    ///
    /// # Errors
    /// As the verb says.
    pub fn run(self, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
        match self {
            Self::Decode(args) => command::decode::run(&args, globals, env),
            Self::Analyze(args) => command::analyze::run(&args, globals, env),
            Self::Fetch(args) => command::fetch::run(&args, globals, env),
            Self::Verify(args) => command::verify::run(&args, globals, env),
            Self::Assemble(args) => command::assemble::run(&args, globals, env),
            Self::Get(args) => command::get::run(&args, globals, env),
            Self::Seed(args) => command::seed::run(&args, globals, env),
            Self::Sim(args) => command::sim::run(&args, globals, env),
            Self::Plugins(args) => command::plugins::run(&args, globals, env),
            Self::Create(args) => command::create::run(&args, globals, env),
            Self::Magnet(args) => command::magnet::run(&args, globals, env),
        }
    }
}
