//! `rtor plugins [list]`: which plugins there are, from where, and what they override.

use super::globals::{Form, Globals};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::host::{Origin, Plugin, Registry};
use crate::manifest::plugins::{PluginList, PluginRow};
use crate::table;

/// Arguments of `rtor plugins`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Plugin files are looked for in this order: --plugin FILE, the files and \
    folders in $RTOR_PLUGIN_PATH (with `:` between), $XDG_DATA_HOME/rtor/plugins (default \
    ~/.local/share), and lib/rtor/plugins beside the bin folder of rtor; never in the working \
    folder. A file overrides a bundled plugin of the same id.")]
pub struct Args {
    /// What to do with them
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// What `rtor plugins` does.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// List them (the default)
    List,
}

/// Runs it.
///
/// # Errors
/// If a file that the user named is no plugin.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let Args { action: None | Some(Action::List) } = args;
    let registry = super::swarm::registry(globals, env)?;
    let text = match globals.form(env) {
        Form::Json => document(&registry).to_bytes(),
        Form::Table => drawn(env.width(), &registry).into_bytes(),
    };
    env.write(&text)?;
    Ok(Exit::Done)
}

fn document(registry: &Registry) -> PluginList<'_> {
    PluginList { plugins: registry.plugins().iter().map(row).collect() }
}

fn row(plugin: &Plugin) -> PluginRow<'_> {
    let Plugin { id, version, about, interfaces, origin, overrides, .. } = plugin;
    let file = match origin {
        Origin::Bundled => None,
        Origin::File(path) => Some(path.display().to_string()),
    };
    let overrides_bundled = overrides.is_some();
    PluginRow { id, version, about, interfaces, file, overrides_bundled }
}

fn drawn(width: usize, registry: &Registry) -> String {
    let rows = registry.plugins().iter().map(|plugin| {
        // `rtor.strategy/1` is a strategy: the rest is for programs.
        let kinds: Vec<&str> = plugin
            .interfaces
            .iter()
            .map(|id| id.trim_start_matches("rtor.").split('/').next().unwrap_or(id))
            .collect();
        let origin = match &plugin.overrides {
            Some(Origin::Bundled) => format!("{} (overrides bundled)", plugin.origin),
            Some(Origin::File(_)) | None => plugin.origin.to_string(),
        };
        [plugin.id, &kinds.join(", "), plugin.version, &origin, plugin.about]
            .map(str::to_owned)
            .to_vec()
    });
    table::list(width, &["plugin", "kind", "version", "from", "about"], &[], rows)
}
