//! How conversations begin: what is said before a peer has said what it has.

use super::{BLOCK, PIECES, Told, block};
use bytes::Bytes;
use rtor::engine::time::SECOND_US;
use rtor::engine::{Input, Output, PeerId};
use rtor::sim::torrent_of;
use rtor::torrent::{Bitfield, PieceIndex};
use rtor::wire::Message;
use std::net::SocketAddr;

/// Calls a peer whose line takes `trip_us`; what it is told with our handshake.
fn dialled(told: &mut Told, trip_us: u64) -> (PeerId, Vec<Message>) {
    told.tell(Input::Named(SocketAddr::from(([10, 0, 0, 1], 6881))));
    let dialled = told.out.iter().find_map(|output| match output {
        Output::Dial(peer, ..) => Some(*peer),
        _ => None,
    });
    let peer = dialled.expect("it is called");
    told.now = told.now + trip_us;
    told.tell(Input::Dialled(peer));
    assert!(told.out.iter().any(|output| matches!(output, Output::Greet(..))), "{:?}", told.out);
    (peer, told.said(peer))
}

fn first_piece() -> PieceIndex {
    torrent_of(PIECES, 2 * BLOCK).layout.piece(0).expect("it has one")
}

fn greeted(told: &mut Told, peer: PeerId) {
    let handshake = told.handshake;
    told.tell(Input::Greeted(peer, handshake));
}

/// The same, and its handshake comes after the same time.
fn call(told: &mut Told, trip_us: u64) -> (PeerId, Vec<Message>) {
    let (peer, with_handshake) = dialled(told, trip_us);
    told.now = told.now + trip_us;
    greeted(told, peer);
    (peer, with_handshake)
}

fn bitfield(pieces: impl IntoIterator<Item = usize>) -> Message {
    let mut bits = Bitfield::new(PIECES as usize);
    pieces.into_iter().for_each(|piece| {
        bits.insert(piece);
    });
    Message::Bitfield(Bytes::from(bits.to_wire()))
}

#[test]
fn whoever_is_far_hears_of_interest_with_the_handshake_and_again() {
    let mut told = Told::new(0);
    let (peer, with_handshake) = call(&mut told, SECOND_US / 5);
    assert_eq!(with_handshake, [bitfield([]), Message::Interested]);
    // A quarter of a second later nothing is known yet, and nothing is taken back.
    told.now = told.now + SECOND_US / 4;
    told.tell(Input::Deadline);
    assert_eq!(told.said(peer), []);
    told.tell(Input::Received(peer, bitfield(0..PIECES as usize)));
    assert_eq!(told.said(peer), [Message::Interested], "aria2 has forgotten the first one");
    told.tell(Input::Received(peer, Message::Unchoke));
    assert!(!told.asked(peer).is_empty());
}

#[test]
fn an_unchoke_before_the_bitfield_is_remembered() {
    let mut told = Told::new(0);
    let (peer, _) = call(&mut told, SECOND_US / 5);
    told.tell(Input::Received(peer, Message::Unchoke));
    assert_eq!(told.asked(peer), []);
    told.tell(Input::Received(peer, Message::Have(3)));
    assert!(!told.asked(peer).is_empty());
}

#[test]
fn interest_that_was_guessed_wrong_is_taken_back() {
    let mut told = Told::new(0);
    let (seed, asked) = told.seed(2);
    let (peer, with_handshake) = call(&mut told, SECOND_US / 5);
    assert_eq!(with_handshake, [bitfield([]), Message::Interested]);
    // Meanwhile piece 0 is verified, which is all that this one has.
    for spec in asked.into_iter().filter(|spec| spec.index == 0) {
        told.tell(Input::Received(seed, block(spec)));
    }
    let piece = first_piece();
    told.tell(Input::Checked(piece, true, Vec::new()));
    told.tell(Input::Received(peer, bitfield([0])));
    assert_eq!(told.said(peer), [Message::NotInterested]);
}

#[test]
fn what_came_between_call_and_greeting_is_told_piece_by_piece() {
    let mut told = Told::new(0);
    let (seed, asked) = told.seed(2);
    let (peer, _) = dialled(&mut told, SECOND_US / 5);
    for spec in asked.into_iter().filter(|spec| spec.index == 0) {
        told.tell(Input::Received(seed, block(spec)));
    }
    let piece = first_piece();
    told.tell(Input::Checked(piece, true, Vec::new()));
    greeted(&mut told, peer);
    assert!(told.said(peer).contains(&Message::Have(0)), "{:?}", told.out);
    let is_bitfield = |message: &Message| matches!(message, Message::Bitfield(_));
    assert!(!told.said(peer).iter().any(is_bitfield), "a second one is against BEP 3");
}

#[test]
fn nothing_is_guessed_of_who_is_near_or_when_there_are_pieces_to_tell_of() {
    assert_eq!(call(&mut Told::new(0), SECOND_US / 1000).1, []);
    assert_eq!(call(&mut Told::new(2), SECOND_US / 5).1, []);
}

#[test]
fn a_peer_that_came_to_us_is_not_called_where_it_listens_while_it_is_here() {
    let mut told = Told::new(0);
    let came = told.peer(9);
    let payload = Bytes::from_static(b"d1:pi7000ee");
    told.tell(Input::Received(came, Message::Extended { id: 0, payload }));
    let listens_at = SocketAddr::from(([10, 0, 0, 9], 7000));
    told.tell(Input::Named(listens_at));
    let dials = |told: &Told| {
        told.out.iter().any(|out| matches!(out, Output::Dial(_, addr, _) if *addr == listens_at))
    };
    assert!(!dials(&told), "{:?}", told.out);
    told.tell(Input::Lost(came, "it closed the connection".to_owned()));
    told.now = told.now + 3 * SECOND_US;
    told.tell(Input::Deadline);
    assert!(dials(&told), "it is gone, and may be called: {:?}", told.out);
}
