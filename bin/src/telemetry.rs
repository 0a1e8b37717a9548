//! What the process says on stderr: log lines as text or JSON, and the last word of a command that fails.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use thalweg_operators::sinks::console::READER_GONE;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, time};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

use crate::cli::{LogFormat, Telemetry};

static JSON: AtomicBool = AtomicBool::new(false);

/// What others log stays quiet unless it matters, and the audit log is written; what the user writes comes after it and
/// wins.
const QUIET: &str = "actix_server=warn,actix_http=warn,actix_web=warn,kafka=warn,audit=info";

/// What is logged is said in no more letters than this.
const LEVELS_LETTERS_MAX: usize = 500;

/// What is logged, as the user says it, and what changes it.
struct Levels {
    now: Mutex<String>,
    set: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

static LEVELS: OnceLock<Levels> = OnceLock::new();

fn filter(levels: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(format!("{QUIET},{levels}")).map_err(|error| {
        format!(
            "`{levels}` is no log level: {error}. Write error, warn, info, debug, trace or off."
        )
    })
}

/// What is logged, as `--log-level` says it; None in a program that keeps its own log.
pub(crate) fn levels() -> Option<String> {
    Some(LEVELS.get()?.now.lock().clone())
}

/// Logs something else from now on.
///
/// # Errors
/// When it is no level.
pub(crate) fn set_levels(levels: &str) -> Result<(), String> {
    // Patterns of values, which the filter also knows, may cost more than they tell.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_:,=-".contains(letter);
    if levels.is_empty() || levels.len() > LEVELS_LETTERS_MAX || !levels.chars().all(plain) {
        return Err(
            "write a level, such as info, or one by component, such as info,thalweg_engine=debug"
                .to_owned(),
        );
    }
    // What the filter takes for a component alone is a level that is written wrongly.
    for part in levels.split(',') {
        let level = part.rsplit('=').next().unwrap_or_default();
        let known = ["error", "warn", "info", "debug", "trace", "off"];
        if !known.iter().any(|known| level.eq_ignore_ascii_case(known)) {
            return Err(format!(
                "`{level}` is no log level: write error, warn, info, debug, trace or off"
            ));
        }
    }
    let filter = filter(levels)?;
    let Some(known) = LEVELS.get() else {
        return Err("this program keeps its own log".to_owned());
    };
    let mut now = known.now.lock();
    (known.set)(filter)?;
    levels.clone_into(&mut now);
    Ok(())
}

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
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&level)?)
        .with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => {
            let builder = builder
                .with_ansi(std::io::stderr().is_terminal())
                .event_format(Lines)
                .with_filter_reloading();
            let handle = builder.reload_handle();
            changed_by(level, move |filter| handle.reload(filter));
            builder.init();
        }
        LogFormat::Json => {
            JSON.store(true, Ordering::Relaxed);
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            changed_by(level, move |filter| handle.reload(filter));
            builder.init();
        }
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, "panicked: {text}");
    }));
    Ok(())
}

fn changed_by(
    level: String,
    set: impl Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync + 'static,
) {
    let set = move |filter| set(filter).map_err(|error| error.to_string());
    // There is one log in a process, and it is begun once.
    let _ = LEVELS.set(Levels {
        now: Mutex::new(level),
        set: Box::new(set),
    });
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
