//! Models against what Python's onnxruntime scored, and what becomes of rows that a model does not take.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use smol_str::SmolStr;
use thalweg_engine::clock::now;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::testing::meta;

use super::edition::{Edition, bytes_of};
use super::opening::Opening;
use super::options::ModelOptions;
use super::runtime::{self, Scorer};
use super::signature::Element;
use crate::plan::Query;
use crate::sql::{Overrides, load};

/// The folder with the models.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models")
}

/// Loads the runtime: what ORT_DYLIB_PATH says, else the one that `tests/models/make runtime` installs.
fn with_runtime() {
    static FOUND: OnceLock<()> = OnceLock::new();
    FOUND.get_or_init(|| {
        if std::env::var_os("ORT_DYLIB_PATH").is_none() {
            let made = Command::new(folder().join("make"))
                .arg("runtime")
                .output()
                .unwrap();
            let path = String::from_utf8(made.stdout).unwrap();
            // SAFETY: tests of this process that read the environment wait for this one.
            unsafe { std::env::set_var("ORT_DYLIB_PATH", path.trim()) };
        }
        runtime::ready().unwrap();
    });
}

fn edition(name: &str) -> Edition {
    with_runtime();
    let bytes = bytes_of(&folder().join(format!("{name}.onnx"))).unwrap();
    Edition::read("m", name, bytes, &ModelOptions::default()).unwrap()
}

/// A row of features by their places, and the score that Python gave it.
type Scored = (Vec<(usize, Value)>, Option<f64>);

/// The lines of a file of rows: names and values, as the model takes them.
fn rows(file: &str, edition: &Edition) -> Vec<Scored> {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let row = |line: &str| {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).unwrap();
        let expected = object.get("expected").and_then(serde_json::Value::as_f64);
        let features = object.iter().filter(|(name, _)| *name != "expected");
        let names: Vec<SmolStr> = features
            .clone()
            .map(|(name, _)| SmolStr::new(name))
            .collect();
        let places = edition.signature.places(&names, false).unwrap();
        let values = features.zip(places).map(|((_, value), place)| {
            let value = match (edition.signature.features[place].element, value) {
                (_, serde_json::Value::Null) => Value::Null,
                #[allow(clippy::cast_possible_truncation)]
                (Element::Float, value) => Value::Float(value.as_f64().unwrap() as f32),
                (Element::Long, value) => Value::BigInt(value.as_i64().unwrap()),
                (_, value) => Value::from(value.as_str().unwrap()),
            };
            (place, value)
        });
        (values.collect(), expected)
    };
    text.lines().map(row).collect()
}

fn score(scorer: &mut Scorer, row: &[(usize, Value)]) -> f64 {
    for (place, value) in row {
        scorer.set(*place, value).unwrap();
    }
    scorer.score().unwrap()
}

#[test]
fn a_thousand_transactions_score_as_in_python_with_every_kind_of_model() {
    let scores = std::fs::read_to_string(folder().join("scores.csv")).unwrap();
    let mut lines = scores.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let expected: Vec<Vec<f64>> = lines
        .map(|line| {
            line.split(',')
                .map(|score| score.parse().unwrap())
                .collect()
        })
        .collect();
    assert_eq!((names.len(), expected.len()), (6, 1_000));
    for (column, name) in names.iter().enumerate() {
        let edition = edition(name);
        let mut scorer = edition.scorer().unwrap();
        let mut largest = 0_f64;
        for ((row, _), expected) in rows("rows.jsonl", &edition).iter().zip(&expected) {
            let apart = (score(&mut scorer, row) - expected[column]).abs();
            largest = largest.max(apart);
        }
        assert!(largest < 1e-6, "{name} differs by {largest}");
    }
}

#[test]
fn a_model_with_inputs_of_several_types_scores_as_in_python() {
    let edition = edition("mixed");
    let mut scorer = edition.scorer().unwrap();
    let rows = rows("mixed.jsonl", &edition);
    assert_eq!(rows.len(), 200);
    for (row, expected) in rows {
        let scored = score(&mut scorer, &row);
        assert!(
            (scored - expected.unwrap()).abs() < 1e-6,
            "{row:?} {scored}"
        );
    }
}

#[test]
fn all_outputs_of_a_classifier_are_its_label_and_its_probabilities() {
    let edition = edition("logistic");
    let mut scorer = edition.scorer().unwrap();
    let row = &rows("rows.jsonl", &edition)[0].0;
    let scored = score(&mut scorer, row);
    let all = scorer.all(&edition.lists).unwrap();
    let [Value::BigInt(label), Value::Array(probabilities)] = all.as_slice() else {
        panic!("{all:?}");
    };
    let [Value::Float(no), Value::Float(yes)] = **probabilities else {
        panic!("{probabilities:?}");
    };
    assert_eq!(f64::from(yes), scored);
    assert!((no + yes - 1.0).abs() < 1e-6);
    assert_eq!(*label, i64::from(yes > no));
}

