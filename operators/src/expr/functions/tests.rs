//! Every example of the manual is run, and what the examples do not show is told here.

use std::sync::Arc;
use std::time::Instant;

use sqlparser::dialect::{Dialect, SparkSqlDialect};
use sqlparser::parser::Parser;
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::Value;

use crate::expr::calendar::Zone;
use crate::expr::check::check;
use crate::expr::functions::{all, families};
use crate::expr::prefix::parse_prefix;
use crate::expr::scope::Scope;
use crate::expr::text;

/// Spark's dialect with the forms that the parser lacks.
#[derive(Debug)]
struct Spark(SparkSqlDialect);

impl Dialect for Spark {
    fn is_identifier_start(&self, c: char) -> bool {
        self.0.is_identifier_start(c)
    }
    fn is_identifier_part(&self, c: char) -> bool {
        self.0.is_identifier_part(c)
    }
    fn dialect(&self) -> std::any::TypeId {
        self.0.dialect()
    }
    fn is_delimited_identifier_start(&self, c: char) -> bool {
        self.0.is_delimited_identifier_start(c)
    }
    fn supports_lambda_functions(&self) -> bool {
        true
    }
    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }
    fn parse_prefix(
        &self,
        parser: &mut Parser<'_>,
    ) -> Option<Result<sqlparser::ast::Expr, sqlparser::parser::ParserError>> {
        parse_prefix(parser)
    }
}

/// The value of an expression as Spark prints it; an error begins with `error: `.
pub(super) fn evaluate_with(sql: &str, ansi: bool, zone: Zone) -> String {
    let dialect = Spark(SparkSqlDialect {});
    let parsed = Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_expr());
    let ast = match parsed {
        Ok(ast) => ast,
        Err(error) => return format!("error: parser: {error}"),
    };
    let scope = Scope {
        ansi,
        time_zone: zone,
        ..Scope::default()
    };
    let typed = match check(&ast, &scope) {
        Ok(typed) => typed,
        Err(error) => return format!("error: {error}"),
    };
    let meta = RecordMeta {
        partition: Arc::new(Partition {
            input: "t".into(),
            name: "t/0".into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 1_700_000_000_123_456,
        taken: Instant::now(),
    };
    match typed.compile().eval(&[], &meta) {
        Ok(Value::Null) => "NULL".to_owned(),
        Ok(value) => {
            let mut out = String::new();
            text::append(&mut out, &value, &typed.data_type, zone);
            out
        }
        Err(error) => format!("error: {}", error.reason.trim_end_matches(" (at 1:1)")),
    }
}

pub(super) fn evaluate(sql: &str) -> String {
    evaluate_with(sql, true, Zone::UTC)
}

/// Without `ansi`.
pub(super) fn legacy(sql: &str) -> String {
    evaluate_with(sql, false, Zone::UTC)
}

/// Runs a table of expressions and shows all that differ.
#[track_caller]
pub(super) fn expect(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(sql, expected)| (sql, expected, evaluate(sql)))
        .filter(|(_, expected, got)| *expected != got)
        .map(|(sql, expected, got)| format!("{sql}\n  expected {expected}\n  got      {got}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_gives_its_result() {
    let examples: Vec<(&str, &str)> = all()
        .filter(|function| !function.result.is_empty())
        .map(|function| (function.example, function.result))
        .collect();
    expect(&examples);
    for function in all().filter(|function| function.result.is_empty()) {
        let got = evaluate(function.example);
        assert!(!got.starts_with("error"), "{}: {got}", function.example);
    }
}

#[test]
fn no_name_is_given_twice_and_the_manual_is_complete() {
    let mut names: Vec<&str> = all()
        .flat_map(|function| std::iter::once(function.name).chain(function.aliases.iter().copied()))
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for (family, functions) in families() {
        assert!(!functions.is_empty(), "{family}");
        for function in functions {
            assert!(
                function.signature.contains(function.name),
                "{}",
                function.name
            );
            assert!(function.about.ends_with(['.', ')']), "{}", function.name);
            assert!(function.example.contains('('), "{}", function.name);
        }
    }
}

#[test]
fn a_null_argument_gives_null() {
    expect(&[
        ("upper(NULL)", "NULL"),
        ("concat('a', NULL)", "NULL"),
        ("concat_ws(NULL, 'a')", "NULL"),
        ("concat_ws(',', NULL, 'a')", "a"),
        ("locate('a', 'abc', NULL)", "0"),
        ("locate(NULL, 'abc')", "NULL"),
        ("greatest(NULL, 2, 1)", "2"),
        ("nvl2(1, NULL, 2)", "NULL"),
        ("hash(NULL)", "42"),
        ("md5(NULL)", "NULL"),
        ("mask(NULL)", "NULL"),
        ("mask('aB', NULL, 'y')", "yB"),
        ("format_string(NULL, 1)", "NULL"),
        ("format_string('%s %d', NULL, 1)", "null 1"),
    ]);
}
