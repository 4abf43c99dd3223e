//! A magnet of v2 alone: after the metadata its piece layers, from peers that speak v2; and what we
//! give of ours.

use super::{BLOCK, InOrder, Told};
use bytes::Bytes;
use rtor::engine::{Input, Output, PeerId, Why};
use rtor::torrent::bencode::Node;
use rtor::torrent::layer_tree::{Hash, LayerTree};
use rtor::torrent::piece_hash::merkle_root;
use rtor::torrent::piece_layers::filler;
use rtor::torrent::{Info, InfoHashV1, InfoHashV2, InfoHashes, PieceLayers};
use rtor::wire::metadata::METADATA_PIECE_BYTES;
use rtor::wire::{HashRange, Message, MetadataMessage};
use std::sync::Arc;

/// Pieces of the torrent: two parts of a layer.
const PIECES: usize = 700;
const PIECE_LENGTH: u32 = 4 * BLOCK;
/// Where these peers want `ut_metadata`.
const THEIR_ID: u8 = 7;

fn layer() -> Vec<Hash> {
    (0..PIECES).map(|at| std::array::from_fn(|i| (at >> (i % 2 * 8)) as u8)).collect()
}

fn root() -> Hash {
    merkle_root(layer(), PIECES.next_power_of_two(), filler(PIECE_LENGTH))
}

/// The info dictionary of one file of that layer.
fn raw(private: bool) -> Bytes {
    let length = PIECES as i64 * i64::from(PIECE_LENGTH);
    let root = Node::Bytes(Bytes::copy_from_slice(&root()));
    let file = Node::dictionary([("length", Node::Integer(length)), ("pieces root", root)]);
    let tree = Node::dictionary([("x", Node::dictionary([("", file)]))]);
    let mut entries = vec![
        ("file tree", tree),
        ("meta version", Node::Integer(2)),
        ("name", Node::from("x")),
        ("piece length", Node::Integer(i64::from(PIECE_LENGTH))),
    ];
    entries.extend(private.then_some(("private", Node::Integer(1))));
    Node::dictionary(entries).encode().into()
}

/// An engine that knows the v2 info hash and nothing more.
fn unknown(raw: &[u8]) -> Told {
    let hashes = InfoHashes { v1: None, v2: Some(InfoHashV2::of(raw)) };
    Told::of(Arc::new(Info::unknown(hashes)), 0, Box::new(InOrder))
}

/// One that knows all of it.
fn known() -> Told {
    let layers: PieceLayers = [(root(), layer())].into_iter().collect();
    let info = Info::parse(raw(false), Some(&layers.encode())).expect("it is valid");
    Told::of(Arc::new(info), 0, Box::new(InOrder))
}

/// Peer `n` gives the metadata; what it is asked for next.
fn metadata(told: &mut Told, n: u8, raw: &Bytes) -> (PeerId, Vec<HashRange>) {
    assert!(raw.len() <= METADATA_PIECE_BYTES, "it has one piece");
    let peer = told.peer(n);
    let size = raw.len();
    let payload = format!("d1:md11:ut_metadatai{THEIR_ID}ee13:metadata_sizei{size}ee").into();
    told.tell(Input::Received(peer, Message::Extended { id: 0, payload }));
    let data = MetadataMessage::Data { piece: 0, total_size: size as u32, data: raw.clone() };
    told.tell(Input::Received(peer, Message::Extended { id: 1, payload: data.encode() }));
    let asked = asked(told, peer);
    (peer, asked)
}

fn asked(told: &Told, peer: PeerId) -> Vec<HashRange> {
    let range = |message| match message {
        Message::HashRequest(range) => Some(*range),
        _ => None,
    };
    told.said(peer).into_iter().filter_map(range).collect()
}

fn answer(range: HashRange) -> Message {
    let tree = LayerTree::new(&layer(), filler(PIECE_LENGTH));
    let HashRange { index, length, proof_layers, .. } = range;
    let part = tree.part(&layer(), index as usize, length as usize, proof_layers as usize);
    Message::Hashes(range.into(), part.expect("there is such a part").concat().into())
}

fn learned(told: &Told) -> Option<Arc<Info>> {
    told.out.iter().find_map(|output| match output {
        Output::Learned(info) => Some(Arc::clone(info.as_ref().expect("it can be used"))),
        _ => None,
    })
}

#[test]
fn metadata_of_v2_counts_once_its_layers_are_there() {
    let raw = raw(false);
    let mut told = unknown(&raw);
    let (peer, asked) = metadata(&mut told, 1, &raw);
    let range =
        |index| HashRange { root: root(), base_layer: 2, index, length: 512, proof_layers: 9 };
    assert_eq!(asked, [range(0), range(512)]);
    assert_eq!(learned(&told), None);
    told.tell(Input::Received(peer, answer(asked[1])));
    assert_eq!(learned(&told), None);
    told.tell(Input::Received(peer, answer(asked[0])));
    let info = learned(&told).expect("all is there");
    assert_eq!(info.layers.layer(&root()), Some(&layer()[..]));
    assert_eq!(info.pieces.piece_count(), PIECES);
}

