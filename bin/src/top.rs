//! `thalweg top`: what a running job does, in a terminal, as its page shows it.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use crate::cli::TopArgs;
use crate::console;
use crate::duration::{bytes, grouped, latency};
use crate::http::board::Board;
use crate::http::client::Client;
use crate::http::tracked::{QueryBoard, StageBoard};
use crate::refusal::{End, Refusal};
use crate::slow::SlowRecord;
use thalweg_engine::counted::counted;

/// How often it is shown anew.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often partitions of others are asked for.
const OTHERS_MAX: usize = 3;

/// Partitions and slow records of a query that are shown, those that matter most.
const PARTITIONS: usize = 12;
const SLOW: usize = 5;

/// The cursor to the first place, and everything behind it away.
const ANEW: &str = "\u{1b}[H\u{1b}[J";

/// `thalweg top`.
///
/// # Errors
/// When no job answers there at first.
pub(crate) fn top(args: &TopArgs) -> Result<End, Refusal> {
    let client = Client::new(&args.served.url, args.served.token_file.as_deref())?;
    if args.once || !std::io::stdout().is_terminal() {
        console::text(&text(&with_others(&client)?));
        return Ok(End::Clean);
    }
    let mut shown = text(&look(&client)?);
    loop {
        let fitted = console::window().map(|window| fitted(&shown, window));
        console::text(&format!("{ANEW}{}", fitted.as_ref().unwrap_or(&shown)));
        std::thread::sleep(INTERVAL);
        if console::closed() {
            return Ok(End::Clean);
        }
        // A job that is gone may come back: a restart, a roll-out.
        shown = match look(&client) {
            Ok(board) => text(&board),
            Err(refusal) => format!(
                "{}\nasking again each second; Ctrl-C ends\n",
                refusal.message()
            ),
        };
    }
}

/// Partitions of others that share the job are looked for from the first question on: the one picture that is shown waits for them
/// a little.
fn with_others(client: &Client) -> Result<Board, Refusal> {
    let mut board = look(client)?;
    for _ in 0..OTHERS_MAX {
        if board.shows_others() {
            break;
        }
        std::thread::sleep(INTERVAL);
        board = look(client)?;
    }
    Ok(board)
}

/// As much of a text as a window of so many rows and columns has room for: more would scroll the beginning away.
fn fitted(text: &str, (rows, columns): (usize, usize)) -> String {
    let all: Vec<&str> = text.lines().collect();
    let room = if all.len() > rows { rows - 1 } else { rows };
    let mut lines: Vec<String> = all
        .iter()
        .take(room)
        .map(|line| line.chars().take(columns).collect())
        .collect();
    if all.len() > rows {
        let more = format!("... {} more, see --once", all.len() - room);
        lines.push(more.chars().take(columns).collect());
    }
    lines.join("\n")
}

fn look(client: &Client) -> Result<Board, Refusal> {
    let body = client.get("/api/v1/board")?;
    serde_json::from_str(&body).map_err(|error| {
        Refusal::new(format!(
            "what the job answers is not what a thalweg of this version says: {error}"
        ))
    })
}

/// Names and messages hold what others wrote: nothing of it may steer the terminal.
fn plain(text: &str) -> String {
    let tame = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.chars().map(tame).collect()
}

fn text(board: &Board) -> String {
    let mut out = format!("job {}", plain(&board.job));
    if let Some(member) = &board.member {
        let _ = write!(out, ", member {}", plain(member));
    }
    let _ = writeln!(out, ", up {}", time(board.uptime_seconds));
    for query in &board.queries {
        of_query(query, &mut out);
        let slow = board.slow.queries.iter().find(|of| of.query == query.query);
        let slow = slow.map(|of| of.slowest.as_slice()).unwrap_or_default();
        slowest(slow, &mut out);
    }
    models(board, &mut out);
    out
}

