//! The guest through its C table, and the node alone, against scripted others on virtual time.

mod told;

use crate::PLUGIN;
use crate::address::Family;
use crate::id::NodeId;
use crate::krpc::{self, Ask, Message, Port, Query, Want};
use crate::node::{Node, Out};
use crate::server::AMPLIFICATION_MAX;
use proptest::prelude::*;
use rtor_plugin::SecretChance;
use rtor_plugin::discovery::host::Instance;
use rtor_plugin::discovery::virtual_time::OnVirtualTime;
use rtor_plugin::discovery::{Answer, Fact, Totals, Wish};
use rtor_plugin::{Level, Services};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const SECOND: u64 = 1_000_000;
const TORRENT: NodeId = NodeId([0xab; 20]);
const TOTALS: Totals = Totals { uploaded: 0, downloaded: 0, left: 9, peers: 0, peers_wanted: 50 };

struct Silent;

impl Services for Silent {
    fn log(&self, _level: Level, _text: &str) {}
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("a literal address")
}

/// An id that a node there may have.
fn id_at(addr: SocketAddr) -> NodeId {
    let ip = match addr.ip() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
    };
    NodeId::at(addr.ip(), NodeId::drawn(&mut SecretChance::new(ip ^ u64::from(addr.port()))))
}

/// An answer of `from` to a query that was sent to it.
fn reply(to: &[u8], from: SocketAddr, peers: &[SocketAddr]) -> Vec<u8> {
    let Some(Message::Query(query)) = krpc::read(to) else { panic!("a query") };
    krpc::answer(&krpc::Answer {
        transaction: query.transaction,
        sender: id_at(from),
        ip: None,
        token: Some(b"token"),
        nodes: [Some(&[]), None],
        peers,
    })
}

/// A guest, the time, and what it wished.
struct Guest {
    guest: Instance,
    now_us: u64,
    wishes: Vec<Wish<'static>>,
}

impl Guest {
    fn new(options: &str) -> Self {
        let guest = Instance::create(&PLUGIN, options, Arc::new(Silent)).expect("it can be made");
        Self { guest, now_us: 0, wishes: Vec::new() }
    }

    fn started(options: &str, port: u16, private: bool) -> Self {
        let mut guest = Self::new(options);
        guest.start(port, port, private);
        guest
    }

    fn start(&mut self, port: u16, udp_port: u16, private: bool) {
        self.fact(&Fact::Started {
            info_hash: &TORRENT.0,
            peer_id: b"-RT0100-abcdefghijkl",
            trackers: Vec::new(),
            seed: 7,
            port,
            udp_port,
            private,
            totals: TOTALS,
        });
    }

    fn fact(&mut self, fact: &Fact<'_>) -> Answer {
        self.guest.handle(self.now_us, fact, &mut self.wishes).expect("it never breaks")
    }

    fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) -> Answer {
        self.fact(&Fact::Datagram { from: from.into(), bytes })
    }

    fn pass(&mut self, until_us: u64) {
        self.pass_until(until_us);
    }

    /// The datagrams sent since the last time.
    fn sent(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let sent = self.wishes.extract_if(.., |wish| matches!(wish, Wish::SendDatagram { .. }));
        sent.filter_map(|wish| match wish {
            Wish::SendDatagram { to, bytes } => Some((to.socket()?, bytes.into_owned())),
            _ => None,
        })
        .collect()
    }

    fn reports(&mut self) -> Vec<(Level, String)> {
        let reports = self.wishes.extract_if(.., |wish| matches!(wish, Wish::Report { .. }));
        reports
            .filter_map(|wish| match wish {
                Wish::Report { level, text, .. } => Some((level, text.into_owned())),
                _ => None,
            })
            .collect()
    }
}

impl OnVirtualTime for Guest {
    fn guest_and_time(&mut self) -> (&mut Instance, &mut u64) {
        (&mut self.guest, &mut self.now_us)
    }

    fn tell_deadline(&mut self) {
        self.fact(&Fact::Deadline);
    }
}

