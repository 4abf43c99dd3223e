//! `--from`: other places that may hold a torrent's data.

use crate::disk::salvage::{Salvaged, salvage};
use crate::env::Env;
use crate::error::Error;
use crate::manifest::salvage::Origin;
use crate::torrent::{Bitfield, Info, piece_list};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// `--from`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Salvaging {
    /// Another place that may hold the data (repeatable): files of any name, whole, damaged or
    /// unfinished, of other torrents, or stored pieces
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
}

/// What was found, and where.
pub(super) struct Rescue(Option<Salvaged>);

impl Salvaging {
    /// Whether the user named a place.
    pub(super) fn is_meant(&self) -> bool {
        !self.from.is_empty()
    }

    /// With the places below the folder that rtor runs in, if they are not absolute.
    pub(super) fn resolved(&self, env: &Env) -> Self {
        Self { from: self.from.iter().map(|place| env.path(place)).collect() }
    }

    /// Looks for `missing` pieces there; `None` if `stop` was set meanwhile.
    ///
    /// # Errors
    /// If a place is not there.
    pub(super) fn look(
        &self,
        info: &Arc<Info>,
        missing: &Bitfield,
        stop: &AtomicBool,
    ) -> Result<Option<Rescue>, Error> {
        if self.from.is_empty() || missing.is_empty() {
            return Ok(Some(Rescue(None)));
        }
        let found = salvage(info, missing, &self.from, &|_| {}, stop)?;
        Ok(found.map(|found| Rescue(Some(found))))
    }
}

impl Rescue {
    /// What was found, if anything was looked for.
    pub(super) const fn found(&self) -> Option<&Salvaged> {
        self.0.as_ref()
    }

    /// Where the pieces came from, for the manifest.
    pub(super) fn origins(&self) -> Vec<Origin> {
        let Some(found) = &self.0 else { return Vec::new() };
        self.origins_of(found.pieces())
    }

    /// Where those among `pieces` came from.
    pub(super) fn origins_of(&self, pieces: &Bitfield) -> Vec<Origin> {
        let Some(found) = &self.0 else { return Vec::new() };
        let origin = |(path, pieces): (&Path, Bitfield)| Origin {
            path: path.display().to_string(),
            pieces: piece_list::format(&pieces),
        };
        found.origins(pieces).map(origin).collect()
    }

    /// A warning, if not all could be looked at.
    pub(super) fn warning(&self) -> Option<String> {
        let left_out = self.0.as_ref().map_or(0, Salvaged::left_out);
        (left_out > 0).then(|| format!("--from: {left_out} files or folders can't be looked at"))
    }
}
