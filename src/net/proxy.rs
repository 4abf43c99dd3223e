//! [`Proxy`]: somebody who connects for us, so that nobody else sees where we are; [`Proxies`]:
//! which of them for which URL.
//!
//! A name is always looked up by the proxy, with `socks5` as with `socks5h`: a look-up of ours
//! would tell our resolver whom we talk to. What a proxy is called here never shows its login.

use super::{association, reason};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_socks::tcp::Socks5Stream;

/// Bytes of the head of a proxy's answer to `CONNECT`.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// The port of a SOCKS proxy whose URL names none (RFC 1928).
const SOCKS_PORT: u16 = 1080;

/// Why a text is no proxy. It does not say the text: there may be a password in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It is no URL.
    #[error("it is no URL like `socks5://host:port`")]
    Url,
    /// It is a URL of something else.
    #[error("`{0}` proxies are not supported, only socks5, socks5h and http")]
    Scheme(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// SOCKS 5 (RFC 1928), with a name and a password or without (RFC 1929).
    Socks5,
    /// HTTP, with `CONNECT` for what is not HTTP.
    Http,
}

/// A proxy, and how to log in there.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    /// With the login, as it was given.
    url: reqwest::Url,
}

impl FromStr for Proxy {
    type Err = ProxyError;

    /// Reads `scheme://[user[:password]@]host[:port]`; without a scheme it is HTTP, as curl has it.
    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let text = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let mut url = reqwest::Url::parse(&text).map_err(|_| ProxyError::Url)?;
        let kind = match url.scheme() {
            "socks5" | "socks5h" => Kind::Socks5,
            "http" => Kind::Http,
            other => return Err(ProxyError::Scheme(other.to_owned())),
        };
        if kind == Kind::Socks5 {
            url.set_scheme("socks5h").map_err(|()| ProxyError::Url)?;
        }
        if url.host_str().is_none_or(str::is_empty) || !matches!(url.path(), "" | "/") {
            return Err(ProxyError::Url);
        }
        Ok(Self { kind, url })
    }
}

/// Kind and place, and never the login.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.url.scheme(), self.url.host_str().unwrap_or(""), self.port())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl Proxy {
    /// Whether it is of a kind that may relay datagrams: SOCKS 5.
    #[must_use]
    pub fn is_socks(&self) -> bool {
        self.kind == Kind::Socks5
    }

    /// Whether it relays datagrams.
    ///
    /// # Errors
    /// Why not, in one sentence.
    pub async fn relays_datagrams(&self) -> Result<(), String> {
        match self.kind {
            Kind::Socks5 => association::probe(self).await,
            Kind::Http => Err("it speaks HTTP".to_owned()),
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(SOCKS_PORT)
    }

    /// Where it is, as a resolver wants it: IPv6 without brackets.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    pub(super) fn login(&self) -> Option<(String, String)> {
        let text = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let (user, password) = (self.url.username(), self.url.password().unwrap_or_default());
        (!user.is_empty() || !password.is_empty()).then(|| (text(user), text(password)))
    }

    /// Connects to `to` through it.
    ///
    /// # Errors
    /// If the proxy cannot be reached, or does not connect us.
    pub(super) async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        match self.kind {
            Kind::Socks5 => self.socks(to).await,
            Kind::Http => self.tunnel(to).await,
        }
    }

    async fn socks(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let at = (self.host(), self.port());
        let stream = match self.login() {
            None => Socks5Stream::connect(at, to).await,
            Some((user, password)) => {
                Socks5Stream::connect_with_password(at, to, &user, &password).await
            }
        };
        stream.map(Socks5Stream::into_inner).map_err(|why| match why {
            tokio_socks::Error::Io(why) => failed(&reason(&why)),
            other => failed(&other.to_string().to_lowercase()),
        })
    }

    async fn tunnel(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let unreached = |why: io::Error| match why.kind() {
            io::ErrorKind::UnexpectedEof => failed("it closed the connection"),
            _ => failed(&reason(&why)),
        };
        let mut stream = TcpStream::connect((self.host(), self.port())).await.map_err(unreached)?;
        let login = self.login().map(|(user, password)| {
            let login = STANDARD.encode(format!("{user}:{password}"));
            format!("Proxy-Authorization: Basic {login}\r\n")
        });
        let login = login.unwrap_or_default();
        let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n");
        stream.write_all(request.as_bytes()).await.map_err(unreached)?;
        // One byte after the other: what stands behind the head is the peer's.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == HEAD_BYTES_MAX {
                return Err(failed("its answer is no HTTP"));
            }
            head.push(stream.read_u8().await.map_err(unreached)?);
        }
        let head = String::from_utf8_lossy(&head);
        let status = head.strip_prefix("HTTP/1.").and_then(|line| line.split(' ').nth(1));
        match status {
            Some(status) if status.starts_with('2') => Ok(stream),
            Some(status) => Err(failed(&format!("HTTP status {status}"))),
            None => Err(failed("its answer is no HTTP")),
        }
    }
}

fn failed(why: &str) -> io::Error {
    io::Error::other(format!("through the proxy: {why}"))
}

/// Which proxy is asked for which URL.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    all: Option<Proxy>,
    /// Hosts that are reached without any, as in `NO_PROXY`.
    not_for: Option<String>,
}

impl Proxies {
    /// One for everything.
    #[must_use]
    pub fn only(proxy: Proxy) -> Self {
        Self { all: Some(proxy), ..Self::default() }
    }

