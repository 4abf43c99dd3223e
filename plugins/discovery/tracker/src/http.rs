//! Announces over HTTP: the URL (BEP 3), and the reply (BEP 3, 7, 23, 24, 31).
//!
//! The query is written as text by an encoder of our own, since the info hash is bytes, not
//! text, and since trackers look at the URL byte for byte. What the announce URL already asks
//! stays in front. `ipv6=` is never sent: a tracker is asked over each family by itself (BEP 7).

use crate::announce::{Announce, Event, Failure, Reply, Retry, words};
use rtor_plugin::Addr;
use rtor_plugin::bencode::{Malformed, Reader, Token};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// Bytes of a tracker id that is sent back.
const TRACKER_ID_BYTES_MAX: usize = 256;

/// The URL that says `announce` to the tracker at `base`.
pub(crate) fn url(base: &str, announce: &Announce<'_>) -> String {
    let base = base.split('#').next().unwrap_or_default();
    let Announce { identity, port, totals, event, tracker_id } = *announce;
    let mut url = base.to_owned();
    url.push(match base.split_once('?') {
        None => '?',
        Some(_) => '&',
    });
    url.push_str("info_hash=");
    encode(&mut url, &identity.info_hash);
    url.push_str("&peer_id=");
    encode(&mut url, &identity.peer_id);
    let counters = [
        ("port", u64::from(port)),
        ("uploaded", totals.uploaded),
        ("downloaded", totals.downloaded),
        ("left", totals.left),
        ("compact", 1),
        ("numwant", u64::from(announce.numwant())),
    ];
    for (key, value) in counters {
        let _ = write!(url, "&{key}={value}");
    }
    let _ = write!(url, "&key={:08x}", identity.key);
    url.push_str(match event {
        Event::None => "",
        Event::Completed => "&event=completed",
        Event::Started => "&event=started",
        Event::Stopped => "&event=stopped",
    });
    if !tracker_id.is_empty() {
        url.push_str("&trackerid=");
        encode(&mut url, tracker_id);
    }
    url
}

/// Reads what came back.
///
/// # Errors
/// One sentence: the tracker's own reason, or what is wrong with the reply.
pub(crate) fn reply(status: u32, body: &[u8]) -> Result<Reply, Failure> {
    judged(status, read(body))
}

/// What a reply means under its HTTP status. The outer error of `read`: it is not bencode; the
/// inner one: bencode, and a refusal.
///
/// # Errors
/// One sentence, as of [`reply`].
pub(crate) fn judged(
    status: u32,
    read: Result<Result<Reply, Failure>, Malformed>,
) -> Result<Reply, Failure> {
    if status != 200 {
        // Some trackers explain an error status in bencode.
        return match read {
            Ok(Err(reason)) => Err(reason),
            Ok(Ok(_)) | Err(_) => {
                Err(format!("the tracker answered with HTTP status {status}").into())
            }
        };
    }
    read.map_err(|Malformed(at)| format!("the tracker's reply is not bencode (at byte {at})"))?
}

