//! `/live` and `/ready` for probes, `/metrics` for Prometheus: what needs no token.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use prometheus::{IntGauge, Opts, Registry, TextEncoder};
use serde::Serialize;
use thalweg_engine::counted::counted;
use thalweg_engine::status::{Phase, QueryStatus};

use crate::http::Shared;

/// A thread whose pulse is older is stuck.
const PULSE_MAX: Duration = Duration::from_secs(30);

/// Shows the version as a metric.
pub(crate) fn build_info(registry: &Registry) {
    let options = Opts::new("thalweg_build_info", "Always 1; the version is a label.")
        .const_label("version", env!("CARGO_PKG_VERSION"));
    let registered = IntGauge::with_opts(options).and_then(|gauge| {
        gauge.set(1);
        registry.register(Box::new(gauge))
    });
    if let Err(error) = registered {
        tracing::error!(%error, "the metric thalweg_build_info is missing");
    }
}

/// `/metrics`.
pub(super) async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    exposed(&shared.registry)
}

/// All metrics as Prometheus reads them.
pub(crate) fn exposed(registry: &Registry) -> HttpResponse {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .body(text),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// `/live`.
pub(super) async fn live(shared: web::Data<Shared>) -> HttpResponse {
    match shared.pulses.oldest() {
        age if age <= PULSE_MAX => HttpResponse::Ok().body("live\n"),
        age => HttpResponse::ServiceUnavailable().body(format!(
            "a thread has not moved for {}\n",
            counted(age.as_secs(), "second")
        )),
    }
}

/// A query as `/ready` shows it.
#[derive(Serialize)]
struct QueryReady<'q> {
    query: &'q str,
    ready: bool,
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    seconds: u64,
}

/// The answer of `/ready`.
#[derive(Serialize)]
struct Readiness<'q> {
    ready: bool,
    queries: Vec<QueryReady<'q>>,
}

/// `/ready`.
pub(super) async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    let queries: Vec<QueryReady<'_>> = shared.queries.iter().map(|query| look(query)).collect();
    let answer = Readiness {
        ready: queries.iter().all(|query| query.ready),
        queries,
    };
    if answer.ready {
        HttpResponse::Ok().json(answer)
    } else {
        HttpResponse::ServiceUnavailable().json(answer)
    }
}

fn look(query: &QueryStatus) -> QueryReady<'_> {
    let (now, since) = query.phase();
    let Seen {
        ready,
        word,
        why,
        since,
    } = seen(query, now, since);
    QueryReady {
        query: query.query(),
        ready,
        phase: word,
        why,
        seconds: since.elapsed().as_secs(),
    }
}

/// A phase in words.
pub(crate) struct Seen {
    pub(crate) ready: bool,
    pub(crate) word: &'static str,
    pub(crate) why: Option<String>,
    pub(crate) since: Instant,
}

fn phase(phase: Phase, since: Instant) -> Seen {
    let (ready, word, why) = match phase {
        Phase::Starting => (false, "starting", None),
        Phase::Running => (true, "running", None),
        Phase::Waiting(why) => (false, "waiting", Some(why)),
        Phase::Restarting(why) => (false, "restarting", Some(why)),
        // A query whose trigger is done has done what it should.
        Phase::Ended => (true, "ended", None),
        Phase::Failed(failure) => (false, "failed", Some(failure.message)),
    };
    Seen {
        ready,
        word,
        why,
        since,
    }
}

/// What a query shows: its phase since then, and what its rows wait for while they flow otherwise.
pub(crate) fn seen(query: &QueryStatus, now: Phase, since: Instant) -> Seen {
    if now == Phase::Running
        && let Some(since) = query.paused()
    {
        return Seen {
            since,
            ready: false,
            word: "paused",
            why: Some(format!(
                "it was paused by hand and takes no records: POST /api/v1/queries/{}/resume lets it go on",
                query.query()
            )),
        };
    }
    let awaited = query.metrics().tables_awaited.get();
    if now == Phase::Running && awaited > 0 {
        return Seen {
            ready: false,
            word: "waiting",
            since,
            why: Some(format!(
                "joined tables are being read to their end, {awaited} of their partitions are left"
            )),
        };
    }
    let left = query.metrics().warm_up_left.get();
    if now == Phase::Running && left > 0 {
        return Seen {
            ready: false,
            word: "warming up",
            since,
            why: Some(format!(
                "the state is built from what stands before the starting positions, {left} records are left; nothing is \
                 written until then"
            )),
        };
    }
    phase(now, since)
}
