//! Casts, with ANSI rules and without, and their round trips.

use crate::expr::calendar::Zone;
use crate::expr::scope::Scope;
use crate::expr::testing::assert_all;

#[test]
fn texts_become_numbers_as_ansi_says() {
    assert_all(
        &Scope::default(),
        &[
            ("CAST(' 12 ' AS INT)", "12: INT"),
            ("CAST('+12' AS INT)", "12: INT"),
            ("'12'::BIGINT", "12: BIGINT"),
            ("CAST('1.0' AS INT)", "error: not a whole number"),
            ("CAST('abc' AS INT)", "error: cannot cast STRING to INT"),
            ("CAST('2147483648' AS INT)", "error: cannot cast"),
            ("CAST('' AS INT)", "error: cannot cast"),
            ("try_cast('abc' AS INT)", "NULL: INT"),
            ("try_cast('1.0' AS INT)", "NULL: INT"),
            ("CAST('1.5' AS DOUBLE)", "1.5: DOUBLE"),
            ("CAST(' 1e5 ' AS DOUBLE)", "100000.0: DOUBLE"),
            ("CAST('Infinity' AS DOUBLE)", "Infinity: DOUBLE"),
            ("CAST('1.255' AS DECIMAL(5,2))", "1.26: DECIMAL(5,2)"),
            ("CAST('-1.255' AS DECIMAL(5,2))", "-1.26: DECIMAL(5,2)"),
            ("CAST('1234.5' AS DECIMAL(5,2))", "error: cannot cast"),
            ("CAST('yes' AS BOOLEAN)", "true: BOOLEAN"),
            ("CAST('F' AS BOOLEAN)", "false: BOOLEAN"),
            ("CAST('maybe' AS BOOLEAN)", "error: not true or false"),
            ("int('7')", "7: INT"),
        ],
    );
}

#[test]
fn numbers_become_other_numbers_or_an_error() {
    assert_all(
        &Scope::default(),
        &[
            ("CAST(1.9 AS INT)", "1: INT"),
            ("CAST(-1.9D AS INT)", "-1: INT"),
            ("CAST(300 AS TINYINT)", "error: out of range"),
            ("CAST(3e9 AS INT)", "error: out of range"),
            ("CAST(CAST('NaN' AS DOUBLE) AS INT)", "error: out of range"),
            ("try_cast(300 AS TINYINT)", "NULL: TINYINT"),
            ("CAST(1.25D AS DECIMAL(3,1))", "1.3: DECIMAL(3,1)"),
            (
                "CAST(0.1D AS DECIMAL(20,18))",
                "0.100000000000000000: DECIMAL(20,18)",
            ),
            ("CAST(12.345 AS DECIMAL(4,2))", "12.35: DECIMAL(4,2)"),
            ("CAST(123 AS DECIMAL(2,0))", "error: out of range"),
            ("CAST(1 AS BOOLEAN)", "true: BOOLEAN"),
            ("CAST(TRUE AS INT)", "1: INT"),
            ("CAST(16777217 AS FLOAT)", "1.6777216E7: FLOAT"),
            ("CAST(0.1F AS DOUBLE)", "0.10000000149011612: DOUBLE"),
        ],
    );
}

#[test]
fn without_ansi_casts_wrap_or_give_null() {
    let legacy = Scope {
        ansi: false,
        ..Scope::default()
    };
    assert_all(
        &legacy,
        &[
            ("CAST('abc' AS INT)", "NULL: INT"),
            ("CAST('1.7' AS INT)", "1: INT"),
            ("CAST('.5' AS INT)", "0: INT"),
            ("CAST(300 AS TINYINT)", "44: TINYINT"),
            ("CAST(3e9 AS INT)", "2147483647: INT"),
            ("CAST(CAST('NaN' AS DOUBLE) AS INT)", "0: INT"),
            ("CAST('2024-13-01' AS DATE)", "NULL: DATE"),
            ("CAST(123 AS DECIMAL(2,0))", "NULL: DECIMAL(2,0)"),
            ("CAST(1 AS BINARY)", "\u{0}\u{0}\u{0}\u{1}: BINARY"),
            ("1 = 'x'", "NULL: BOOLEAN"),
        ],
    );
}

