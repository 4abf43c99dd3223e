//! The C layouts of facts and wishes: headed unions. `rtor.h` says the same in C.

use super::Totals;
use crate::abi::Grown;
use crate::{Addr, Host, Lent, Status};
use std::ffi::c_void;
use std::mem::offset_of;

/// The numbers of [`RawFact::kind`]. Unknown ones are declined.
pub mod fact_kind {
    /// The download begins; body `started`.
    pub const STARTED: u32 = 1;
    /// How far it is, every few seconds; body `totals`.
    pub const PROGRESS: u32 = 2;
    /// The last wanted piece was verified; body `totals`.
    pub const COMPLETED: u32 = 3;
    /// The program ends: say good-bye, then wish `finished`; body `totals`.
    pub const STOPPED: u32 = 4;
    /// A peer finished its handshake; body `peer`.
    pub const PEER_JOINED: u32 = 5;
    /// A peer is gone; body `peer`.
    pub const PEER_LEFT: u32 = 6;
    /// A peer sent a message of an extension that this guest speaks; body `extension`.
    pub const EXTENSION: u32 = 7;
    /// A datagram arrived on the one UDP port; body `datagram`.
    pub const DATAGRAM: u32 = 8;
    /// An `http_get` ended; body `http_reply`.
    pub const HTTP_REPLY: u32 = 9;
    /// A `resolve` ended; body `resolved`.
    pub const RESOLVED: u32 = 10;
    /// The guest's own deadline passed; no body.
    pub const DEADLINE: u32 = 11;
    /// The guest called `wake`; no body.
    pub const WOKEN: u32 = 12;
    /// There may be a node of the DHT; body `node`.
    pub const NODE: u32 = 13;
    /// What this guest wished to `keep` in an earlier run, before `started`; body `state`.
    pub const STATE: u32 = 14;
    /// Instead of `started`: what do you hear of the swarm, without taking part in it (BEP 48)?
    /// Wish `heard` or `report` for each source, then `finished`; body `started`, of which only
    /// the info hash, the trackers, the seed and `is_private` mean anything. Since minor 2.
    pub const SCRAPE: u32 = 15;
    /// A router passes on to us what it gets: announce these ports from now on; body `mapped`. Since
    /// minor 2.
    pub const MAPPED: u32 = 16;
}

/// The numbers of [`RawWish::kind`]. Unknown ones are refused.
pub mod wish_kind {
    /// Peers were found; body `found`.
    pub const FOUND: u32 = 1;
    /// Send a peer an extension message; body `extension`.
    pub const SEND_EXTENSION: u32 = 2;
    /// Send a datagram; body `datagram`.
    pub const SEND_DATAGRAM: u32 = 3;
    /// Fetch a URL; body `http_get`.
    pub const HTTP_GET: u32 = 4;
    /// Look a host name up; body `resolve`.
    pub const RESOLVE: u32 = 5;
    /// Join a multicast group; body `multicast`.
    pub const JOIN_MULTICAST: u32 = 6;
    /// Something a person may want to know; body `report`.
    pub const REPORT: u32 = 7;
    /// What a source said of the swarm; body `heard`.
    pub const HEARD: u32 = 8;
    /// After `stopped` or `scrape`: nothing more to say; no body.
    pub const FINISHED: u32 = 9;
    /// Keep these bytes for the next run, instead of those before; body `state`.
    pub const KEEP: u32 = 10;
    /// This guest is a node of the DHT and wants to hear of others; body `dht`.
    pub const JOIN_DHT: u32 = 11;
    /// Fetch a URL over one address family; body `http_get_over`. Since minor 2.
    pub const HTTP_GET_OVER: u32 = 12;
}

/// Body of `started`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawStarted {
    /// 20 bytes (v1) or 32 (v2).
    pub info_hash: Lent<'static>,
    /// 20 bytes.
    pub peer_id: Lent<'static>,
    /// Trackers, tier by tier.
    pub trackers: *const RawTracker,
    /// How many.
    pub tracker_count: usize,
    /// Chance: the same for the whole run.
    pub seed: u64,
    /// Counters at the start.
    pub totals: Totals,
    /// Where we accept TCP; 0: nowhere.
    pub port: u16,
    /// 1 if the torrent is private (BEP 27).
    pub is_private: u8,
    /// Zero.
    pub reserved: u8,
    /// Where datagrams come from; 0: nowhere, or it is not known.
    pub udp_port: u16,
    /// Zero.
    pub reserved_too: u16,
}

