//! The context of a trace, as W3C writes it into headers: `traceparent` and `tracestate`.

use std::ffi::CStr;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::record::Original;

/// The header that names trace and span.
pub const TRACEPARENT: &str = "traceparent";

/// The header that goes with it, unread.
pub const TRACESTATE: &str = "tracestate";

const TRACEPARENT_C: &CStr = c"traceparent";
const TRACESTATE_C: &CStr = c"tracestate";

/// Bytes of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// A longer `tracestate` is left out, as W3C allows.
const STATE_MAX: usize = 512;

/// The id of a trace; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub u128);

/// The id of a span; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub u64);

/// What a record brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) sampled: bool,
    pub(crate) carried: Carried,
}

/// What the rows of a record carry in their headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The header `traceparent`.
    pub parent: Arc<[u8]>,
    /// The header `tracestate`.
    pub state: Option<Arc<[u8]>>,
}

impl Carried {
    /// Of a span that is traced.
    pub(crate) fn of(trace: TraceId, span: SpanId, state: Option<Arc<[u8]>>) -> Self {
        let text = format!("00-{:032x}-{:016x}-01", trace.0, span.0);
        Self {
            parent: Arc::from(text.into_bytes()),
            state,
        }
    }

    /// Bytes of names and values.
    pub fn size(&self) -> usize {
        let state = self.state.as_ref();
        let state = state.map_or(0, |state| TRACESTATE.len() + state.len());
        TRACEPARENT.len() + self.parent.len() + state
    }
}

impl Incoming {
    /// What the headers of a record say; None where they say nothing, or nothing that is a context.
    pub(crate) fn of(original: &Original) -> Option<Self> {
        let parent = original.header(TRACEPARENT_C)?;
        Self::read(parent, || original.header(TRACESTATE_C))
    }

    fn read<'a>(parent: &[u8], state: impl FnOnce() -> Option<&'a [u8]>) -> Option<Self> {
        let text = std::str::from_utf8(parent).ok()?;
        let known = text.get(..LENGTH)?;
        let mut parts = known.split('-');
        let version = hexadecimal(parts.next()?, 2)?;
        // What a later version adds stands behind a dash.
        let fits = match version {
            0 => text.len() == LENGTH,
            0xff => false,
            _ => text.len() == LENGTH || text.as_bytes().get(LENGTH) == Some(&b'-'),
        };
        let trace = hexadecimal(parts.next()?, 32)?;
        let span = u64::try_from(hexadecimal(parts.next()?, 16)?).ok()?;
        let flags = hexadecimal(parts.next()?, 2)?;
        if !fits || trace == 0 || span == 0 || parts.next().is_some() {
            return None;
        }
        let state = state().filter(|state| !state.is_empty() && state.len() <= STATE_MAX);
        Some(Self {
            trace: TraceId(trace),
            span: SpanId(span),
            sampled: flags & 1 == 1,
            carried: Carried {
                parent: Arc::from(parent),
                state: state.map(Arc::from),
            },
        })
    }
}

/// A number of exactly so many digits; W3C wants small letters.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let plain = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
    if text.len() != digits || !text.bytes().all(plain) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

/// Makes ids: numbers that nobody else makes, at the price of a few instructions.
#[derive(Debug)]
pub(crate) struct Ids(u64);

impl Ids {
    /// With a beginning that the system draws.
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(std::process::id()))
    }

    /// For the parts of a span: what follows from its own id.
    pub(crate) fn of(span: SpanId) -> Self {
        Self(span.0)
    }

    /// The next number (`SplitMix64`).
    #[inline]
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The id of a new trace whose lower half was drawn already.
    pub(crate) fn trace(&mut self, low: u64) -> TraceId {
        TraceId(u128::from(self.draw()) << 64 | u128::from(low.max(1)))
    }

    /// The id of a new span.
    pub(crate) fn span(&mut self) -> SpanId {
        SpanId(self.draw().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(text: &str) -> Option<Incoming> {
        Incoming::read(text.as_bytes(), || Some(b"congo=t61rcWkgMzE"))
    }

    #[test]
    fn a_context_is_read_as_w3c_writes_it() {
        let incoming = read(PARENT).unwrap();
        assert_eq!(incoming.trace.0, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(incoming.span.0, 0x00f0_67aa_0ba9_02b7);
        assert!(incoming.sampled);
        assert_eq!(&*incoming.carried.parent, PARENT.as_bytes());
        let carried = Carried::of(
            incoming.trace,
            incoming.span,
            incoming.carried.state.clone(),
        );
        assert_eq!(carried, incoming.carried);
        assert!(!read(&PARENT.replace("-01", "-00")).unwrap().sampled);
        assert!(read(&PARENT.replace("-01", "-03")).unwrap().sampled);
    }

    #[test]
    fn a_later_version_may_say_more_and_what_is_no_context_is_none() {
        assert!(read(&format!("cc{}-more", &PARENT[2..])).is_some());
        for wrong in [
            "",
            "hello",
            &PARENT[..54],
            &format!("{PARENT}-more"),
            &format!("ff{}", &PARENT[2..]),
            &format!("cc{}more", &PARENT[2..]),
            &PARENT.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7+01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_state_that_is_too_long_is_left_out() {
        let long = vec![b'a'; STATE_MAX + 1];
        let incoming = Incoming::read(PARENT.as_bytes(), || Some(&long)).unwrap();
        assert_eq!(incoming.carried.state, None);
    }

    #[test]
    fn ids_differ() {
        let mut ids = Ids::new();
        let drawn: std::collections::BTreeSet<u64> = (0..1_000).map(|_| ids.draw()).collect();
        assert_eq!(drawn.len(), 1_000);
        assert_ne!(ids.trace(0).0, 0);
    }
}
