//! A strategy as the host sees it: [`Instance`], a safe handle on one table's instance.

use super::urgency::{RawUrgent, URGENT_MAX, Urgent};
use super::{INTERFACE, Swarm, Table};
pub use crate::instance::Poisoned;
use crate::instance::{self, Create, Destroy, Life};
use crate::{Entry, Level, NoTable, Services, Status};
use std::ffi::c_void;
use std::sync::Arc;

/// The strategy table of a plugin.
///
/// # Errors
/// Why there is none.
pub fn table(entry: &'static Entry) -> Result<Table, NoTable> {
    instance::table(entry)
}

/// One instance of a strategy plugin.
pub struct Instance(instance::Instance<Table>);

impl Life for Table {
    const INTERFACE: &'static str = INTERFACE;

    fn create(&self) -> Create {
        self.create
    }

    fn destroy(&self) -> Destroy {
        self.destroy
    }
}

impl Instance {
    /// Makes an instance of `entry`'s strategy.
    ///
    /// # Errors
    /// The status that the guest answered, or `FAILED` if the plugin is no strategy; what it had
    /// to say went to `services`.
    pub fn create(
        entry: &'static Entry,
        options: &str,
        services: Arc<dyn Services>,
    ) -> Result<Self, Status> {
        instance::Instance::create(entry, options, services).map(Self)
    }

    /// When this number changes, all keys are to be asked for again.
    ///
    /// # Errors
    /// [`Poisoned`] if the guest broke, now or before.
    pub fn epoch(&mut self, swarm: &Swarm<'_>) -> Result<u64, Poisoned> {
        let raw = swarm.raw();
        let mut epoch = 0;
        // SAFETY: everything is lent until the call returns.
        self.call(|table, instance| unsafe {
            (table.epoch)(instance, &raw const raw, &raw mut epoch)
        })?;
        Ok(epoch)
    }

    /// Writes the keys of `pieces`, smaller first.
    ///
    /// # Errors
    /// [`Poisoned`] if the guest broke, now or before; `keys` may then be half written.
    ///
    /// # Panics
    /// If `pieces` and `keys` differ in length, or a piece is not of this torrent: a guest in C
    /// would read beyond the columns.
    pub fn rank(
        &mut self,
        swarm: &Swarm<'_>,
        pieces: &[u32],
        keys: &mut [u64],
    ) -> Result<(), Poisoned> {
        assert_eq!(pieces.len(), keys.len(), "one key a piece");
        assert!(
            pieces.iter().all(|&piece| (piece as usize) < swarm.piece_count()),
            "pieces of this torrent"
        );
        let raw = swarm.raw();
        // SAFETY: everything is lent until the call returns; the lengths are equal.
        self.call(|table, instance| unsafe {
            (table.rank)(instance, &raw const raw, pieces.as_ptr(), keys.as_mut_ptr(), pieces.len())
        })
    }

    /// Whether it has an answer to the question of urgency at all. Costs nothing.
    #[must_use]
    pub const fn has_urgency(&self) -> bool {
        self.0.table().urgent.is_some() && !self.0.poisoned()
    }

    /// Makes `out` the pieces that are wanted by a moment, soonest first; none if the guest has
    /// no answer.
    ///
    /// What the guest lists is advice, and what is of no use in it is left out: pieces that are
    /// had, not wanted or beyond the torrent, and the later of one listed twice. A count above
    /// the capacity is another thing: then it wrote beyond the list, or cannot tell.
    ///
    /// # Errors
    /// [`Poisoned`] if the guest broke, now or before; `out` is then empty.
    pub fn urgent(&mut self, swarm: &Swarm<'_>, out: &mut Vec<Urgent>) -> Result<(), Poisoned> {
        out.clear();
        let raw = swarm.raw();
        let (mut list, mut count) = ([RawUrgent::NONE; URGENT_MAX], 0);
        self.call(|table, instance| match table.urgent {
            None => Status::OK,
            // SAFETY: everything is lent until the call returns; the list has that many places.
            Some(urgent) => unsafe {
                urgent(instance, &raw const raw, list.as_mut_ptr(), list.len(), &raw mut count)
            },
        })?;
        let list = list.get(..count).ok_or_else(|| self.0.poison())?;
        Urgent::accepted(swarm, list, out);
        Ok(())
    }

    /// Says one line to the host, in the guest's place.
    pub(super) fn say(&self, level: Level, text: &str) {
        self.0.say(level, text);
    }

    fn call(&mut self, f: impl FnOnce(&Table, *mut c_void) -> Status) -> Result<(), Poisoned> {
        self.0.call(&[Status::OK], |table, instance| f(table, instance)).map(|_| ())
    }
}
