//! Who may stay when there is no room and others are known.

use super::{PIECES, Told, block};
use bytes::Bytes;
use rtor::engine::time::SECOND_US;
use rtor::engine::{Input, Output, PeerId, Why};
use rtor::torrent::Bitfield;
use rtor::wire::Message;
use std::net::SocketAddr;

/// As many as there is room for: one delivers, one chokes us, one wants nothing and has nothing.
fn full() -> (Told, [PeerId; 3]) {
    let mut told = Told::new(0);
    let (giver, asked) = told.seed(1);
    told.tell(Input::Received(giver, block(asked[0])));
    let choker = told.peer(2);
    let all = Bytes::from(Bitfield::full(PIECES as usize).to_wire());
    told.tell(Input::Received(choker, Message::Bitfield(all)));
    let idler = told.peer(3);
    (told, [giver, choker, idler])
}

fn stranger(told: &mut Told) {
    told.tell(Input::Named(SocketAddr::from(([10, 0, 9, 9], 6881))));
}

/// Goes on for so many seconds, in which the giver delivers; who was sent away, and why.
fn pass(told: &mut Told, seconds: u64, giver: PeerId) -> Vec<PeerId> {
    let mut gone = Vec::new();
    for _ in 0..seconds * 4 {
        told.now = told.now + SECOND_US / 4;
        told.tell(Input::Deadline);
        let left = told.out.iter().filter_map(|output| match output {
            Output::HangUp(peer) => Some(*peer),
            _ => None,
        });
        gone.extend(left);
        if let Some(spec) = told.asked(giver).first() {
            told.tell(Input::Received(giver, block(*spec)));
        }
    }
    gone
}

#[test]
fn the_least_useful_make_room_for_strangers_and_who_delivers_stays() {
    let (mut told, [giver, choker, idler]) = full();
    stranger(&mut told);
    assert_eq!(pass(&mut told, 29, giver), [], "they have time to show what they can do");
    // The stranger does not answer, so the place is wanted once.
    assert_eq!(pass(&mut told, 5, giver), [idler]);
    assert!(told.engine.peer_count() == 2, "{choker:?} and {giver:?} are here");
}

#[test]
fn nobody_goes_while_no_stranger_is_known() {
    let (mut told, [giver, ..]) = full();
    assert_eq!(pass(&mut told, 120, giver), []);
}

#[test]
fn who_comes_to_us_may_have_the_place_of_the_useless() {
    let (mut told, [giver, _, idler]) = full();
    pass(&mut told, 31, giver);
    let newcomer = told.engine.next_peer();
    told.tell(Input::Accepted(newcomer, SocketAddr::from(([10, 0, 0, 4], 1))));
    assert_eq!(told.why_left(idler), Some(&Why::Replaced));
    assert!(!told.out.contains(&Output::HangUp(newcomer)), "{:?}", told.out);
}
