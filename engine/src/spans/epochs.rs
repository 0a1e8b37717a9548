//! The spans of epochs: from the marker until all lanes have reported, and until the checkpoint is on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;

use super::context::{Ids, SpanId, TraceId};
use super::{Attribute, Kind, Span, Tracer};
use crate::clock::now;
use crate::record::Micros;

/// What the ends of spans whose epochs were not committed say.
const NOT_COMMITTED: &str = "the run ended before it was committed";

/// An epoch that is not committed yet.
struct Open {
    begin: Micros,
    lanes: usize,
    /// When the last report came, and from which lane.
    reported: Option<(Micros, SmolStr)>,
}

/// The spans of one run's epochs.
pub(crate) struct EpochSpans {
    /// None where epochs are not traced.
    tracer: Option<Arc<Tracer>>,
    query: SmolStr,
    ids: Ids,
    open: BTreeMap<u64, Open>,
}

impl EpochSpans {
    pub(crate) fn new(tracer: Option<Arc<Tracer>>, query: &str) -> Self {
        Self {
            tracer: tracer.filter(|tracer| tracer.traces_epochs()),
            query: SmolStr::new(query),
            ids: Ids::new(),
            open: BTreeMap::new(),
        }
    }

    /// Its marker goes to so many lanes.
    pub(crate) fn begun(&mut self, epoch: u64, lanes: usize) {
        if self.tracer.is_some() {
            let open = Open {
                begin: now(),
                lanes,
                reported: None,
            };
            self.open.insert(epoch, open);
        }
    }

    /// A lane has reported.
    pub(crate) fn reported(&mut self, epoch: u64, lane: Option<&SmolStr>) {
        if let (Some(open), Some(lane)) = (self.open.get_mut(&epoch), lane) {
            open.reported = Some((now(), lane.clone()));
        }
    }

    /// Its checkpoint is on disk, with so many bytes.
    pub(crate) fn committed(&mut self, epoch: u64, bytes: u64) {
        if let Some(open) = self.open.remove(&epoch) {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.put(epoch, open, Some(bytes));
        }
    }

    /// The run is over: what is open will not be committed.
    pub(crate) fn over(&mut self) {
        for (epoch, open) in std::mem::take(&mut self.open) {
            self.put(epoch, open, None);
        }
    }

    fn put(&mut self, epoch: u64, open: Open, bytes: Option<i64>) {
        let Some(tracer) = &self.tracer else {
            return;
        };
        let number = |number| Attribute::Number(i64::try_from(number).unwrap_or(i64::MAX));
        let mut attributes = vec![
            ("thalweg.query", Attribute::Text(self.query.clone())),
            ("thalweg.epoch", number(epoch)),
            ("thalweg.lanes", number(open.lanes as u64)),
        ];
        if let Some((_, lane)) = &open.reported {
            attributes.push(("thalweg.last_lane", Attribute::Text(lane.clone())));
        }
        if let Some(bytes) = bytes {
            attributes.push(("thalweg.checkpoint_bytes", Attribute::Number(bytes)));
        }
        let low = self.ids.draw();
        let (trace, id, end) = (self.ids.trace(low), self.ids.span(), now());
        let mut spans = vec![Span {
            name: SmolStr::new_static("epoch"),
            kind: Kind::Internal,
            trace,
            id,
            parent: None,
            state: None,
            begin: open.begin,
            end,
            attributes,
            error: bytes.is_none().then(|| NOT_COMMITTED.to_owned()),
        }];
        if let (Some((reported, _)), Some(_)) = (&open.reported, bytes) {
            let reports = part(
                "reports",
                (trace, id),
                self.ids.span(),
                (open.begin, *reported),
            );
            let commit = part("commit", (trace, id), self.ids.span(), (*reported, end));
            spans.extend([reports, commit]);
        }
        tracer.put(spans);
    }
}

fn part(name: &'static str, of: (TraceId, SpanId), id: SpanId, time: (Micros, Micros)) -> Span {
    Span {
        name: SmolStr::new_static(name),
        kind: Kind::Internal,
        trace: of.0,
        id,
        parent: Some(of.1),
        state: None,
        begin: time.0,
        end: time.1.max(time.0),
        attributes: Vec::new(),
        error: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Root;
    use super::super::tracer::tests::tracer;
    use super::*;

    #[test]
    fn an_epoch_is_over_when_it_is_committed_and_says_which_lane_was_the_last() {
        let (tracer, _) = tracer(Root::share(0.000_001), 100);
        let mut epochs = EpochSpans::new(Some(Arc::clone(&tracer)), "q");
        epochs.begun(7, 2);
        epochs.begun(8, 2);
        for lane in ["in/1", "in/0"] {
            epochs.reported(7, Some(&SmolStr::new(lane)));
        }
        epochs.committed(7, 100);
        epochs.over();
        let spans = tracer.take(100, Duration::ZERO);
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["epoch", "reports", "commit", "epoch"]);
        let last = ("thalweg.last_lane", Attribute::Text("in/0".into()));
        assert!(spans[0].attributes.contains(&last));
        assert_eq!(spans[1].end, spans[2].begin);
        assert!(
            spans[1..3]
                .iter()
                .all(|part| part.parent == Some(spans[0].id))
        );
        assert_eq!(
            (spans[0].error.as_deref(), spans[3].error.as_deref()),
            (None, Some(NOT_COMMITTED))
        );
    }

    #[test]
    fn where_nothing_is_traced_no_epoch_is() {
        let (tracer, _) = tracer(Root::Off, 100);
        let mut epochs = EpochSpans::new(Some(Arc::clone(&tracer)), "q");
        epochs.begun(1, 1);
        epochs.committed(1, 1);
        assert!(tracer.take(100, Duration::ZERO).is_empty());
    }
}
