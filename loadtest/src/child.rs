//! The measured process: started from a shell line, watched through /proc, ended by signals.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// User and system time of all its threads, microseconds (in steps of the kernel's tick, 10 ms).
    pub(crate) cpu_us: u64,
    /// Resident memory now, kB.
    pub(crate) rss_kb: u64,
    /// The most resident memory it ever had, kB.
    pub(crate) peak_kb: u64,
}

/// What a process holds beside memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Held {
    /// Open files, sockets and pipes.
    pub(crate) files: u64,
    /// Threads.
    pub(crate) threads: u64,
}

/// A started command. It leads a process group of its own, which is what signals and figures are about; it dies with us.
pub(crate) struct Child {
    process: std::process::Child,
    command: String,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts a shell line; what it prints is appended to `log`. Call it from the main thread only: the child gets SIGKILL
    /// when the thread that started it ends.
    pub(crate) fn start(command: &str, log: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|e| Failure::io(log.display(), &e))?;
        let errors = file
            .try_clone()
            .map_err(|e| Failure::io(log.display(), &e))?;
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(line(command))
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .process_group(0);
        // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
        unsafe {
            shell.pre_exec(
                || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                },
            );
        }
        let process = shell
            .spawn()
            .map_err(|e| Failure::io(format!("'{command}' could not be started"), &e))?;
        Ok(Child {
            process,
            command: command.to_owned(),
            log: log.to_owned(),
            ended: None,
        })
    }

    /// Processor time and memory of its group; zero once it has ended.
    pub(crate) fn usage(&self) -> Usage {
        let mut sum = Usage::default();
        for process in group(self.process.id()) {
            sum.cpu_us += process.cpu_us;
            sum.rss_kb += process.rss_kb;
            sum.peak_kb += process.peak_kb;
        }
        sum
    }

    /// Open files and threads of its group; zero once it has ended.
    pub(crate) fn held(&self) -> Held {
        let mut sum = Held::default();
        for pid in pids().filter(|pid| usage_of(*pid, self.process.id()).is_some()) {
            let count = |what: &str| {
                let entries = fs::read_dir(format!("/proc/{pid}/{what}"));
                entries.into_iter().flatten().count() as u64
            };
            sum.files += count("fd");
            sum.threads += count("task");
        }
        sum
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.process.try_wait().ok().flatten();
        }
        self.ended
    }

    /// An error with the end of what it printed, if it has ended.
    pub(crate) fn must_live(&mut self) -> Result<()> {
        match self.ended() {
            None => Ok(()),
            Some(status) => Err(Failure::new(format!(
                "the command ended by itself ({status}): {}\n{}",
                self.command,
                tail(&self.log)
            ))),
        }
    }

    /// Sends a signal to its group.
    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: no memory is involved. The group lives as long as its leader has not been waited for.
        unsafe { libc::kill(-(self.process.id() as i32), signal) };
    }

    /// SIGKILL, and waits for its end.
    pub(crate) fn kill(&mut self) {
        if self.ended().is_none() {
            self.signal(libc::SIGKILL);
            self.ended = self.process.wait().ok();
        }
    }

    /// SIGTERM, and waits up to `patience` for its end, then SIGKILL. `None` if it had to be killed.
    pub(crate) fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        if self.ended().is_none() {
            self.signal(libc::SIGTERM);
        }
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
        None
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A simple command replaces the shell, so that figures are the command's alone; leading assignments are `env`'s.
fn line(command: &str) -> String {
    match command.contains([';', '|', '&', '\n', '(', '`']) {
        true => command.to_owned(),
        false => format!("exec env {command}"),
    }
}

/// The last lines of a file.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

fn group(leader: u32) -> Vec<Usage> {
    pids().filter_map(|pid| usage_of(pid, leader)).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The figures of one process, if it belongs to the group of `leader`.
fn usage_of(pid: u32, leader: u32) -> Option<Usage> {
    let (group, ticks) = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    if group != leader {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // SAFETY: reads a constant of the system.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) })
        .ok()
        .filter(|ticks| *ticks > 0)?;
    Some(Usage {
        cpu_us: ticks * 1_000_000 / per_second,
        rss_kb: field(&status, "VmRSS:"),
        peak_kb: field(&status, "VmHWM:"),
    })
}

/// Process group and user + system ticks of a line of /proc/PID/stat. The name in it may hold anything, even ')'.
fn parse_stat(stat: &str) -> Option<(u32, u64)> {
    let rest: Vec<_> = stat
        .get(stat.rfind(')')? + 1..)?
        .split_ascii_whitespace()
        .collect();
    let number = |place: usize| rest.get(place)?.parse::<u64>().ok();
    Some((u32::try_from(number(2)?).ok()?, number(11)? + number(12)?))
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_and_times_are_found_behind_a_name_with_blanks_and_brackets() {
        let stat = "77 (a b) c) S 1 70 70 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 5 0 0";
        assert_eq!(parse_stat(stat), Some((70, 300)));
        assert_eq!(field("VmHWM:\t  1234 kB\nVmRSS:\t 99 kB\n", "VmRSS:"), 99);
    }

    #[test]
    fn a_command_is_started_measured_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Child::start("NAME=value sleep 60", &dir.path().join("log")).unwrap();
        while child.usage().rss_kb == 0 {
            thread::yield_now();
        }
        assert!(child.ended().is_none() && child.usage().peak_kb > 0);
        let held = child.held();
        assert!(held.files >= 3 && held.threads == 1, "{held:?}");
        assert!(!child.stop(Duration::from_secs(5)).unwrap().success());
        assert_eq!(child.usage(), Usage::default());
        assert_eq!(child.held(), Held::default());
    }

    #[test]
    fn a_command_that_ends_by_itself_is_reported_with_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Child::start("echo no such job; exit 3", &dir.path().join("log")).unwrap();
        while child.ended().is_none() {
            thread::yield_now();
        }
        let error = child.must_live().unwrap_err().to_string();
        assert!(
            error.contains("exit status: 3") && error.contains("no such job"),
            "{error}"
        );
    }
}
