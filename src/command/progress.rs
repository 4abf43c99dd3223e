//! [`Show`]: what a person and a script see of a running download.
//!
//! A bar and what is worth a line on stderr, events as NDJSON wherever `--events` says; stdout
//! stays free for the manifest.

use crate::driver::{Progress, Watch};
use crate::engine::Event;
use crate::manifest::event::EventLine;
use crate::sanitize::sanitize;
use crate::table;
use crate::wire::mse::Method;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rtor_plugin::Level;
use std::io::Write;

/// How often the bar is drawn, a second.
const REDRAWS_A_SECOND: u8 = 5;
/// Seconds over which the rate in the bar is taken.
const RATE_OVER_S: f64 = 3.0;

/// A bar for the check of what is there already.
#[must_use]
pub(super) fn checking(to_terminal: bool, total_bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(total_bytes);
    bar.set_draw_target(target(to_terminal));
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} % checking what is there");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A bar for the hashing of what a torrent is made of.
#[must_use]
pub(super) fn hashing(to_terminal: bool, total_bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(total_bytes);
    bar.set_draw_target(target(to_terminal));
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} % {binary_bytes_per_sec}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn target(to_terminal: bool) -> ProgressDrawTarget {
    if to_terminal {
        ProgressDrawTarget::stderr_with_hz(REDRAWS_A_SECOND)
    } else {
        ProgressDrawTarget::hidden()
    }
}

/// Shows a download.
pub(super) struct Show {
    bar: ProgressBar,
    events: Option<Box<dyn Write>>,
    lines_from: Option<Level>,
    wanted_bytes: u64,
    total_pieces: usize,
    have: usize,
    /// Nothing is to come any more.
    gives: bool,
    /// That of a magnet came.
    metadata: bool,
    rate: f64,
    last: Option<(f64, u64)>,
    /// Lines that were said, so that a failing tracker is not reported again and again.
    said: std::collections::BTreeSet<String>,
}

impl Show {
    /// Shows on stderr, if `to_terminal`; lines of `lines_from` and above are said there.
    pub(super) fn new(
        to_terminal: bool,
        lines_from: Option<Level>,
        events: Option<Box<dyn Write>>,
    ) -> Self {
        let bar = ProgressBar::new(0);
        bar.set_draw_target(target(to_terminal));
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} % {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            bar,
            events,
            lines_from,
            wanted_bytes: 0,
            total_pieces: 0,
            have: 0,
            gives: false,
            metadata: false,
            rate: 0.0,
            last: None,
            said: std::collections::BTreeSet::new(),
        }
    }

    /// What there is to come is known.
    pub(super) fn knows(&mut self, wanted_bytes: u64, total_pieces: usize) {
        (self.wanted_bytes, self.total_pieces) = (wanted_bytes, total_pieces);
        self.bar.set_length(wanted_bytes);
    }

    /// There is nothing to come of these pieces; they are given.
    pub(super) fn gives(&mut self, total_pieces: usize) {
        self.total_pieces = total_pieces;
        self.gives = true;
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&mut self, level: Level, line: String) {
        if self.lines_from.is_some_and(|from| level >= from) && self.said.insert(line.clone()) {
            let line = sanitize(&line).into_owned();
            self.bar.suspend(|| eprintln!("{line}"));
        }
    }

    fn message(&self, progress: &Progress) -> String {
        let peers = progress.peers;
        match (self.total_pieces, self.metadata) {
            (0, false) => format!("looking for the metadata  {peers} peers"),
            (0, true) => "checking what is there".to_owned(),
            (total, _) if self.gives => format!(
                "seeding {}/{total} pieces  {}/s up, {} so far  {peers} peers",
                self.have,
                table::size(self.rate as u64),
                table::size(progress.uploaded_bytes),
            ),
            (total, _) => format!(
                "{}/{total} pieces  {}/s  {peers} peers{}",
                self.have,
                table::size(self.rate as u64),
                eta(progress.left_bytes, self.rate),
            ),
        }
    }

    fn write_event(&mut self, line: &EventLine<'_>) {
        let written = self.events.as_mut().map(|events| events.write_all(&line.to_bytes()));
        // A reader that has left wants no more events; the download goes on.
        if let Some(Err(_)) = written {
            self.events = None;
        }
    }
}

