//! `thalweg why-slow`: asks a running job for its slowest records and says in plain words where their time went.

use std::fmt::Write as _;

use crate::cli::WhySlowArgs;
use crate::console;
use crate::duration::latency;
use crate::http::client::Client;
use crate::refusal::{End, Refusal};
use crate::slow::{Meanwhile, Slow, SlowQuery, SlowRecord, SlowStage};

/// What is faster than this is not slow: a millisecond.
const SLOW: u64 = 1_000;

/// `thalweg why-slow`.
///
/// # Errors
/// When no job answers there.
pub(crate) fn why_slow(args: &WhySlowArgs) -> Result<End, Refusal> {
    let path = format!("/api/v1/slow?minutes={}&limit={}", args.minutes, args.limit);
    let client = Client::new(&args.served.url, args.served.token_file.as_deref())?;
    let body = client.get(&path)?;
    if args.json {
        console::line(body.trim_end());
        return Ok(End::Clean);
    }
    let slow: Slow = serde_json::from_str(&body).map_err(|error| {
        Refusal::new(format!(
            "what {} answers is not what a thalweg of this version says: {error}",
            args.served.url
        ))
    })?;
    console::text(&text(&slow));
    Ok(End::Clean)
}

fn text(slow: &Slow) -> String {
    let mut out = String::new();
    for query in &slow.queries {
        if !out.is_empty() {
            out.push('\n');
        }
        of_query(query, slow.minutes, &mut out);
    }
    out
}

fn of_query(query: &SlowQuery, minutes: u32, out: &mut String) {
    let span = match minutes {
        1 => "the last minute".to_owned(),
        minutes => format!("the last {minutes} minutes"),
    };
    let name = &query.query;
    let Some(slowest) = query.slowest.first() else {
        let _ = writeln!(out, "{name}: no record was delivered in {span}");
        return;
    };
    if slowest.micros < SLOW {
        let _ = writeln!(
            out,
            "{name}: nothing was slow in {span}; the slowest record took {} from taken to delivered",
            latency(slowest.micros)
        );
    }
    let _ = writeln!(
        out,
        "{name}: the slowest records of {span}, from taken to delivered"
    );
    for record in &query.slowest {
        of_record(record, record.micros, out);
    }
    let waited = |record: &&SlowRecord| record.micros_since_timestamp.unwrap_or(0) >= SLOW;
    let mut longest = query
        .longest_since_timestamp
        .iter()
        .filter(waited)
        .peekable();
    if longest.peek().is_some() {
        let _ = writeln!(
            out,
            "{name}: those delivered longest after their own timestamps"
        );
    }
    for record in longest {
        of_record(record, record.micros_since_timestamp.unwrap_or(0), out);
    }
}

fn of_record(record: &SlowRecord, micros: u64, out: &mut String) {
    let position = record
        .position
        .as_ref()
        .map_or_else(|| "?".to_owned(), ToString::to_string);
    let _ = write!(
        out,
        "  {:>10}  {} at {position}, delivered {}",
        latency(micros),
        record.partition,
        record.delivered_at
    );
    if record.alike > 0 {
        let _ = write!(out, " ({} more of that moment)", record.alike);
    }
    out.push('\n');
    if let Some(most) = &record.most {
        let _ = writeln!(
            out,
            "              most of it {}: {}",
            in_words(most),
            latency(most.micros)
        );
    }
    let stages = record.stages.iter().filter(|stage| stage.micros > 0);
    let stages: Vec<String> = stages
        .map(|stage| {
            format!(
                "{} {}",
                name(stage, record.steps_timed),
                latency(stage.micros)
            )
        })
        .collect();
    if !stages.is_empty() {
        let _ = writeln!(out, "              {}", stages.join(", "));
    }
    for meanwhile in &record.meanwhile {
        let _ = writeln!(out, "              meanwhile {}", doing(meanwhile));
    }
}

/// A stage as the end of "most of it ...".
fn in_words(stage: &SlowStage) -> String {
    match (stage.stage.as_str(), &stage.step) {
        ("before", _) => {
            "before it was taken, at its producer, in the broker, or behind others".to_owned()
        }
        ("decode", _) => "in decoding".to_owned(),
        ("step", Some(step)) => format!("in the step `{step}`"),
        ("write", _) => "in encoding it for the output".to_owned(),
        ("steps", _) => "in the steps of the query".to_owned(),
        ("deliver", _) => "until the output had acknowledged it".to_owned(),
        (other, _) => format!("in {other}"),
    }
}

