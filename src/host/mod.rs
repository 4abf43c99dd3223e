//! Plugins: which there are, where they come from, and instances of them by name.
//!
//! Two doors lead to one table: bundled plugins are linked in, others are loaded from files
//! found in the [`Places`] that a person named. A file overrides a bundled plugin
//! of the same id, and [`Plugin::overrides`] says so. Nothing here knows what a strategy or a
//! tracker is; the boundary itself is the crate `rtor-plugin`.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an I/O room: it looks for plugin files and loads them"
)]

mod bundled;
mod error;
mod load;
mod search;
mod state;
mod trust;

pub use error::HostError;
pub use search::Places;
pub use state::StateFolder;

use rtor_plugin::strategy::Ranker;
use rtor_plugin::{Entry, Level, Services, Status, discovery, strategy};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Linked into this binary.
    Bundled,
    /// Loaded from this file, an absolute path without symbolic links.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled => f.write_str("bundled"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// One plugin that can be used.
#[derive(Clone)]
pub struct Plugin {
    entry: &'static Entry,
    /// What a person types: `rarest`. Letters, digits and `-`.
    pub id: &'static str,
    /// The plugin's own version.
    pub version: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// The interfaces it offers: `rtor.strategy/1`.
    pub interfaces: Vec<&'static str>,
    /// Where it comes from.
    pub origin: Origin,
    /// What it is used instead of.
    pub overrides: Option<Origin>,
}

impl Plugin {
    /// What a warning calls it: its file, or its id if it is bundled.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.origin {
            Origin::Bundled => self.id.to_owned(),
            Origin::File(path) => path.display().to_string(),
        }
    }

    fn offers(&self, interface: &str) -> bool {
        self.interfaces.contains(&interface)
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.id, self.version, self.origin)
    }
}

/// One discovery guest, ready for facts.
pub struct Guest {
    /// What a person types: `tracker`.
    pub id: &'static str,
    /// What a warning calls it: its file, or its id if it is bundled.
    pub name: String,
    /// The guest.
    pub instance: discovery::host::Instance,
}

/// Every plugin that can be used, by id.
#[derive(Debug, Default)]
pub struct Registry {
    plugins: Vec<Plugin>,
    warnings: Vec<HostError>,
    seen: BTreeSet<PathBuf>,
    bundled: bool,
}

impl Registry {
    /// The plugins that are linked in, and no file.
    #[must_use]
    pub fn bundled() -> Self {
        Self { plugins: bundled::plugins(), bundled: true, ..Self::default() }
    }

    /// The bundled plugins (unless `places` says not), then every file in `places`.
    ///
    /// # Errors
    /// What is wrong with a file that was asked for by name. What is wrong with one that was
    /// merely found is in [`Registry::warnings`].
    pub fn open(places: &Places<'_>) -> Result<Self, HostError> {
        let mut registry = if places.bundled { Self::bundled() } else { Self::default() };
        for file in places.files {
            registry.add(load::open(file)?)?;
        }
        let (found, complaints) = search::found(places);
        registry.warnings = complaints;
        for file in found {
            let added = load::open(&file).and_then(|plugin| registry.add(plugin));
            registry.warnings.extend(added.err());
        }
        Ok(registry)
    }

    /// All plugins: the bundled ones and what overrides them first, then the others in the order
    /// in which they were found.
    #[must_use]
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// What is wrong with files that were found and are not used.
    #[must_use]
    pub fn warnings(&self) -> &[HostError] {
        &self.warnings
    }

