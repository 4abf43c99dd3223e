//! [`Turn`]: what every part needs during one call.

use crate::announce::{Announce, Event, Identity};
use rtor_plugin::discovery::{Totals, Wish, Wishes};
use rtor_plugin::{Addr, Level, SecretChance};

/// A second, in microseconds.
pub(crate) const SECOND: u64 = 1_000_000;

/// One call: the time, who we are, and where wishes go.
pub(crate) struct Turn<'a> {
    pub(crate) now_us: u64,
    pub(crate) identity: &'a Identity,
    pub(crate) totals: Totals,
    pub(crate) chance: &'a mut SecretChance,
    /// The last ticket that was given out.
    pub(crate) tickets: &'a mut u64,
    pub(crate) wishes: &'a mut dyn Wishes,
}

impl Turn<'_> {
    /// So many seconds from now.
    pub(crate) const fn after_s(&self, seconds: u64) -> u64 {
        self.now_us.saturating_add(seconds.saturating_mul(SECOND))
    }

    /// What is to be said now, to a tracker that is reached over this family.
    pub(crate) fn announce<'b>(
        &'b self,
        event: Event,
        tracker_id: &'b [u8],
        family: u8,
    ) -> Announce<'b> {
        let port = self.identity.port_over(family);
        Announce { identity: self.identity, port, totals: self.totals, event, tracker_id }
    }

    /// A new ticket.
    pub(crate) const fn ticket(&mut self) -> u64 {
        *self.tickets = self.tickets.wrapping_add(1);
        *self.tickets
    }

    /// Sends a datagram.
    pub(crate) fn send(&mut self, to: Addr, bytes: &[u8]) {
        self.wishes.push(Wish::SendDatagram { to, bytes: bytes.into() });
    }

    /// Says something about `subject` to whoever watches.
    pub(crate) fn report(&mut self, level: Level, subject: &str, text: &str) {
        self.wishes.push(Wish::Report { level, subject: subject.into(), text: text.into() });
    }
}
