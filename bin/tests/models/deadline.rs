//! The deadline: the fallback answers where the time left does not suffice.

use serde_json::Value;

use super::stage::{PATIENCE, until};
use super::{Job, posted, scored};

#[test]
fn under_a_deadline_the_fallback_answers_while_the_step_is_slow_and_no_record_is_dropped() {
    let job = Job::at(
        400,
        "SET deadline = '5 ms';",
        "",
        "SELECT value, predict_detail('fraud', named_struct('amount', 0.5, 'work', if(value < 400, 0, 1500))) FALLBACK 2.0 AS d
FROM ticks",
    );
    job.put("slow", "fraud.onnx");
    let mut running = job.start();
    let late = "thalweg_model_fallbacks_total{model=\"fraud\",reason=\"deadline\"}";
    until("the fallback answers", PATIENCE, || {
        running.metric(late) >= 300.0
    });
    running.finish();
    let scores = job.scores();
    let late = |row: &Value| row["d"]["fallback"] == "deadline";
    for row in scores.values() {
        let score = if late(row) { 2.0 } else { 0.5 };
        assert_eq!(row["d"]["score"], score, "{row}");
    }
    let slow: Vec<&Value> = scores.range(400..).map(|(_, row)| row).collect();
    let answered = slow.iter().filter(|row| late(row)).count();
    assert!(slow.len() - answered < 60, "{answered} of {}", slow.len());
}

#[test]
fn neither_a_slow_canary_nor_a_slow_version_before_takes_the_time_of_the_version_in_force() {
    // The canary's runs take far longer than the deadline, and those of the first version.
    let job = Job::at(
        400,
        "SET deadline = '30 ms';",
        ", canary 'FOLDER/canary.onnx', canaryShare '30%', canaryKey 'value'",
        "SELECT value, canary, d.score, d.fallback, d.model.version FROM (
  SELECT value, canary, predict_detail('fraud', named_struct('amount', 0.5, 'work', work)) FALLBACK 2.0 AS d FROM (
    SELECT value, canary, if(canary OR model_info('fraud').version = 'fraud', 1800, 0) AS work FROM (
      SELECT value, pmod(xxhash64(value), 10000) < 3000 AS canary FROM ticks)))",
    );
    job.put("slow", "fraud.onnx");
    job.put("slow", "canary.onnx");
    let mut running = job.start();
    let late = "thalweg_model_fallbacks_total{model=\"fraud\",reason=\"deadline\"}";
    until("the fallback answers", PATIENCE, || {
        running.metric(late) >= 200.0
    });
    let (status, answer) = posted(&mut running, "slow");
    assert_eq!(status, 200, "{answer}");
    scored(&mut running, 200.0);
    running.finish();
    let scores = job.scores();
    let share = |canary: bool, version: &str| {
        let of = |row: &&Value| row["canary"] == canary && row["version"] == version;
        let rows: Vec<&Value> = scores.values().filter(of).collect();
        let late = rows.iter().filter(|row| row["fallback"] == "deadline");
        (late.count(), rows.len())
    };
    let (late, all) = share(false, "fraud");
    assert!(late * 2 > all, "{late} of {all} of the slow version");
    let (late, all) = share(true, "canary");
    assert!(late * 2 > all, "{late} of {all} of the canary");
    // A busy machine takes the time of many; taken for one of the other two, it would answer one of fifty.
    let (late, all) = share(false, "slow");
    assert!(all >= 150, "{all} of the version in force");
    assert!(
        late * 4 < all * 3,
        "too late, {late} of {all} of the version in force"
    );
}
