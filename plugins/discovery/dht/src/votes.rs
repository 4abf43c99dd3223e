//! [`Votes`]: which address others see us at (BEP 42), by the majority of many networks.
//!
//! One node can say anything, and a new id costs us our place in everybody's table. So an address
//! counts only when several networks say the same and more than half of all do. Only who has no
//! place yet, and nothing to lose, believes the first: with an id that fits nowhere nobody would
//! keep him, and he would never hear a second one.

use crate::address::network;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Votes that count: the newest, so that a new address wins soon after it changed.
const VOTES_MAX: usize = 24;
/// Networks that have to agree before we leave our place.
const AGREEING_MIN: usize = 5;

/// The votes of one family.
#[derive(Default)]
pub(crate) struct Votes {
    /// By network, the oldest first.
    cast: VecDeque<(u64, IpAddr)>,
    has_place: bool,
}

impl Votes {
    /// `voter` sees us at `ours`. The answer is the address that was elected, if one is.
    pub(crate) fn cast(&mut self, voter: IpAddr, ours: IpAddr) -> Option<IpAddr> {
        let voter = network(voter);
        self.cast.retain(|(other, _)| *other != voter);
        if self.cast.len() >= VOTES_MAX {
            self.cast.pop_front();
        }
        self.cast.push_back((voter, ours));
        let agreeing = self.cast.iter().filter(|(_, ip)| *ip == ours).count();
        let enough = !self.has_place || agreeing >= AGREEING_MIN;
        self.has_place = true;
        (enough && agreeing * 2 > self.cast.len()).then_some(ours)
    }

    /// Our id is one by which others may know us.
    pub(crate) const fn placed(&mut self) {
        self.has_place = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(a: u8, b: u8) -> IpAddr {
        [9, a, b, 1].into()
    }

    #[test]
    fn an_address_is_elected_by_many_networks_and_not_by_one() {
        let mut votes = Votes::default();
        votes.placed();
        for again in 0..100 {
            assert_eq!(votes.cast([7, 7, 7, again].into(), ip(1, 1)), None);
        }
        for network in 0..3 {
            assert_eq!(votes.cast(ip(2, network), ip(1, 1)), None);
        }
        assert_eq!(votes.cast(ip(2, 3), ip(1, 1)), Some(ip(1, 1)));
    }

    #[test]
    fn liars_that_are_fewer_than_half_elect_nobody_and_a_new_address_wins_at_last() {
        let mut votes = Votes::default();
        assert_eq!(votes.cast(ip(2, 0), ip(1, 1)), Some(ip(1, 1)), "there is nothing to lose");
        for network in 1..12 {
            votes.cast(ip(2, network), ip(1, 1));
        }
        for network in 0..11 {
            assert_eq!(votes.cast(ip(3, network), ip(6, 6)), None);
        }
        let elected = (11..30).find_map(|network| votes.cast(ip(3, network), ip(6, 6)));
        assert_eq!(elected, Some(ip(6, 6)));
    }
}
