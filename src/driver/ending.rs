//! How a run ends: when it is time, what is still sent, and good-byes.

use super::{Driver, DriverError, End, Goal, Outcome, Stop, Watch, Woken};
use crate::engine::Input;
use crate::net::Connection;
use std::time::{Duration, Instant};

/// How long guests have for their good-byes (trackers: `stopped`).
const FAREWELL_WAIT: Duration = Duration::from_millis(1500);
/// How long peers have for the last blocks when enough was given.
const LAST_BLOCKS_WAIT: Duration = Duration::from_secs(5);

impl Driver {
    /// Everything is here: whether, and how, that is the end.
    pub(super) fn reached(&mut self) -> Option<End> {
        let Some(Goal { ratio, time }) = self.goal else { return Some(End::Complete) };
        let complete = || (Instant::now(), self.engine.have_bytes());
        let (since, bytes) = *self.complete.get_or_insert_with(complete);
        let (_, given) = self.engine.moved_bytes();
        let enough = ratio.is_some_and(|ratio| given as f64 >= ratio * bytes as f64);
        let long = time.is_some_and(|time| since.elapsed() >= time);
        (enough || long).then_some(End::Seeded)
    }

    /// Says good-bye.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn finish(
        mut self,
        end: End,
        stop: &mut Stop,
        watch: &mut dyn Watch,
    ) -> Result<Outcome, DriverError> {
        if end == End::Seeded {
            self.send_the_rest(stop, watch).await;
        }
        self.leave(stop, watch).await?;
        if end == End::Complete
            && let Some(storage) = &self.storage
        {
            storage.disk.store().finish()?;
        }
        Ok(self.outcome(end))
    }

    pub(super) fn waited_in_vain(&self) -> bool {
        self.timeout.is_some_and(|most| self.last_arrival.elapsed() >= most)
    }

    /// Enough was given: blocks that are on their way are sent, and the other sides have them.
    async fn send_the_rest(&mut self, stop: &mut Stop, watch: &mut dyn Watch) {
        let begun = Instant::now();
        self.feed(Input::Sated, watch);
        self.flush();
        while self.engine.uploads_under_way() > 0 && begun.elapsed() < LAST_BLOCKS_WAIT {
            if let Woken::Stop = self.turn(stop, watch).await {
                return;
            }
        }
        let closing: Vec<_> =
            std::mem::take(&mut self.connections).into_values().map(Connection::close).collect();
        let closed = async {
            for closing in closing {
                closing.await;
            }
        };
        self.meanwhile(closed, stop, watch).await;
    }

    /// Says good-bye: guests and a router have [`FAREWELL_WAIT`], unless the user is in a hurry; blocks of
    /// unfinished pieces go to disk meanwhile.
    async fn leave(&mut self, stop: &mut Stop, watch: &mut dyn Watch) -> Result<(), DriverError> {
        self.feed(Input::Stopped, watch);
        if let Some(port_map) = &mut self.port_map {
            port_map.release();
        }
        match &mut self.storage {
            Some(storage) => storage.disk.park(),
            None => self.parked = true,
        }
        let begun = Instant::now();
        let mut hurry = false;
        loop {
            if let Some(error) = self.failed.take() {
                return Err(error.into());
            }
            let waited = begun.elapsed() >= FAREWELL_WAIT;
            let said = self.farewell && self.port_map.is_none();
            if self.parked && (said || waited || hurry) {
                return Ok(());
            }
            hurry |= matches!(self.turn(stop, watch).await, Woken::Stop);
        }
    }

    fn outcome(self, end: End) -> Outcome {
        Outcome {
            end,
            report: self.engine.report(self.now()),
            have: self.engine.have().clone(),
            have_bytes: self.engine.have_bytes(),
            seconds: self.began.elapsed().as_secs_f64(),
            memory_peak: self.storage.map_or(0, |storage| storage.disk.memory_peak()),
            port: self.listener.port(),
            external: self.external,
        }
    }
}
