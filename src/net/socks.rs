//! SOCKS 5 for datagrams: how an association is asked for (RFC 1928, §3, §4 and §7; RFC 1929), and
//! the header that each datagram carries then.
//!
//! Streams go through `tokio-socks`. No crate for datagrams was found that lets its user see the
//! connection end on which an association hangs, or that looks no name up by itself.

use super::{Proxy, reason};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

const VERSION: u8 = 5;
/// The version of the negotiation of a name and a password (RFC 1929).
const LOGIN_VERSION: u8 = 1;
const UDP_ASSOCIATE: u8 = 3;
/// Bytes of a name of a host, a user, or a password: its length is one byte.
const NAME_BYTES_MAX: usize = 255;

/// How long nothing may come on the connection before the proxy is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Methods of logging in.
mod method {
    pub(super) const NONE: u8 = 0;
    pub(super) const LOGIN: u8 = 2;
}

/// `ATYP`.
mod kind {
    pub(super) const V4: u8 = 1;
    pub(super) const NAME: u8 = 3;
    pub(super) const V6: u8 = 4;
}

/// An association: datagrams go to and fro while the connection lives.
#[derive(Debug)]
pub(super) struct Association {
    /// Nothing is said on it any more.
    pub(super) control: TcpStream,
    /// Hears and reaches the relay alone.
    pub(super) relay: UdpSocket,
}

/// Where a datagram is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Addr(SocketAddr),
    /// A host that the proxy looks up, of at most [`NAME_BYTES_MAX`].
    Name(&'a str, u16),
}

/// Asks `proxy` to relay datagrams.
///
/// # Errors
/// If it cannot be reached, or does not: why, in a few words.
pub(super) async fn associate(proxy: &Proxy) -> Result<Association, String> {
    ask(proxy).await.map_err(|why| match why.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        _ => reason(&why),
    })
}

async fn ask(proxy: &Proxy) -> io::Result<Association> {
    let mut control = TcpStream::connect((proxy.host(), proxy.port())).await?;
    // Nothing is said on it for half an hour at a time, and a proxy that is gone says nothing either.
    SockRef::from(&control).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))?;
    log_in(&mut control, proxy.login()).await?;
    // From where datagrams will come is not said: behind a NAT we do not know.
    let request = [VERSION, UDP_ASSOCIATE, 0, kind::V4, 0, 0, 0, 0, 0, 0];
    control.write_all(&request).await?;
    let [version, reply, _] = read(&mut control).await?;
    if version != VERSION {
        return Err(io::Error::other("its answer is no socks 5"));
    }
    if reply != 0 {
        return Err(io::Error::other(refusal(reply)));
    }
    let (ip, port) = bound(&mut control).await?;
    let ip = ip
        .filter(|ip| !ip.is_unspecified())
        .map_or_else(|| control.peer_addr().map(|addr| addr.ip()), Ok)?;
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let relay = UdpSocket::bind((any, 0)).await?;
    relay.connect((ip, port)).await?;
    Ok(Association { control, relay })
}

async fn log_in(control: &mut TcpStream, login: Option<(String, String)>) -> io::Result<()> {
    let greeting: &[u8] = match login {
        None => &[VERSION, 1, method::NONE],
        Some(_) => &[VERSION, 2, method::NONE, method::LOGIN],
    };
    control.write_all(greeting).await?;
    let chosen: [u8; 2] = read(control).await?;
    match (chosen, login) {
        ([VERSION, method::NONE], _) => Ok(()),
        ([VERSION, method::LOGIN], Some((user, password))) => {
            let mut words = vec![LOGIN_VERSION];
            for word in [user, password] {
                let length = u8::try_from(word.len());
                words.push(length.map_err(|_| io::Error::other("a login of more than 255 bytes"))?);
                words.extend(word.bytes());
            }
            control.write_all(&words).await?;
            let [_, status] = read(control).await?;
            if status == 0 { Ok(()) } else { Err(io::Error::other("it refuses the login")) }
        }
        ([VERSION, _], _) => Err(io::Error::other("it wants another login")),
        _ => Err(io::Error::other("its answer is no socks 5")),
    }
}

/// The address at the end of a reply; none if it is a name: whose it is we do not ask anybody.
async fn bound(control: &mut TcpStream) -> io::Result<(Option<IpAddr>, u16)> {
    let [kind] = read(control).await?;
    let ip = match kind {
        kind::V4 => Some(IpAddr::from(read::<4>(control).await?)),
        kind::V6 => Some(IpAddr::from(read::<16>(control).await?)),
        kind::NAME => {
            let [length] = read(control).await?;
            control.read_exact(&mut vec![0; usize::from(length)]).await?;
            None
        }
        _ => return Err(io::Error::other("its answer is no socks 5")),
    };
    Ok((ip, u16::from_be_bytes(read(control).await?)))
}

async fn read<const N: usize>(control: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    control.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// What RFC 1928, §6 calls it.
fn refusal(reply: u8) -> String {
    let known = match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "kind of address not supported",
        other => return format!("reply {other}"),
    };
    known.to_owned()
}

/// A datagram as the relay wants it; `None` if the name is too long.
pub(super) fn wrap(to: Target<'_>, data: &[u8]) -> Option<Vec<u8>> {
    // Whole: fragment 0.
    let mut bytes = vec![0, 0, 0];
    let port = match to {
        Target::Addr(addr) => {
            match addr.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(kind::V4);
                    bytes.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(kind::V6);
                    bytes.extend(ip.octets());
                }
            }
            addr.port()
        }
        Target::Name(name, port) => {
            let length = u8::try_from(name.len()).ok().filter(|length| *length > 0)?;
            bytes.extend([kind::NAME, length]);
            bytes.extend(name.bytes());
            port
        }
    };
    bytes.extend(port.to_be_bytes());
    bytes.extend(data);
    Some(bytes)
}

