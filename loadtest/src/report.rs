//! `report`: the results of several runs as one Markdown table.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use crate::document::{Contender, Document};
use crate::failure::Result;
use crate::figures::short;

/// What is shown, in this order, and how it is called. A figure that is not listed stays in the JSON.
const SHOWN: [(&str, &str); 30] = [
    ("p50_ms", "p50 ms"),
    ("p99_ms", "p99 ms"),
    ("p99.9_ms", "p99.9 ms"),
    ("max_ms", "max ms"),
    ("phase2_p99_ms", "p99 ms at the high rate"),
    ("recovered_s", "backlog gone after s"),
    ("backlog_max_records", "backlog records"),
    ("records_per_s", "records/s"),
    ("cpu_us_per_record", "CPU us/record"),
    ("cpu_idle_percent", "idle CPU % of a core"),
    ("rss_mb", "RSS MB"),
    ("rss_peak_mb", "peak RSS MB"),
    ("first_record_ms", "start to first record ms"),
    ("stop_ms", "clean stop ms"),
    ("stage_decode_p50_ms", "stage decode p50 ms"),
    ("stage_decode_p99_ms", "stage decode p99 ms"),
    ("stage_steps_p50_ms", "stage steps p50 ms"),
    ("stage_steps_p99_ms", "stage steps p99 ms"),
    ("stage_score_p50_ms", "of it a score p50 ms"),
    ("stage_score_p99_ms", "of it a score p99 ms"),
    ("stage_write_p50_ms", "stage write p50 ms"),
    ("stage_write_p99_ms", "stage write p99 ms"),
    ("stage_acknowledged_p50_ms", "stage acknowledged p50 ms"),
    ("stage_acknowledged_p99_ms", "stage acknowledged p99 ms"),
    ("killed", "kills"),
    ("longest_wait_ms", "longest wait ms"),
    ("duplicates_max_per_kill", "repeated, most after one kill"),
    ("duplicates", "repeated"),
    ("missing", "missing"),
    ("unclean_stops", "unclean stops"),
];

/// How the figures of a step begin.
pub(crate) const STEP: &str = "step_";

/// Options of `report`.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// JSON files written by the other commands, in the order of the table
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Prints the table.
pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    let documents: Vec<_> = args
        .files
        .iter()
        .map(|path| Document::read(path))
        .collect::<Result<_>>()?;
    print!("{}", markdown(&documents));
    Ok(())
}

/// The shown figures of a contender with their names: a counter of mishaps that is 0 everywhere is left out.
/// The steps of a query stand behind all of them together.
pub(crate) fn rows(contenders: &[Contender]) -> Vec<(String, String)> {
    let mishap = |name: &str| ["duplicates", "unclean_stops"].contains(&name);
    let values = |name: &str| {
        contenders
            .iter()
            .filter_map(|c| c.median.get(name))
            .copied()
            .collect::<Vec<_>>()
    };
    let shown = |name: &str| {
        values(name)
            .iter()
            .any(|value| !mishap(name) || *value > 0.0)
    };
    let mut rows = Vec::new();
    for (name, label) in SHOWN {
        if shown(name) {
            rows.push((name.to_owned(), label.to_owned()));
        }
        if name == "stage_steps_p99_ms" {
            let figures = contenders.iter().flat_map(|c| c.median.keys());
            let steps: BTreeSet<&String> = figures.filter(|name| name.starts_with(STEP)).collect();
            rows.extend(steps.into_iter().map(|name| {
                let of = name.trim_start_matches(STEP).replace('_', " ");
                (name.clone(), format!("of it {of}"))
            }));
        }
    }
    rows
}

