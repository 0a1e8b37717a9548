//! The tables of `docs/language.md` are those of the code, and its example is a job.
//!
//! `THALWEG_BLESS=1 cargo test -p thalweg-operators --test docs` writes them.

use std::fmt::Write;
use std::path::PathBuf;

use thalweg_operators::connectors::CONNECTORS;
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
        let refused = spec
            .refused
            .map_or(String::new(), |why| format!(" No effect yet: {why}."));
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {}{reach}{refused} |",
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

fn put(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->"),
    );
    let from = text.find(&begin).expect("the begin mark") + begin.len();
    let to = text.find(&end).expect("the end mark");
    format!("{}{table}{}", &text[..from], &text[to..])
}

#[test]
fn the_tables_of_the_manual_are_those_of_the_code() {
    let text = std::fs::read_to_string(manual()).unwrap();
    let fresh = put(
        &put(&text, "settings", &settings()),
        "connectors",
        &connectors(),
    );
    if std::env::var_os("THALWEG_BLESS").is_some() {
        // Whole or not at all: the other test reads it meanwhile.
        let beside = manual().with_extension("new");
        std::fs::write(&beside, fresh).unwrap();
        std::fs::rename(beside, manual()).unwrap();
        return;
    }
    assert!(
        text == fresh,
        "docs/language.md is not up to date: run this test with THALWEG_BLESS=1"
    );
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
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../bin/jobs/loyalty.sql");
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