/// What the relay brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relayed<'a> {
    /// Who sent it; `None` if that is told by a name.
    pub(super) ip: Option<IpAddr>,
    pub(super) port: u16,
    pub(super) data: &'a [u8],
}

/// What is in a datagram of the relay's. `None` if it is a fragment, which nobody has to put
/// together, or garbage.
pub(super) fn unwrap(bytes: &[u8]) -> Option<Relayed<'_>> {
    let (&[_, _, fragment, kind], rest) = bytes.split_first_chunk()?;
    if fragment != 0 {
        return None;
    }
    let (ip, rest) = match kind {
        kind::V4 => rest.split_first_chunk::<4>().map(|(ip, rest)| (Some((*ip).into()), rest))?,
        kind::V6 => rest.split_first_chunk::<16>().map(|(ip, rest)| (Some((*ip).into()), rest))?,
        kind::NAME => {
            let (length, rest) = rest.split_first()?;
            (None, rest.get(usize::from(*length)..)?)
        }
        _ => return None,
    };
    let (port, data) = rest.split_first_chunk()?;
    Some(Relayed { ip, port: u16::from_be_bytes(*port), data })
}

/// Whether a proxy may be told this name.
pub(super) const fn is_name(host: &str) -> bool {
    !host.is_empty() && host.len() <= NAME_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn datagrams_are_wrapped_as_rfc_1928_shows_them() {
        let addr = |text: &str| Target::Addr(text.parse().expect("an address"));
        let wrapped = |to| wrap(to, b"x").expect("it is short enough");
        assert_eq!(wrapped(addr("10.0.0.1:80")), b"\0\0\0\x01\x0a\0\0\x01\0\x50x");
        let v6 = [&b"\0\0\0\x04"[..], &[0; 15], b"\x01\0\x50x"].concat();
        assert_eq!(wrapped(addr("[::1]:80")), v6);
        assert_eq!(wrapped(Target::Name("t.example", 6969)), b"\0\0\0\x03\x09t.example\x1b\x39x");
        assert_eq!(wrap(Target::Name(&"a".repeat(256), 1), b""), None);
        assert_eq!(wrap(Target::Name("", 1), b""), None);
        let relayed = |ip: Option<&str>, data| {
            let ip = ip.map(|ip| ip.parse().expect("an address"));
            Some(Relayed { ip, port: 80, data })
        };
        let v4 = b"\0\0\0\x01\x0a\0\0\x01\0\x50x";
        assert_eq!(unwrap(v4), relayed(Some("10.0.0.1"), &b"x"[..]));
        assert_eq!(unwrap(&v6), relayed(Some("::1"), b"x"));
        assert_eq!(unwrap(b"\0\0\0\x03\x01a\0\x50"), relayed(None, b""));
    }

    #[test]
    fn fragments_and_garbage_are_no_datagrams() {
        assert_eq!(unwrap(b"\0\0\x01\x01\x0a\0\0\x01\0\x50x"), None, "a fragment");
        let whole = b"\0\0\0\x03\x05abcde\0\x50";
        for end in 0..whole.len() {
            assert_eq!(unwrap(&whole[..end]), None, "cut at {end}");
        }
        assert_eq!(unwrap(b"\0\0\0\x02\x0a\0\0\x01\0\x50x"), None, "an unknown kind of address");
    }

    /// What came of asking a proxy that answers each of our messages with one of `replies`, and all
    /// that it heard.
    async fn asked(
        login: &str,
        replies: &[&'static [u8]],
    ) -> (Result<Association, String>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let replies = replies.to_vec();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut heard = Vec::new();
            for reply in replies {
                let mut message = [0; 100];
                let size = stream.read(&mut message).await.expect("a message");
                heard.extend(&message[..size]);
                stream.write_all(reply).await.expect("it is read");
            }
            heard
        });
        let proxy: Proxy = format!("socks5://{login}{addr}").parse().expect("a proxy");
        let association = associate(&proxy).await;
        (association, served.await.expect("no panic"))
    }

    #[tokio::test]
    async fn an_association_is_asked_for_with_and_without_a_login() {
        // The relay is where the proxy is: it says a port and no address.
        let bound = b"\x05\0\0\x01\0\0\0\0\x1f\x90";
        let (plain, heard) = asked("", &[b"\x05\0", bound]).await;
        assert_eq!(heard, b"\x05\x01\0\x05\x03\0\x01\0\0\0\0\0\0");
        let relay = plain.expect("an association").relay.peer_addr().expect("it has one");
        assert_eq!(relay, "127.0.0.1:8080".parse().expect("an address"));
        let (known, heard) = asked("me:p%40ss@", &[b"\x05\x02", b"\x01\0", bound]).await;
        assert_eq!(heard, b"\x05\x02\0\x02\x01\x02me\x04p@ss\x05\x03\0\x01\0\0\0\0\0\0");
        known.expect("an association");
    }

    #[tokio::test]
    async fn a_proxy_that_relays_no_datagrams_says_why() {
        for (replies, why) in [
            (&[&b"\x05\0"[..], b"\x05\x07\0\x01\0\0\0\0\0\0"][..], "command not supported"),
            (&[b"\x05\xff"], "it wants another login"),
            (&[b"\x05\x02", b"\x01\x01"], "it refuses the login"),
            (&[b"HT"], "its answer is no socks 5"),
            (&[b"\x05"], "it closed the connection"),
        ] {
            let (association, _) = asked("me:you@", replies).await;
            assert_eq!(association.expect_err("none"), why);
        }
    }
}
