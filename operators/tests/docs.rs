//! The tables of `docs/language.md` are those of the code, and its example is a job.
//!
//! `THALWEG_BLESS=1 cargo test -p thalweg-operators --test docs` writes them.

#![allow(clippy::unwrap_used)] // In helpers of tests, not only in tests.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use thalweg_operators::connectors::CONNECTORS;
use thalweg_operators::models::OPTIONS;
use thalweg_operators::sql::settings::{Reach, SETTINGS, describe};
use thalweg_operators::sql::{Overrides, load};
use thalweg_operators::table::{OptionKind, OptionSpec};

fn manual() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/language.md")
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        format!("`{}`", cell(text))
    }
}

fn settings() -> String {
    let mut out = String::from("| name | takes | default | meaning |\n| --- | --- | --- | --- |\n");
    for spec in SETTINGS {
        let reach = match spec.reach {
            Reach::Job => " The job's: once, before the first query.",
            Reach::Next => " For the next query only.",
            Reach::Query => "",
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {}{reach} |",
            spec.name,
            cell(&describe(spec.kind)),
            code(spec.default),
            cell(spec.about),
        );
    }
    out
}

fn options(out: &mut String, title: &str, options: &[OptionSpec]) {
    let _ = writeln!(
        out,
        "\n{title}\n\n| option | takes | default | meaning |\n| --- | --- | --- | --- |"
    );
    for spec in options {
        let takes = match spec.kind {
            OptionKind::Text => "text".to_owned(),
            OptionKind::OneOf(words) => words.join(", "),
            OptionKind::Boolean => "true, false".to_owned(),
            OptionKind::Whole(low, i64::MAX) => format!("a whole number of at least {low}"),
            OptionKind::Whole(low, high) => format!("a whole number from {low} to {high}"),
            OptionKind::Duration => "a duration".to_owned(),
            OptionKind::Size => "an amount of bytes".to_owned(),
            OptionKind::Refused => "refused".to_owned(),
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            cell(spec.name),
            cell(&takes),
            code(spec.default),
            cell(spec.about)
        );
    }
}

fn connectors() -> String {
    let mut out = String::new();
    for connector in CONNECTORS {
        let _ = writeln!(out, "### {}\n\n{}", connector.name, connector.about);
        if let Some(input) = connector.input.filter(|input| !input.options.is_empty()) {
            options(&mut out, "Options of an input:", input.options);
        }
        if let Some(output) = connector.output.filter(|output| !output.options.is_empty()) {
            options(&mut out, "Options of an output:", output.options);
        }
        out.push('\n');
    }
    out
}

/// The options that are refused, those of one reason together.
fn refused() -> String {
    let mut reasons: Vec<(&str, Vec<&str>, Vec<String>)> = Vec::new();
    for connector in CONNECTORS {
        let input = connector.input.map_or(&[][..], |input| input.options);
        let output = connector.output.map_or(&[][..], |output| output.options);
        for (options, role) in [(input, "read"), (output, "written")] {
            for spec in options {
                if !matches!(spec.kind, OptionKind::Refused) {
                    continue;
                }
                let of = format!("{} {role}", connector.name);
                let known = reasons.iter_mut().find(|(why, ..)| *why == spec.about);
                let (_, names, places) = match known {
                    Some(known) => known,
                    None => {
                        reasons.push((spec.about, Vec::new(), Vec::new()));
                        reasons.last_mut().unwrap()
                    }
                };
                if !names.contains(&spec.name) {
                    names.push(spec.name);
                }
                if !places.contains(&of) {
                    places.push(of);
                }
            }
        }
    }
    let mut out = String::from("| options | of a table that is | why |\n| --- | --- | --- |\n");
    for (why, names, places) in reasons {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let (names, places) = (names.join(", "), places.join(", "));
        let _ = writeln!(out, "| {names} | {places} | {} |", cell(why));
    }
    out
}

fn put(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->"),
    );
    let from = text.find(&begin).expect("the begin mark") + begin.len();
    let to = text.find(&end).expect("the end mark");
    format!("{}{table}{}", &text[..from], &text[to..])
}

/// Whether a document is as the code wants it; with THALWEG_BLESS it is made so.
fn up_to_date(document: &Path, text: &str, fresh: &str) {
    if std::env::var_os("THALWEG_BLESS").is_some() {
        // Whole or not at all: the other test reads it meanwhile.
        let beside = document.with_extension("new");
        std::fs::write(&beside, fresh).unwrap();
        std::fs::rename(beside, document).unwrap();
        return;
    }
    assert!(
        text == fresh,
        "{} is not up to date: run this test with THALWEG_BLESS=1",
        document.display()
    );
}

#[test]
fn the_tables_of_the_manual_are_those_of_the_code() {
    let text = std::fs::read_to_string(manual()).unwrap();
    let fresh = put(
        &put(&text, "settings", &settings()),
        "connectors",
        &connectors(),
    );
    up_to_date(&manual(), &text, &fresh);
}

#[test]
fn those_who_come_from_spark_are_told_all_options_that_are_refused() {
    let document = manual().with_file_name("spark.md");
    let text = std::fs::read_to_string(&document).unwrap();
    up_to_date(&document, &text, &put(&text, "refused", &refused()));
}

#[test]
fn the_options_of_models_are_those_of_the_code() {
    let document = manual().with_file_name("models.md");
    let text = std::fs::read_to_string(&document).unwrap();
    let mut table = String::new();
    options(&mut table, "", OPTIONS);
    let fresh = put(&text, "options", table.trim_start_matches('\n'));
    up_to_date(&document, &text, &fresh);
}

#[test]
fn the_example_of_the_manual_is_the_loyalty_job() {
    let text = std::fs::read_to_string(manual()).unwrap();
    let example = text
        .split("```sql\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let job = load(example, &Overrides::default(), &|_| None)
        .map_err(|error| error.render("language.md", example));
    assert_eq!(job.map(|job| job.queries.len()), Ok(1));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bin/jobs/loyalty.sql");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    let body = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("--"))
            .collect::<Vec<_>>()
            .join("\n")
            .trim()
            .to_owned()
    };
    assert_eq!(body(&shipped), body(example));
}
