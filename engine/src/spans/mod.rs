//! Traces for others: spans of sampled records and of epochs, in the terms of OpenTelemetry, for whoever exports them.
//!
//! ```text
//!   record ──► incoming context? sampled? ──no──► its rows carry the incoming context on, if there is one
//!                        │ yes
//!                        ▼
//!        open: its rows carry the context of its span ──► delivered ──► span with its stages ──► Tracer's queue ──► exporter
//!   epoch: marker ──► all reported ──► committed ─────────────────────► span with both parts ──────────▲
//! ```
//!
//! Off unless a query's recorder is given a [`Tracer`]. The row path never waits: what the queue has no room for is left out
//! and counted, and a record is not begun while there is none.

mod context;
mod epochs;
mod lane;
mod sampler;
mod tracer;

pub(crate) use context::Ids;
pub use context::{Carried, SpanId, TRACEPARENT, TRACESTATE, TraceId};
pub(crate) use epochs::EpochSpans;
pub(crate) use lane::LaneSpans;
pub use sampler::{Root, Sampler};
pub use tracer::Tracer;

use std::sync::Arc;

use smol_str::SmolStr;

use crate::record::Micros;

/// What a span is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A part of another one.
    Internal,
    /// A record that somebody else has sent.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(SmolStr),
    /// A number.
    Number(i64),
}

/// A span that is over.
#[derive(Clone, Debug)]
pub struct Span {
    /// What was done.
    pub name: SmolStr,
    /// What it is to others.
    pub kind: Kind,
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// Its id.
    pub id: SpanId,
    /// The span that it is a part of, or that has caused it.
    pub parent: Option<SpanId>,
    /// The `tracestate` that came with its trace.
    pub state: Option<Arc<[u8]>>,
    /// When it began.
    pub begin: Micros,
    /// When it was over.
    pub end: Micros,
    /// What else is known of it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Why it failed.
    pub error: Option<String>,
}
