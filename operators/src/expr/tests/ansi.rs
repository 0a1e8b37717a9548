//! Operators and literals, with ANSI rules and without.

use crate::expr::calendar::Zone;
use crate::expr::scope::Scope;
use crate::expr::testing::assert_all;

fn legacy() -> Scope {
    Scope {
        ansi: false,
        ..Scope::default()
    }
}

#[test]
fn literals_have_the_types_that_spark_gives_them() {
    assert_all(
        &Scope::default(),
        &[
            ("1", "1: INT"),
            ("2147483648", "2147483648: BIGINT"),
            ("-2147483648", "-2147483648: INT"),
            ("-9223372036854775808", "-9223372036854775808: BIGINT"),
            ("9223372036854775808", "9223372036854775808: DECIMAL(19,0)"),
            ("1L", "1: BIGINT"),
            ("1S", "1: SMALLINT"),
            ("-128Y", "-128: TINYINT"),
            ("1.5", "1.5: DECIMAL(2,1)"),
            ("0.2", "0.2: DECIMAL(1,1)"),
            ("0.05", "0.05: DECIMAL(2,2)"),
            ("1.50", "1.50: DECIMAL(3,2)"),
            ("1.5D", "1.5: DOUBLE"),
            ("1.5F", "1.5: FLOAT"),
            ("2BD", "2: DECIMAL(1,0)"),
            ("1e3", "1000.0: DOUBLE"),
            ("1e10", "1.0E10: DOUBLE"),
            ("TRUE", "true: BOOLEAN"),
            ("NULL", "NULL: VOID"),
            ("'a\\'b'", "a'b: STRING"),
            ("\"a\"", "a: STRING"),
            ("DATE'2024-02-29'", "2024-02-29: DATE"),
            (
                "TIMESTAMP'2024-02-29 12:00:00.5'",
                "2024-02-29 12:00:00.5: TIMESTAMP",
            ),
            ("X'53514C'", "SQL: BINARY"),
            (
                "INTERVAL '1 day 2 hours'",
                "INTERVAL '1 02:00:00' DAY TO SECOND: INTERVAL DAY TO SECOND",
            ),
            (
                "INTERVAL 1 DAY 2 HOURS",
                "INTERVAL '1 02:00:00' DAY TO SECOND: INTERVAL DAY TO SECOND",
            ),
            (
                "INTERVAL '1-2' YEAR TO MONTH",
                "INTERVAL '1-2' YEAR TO MONTH: INTERVAL YEAR TO MONTH",
            ),
            (
                "INTERVAL -3 MINUTES",
                "INTERVAL '-0 00:03:00' DAY TO SECOND: INTERVAL DAY TO SECOND",
            ),
            ("128Y", "error: does not fit TINYINT"),
            ("DATE'2024-02-30'", "error: is no DATE"),
            ("1e400", "error: does not fit DOUBLE"),
            ("INTERVAL 1 day 1 month", "error: cannot be mixed"),
        ],
    );
}

#[test]
fn arithmetic_has_sparks_result_types() {
    assert_all(
        &Scope::default(),
        &[
            ("1 + 2", "3: INT"),
            ("1 + 2L", "3: BIGINT"),
            ("1 + 1.5", "2.5: DECIMAL(3,1)"),
            ("1.5 + 1", "2.5: DECIMAL(3,1)"),
            ("1.5 + 2.25", "3.75: DECIMAL(4,2)"),
            ("1.5 * 2.25", "3.375: DECIMAL(6,3)"),
            ("1.0 / 3.0", "0.333333: DECIMAL(8,6)"),
            ("1.5D + 1.5", "3.0: DOUBLE"),
            ("1 / 2", "0.5: DOUBLE"),
            ("7 div 2", "3: BIGINT"),
            ("-7 div 2", "-3: BIGINT"),
            ("7.5 div 2", "3: BIGINT"),
            ("-7 % 3", "-1: INT"),
            ("7.5 % 2", "1.5: DECIMAL(2,1)"),
            ("7.5D % 2", "1.5: DOUBLE"),
            ("'3' + 4", "7: BIGINT"),
            ("'3' * 1.5D", "4.5: DOUBLE"),
            ("- 5", "-5: INT"),
            ("-(2.5)", "-2.5: DECIMAL(2,1)"),
            ("1 + NULL", "NULL: INT"),
            ("100 * 1.1F", "110.00000238418579: DOUBLE"),
            ("5 & 3", "1: INT"),
            ("5 | 3", "7: INT"),
            ("5 ^ 3", "6: INT"),
            ("~5", "-6: INT"),
            ("0.1D + 0.2D", "0.30000000000000004: DOUBLE"),
            ("TRUE + 1", "error: does not take"),
        ],
    );
}

