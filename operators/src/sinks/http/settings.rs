//! The options of the `http` sink.

use std::time::Duration;

use thalweg_engine::error::Failure;
use thalweg_engine::schema::Schema;
use ureq::http::{HeaderName, HeaderValue, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::codecs::json;
use crate::job_error::JobError;
use crate::table::{OptionKind, OptionSpec, Table, parse_duration};

/// The options of the sink.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "url",
        kind: OptionKind::Text,
        default: "",
        example: "https://example.com/rows?key=${KEY}",
        about: "Where rows are posted to, http or https. Required. A user and a password before the host become basic authentication; neither they nor what \
                follows a `?` is shown anywhere.",
    },
    OptionSpec {
        name: "headers",
        kind: OptionKind::Text,
        default: "",
        example: "Authorization: Bearer ${file:/run/secrets/token}",
        about: "Headers of each request, `Name: value`, a line for each. Never shown; a file that changes is read anew. `Content-Type` is `application/json` unless it stands here. Those of the \
                connection and of the body's length are written by the client and refused here.",
    },
    OptionSpec {
        name: "caFile",
        kind: OptionKind::Text,
        default: "",
        example: "/etc/ssl/own-ca.pem",
        about: "A file with the certificates (PEM) of the authorities that a server's certificate may be signed by, instead of those that the machine trusts. Read at each start.",
    },
    OptionSpec {
        name: "format",
        kind: OptionKind::OneOf(&["json"]),
        default: "json",
        example: "json",
        about: "How rows are written: as JSON objects, as `to_json` writes them; fields that are NULL are left out.",
    },
    OptionSpec {
        name: "batchSize",
        kind: OptionKind::Whole(1, 10_000),
        default: "1",
        example: "100",
        about: "At most this many rows in a request. With 1 a request is a JSON object, with more always an array of objects, also of one: of what has come while the request \
                before was under way, nothing waits for a batch to fill.",
    },
    OptionSpec {
        name: "timeout",
        kind: OptionKind::Duration,
        default: "30 seconds",
        example: "5 seconds",
        about: "How long is waited for the status of an answer, from the connection on, before the request is repeated. Once it is there it counts: the rest of an answer that has not come by then is not waited for.",
    },
    OptionSpec {
        name: "retryInterval",
        kind: OptionKind::Duration,
        default: "200 ms",
        example: "1 second",
        about: "The pause before a request is repeated for the first time, doubled each time. Where the server sends Retry-After, that counts, up to an hour.",
    },
    OptionSpec {
        name: "maxRetryInterval",
        kind: OptionKind::Duration,
        default: "10 seconds",
        example: "1 minute",
        about: "The longest such pause.",
    },
];