    /// The plugin with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Plugin> {
        self.plugins.iter().find(|plugin| plugin.id == id)
    }

    /// An instance of a strategy from `NAME[:key=value,..]`.
    ///
    /// # Errors
    /// There is no such strategy, or it refuses the options: then in its own words.
    pub fn strategy(
        &self,
        spec: &str,
        services: Arc<dyn Services>,
    ) -> Result<strategy::host::Instance, HostError> {
        let (name, options) = spec.split_once(':').unwrap_or((spec, ""));
        let plugin = self.offering(strategy::INTERFACE, name)?;
        made(plugin, services, |services| {
            strategy::host::Instance::create(plugin.entry, options, services)
        })
    }

    /// As [`Registry::strategy`], with bundled `rarest` behind it for the day that it breaks
    /// (and nothing behind it where bundled plugins are not wanted).
    ///
    /// # Errors
    /// As for [`Registry::strategy`].
    pub fn ranker(&self, spec: &str, services: Arc<dyn Services>) -> Result<Ranker, HostError> {
        let (name, _) = spec.split_once(':').unwrap_or((spec, ""));
        let chosen = self.strategy(spec, Arc::clone(&services))?;
        let plugin = self.offering(strategy::INTERFACE, name)?;
        let ranker = Ranker::new(plugin.name(), chosen);
        if !self.bundled || std::ptr::eq(plugin.entry, bundled::FALLBACK) {
            return Ok(ranker);
        }
        let fallback = strategy::host::Instance::create(bundled::FALLBACK, "", services)
            .map_err(|_| HostError::Broke { kind: "strategy", id: bundled::FALLBACK_ID.into() })?;
        Ok(ranker.or(bundled::FALLBACK_ID, fallback))
    }

    /// Instances of the discovery guests: those in `only` (all if it is empty), each
    /// `NAME[:key=value,..]`, but none in `without`. On a private torrent (BEP 27) those alone
    /// that may run on one. `more` are options that guests get beside those of their own, by id;
    /// `services` is asked for each guest's own half, by its id.
    ///
    /// # Errors
    /// There is no such guest, or it refuses the options: then in its own words.
    pub fn discoveries(
        &self,
        only: &[String],
        without: &[String],
        private: bool,
        more: &BTreeMap<&str, String>,
        services: &dyn Fn(&str) -> Arc<dyn Services>,
    ) -> Result<Vec<Guest>, HostError> {
        for name in without {
            self.offering(discovery::INTERFACE, name)?;
        }
        let all: Vec<String>;
        let specs = if only.is_empty() {
            all = self.ids(discovery::INTERFACE).map(str::to_owned).collect();
            &all
        } else {
            only
        };
        let mut guests: Vec<Guest> = Vec::new();
        for spec in specs {
            let (name, options) = spec.split_once(':').unwrap_or((spec, ""));
            let plugin = self.offering(discovery::INTERFACE, name)?;
            if without.iter().any(|w| w == name) || guests.iter().any(|g| g.id == plugin.id) {
                continue;
            }
            let more = more.get(name).map_or("", String::as_str);
            let between = if options.is_empty() || more.is_empty() { "" } else { "," };
            let options = [options, between, more].concat();
            let instance = made(plugin, services(plugin.id), |services| {
                discovery::host::Instance::create(plugin.entry, &options, services)
            })?;
            if !private || instance.on_private() {
                guests.push(Guest { id: plugin.id, name: plugin.name(), instance });
            }
        }
        Ok(guests)
    }

    fn ids(&self, interface: &str) -> impl Iterator<Item = &'static str> {
        self.plugins.iter().filter(move |plugin| plugin.offers(interface)).map(|plugin| plugin.id)
    }

    fn offering(&self, interface: &'static str, name: &str) -> Result<&Plugin, HostError> {
        let kind = kind(interface);
        match self.find(name) {
            Some(plugin) if plugin.offers(interface) => Ok(plugin),
            Some(_) => Err(HostError::OtherKind { kind, id: name.to_owned() }),
            None => {
                let known: Vec<&str> = self.ids(interface).collect();
                let instead = error::instead(name, &known);
                Err(HostError::Unknown { kind, id: name.to_owned(), instead })
            }
        }
    }

    /// Adds a plugin from a file. It overrides a bundled one of the same id; of two files the
    /// first counts.
    fn add(&mut self, mut plugin: Plugin) -> Result<(), HostError> {
        if let Origin::File(path) = &plugin.origin
            && !self.seen.insert(path.clone())
        {
            return Ok(());
        }
        match self.plugins.iter_mut().find(|other| other.id == plugin.id) {
            None => self.plugins.push(plugin),
            Some(other) if other.origin == Origin::Bundled => {
                plugin.overrides = Some(Origin::Bundled);
                *other = plugin;
            }
            Some(other) => {
                return Err(HostError::DuplicateId {
                    id: plugin.id.to_owned(),
                    first: other.name(),
                    second: plugin.name(),
                });
            }
        }
        Ok(())
    }
}

fn kind(interface: &str) -> &'static str {
    if interface == strategy::INTERFACE { "strategy" } else { "discovery guest" }
}

/// Makes an instance; what the guest says against its options becomes the error.
fn made<T>(
    plugin: &Plugin,
    services: Arc<dyn Services>,
    create: impl FnOnce(Arc<dyn Services>) -> Result<T, Status>,
) -> Result<T, HostError> {
    let kind = plugin.interfaces.first().map_or("plugin", |interface| kind(interface));
    let heard = Arc::new(Heard { services, refusal: Mutex::new(Refusal::Open(None)) });
    let instance = create(Arc::<Heard>::clone(&heard));
    let why = heard.close();
    instance.map_err(|status| match why {
        Some(why) if status == Status::FAILED => {
            HostError::Refused { kind, id: plugin.id.to_owned(), why }
        }
        _ if status == Status::FAILED => {
            let why = "it does not say why".to_owned();
            HostError::Refused { kind, id: plugin.id.to_owned(), why }
        }
        _ => HostError::Broke { kind, id: plugin.name() },
    })
}

/// Keeps the last error that a guest logs while it is made, and passes everything else on.
struct Heard {
    services: Arc<dyn Services>,
    refusal: Mutex<Refusal>,
}

enum Refusal {
    Open(Option<String>),
    Closed,
}

impl Heard {
    fn close(&self) -> Option<String> {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *refusal, Refusal::Closed) {
            Refusal::Open(why) => why,
            Refusal::Closed => None,
        }
    }
}

