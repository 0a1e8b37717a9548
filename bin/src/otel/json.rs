//! Spans as OTLP writes them in JSON: ids in hexadecimal digits, large numbers as text.

use serde_json::{Value, json};
use thalweg_engine::spans::{Attribute, Span};

use super::collector::{ERROR, SCOPE, VERSION, flags, kind, nanos};

/// The body of a request.
pub(super) fn request(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let resource = resource.iter();
    let resource: Vec<Value> = resource
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect();
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": SCOPE, "version": VERSION},
            "spans": spans,
        }],
    }]})
    .to_string()
    .into_bytes()
}

fn span(span: &Span) -> Value {
    let attributes = span.attributes.iter();
    let attributes: Vec<Value> = attributes
        .map(|(key, value)| {
            let value = match value {
                Attribute::Text(text) => json!({"stringValue": text.as_str()}),
                Attribute::Number(number) => json!({"intValue": number.to_string()}),
            };
            json!({"key": key, "value": value})
        })
        .collect();
    let mut written = json!({
        "traceId": format!("{:032x}", span.trace.0),
        "spanId": format!("{:016x}", span.id.0),
        "name": span.name.as_str(),
        "kind": kind(span),
        "flags": flags(span),
        "startTimeUnixNano": nanos(span.begin).to_string(),
        "endTimeUnixNano": nanos(span.end).to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = span.parent {
        written["parentSpanId"] = format!("{:016x}", parent.0).into();
    }
    if let Some(state) = &span.state {
        written["traceState"] = String::from_utf8_lossy(state).into();
    }
    if let Some(error) = &span.error {
        written["status"] = json!({"code": ERROR, "message": error});
    }
    written
}
