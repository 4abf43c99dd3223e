//! The engine told facts by hand: what a peer may not do, and that nothing else suffers from it.

mod calling;
mod encryption;
mod giving;
mod late;
mod layers;
mod lies;
mod magnet;
mod mapped;
mod meeting;
mod nodes;
mod turnover;
mod urgency;

use bytes::Bytes;
use rtor::engine::picker::Rank;
use rtor::engine::time::SECOND_US;
use rtor::engine::{
    Choking, Config, Encryption, Engine, Event, Input, Output, PeerId, Time, Transports, Why,
};
use rtor::sim::torrent_of;
use rtor::torrent::{Bitfield, Info};
use rtor::wire::{BlockSpec, Handshake, Message};
use rtor_plugin::strategy::Swarm;
use std::net::SocketAddr;
use std::sync::Arc;

const PIECES: u32 = 10;
const BLOCK: u32 = 16 << 10;

struct InOrder;

impl Rank for InOrder {
    fn epoch(&mut self, _: &Swarm<'_>) -> u64 {
        0
    }

    fn rank(&mut self, _: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
        pieces.iter().zip(keys).for_each(|(piece, key)| *key = u64::from(*piece));
    }
}

/// An engine, and what it said last.
struct Told {
    engine: Engine,
    out: Vec<Output>,
    now: Time,
    handshake: Handshake,
}

impl Told {
    /// An engine of ten pieces of two blocks that has `have` of them.
    fn new(have: u32) -> Self {
        Self::with(PIECES, have, Box::new(InOrder))
    }

    /// As [`Told::new`], of so many pieces and in another order.
    fn with(pieces: u32, have: u32, rank: Box<dyn Rank>) -> Self {
        Self::of(torrent_of(pieces, 2 * BLOCK), have, rank)
    }

    /// As [`Told::new`], of this torrent.
    fn of(info: Arc<Info>, have: u32, rank: Box<dyn Rank>) -> Self {
        Self::configured(Self::config(info, have, rank))
    }

    fn config(info: Arc<Info>, have: u32, rank: Box<dyn Rank>) -> Config {
        let pieces = info.layout.piece_count();
        let mut had = Bitfield::new(pieces);
        (0..have as usize).for_each(|piece| {
            had.insert(piece);
        });
        Config {
            info,
            peer_id: *b"-RT0000-ourselves000",
            client: "test".to_owned(),
            have: had,
            wanted: Bitfield::full(pieces),
            partial: Vec::new(),
            trackers: Vec::new(),
            nodes: Vec::new(),
            port: 0,
            udp_port: 0,
            peers_max: 3,
            encryption: Encryption::Allow,
            transports: Transports::Tcp,
            seed: 1,
            rank,
            guests: Vec::new(),
            looks_only: false,
            choking: Choking::default(),
            super_seed: false,
        }
    }

    fn configured(config: Config) -> Self {
        let info_hash = config.info.hashes.on_the_wire();
        let mut handshake = Handshake::new(info_hash, *b"-XX0000-peer00000000");
        // As BEP 3 alone has it; tests of the fast extension set the bit.
        handshake.reserved = [0; 8];
        let engine = Engine::new(config);
        let mut told = Self { engine, out: Vec::new(), now: Time(0), handshake };
        told.tell(Input::Started);
        told
    }

    fn tell(&mut self, input: Input) {
        self.out.clear();
        self.engine.handle(self.now, input, &mut self.out);
    }

    /// Peer number `n` of this test, greeted.
    fn peer(&mut self, n: u8) -> PeerId {
        let peer = self.engine.next_peer();
        self.tell(Input::Accepted(peer, SocketAddr::from(([10, 0, 0, n], 6881))));
        let mut handshake = self.handshake;
        handshake.peer_id[19] = n;
        self.tell(Input::Greeted(peer, handshake));
        peer
    }

    /// One that has everything and has unchoked us; what it was asked for.
    fn seed(&mut self, n: u8) -> (PeerId, Vec<BlockSpec>) {
        let peer = self.peer(n);
        let all = Bytes::from(Bitfield::full(self.engine.have().len()).to_wire());
        self.tell(Input::Received(peer, Message::Bitfield(all)));
        assert!(self.said(peer).contains(&Message::Interested));
        self.tell(Input::Received(peer, Message::Unchoke));
        let asked = self.asked(peer);
        (peer, asked)
    }

