//! A shadow that rows ask themselves: its score stands beside the one that counts, and changes nothing of it.

use serde_json::Value;

use super::{Job, scored, swapped};

const BOTH: &str = "SELECT value, predict('fraud', named_struct('amount', value)) AS score,
  predict_shadow('fraud', named_struct('amount', value)) AS shadow FROM ticks";

#[test]
fn every_answer_of_the_shadow_stands_beside_the_score_and_its_new_file_answers_from_one_record_to_the_next()
 {
    let job = Job::new("", ", shadow 'FOLDER/shadow.onnx'", BOTH);
    job.put("steady-2", "shadow.onnx");
    let mut running = job.start();
    scored(&mut running, 500.0);
    job.put("steady-1", "shadow.onnx");
    swapped(&mut running, 1.0);
    scored(&mut running, 500.0);
    let (_, report) = running.get("/api/v1/models/fraud");
    let report: Value = serde_json::from_str(&report).unwrap();
    let shadow = &report["shadow"];
    assert_eq!(shadow["max_difference"], 0.5, "{report}");
    let mean = shadow["mean_score"].as_f64().unwrap();
    assert!((0.3..0.7).contains(&mean), "{report}");
    for metric in [
        "thalweg_model_score_count{model=\"fraud\",role=\"shadow\"}",
        "thalweg_model_shadow_seconds_count{model=\"fraud\"}",
        "thalweg_model_shadow_difference_count{model=\"fraud\"}",
    ] {
        assert!(running.metric(metric) > 900.0, "{metric}");
    }
    running.finish();
    let scores = job.scores();
    assert!(scores.values().all(|row| row["score"] == 0.25));
    for partition in [0, 1] {
        let own = scores
            .iter()
            .filter(|(value, _)| *value % 2 == partition)
            .map(|(_, row)| row["shadow"].as_f64().unwrap());
        let mut own: Vec<f64> = own.collect();
        own.dedup();
        assert_eq!(own, [0.75, 0.25]);
    }
}

#[test]
fn a_shadow_that_fails_is_null_and_counted_and_nothing_else_changes() {
    let query = format!("{BOTH} WHERE value < 150");
    let job = Job::new("", ", shadow 'FOLDER/shadow.onnx'", &query);
    job.put("fragile", "shadow.onnx");
    let mut running = job.start();
    let failed = "thalweg_model_errors_total{model=\"fraud\",role=\"shadow\"}";
    super::until("the shadow fails", super::PATIENCE, || {
        running.metric(failed) >= 50.0
    });
    assert_eq!(running.metric("thalweg_record_errors_total"), 0.0);
    running.finish();
    let scores = job.scores();
    assert_eq!(scores.len(), 150);
    for (value, row) in scores {
        assert_eq!(row["score"], 0.25, "{row}");
        assert_eq!(row["shadow"].is_null(), value >= 100, "{row}");
    }
}
