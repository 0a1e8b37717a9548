//! Lines on stdout, and whether somebody still reads them.

use std::io::{self, ErrorKind, IsTerminal, Write};

use parking_lot::Mutex;

/// Why something could not be written to stdout, the first time.
static UNWRITTEN: Mutex<Option<String>> = Mutex::new(None);

/// Writes a line. A reader that has gone (`| head`) is no error.
pub(crate) fn line(text: &str) {
    note(writeln!(io::stdout().lock(), "{text}"));
}

/// Writes text that brings its own line ends.
pub(crate) fn text(text: &str) {
    let mut stdout = io::stdout().lock();
    note(stdout.write_all(text.as_bytes()));
    note(stdout.flush());
}

/// Notes how something was written.
pub(crate) fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        UNWRITTEN.lock().get_or_insert_with(|| error.to_string());
    }
}

/// Why a part of what was to be said has not been written, though somebody may still read it: a full disk.
pub(crate) fn unwritten() -> Option<String> {
    note(io::stdout().flush());
    UNWRITTEN.lock().take()
}

/// Whether stdout was a pipe and its reader has gone.
pub(crate) fn closed() -> bool {
    let mut poll = libc::pollfd {
        fd: libc::STDOUT_FILENO,
        events: 0,
        revents: 0,
    };
    // SAFETY: one pollfd that lives on the stack; a timeout of 0 returns at once.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready > 0 && poll.revents & libc::POLLERR != 0
}

/// Rows and columns of the terminal on stdout; None where it does not say.
pub(crate) fn window() -> Option<(usize, usize)> {
    let mut size = std::mem::MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the call fills in the structure, all bits of which may be zero.
    let (said, size) = unsafe {
        let said = libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, size.as_mut_ptr());
        (said, size.assume_init())
    };
    let known = said == 0 && size.ws_row > 0 && size.ws_col > 0;
    known.then(|| (size.ws_row.into(), size.ws_col.into()))
}

/// Asks for a yes. None when nobody can answer.
pub(crate) fn confirm(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Whether stdout is a pipe.
pub(crate) fn is_pipe() -> bool {
    let mut about = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills the buffer when it returns 0, and only then it is read.
    unsafe {
        libc::fstat(libc::STDOUT_FILENO, about.as_mut_ptr()) == 0
            && about.assume_init().st_mode & libc::S_IFMT == libc::S_IFIFO
    }
}
