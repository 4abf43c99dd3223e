//! [`Asked`]: the queries that were sent and not yet answered.
//!
//! An answer counts only if it comes from the address that was asked and carries the 32 bits that
//! were drawn for the question. Whoever forges one has to guess both in a few seconds.

use crate::address::canonical;
use crate::id::NodeId;
use rtor_plugin::SecretChance;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Queries that may be under way: lookups and pings have bounds of their own, far below.
const ASKED_MAX: usize = 512;

/// What a query was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To hear that a node is there.
    Ping,
    /// A step of this lookup.
    Lookup(u64),
    /// To announce.
    Announce,
}

/// A query under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) to: SocketAddr,
    /// Who should be there, if that is known.
    pub(crate) id: Option<NodeId>,
    pub(crate) purpose: Purpose,
    pub(crate) sent_us: u64,
    /// When it is slow; 0: it is, and that was said.
    pub(crate) slow_us: u64,
    /// When it is dead.
    pub(crate) dead_us: u64,
}

/// What became of a question.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Overdue {
    Slow(Question),
    Dead(Question),
}

/// All that are under way, by transaction.
#[derive(Default)]
pub(crate) struct Asked(BTreeMap<u32, Question>);

impl Asked {
    /// A transaction for a new question; `None` if too many are under way.
    pub(crate) fn begin(
        &mut self,
        question: Question,
        chance: &mut SecretChance,
    ) -> Option<[u8; 4]> {
        if self.0.len() >= ASKED_MAX {
            return None;
        }
        let mut transaction = chance.word();
        while self.0.contains_key(&transaction) {
            transaction = transaction.wrapping_add(1);
        }
        self.0.insert(transaction, question);
        Some(transaction.to_be_bytes())
    }

    /// An answer came: the question that it belongs to, if it belongs to any.
    pub(crate) fn answered(&mut self, transaction: &[u8], from: SocketAddr) -> Option<Question> {
        let transaction = u32::from_be_bytes(transaction.try_into().ok()?);
        let question = self.0.get(&transaction)?;
        if canonical(question.to) != from {
            return None;
        }
        self.0.remove(&transaction)
    }

    /// The next question that waited too long by now.
    pub(crate) fn overdue(&mut self, now_us: u64) -> Option<Overdue> {
        let (&transaction, question) = self.0.iter_mut().find(|(_, q)| q.due_us() <= now_us)?;
        if question.dead_us <= now_us {
            return self.0.remove(&transaction).map(Overdue::Dead);
        }
        question.slow_us = 0;
        Some(Overdue::Slow(*question))
    }

    /// When the next question has waited too long.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.0.values().map(Question::due_us).min()
    }

    /// Whether a question to that address is under way.
    pub(crate) fn is_asked(&self, addr: SocketAddr) -> bool {
        self.0.values().any(|question| question.to == addr)
    }
}

impl Question {
    const fn due_us(&self) -> u64 {
        if self.slow_us == 0 { self.dead_us } else { self.slow_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(to: &str) -> Question {
        let to = to.parse().expect("an address");
        let purpose = Purpose::Ping;
        Question { to, id: None, purpose, sent_us: 1, slow_us: 10, dead_us: 30 }
    }

    #[test]
    fn only_the_asked_address_with_the_drawn_transaction_is_believed() {
        let (mut asked, mut chance) = (Asked::default(), SecretChance::new(1));
        let drawn = asked.begin(question("1.2.3.4:5"), &mut chance).expect("there is room");
        let from = |text: &str| text.parse().expect("an address");
        let other = [drawn[0], drawn[1], drawn[2], drawn[3] ^ 1];
        assert!(asked.answered(&other, from("1.2.3.4:5")).is_none());
        assert!(asked.answered(&drawn[..3], from("1.2.3.4:5")).is_none());
        assert!(asked.answered(&drawn, from("1.2.3.4:6")).is_none());
        assert!(asked.answered(&drawn, from("1.2.3.5:5")).is_none());
        assert!(asked.answered(&drawn, from("1.2.3.4:5")).is_some());
        assert!(asked.answered(&drawn, from("1.2.3.4:5")).is_none(), "once");
    }

    #[test]
    fn a_question_is_first_slow_and_then_dead() {
        let (mut asked, mut chance) = (Asked::default(), SecretChance::new(1));
        asked.begin(question("1.2.3.4:5"), &mut chance);
        assert_eq!(asked.deadline(), Some(10));
        assert!(asked.overdue(9).is_none());
        assert!(matches!(asked.overdue(10), Some(Overdue::Slow(_))));
        assert!(asked.overdue(29).is_none());
        assert_eq!(asked.deadline(), Some(30));
        assert!(matches!(asked.overdue(30), Some(Overdue::Dead(_))));
        assert_eq!(asked.deadline(), None);
    }

    #[test]
    fn only_so_many_are_under_way() {
        let (mut asked, mut chance) = (Asked::default(), SecretChance::new(1));
        for _ in 0..ASKED_MAX {
            assert!(asked.begin(question("1.2.3.4:5"), &mut chance).is_some());
        }
        assert!(asked.begin(question("1.2.3.4:5"), &mut chance).is_none());
    }
}
