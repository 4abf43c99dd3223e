//! [`Signals`]: SIGINT and SIGTERM, heard from the beginning of a download on.
//!
//! A thread waits for them, because the first part of a download (hashing what is there) leaves
//! no runtime free to do so. The first one says stop; the second one, stop at once. SIGHUP has a file of
//! limits read again, if there is one.

use super::limits::Kept;
use crate::driver::Stop;
use crate::error::Error;
use crate::sanitize::sanitize;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Whoever waits for a signal.
pub(super) struct Signals {
    /// Set by the first signal, for work without a loop.
    pub(super) now: Arc<AtomicBool>,
    /// One message a signal, for the driver.
    pub(super) heard: Stop,
    /// Limits that are to be read again on SIGHUP.
    limits: mpsc::UnboundedSender<Arc<Kept>>,
}

impl Signals {
    /// Begins to hear them.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn hear() -> Result<Self, Error> {
        let failed = |why: io::Error| Error::world(format!("signals can't be heard: {why}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let (tell, heard) = mpsc::unbounded_channel();
        let now = Arc::new(AtomicBool::new(false));
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            let hear = |kind| signal(kind).map_err(failed);
            (hear(SignalKind::interrupt())?, hear(SignalKind::terminate())?)
        };
        let flag = Arc::clone(&now);
        let (limits, mut kept) = mpsc::unbounded_channel();
        let wait = async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    Some(kept) = kept.recv() => {
                        tokio::spawn(read_again(kept));
                        continue;
                    }
                }
                flag.store(true, Ordering::Relaxed);
                if tell.send(()).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || runtime.block_on(wait)).map_err(failed)?;
        Ok(Self { now, heard, limits })
    }

    /// From now on SIGHUP has the file of `limits` read again. Without a file it means what it
    /// always does.
    pub(super) fn read_again(&self, limits: Arc<Kept>) {
        if limits.has_file() {
            // The thread ends with the program.
            let _ = self.limits.send(limits);
        }
    }
}

async fn read_again(limits: Arc<Kept>) {
    let Ok(mut hang_up) = signal(SignalKind::hangup()) else { return };
    while hang_up.recv().await.is_some() {
        if let Err(why) = limits.read_again() {
            eprintln!("warning: the limits stay as they are: {}", sanitize(&why));
        }
    }
}
