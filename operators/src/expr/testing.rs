//! The workbench of the expression tests: SQL text in, Spark's text out.

use std::sync::Arc;
use std::time::Instant;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, SparkSqlDialect};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;
use thalweg_engine::error::RecordError;
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{Field, Schema};

use crate::expr::calendar::Zone;
use crate::expr::check::check;
use crate::expr::prefix;
use crate::expr::scope::Scope;
use crate::expr::text;
use crate::expr::typed::Typed;
use crate::job_error::JobError;
use crate::sql::{cursor, tokens};

/// The tree of an expression by the way of a job: its tokens, its parser.
pub(crate) fn parse_in_job(sql: &str) -> Result<Expr, JobError> {
    let all = tokens::statements(sql)?;
    let statement = &all[0];
    let parsed = cursor::parse(&statement.tokens, statement.end, |parser| {
        let expr = parser.parse_expr()?;
        parser.expect_token(&Token::EOF)?;
        Ok(expr)
    });
    parsed.map(|(expr, _)| expr)
}

/// The parts of the job's dialect that expressions meet.
#[derive(Debug)]
struct TestDialect;

impl Dialect for TestDialect {
    fn dialect(&self) -> std::any::TypeId {
        SparkSqlDialect.dialect()
    }
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }
    fn is_identifier_start(&self, ch: char) -> bool {
        SparkSqlDialect.is_identifier_start(ch)
    }
    fn is_identifier_part(&self, ch: char) -> bool {
        SparkSqlDialect.is_identifier_part(ch)
    }
    fn supports_lambda_functions(&self) -> bool {
        true
    }
    fn supports_struct_literal(&self) -> bool {
        true
    }
    fn supports_long_type_as_bigint(&self) -> bool {
        true
    }
    fn supports_bang_not_operator(&self) -> bool {
        true
    }
    fn supports_map_literal_with_angle_brackets(&self) -> bool {
        true
    }
    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }
    fn ignores_wildcard_escapes(&self) -> bool {
        true
    }
    fn supports_interval_options(&self) -> bool {
        true
    }
    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        prefix::parse_prefix(parser)
    }
    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        prefix::parse_infix(parser, expr, precedence)
            .or_else(|| SparkSqlDialect.parse_infix(parser, expr, precedence))
    }
}

/// The parser's tree of an expression.
pub(crate) fn parse(sql: &str) -> Expr {
    try_parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The parser's tree of an expression, if it is one.
pub(crate) fn try_parse(sql: &str) -> Result<Expr, ParserError> {
    let mut parser = Parser::new(&TestDialect).try_with_sql(sql)?;
    let expr = parser.parse_expr()?;
    match parser.peek_token().token {
        Token::EOF => Ok(expr),
        rest => Err(ParserError::ParserError(format!("`{rest}` is left"))),
    }
}

/// A record taken at 2024-02-29 12:34:56.789 UTC.
pub(crate) fn meta() -> RecordMeta {
    RecordMeta {
        partition: Arc::new(Partition {
            input: "t".into(),
            name: "t/0".into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 1_709_210_096_789_000,
        taken: Instant::now(),
    }
}

/// A scope of these columns.
pub(crate) fn scope(fields: &[Field]) -> Scope {
    Scope::of(Some("t"), &Schema::new(fields.to_vec()))
}

/// What went wrong: when the job was checked, or for the row.
#[derive(Debug, PartialEq)]
pub(crate) enum Wrong {
    Check(JobError),
    Row(RecordError),
}

impl Wrong {
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Check(error) => error.message.clone(),
            Self::Row(error) => error.reason.to_string(),
        }
    }
}

/// A value as Spark prints it; NULL is `NULL`.
pub(crate) fn shown(value: &Value, typed: &Typed, zone: Zone) -> String {
    if value.is_null() {
        return "NULL".to_owned();
    }
    let mut out = String::new();
    text::append(&mut out, value, &typed.data_type, zone);
    out
}

/// The value of an expression over a row, with the type, as `value: TYPE`.
pub(crate) fn evaluate(sql: &str, scope: &Scope, row: &Row) -> Result<String, Wrong> {
    let typed = check(&parse(sql), scope).map_err(Wrong::Check)?;
    let value = typed.compile().eval(row, &meta()).map_err(Wrong::Row)?;
    assert!(
        typed.nullable || !value.is_null(),
        "{sql} is NULL although its type says it cannot be"
    );
    Ok(format!(
        "{}: {}",
        shown(&value, &typed, scope.time_zone),
        typed.data_type
    ))
}

/// Checks a table of expressions over constants and what they give.
pub(crate) fn assert_all(scope: &Scope, table: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, expected) in table {
        let got = match evaluate(sql, scope, &vec![]) {
            Ok(shown) => shown,
            Err(error) => format!("error: {}", error.message()),
        };
        let right = match expected.strip_prefix("error: ") {
            Some(part) => got.starts_with("error: ") && got.contains(part),
            None => got == *expected,
        };
        if !right {
            wrong.push(format!("{sql}\n   expected {expected}\n   got      {got}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
