//! [`Http`]: fetches a URL for trackers and for `decode URL`.
//!
//! The URL is sent byte for byte as it is given: an announce carries raw hashes as `%XX`, and
//! some trackers compare texts. Bodies and redirects are capped, because the other end is
//! anyone's. Proxies are those that the caller names, and no others.

use super::{LocalAddrs, Proxies};
use bytes::{Bytes, BytesMut};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::IpAddr;
use std::time::Duration;

/// Bytes of a tracker's reply.
pub const TRACKER_BYTES_MAX: usize = 4 << 20;
/// Redirects that are followed.
const REDIRECTS_MAX: usize = 5;
/// How long a connection, and a whole request, may take.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
const REQUEST_WAIT: Duration = Duration::from_secs(30);

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client could not be set up.
    #[error("HTTP can't be used: {0}")]
    SetUp(String),
    /// No connection, no reply, or a broken one.
    #[error("{0}")]
    Failed(String),
    /// We have no address of the family that was asked for, or a proxy has the choice.
    #[error("no IPv{0} here")]
    Family(u8),
    /// More bytes than the caller takes.
    #[error("a reply of more than {0} bytes")]
    Large(usize),
}

/// An HTTP client; clones share its connections.
#[derive(Clone, Debug)]
pub struct Http {
    /// Tried in turn: with an address of each family to leave from there is one for each.
    any: Vec<reqwest::Client>,
    v4: Vec<reqwest::Client>,
    v6: Vec<reqwest::Client>,
}

impl Http {
    /// A client. Servers are reached from the addresses `local`: a tracker tells others to look for us
    /// where our request came from. If `roots_pem` is given, the certificates in it are trusted,
    /// instead of Mozilla's that are built in. With `proxies` over which family a server is reached is
    /// their choice: it counts as IPv4.
    ///
    /// # Errors
    /// If TLS can't be set up, or `roots_pem` has no certificate that can be used.
    pub fn new(
        local: LocalAddrs,
        roots_pem: Option<&[u8]>,
        proxies: &Proxies,
    ) -> Result<Self, HttpError> {
        let roots = match roots_pem {
            Some(pem) => roots_of(pem)?,
            None => rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() },
        };
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| HttpError::SetUp(why.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let from = |ip| client(&tls, Some(ip), proxies);
        let any = match local == LocalAddrs::ANY {
            true => vec![client(&tls, None, proxies)?],
            false => local.ips().map(from).collect::<Result<_, _>>()?,
        };
        if !proxies.is_empty() {
            return Ok(Self { v4: any.clone(), v6: Vec::new(), any });
        }
        // A socket that is bound to an address, be it the unspecified one, reaches its family only.
        let over = |v6| local.of_family(v6).into_iter().map(from).collect::<Result<_, _>>();
        Ok(Self { any, v4: over(false)?, v6: over(true)? })
    }

    /// Fetches `url`: the status and the body of at most `bytes_max`.
    ///
    /// # Errors
    /// If there is no whole reply.
    pub async fn fetch(&self, url: &str, bytes_max: usize) -> Result<(u16, Bytes), HttpError> {
        self.fetch_over(None, url, bytes_max).await
    }

    /// The same, over the address family 4 or 6 alone if one is said.
    ///
    /// # Errors
    /// If there is no whole reply, or we have no address of the family.
    pub async fn fetch_over(
        &self,
        family: Option<u8>,
        url: &str,
        bytes_max: usize,
    ) -> Result<(u16, Bytes), HttpError> {
        let (clients, family) = match family {
            None => (&self.any, 4),
            Some(4) => (&self.v4, 4),
            Some(_) => (&self.v6, 6),
        };
        let mut failed = HttpError::Family(family);
        for client in clients {
            match fetch(client, url, bytes_max).await {
                Err(why @ HttpError::Failed(_)) => failed = why,
                ended => return ended,
            }
        }
        Err(failed)
    }
}

fn client(
    tls: &rustls::ClientConfig,
    from: Option<IpAddr>,
    proxies: &Proxies,
) -> Result<reqwest::Client, HttpError> {
    let set_up = |why: reqwest::Error| HttpError::SetUp(sentence(&why));
    // None of the environment's that we were not told of.
    let builder = reqwest::Client::builder().no_proxy();
    let proxies = proxies.to_reqwest().map_err(set_up)?;
    proxies
        .into_iter()
        .fold(builder, reqwest::ClientBuilder::proxy)
        .tls_backend_preconfigured(tls.clone())
        .user_agent(concat!("rtor/", env!("CARGO_PKG_VERSION")))
        .local_address(from)
        .connect_timeout(CONNECT_WAIT)
        .timeout(REQUEST_WAIT)
        // Trackers are asked every half hour and close what is idle; a request on a connection
        // that is being closed fails, and it might be the good-bye.
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
        .build()
        .map_err(set_up)
}