#[test]
fn who_sends_wrong_hashes_is_banned_and_the_next_is_asked() {
    let raw = raw(false);
    let mut told = unknown(&raw);
    let (liar, asked_of_liar) = metadata(&mut told, 1, &raw);
    let Message::Hashes(range, hashes) = answer(asked_of_liar[0]) else { panic!("hashes") };
    let mut bent = hashes.to_vec();
    bent[3] ^= 1;
    told.tell(Input::Received(liar, Message::Hashes(range, bent.into())));
    assert_eq!(told.why_left(liar), Some(&Why::Poisoned));
    let honest = told.peer(2);
    let again = asked(&told, honest);
    assert_eq!(again.len(), 2);
    again.into_iter().for_each(|range| told.tell(Input::Received(honest, answer(range))));
    assert!(learned(&told).is_some());
}

#[test]
fn who_has_none_is_asked_again_later_and_hashes_that_nobody_asked_for_are_nothing() {
    let raw = raw(false);
    let mut told = unknown(&raw);
    let (peer, asked_first) = metadata(&mut told, 1, &raw);
    for range in &asked_first {
        told.tell(Input::Received(peer, Message::HashReject((*range).into())));
        assert_eq!(asked(&told, peer), []);
    }
    told.tell(Input::Received(peer, answer(asked_first[0])));
    assert!(!told.out.contains(&Output::HangUp(peer)), "it may have come late");
    told.now.0 += 4_000_000;
    told.tell(Input::Deadline);
    assert_eq!(asked(&told, peer).len(), 2);
}

#[test]
fn layers_of_a_private_torrent_are_sought_with_its_other_ways_closed() {
    let raw = raw(true);
    let mut told = unknown(&raw);
    let (peer, asked) = metadata(&mut told, 1, &raw);
    asked.into_iter().for_each(|range| told.tell(Input::Received(peer, answer(range))));
    assert!(learned(&told).expect("all is there").private);
}

#[test]
fn layers_are_given_to_whoever_speaks_v2_but_not_for_ever() {
    let mut told = known();
    let peer = told.peer(1);
    let range = HashRange { root: root(), base_layer: 2, index: 512, length: 512, proof_layers: 9 };
    told.tell(Input::Received(peer, Message::HashRequest(range.into())));
    assert_eq!(told.said(peer), [answer(range)]);
    for bad in [
        HashRange { root: [1; 32], ..range },
        HashRange { base_layer: 0, ..range },
        HashRange { base_layer: 3, ..range },
        HashRange { index: 1, ..range },
        HashRange { index: u32::MAX, ..range },
        HashRange { length: 1024, index: 0, ..range },
        HashRange { length: 0, ..range },
        HashRange { proof_layers: u32::MAX, ..range },
    ] {
        let mut told = known();
        let peer = told.peer(1);
        told.tell(Input::Received(peer, Message::HashRequest(bad.into())));
        assert_eq!(told.said(peer), [Message::HashReject(bad.into())]);
    }
    let mut served = 1;
    loop {
        told.tell(Input::Received(peer, Message::HashRequest(range.into())));
        match &told.said(peer)[..] {
            [Message::Hashes(..)] => served += 1,
            said => break assert_eq!(said, [Message::HashReject(range.into())]),
        }
    }
    assert_eq!(served, 12, "four times two parts, and as many for files");
}

#[test]
fn who_knows_the_torrent_by_its_v1_hash_alone_is_not_spoken_to_of_hashes() {
    let layers: PieceLayers = [(root(), layer())].into_iter().collect();
    let mut info = Info::parse(raw(false), Some(&layers.encode())).expect("it is valid");
    // A hybrid, as far as its names go.
    info.hashes.v1 = Some(InfoHashV1([3; 20]));
    let by_v2 = info.hashes.v2_on_the_wire().expect("it has a v2 half");
    let mut told = Told::of(Arc::new(info), 0, Box::new(InOrder));
    let range = HashRange { root: root(), base_layer: 2, index: 0, length: 512, proof_layers: 9 };
    let first = told.peer(1);
    told.tell(Input::Received(first, Message::HashRequest(range.into())));
    assert_eq!(told.said(first), []);
    told.handshake.info_hash = by_v2;
    let second = told.peer(2);
    let greeting = told.out.iter().find_map(|output| match output {
        Output::Greet(peer, handshake) if *peer == second => Some(*handshake),
        _ => None,
    });
    let greeting = greeting.expect("it is greeted");
    assert!(greeting.info_hash == by_v2 && greeting.v2(), "as it greeted us");
    told.tell(Input::Received(second, Message::HashRequest(range.into())));
    assert!(matches!(told.said(second)[..], [Message::Hashes(..)]), "{:?}", told.out);
}
