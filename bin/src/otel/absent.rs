//! A build without the feature `otel`: there are no traces, and who asks for some is told.

use prometheus::Registry;
use thalweg_engine::status::QueryStatus;
use thalweg_operators::table::Table;

use crate::refusal::Refusal;

/// No traces.
pub(crate) struct Traces;

impl Traces {
    /// Says so where the environment wants some.
    #[allow(clippy::unnecessary_wraps, reason = "as with the feature")]
    pub(crate) fn begin(
        _: &str,
        _: Option<&str>,
        _: &[Table],
        _: &Registry,
    ) -> Result<Self, Refusal> {
        let wanted = [
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ];
        if wanted.iter().any(|name| std::env::var_os(name).is_some()) {
            tracing::warn!(
                "there are no traces: this build has no feature otel (`thalweg version` shows what it has)"
            );
        }
        Ok(Self)
    }

    /// Nothing.
    #[allow(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn follow(&self, _: &QueryStatus) {}

    /// Nothing.
    pub(crate) fn finish(self) {}
}