#[test]
fn a_torrent_is_looked_up_found_and_announced_again_and_again() {
    let mut guest = Guest::started("bootstrap=router.example:6881", 51413, false);
    let name = Wish::Resolve { ticket: 0, host: "router.example".into(), port: 6881 };
    assert_eq!(guest.wishes, [Wish::JoinDht { answers: true }, name]);
    guest.wishes.clear();
    let (router, peer) = (addr("9.9.9.9:6881"), addr("8.8.8.8:1234"));
    guest.fact(&Fact::Resolved { ticket: 0, addrs: &[router.into()], problem: "" });
    let mut announced_s = Vec::new();
    let mut looked_up_s = Vec::new();
    for second in 0..2000 {
        guest.pass(second * SECOND);
        for (to, bytes) in guest.sent() {
            assert_eq!(to, router);
            let Some(Message::Query(query)) = krpc::read(&bytes) else { panic!("a query") };
            match query.ask {
                Ask::GetPeers(TORRENT) => looked_up_s.push(second),
                Ask::AnnouncePeer { info_hash, port, token } => {
                    assert_eq!(
                        (info_hash, port, token),
                        (TORRENT, Port::Implied(51413), &b"token"[..])
                    );
                    announced_s.push(second);
                }
                Ask::Ping | Ask::FindNode(_) => {}
                Ask::GetPeers(other) => panic!("another torrent: {other:?}"),
            }
            let answer = reply(&bytes, router, &[peer]);
            assert_eq!(guest.datagram(router, &answer), Answer::Mine);
        }
    }
    let found = Wish::Found { source: "dht".into(), addrs: vec![peer.into()].into() };
    assert!(guest.wishes.len() > 20 && guest.wishes.iter().all(|wish| *wish == found));
    assert_eq!(announced_s.len(), 3, "{announced_s:?}");
    assert!(announced_s[1] - announced_s[0] >= 900, "{announced_s:?}");
    // With no peers at all it is asked every minute, and sooner at first.
    assert!((32..=36).contains(&looked_up_s.len()), "{looked_up_s:?}");
}

#[test]
fn with_peers_enough_it_asks_less_and_who_listens_nowhere_is_not_announced() {
    let mut guest = Guest::started("bootstrap=9.9.9.9:6881", 0, false);
    let mut asked = [0; 2];
    for second in 0..1500 {
        guest.pass(second * SECOND);
        guest.fact(&Fact::Progress(Totals { peers: 30, ..TOTALS }));
        for (to, bytes) in guest.sent() {
            let Some(Message::Query(query)) = krpc::read(&bytes) else { panic!("a query") };
            asked[0] += usize::from(matches!(query.ask, Ask::GetPeers(_)));
            asked[1] += usize::from(matches!(query.ask, Ask::AnnouncePeer { .. }));
            let answer = reply(&bytes, to, &[]);
            guest.datagram(to, &answer);
        }
    }
    assert!((5..=6).contains(&asked[0]), "{asked:?}");
    assert_eq!(asked[1], 0);
}

#[test]
fn a_private_torrent_is_never_looked_up() {
    let mut guest = Guest::started("bootstrap=9.9.9.9:6881", 51413, true);
    guest.pass(3600 * SECOND);
    assert_eq!(guest.wishes, []);
    assert_eq!(guest.guest.deadline(), None);
    assert!(!guest.guest.on_private());
}

#[test]
fn what_is_not_krpc_is_left_to_others_and_the_end_is_said_at_once() {
    let mut guest = Guest::started("bootstrap=", 51413, false);
    for bytes in [&b""[..], b"\0\0\0\x01tracker", b"\x41\x01utp", b"d", b"d1:ae", b"i1e"] {
        assert_eq!(guest.datagram(addr("9.9.9.9:1"), bytes), Answer::Declined);
    }
    let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
    assert_eq!(guest.datagram(addr("9.9.9.9:1"), ping), Answer::Mine);
    assert_eq!(guest.sent().len(), 1);
    guest.wishes.clear();
    guest.fact(&Fact::Stopped(TOTALS));
    assert_eq!(guest.wishes, [Wish::Finished]);
    assert_eq!(guest.datagram(addr("9.9.9.9:1"), ping), Answer::Declined);
    assert_eq!(guest.guest.deadline(), None);
}