#[test]
fn under_ansi_a_result_that_does_not_exist_is_an_error() {
    assert_all(
        &Scope::default(),
        &[
            ("2147483647 + 1", "error: overflow"),
            ("9223372036854775807L + 1", "error: overflow"),
            ("-2147483648 div -1", "2147483648: BIGINT"),
            ("-(-2147483648)", "error: overflow"),
            ("127Y + 1Y", "error: overflow"),
            ("1 / 0", "error: division by zero"),
            ("1 % 0", "error: division by zero"),
            ("1 div 0", "error: division by zero"),
            ("1.5 / 0", "error: division by zero"),
            ("1D / 0D", "error: division by zero"),
            (
                "99999999999999999999999999999999999999BD + 1",
                "error: overflow",
            ),
        ],
    );
}

#[test]
fn without_ansi_it_is_null_or_wraps() {
    assert_all(
        &legacy(),
        &[
            ("2147483647 + 1", "-2147483648: INT"),
            ("9223372036854775807L + 1", "-9223372036854775808: BIGINT"),
            ("-(-2147483648)", "-2147483648: INT"),
            ("1 / 0", "NULL: DOUBLE"),
            ("1 % 0", "NULL: INT"),
            ("1.5 / 0", "NULL: DECIMAL(7,6)"),
            (
                "99999999999999999999999999999999999999BD + 1",
                "NULL: DECIMAL(38,0)",
            ),
            ("'3' + 4", "7.0: DOUBLE"),
            ("'x' + 4", "NULL: DOUBLE"),
        ],
    );
}

#[test]
fn decimals_give_up_digits_after_the_point_before_those_before_it() {
    assert_all(
        &Scope::default(),
        &[
            (
                "CAST(1 AS DECIMAL(38,10)) * CAST(1 AS DECIMAL(38,10))",
                "1.000000: DECIMAL(38,6)",
            ),
            (
                "CAST(1 AS DECIMAL(38,18)) / CAST(3 AS DECIMAL(38,18))",
                "0.333333: DECIMAL(38,6)",
            ),
            (
                "CAST(10 AS DECIMAL(20,5)) + CAST(1 AS DECIMAL(10,2))",
                "11.00000: DECIMAL(21,5)",
            ),
            (
                "CAST('12345678901234567890.123456' AS DECIMAL(38,6)) * 1000BD",
                "12345678901234567890123.456000: DECIMAL(38,6)",
            ),
        ],
    );
}

