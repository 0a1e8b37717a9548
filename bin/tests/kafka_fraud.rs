//! The job `fraud` on a real broker: features outlive a kill, a merchant that is blocked while the job runs is declined from then on,
//! and each verdict says how the model has scored, which version it was, and from which record it comes.

#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use stage::{Broker, PATIENCE, Rec, Scene, hash_of, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// The job with topics and a list of the scene's own.
fn job(scene: &Scene) -> PathBuf {
    let text = include_str!("../jobs/fraud.sql").replace(
        "SET checkpointLocation",
        "SET checkpointInterval = '200 ms';\nSET checkpointLocation",
    );
    let text = text.replace("${INPUT:-transactions}", &scene.input());
    let text = text.replace("${OUTPUT:-verdicts}", &scene.output());
    let text = text.replace(
        "${MODELS:-./models}",
        concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/models"),
    );
    let list = scene.dir().join("blocked.csv").display().to_string();
    scene.write(&text.replace("${BLOCKED:-./blocked_merchants.csv}", &list))
}

/// Puts a file in the place of the list before, whole.
fn put(scene: &Scene, text: &str) {
    let aside = scene.dir().join("blocked.new");
    fs::write(&aside, text).unwrap();
    fs::rename(aside, scene.dir().join("blocked.csv")).unwrap();
}

/// Puts a list in the place of the one before.
fn block(scene: &Scene, merchants: &[&str]) {
    put(scene, &format!("merchant\n{}\n", merchants.join("\n")));
}

/// Sends a payment of 20 in each of these minutes.
fn pay(scene: &Scene, minutes: std::ops::Range<u32>) {
    let payment = |minute| {
        let value = format!(
            r#"{{"id":"{minute}","card":"C","ts":"2026-01-01T10:{minute:02}:00Z","amount":20,"merchant":"M1","lat":52.5,"lon":13.4,"device":"D","declined":false}}"#
        );
        Rec::new("C".to_owned(), value)
    };
    let records: Vec<Rec> = minutes.map(payment).collect();
    scene.topics.send(&scene.input(), &records);
}

/// By minute the verdict, once so many have come out.
fn verdicts(scene: &Scene, count: usize) -> BTreeMap<u32, Value> {
    let all = || -> BTreeMap<u32, Value> {
        let rows = scene.topics.read(&scene.output());
        let rows = rows.iter().map(|got| got.json());
        rows.map(|row| (row["id"].as_str().unwrap().parse().unwrap(), row))
            .collect()
    };
    until("all are judged", PATIENCE, || all().len() >= count);
    all()
}

#[test]
fn a_merchant_is_blocked_while_the_job_runs_and_features_outlive_a_kill() {
    let scene = Scene::with_topics("fraud", broker(), 2).scoring();
    let job = job(&scene);
    block(&scene, &["M9"]);
    let mut running = scene.started(&job);
    pay(&scene, 0..4);
    for verdict in verdicts(&scene, 4).values() {
        assert_eq!(verdict["verdict"], "approve", "{verdict}");
        assert_eq!(verdict["reasons"], serde_json::json!([]), "{verdict}");
        assert!(verdict["score"].as_f64().unwrap() < 0.1, "{verdict}");
        assert_eq!(verdict["model"]["name"], "fraud", "{verdict}");
        assert_eq!(verdict["model"]["version"], "1", "{verdict}");
    }
    for got in scene.topics.read(&scene.output()) {
        let origin = got.header("thalweg-origin").unwrap();
        assert!(
            origin.starts_with("v1;fraud;verdicts;fraud-in;"),
            "{origin}"
        );
        assert!(got.header("thalweg-micros").unwrap().parse::<u64>().is_ok());
    }
    block(&scene, &["M9", "M1"]);
    running.until_said("is read: 2 rows of 1 file", PATIENCE);
    pay(&scene, 4..5);
    let verdict = &verdicts(&scene, 5)[&4];
    assert_eq!(verdict["verdict"], "decline", "{verdict}");
    assert_eq!(verdict["reasons"][0], "blocked merchant", "{verdict}");
    // A list that a script has emptied, or one without its header, blocks nobody free.
    for (slip, why) in [
        ("", "has no header line"),
        ("M9\n", "is not named `merchant`"),
    ] {
        put(&scene, slip);
        running.until_said(why, PATIENCE);
    }
    block(&scene, &["M9", "M1"]);
    running.kill();
    let running = scene.started(&job);
    pay(&scene, 5..6);
    let verdict = &verdicts(&scene, 6)[&5];
    assert_eq!(verdict["verdict"], "decline", "{verdict}");
    let features = &verdict["features"];
    assert_eq!(features["payments"], 6, "{verdict}");
    assert_eq!(features["spent_in_an_hour"], 120.0, "{verdict}");
    assert_eq!(features["seconds_since"], 60.0, "{verdict}");
    assert_eq!(features["ratio"], 1.0, "{verdict}");
    // Five hundred from a device that the card never had, ten minutes later: likely for the rules, certain for the model.
    let value = r#"{"id":"16","card":"C","ts":"2026-01-01T10:16:00Z","amount":500,"merchant":"M2","lat":52.5,"lon":13.4,"device":"X","declined":false}"#;
    scene
        .topics
        .send(&scene.input(), &[Rec::new("C".to_owned(), value)]);
    let verdict = &verdicts(&scene, 7)[&16];
    assert_eq!(verdict["verdict"], "decline", "{verdict}");
    let reasons = [
        "much more than usual from a new device",
        "looks like fraud to the model",
    ];
    assert_eq!(verdict["reasons"], serde_json::json!(reasons), "{verdict}");
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/models/fraud.onnx");
    let hash = hash_of(Path::new(model));
    assert_eq!(verdict["model"]["hash"], hash.as_str(), "{verdict}");
    running.finish();
    explained(&scene, &job, verdict);
    // Each payment has its verdict, once, across the kill.
    let said = scene.call(&["verify", "--job", job.to_str().unwrap()]);
    said.expect(
        0,
        &[
            "7  records of the input",
            "7  with all their outputs",
            "every record is accounted for",
        ],
    );
}

/// A value without what is null in it: the output leaves that out.
fn known(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(_, member)| !member.is_null());
            let members = members.map(|(name, member)| (name.clone(), known(member)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

/// The payment with the id 16 is explained as it was judged: features by OVER, the list of merchants, the model.
#[track_caller]
fn explained(scene: &Scene, job: &Path, verdict: &Value) {
    let read = scene.topics.read(&scene.input());
    let payment = read.iter().find(|got| got.json()["id"] == "16").unwrap();
    let record = format!("{}/{}/{}", scene.input(), payment.partition, payment.offset);
    let job = job.to_str().unwrap();
    let said = scene.call(&["explain-record", &record, "--job", job, "--json"]);
    said.expect(0, &[]);
    let mut told: Value = serde_json::from_str(&said.out).unwrap();
    let told = told[0].take();
    assert_eq!(known(&told["outputs"][0]), known(verdict), "{told:#}");
    let steps: Vec<&str> = (told["steps"].as_array().unwrap().iter())
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    for step in ["over", "static"] {
        let found = steps.iter().any(|name| name.contains(step));
        assert!(found, "{step} is none of {steps:?}");
    }
    let notes = told["notes"].to_string();
    assert!(notes.contains("which the checkpoint names"), "{told:#}");
}