#[test]
fn names_that_cannot_be_looked_up_are_tried_again_and_said_when_it_matters() {
    let mut guest = Guest::started("bootstrap=a.example:1+b.example:2", 51413, false);
    for round in 0..4 {
        let asked = guest.wishes.extract_if(.., |wish| matches!(wish, Wish::Resolve { .. }));
        assert_eq!(asked.count(), 2, "{round}");
        for ticket in 0..2 {
            guest.fact(&Fact::Resolved { ticket, addrs: &[], problem: "no such host" });
        }
        // The first time it may be that the network is about to come up.
        let level = [Some(Level::Info), Some(Level::Warning), None, None][round];
        let said: Vec<Level> = guest.reports().into_iter().map(|(level, _)| level).collect();
        assert_eq!(said, Vec::from_iter(level), "{round}");
        guest.pass(guest.now_us + (30 << round) * SECOND);
    }
}

#[test]
fn a_node_that_nobody_answers_says_so_once() {
    let mut guest = Guest::started("bootstrap=9.9.9.9:6881", 51413, false);
    guest.pass(900 * SECOND);
    let said = "no node of the DHT answers, 2 were asked".to_owned();
    assert_eq!(guest.reports(), [(Level::Warning, said)]);
    let sent = guest.sent().len();
    assert!((10..60).contains(&sent), "{sent}");
}

/// A node alone, and its datagrams.
fn sends(out: &mut Vec<Out>) -> Vec<(SocketAddr, Vec<u8>)> {
    out.drain(..)
        .filter_map(|out| match out {
            Out::Send { to, bytes } => Some((to, bytes)),
            Out::Found { .. } | Out::Ended { .. } => None,
        })
        .collect()
}

#[test]
fn a_forged_reply_is_ignored() {
    let (mut node, mut out) = (Node::new(1, false), Vec::new());
    let asked = addr("9.9.9.9:6881");
    node.bootstrap(0, [asked]);
    node.lookup(0, TORRENT, None, &mut out);
    let query = sends(&mut out).remove(0).1;
    let Some(Message::Query(Query { transaction, .. })) = krpc::read(&query) else {
        panic!("a query")
    };
    assert_eq!(transaction.len(), 4);
    let good = reply(&query, asked, &[addr("6.6.6.6:6")]);
    let mut guessed = good.clone();
    let at = good.windows(4).position(|bytes| bytes == transaction).expect("it is in there");
    guessed[at] ^= 1;
    assert!(node.handle(1, asked, &guessed, &mut out));
    assert!(node.handle(1, addr("9.9.9.9:6882"), &good, &mut out));
    assert!(node.handle(1, addr("9.9.9.8:6881"), &good, &mut out));
    assert_eq!(out, []);
    assert_eq!(node.nodes(), 0);
    assert!(node.handle(1, asked, &good, &mut out));
    assert!(matches!(&out[0], Out::Found { peers, .. } if *peers == [addr("6.6.6.6:6")]));
    assert_eq!(node.nodes(), 1);
}

#[test]
fn a_transaction_of_any_length_is_answered() {
    for size in [0, 1, 2, 3, 4, 5, 8, 20, 100, 1000] {
        let (mut node, mut out) = (Node::new(1, false), Vec::new());
        let transaction: Vec<u8> = (0..size).map(|byte| byte as u8).collect();
        let (ask, want) = (Ask::FindNode(TORRENT), Want { v4: true, v6: true });
        let sender = id_at(addr("9.9.9.9:1"));
        let query = Query { transaction: &transaction, sender, ask, want, read_only: false };
        node.handle(0, addr("9.9.9.9:1"), &krpc::query(&query), &mut out);
        let sent = sends(&mut out);
        let Some(Message::Reply(reply)) = krpc::read(&sent[0].1) else { panic!("a reply") };
        assert_eq!(reply.transaction, transaction);
    }
}

