//! [`dial`]: opens a connection to a peer.

use super::connection::Opening;
use super::stream::Stream;
use super::{ConnId, Connection, LocalAddrs, Means, Proxy};
use crate::wire::mse::Offer;
use std::net::SocketAddr;
use tokio::net::TcpSocket;

/// Begins to connect to `to`: through `proxy` if there is one, else from that of the addresses `from`
/// that is of the same family. It is encrypted if there is an `offer`. Facts follow; how long to wait is
/// the caller's to say, by dropping the connection.
#[must_use]
pub fn dial(
    id: ConnId,
    means: &Means,
    to: SocketAddr,
    from: LocalAddrs,
    proxy: Option<&Proxy>,
    offer: Option<Offer>,
) -> Connection {
    let opening = offer.map_or(Opening::Plain, Opening::Encrypted);
    Connection::open(id, means, connect(to, from, proxy.cloned()), opening)
}

async fn connect(
    to: SocketAddr,
    from: LocalAddrs,
    proxy: Option<Proxy>,
) -> std::io::Result<Stream> {
    if let Some(proxy) = proxy {
        return proxy.connect(to).await.map(Stream::from);
    }
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    let from = from.towards(to.ip())?;
    if !from.is_unspecified() {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    socket.connect(to).await.map(Stream::from)
}
