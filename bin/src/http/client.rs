//! Asking a running job over HTTP, for commands that show what it does.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::http::token;
use crate::refusal::Refusal;

/// How long the job may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer is no longer than this.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How a job says no.
#[derive(Deserialize)]
struct Said {
    error: String,
}

/// A job that is asked.
pub(crate) struct Client {
    url: String,
    /// HOST:PORT.
    address: String,
    token: Option<String>,
}

impl Client {
    /// The job at this address, asked with the first token of this file.
    ///
    /// # Errors
    /// When it is no address, or the file holds no token.
    pub(crate) fn new(url: &str, token_file: Option<&Path>) -> Result<Self, Refusal> {
        let address = url.strip_prefix("http://").unwrap_or(url);
        let address = address.trim_end_matches('/');
        let port = address.rsplit_once(':').map(|(_, port)| port);
        if address.contains('/') || port.is_none_or(|port| port.parse::<u16>().is_err()) {
            return Err(Refusal::new(format!(
                "{url}: write http://HOST:PORT or HOST:PORT, where the job serves HTTP (`thalweg run --http HOST:PORT`)"
            )));
        }
        let token = token_file.map(token::first).transpose();
        Ok(Self {
            url: format!("http://{address}"),
            address: address.to_owned(),
            token: token.map_err(|why| Refusal::new(format!("--token-file: {why}")))?,
        })
    }

    fn silent(&self, why: &str) -> Refusal {
        Refusal::new(format!(
            "no job answers at {}: {why}. Is it running, and is that the address of its --http?",
            self.url
        ))
    }

    /// The body of an answer with status 200.
    ///
    /// # Errors
    /// When nothing answers there, or it answers otherwise.
    pub(crate) fn get(&self, path: &str) -> Result<String, Refusal> {
        self.answered("GET", path)
    }

    /// The body of an answer that says that it was done, or will be.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) fn post(&self, path: &str) -> Result<String, Refusal> {
        self.answered("POST", path)
    }

    fn answered(&self, method: &str, path: &str) -> Result<String, Refusal> {
        let answer = self
            .ask(method, path)
            .map_err(|error| self.silent(&error.to_string()))?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .ok_or_else(|| self.silent("what is there does not speak HTTP"))?;
        match head.split_whitespace().nth(1) {
            Some("200" | "202") => Ok(body.to_owned()),
            Some("401") => Err(Refusal::new(format!(
                "the job at {} asks for a token: give a file that holds one of its tokens with --token-file FILE",
                self.url
            ))),
            Some("404") => {
                let path = path.split('?').next().unwrap_or_default();
                Err(self.silent(&format!(
                    "what is there does not know {path}: another program, or another version of thalweg"
                )))
            }
            status => {
                let status = status.unwrap_or("?");
                let said = serde_json::from_str::<Said>(body);
                Err(match said {
                    Ok(said) => Refusal::new(format!(
                        "the job at {} says no (status {status}): {}",
                        self.url, said.error
                    )),
                    Err(_) => self.silent(&format!(
                        "what is there answers with the status {status}, and not as a thalweg does"
                    )),
                })
            }
        }
    }

    fn ask(&self, method: &str, path: &str) -> std::io::Result<Vec<u8>> {
        let known = self.address.to_socket_addrs()?.next();
        let known = known.ok_or_else(|| std::io::Error::other("the name has no address"))?;
        let mut stream = TcpStream::connect_timeout(&known, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let token = self.token.as_ref();
        let token = token.map_or_else(String::new, |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {}\r\n{token}Content-Length: 0\r\nConnection: close\r\n\r\n",
            self.address
        )?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused() {
        for url in [
            "127.0.0.1",
            "https://a:1",
            "http://",
            "http://a:1/x",
            "a:b",
            "",
        ] {
            let said = Client::new(url, None).err().unwrap();
            assert!(said.message().contains("write http://HOST:PORT"), "{url}");
        }
    }

    #[test]
    fn the_address_of_run_is_one_too() {
        for url in [
            "127.0.0.1:9464",
            "http://127.0.0.1:9464",
            "http://127.0.0.1:9464/",
            "[::1]:9464",
        ] {
            assert!(Client::new(url, None).is_ok(), "{url}");
        }
    }
}
