//! The network options, the same on every verb that talks to a swarm.

use super::globals::Globals;
use super::limits::Limiting;
use super::{quantity, swarm};
use crate::engine::{Encryption, Guest, Transports};
use crate::env::Env;
use crate::error::Error;
use crate::host::{Registry, StateFolder};
use crate::net::{LocalAddrs, LocalAddrsError, Proxy};
use rtor_plugin::Services;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How to find and reach peers.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Network")]
pub(super) struct Network {
    /// Listen here (default: port 6881, or any that is free)
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "proxy")]
    pub(super) listen: Option<SocketAddr>,
    /// Have the router pass connections on to us: by PCP, NAT-PMP or UPnP, until the end
    #[arg(long, conflicts_with = "proxy")]
    pub(super) map_port: bool,
    /// Connect to this peer too (repeatable)
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) peer: Vec<SocketAddr>,
    /// Find peers only by these plugins (default: all)
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(super) discover: Vec<String>,
    /// Do not find peers by these plugins
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(super) no_discover: Vec<String>,
    /// Ask no trackers
    #[arg(long)]
    pub(super) no_trackers: bool,
    /// Begin in the DHT with this node instead of the well-known ones (repeatable)
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "proxy")]
    dht_bootstrap: Vec<String>,
    /// Where plugins keep what they know from run to run [default: $XDG_STATE_HOME/rtor]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Reach trackers and peers through this proxy alone: `socks5://[user:password@]host:port` or
    /// `http://..`. Nothing listens, the DHT and the local network are not asked, and UDP trackers
    /// only through a SOCKS 5 proxy that relays datagrams [default for HTTP trackers: $ALL_PROXY,
    /// $HTTPS_PROXY, $HTTP_PROXY, $NO_PROXY]
    #[arg(long, value_name = "URL")]
    pub(super) proxy: Option<String>,
    /// Leave from and listen at the addresses of this interface alone, or at this address. IPv4 or
    /// IPv6 is not used if it has no address of that
    #[arg(long, value_name = "NAME|ADDR", conflicts_with = "proxy")]
    interface: Option<String>,
    /// Encrypted connections (MSE): `allow` both kinds and try plain ones first, `prefer` encrypted
    /// ones, `require` them with RC4, or `off`
    #[arg(long, value_name = "WHEN", default_value = "allow")]
    pub(super) encryption: WhenEncrypted,
    /// What connections go by [default: tcp,utp; through a proxy, tcp]
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    transport: Vec<Carrying>,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) max_peers: u16,
    /// Give up when nothing arrived for so long
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    pub(super) timeout: Option<Duration>,
    /// Rates.
    #[command(flatten)]
    pub(super) limiting: Limiting,
}

/// `--encryption`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum WhenEncrypted {
    Off,
    Allow,
    Prefer,
    Require,
}

/// An element of `--transport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Carrying {
    Tcp,
    Utp,
}

impl From<WhenEncrypted> for Encryption {
    fn from(when: WhenEncrypted) -> Self {
        match when {
            WhenEncrypted::Off => Self::Off,
            WhenEncrypted::Allow => Self::Allow,
            WhenEncrypted::Prefer => Self::Prefer,
            WhenEncrypted::Require => Self::Require,
        }
    }
}

impl Network {
    /// The guests that the user chose, with what they kept in an earlier run.
    ///
    /// # Errors
    /// If there is no such guest, or it refuses its options.
    pub(super) fn guests(
        &self,
        globals: &Globals,
        env: &mut Env,
        registry: &Registry,
        private: bool,
        services: &Arc<dyn Services>,
    ) -> Result<Vec<Guest>, Error> {
        let mut more = BTreeMap::new();
        if !self.dht_bootstrap.is_empty() {
            more.insert(DHT, format!("bootstrap={}", self.dht_bootstrap.join("+")));
        }
        let guests =
            registry.discoveries(&self.discover, &self.no_discover, private, &more, &|_| {
                Arc::clone(services)
            })?;
        let guests = self.without_useless(guests, private)?;
        let states = self.states(env);
        let mut with_state = |guest: crate::host::Guest| {
            let state = states.as_ref().map_or(Ok(None), |states| states.read(guest.id));
            let state = state.unwrap_or_else(|why| {
                if !globals.quiet {
                    env.say(&format!("warning: {why}"));
                }
                None
            });
            Guest { id: guest.id.to_owned(), instance: guest.instance, state }
        };
        Ok(guests.into_iter().map(&mut with_state).collect())
    }

