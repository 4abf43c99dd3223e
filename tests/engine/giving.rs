//! What we give: allowed-fast pieces, slots, what a complete engine says, one piece at a time.

use super::{BLOCK, InOrder, PIECES, Told, block};
use bytes::Bytes;
use rtor::engine::time::SECOND_US;
use rtor::engine::{Choking, Config, Event, Input, Output, PeerId, Why};
use rtor::sim::torrent_of;
use rtor::torrent::Bitfield;
use rtor::wire::extension::ExtensionHandshake;
use rtor::wire::{BlockSpec, Message};

/// Ten pieces, all here; `change` says what else.
fn complete(change: impl FnOnce(&mut Config)) -> Told {
    let mut config = Told::config(torrent_of(PIECES, 2 * BLOCK), PIECES, Box::new(InOrder));
    config.peers_max = 20;
    change(&mut config);
    Told::configured(config)
}

fn one_slot() -> Choking {
    Choking { slots: Some(1), ..Choking::default() }
}

/// A peer that speaks BEP 6 and has nothing.
fn newcomer(told: &mut Told, n: u8) -> PeerId {
    told.handshake.reserved[7] |= 4;
    let peer = told.peer(n);
    told.tell(Input::Received(peer, Message::HaveNone));
    peer
}

fn spec(index: u32) -> BlockSpec {
    BlockSpec { index, offset: 0, length: BLOCK }
}

fn loads(told: &Told) -> usize {
    told.out.iter().filter(|output| matches!(output, Output::Load(..))).count()
}

#[test]
fn a_choked_newcomer_is_allowed_a_few_pieces_each_of_them_once() {
    let mut told = complete(|config| config.choking = one_slot());
    let first = newcomer(&mut told, 1);
    told.tell(Input::Received(first, Message::Interested));
    assert_eq!(told.said(first), [Message::Unchoke]);
    let second = newcomer(&mut told, 2);
    told.tell(Input::Received(second, Message::Interested));
    let said = told.said(second);
    let allowed: Vec<u32> = said
        .iter()
        .filter_map(|message| match message {
            Message::AllowedFast(piece) => Some(*piece),
            _ => None,
        })
        .collect();
    assert_eq!(allowed.len(), PIECES as usize, "{said:?}");
    // All of all pieces once: twenty blocks. The twenty-first is refused.
    for number in 0..=2 * PIECES {
        let request = BlockSpec { index: 3, offset: 0, length: BLOCK };
        told.tell(Input::Received(second, Message::Request(request)));
        let refused = told.said(second) == [Message::Reject(request)];
        assert_eq!(refused, number == 2 * PIECES, "request {number}");
    }
    // Who has ten pieces needs no help.
    let third = told.peer(3);
    let all = Bytes::from(Bitfield::full(PIECES as usize).to_wire());
    told.tell(Input::Received(third, Message::Bitfield(all)));
    told.tell(Input::Received(third, Message::Interested));
    assert_eq!(told.said(third), []);
}

#[test]
fn pieces_that_a_choking_peer_allows_are_asked_for() {
    let mut told = Told::new(0);
    told.handshake.reserved[7] |= 4;
    let peer = told.peer(1);
    told.tell(Input::Received(peer, Message::HaveAll));
    told.tell(Input::Received(peer, Message::AllowedFast(7)));
    let asked = told.asked(peer);
    assert_eq!(asked.iter().map(|spec| spec.index).collect::<Vec<_>>(), [7, 7]);
    asked.into_iter().for_each(|spec| told.tell(Input::Received(peer, block(spec))));
    assert_eq!(told.asked(peer), []);
    // And a number beyond the torrent is a fault.
    told.tell(Input::Received(peer, Message::AllowedFast(PIECES)));
    assert!(matches!(told.why_left(peer), Some(Why::Fault(_))));
}

#[test]
fn suggested_pieces_are_asked_for_first() {
    let mut told = Told::with(40, 0, Box::new(InOrder));
    told.handshake.reserved[7] |= 4;
    let peer = told.peer(1);
    told.tell(Input::Received(peer, Message::HaveAll));
    told.tell(Input::Received(peer, Message::Suggest(31)));
    told.tell(Input::Received(peer, Message::Suggest(33)));
    told.tell(Input::Received(peer, Message::Unchoke));
    let first: Vec<u32> = told.asked(peer).iter().map(|spec| spec.index).take(4).collect();
    assert_eq!(first, [31, 31, 33, 33]);
}

#[test]
fn messages_of_the_fast_extension_are_a_fault_of_who_does_not_speak_it() {
    for message in [Message::Suggest(1), Message::AllowedFast(1)] {
        let mut told = Told::new(0);
        let peer = told.peer(1);
        told.tell(Input::Received(peer, message));
        assert!(matches!(told.why_left(peer), Some(Why::Fault(_))));
    }
}

#[test]
fn when_who_was_served_goes_the_next_one_is_served_at_once() {
    let mut told = complete(|config| config.choking = one_slot());
    let peers: Vec<PeerId> = (1..4).map(|n| newcomer(&mut told, n)).collect();
    for peer in &peers {
        told.tell(Input::Received(*peer, Message::Interested));
    }
    told.tell(Input::Lost(peers[0], "gone".to_owned()));
    let served: Vec<bool> =
        peers[1..].iter().map(|peer| told.said(*peer).contains(&Message::Unchoke)).collect();
    assert!(served == [true, false] || served == [false, true], "{served:?}");
    let served = peers[1 + served.iter().position(|served| *served).expect("one")];
    // Who wants nothing just now keeps his slot to the end of the round.
    told.tell(Input::Received(served, Message::NotInterested));
    let unchokes = |told: &Told| {
        peers[1..].iter().filter(|peer| told.said(**peer).contains(&Message::Unchoke)).count()
    };
    assert_eq!(unchokes(&told), 0);
    told.now.0 += 10 * SECOND_US;
    told.tell(Input::Deadline);
    assert_eq!(unchokes(&told), 1);
}

