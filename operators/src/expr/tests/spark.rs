//! Expressions give Spark's values, types and errors: `tests/spark/functions` holds the expressions and what Spark said,
//! and which differences stand, with the reason of each.
//!
//! `THALWEG_BLESS=1` writes the section of `docs/functions.md` about them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use thalweg_engine::row::Value;

use crate::expr::calendar::zone;
use crate::expr::call;
use crate::expr::check::check;
use crate::expr::functions::{self, type_name};
use crate::expr::scope::Scope;
use crate::expr::testing::{meta, parse_in_job, shown};
use crate::stateful::accumulators;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/spark/functions")
}

/// What an expression gives: its type and its value as text (None for NULL), or the class of the error.
#[derive(Debug, PartialEq)]
enum Answer {
    Value(String, Option<String>),
    Error(String),
}

impl Answer {
    /// An error of another class is the same answer.
    fn same(&self, other: &Self) -> bool {
        self == other || matches!((self, other), (Self::Error(_), Self::Error(_)))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(kind, Some(text)) => write!(f, "{text} ({kind})"),
            Self::Value(kind, None) => write!(f, "NULL ({kind})"),
            Self::Error(class) => write!(f, "error {class}"),
        }
    }
}

/// An expression, the settings that it is asked under, and Spark's answer.
struct Case {
    /// As the list of differences writes it: with settings that are not Spark's own in front.
    name: String,
    sql: String,
    scope: Scope,
    spark: Answer,
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(folder().join("answers.jsonl")).unwrap();
    let (mut scope, mut settings) = (Scope::default(), String::new());
    let mut all = Vec::new();
    for line in text.lines() {
        let answer: Json = serde_json::from_str(line).unwrap();
        if let Some(ansi) = answer.get("ansi") {
            scope.ansi = ansi.as_bool().unwrap();
            scope.time_zone = zone(answer["zone"].as_str().unwrap()).unwrap();
            settings = match (scope.ansi, answer["zone"].as_str().unwrap()) {
                (true, "UTC") => String::new(),
                (true, zone) => format!("[{zone}] "),
                (false, _) => "[ansi off] ".to_owned(),
            };
            continue;
        }
        let text = |place: usize| answer[place].as_str().map(str::to_owned);
        let sql = text(0).unwrap();
        let spark = match answer.as_array().unwrap().len() {
            2 => Answer::Error(text(1).unwrap()),
            _ => Answer::Value(text(1).unwrap(), text(2)),
        };
        all.push(Case {
            name: format!("{settings}{}", sql.replace('\n', "\\n")),
            sql,
            scope: scope.clone(),
            spark,
        });
    }
    all
}

/// What the expression gives here, by the way of a job: tokens, parser, check, compiled.
fn answer(sql: &str, scope: &Scope) -> Answer {
    let wrong = |error: &dyn std::fmt::Display| Answer::Error(error.to_string());
    let typed = match parse_in_job(sql).and_then(|expr| check(&expr, scope)) {
        Ok(typed) => typed,
        Err(error) => return wrong(&error),
    };
    let value = match typed.compile().eval(&[], &meta()) {
        Ok(value) => value,
        Err(error) => return wrong(&error.reason),
    };
    assert!(
        typed.nullable || !value.is_null(),
        "{sql} is NULL although its type says it cannot be"
    );
    let text = match &value {
        Value::Null => None,
        Value::Binary(bytes) => Some(bytes.iter().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02X}");
            out
        })),
        value => Some(shown(value, &typed, scope.time_zone)),
    };
    Answer::Value(type_name(&typed.data_type), text)
}

