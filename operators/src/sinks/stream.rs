//! Where lines go: a file, a pipe or a terminal, which is written without waiting for a reader longer than a stop may take.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};

use thalweg_engine::error::Failure;

/// The message of the failure when the reader of standard output has ended, as `| head` does. It is no fault of the job:
/// the command may end as if it had been told to stop.
pub const READER_GONE: &str = "the reader of standard output has gone away";

/// A pipe that can be written at all takes this much without blocking (POSIX: `PIPE_BUF` is at least 512, Linux has 4096).
const SLICE: usize = 4096;
/// How long a blocked pipe is waited for before the thread looks whether it should stop.
const PATIENCE_MS: i32 = 100;

/// Where the lines go.
pub(super) struct Target {
    file: File,
    /// A regular file: writes do not block, and only fsync makes them safe.
    regular: bool,
    /// Lines of several outlets may meet on standard output.
    pub(super) stdout: bool,
    shown: String,
}

impl Target {
    pub(super) fn stdout() -> Result<Self, Failure> {
        let shown = "standard output".to_owned();
        let file = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map(File::from)
            .map_err(|error| Failure::end(format!("{shown} cannot be written: {error}")))?;
        let mut target = Self::file(file, shown)?;
        target.stdout = true;
        Ok(target)
    }

    pub(super) fn file(file: File, shown: String) -> Result<Self, Failure> {
        let regular = file
            .metadata()
            .map_err(|error| Failure::restart(format!("{shown} cannot be written: {error}")))?
            .is_file();
        Ok(Self {
            file,
            regular,
            stdout: false,
            shown,
        })
    }

    /// Writes all of it, or what it takes until it is `closed`.
    pub(super) fn write(&mut self, bytes: &[u8], closed: &dyn Fn() -> bool) -> io::Result<()> {
        let _whole = self.stdout.then(|| io::stdout().lock());
        if self.regular {
            return self.file.write_all(bytes);
        }
        for slice in bytes.chunks(SLICE) {
            while !self.writable()? {
                if closed() {
                    return Ok(());
                }
            }
            self.file.write_all(slice)?;
        }
        Ok(())
    }

    fn writable(&self) -> io::Result<bool> {
        let mut poll = libc::pollfd {
            fd: self.file.as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: `poll` is one valid pollfd, and its descriptor is open as long as `self.file` lives.
        let ready = unsafe { libc::poll(&raw mut poll, 1, PATIENCE_MS) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(ready > 0)
    }

    /// Makes what was written survive a crash of the machine, where that can be had.
    pub(super) fn make_safe(&self) -> io::Result<()> {
        if self.regular {
            self.file.sync_data()
        } else {
            Ok(())
        }
    }

    /// What to call it.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// What to say when it cannot be written.
    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        if self.stdout && error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::end(READER_GONE);
        }
        let message = format!("{} cannot be written: {error}", self.shown);
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::end(message),
            _ => Failure::restart(message),
        }
    }
}
