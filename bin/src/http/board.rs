//! What the page and `thalweg top` show of a job, computed once a second for all who look.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thalweg_engine::clock;
use thalweg_engine::status::QueryStatus;

use crate::http::tracked::{QueryBoard, Tracked};
use crate::http::{Shared, events};
use crate::slow::{self, Slow};

/// So often it is measured how fast a job is, and shown anew.
const TICK: Duration = Duration::from_secs(1);
/// The slowest records are looked for so often.
const SLOW_FRESH: Duration = Duration::from_secs(5);
/// How long after a measurement it is shown at the latest: the one who measures may be held up.
const HELD_UP: Duration = Duration::from_millis(100);
/// Seconds of history that somebody who comes sees at once.
const HISTORY: usize = 300;

/// A job at a moment.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Board {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) job: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) member: Option<String>,
    pub(crate) uptime_seconds: u64,
    pub(crate) queries: Vec<QueryBoard>,
    /// As `/api/v1/models` shows them.
    pub(crate) models: Value,
    pub(crate) slow: Slow,
}

impl Board {
    /// Whether partitions of others are there; true where nobody shares the job.
    pub(crate) fn shows_others(&self) -> bool {
        let mut partitions = self.queries.iter().flat_map(|query| &query.partitions);
        self.member.is_none() || partitions.any(|partition| partition.owner != self.member)
    }
}

/// A moment of the past, of each query.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Moment {
    at: i64,
    queries: Vec<Past>,
}

/// What is drawn over time.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Past {
    r#in: f64,
    out: f64,
    /// p50, p99 and p99.9 from taken to delivered, in microseconds.
    latency: Option<[u64; 3]>,
    lag: Option<i64>,
}

/// A snapshot as it is sent.
#[derive(Clone)]
pub(super) struct Snapshot {
    /// Which.
    pub(super) number: u64,
    /// It as JSON.
    pub(super) json: Bytes,
    /// It as an event: the same bytes for all who look.
    pub(super) event: Bytes,
    /// When there is another. All who look wait for the same moment, so that one wake-up serves them.
    pub(super) due: Instant,
}

/// Makes them.
#[derive(Clone)]
pub(super) struct Boards(Arc<Mutex<Inner>>);

struct Inner {
    began: Instant,
    measured: Instant,
    queries: Vec<Tracked>,
    history: VecDeque<Moment>,
    slow: Option<(Instant, Slow)>,
    last: Option<Snapshot>,
    number: u64,
}

impl Boards {
    /// Of these queries.
    pub(super) fn new(queries: &[Arc<QueryStatus>]) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            began: Instant::now(),
            measured: Instant::now(),
            queries: queries.iter().map(Tracked::new).collect(),
            history: VecDeque::new(),
            slow: None,
            last: None,
            number: 0,
        })))
    }

    /// Measures once a second, whether somebody looks or not: who comes sees the last second, and what came before it.
    pub(super) async fn measure(self) {
        loop {
            actix::clock::sleep(TICK).await;
            self.0.lock().measure();
        }
    }

    /// The newest, which is at most a second old.
    pub(super) fn newest(&self, shared: &Shared) -> Snapshot {
        let mut inner = self.0.lock();
        if let Some(snapshot) = &inner.last
            && Instant::now() < snapshot.due
        {
            return snapshot.clone();
        }
        inner.make(shared)
    }

    /// The last minutes, as JSON.
    pub(super) fn history(&self) -> Bytes {
        let inner = self.0.lock();
        serde_json::to_vec(&inner.history)
            .unwrap_or_default()
            .into()
    }
}

impl Inner {
    fn measure(&mut self) {
        self.measured = Instant::now();
        self.history.push_back(Moment {
            at: clock::now() / 1_000,
            queries: self.queries.iter_mut().map(past).collect(),
        });
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    fn make(&mut self, shared: &Shared) -> Snapshot {
        let slow = match self.slow.take() {
            Some((at, slow)) if at.elapsed() < SLOW_FRESH => (at, slow),
            _ => (Instant::now(), slow::newest(&shared.queries)),
        };
        let owner = shared.sheet.member.as_deref();
        let queries = self.queries.iter().map(|query| query.now(owner)).collect();
        let board = Board {
            at: clock::now() / 1_000,
            job: shared.sheet.job.clone(),
            member: shared.sheet.member.clone(),
            uptime_seconds: self.began.elapsed().as_secs(),
            queries,
            models: serde_json::to_value(shared.models.reports()).unwrap_or_default(),
            slow: slow.1,
        };
        self.number += 1;
        let json: Bytes = serde_json::to_vec(&board).unwrap_or_default().into();
        let snapshot = Snapshot {
            number: self.number,
            event: events::event("board", &json),
            json,
            due: (self.measured + TICK + HELD_UP).max(Instant::now() + HELD_UP),
        };
        self.slow = Some((slow.0, board.slow));
        self.last = Some(snapshot.clone());
        snapshot
    }
}

fn past(query: &mut Tracked) -> Past {
    let lag = query.lag();
    let pace = query.measure();
    let latency = pace.latency.iter().find(|stage| stage.stage == "total");
    Past {
        r#in: pace.rates.records_in,
        out: pace.rates.records_out,
        latency: latency.and_then(|stage| stage.micros),
        lag,
    }
}

/// `/api/v1/board`.
pub(super) async fn show(shared: web::Data<Shared>) -> HttpResponse {
    let snapshot = shared.boards.newest(&shared);
    HttpResponse::Ok()
        .content_type("application/json")
        .body(snapshot.json)
}
