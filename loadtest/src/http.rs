//! The HTTP of a command that is measured: an address that it may take, and a question to it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::failure::{Failure, Result};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An address for `{http}` that was free a moment ago: nobody else takes it on a quiet machine.
pub(crate) fn address() -> Result<String> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound
        .map(|address| address.to_string())
        .map_err(|e| Failure::io("a port for {http}", &e))
}

/// What the command at this address answers to a method and a path, `GET /metrics`: head and body.
pub(crate) fn ask(http: &str, question: &str) -> Result<String> {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(http)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{question} HTTP/1.0\r\nHost: {http}\r\nContent-Length: 0\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    asked().map_err(|e| Failure::io(format!("{question} at {http}"), &e))
}
