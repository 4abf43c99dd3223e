//! `--max-down`, `--max-up` and their like: rates that are kept, and may be changed while it runs.

use super::quantity;
use crate::disk::named_file;
use crate::env::Env;
use crate::error::Error;
use crate::net::{Limits, Rates};
use std::path::{Path, PathBuf};

/// Bytes that a file of limits may have.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Rates.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct Limiting {
    /// Bytes a second to receive at the most, `10M`; 0: no limit
    #[arg(long, value_name = "RATE", value_parser = quantity::rate)]
    max_down: Option<u64>,
    /// Bytes a second to send at the most
    #[arg(long, value_name = "RATE", value_parser = quantity::rate)]
    max_up: Option<u64>,
    /// The same of each peer
    #[arg(long, value_name = "RATE", value_parser = quantity::rate)]
    max_peer_down: Option<u64>,
    /// The same to each peer
    #[arg(long, value_name = "RATE", value_parser = quantity::rate)]
    max_peer_up: Option<u64>,
    /// Limits that are read now, and again on SIGHUP: lines like `max-up 500k`, with the names of
    /// these options. What the file does not name is as the options say
    #[arg(long, value_name = "FILE")]
    limits: Option<PathBuf>,
}

/// The limits of a run, and the file from which they are read again.
pub(super) struct Kept {
    pub(super) limits: Limits,
    usual: Rates,
    file: Option<PathBuf>,
}

impl Limiting {
    /// Limits as the user says.
    ///
    /// # Errors
    /// If the file can't be read or understood.
    pub(super) fn kept(&self, env: &Env) -> Result<Kept, Error> {
        let usual = Rates {
            down: self.max_down,
            up: self.max_up,
            peer_down: self.max_peer_down,
            peer_up: self.max_peer_up,
        };
        let file = self.limits.as_ref().map(|file| env.path(file));
        let rates = file.as_deref().map_or(Ok(usual), |file| read(file, usual))?;
        Ok(Kept { limits: Limits::new(rates), usual, file })
    }
}

impl Kept {
    /// Whether there is a file.
    pub(super) const fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the file again, if there is one; a sentence for people if that fails, and then nothing
    /// changes.
    pub(super) fn read_again(&self) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let rates = read(file, self.usual).map_err(|why| why.to_string())?;
        self.limits.set(rates);
        Ok(())
    }
}

fn read(file: &Path, usual: Rates) -> Result<Rates, Error> {
    let bytes = named_file::read(file, FILE_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    parse(&text, usual)
        .map_err(|why| Error::input(format!("`{}` is no file of limits: {why}", file.display())))
}

fn parse(text: &str, mut rates: Rates) -> Result<Rates, String> {
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (name, rate) = line
            .split_once(|c: char| c == '=' || c.is_whitespace())
            .ok_or_else(|| format!("line {number}: `{line}` is not like `max-up 500k`"))?;
        let rate = rate.trim_matches(|c: char| c == '=' || c.is_whitespace());
        let rate = quantity::rate(rate).map_err(|why| format!("line {number}: {why}"))?;
        let known = match name.trim() {
            "max-down" => &mut rates.down,
            "max-up" => &mut rates.up,
            "max-peer-down" => &mut rates.peer_down,
            "max-peer-up" => &mut rates.peer_up,
            name => return Err(format!("line {number}: `{name}` is no limit")),
        };
        *known = Some(rate);
    }
    Ok(rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_what_it_names() {
        let usual = Rates { down: Some(5), up: Some(6), ..Rates::default() };
        let rates = parse("# slow\nmax-up 500k\nmax-peer-down=0 # none\n\n", usual);
        assert_eq!(rates, Ok(Rates { up: Some(500_000), peer_down: Some(0), ..usual }));
        let cases = [
            ("\nmax-up", "line 2: `max-up` is not like `max-up 500k`"),
            ("max-up fast", "line 1: `fast` is no rate like `500k` or `10M`"),
            ("max-ups 5", "line 1: `max-ups` is no limit"),
        ];
        for (text, why) in cases {
            assert_eq!(parse(text, usual), Err(why.to_owned()));
        }
    }
}
