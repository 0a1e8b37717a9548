//! `/api/v1/queries`: how each query gets on, and pausing one.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde_json::json;
use thalweg_engine::status::{Phase, QueryStatus};

use crate::http::access::Caller;
use crate::http::{Shared, audit, refused};

/// How each query gets on, in Spark's words.
pub(super) async fn progress(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.progress.now())
}

/// Has a query take no further record.
pub(super) async fn pause(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    caller: web::ReqData<Caller>,
) -> HttpResponse {
    change(&shared.queries, &name, &caller, true)
}

/// Lets a query go on.
pub(super) async fn resume(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    caller: web::ReqData<Caller>,
) -> HttpResponse {
    change(&shared.queries, &name, &caller, false)
}

fn word(paused: bool) -> &'static str {
    if paused { "paused" } else { "not paused" }
}

fn change(queries: &[Arc<QueryStatus>], name: &str, caller: &Caller, on: bool) -> HttpResponse {
    let Some(query) = queries.iter().find(|query| query.query() == name) else {
        let known: Vec<&str> = queries.iter().map(|query| query.query()).collect();
        let why = format!("no query `{name}`; the job has {}", known.join(", "));
        return refused(404, &why);
    };
    if matches!(query.phase().0, Phase::Ended | Phase::Failed(_)) {
        return refused(409, &format!("the query `{name}` has ended"));
    }
    let changed = query.pause(on);
    let before = word(if changed { !on } else { on });
    let what = format!("query {name}");
    audit::note(caller, &what, &before, &word(on));
    HttpResponse::Ok().json(json!({ "query": name, "paused": on, "changed": changed }))
}
