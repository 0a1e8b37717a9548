//! Columns without AS are called as in Spark: `tests/spark/functions/columns.jsonl` has expressions and what Spark calls them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use thalweg_engine::schema::{DataType, Field};

use crate::expr::scope::Scope;
use crate::expr::testing::{parse_in_job, scope};
use crate::plan::select::name_of;

/// The table that tests/spark/columns.py declares.
fn table() -> Scope {
    let array = |element| DataType::Array(Arc::new(element));
    let structure = DataType::Struct([Field::nullable("a", DataType::Int)].into());
    let columns = [
        ("id", DataType::Int),
        ("cur", DataType::String),
        ("ok", DataType::Boolean),
        ("amt", DataType::Double),
        ("ts", DataType::Timestamp),
        ("dt", DataType::Date),
        ("tss", DataType::String),
        ("karr", array(DataType::Int)),
        ("st", structure.clone()),
        (
            "m",
            DataType::Map(Arc::new((DataType::String, DataType::Int))),
        ),
        ("arrst", array(structure)),
        ("js", DataType::String),
        ("some_col_Case", DataType::String),
    ];
    scope(&columns.map(|(name, data_type)| Field::nullable(name, data_type)))
}

fn called(expression: &str, scope: &Scope) -> String {
    match parse_in_job(expression) {
        Ok(expr) => name_of(&expr, scope).to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_column_without_as_has_the_name_that_spark_gives_it() {
    let answers =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/spark/functions/columns.jsonl");
    let scope = table();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in fs::read_to_string(answers).unwrap().lines() {
        let [expression, spark]: [String; 2] = serde_json::from_str(line).unwrap();
        let here = called(&expression, &scope);
        count += 1;
        if here != spark {
            wrong.push(format!("{expression}\n  Spark: {spark}\n  here:  {here}"));
        }
    }
    assert!(count > 800, "{count} expressions");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
