//! What the process says on stderr: log lines as text or JSON, and the last word of a command that fails.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use thalweg_operators::sinks::console::READER_GONE;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, time};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::{LogFormat, Telemetry};

static JSON: AtomicBool = AtomicBool::new(false);

/// What others log stays quiet unless it matters; what the user writes comes after it and wins.
const QUIET: &str = "actix_server=warn,actix_http=warn,actix_web=warn,kafka=warn";

/// Begins to log, at the level `otherwise` where the user gives none.
///
/// # Errors
/// When the level is not one.
pub(crate) fn start(options: &Telemetry, otherwise: &str) -> Result<(), String> {
    let level = options
        .log_level
        .clone()
        .or_else(|| std::env::var("THALWEG_LOG").ok())
        .filter(|level| !level.trim().is_empty())
        .unwrap_or_else(|| otherwise.to_owned());
    let filter = EnvFilter::try_new(format!("{QUIET},{level}")).map_err(|error| {
        format!("`{level}` is no log level: {error}. Write error, warn, info, debug, trace or off.")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .event_format(Lines)
            .init(),
        LogFormat::Json => {
            JSON.store(true, Ordering::Relaxed);
            builder.json().flatten_event(true).init();
        }
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, "panicked: {text}");
    }));
    Ok(())
}

/// The last word of a command that is refused or fails.
pub(crate) fn fatal(message: &str) {
    if JSON.load(Ordering::Relaxed) {
        tracing::error!("{message}");
    } else {
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(std::io::stderr(), "error: {message}");
    }
}

/// `2026-01-31T12:00:00.000000Z  INFO notification: running`: time, level, query, message, what else there is.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        if parts.why.as_deref() == Some(READER_GONE) {
            // `| head` has what it wanted: nothing that anybody must know.
            return Ok(());
        }
        time::FormatTime::format_time(&time::SystemTime, &mut writer)?;
        let level = *event.metadata().level();
        let (colour, word) = match level {
            Level::ERROR => ("\u{1b}[31m", "ERROR"),
            Level::WARN => ("\u{1b}[33m", " WARN"),
            Level::INFO => ("\u{1b}[32m", " INFO"),
            Level::DEBUG => ("\u{1b}[34m", "DEBUG"),
            Level::TRACE => ("\u{1b}[35m", "TRACE"),
        };
        if writer.has_ansi_escapes() {
            write!(writer, " {colour}{word}\u{1b}[0m ")?;
        } else {
            write!(writer, " {word} ")?;
        }
        if let Some(query) = &parts.query {
            write!(writer, "{query}: ")?;
        }
        if level >= Level::DEBUG {
            write!(writer, "{}: ", event.metadata().target())?;
        }
        writer.write_str(&parts.message)?;
        if let Some(why) = &parts.why {
            write!(writer, ": {why}")?;
        }
        if !parts.others.is_empty() {
            write!(writer, " ({})", parts.others)?;
        }
        writeln!(writer)
    }
}

/// The fields of an event, sorted by what a reader wants to know first.
#[derive(Default)]
struct Parts {
    query: Option<String>,
    message: String,
    why: Option<String>,
    others: String,
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "query" => self.query = Some(value.to_owned()),
            "why" => self.why = Some(value.to_owned()),
            "message" => value.clone_into(&mut self.message),
            name => {
                let comma = if self.others.is_empty() { "" } else { ", " };
                let _ = write!(self.others, "{comma}{name} {value}");
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