/// Headers that the client writes itself: with others of these names it sends nothing, or what no server understands.
const OWN: [&str; 6] = [
    "connection",
    "content-length",
    "expect",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// How long a connection may take to come about. A stop waits for that, for nothing else of a request.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Connections that are kept: one for each lane.
const KEPT_MAX: usize = 4096;

/// What the options say.
pub(super) struct Settings {
    pub(super) url: String,
    /// The URL for messages.
    pub(super) shown: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Where the trusted authorities stand, where they are not the machine's.
    pub(super) ca_file: Option<String>,
    pub(super) batch_size: usize,
    pub(super) timeout: Duration,
    pub(super) retry_interval: Duration,
    pub(super) retry_interval_max: Duration,
}

/// Checks the table and the rows that will be written.
///
/// # Errors
/// With the place in the job file.
pub fn check(table: &Table, input: &Schema) -> Result<(), JobError> {
    for field in input.fields.iter() {
        if let Some(reason) = json::unsupported(&field.data_type) {
            return Err(JobError::new(
                table.at,
                format!(
                    "column `{}` cannot be written as JSON to table `{}`: {reason}",
                    field.name, table.name
                ),
            ));
        }
    }
    Settings::of(table).map(|_| ())
}

/// A URL without user, password and query, for messages.
pub(crate) fn shown_url(url: &str) -> String {
    let Ok(uri) = url.trim().parse::<Uri>() else {
        return "******".to_owned();
    };
    let scheme = uri.scheme_str().unwrap_or("http");
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{}", uri.path())
}

impl Settings {
    pub(super) fn of(table: &Table) -> Result<Self, JobError> {
        let options = &table.options;
        options.verify("http", OPTIONS)?;
        let url = options.get("url").unwrap_or_default().trim();
        if url.is_empty() {
            return Err(JobError::new(
                table.at,
                "a table `USING http` needs the option `url`",
            ));
        }
        let proper = url.parse::<Uri>().is_ok_and(|uri| {
            uri.host().is_some_and(|host| !host.is_empty())
                && matches!(uri.scheme_str(), Some("http" | "https"))
        });
        if !proper {
            return Err(JobError::new(
                options.at("url", table.at),
                "option `url` takes an address such as 'https://example.com/rows'",
            ));
        }
        let duration = |name: &str, default: u64| {
            let given = options.get(name).and_then(parse_duration);
            let duration = given.unwrap_or(Duration::from_millis(default));
            if duration.is_zero() {
                return Err(JobError::new(
                    options.at(name, table.at),
                    format!("option `{name}` takes a duration of more than nothing"),
                ));
            }
            Ok(duration)
        };
        let batch_size = options.whole("batchSize").unwrap_or(1);
        Ok(Self {
            shown: shown_url(url),
            url: url.to_owned(),
            headers: headers(table)?,
            ca_file: ca_file(table, url)?,
            batch_size: usize::try_from(batch_size).unwrap_or(1),
            timeout: duration("timeout", 30_000)?,
            retry_interval: duration("retryInterval", 200)?,
            retry_interval_max: duration("maxRetryInterval", 10_000)?,
        })
    }

    /// How long a connection may take to come about.
    pub(super) fn connect_timeout(&self) -> Duration {
        CONNECT_MAX.min(self.timeout)
    }

    /// The client that all lanes share.
    ///
    /// # Errors
    /// Where the file of authorities cannot be read.
    pub(super) fn agent(&self) -> Result<ureq::Agent, Failure> {
        let trusted = match &self.ca_file {
            Some(path) => authorities(path)?,
            None => RootCerts::PlatformVerifier,
        };
        let tls = TlsConfig::builder()
            .provider(TlsProvider::NativeTls)
            .root_certs(trusted)
            .build();
        Ok(ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // A redirected POST would become a GET without its rows.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(self.timeout))
            .timeout_resolve(Some(self.connect_timeout()))
            .timeout_connect(Some(self.connect_timeout()))
            .max_idle_connections(KEPT_MAX)
            .max_idle_connections_per_host(KEPT_MAX)
            .user_agent(concat!("thalweg/", env!("CARGO_PKG_VERSION")))
            .build()
            .into())
    }
}

/// The file of `caFile`, which is of use with https alone.
fn ca_file(table: &Table, url: &str) -> Result<Option<String>, JobError> {
    let Some(entry) = table.options.entry("caFile") else {
        return Ok(None);
    };
    let path = entry.value.trim();
    let wrong = |what: &str| JobError::new(entry.at, format!("option `caFile` {what}"));
    if path.is_empty() {
        return Err(wrong("takes the path of a file"));
    }
    if !url.to_ascii_lowercase().starts_with("https:") {
        return Err(wrong(
            "is of a server that is reached by https, and `url` says http",
        ));
    }
    Ok(Some(path.to_owned()))
}

/// The certificates of a file. Read at each start of a run, so that a new file counts from then on.
fn authorities(path: &str) -> Result<RootCerts, Failure> {
    let refuse = |what: String| Failure::refuse(format!("caFile {path}: {what}"));
    let bytes = std::fs::read(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&bytes) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(refuse(format!("is no PEM: {error}"))),
        }
    }
    if certificates.is_empty() {
        return Err(refuse("holds no certificate in PEM".to_owned()));
    }
    Ok(RootCerts::from(certificates))
}

/// The headers of each request. No message shows a value: it may be a secret.
fn headers(table: &Table) -> Result<Vec<(HeaderName, HeaderValue)>, JobError> {
    let mut headers = Vec::new();
    let lines = table.options.get("headers").unwrap_or_default().lines();
    for (number, line) in lines
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let refused = |what: &str| {
            JobError::new(
                table.options.at("headers", table.at),
                format!(
                    "option `headers` takes `Name: value`, a line for each; line {} {what}",
                    number + 1
                ),
            )
        };
        let (name, value) = line.split_once(':').ok_or_else(|| refused("has no `:`"))?;
        let name: HeaderName = name
            .trim()
            .parse()
            .map_err(|_| refused("has no name of a header before its `:`"))?;
        if OWN.contains(&name.as_str()) {
            let own = format!("has `{name}`, which the client writes itself: leave it out");
            return Err(refused(&own));
        }
        let value: HeaderValue = value
            .trim()
            .parse()
            .map_err(|_| refused("has characters that no header may have"))?;
        headers.push((name, value));
    }
    if !headers.iter().any(|(name, _)| name == "content-type") {
        let json = HeaderValue::from_static("application/json");
        headers.push((HeaderName::from_static("content-type"), json));
    }
    Ok(headers)
}
