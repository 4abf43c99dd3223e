//! [`Transport`]: what carries the words of two peers; [`Race`]: by which of them a peer is called.

/// What carries the words of two peers: they are the same over either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// A connection of the system's own.
    #[default]
    Tcp,
    /// uTP, on datagrams (BEP 29).
    Utp,
}

impl Transport {
    /// As events and results have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Utp => "utp",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Tcp => Self::Utp,
            Self::Utp => Self::Tcp,
        }
    }
}

/// By what a peer is called. Of two, the one that connects first is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Race {
    /// It is tried at once.
    pub first: Transport,
    /// It is tried a little later, or when the first has failed.
    pub second: Option<Transport>,
}
