//! A magnet: the metadata from peers, then the download with what they said before.

use super::{BLOCK, InOrder, Told};
use bytes::Bytes;
use rtor::engine::{Content, Event, Input, Output, PeerId, Time, Why};
use rtor::torrent::{Bitfield, Info, InfoHashV1, InfoHashes};
use rtor::wire::metadata::METADATA_PIECE_BYTES;
use rtor::wire::{Handshake, Message, MetadataMessage};
use std::sync::Arc;

/// Pieces of the torrent: two pieces of info dictionary, the second short.
const PIECES: usize = 900;
/// Where these peers want `ut_metadata`.
const THEIR_ID: u8 = 7;

pub(super) fn raw(private: bool) -> Bytes {
    let length = PIECES * 2 * BLOCK as usize;
    let mut raw =
        format!("d6:lengthi{length}e4:name1:x12:piece lengthi{}e", 2 * BLOCK).into_bytes();
    raw.extend(format!("6:pieces{}:", PIECES * 20).bytes());
    raw.extend(vec![b'h'; PIECES * 20]);
    raw.extend(if private { &b"7:privatei1ee"[..] } else { b"e" });
    raw.into()
}

/// An engine that knows nothing of it but its hash.
fn unknown(raw: &[u8]) -> Told {
    let hashes = InfoHashes { v1: Some(InfoHashV1::of(raw)), v2: None };
    Told::of(Arc::new(Info::unknown(hashes)), 0, Box::new(InOrder))
}

/// A peer that has the metadata, says so, and unchokes us.
pub(super) fn holder(told: &mut Told, n: u8, size: usize) -> (PeerId, Vec<u32>) {
    let peer = told.peer(n);
    assert!(told.said(peer).contains(&Message::Interested), "{:?}", told.out);
    told.tell(Input::Received(peer, Message::Unchoke));
    let payload = format!("d1:md11:ut_metadatai{THEIR_ID}ee13:metadata_sizei{size}ee").into();
    told.tell(Input::Received(peer, Message::Extended { id: 0, payload }));
    let asked = questions(told, peer);
    (peer, asked)
}

fn questions(told: &Told, peer: PeerId) -> Vec<u32> {
    metadata_said(told, peer)
        .into_iter()
        .filter_map(|message| match message {
            MetadataMessage::Request(piece) => Some(piece),
            _ => None,
        })
        .collect()
}

fn metadata_said(told: &Told, peer: PeerId) -> Vec<MetadataMessage> {
    let said = told.said(peer).into_iter();
    said.filter_map(|message| match message {
        Message::Extended { id: THEIR_ID, payload } => MetadataMessage::decode(&payload).ok(),
        _ => None,
    })
    .collect()
}

/// Under our id for `ut_metadata`, the first that we hand out.
fn metadata(message: &MetadataMessage) -> Message {
    Message::Extended { id: 1, payload: message.encode() }
}

fn piece(raw: &Bytes, number: u32) -> Message {
    let start = number as usize * METADATA_PIECE_BYTES;
    let data = raw.slice(start..raw.len().min(start + METADATA_PIECE_BYTES));
    metadata(&MetadataMessage::Data { piece: number, total_size: raw.len() as u32, data })
}

fn learned(told: &Told) -> Option<Arc<Info>> {
    told.out.iter().find_map(|output| match output {
        Output::Learned(info) => Some(Arc::clone(info.as_ref().expect("it can be used"))),
        _ => None,
    })
}

fn content(info: Arc<Info>) -> Input {
    let (have, wanted) = (Bitfield::new(PIECES), Bitfield::full(PIECES));
    Input::Learned(Box::new(Content { info, have, wanted, partial: Vec::new() }))
}

/// What is known once both pieces came.
pub(super) fn whole(told: &mut Told, peer: PeerId, raw: &Bytes) -> Arc<Info> {
    told.tell(Input::Received(peer, piece(raw, 0)));
    assert_eq!(learned(told), None);
    told.tell(Input::Received(peer, piece(raw, 1)));
    let info = learned(told).expect("it is whole");
    assert!(told.out.contains(&Output::Tell(Event::Metadata(raw.len()))));
    info
}

#[test]
fn blocks_are_asked_for_the_moment_that_the_torrent_is_known() {
    let raw = raw(false);
    let mut told = unknown(&raw);
    let (early, asked) = holder(&mut told, 1, raw.len());
    assert_eq!(asked, [0, 1]);
    told.tell(Input::Received(early, Message::Have(3)));
    let bits = Bytes::from(Bitfield::full(PIECES).to_wire());
    let second = told.peer(2);
    told.tell(Input::Received(second, Message::Bitfield(bits)));
    told.tell(Input::Received(second, Message::Unchoke));
    assert!(!told.engine.is_complete() && !told.engine.knows_metadata());
    let info = whole(&mut told, early, &raw);
    assert_eq!(info.layout.piece_count(), PIECES);
    told.tell(content(info));
    assert!(told.engine.knows_metadata());
    let of_first: Vec<u32> = told.asked(early).iter().map(|spec| spec.index).collect();
    assert!(!of_first.is_empty() && of_first.iter().all(|piece| *piece == 3), "{of_first:?}");
    assert!(!told.asked(second).is_empty(), "what it had said before counts: {:?}", told.out);
}

