//! What every verb needs that talks to a swarm: plugins, peers and trackers to begin with, and a
//! [`Setup`] of them.

use super::globals::Globals;
use super::limits::Kept;
use super::network::{self, Network, Route};
use super::progress::Show;
use crate::disk::named_file;
use crate::driver::{DriverError, Goal, Scrape, Setup, Storage};
use crate::engine::{Choking, Config, Content, Encryption, Guest, Transports};
use crate::env::Env;
use crate::error::Error;
use crate::host::{Places, Registry, StateFolder};
use crate::net::http::Http;
use crate::net::{LocalAddrs, Proxy};
use crate::torrent::{Bitfield, Info, InfoHashes, Torrent};
use rtor_plugin::{Level, Services};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The peer id's first eight bytes: who we are (BEP 20).
const PEER_ID_PREFIX: &[u8; 8] = b"-RT0100-";

/// Where no piece is asked for, any order will do.
pub(super) const STRATEGY_OF_NOTHING: &str = "rarest";

/// The plugins and everything else that can be wrong before a byte is sent.
pub(super) struct Swarm {
    rank: rtor_plugin::strategy::Ranker,
    guests: Vec<Guest>,
    states: Option<StateFolder>,
    nodes: Vec<(String, u16)>,
    trackers: Vec<Vec<String>>,
    peers: Vec<SocketAddr>,
    http: Http,
    proxy: Option<Proxy>,
    listen: Option<SocketAddr>,
    map_port: bool,
    interface: Option<LocalAddrs>,
    /// Where trackers are asked from.
    local: LocalAddrs,
    peers_max: usize,
    encryption: Encryption,
    transports: Transports,
    timeout: Option<Duration>,
    looks_only: bool,
    choking: Choking,
    super_seed: bool,
    kept: Arc<Kept>,
}

impl Swarm {
    /// Of `torrent`, by what the user chose.
    ///
    /// # Errors
    /// If a plugin can't be had.
    pub(super) fn make(
        globals: &Globals,
        env: &mut Env,
        torrent: &Torrent,
        strategy: &str,
        network: &Network,
    ) -> Result<Self, Error> {
        let registry = registry(globals, env)?;
        let services: Arc<dyn Services> = Arc::new(Complaints);
        let rank = registry.ranker(strategy, Arc::clone(&services))?;
        let Network { no_trackers, peer, listen, .. } = network;
        let Route { proxy, interface } = network.route()?;
        let listens_at = listen.map_or(LocalAddrs::ANY, |addr| LocalAddrs::only(addr.ip()));
        let local = interface.unwrap_or(listens_at);
        let guests = network.guests(globals, env, &registry, torrent.private(), &services)?;
        let mut trackers = if *no_trackers { Vec::new() } else { torrent.trackers.clone() };
        if let Some(proxy) = &proxy {
            network::leave_udp_out(&mut trackers, proxy, globals, env)?;
        }
        let named = torrent.peers.iter().filter_map(|peer| address(peer, globals, env));
        let named: Vec<SocketAddr> = named.collect();
        Ok(Self {
            rank,
            guests,
            states: network.states(env),
            nodes: torrent.nodes.clone(),
            trackers,
            peers: peer.iter().copied().chain(named).collect(),
            http: super::http(env, local, proxy.as_ref())?,
            proxy,
            listen: *listen,
            map_port: network.map_port,
            interface,
            local,
            peers_max: usize::from(network.max_peers),
            encryption: network.encryption.into(),
            transports: network.transports()?,
            timeout: network.timeout,
            looks_only: false,
            choking: Choking::default(),
            super_seed: false,
            kept: Arc::new(network.limiting.kept(env)?),
        })
    }

    /// As if the user had said `--timeout`.
    pub(super) fn for_at_most(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Nobody is to be asked for a piece.
    pub(super) fn only_to_look(self) -> Self {
        Self { looks_only: true, ..self }
    }

    /// Whom to serve, and whether to show them one piece at a time.
    pub(super) fn giving(self, choking: Choking, super_seed: bool) -> Self {
        Self { choking, super_seed, ..self }
    }

    /// The limits of the run, to be read again.
    pub(super) fn limits(&self) -> Arc<Kept> {
        Arc::clone(&self.kept)
    }

    /// To ask trackers for the counts of a swarm and for nothing else.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    pub(super) fn scrape(self, torrent: &Torrent, wait: Duration) -> Result<Scrape, Error> {
        let InfoHashes { v1, v2 } = torrent.hashes;
        let v1 = v1.map(|hash| hash.0.to_vec());
        Ok(Scrape {
            info_hash: v1.or_else(|| v2.map(|hash| hash.0.to_vec())).unwrap_or_default(),
            trackers: self.trackers,
            private: torrent.private(),
            seed: chance()?,
            guests: self.guests,
            http: self.http,
            from: self.local,
            proxy: self.proxy,
            wait,
        })
    }

