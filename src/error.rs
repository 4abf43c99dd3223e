//! [`Error`]: one sentence to the user, and [`Exit`], what the process answers.
//!
//! Rooms have errors of their own (thiserror); a verb turns them into this one by saying whose
//! fault it was: the input's ([`Error::input`]) or the world's ([`Error::world`]). It is printed
//! once, by [`crate::run`], and nowhere else.

use crate::sanitize::sanitize;
use std::borrow::Cow;
use std::fmt;

/// How the process ends (CLI.md, "Exit codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the answer is no: damaged, incomplete, nothing arrived.
    No,
    /// 2: wrong usage or unusable input.
    Input,
    /// 3: the world failed: disk, network.
    World,
    /// 130: interrupted, and the same command goes on from there.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Input => 2,
            Self::World => 3,
            Self::Interrupted => 130,
        }
    }
}

/// Why a verb could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    sentence: String,
    hint: Option<String>,
}

/// Whose fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The user's words, or the bytes that they name.
    Input,
    /// The disk or the network.
    World,
}

impl Error {
    /// The input's fault. One sentence, the value in backticks, no period at the end.
    pub fn input(sentence: impl fmt::Display) -> Self {
        Self { kind: Kind::Input, sentence: sentence.to_string(), hint: None }
    }

    /// The world's fault. The sentence names the path or the address.
    pub fn world(sentence: impl fmt::Display) -> Self {
        Self { kind: Kind::World, sentence: sentence.to_string(), hint: None }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Whose fault it was.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How the process ends with it.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self.kind {
            Kind::Input => Exit::Input,
            Kind::World => Exit::World,
        }
    }
}

/// Letters of a sentence that are shown: an argument or a value of a file may have millions.
const SENTENCE_LETTERS_MAX: usize = 1_000;

/// `sentence` without its middle if it is longer than anybody reads: it begins with what it is about and
/// ends with why.
fn shortened(sentence: &str) -> Cow<'_, str> {
    let half = SENTENCE_LETTERS_MAX / 2;
    let (Some((head, _)), Some((tail, _)), true) = (
        sentence.char_indices().nth(half),
        sentence.char_indices().nth_back(half),
        sentence.chars().nth(SENTENCE_LETTERS_MAX).is_some(),
    ) else {
        return Cow::Borrowed(sentence);
    };
    Cow::Owned(format!("{} .. {}", &sentence[..head], &sentence[tail..]))
}

/// As stderr shows it: `error: ..` and perhaps `hint: ..`, safe for a terminal.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", sanitize(&shortened(&self.sentence)))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", sanitize(&shortened(hint))),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_can_not_forge_a_second_line() {
        let error = Error::input("no file `a\nerror: all is well\u{1b}[2J`").hint("look\rhere");
        assert_eq!(
            error.to_string(),
            "error: no file `a\\u{a}error: all is well\\u{1b}[2J`\nhint: look\\u{d}here"
        );
        assert_eq!(error.exit().code(), 2);
    }

    #[test]
    fn an_endless_sentence_keeps_its_beginning_and_its_end() {
        let error =
            Error::input(format!("no file `{}` at byte 7", "ü".repeat(5_000_000))).to_string();
        assert!(error.starts_with("error: no file `ü") && error.ends_with("ü` at byte 7"));
        assert!(error.chars().count() < SENTENCE_LETTERS_MAX + 20);
        let short = "x".repeat(SENTENCE_LETTERS_MAX);
        assert_eq!(Error::input(&short).to_string(), format!("error: {short}"));
    }
}
