//! Liars: who sent what is found out block by block, and nobody honest suffers.

use super::{BLOCK, PIECES, Told, block};
use rtor::engine::picker::Digest;
use rtor::engine::time::SECOND_US;
use rtor::engine::{Event, Input, Output, PeerId, Why};
use rtor::sim::torrent_of;
use rtor::torrent::PieceIndex;
use rtor::wire::{BlockSpec, Message};
use std::net::SocketAddr;

const GOOD: Digest = [0; 20];
const BAD: Digest = [9; 20];

/// The one piece that is to come, of two blocks.
fn last_piece() -> PieceIndex {
    torrent_of(PIECES, 2 * BLOCK).layout.piece(PIECES - 1).expect("the last piece")
}

fn spec(number: u32) -> BlockSpec {
    BlockSpec { index: PIECES - 1, offset: number * BLOCK, length: BLOCK }
}

/// Two seeds of whom each sent one block of the last piece, which failed: the second block is
/// bad. A third, honest seed is asked for all of it.
fn one_of_two_lied() -> (Told, [PeerId; 3]) {
    let mut told = Told::new(PIECES - 1);
    let (first, asked) = told.seed(1);
    assert_eq!(asked, [spec(0), spec(1)]);
    told.tell(Input::Received(first, block(spec(0))));
    told.tell(Input::Received(first, Message::Choke));
    let (second, asked) = told.seed(2);
    assert_eq!(asked, [spec(1)]);
    told.tell(Input::Received(second, block(spec(1))));
    assert!(told.out.contains(&Output::Check(last_piece(), false)));
    told.tell(Input::Received(second, Message::Choke));
    let (third, _) = told.seed(3);
    told.tell(Input::Checked(last_piece(), false, vec![GOOD, BAD]));
    assert_eq!(told.asked(third), [spec(0), spec(1)], "one peer alone");
    assert!(!told.out.iter().any(|output| matches!(output, Output::HangUp(_))), "on suspicion");
    (told, [first, second, third])
}

fn banned(told: &Told) -> Vec<PeerId> {
    let banned = told.out.iter().filter_map(|output| match output {
        Output::Tell(Event::Banned { peer, .. }) => Some(*peer),
        _ => None,
    });
    banned.collect()
}

#[test]
fn a_bad_piece_is_asked_elsewhere_and_its_only_sender_is_hung_up_on() {
    let mut told = Told::new(9);
    let (liar, asked) = told.seed(1);
    let (honest, _) = told.seed(2);
    for spec in &asked {
        told.tell(Input::Received(liar, block(*spec)));
    }
    told.tell(Input::Checked(last_piece(), false, vec![BAD; 2]));
    assert_eq!(told.why_left(liar), Some(&Why::Poisoned));
    assert_eq!(told.asked(honest), asked);
    let report = told.engine.report(told.now);
    assert_eq!((report.hash_failures, report.wasted_bytes), (1, u64::from(2 * BLOCK)));
}

#[test]
fn a_silent_peer_does_not_keep_a_piece_that_one_alone_may_send() {
    let mut told = Told::new(9);
    let (liar, asked) = told.seed(1);
    let (silent, _) = told.seed(2);
    for spec in &asked {
        told.tell(Input::Received(liar, block(*spec)));
    }
    told.tell(Input::Checked(last_piece(), false, vec![BAD; 2]));
    assert_eq!(told.asked(silent), asked, "it may try alone");
    let (honest, nothing) = told.seed(3);
    assert_eq!(nothing, [], "only one may");
    let mut again = Vec::new();
    for _ in 0..120 {
        told.now = told.now + SECOND_US / 10;
        told.tell(Input::Deadline);
        again.extend(told.asked(honest));
    }
    assert_eq!(again, asked);
}

#[test]
fn the_good_copy_proves_who_sent_which_bad_block() {
    let (mut told, [_, liar, third]) = one_of_two_lied();
    told.tell(Input::Received(third, block(spec(0))));
    told.tell(Input::Received(third, block(spec(1))));
    assert!(told.out.contains(&Output::Check(last_piece(), true)), "with the hash of each block");
    told.tell(Input::Checked(last_piece(), true, vec![GOOD; 2]));
    assert_eq!(banned(&told), [liar]);
    assert_eq!(told.why_left(liar), Some(&Why::Poisoned));
    assert_eq!(told.engine.peer_count(), 2, "nobody else went");
}

#[test]
fn who_left_before_it_was_proven_may_not_come_again() {
    let (mut told, [_, liar, third]) = one_of_two_lied();
    told.tell(Input::Lost(liar, "gone".to_owned()));
    told.tell(Input::Received(third, block(spec(0))));
    told.tell(Input::Received(third, block(spec(1))));
    told.tell(Input::Checked(last_piece(), true, vec![GOOD; 2]));
    assert_eq!(banned(&told), [liar]);
    let again = told.engine.next_peer();
    told.tell(Input::Accepted(again, SocketAddr::from(([10, 0, 0, 2], 999))));
    assert_eq!(told.out, [Output::HangUp(again)]);
}

#[test]
fn what_was_kept_of_a_piece_that_begins_anew_is_forgotten() {
    let (mut told, [.., third]) = one_of_two_lied();
    told.tell(Input::Received(third, block(spec(0))));
    // The one that sends it alone goes: its block must not end up among another's.
    told.tell(Input::Lost(third, "gone".to_owned()));
    assert!(told.out.contains(&Output::Forget(last_piece())), "{:?}", told.out);
}

#[test]
fn what_a_proven_liar_sent_of_other_pieces_is_had_again() {
    let mut told = Told::new(PIECES - 2);
    let (liar, asked) = told.seed(1);
    assert_eq!(asked.len(), 4);
    let other = BlockSpec { index: PIECES - 2, ..spec(0) };
    for spec in [other, spec(0), spec(1)] {
        told.tell(Input::Received(liar, block(spec)));
    }
    let (honest, _) = told.seed(2);
    told.tell(Input::Checked(last_piece(), false, vec![BAD; 2]));
    assert_eq!(banned(&told), [liar]);
    let discarded = told.out.iter().filter(|output| matches!(output, Output::Discard(_)));
    assert_eq!(discarded.count(), 1);
    assert!(told.asked(honest).contains(&other), "{:?}", told.asked(honest));
    assert_eq!(told.engine.report(told.now).wasted_bytes, u64::from(3 * BLOCK));
}

#[test]
fn a_liar_is_banned_once_however_often_it_is_proven() {
    let mut told = Told::new(PIECES - 2);
    let (liar, asked) = told.seed(1);
    for spec in asked {
        told.tell(Input::Received(liar, block(spec)));
    }
    told.tell(Input::Checked(last_piece(), false, vec![BAD; 2]));
    assert_eq!(banned(&told), [liar]);
    let other = torrent_of(PIECES, 2 * BLOCK).layout.piece(PIECES - 2).expect("the one before");
    told.tell(Input::Checked(other, false, vec![BAD; 2]));
    assert_eq!(banned(&told), []);
    assert_eq!(told.engine.report(told.now).hash_failures, 2);
}
