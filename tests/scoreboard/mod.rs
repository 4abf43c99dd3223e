//! The scoreboard: what rtor must survive, a row a file, each with a figure and a target.
//!
//! Rows go through the real binary from outside. As ordinary tests they run at their short scale;
//! `scripts/scoreboard --long` runs them at the scale that `docs/RELIABILITY.md` reports, and
//! gathers what [`Row`] wrote down. A row has one `#[test]` or more, and each says its figure
//! whether it is good or not, so that a missed target has one too.

mod corpus;
mod mutant;
mod r01_corpus;
mod r03_hashes;
mod r14_confined;
mod r17_rot;
mod r18_terminal;
mod r19_manifests;
mod r23_sim;

use serde_json::json;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write as _;

/// `long` when the long form runs, else `short`.
pub fn scale<T>(short: T, long: T) -> T {
    if std::env::var_os("RTOR_SCOREBOARD").is_some_and(|form| form == "long") {
        long
    } else {
        short
    }
}

/// A row, or the part of one that a test is about.
pub struct Row {
    number: u8,
    name: &'static str,
    target: &'static str,
}

impl Row {
    /// Row `number`, in words, and what is to be reached, in words too.
    pub fn new(number: u8, name: &'static str, target: &'static str) -> Self {
        Self { number, name, target }
    }

    /// Writes down what was seen, for whoever gathers it.
    ///
    /// # Panics
    /// If the target was not reached.
    #[track_caller]
    pub fn saw(&self, figure: impl Display, reached: bool) {
        let figure = figure.to_string();
        if let Some(path) = std::env::var_os("RTOR_SCOREBOARD_FILE") {
            let line = json!({
                "row": self.number,
                "name": self.name,
                "figure": figure,
                "target": self.target,
                "pass": reached,
            });
            let file = OpenOptions::new().create(true).append(true).open(path);
            // In one write: rows run beside each other.
            let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
            written.expect("the file takes a line");
        }
        let Self { number, name, target } = self;
        assert!(reached, "row {number}, {name}: {figure}; the target is {target}");
    }
}