/// Body of `mapped`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawMapped {
    /// Where others reach us with TCP; an unspecified address is not known.
    pub addr: Addr,
    /// At which port with UDP; 0: at none, or it is not known.
    pub udp_port: u16,
    /// Zero.
    pub reserved: [u8; 6],
}

/// One tracker of a torrent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawTracker {
    /// Its announce URL.
    pub url: Lent<'static>,
    /// Its tier, from 0 (BEP 12).
    pub tier: u32,
    /// Zero.
    pub reserved: u32,
}

/// Body of `peer_joined` and `peer_left`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawPeer {
    /// Where it listens, as far as is known.
    pub addr: Addr,
    /// The host's number for it.
    pub peer: u32,
    /// Bit 0: it came to us. Bit 1: it is a seed.
    pub flags: u32,
}

/// Body of `extension` and `send_extension` (BEP 10).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawExtension {
    /// `ut_pex`.
    pub name: Lent<'static>,
    /// The message without its id.
    pub payload: Lent<'static>,
    /// The host's number for the peer.
    pub peer: u32,
    /// Zero.
    pub reserved: u32,
}

/// Body of `datagram` (from) and `send_datagram` (to).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawDatagram {
    /// The other end.
    pub addr: Addr,
    /// The payload.
    pub bytes: Lent<'static>,
}

/// Body of `http_get`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawHttpGet {
    /// Comes back in the reply.
    pub ticket: u64,
    /// Sent byte for byte as it stands.
    pub url: Lent<'static>,
}

/// Body of `http_get_over`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawHttpGetOver {
    /// Comes back in the reply.
    pub ticket: u64,
    /// Sent byte for byte as it stands.
    pub url: Lent<'static>,
    /// 4 or 6.
    pub family: u32,
    /// Zero.
    pub reserved: u32,
}

/// Body of `http_reply`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawHttpReply {
    /// As in the wish.
    pub ticket: u64,
    /// The body, at most 4 MiB.
    pub body: Lent<'static>,
    /// Why there is no reply, if `status` is 0.
    pub problem: Lent<'static>,
    /// The HTTP status; 0: no reply.
    pub status: u32,
    /// Zero.
    pub reserved: u32,
}

/// Body of `resolve`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawResolve {
    /// Comes back in the reply.
    pub ticket: u64,
    /// A host name or a literal address.
    pub host: Lent<'static>,
    /// Comes back in the addresses.
    pub port: u16,
    /// Zero.
    pub reserved: [u8; 6],
}

/// Body of `resolved`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawResolved {
    /// As in the wish.
    pub ticket: u64,
    /// The addresses, of both families.
    pub addrs: *const Addr,
    /// How many; 0: not found.
    pub addr_count: usize,
    /// Why not, if there is none.
    pub problem: Lent<'static>,
}

/// Body of `found`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawFound {
    /// Where from, for people: a tracker's URL.
    pub source: Lent<'static>,
    /// Peers to try.
    pub addrs: *const Addr,
    /// How many.
    pub addr_count: usize,
}

/// Body of `join_multicast`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawMulticast {
    /// The group and its port.
    pub group: Addr,
}

/// Body of `report`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawReport {
    /// What it is about: a tracker's URL.
    pub subject: Lent<'static>,
    /// One sentence.
    pub text: Lent<'static>,
    /// As in [`Host::log`].
    pub level: u32,
    /// Zero.
    pub reserved: u32,
}

/// Body of `heard`. A count of -1 was not said.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawHeard {
    /// Where from, for people: a tracker's URL.
    pub source: Lent<'static>,
    /// Peers that have everything.
    pub seeds: i64,
    /// Peers that do not.
    pub leeches: i64,
    /// How often it was completed.
    pub downloads: i64,
    /// Seconds until this source is asked again; 0: after `scrape`.
    pub interval_s: u32,
    /// Zero.
    pub reserved: u32,
}

