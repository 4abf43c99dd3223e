//! Nodes of the DHT (BEP 5): whom peers are told of, and whom they tell of.

use super::magnet::{holder, raw, whole};
use super::{BLOCK, InOrder, PIECES, Told};
use crate::plugins::silent;
use rtor::engine::time::SECOND_US;
use rtor::engine::{Config, Content, Event, Guest, Input, Output, PeerId};
use rtor::host::Registry;
use rtor::sim::torrent_of;
use rtor::torrent::{Bitfield, Info, InfoHashV1, InfoHashes};
use rtor::wire::Message;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

const UDP_PORT: u16 = 40_000;

/// With the bundled guest `dht`, which knows nobody, and a torrent that names two nodes.
fn told(options: &str, private: bool) -> Told {
    with(options, torrent(private))
}

fn torrent(private: bool) -> Info {
    Info { private, ..Info::clone(&torrent_of(PIECES, 2 * BLOCK)) }
}

fn with(options: &str, info: Info) -> Told {
    let only = [format!("dht:bootstrap={options}")];
    let guests =
        Registry::bundled().discoveries(&only, &[], false, &BTreeMap::new(), &|_| silent());
    let guest = guests.expect("it starts").pop().expect("there is one");
    let config = Told::config(Arc::new(info), 0, Box::new(InOrder));
    let guests = vec![Guest { id: guest.id.to_owned(), instance: guest.instance, state: None }];
    let nodes = vec![("a.example".to_owned(), 1), ("10.0.0.9".to_owned(), 2)];
    Told::configured(Config { guests, nodes, udp_port: UDP_PORT, ..config })
}

/// A peer that is a node, or none; what it was told of ours.
fn greeted(told: &mut Told, n: u8, is_node: bool) -> (PeerId, Vec<u16>, bool) {
    let plain = told.handshake;
    if is_node {
        told.handshake = plain.with_dht();
    }
    let peer = told.engine.next_peer();
    told.tell(Input::Accepted(peer, SocketAddr::from(([10, 0, 0, n], 6881))));
    let mut theirs = told.handshake;
    theirs.peer_id[19] = n;
    told.tell(Input::Greeted(peer, theirs));
    let ours = told.out.iter().find_map(|output| match output {
        Output::Greet(_, handshake) => Some(handshake.dht()),
        _ => None,
    });
    told.handshake = plain;
    let ports = told.said(peer).into_iter().filter_map(|message| match message {
        Message::Port(port) => Some(port),
        _ => None,
    });
    (peer, ports.collect(), ours.expect("it is greeted"))
}

/// Where datagrams went when this was told, and within a second after it.
fn asked(told: &mut Told, inputs: impl IntoIterator<Item = Input>) -> Vec<SocketAddr> {
    let mut asked = Vec::new();
    let later = std::iter::repeat_with(|| Input::Deadline).take(10);
    for input in inputs.into_iter().chain(later) {
        if matches!(input, Input::Deadline) {
            told.now = told.now + SECOND_US / 10;
        }
        told.tell(input);
        asked.extend(told.out.iter().filter_map(|output| match output {
            Output::Datagram(to, _) => Some(*to),
            _ => None,
        }));
    }
    asked
}

#[test]
fn peers_that_are_nodes_are_told_of_ours() {
    let mut told = told("", false);
    assert_eq!(greeted(&mut told, 1, true).1, [UDP_PORT]);
    assert!(greeted(&mut told, 2, false).1.is_empty());
    assert!(greeted(&mut told, 3, false).2, "our handshake has the bit");
}

#[test]
fn nobody_is_told_of_a_node_that_answers_nobody() {
    let mut told = told(",read-only", false);
    let (_, ports, bit) = greeted(&mut told, 1, true);
    assert!(ports.is_empty() && !bit);
}

#[test]
fn the_first_port_of_a_peer_is_asked_and_no_other() {
    let mut told = told("", false);
    let (peer, ..) = greeted(&mut told, 1, true);
    let ports = [0, 7000, 7001].map(|port| Input::Received(peer, Message::Port(port)));
    assert_eq!(asked(&mut told, ports), [SocketAddr::from(([10, 0, 0, 1], 7000))]);
}

#[test]
fn the_nodes_of_the_torrent_are_looked_up_and_asked() {
    let mut told = told("", false);
    let wanted: Vec<_> = told
        .out
        .iter()
        .filter_map(|output| match output {
            Output::FindNode(host, port) => Some((host.as_str(), *port)),
            _ => None,
        })
        .collect();
    assert_eq!(wanted, [("a.example", 1), ("10.0.0.9", 2)]);
    let addr = SocketAddr::from(([10, 0, 0, 9], 2));
    assert_eq!(asked(&mut told, [Input::NodeFound(addr)]), [addr]);
}

#[test]
fn the_end_waits_neither_for_names_nor_for_nodes() {
    let mut told = told("a.example:1+10.0.0.8:1", false);
    told.tell(Input::Stopped);
    assert!(told.out.contains(&Output::Tell(Event::Farewell)), "{:?}", told.out);
}

#[test]
fn on_a_private_torrent_there_are_no_nodes() {
    let mut told = told("10.0.0.8:1", true);
    assert!(told.out.is_empty(), "{:?}", told.out);
    let (peer, ports, bit) = greeted(&mut told, 1, true);
    assert!(ports.is_empty() && !bit);
    let found = Input::NodeFound(SocketAddr::from(([10, 0, 0, 9], 2)));
    let inputs = [Input::Received(peer, Message::Port(7000)), found];
    assert!(asked(&mut told, inputs).is_empty());
}

#[test]
fn a_magnet_that_turns_out_to_be_private_has_no_nodes_from_then_on() {
    let mut told = with("10.0.0.8:1", Info::unknown(torrent(true).hashes));
    let (_, ports, bit) = greeted(&mut told, 1, true);
    assert!(!ports.is_empty() && bit, "nobody can know it yet");
    let (have, wanted) = (Bitfield::new(PIECES as usize), Bitfield::full(PIECES as usize));
    let content = Content { info: Arc::new(torrent(true)), have, wanted, partial: Vec::new() };
    told.tell(Input::Learned(Box::new(content)));
    let (peer, ports, bit) = greeted(&mut told, 2, true);
    assert!(ports.is_empty() && !bit);
    let found = Input::NodeFound(SocketAddr::from(([10, 0, 0, 9], 2)));
    let inputs = [Input::Received(peer, Message::Port(7000)), found];
    assert!(asked(&mut told, inputs).is_empty());
}

#[test]
fn a_magnet_that_turns_out_to_be_private_has_no_nodes_while_its_store_is_made() {
    let raw = raw(true);
    let hashes = InfoHashes { v1: Some(InfoHashV1::of(&raw)), v2: None };
    let mut told = with("10.0.0.8:1", Info::unknown(hashes));
    let (peer, _) = holder(&mut told, 1, raw.len());
    assert!(whole(&mut told, peer, &raw).private);
    let found = Input::NodeFound(SocketAddr::from(([10, 0, 0, 9], 2)));
    let inputs = [Input::Received(peer, Message::Port(7000)), found];
    assert!(asked(&mut told, inputs).is_empty(), "{:?}", told.out);
}
