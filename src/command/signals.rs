//! [`Signals`]: SIGINT and SIGTERM, heard from the beginning of a download on.
//!
//! A thread waits for them, because the first part of a download (hashing what is there) leaves
//! no runtime free to do so. The first one says stop; the second one, stop at once.

use crate::driver::Stop;
use crate::error::Error;
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
        let wait = async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                flag.store(true, Ordering::Relaxed);
                if tell.send(()).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || runtime.block_on(wait)).map_err(failed)?;
        Ok(Self { now, heard })
    }
}
