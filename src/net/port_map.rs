//! [`PortMap`]: has a router pass on to us what it gets at our ports, for as long as it lives.
//!
//! A task of its own asks, renews and gives back; what becomes of it is [`PortNews`], and nobody
//! waits for it. Who fails is asked again later, and that is said once.

use super::mapping::{Mapped, Mapping, Ports};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Until a router that did not do it is asked again: it may have been about to start.
const RETRY: Duration = Duration::from_secs(300);
/// How long an answer that is under way is waited for at the end: what it brings must be given back.
/// It comes from the next machine.
const ANSWER_WAIT: Duration = Duration::from_millis(300);

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortNews {
    /// A router passes on what it gets there.
    Mapped(Mapped),
    /// Why none does, in one sentence.
    Failed(String),
    /// All is given back, as far as the router would.
    Released,
}

/// Ports on a router.
#[derive(Debug)]
pub struct PortMap {
    news: mpsc::UnboundedReceiver<PortNews>,
    stop: Option<oneshot::Sender<()>>,
}

impl PortMap {
    /// Asks for TCP `port` and UDP `udp_port` (0: not that one) of who listens at `ip`.
    #[must_use]
    pub fn begin(ip: IpAddr, port: u16, udp_port: u16) -> Self {
        let (tell, news) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(keep(Ports { ip, tcp: port, udp: udp_port }, stopped, tell));
        Self { news, stop: Some(stop) }
    }

    /// The next news; never any after [`PortNews::Released`].
    pub async fn news(&mut self) -> PortNews {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// Gives the ports back: [`PortNews::Released`] answers.
    pub fn release(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A task that is gone has nothing to give back.
            let _ = stop.send(());
        }
    }
}

/// Asks, holds, and asks again, until it is to stop.
async fn keep(
    ports: Ports,
    mut stop: oneshot::Receiver<()>,
    news: mpsc::UnboundedSender<PortNews>,
) {
    // Whoever is gone needs no news.
    let tell = |fact| drop(news.send(fact));
    let mut complained = false;
    loop {
        let mut opening = std::pin::pin!(Mapping::open(ports));
        let opened = tokio::select! {
            opened = &mut opening => opened,
            _ = &mut stop => {
                if let Ok(Ok(mapping)) = tokio::time::timeout(ANSWER_WAIT, opening).await {
                    mapping.release().await;
                }
                break;
            }
        };
        let lost = match opened {
            Err(why) => why,
            Ok(mut mapping) => match hold(&mut mapping, &mut stop, &tell).await {
                Some(why) => why,
                None => {
                    mapping.release().await;
                    break;
                }
            },
        };
        if !std::mem::replace(&mut complained, true) {
            tell(PortNews::Failed(lost));
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = &mut stop => break,
        }
    }
    tell(PortNews::Released);
}

/// Renews before the lease ends, until it is to stop (`None`) or the router will not any more.
async fn hold(
    mapping: &mut Mapping,
    stop: &mut oneshot::Receiver<()>,
    tell: &impl Fn(PortNews),
) -> Option<String> {
    let mut told = mapping.mapped();
    tell(PortNews::Mapped(told));
    loop {
        tokio::select! {
            () = tokio::time::sleep(mapping.renewed_in()) => {}
            _ = &mut *stop => return None,
        }
        if let Err(why) = mapping.renew().await {
            return Some(why);
        }
        let mapped = mapping.mapped();
        if std::mem::replace(&mut told, mapped) != mapped {
            tell(PortNews::Mapped(mapped));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[tokio::test]
    async fn nobody_is_asked_for_a_port_that_no_router_can_reach() {
        for (ip, part) in [
            (IpAddr::from(Ipv4Addr::LOCALHOST), "`127.0.0.1` is this machine's alone"),
            (IpAddr::from(Ipv6Addr::LOCALHOST), "`::1` is no IPv4 address"),
        ] {
            let mut map = PortMap::begin(ip, 6881, 6881);
            let PortNews::Failed(why) = map.news().await else { panic!("it is refused") };
            assert!(why.contains(part), "{why}");
            map.release();
            assert_eq!(map.news().await, PortNews::Released);
        }
    }
}
