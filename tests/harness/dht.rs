//! [`Dht`]: a DHT of libtorrent nodes in a test's network, through `libtorrent_dht.py`.

use super::net::Net;
use super::parts::{python, script};
use super::peer::START_PATIENCE;
use super::process::Running;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

/// Nodes that there are.
const NODES: u8 = 10;
/// Nodes that each has to know before the DHT counts as one.
const NODES_KNOWN_MIN: u64 = 5;
/// Where each of them listens.
const PORT: u16 = 6881;

/// Ten nodes that know each other and no torrent.
pub struct Dht {
    _running: Running,
    /// The first of them.
    pub node: SocketAddr,
}

impl Dht {
    /// Starts the nodes at 10.77.0.11 to 10.77.0.20, or fd77::b to fd77::14, and waits until they
    /// know each other.
    pub fn start(net: &Net, ipv6: bool) -> Self {
        let nodes: Vec<SocketAddr> = (11..11 + NODES)
            .map(|host| match ipv6 {
                true => IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, u16::from(host)]),
                false => IpAddr::from([10, 77, 0, host]),
            })
            .map(|ip| SocketAddr::new(ip, PORT))
            .collect();
        let folder = net.folder("dht");
        let mut command = net.command(python());
        command.arg(script("libtorrent_dht.py")).args(nodes.iter().map(ToString::to_string));
        let mut running = net.start("dht", &folder, &mut command);
        running.until("its nodes know each other", START_PATIENCE, |running| {
            let said = running.stdout();
            let whole = &said[..=said.rfind('\n')?];
            let state: Value = serde_json::from_str(whole.lines().last()?).ok()?;
            let known = state["nodes"].as_array()?.iter().map(Value::as_u64);
            known.into_iter().all(|known| known >= Some(NODES_KNOWN_MIN)).then_some(())
        });
        Self { _running: running, node: nodes[0] }
    }
}
