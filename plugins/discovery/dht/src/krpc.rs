//! [`Message`]: what nodes say to each other (KRPC: BEP 5, 32, 42, 43), in and out.
//!
//! What comes in is parsed into values that need no second look: an id has 20 bytes, a port is
//! not 0. A query that is bencode but no query is a [`Fault`], since its sender should hear so;
//! anything else that makes no sense is nothing. Keys that nobody here needs are passed over.

use crate::address::{self, Family};
use crate::bencode::{self, Items, Value};
use crate::id::NodeId;
use std::net::SocketAddr;

/// Bytes of a datagram that is looked at: more than any that KRPC needs, as much as a host reads.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// A node and where it is.
pub(crate) type Known = (NodeId, SocketAddr);

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Query(Query<'a>),
    /// Something with the form of a query that makes no sense.
    Faulty(&'a [u8], Fault),
    Reply(Reply<'a>),
    /// An error in answer to a query: its transaction.
    Refusal(&'a [u8]),
}

/// A question to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    pub(crate) transaction: &'a [u8],
    pub(crate) sender: NodeId,
    pub(crate) ask: Ask<'a>,
    pub(crate) want: Want,
    /// It answers nothing itself (BEP 43).
    pub(crate) read_only: bool,
}

/// The four questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask<'a> {
    Ping,
    FindNode(NodeId),
    GetPeers(NodeId),
    AnnouncePeer { info_hash: NodeId, port: Port, token: &'a [u8] },
}

/// Where the peer that is announced accepts connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// At the port that the datagram came from; and which one it believes that to be.
    Implied(u16),
    /// There. Not 0.
    Given(u16),
}

/// Of which families nodes are wanted (BEP 32). Neither: of that in which it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) v4: bool,
    pub(crate) v6: bool,
}

/// What is wrong with a query, by its number in BEP 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Arguments are missing or wrong, or the token is.
    Protocol,
    /// There is no such question.
    UnknownMethod,
}

/// An answer to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply<'a> {
    pub(crate) transaction: &'a [u8],
    pub(crate) sender: NodeId,
    pub(crate) token: Option<&'a [u8]>,
    /// Where it saw us (BEP 42).
    pub(crate) ip: Option<SocketAddr>,
    nodes: [&'a [u8]; 2],
    values: Option<Items<'a>>,
}

impl<'a> Reply<'a> {
    /// The nodes of one family that it told.
    pub(crate) fn nodes(&self, family: Family) -> impl Iterator<Item = Known> {
        self.nodes[family as usize].chunks_exact(20 + family.compact_bytes()).filter_map(|node| {
            let (id, addr) = node.split_at(20);
            Some((NodeId::read(id)?, address::read(addr)?))
        })
    }

    /// The peers that it told, of either family.
    pub(crate) fn peers(&self) -> impl Iterator<Item = SocketAddr> {
        let mut values = self.values;
        std::iter::from_fn(move || values.as_mut()?.next()).filter_map(|value| match value {
            Value::Bytes(bytes) => address::read(bytes),
            Value::Int(_) | Value::List(_) | Value::Dict(_) => None,
        })
    }
}

/// Reads a datagram.
pub(crate) fn read(bytes: &[u8]) -> Option<Message<'_>> {
    if bytes.len() > DATAGRAM_BYTES_MAX {
        return None;
    }
    let Value::Dict(dict) = bencode::read(bytes)? else { return None };
    let outer = Outer::read(dict);
    let transaction = outer.transaction?;
    match outer.kind? {
        b"q" => Some(match outer.query(transaction) {
            Ok(query) => Message::Query(query),
            Err(fault) => Message::Faulty(transaction, fault),
        }),
        b"r" => outer.reply(transaction).map(Message::Reply),
        b"e" => Some(Message::Refusal(transaction)),
        _ => None,
    }
}

/// The dictionary around everything.
#[derive(Default)]
struct Outer<'a> {
    transaction: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    method: Option<&'a [u8]>,
    arguments: Option<Items<'a>>,
    results: Option<Items<'a>>,
    read_only: bool,
    ip: Option<SocketAddr>,
}

impl<'a> Outer<'a> {
    fn read(mut dict: Items<'a>) -> Self {
        let mut outer = Self::default();
        while let Some(entry) = dict.entry() {
            match entry {
                (b"t", Value::Bytes(bytes)) => outer.transaction = Some(bytes),
                (b"y", Value::Bytes(bytes)) => outer.kind = Some(bytes),
                (b"q", Value::Bytes(bytes)) => outer.method = Some(bytes),
                (b"a", Value::Dict(items)) => outer.arguments = Some(items),
                (b"r", Value::Dict(items)) => outer.results = Some(items),
                (b"ro", Value::Int(flag)) => outer.read_only = flag == 1,
                (b"ip", Value::Bytes(bytes)) => outer.ip = address::read(bytes),
                _ => {}
            }
        }
        outer
    }