    /// With what is there and where it goes; a magnet that is not resolved has neither.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    pub(super) fn setup(
        self,
        content: Content,
        storage: Option<Storage>,
        memory_max: u64,
        goal: Option<Goal>,
    ) -> Result<Setup, Error> {
        let Content { info, have, wanted, partial } = content;
        Ok(Setup {
            engine: Config {
                info,
                peer_id: peer_id()?,
                client: concat!("rtor ", env!("CARGO_PKG_VERSION")).to_owned(),
                have,
                wanted,
                partial,
                trackers: self.trackers,
                nodes: self.nodes,
                port: 0,
                udp_port: 0,
                peers_max: self.peers_max,
                encryption: self.encryption,
                transports: self.transports,
                seed: chance()?,
                rank: Box::new(self.rank),
                guests: self.guests,
                looks_only: self.looks_only,
                choking: self.choking,
                super_seed: self.super_seed,
            },
            storage,
            memory_max,
            listen: self.listen,
            map_port: self.map_port,
            interface: self.interface,
            peers: self.peers,
            goal,
            timeout: self.timeout,
            http: self.http,
            states: self.states,
            proxy: self.proxy,
            limits: self.kept.limits.clone(),
        })
    }
}

/// A peer that a torrent or magnet names (BEP 9, `x.pe`); names of hosts are not looked up.
fn address(peer: &str, globals: &Globals, env: &mut Env) -> Option<SocketAddr> {
    let addr = peer.parse().ok();
    if addr.is_none() && !globals.quiet {
        env.say(&format!("warning: the peer `{peer}` is no address with a port: left out"));
    }
    addr
}

/// The content of a torrent of which only the hashes are known.
pub(super) fn unknown(torrent: &Torrent) -> Content {
    let nothing = || Bitfield::new(0);
    let info = Arc::new(Info::unknown(torrent.hashes));
    Content { info, have: nothing(), wanted: nothing(), partial: Vec::new() }
}

/// All of it is to come, so everybody who has something is of interest.
pub(super) fn everything(info: &Arc<Info>) -> Content {
    let count = info.layout.piece_count();
    let (have, wanted) = (Bitfield::new(count), Bitfield::full(count));
    Content { info: Arc::clone(info), have, wanted, partial: Vec::new() }
}

/// What turns while a swarm is talked to.
///
/// # Errors
/// If the system refuses.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|why| Error::world(format!("no network: {why}")))
}

/// What a person and a script see of it.
///
/// # Errors
/// If the file for events can't be made.
pub(super) fn shown(globals: &Globals, env: &Env) -> Result<Show, Error> {
    let bar = env.stderr_is_terminal() && !globals.quiet;
    let lines_from = match (globals.quiet, globals.verbose) {
        (true, _) => None,
        (false, 0) => Some(Level::Warning),
        (false, 1) => Some(Level::Info),
        (false, _) => Some(Level::Debug),
    };
    Ok(Show::new(bar, lines_from, events(globals, env)?))
}

impl From<DriverError> for Error {
    fn from(why: DriverError) -> Self {
        match why {
            DriverError::Disk(why) => why.into(),
            DriverError::Listen(why) => Self::world(why),
            DriverError::Metadata(_) => Self::input(why),
        }
    }
}

/// The plugins that can be used.
///
/// # Errors
/// If a file that the user named is none.
pub(super) fn registry(globals: &Globals, env: &mut Env) -> Result<Registry, Error> {
    let exe = std::env::current_exe().ok();
    let registry = Registry::open(&Places {
        files: &globals.plugin,
        plugin_path: env.var("RTOR_PLUGIN_PATH"),
        data_home: env.var("XDG_DATA_HOME"),
        home: env.var("HOME"),
        exe: exe.as_deref(),
        bundled: !globals.no_bundled,
    })?;
    if !globals.quiet {
        let warnings: Vec<String> = registry.warnings().iter().map(ToString::to_string).collect();
        warnings.iter().for_each(|warning| env.say(&format!("warning: {warning}")));
    }
    Ok(registry)
}

/// What a plugin says outside of its facts: straight to stderr.
struct Complaints;

impl Services for Complaints {
    fn log(&self, level: Level, text: &str) {
        if level >= Level::Warning {
            eprintln!("{}", crate::sanitize::sanitize(text));
        }
    }
}

fn events(globals: &Globals, env: &Env) -> Result<Option<Box<dyn Write>>, Error> {
    match &globals.events {
        None => Ok(None),
        Some(dash) if dash.as_os_str() == "-" => Ok(Some(Box::new(env.stdout_too()))),
        Some(path) => Ok(Some(Box::new(named_file::create(&env.path(path))?))),
    }
}

fn peer_id() -> Result<[u8; 20], Error> {
    let mut id = [0; 20];
    random(&mut id)?;
    id[..PEER_ID_PREFIX.len()].copy_from_slice(PEER_ID_PREFIX);
    Ok(id)
}

fn chance() -> Result<u64, Error> {
    let mut seed = [0; 8];
    random(&mut seed)?;
    Ok(u64::from_le_bytes(seed))
}

#[expect(clippy::disallowed_methods, reason = "where the seed comes from")]
fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|why| Error::world(format!("no randomness to be had: {why}")))
}
