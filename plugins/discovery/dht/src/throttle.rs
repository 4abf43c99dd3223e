//! [`Throttle`]: how many queries are answered, in all and to one network.

use crate::address::{is_local, network};
use rtor_plugin::Key;
use std::net::IpAddr;

/// Over which time queries are counted.
const WINDOW_US: u64 = 1_000_000;
/// Answers a second in all: with 600 bytes each, as much as a slow line's upload.
const ANSWERS_MAX: u32 = 250;
/// Answers a second to one /24 or /64: a lookup asks us once, a whole house not often.
const ANSWERS_PER_NETWORK_MAX: u8 = 10;
/// Counters. Two networks may share one: then they share its answers, and no memory is needed
/// for how many there are.
const COUNTERS: usize = 1024;

/// Counts what is answered.
pub(crate) struct Throttle {
    /// So that nobody can find out with whom he shares a counter.
    key: Key,
    until_us: u64,
    answers: u32,
    by_network: Vec<u8>,
}

impl Throttle {
    pub(crate) const fn new(key: Key) -> Self {
        Self { key, until_us: 0, answers: 0, by_network: Vec::new() }
    }

    /// Whether one more query from `ip` may be answered.
    pub(crate) fn allows(&mut self, now_us: u64, ip: IpAddr) -> bool {
        if now_us >= self.until_us {
            self.until_us = now_us.saturating_add(WINDOW_US);
            self.answers = 0;
            self.by_network.clear();
            self.by_network.resize(COUNTERS, 0);
        }
        if self.answers >= ANSWERS_MAX {
            return false;
        }
        // A local network can be flooded by who is in it only, and its machines share addresses.
        if !is_local(ip) {
            let counter = self.key.hash(&network(ip).to_le_bytes()) as usize % COUNTERS;
            match self.by_network.get_mut(counter) {
                Some(answers) if *answers < ANSWERS_PER_NETWORK_MAX => *answers += 1,
                Some(_) | None => return false,
            }
        }
        self.answers += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtor_plugin::SecretChance;

    fn allowed(throttle: &mut Throttle, now_us: u64, ips: impl Iterator<Item = IpAddr>) -> usize {
        ips.filter(|ip| throttle.allows(now_us, *ip)).count()
    }

    #[test]
    fn one_network_and_all_together_get_only_so_many_answers_a_second() {
        let mut throttle = Throttle::new(SecretChance::new(1).key());
        let house = |n: u32| (0..n).map(|n| IpAddr::from([8, 8, 8, n as u8]));
        let world = |n: u32| (0..n).map(|n| IpAddr::from([(11 + n / 250) as u8, n as u8, 0, 1]));
        for second in 0..3 {
            let now_us = second * WINDOW_US;
            assert_eq!(allowed(&mut throttle, now_us, house(100)), 10);
            assert!(allowed(&mut throttle, now_us, world(1000)) <= 240);
            assert_eq!(allowed(&mut throttle, now_us, world(100)), 0);
        }
        let home = std::iter::repeat_n(IpAddr::from([127, 0, 0, 1]), 300);
        assert_eq!(allowed(&mut throttle, 9 * WINDOW_US, home), ANSWERS_MAX as usize);
    }
}