#[test]
fn a_seed_gives_everybody_a_turn() {
    let mut told = complete(|config| config.choking = one_slot());
    let peers: Vec<PeerId> = (1..6).map(|n| newcomer(&mut told, n)).collect();
    let mut turns = Vec::new();
    for peer in &peers {
        told.tell(Input::Received(*peer, Message::Interested));
        if told.said(*peer).contains(&Message::Unchoke) {
            turns.push(*peer);
        }
    }
    for _ in 0..40 {
        told.now.0 += 10 * SECOND_US;
        // Nobody is to fall silent.
        for heard in &peers {
            told.tell(Input::Received(*heard, Message::KeepAlive));
            let unchoked = |peer: &&PeerId| told.said(**peer).contains(&Message::Unchoke);
            turns.extend(peers.iter().filter(unchoked));
        }
    }
    let mut first_five = turns[..5].to_vec();
    first_five.sort_unstable();
    assert_eq!(first_five, peers, "{turns:?}");
    assert_eq!(turns[5], turns[0], "{turns:?}");
}

#[test]
fn who_gave_nothing_has_no_slot_while_others_earn_it() {
    let choking = Choking { slots: Some(2), ..Choking::default() };
    let mut config = Told::config(torrent_of(200, 2 * BLOCK), 5, Box::new(InOrder));
    (config.peers_max, config.choking) = (20, choking);
    let mut told = Told::configured(config);
    let taker = newcomer(&mut told, 9);
    told.tell(Input::Received(taker, Message::Interested));
    let (giver, mut asked) = told.seed(1);
    told.tell(Input::Received(giver, Message::Interested));
    let third = newcomer(&mut told, 3);
    told.tell(Input::Received(third, Message::Interested));
    let mut choked = 0;
    for _ in 0..60 {
        told.now.0 += SECOND_US;
        for spec in std::mem::take(&mut asked).into_iter().take(2) {
            told.tell(Input::Received(giver, block(spec)));
            asked.extend(told.asked(giver));
            assert!(!told.said(giver).contains(&Message::Choke), "who gives is choked");
        }
        for other in [taker, third] {
            told.tell(Input::Received(other, Message::KeepAlive));
            choked += usize::from(told.said(other).contains(&Message::Choke));
        }
    }
    // The one slot that goes by chance went from one of them to the other.
    assert!(choked > 0);
}

#[test]
fn once_complete_it_says_that_it_wants_nothing() {
    let extensions = |told: &Told, peer| {
        told.said(peer).into_iter().find_map(|message| match message {
            Message::Extended { id: 0, payload } => ExtensionHandshake::decode(&payload).ok(),
            _ => None,
        })
    };
    let mut told = complete(|_| ());
    told.handshake.reserved[5] |= 0x10;
    let peer = told.peer(1);
    assert_eq!(extensions(&told, peer).and_then(|e| e.upload_only), Some(true));
    // And leaves who wants nothing either.
    let theirs = ExtensionHandshake { upload_only: Some(true), ..ExtensionHandshake::default() };
    told.tell(Input::Received(peer, Message::Extended { id: 0, payload: theirs.encode() }));
    told.now.0 += SECOND_US;
    told.tell(Input::Deadline);
    assert_eq!(told.why_left(peer), Some(&Why::BothComplete));
    let mut told = Told::new(0);
    told.handshake.reserved[5] |= 0x10;
    let peer = told.peer(1);
    assert_eq!(extensions(&told, peer).and_then(|e| e.upload_only), None);
}

#[test]
fn a_super_seed_shows_one_piece_at_a_time_and_the_next_when_somebody_else_has_it() {
    let mut told = complete(|config| config.super_seed = true);
    told.handshake.reserved[7] |= 4;
    let peers = [1, 2].map(|n| told.peer(n));
    assert!(told.said(peers[1]).contains(&Message::HaveNone));
    peers.iter().for_each(|peer| told.tell(Input::Received(*peer, Message::HaveNone)));
    told.now.0 += SECOND_US;
    told.tell(Input::Deadline);
    let shown = |told: &Told, peer| -> Vec<u32> {
        let have = |message| match message {
            Message::Have(piece) => Some(piece),
            _ => None,
        };
        told.said(peer).into_iter().filter_map(have).collect()
    };
    let [first, second] = peers.map(|peer| shown(&told, peer));
    assert!(first.len() == 1 && second.len() == 1 && first != second, "{first:?} {second:?}");
    // Its own word earns it nothing at once; that of the other does.
    told.tell(Input::Received(peers[0], Message::Have(first[0])));
    assert_eq!(shown(&told, peers[0]), [0; 0]);
    told.tell(Input::Received(peers[1], Message::Have(first[0])));
    assert_eq!(shown(&told, peers[0]).len(), 1);
    assert_eq!(shown(&told, peers[1]), [0; 0]);
    told.tell(Input::Received(peers[1], Message::Interested));
    told.tell(Input::Received(peers[1], Message::Request(spec(second[0]))));
    assert_eq!(loads(&told), 1);
    assert!(!told.out.iter().any(|output| matches!(output, Output::Tell(Event::Left { .. }))));
}
