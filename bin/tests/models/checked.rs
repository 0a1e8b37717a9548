//! What is checked before a model scores: names, golden rows, a first run, the runtime; and how features are given.

use std::fs;
use std::path::Path;

use super::stage::{PATIENCE, Running};
use super::{Job, SCORE, changes, posted, scored};

#[test]
fn names_that_are_not_the_models_are_refused_when_the_job_is_checked() {
    let refused = |options: &str, query: &str, texts: &[&str]| {
        let job = Job::new("", options, query);
        job.check().expect(2, texts);
    };
    let of = |features: &str| {
        format!("SELECT predict('fraud', named_struct({features})) AS s FROM ticks")
    };
    refused(
        "",
        &of("'ammount', value"),
        &[
            "job.sql:7:",
            "no feature `ammount`",
            "did you mean `amount`?",
        ],
    );
    refused(
        "",
        &of("'amount', value, 'age', 1"),
        &["takes no feature `age`"],
    );
    refused(
        "",
        &of("'amount', 'many'"),
        &["takes the feature `amount` as FLOAT, got STRING"],
    );
    refused(
        "",
        &SCORE.replace("'fraud'", "'frauds'"),
        &["unknown model `frauds`", "did you mean `fraud`?"],
    );
    refused(
        ", golde 'x'",
        SCORE,
        &["unknown option `golde`", "did you mean `golden`?"],
    );
    refused(
        ", canary 'c.onnx', canaryShare '5%', canaryKey 'card'",
        SCORE,
        &["canaryKey `card`", "not in sight"],
    );
    refused(
        "",
        "SELECT predict('fraud', named_struct('amount', value)) FALLBACK value / 2 AS s FROM ticks",
        &["FALLBACK in parentheses"],
    );
    let shadow = "SELECT predict_shadow('fraud', named_struct('amount', value)) AS s FROM ticks";
    refused("", shadow, &["has no shadow", "shadow 'models/next.onnx'"]);
    refused(
        ", shadow 'FOLDER/fraud.onnx'",
        &shadow.replace(" AS", " FALLBACK 0.5 AS"),
        &["needs no FALLBACK", "coalesce(predict_shadow(...), value)"],
    );
    let job = Job::new("SET deadline = '5 ms';", "", SCORE);
    job.check()
        .expect(2, &["needs a FALLBACK under SET deadline"]);
    let job = Job::new("", "", SCORE);
    fs::remove_file(job.path("fraud.onnx")).unwrap();
    job.check().expect(2, &["job.sql:5:", "there is no"]);
    let job = Job::new("", "", SCORE);
    job.check().expect(
        0,
        &[
            "takes amount FLOAT",
            "gives score FLOAT",
            "model fraud: runs",
        ],
    );
}

#[test]
fn without_the_runtime_a_check_says_what_it_cannot_do_and_a_run_how_to_get_it() {
    let job = Job::new("", "", SCORE);
    let nowhere = |arguments: &[&str]| {
        let mut command = job.command(arguments);
        command.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
        Running::start(command).end(PATIENCE)
    };
    nowhere(&["check", "job.sql"]).expect(0, &["not run, its names and types alone are checked"]);
    nowhere(&["run", "job.sql", "--http", "off"]).expect(
        2,
        &[
            "the ONNX runtime cannot be loaded",
            "pip install onnxruntime",
            "ORT_DYLIB_PATH",
        ],
    );
}

#[test]
fn golden_rows_guard_the_start_and_every_swap() {
    let job = Job::new("", ", golden 'FOLDER/golden.jsonl'", SCORE);
    let golden = |max: f64| {
        let row = serde_json::json!({ "features": { "amount": 10 }, "max": max });
        fs::write(job.path("golden.jsonl"), row.to_string()).unwrap();
    };
    golden(0.1);
    job.run()
        .expect(2, &["golden row 1", "must score at most 0.1"]);
    golden(0.5);
    let mut running = job.start();
    job.put("steady-2", "fraud.onnx");
    running.until_said("must score at most 0.5", PATIENCE);
    scored(&mut running, 100.0);
    running.finish();
    assert_eq!(changes(&job.scores()), [0, 0]);
}

#[test]
fn a_job_with_a_model_is_tested_on_files() {
    let job = Job::new(
        "",
        "",
        "SELECT value, predict_all('fraud', named_struct('amount', value)) AS s FROM ticks",
    );
    let folder: &Path = &job.path("tests");
    fs::create_dir(folder).unwrap();
    fs::write(
        folder.join("ticks.jsonl"),
        "{\"value\": 1}\n{\"value\": 2}\n",
    )
    .unwrap();
    let expected =
        "{\"value\": 1, \"s\": {\"score\": 0.25}}\n{\"value\": 2, \"s\": {\"score\": 0.25}}\n";
    fs::write(folder.join("scores.expected.jsonl"), expected).unwrap();
    let said = Running::start(job.command(&["test", "job.sql", "tests"])).end(PATIENCE);
    said.expect(0, &["2 rows, as expected"]);
}

#[test]
fn a_model_that_loads_and_fails_its_first_run_is_refused_at_a_start_and_at_a_swap() {
    let job = Job::new("", "", SCORE);
    job.put("unready", "fraud.onnx");
    job.run()
        .expect(2, &["the version fraud cannot be used", "a run fails"]);
    job.put("steady-1", "fraud.onnx");
    let mut running = job.start();
    let (status, answer) = posted(&mut running, "unready");
    assert_eq!(status, 422, "{answer}");
    assert!(
        answer["error"].as_str().unwrap().contains("a run fails"),
        "{answer}"
    );
    scored(&mut running, 100.0);
    running.finish();
    assert_eq!(changes(&job.scores()), [0, 0]);
}

#[test]
fn a_positional_model_takes_its_features_by_their_order_whatever_they_are_called() {
    // What comes from abroad, the second feature, scores half.
    let query = "SELECT value, predict('fraud', named_struct('x', value, 'y', value % 2)) AS score FROM ticks";
    let named = Job::new("", "", query);
    named.put("payments", "fraud.onnx");
    named.check().expect(2, &["takes no feature `x`"]);
    let job = Job::new("", ", positional 'true'", query);
    job.put("payments", "fraud.onnx");
    let few = job
        .text()
        .replace("'x', value, 'y', value % 2", "'x', value");
    let whole = job.text();
    job.write(&few);
    job.check()
        .expect(2, &["takes 2 values by their order, got 1"]);
    job.write(&whole);
    let mut running = job.start();
    scored(&mut running, 100.0);
    running.finish();
    let scores = job.scores();
    assert!(scores.len() >= 100);
    for (value, row) in scores {
        let expected = if value % 2 == 1 { 0.5 } else { 0.0 };
        assert_eq!(row["score"], expected, "{row}");
    }
}
