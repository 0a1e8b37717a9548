//! What a refused job serves that is kept up: probes and metrics, under the limits of all others. There is nothing to change, and
//! nothing to see but why.

use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus::Registry;
use serde::Serialize;

use crate::http::{CONNECTIONS_MAX, HEAD_TIME, Http, begin, headers, probes, refused, routes};

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

/// Serves from now on, on one thread of its own. Must be called within the actix system.
pub(crate) fn serve(http: Http, why: &str, registry: &Registry) {
    let held = web::Data::new(Held {
        why: why.to_owned(),
        registry: registry.clone(),
    });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(held.clone())
            .route("/", routes::read().to(ready))
            .route("/metrics", routes::read().to(metrics))
            .route("/live", routes::read().to(live))
            .route("/ready", routes::read().to(ready))
            .default_service(web::to(no))
            .wrap(headers())
    })
    .workers(1)
    .max_connections(CONNECTIONS_MAX)
    .client_request_timeout(HEAD_TIME)
    .shutdown_timeout(1)
    .disable_signals();
    begin(
        server.listen(http.listener).map(HttpServer::run),
        http.address,
    );
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

async fn metrics(held: web::Data<Held>) -> HttpResponse {
    probes::exposed(&held.registry)
}

/// Whatever else is asked, commands and pages among it, has the same answer as everything that a job says no to.
async fn no(held: web::Data<Held>) -> HttpResponse {
    refused(503, &format!("the job is refused and held: {}", held.why))
}
