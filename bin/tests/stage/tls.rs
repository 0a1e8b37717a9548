//! TLS in front of a server that knows none: a front of its own, and the authority that has signed its certificate.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Takes TLS off each connection and hands the bytes on; ends when its standard input does.
const FRONT: &str = r#"
import socket, ssl, sys, threading
host, port = sys.argv[1].split(":")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.pem", "server.key")
listener = socket.create_server(("127.0.0.1", 0))

def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

def serve(plain):
    try:
        inner = context.wrap_socket(plain, server_side=True)
    except OSError:
        return
    behind = socket.create_connection((host, int(port)))
    threading.Thread(target=pump, args=(inner, behind), daemon=True).start()
    pump(behind, inner)

def listen():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

threading.Thread(target=listen, daemon=True).start()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"#;

/// The front. Its certificate is of 127.0.0.1.
pub struct Terminator {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Terminator {
    /// Before the server at this address, `127.0.0.1:PORT`.
    pub fn start(address: &str) -> Self {
        let folder = TempDir::with_prefix("thalweg-tls-").unwrap();
        certificates(folder.path());
        let mut child = Command::new("python3")
            .args(["-c", FRONT, address])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        Self {
            child,
            port: port.trim().parse().unwrap(),
            folder,
        }
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The certificate of who has signed the front's.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files `ca.pem`, `server.key` and `server.pem`.
fn certificates(folder: &Path) {
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.pem \
         && openssl req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr \
         && printf 'subjectAltName=IP:127.0.0.1' > names \
         && openssl x509 -req -days 30 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}