#[test]
fn who_announced_to_us_is_found_without_asking() {
    let (mut node, mut out) = (Node::new(1, false), Vec::new());
    let from = addr("9.9.9.9:1");
    let mut tell = |node: &mut Node, ask: Ask<'_>| {
        let (transaction, sender, want) = (&b"aa"[..], id_at(from), Want::default());
        let query = Query { transaction, sender, ask, want, read_only: false };
        node.handle(0, from, &krpc::query(&query), &mut out);
        sends(&mut out).remove(0).1
    };
    let asked = tell(&mut node, Ask::GetPeers(TORRENT));
    let Some(Message::Reply(reply)) = krpc::read(&asked) else { panic!("a reply") };
    let token = reply.token.expect("a token");
    tell(&mut node, Ask::AnnouncePeer { info_hash: TORRENT, port: Port::Given(7), token });
    let mut out = Vec::new();
    let lookup = node.lookup(0, TORRENT, None, &mut out);
    let peers = vec![addr("9.9.9.9:7")];
    assert_eq!(out, [Out::Found { lookup, peers }, Out::Ended { lookup, asked: 0, answered: 0 }]);
}

/// Who asked, and what came of it within a minute.
fn after_a_query(
    node: &mut Node,
    from: SocketAddr,
    sender: NodeId,
    read_only: bool,
) -> Vec<Vec<u8>> {
    let (transaction, ask, want) = (&b"aa"[..], Ask::Ping, Want::default());
    let query = krpc::query(&Query { transaction, sender, ask, want, read_only });
    let mut out = Vec::new();
    node.handle(0, from, &query, &mut out);
    assert!(out.len() <= 1);
    node.tick(60 * SECOND, &mut out);
    sends(&mut out).into_iter().filter(|(to, _)| *to == from).map(|(_, bytes)| bytes).collect()
}

#[test]
fn a_read_only_node_is_answered_and_not_kept_and_itself_answers_nothing() {
    let from = addr("9.9.9.9:1");
    let id = id_at(from);
    // An answer, and a ping to see whether it answers too.
    assert_eq!(after_a_query(&mut Node::new(1, false), from, id, false).len(), 2);
    assert_eq!(after_a_query(&mut Node::new(1, false), from, id, true).len(), 1);
    // An id that does not fit (BEP 42) gets an answer and no place.
    assert_eq!(after_a_query(&mut Node::new(1, false), from, NodeId([1; 20]), false).len(), 1);
    let mut read_only = Node::new(1, true);
    assert_eq!(after_a_query(&mut read_only, from, id, false), Vec::<Vec<u8>>::new());
    let mut out = Vec::new();
    read_only.handle(0, from, b"d1:q4:ping1:t2:aa1:y1:qe", &mut out);
    assert_eq!(out, []);
    read_only.bootstrap(0, [from]);
    read_only.lookup(0, TORRENT, None, &mut out);
    let sent = sends(&mut out).remove(0).1;
    assert!(matches!(krpc::read(&sent), Some(Message::Query(query)) if query.read_only));
}

#[test]
fn a_new_id_is_taken_when_many_say_where_we_are() {
    let (mut node, mut out) = (Node::new(1, false), Vec::new());
    let ours = addr("77.1.2.3:6881");
    assert!(!node.sides[0].id.fits(ours.ip()));
    for number in 1..=8_u8 {
        let from = addr(&format!("{number}.9.9.9:1"));
        node.heard_of(u64::from(number) * SECOND, from);
        node.tick(u64::from(number) * SECOND, &mut out);
        let mut sent = sends(&mut out);
        while let Some((to, bytes)) = sent.pop() {
            let Some(Message::Query(query)) = krpc::read(&bytes) else { panic!("a query") };
            let answer = krpc::answer(&krpc::Answer {
                transaction: query.transaction,
                sender: id_at(to),
                ip: Some(ours),
                token: None,
                nodes: [None; 2],
                peers: &[],
            });
            node.handle(u64::from(number) * SECOND, to, &answer, &mut out);
            sent.extend(sends(&mut out));
        }
    }
    assert!(node.sides[0].id.fits(ours.ip()));
    assert!(node.nodes() >= 6, "the table came along: {}", node.nodes());
}

