//! A TCP proxy in front of a server, whose network fails on demand.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// How bytes go between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As they come.
    Open,
    /// Each piece so much later.
    Late(Duration),
    /// Each so-manieth piece ends its connection with a reset.
    Resets(u64),
    /// No connection lives.
    Cut,
    /// Connections live, and nothing goes through them.
    Silent,
    /// Connections live, and what clients say arrives, but no answer comes back.
    Unanswered,
}

struct Network {
    way: Mutex<Way>,
    pieces: AtomicU64,
    /// Connections of an earlier age say nothing any more, and nobody is told.
    age: AtomicU64,
}

pub struct Proxy {
    port: u16,
    network: Arc<Network>,
}

/// How soon a change of the way is noticed.
const LOOK: Duration = Duration::from_millis(10);

impl Proxy {
    /// Before the server at this address, `127.0.0.1:PORT`.
    pub fn start(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = Arc::new(Network {
            way: Mutex::new(Way::Open),
            pieces: AtomicU64::new(0),
            age: AtomicU64::new(0),
        });
        let (shared, address) = (Arc::clone(&network), address.to_owned());
        // Lives as long as the test program.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&address) else {
                    continue;
                };
                let ways = [(&client, &server, false), (&server, &client, true)];
                for (from, to, answers) in ways {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let network = Arc::clone(&shared);
                    std::thread::spawn(move || network.pump(&from, &to, answers));
                }
            }
        });
        Self { port, network }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on bytes go this way.
    pub fn set(&self, way: Way) {
        *self.network.way.lock() = way;
    }

    /// The connections that there are are forgotten on the way: nothing comes through them any more, and neither side is told.
    pub fn forget(&self) {
        self.network.age.fetch_add(1, Ordering::Relaxed);
    }
}

impl Network {
    /// Carries one direction of a connection: what clients say, or the answers.
    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, answers: bool) {
        let age = self.age.load(Ordering::Relaxed);
        from.set_read_timeout(Some(LOOK)).unwrap();
        let mut buffer = [0; 16 << 10];
        loop {
            let way = *self.way.lock();
            let silent = way == Way::Silent || way == Way::Unanswered && answers;
            if silent || self.age.load(Ordering::Relaxed) != age {
                std::thread::sleep(LOOK);
                continue;
            }
            if way == Way::Cut {
                break;
            }
            let length = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    continue;
                }
                Err(_) => break,
            };
            match way {
                Way::Late(by) => std::thread::sleep(by),
                Way::Resets(each)
                    if self.pieces.fetch_add(1, Ordering::Relaxed) % each == each - 1 =>
                {
                    reset_at_close(from);
                    reset_at_close(to);
                    break;
                }
                _ => {}
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// Whoever is at the other end is told by a reset.
fn reset_at_close(stream: &TcpStream) {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: an option of a socket that `stream` owns; `at_once` outlives the call.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const at_once).cast(),
            libc::socklen_t::try_from(size_of::<libc::linger>()).unwrap(),
        );
    }
}
