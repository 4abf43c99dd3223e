//! Blocks that would come late: taken back, asked twice, and never asked of too slow a peer at first.

use super::{BLOCK, InOrder, Told, block};
use rtor::engine::time::SECOND_US;
use rtor::engine::{Config, Input, Output, PeerId, Time};
use rtor::sim::torrent_of;
use rtor::torrent::PieceIndex;
use rtor::wire::{BlockSpec, Message};
use std::collections::{BTreeSet, VecDeque};

/// A peer that sends what it is asked for, and what became of that.
struct Sender {
    peer: PeerId,
    owed: VecDeque<BlockSpec>,
    sent: BTreeSet<BlockSpec>,
    /// What others were told that they need not send.
    cancelled: BTreeSet<BlockSpec>,
}

impl Sender {
    fn new(peer: PeerId, asked: Vec<BlockSpec>) -> Self {
        let (sent, cancelled) = (BTreeSet::new(), BTreeSet::new());
        Self { peer, owed: asked.into(), sent, cancelled }
    }

    /// One block each `every_us`, for `span_us`.
    fn send(&mut self, told: &mut Told, every_us: u64, span_us: u64) {
        for _ in 0..span_us / every_us {
            told.now = told.now + every_us;
            let input = self.owed.pop_front().map_or(Input::Deadline, |spec| {
                self.sent.insert(spec);
                Input::Received(self.peer, block(spec))
            });
            told.tell(input);
            self.hear(told);
            for piece in whole(told) {
                told.tell(Input::Checked(piece, true, Vec::new()));
                self.hear(told);
            }
        }
    }

    fn hear(&mut self, told: &Told) {
        self.owed.extend(told.asked(self.peer));
        self.cancelled.extend(told.out.iter().filter_map(|output| match output {
            Output::Send(_, Message::Cancel(spec)) => Some(*spec),
            _ => None,
        }));
    }
}

/// Pieces that are to be checked.
fn whole(told: &Told) -> Vec<PieceIndex> {
    let check = |output: &Output| match output {
        Output::Check(piece, _) => Some(*piece),
        _ => None,
    };
    told.out.iter().filter_map(check).collect()
}

#[test]
fn what_sits_with_a_slow_peer_is_taken_back_by_who_has_nothing_to_do() {
    let mut told = Told::with(20, 0, Box::new(InOrder));
    let (_silent, with_silent) = told.seed(1);
    let (fast, asked) = told.seed(2);
    assert!(with_silent.len() >= 8, "{}", with_silent.len());
    // Before a second has passed, who was just asked is not suspected of anything.
    let mut fast = Sender::new(fast, asked);
    fast.send(&mut told, SECOND_US / 50, SECOND_US * 9 / 10);
    let taken = with_silent.iter().filter(|spec| fast.sent.contains(spec)).count();
    assert!(taken <= 3, "{taken} of {} were asked twice at once", with_silent.len());
    // Long before it would count as a staller, all is taken but what may be on its way.
    fast.send(&mut told, SECOND_US / 50, SECOND_US * 9 / 10);
    let deep: BTreeSet<BlockSpec> = with_silent[4..].iter().copied().collect();
    assert!(deep.is_subset(&fast.sent), "got {}", fast.sent.intersection(&deep).count());
    assert!(deep.is_subset(&fast.cancelled), "{:?}", fast.cancelled);
}

#[test]
fn whoever_is_unknown_is_asked_for_little_while_there_are_others() {
    // Nothing came of any of them: together they hold no more than a part of what is to come.
    let mut told = Told::with(60, 0, Box::new(InOrder));
    let asked: Vec<usize> = (1..=3).map(|n| told.seed(n).1.len()).collect();
    assert_eq!(asked[0], 16, "there was no other");
    assert!(asked[1] <= 120 / 8 && asked[2] <= asked[1], "{asked:?} of 120 blocks");
    assert!(asked[2] >= 4, "enough to begin with: {asked:?}");
}

/// A peer that began with a burst: what it has given to its connection no cancel reaches.
#[test]
fn whoever_becomes_slow_keeps_what_may_be_on_its_way() {
    const SENDING: usize = (500 << 10) / BLOCK as usize;
    let mut told = Told::with(2000, 0, Box::new(InOrder));
    let (peer, asked) = told.seed(1);
    let mut burst = Sender::new(peer, asked);
    burst.send(&mut told, SECOND_US / 1000, 2 * SECOND_US);
    assert!(burst.owed.len() > 150, "asked for {}", burst.owed.len());
    let mut first_taken = None;
    while first_taken.is_none() {
        assert!(told.now.since_us(Time(0)) < 20 * SECOND_US, "nothing was taken back");
        burst.send(&mut told, SECOND_US / 5, SECOND_US / 5);
        first_taken = burst.owed.iter().position(|spec| burst.cancelled.contains(spec));
    }
    let kept = first_taken.unwrap_or_default();
    assert!((SENDING..100).contains(&kept), "all but the first {kept} were taken back");
}

/// There are more of them than blocks may be asked twice: none is worth waiting for all the same.
#[test]
fn what_stallers_owe_at_the_end_is_asked_of_who_has_nothing_to_do() {
    const PIECES: u32 = 60;
    let config = Told::config(torrent_of(PIECES, 2 * BLOCK), 0, Box::new(InOrder));
    let mut told = Told::configured(Config { peers_max: 8, ..config });
    let every_us = SECOND_US / 50;
    let (good, asked) = told.seed(7);
    let mut good = Sender::new(good, asked);
    good.send(&mut told, every_us, 10 * every_us);
    let mut sent = BTreeSet::new();
    for n in 1..=6 {
        let (peer, asked) = told.seed(n);
        let mut staller = Sender::new(peer, asked);
        // It sends a block, so that it is known, and nothing from then on.
        staller.send(&mut told, every_us, 2 * every_us);
        sent.append(&mut staller.sent);
    }
    let begun = told.now;
    while good.sent.union(&sent).count() < 2 * PIECES as usize {
        good.send(&mut told, every_us, every_us);
        let seconds = told.now.since_us(begun) / SECOND_US;
        assert!(seconds < 7, "{} and {} blocks came", good.sent.len(), sent.len());
    }
}