impl Watch for Show {
    fn told(&mut self, seconds: f64, event: &Event) {
        match event {
            Event::Report { level, subject, text, guest } => {
                let about = if subject.is_empty() { guest } else { subject };
                self.line(*level, format!("{}: {about}: {text}", word(*level)));
            }
            Event::Left { addr, why, .. } => {
                self.line(Level::Debug, format!("peer {addr} left: {why}"));
            }
            Event::Joined { addr, .. } => self.line(Level::Debug, format!("peer {addr} joined")),
            Event::Banned { addr, .. } => {
                self.line(Level::Info, format!("peer {addr} sent wrong bytes: banned"));
            }
            Event::Failed(piece) => {
                self.line(Level::Info, format!("piece {} failed its check", piece.get()));
            }
            Event::Metadata(bytes) => {
                self.metadata = true;
                let size = table::size(*bytes as u64);
                self.line(Level::Info, format!("the metadata is here: {size}"));
            }
            Event::Verified(_)
            | Event::Completed
            | Event::Found { .. }
            | Event::Heard { .. }
            | Event::Farewell => {}
        }
        if self.events.is_some()
            && let Some(line) = event_line(seconds, event)
        {
            self.write_event(&line);
        }
    }

    fn progressed(&mut self, progress: &Progress) {
        self.have = progress.have;
        // Once nothing is to come, what goes is of interest.
        self.gives |= self.total_pieces > 0 && progress.left_bytes == 0;
        let moved = if self.gives { progress.uploaded_bytes } else { progress.downloaded_bytes };
        if let Some((then, bytes)) = self.last {
            let span = (progress.seconds - then).max(1e-3);
            let sample = moved.saturating_sub(bytes) as f64 / span;
            let weight = (span / RATE_OVER_S).min(1.0);
            self.rate += (sample - self.rate) * weight;
        }
        self.last = Some((progress.seconds, moved));
        self.bar.set_position(self.wanted_bytes.saturating_sub(progress.left_bytes));
        self.bar.set_message(self.message(progress));
        if self.events.is_some() {
            self.write_event(&EventLine::Progress {
                t: progress.seconds,
                have: progress.have,
                left_bytes: progress.left_bytes,
                downloaded_bytes: progress.downloaded_bytes,
                uploaded_bytes: progress.uploaded_bytes,
                peers: progress.peers,
            });
        }
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

fn eta(left_bytes: u64, rate: f64) -> String {
    if rate < 1.0 || left_bytes == 0 {
        return String::new();
    }
    let seconds = (left_bytes as f64 / rate).min(1e7) as u64;
    format!("  {} left", humantime::format_duration(std::time::Duration::from_secs(seconds)))
}

/// The event as a script gets it; farewells are nobody's business.
fn event_line(t: f64, event: &Event) -> Option<EventLine<'_>> {
    Some(match event {
        Event::Joined { addr, came_to_us, transport, method, .. } => EventLine::PeerJoined {
            t,
            addr: addr.to_string(),
            came_to_us: *came_to_us,
            transport: transport.name(),
            encrypted: method.is_some(),
            encryption: method.map(Method::name),
        },
        Event::Left { addr, why, .. } => {
            EventLine::PeerLeft { t, addr: addr.to_string(), why: why.to_string() }
        }
        Event::Banned { addr, .. } => EventLine::PeerBanned { t, addr: addr.to_string() },
        Event::Verified(piece) => EventLine::PieceVerified { t, piece: piece.get() },
        Event::Failed(piece) => EventLine::PieceFailed { t, piece: piece.get() },
        Event::Completed => EventLine::Completed { t },
        Event::Metadata(bytes) => EventLine::Metadata { t, bytes: *bytes },
        Event::Found { guest, source, new, told } => {
            EventLine::PeersFound { t, by: guest, source, new: *new, told: *told }
        }
        Event::Heard { source, seeds, leeches, downloads, interval_s } => EventLine::Swarm {
            t,
            source,
            seeds: *seeds,
            leeches: *leeches,
            downloads: *downloads,
            interval_s: *interval_s,
        },
        Event::Report { level, guest, subject, text } => {
            EventLine::Report { t, level: word(*level), by: guest, subject, text }
        }
        Event::Farewell => return None,
    })
}