#[test]
fn times_and_intervals_are_calculated_on_the_calendar() {
    assert_all(
        &Scope::default(),
        &[
            ("DATE'2024-01-31' + INTERVAL 1 MONTH", "2024-02-29: DATE"),
            ("DATE'2024-01-31' + 1", "2024-02-01: DATE"),
            ("1 + DATE'2024-01-31'", "2024-02-01: DATE"),
            ("DATE'2024-01-31' - INTERVAL 2 DAYS", "2024-01-29: DATE"),
            (
                "DATE'2024-01-31' + INTERVAL 2 HOURS",
                "2024-01-31 02:00:00: TIMESTAMP",
            ),
            (
                "DATE'2024-03-01' - DATE'2024-02-28'",
                "INTERVAL '2 00:00:00' DAY TO SECOND: INTERVAL DAY TO SECOND",
            ),
            (
                "TIMESTAMP'2024-01-31 10:00:00' + INTERVAL '1 day 30 minutes'",
                "2024-02-01 10:30:00: TIMESTAMP",
            ),
            (
                "TIMESTAMP'2024-03-01 00:00:01' - TIMESTAMP'2024-03-01 00:00:00'",
                "INTERVAL '0 00:00:01' DAY TO SECOND: INTERVAL DAY TO SECOND",
            ),
            (
                "INTERVAL 1 HOUR * 1.5",
                "INTERVAL '0 01:30:00' DAY TO SECOND: INTERVAL DAY TO SECOND",
            ),
            (
                "INTERVAL 1 YEAR / 2",
                "INTERVAL '0-6' YEAR TO MONTH: INTERVAL YEAR TO MONTH",
            ),
            (
                "INTERVAL 1 HOUR - INTERVAL 1 MINUTE",
                "INTERVAL '0 00:59:00' DAY TO SECOND: INTERVAL DAY TO SECOND",
            ),
            ("DATE'2024-01-31' + 1.5", "error: does not take"),
        ],
    );
    let berlin = Scope {
        time_zone: Zone::Region(chrono_tz::Tz::Europe__Berlin),
        ..Scope::default()
    };
    // The night of 2024-03-31 has 23 hours: a day later it is noon again, 24 hours later it is one.
    assert_all(
        &berlin,
        &[
            (
                "TIMESTAMP'2024-03-30 12:00:00' + INTERVAL 1 DAY",
                "2024-03-31 12:00:00: TIMESTAMP",
            ),
            (
                "TIMESTAMP'2024-03-30 23:00:00' + INTERVAL 4 HOURS",
                "2024-03-31 04:00:00: TIMESTAMP",
            ),
        ],
    );
}

#[test]
fn logic_has_three_values() {
    assert_all(
        &Scope::default(),
        &[
            ("NULL AND FALSE", "false: BOOLEAN"),
            ("NULL AND TRUE", "NULL: BOOLEAN"),
            ("NULL OR TRUE", "true: BOOLEAN"),
            ("NULL OR FALSE", "NULL: BOOLEAN"),
            ("NOT NULL", "NULL: BOOLEAN"),
            ("NULL = 1", "NULL: BOOLEAN"),
            ("NULL <=> NULL", "true: BOOLEAN"),
            ("NULL <=> 1", "false: BOOLEAN"),
            ("1 IS DISTINCT FROM NULL", "true: BOOLEAN"),
            ("NULL IS NULL", "true: BOOLEAN"),
            ("(1 = NULL) IS NOT TRUE", "true: BOOLEAN"),
            ("(1 = NULL) IS FALSE", "false: BOOLEAN"),
            ("FALSE AND 1 / 0 = 1", "false: BOOLEAN"),
            ("1 IN (2, NULL)", "NULL: BOOLEAN"),
            ("1 IN (1, NULL)", "true: BOOLEAN"),
            ("1 NOT IN (2, 3)", "true: BOOLEAN"),
            ("7 IN (1, 2, 3, 4, 5, 6, 7)", "true: BOOLEAN"),
            ("'b' IN ('a', 'b')", "true: BOOLEAN"),
            ("2 BETWEEN 1 AND 3", "true: BOOLEAN"),
            ("2 NOT BETWEEN 1 AND 3", "false: BOOLEAN"),
            ("'true' AND TRUE", "true: BOOLEAN"),
            ("1 AND TRUE", "error: expected a condition"),
        ],
    );
}

