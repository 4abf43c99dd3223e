//! Which kind of connection a peer is called by, and what is said of it afterwards.

use super::{InOrder, PIECES, Told};
use rtor::engine::time::SECOND_US;
use rtor::engine::{Config, Encryption, Event, Input, Output, PeerId};
use rtor::sim::torrent_of;
use rtor::wire::mse::{Method, Offer, Preference};
use std::net::SocketAddr;

fn with(encryption: Encryption) -> Told {
    let config = Told::config(torrent_of(PIECES, 2 * super::BLOCK), 0, Box::new(InOrder));
    let mut told = Told::configured(Config { encryption, ..config });
    told.tell(Input::Named(addr()));
    told
}

fn addr() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 6881))
}

/// The one call that just went out, and how.
#[track_caller]
fn called(told: &Told) -> (PeerId, Option<Preference>) {
    let call = |output: &Output| match output {
        Output::Dial(peer, to, call) => {
            assert_eq!(*to, addr());
            Some((*peer, call.offer))
        }
        _ => None,
    };
    let calls: Vec<_> = told.out.iter().filter_map(call).collect();
    let [(peer, offer)] = calls[..] else { panic!("one call: {:?}", told.out) };
    let preference = offer.map(|Offer { skey, preference }| {
        assert_eq!(skey, told.handshake.info_hash);
        preference
    });
    (peer, preference)
}

fn declines(told: &mut Told, peer: PeerId) {
    told.tell(Input::Declined(peer, "it closed the connection".to_owned()));
}

#[test]
fn who_declines_a_call_is_called_the_other_way_at_once() {
    for (encryption, first, second) in [
        (Encryption::Allow, None, Some(Preference::PlaintextFirst)),
        (Encryption::Prefer, Some(Preference::Rc4First), None),
    ] {
        let mut told = with(encryption);
        let (peer, kind) = called(&told);
        assert_eq!(kind, first);
        declines(&mut told, peer);
        let (again, kind) = called(&told);
        assert_eq!(kind, second);
        // Both in vain: then it is a failure like others.
        declines(&mut told, again);
        assert!(!told.out.iter().any(|output| matches!(output, Output::Dial(..))));
        told.now = told.now + 2 * SECOND_US;
        told.tell(Input::Deadline);
        assert_eq!(called(&told).1, first);
    }
}

#[test]
fn where_one_kind_is_all_there_is_nobody_is_called_the_other_way() {
    for (encryption, kind) in
        [(Encryption::Off, None), (Encryption::Require, Some(Preference::Rc4Only))]
    {
        let mut told = with(encryption);
        let (peer, preference) = called(&told);
        assert_eq!(preference, kind);
        declines(&mut told, peer);
        assert!(!told.out.iter().any(|output| matches!(output, Output::Dial(..))));
    }
}

#[test]
fn what_was_agreed_on_is_told_and_reported() {
    let mut told = with(Encryption::Require);
    let (peer, _) = called(&told);
    told.tell(Input::Dialled(peer));
    told.tell(Input::Encrypted(peer, Method::Rc4));
    let handshake = told.handshake;
    told.tell(Input::Greeted(peer, handshake));
    let joined = told.out.iter().find_map(|output| match output {
        Output::Tell(Event::Joined { method, .. }) => Some(*method),
        _ => None,
    });
    assert_eq!(joined, Some(Some(Method::Rc4)));
    assert_eq!(told.engine.report(told.now).peers[0].method, Some(Method::Rc4));
}

#[test]
fn a_peer_that_declines_after_it_greeted_is_only_lost() {
    let mut told = with(Encryption::Allow);
    let (peer, _) = called(&told);
    told.tell(Input::Dialled(peer));
    let handshake = told.handshake;
    told.tell(Input::Greeted(peer, handshake));
    declines(&mut told, peer);
    assert_eq!(told.engine.peer_count(), 0);
    assert!(!told.out.iter().any(|output| matches!(output, Output::Dial(..))));
}
