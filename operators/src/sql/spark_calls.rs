//! What people write for Spark where a job file has a function, a table, a clause, a statement or a type: each with the advice
//! of its error, as in [`crate::sql::spark_words`].

use crate::sql::advice;
use crate::sql::spark_words::{Words, find};

/// Methods of a DataFrame and functions of `pyspark.sql.functions` that SQL says with its own words.
const FUNCTIONS: Words = &[
    ("col", "a column is written by its name alone"),
    ("column", "a column is written by its name alone"),
    ("lit", "a constant is written as it is: 1, 'text', TRUE"),
    (
        "when",
        "write CASE WHEN condition THEN value ELSE other END",
    ),
    (
        "otherwise",
        "write CASE WHEN condition THEN value ELSE other END",
    ),
    ("isNotNull", "write column IS NOT NULL"),
    ("alias", "write expression AS name"),
    ("cast", "write CAST(expression AS TYPE)"),
    ("astype", "write CAST(expression AS TYPE)"),
    ("isin", "write column IN (a, b)"),
    ("between", "write column BETWEEN low AND high"),
    ("desc", "write ORDER BY column DESC"),
    ("asc", "write ORDER BY column"),
    (
        "dropDuplicates",
        "write SELECT DISTINCT ON (a, b) * FROM ...",
    ),
    (
        "drop_duplicates",
        "write SELECT DISTINCT ON (a, b) * FROM ...",
    ),
    (
        "dropDuplicatesWithinWatermark",
        "write SELECT DISTINCT ON (a, b) * FROM a table with a WATERMARK",
    ),
    (
        "withWatermark",
        "write WATERMARK ts DELAY OF INTERVAL 10 MINUTES after the options of the table, or after the table in FROM",
    ),
    (
        "withColumn",
        "write SELECT *, expression AS name; with EXCEPT (name) where it replaces a column",
    ),
    (
        "withColumnRenamed",
        "write SELECT * EXCEPT (old), old AS new",
    ),
    ("identifier", "write the name as it is"),
    ("drop", "write SELECT * EXCEPT (a, b)"),
    (
        "selectExpr",
        "write SELECT with the expressions as they are",
    ),
    ("filter", "write WHERE condition"),
    ("groupBy", "write GROUP BY a, b"),
    ("agg", "write the aggregates in the SELECT, above GROUP BY"),
    (
        "monotonically_increasing_id",
        "write _metadata.partition and _metadata.offset of a Kafka table, or uuid()",
    ),
    (
        "spark_partition_id",
        "write _metadata.partition of a Kafka table",
    ),
    (
        "from_avro",
        "declare the columns, and write format 'avro' with schema.registry.url among the table's options",
    ),
    (
        "to_avro",
        "write format 'avro' with schema.registry.url among the options of the output",
    ),
    (
        "udf",
        "write CREATE TEMPORARY FUNCTION f(x INT) RETURNS INT RETURN x + 1, or a function in Rust, see docs/rust.md",
    ),
    (
        "pandas_udf",
        "write CREATE TEMPORARY FUNCTION f(x INT) RETURNS INT RETURN x + 1, or a function in Rust, see docs/rust.md",
    ),
    (
        "read_files",
        "write CREATE TABLE name (columns) USING json OPTIONS (path '...'), and FROM name",
    ),
    (
        "read_kafka",
        "write CREATE TABLE name USING kafka OPTIONS (...), and FROM name",
    ),
    (
        "read_kinesis",
        "write CREATE TABLE name USING kinesis OPTIONS (...), and FROM name",
    ),
    (
        "cloud_files",
        "write CREATE TABLE name (columns) USING json OPTIONS (path '...'), and FROM name",
    ),
    (
        "make_interval",
        "write INTERVAL 1 DAY 2 HOURS, make_dt_interval(days, hours, minutes, seconds) or make_ym_interval(years, months): an interval has days or months, not both",
    ),
    ("top", advice::TOP),
    ("tumble", WINDOW),
    ("tumble_start", WINDOW),
    ("tumble_end", WINDOW),
    (
        "hop",
        "write GROUP BY window(ts, '10 minutes', '5 minutes'): how long a window is, and how often one begins",
    ),
    ("explode", LATERAL),
    ("explode_outer", LATERAL),
    ("posexplode", LATERAL),
    ("posexplode_outer", LATERAL),
    ("inline", LATERAL),
    (
        "range",
        "write (VALUES (0), (1), (2)) AS r(id), or LATERAL explode(sequence(0, 9)) AS r(id) behind a table",
    ),
    ("parse_json", VARIANT),
    ("try_parse_json", VARIANT),
    ("variant_get", VARIANT),
    ("try_variant_get", VARIANT),
    ("collate", COLLATION),
    ("collation", COLLATION),
    (
        "stream",
        "every table of a job is a stream: leave STREAM out and write FROM name",
    ),
];