async fn fetch(
    client: &reqwest::Client,
    url: &str,
    bytes_max: usize,
) -> Result<(u16, Bytes), HttpError> {
    let failed = |why: reqwest::Error| HttpError::Failed(sentence(&why));
    let mut response = client.get(url).send().await.map_err(failed)?;
    if response.content_length().is_some_and(|length| length > bytes_max as u64) {
        return Err(HttpError::Large(bytes_max));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(HttpError::Large(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status().as_u16(), body.freeze()))
}

fn roots_of(pem: &[u8]) -> Result<rustls::RootCertStore, HttpError> {
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    let (usable, _) = roots.add_parsable_certificates(certificates);
    if usable == 0 {
        return Err(HttpError::SetUp("no certificate to trust".to_owned()));
    }
    Ok(roots)
}

/// The innermost reason, without the URL: that may hold a passkey, and the caller knows it.
fn sentence(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if error.is_timeout() {
        return "no reply in time".to_owned();
    }
    if error.is_redirect() {
        return format!("more than {REDIRECTS_MAX} redirects");
    }
    let text = inner.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// Answers one request with `reply` and gives back what was asked.
    #[expect(clippy::disallowed_methods, reason = "a server of the test's own")]
    fn serve(reply: Vec<u8>) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = vec![0; 4096];
            let size = stream.read(&mut request).expect("a request");
            // The client may hang up in the middle of a body that is too long.
            let _ = stream.write_all(&reply);
            String::from_utf8_lossy(&request[..size]).into_owned()
        });
        (format!("http://{addr}"), served)
    }

    fn fetch(url: &str, bytes_max: usize) -> Result<(u16, Bytes), HttpError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let http = Http::new(LocalAddrs::ANY, None, &Proxies::default()).expect("a client");
        runtime.expect("a runtime").block_on(http.fetch(url, bytes_max))
    }

    #[test]
    fn a_url_is_sent_byte_for_byte() {
        let (base, served) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec());
        let query = "/announce?info_hash=%124Vx%9a%bc%DE%00%2f~x&port=1&x=%20a+b";
        let (status, body) = fetch(&format!("{base}{query}"), 100).expect("a reply");
        assert_eq!((status, &body[..]), (200, &b"hi"[..]));
        let request = served.join().expect("no panic");
        assert!(request.starts_with(&format!("GET {query} HTTP/1.1\r\n")), "{request}");
    }

    #[test]
    fn a_body_that_is_too_long_is_not_read_to_its_end() {
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 1 << 20]].concat();
        let (base, served) = serve(endless);
        assert!(matches!(fetch(&base, 1000), Err(HttpError::Large(1000))));
        served.join().expect("no panic");
        let (base, _) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n".to_vec());
        assert!(matches!(fetch(&base, 1000), Err(HttpError::Large(1000))));
    }

    #[test]
    fn a_name_is_reached_over_the_family_that_was_asked_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        // It listens on IPv4 alone.
        let (base, served) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec());
        let url = base.replace("127.0.0.1", "localhost");
        let http = Http::new(LocalAddrs::ANY, None, &Proxies::default()).expect("a client");
        assert!(runtime.block_on(http.fetch_over(Some(6), &url, 10)).is_err());
        let (status, _) = runtime.block_on(http.fetch_over(Some(4), &url, 10)).expect("a reply");
        assert_eq!(status, 200);
        served.join().expect("no panic");
        let local = LocalAddrs::only([127, 0, 0, 1].into());
        let http = Http::new(local, None, &Proxies::default()).expect("a client");
        let why = runtime.block_on(http.fetch_over(Some(6), &url, 10)).expect_err("no family");
        assert_eq!(why.to_string(), "no IPv6 here");
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let why = Http::new(LocalAddrs::ANY, Some(b"nothing here"), &Proxies::default());
        let why = why.expect_err("no root").to_string();
        assert_eq!(why, "HTTP can't be used: no certificate to trust");
    }

    #[test]
    fn what_fails_is_said_without_the_url() {
        let why = fetch("http://127.0.0.1:1/secret", 10).expect_err("nothing listens").to_string();
        assert_eq!(why, "connection refused");
    }
}
