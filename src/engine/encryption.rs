//! [`Encryption`]: which kinds of connections are made and taken, and which is tried first.
//!
//! Some peers take only plain connections and some only encrypted ones, and neither says so: it
//! closes the connection. So whoever may speak both calls a second time, at once, and nobody is lost
//! for being of one kind.

use crate::wire::mse::Preference;

/// What the user says of encrypted connections (MSE).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// None.
    Off,
    /// Both kinds; plain first.
    #[default]
    Allow,
    /// Both kinds; encrypted first.
    Prefer,
    /// Encrypted by RC4 and no other.
    Require,
}

/// A kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Plain,
    Encrypted,
}

impl Encryption {
    /// Whether connections that are not encrypted are taken.
    #[must_use]
    pub const fn takes_plain(self) -> bool {
        !matches!(self, Self::Require)
    }

    /// What is agreed on in encrypted ones; `None`: there are none.
    #[must_use]
    pub const fn preference(self) -> Option<Preference> {
        match self {
            Self::Off => None,
            // Who calls encrypted wants it from the first byte on; what follows may cost nothing.
            Self::Allow => Some(Preference::PlaintextFirst),
            Self::Prefer => Some(Preference::Rc4First),
            Self::Require => Some(Preference::Rc4Only),
        }
    }

    /// What somebody of whom nothing is known is called by.
    pub(super) const fn first(self) -> Kind {
        match self {
            Self::Off | Self::Allow => Kind::Plain,
            Self::Prefer | Self::Require => Kind::Encrypted,
        }
    }

    /// What else he may be called by.
    pub(super) const fn instead_of(self, kind: Kind) -> Option<Kind> {
        match (self, kind) {
            (Self::Off | Self::Require, _) => None,
            (_, Kind::Plain) => Some(Kind::Encrypted),
            (_, Kind::Encrypted) => Some(Kind::Plain),
        }
    }
}