const WINDOW: &str =
    "write GROUP BY window(ts, '5 minutes'), and window.start and window.end in the SELECT";
const LATERAL: &str =
    "write FROM t, LATERAL explode(x) AS e(item), or LATERAL VIEW explode(x) e AS item";
const VARIANT: &str = "there is no type VARIANT: write from_json(text, 'a INT, b STRING'), or get_json_object(text, '$.a')";
const COLLATION: &str =
    "texts are compared by their bytes; write lower(a) = lower(b) where case does not count";

/// What to write instead of a function that there is not.
pub(crate) fn function(name: &str) -> Option<&'static str> {
    find(FUNCTIONS, name)
}

/// Qualifiers of tables in pipelines and in queries of files.
const QUALIFIERS: Words = &[
    (
        "live",
        "all names of a job stand in its file: leave LIVE out",
    ),
    ("json", FILES),
    ("csv", FILES),
    ("text", FILES),
    ("parquet", FILES),
    ("orc", FILES),
    ("delta", FILES),
];

const FILES: &str = "write CREATE TABLE name (columns) USING json OPTIONS (path '...'), or csv, text, parquet, orc, and FROM name";

/// What to write instead of a table's qualifier.
pub(crate) fn qualifier(name: &str) -> Option<&'static str> {
    find(QUALIFIERS, name)
}

/// What to write instead of an unknown table of this name: `FROM STREAM invoices`.
pub(crate) fn table(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "stream" => find(FUNCTIONS, "stream"),
        "console" => Some(
            "a SELECT without INSERT goes to the console; or write CREATE TABLE console USING console",
        ),
        _ => None,
    }
}

/// Clauses of CREATE TABLE elsewhere.
const CLAUSES: Words = &[
    (
        "OPTION",
        "write OPTIONS (name 'value', name 'value'), all options in one list",
    ),
    ("TBLPROPERTIES", "write OPTIONS (name 'value', ...)"),
    (
        "AS",
        "a table has no rows of its own: write CREATE VIEW name AS SELECT for a step, INSERT INTO name SELECT for a query",
    ),
    (
        "CLUSTERED",
        "there are no buckets; PARTITIONED BY names columns",
    ),
    (
        "CLUSTER",
        "there are no buckets; PARTITIONED BY names columns",
    ),
    (
        "SCHEMA",
        "write the columns behind the name: CREATE TABLE name (column TYPE, ...) USING ...",
    ),
    ("SELECT", SEMICOLON),
    ("INSERT", SEMICOLON),
    ("CREATE", SEMICOLON),
    ("SET", SEMICOLON),
    ("WITH", SEMICOLON),
];

const SEMICOLON: &str = "a statement ends with `;`";

/// What to write instead of a clause of CREATE TABLE that there is not.
pub(super) fn clause(word: &str) -> Option<&'static str> {
    find(CLAUSES, word)
}

/// What follows a column's type elsewhere.
const CONSTRAINTS: Words = &[
    (
        "DEFAULT",
        "a column that a record has not is NULL: write coalesce(column, value) in the SELECT",
    ),
    (
        "GENERATED",
        "write the expression in the SELECT, or in a view",
    ),
    ("COLLATE", COLLATION),
    (
        "UNIQUE",
        "rows are not compared when they are read: write SELECT DISTINCT ON (column) *",
    ),
    (
        "CHECK",
        "write the condition in WHERE, or onError and raise_error",
    ),
];

/// What to write instead of a constraint of a column that there is not.
pub(super) fn constraint(word: &str) -> Option<&'static str> {
    find(CONSTRAINTS, word)
}

const PYTHON: &str =
    "a job file is SQL; docs/spark.md says how a PySpark script is translated line by line";