impl Services for Heard {
    fn log(&self, level: Level, text: &str) {
        if level == Level::Error {
            let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
            if let Refusal::Open(why) = &mut *refusal {
                *why = Some(text.to_owned());
                return;
            }
        }
        self.services.log(level, text);
    }

    fn wake(&self) {
        self.services.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl Services for Silent {
        fn log(&self, _level: Level, _text: &str) {}
    }

    fn silent(_id: &str) -> Arc<dyn Services> {
        Arc::new(Silent)
    }

    fn refusal<T>(result: Result<T, HostError>) -> String {
        let error = result.err().expect("it is refused");
        let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        format!("{error}{hint}")
    }

    #[test]
    fn every_bundled_plugin_is_listed_with_what_it_offers() {
        let registry = Registry::bundled();
        let listed: Vec<_> = registry
            .plugins()
            .iter()
            .map(|plugin| (plugin.id, plugin.interfaces.as_slice(), plugin.origin.to_string()))
            .collect();
        let bundled = || "bundled".to_owned();
        assert_eq!(
            listed,
            [
                ("rarest", &["rtor.strategy/1"][..], bundled()),
                ("sequential", &["rtor.strategy/1"], bundled()),
                ("random", &["rtor.strategy/1"], bundled()),
                ("streaming", &["rtor.strategy/1"], bundled()),
                ("tracker", &["rtor.discovery/1"], bundled()),
                ("pex", &["rtor.discovery/1"], bundled()),
                ("lsd", &["rtor.discovery/1"], bundled()),
                ("dht", &["rtor.discovery/1"], bundled()),
            ]
        );
    }

    #[test]
    fn a_misspelt_strategy_is_named_with_the_one_that_was_meant() {
        let registry = Registry::bundled();
        let strategy = |spec| refusal(registry.strategy(spec, Arc::new(Silent)));
        assert_eq!(strategy("rarst"), "there is no strategy `rarst`\nhint: did you mean `rarest`?");
        assert_eq!(
            strategy("popular:x=1"),
            "there is no strategy `popular`\nhint: there are `rarest`, `sequential`, `random`, `streaming`"
        );
        assert_eq!(strategy("tracker"), "the plugin `tracker` is no strategy");
        assert_eq!(
            refusal(Registry::default().strategy("rarest", Arc::new(Silent))),
            "there is no strategy `rarest`\nhint: there is none at all"
        );
    }

    #[test]
    fn a_guest_refuses_an_option_in_its_own_words() {
        let registry = Registry::bundled();
        assert_eq!(
            refusal(registry.strategy("rarest:colour=red", Arc::new(Silent))),
            "the strategy `rarest` cannot start: unknown option `colour`: it takes none"
        );
        let only = ["tracker:x".to_owned()];
        assert_eq!(
            refusal(registry.discoveries(&only, &[], false, &BTreeMap::new(), &silent)),
            "the discovery guest `tracker` cannot start: unknown option `x`: it takes none"
        );
        let more = BTreeMap::from([("dht", "bootstrap=nobody".to_owned())]);
        for only in [&[][..], &["dht:read-only".to_owned()]] {
            assert_eq!(
                refusal(registry.discoveries(only, &[], false, &more, &silent)),
                "the discovery guest `dht` cannot start: \
                 `nobody` is no node: router.example:6881 is one"
            );
        }
    }

    #[test]
    fn discovery_guests_are_chosen_and_left_out_by_name() {
        let registry = Registry::bundled();
        let ids = |only: &[&str], without: &[&str], private| -> Vec<&str> {
            let own = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
            let more = BTreeMap::new();
            let guests = registry.discoveries(&own(only), &own(without), private, &more, &silent);
            guests.expect("they start").iter().map(|guest| guest.id).collect()
        };
        assert_eq!(ids(&[], &[], false), ["tracker", "pex", "lsd", "dht"]);
        assert_eq!(ids(&[], &[], true), ["tracker"]);
        assert_eq!(ids(&["pex", "tracker", "pex"], &[], false), ["pex", "tracker"]);
        assert_eq!(ids(&[], &["tracker", "dht"], false), ["pex", "lsd"]);
        assert_eq!(ids(&["pex", "lsd", "dht"], &[], true), [""; 0]);
        for (name, sentence) in [
            ("trakcer", "there is no discovery guest `trakcer`\nhint: did you mean `tracker`?"),
            (
                "gossip",
                "there is no discovery guest `gossip`\nhint: there are `tracker`, `pex`, `lsd`, `dht`",
            ),
        ] {
            let (name, more) = ([name.to_owned()], BTreeMap::new());
            let chosen = registry.discoveries(&name, &[], false, &more, &silent);
            assert_eq!(refusal(chosen), sentence);
            let left_out = registry.discoveries(&[], &name, false, &more, &silent);
            assert_eq!(refusal(left_out), sentence);
        }
    }
}
