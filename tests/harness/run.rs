//! [`Rtor`]: one run of rtor's binary, in a folder and perhaps a [`Net`], and what came of it.
//!
//! It sees an environment of its own: no variable of the machine's but the path, and all that
//! rtor may keep goes to `.home` in the folder. It runs below GNU `time`, because that is exact:
//! what the kernel would tell us of a child of ours includes our own memory at the fork.

use super::net::Net;
use super::process::{WITH_HOSTS, ended_within, mortal, send, until};
use rustix::process::Signal;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a run may take unless the test says otherwise.
const PATIENCE: Duration = Duration::from_secs(120);
/// For the program to be there after its start.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// What the shell between `time` and rtor does: says its pid, and becomes rtor.
const SAY_PID: &str = r#"echo $$ > "$0"; exec "$@""#;

/// A run to be.
#[derive(Clone)]
#[must_use]
pub struct Rtor {
    program: OsString,
    args: Vec<OsString>,
    folder: PathBuf,
    net: Option<Net>,
    stdin: Option<Vec<u8>>,
    env: Vec<(OsString, OsString)>,
    hosts: Option<String>,
    patience: Duration,
}

/// A run that goes on; it is killed on drop.
pub struct Started {
    outer: Child,
    notes: TempDir,
    command_line: String,
    patience: Duration,
}

/// A run that ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its data; empty if it went to the next stage of a pipeline.
    pub stdout: Vec<u8>,
    /// Its talk.
    pub stderr: String,
    /// From start to end, in steps of 10 ms.
    pub elapsed: Duration,
    /// What it took of the processors, in steps of 10 ms: a busy machine makes it hardly more.
    pub cpu: Duration,
    /// The most memory that it had resident.
    pub peak_bytes: u64,
    command_line: String,
}

