//! The plugins that are linked in, so that one binary works by itself.

use super::{Origin, Plugin, load};
use rtor_plugin::Entry;

/// Every bundled plugin, in the order in which they are listed.
static ENTRIES: [&Entry; 8] = [
    &rtor_strategy_rarest::PLUGIN,
    &rtor_strategy_sequential::PLUGIN,
    &rtor_strategy_random::PLUGIN,
    &rtor_strategy_streaming::PLUGIN,
    &rtor_discovery_tracker::PLUGIN,
    &rtor_discovery_pex::PLUGIN,
    &rtor_discovery_lsd::PLUGIN,
    &rtor_discovery_dht::PLUGIN,
];

/// What takes over from a strategy that broke.
pub(super) static FALLBACK: &Entry = &rtor_strategy_rarest::PLUGIN;

/// The id of [`FALLBACK`].
pub(super) const FALLBACK_ID: &str = "rarest";

/// The bundled plugins.
pub(super) fn plugins() -> Vec<Plugin> {
    ENTRIES
        .iter()
        .map(|entry| {
            load::described(entry, Origin::Bundled).expect("our own plugins keep our own rules")
        })
        .collect()
}
