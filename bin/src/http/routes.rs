//! Every path that is served, in one table: a new one is one entry here, and one in the document of the API.

use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, Route, guard, web};

use crate::http::access::Needs::{self, Change, Look, Nothing};
use crate::http::{Shared, access, board, events, log, page, probes, queries, refused, sheet};
use crate::leave;
use crate::models;
use crate::slow;

/// A path that is served.
pub(super) struct Served {
    /// Its method, as it stands in a request.
    pub(super) method: &'static str,
    /// The path; what stands in braces is a name.
    pub(super) path: &'static str,
    /// Who is let in.
    pub(super) needs: Needs,
    /// Who answers.
    route: fn() -> Route,
}

const fn served(
    method: &'static str,
    path: &'static str,
    needs: Needs,
    route: fn() -> Route,
) -> Served {
    Served {
        method,
        path,
        needs,
        route,
    }
}

/// Whoever may GET what needs nothing may ask with HEAD too, as balancers and checkers do: the same answer without its body.
pub(super) fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// All of them; those of one path stand together.
#[rustfmt::skip]
pub(super) const ROUTES: &[Served] = &[
    served("GET", "/", Nothing, || read().to(page::index)),
    served("GET", "/page/{file}", Nothing, || read().to(page::part)),
    served("GET", "/metrics", Nothing, || read().to(probes::metrics)),
    served("GET", "/live", Nothing, || read().to(probes::live)),
    served("GET", "/ready", Nothing, || read().to(probes::ready)),
    served("GET", "/api/v1/openapi.json", Nothing, || read().to(document)),
    served("GET", "/api/v1/queries", Look, || web::get().to(queries::progress)),
    served("POST", "/api/v1/queries/{name}/pause", Change, || web::post().to(queries::pause)),
    served("POST", "/api/v1/queries/{name}/resume", Change, || web::post().to(queries::resume)),
    served("POST", "/api/v1/leave", Change, || web::post().to(leave::asked)),
    served("GET", "/api/v1/slow", Look, || web::get().to(slow_records)),
    served("GET", "/api/v1/models", Look, || web::get().to(models::list)),
    served("GET", "/api/v1/models/{name}", Look, || web::get().to(models::one)),
    served("POST", "/api/v1/models/{name}", Change, || web::post().to(models::post)),
    served("POST", "/api/v1/models/{name}/rollback", Change, || web::post().to(models::rollback)),
    served("GET", "/api/v1/log", Look, || web::get().to(log::show)),
    served("PUT", "/api/v1/log", Change, || web::put().to(log::change)),
    served("GET", "/api/v1/settings", Look, || web::get().to(sheet::show)),
    served("GET", "/api/v1/board", Look, || web::get().to(board::show)),
    served("GET", "/api/v1/events", Look, || web::get().to(events::stream)),
];

/// The API in the words of OpenAPI.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// The one path whose body may be long: a model.
const LONG: &str = "/api/v1/models/{name}";

/// Whether a path, as it is sent, may be the one of a long body.
pub(super) fn may_be_long(path: &str) -> bool {
    let known = LONG.split('{').next();
    known.is_some_and(|known| path.starts_with(known))
}

/// Serves them all. Who is let in is asked before the very handler that answers, whatever way the path is written.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let mut paths: Vec<&str> = ROUTES.iter().map(|served| served.path).collect();
    paths.dedup();
    for path in paths {
        let own = ROUTES.iter().filter(|served| served.path == path);
        let methods = own.clone().map(|served| match served.needs {
            Nothing => "GET, HEAD",
            _ => served.method,
        });
        let methods: Vec<&str> = methods.collect();
        let allowed = methods.join(", ");
        let mut resource = own.fold(web::resource(path), |resource, served| {
            let needs = served.needs;
            let guard = from_fn(move |request, next| access::guard(needs, request, next));
            resource.route((served.route)().wrap(guard))
        });
        if path == LONG {
            resource = resource.app_data(web::PayloadConfig::new(models::body_bytes_max()));
        }
        config.service(resource.default_service(web::to(move || {
            let why = format!("this path takes {allowed}");
            let mut answer = refused(405, &why);
            if let Ok(allowed) = allowed.parse() {
                answer.headers_mut().insert(header::ALLOW, allowed);
            }
            async move { answer }
        })));
    }
}

/// What is not in the table.
pub(super) async fn nowhere(request: HttpRequest) -> HttpResponse {
    let path: String = request.path().chars().take(100).collect();
    refused(
        404,
        &format!("nothing is served at {path}; /api/v1/openapi.json says what is"),
    )
}

async fn document() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(DOCUMENT)
}

async fn slow_records(shared: web::Data<Shared>, asked: web::Query<slow::Asked>) -> HttpResponse {
    match slow::answer(&shared.queries, &asked) {
        Ok(answer) => HttpResponse::Ok().json(answer),
        Err(why) => refused(400, &why),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Method, path, and whether a token is asked for where there are tokens.
    type Known = BTreeSet<(String, String, bool)>;

    #[test]
    fn the_document_names_every_path_and_no_other() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let open = Value::Array(Vec::new());
        let mut told = Known::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                if method == "parameters" {
                    continue;
                }
                let token = operation.get("security") != Some(&open);
                told.insert((method.to_uppercase(), path.clone(), token));
                let change = operation["x-changes"] == true;
                let method = method.to_uppercase();
                let served = |served: &&Served| served.method == method && served.path == path;
                let needs = ROUTES.iter().find(served).map(|served| served.needs);
                assert_eq!(needs == Some(Change), change, "{method} {path}");
                assert!(operation["summary"].is_string(), "{method} {path}");
                let answers = operation["responses"].as_object().unwrap();
                assert_eq!(answers.contains_key("401"), token, "{method} {path}");
                assert_eq!(answers.contains_key("403"), change, "{method} {path}");
            }
        }
        let real = ROUTES.iter().map(|served| {
            let token = served.needs != Nothing;
            (served.method.to_owned(), served.path.to_owned(), token)
        });
        assert_eq!(told, real.collect::<Known>());
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn what_the_document_refers_to_is_in_it() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        for part in DOCUMENT
            .split('"')
            .filter_map(|part| part.strip_prefix("#/"))
        {
            assert!(document.pointer(&format!("/{part}")).is_some(), "{part}");
        }
    }

    #[test]
    fn every_change_is_a_method_that_a_link_cannot_be() {
        for served in ROUTES {
            assert_eq!(
                served.method == "GET",
                served.needs != Change,
                "{}",
                served.path
            );
        }
    }
}
