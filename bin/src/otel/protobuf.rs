//! Spans as OTLP writes them in protobuf: a few messages of plain fields, so they are written by hand.
//!
//! The numbers are those of `opentelemetry/proto/collector/trace/v1` and what it is made of.

use thalweg_engine::spans::{Attribute, Span};

use super::collector::{ERROR, SCOPE, flags, kind, nanos};

const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
const FIXED_32: u8 = 5;

/// The body of a request.
pub(super) fn request(resource: &[(String, String)], version: &str, spans: &[Span]) -> Vec<u8> {
    let mut body = Vec::new();
    message(&mut body, 1, |resource_spans| {
        message(resource_spans, 1, |out| {
            for (key, value) in resource {
                attribute(out, 1, key, |any| bytes(any, 1, value.as_bytes()));
            }
        });
        message(resource_spans, 2, |scope_spans| {
            message(scope_spans, 1, |scope| {
                bytes(scope, 1, SCOPE.as_bytes());
                bytes(scope, 2, version.as_bytes());
            });
            for known in spans {
                message(scope_spans, 2, |out| span(out, known));
            }
        });
    });
    body
}

fn span(out: &mut Vec<u8>, span: &Span) {
    bytes(out, 1, &span.trace.0.to_be_bytes());
    bytes(out, 2, &span.id.0.to_be_bytes());
    if let Some(state) = &span.state {
        bytes(out, 3, String::from_utf8_lossy(state).as_bytes());
    }
    if let Some(parent) = span.parent {
        bytes(out, 4, &parent.0.to_be_bytes());
    }
    bytes(out, 5, span.name.as_bytes());
    number(out, 6, kind(span));
    for (field, time) in [(7, span.begin), (8, span.end)] {
        head(out, field, FIXED_64);
        out.extend_from_slice(&nanos(time).to_le_bytes());
    }
    for (key, value) in &span.attributes {
        attribute(out, 9, key, |any| match value {
            Attribute::Text(text) => bytes(any, 1, text.as_bytes()),
            Attribute::Number(value) => number(any, 3, value.cast_unsigned()),
        });
    }
    if let Some(error) = &span.error {
        message(out, 15, |status| {
            bytes(status, 2, error.as_bytes());
            number(status, 3, ERROR);
        });
    }
    head(out, 16, FIXED_32);
    out.extend_from_slice(&flags(span).to_le_bytes());
}

fn attribute(out: &mut Vec<u8>, field: u32, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    message(out, field, |pair| {
        bytes(pair, 1, key.as_bytes());
        message(pair, 2, value);
    });
}

fn head(out: &mut Vec<u8>, field: u32, kind: u8) {
    varint(out, u64::from(field << 3 | u32::from(kind)));
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    head(out, field, VARINT);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    head(out, field, BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A message within another: its length stands before it, so it is written aside.
fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    bytes(out, field, &inner);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}
