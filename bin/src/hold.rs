//! A refused job that is kept up (`--hold-on-refusal`): probes are answered, `/ready` says why, a signal ends it at once.
//!
//! A supervisor that starts a refused job again and again hides the reason behind growing pauses. Kept up, the process is
//! alive and not ready: a roll-out stands still at it, says why, and can be undone.

use actix::prelude::*;
use prometheus::{IntGauge, Registry};

use crate::http;
use crate::refusal::{End, Refusal};
use crate::stop::Signals;
use crate::telemetry;

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
            http::held::serve(http, refusal.message(), &registry);
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
