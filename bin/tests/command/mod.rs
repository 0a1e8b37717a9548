//! The built command, run as a user runs it.

// Each test program uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Counts to the console, 50 a second, until it is stopped.
pub const COUNTS: &str = "\
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '50');
SELECT value FROM ticks;
";

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
    /// Since it was started, or since its end is waited for.
    pub took: Duration,
}

impl Said {
    /// Asserts the exit code and that stderr or stdout holds all of these texts.
    #[track_caller]
    pub fn expect(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        for text in texts {
            assert!(
                self.err.contains(text) || self.out.contains(text),
                "`{text}` is not said:\n{}\n{}",
                self.out,
                self.err
            );
        }
    }
}

/// The command, not yet started.
pub fn thalweg(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command
        .args(arguments)
        .env_remove("THALWEG_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A folder to run in, with a job file.
pub fn job(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("job.sql"), text).unwrap();
    folder
}

/// A command as a terminal starts it, whatever runs the tests.
pub fn within(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = thalweg(arguments);
    command.current_dir(folder);
    let heed_hang_up = || {
        // SAFETY: sets how a signal is taken; no memory is passed.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_DFL) };
        Ok(())
    };
    // SAFETY: it allocates nothing and takes no lock.
    unsafe { command.pre_exec(heed_hang_up) };
    command
}

/// A job that runs until it is stopped, once its first line is out.
pub fn started(folder: &Path, arguments: &[&str]) -> Child {
    let mut child = within(folder, arguments).spawn().unwrap();
    let mut first = [0_u8; 1];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    child
}

/// Runs a command to its end, with nothing on stdin.
pub fn run(arguments: &[&str]) -> Said {
    run_with(arguments, "")
}

/// Runs a command to its end with this on stdin.
pub fn run_with(arguments: &[&str], stdin: &str) -> Said {
    let mut child = thalweg(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // A command that does not read its stdin may be gone already.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    ended(child)
}

/// What a started command says until its end, which must come within a minute.
pub fn ended(mut child: Child) -> Said {
    let reader = |from: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut from) = from {
                from.read_to_end(&mut bytes).unwrap();
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = reader(child.stdout.take().map(|out| Box::new(out) as _));
    let err = reader(child.stderr.take().map(|err| Box::new(err) as _));
    let began = Instant::now();
    let deadline = began + Duration::from_secs(60);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!(
                "the command did not end: {}{}",
                out.join().unwrap(),
                err.join().unwrap()
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Said {
        code: status.code().unwrap_or(-1),
        out: out.join().unwrap(),
        err: err.join().unwrap(),
        took: began.elapsed(),
    }
}

/// Sends SIGTERM.
pub fn terminate(child: &Child) {
    let pid = i32::try_from(child.id()).unwrap();
    // SAFETY: a signal to a child that is not yet waited for, so its id is still its own.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
}

/// Asks again until it is so, at most 20 seconds.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
