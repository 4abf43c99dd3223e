//! [`Hearing`]: what one peer told us of others, and how much of it is believed.
//!
//! Nothing that a stranger says of others can be checked before they are called, so everything
//! here is a bound. Whoever breaks them again and again is not listened to any more; it stays a
//! peer, since it may still have what we want.

use crate::SECOND;
use crate::message::{Contact, Message};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// From one message to the next, in the long run: BEP 11's minute, and some patience with clocks
/// and lines.
pub(crate) const INTERVAL_US: u64 = 45 * SECOND;
/// Messages that may come at once: a line that was stuck for minutes delivers several together.
pub(crate) const BURST_MAX: u64 = 4;
/// Contacts of a message that are believed (BEP 11).
pub(crate) const CONTACTS_MAX: usize = 50;
/// Those of the first message: there clients tell of all their peers.
pub(crate) const CONTACTS_MAX_FIRST: usize = 100;
/// Messages that may be malformed, or longer than that: a widespread client sends a hundred
/// contacts at times, and is no liar.
pub(crate) const FAULTS_MAX: u32 = 10;
/// Addresses that one peer is believed, ever: a liar fills but a small part of what a host keeps
/// of a swarm, and an honest peer's first minutes are what counts.
pub(crate) const BELIEVED_MAX: usize = 300;
/// Ports of one host among them: nobody makes us knock at all doors of a victim, and some homes
/// have several clients behind one address.
pub(crate) const PORTS_MAX: usize = 8;

/// What a message meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing new, or nothing that is believed.
    Nothing,
    /// These are peers, it says.
    Peers(Vec<SocketAddr>),
    /// It is not listened to from now on, and why.
    Enough(&'static str),
}

/// One peer's credit.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    /// When the next message would come if all came evenly.
    even_us: u64,
    greeted: bool,
    faults: u32,
    deaf: bool,
    believed: BTreeSet<SocketAddr>,
}

impl Hearing {
    /// Hears a message; contacts that are not `welcome` are left out.
    pub(crate) fn message(
        &mut self,
        now_us: u64,
        payload: &[u8],
        welcome: impl Fn(&Contact) -> bool,
    ) -> Heard {
        if self.deaf {
            return Heard::Nothing;
        }
        if !self.is_in_time(now_us) {
            return self.enough("it sends messages too often");
        }
        let first = !std::mem::replace(&mut self.greeted, true);
        let contacts_max = if first { CONTACTS_MAX_FIRST } else { CONTACTS_MAX };
        let message = Message::decode(payload);
        if message.as_ref().is_none_or(|message| message.added.len() > contacts_max) {
            self.faults += 1;
            if self.faults > FAULTS_MAX {
                return self.enough("its messages are malformed or too long");
            }
        }
        let Message { added, dropped } = message.unwrap_or_default();
        let new: Vec<SocketAddr> = added
            .iter()
            .take(contacts_max)
            .filter(|contact| welcome(contact) && !dropped.contains(&contact.addr))
            .map(|contact| contact.addr)
            .filter(|addr| self.believes(*addr))
            .collect();
        if new.is_empty() { Heard::Nothing } else { Heard::Peers(new) }
    }

    /// Counts a message; whether it is not one too many. What comes early is paid back by what
    /// comes late, up to the burst.
    fn is_in_time(&mut self, now_us: u64) -> bool {
        let in_time = self.even_us <= now_us.saturating_add((BURST_MAX - 1) * INTERVAL_US);
        self.even_us = self.even_us.max(now_us).saturating_add(INTERVAL_US);
        in_time
    }

    /// Whether `addr` is new, and there is credit for it.
    fn believes(&mut self, addr: SocketAddr) -> bool {
        self.believed.len() < BELIEVED_MAX
            && self.ports(addr.ip()) < PORTS_MAX
            && self.believed.insert(addr)
    }

    /// Ports of one host that were believed.
    fn ports(&self, ip: IpAddr) -> usize {
        let all = SocketAddr::new(ip, 0)..=SocketAddr::new(ip, u16::MAX);
        self.believed.range(all).count()
    }

