//! A web server for stories: it keeps what it is sent, and answers as the story says.

#![allow(
    dead_code,
    reason = "shared by several test programs, each of which uses a part"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

/// A request that has come.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The lines before the body, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
    /// The number of the connection that it came on.
    pub(crate) connection: usize,
}

/// What the server does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// A status, more headers (each with its line's end), and a body.
    Status(u16, &'static str, &'static str),
    /// The connection is cut.
    Cut,
    /// Nothing, for as long as the server lives.
    Silence,
}

/// It takes the request.
pub(crate) const TAKEN: Answer = Answer::Status(200, "", "ok");

type Judge = Arc<dyn Fn(usize, &Request) -> Answer + Send + Sync>;

struct Shared {
    judge: Judge,
    requests: Mutex<Vec<Request>>,
    streams: Mutex<Vec<TcpStream>>,
    connections: AtomicUsize,
    gone: AtomicBool,
}

/// The server; gone when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// A server that answers request by request, counted from 0, as `judge` says.
    pub(crate) fn start(judge: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), judge)
    }

    /// The same at this address.
    pub(crate) fn start_at(
        address: SocketAddr,
        judge: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            judge: Arc::new(judge),
            requests: Mutex::default(),
            streams: Mutex::default(),
            connections: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
        });
        Self {
            address: listener.local_addr().unwrap(),
            thread: Some(std::thread::spawn({
                let shared = Arc::clone(&shared);
                move || shared.listen(&listener)
            })),
            shared,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/rows", self.address)
    }

    /// All that has come so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for stream in self.shared.streams.lock().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Shared {
    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        while !self.gone.load(Ordering::Acquire) {
            let Ok((stream, _)) = listener.accept() else {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            };
            stream.set_nonblocking(false).unwrap();
            self.streams.lock().push(stream.try_clone().unwrap());
            let number = self.connections.fetch_add(1, Ordering::Relaxed);
            let shared = Arc::clone(self);
            std::thread::spawn(move || shared.serve(&stream, number));
        }
    }

    /// Serves a connection until either side ends it.
    fn serve(&self, stream: &TcpStream, connection: usize) {
        let mut reader = BufReader::new(stream);
        while let Some((head, body)) = request(&mut reader) {
            let request = Request {
                head,
                body,
                connection,
            };
            let number = {
                let mut requests = self.requests.lock();
                if self.gone.load(Ordering::Acquire) {
                    return;
                }
                requests.push(request.clone());
                requests.len() - 1
            };
            match (self.judge)(number, &request) {
                Answer::Status(status, headers, body) => {
                    let length = body.len();
                    let text = format!(
                        "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
                    );
                    if { stream }.write_all(text.as_bytes()).is_err() {
                        return;
                    }
                }
                Answer::Cut => {
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                    return;
                }
                Answer::Silence => {
                    while !self.gone.load(Ordering::Acquire) {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    return;
                }
            }
        }
    }
}

/// Reads a request; None when the connection has ended.
fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line.to_ascii_lowercase());
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}
