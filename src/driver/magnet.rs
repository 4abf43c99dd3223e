//! What comes before the download of a magnet: until its info dictionary is here.

use super::{Driver, DriverError, End, Stop, Storage, Watch, Woken};
use crate::engine::{Content, Input};
use crate::torrent::Info;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What became of a magnet.
#[derive(Debug)]
pub enum Learned {
    /// It is resolved.
    Info(Arc<Info>),
    /// It is not, and that was the end.
    Ended(End),
}

impl Driver {
    /// Waits until the info dictionary of a magnet is whole.
    ///
    /// # Errors
    /// If it is none that can be used.
    pub async fn learn(
        &mut self,
        stop: &mut Stop,
        watch: &mut dyn Watch,
    ) -> Result<Learned, DriverError> {
        loop {
            if let Some(learned) = self.learned.take() {
                self.last_arrival = Instant::now();
                return Ok(Learned::Info(learned?));
            }
            let taken = self.engine.metadata_taken();
            if std::mem::replace(&mut self.metadata_taken, taken) != taken {
                self.last_arrival = Instant::now();
            }
            if self.waited_in_vain() {
                return Ok(Learned::Ended(End::NothingArrived));
            }
            if let Woken::Stop = self.turn(stop, watch).await {
                return Ok(Learned::Ended(End::Stopped));
            }
        }
    }

    /// Waits until the piece layers of a hybrid that was a magnet are there, for `most` at the
    /// longest: it can be used without them.
    pub async fn learn_layers(
        &mut self,
        most: Duration,
        stop: &mut Stop,
        watch: &mut dyn Watch,
    ) -> Option<Arc<Info>> {
        let begun = Instant::now();
        while self.layers.is_none() && begun.elapsed() < most {
            if let Woken::Stop = self.turn(stop, watch).await {
                return None;
            }
        }
        self.layers.take()
    }

    /// Goes on talking to peers until `work` is done.
    pub async fn meanwhile<T>(
        &mut self,
        work: impl Future<Output = T>,
        stop: &mut Stop,
        watch: &mut dyn Watch,
    ) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                result = &mut work => {
                    self.last_arrival = Instant::now();
                    return result;
                }
                // Who is to stop at once hears of it from the same signal as we do.
                _ = self.turn(stop, watch) => {}
            }
        }
    }

    /// A magnet is resolved, and its data goes there.
    pub fn begin(&mut self, storage: Option<Storage>, content: Content) {
        self.storage = storage;
        // As an answer like others: what follows from it leaves with the next turn.
        self.errands.answer(Input::Learned(Box::new(content)));
    }
}