    fn query(self, transaction: &'a [u8]) -> Result<Query<'a>, Fault> {
        let method = self.method.ok_or(Fault::Protocol)?;
        let arguments = Arguments::read(self.arguments.ok_or(Fault::Protocol)?);
        let sender = arguments.id.ok_or(Fault::Protocol)?;
        let ask = match method {
            b"ping" => Ask::Ping,
            b"find_node" => Ask::FindNode(arguments.target.ok_or(Fault::Protocol)?),
            b"get_peers" => Ask::GetPeers(arguments.info_hash.ok_or(Fault::Protocol)?),
            b"announce_peer" => Ask::AnnouncePeer {
                info_hash: arguments.info_hash.ok_or(Fault::Protocol)?,
                port: arguments.port().ok_or(Fault::Protocol)?,
                token: arguments.token.ok_or(Fault::Protocol)?,
            },
            _ => return Err(Fault::UnknownMethod),
        };
        Ok(Query { transaction, sender, ask, want: arguments.want, read_only: self.read_only })
    }

    fn reply(self, transaction: &'a [u8]) -> Option<Reply<'a>> {
        let (mut sender, mut token, mut values) = (None, None, None);
        let mut nodes: [&[u8]; 2] = [&[]; 2];
        let mut results = self.results?;
        while let Some(entry) = results.entry() {
            match entry {
                (b"id", Value::Bytes(bytes)) => sender = NodeId::read(bytes),
                (b"token", Value::Bytes(bytes)) => token = Some(bytes),
                (b"nodes", Value::Bytes(bytes)) => nodes[Family::V4 as usize] = bytes,
                (b"nodes6", Value::Bytes(bytes)) => nodes[Family::V6 as usize] = bytes,
                (b"values", Value::List(items)) => values = Some(items),
                _ => {}
            }
        }
        Some(Reply { transaction, sender: sender?, token, ip: self.ip, nodes, values })
    }
}

/// The arguments of a query.
#[derive(Default)]
struct Arguments<'a> {
    id: Option<NodeId>,
    target: Option<NodeId>,
    info_hash: Option<NodeId>,
    token: Option<&'a [u8]>,
    port: Option<u16>,
    implied: bool,
    want: Want,
}

impl<'a> Arguments<'a> {
    fn read(mut dict: Items<'a>) -> Self {
        let mut arguments = Self::default();
        while let Some(entry) = dict.entry() {
            match entry {
                (b"id", Value::Bytes(bytes)) => arguments.id = NodeId::read(bytes),
                (b"target", Value::Bytes(bytes)) => arguments.target = NodeId::read(bytes),
                (b"info_hash", Value::Bytes(bytes)) => arguments.info_hash = NodeId::read(bytes),
                (b"token", Value::Bytes(bytes)) => arguments.token = Some(bytes),
                (b"port", Value::Int(port)) => arguments.port = u16::try_from(port).ok(),
                (b"implied_port", Value::Int(flag)) => arguments.implied = flag != 0,
                (b"want", Value::List(list)) => arguments.want = want(list),
                _ => {}
            }
        }
        arguments
    }

