//! The options of connectors as their pages show them: each with what it takes, its default, an example and its other names.

use std::fmt::Write;

use thalweg_operators::connectors::CONNECTORS;
use thalweg_operators::table::{OptionKind, OptionSpec};

use super::{cell, code};

/// The formats of folders of files, whose pages show once what all of them have.
const FOLDERS: [&str; 5] = ["text", "json", "csv", "parquet", "orc"];

/// The page of a connector that is read, and of one that is written.
pub(crate) fn page(connector: &str, written: bool) -> String {
    match (FOLDERS.contains(&connector), written) {
        (true, false) => "files.md".to_owned(),
        (true, true) => "file_outputs.md".to_owned(),
        _ => format!("{connector}.md"),
    }
}

/// All connectors in a line each.
pub(crate) fn connectors() -> String {
    let mut out =
        String::from("| connector | what it is | read | written |\n| --- | --- | --- | --- |\n");
    for connector in CONNECTORS {
        // ORC has the manual of an output only to refuse it.
        let of = |there: bool, written| {
            let page = page(connector.name, written);
            if there {
                format!("[{page}]({page})")
            } else {
                "-".to_owned()
            }
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            connector.name,
            cell(connector.about),
            of(connector.input.is_some(), false),
            of(writes(connector.name), true),
        );
    }
    out
}

/// Whether a connector's output is more than the reasons why it is none.
fn writes(connector: &str) -> bool {
    let output = CONNECTORS
        .iter()
        .find(|c| c.name == connector)
        .and_then(|c| c.output);
    output.is_some_and(|output| {
        output.options.is_empty()
            || output
                .options
                .iter()
                .any(|o| !matches!(o.kind, OptionKind::Refused))
    })
}

/// The options of a connector in one role, without those that are refused.
pub(crate) fn accepted(connector: &str, written: bool) -> Vec<OptionSpec> {
    let connector = CONNECTORS.iter().find(|c| c.name == connector);
    let options = match (connector, written) {
        (Some(connector), false) => connector.input.map(|input| input.options),
        (Some(connector), true) => connector.output.map(|output| output.options),
        (None, _) => None,
    };
    let all = options.unwrap_or_default().iter().copied();
    all.filter(|spec| !matches!(spec.kind, OptionKind::Refused))
        .collect()
}

fn same(a: &OptionSpec, b: &OptionSpec) -> bool {
    (a.name, a.default, a.example, a.about) == (b.name, b.default, b.example, b.about)
        && takes(a) == takes(b)
}

fn holds(all: &[OptionSpec], one: &OptionSpec) -> bool {
    all.iter().any(|spec| same(spec, one))
}

/// What all formats of files have in one role.
fn of_all(written: bool) -> Vec<OptionSpec> {
    let formats = FOLDERS.iter().filter(|format| !written || writes(format));
    let lists: Vec<_> = formats.map(|format| accepted(format, written)).collect();
    let mut all = lists[0].clone();
    all.retain(|spec| lists.iter().all(|list| holds(list, spec)));
    all
}

/// How an object store is reached: what files have in both roles.
fn of_stores() -> Vec<OptionSpec> {
    let written = of_all(true);
    let mut all = of_all(false);
    all.retain(|spec| holds(&written, spec));
    all
}

/// The options of a mark: `kafka read`, `files written` (what all formats have), `json read` (the rest of that format),
/// `files store`.
pub(crate) fn of_mark(mark: &str) -> Vec<OptionSpec> {
    let without = |mut all: Vec<OptionSpec>, other: &[OptionSpec]| {
        all.retain(|spec| !holds(other, spec));
        all
    };
    match mark.split_once(' ') {
        Some(("files", "store")) => of_stores(),
        Some(("files", role)) => without(of_all(role == "written"), &of_stores()),
        Some((name, role)) if FOLDERS.contains(&name) => {
            let written = role == "written";
            without(accepted(name, written), &of_all(written))
        }
        Some((name, role)) => accepted(name, role == "written"),
        None => panic!("a mark of options names whose and `read` or `written`: {mark}"),
    }
}

/// What an option takes, in words.
fn takes(spec: &OptionSpec) -> String {
    match spec.kind {
        OptionKind::Text => "text".to_owned(),
        OptionKind::OneOf(words) => words.join(", "),
        OptionKind::Boolean => "true, false".to_owned(),
        OptionKind::Whole(low, i64::MAX) => format!("a whole number of at least {low}"),
        OptionKind::Whole(low, high) => format!("a whole number from {low} to {high}"),
        OptionKind::Duration => "a duration".to_owned(),
        OptionKind::DurationIn(unit) => format!("a duration, or a number of {unit}"),
        OptionKind::Size => "an amount of bytes".to_owned(),
        OptionKind::Refused => "refused".to_owned(),
    }
}

/// The option's name, or one of those that it stands for.
pub(crate) fn named(spec: &OptionSpec) -> &'static str {
    match spec.name {
        "kafka.*" => "kafka.security.protocol",
        "fs.azure.account.key.*" => "fs.azure.account.key.account",
        name => name,
    }
}

/// A text as it stands in a job.
pub(crate) fn literal(text: &str) -> String {
    let escapes = [('\\', "\\\\"), ('\'', "\\'"), ('\r', "\\r"), ('\n', "\\n")];
    let text = escapes
        .iter()
        .fold(text.to_owned(), |text, (letter, escape)| {
            text.replace(*letter, escape)
        });
    format!("'{text}'")
}

/// Its example: the value, and the name where that is one of many.
fn example(spec: &OptionSpec) -> String {
    let value = literal(spec.example);
    if named(spec) == spec.name {
        value
    } else {
        format!("{} {value}", named(spec))
    }
}

/// The option whose other name this one is.
fn other_name_of(spec: &OptionSpec) -> Option<&'static str> {
    let name = spec.about.strip_prefix("The same as `")?;
    Some(name.trim_end_matches('.').trim_end_matches('`'))
}

/// A table of options; one with several names stands in it once.
pub(crate) fn table(options: &[OptionSpec]) -> String {
    let mut out = String::from(
        "| option | takes | default | example | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for spec in options.iter().filter(|spec| other_name_of(spec).is_none()) {
        let others = options
            .iter()
            .filter(|o| other_name_of(o) == Some(spec.name));
        let names: Vec<String> = [spec.name]
            .into_iter()
            .chain(others.map(|o| o.name))
            .map(code)
            .collect();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            names.join(", also "),
            cell(&takes(spec)),
            code(spec.default),
            code(&example(spec)),
            cell(spec.about)
        );
    }
    out
}
