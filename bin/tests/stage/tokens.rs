//! An endpoint that gives tokens as an OpenID Connect provider does, for brokers that take unsigned ones.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The endpoint; it answers until the test program ends.
pub struct Tokens {
    port: u16,
    given: Arc<AtomicUsize>,
}

impl Tokens {
    /// Gives tokens of this life to the client with this id and secret.
    pub fn serve(id: &str, secret: &str, life: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let given = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&given);
        let known = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let subject = id.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = authorization(&stream);
                let (status, body) = if asked.as_deref() == Some(&known) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    ("200 OK", token(&subject, life))
                } else {
                    (
                        "401 Unauthorized",
                        r#"{"error":"invalid_client"}"#.to_owned(),
                    )
                };
                answer(stream, status, &body);
            }
        });
        Self { port, given }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.port)
    }

    /// How many it has given.
    pub fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }
}

/// Reads a request to its end; the value of its header `Authorization`.
fn authorization(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut found, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("authorization") {
            found = Some(value.trim().to_owned());
        } else if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    found
}

fn answer(mut stream: TcpStream, status: &str, body: &str) {
    // A client that has gone needs no answer.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// An unsigned token in the answer of a token endpoint.
fn token(subject: &str, life: Duration) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let until = now + life.as_secs();
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let claims = URL_SAFE_NO_PAD.encode(format!(
        r#"{{"sub":"{subject}","iat":{now},"exp":{until},"scope":"kafka"}}"#
    ));
    format!(
        r#"{{"access_token":"{header}.{claims}.","token_type":"Bearer","expires_in":{}}}"#,
        life.as_secs()
    )
}