    /// Those that the environment names, as curl reads it: `http_proxy`, `https_proxy`,
    /// `all_proxy`, `no_proxy`, in small letters or else in capitals.
    ///
    /// # Errors
    /// The name of a variable that names no proxy, and why not.
    pub fn of_environment(
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, (String, ProxyError)> {
        let either = |name: &str| {
            let capitals = name.to_uppercase();
            // To a CGI program `HTTP_PROXY` is a header that a stranger sent (httpoxy).
            let trusted = capitals != "HTTP_PROXY" || var("REQUEST_METHOD").is_none();
            let small = var(name).map(|text| (name.to_owned(), text));
            small.or_else(|| var(&capitals).filter(|_| trusted).map(|text| (capitals, text)))
        };
        let proxy = |name: &str| {
            let parse = |(name, text): (String, String)| text.parse().map_err(|why| (name, why));
            either(name).map(parse).transpose()
        };
        Ok(Self {
            http: proxy("http_proxy")?,
            https: proxy("https_proxy")?,
            all: proxy("all_proxy")?,
            not_for: either("no_proxy").map(|(_, text)| text),
        })
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none() && self.all.is_none()
    }

    /// The same for reqwest, which takes the first that fits.
    pub(super) fn to_reqwest(&self) -> Result<Vec<reqwest::Proxy>, reqwest::Error> {
        let not_for = self.not_for.as_deref().and_then(reqwest::NoProxy::from_string);
        let own = |proxy: reqwest::Proxy| proxy.no_proxy(not_for.clone());
        let http = self.http.iter().map(|proxy| reqwest::Proxy::http(proxy.url.clone()));
        let https = self.https.iter().map(|proxy| reqwest::Proxy::https(proxy.url.clone()));
        let all = self.all.iter().map(|proxy| reqwest::Proxy::all(proxy.url.clone()));
        http.chain(https).chain(all).map(|proxy| proxy.map(own)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn a_proxy_is_read_and_shown_without_its_login() {
        for (text, shown, login) in [
            ("socks5://10.0.0.1:9050", "socks5h://10.0.0.1:9050", None),
            ("socks5h://me:p%40ss@proxy", "socks5h://proxy:1080", Some(("me", "p@ss"))),
            ("http://me@[::1]:3128/", "http://[::1]:3128", Some(("me", ""))),
            ("proxy:3128", "http://proxy:3128", None),
        ] {
            let proxy: Proxy = text.parse().expect("a proxy");
            assert_eq!(proxy.to_string(), shown);
            assert_eq!(format!("{proxy:?}"), format!("Proxy({shown})"));
            let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
            assert_eq!(proxy.login(), login, "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_login() {
        for text in [
            "socks4://me:secret@h",
            "https://me:secret@h",
            "http://me:secret@h/path",
            "",
            "socks5://",
        ] {
            let why = text.parse::<Proxy>().expect_err("none").to_string();
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let of = |vars: &'static [(&str, &str)]| {
            Proxies::of_environment(|name| {
                vars.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned())
            })
        };
        let shown = |proxy: &Option<Proxy>| proxy.as_ref().map(ToString::to_string);
        let some =
            of(&[("ALL_PROXY", "socks5://a"), ("https_proxy", "b:1"), ("HTTPS_PROXY", "c:1")]);
        let some = some.expect("proxies");
        assert_eq!(shown(&some.all).as_deref(), Some("socks5h://a:1080"));
        assert_eq!(shown(&some.https).as_deref(), Some("http://b:1"));
        assert_eq!(shown(&some.http), None);
        let cgi = of(&[("HTTP_PROXY", "http://a"), ("REQUEST_METHOD", "GET")]).expect("none");
        assert!(cgi.is_empty());
        let (name, _) = of(&[("ALL_PROXY", "ftp://a")]).expect_err("no proxy");
        assert_eq!(name, "ALL_PROXY");
    }

    /// What a proxy that answers `reply` to `CONNECT` was asked, and what came of it.
    async fn tunnelled(reply: &'static str) -> (String, io::Result<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut asked = vec![0; 1000];
            let size = stream.read(&mut asked).await.expect("a request");
            stream.write_all(reply.as_bytes()).await.expect("it is read");
            String::from_utf8_lossy(&asked[..size]).into_owned()
        });
        let proxy: Proxy = format!("http://me:secret@{addr}").parse().expect("a proxy");
        let connected = proxy.connect("10.0.0.1:6881".parse().expect("an address")).await;
        (served.await.expect("no panic"), connected)
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_and_what_follows_is_the_peer_s() {
        let (asked, stream) = tunnelled("HTTP/1.0 200 Fine\r\nVia: x\r\n\r\npeer").await;
        assert!(asked.starts_with("CONNECT 10.0.0.1:6881 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{asked}");
        let mut rest = String::new();
        stream.expect("a tunnel").read_to_string(&mut rest).await.expect("the peer's");
        assert_eq!(rest, "peer");
    }

    #[tokio::test]
    async fn a_proxy_that_does_not_connect_us_is_no_tunnel() {
        for (reply, why) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "through the proxy: HTTP status 403"),
            ("SSH-2.0-x\r\n\r\n", "through the proxy: its answer is no HTTP"),
            ("HTTP/1.1 200", "through the proxy: it closed the connection"),
        ] {
            let (_, stream) = tunnelled(reply).await;
            assert_eq!(stream.expect_err("no tunnel").to_string(), why);
        }
    }
}
