//! A refused job that is kept up (`--hold-on-refusal`): probes are answered, `/ready` says why, a signal ends it at once.
//!
//! A supervisor that starts a refused job again and again hides the reason behind growing pauses. Kept up, the process is
//! alive and not ready: a roll-out stands still at it, says why, and can be undone.

use actix::prelude::*;
use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus::{IntGauge, Registry};
use serde::Serialize;
use serde_json::json;

use crate::http::{self, Http};
use crate::refusal::{End, Refusal};
use crate::stop::Signals;
use crate::telemetry;

/// What the handlers look at.
struct Held {
    why: String,
    registry: Registry,
}

/// The answer of `/ready`.
#[derive(Serialize)]
struct NotReady<'h> {
    ready: bool,
    phase: &'static str,
    why: &'h str,
}

/// Holds a job of which nothing could begin. Serves at the address of `--http` until a signal comes.
///
/// # Errors
/// The refusal itself, where nobody could ask why: the address is what is wrong, or signals cannot be received.
pub(crate) fn refused(address: &str, refusal: Refusal) -> Result<End, Refusal> {
    let Ok(http) = http::listen(address, None) else {
        return Err(refusal);
    };
    System::new().block_on(async move {
        let Ok(signals) = Signals::listen() else {
            return Err(refusal);
        };
        telemetry::fatal(refusal.message());
        let registry = Registry::new();
        http::probes::build_info(&registry);
        if let Some(http) = http {
            serve(http, refusal.message(), &registry);
        }
        queries(&registry, signals).await;
        Ok(End::Refused)
    })
}

/// Holds a job all of whose queries were refused: what it serves goes on, and each query has said why.
pub(crate) async fn queries(registry: &Registry, mut signals: Signals) {
    let told = IntGauge::new(
        "thalweg_job_refused",
        "1 while a refused job is kept up; /ready says why.",
    )
    .and_then(|gauge| {
        gauge.set(1);
        registry.register(Box::new(gauge))
    });
    if let Err(error) = told {
        tracing::error!(%error, "the metric thalweg_job_refused is missing");
    }
    tracing::warn!(
        "the job is refused and held, as --hold-on-refusal says: /ready says why; SIGTERM or Ctrl-C ends it"
    );
    signals.next().await;
    tracing::info!("a signal: the refused job ends");
}

fn serve(http: Http, why: &str, registry: &Registry) {
    let held = web::Data::new(Held {
        why: why.to_owned(),
        registry: registry.clone(),
    });
    let (listener, address) = http.into_listener();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(held.clone())
            .route("/", web::get().to(ready))
            .route("/metrics", web::get().to(metrics))
            .route("/live", web::get().to(live))
            .route("/ready", web::get().to(ready))
            .default_service(web::to(no))
    })
    .workers(1)
    .shutdown_timeout(1)
    .disable_signals();
    match server.listen(listener) {
        Ok(server) => {
            tracing::info!("metrics and probes at http://{address}");
            actix::spawn(async move {
                if let Err(error) = server.run().await {
                    tracing::error!(%error, "metrics and probes are no longer served");
                }
            });
        }
        Err(error) => {
            tracing::error!(%error, "metrics and probes cannot be served at {address}");
        }
    }
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().body("live\n")
}

async fn ready(held: web::Data<Held>) -> HttpResponse {
    HttpResponse::ServiceUnavailable().json(NotReady {
        ready: false,
        phase: "refused",
        why: &held.why,
    })
}

/// Whatever else is asked, commands and pages among it, has the same answer as everything that a job says no to.
async fn no(held: web::Data<Held>) -> HttpResponse {
    let why = format!("the job is refused and held: {}", held.why);
    HttpResponse::ServiceUnavailable().json(json!({ "error": why }))
}

async fn metrics(held: web::Data<Held>) -> HttpResponse {
    http::probes::exposed(&held.registry)
}
