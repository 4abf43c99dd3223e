//! What the host tells the guest beside datagrams: ports, nodes, and what was kept.

use super::{Guest, SECOND, TORRENT, TOTALS, addr, reply};
use crate::krpc::{self, Ask, Message, Port, Query};
use rtor_plugin::discovery::{Answer, Fact, Wish};
use rtor_plugin::{Addr, Level};
use std::net::SocketAddr;

#[test]
fn a_peer_that_we_dialed_may_be_a_node() {
    let mut guest = Guest::started("bootstrap=", 51413, false);
    let there: Addr = addr("127.0.0.1:7000").into();
    guest.fact(&Fact::PeerJoined { peer: 1, addr: there, came_to_us: false, seed: false });
    let came: Addr = addr("127.0.0.1:7001").into();
    guest.fact(&Fact::PeerJoined { peer: 2, addr: came, came_to_us: true, seed: false });
    guest.pass(SECOND);
    let sent = guest.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(guest.datagram(sent[0].0, &reply(&sent[0].1, sent[0].0, &[])), Answer::Mine);
    let asked = guest.sent();
    assert!(asked.iter().any(|(_, bytes)| matches!(
        krpc::read(bytes),
        Some(Message::Query(Query { ask: Ask::GetPeers(TORRENT), .. }))
    )));
}

/// Everything that the guest asks in the first seconds is answered. Gives what was announced.
fn announced(guest: &mut Guest) -> Vec<Port> {
    let mut ports = Vec::new();
    for second in 0..10 {
        guest.pass(second * SECOND);
        for (to, bytes) in guest.sent() {
            let Some(Message::Query(query)) = krpc::read(&bytes) else { panic!("a query") };
            if let Ask::AnnouncePeer { port, .. } = query.ask {
                ports.push(port);
            }
            let answer = reply(&bytes, to, &[]);
            assert_eq!(guest.datagram(to, &answer), Answer::Mine);
        }
    }
    ports
}

#[test]
fn the_port_is_implied_only_if_datagrams_come_from_it() {
    for (port, udp_port, said) in [
        (6881, 6881, vec![Port::Implied(6881)]),
        (6881, 40_000, vec![Port::Given(6881)]),
        (6881, 0, vec![Port::Given(6881)]),
        (0, 0, vec![]),
        (0, 40_000, vec![]),
    ] {
        let mut guest = Guest::new("bootstrap=9.9.9.9:6881");
        guest.start(port, udp_port, false);
        assert_eq!(announced(&mut guest), said, "{port} {udp_port}");
    }
}

#[test]
fn what_a_router_passes_on_is_announced_at_once_and_given_where_it_differs() {
    let mut guest = Guest::new("bootstrap=9.9.9.9:6881");
    guest.start(6881, 6881, false);
    assert_eq!(announced(&mut guest), [Port::Implied(6881)]);
    for (at, udp_port, said) in [
        ("11.0.0.1:6881", 6881, vec![]),
        ("11.0.0.1:7000", 7001, vec![Port::Given(7000)]),
        ("0.0.0.0:7000", 7001, vec![]),
        ("0.0.0.0:7000", 7000, vec![Port::Implied(7000)]),
    ] {
        let mapped = Fact::Mapped { addr: addr(at).into(), udp_port };
        assert_eq!(guest.fact(&mapped), Answer::Mine);
        assert_eq!(announced(&mut guest), said, "{at} {udp_port}");
    }
}

#[test]
fn a_node_that_the_host_tells_of_is_asked_and_then_used() {
    let mut guest = Guest::started("bootstrap=", 51413, false);
    let node: SocketAddr = addr("10.77.0.9:7000");
    assert_eq!(guest.fact(&Fact::Node { addr: node.into() }), Answer::Mine);
    guest.pass(SECOND);
    let asked: Vec<SocketAddr> = guest.sent().iter().map(|(to, _)| *to).collect();
    assert_eq!(asked, [node]);
}

#[test]
fn peers_are_told_of_a_node_that_answers_and_of_no_other() {
    for (options, answers) in [("", true), ("read-only", false)] {
        let guest = Guest::started(options, 51413, false);
        assert!(guest.wishes.contains(&Wish::JoinDht { answers }), "{options}");
    }
    assert!(Guest::started("", 51413, true).wishes.is_empty(), "a private torrent has no DHT");
}

#[test]
fn what_was_kept_is_where_the_next_run_begins() {
    let mut first = Guest::started("bootstrap=9.9.9.9:6881", 51413, false);
    announced(&mut first);
    first.wishes.clear();
    first.fact(&Fact::Stopped(TOTALS));
    let Some((Wish::Keep { bytes }, [Wish::Finished])) = first.wishes.split_first() else {
        panic!("{:?}", first.wishes)
    };
    let mut second = Guest::new("bootstrap=");
    assert_eq!(second.fact(&Fact::State { bytes }), Answer::Mine);
    second.start(51413, 51413, false);
    let asked: Vec<SocketAddr> = second.sent().iter().map(|(to, _)| *to).collect();
    assert!(asked.contains(&addr("9.9.9.9:6881")), "{asked:?}");
    assert!(second.reports().is_empty());
}

#[test]
fn a_broken_state_is_ignored_with_a_warning_and_an_empty_table_is_not_kept() {
    for broken in [&b"x"[..], b"rtdht\x01", b"rtdht\x02aaaa"] {
        let mut guest = Guest::new("bootstrap=");
        guest.fact(&Fact::State { bytes: broken });
        guest.start(51413, 51413, false);
        let said = "what was kept of an earlier run cannot be read: it is ignored".to_owned();
        assert_eq!(guest.reports(), [(Level::Warning, said)]);
        guest.wishes.clear();
        guest.fact(&Fact::Stopped(TOTALS));
        assert_eq!(guest.wishes, [Wish::Finished]);
    }
}
