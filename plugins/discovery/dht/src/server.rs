//! [`Server`]: answers what other nodes ask (BEP 5, 32, 42), and no more than they may get.
//!
//! Who asks can have forged his address, to have us send to somebody else. So an answer is one
//! datagram, not much longer than the question, and there are only so many a second.

use crate::address::{Family, is_believable, is_usable};
use crate::id::NodeId;
use crate::krpc::{self, Answer, Ask, Fault, Known, Port, Query};
use crate::side::Side;
use crate::store::Store;
use crate::table::K;
use crate::throttle::Throttle;
use crate::tokens::Tokens;
use rtor_plugin::SecretChance;
use std::net::{IpAddr, SocketAddr};

/// How many times as long as the question an answer may be. Eight nodes of both families take a
/// little less.
pub(crate) const AMPLIFICATION_MAX: usize = 8;
/// Bytes of an answer besides the asker's own transaction: with all headers it fits any link.
const ANSWER_BYTES_MAX: usize = 1200;
/// Bytes around a list of peers.
const VALUES_BYTES: usize = b"6:valuesle".len();
/// Bytes before a peer in the list, at the most.
const VALUE_BYTES: usize = b"18:".len();

/// What it takes to answer.
pub(crate) struct Server {
    tokens: Tokens,
    store: Store,
    throttle: Throttle,
}

impl Server {
    pub(crate) fn new(chance: &mut SecretChance) -> Self {
        let (tokens, throttle) = (Tokens::new(chance.key()), Throttle::new(chance.key()));
        Self { tokens, store: Store::default(), throttle }
    }

    /// Whether one more datagram from `ip` may be answered.
    pub(crate) fn allows(&mut self, now_us: u64, ip: IpAddr) -> bool {
        self.throttle.allows(now_us, ip)
    }

    /// The peers of a torrent that were announced to us.
    pub(crate) fn announced(
        &self,
        now_us: u64,
        info_hash: &NodeId,
        family: Family,
        chance: &mut SecretChance,
    ) -> Vec<SocketAddr> {
        self.store.peers(now_us, info_hash, family, usize::MAX, chance)
    }

    /// The answer to a query that took `size` bytes.
    pub(crate) fn answer(
        &mut self,
        now_us: u64,
        from: SocketAddr,
        query: &Query<'_>,
        size: usize,
        sides: &[Side; 2],
        chance: &mut SecretChance,
    ) -> Option<Vec<u8>> {
        let family = Family::of(from);
        let own = &sides[family as usize].id;
        let room = ANSWER_BYTES_MAX + query.transaction.len();
        let room = room.min(size * AMPLIFICATION_MAX);
        let token = self.tokens.given(now_us, from.ip());
        let mut answer = Answer {
            transaction: query.transaction,
            sender: *own,
            ip: Some(from),
            token: None,
            nodes: [None; 2],
            peers: &[],
        };
        let nodes;
        let peers;
        match query.ask {
            Ask::Ping => {}
            Ask::FindNode(target) => {
                nodes = wanted(&target, from, query, sides);
                answer.nodes = [nodes[0].as_deref(), nodes[1].as_deref()];
            }
            Ask::GetPeers(info_hash) => {
                nodes = wanted(&info_hash, from, query, sides);
                answer.nodes = [nodes[0].as_deref(), nodes[1].as_deref()];
                answer.token = Some(&token);
                let taken = krpc::answer(&answer).len() + VALUES_BYTES;
                let count = room.saturating_sub(taken) / (VALUE_BYTES + family.compact_bytes());
                peers = self.store.peers(now_us, &info_hash, family, count, chance);
                answer.peers = &peers;
            }
            Ask::AnnouncePeer { info_hash, port, token } => {
                let port = match port {
                    Port::Implied(_) => from.port(),
                    Port::Given(port) => port,
                };
                let peer = SocketAddr::new(from.ip(), port);
                if !is_usable(peer) || !self.tokens.is_good(now_us, from.ip(), token) {
                    return Some(krpc::error(query.transaction, Fault::Protocol));
                }
                self.store.announced(now_us, own, info_hash, peer);
            }
        }
        Some(krpc::answer(&answer)).filter(|answer| answer.len() <= room)
    }
}