#[test]
fn a_node_goes_on_where_it_was_in_the_run_before() {
    let mut before = Node::new(1, false);
    for number in 1..=200_u8 {
        let four = addr(&format!("20.{number}.1.1:1"));
        let six = addr(&format!("[2001:db8:{number}::1]:1"));
        before.sides[0].table.replied(0, id_at(four), four);
        before.sides[1].table.replied(0, id_at(six), six);
    }
    let bytes = before.snapshot(1);
    assert!(bytes.len() < 4300);
    let mut after = Node::new(2, false);
    assert!(after.restore(0, &bytes));
    assert_eq!(after.nodes(), 0, "nobody is believed who has not answered");
    assert_eq!(after.sides[0].id, before.sides[0].id);
    assert_eq!(after.sides[1].id, before.sides[1].id);
    let mut out = Vec::new();
    after.lookup(0, TORRENT, None, &mut out);
    let asked: Vec<_> = sends(&mut out).into_iter().map(|(to, _)| Family::of(to)).collect();
    assert_eq!(asked.iter().filter(|family| **family == Family::V4).count(), 4);
    assert_eq!(asked.len(), 8);
    for torn in [&bytes[..bytes.len() - 1], &bytes[..20], b"", b"rtdht\x02", b"other"] {
        assert!(!Node::new(3, false).restore(0, torn));
    }
}

#[test]
fn nodes_of_the_other_family_are_learned_on_the_way() {
    let (mut node, mut out) = (Node::new(1, false), Vec::new());
    let (four, six) = (addr("9.9.9.9:1"), addr("[2001:db8::1]:1"));
    node.bootstrap(0, [four]);
    node.lookup(0, TORRENT, None, &mut out);
    let query = sends(&mut out).remove(0).1;
    let Some(Message::Query(Query { transaction, want, .. })) = krpc::read(&query) else {
        panic!("a query")
    };
    assert_eq!(want, Want { v4: true, v6: true });
    let nodes = [(id_at(six), six), (NodeId([1; 20]), addr("[2001:db8:1::1]:1"))];
    let answer = krpc::answer(&krpc::Answer {
        transaction,
        sender: id_at(four),
        ip: None,
        token: None,
        nodes: [None, Some(&nodes)],
        peers: &[],
    });
    node.handle(1, four, &answer, &mut out);
    node.tick(2, &mut out);
    let asked: Vec<_> = sends(&mut out).into_iter().map(|(to, _)| to).collect();
    assert!(asked.contains(&six) && !asked.contains(&nodes[1].1), "{asked:?}");
}

#[test]
fn a_node_at_a_mapped_address_cannot_hold_a_lookup() {
    let (mut node, mut out) = (Node::new(1, false), Vec::new());
    let six = addr("[2001:db8::1]:1");
    node.bootstrap(0, [six]);
    node.lookup(0, TORRENT, None, &mut out);
    let mapped = [(NodeId([1; 20]), addr("[::ffff:8.8.8.8]:1"))];
    for second in 0..60 {
        for (to, bytes) in sends(&mut out) {
            let Some(Message::Query(query)) = krpc::read(&bytes) else { panic!("a query") };
            let answer = krpc::answer(&krpc::Answer {
                transaction: query.transaction,
                sender: id_at(to),
                ip: None,
                token: None,
                nodes: [None, Some(&mapped)],
                peers: &[],
            });
            let from = SocketAddr::new(to.ip().to_canonical(), to.port());
            node.handle(second * SECOND, from, &answer, &mut out);
        }
        node.tick(second * SECOND, &mut out);
        if out.iter().any(|out| matches!(out, Out::Ended { .. })) {
            return;
        }
    }
    panic!("a lookup that never ends");
}

/// A node with a full table, peers, and a question under way.
fn busy_node() -> Node {
    let (mut node, mut out) = (Node::new(5, false), Vec::new());
    for number in 1..=100_u8 {
        let four = addr(&format!("20.{number}.1.1:1"));
        let six = addr(&format!("[2001:db8:{number}::1]:1"));
        node.sides[0].table.replied(0, id_at(four), four);
        node.sides[1].table.replied(0, id_at(six), six);
    }
    node.lookup(0, TORRENT, None, &mut out);
    node
}

