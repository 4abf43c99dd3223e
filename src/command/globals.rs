//! [`Globals`]: the options that every verb has, and in which [`Form`] a result is printed.

use crate::env::Env;
use std::path::PathBuf;

/// What every verb has.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Globals {
    /// Print JSON, also to a terminal
    #[arg(long, global = true, conflicts_with = "table")]
    pub json: bool,
    /// Print a table, also to a pipe
    #[arg(long, global = true)]
    pub table: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more; twice: still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// No colour on stderr
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Write events, one JSON object a line, to FILE, or to stdout with `-`
    #[arg(long, global = true, value_name = "FILE|-")]
    pub events: Option<PathBuf>,
    /// Load a plugin file (repeatable)
    #[arg(long, global = true, value_name = "FILE")]
    pub plugin: Vec<PathBuf>,
    /// Leave out the plugins that are linked in
    #[arg(long, global = true)]
    pub no_bundled: bool,
}

/// In which form a verb prints its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For programs.
    Json,
    /// For people.
    Table,
}

impl Globals {
    /// A table on a terminal and JSON otherwise, unless the user says which.
    #[must_use]
    pub const fn form(&self, env: &Env) -> Form {
        if self.table || (!self.json && env.stdout_is_terminal()) {
            Form::Table
        } else {
            Form::Json
        }
    }
}