    fn enough(&mut self, why: &'static str) -> Heard {
        self.deaf = true;
        self.believed.clear();
        Heard::Enough(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYONE: fn(&Contact) -> bool = |_| true;

    fn addr(n: u32, port: u16) -> SocketAddr {
        SocketAddr::from(((0x0a00_0000 | n).to_be_bytes(), port))
    }

    /// A message with a contact for each of these numbers.
    fn adds(numbers: std::ops::Range<u32>) -> Vec<u8> {
        let added = numbers.map(|n| Contact { addr: addr(n, 80), flags: 0 }).collect();
        Message { added, dropped: Vec::new() }.encode()
    }

    /// How many peers it brought.
    fn count(heard: &Heard) -> usize {
        match heard {
            Heard::Peers(peers) => peers.len(),
            Heard::Nothing | Heard::Enough(_) => 0,
        }
    }

    /// The second at which a peer that sends a message each `period_s` is cut off.
    fn cut_off(period_s: u64) -> Option<u64> {
        let mut hearing = Hearing::default();
        (0..=86_400)
            .step_by(period_s as usize)
            .find(|second| hearing.message(second * SECOND, b"de", EVERYONE) != Heard::Nothing)
    }

    #[test]
    fn who_sends_too_often_is_cut_off_and_who_is_only_early_is_not() {
        assert_eq!(cut_off(1), Some(4));
        assert_eq!(cut_off(30), Some(300));
        assert_eq!(cut_off(44), Some(44 * 136));
        assert_eq!(cut_off(45), None);
        assert_eq!(cut_off(60), None);
    }

    #[test]
    fn a_line_that_was_stuck_is_forgiven() {
        let mut hearing = Hearing::default();
        for second in [0, 300, 300, 300, 300, 480, 480, 480, 480] {
            assert_eq!(hearing.message(second * SECOND, b"de", EVERYONE), Heard::Nothing);
        }
        let why = "it sends messages too often";
        assert_eq!(hearing.message(481 * SECOND, b"de", EVERYONE), Heard::Enough(why));
        assert_eq!(hearing.message(90_000 * SECOND, &adds(0..1), EVERYONE), Heard::Nothing);
    }

    #[test]
    fn the_first_message_may_be_long_and_the_others_not_so() {
        let mut hearing = Hearing::default();
        let mut heard = |minute: u64, numbers| {
            count(&hearing.message(minute * 60 * SECOND, &adds(numbers), EVERYONE))
        };
        assert_eq!(heard(0, 0..120), 100);
        assert_eq!(heard(1, 1000..1070), 50);
        assert_eq!(heard(2, 2000..2050), 50);
    }

    #[test]
    fn garbage_is_forgiven_a_few_times() {
        for bad in [&b"garbage"[..], b"d5:added5:12345e", &adds(0..101)] {
            let mut hearing = Hearing::default();
            let mut heard = |minute: u64, payload: &[u8]| {
                hearing.message(minute * 60 * SECOND, payload, EVERYONE)
            };
            for minute in 0..10 {
                assert!(!matches!(heard(minute, bad), Heard::Enough(_)), "{minute}");
            }
            assert_eq!(heard(10, &adds(200..201)), Heard::Peers(vec![addr(200, 80)]));
            let why = "its messages are malformed or too long";
            assert_eq!(heard(11, bad), Heard::Enough(why));
            assert_eq!(heard(12, &adds(300..301)), Heard::Nothing);
        }
    }

    #[test]
    fn one_peer_is_believed_so_many_addresses_and_no_more() {
        let mut hearing = Hearing::default();
        let believed: usize = (0..100)
            .map(|minute: u32| {
                let message = adds(minute * 50..minute * 50 + 50);
                count(&hearing.message(u64::from(minute) * 60 * SECOND, &message, EVERYONE))
            })
            .sum();
        assert_eq!(believed, BELIEVED_MAX);
    }

    #[test]
    fn of_one_host_a_few_ports_are_believed() {
        let added = (1..=50).map(|port| Contact { addr: addr(1, port), flags: 0 }).collect();
        let message = Message { added, dropped: Vec::new() };
        let mut hearing = Hearing::default();
        assert_eq!(count(&hearing.message(0, &message.encode(), EVERYONE)), PORTS_MAX);
        assert_eq!(hearing.message(60 * SECOND, &message.encode(), EVERYONE), Heard::Nothing);
    }

    #[test]
    fn who_is_dropped_in_the_same_breath_or_not_welcome_is_left_out() {
        let added = (1..=3).map(|n| Contact { addr: addr(n, 80), flags: n as u8 }).collect();
        let message = Message { added, dropped: vec![addr(1, 80)] };
        let heard = Hearing::default().message(0, &message.encode(), |contact| contact.flags != 2);
        assert_eq!(heard, Heard::Peers(vec![addr(3, 80)]));
    }
}