/// A file of lines under reasons: what stands under each, in the file's order.
fn reasons(file: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(folder().join(file)).unwrap();
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match (line.strip_prefix("# "), all.last_mut()) {
            (Some(reason), _) => all.push((reason.to_owned(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line.to_owned()),
            (None, None) => panic!("{file}: `{line}` stands under no reason"),
        }
    }
    all
}

/// All lines of a file of reasons, each once.
fn listed(file: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for line in reasons(file).into_iter().flat_map(|(_, lines)| lines) {
        assert!(all.insert(line.clone()), "{file}: `{line}` stands twice");
    }
    all
}

fn bless() -> bool {
    std::env::var_os("THALWEG_BLESS").is_some()
}

/// Takes differences that are none any more out of the list.
fn strike(gone: &[String]) {
    let path = folder().join("differences.txt");
    let text = fs::read_to_string(&path).unwrap();
    let kept = text.lines().filter(|line| !gone.iter().any(|g| g == line));
    let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
    fs::write(path, kept).unwrap();
}

#[test]
fn expressions_give_sparks_answers() {
    let mut listed = listed("differences.txt");
    let (mut wrong, mut gone, mut count) = (Vec::new(), Vec::new(), 0);
    for case in cases() {
        count += 1;
        let ours = catch_unwind(AssertUnwindSafe(|| answer(&case.sql, &case.scope)));
        let same = ours.as_ref().is_ok_and(|ours| ours.same(&case.spark));
        let known = listed.remove(&case.name);
        if same && known {
            gone.push(case.name);
        } else if !same && !known {
            let ours = ours.map_or_else(|_| "a panic".to_owned(), |ours| ours.to_string());
            wrong.push(format!(
                "{}\tSpark: {}\tours: {ours}",
                case.name, case.spark
            ));
        }
    }
    gone.extend(listed);
    if bless() {
        strike(&gone);
        gone.clear();
    }
    let (new, old) = (wrong.join("\n"), gone.join("\n"));
    assert!(
        wrong.is_empty() && gone.is_empty(),
        "{} of {count} differ:\n{new}\nno differences any more, strike them from differences.txt:\n{old}",
        wrong.len(),
    );
    assert!(count > 3000, "{count}");
}

/// Names of Spark's list that are words of the language here, and no functions.
const WORDS: [&str; 30] = [
    "and",
    "between",
    "case",
    "cast",
    "current_date",
    "current_timestamp",
    "div",
    "explode",
    "explode_outer",
    "grouping",
    "grouping_id",
    "ilike",
    "in",
    "inline",
    "inline_outer",
    "input_file_name",
    "json_tuple",
    "lag",
    "like",
    "not",
    "or",
    "posexplode",
    "posexplode_outer",
    "regexp",
    "rlike",
    "row_number",
    "session_window",
    "stack",
    "when",
    "window",
];

/// The functions of Spark's page of them; its operators are left out.
fn of_spark() -> Vec<String> {
    let names = fs::read_to_string(folder().join("names.txt")).unwrap();
    let functions = names.lines().map(str::to_owned);
    functions
        .filter(|name| name.starts_with(char::is_alphabetic))
        .collect()
}

#[test]
fn spark_has_no_function_that_is_neither_here_nor_known_to_be_missing() {
    let mut missing = listed("missing.txt");
    let names = of_spark();
    let ours = names.len() - missing.len();
    assert!(ours >= 250, "{ours} of Spark's functions are here");
    let mut wrong = Vec::new();
    for name in names.iter().map(String::as_str) {
        let here = functions::find(name).is_some()
            || accumulators::find(name).is_some()
            || call::as_type(name).is_some()
            || WORDS.contains(&name);
        if missing.remove(name) == here {
            wrong.push(format!(
                "{name} is {}",
                if here { "here" } else { "missing" }
            ));
        }
    }
    wrong.extend(
        missing
            .into_iter()
            .map(|name| format!("{name} is unknown to Spark")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The section about differences: each reason, how many answers it is about, and the first two of them.
fn section() -> String {
    let (all, missing) = (of_spark().len(), listed("missing.txt").len());
    let mut out = format!(
        "Of the {all} functions of [Spark's page](https://spark.apache.org/docs/latest/api/sql/) {} are here and {missing} are missing. Their names \
         stand in\n`tests/spark/functions/names.txt`, as Spark 4.3 lists them (`SHOW SYSTEM FUNCTIONS`, of which it makes that page), those that are missing \
         in `missing.txt` beside it.\n\n",
        all - missing
    );
    out.push_str("| difference | answers | such as |\n| --- | --- | --- |\n");
    let cell = |text: &str| text.replace('|', "\\|");
    for (reason, lines) in reasons("differences.txt") {
        let shown: Vec<String> = lines
            .iter()
            .take(2)
            .map(|l| format!("`{}`", cell(l)))
            .collect();
        let shown = shown.join(", ");
        let _ = writeln!(out, "| {} | {} | {shown} |", cell(&reason), lines.len());
    }
    out.push_str("\n| functions that are missing | why |\n| --- | --- |\n");
    for (reason, names) in reasons("missing.txt") {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(out, "| {} | {} |", names.join(", "), cell(&reason));
    }
    out
}

#[test]
fn the_manual_lists_every_difference() {
    const MARKS: [&str; 2] = ["<!-- differences: begin -->\n", "<!-- differences: end -->"];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/functions.md");
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find(MARKS[0]).unwrap() + MARKS[0].len();
    let end = text.find(MARKS[1]).unwrap();
    let expected = format!("\n{}\n", section());
    if bless() {
        fs::write(path, [&text[..start], &expected, &text[end..]].concat()).unwrap();
        return;
    }
    let same = text[start..end] == expected;
    assert!(
        same,
        "docs/functions.md: run this test with THALWEG_BLESS=1"
    );
}
