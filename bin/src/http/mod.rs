//! What a job serves over HTTP: probes and metrics, the API under `/api/v1`, and the page at `/`.
//!
//! All paths stand in [`routes`]; who may ask for them is decided in [`access`], before a body is read.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::ResponseError;
use actix_web::dev::Server;
use actix_web::error::{InternalError, JsonPayloadError};
use actix_web::http::StatusCode;
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus::Registry;
use thalweg_engine::metrics::Metrics;
use thalweg_engine::status::QueryStatus;

use crate::leave::Exit;
use crate::models::Served;
use crate::progress::Progress;
use crate::refusal::Refusal;

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod board;
mod bodies;
pub(crate) mod client;
mod events;
pub(crate) mod held;
mod log;
mod page;
pub(crate) mod probes;
mod pulses;
mod queries;
mod routes;
mod sheet;
mod token;
pub(crate) mod tracked;

use access::Access;
pub(crate) use access::Caller;
use board::Boards;
use events::Viewers;
pub(crate) use probes::seen;
pub(crate) use pulses::Pulses;
pub(crate) use sheet::Sheet;
use token::Tokens;

/// Connections that all who ask may hold open.
const CONNECTIONS_MAX: usize = 96;

/// How long a request's head may take to come.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// Largest body of a request that is no model.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// An address that is listened at, before anything is served.
pub(crate) struct Http {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
}

/// Listens at an address, for those with a token of this file; None for `off`.
///
/// # Errors
/// When it is no address, or another process has it; when the file holds no token.
pub(crate) fn listen(address: &str, tokens: Option<&Path>) -> Result<Option<Http>, Refusal> {
    if address.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let tokens = tokens.map(Tokens::open).transpose();
    let tokens = tokens.map_err(|why| Refusal::new(format!("--token-file: {why}")))?;
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
    Ok(Some(Http {
        listener,
        address,
        access: Access::new(tokens, address.ip().is_loopback()),
    }))
}

/// What the handlers look at.
struct Shared {
    access: Access,
    registry: Registry,
    queries: Vec<Arc<QueryStatus>>,
    pulses: Pulses,
    progress: Progress,
    models: web::Data<Served>,
    sheet: Sheet,
    boards: Boards,
    viewers: Viewers,
}

/// What a job shows of itself.
pub(crate) struct Shown<'j> {
    pub(crate) metrics: &'j Metrics,
    pub(crate) queries: Vec<Arc<QueryStatus>>,
    pub(crate) pulses: Pulses,
    pub(crate) progress: Progress,
    pub(crate) models: Served,
    pub(crate) sheet: Sheet,
    pub(crate) exit: Exit,
}

/// An answer that says what is wrong.
pub(crate) fn refused(status: u16, why: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status).json(serde_json::json!({ "error": why }))
}

fn malformed(error: actix_web::Error, status: StatusCode) -> actix_web::Error {
    let why = format!("the request cannot be read: {error}");
    InternalError::from_response(error, refused(status.as_u16(), &why)).into()
}

fn malformed_json(error: JsonPayloadError) -> actix_web::Error {
    if matches!(error, JsonPayloadError::ContentType) {
        let why = "the request cannot be read: send it with `Content-Type: application/json`";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return InternalError::from_response(error, refused(status.as_u16(), why)).into();
    }
    let status = error.status_code();
    malformed(error.into(), status)
}

/// What keeps a browser from doing more with an answer than it should.
fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("Content-Security-Policy", page::POLICY))
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Cache-Control", "no-store"))
}

impl Http {
    /// Serves from now on, on one thread of its own. Must be called within the actix system.
    pub(crate) fn serve(self, job: Shown<'_>) {
        let registry = job.metrics.registry().clone();
        probes::build_info(&registry);
        if !self.access.by_token() && !self.address.ip().is_loopback() {
            tracing::info!(
                "no --token-file: whoever reaches {} may look, and only this machine may change something",
                self.address
            );
        }
        let models = web::Data::new(job.models);
        let shared = web::Data::new(Shared {
            access: self.access,
            registry,
            boards: Boards::new(&job.queries),
            queries: job.queries,
            pulses: job.pulses,
            progress: job.progress,
            models: models.clone(),
            sheet: job.sheet,
            viewers: Viewers::default(),
        });
        actix::spawn(shared.boards.clone().measure());
        let exit = web::Data::new(job.exit);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(models.clone())
                .app_data(exit.clone())
                .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
                .app_data(
                    web::JsonConfig::default()
                        .limit(BODY_BYTES_MAX)
                        .error_handler(|error, _| malformed_json(error)),
                )
                .app_data(
                    web::QueryConfig::default()
                        .error_handler(|error, _| malformed(error.into(), StatusCode::BAD_REQUEST)),
                )
                .app_data(
                    web::PathConfig::default()
                        .error_handler(|error, _| malformed(error.into(), StatusCode::NOT_FOUND)),
                )
                .configure(routes::routes)
                .default_service(web::to(routes::nowhere))
                .wrap(headers())
                .wrap(from_fn(bodies::limit))
        })
        .workers(1)
        .max_connections(CONNECTIONS_MAX)
        .client_request_timeout(HEAD_TIME)
        .shutdown_timeout(1)
        .disable_signals();
        let server = server.listen(self.listener);
        begin(server.map(HttpServer::run), self.address);
    }
}

/// Has a server live beside the queries.
fn begin(server: std::io::Result<Server>, address: SocketAddr) {
    match server {
        Ok(server) => {
            tracing::info!("metrics and probes at http://{address}");
            actix::spawn(async move {
                if let Err(error) = server.await {
                    tracing::error!(%error, "metrics and probes are no longer served");
                }
            });
        }
        Err(error) => {
            tracing::error!(%error, "metrics and probes cannot be served at {address}");
        }
    }
}
