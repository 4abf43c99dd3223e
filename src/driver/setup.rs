//! [`Setup`]: what a torrent is run with, and how that becomes a [`Driver`].

use super::act::Loads;
use super::errands::Errands;
use super::{Driver, DriverError, Goal, Watch};
use crate::disk::{Disk, Done};
use crate::engine::{Config, Engine, Input, Output, Time, Transports};
use crate::host::StateFolder;
use crate::net::http::Http;
use crate::net::{
    Buffers, Datagrams, Door, FACTS_WAITING_MAX, Fact, Limits, ListenError, Listener, LocalAddrs,
    Means, Origin, PORT_USUAL, PortMap, Proxy, UtpBounds,
};
use crate::wire::Transport;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Where a torrent's data goes.
pub struct Storage {
    /// The disk, and where its workers' answers arrive.
    pub disk: Disk,
    /// Sender's other end was given to the disk.
    pub done: mpsc::UnboundedReceiver<Done>,
}

/// What a torrent is run with.
pub struct Setup {
    /// The engine's part; its ports are filled in here.
    pub engine: Config,
    /// `None` for a magnet, until it is resolved.
    pub storage: Option<Storage>,
    /// Bytes that all buffers together may have.
    pub memory_max: u64,
    /// Where to listen; `None`: the usual port, or any.
    pub listen: Option<SocketAddr>,
    /// The addresses of the interface that the user named: nothing leaves from others.
    pub interface: Option<LocalAddrs>,
    /// Peers that the user or the torrent named.
    pub peers: Vec<SocketAddr>,
    /// Have a router pass on to us what it gets at our ports.
    pub map_port: bool,
    /// Stay when everything is there, until that; `None`: leave.
    pub goal: Option<Goal>,
    /// Give up when nothing arrived for so long.
    pub timeout: Option<Duration>,
    /// For trackers.
    pub http: Http,
    /// Where guests keep what they know; `None`: nowhere.
    pub states: Option<StateFolder>,
    /// Rates that are kept; whoever has a clone may change them.
    pub limits: Limits,
    /// Through which everything goes: then nobody can come to us, and no name is looked up here.
    pub proxy: Option<Proxy>,
}

impl Driver {
    /// Opens the port and begins to look for peers.
    ///
    /// # Errors
    /// If the port can't be had.
    pub fn open(setup: Setup, watch: &mut dyn Watch) -> Result<Self, DriverError> {
        let Setup {
            mut engine,
            storage,
            memory_max,
            listen,
            interface,
            map_port,
            peers,
            goal,
            timeout,
            http,
            states,
            proxy,
            limits,
        } = setup;
        let (facts_from, facts) = mpsc::channel(FACTS_WAITING_MAX);
        engine.choking.limit = limits.up();
        let (errands, answers) = Errands::new(http);
        let (listener, datagrams) = match &proxy {
            Some(proxy) => (Listener::closed(), Datagrams::through(proxy, &facts_from)),
            None => ports(listen, interface, &facts_from, &engine, memory_max)?,
        };
        engine.port = listener.port();
        engine.udp_port = datagrams.port();
        let port_map = map_port.then(|| asked(&listener, &datagrams)).flatten();
        let from = interface.unwrap_or_else(|| LocalAddrs::preferring(listener.ip()));
        let origin = Origin { from, utp: datagrams.utp(), proxy };
        let limit_up = limits.up();
        let means = Means { facts: facts_from, buffers: Buffers::new(memory_max), limits };
        let began = Instant::now();
        let (engine, outputs) = told_of(peers, Engine::new(engine));
        let mut driver = Self {
            engine,
            began,
            storage,
            learned: None,
            layers: None,
            means,
            limit_up,
            facts,
            batch: Vec::new(),
            errands,
            answers,
            connections: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            outputs,
            loads: Loads::default(),
            listener,
            datagrams,
            port_map,
            external: None,
            states,
            origin,
            goal,
            complete: None,
            timeout,
            last_arrival: began,
            metadata_taken: 0,
            news_at: began,
            progress_due: began,
            failed: None,
            parked: false,
            farewell: false,
        };
        driver.feed(Input::Started, watch);
        Ok(driver)
    }
}

/// The engine, told of peers, and what it says to that.
fn told_of(peers: Vec<SocketAddr>, mut engine: Engine) -> (Engine, Vec<Output>) {
    let mut outputs = Vec::new();
    for addr in peers {
        engine.handle(Time(0), Input::Named(addr), &mut outputs);
    }
    (engine, outputs)
}

/// Whom the engine takes.
fn door(engine: &Config) -> Door {
    Door {
        plain: engine.encryption.takes_plain(),
        encrypted: engine.encryption.preference(),
        skeys: engine.info.hashes.names().collect(),
    }
}

/// The TCP port, and the UDP port of the same number if that can be had; connections are taken at
/// those that the engine wants any by.
fn ports(
    listen: Option<SocketAddr>,
    interface: Option<LocalAddrs>,
    facts: &mpsc::Sender<Fact>,
    engine: &Config,
    memory_max: u64,
) -> Result<(Listener, Datagrams), ListenError> {
    let bounds = UtpBounds { peers_max: engine.peers_max, memory_max };
    let utp = engine.transports.includes(Transport::Utp).then_some(bounds);
    let (mut listener, datagrams) = if engine.transports == Transports::Utp {
        let at = listen.map_or(LocalAddrs::ANY, |addr| LocalAddrs::only(addr.ip()));
        let port = listen.map_or(PORT_USUAL, |addr| addr.port());
        let datagrams = Datagrams::open(interface.unwrap_or(at), port, utp, facts);
        (Listener::of_datagrams(listen, &datagrams, facts, door(engine))?, datagrams)
    } else {
        let local = interface.unwrap_or(LocalAddrs::ANY);
        let listener = Listener::open(listen, local, facts, door(engine))?;
        let local = interface.unwrap_or_else(|| LocalAddrs::only(listener.ip()));
        let datagrams = Datagrams::open(local, listener.port(), utp, facts);
        (listener, datagrams)
    };
    listener.takes_utp(&datagrams.utp());
    Ok((listener, datagrams))
}

/// A router, asked for what is open; nobody is, if nothing is.
fn asked(listener: &Listener, datagrams: &Datagrams) -> Option<PortMap> {
    let (port, udp_port) = (listener.port(), datagrams.port());
    (port != 0).then(|| PortMap::begin(listener.ip(), port, udp_port))
}