    fn port(&self) -> Option<Port> {
        match self.port {
            port if self.implied => Some(Port::Implied(port.unwrap_or(0))),
            None | Some(0) => None,
            Some(port) => Some(Port::Given(port)),
        }
    }
}

fn want(mut list: Items<'_>) -> Want {
    let mut want = Want::default();
    while let Some(value) = list.next() {
        want.v4 |= value == Value::Bytes(b"n4");
        want.v6 |= value == Value::Bytes(b"n6");
    }
    want
}

/// Writes a query.
pub(crate) fn query(query: &Query<'_>) -> Vec<u8> {
    let Query { transaction, sender, ask, want, read_only } = query;
    let mut out = b"d1:ad2:id20:".to_vec();
    out.extend(sender.0);
    let method: &[u8] = match ask {
        Ask::Ping => b"ping",
        Ask::FindNode(target) => {
            out.extend(b"6:target20:");
            out.extend(target.0);
            b"find_node"
        }
        Ask::GetPeers(info_hash) => {
            out.extend(b"9:info_hash20:");
            out.extend(info_hash.0);
            b"get_peers"
        }
        Ask::AnnouncePeer { info_hash, port, token } => {
            let port = match port {
                Port::Implied(port) => {
                    out.extend(b"12:implied_porti1e");
                    port
                }
                Port::Given(port) => port,
            };
            out.extend(b"9:info_hash20:");
            out.extend(info_hash.0);
            out.extend(format!("4:porti{port}e5:token").bytes());
            bencode::push(&mut out, token);
            b"announce_peer"
        }
    };
    match (want.v4, want.v6) {
        (false, false) => {}
        (true, false) => out.extend(b"4:wantl2:n4e"),
        (false, true) => out.extend(b"4:wantl2:n6e"),
        (true, true) => out.extend(b"4:wantl2:n42:n6e"),
    }
    out.extend(b"e1:q");
    bencode::push(&mut out, method);
    if *read_only {
        out.extend(b"2:roi1e");
    }
    close(out, transaction, b'q')
}

/// An answer to be written.
pub(crate) struct Answer<'a> {
    pub(crate) transaction: &'a [u8],
    pub(crate) sender: NodeId,
    /// Where we see who asked (BEP 42).
    pub(crate) ip: Option<SocketAddr>,
    pub(crate) token: Option<&'a [u8]>,
    /// Nodes by family, if they were asked for.
    pub(crate) nodes: [Option<&'a [Known]>; 2],
    pub(crate) peers: &'a [SocketAddr],
}

/// Writes an answer.
pub(crate) fn answer(answer: &Answer<'_>) -> Vec<u8> {
    let mut out = b"d".to_vec();
    push_ip(&mut out, answer.ip);
    out.extend(b"1:rd2:id20:");
    out.extend(answer.sender.0);
    for (key, family) in [(&b"5:nodes"[..], Family::V4), (b"6:nodes6", Family::V6)] {
        let Some(nodes) = answer.nodes[family as usize] else { continue };
        out.extend(key);
        bencode::push_size(&mut out, nodes.len() * (20 + family.compact_bytes()));
        for (id, addr) in nodes {
            out.extend(id.0);
            address::push(&mut out, *addr);
        }
    }
    if let Some(token) = answer.token {
        out.extend(b"5:token");
        bencode::push(&mut out, token);
    }
    if !answer.peers.is_empty() {
        out.extend(b"6:valuesl");
        for peer in answer.peers {
            bencode::push_size(&mut out, Family::of(*peer).compact_bytes());
            address::push(&mut out, *peer);
        }
        out.push(b'e');
    }
    out.push(b'e');
    close(out, answer.transaction, b'r')
}

/// Writes an error.
pub(crate) fn error(transaction: &[u8], fault: Fault) -> Vec<u8> {
    let said: &[u8] = match fault {
        Fault::Protocol => b"d1:eli203e14:Protocol Errore",
        Fault::UnknownMethod => b"d1:eli204e14:Method Unknowne",
    };
    close(said.to_vec(), transaction, b'e')
}

fn push_ip(out: &mut Vec<u8>, ip: Option<SocketAddr>) {
    if let Some(ip) = ip {
        out.extend(b"2:ip");
        bencode::push_size(out, Family::of(ip).compact_bytes());
        address::push(out, ip);
    }
}

fn close(mut out: Vec<u8>, transaction: &[u8], kind: u8) -> Vec<u8> {
    out.extend(b"1:t");
    bencode::push(&mut out, transaction);
    out.extend(b"1:y1:");
    out.extend([kind, b'e']);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER: NodeId = NodeId(*b"abcdefghij0123456789");
    const OTHER: NodeId = NodeId(*b"mnopqrstuvwxyz123456");
    const NOBODY_WANTED: Want = Want { v4: false, v6: false };

    fn asked(ask: Ask<'_>) -> Query<'_> {
        Query { transaction: b"aa", sender: ASKER, ask, want: NOBODY_WANTED, read_only: false }
    }

    const EMPTY: Answer<'_> = Answer {
        transaction: b"aa",
        sender: OTHER,
        ip: None,
        token: None,
        nodes: [None; 2],
        peers: &[],
    };

    /// The packets of BEP 5's text, letter by letter.
    #[test]
    fn the_queries_of_bep_5_are_read_and_written() {
        let announce =
            Ask::AnnouncePeer { info_hash: OTHER, port: Port::Implied(6881), token: b"aoeusnth" };
        let packets: [(&[u8], Ask<'_>); 4] = [
            (b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", Ask::Ping),
            (
                b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e\
                  1:q9:find_node1:t2:aa1:y1:qe",
                Ask::FindNode(OTHER),
            ),
            (
                b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e\
                  1:q9:get_peers1:t2:aa1:y1:qe",
                Ask::GetPeers(OTHER),
            ),
            (
                b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:\
                  mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe\
                  1:q13:announce_peer1:t2:aa1:y1:qe",
                announce,
            ),
        ];
        for (packet, ask) in packets {
            assert_eq!(read(packet), Some(Message::Query(asked(ask))));
            assert_eq!(query(&asked(ask)), packet);
        }
    }

    #[test]
    fn the_answers_of_bep_5_are_read_and_written() {
        assert_eq!(answer(&EMPTY), b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re");
        let peers = [address::read(b"axje.u"), address::read(b"idhtnm")].map(Option::unwrap);
        let packet = b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth\
                       6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re";
        let token = Some(&b"aoeusnth"[..]);
        assert_eq!(answer(&Answer { sender: ASKER, token, peers: &peers, ..EMPTY }), packet);
        let Some(Message::Reply(reply)) = read(packet) else { panic!("a reply") };
        assert_eq!((reply.sender, reply.token), (ASKER, token));
        assert_eq!(reply.peers().collect::<Vec<_>>(), peers);
        assert_eq!(reply.nodes(Family::V4).count(), 0);
    }

    #[test]
    fn nodes_of_both_families_come_back_as_they_went() {
        let four = [(ASKER, "1.2.3.4:5".parse().expect("an address"))];
        let six = [(OTHER, "[2001:db8::1]:6".parse().expect("an address"))];
        let ip = Some("9.8.7.6:5".parse().expect("an address"));
        let bytes = answer(&Answer { nodes: [Some(&four), Some(&six)], ip, ..EMPTY });
        assert!(bytes.starts_with(b"d2:ip6:\x09\x08\x07\x06\0\x051:rd2:id20:"));
        let Some(Message::Reply(reply)) = read(&bytes) else { panic!("a reply") };
        assert_eq!(reply.ip, ip);
        assert_eq!(reply.nodes(Family::V4).collect::<Vec<_>>(), four);
        assert_eq!(reply.nodes(Family::V6).collect::<Vec<_>>(), six);
    }

    #[test]
    fn the_error_of_bep_5_is_read_and_ours_has_its_form() {
        let packet = b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee";
        assert_eq!(read(packet), Some(Message::Refusal(b"aa")));
        let ours = error(b"aa", Fault::UnknownMethod);
        assert_eq!(ours, b"d1:eli204e14:Method Unknowne1:t2:aa1:y1:ee");
    }

    #[test]
    fn want_and_read_only_are_said_and_heard() {
        for (v4, v6) in [(false, true), (true, false), (true, true)] {
            let want = Want { v4, v6 };
            let query = Query { want, read_only: true, ..asked(Ask::FindNode(OTHER)) };
            assert_eq!(read(&super::query(&query)), Some(Message::Query(query)));
        }
    }

    #[test]
    fn a_query_that_makes_no_sense_is_a_fault_and_anything_else_is_nothing() {
        for (packet, fault) in [
            (&b"d1:ade1:q4:ping1:t2:aa1:y1:qe"[..], Fault::Protocol),
            (b"d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe", Fault::Protocol),
            (b"d1:q4:ping1:t2:aa1:y1:qe", Fault::Protocol),
            (b"d1:t2:aa1:y1:qe", Fault::Protocol),
            (b"d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:aa1:y1:qe", Fault::Protocol),
            (b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe", Fault::UnknownMethod),
        ] {
            assert_eq!(read(packet), Some(Message::Faulty(b"aa", fault)));
        }
        for packet in
            [&b"d1:y1:qe"[..], b"d1:t2:aae", b"d1:t2:aa1:y1:xe", b"d1:t2:aa1:y1:re", b"i1e"]
        {
            assert_eq!(read(packet), None);
        }
        let long = [&b"d1:t5000:"[..], &[b'x'; 5000], b"1:y1:qe"].concat();
        assert_eq!(read(&long), None);
    }

    #[test]
    fn a_peer_is_announced_at_a_port_that_can_be() {
        let announce = |rest: &str| {
            format!(
                "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456{rest}\
                 5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe"
            )
        };
        for rest in ["", "4:porti0e", "4:porti65536e", "4:porti-1e"] {
            let packet = announce(rest);
            assert_eq!(read(packet.as_bytes()), Some(Message::Faulty(b"aa", Fault::Protocol)));
        }
        let packet = announce("4:porti80e");
        let Some(Message::Query(query)) = read(packet.as_bytes()) else { panic!("a query") };
        let Ask::AnnouncePeer { port, .. } = query.ask else { panic!("an announce") };
        assert_eq!(port, Port::Given(80));
    }
}
