//! [`Mapping`]: our ports on a router, by PCP (RFC 6887), NAT-PMP (RFC 6886) or UPnP (IGD).
//!
//! PCP and NAT-PMP are a datagram there and one back, to the router that the kernel names; a router
//! that speaks only UPnP is looked for meanwhile, since it may take two seconds to answer. IPv4
//! alone: with IPv6 there is no address to map.

use super::{reason, route};
use crab_nat::{
    InternetProtocol, MappingFailure, PortMapping, PortMappingOptions, PortMappingType,
    TimeoutConfig, natpmp, pcp,
};
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{
    AddAnyPortError, AddPortError, GatewayIpVersion, PortMappingProtocol, SearchError,
    SearchOptions,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

/// What is asked for. Who is killed leaves its ports for no longer than this.
const LEASE_S: u32 = 3600;
/// Renewals of a router that grants next to nothing are so far from each other.
const RENEWAL_MIN: Duration = Duration::from_secs(2);
/// RFC 6886, 3.1: a quarter of a second, doubled each time. Four questions in all.
const PCP_TIMEOUTS: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 3,
    max_retry_timeout: None,
};
/// How long routers have to answer a search; they may wait two seconds before they do (`MX: 2`).
const SEARCH_WAIT: Duration = Duration::from_secs(4);
/// What routers show their owners.
const DESCRIPTION: &str = "rtor";
/// Where UPnP routers are looked for.
const UPNP_GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 1900);

/// Where we listen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    /// As the user named it, or unspecified.
    pub(super) ip: IpAddr,
    pub(super) tcp: u16,
    /// 0: nowhere.
    pub(super) udp: u16,
}

/// What a router passes on to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// How it was asked: `PCP`, `NAT-PMP` or `UPnP`.
    pub by: &'static str,
    /// What it gets there with TCP; the address is unspecified if it did not say its own.
    pub addr: SocketAddr,
    /// What it gets there with UDP; where we listen ourselves, if it does not.
    pub udp_port: u16,
}

/// Ports on a router.
pub(super) enum Mapping {
    Pcp(Pcp),
    Upnp(Upnp),
}

impl Mapping {
    /// Asks for all that is in `ports`.
    ///
    /// # Errors
    /// Why there is none, in one sentence.
    pub(super) async fn open(ports: Ports) -> Result<Self, String> {
        if ports.ip.is_loopback() && ports.ip.is_ipv4() {
            return Err(format!("`{}` is this machine's alone", ports.ip));
        }
        if !ports.ip.is_ipv4() {
            return Err(format!("`{}` is no IPv4 address", ports.ip));
        }
        let router = route::gateway().map(IpAddr::V4);
        let towards =
            router.map_or(UPNP_GROUP, |router| SocketAddr::new(router, UPNP_GROUP.port()));
        let ip = match ports.ip.is_unspecified() {
            true => route::local(towards).await?,
            false => ports.ip,
        };
        let ours = Ports { ip, ..ports };
        let mut search = std::pin::pin!(Upnp::search(ip));
        let mut asking = std::pin::pin!(Pcp::open(router, ours));
        let mut found = None;
        let asked = loop {
            tokio::select! {
                asked = &mut asking => break asked,
                gateway = &mut search, if found.is_none() => found = Some(gateway),
            }
        };
        let why = match asked {
            Ok(mapping) => return Ok(Self::Pcp(mapping)),
            Err(why) => why,
        };
        let found = match found {
            Some(found) => found,
            None => search.await,
        };
        let opened = match found {
            Ok(gateway) => Upnp::open(gateway, ours).await,
            Err(why) => Err(why),
        };
        opened.map(Self::Upnp).map_err(|too| format!("by PCP and NAT-PMP {why}, by UPnP {too}"))
    }

    /// What is passed on.
    pub(super) fn mapped(&self) -> Mapped {
        match self {
            Self::Pcp(mapping) => mapping.mapped(),
            Self::Upnp(mapping) => mapping.mapped(),
        }
    }