    fn said(&self, to: PeerId) -> Vec<Message> {
        let to_peer = |output: &Output| match output {
            Output::Send(peer, message) if *peer == to => Some(message.clone()),
            _ => None,
        };
        self.out.iter().filter_map(to_peer).collect()
    }

    fn asked(&self, of: PeerId) -> Vec<BlockSpec> {
        let request = |message| match message {
            Message::Request(spec) => Some(spec),
            _ => None,
        };
        self.said(of).into_iter().filter_map(request).collect()
    }

    fn why_left(&self, who: PeerId) -> Option<&Why> {
        assert!(self.out.contains(&Output::HangUp(who)), "{:?}", self.out);
        self.out.iter().find_map(|output| match output {
            Output::Tell(Event::Left { peer, why, .. }) if *peer == who => Some(why),
            _ => None,
        })
    }
}

fn block(spec: BlockSpec) -> Message {
    let data = Bytes::from(vec![0; spec.length as usize]);
    Message::Piece { index: spec.index, offset: spec.offset, data }
}

#[test]
fn every_fault_ends_its_own_conversation_and_no_other() {
    let spec = |index, offset, length| BlockSpec { index, offset, length };
    let data = |length: usize| Bytes::from(vec![0; length]);
    let faults: Vec<(&str, Message)> = vec![
        ("a bitfield that is too long", Message::Bitfield(data(3))),
        ("a bitfield that is too short", Message::Bitfield(data(1))),
        ("a bitfield with a spare bit", Message::Bitfield(Bytes::from_static(&[0xff, 0xff]))),
        ("a piece beyond the last", Message::Have(PIECES)),
        ("a piece far beyond the last", Message::Have(u32::MAX)),
        ("a request beyond the last piece", Message::Request(spec(PIECES, 0, BLOCK))),
        ("a request beyond the end of a piece", Message::Request(spec(0, BLOCK, BLOCK + 1))),
        ("a request whose end overflows", Message::Request(spec(0, u32::MAX, BLOCK))),
        ("a request for nothing", Message::Request(spec(0, 0, 0))),
        ("a request for a giant block", Message::Request(spec(0, 0, 1 << 20))),
        (
            "a block that nobody asked for",
            Message::Piece { index: 9, offset: 0, data: data(BLOCK as usize) },
        ),
        (
            "a block of a piece beyond the last",
            Message::Piece { index: PIECES, offset: 0, data: data(BLOCK as usize) },
        ),
        ("a block at an odd offset", Message::Piece { index: 0, offset: 1, data: data(100) }),
        ("an empty block", Message::Piece { index: 0, offset: 0, data: data(0) }),
        ("an extension handshake of garbage", Message::Extended { id: 0, payload: data(9) }),
        ("have-all from a peer that is not fast", Message::HaveAll),
        ("a reject from a peer that is not fast", Message::Reject(spec(0, 0, BLOCK))),
    ];
    for (name, message) in faults {
        let mut told = Told::new(5);
        let (honest, asked) = told.seed(1);
        let bad = told.peer(2);
        told.tell(Input::Received(bad, message));
        assert!(matches!(told.why_left(bad), Some(Why::Fault(_))), "{name}: {:?}", told.out);
        assert!(!told.out.contains(&Output::HangUp(honest)), "{name}");
        // The honest peer is still there, and its blocks still count.
        told.tell(Input::Received(honest, block(asked[0])));
        assert!(told.out.iter().any(|output| matches!(output, Output::Keep(..))), "{name}");
    }
}

#[test]
fn a_bitfield_may_come_late_and_again_and_adds_what_is_new() {
    let mut told = Told::new(0);
    let peer = told.peer(1);
    let payload = Bytes::from_static(b"d1:md6:ut_pexi1ee4:reqqi5ee");
    told.tell(Input::Received(peer, Message::Extended { id: 0, payload }));
    let bits = Bytes::from(Bitfield::full(PIECES as usize).to_wire());
    told.tell(Input::Received(peer, Message::Bitfield(bits.clone())));
    assert!(told.said(peer).contains(&Message::Interested));
    told.tell(Input::Received(peer, Message::Unchoke));
    assert_eq!(told.asked(peer).len(), 5, "reqq was 5");
    // aria2 does so in place of many `have`s; the second one says nothing new.
    told.tell(Input::Received(peer, Message::Bitfield(bits)));
    assert_eq!(told.out, []);
    let few = told.peer(2);
    let first = Bytes::from_static(&[0b1000_0000, 0]);
    told.tell(Input::Received(few, Message::Bitfield(first)));
    told.tell(Input::Received(few, Message::Bitfield(Bytes::from_static(&[0, 0b0100_0000]))));
    told.tell(Input::Received(few, Message::Unchoke));
    let pieces: std::collections::BTreeSet<u32> =
        told.asked(few).iter().map(|spec| spec.index).collect();
    assert!(pieces.iter().all(|piece| [0, 9].contains(piece)), "{pieces:?}");
    assert!(pieces.contains(&9), "{pieces:?}");
}

