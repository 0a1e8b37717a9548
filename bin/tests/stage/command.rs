//! The built command while it runs: what it says so far, its HTTP side, its signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use super::plain::{Said, thalweg};
use super::{PATIENCE, too_late};

/// A command that runs. It is killed when it is dropped.
pub struct Running {
    child: Child,
    began: Instant,
    out: Option<JoinHandle<String>>,
    err: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        // None where it goes to a file.
        let out = child.stdout.take();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let err = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&err);
        Self {
            child,
            began: Instant::now(),
            out: Some(std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut out) = out {
                    out.read_to_end(&mut bytes).unwrap();
                }
                String::from_utf8_lossy(&bytes).into_owned()
            })),
            err,
            reader: Some(std::thread::spawn(move || {
                for line in lines.split(b'\n').map_while(Result::ok) {
                    let mut heard = heard.lock();
                    heard.push_str(&String::from_utf8_lossy(&line));
                    heard.push('\n');
                }
            })),
        }
    }

    /// What it has said on stderr.
    pub fn said(&self) -> String {
        self.err.lock().clone()
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line of stderr holds the text, and gives that line.
    #[track_caller]
    pub fn until_said(&mut self, text: &str, within: Duration) -> String {
        let began = Instant::now();
        loop {
            let gone = self.child.try_wait().unwrap();
            let said = self.said();
            if let Some(line) = said.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(
                gone.is_none(),
                "it has ended ({gone:?}) and has not said `{text}`:\n{said}"
            );
            assert!(
                began.elapsed() < within,
                "{}: `{text}` is not said:\n{said}",
                too_late(within)
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks its HTTP side: status and body.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\n"), &[])
    }

    /// Posts bytes to its HTTP side: status and body of the answer.
    #[track_caller]
    pub fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        let length = body.len();
        self.ask(
            &format!(
                "POST {path} HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
            ),
            body,
        )
    }

    /// Where it serves HTTP.
    #[track_caller]
    pub fn address(&mut self) -> String {
        let line = self.until_said("metrics and probes at http://", PATIENCE);
        let address = line.rsplit("http://").next().unwrap().trim();
        // In a line of JSON its end stands behind it.
        address.trim_end_matches(['"', '}']).to_owned()
    }

    /// A connection to its HTTP side.
    #[track_caller]
    pub fn connected(&mut self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Asks its HTTP side with these header lines, each with its line end: status, head and body of the answer.
    #[track_caller]
    pub fn with(&mut self, request: &str, headers: &str, body: &[u8]) -> (u16, String, String) {
        let mut stream = self.connected();
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
        )
        .unwrap();
        // A body that is refused by its length is not read to its end.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap();
        (
            status.parse().unwrap(),
            head.to_lowercase(),
            body.to_owned(),
        )
    }

    #[track_caller]
    fn ask(&mut self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = self.connected();
        write!(stream, "{head}Host: localhost\r\nConnection: close\r\n\r\n").unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// All that its HTTP side shows of itself.
    #[track_caller]
    pub fn everything(&mut self) -> String {
        let paths = [
            "/",
            "/metrics",
            "/ready",
            "/api/v1/queries",
            "/api/v1/board",
            "/api/v1/settings",
            "/api/v1/slow",
            "/api/v1/log",
            "/api/v1/models",
        ];
        let pages = paths.map(|path| {
            let (status, body) = self.get(path);
            assert_eq!(status, 200, "{path}: {body}");
            body
        });
        pages.join("\n")
    }

    /// Waits until `/ready` says yes.
    #[track_caller]
    pub fn until_ready(&mut self) {
        self.until_said("metrics and probes at http://", PATIENCE);
        let mut last = String::new();
        let began = Instant::now();
        loop {
            let gone = self.child.try_wait().unwrap();
            if gone.is_none() {
                let (status, body) = self.get("/ready");
                if status == 200 {
                    return;
                }
                last = body;
            }
            assert!(
                gone.is_none() && began.elapsed() < PATIENCE,
                "not ready (ended: {gone:?}): {last}\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A metric's value, the sum over its series whose line holds the text.
    #[track_caller]
    pub fn metric(&mut self, text: &str) -> f64 {
        let (_, body) = self.get("/metrics");
        body.lines()
            .filter(|line| !line.starts_with('#') && line.contains(text))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(libc::SIGTERM);
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(libc::SIGINT);
    }

    /// Sends SIGSTOP: it hangs.
    pub fn pause(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Sends SIGCONT.
    pub fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    /// From now on no file of the process grows beyond this: as if the disk were full. Needs no rights, unlike a small file
    /// system; pipes are no files, so its output flows on.
    pub fn limit_files(&self, bytes: libc::rlim_t) {
        let limit = libc::rlimit {
            rlim_cur: bytes,
            rlim_max: libc::RLIM_INFINITY,
        };
        let pid = i32::try_from(self.pid()).unwrap();
        // SAFETY: sets a limit of a child that is not yet waited for, so its id is still its own; `limit` outlives the call.
        let set = unsafe {
            libc::prlimit(
                pid,
                libc::RLIMIT_FSIZE,
                &raw const limit,
                std::ptr::null_mut(),
            )
        };
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    }

    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: a signal to a child that is not yet waited for, so its id is still its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Kills it with -9 and waits until it is gone.
    #[track_caller]
    pub fn kill(mut self) {
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "it ended by itself:\n{}",
            self.said()
        );
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it runs still.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self, within: Duration) -> Said {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                began.elapsed() < within,
                "{}: it does not end:\n{}",
                too_late(within),
                self.said()
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        self.reader.take().unwrap().join().unwrap();
        Said {
            code: status.code().unwrap_or(-1),
            out: self.out.take().unwrap().join().unwrap(),
            err: self.said(),
            took: self.began.elapsed(),
        }
    }

    /// Sends SIGTERM and waits for a clean end.
    #[track_caller]
    pub fn finish(self) -> Said {
        self.terminate();
        let said = self.end(PATIENCE);
        assert_eq!(said.code, 0, "{}", said.err);
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the command had said:\n{}", self.said());
        }
    }
}