#[test]
fn comparisons_meet_in_the_wider_type() {
    assert_all(
        &Scope::default(),
        &[
            ("1 = 1.0", "true: BOOLEAN"),
            ("1 = '1'", "true: BOOLEAN"),
            ("1 < 1.5", "true: BOOLEAN"),
            ("1.10 = 1.1", "true: BOOLEAN"),
            ("DATE'2024-01-01' = '2024-01-01'", "true: BOOLEAN"),
            (
                "DATE'2024-01-01' < TIMESTAMP'2024-01-01 00:00:01'",
                "true: BOOLEAN",
            ),
            ("'a' < 'b'", "true: BOOLEAN"),
            ("'a' <> 'a'", "false: BOOLEAN"),
            (
                "CAST('NaN' AS DOUBLE) = CAST('NaN' AS DOUBLE)",
                "true: BOOLEAN",
            ),
            ("CAST('NaN' AS DOUBLE) > 1e308", "true: BOOLEAN"),
            ("0.0D = -0.0D", "true: BOOLEAN"),
            ("(1, 'a') = (1, 'a')", "true: BOOLEAN"),
            ("1 = 'x'", "error: cannot be compared as BIGINT"),
            (
                "DATE'2024-01-01' = 'x'",
                "error: cannot be compared as DATE",
            ),
            ("1 = TRUE", "error: cannot compare"),
        ],
    );
}

#[test]
fn patterns_match_as_in_spark() {
    assert_all(
        &Scope::default(),
        &[
            ("'Spark' LIKE 'S%k'", "true: BOOLEAN"),
            ("'Spark' LIKE '_park'", "true: BOOLEAN"),
            ("'Spark' LIKE 'spark'", "false: BOOLEAN"),
            ("'Spark' ILIKE 'spark'", "true: BOOLEAN"),
            ("'50%' LIKE '50\\%'", "true: BOOLEAN"),
            ("'50%' LIKE '50/%' ESCAPE '/'", "true: BOOLEAN"),
            ("'500' LIKE '50/%' ESCAPE '/'", "false: BOOLEAN"),
            ("'Spark' NOT LIKE 'x%'", "true: BOOLEAN"),
            ("'Spark' LIKE ANY ('x%', 'S%')", "true: BOOLEAN"),
            ("'Spark' RLIKE '^S.*k$'", "true: BOOLEAN"),
            ("'Spark' RLIKE 'ar'", "true: BOOLEAN"),
            ("'Spark' NOT RLIKE '(?<=S)park'", "false: BOOLEAN"),
            ("NULL LIKE 'a'", "NULL: BOOLEAN"),
            ("'a' RLIKE '('", "error: malformed regular expression"),
            ("'a' LIKE 'a\\\\b'", "error: malformed"),
        ],
    );
}

#[test]
fn case_takes_the_first_branch_that_is_true() {
    assert_all(
        &Scope::default(),
        &[
            (
                "CASE WHEN 1 > 2 THEN 'a' WHEN 2 > 1 THEN 'b' ELSE 'c' END",
                "b: STRING",
            ),
            ("CASE 3 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", "NULL: STRING"),
            ("CASE WHEN NULL THEN 1 ELSE 2.5 END", "2.5: DECIMAL(11,1)"),
            ("CASE WHEN TRUE THEN 1 ELSE 1 / 0 END", "1.0: DOUBLE"),
            ("if(FALSE, 1, NULL)", "NULL: INT"),
            ("coalesce(NULL, 1, 2L)", "1: BIGINT"),
            (
                "CASE WHEN TRUE THEN 1 ELSE DATE'2024-01-01' END",
                "error: no type in common",
            ),
        ],
    );
}

#[test]
fn nested_values_are_reached_by_name_index_and_key() {
    assert_all(
        &Scope::default(),
        &[
            ("struct(1 AS a, 'x' AS b).b", "x: STRING"),
            (
                "struct(1 AS a, 'x' AS b)",
                "{1, x}: STRUCT<a: INT, b: STRING>",
            ),
            ("(1, 2).col2", "2: INT"),
            ("struct(1 AS a).c", "error: no field `c`"),
            (
                "transform(filter(s, x -> x > 1), (x, i) -> x * 10 + i)",
                "error: unknown column `s`",
            ),
        ],
    );
}
