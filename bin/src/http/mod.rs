//! `/metrics` for Prometheus, `/live` and `/ready` for probes, `/api/v1/queries` for the progress of each query,
//! `/api/v1/slow` for its slowest records, `/api/v1/models` for models.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use prometheus::Registry;
use thalweg_engine::metrics::Metrics;
use thalweg_engine::status::QueryStatus;

use crate::models::Served;
use crate::progress::Progress;
use crate::refusal::Refusal;

mod probes;
mod pulses;
mod routes;

pub(crate) use probes::seen;
pub(crate) use pulses::Pulses;

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
        probes::build_info(&registry);
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
                .configure(routes::routes)
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
