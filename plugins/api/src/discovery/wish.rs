//! [`Wish`]: what a discovery guest wants done, in its Rust form.

use super::fact::lent_slice;
use super::raw::{
    RawDatagram, RawDht, RawExtension, RawFound, RawHeard, RawHttpGet, RawHttpGetOver,
    RawMulticast, RawReport, RawResolve, RawState, RawWish, RawWishBody, wish_kind,
};
use crate::{Addr, Lent, Level};
use std::borrow::Cow;

/// What a guest wants done. The host copies it: [`Wish::into_owned`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say what the variant's sentence does not")]
pub enum Wish<'a> {
    /// Peers to try; `source` is for people: a tracker's URL.
    Found { source: Cow<'a, str>, addrs: Cow<'a, [Addr]> },
    /// Send a peer an extension message (BEP 10).
    SendExtension { peer: u32, name: Cow<'a, str>, payload: Cow<'a, [u8]> },
    /// Send a datagram from the one UDP port.
    SendDatagram { to: Addr, bytes: Cow<'a, [u8]> },
    /// Fetch a URL; the answer is [`Fact::HttpReply`](super::Fact::HttpReply). With a family, 4 or
    /// 6, only over that one.
    HttpGet { ticket: u64, url: Cow<'a, str>, family: Option<u8> },
    /// Look a name up; the answer is [`Fact::Resolved`](super::Fact::Resolved).
    Resolve { ticket: u64, host: Cow<'a, str>, port: u16 },
    /// Join a multicast group.
    JoinMulticast { group: Addr },
    /// Something that a person may want to know; `subject` is a tracker's URL, say.
    Report { level: Level, subject: Cow<'a, str>, text: Cow<'a, str> },
    /// What a source said of the swarm.
    Heard {
        source: Cow<'a, str>,
        seeds: Option<u64>,
        leeches: Option<u64>,
        downloads: Option<u64>,
        interval_s: u32,
    },
    /// After [`Fact::Stopped`](super::Fact::Stopped) or [`Fact::Scrape`](super::Fact::Scrape):
    /// nothing more to say.
    Finished,
    /// Keep these bytes for the next run, where they are [`Fact::State`](super::Fact::State).
    Keep { bytes: Cow<'a, [u8]> },
    /// This guest is a node of the DHT: it is told of others ([`Fact::Node`](super::Fact::Node)).
    /// If it `answers` on the UDP port, peers are told of it (PORT, BEP 5).
    JoinDht { answers: bool },
}

/// `size_of::<RawWish>()` of the first revision, which every guest has.
const SIZE_MIN: u32 = 56;

fn lend(bytes: &[u8]) -> Lent<'static> {
    // SAFETY: only lifetimes differ; `with_raw` ends before the bytes do.
    unsafe { std::mem::transmute::<Lent<'_>, Lent<'static>>(Lent::new(bytes)) }
}

fn count(raw: i64) -> Option<u64> {
    u64::try_from(raw).ok()
}

fn raw_count(count: Option<u64>) -> i64 {
    count.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1)
}

impl<'a> Wish<'a> {
    /// Lends the wish in C layout to `f`.
    pub(super) fn with_raw<T>(&self, f: impl FnOnce(&RawWish) -> T) -> T {
        let (kind, body) = self.raw_body();
        f(&RawWish { size: size_of::<RawWish>() as u32, kind, body })
    }

    fn raw_body(&self) -> (u32, RawWishBody) {
        use RawWishBody as B;
        use wish_kind as k;
        match self {
            Self::Found { source, addrs } => {
                let source = lend(source.as_bytes());
                let found = RawFound { source, addrs: addrs.as_ptr(), addr_count: addrs.len() };
                (k::FOUND, B { found })
            }
            Self::SendExtension { peer, name, payload } => {
                let (name, payload) = (lend(name.as_bytes()), lend(payload));
                let extension = RawExtension { name, payload, peer: *peer, reserved: 0 };
                (k::SEND_EXTENSION, B { extension })
            }
            Self::SendDatagram { to, bytes } => {
                (k::SEND_DATAGRAM, B { datagram: RawDatagram { addr: *to, bytes: lend(bytes) } })
            }
            Self::HttpGet { ticket, url, family: None } => {
                let http_get = RawHttpGet { ticket: *ticket, url: lend(url.as_bytes()) };
                (k::HTTP_GET, B { http_get })
            }
            Self::HttpGet { ticket, url, family: Some(family) } => {
                let (url, family) = (lend(url.as_bytes()), u32::from(*family));
                let http_get_over = RawHttpGetOver { ticket: *ticket, url, family, reserved: 0 };
                (k::HTTP_GET_OVER, B { http_get_over })
            }
            Self::Resolve { ticket, host, port } => {
                let host = lend(host.as_bytes());
                let resolve = RawResolve { ticket: *ticket, host, port: *port, reserved: [0; 6] };
                (k::RESOLVE, B { resolve })
            }
            Self::JoinMulticast { group } => {
                (k::JOIN_MULTICAST, B { multicast: RawMulticast { group: *group } })
            }
            Self::Report { level, subject, text } => {
                let (subject, text) = (lend(subject.as_bytes()), lend(text.as_bytes()));
                let report = RawReport { subject, text, level: level.raw(), reserved: 0 };
                (k::REPORT, B { report })
            }
            Self::Heard { source, seeds, leeches, downloads, interval_s } => {
                let heard = RawHeard {
                    source: lend(source.as_bytes()),
                    seeds: raw_count(*seeds),
                    leeches: raw_count(*leeches),
                    downloads: raw_count(*downloads),
                    interval_s: *interval_s,
                    reserved: 0,
                };
                (k::HEARD, B { heard })
            }
            Self::Finished => (k::FINISHED, B { nothing: 0 }),
            Self::Keep { bytes } => (k::KEEP, B { state: RawState { bytes: lend(bytes) } }),
            Self::JoinDht { answers } => {
                (k::JOIN_DHT, B { dht: RawDht { answers: u32::from(*answers), reserved: 0 } })
            }
        }
    }

    /// Reads a wish; `None` if its kind is unknown, its text is not UTF-8, or it is smaller than
    /// the smallest wish that ever was.
    ///
    /// The body is read member by member: a wish of an older guest may end before a later
    /// union does, so the union as a whole must not be copied.
    ///
    /// # Safety
    /// `raw` must hold the body that its kind names, lent for `'a`.
    pub(super) unsafe fn from_raw(raw: &'a RawWish) -> Option<Self> {
        use wish_kind as k;
        let body = &raw.body;
        if raw.size < SIZE_MIN {
            return None;
        }
        // SAFETY: the caller's promise.
        unsafe {
            Some(match raw.kind {
                k::FOUND => Self::Found {
                    source: body.found.source.utf8()?.into(),
                    addrs: lent_slice(body.found.addrs, body.found.addr_count).into(),
                },
                k::SEND_EXTENSION => Self::SendExtension {
                    peer: body.extension.peer,
                    name: body.extension.name.utf8()?.into(),
                    payload: body.extension.payload.bytes().into(),
                },
                k::SEND_DATAGRAM => Self::SendDatagram {
                    to: body.datagram.addr,
                    bytes: body.datagram.bytes.bytes().into(),
                },
                k::HTTP_GET => Self::HttpGet {
                    ticket: body.http_get.ticket,
                    url: body.http_get.url.utf8()?.into(),
                    family: None,
                },
                k::HTTP_GET_OVER => Self::HttpGet {
                    ticket: body.http_get_over.ticket,
                    url: body.http_get_over.url.utf8()?.into(),
                    family: Some(match body.http_get_over.family {
                        4 => 4,
                        6 => 6,
                        _ => return None,
                    }),
                },
                k::RESOLVE => Self::Resolve {
                    ticket: body.resolve.ticket,
                    host: body.resolve.host.utf8()?.into(),
                    port: body.resolve.port,
                },
                k::JOIN_MULTICAST => Self::JoinMulticast { group: body.multicast.group },
                k::REPORT => Self::Report {
                    level: Level::from_raw(body.report.level),
                    subject: body.report.subject.utf8()?.into(),
                    text: body.report.text.utf8()?.into(),
                },
                k::HEARD => Self::Heard {
                    source: body.heard.source.utf8()?.into(),
                    seeds: count(body.heard.seeds),
                    leeches: count(body.heard.leeches),
                    downloads: count(body.heard.downloads),
                    interval_s: body.heard.interval_s,
                },
                k::FINISHED => Self::Finished,
                k::KEEP => Self::Keep { bytes: body.state.bytes.bytes().into() },
                k::JOIN_DHT => Self::JoinDht { answers: body.dht.answers == 1 },
                _ => return None,
            })
        }
    }

    /// The same wish with everything copied.
    #[must_use]
    pub fn into_owned(self) -> Wish<'static> {
        fn own<T: ?Sized + ToOwned>(cow: Cow<'_, T>) -> Cow<'static, T> {
            Cow::Owned(cow.into_owned())
        }
        match self {
            Self::Found { source, addrs } => Wish::Found { source: own(source), addrs: own(addrs) },
            Self::SendExtension { peer, name, payload } => {
                Wish::SendExtension { peer, name: own(name), payload: own(payload) }
            }
            Self::SendDatagram { to, bytes } => Wish::SendDatagram { to, bytes: own(bytes) },
            Self::HttpGet { ticket, url, family } => {
                Wish::HttpGet { ticket, url: own(url), family }
            }
            Self::Resolve { ticket, host, port } => Wish::Resolve { ticket, host: own(host), port },
            Self::JoinMulticast { group } => Wish::JoinMulticast { group },
            Self::Report { level, subject, text } => {
                Wish::Report { level, subject: own(subject), text: own(text) }
            }
            Self::Heard { source, seeds, leeches, downloads, interval_s } => {
                Wish::Heard { source: own(source), seeds, leeches, downloads, interval_s }
            }
            Self::Finished => Wish::Finished,
            Self::Keep { bytes } => Wish::Keep { bytes: own(bytes) },
            Self::JoinDht { answers } => Wish::JoinDht { answers },
        }
    }
}