/// Statements of SQL elsewhere, and what comes before one in a script.
const STATEMENTS: Words = &[
    (
        "DECLARE",
        "there are no variables: write the value where it is used; '${NAME:-default}' in a quoted string is replaced",
    ),
    (
        "VALUES",
        "rows of the text stand in FROM, to be joined with: FROM t JOIN (VALUES (1, 'a'), (2, 'b')) AS v(id, name) ON t.id = v.id",
    ),
    ("ADD", "nothing of the job runs in Java: remove it"),
    ("USE", "there are no catalogs and schemas: remove it"),
    ("DROP", "a job file declares what it needs: remove it"),
    (
        "ALTER",
        "a job file declares what it needs: change the CREATE TABLE",
    ),
    (
        "ANALYZE",
        "a stream has no statistics, and no plan that depends on them: remove it",
    ),
    ("OPTIMIZE", TIDY),
    ("VACUUM", TIDY),
    ("MSCK", "files are noticed by themselves: remove it"),
    (
        "TRUNCATE",
        "a job reads and writes, and takes nothing away: remove it",
    ),
    ("BEGIN", TRANSACTION),
    ("START", TRANSACTION),
    ("COMMIT", TRANSACTION),
    ("ROLLBACK", TRANSACTION),
    ("EXECUTE", "write the query itself"),
    ("CALL", "write the query itself"),
    (
        "RESET",
        "a setting that is not set has its default: remove it",
    ),
    ("REFRESH", "files are noticed by themselves: remove it"),
    ("CACHE", "nothing is computed twice or kept: remove it"),
    (
        "MERGE",
        "write INSERT INTO: an output of outputMode 'update' says what has changed",
    ),
    (
        "UPDATE",
        "write INSERT INTO: an output of outputMode 'update' says what has changed",
    ),
    ("DELETE", "write INSERT INTO with WHERE"),
    (
        "EXPLAIN",
        "`thalweg check job.sql` shows the plan of each query",
    ),
    (
        "DESCRIBE",
        "`thalweg check job.sql` shows the columns of each step",
    ),
    (
        "SHOW",
        "`thalweg check job.sql` shows tables, settings and plans",
    ),
    ("#", "comments are -- to the end of the line, and /* ... */"),
    ("from", PYTHON),
    ("import", PYTHON),
    ("spark", PYTHON),
    ("val", PYTHON),
    ("var", PYTHON),
    ("def", PYTHON),
    ("%", PYTHON),
    ("@", PYTHON),
];

const TIDY: &str = "what a job writes needs no tidying: remove it";
const TRANSACTION: &str =
    "there are no transactions: each query commits its own epochs, see checkpointInterval";

/// What to write instead of a statement that there is not; `assigned` where `=`, `.` or `(` follows its first word.
pub(super) fn statement(word: &str, assigned: bool) -> Option<&'static str> {
    find(STATEMENTS, word).or(assigned.then_some(PYTHON))
}

/// What to write instead of `CREATE ... word` of a pipeline.
pub(super) fn created(word: &str) -> Option<&'static str> {
    const WORDS: [&str; 5] = [
        "STREAMING",
        "LIVE",
        "REFRESH",
        "MATERIALIZED",
        "INCREMENTAL",
    ];
    const NAMESPACES: [&str; 3] = ["DATABASE", "SCHEMA", "CATALOG"];
    if NAMESPACES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word))
    {
        return Some("there are no catalogs and schemas: remove it");
    }
    if word.eq_ignore_ascii_case("GLOBAL") {
        return Some("there is no global_temp, a view is seen in its job: write CREATE VIEW");
    }
    let known = WORDS.iter().any(|known| known.eq_ignore_ascii_case(word));
    known.then_some(
        "write CREATE TABLE for where rows come from and go to, CREATE VIEW for a step between, INSERT INTO table SELECT for a query",
    )
}

/// Types as PySpark's classes and other dialects call them.
const TYPES: Words = &[
    ("bytetype", "TINYINT"),
    ("shorttype", "SMALLINT"),
    ("integertype", "INT"),
    ("longtype", "BIGINT"),
    ("arraytype", "ARRAY<...>"),
    ("maptype", "MAP<..., ...>"),
    ("structtype", "STRUCT<name: TYPE, ...>"),
    ("timestampntztype", "TIMESTAMP_NTZ"),
    ("text", "STRING"),
    ("number", "DECIMAL(p, s)"),
    ("datetime", "TIMESTAMP"),
    ("str", "STRING"),
    ("bool", "BOOLEAN"),
];

/// What to write instead of a type that there is not.
pub(crate) fn data_type(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let bare = lower.split('(').next().unwrap_or_default().trim();
    let here = find(TYPES, bare).map(str::to_owned).or_else(|| {
        let of_spark = bare.strip_suffix("type").filter(|kind| !kind.is_empty())?;
        Some(of_spark.to_ascii_uppercase())
    })?;
    Some(format!("write {here}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_pyspark_are_known_by_their_classes() {
        let said = |name: &str| data_type(name).unwrap_or_default();
        assert_eq!(said("StringType"), "write STRING");
        assert_eq!(said("IntegerType()"), "write INT");
        assert_eq!(data_type("STRNG"), None);
    }
}
