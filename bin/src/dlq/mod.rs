//! `thalweg dlq`: dead letters listed, shown, and sent again.

mod choice;
mod letter;
mod pacing;
mod replay;
mod retried;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use thalweg_operators::coordinates::Seen;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::kafka::{Found, Span, Survey};

use crate::cli::{DlqListArgs, DlqShowArgs};
use crate::console;
use crate::duration::{grouped, time};
use crate::refusal::{End, Refusal};
use thalweg_engine::counted::counted;

use choice::{Choice, Letters, Others, each, place};
use letter::{Letter, place as shown};

pub(crate) use replay::replay;

/// Bytes of a value that are no text on one line.
const HEX_LINE: usize = 16;

fn at(millis: Option<i64>) -> String {
    millis.map_or_else(
        || "-".to_owned(),
        |millis| time(millis.saturating_mul(1_000)),
    )
}

/// What there is of one reason.
#[derive(Default)]
struct Heap {
    count: u64,
    first: Option<i64>,
    last: Option<i64>,
    /// By input partition.
    from: BTreeMap<String, u64>,
}

/// `thalweg dlq list`.
///
/// # Errors
/// When the topic cannot be read.
pub(crate) fn list(args: &DlqListArgs, extensions: &Arc<Extensions>) -> Result<End, Refusal> {
    let letters = Letters::of(&args.topic, extensions)?;
    let choice = Choice::of(&args.choice, &[])?;
    letters.covers(&choice)?;
    let survey = Survey::open(&letters.table, false)?;
    let spans = choice.spans(&survey, &letters.topic)?;
    let mut heaps: BTreeMap<String, Heap> = BTreeMap::new();
    let mut known: HashMap<String, Seen> = HashMap::new();
    let (mut listed, mut twice) = (0, 0);
    let (others, _) = each(&survey, &spans, &letters, &choice, &mut |letter, _| {
        let heap = heaps.entry(letter.class.clone()).or_default();
        heap.count += 1;
        heap.first = heap.first.into_iter().chain(letter.millis).min();
        heap.last = heap.last.max(letter.millis);
        if let Some(origin) = letter.origin() {
            let from = format!("{}/{}", origin.topic, origin.partition);
            *heap.from.entry(from).or_default() += 1;
        }
        let (way, coordinate) = letter.name(&letters.topic);
        twice += u64::from(!known.entry(way).or_default().insert(coordinate));
        if listed < args.limit {
            listed += 1;
            console::line(&if args.json {
                json(&letters.topic, &letter)
            } else {
                line(&letter)
            });
        }
        ControlFlow::Continue(())
    })?;
    if !args.json {
        console::text(&summary(&letters.topic, &heaps, (listed, twice, others)));
    }
    Ok(End::Clean)
}

/// One line, without what could write on the screen.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn line(letter: &Letter) -> String {
    format!(
        "{:<10} {}  {:<12} {:<24} {}",
        format!("{}@{}", letter.partition, letter.offset),
        at(letter.millis),
        plain(&letter.class),
        plain(&letter.from()),
        plain(&letter.error)
    )
}

fn json(topic: &str, letter: &Letter) -> String {
    let origin = letter.origin();
    serde_json::json!({
        "topic": topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "time": letter.millis.map(|_| at(letter.millis)),
        "reason": letter.class,
        "error": letter.error,
        "from": letter.from(),
        "job": origin.map(|origin| origin.job),
        "query": origin.map(|origin| origin.query),
        "first": letter.first(),
    })
    .to_string()
}

fn summary(
    topic: &str,
    heaps: &BTreeMap<String, Heap>,
    (listed, twice, others): (u64, u64, Others),
) -> String {
    let all: u64 = heaps.values().map(|heap| heap.count).sum();
    let noun = if all == 1 {
        "dead letter"
    } else {
        "dead letters"
    };
    let mut out = format!("{topic}: {} {noun}\n", grouped(all));
    for (class, heap) in heaps {
        let from: Vec<String> = heap
            .from
            .iter()
            .map(|(from, count)| format!("{} {}", plain(from), grouped(*count)))
            .collect();
        let _ = writeln!(
            out,
            "  {:<12} {:>9}  {} to {}  {}",
            plain(class),
            grouped(heap.count),
            at(heap.first),
            at(heap.last),
            from.join(", ")
        );
    }
    if listed < all {
        let _ = writeln!(
            out,
            "  {} are not listed: raise --limit",
            grouped(all - listed)
        );
    }
    if twice > 0 {
        let _ = writeln!(
            out,
            "  {} of them stand there again, written by a restart: replay sends each once",
            grouped(twice)
        );
    }
    if others.letters > 0 {
        let _ = writeln!(
            out,
            "  {} more in the topic are of other jobs or queries",
            grouped(others.letters)
        );
    }
    if others.records > 0 {
        let _ = writeln!(
            out,
            "  {} other records of the topic are no dead letters",
            grouped(others.records)
        );
    }
    out
}