    /// When to renew: half way to the end (RFC 6887, 11.2.1).
    pub(super) fn renewed_in(&self) -> Duration {
        let lease_s = match self {
            Self::Pcp(mapping) => mapping.lease_s(),
            Self::Upnp(_) => LEASE_S,
        };
        (Duration::from_secs(u64::from(lease_s.min(LEASE_S))) / 2).max(RENEWAL_MIN)
    }

    /// Renews.
    ///
    /// # Errors
    /// Why the router will not, in one sentence.
    pub(super) async fn renew(&mut self) -> Result<(), String> {
        match self {
            Self::Pcp(mapping) => mapping.renew().await,
            Self::Upnp(mapping) => mapping.map().await,
        }
    }

    /// Gives the ports back. A router that does not take them forgets them by itself.
    pub(super) async fn release(self) {
        match self {
            Self::Pcp(mapping) => mapping.release().await,
            Self::Upnp(mapping) => mapping.release().await,
        }
    }
}

/// By PCP or NAT-PMP.
pub(super) struct Pcp {
    /// The router's own address, if it said.
    ip: IpAddr,
    tcp: PortMapping,
    udp: Option<PortMapping>,
    ours: Ports,
}

impl Pcp {
    async fn open(router: Option<IpAddr>, ours: Ports) -> Result<Self, String> {
        let router = router.ok_or("there is no router to ask")?;
        let ask = async |protocol, port| {
            let port = NonZeroU16::new(port)?;
            let options = PortMappingOptions {
                external_port: Some(port),
                lifetime_seconds: Some(LEASE_S),
                timeout_config: Some(PCP_TIMEOUTS),
            };
            Some(PortMapping::new(router.into(), ours.ip, protocol, port, options).await)
        };
        let (tcp, udp) = tokio::join!(
            ask(InternetProtocol::Tcp, ours.tcp),
            ask(InternetProtocol::Udp, ours.udp)
        );
        let udp = udp.and_then(Result::ok);
        let tcp = match tcp {
            Some(Ok(tcp)) => tcp,
            Some(Err(why)) => {
                if let Some(udp) = udp {
                    drop(udp.try_drop().await);
                }
                return Err(complaint(&why));
            }
            None => return Err("there is no port to map".to_owned()),
        };
        let ip = match tcp.mapping_type() {
            PortMappingType::Pcp { external_ip, .. } => external_ip.to_canonical(),
            PortMappingType::NatPmp => natpmp::external_address(router.into(), Some(PCP_TIMEOUTS))
                .await
                .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4),
        };
        Ok(Self { ip, tcp, udp, ours })
    }

    fn mapped(&self) -> Mapped {
        let by = match self.tcp.mapping_type() {
            PortMappingType::Pcp { .. } => "PCP",
            PortMappingType::NatPmp => "NAT-PMP",
        };
        let addr = SocketAddr::new(self.ip, self.tcp.external_port().get());
        let udp_port = self.udp.as_ref().map_or(self.ours.udp, |udp| udp.external_port().get());
        Mapped { by, addr, udp_port }
    }

    fn lease_s(&self) -> u32 {
        let tcp = self.tcp.lifetime();
        self.udp.as_ref().map_or(tcp, |udp| udp.lifetime().min(tcp))
    }

    async fn renew(&mut self) -> Result<(), String> {
        let udp = async {
            match &mut self.udp {
                Some(udp) => udp.renew().await,
                None => Ok(()),
            }
        };
        let (tcp, udp) = tokio::join!(self.tcp.renew(), udp);
        if let PortMappingType::Pcp { external_ip, .. } = self.tcp.mapping_type() {
            self.ip = external_ip.to_canonical();
        }
        tcp.and(udp).map_err(|why| format!("by PCP or NAT-PMP {}", complaint(&why)))
    }

    async fn release(self) {
        let udp = async {
            if let Some(udp) = self.udp {
                drop(udp.try_drop().await);
            }
        };
        let (_, ()) = tokio::join!(self.tcp.try_drop(), udp);
    }
}

