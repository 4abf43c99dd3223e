//! What keeps a table whole while nobody looks anything up: newcomers are asked whether they are
//! there, buckets that nothing happened in are refreshed (BEP 5), one after the other.

use crate::address::Family;
use crate::asked::Purpose;
use crate::krpc::Ask;
use crate::lookup::Goal;
use crate::node::{Node, Out};

/// Between two newcomers: whoever sends us many forged queries gets no more datagrams sent.
pub(crate) const PING_US: u64 = 500_000;
/// Between two refreshed buckets: a new node has a dozen of them to do, and no hurry.
pub(crate) const REFRESH_US: u64 = 5_000_000;
/// Between two looks at a table that is whole.
pub(crate) const UPKEEP_US: u64 = 30_000_000;

impl Node {
    pub(crate) fn upkeep(&mut self, now_us: u64, family: Family, out: &mut Vec<Out>) {
        let side = &mut self.sides[family as usize];
        if side.upkeep_us.is_none_or(|due| now_us < due) {
            return;
        }
        side.upkeep_us = None;
        let newcomer = side.newcomers.pop_front();
        let may_refresh = side.refreshing.is_none() && side.is_open(now_us);
        let target = may_refresh.then(|| side.refresh(now_us, &mut self.chance)).flatten();
        if let Some(hint) = newcomer.filter(|(_, addr)| !self.asked.is_asked(*addr)) {
            self.ask(now_us, hint, Purpose::Ping, Ask::Ping, out);
        }
        if let Some(target) = target {
            let number = self.number();
            if self.begin(now_us, number, family, target, Goal::Nodes) {
                self.sides[family as usize].refreshing = Some(number);
                self.step(now_us, (number, family), out);
            }
        }
        self.sides[family as usize].rest(now_us);
    }
}