/// `thalweg dlq show`.
///
/// # Errors
/// When there is no such dead letter.
pub(crate) fn show(args: &DlqShowArgs, extensions: &Arc<Extensions>) -> Result<End, Refusal> {
    let letters = Letters::of(&args.topic, extensions)?;
    let (partition, offset) = place(&args.place)?;
    let survey = Survey::open(&letters.table, false)?;
    let count = survey.partitions(&letters.topic)?;
    let topic = &letters.topic;
    let missing = |what: &str| Refusal::new(format!("{topic}/{partition}@{offset} {what}"));
    if !(0..count).contains(&partition) {
        return Err(missing(&format!(
            "is not there: the topic has {}",
            counted(count, "partition")
        )));
    }
    let index = usize::try_from(partition).unwrap_or(0);
    let (begin, end) = (survey.begins(topic)?[index], survey.ends(topic)?[index]);
    if !(begin..end).contains(&offset) {
        return Err(missing(&format!(
            "is not there: the partition holds the offsets from {begin} up to before {end}"
        )));
    }
    let span = Span {
        topic: topic.clone(),
        partition,
        from: offset,
        until: offset + 1,
    };
    let mut said = None;
    survey.read(&[span], None, &mut |found| {
        said = Some(Letter::of(found).map(|letter| describe(&letter, found)));
        ControlFlow::Break(())
    })?;
    match said {
        Some(Some(text)) => console::text(&text),
        Some(None) => return Err(missing("is no dead letter: it has not the headers of one")),
        None => {
            return Err(missing(
                "holds no record: it was compacted, or a transaction ends there",
            ));
        }
    }
    Ok(End::Clean)
}

fn describe(letter: &Letter, found: &Found<'_>) -> String {
    let mut out = format!("{}/{}@{}\n", found.topic, letter.partition, letter.offset);
    let mut say = |what: &str, text: &str| {
        let _ = writeln!(out, "  {what:<10} {text}");
    };
    if let Some(origin) = letter.origin() {
        say("job", &plain(origin.job));
        say("query", &plain(origin.query));
        say("from", &plain(&shown(&origin)));
    }
    if let Some(first) = letter.first() {
        let first = thalweg_operators::coordinates::Origin::read(first.as_bytes())
            .map_or_else(|| first.clone(), |origin| shown(&origin));
        say(
            "first",
            &format!("{} (this is a later attempt)", plain(&first)),
        );
    }
    say("came", &at(letter.millis));
    let timestamp = letter.timestamp.as_ref().and_then(|text| text.parse().ok());
    say("timestamp", &at(timestamp));
    say("reason", &plain(&letter.class));
    say("error", &plain(&letter.error));
    for (name, value) in &letter.headers {
        let value = value.as_deref().map_or_else(
            || "null".to_owned(),
            |value| match std::str::from_utf8(value) {
                Ok(text) => plain(text),
                Err(_) => value.iter().map(|byte| format!("{byte:02x}")).collect(),
            },
        );
        say("header", &format!("{} = {value}", plain(name)));
    }
    content("key", found.key(), &mut out);
    content("value", found.value(), &mut out);
    out
}

/// Text as it is; anything else as hexadecimal digits.
fn content(what: &str, bytes: Option<&[u8]>, out: &mut String) {
    let Some(bytes) = bytes else {
        let _ = writeln!(out, "  {what:<10} null");
        return;
    };
    let noun = if bytes.len() == 1 { "byte" } else { "bytes" };
    let _ = writeln!(out, "  {what:<10} {} {noun}", grouped(bytes.len() as u64));
    let harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(harmless) => {
            if !text.is_empty() {
                let _ = writeln!(out, "{text}");
            }
        }
        _ => {
            for (number, line) in bytes.chunks(HEX_LINE).enumerate() {
                let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                let text: String = line
                    .iter()
                    .map(|byte| match byte {
                        b' '..=b'~' => char::from(*byte),
                        _ => '.',
                    })
                    .collect();
                let _ = writeln!(
                    out,
                    "{:08x}  {:<width$}  {text}",
                    number * HEX_LINE,
                    hex.join(" "),
                    width = HEX_LINE * 3 - 1
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_is_and_anything_else_as_hexadecimal_digits() {
        let mut out = String::new();
        content("key", None, &mut out);
        content("value", Some(b"{\"a\":\n1}"), &mut out);
        content("value", Some(b"\x1b[31m\xff"), &mut out);
        assert_eq!(
            out,
            "  key        null\n  value      8 bytes\n{\"a\":\n1}\n  value      6 bytes\n\
             00000000  1b 5b 33 31 6d ff                                .[31m.\n"
        );
    }
}
