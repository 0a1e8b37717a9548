//! What the process says on stderr: log lines as text or JSON, and the last word of a command that fails.

use std::ffi::OsString;
use std::io::{IsTerminal, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload;

use crate::cli::{LogFormat, Telemetry};
use crate::log_lines::{JsonLines, Lines, tame_lines};

static JSON: AtomicBool = AtomicBool::new(false);

/// What others log, by the beginnings of their names, stays quiet unless it matters.
const OTHERS: [&str; 11] = [
    "actix",
    "h2",
    "hyper",
    "kafka",
    "mio",
    "notify",
    "object_store",
    "ort",
    "reqwest",
    "rustls",
    "ureq",
];

/// The audit log is written whatever else is.
const AUDIT: &str = "audit=info";

/// What is logged is said in no more letters than this.
const LEVELS_LETTERS_MAX: usize = 500;

/// What is logged, as the user says it, and what changes it.
struct Levels {
    now: Mutex<String>,
    set: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

static LEVELS: OnceLock<Levels> = OnceLock::new();

static JOB: OnceLock<String> = OnceLock::new();

/// The job of this process: each line says it from now on.
pub(crate) fn job(name: &str) {
    // A program that runs several jobs has a log of its own.
    let _ = JOB.set(name.to_owned());
}

/// The job of this process, once it is known.
pub(crate) fn whose() -> Option<&'static str> {
    JOB.get().map(String::as_str)
}

fn filter(levels: &str) -> Result<EnvFilter, String> {
    // What the filter takes for a component alone is a level that is written wrongly.
    for part in levels.split(',') {
        let level = part.rsplit('=').next().unwrap_or_default().trim();
        let known = ["error", "warn", "info", "debug", "trace", "off"];
        if !known.iter().any(|known| level.eq_ignore_ascii_case(known)) {
            return Err(format!(
                "`{level}` is no log level: write error, warn, info, debug, trace or off"
            ));
        }
    }
    // What the user writes of one of them comes last and wins; what he wants of all must not be less than theirs.
    let of_all = levels.split(',').rfind(|part| !part.contains('='));
    let still = of_all.map(str::trim).filter(|level| {
        ["error", "off"]
            .iter()
            .any(|less| level.eq_ignore_ascii_case(less))
    });
    let others = OTHERS.map(|name| format!("{name}={}", still.unwrap_or("warn")));
    EnvFilter::try_new(format!("{},{AUDIT},{levels}", others.join(",")))
        .map_err(|error| format!("`{levels}` is no log level: {error}"))
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
    let (level, by) = match (&options.log_level, std::env::var("THALWEG_LOG")) {
        (Some(level), _) => (level.clone(), "--log-level"),
        (None, Ok(level)) if !level.trim().is_empty() => (level, "THALWEG_LOG"),
        (None, _) => (otherwise.to_owned(), "the level"),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&level).map_err(|why| format!("{by}: {why}"))?)
        // What cannot be written would be told on stderr, which is what cannot be written.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => {
            let builder = builder
                .with_ansi(coloured(
                    std::env::var_os("NO_COLOR"),
                    std::io::stderr().is_terminal(),
                ))
                .event_format(Lines)
                .with_filter_reloading();
            let handle = builder.reload_handle();
            changed_by(level, move |filter| handle.reload(filter));
            builder.init();
        }
        LogFormat::Json => {
            JSON.store(true, Ordering::Relaxed);
            let builder = builder
                .with_ansi(false)
                .event_format(JsonLines)
                .with_filter_reloading();
            let handle = builder.reload_handle();
            changed_by(level, move |filter| handle.reload(filter));
            builder.init();
        }
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("no message");
        let remedy = limit_reached(text).unwrap_or_default();
        tracing::error!(place, "panicked: {text}{remedy}");
    }));
    Ok(())
}

/// What helps where the system refused a thread or memory: libraries end such a call with a panic.
fn limit_reached(panic: &str) -> Option<&'static str> {
    if panic.contains("Resource temporarily unavailable") && !panic.contains("printing") {
        Some(
            ": this process may have no more threads, raise the limit (`ulimit -u`, or pids.max of the container)",
        )
    } else if panic.contains("Cannot allocate memory") {
        Some(
            ": this process may have no more memory, raise the limit (`ulimit -v`, or that of the container)",
        )
    } else {
        None
    }
}

/// Whether lines have colours: on a terminal, unless the user wants none there (<https://no-color.org>).
fn coloured(no_color: Option<OsString>, terminal: bool) -> bool {
    terminal && no_color.is_none_or(|value| value.is_empty())
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
        let _ = writeln!(std::io::stderr(), "error: {}", tame_lines(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_for_want_of_threads_says_which_limit() {
        let refused = std::io::Error::from_raw_os_error(libc::EAGAIN);
        let said = limit_reached(&format!("failed to spawn thread: {refused}"));
        assert!(said.is_some_and(|said| said.contains("pids.max")));
        let refused = std::io::Error::from_raw_os_error(libc::ENOMEM);
        let said = limit_reached(&format!("mmap failed: {refused}"));
        assert!(said.is_some_and(|said| said.contains("ulimit -v")));
        assert_eq!(limit_reached("index out of bounds"), None);
        let pipe = std::io::Error::from_raw_os_error(libc::EAGAIN);
        let said = limit_reached(&format!("failed printing to stdout: {pipe}"));
        assert_eq!(said, None, "a pipe that is full is no thread");
    }

    #[test]
    fn others_say_no_more_than_the_user_wants_of_all() {
        for (levels, kafka) in [
            ("info", "kafka=warn"),
            ("trace", "hyper=warn"),
            ("trace,hyper_util=debug", "hyper_util=debug"),
            ("error", "kafka=error"),
            ("Off", "kafka=off"),
            ("error,kafka=debug", "kafka=debug"),
            ("off,thalweg_engine=info", "kafka=off"),
        ] {
            let said = filter(levels).unwrap().to_string();
            assert!(said.contains(kafka), "{levels}: {said}");
            assert!(said.contains(AUDIT), "{levels}: {said}");
        }
    }

    #[test]
    fn a_terminal_has_colours_unless_nobody_wants_them() {
        assert!(coloured(None, true));
        assert!(coloured(Some("".into()), true));
        assert!(!coloured(Some("1".into()), true));
        assert!(!coloured(None, false));
    }
}
