//! [`gateway`], [`local`]: our way out of the local network, as the kernel has it.

use super::reason;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::net::UdpSocket;

/// The kernel's IPv4 routes, one a line.
const ROUTES: &str = "/proc/net/route";
/// A route that leads somewhere (`RTF_UP`), and that by way of a router (`RTF_GATEWAY`).
const UP_AND_GATEWAY: u32 = 3;

/// The router that IPv4 packets to anywhere go to.
pub(super) fn gateway() -> Option<Ipv4Addr> {
    #[expect(clippy::disallowed_methods, reason = "a file of the kernel's, which has no disk")]
    let routes = std::fs::read_to_string(ROUTES).ok()?;
    gateway_of(&routes)
}

/// That of the default route with the least metric.
fn gateway_of(routes: &str) -> Option<Ipv4Addr> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, gateway, flags, _, _, metric, mask, ..] = fields[..] else {
            return None;
        };
        let hex = |text: &str| u32::from_str_radix(text, 16).ok();
        let anywhere = hex(destination)? == 0 && hex(mask)? == 0;
        let leads = hex(flags)? & UP_AND_GATEWAY == UP_AND_GATEWAY;
        // In the order of the bytes in memory, as the kernel has an address.
        let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
        (anywhere && leads).then_some((metric.parse::<u32>().ok()?, gateway))
    };
    routes.lines().filter_map(route).min().map(|(_, gateway)| gateway)
}

/// Our own address towards `to`. Nothing is sent.
///
/// # Errors
/// Why there is no way there, in one sentence.
pub(super) async fn local(to: SocketAddr) -> Result<IpAddr, String> {
    let towards = async {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect(to).await?;
        socket.local_addr()
    };
    towards.await.map(|addr| addr.ip()).map_err(|why| reason(&why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_that_of_the_nearest_default_route() {
        let head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n";
        let on = |text: &str| if cfg!(target_endian = "big") { None } else { gateway_of(text) };
        let lan = "eth0 00004E0A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
        let far = "wlan0 00000000 FE01A8C0 0003 0 0 600 00000000 0 0 0\n";
        let near = "eth0 00000000 01004E0A 0003 0 0 100 00000000 0 0 0\n";
        let down = "eth1 00000000 09004E0A 0002 0 0 0 00000000 0 0 0\n";
        let vpn = "tun0 00000000 08004E0A 0003 0 0 0 00000080 0 0 0\n";
        let all = [head, lan, far, near, down, vpn, "nonsense\n"].concat();
        assert_eq!(on(&all), Some(Ipv4Addr::new(10, 78, 0, 1)));
        assert_eq!(gateway_of(&[head, lan, down].concat()), None);
    }
}