#[test]
fn blocks_of_a_peer_that_is_gone_are_asked_of_another() {
    let mut told = Told::new(8);
    let (first, asked) = told.seed(1);
    assert_eq!(asked.len(), 4, "two pieces of two blocks are missing");
    let (second, nothing) = told.seed(2);
    assert_eq!(nothing, [], "everything is asked already");
    told.tell(Input::Lost(first, "it closed the connection".to_owned()));
    let mut again = told.asked(second);
    again.sort_unstable();
    assert_eq!(again, asked);
}

#[test]
fn a_choke_gives_blocks_back_and_late_ones_are_still_welcome() {
    let mut told = Told::new(8);
    let (first, asked) = told.seed(1);
    told.tell(Input::Received(first, Message::Choke));
    // It was on its way when the choke was sent.
    told.tell(Input::Received(first, block(asked[0])));
    assert!(told.out.iter().any(|output| matches!(output, Output::Keep(..))), "{:?}", told.out);
    let (_, rest) = told.seed(2);
    assert!(!rest.contains(&asked[0]), "it is here already");
    assert_eq!(rest.len(), 3);
    // The same block a second time was never owed.
    told.tell(Input::Received(first, block(asked[0])));
    assert!(told.why_left(first).is_some());
}

#[test]
fn a_fast_peer_answers_every_request_and_a_choke_drops_none() {
    let mut told = Told::new(8);
    told.handshake.reserved[7] |= 0x04;
    let peer = told.peer(1);
    assert!(matches!(told.said(peer)[..], [Message::Bitfield(_)]), "{:?}", told.out);
    told.tell(Input::Received(peer, Message::HaveAll));
    told.tell(Input::Received(peer, Message::Unchoke));
    let asked = told.asked(peer);
    assert_eq!(asked.len(), 4);
    told.tell(Input::Received(peer, Message::Choke));
    told.tell(Input::Received(peer, Message::Unchoke));
    assert_eq!(told.asked(peer), [], "it owes them still");
    told.tell(Input::Received(peer, Message::Reject(asked[1])));
    assert_eq!(told.asked(peer), [asked[1]], "what it rejected it is asked again");
    // Ours to answer: a request while we choke, one that is cancelled, one we can't serve.
    let ask = |index| BlockSpec { index, offset: 0, length: BLOCK };
    told.tell(Input::Received(peer, Message::Request(ask(0))));
    assert_eq!(told.said(peer), [Message::Reject(ask(0))]);
    told.tell(Input::Received(peer, Message::Interested));
    told.tell(Input::Received(peer, Message::Request(ask(9))));
    assert_eq!(told.said(peer), [Message::Reject(ask(9))]);
    assert!(told.engine.report(told.now).duplicate_bytes == 0);
}

#[test]
fn a_piece_counts_only_once_it_is_checked() {
    let mut told = Told::new(9);
    let (seed, asked) = told.seed(1);
    let other = told.peer(2);
    told.tell(Input::Received(seed, block(asked[0])));
    assert!(!told.out.iter().any(|output| matches!(output, Output::Check(..))));
    told.tell(Input::Received(seed, block(asked[1])));
    let piece = told.out.iter().find_map(|output| match output {
        Output::Check(piece, _) => Some(*piece),
        _ => None,
    });
    assert_eq!(told.engine.have().count(), 9);
    told.tell(Input::Checked(piece.expect("the piece is whole"), true, Vec::new()));
    assert_eq!(told.engine.have().count(), 10);
    assert!(told.said(other).contains(&Message::Have(9)));
    assert!(told.out.contains(&Output::Tell(Event::Completed)));
}

