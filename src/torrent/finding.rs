//! [`Finding`]: something about a torrent that works and still deserves a word.
//!
//! Rules have stable ids, because scripts filter by them. What only the file knows (trailing
//! data, the order of keys outside `info`) is found while it is parsed; what the parsed torrent
//! shows is found by [`lint`](super::lint).

/// One remark about a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id, for scripts: `piece-length-odd`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence, the value in backticks.
    pub message: String,
    /// Where: bytes from the beginning of the file, if that is known; of the info dictionary for
    /// what lies in it.
    pub offset: Option<u64>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Some clients or some users will have trouble.
    Warning,
    /// It can't be downloaded, or not written, as it is.
    Error,
}

impl Finding {
    /// A finding without a place.
    pub fn new(rule: &'static str, severity: Severity, message: impl Into<String>) -> Self {
        Self { rule, severity, message: message.into(), offset: None }
    }

    /// The same at byte `offset`.
    #[must_use]
    pub const fn at(mut self, offset: usize) -> Self {
        self.offset = Some(offset as u64);
        self
    }
}
