//! `/metrics` for Prometheus, `/live` and `/ready` for probes, `/api/v1/queries` for the progress of each query,
//! `/api/v1/slow` for its slowest records, `/api/v1/models` for models.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus::{IntGauge, Opts, Registry, TextEncoder};
use serde::Serialize;
use thalweg_engine::metrics::Metrics;
use thalweg_engine::status::{Phase, QueryStatus};

use crate::models::{self, Served};
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::slow;

/// A thread whose pulse is older is stuck.
const PULSE_MAX: Duration = Duration::from_secs(30);

/// Connections that one probe or scraper may hold open.
const CONNECTIONS_MAX: usize = 64;

/// An address that is listened at, before anything is served.
pub(crate) struct Http {
    listener: TcpListener,
    address: SocketAddr,
}

/// Listens at an address; None for `off`.
///
/// # Errors
/// When it is no address, or another process has it.
pub(crate) fn listen(address: &str) -> Result<Option<Http>, Refusal> {
    if address.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let refused = |what: String| {
        Refusal::new(format!(
            "--http {address}: {what}. Give another address with --http, such as 127.0.0.1:9465 or 0.0.0.0:9464, or \
             --http off."
        ))
    };
    let addresses: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|error| refused(format!("not an address and a port: {error}")))?
        .collect();
    let listener = TcpListener::bind(addresses.as_slice()).map_err(|error| {
        refused(match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another process listens there, perhaps another thalweg".to_owned()
            }
            _ => format!("cannot listen there: {error}"),
        })
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| refused(error.to_string()))?;
    Ok(Some(Http { listener, address }))
}

/// What the handlers look at.
struct Shared {
    registry: Registry,
    queries: Vec<Arc<QueryStatus>>,
    pulses: Pulses,
    progress: Progress,
}

/// Largest body of a request: a model that is posted.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

impl Http {
    /// Serves from now on, on one thread of its own. Must be called within the actix system.
    pub(crate) fn serve(
        self,
        metrics: &Metrics,
        queries: Vec<Arc<QueryStatus>>,
        pulses: Pulses,
        progress: Progress,
        models: Served,
    ) {
        let registry = metrics.registry().clone();
        build_info(&registry);
        let shared = web::Data::new(Shared {
            registry,
            queries,
            pulses,
            progress,
        });
        let models = web::Data::new(models);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(models.clone())
                .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
                .configure(models::routes)
                .route("/", web::get().to(index))
                .route("/metrics", web::get().to(metrics_text))
                .route("/live", web::get().to(live))
                .route("/ready", web::get().to(ready))
                .route("/api/v1/queries", web::get().to(progress_now))
                .route("/api/v1/slow", web::get().to(slow_records))
        })
        .workers(1)
        .max_connections(CONNECTIONS_MAX)
        .shutdown_timeout(1)
        .disable_signals();
        match server.listen(self.listener) {
            Ok(server) => {
                tracing::info!("metrics and probes at http://{}", self.address);
                actix::spawn(async move {
                    if let Err(error) = server.run().await {
                        tracing::error!(%error, "metrics and probes are no longer served");
                    }
                });
            }
            Err(error) => {
                tracing::error!(%error, "metrics and probes cannot be served at {}", self.address);
            }
        }
    }
}

fn build_info(registry: &Registry) {
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

async fn index() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body("thalweg: /metrics for Prometheus, /live and /ready for probes, /api/v1/queries for progress, /api/v1/slow for \
               slow records, /api/v1/models for models\n")
}

async fn metrics_text(shared: web::Data<Shared>) -> HttpResponse {
    match TextEncoder::new().encode_to_string(&shared.registry.gather()) {
        Ok(text) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .body(text),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn live(shared: web::Data<Shared>) -> HttpResponse {
    match shared.pulses.oldest() {
        age if age <= PULSE_MAX => HttpResponse::Ok().body("live\n"),
        age => HttpResponse::ServiceUnavailable().body(format!(
            "a thread has not moved for {} seconds\n",
            age.as_secs()
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

async fn ready(shared: web::Data<Shared>) -> HttpResponse {
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

/// A phase in words.
pub(crate) struct Seen {
    pub(crate) ready: bool,
    pub(crate) word: &'static str,
    pub(crate) why: Option<String>,
}

fn phase(phase: Phase) -> Seen {
    let (ready, word, why) = match phase {
        Phase::Starting => (false, "starting", None),
        Phase::Running => (true, "running", None),
        Phase::Waiting(why) => (false, "waiting", Some(why)),
        Phase::Restarting(why) => (false, "restarting", Some(why)),
        // A query whose trigger is done has done what it should.
        Phase::Ended => (true, "ended", None),
        Phase::Failed(failure) => (false, "failed", Some(failure.message)),
    };
    Seen { ready, word, why }
}

/// What a query shows: its phase, and what its rows wait for while they flow otherwise.
pub(crate) fn seen(query: &QueryStatus, now: Phase) -> Seen {
    let awaited = query.metrics().tables_awaited.get();
    if now == Phase::Running && awaited > 0 {
        return Seen {
            ready: false,
            word: "waiting",
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
            why: Some(format!(
                "the state is built from what stands before the starting positions, {left} records are left; nothing is \
                 written until then"
            )),
        };
    }
    phase(now)
}

fn look(query: &QueryStatus) -> QueryReady<'_> {
    let (now, since) = query.phase();
    let Seen { ready, word, why } = seen(query, now);
    QueryReady {
        query: query.query(),
        ready,
        phase: word,
        why,
        seconds: since.elapsed().as_secs(),
    }
}

async fn progress_now(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.progress.now())
}

async fn slow_records(shared: web::Data<Shared>, asked: web::Query<slow::Asked>) -> HttpResponse {
    match slow::answer(&shared.queries, &asked) {
        Ok(answer) => HttpResponse::Ok().json(answer),
        Err(why) => HttpResponse::BadRequest().body(why),
    }
}

/// When each thread of the job last had its turn.
#[derive(Clone)]
pub(crate) struct Pulses {
    origin: Instant,
    /// Milliseconds since `origin`, by thread.
    beats: Arc<[AtomicU64]>,
}

impl Pulses {
    /// Lets this thread and those of the lanes beat once a second.
    pub(crate) fn start(threads: &[ArbiterHandle]) -> Self {
        let pulses = Self {
            origin: Instant::now(),
            beats: (0..=threads.len()).map(|_| AtomicU64::new(0)).collect(),
        };
        actix::spawn(pulses.clone().beat(0));
        for (index, thread) in threads.iter().enumerate() {
            thread.spawn(pulses.clone().beat(index + 1));
        }
        pulses
    }

    async fn beat(self, thread: usize) {
        loop {
            let now = self.now();
            self.beats[thread].store(now, Relaxed);
            actix::clock::sleep(Duration::from_secs(1)).await;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn oldest(&self) -> Duration {
        let now = self.now();
        let oldest = self.beats.iter().map(|beat| beat.load(Relaxed)).min();
        Duration::from_millis(now.saturating_sub(oldest.unwrap_or(now)))
    }
}
