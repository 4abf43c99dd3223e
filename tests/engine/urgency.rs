//! Urgent pieces: first of all, and from whoever delivers soonest.

use super::{PIECES, Told, block};
use rtor::engine::picker::Rank;
use rtor::engine::time::SECOND_US;
use rtor::engine::{Input, Output, PeerId};
use rtor::wire::BlockSpec;
use rtor_plugin::strategy::{Swarm, Urgent};

/// In order, with what is read urgent.
struct Reader;

impl Rank for Reader {
    fn epoch(&mut self, swarm: &Swarm<'_>) -> u64 {
        u64::from(swarm.playhead)
    }

    fn rank(&mut self, _: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
        pieces.iter().zip(keys).for_each(|(piece, key)| *key = u64::from(*piece));
    }

    fn has_urgency(&self) -> bool {
        true
    }

    fn urgent(&mut self, swarm: &Swarm<'_>, out: &mut Vec<Urgent>) {
        let read = swarm.reader().unwrap_or_default();
        out.clear();
        out.extend((0..).zip(read).map(|(n, piece)| Urgent { piece, within_us: n * SECOND_US }));
    }
}

/// Delivers a block of each peer's at its own pace, for so long.
fn pass(told: &mut Told, ticks: u64, peers: &mut [(PeerId, u64, Vec<BlockSpec>)]) {
    for _ in 0..ticks {
        told.now = told.now + SECOND_US / 100;
        told.tell(Input::Deadline);
        let mut asked: Vec<(PeerId, Vec<BlockSpec>)> =
            peers.iter().map(|(peer, ..)| (*peer, told.asked(*peer))).collect();
        for (peer, every, owes) in peers.iter_mut() {
            if (told.now.0 / (SECOND_US / 100)).is_multiple_of(*every) && !owes.is_empty() {
                told.tell(Input::Received(*peer, block(owes.remove(0))));
                asked.extend(asked_of_all(told));
                for piece in whole(told) {
                    told.tell(Input::Checked(piece, true, Vec::new()));
                    asked.extend(asked_of_all(told));
                }
            }
        }
        for (peer, _, owes) in peers.iter_mut() {
            let new = asked.iter().filter(|(of, _)| of == peer);
            owes.extend(new.flat_map(|(_, specs)| specs.iter().copied()));
        }
    }
}

fn whole(told: &Told) -> Vec<rtor::torrent::PieceIndex> {
    let checks = told.out.iter().filter_map(|output| match output {
        Output::Check(piece, _) => Some(*piece),
        _ => None,
    });
    checks.collect()
}

fn asked_of_all(told: &Told) -> Vec<(PeerId, Vec<BlockSpec>)> {
    (1..=3).map(PeerId).map(|peer| (peer, told.asked(peer))).collect()
}

#[test]
fn what_is_read_comes_before_everything_else() {
    let mut told = Told::with(PIECES, 0, Box::new(Reader));
    told.tell(Input::Reads(7..9));
    let (_, asked) = told.seed(1);
    let pieces: Vec<u32> = asked.iter().map(|spec| spec.index).collect();
    assert_eq!(pieces[..6], [7, 7, 8, 8, 0, 0]);
}

#[test]
fn an_urgent_block_that_will_be_late_is_asked_of_a_faster_peer_that_has_other_work() {
    let mut told = Told::with(1000, 0, Box::new(Reader));
    let (slow, owed_by_slow) = told.seed(1);
    let (fast, owed_by_fast) = told.seed(2);
    // The slow one needs a second for each block, the fast one a hundredth.
    let mut peers = [(slow, 100, owed_by_slow), (fast, 1, owed_by_fast)];
    pass(&mut told, 120, &mut peers);
    let held = peers[0].2.last().copied().expect("the slow one owes blocks");
    assert!(!peers[1].2.contains(&held));
    told.tell(Input::Reads(held.index..held.index + 1));
    let owed = peers[1].2.len();
    pass(&mut told, 30, &mut peers);
    let left = told.engine.have().contains(held.index as usize) || peers[1].2.contains(&held);
    assert!(left, "nobody but the slow one was asked for {held:?}; the fast one owed {owed}");
    assert!(told.engine.have().count() < 1000, "there was other work");
}