/// Hands the node a datagram, and holds what follows against the rules.
fn hostile(node: &mut Node, from: SocketAddr, bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut out = Vec::new();
    node.handle(SECOND, from, bytes, &mut out);
    let answers: Vec<_> = sends(&mut out).into_iter().filter(|(to, _)| *to == from).collect();
    prop_assert!(answers.len() <= 1);
    for (_, answer) in answers {
        prop_assert!(answer.len() <= AMPLIFICATION_MAX * bytes.len(), "{}", answer.len());
        prop_assert!(answer.len() <= 1300 + bytes.len());
    }
    Ok(())
}

fn any_ask() -> impl Strategy<Value = (u8, [u8; 20], u16, Vec<u8>, bool, bool, bool)> {
    let token = prop::collection::vec(any::<u8>(), 0..40);
    (0..4_u8, any::<[u8; 20]>(), any::<u16>(), token, any::<bool>(), any::<bool>(), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_bytes_break_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300), ip: [u8; 4]) {
        let mut node = busy_node();
        let from = SocketAddr::from((ip, 6881));
        hostile(&mut node, from, &bytes)?;
        hostile(&mut node, from, &[&b"d"[..], &bytes].concat())?;
        prop_assert!(!Node::new(1, false).restore(0, &bytes));
        Node::new(1, false).restore(0, &[&b"rtdht\x01"[..], &bytes].concat());
    }

    #[test]
    fn a_query_of_any_kind_gets_one_answer_within_the_factor_however_it_is_bent(
        (kind, id, port, token, v4, v6, read_only) in any_ask(),
        transaction in prop::collection::vec(any::<u8>(), 0..30),
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ip: [u8; 4],
    ) {
        let target = NodeId(id);
        let ask = match kind {
            0 => Ask::Ping,
            1 => Ask::FindNode(target),
            2 => Ask::GetPeers(target),
            _ => Ask::AnnouncePeer { info_hash: target, port: Port::Implied(port), token: &token },
        };
        let (transaction, want) = (&transaction[..], Want { v4, v6 });
        let query = Query { transaction, sender: target, ask, want, read_only };
        let mut bytes = krpc::query(&query);
        for (at, byte) in bends {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        hostile(&mut busy_node(), SocketAddr::from((ip, 6881)), &bytes)?;
    }

    #[test]
    fn a_reply_of_any_kind_breaks_nothing(
        nodes in prop::collection::vec(any::<u8>(), 0..400),
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20),
        token in prop::collection::vec(any::<u8>(), 0..200),
        fits: bool,
    ) {
        let (mut node, mut out) = (Node::new(5, false), Vec::new());
        let from = addr("9.9.9.9:1");
        node.bootstrap(0, [from]);
        node.lookup(0, TORRENT, Some(Port::Given(1)), &mut out);
        let query = sends(&mut out).remove(0).1;
        let Some(Message::Query(Query { transaction, .. })) = krpc::read(&query) else {
            panic!("a query")
        };
        let mut bytes = b"d1:rd2:id20:".to_vec();
        bytes.extend(if fits { id_at(from).0 } else { [1; 20] });
        for (key, value) in [(&b"5:nodes"[..], &nodes), (b"6:nodes6", &nodes), (b"5:token", &token)] {
            bytes.extend(key);
            crate::bencode::push(&mut bytes, value);
        }
        bytes.extend(b"6:valuesl");
        values.iter().for_each(|value| crate::bencode::push(&mut bytes, value));
        bytes.extend(b"ee1:t");
        crate::bencode::push(&mut bytes, transaction);
        bytes.extend(b"1:y1:re");
        prop_assert!(node.handle(1, from, &bytes, &mut out));
        for second in 1..60 {
            node.tick(second * SECOND, &mut out);
        }
        let ended = out.iter().any(|out| matches!(out, Out::Ended { .. }));
        prop_assert!(ended, "a lookup that never ends");
        prop_assert!(sends(&mut out).len() < 200);
    }
}