/// The closest nodes that we know, of the families that are wanted. Nobody outside is told of a
/// local network's.
fn wanted(
    target: &NodeId,
    from: SocketAddr,
    query: &Query<'_>,
    sides: &[Side; 2],
) -> [Option<Vec<Known>>; 2] {
    let said = query.want.v4 || query.want.v6;
    Family::BOTH.map(|family| {
        let is_wanted = match family {
            _ if !said => family == Family::of(from),
            Family::V4 => query.want.v4,
            Family::V6 => query.want.v6,
        };
        is_wanted.then(|| {
            let mut nodes = sides[family as usize].table.closest(target, K);
            nodes.retain(|(_, addr)| is_believable(*addr, from));
            nodes
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::krpc::{Message, Reply, Want};

    const ASKER: NodeId = NodeId(*b"abcdefghij0123456789");
    const TORRENT: NodeId = NodeId(*b"mnopqrstuvwxyz123456");

    struct World {
        server: Server,
        sides: [Side; 2],
        chance: SecretChance,
    }

    impl World {
        fn new() -> Self {
            let mut chance = SecretChance::new(1);
            let mut sides = Family::BOTH.map(|family| Side::new(family, &mut chance));
            for number in 1..=50_u8 {
                let ip = IpAddr::from([20, number, 0, 1]);
                let id = NodeId::at(ip, NodeId::drawn(&mut chance));
                sides[0].table.replied(0, id, (ip, 1).into());
                let ip = IpAddr::from([0x2001, 0xdb8, number.into(), 0, 0, 0, 0, 1]);
                let id = NodeId::at(ip, NodeId::drawn(&mut chance));
                sides[1].table.replied(0, id, (ip, 1).into());
            }
            Self { server: Server::new(&mut chance), sides, chance }
        }

        fn ask(&mut self, now_us: u64, from: &str, ask: Ask<'_>, want: Want) -> Vec<u8> {
            let (transaction, sender) = (&b"t"[..], ASKER);
            let query = Query { transaction, sender, ask, want, read_only: false };
            let size = krpc::query(&query).len();
            let from = from.parse().expect("an address");
            let Self { server, sides, chance } = self;
            let answer = server.answer(now_us, from, &query, size, sides, chance);
            answer.expect("every proper query is answered")
        }
    }

    fn reply(bytes: &[u8]) -> Reply<'_> {
        match krpc::read(bytes) {
            Some(Message::Reply(reply)) => reply,
            other => panic!("a reply, and not {other:?}"),
        }
    }

    const FOUR: &str = "9.9.9.9:99";
    const SIX: &str = "[2001:db8:9::9]:99";

    #[test]
    fn nodes_are_of_the_family_that_is_wanted_or_of_that_of_the_question() {
        let mut world = World::new();
        for (from, v4, v6, count) in [
            (FOUR, false, false, [8, 0]),
            (SIX, false, false, [0, 8]),
            (FOUR, false, true, [0, 8]),
            (SIX, true, true, [8, 8]),
        ] {
            let answer = world.ask(0, from, Ask::FindNode(TORRENT), Want { v4, v6 });
            let reply = reply(&answer);
            assert_eq!(Family::BOTH.map(|family| reply.nodes(family).count()), count);
            assert_eq!(
                reply.sender,
                world.sides[Family::of(from.parse().expect("an address")) as usize].id
            );
            assert_eq!(reply.ip, Some(from.parse().expect("an address")));
            assert_eq!(reply.token, None);
        }
    }

    #[test]
    fn who_has_a_token_announces_and_is_found_for_half_an_hour() {
        let mut world = World::new();
        let asked = world.ask(0, FOUR, Ask::GetPeers(TORRENT), Want::default());
        let token = reply(&asked).token.expect("a token").to_vec();
        let announce = |port| Ask::AnnouncePeer { info_hash: TORRENT, port, token: &token };
        let minute = 60_000_000;
        for (now_us, from, port) in
            [(0, FOUR, Port::Given(7)), (10 * minute, "9.9.9.9:100", Port::Implied(5))]
        {
            let answer = world.ask(now_us, from, announce(port), Want::default());
            reply(&answer);
        }
        for (now_us, from) in [(0, "9.9.9.8:99"), (15 * minute, FOUR)] {
            let refused = world.ask(now_us, from, announce(Port::Given(8)), Want::default());
            assert_eq!(krpc::read(&refused), Some(Message::Refusal(b"t")));
        }
        let found = |world: &mut World, now_us, from| {
            let answer = world.ask(now_us, from, Ask::GetPeers(TORRENT), Want::default());
            reply(&answer).peers().map(|peer| peer.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found(&mut world, 11 * minute, FOUR), ["9.9.9.9:7", "9.9.9.9:100"]);
        assert_eq!(found(&mut world, 30 * minute, FOUR), ["9.9.9.9:100"]);
        assert!(found(&mut world, 11 * minute, SIX).is_empty());
    }

    #[test]
    fn the_longest_answer_keeps_to_the_factor() {
        let mut world = World::new();
        for number in 0..200_u8 {
            let from = format!("30.0.{number}.1:99");
            let asked = world.ask(0, &from, Ask::GetPeers(TORRENT), Want::default());
            let token = reply(&asked).token.expect("a token").to_vec();
            let ask = Ask::AnnouncePeer { info_hash: TORRENT, port: Port::Given(7), token: &token };
            world.ask(0, &from, ask, Want::default());
        }
        let want = Want { v4: true, v6: true };
        let answer = world.ask(0, FOUR, Ask::GetPeers(TORRENT), want);
        assert!(answer.len() <= 111 * AMPLIFICATION_MAX, "{}", answer.len());
        assert!(reply(&answer).peers().count() >= 20);
    }
}