fn time(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

fn percentiles(stage: &StageBoard) -> String {
    match stage.micros {
        None => "-".to_owned(),
        Some([p50, p99, p999]) => {
            format!(
                "{:>9} {:>9} {:>9}",
                latency(p50),
                latency(p99),
                latency(p999)
            )
        }
    }
}

fn of_query(query: &QueryBoard, out: &mut String) {
    let _ = write!(
        out,
        "\n{}: {} for {}",
        plain(&query.query),
        query.phase,
        time(query.seconds)
    );
    if query.paused && query.phase != "paused" {
        out.push_str(", paused");
    }
    out.push('\n');
    if let Some(why) = &query.why {
        let _ = writeln!(out, "  {}", plain(why));
    }
    let (rates, counts) = (&query.rates, &query.counts);
    let _ = writeln!(
        out,
        "  in {:.1}/s, out {:.1}/s; in all {} in, {} out, {} acknowledged",
        rates.records_in,
        rates.records_out,
        grouped(counts.records_in),
        grouped(counts.records_out),
        grouped(counts.acknowledged)
    );
    let failed = counts.failed_decode + counts.failed_expression + counts.failed_write;
    let _ = writeln!(
        out,
        "  failed {}, dead letters {}, late {}, skipped {}, new runs {}",
        grouped(failed),
        grouped(counts.dead_letters),
        grouped(counts.late),
        grouped(counts.skipped),
        grouped(counts.restarts)
    );
    let _ = writeln!(out, "  latency             p50       p99     p99.9");
    let measured = query.latency.iter().filter(|stage| stage.micros.is_some());
    for stage in measured {
        let _ = writeln!(out, "  {:<13} {}", stage.stage, percentiles(stage));
    }
    let epochs = &query.epochs;
    let newest = epochs
        .newest
        .map_or_else(|| "none".to_owned(), |n| n.to_string());
    let _ = writeln!(
        out,
        "  epoch {newest}, {} s old, {} open, {}; commit p99 {}, cut p99 {}",
        epochs.age_seconds.unwrap_or(0),
        epochs.open,
        bytes(u64::try_from(epochs.checkpoint_bytes).unwrap_or(0)),
        epochs
            .duration
            .micros
            .map_or_else(|| "-".to_owned(), |m| latency(m[1])),
        epochs
            .cut
            .micros
            .map_or_else(|| "-".to_owned(), |m| latency(m[1])),
    );
    for state in &query.state {
        let _ = writeln!(
            out,
            "  state {}: {}, {}",
            plain(&state.step),
            counted(grouped(state.keys), "key"),
            bytes(state.bytes)
        );
    }
    partitions(query, out);
}

fn partitions(query: &QueryBoard, out: &mut String) {
    let mut all: Vec<_> = query.partitions.iter().collect();
    all.sort_by_key(|partition| std::cmp::Reverse(partition.lag.unwrap_or(0)));
    for partition in all.iter().take(PARTITIONS) {
        let lag = partition.lag.map_or_else(
            || "lag unknown".to_owned(),
            |lag| format!("lag {}", grouped(u64::try_from(lag).unwrap_or(0))),
        );
        let name = plain(&partition.partition);
        let position = partition.position.as_ref().map(ToString::to_string);
        let position = position.map_or_else(|| "its start".to_owned(), |position| plain(&position));
        let _ = write!(out, "  {name} at {position}, {lag}");
        if let Some(owner) = &partition.owner {
            let _ = write!(out, ", read by {}", plain(owner));
        }
        out.push_str(if partition.ended { ", ended\n" } else { "\n" });
    }
    let left_out = all.len().saturating_sub(PARTITIONS) + query.partitions_left_out;
    if left_out > 0 {
        let _ = writeln!(out, "  and {} more", counted(left_out, "partition"));
    }
}

fn slowest(slow: &[SlowRecord], out: &mut String) {
    for record in slow.iter().take(SLOW) {
        let position = record.position.as_ref();
        let position = position.map_or_else(|| "?".to_owned(), ToString::to_string);
        let _ = write!(
            out,
            "  slow {}: {} at {}",
            latency(record.micros),
            plain(&record.partition),
            plain(&position)
        );
        if let Some(most) = &record.most {
            let stage = most.step.as_ref().unwrap_or(&most.stage);
            let _ = write!(out, ", most of it in {}", plain(stage));
        }
        out.push('\n');
    }
}

fn models(board: &Board, out: &mut String) {
    for model in board.models.as_array().into_iter().flatten() {
        let word = |value: &serde_json::Value| plain(value.as_str().unwrap_or("none"));
        let _ = writeln!(
            out,
            "\nmodel {}: version {}, {} scored, {} errors",
            word(&model["model"]),
            word(&model["active"]["version"]),
            grouped(model["scored"].as_u64().unwrap_or(0)),
            grouped(model["errors"].as_u64().unwrap_or(0))
        );
        if let Some(fault) = model["fault"].as_str() {
            let _ = writeln!(out, "  {}", plain(fault));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\r\nc"), "a [2Jb  c");
    }

    #[test]
    fn a_small_window_shows_the_beginning_and_how_much_is_missing() {
        let text = "job loyalty, up 0:00:01\n\nnotification: running\n  in 5\n";
        assert_eq!(fitted(text, (4, 80)), text.trim_end());
        assert_eq!(fitted(text, (3, 11)), "job loyalty\n\n... 2 more,");
        assert_eq!(fitted(text, (1, 80)), "... 4 more, see --once");
    }

    #[test]
    fn hours_stand_before_minutes() {
        assert_eq!(time(3_661), "1:01:01");
    }
}
