//! The examples of the functions that have a meaning only with OVER are true.
#![allow(clippy::unwrap_used)] // In the stage that all tests share, not only in tests.

mod lane;

use lane::lane;
use thalweg_operators::expr::functions::manual::manual;

#[test]
fn the_examples_of_functions_over_rows_are_true() {
    let (_, entries) = manual()
        .into_iter()
        .find(|(family, _)| *family == "over rows")
        .unwrap();
    assert!(!entries.is_empty());
    for entry in entries {
        let (call, rows) = entry.example.split_once(" [").unwrap();
        let call = call.replace("ts", "at");
        let mut lane = lane(&format!("SELECT {call} AS y FROM a"));
        let rows = rows.trim_end_matches(']').split(", ");
        let answers = (0..).zip(rows).map(|(minute, x)| {
            let answer = lane.a("k", x.parse().unwrap(), minute).remove(0);
            let answer = answer.strip_prefix("{\"y\":").unwrap();
            answer.trim_end_matches('}').to_owned()
        });
        let answers: Vec<String> = answers.collect();
        assert_eq!(
            format!("[{}]", answers.join(",")),
            entry.result,
            "{}",
            entry.example
        );
    }
}