#[test]
fn everything_has_a_text() {
    assert_all(
        &Scope::default(),
        &[
            ("CAST(1.0D AS STRING)", "1.0: STRING"),
            ("CAST(1e10 AS STRING)", "1.0E10: STRING"),
            ("CAST(1.50 AS STRING)", "1.50: STRING"),
            ("CAST(TRUE AS STRING)", "true: STRING"),
            ("CAST(X'616263' AS STRING)", "abc: STRING"),
            ("CAST('abc' AS BINARY)", "abc: BINARY"),
            ("CAST(DATE'2024-01-05' AS STRING)", "2024-01-05: STRING"),
            (
                "CAST(struct(1, NULL, 'x') AS STRING)",
                "{1, null, x}: STRING",
            ),
            (
                "CAST(INTERVAL 90 MINUTES AS STRING)",
                "INTERVAL '0 01:30:00' DAY TO SECOND: STRING",
            ),
        ],
    );
}

#[test]
fn times_are_cast_in_the_sessions_zone() {
    assert_all(
        &Scope::default(),
        &[
            ("CAST('2024-01-05' AS DATE)", "2024-01-05: DATE"),
            ("CAST('2024-1-5' AS DATE)", "2024-01-05: DATE"),
            ("CAST('2024-13-05' AS DATE)", "error: not a date"),
            (
                "CAST('2024-01-05T10:11:12Z' AS TIMESTAMP)",
                "2024-01-05 10:11:12: TIMESTAMP",
            ),
            (
                "CAST(TIMESTAMP'2024-01-05 10:11:12' AS DATE)",
                "2024-01-05: DATE",
            ),
            (
                "CAST(1700000000 AS TIMESTAMP)",
                "2023-11-14 22:13:20: TIMESTAMP",
            ),
            ("CAST(1.5 AS TIMESTAMP)", "1970-01-01 00:00:01.5: TIMESTAMP"),
            (
                "CAST(TIMESTAMP'1970-01-01 00:00:01.5' AS BIGINT)",
                "1: BIGINT",
            ),
            (
                "CAST(TIMESTAMP'1969-12-31 23:59:59.5' AS BIGINT)",
                "-1: BIGINT",
            ),
            (
                "CAST(TIMESTAMP'1970-01-01 00:00:01.5' AS DOUBLE)",
                "1.5: DOUBLE",
            ),
            ("CAST(DATE'2024-01-05' AS INT)", "error: cannot be cast"),
            (
                "CAST('1 day 2 hours' AS INTERVAL DAY TO SECOND)",
                "INTERVAL '1 02:00:00' DAY TO SECOND: INTERVAL DAY TO SECOND",
            ),
        ],
    );
    let berlin = Scope {
        time_zone: Zone::Region(chrono_tz::Tz::Europe__Berlin),
        ..Scope::default()
    };
    assert_all(
        &berlin,
        &[
            (
                "CAST('2024-07-01 12:00:00' AS TIMESTAMP)",
                "2024-07-01 12:00:00: TIMESTAMP",
            ),
            (
                "CAST('2024-07-01 12:00:00Z' AS TIMESTAMP)",
                "2024-07-01 14:00:00: TIMESTAMP",
            ),
            (
                "CAST(TIMESTAMP'2024-07-01 00:30:00+02:00' AS DATE)",
                "2024-07-01: DATE",
            ),
            (
                "CAST(DATE'2024-07-01' AS TIMESTAMP)",
                "2024-07-01 00:00:00: TIMESTAMP",
            ),
            (
                "CAST(DATE'1970-01-02' AS TIMESTAMP) = TIMESTAMP'1970-01-01 23:00:00Z'",
                "true: BOOLEAN",
            ),
            (
                "CAST(TIMESTAMP'2024-07-01 12:00:00Z' AS TIMESTAMP_NTZ)",
                "2024-07-01 14:00:00: TIMESTAMP_NTZ",
            ),
        ],
    );
}

#[test]
fn nested_types_are_cast_by_position() {
    assert_all(
        &Scope::default(),
        &[
            (
                "CAST(struct('1', 2) AS STRUCT<a: INT, b: STRING>)",
                "{1, 2}: STRUCT<a: INT, b: STRING>",
            ),
            (
                "CAST(struct(1) AS STRUCT<a: INT, b: INT>)",
                "error: cannot be cast",
            ),
            ("CAST(struct(1) AS INT)", "error: cannot be cast"),
            ("CAST(1 AS DATE)", "error: cannot be cast"),
            ("CAST(NULL AS ARRAY<INT>)", "NULL: ARRAY<INT>"),
        ],
    );
}
