//! Whatever stands in a job file, reading it gives a job or an error: never a panic, never a stack overflow.

use proptest::prelude::*;
use thalweg_engine::testing::cases;
use thalweg_operators::sql::{Overrides, load};

fn read(text: &str) {
    if let Err(error) = load(text, &Overrides::default(), &|_| None) {
        assert!(!error.message.is_empty());
        error.render("job.sql", text);
    }
}

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "CREATE",
    "TABLE",
    "VIEW",
    "AS",
    "USING",
    "kafka",
    "OPTIONS",
    "(",
    ")",
    ",",
    ";",
    "INSERT",
    "INTO",
    "SET",
    "=",
    "'a'",
    "'${A:-b}'",
    "'${",
    "a",
    "t",
    "*",
    ".",
    "1",
    "1.5D",
    "WATERMARK",
    "DELAY",
    "OF",
    "INTERVAL",
    "MINUTES",
    "UNION",
    "ALL",
    "WITH",
    "LATERAL",
    "explode",
    "->",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "NOT",
    "NULL",
    "PRIMARY",
    "KEY",
    "STRUCT",
    "<",
    ">",
    "ARRAY",
    "TEMPORARY",
    "FUNCTION",
    "RETURNS",
    "RETURN",
    "INT",
    "[",
    "]",
    "::",
    "BETWEEN",
    "AND",
    "-",
    "+",
    "EXCEPT",
    "PARTITIONED",
    "BY",
    "\"",
    "`",
    "--",
    "/*",
    "\n",
    "trigger",
    "JOIN",
    "ON",
    "OVER",
    "FOR",
    "SHARE",
    "TABLESAMPLE",
    "{",
    "}",
    ":",
    "\\",
    "x'0'",
    "r'",
    "é",
    "\u{1}",
];

const JOB: &str = include_str!("../../bin/jobs/loyalty.sql");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(400)))]

    #[test]
    fn arbitrary_bytes_are_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_words_are_an_error_or_a_job(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..60)) {
        read(&words.join(" "));
    }

    #[test]
    fn a_job_with_a_piece_replaced_is_an_error_or_a_job(
        at in 0..JOB.len(),
        length in 0..40_usize,
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..4),
    ) {
        let mut text = JOB.as_bytes()[..at].to_vec();
        text.extend_from_slice(words.join(" ").as_bytes());
        text.extend_from_slice(JOB.as_bytes().get(at + length..).unwrap_or_default());
        read(&String::from_utf8_lossy(&text));
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let table = "CREATE TABLE t USING rate;\n";
    for deep in [
        format!(
            "{table}SELECT {}value{} FROM t",
            "(".repeat(100_000),
            ")".repeat(100_000)
        ),
        format!(
            "{table}SELECT {}value{} FROM t",
            "abs(".repeat(450),
            ")".repeat(450)
        ),
        format!("{table}SELECT {}value FROM t", "- ".repeat(100_000)),
        format!("{table}SELECT {}value FROM t", "NOT ".repeat(450)),
        format!("{table}SELECT value{} FROM t", " + 1".repeat(100_000)),
        format!("{table}SELECT value{} FROM t", "::INT".repeat(100_000)),
        format!("{table}SELECT value{} FROM t", "[0]".repeat(100_000)),
        format!("{table}SELECT value{} FROM t", " IS NULL".repeat(100_000)),
        format!(
            "{table}SELECT {} 1 {} FROM t",
            "CASE WHEN true THEN".repeat(3_000),
            "END".repeat(3_000)
        ),
        format!(
            "{table}SELECT value FROM t{}",
            " UNION ALL SELECT value FROM t".repeat(20_000)
        ),
        format!(
            "{table}SELECT * FROM {}t{}",
            "(SELECT * FROM ".repeat(300),
            ")".repeat(300)
        ),
        format!(
            "CREATE TABLE t (a {}INT{}) USING noop;",
            "ARRAY<".repeat(100_000),
            ">".repeat(100_000)
        ),
    ] {
        let error = load(&deep, &Overrides::default(), &|_| None)
            .err()
            .map(|error| error.message);
        assert!(error.is_some(), "{}", &deep[..60]);
    }
}

#[test]
fn views_that_use_each_other_twice_do_not_explode() {
    let mut text =
        String::from("CREATE TABLE t USING rate;\nCREATE VIEW v0 AS SELECT value FROM t;\n");
    for view in 1..60 {
        let before = view - 1;
        text.push_str(&format!(
            "CREATE VIEW v{view} AS SELECT * FROM v{before} UNION ALL SELECT * FROM v{before};\n"
        ));
    }
    text.push_str("SELECT * FROM v59;");
    let started = std::time::Instant::now();
    assert!(load(&text, &Overrides::default(), &|_| None).is_err());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn functions_that_use_each_other_twice_do_not_explode() {
    let mut text = String::from("CREATE TABLE t USING rate;\n");
    text.push_str("CREATE TEMPORARY FUNCTION f0(x BIGINT) RETURNS BIGINT RETURN x;\n");
    for function in 1..60 {
        let before = function - 1;
        text.push_str(&format!(
            "CREATE TEMPORARY FUNCTION f{function}(x BIGINT) RETURNS BIGINT RETURN f{before}(x) + f{before}(x);\n"
        ));
    }
    text.push_str("SELECT f59(value) AS y FROM t;");
    let started = std::time::Instant::now();
    assert!(load(&text, &Overrides::default(), &|_| None).is_err());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn functions_that_use_themselves_are_refused() {
    let text = "CREATE TABLE t USING rate;
CREATE TEMPORARY FUNCTION f(x BIGINT) RETURNS BIGINT RETURN f(x) + 1;
SELECT f(value) FROM t;";
    assert!(load(text, &Overrides::default(), &|_| None).is_err());
}