/// Writes bytes as a query's value: what is unreserved (RFC 3986, 2.3) as it is, the rest as %XX.
pub(crate) fn encode(url: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

fn read(body: &[u8]) -> Result<Result<Reply, Failure>, Malformed> {
    let mut reader = Reader::new(body);
    if reader.token()? != Token::Dict {
        return Err(Malformed(0));
    }
    let mut reply = Reply::default();
    let (mut reason, mut retry) = (None, None);
    let mut said_peers = false;
    while let Some(key) = reader.key()? {
        let value = reader.token()?;
        match (key, value) {
            (b"failure reason", Token::Bytes(text)) => reason = Some(words(text)),
            (b"retry in", Token::Int(minutes)) => {
                retry = u64::try_from(minutes).ok().map(Retry::AfterMinutes);
            }
            (b"retry in", Token::Bytes(b"never")) => retry = Some(Retry::Never),
            (b"external ip", Token::Bytes(ip)) => reply.external_ip = external_ip(ip),
            (b"warning message", Token::Bytes(text)) => reply.warning = Some(words(text)),
            (b"interval", Token::Int(seconds)) => reply.interval_s = Some(seconds),
            (b"min interval", Token::Int(seconds)) => reply.interval_s_min = Some(seconds),
            (b"complete", Token::Int(count)) => reply.seeds = count.try_into().ok(),
            (b"incomplete", Token::Int(count)) => reply.leeches = count.try_into().ok(),
            (b"downloaded", Token::Int(count)) => reply.downloads = count.try_into().ok(),
            (b"tracker id", Token::Bytes(id)) if id.len() <= TRACKER_ID_BYTES_MAX => {
                reply.tracker_id = id.to_owned();
            }
            (b"peers", Token::Bytes(peers)) => {
                said_peers = true;
                reply.push_compact(peers, 4);
            }
            (b"peers6", Token::Bytes(peers)) => {
                said_peers = true;
                reply.push_compact(peers, 6);
            }
            (b"peers", Token::List) => {
                said_peers = true;
                peers(&mut reader, &mut reply)?;
            }
            (_, value) => reader.skip(value)?,
        }
    }
    Ok(match reason {
        Some(why) => Err(Failure { why, retry }),
        None if !said_peers && reply.interval_s.is_none() => {
            Err("the tracker's reply says neither peers nor an interval".into())
        }
        None => Ok(reply),
    })
}

/// The old form (BEP 3): a list of dictionaries. Peers named by host name are left out.
fn peers(reader: &mut Reader<'_>, reply: &mut Reply) -> Result<(), Malformed> {
    loop {
        match reader.token()? {
            Token::End => return Ok(()),
            Token::Dict => {
                let (mut ip, mut port) = (None, None);
                while let Some(key) = reader.key()? {
                    let value = reader.token()?;
                    match (key, value) {
                        (b"ip", Token::Bytes(text)) => ip = address(text),
                        (b"port", Token::Int(number)) => port = u16::try_from(number).ok(),
                        (_, value) => reader.skip(value)?,
                    }
                }
                if let (Some(ip), Some(port)) = (ip, port) {
                    reply.push(Addr::from(SocketAddr::new(ip, port)));
                }
            }
            token => reader.skip(token)?,
        }
    }
}

/// Four bytes of IPv4 or sixteen of IPv6 (BEP 24).
fn external_ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::{Identity, PEERS_MAX};
    use rtor_plugin::discovery::Totals;

    fn announce(identity: &Identity, event: Event) -> Announce<'_> {
        let totals =
            Totals { uploaded: 1, downloaded: 2, left: 3, peers: 4, peers_wanted: u32::MAX };
        let port = identity.port_over(4);
        Announce { identity, port, totals, event, tracker_id: b"" }
    }

    fn identity() -> Identity {
        let mut info_hash = [0; 20];
        (0..).zip(&mut info_hash).for_each(|(i, byte)| *byte = i * 13);
        let peer_id = *b"-RT0100-abcdefghijkl";
        Identity { info_hash, peer_id, key: 0xbeef, port: 6881, mapped: None }
    }

    #[test]
    fn the_announce_is_written_behind_what_the_url_asks_already() {
        let identity = identity();
        let query = "info_hash=%00%0D%1A%274AN%5Bhu%82%8F%9C%A9%B6%C3%D0%DD%EA%F7\
            &peer_id=-RT0100-abcdefghijkl&port=6881&uploaded=1&downloaded=2&left=3&compact=1";
        assert_eq!(
            url("http://t.example/a", &announce(&identity, Event::Started)),
            format!("http://t.example/a?{query}&numwant=200&key=0000beef&event=started")
        );
        let stopped = Announce { tracker_id: b"a b", ..announce(&identity, Event::Stopped) };
        assert_eq!(
            url("http://t.example/a?k=%20x#top", &stopped),
            format!(
                "http://t.example/a?k=%20x&{query}&numwant=0&key=0000beef&event=stopped\
                &trackerid=a%20b"
            )
        );
        assert!(!url("http://t", &announce(&identity, Event::None)).contains("event"));
    }

    fn sockets(reply: &Reply) -> Vec<String> {
        reply.peers.iter().map(|peer| peer.socket().expect("a family").to_string()).collect()
    }

    #[test]
    fn a_full_reply_is_read() {
        let mut body = b"d8:completei5e10:downloadedi9e11:external ip4:\x05\x06\x07\x08\
            10:incompletei6e8:intervali1800e\
            12:min intervali60e5:peers6:\x0a\0\0\x01\x1a\xe16:peers618:"
            .to_vec();
        body.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80]);
        body.extend(b"10:tracker id3:abc7:unknownld1:xleee15:warning message4:slowe\r\n");
        let reply = reply(200, &body).expect("it is good");
        assert_eq!(sockets(&reply), ["10.0.0.1:6881", "[2001:db8::1]:80"]);
        assert_eq!(
            Reply { peers: vec![], ..reply },
            Reply {
                peers: vec![],
                interval_s: Some(1800),
                interval_s_min: Some(60),
                seeds: Some(5),
                leeches: Some(6),
                downloads: Some(9),
                tracker_id: b"abc".to_vec(),
                warning: Some("slow".to_owned()),
                external_ip: Some([5, 6, 7, 8].into()),
            }
        );
    }

    #[test]
    fn the_old_list_of_peers_is_read() {
        let body = b"d5:peersld2:ip8:10.0.0.74:porti80eed2:ip3:::17:peer id1:x4:porti81ee\
            d2:ip9:a.example4:porti82eed2:ip8:10.0.0.84:porti70000eei3eee";
        assert_eq!(sockets(&reply(200, body).expect("good")), ["10.0.0.7:80", "[::1]:81"]);
    }

    #[test]
    fn a_refusal_is_the_tracker_s_own_sentence() {
        let body = b"d14:failure reason12:unregistered5:peers0:e";
        for status in [200, 403] {
            assert_eq!(reply(status, body), Err("unregistered".into()));
        }
        assert_eq!(reply(503, b"<html>"), Err("the tracker answered with HTTP status 503".into()));
    }

    #[test]
    fn a_refusal_may_say_when_to_come_again() {
        for (said, retry) in [
            ("i5e", Some(Retry::AfterMinutes(5))),
            ("5:never", Some(Retry::Never)),
            ("i-1e", None),
            ("4:soon", None),
        ] {
            let body = format!("d14:failure reason4:busy8:retry in{said}e");
            let failure = reply(200, body.as_bytes()).expect_err("a refusal");
            assert_eq!(failure, Failure { why: "busy".to_owned(), retry }, "{said}");
        }
    }

    #[test]
    fn garbage_is_one_sentence() {
        for (body, why) in [
            (&b""[..], "the tracker's reply is not bencode (at byte 0)"),
            (b"<html>", "the tracker's reply is not bencode (at byte 0)"),
            (b"li1ee", "the tracker's reply is not bencode (at byte 0)"),
            (b"d5:peers", "the tracker's reply is not bencode (at byte 8)"),
            (b"d5:peers9:abc", "the tracker's reply is not bencode (at byte 8)"),
            (b"de", "the tracker's reply says neither peers nor an interval"),
        ] {
            assert_eq!(reply(200, body), Err(why.into()));
        }
        assert!(
            reply(200, &b"d1:x".iter().chain(&[b'l'; 100_000]).copied().collect::<Vec<_>>())
                .is_err()
        );
    }

    #[test]
    fn no_reply_brings_more_peers_than_the_limit() {
        let mut compact = b"d5:peers600000:".to_vec();
        compact.extend(std::iter::repeat_n([10, 0, 0, 1, 0, 80], 100_000).flatten());
        compact.push(b'e');
        let mut list = b"d5:peersl".to_vec();
        for _ in 0..100_000 {
            list.extend(b"d2:ip8:10.0.0.14:porti80ee");
        }
        list.extend(b"ee");
        for body in [compact, list] {
            assert_eq!(reply(200, &body).expect("good").peers.len(), PEERS_MAX);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>, status in 0_u32..600) {
            let _ = reply(status, &body);
        }

        #[test]
        fn no_bytes_near_bencode_make_it_panic(
            body in "d?(5:peers|6:peers6|8:interval|i-?[0-9]{0,20}e|l|d|e|[0-9]{1,3}:[a-z]{0,9}){0,30}",
        ) {
            let _ = reply(200, body.as_bytes());
        }
    }
}
