//! Which operator binds more tightly, as the plan shows it.

use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::check;
use crate::expr::testing::{parse, scope};

#[test]
fn operators_bind_as_in_spark() {
    let scope = scope(&[
        Field::nullable("a", DataType::Int),
        Field::nullable("b", DataType::Int),
        Field::nullable("c", DataType::Int),
        Field::nullable("p", DataType::Boolean),
        Field::nullable("s", DataType::String),
        Field::nullable("ts", DataType::Timestamp),
        Field::nullable("timestamp", DataType::Timestamp),
        Field::nullable("date", DataType::Date),
        Field::nullable("value", DataType::Double),
        Field::nullable("offset", DataType::BigInt),
        Field::nullable("key", DataType::Binary),
        Field::nullable("partition", DataType::Int),
    ]);
    let mut wrong = Vec::new();
    for (sql, expected) in [
        ("a + b * c", "(a + (b * c))"),
        ("a - b - c", "((a - b) - c)"),
        (
            "a + b div c",
            "(CAST(a AS BIGINT) + (CAST(b AS BIGINT) div CAST(c AS BIGINT)))",
        ),
        ("a % b * c", "((a % b) * c)"),
        ("-a * b", "((- a) * b)"),
        ("a = b AND p OR p", "(((a = b) AND p) OR p)"),
        ("NOT a = b", "(NOT (a = b))"),
        ("NOT p AND p", "((NOT p) AND p)"),
        ("a <=> b AND p", "((a <=> b) AND p)"),
        ("a IS NULL AND p", "((a IS NULL) AND p)"),
        ("a + b > c", "((a + b) > c)"),
        ("a BETWEEN 1 AND 2 AND p", "(((a >= 1) AND (a <= 2)) AND p)"),
        ("a IN (1, 2) AND p", "((a IN (1, 2)) AND p)"),
        ("s LIKE 'x' AND p", "((s LIKE 'x') AND p)"),
        ("s RLIKE 'x' AND p", "((s RLIKE 'x') AND p)"),
        ("s || 'x' = s", "(concat(s, 'x') = s)"),
        ("a | b + c", "(a | (b + c))"),
        ("a & b = c", "((a & b) = c)"),
        ("a | b & c", "(a | (b & c))"),
        ("-a::BIGINT", "(- CAST(a AS BIGINT))"),
        ("!p AND p", "((NOT p) AND p)"),
        ("p IS NOT TRUE", "(NOT (p <=> true))"),
        (
            "ts + INTERVAL 1 DAY > ts",
            "((ts + INTERVAL '1 00:00:00' DAY TO SECOND) > ts)",
        ),
        (
            "ts - INTERVAL '1' HOUR",
            "(ts - INTERVAL '0 01:00:00' DAY TO SECOND)",
        ),
        ("timestamp > ts", "(timestamp > ts)"),
        ("date > ts", "(CAST(date AS TIMESTAMP) > ts)"),
        ("value + offset", "(value + CAST(offset AS DOUBLE))"),
        ("CAST(key AS STRING)", "CAST(key AS STRING)"),
        ("partition = 1", "(partition = 1)"),
        ("a == b", "(a = b)"),
        ("a != b", "(a <> b)"),
        ("a = '1'", "(CAST(a AS BIGINT) = 1)"),
        (
            "ts > '2024-01-01'",
            "(ts > TIMESTAMP '2024-01-01 00:00:00Z')",
        ),
        ("a < 2.5", "(CAST(a AS DECIMAL(11,1)) < 2.5)"),
        (
            "CASE a WHEN 1 THEN 'x' END",
            "CASE WHEN (a = 1) THEN 'x' END",
        ),
    ] {
        let got = check(&parse(sql), &scope).map_or_else(|e| e.message, |typed| typed.to_string());
        if got != expected {
            wrong.push(format!("{sql}\n   expected {expected}\n   got      {got}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
