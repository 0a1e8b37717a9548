//! One line of the log: what happened, of which job, query and partition, as text or JSON.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde_json::Value;
use thalweg_engine::behalf::Behalf;
use thalweg_operators::sinks::console::READER_GONE;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry;

/// A text that may hold words of others, of a server or a record, without what would tell a terminal what to do: control characters,
/// and those that turn the direction of a line. They stand there as in JSON, `\u001b`, in JSON as well.
fn tame(text: &str) -> Cow<'_, str> {
    escaped(text, wild)
}

/// The same of several lines, which may be those of a job file with its tabs.
pub(crate) fn tame_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| {
        !matches!(letter, '\n' | '\t') && wild(letter)
    })
}

fn wild(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, which: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(which) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            letter if !which(letter) => out.push(letter),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
        }
    }
    out.into()
}

/// `2026-01-31T12:00:00.000000Z  INFO loyalty/notification: running`: time, level, job and query, message, what else there is.
pub(crate) struct Lines;

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
        let parts = Parts::of(event);
        if parts.is_noise() {
            return Ok(());
        }
        SystemTime.format_time(&mut writer)?;
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
        match (telemetry::whose(), parts.text("query")) {
            (Some(job), Some(query)) => write!(writer, "{}/{}: ", tame(job), tame(query))?,
            (Some(one), None) | (None, Some(one)) => write!(writer, "{}: ", tame(one))?,
            (None, None) => {}
        }
        if level >= Level::DEBUG {
            write!(writer, "{}: ", event.metadata().target())?;
        }
        writer.write_str(&tame_lines(parts.text("message").unwrap_or_default()))?;
        if let Some(why) = parts.text("why") {
            write!(writer, ": {}", tame_lines(why))?;
        }
        let mut others = String::new();
        for (name, value) in &parts.0 {
            if ["query", "message", "why"].contains(name) {
                continue;
            }
            let comma = if others.is_empty() { "" } else { ", " };
            write!(others, "{comma}{name} ")?;
            match value {
                Value::String(text) => others.write_str(text)?,
                value => write!(others, "{value}")?,
            }
        }
        if !others.is_empty() {
            write!(writer, " ({})", tame(&others))?;
        }
        writeln!(writer)
    }
}

/// `{"timestamp":"...","level":"INFO","job":"loyalty","query":"notification","target":"...","message":"running"}`
pub(crate) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
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
        let parts = Parts::of(event);
        if parts.is_noise() {
            return Ok(());
        }
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let about = event.metadata();
        let mut line: Vec<(&str, Value)> = vec![
            ("timestamp", time.into()),
            ("level", about.level().as_str().into()),
        ];
        line.extend(telemetry::whose().map(|job| ("job", job.into())));
        line.push(("target", about.target().into()));
        line.extend(parts.0);
        let mut before = '{';
        for (name, value) in line {
            // A name is one of the program's own.
            write!(writer, "{before}\"{name}\":{}", tame(&value.to_string()))?;
            before = ',';
        }
        writer.write_str("}\n")
    }
}

/// The fields of an event, and query and partition where they are known.
struct Parts(Vec<(&'static str, Value)>);

impl Parts {
    fn of(event: &Event<'_>) -> Self {
        let mut parts = Self(Vec::new());
        event.record(&mut parts);
        if let Some(behalf) = Behalf::now() {
            parts.add("query", &behalf.query);
            if let Some(partition) = &behalf.partition {
                parts.add("partition", partition);
            }
        }
        parts
    }

    /// Adds what the event does not say itself.
    fn add(&mut self, name: &'static str, value: &str) {
        if self.0.iter().all(|(known, _)| *known != name) {
            self.0.push((name, value.into()));
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
        value.as_str()
    }

    /// `| head` has what it wanted: nothing that anybody must know.
    fn is_noise(&self) -> bool {
        self.text("why") == Some(READER_GONE)
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.push((field.name(), value.into()));
    }
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_cannot_tell_a_terminal_what_to_do() {
        let said = "no\r\n\u{1b}[2J\u{1b}]0;mine\u{7}\u{9b}31m\u{202e}ü\u{2028}\tend";
        assert_eq!(
            tame(said),
            "no\\r\\n\\u001b[2J\\u001b]0;mine\\u0007\\u009b31m\\u202eü\\u2028\\tend"
        );
        assert_eq!(
            tame_lines("\tfirst\n\t^ second\u{7f}"),
            "\tfirst\n\t^ second\\u007f"
        );
        let json = Value::from(said).to_string();
        let written = tame(&json);
        assert!(!written.contains(wild), "{written}");
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), said);
    }
}
