//! By which transport a peer is called, and what is said of it afterwards.

use super::{InOrder, PIECES, Told};
use rtor::engine::time::SECOND_US;
use rtor::engine::{Config, Encryption, Event, Input, Output, PeerId, Transports};
use rtor::sim::torrent_of;
use rtor::wire::{Race, Transport};
use std::net::SocketAddr;

const TCP_FIRST: Race = Race { first: Transport::Tcp, second: Some(Transport::Utp) };
const UTP_FIRST: Race = Race { first: Transport::Utp, second: Some(Transport::Tcp) };
const UTP_ALONE: Race = Race { first: Transport::Utp, second: None };

/// An engine that does not encrypt, and was told of one peer.
fn with(transports: Transports) -> Told {
    let config = Told::config(torrent_of(PIECES, 2 * super::BLOCK), 0, Box::new(InOrder));
    let encryption = Encryption::Off;
    let mut told = Told::configured(Config { transports, encryption, ..config });
    told.tell(Input::Named(SocketAddr::from(([10, 0, 0, 1], 6881))));
    told
}

/// The one call that just went out, and how.
#[track_caller]
fn called(told: &Told) -> (PeerId, Race) {
    let call = |output: &Output| match output {
        Output::Dial(peer, _, call) => Some((*peer, call.race)),
        _ => None,
    };
    let calls: Vec<_> = told.out.iter().filter_map(call).collect();
    let [call] = calls[..] else { panic!("one call: {:?}", told.out) };
    call
}

fn connects(told: &mut Told, peer: PeerId, by: Transport) {
    told.tell(Input::Carried(peer, by));
    told.tell(Input::Dialled(peer));
}

fn declines(told: &mut Told, peer: PeerId) {
    told.tell(Input::Declined(peer, "it closed the connection".to_owned()));
}

/// After the wait for who failed once.
fn later(told: &mut Told) {
    told.now = told.now + 2 * SECOND_US;
    told.tell(Input::Deadline);
}

#[test]
fn who_declines_by_tcp_is_called_by_utp_alone_at_once() {
    let mut told = with(Transports::Both);
    let (peer, race) = called(&told);
    assert_eq!(race, TCP_FIRST);
    connects(&mut told, peer, Transport::Tcp);
    declines(&mut told, peer);
    let (again, race) = called(&told);
    assert_eq!(race, UTP_ALONE);
    connects(&mut told, again, Transport::Utp);
    declines(&mut told, again);
    assert!(!told.out.iter().any(|output| matches!(output, Output::Dial(..))));
    later(&mut told);
    assert_eq!(called(&told).1, TCP_FIRST);
}

#[test]
fn what_carried_a_peer_is_told_and_reported_and_tried_first_from_then_on() {
    let mut told = with(Transports::Both);
    let (peer, _) = called(&told);
    connects(&mut told, peer, Transport::Utp);
    let handshake = told.handshake;
    told.tell(Input::Greeted(peer, handshake));
    let joined = told.out.iter().find_map(|output| match output {
        Output::Tell(Event::Joined { transport, .. }) => Some(*transport),
        _ => None,
    });
    assert_eq!(joined, Some(Transport::Utp));
    assert_eq!(told.engine.report(told.now).peers[0].transport, Transport::Utp);
    told.tell(Input::Lost(peer, "it closed the connection".to_owned()));
    later(&mut told);
    assert_eq!(called(&told).1, UTP_FIRST);
}

#[test]
fn where_one_transport_is_all_there_is_nobody_is_called_by_the_other() {
    let mut told = with(Transports::Utp);
    let (peer, race) = called(&told);
    assert_eq!(race, UTP_ALONE);
    connects(&mut told, peer, Transport::Utp);
    declines(&mut told, peer);
    assert!(!told.out.iter().any(|output| matches!(output, Output::Dial(..))));
}