#[test]
fn a_null_is_no_number_for_a_float_and_refused_for_anything_else() {
    let edition = edition("mixed");
    let mut scorer = edition.scorer().unwrap();
    let place = |name: &str| {
        let mut features = edition.signature.features.iter();
        features.position(|feature| feature.name == name).unwrap()
    };
    scorer.set(place("amount"), &Value::Null).unwrap();
    for name in ["visits", "channel"] {
        let refused = scorer.set(place(name), &Value::Null).unwrap_err();
        assert!(refused.contains("is NULL"), "{refused}");
    }
}

#[test]
fn a_run_that_fails_says_why_and_the_next_one_runs() {
    let edition = edition("fragile");
    let mut scorer = edition.scorer().unwrap();
    scorer.set(0, &Value::Float(640.0)).unwrap();
    let error = scorer.score().unwrap_err();
    assert!(
        error.contains("Gather") || error.contains("out of"),
        "{error}"
    );
    scorer.set(0, &Value::Float(64.0)).unwrap();
    assert!((scorer.score().unwrap() - 0.64).abs() < 1e-6);
}

#[test]
fn golden_rows_must_come_out_as_they_say() {
    let edition = edition("steady-1");
    let file = tempfile::NamedTempFile::new().unwrap();
    let prove = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        edition.prove(&ModelOptions {
            golden: Some(file.path().to_owned()),
            tolerance: 1e-6,
            ..ModelOptions::default()
        })
    };
    let good = r#"{"features": {"amount": 7}, "score": 0.25}
{"features": {"amount": null}, "score": 0.25}"#;
    // What is no number scores none.
    assert!(prove(good).unwrap_err().contains("golden row 2"));
    prove(good.lines().next().unwrap()).unwrap();
    prove(r#"{"features": {"amount": 7}, "min": 0.2, "max": 0.3}"#).unwrap();
    let low = prove(r#"{"features": {"amount": 7}, "min": 0.5}"#).unwrap_err();
    assert!(low.contains("must score at least 0.5"), "{low}");
    assert!(
        prove(r#"{"features": {"total": 7}}"#)
            .unwrap_err()
            .contains("total")
    );
    assert!(prove("amount=7").is_err());
}

#[test]
fn bytes_that_are_no_model_are_refused_by_the_reader_or_by_the_runtime() {
    with_runtime();
    let read = |bytes: &[u8]| Edition::read("m", "v", Arc::from(bytes), &ModelOptions::default());
    assert!(read(b"hello").err().unwrap().contains("no ONNX model"));
    let whole = bytes_of(&folder().join("logistic.onnx")).unwrap();
    let mut damaged = whole.to_vec();
    // An operator of another name.
    let named = |damaged: &[u8]| damaged.windows(6).position(|name| name == b"Scaler");
    while let Some(place) = named(&damaged) {
        damaged[place] = b'X';
    }
    let error = read(&damaged).unwrap().prepare(1).unwrap_err();
    assert!(error.contains("refuses"), "{error}");
}

/// A query that scores amounts with a model that is open, for so many threads.
fn scoring(settings: &str, model: &str, threads: usize) -> Query {
    let select = "predict('fraud', named_struct('amount', amount)) FALLBACK 2.0 AS score";
    asking(settings, model, select, threads)
}

/// The same with another SELECT. The model of the next version is the shadow.
fn asking(settings: &str, model: &str, select: &str, threads: usize) -> Query {
    with_runtime();
    let path = folder().join(format!("{model}.onnx"));
    let text = format!(
        "SET checkpointLocation = 'c'; {settings}
CREATE TABLE payments (amount DOUBLE) USING file OPTIONS (path 'in.jsonl');
CREATE TABLE scores USING noop;
CREATE MODEL fraud USING onnx OPTIONS (path '{}', shadow '{}');
INSERT INTO scores SELECT {select} FROM payments;",
        path.display(),
        folder().join("steady-2.onnx").display(),
    );
    let job = load(&text, &Overrides::default(), &|_| None);
    let query = job.unwrap().queries.remove(0);
    let opening = Opening {
        threads,
        ..Opening::default()
    };
    query.models[0].open(opening).unwrap();
    query
}

/// The step that scores, new as a run of the query has it.
fn step(query: &Query) -> Box<dyn Operator> {
    let steps = query.lane().steps;
    steps.into_iter().flatten().next().unwrap().operator
}

#[derive(Default)]
struct Out(Vec<Row>);

impl Emit for Out {
    fn emit(
        &mut self,
        row: &[Value],
        _: &RecordMeta,
    ) -> Result<(), thalweg_engine::error::RecordError> {
        self.0.push(row.to_vec());
        Ok(())
    }
}

/// What the step answers to a record of this time.
fn answer(step: &mut dyn Operator, number: i64, record_time: Option<Micros>) -> Value {
    let about = RecordMeta {
        record_time,
        taken_at: now(),
        ..meta(0, number, None)
    };
    let mut out = Out::default();
    step.process(0, &[Value::Double(7.0)], &about, &mut out)
        .unwrap();
    step.accept();
    out.0.remove(0).remove(0)
}

#[test]
fn what_waited_for_a_new_run_within_the_process_has_all_the_time_as_what_waited_for_the_start() {
    let settings = "SET deadline = '1 ms'; SET deadlineFrom = 'record';";
    let query = scoring(settings, "steady-1", 1);
    let before = now() - 1;
    let mut first = step(&query);
    let during = now();
    // Longer than the deadline.
    while now() < during + 20_000 {
        std::thread::yield_now();
    }
    assert_eq!(answer(&mut *first, 1, Some(before)), Value::Double(0.25));
    assert_eq!(answer(&mut *first, 2, Some(during)), Value::Double(2.0));
    // It waited while there was no run.
    let mut second = step(&query);
    assert_eq!(answer(&mut *second, 2, Some(during)), Value::Double(0.25));
}

#[test]
fn a_shadow_that_rows_ask_is_compared_whoever_is_asked_first_and_has_no_time_beyond_the_deadline() {
    let calls = [
        "predict('fraud', named_struct('amount', amount)) FALLBACK 2.0",
        "predict_shadow('fraud', named_struct('amount', amount))",
    ];
    let settings = "SET deadline = '1 s'; SET deadlineFrom = 'record';";
    for (first, second) in [(0, 1), (1, 0)] {
        let select = format!("{} AS a, {} AS b", calls[first], calls[second]);
        let query = asking(settings, "steady-1", &select, 1);
        let mut step = step(&query);
        let ask = |step: &mut dyn Operator, number, late| {
            let about = RecordMeta {
                record_time: Some(now()),
                taken_at: now() + late,
                ..meta(0, number, None)
            };
            let mut out = Out::default();
            step.process(0, &[Value::Double(7.0)], &about, &mut out)
                .unwrap();
            step.accept();
            let row = out.0.remove(0);
            (row[first].clone(), row[second].clone())
        };
        let counters = query.models[0].counters();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for number in 0..10 {
            let (score, shadow) = ask(&mut *step, number, 0);
            assert_eq!((score, shadow), (Value::Double(0.25), Value::Double(0.75)));
        }
        assert_eq!(counters.difference.count(), 10);
        assert_eq!(counters.difference.max(), 500_000);
        assert_eq!(
            count(&counters.shadowed),
            10,
            "nothing is scored aside as well"
        );
        assert_eq!(
            (counters.shadow_scores.max(), counters.active_scores.max()),
            (750_000, 250_000)
        );
        let late = ask(&mut *step, 11, 2_000_000);
        assert_eq!(late, (Value::Double(2.0), Value::Null));
        assert_eq!((count(&counters.skipped), count(&counters.late)), (1, 1));
    }
}

#[test]
fn a_thread_has_one_session_however_many_lanes_score_on_it() {
    let query = scoring("", "steady-1", 5);
    let edition = || Arc::clone(&query.models[0].shelf.take().unwrap().0.active);
    assert_eq!(edition().waiting(), 5);
    for threads in 1..=3 {
        let scored = std::thread::scope(|scope| {
            let work = || {
                let mut lanes = [step(&query), step(&query)];
                for number in 0..10 {
                    for lane in &mut lanes {
                        assert_eq!(answer(&mut **lane, number, None), Value::Double(0.25));
                    }
                }
                true
            };
            scope.spawn(work).join().unwrap()
        });
        assert!(scored);
        assert_eq!(edition().waiting(), 5 - threads);
    }
    assert_eq!(query.models[0].counters.active.load(Ordering::Relaxed), 60);
}

#[test]
fn what_is_shown_as_the_pace_of_a_model_is_that_of_the_threads_that_score_with_it_now() {
    let query = scoring("", "steady-1", 1);
    let shown = || query.models[0].report().p99_micros;
    assert_eq!(shown(), 0, "nobody has scored");
    let scored = std::thread::scope(|scope| {
        let work = || {
            let mut step = step(&query);
            for number in 0..10 {
                answer(&mut *step, number, None);
            }
            shown()
        };
        scope.spawn(work).join().unwrap()
    });
    assert!((1..1_000_000).contains(&scored), "{scored}");
    assert_eq!(shown(), 0, "the thread has ended");
}

/// How long a score takes: run it alone, in release, with `--nocapture` and `THALWEG_SCORES=50`, so many rounds of a thousand.
#[test]
fn the_cost_of_a_score_that_is_the_same_in_every_round() {
    let rounds = std::env::var("THALWEG_SCORES").ok();
    let rounds: u32 = rounds.map_or(2, |rounds| rounds.parse().unwrap());
    for name in [
        "gradient_boosting",
        "lightgbm",
        "xgboost",
        "logistic",
        "perceptron",
    ] {
        let edition = edition(name);
        let mut scorer = edition.scorer().unwrap();
        let rows = rows("rows.jsonl", &edition);
        let mut round = || -> f64 { rows.iter().map(|(row, _)| score(&mut scorer, row)).sum() };
        let first = round();
        let begun = std::time::Instant::now();
        for _ in 0..rounds {
            assert!((round() - first).abs() < f64::EPSILON, "{name}");
        }
        let scores = u128::from(rounds) * rows.len() as u128;
        println!("{name}: {} ns a score", begun.elapsed().as_nanos() / scores);
    }
}