/// Body of `node`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawNode {
    /// Where it may be.
    pub addr: Addr,
}

/// Body of `state` and `keep`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawState {
    /// The guest's own, at most 64 KiB.
    pub bytes: Lent<'static>,
}

/// Body of `join_dht`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawDht {
    /// 1: it answers on the UDP port, and peers may be told so (PORT, BEP 5).
    pub answers: u32,
    /// Zero.
    pub reserved: u32,
}

/// What happened: a kind and the body that goes with it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawFact {
    /// `size_of::<RawFact>()` on the host's side.
    pub size: u32,
    /// See [`fact_kind`].
    pub kind: u32,
    /// The member that `kind` names.
    pub body: RawFactBody,
}

/// The bodies of facts.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "each member is documented at its type")]
pub union RawFactBody {
    pub started: RawStarted,
    pub totals: Totals,
    pub peer: RawPeer,
    pub extension: RawExtension,
    pub datagram: RawDatagram,
    pub http_reply: RawHttpReply,
    pub resolved: RawResolved,
    pub nothing: u64,
    pub node: RawNode,
    pub state: RawState,
    pub mapped: RawMapped,
}

/// What a guest wants: a kind and the body that goes with it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawWish {
    /// `size_of::<RawWish>()` on the guest's side.
    pub size: u32,
    /// See [`wish_kind`].
    pub kind: u32,
    /// The member that `kind` names.
    pub body: RawWishBody,
}

/// The bodies of wishes.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "each member is documented at its type")]
pub union RawWishBody {
    pub found: RawFound,
    pub extension: RawExtension,
    pub datagram: RawDatagram,
    pub http_get: RawHttpGet,
    pub resolve: RawResolve,
    pub multicast: RawMulticast,
    pub report: RawReport,
    pub heard: RawHeard,
    pub http_get_over: RawHttpGetOver,
    pub nothing: u64,
    pub state: RawState,
    pub dht: RawDht,
}

/// Where wishes go during one call.
#[repr(C)]
pub struct RawSink {
    /// `size_of::<RawSink>()` on the host's side.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The host's own.
    pub context: *mut c_void,
    /// `[engine, inside handle]` Copies a wish; `FAILED` if it is malformed or one too many.
    pub push: unsafe extern "C" fn(context: *mut c_void, wish: *const RawWish) -> Status,
}

/// The functions of a discovery guest.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Table {
    /// `size_of::<Table>()` on the guest's side.
    pub size: u32,
    /// 1: it also runs on private torrents (BEP 27).
    pub on_private: u32,
    /// The BEP 10 messages it speaks: `ut_pex`.
    pub extensions: *const Lent<'static>,
    /// How many.
    pub extension_count: usize,
    /// `[engine]` Makes an instance from `key=value,..`; on `FAILED` it has logged why.
    pub create: unsafe extern "C" fn(
        host: *const Host,
        options: Lent<'_>,
        instance: *mut *mut c_void,
    ) -> Status,
    /// `[engine]` Ends an instance.
    pub destroy: unsafe extern "C" fn(instance: *mut c_void),
    /// `[engine]` A fact goes in, wishes go to the sink; `DECLINED` if the fact is not its own.
    pub handle: unsafe extern "C" fn(
        instance: *mut c_void,
        now_us: u64,
        fact: *const RawFact,
        sink: *const RawSink,
    ) -> Status,
    /// `[engine]` When to send `deadline`, in microseconds of `now_us`; `UINT64_MAX`: never.
    pub deadline: unsafe extern "C" fn(instance: *mut c_void, deadline_us: *mut u64) -> Status,
}

// SAFETY: a table is constant data and functions.
unsafe impl Sync for Table {}
// SAFETY: as above.
unsafe impl Send for Table {}

// SAFETY: nothing was appended yet, and the functions are listed.
unsafe impl Grown for Table {
    const FIRST_BYTES: usize = size_of::<Self>();
    const FUNCTIONS: &'static [usize] = &[
        offset_of!(Self, create),
        offset_of!(Self, destroy),
        offset_of!(Self, handle),
        offset_of!(Self, deadline),
    ];
}