/// A stage in a list.
fn name(stage: &SlowStage, timed: bool) -> String {
    match (stage.stage.as_str(), &stage.step) {
        ("before", _) => "before taken".to_owned(),
        ("step", Some(step)) => format!("`{step}`"),
        ("write", _) => "encoding".to_owned(),
        ("steps", _) if timed => "between the steps".to_owned(),
        ("steps", _) => "steps and encoding".to_owned(),
        ("deliver", _) => "delivery".to_owned(),
        (other, _) => other.to_owned(),
    }
}

fn doing(meanwhile: &Meanwhile) -> String {
    let time = latency(meanwhile.micros);
    let epoch = meanwhile
        .epoch
        .map_or_else(String::new, |epoch| format!(" of epoch {epoch}"));
    match meanwhile.doing.as_str() {
        "cut" => format!("the lane made the cut{epoch} for {time}; no row is taken then"),
        "saving" => {
            format!("state{epoch} was written and its delivery awaited for {time}; rows go on")
        }
        "epoch" => format!(
            "epoch {} was open for {time}; rows go on",
            meanwhile.epoch.unwrap_or(0)
        ),
        "merging" => format!("state objects were merged for {time}; rows go on"),
        "sinkFull" => {
            format!("the output was full for {time}: it takes rows more slowly than they come")
        }
        "fetchGap" => {
            format!("nothing came from the input for {time}: it was not there or not fetched yet")
        }
        "emitting" => format!("the steps emitted results for {time}; no row is taken then"),
        "housekeeping" => format!("old state was removed for {time}; no row is taken then"),
        "away" => format!("a broker or the checkpoint folder did not answer for {time}"),
        "restart" => format!("the query was between two runs for {time}"),
        "warmUp" => format!("state was built from older records for {time}"),
        "tables" => format!("joined tables were being read for {time}; rows wait for them"),
        "paused" => format!("the query was paused by hand for {time}"),
        "rebalance" => {
            format!("the partition moved to this process for {time}; nobody read it then")
        }
        "newPartition" => format!("a new partition was opened for {time}"),
        "modelLoad" => {
            format!("a version of a model was loaded and proved for {time}; rows go on")
        }
        "tableLoad" => format!("a static table was read again for {time}; rows go on"),
        other => format!("{other} for {time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(slowest: &str) -> Slow {
        let text = format!(
            r#"{{"minutes":10,"queries":[{{"query":"points","slowest":[{slowest}],"longestSinceTimestamp":[]}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_slow_record_is_told_in_words() {
        let slow = answer(
            r#"{"input":"invoices","partition":"invoices/3","position":4711,"timestamp":null,
            "takenAt":"2026-01-31T12:00:00.000000Z","deliveredAt":"2026-01-31T12:00:00.012400Z","micros":12400,
            "microsSinceTimestamp":null,"stages":[{"stage":"decode","micros":3},{"stage":"step","step":"over","micros":400},
            {"stage":"write","micros":0},{"stage":"deliver","micros":12000}],"most":{"stage":"deliver","micros":12000},
            "stepsTimed":true,"meanwhile":[{"doing":"sinkFull","micros":8200,"holdsRows":true,"begin":"","end":null},
            {"doing":"saving","micros":900,"holdsRows":false,"begin":"","end":null,"epoch":12}],"alike":34}"#,
        );
        let said = text(&slow);
        for part in [
            "12.40 ms  invoices/3 at 4711",
            "(34 more of that moment)",
            "most of it until the output had acknowledged it: 12.00 ms",
            "decode 3 us, `over` 400 us, delivery 12.00 ms",
            "meanwhile the output was full for 8.20 ms",
            "meanwhile state of epoch 12 was written",
        ] {
            assert!(said.contains(part), "{part}\n{said}");
        }
    }

    #[test]
    fn a_job_without_records_and_one_that_is_fast_say_so() {
        assert_eq!(
            text(&answer("")),
            "points: no record was delivered in the last 10 minutes\n"
        );
        let fast = answer(
            r#"{"input":"i","partition":"i/0","position":"a","timestamp":null,"takenAt":"","deliveredAt":"","micros":300,
            "microsSinceTimestamp":null,"stages":[],"most":null,"stepsTimed":false,"meanwhile":[],"alike":0}"#,
        );
        assert!(text(&fast).starts_with(
            "points: nothing was slow in the last 10 minutes; the slowest record took 300 us from taken to delivered\n"
        ));
    }
}