#[test]
fn pieces_that_the_torrent_does_not_have_end_the_conversation_when_it_is_known() {
    let raw = raw(false);
    let mut told = unknown(&raw);
    let (honest, _) = holder(&mut told, 1, raw.len());
    let beyond = told.peer(2);
    told.tell(Input::Received(beyond, Message::Have(PIECES as u32)));
    let long = told.peer(3);
    told.tell(Input::Received(long, Message::Bitfield(Bytes::from(vec![0; PIECES]))));
    let info = whole(&mut told, honest, &raw);
    told.tell(content(info));
    for bad in [beyond, long] {
        assert!(matches!(told.why_left(bad), Some(Why::Fault(_))), "{:?}", told.out);
    }
    assert!(!told.out.contains(&Output::HangUp(honest)));
}

#[test]
fn whoever_sends_another_metadata_is_banned_and_the_next_is_asked() {
    let raw = raw(false);
    let mut told = unknown(&raw);
    let (liar, asked) = holder(&mut told, 1, METADATA_PIECE_BYTES);
    assert_eq!(asked, [0]);
    let zeros = Bytes::from(vec![0; METADATA_PIECE_BYTES]);
    told.tell(Input::Received(liar, piece(&zeros, 0)));
    assert_eq!(told.why_left(liar), Some(&Why::Poisoned));
    let (honest, asked) = holder(&mut told, 2, raw.len());
    assert_eq!(asked, [0, 1]);
    whole(&mut told, honest, &raw);
}

#[test]
fn a_silent_peer_does_not_hold_it_up() {
    let raw = raw(false);
    let mut told = unknown(&raw);
    let (_, asked) = holder(&mut told, 1, raw.len());
    assert_eq!(asked, [0, 1]);
    let (second, asked) = holder(&mut told, 2, raw.len());
    assert_eq!(asked, [0], "who has nothing to send is asked too");
    told.tell(Input::Received(second, piece(&raw, 0)));
    assert_eq!(questions(&told, second), [1]);
    told.tell(Input::Received(second, piece(&raw, 1)));
    assert!(learned(&told).is_some());
}

#[test]
fn it_is_served_to_others_but_not_for_ever() {
    let raw = raw(false);
    let info = Arc::new(Info::parse(raw.clone(), None).expect("an info dictionary"));
    let mut told = Told::of(info, 0, Box::new(InOrder));
    let payload = format!("d1:md11:ut_metadatai{THEIR_ID}eee");
    let peer = told.peer(1);
    let payload = Bytes::from(payload);
    told.tell(Input::Received(peer, Message::Extended { id: 0, payload }));
    let mut served = 0;
    loop {
        let request = metadata(&MetadataMessage::Request(served % 2));
        told.tell(Input::Received(peer, request));
        match metadata_said(&told, peer).pop() {
            Some(MetadataMessage::Data { piece, total_size, data }) => {
                assert_eq!((piece, total_size as usize), (served % 2, raw.len()));
                let start = piece as usize * METADATA_PIECE_BYTES;
                assert_eq!(data, raw.slice(start..raw.len().min(start + METADATA_PIECE_BYTES)));
                served += 1;
            }
            other => {
                assert_eq!(other, Some(MetadataMessage::Reject(served % 2)));
                break;
            }
        }
    }
    assert_eq!(served, 8, "four times all of it");
    told.tell(Input::Received(peer, metadata(&MetadataMessage::Request(2))));
    assert_eq!(metadata_said(&told, peer), [MetadataMessage::Reject(2)], "there is no such piece");
}

/// The extension handshake that a peer which speaks BEP 10 hears.
fn announced(told: &mut Told) -> String {
    let mut handshake: Handshake = told.handshake;
    handshake.reserved[5] |= 0x10;
    told.handshake = handshake;
    let peer = told.peer(1);
    let said = told.said(peer).into_iter().find_map(|message| match message {
        Message::Extended { id: 0, payload } => Some(payload),
        _ => None,
    });
    String::from_utf8(said.expect("a handshake").to_vec()).expect("ASCII")
}

#[test]
fn only_who_may_give_it_says_how_large_it_is() {
    let of = |private: bool| {
        let info = Arc::new(Info::parse(raw(private), None).expect("an info dictionary"));
        announced(&mut Told::of(info, 0, Box::new(InOrder)))
    };
    let size = format!("13:metadata_sizei{}e", raw(false).len());
    assert!(of(false).contains(&size), "{}", of(false));
    assert!(!of(true).contains("metadata_size"), "of a private torrent: {}", of(true));
    let nothing = announced(&mut unknown(&raw(false)));
    assert!(nothing.contains("11:ut_metadatai1e") && !nothing.contains("_size"), "{nothing}");
}

#[test]
fn garbage_under_the_id_of_metadata_is_a_fault() {
    let raw = raw(false);
    for (name, message) in [
        ("no bencode", Message::Extended { id: 1, payload: Bytes::from_static(b"x") }),
        ("a piece of another length", {
            let data = Bytes::from_static(b"short");
            let total_size = raw.len() as u32;
            metadata(&MetadataMessage::Data { piece: 0, total_size, data })
        }),
    ] {
        let mut told = unknown(&raw);
        let (bad, _) = holder(&mut told, 1, raw.len());
        told.tell(Input::Received(bad, message));
        assert!(matches!(told.why_left(bad), Some(Why::Fault(_))), "{name}: {:?}", told.out);
    }
}

#[test]
fn after_stop_nothing_is_asked_for() {
    let raw = raw(false);
    let mut told = unknown(&raw);
    let (peer, _) = holder(&mut told, 1, raw.len());
    told.tell(Input::Stopped);
    assert_eq!(told.why_left(peer), Some(&Why::Stopped));
    told.now = Time(1_000_000);
    told.tell(Input::Deadline);
    assert!(told.out.iter().all(|output| !matches!(output, Output::Send(..))), "{:?}", told.out);
}
