//! Every path that is served, in one table: a new one is one entry here, and one in the document of the API.

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, Route, web};

use crate::http::{Shared, probes};
use crate::models;
use crate::slow;

/// A path that is served.
pub(super) struct Served {
    /// Its method, as it stands in a request.
    pub(super) method: &'static str,
    /// The path; what stands in braces is a name.
    pub(super) path: &'static str,
    /// Who answers.
    pub(super) route: fn() -> Route,
}

const fn served(method: &'static str, path: &'static str, route: fn() -> Route) -> Served {
    Served {
        method,
        path,
        route,
    }
}

/// All of them.
#[rustfmt::skip]
pub(super) const ROUTES: &[Served] = &[
    served("GET", "/", || web::get().to(index)),
    served("GET", "/metrics", || web::get().to(probes::metrics)),
    served("GET", "/live", || web::get().to(probes::live)),
    served("GET", "/ready", || web::get().to(probes::ready)),
    served("GET", "/api/v1/queries", || web::get().to(progress)),
    served("GET", "/api/v1/slow", || web::get().to(slow_records)),
    served("GET", "/api/v1/models", || web::get().to(models::list)),
    served("GET", "/api/v1/models/{name}", || web::get().to(models::one)),
    served("POST", "/api/v1/models/{name}", || web::post().to(models::post)),
    served("POST", "/api/v1/models/{name}/rollback", || web::post().to(models::rollback)),
];

/// Serves them all.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let mut paths: Vec<&str> = ROUTES.iter().map(|served| served.path).collect();
    paths.dedup();
    for path in paths {
        let own = ROUTES.iter().filter(|served| served.path == path);
        config.service(own.fold(web::resource(path), |resource, served| {
            resource.route((served.route)())
        }));
    }
}

async fn index() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body("thalweg: /metrics for Prometheus, /live and /ready for probes, /api/v1/queries for progress, /api/v1/slow for \
               slow records, /api/v1/models for models\n")
}

async fn progress(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.progress.now())
}

async fn slow_records(shared: web::Data<Shared>, asked: web::Query<slow::Asked>) -> HttpResponse {
    match slow::answer(&shared.queries, &asked) {
        Ok(answer) => HttpResponse::Ok().json(answer),
        Err(why) => HttpResponse::BadRequest().body(why),
    }
}
