//! [`Running`]: a child process that never outlives its test; [`until`]: waiting for a condition.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks at a condition.
const TICK: Duration = Duration::from_millis(10);
/// What a process gets between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Lines of a process's output that are shown when its test fails.
const TAIL_LINES: usize = 30;

/// For `sh -c` in a mount namespace of its own: has this file for `/etc/hosts`, and becomes a program.
pub const WITH_HOSTS: &str = r#"mount --bind "$0" /etc/hosts && exec "$@""#;

/// Looks until there is something to see.
///
/// # Panics
/// With `what`, if that takes longer than `patience`.
#[track_caller]
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        sleep(TICK);
    }
}

/// `program` with `args`, dying with the thread that starts it: the kernel sees to that, even
/// when the test run is killed. So start it from the test's own thread.
pub fn mortal(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Sends `signal` to the process `pid`, which must be a child that was not reaped yet.
pub fn send(pid: u32, signal: Signal) {
    // The one error that is left is that it just ended, and then there is nobody to tell.
    let _ = kill_process(number(pid), signal);
}

/// How `child` ended, if it does so within `patience`.
pub fn ended_within(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let look = |child: &mut Child| child.try_wait().expect("a child can be waited for");
    if let Some(status) = look(child) {
        return Some(status);
    }
    let ends = pidfd_open(number(child.id()), PidfdFlags::empty()).expect("a child has a pidfd");
    let patience = Timespec::try_from(patience).expect("no test waits for ages");
    let mut ends = [PollFd::new(&ends, PollFlags::IN)];
    poll(&mut ends, Some(&patience)).expect("a pidfd can be waited for");
    look(child)
}

fn number(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a child's pid is positive")
}

/// A process with its output in two files, ended and reaped on drop.
pub struct Running {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// Starts `command`; its output goes to files named after `name` in `folder`.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let (stdout, stderr) = (folder.join("stdout.log"), folder.join("stderr.log"));
        let file = |path| File::create(path).expect("a log can be made in the test's own folder");
        let child = command
            .stdin(Stdio::null())
            .stdout(file(&stdout))
            .stderr(file(&stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("can't start `{name}`: {error}; run scripts/parts"));
        Self { name: name.to_owned(), child, stdout, stderr }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it.
    pub fn send(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// How it ended, once it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// What it told so far: the lines of its output that are JSON.
    pub fn events(&self) -> Vec<Value> {
        let said = self.stdout();
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many of them are of that name.
    pub fn count(&self, event: &str) -> usize {
        self.events().iter().filter(|seen| seen["event"] == event).count()
    }

    /// Waits for a condition that only holds while the process runs.
    ///
    /// # Panics
    /// If the process ends first, or `patience` does.
    #[track_caller]
    pub fn until<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        until(&format!("{}: {what}", self.name.clone()), patience, || {
            if let Some(status) = self.ended() {
                panic!("{} ended with {status} before: {what}", self.name);
            }
            look(self)
        })
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stdout).unwrap_or_default()).into_owned()
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }

    /// Asks it to end, then makes it end; it is reaped when this returns.
    pub fn stop(&mut self) -> ExitStatus {
        self.send(Signal::TERM);
        if let Some(status) = ended_within(&mut self.child, GRACE) {
            return status;
        }
        self.send(Signal::KILL);
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            for (stream, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
                let lines: Vec<&str> = text.lines().collect();
                let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
                eprintln!("--- {} {stream}, the last {} lines", self.name, tail.len());
                tail.iter().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}
