//! [`Fact`]: what a discovery guest is told, in its Rust form.

use super::raw::{
    RawDatagram, RawExtension, RawFact, RawFactBody, RawHttpReply, RawMapped, RawNode, RawPeer,
    RawResolved, RawStarted, RawState, RawTracker, fact_kind,
};
use crate::{Addr, Lent};

/// Counters as trackers want them (BEP 3), and what the host would like.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes sent in blocks.
    pub uploaded: u64,
    /// Bytes received in blocks.
    pub downloaded: u64,
    /// Bytes of the torrent that are not here, wanted or not.
    pub left: u64,
    /// Peers connected now.
    pub peers: u32,
    /// Peers that the host would still take.
    pub peers_wanted: u32,
}

/// One tracker of the torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracker<'a> {
    /// Its announce URL.
    pub url: &'a str,
    /// Its tier, from 0 (BEP 12).
    pub tier: u32,
}

/// How an HTTP request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// There was a reply with this status and body.
    Answered(u32, &'a [u8]),
    /// There was none, and why.
    Unreachable(&'a str),
}

/// What happened, lent for one call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say what the variant's sentence does not")]
pub enum Fact<'a> {
    /// The download begins. `port` 0: nothing listens; `udp_port` 0: nobody knows it.
    Started {
        info_hash: &'a [u8],
        peer_id: &'a [u8],
        trackers: Vec<Tracker<'a>>,
        seed: u64,
        port: u16,
        udp_port: u16,
        private: bool,
        totals: Totals,
    },
    /// How far it is; every few seconds, and when peers run out.
    Progress(Totals),
    /// The last wanted piece was verified.
    Completed(Totals),
    /// The program ends: say good-bye, then wish [`Wish::Finished`](super::Wish::Finished).
    Stopped(Totals),
    /// A peer finished its handshake.
    PeerJoined { peer: u32, addr: Addr, came_to_us: bool, seed: bool },
    /// A peer is gone.
    PeerLeft { peer: u32, addr: Addr },
    /// A peer sent a message of an extension that this guest speaks.
    Extension { peer: u32, name: &'a str, payload: &'a [u8] },
    /// A datagram arrived on the one UDP port.
    Datagram { from: Addr, bytes: &'a [u8] },
    /// An HTTP request ended.
    HttpReply { ticket: u64, reply: Reply<'a> },
    /// A look-up ended; `problem` says why `addrs` is empty.
    Resolved { ticket: u64, addrs: &'a [Addr], problem: &'a str },
    /// The guest's own deadline passed.
    Deadline,
    /// The guest called [`HostHandle::wake`](crate::HostHandle::wake).
    Woken,
    /// A peer or the torrent says that a node of the DHT is there (BEP 5).
    Node { addr: Addr },
    /// Before the start: what [`Wish::Keep`](super::Wish::Keep) kept in an earlier run.
    State { bytes: &'a [u8] },
    /// Instead of `Started`: what is heard of the swarm, without taking part in it (BEP 48)? Wish
    /// [`Wish::Heard`](super::Wish::Heard) with `interval_s` 0, or a report, for each source, then
    /// [`Wish::Finished`](super::Wish::Finished).
    Scrape { info_hash: &'a [u8], trackers: Vec<Tracker<'a>>, seed: u64, private: bool },
    /// A router passes on to us what it gets there: these ports are to be announced from now on. An
    /// unspecified address is not known; a `udp_port` of 0 neither.
    Mapped { addr: Addr, udp_port: u16 },
}

/// Lends bytes without a lifetime: the raw fact that holds it lives only inside `with_raw`.
fn lend(bytes: &[u8]) -> Lent<'static> {
    // SAFETY: only lifetimes differ; `with_raw` ends before the bytes do.
    unsafe { std::mem::transmute::<Lent<'_>, Lent<'static>>(Lent::new(bytes)) }
}

impl RawStarted {
    /// What a scrape says: nothing of who we are.
    fn anonymous(info_hash: &[u8], trackers: &[RawTracker], seed: u64, private: bool) -> Self {
        Self {
            info_hash: lend(info_hash),
            peer_id: lend(b""),
            trackers: trackers.as_ptr(),
            tracker_count: trackers.len(),
            seed,
            totals: Totals::default(),
            port: 0,
            is_private: u8::from(private),
            reserved: 0,
            udp_port: 0,
            reserved_too: 0,
        }
    }
}

impl<'a> Fact<'a> {
    /// Lends the fact in C layout to `f`.
    pub(super) fn with_raw<T>(&self, f: impl FnOnce(&RawFact) -> T) -> T {
        let trackers: Vec<RawTracker> = match self {
            Self::Started { trackers, .. } | Self::Scrape { trackers, .. } => trackers
                .iter()
                .map(|t| RawTracker { url: lend(t.url.as_bytes()), tier: t.tier, reserved: 0 })
                .collect(),
            _ => Vec::new(),
        };
        let (kind, body) = self.raw_body(&trackers);
        f(&RawFact { size: size_of::<RawFact>() as u32, kind, body })
    }

    fn raw_body(&self, trackers: &[RawTracker]) -> (u32, RawFactBody) {
        use RawFactBody as B;
        use fact_kind as k;
        match *self {
            Self::Started { info_hash, peer_id, seed, port, udp_port, private, totals, .. } => {
                let nobody = RawStarted::anonymous(info_hash, trackers, seed, private);
                let started =
                    RawStarted { peer_id: lend(peer_id), totals, port, udp_port, ..nobody };
                (k::STARTED, B { started })
            }
            Self::Progress(totals) => (k::PROGRESS, B { totals }),
            Self::Completed(totals) => (k::COMPLETED, B { totals }),
            Self::Stopped(totals) => (k::STOPPED, B { totals }),
            Self::PeerJoined { peer, addr, came_to_us, seed } => {
                let flags = u32::from(came_to_us) | u32::from(seed) << 1;
                (k::PEER_JOINED, B { peer: RawPeer { addr, peer, flags } })
            }
            Self::PeerLeft { peer, addr } => {
                (k::PEER_LEFT, B { peer: RawPeer { addr, peer, flags: 0 } })
            }
            Self::Extension { peer, name, payload } => {
                let (name, payload) = (lend(name.as_bytes()), lend(payload));
                let extension = RawExtension { name, payload, peer, reserved: 0 };
                (k::EXTENSION, B { extension })
            }
            Self::Datagram { from, bytes } => {
                (k::DATAGRAM, B { datagram: RawDatagram { addr: from, bytes: lend(bytes) } })
            }
            Self::HttpReply { ticket, reply } => {
                let (status, body, problem) = match reply {
                    Reply::Answered(status, body) => (status, body, ""),
                    Reply::Unreachable(why) => (0, &[][..], why),
                };
                let (body, problem) = (lend(body), lend(problem.as_bytes()));
                let http_reply = RawHttpReply { ticket, body, problem, status, reserved: 0 };
                (k::HTTP_REPLY, B { http_reply })
            }
            Self::Resolved { ticket, addrs, problem } => {
                let resolved = RawResolved {
                    ticket,
                    addrs: addrs.as_ptr(),
                    addr_count: addrs.len(),
                    problem: lend(problem.as_bytes()),
                };
                (k::RESOLVED, B { resolved })
            }
            Self::Deadline => (k::DEADLINE, B { nothing: 0 }),
            Self::Woken => (k::WOKEN, B { nothing: 0 }),
            Self::Node { addr } => (k::NODE, B { node: RawNode { addr } }),
            Self::State { bytes } => (k::STATE, B { state: RawState { bytes: lend(bytes) } }),
            Self::Scrape { info_hash, seed, private, .. } => {
                let started = RawStarted::anonymous(info_hash, trackers, seed, private);
                (k::SCRAPE, B { started })
            }
            Self::Mapped { addr, udp_port } => {
                (k::MAPPED, B { mapped: RawMapped { addr, udp_port, reserved: [0; 6] } })
            }
        }
    }

    /// Reads a fact; `None` if its kind is unknown to this build or its text is not UTF-8.
    ///
    /// # Safety
    /// `raw` must hold the body that its kind names, lent for `'a`.
    pub(super) unsafe fn from_raw(raw: &'a RawFact) -> Option<Self> {
        use fact_kind as k;
        let body = &raw.body;
        // SAFETY: the caller's promise, for every member read here.
        unsafe {
            Some(match raw.kind {
                k::STARTED => Self::started(&raw.body.started)?,
                k::PROGRESS => Self::Progress(body.totals),
                k::COMPLETED => Self::Completed(body.totals),
                k::STOPPED => Self::Stopped(body.totals),
                k::PEER_JOINED => {
                    let RawPeer { addr, peer, flags } = body.peer;
                    let (came_to_us, seed) = (flags & 1 != 0, flags & 2 != 0);
                    Self::PeerJoined { peer, addr, came_to_us, seed }
                }
                k::PEER_LEFT => Self::PeerLeft { peer: body.peer.peer, addr: body.peer.addr },
                k::EXTENSION => Self::Extension {
                    peer: body.extension.peer,
                    name: body.extension.name.utf8()?,
                    payload: body.extension.payload.bytes(),
                },
                k::DATAGRAM => {
                    Self::Datagram { from: body.datagram.addr, bytes: body.datagram.bytes.bytes() }
                }
                k::HTTP_REPLY => {
                    let raw = &body.http_reply;
                    let reply = if raw.status == 0 {
                        Reply::Unreachable(raw.problem.utf8()?)
                    } else {
                        Reply::Answered(raw.status, raw.body.bytes())
                    };
                    Self::HttpReply { ticket: raw.ticket, reply }
                }
                k::RESOLVED => Self::Resolved {
                    ticket: body.resolved.ticket,
                    addrs: lent_slice(body.resolved.addrs, body.resolved.addr_count),
                    problem: body.resolved.problem.utf8()?,
                },
                k::DEADLINE => Self::Deadline,
                k::WOKEN => Self::Woken,
                k::NODE => Self::Node { addr: body.node.addr },
                k::STATE => Self::State { bytes: body.state.bytes.bytes() },
                k::SCRAPE => {
                    let raw = &body.started;
                    let (info_hash, trackers) = (raw.info_hash.bytes(), trackers(raw)?);
                    let (seed, private) = (raw.seed, raw.is_private != 0);
                    Self::Scrape { info_hash, trackers, seed, private }
                }
                k::MAPPED => {
                    Self::Mapped { addr: body.mapped.addr, udp_port: body.mapped.udp_port }
                }
                _ => return None,
            })
        }
    }

    /// # Safety
    /// As for `from_raw`.
    unsafe fn started(raw: &'a RawStarted) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe {
            Some(Self::Started {
                info_hash: raw.info_hash.bytes(),
                peer_id: raw.peer_id.bytes(),
                trackers: trackers(raw)?,
                seed: raw.seed,
                port: raw.port,
                udp_port: raw.udp_port,
                private: raw.is_private != 0,
                totals: raw.totals,
            })
        }
    }
}

/// The trackers of `raw`; `None` if a URL is not UTF-8.
///
/// # Safety
/// `raw` must be lent for `'a`.
unsafe fn trackers<'a>(raw: &RawStarted) -> Option<Vec<Tracker<'a>>> {
    // SAFETY: the caller's promise.
    unsafe {
        lent_slice::<'a, RawTracker>(raw.trackers, raw.tracker_count)
            .iter()
            .map(|t| Some(Tracker { url: t.url.utf8()?, tier: t.tier }))
            .collect()
    }
}

/// # Safety
/// `data` must point to `count` values that live for `'a`, or `count` must be 0.
pub(super) unsafe fn lent_slice<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if data.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data, count) }
}
