//! The thread that posts for a lane: one request after the other, each until it is taken.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use parking_lot::Mutex;
use thalweg_engine::error::Failure;
use thalweg_engine::source::Health;
use ureq::{Error, Timeout};

use super::answer::{Verdict, beginning, pause, retry_after, verdict};
use super::lane::{Lane, Waiting};
use super::settings::Settings;

/// Of an answer so much is kept for a message.
const KEPT_MAX: u64 = 2048;
/// Of an answer so much is read to keep the connection; a longer one costs the connection.
const READ_MAX: u64 = 256 * 1024;

/// Which lanes have a request that the server did not take yet, and why.
#[derive(Default)]
pub(super) struct Trouble(Mutex<BTreeMap<String, String>>);

impl Trouble {
    pub(super) fn health(&self) -> Health {
        match self.0.lock().values().next() {
            None => Health::Up,
            Some(reason) => Health::Down(reason.clone()),
        }
    }

    fn begins(&self, lane: &str, reason: &str) {
        self.0.lock().insert(lane.to_owned(), reason.to_owned());
    }

    fn ends(&self, lane: &str) {
        self.0.lock().remove(lane);
    }
}

/// Why a request was not taken.
enum Miss {
    /// It may be later, after this pause where the server asks for one.
    Later(String, Option<Duration>),
    /// It never will be.
    Never(String),
}

/// What the thread of a lane knows.
pub(super) struct Poster {
    pub(super) lane: Arc<Lane>,
    pub(super) name: String,
    pub(super) agent: ureq::Agent,
    pub(super) settings: Arc<Settings>,
    pub(super) trouble: Arc<Trouble>,
}

impl Poster {
    /// Posts until the lane is closed or a row is refused.
    pub(super) fn run(&self) {
        while let Some(batch) = self.lane.next(self.settings.batch_size) {
            let taken = self.deliver(&batch);
            self.trouble.ends(&self.name);
            match taken {
                Ok(true) => self.lane.acknowledge(&batch),
                Ok(false) => return,
                Err(failure) => {
                    self.lane.fail(&failure);
                    return;
                }
            }
        }
    }

    /// Repeats the request of these rows until it is taken. False when the lane was closed before.
    fn deliver(&self, batch: &[Waiting]) -> Result<bool, Failure> {
        let body = self.body(batch);
        let mut failed = 0_u32;
        loop {
            let (reason, asked) = match self.post(&body) {
                Ok(()) => return Ok(true),
                Err(Miss::Never(reason)) => return Err(Failure::end(reason)),
                Err(Miss::Later(reason, asked)) => (reason, asked),
            };
            failed = failed.saturating_add(1);
            self.trouble.begins(&self.name, &reason);
            let own = pause(
                failed,
                self.settings.retry_interval,
                self.settings.retry_interval_max,
            );
            // A server that asks for no pause must not be asked in a tight loop.
            if self
                .lane
                .pause(asked.unwrap_or(own).max(self.settings.retry_interval))
            {
                return Ok(false);
            }
        }
    }

    fn body(&self, batch: &[Waiting]) -> Vec<u8> {
        let mut body = Vec::new();
        if self.settings.batch_size == 1 {
            for row in batch {
                body.extend_from_slice(&row.body);
            }
            return body;
        }
        for (number, row) in batch.iter().enumerate() {
            body.push(if number == 0 { b'[' } else { b',' });
            body.extend_from_slice(&row.body);
        }
        body.push(b']');
        body
    }

    fn post(&self, body: &[u8]) -> Result<(), Miss> {
        let shown = &self.settings.shown;
        let mut request = self.agent.post(&self.settings.url);
        for (name, value) in &self.settings.headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body).map_err(|error| {
            let why = unsent(&error, &self.settings);
            Miss::Later(format!("{shown} cannot be posted to: {why}"), None)
        })?;
        let status = response.status();
        let asked = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after(value, Utc::now()));
        let verdict = verdict(status.as_u16());
        // Read to its end, so that the connection can be used again. What cannot be read changes nothing: the status counts.
        let mut answer = response.body_mut().as_reader().take(READ_MAX);
        let mut kept = Vec::new();
        let _ = answer.by_ref().take(KEPT_MAX).read_to_end(&mut kept);
        let _ = std::io::copy(&mut answer, &mut std::io::sink());
        let said = match beginning(&kept) {
            nothing if nothing.is_empty() => String::new(),
            words => format!(": {words}"),
        };
        match verdict {
            Verdict::Taken => Ok(()),
            Verdict::Later => Err(Miss::Later(
                format!("{shown} answers {status}{said}"),
                asked,
            )),
            Verdict::Never if status.is_redirection() => Err(Miss::Never(format!(
                "{shown} answers {status}, and a POST is not sent elsewhere: give the `url` that it leads to"
            ))),
            Verdict::Never => Err(Miss::Never(format!(
                "{shown} refuses rows of the output, it answers {status}{said}"
            ))),
        }
    }
}

/// Why a request came to no answer, with the option to look at where the client's own words name none.
fn unsent(error: &Error, settings: &Settings) -> String {
    match error {
        Error::Timeout(Timeout::Global) => {
            let timeout = settings.timeout;
            format!("it has not answered within {timeout:?}, the option `timeout`")
        }
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
            let timeout = settings.connect_timeout();
            format!("no connection has come about within {timeout:?}")
        }
        Error::NativeTls(said) => by_tls(&said.to_string(), settings.ca_file.as_deref()),
        other => other.to_string(),
    }
}

/// What the TLS library says, in words for whoever has to mend it.
fn by_tls(said: &str, ca_file: Option<&str>) -> String {
    if said.contains("certificate verify failed") {
        let why = said
            .rsplit_once('(')
            .map_or(said, |(_, why)| why.trim_end_matches(')'));
        let trusted = match ca_file {
            Some(path) => format!("those in the file {path} of the option `caFile`"),
            None => "those of this machine, or where SSL_CERT_FILE names a file those in it; the option `caFile` names \
                     others for this table"
                .to_owned(),
        };
        return format!(
            "the certificate of the server is not trusted ({why}): it must be of the host in `url`, and signed by one of the trusted \
             authorities: {trusted}"
        );
    }
    if said.contains("wrong version number") {
        return "the server does not speak TLS there: check the port in `url`, and whether it is http://"
            .to_owned();
    }
    format!("no connection by TLS: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_with_the_options_that_help() {
        let verify = "error:0A000086:SSL routines:f:certificate verify failed:../a.c:1: (self-signed certificate)";
        let said = by_tls(verify, None);
        for part in [
            "is not trusted (self-signed certificate)",
            "SSL_CERT_FILE",
            "`caFile`",
        ] {
            assert!(said.contains(part), "{said}");
        }
        let said = by_tls(verify, Some("/ca.pem"));
        assert!(
            said.ends_with("the file /ca.pem of the option `caFile`"),
            "{said}"
        );
        assert!(by_tls("e:wrong version number:c", None).contains("does not speak TLS"));
        assert!(by_tls("e: another", None).ends_with("e: another"));
    }
}
