//! [`Env`]: the only door to the terminal: arguments, folder, environment, stdin, stdout, stderr.
//!
//! Everything is read once, at the start, so that a verb is a function of its arguments and an
//! `Env`, and a test can build one. stdout is data and stderr is talk: a reader who leaves early
//! (`| head`) is no error, so a broken pipe counts as written.

#![expect(clippy::disallowed_methods, reason = "an I/O room: the only door to the terminal")]

use crate::error::Error;
use crate::sanitize::sanitize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Columns of a table when nobody says how wide the terminal is.
const WIDTH_DEFAULT: usize = 100;

/// What a process gets from whoever starts it.
pub struct Env {
    args: Vec<OsString>,
    dir: PathBuf,
    vars: BTreeMap<OsString, OsString>,
    stdin: Box<dyn Read>,
    stdin_kind: Stdin,
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    width: usize,
}

/// What is behind stdin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// A person.
    Terminal,
    /// A pipe, a socket or a file: something that was put there to be read.
    Data,
    /// Nothing: `/dev/null`, or closed.
    Nothing,
}

/// What an [`Env::in_memory`] wrote.
#[derive(Clone, Default)]
pub struct Written {
    /// To stdout.
    pub stdout: Rc<RefCell<Vec<u8>>>,
    /// To stderr.
    pub stderr: Rc<RefCell<Vec<u8>>>,
}

impl Env {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let vars: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let columns = vars.get(OsStr::new("COLUMNS")).and_then(|text| text.to_str()?.parse().ok());
        let width = rustix::termios::tcgetwinsize(io::stdout())
            .map_or(0, |size| usize::from(size.ws_col))
            .max(columns.unwrap_or(0));
        Self {
            args: std::env::args_os().collect(),
            dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            vars,
            stdin: Box::new(io::stdin()),
            stdin_kind: stdin_kind(),
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            width: if width == 0 { WIDTH_DEFAULT } else { width },
        }
    }

    /// One for tests: nothing is a terminal, `stdin` is data, and what is written is kept.
    #[must_use]
    pub fn in_memory(dir: &Path, args: &[&str], stdin: Option<Vec<u8>>) -> (Self, Written) {
        let written = Written::default();
        let env = Self {
            args: args.iter().map(OsString::from).collect(),
            dir: dir.to_owned(),
            vars: BTreeMap::new(),
            stdin_kind: if stdin.is_some() { Stdin::Data } else { Stdin::Nothing },
            stdin: Box::new(io::Cursor::new(stdin.unwrap_or_default())),
            stdout: Box::new(Kept(Rc::clone(&written.stdout))),
            stderr: Box::new(Kept(Rc::clone(&written.stderr))),
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            width: WIDTH_DEFAULT,
        };
        (env, written)
    }

    /// The arguments, the program's name first.
    #[must_use]
    pub fn args(&self) -> &[OsString] {
        &self.args
    }

    /// The working folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `path` as the user meant it: relative ones begin at the working folder.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        // `.` joined with a path would show up in every message.
        if self.dir == Path::new(".") { path.as_ref().to_owned() } else { self.dir.join(path) }
    }

    /// An environment variable that is set and not empty.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Sets a variable for a test's world.
    pub fn set_var(&mut self, name: &str, value: &str) {
        self.vars.insert(name.into(), value.into());
    }

    /// What is behind stdin.
    #[must_use]
    pub const fn stdin(&self) -> Stdin {
        self.stdin_kind
    }

    /// Reads stdin to its end, but not further than one byte beyond `limit`, so that the caller
    /// sees that there was too much.
    ///
    /// # Errors
    /// If stdin can't be read.
    pub fn read_stdin(&mut self, limit: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        (&mut self.stdin)
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|why| Error::world(format!("stdin can't be read: {why}")))?;
        Ok(bytes)
    }

    /// stdin itself, for who decides on the way how much to read.
    pub fn stdin_reader(&mut self) -> &mut dyn Read {
        &mut self.stdin
    }

    /// Writes data to stdout. A reader who has left is no error.
    ///
    /// # Errors
    /// If stdout is there but can't be written: a full disk, for one.
    pub fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        match self.stdout.write_all(data).and_then(|()| self.stdout.flush()) {
            Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::world(format!("stdout can't be written: {why}")))
            }
            _ => Ok(()),
        }
    }

    /// stdout itself, for lines that are written while the verb is still at work.
    pub fn stdout_too(&self) -> impl Write + 'static {
        io::stdout()
    }

    /// Says one line on stderr, made safe for a terminal. Nobody listening is no error.
    pub fn say(&mut self, line: &str) {
        let _ = writeln!(self.stderr, "{}", sanitize(line));
    }

    /// Says `text` on stderr, lines with their breaks, each made safe for a terminal: clap repeats what
    /// was typed, and a script may have typed what a torrent says.
    pub fn say_lines(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            let _ = write!(self.stderr, "{}{end}", sanitize(line));
        }
        let _ = self.stderr.flush();
    }

    /// Whether a person reads stdout.
    #[must_use]
    pub const fn stdout_is_terminal(&self) -> bool {
        self.stdout_is_terminal
    }

    /// Whether a person reads stderr.
    #[must_use]
    pub const fn stderr_is_terminal(&self) -> bool {
        self.stderr_is_terminal
    }

    /// Columns of the terminal, or a usual width if there is none.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Whether colour is welcome on stderr, as far as the environment says
    /// (<https://no-color.org>).
    #[must_use]
    pub fn colour(&self) -> bool {
        self.stderr_is_terminal
            && self.var("NO_COLOR").is_none()
            && self.var("TERM") != Some(OsStr::new("dumb"))
    }
}

fn stdin_kind() -> Stdin {
    if io::stdin().is_terminal() {
        return Stdin::Terminal;
    }
    let Ok(stat) = rustix::fs::fstat(io::stdin()) else { return Stdin::Nothing };
    match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        // Some programs (node, sshd) give their children a socket where others give a pipe.
        rustix::fs::FileType::Fifo
        | rustix::fs::FileType::RegularFile
        | rustix::fs::FileType::Socket => Stdin::Data,
        _ => Stdin::Nothing,
    }
}

struct Kept(Rc<RefCell<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone(io::ErrorKind);

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_leaves_is_no_error_and_a_full_disk_is() {
        let (mut env, _) = Env::in_memory(Path::new("/"), &[], None);
        env.stdout = Box::new(Gone(io::ErrorKind::BrokenPipe));
        assert_eq!(env.write(b"data"), Ok(()));
        env.stdout = Box::new(Gone(io::ErrorKind::StorageFull));
        assert!(env.write(b"data").is_err());
    }

    #[test]
    fn one_byte_beyond_the_limit_is_read_so_that_it_shows() {
        let (mut env, _) = Env::in_memory(Path::new("/"), &[], Some(vec![0; 100]));
        assert_eq!(env.read_stdin(10).map(|bytes| bytes.len()), Ok(11));
    }
}