    /// Without those that a proxy keeps from being of use.
    ///
    /// # Errors
    /// If the user named one of those, or said something to a guest that is not there.
    fn without_useless(
        &self,
        mut guests: Vec<crate::host::Guest>,
        private: bool,
    ) -> Result<Vec<crate::host::Guest>, Error> {
        // Of a private torrent it is left out whatever the user says (BEP 27).
        if !self.dht_bootstrap.is_empty() && !private && guests.iter().all(|g| g.id != DHT) {
            let sentence = format!("`--dht-bootstrap` is for the guest `{DHT}`, which is left out");
            return Err(Error::input(sentence)
                .hint("`--discover` and `--no-discover` say by what peers are found"));
        }
        if self.proxy.is_some() {
            let name = |spec: &'_ String| spec.split(':').next().unwrap_or_default().to_owned();
            let useless = |name: &String| NOT_THROUGH_A_PROXY.contains(&name.as_str());
            if let Some(named) = self.discover.iter().map(name).find(useless) {
                let sentence = format!("`--discover {named}` finds nobody through a `--proxy`");
                return Err(Error::input(sentence).hint("trackers and PEX go through it"));
            }
            guests.retain(|guest| !NOT_THROUGH_A_PROXY.contains(&guest.id));
        }
        Ok(guests)
    }

    /// Where guests keep what they know; `None` without a home.
    pub(super) fn states(&self, env: &Env) -> Option<StateFolder> {
        let path = match &self.state_dir {
            Some(named) => env.path(named),
            None => state_home(env)?.join("rtor"),
        };
        Some(StateFolder::at(path))
    }

    /// `--transport`.
    ///
    /// # Errors
    /// If uTP is named, and a proxy.
    pub(super) fn transports(&self) -> Result<Transports, Error> {
        let names = |name| self.transport.contains(&name);
        match (names(Carrying::Tcp), names(Carrying::Utp)) {
            (_, true) if self.proxy.is_some() => {
                Err(Error::input("`--transport utp` reaches nobody through a `--proxy`"))
            }
            (true, false) => Ok(Transports::Tcp),
            (false, true) => Ok(Transports::Utp),
            _ if self.proxy.is_some() => Ok(Transports::Tcp),
            _ => Ok(Transports::Both),
        }
    }

    /// `--proxy`, `--interface`.
    ///
    /// # Errors
    /// If one is none, or `--listen` is elsewhere.
    pub(super) fn route(&self) -> Result<Route, Error> {
        // What the user typed is not repeated: there may be a password in it.
        let parse = |text: &String| {
            text.parse().map_err(|why| Error::input(format!("`--proxy` is no proxy: {why}")))
        };
        let proxy = self.proxy.as_ref().map(parse).transpose()?;
        let find = |name: &String| LocalAddrs::of_interface(name).map_err(no_interface);
        let interface = self.interface.as_ref().map(find).transpose()?;
        if let (Some(local), Some(listen)) = (interface, self.listen)
            && !local.include(listen)
        {
            let name = self.interface.as_deref().unwrap_or_default();
            let sentence = format!("`--listen {listen}` is not at `--interface {name}`");
            return Err(Error::input(sentence));
        }
        Ok(Route { proxy, interface })
    }
}

/// By which way everything goes.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// Through whom.
    pub(super) proxy: Option<Proxy>,
    /// From where; `None`: as the system says.
    pub(super) interface: Option<LocalAddrs>,
}

fn no_interface(why: LocalAddrsError) -> Error {
    match why {
        LocalAddrsError::System(_) => Error::world(why),
        LocalAddrsError::Unknown(_) | LocalAddrsError::Bare(_) => {
            Error::input(format!("`--interface`: {why}"))
        }
    }
}

/// The guest that `--dht-bootstrap` is for.
const DHT: &str = "dht";

/// As the XDG base directory specification has it: a relative path counts for nothing.
fn state_home(env: &Env) -> Option<PathBuf> {
    let absolute = |name| env.var(name).map(Path::new).filter(|path| path.is_absolute());
    let named = absolute("XDG_STATE_HOME").map(Path::to_owned);
    named.or_else(|| Some(absolute("HOME")?.join(".local/state")))
}

/// Guests whose datagrams do not go through a proxy. A node of the DHT is of use to others while they
/// can reach it, which through a proxy they cannot; and its id and table, kept from run to run, would
/// tie what went through the proxy to what did not. A local network is not behind a proxy.
const NOT_THROUGH_A_PROXY: [&str; 2] = [DHT, "lsd"];

/// Past a proxy no datagram may go. If it relays none, says once that trackers are left out which are
/// asked by them.
///
/// # Errors
/// If the system refuses.
pub(super) fn leave_udp_out(
    trackers: &mut Vec<Vec<String>>,
    proxy: &Proxy,
    globals: &Globals,
    env: &mut Env,
) -> Result<(), Error> {
    let is_udp = |url: &String| {
        url.trim().get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("udp:"))
    };
    if !trackers.iter().flatten().any(is_udp) {
        return Ok(());
    }
    let Err(why) = swarm::runtime()?.block_on(proxy.relays_datagrams()) else { return Ok(()) };
    trackers.iter_mut().for_each(|tier| tier.retain(|url| !is_udp(url)));
    trackers.retain(|tier| !tier.is_empty());
    if !globals.quiet {
        let why = format!("`{proxy}` relays no datagrams ({why}), and none leaves past it");
        env.say(&format!("warning: UDP trackers are not asked: {why}"));
    }
    Ok(())
}