fn markdown(documents: &[Document]) -> String {
    let mut text = String::from(
        "| scenario | figure | floor | measured | ratio |\n| --- | --- | ---: | ---: | ---: |\n",
    );
    for document in documents {
        let floor = document
            .contenders
            .first()
            .filter(|first| first.name.starts_with("floor"));
        let mut others: Vec<_> = document.contenders.iter().map(Some).collect();
        match others.len() {
            0 => continue,
            // The floor alone has its own column and nothing beside it.
            1 if floor.is_some() => others[0] = None,
            _ if floor.is_some() => drop(others.remove(0)),
            _ => {}
        }
        for contender in &others {
            let name = match contender {
                Some(contender) if others.len() > 1 => {
                    format!("{} ({})", document.scenario, contender.name)
                }
                _ => document.scenario.clone(),
            };
            for (figure, label) in rows(&document.contenders) {
                let cell = |from: Option<&Contender>| {
                    from.and_then(|c| c.median.get(&figure))
                        .map_or(String::new(), |value| short(*value))
                };
                let ratio = contender
                    .and_then(|c| c.ratio.get(&figure))
                    .map_or(String::new(), |ratio| format!("{ratio:.2}"));
                text += &format!(
                    "| {name} | {label} | {} | {} | {ratio} |\n",
                    cell(floor),
                    cell(*contender)
                );
            }
        }
    }
    text += "\nMade with:\n\n";
    for document in documents {
        let rounds = document
            .contenders
            .iter()
            .map(|c| c.rounds.len())
            .max()
            .unwrap_or(0);
        let rounds = if rounds > 1 {
            format!(" (medians of {rounds} interleaved rounds)")
        } else {
            String::new()
        };
        text += &format!("- `{}`{rounds}\n", document.command);
    }
    if let Some(machine) = documents.first().map(|document| &document.machine) {
        text += &format!(
            "\nMachine: {} processors ({}), Linux {}; broker, load and measured program share them.\n",
            machine.cpus, machine.model, machine.kernel
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Figures, medians, ratios};

    fn contender(name: &str, p50: f64, floor: Option<&Contender>) -> Contender {
        let rounds = vec![Figures::from([
            ("p50_ms".into(), p50),
            ("duplicates".into(), 0.0),
            ("missing".into(), 0.0),
        ])];
        let median = medians(&rounds);
        let ratio = floor.map_or_else(Figures::new, |floor| ratios(&median, &floor.median));
        Contender {
            name: name.into(),
            command: String::new(),
            rounds,
            median,
            ratio,
        }
    }

    #[test]
    fn every_ratio_stands_beside_the_floor_it_was_taken_from() {
        let floor = contender("floor", 0.5, None);
        let engine = contender("engine", 0.55, Some(&floor));
        let text = markdown(&[Document::new("1,000 records/s".into(), vec![floor, engine])]);
        assert!(
            text.contains("| 1,000 records/s | p50 ms | 0.50 | 0.55 | 1.10 |"),
            "{text}"
        );
        assert!(
            !text.contains("repeated"),
            "mishaps that did not happen are left out: {text}"
        );
        assert!(
            text.contains("| missing | 0 | 0 |"),
            "that nothing is missing is always said: {text}"
        );
    }

    #[test]
    fn a_result_without_a_floor_has_no_ratio() {
        let text = markdown(&[Document::new(
            "crash".into(),
            vec![contender("crash", 7.25, None)],
        )]);
        assert!(text.contains("| crash | p50 ms |  | 7.25 |  |"), "{text}");
    }

    #[test]
    fn the_steps_of_a_query_stand_behind_all_of_them_together() {
        let mut engine = contender("engine", 7.25, None);
        for name in [
            "stage_steps_p99_ms",
            "stage_write_p99_ms",
            "step_over by card_p99_ms",
        ] {
            engine.median.insert(name.into(), 1.0);
        }
        let rows = rows(&[engine]).into_iter();
        let labels: Vec<String> = rows.map(|(_, label)| label).collect();
        assert_eq!(
            labels[1..4],
            [
                "stage steps p99 ms",
                "of it over by card p99 ms",
                "stage write p99 ms"
            ]
        );
    }

    #[test]
    fn the_floor_alone_stands_in_its_own_column() {
        let text = markdown(&[Document::new(
            "x".into(),
            vec![contender("floor --drain", 7.25, None)],
        )]);
        assert!(text.contains("| x | p50 ms | 7.25 |  |  |"), "{text}");
    }
}
