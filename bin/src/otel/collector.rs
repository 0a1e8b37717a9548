//! The collector: spans are posted to it, and it says whether it takes them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use thalweg_engine::record::Micros;
use thalweg_engine::spans::{Kind, Span};
use ureq::http::{HeaderName, HeaderValue};
use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use super::settings::{Protocol, Settings};
use super::{json, protobuf};

/// Who has made the spans.
pub(super) const SCOPE: &str = "thalweg";

/// And of which version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The code of a status that says that something failed.
pub(super) const ERROR: u64 = 2;

/// The number of a span's kind.
pub(super) fn kind(span: &Span) -> u64 {
    match span.kind {
        Kind::Internal => 1,
        Kind::Consumer => 5,
    }
}

/// The flags of a span: that it is sampled, and whether its parent is in another process.
pub(super) fn flags(span: &Span) -> u32 {
    let remote = span.kind == Kind::Consumer && span.parent.is_some();
    0x101 | if remote { 0x200 } else { 0 }
}

/// A time in nanoseconds.
pub(super) fn nanos(time: Micros) -> u64 {
    u64::try_from(time).unwrap_or(0).saturating_mul(1_000)
}

/// Why a batch was not taken.
pub(super) struct Refused {
    pub(super) why: String,
    /// Whether it may be taken later.
    pub(super) passes: bool,
}

/// How it is spoken to.
pub(super) struct Collector {
    agent: ureq::Agent,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    protocol: Protocol,
    gzip: bool,
    resource: Vec<(String, String)>,
}

impl Collector {
    /// The one that the settings name.
    ///
    /// # Errors
    /// When the file of authorities cannot be used.
    pub(super) fn of(settings: &Settings) -> Result<Self, String> {
        let roots = match &settings.authorities {
            Some(path) => authorities(path)?,
            None => RootCerts::PlatformVerifier,
        };
        let tls = TlsConfig::builder()
            .provider(TlsProvider::NativeTls)
            .root_certs(roots)
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(settings.timeout))
            .user_agent(concat!("thalweg/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Ok(Self {
            agent,
            url: settings.url.clone(),
            headers: settings.headers.clone(),
            protocol: settings.protocol,
            gzip: settings.gzip,
            resource: settings.resource.clone(),
        })
    }

    /// Posts a batch.
    ///
    /// # Errors
    /// When it is not taken.
    pub(super) fn send(&self, spans: &[Span]) -> Result<(), Refused> {
        let (mut body, kind) = match self.protocol {
            Protocol::Protobuf => (
                protobuf::request(&self.resource, VERSION, spans),
                "application/x-protobuf",
            ),
            Protocol::Json => (json::request(&self.resource, spans), "application/json"),
        };
        let mut request = self.agent.post(&self.url).content_type(kind);
        if self.gzip {
            body = zipped(&body).map_err(|error| Refused {
                why: error.to_string(),
                passes: false,
            })?;
            request = request.header("Content-Encoding", "gzip");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut answer = request.send(&body).map_err(|error| Refused {
            why: error.to_string(),
            passes: true,
        })?;
        let status = answer.status().as_u16();
        // Read to its end, so that the connection is used again.
        let _ = answer.body_mut().read_to_vec();
        if (200..300).contains(&status) {
            return Ok(());
        }
        Err(Refused {
            why: format!("it answers {status}"),
            passes: matches!(status, 429 | 502 | 503 | 504),
        })
    }
}

fn zipped(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

fn authorities(path: &str) -> Result<RootCerts, String> {
    let refuse = |what: &str| format!("OTEL_EXPORTER_OTLP_CERTIFICATE {path}: {what}");
    let bytes = std::fs::read(path).map_err(|error| refuse(&format!("cannot be read: {error}")))?;
    let certificates: Vec<_> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(refuse("holds no certificate in PEM"));
    }
    Ok(RootCerts::from(certificates))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::Arc;

    use thalweg_engine::spans::{Attribute, SpanId, TraceId};

    use super::*;

    fn span() -> Span {
        Span {
            name: "process in".into(),
            kind: Kind::Consumer,
            trace: TraceId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
            id: SpanId(0x1112),
            parent: Some(SpanId(0x2122)),
            state: Some(Arc::from(&b"a=1"[..])),
            begin: 1_700_000_000_000_001,
            end: 1_700_000_000_000_003,
            attributes: vec![
                ("text", Attribute::Text("t".into())),
                ("number", Attribute::Number(-3)),
            ],
            error: Some("decode: no object".to_owned()),
        }
    }

    #[test]
    fn a_span_in_json_is_as_the_standard_writes_it() {
        let resource = [("service.name".to_owned(), "points".to_owned())];
        let body = json::request(&resource, &[span()]);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let all = &body["resourceSpans"][0];
        assert_eq!(
            all["resource"]["attributes"][0]["value"]["stringValue"],
            "points"
        );
        assert_eq!(
            all["scopeSpans"][0]["spans"][0],
            serde_json::json!({
                "traceId": "0102030405060708090a0b0c0d0e0f10",
                "spanId": "0000000000001112",
                "parentSpanId": "0000000000002122",
                "traceState": "a=1",
                "name": "process in",
                "kind": 5,
                "flags": 0x301,
                "startTimeUnixNano": "1700000000000001000",
                "endTimeUnixNano": "1700000000000003000",
                "attributes": [
                    {"key": "text", "value": {"stringValue": "t"}},
                    {"key": "number", "value": {"intValue": "-3"}},
                ],
                "status": {"code": 2, "message": "decode: no object"},
            })
        );
    }

    /// As `opentelemetry-proto` for Python writes the same request.
    const WRITTEN: &str = concat!(
        "0ac0010a1a0a180a0c736572766963652e6e616d6512080a06706f696e747312a1010a100a077468616c7765671205302e31",
        "2e30128c010a100102030405060708090a0b0c0d0e0f10120800000000000011121a03613d31220800000000000021222a0a",
        "70726f6365737320696e300539e8032a36fe9c971741b80b2a36fe9c97174a0b0a047465787412030a01744a150a066e756d",
        "626572120b18fdffffffffffffffff017a1512116465636f64653a206e6f206f626a6563741802850101030000",
    );

    #[test]
    fn a_span_in_protobuf_is_byte_for_byte_what_others_write() {
        let resource = [("service.name".to_owned(), "points".to_owned())];
        let body = protobuf::request(&resource, "0.1.0", &[span()]);
        let mut written = String::new();
        for byte in body {
            let _ = write!(written, "{byte:02x}");
        }
        assert_eq!(written, WRITTEN);
    }
}
