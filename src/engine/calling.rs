//! [`Calling`]: by which kind of connection an address is called, and by which when it declines that.
//!
//! A connection is plain or encrypted, and goes by TCP or uTP: four kinds, and some peers take one of
//! them alone. None says so: it closes the connection, or does not answer. By which of the two transports
//! it answers is found by a race, which `net` runs. Who answers and declines is called by the next kind
//! at once, each kind once, so that nobody is lost for being of one; what it took is tried first from
//! then on.

use super::encryption::{Encryption, Kind};
use crate::wire::{Race, Transport};

/// By which transports connections are made and taken: one at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transports {
    /// TCP alone.
    Tcp,
    /// uTP alone.
    Utp,
    /// Both.
    #[default]
    Both,
}

impl Transports {
    /// Whether connections go by `transport`.
    #[must_use]
    pub const fn includes(self, transport: Transport) -> bool {
        match transport {
            Transport::Tcp => !matches!(self, Self::Utp),
            Transport::Utp => !matches!(self, Self::Tcp),
        }
    }
}

/// What the user says of connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowed {
    pub(super) encryption: Encryption,
    pub(super) transports: Transports,
}

/// A kind of connection, of four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    kind: Kind,
    by: Transport,
}

/// How one address is called.
#[derive(Clone, Debug)]
pub(super) struct Calling {
    /// What is tried next.
    way: Way,
    /// What it took last, or what everybody is called by first.
    first: Way,
    /// Ways that it declined since it was called by that.
    declined: [Option<Way>; 4],
}

impl Allowed {
    /// The ways that there are: first that by which one is called of whom nothing is known.
    fn ways(self) -> impl Iterator<Item = Way> {
        let first = self.encryption.first();
        let kinds = [Some(first), self.encryption.instead_of(first)];
        let transports = [Transport::Tcp, Transport::Utp].into_iter();
        let transports = transports.filter(move |by| self.transports.includes(*by));
        transports.flat_map(move |by| kinds.into_iter().flatten().map(move |kind| Way { kind, by }))
    }
}

impl Calling {
    /// Of one of whom nothing is known.
    pub(super) fn new(allowed: Allowed) -> Self {
        let first = Way { kind: allowed.encryption.first(), by: Transport::Tcp };
        let first = allowed.ways().next().unwrap_or(first);
        Self { way: first, first, declined: [None; 4] }
    }

    /// What it is called by now.
    pub(super) fn call(&self, allowed: Allowed) -> (Kind, Race) {
        let Way { kind, by: first } = self.way;
        let second = Way { kind, by: first.other() };
        let races = allowed.transports.includes(second.by) && !self.has_declined(second);
        (kind, Race { first, second: races.then_some(second.by) })
    }

    /// It took our call `by` that, and closed the connection. Whether there is another way; if not, all
    /// have failed.
    pub(super) fn declined(&mut self, allowed: Allowed, by: Transport) -> bool {
        let declined = Way { by, ..self.way };
        if !self.has_declined(declined)
            && let Some(place) = self.declined.iter_mut().find(|place| place.is_none())
        {
            *place = Some(declined);
        }
        let rest = allowed.ways().filter(|way| !self.has_declined(*way));
        // More peers want the other encryption than the other transport.
        let next = rest.min_by_key(|way| (way.by != by, way.kind != self.first.kind));
        let Some(next) = next else { return false };
        self.way = next;
        true
    }

    /// It said nothing: as some may that wait for another kind of connection. That is its turn next
    /// time.
    pub(super) fn unanswered(&mut self, allowed: Allowed) {
        if self.has_declined_any() {
            return self.failed();
        }
        let ways = || allowed.ways();
        let next = ways().skip_while(|way| *way != self.way).nth(1).or_else(|| ways().next());
        self.way = next.unwrap_or(self.way);
        self.first = self.way;
    }

    /// A call came to nothing: the next turn begins as this one did.
    pub(super) fn failed(&mut self) {
        self.way = self.first;
        self.declined = [None; 4];
    }

    /// It took our call, `by` that.
    pub(super) fn took(&mut self, by: Transport) {
        self.way.by = by;
        self.first = self.way;
        self.declined = [None; 4];
    }

