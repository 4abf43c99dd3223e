//! Where pieces came from that were not downloaded: `from` of the sections `fetch` and `assemble`.

use serde::{Deserialize, Serialize};

/// A file that pieces were copied from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Where it is.
    pub path: String,
    /// Which pieces: `0-9,12`. One that lies in several files is told of each.
    pub pieces: String,
}