#[test]
fn a_silent_peer_keeps_one_probe_and_the_rest_goes_to_others() {
    let mut told = Told::new(0);
    let (silent, asked) = told.seed(1);
    assert!(asked.len() > 10);
    let (honest, mut got) = told.seed(2);
    let mut asked_of_silent = 0;
    // The honest peer delivers whatever it is asked, a block a tenth of a second.
    for _ in 0..400 {
        told.now = told.now + SECOND_US / 10;
        told.tell(Input::Deadline);
        asked_of_silent += told.asked(silent).len();
        got.extend(told.asked(honest));
        if let Some(spec) = got.pop() {
            told.tell(Input::Received(honest, block(spec)));
            got.extend(told.asked(honest));
            let whole: Vec<_> = told
                .out
                .iter()
                .filter_map(|o| if let Output::Check(piece, _) = o { Some(*piece) } else { None })
                .collect();
            whole.into_iter().for_each(|piece| told.tell(Input::Checked(piece, true, Vec::new())));
        }
    }
    assert!(told.engine.is_complete(), "{} pieces", told.engine.have().count());
    assert!(asked_of_silent <= 5, "asked of a silent peer in 40 s: {asked_of_silent}");
}

#[test]
fn a_request_that_the_only_peer_lost_is_asked_again() {
    let mut told = Told::new(9);
    let (seed, asked) = told.seed(1);
    told.tell(Input::Received(seed, block(asked[0])));
    // The second request is never answered: the peer has lost it.
    let mut again = Vec::new();
    for _ in 0..200 {
        told.now = told.now + SECOND_US / 10;
        told.tell(Input::Deadline);
        again.extend(told.asked(seed));
    }
    assert_eq!(again.first(), Some(&asked[1]));
    told.tell(Input::Received(seed, block(asked[1])));
    assert!(told.out.iter().any(|output| matches!(output, Output::Check(..))));
}

#[test]
fn ourselves_strangers_and_twins_are_sent_away() {
    let mut told = Told::new(0);
    type Case = (&'static str, fn(&mut Handshake), Option<Why>);
    let cases: [Case; 2] = [
        ("ourselves", |h| h.peer_id = *b"-RT0000-ourselves000", Some(Why::Ourselves)),
        (
            "another torrent",
            |h| h.info_hash = [1; 20],
            Some(Why::Fault(rtor::wire::Fault::InfoHash)),
        ),
    ];
    for (name, change, why) in cases {
        let peer = told.engine.next_peer();
        told.tell(Input::Accepted(peer, SocketAddr::from(([10, 0, 0, 9], 1))));
        let mut handshake = told.handshake;
        change(&mut handshake);
        told.tell(Input::Greeted(peer, handshake));
        assert_eq!(told.why_left(peer), why.as_ref(), "{name}");
    }
    told.peer(1);
    let twin = told.peer(1);
    assert_eq!(told.why_left(twin), Some(&Why::Twice));
}

#[test]
fn there_is_room_for_so_many_peers_and_no_more() {
    let mut told = Told::new(0);
    (1..=3).for_each(|n| {
        told.peer(n);
    });
    let late = told.engine.next_peer();
    told.tell(Input::Accepted(late, SocketAddr::from(([10, 0, 0, 4], 1))));
    assert_eq!(told.out, [Output::HangUp(late)]);
}

#[test]
fn requests_are_answered_once_unchoked_and_only_for_what_we_have() {
    let mut told = Told::new(5);
    let peer = told.peer(1);
    let ask = |index| Message::Request(BlockSpec { index, offset: 0, length: BLOCK });
    told.tell(Input::Received(peer, ask(0)));
    assert_eq!(told.out, [], "it is choked");
    told.tell(Input::Received(peer, Message::Interested));
    assert!(told.said(peer).contains(&Message::Unchoke));
    told.tell(Input::Received(peer, ask(7)));
    assert_eq!(told.out, [], "we do not have it");
    told.tell(Input::Received(peer, ask(0)));
    let load = told.out.iter().find_map(|output| match output {
        Output::Load(_, _, spec) => Some(*spec),
        _ => None,
    });
    let spec = load.expect("it is read");
    let data = Bytes::from(vec![7; BLOCK as usize]);
    told.tell(Input::Loaded(peer, spec, Some(data.clone())));
    assert_eq!(told.said(peer), [Message::Piece { index: 0, offset: 0, data }]);
}