    /// It came to us like this, and so it takes that.
    pub(super) fn came(&mut self, allowed: Allowed, encrypted: bool, by: Transport) {
        if encrypted {
            self.way.kind = Kind::Encrypted;
        }
        if allowed.transports.includes(by) {
            self.way.by = by;
        }
        self.first = self.way;
    }

    fn has_declined(&self, way: Way) -> bool {
        self.declined.contains(&Some(way))
    }

    fn has_declined_any(&self) -> bool {
        self.declined.iter().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Allowed = Allowed { encryption: Encryption::Allow, transports: Transports::Both };

    fn way(kind: Kind, by: Transport) -> (Kind, Transport) {
        (kind, by)
    }

    fn first(calling: &Calling, allowed: Allowed) -> (Kind, Transport) {
        let (kind, race) = calling.call(allowed);
        (kind, race.first)
    }

    #[test]
    fn who_declines_everything_is_called_by_each_kind_once() {
        let mut calling = Calling::new(BOTH);
        for _ in 0..2 {
            let mut tried = vec![first(&calling, BOTH)];
            while calling.declined(BOTH, calling.call(BOTH).1.first) {
                tried.push(first(&calling, BOTH));
            }
            let all = [
                way(Kind::Plain, Transport::Tcp),
                way(Kind::Encrypted, Transport::Tcp),
                way(Kind::Plain, Transport::Utp),
                way(Kind::Encrypted, Transport::Utp),
            ];
            assert_eq!(tried, all);
            calling.failed();
        }
    }

    #[test]
    fn both_transports_race_until_one_of_them_declined() {
        let mut calling = Calling::new(BOTH);
        let both = Race { first: Transport::Tcp, second: Some(Transport::Utp) };
        assert_eq!(calling.call(BOTH), (Kind::Plain, both));
        // uTP was faster.
        assert!(calling.declined(BOTH, Transport::Utp));
        let other = Race { first: Transport::Utp, second: Some(Transport::Tcp) };
        assert_eq!(calling.call(BOTH), (Kind::Encrypted, other));
        assert!(calling.declined(BOTH, Transport::Utp));
        let alone = Race { first: Transport::Tcp, second: None };
        assert_eq!(calling.call(BOTH), (Kind::Plain, alone));
    }

    #[test]
    fn one_transport_never_races() {
        for (transports, only) in
            [(Transports::Tcp, Transport::Tcp), (Transports::Utp, Transport::Utp)]
        {
            let allowed = Allowed { transports, ..BOTH };
            let mut calling = Calling::new(allowed);
            let race = Race { first: only, second: None };
            assert_eq!(calling.call(allowed), (Kind::Plain, race));
            calling.came(allowed, false, only.other());
            assert!(calling.declined(allowed, only));
            assert_eq!(calling.call(allowed), (Kind::Encrypted, race));
            assert!(!calling.declined(allowed, only));
        }
    }

    #[test]
    fn what_it_took_is_tried_first_and_the_rest_remains() {
        let mut calling = Calling::new(BOTH);
        calling.declined(BOTH, Transport::Tcp);
        calling.took(Transport::Utp);
        let race = Race { first: Transport::Utp, second: Some(Transport::Tcp) };
        assert_eq!(calling.call(BOTH), (Kind::Encrypted, race));
        calling.failed();
        assert_eq!(calling.call(BOTH), (Kind::Encrypted, race), "that is what it took");
    }

    #[test]
    fn silence_leads_from_each_kind_to_the_next() {
        let mut calling = Calling::new(BOTH);
        let mut tried = Vec::new();
        for _ in 0..5 {
            tried.push(first(&calling, BOTH));
            calling.unanswered(BOTH);
        }
        let (tcp, utp) = (Transport::Tcp, Transport::Utp);
        let kinds = [Kind::Plain, Kind::Encrypted, Kind::Plain, Kind::Encrypted, Kind::Plain];
        let all: Vec<_> = kinds.into_iter().zip([tcp, tcp, utp, utp, tcp]).collect();
        assert_eq!(tried, all);
    }
}
