//! Which records are traced. Pure: the numbers that decide are arguments.

use super::context::{Ids, Incoming, TraceId};

/// What decides where nobody has decided before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// All.
    On,
    /// None.
    Off,
    /// Those whose trace id is below this bound, by its lower 63 bits: the same ones wherever the same share is wanted.
    Below(u64),
}

impl Root {
    /// This share of all, from 0 to 1.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share between 0 and 1"
    )]
    pub fn share(share: f64) -> Self {
        match share {
            share if share >= 1.0 => Self::On,
            share if share > 0.0 => Self::Below((share * (1_u64 << 63) as f64) as u64),
            _ => Self::Off,
        }
    }

    #[inline]
    fn takes(self, low: u64) -> bool {
        match self {
            Self::On => true,
            Self::Off => false,
            Self::Below(bound) => low >> 1 < bound,
        }
    }
}

/// A sampler as OpenTelemetry names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Whether what a record brings decides, where it brings something.
    pub parent_based: bool,
    /// What decides otherwise.
    pub root: Root,
}

impl Sampler {
    /// The trace of a record that is to be traced.
    #[inline]
    pub(crate) fn decide(&self, incoming: Option<&Incoming>, ids: &mut Ids) -> Option<TraceId> {
        if let Some(incoming) = incoming {
            let low = incoming.trace.0 & u128::from(u64::MAX);
            let sampled = match self.parent_based {
                true => incoming.sampled,
                false => self.root.takes(u64::try_from(low).unwrap_or(u64::MAX)),
            };
            return sampled.then_some(incoming.trace);
        }
        if self.root == Root::Off {
            return None;
        }
        let low = ids.draw();
        self.root.takes(low).then(|| ids.trace(low))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::context::{Carried, SpanId};
    use super::*;

    fn incoming(low: u64, sampled: bool) -> Incoming {
        Incoming {
            trace: TraceId(1 << 64 | u128::from(low)),
            span: SpanId(7),
            sampled,
            carried: Carried {
                parent: Arc::from(&b""[..]),
                state: None,
            },
        }
    }

    #[test]
    fn what_a_record_brings_decides_where_it_may() {
        let mut ids = Ids::new();
        for root in [Root::On, Root::Off, Root::share(0.5)] {
            let sampler = Sampler {
                parent_based: true,
                root,
            };
            let yes = incoming(u64::MAX, true);
            assert_eq!(sampler.decide(Some(&yes), &mut ids), Some(yes.trace));
            assert_eq!(sampler.decide(Some(&incoming(1, false)), &mut ids), None);
        }
        let sampler = Sampler {
            parent_based: false,
            root: Root::share(0.5),
        };
        let low = incoming(u64::MAX / 2 - 1, false);
        assert_eq!(sampler.decide(Some(&low), &mut ids), Some(low.trace));
        let high = incoming(u64::MAX / 2 + 2, true);
        assert_eq!(sampler.decide(Some(&high), &mut ids), None);
    }

    #[test]
    fn a_share_is_about_that_share() {
        let mut ids = Ids::new();
        let mut count = |share| {
            let sampler = Sampler {
                parent_based: true,
                root: Root::share(share),
            };
            let traced = (0..100_000).filter(|_| sampler.decide(None, &mut ids).is_some());
            traced.count()
        };
        assert_eq!((count(0.0), count(1.0), count(-1.0)), (0, 100_000, 0));
        let tenth = count(0.1);
        assert!((9_000..11_000).contains(&tenth), "{tenth}");
    }
}