impl Rtor {
    /// `rtor` with `args`, in `folder`, with no stdin.
    pub fn new<A: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: env!("CARGO_BIN_EXE_rtor").into(),
            args: args.into_iter().map(|arg| arg.as_ref().to_owned()).collect(),
            folder: folder.to_owned(),
            net: None,
            stdin: None,
            env: Vec::new(),
            hosts: None,
            patience: PATIENCE,
        }
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Runs inside a network.
    pub fn within(self, net: &Net) -> Self {
        Self { net: Some(net.clone()), ..self }
    }

    /// Gets these bytes through a pipe.
    pub fn stdin(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self { stdin: Some(bytes.into()), ..self }
    }

    /// Sees this variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Knows these names, as `/etc/hosts` has them, and no others. Within a network only.
    pub fn hosts(self, hosts: &str) -> Self {
        Self { hosts: Some(hosts.to_owned()), ..self }
    }

    /// May take so long.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it takes longer than its patience.
    #[track_caller]
    pub fn run(&self) -> Ran {
        self.start().wait(self.patience)
    }

    /// Starts it, from the test's own thread, and goes on.
    pub fn start(&self) -> Started {
        let (stdin, bytes) = match &self.stdin {
            Some(bytes) => (Stdio::piped(), bytes.clone()),
            None => (Stdio::null(), Vec::new()),
        };
        let mut started = self.start_between(stdin, None);
        if let Some(mut pipe) = started.outer.stdin.take() {
            // A thread, because a pipe holds only so much. That rtor does not read to the end is
            // no error here.
            std::thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        started
    }

    /// What stands before a command that is to know names of its own, written to `file`.
    fn knowing_hosts(&self, file: &Path) -> Vec<OsString> {
        let Some(hosts) = &self.hosts else { return Vec::new() };
        fs::write(file, hosts).expect("a folder takes a file");
        let words = ["unshare", "--mount", "sh", "-c", WITH_HOSTS].map(OsString::from);
        words.into_iter().chain([file.into()]).collect()
    }

    fn name(&self) -> String {
        let name = Path::new(&self.program).file_name().unwrap_or(&self.program);
        name.to_string_lossy().into_owned()
    }

    /// Starts it with `stdin`, and with a file for stdout if it gets nothing better.
    fn start_between(&self, stdin: Stdio, stdout: Option<Stdio>) -> Started {
        let notes = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("the target folder takes a folder");
        let note = |name: &str| notes.path().join(name);
        let file = |name: &str| File::create(note(name)).expect("a folder takes a file");

        let mut command = match &self.net {
            Some(net) => net.command("/usr/bin/time"),
            None => mortal("/usr/bin/time"),
        };
        let home = self.folder.join(".home");
        fs::create_dir_all(&home).expect("the folder takes a folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .args(["--format=%M %e %U %S", "--output"])
            .arg(note("time"))
            .args(["sh", "-c", SAY_PID])
            .arg(note("pid"))
            .args(self.knowing_hosts(&note("hosts")))
            .args(["setpriv", "--pdeathsig", "KILL", "--"])
            .arg(&self.program)
            .args(&self.args)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", path)
            .env("LANG", "C.UTF-8")
            .env("HOME", &home)
            .envs(
                ["CONFIG", "DATA", "STATE", "CACHE"]
                    .map(|kind| (format!("XDG_{kind}_HOME"), home.join(kind.to_lowercase()))),
            )
            .envs(self.env.iter().cloned())
            .stdin(stdin)
            .stdout(stdout.unwrap_or_else(|| file("stdout").into()))
            .stderr(file("stderr"));
        let outer = command.spawn().expect("`time` runs: scripts/parts brings it");
        let args: Vec<_> = self.args.iter().map(|arg| arg.to_string_lossy()).collect();
        let command_line = format!("{} {}", self.name(), args.join(" "));
        Started { outer, notes, command_line, patience: self.patience }
    }
}

/// Runs `stages` as a shell would run `a | b | c`, each reading what the one before it writes.
/// The first may have a stdin of its own.
///
/// # Panics
/// If it takes longer than the last stage's patience.
#[track_caller]
pub fn pipeline<const STAGES: usize>(stages: [Rtor; STAGES]) -> [Ran; STAGES] {
    let mut before: Option<Stdio> = None;
    let mut nth = 0;
    let started = stages.map(|stage| {
        nth += 1;
        let stdin = before.take();
        if nth == STAGES {
            return match stdin {
                Some(stdin) => stage.start_between(stdin, None),
                None => stage.start(),
            };
        }
        let (stdin, bytes) = match (stdin, &stage.stdin) {
            (Some(stdin), _) => (stdin, None),
            (None, Some(bytes)) => (Stdio::piped(), Some(bytes.clone())),
            (None, None) => (Stdio::null(), None),
        };
        let mut started = stage.start_between(stdin, Some(Stdio::piped()));
        if let (Some(mut pipe), Some(bytes)) = (started.outer.stdin.take(), bytes) {
            std::thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        before = started.outer.stdout.take().map(Stdio::from);
        started
    });
    started.map(|stage| {
        let patience = stage.patience;
        stage.wait(patience)
    })
}

impl Started {
    /// rtor's own pid.
    pub fn pid(&self) -> u32 {
        let what = format!("`{}` is there", self.command_line);
        until(&what, START_PATIENCE, || {
            fs::read_to_string(self.notes.path().join("pid")).ok()?.trim().parse().ok()
        })
    }

    /// Sends it a signal, if it still runs.
    pub fn send(&mut self, signal: Signal) {
        if !self.ended() {
            send(self.pid(), signal);
        }
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.outer.try_wait().expect("a child can be waited for").is_some()
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.note("stderr")
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> Vec<u8> {
        fs::read(self.notes.path().join("stdout")).unwrap_or_default()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If that takes longer than `patience`.
    #[track_caller]
    pub fn wait(mut self, patience: Duration) -> Ran {
        // Why it does not end is what the test wants to know: so its talk goes with the panic.
        let what = format!("`{}` ends", self.command_line);
        let Some(status) = ended_within(&mut self.outer, patience) else {
            panic!("not within {patience:?}: {what}; stderr:\n{}", self.stderr());
        };
        let time = self.note("time");
        let mut lines = time.lines().rev();
        let mut figures = lines.next().unwrap_or_default().split(' ');
        let kibibytes: u64 = figures.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut seconds = || {
            let seconds = figures.next().and_then(|text| text.parse().ok());
            Duration::from_secs_f64(seconds.unwrap_or(0.0))
        };
        let (elapsed, cpu) = (seconds(), seconds() + seconds());
        let signal = lines
            .next()
            .and_then(|line| line.strip_prefix("Command terminated by signal ")?.parse().ok());
        Ran {
            code: if signal.is_none() { status.code() } else { None },
            signal,
            stdout: self.stdout(),
            stderr: self.stderr(),
            elapsed,
            cpu,
            peak_bytes: kibibytes * 1024,
            command_line: self.command_line.clone(),
        }
    }

    fn note(&self, name: &str) -> String {
        let bytes = fs::read(self.notes.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.ended() {
            // `time` first dies, and the kernel ends rtor with it.
            drop(self.outer.kill());
            drop(self.outer.wait());
            if std::thread::panicking() {
                eprintln!("--- {} stderr\n{}", self.command_line, self.stderr());
            }
        }
    }
}

impl Ran {
    /// Checks that it exited with `code`.
    ///
    /// # Panics
    /// With its talk, if it did not.
    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert!(
            self.code == Some(code),
            "`{}` was to exit with {code} and ended with code {:?}, signal {:?}; stderr:\n{}",
            self.command_line,
            self.code,
            self.signal,
            self.stderr
        );
        self
    }

    /// Its data as one JSON document.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(&self.stdout);
            panic!("`{}` printed no JSON: {error}:\n{text}\n{}", self.command_line, self.stderr)
        })
    }

    /// Its data as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Checks that it refused its input as the contract says: exit code 2, one sentence on stderr,
    /// nothing on stdout, in under a second of one core and 100 MiB. Gives the sentence.
    ///
    /// # Panics
    /// If it did anything else.
    #[track_caller]
    pub fn refused(self) -> String {
        let ran = self.exited(2);
        assert!(ran.stdout.is_empty(), "`{}` printed data: {}", ran.command_line, ran.text());
        let sentences = ran.stderr.lines().filter(|line| !line.starts_with("hint: ")).count();
        assert_eq!(sentences, 1, "`{}` was to say one sentence:\n{}", ran.command_line, ran.stderr);
        assert!(ran.cpu < Duration::from_secs(1), "it took {:?}", ran.cpu);
        assert!(ran.peak_bytes < 100 * super::MIB, "it took {} bytes", ran.peak_bytes);
        ran.stderr.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{KIB, MIB};

    /// `script` in a shell, as rtor would be run.
    fn shell(folder: &Path, script: &str) -> Rtor {
        Rtor { program: "sh".into(), ..Rtor::new(folder, ["-c", script]) }
    }

    fn folder() -> TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn an_exit_with_130_is_told_from_an_end_by_sigint() {
        let folder = folder();
        let ran = shell(folder.path(), "echo data; echo talk >&2; exit 130").run().exited(130);
        assert_eq!(
            (ran.text().as_str(), ran.stderr.as_str(), ran.signal),
            ("data\n", "talk\n", None)
        );
        let ran = shell(folder.path(), "kill -INT $$").run();
        assert_eq!((ran.code, ran.signal), (None, Some(2)));
    }

    #[test]
    fn peak_memory_is_the_programs_own() {
        // Ours is to be larger than the program's, to see that it does not count.
        let ours = vec![1_u8; 64 << 20];
        let folder = folder();
        let small = shell(folder.path(), "exit 0").run().peak_bytes;
        assert!((100 * KIB..16 * MIB).contains(&small), "a shell has {small}");
        let python = "bytearray(b'1' * (48 << 20))";
        let large = Rtor { program: "python3".into(), ..Rtor::new(folder.path(), ["-c", python]) };
        let large = large.run().exited(0).peak_bytes;
        assert!((48 * MIB..200 * MIB).contains(&large), "48 MiB in Python is {large}");
        drop(ours);
    }

    #[test]
    fn stages_read_each_other_and_nothing_of_the_machines_environment() {
        let folder = folder();
        let long = vec![b'x'; 300_000];
        let [first, _, last] = pipeline([
            shell(folder.path(), "tee copy").stdin(long),
            shell(folder.path(), "wc -c"),
            shell(folder.path(), "cat; env | cut -d= -f1 | sort | tr '\\n' ' '"),
        ]);
        assert!(first.stdout.is_empty());
        let names = "HOME LANG OLDPWD PATH PWD XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME \
                     XDG_STATE_HOME ";
        let said = last.text();
        let (count, environment) = said.split_once('\n').expect("two lines");
        assert_eq!(count.trim(), "300000");
        for name in environment.split_whitespace() {
            assert!(names.contains(name) || name == "_" || name == "SHLVL", "it sees `{name}`");
        }
    }

    #[test]
    fn a_signal_reaches_the_program_itself() {
        let folder = folder();
        let script = "trap 'echo asked; exit 7' INT; echo ready; while :; do sleep 0.01; done";
        let mut started = shell(folder.path(), script).start();
        until("the trap is set", START_PATIENCE, || (!started.stdout().is_empty()).then_some(()));
        started.send(Signal::INT);
        let ran = started.wait(START_PATIENCE).exited(7);
        assert_eq!(ran.text(), "ready\nasked\n");
    }

    #[test]
    fn nothing_outlives_a_dropped_run() {
        let folder = folder();
        let started = shell(folder.path(), "echo ready; exec sleep 600").start();
        until("it runs", START_PATIENCE, || (!started.stdout().is_empty()).then_some(()));
        let process = PathBuf::from(format!("/proc/{}/stat", started.pid()));
        assert!(process.exists());
        drop(started);
        until("it is gone", START_PATIENCE, || {
            // Its new parent may take a moment to reap it.
            let stat = fs::read_to_string(&process).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z")).then_some(())
        });
    }
}