/// What it says of itself names the protocol, and the system's error number.
fn complaint(why: &MappingFailure) -> String {
    match why {
        MappingFailure::NatPmp(natpmp::Failure::Timeout)
        | MappingFailure::Pcp(pcp::Failure::Timeout) => "the router does not answer".to_owned(),
        MappingFailure::NatPmp(natpmp::Failure::Socket(why))
        | MappingFailure::Pcp(pcp::Failure::Socket(why)) => reason(why),
        MappingFailure::NatPmp(why) => format!("the router says no: {why}"),
        MappingFailure::Pcp(why) => format!("the router says no: {why}"),
    }
}

/// By UPnP.
pub(super) struct Upnp {
    gateway: Gateway<Tokio>,
    /// The router's own address, if it said.
    ip: IpAddr,
    ours: Ports,
    /// What is mapped to our ports.
    tcp: u16,
    udp: Option<u16>,
}

impl Upnp {
    async fn search(from: IpAddr) -> Result<Gateway<Tokio>, String> {
        let mut options = SearchOptions::default();
        options.bind_addr = SocketAddr::new(from, 0);
        options.timeout = Some(SEARCH_WAIT);
        options.gateway_ip_version = GatewayIpVersion::V4;
        search_gateway(options).await.map_err(|why| match why {
            SearchError::NoResponseWithinTimeout => "no router answers".to_owned(),
            SearchError::IoError(why) => reason(&why),
            why => why.to_string(),
        })
    }

    async fn open(gateway: Gateway<Tokio>, ours: Ports) -> Result<Self, String> {
        let ip = gateway.get_external_ip().await.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let udp = Some(ours.udp).filter(|port| *port != 0);
        let mut mapping = Self { gateway, ip, ours, tcp: ours.tcp, udp };
        mapping.map().await?;
        Ok(mapping)
    }

    /// Maps, or maps again: the router takes that for a renewal.
    async fn map(&mut self) -> Result<(), String> {
        let Self { gateway, ours, .. } = self;
        let tcp = SocketAddr::new(ours.ip, ours.tcp);
        self.tcp = add(gateway, PortMappingProtocol::TCP, tcp, self.tcp).await?;
        if let Some(port) = self.udp {
            let udp = SocketAddr::new(ours.ip, ours.udp);
            // Without it trackers and TCP peers still work.
            self.udp = add(gateway, PortMappingProtocol::UDP, udp, port).await.ok();
        }
        Ok(())
    }

    fn mapped(&self) -> Mapped {
        let addr = SocketAddr::new(self.ip, self.tcp);
        Mapped { by: "UPnP", addr, udp_port: self.udp.unwrap_or(self.ours.udp) }
    }

    async fn release(self) {
        let udp = async {
            if let Some(port) = self.udp {
                drop(self.gateway.remove_port(PortMappingProtocol::UDP, port).await);
            }
        };
        let (_, ()) =
            tokio::join!(self.gateway.remove_port(PortMappingProtocol::TCP, self.tcp), udp);
    }
}

/// Maps `port`, or another if somebody else has it; for ever, if the router can't do less.
async fn add(
    gateway: &Gateway<Tokio>,
    protocol: PortMappingProtocol,
    ours: SocketAddr,
    port: u16,
) -> Result<u16, String> {
    let no = |why: &dyn std::fmt::Display| format!("the router says no: {why}");
    let mut lease_s = LEASE_S;
    loop {
        match gateway.add_port(protocol, port, ours, lease_s, DESCRIPTION).await {
            Ok(()) => return Ok(port),
            Err(AddPortError::OnlyPermanentLeasesSupported) if lease_s > 0 => lease_s = 0,
            Err(AddPortError::PortInUse) => {
                let any = gateway.add_any_port(protocol, ours, lease_s, DESCRIPTION).await;
                return any.map_err(|why: AddAnyPortError| no(&why));
            }
            Err(why) => return Err(no(&why)),
        }
    }
}
