//! A router passes ports on to us: who is outside is told of those, and who is not of our own.

use super::{BLOCK, InOrder, PIECES, Told};
use rtor::engine::{Config, Input, PeerId};
use rtor::sim::torrent_of;
use rtor::wire::extension::ExtensionHandshake;
use rtor::wire::{Handshake, Message};
use std::net::SocketAddr;

fn told() -> Told {
    let config = Told::config(torrent_of(PIECES, 2 * BLOCK), 0, Box::new(InOrder));
    Told::configured(Config { port: 6881, udp_port: 6881, peers_max: 9, ..config })
}

/// The port in an extension handshake to `peer`, if it was sent one.
fn port(told: &Told, peer: PeerId) -> Option<u16> {
    told.said(peer).into_iter().find_map(|message| match message {
        Message::Extended { id: 0, payload } => {
            ExtensionHandshake::decode(&payload).expect("our own").port
        }
        _ => None,
    })
}

/// A peer from there that speaks extensions, and the port that it was told.
fn greeted(told: &mut Told, from: &str) -> (PeerId, Option<u16>) {
    let peer = told.engine.next_peer();
    let from: SocketAddr = from.parse().expect("a literal address");
    told.tell(Input::Accepted(peer, from));
    let mut id = told.handshake.peer_id;
    id[12..].copy_from_slice(&format!("{:08}", peer.0).into_bytes());
    told.tell(Input::Greeted(peer, Handshake::new(told.handshake.info_hash, id)));
    let said = port(told, peer);
    let theirs =
        ExtensionHandshake { ids: [("ut_pex".to_owned(), 1)].into(), ..Default::default() };
    let hello = Message::Extended { id: 0, payload: theirs.encode() };
    told.tell(Input::Received(peer, hello));
    (peer, said)
}

fn mapped(told: &mut Told, port: u16) {
    told.tell(Input::Mapped(SocketAddr::from(([11, 0, 0, 1], port)), port + 1));
}

#[test]
fn peers_outside_are_told_where_they_reach_us_and_those_at_home_where_we_listen() {
    let mut told = told();
    let (outside, before) = greeted(&mut told, "12.0.0.1:5");
    let (home, _) = greeted(&mut told, "192.168.1.7:5");
    let (six, _) = greeted(&mut told, "[2001:db8::1]:5");
    assert_eq!(before, Some(6881));
    mapped(&mut told, 7000);
    assert_eq!([outside, home, six].map(|peer| port(&told, peer)), [Some(7000), None, None]);
    for (from, due) in [
        ("12.0.0.2:5", 7000),
        ("10.9.9.9:5", 6881),
        ("127.0.0.1:5", 6881),
        ("[2001:db8::2]:5", 6881),
    ] {
        assert_eq!(greeted(&mut told, from).1, Some(due), "{from}");
    }
    mapped(&mut told, 7000);
    assert_eq!(port(&told, outside), None, "that is no news");
}

#[test]
fn a_port_that_is_our_own_is_no_news() {
    let mut told = told();
    let (outside, _) = greeted(&mut told, "12.0.0.1:5");
    mapped(&mut told, 6881);
    assert_eq!(port(&told, outside), None);
}
