//! One record explained: every step's values, from a kept checkpoint, as the job had them.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use stage::{Broker, Got, Loyalty, PATIENCE, Rec, Running, Said, Scene, invoices, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

fn explain(scene: &Scene, job: &Path, record: &str, more: &[&str]) -> Said {
    let mut arguments = vec!["explain-record", record, "--job", job.to_str().unwrap()];
    arguments.extend_from_slice(more);
    scene.call(&arguments)
}

#[track_caller]
fn explained(scene: &Scene, job: &Path, record: &str) -> Value {
    let said = explain(scene, job, record, &["--json"]);
    said.expect(0, &[]);
    let mut all: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    all[0].take()
}

/// A value without its members that are null: the output leaves them out.
fn known(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    value
}

/// Each record of the input by the `id` in it.
fn places(scene: &Scene, id: &str) -> BTreeMap<String, Got> {
    let read = scene.topics.read(&scene.input()).into_iter();
    read.map(|got| (got.json()[id].as_str().unwrap().to_owned(), got))
        .collect()
}

#[test]
fn an_invoice_is_explained_without_any_checkpoint_because_its_job_keeps_nothing() {
    let scene = Scene::with_topics("explain", broker(), 3);
    let job = Loyalty::default()
        .filtered("WHERE TotalValue > 50")
        .write(&scene);
    scene.topics.send(&scene.input(), &invoices(0..60));
    let running = scene.started(&job);
    scene.until_out(1, PATIENCE);
    let places = places(&scene, "BillNo");
    until("all are out", PATIENCE, || {
        let due = places
            .values()
            .filter(|got| got.json()["TotalValue"].as_f64().unwrap() > 50.0);
        scene.topics.count(&scene.output()) == i64::try_from(due.count()).unwrap()
    });
    let written: BTreeMap<String, Value> = scene
        .topics
        .read(&scene.output())
        .into_iter()
        .map(|got| (got.key(), got.json()))
        .collect();
    // Beside the running job: its folder is locked, and nothing of it is asked.
    for (bill, got) in places.iter().step_by(7) {
        let record = format!("{}/{}/{}", scene.input(), got.partition, got.offset);
        let told = explained(&scene, &job, &record);
        assert_eq!(told["record"], record);
        assert_eq!(told["from"], Value::Null);
        let steps = told["steps"].as_array().unwrap();
        assert_eq!(steps[0]["rows"][0]["BillNo"], bill.as_str(), "{told:#}");
        match written.get(bill) {
            Some(row) => assert_eq!(known(told["outputs"][0].clone()), *row, "{told:#}"),
            None => assert_eq!(told["outputs"], Value::Array(Vec::new()), "{told:#}"),
        }
    }
    let (bill, got) = places
        .iter()
        .find(|(bill, _)| written.contains_key(*bill))
        .unwrap();
    let record = format!("{}/{}/{}", scene.input(), got.partition, got.offset);
    explain(&scene, &job, &record, &[]).expect(
        0,
        &[
            "read kafka invoices",
            "filter",
            "project",
            "written",
            bill,
            "EarnedLoyaltyPoints",
            "keep nothing",
        ],
    );
    running.finish();
}

fn transactions(numbers: std::ops::Range<u64>) -> Vec<Rec> {
    numbers
        .map(|number| {
            let card = format!("C-{}", number % 7);
            let value = format!(
                r#"{{"id":"{number}","card":"{card}","amount":{}.25}}"#,
                number % 100
            );
            Rec::new(card, value)
        })
        .collect()
}

/// The job card_totals as it ships, with topics and settings of the story.
fn totals(scene: &Scene, settings: &str, partitioned: &str) -> PathBuf {
    scene.write(&format!(
        "SET checkpointLocation = '{}';
{settings}
CREATE TABLE transactions (id STRING NOT NULL, card STRING NOT NULL, amount DOUBLE) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json') {partitioned};
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'id');
INSERT INTO notification
SELECT id, card, amount, count(*) OVER of_card AS transactions, sum(amount) OVER of_card AS total
FROM transactions
WINDOW of_card AS (PARTITION BY card);
",
        scene.checkpoints().display(),
        scene.input(),
        scene.output()
    ))
}

/// What the output holds, by id.
fn answers(scene: &Scene) -> BTreeMap<String, Value> {
    let read = scene.topics.read(&scene.output()).into_iter();
    read.map(|got| (got.key(), got.json())).collect()
}

/// How many partitions a process reads now.
fn share(running: &mut Running) -> usize {
    let (_, text) = running.get("/metrics");
    let lines = text.lines();
    lines
        .filter(|line| line.starts_with("thalweg_partition_position{"))
        .count()
}

fn totals_are_explained(name: &str, partitioned: &str) {
    let scene = Scene::with_topics(name, broker(), 4);
    let settings = "SET checkpointInterval = '50 ms'; SET checkpointsKept = '1000';";
    let job = totals(&scene, settings, partitioned);
    let running = scene.started(&job);
    let told = totals_of(&scene, &job, vec![running], partitioned.is_empty());
    // Between two stretches there is an epoch: none is replayed from further back, and each is replayed from its own.
    let mut epochs = BTreeMap::new();
    for (id, told) in &told {
        let from = &told["from"];
        let replayed = from["recordsReplayed"].as_u64().unwrap();
        assert!(replayed < STRETCH, "{told:#}");
        let epoch = from["epoch"].as_u64().unwrap();
        let known = epochs.entry(id / STRETCH).or_insert((epoch, epoch));
        *known = (known.0.min(epoch), known.1.max(epoch));
    }
    let epochs: Vec<(u64, u64)> = epochs.into_values().collect();
    assert!(
        epochs.windows(2).all(|pair| pair[0].1 < pair[1].0),
        "{epochs:?}"
    );
}

/// Transactions that are sent at once.
const STRETCH: u64 = 60;

/// Transactions come in stretches with epochs between them, and some of each are explained, while the processes run. What was
/// told, by the transaction.
fn totals_of(
    scene: &Scene,
    job: &Path,
    mut running: Vec<Running>,
    gathered: bool,
) -> BTreeMap<u64, Value> {
    for stretch in 0..5 {
        let end = (stretch + 1) * STRETCH;
        scene
            .topics
            .send(&scene.input(), &transactions(stretch * STRETCH..end));
        scene.until_out(i64::try_from(end).unwrap(), PATIENCE);
        for one in &mut running {
            let before = one.metric("thalweg_epochs_committed_total");
            until("an epoch is kept", PATIENCE, || {
                one.metric("thalweg_epochs_committed_total") >= before + 2.0
            });
        }
    }
    let (answers, places) = (answers(scene), places(scene, "id"));
    let (mut replayed, mut all) = (0, BTreeMap::new());
    for id in (0..300).step_by(29) {
        let got = &places[&id.to_string()];
        let record = format!("{}/{}/{}", scene.input(), got.partition, got.offset);
        let told = explained(scene, job, &record);
        assert_eq!(told["outputs"][0], answers[&id.to_string()], "{told:#}");
        assert_eq!(told["outputs"].as_array().unwrap().len(), 1);
        let over = told["steps"].as_array().unwrap().iter();
        let over: Vec<&Value> = over
            .filter(|step| step["step"].as_str().unwrap().starts_with("over"))
            .collect();
        assert_eq!(over.len(), 1, "{told:#}");
        // In the middle, before they have the names of the output: both totals, behind the transaction itself.
        let (rows, answer) = (
            over[0]["rows"].as_array().unwrap(),
            &answers[&id.to_string()],
        );
        assert_eq!(rows.len(), 1, "{told:#}");
        let values: Vec<&Value> = rows[0].as_object().unwrap().values().collect();
        for column in ["id", "card", "amount", "transactions", "total"] {
            assert!(values.contains(&&answer[column]), "{column}: {told:#}");
        }
        replayed += told["from"]["recordsReplayed"].as_u64().unwrap();
        let ordered = told["notes"]
            .to_string()
            .contains("come by their timestamps");
        assert_eq!(ordered, gathered, "{told:#}");
        all.insert(id, told);
    }
    assert!(
        replayed > 0,
        "every record was the first behind a checkpoint"
    );
    // A stopped job is explained the same way.
    for one in running {
        one.finish();
    }
    let got = &places["299"];
    let record = format!("{}/{}/{}", scene.input(), got.partition, got.offset);
    assert_eq!(explained(scene, job, &record)["outputs"][0], answers["299"]);
    all
}

#[test]
fn running_totals_of_one_gathered_lane_are_explained_as_the_job_wrote_them() {
    totals_are_explained("explainall", "");
}

#[test]
fn running_totals_of_partitions_of_their_own_are_explained_as_the_job_wrote_them() {
    totals_are_explained("explainown", "PARTITIONED BY (card)");
}

#[test]
fn running_totals_of_processes_that_share_a_job_are_explained_as_they_wrote_them() {
    let scene = Scene::with_topics("explainshared", broker(), 4);
    let settings = "SET checkpointInterval = '50 ms'; SET assignment = 'group'; SET jobName = 'explainshared';";
    let job = totals(&scene, settings, "PARTITIONED BY (card)");
    let mut members = ["a", "b"].map(|name| {
        let mut member = scene.run_with(&job, &["--member", name]);
        member.until_ready();
        member
    });
    until("the partitions are shared out", PATIENCE, || {
        members.each_mut().map(share) == [2, 2]
    });
    totals_of(&scene, &job, members.into(), false);
}

#[cfg(feature = "onnx")]
#[test]
fn a_score_is_explained_with_the_version_of_the_model_that_the_checkpoint_before_it_names() {
    let scene = Scene::with_topics("explainmodel", broker(), 1).scoring();
    let model = |name: &str| stage::models().join(format!("{name}.onnx"));
    scene.put(&model("steady-1"), "fraud.onnx");
    let job = totals(
        &scene,
        "SET checkpointInterval = '50 ms'; SET checkpointsKept = '1000'; CREATE MODEL fraud USING onnx OPTIONS (path './fraud.onnx');",
        "",
    );
    let text = std::fs::read_to_string(&job).unwrap();
    let scored = "SELECT id, predict('fraud', named_struct('amount', amount)) AS score, ";
    scene.write(&text.replace("SELECT id, card, amount, ", scored));
    let mut running = scene.started(&job);
    let epochs = |running: &mut Running| {
        let before = running.metric("thalweg_epochs_committed_total");
        until("an epoch is kept", PATIENCE, || {
            running.metric("thalweg_epochs_committed_total") >= before + 2.0
        });
    };
    scene.topics.send(&scene.input(), &transactions(0..60));
    scene.until_out(60, PATIENCE);
    epochs(&mut running);
    scene.topics.send(&scene.input(), &transactions(60..61));
    scene.until_out(61, PATIENCE);
    scene.put(&model("steady-2"), "fraud.onnx");
    running.until_said("model swapped", PATIENCE);
    epochs(&mut running);
    scene.topics.send(&scene.input(), &transactions(61..120));
    scene.until_out(120, PATIENCE);
    let (answers, places) = (answers(&scene), places(&scene, "id"));
    for (id, score) in [("30", 0.25), ("60", 0.25), ("100", 0.75)] {
        assert_eq!(answers[id]["score"], score);
        let record = format!("{}/0/{}", scene.input(), places[id].offset);
        let told = explained(&scene, &job, &record);
        assert_eq!(told["outputs"][0], answers[id], "{told:#}");
        let notes = told["notes"].to_string();
        assert!(
            notes.contains("which the checkpoint names") || id == "30",
            "{told:#}"
        );
    }
    running.finish();
}

#[cfg(feature = "onnx")]
#[test]
fn a_record_that_fallback_answered_for_want_of_time_is_told_beside_what_the_model_says_of_it() {
    let scene = Scene::with_topics("explaindeadline", broker(), 1).scoring();
    scene.put(&stage::models().join("slow.onnx"), "fraud.onnx");
    let job = totals(
        &scene,
        "SET coordinates = on; SET deadline = '10 ms'; CREATE MODEL fraud USING onnx OPTIONS (path './fraud.onnx');",
        "",
    );
    let text = std::fs::read_to_string(&job).unwrap();
    let from = text.find("SELECT id, card").unwrap();
    // From the tenth on a run takes far longer than there is time.
    let query = "SELECT id, d.score, d.fallback FROM (
  SELECT id, predict_detail('fraud', named_struct('amount', 0.5, 'work', if(CAST(id AS INT) < 10, 0, 1500))) FALLBACK 2.0 AS d
  FROM transactions);
";
    scene.write(&format!("{}{query}", &text[..from]));
    let running = scene.started(&job);
    scene.topics.send(&scene.input(), &transactions(0..60));
    scene.until_out(60, PATIENCE);
    running.finish();
    let (answers, places) = (answers(&scene), places(&scene, "id"));
    let late = |row: &Value| row["fallback"] == "deadline";
    let (fallen, _) = answers.iter().find(|(_, row)| late(row)).unwrap();
    let (scored, _) = answers.iter().find(|(_, row)| !late(row)).unwrap();
    for (id, differs) in [(fallen, true), (scored, false)] {
        let record = format!("{}/0/{}", scene.input(), places[id].offset);
        let told = explained(&scene, &job, &record);
        assert_eq!(told["outputs"][0]["score"], 0.5, "{told:#}");
        let notes = told["notes"].to_string();
        assert!(notes.contains("the job has SET deadline"), "{told:#}");
        assert_eq!(notes.contains("was written differs"), differs, "{told:#}");
        assert_eq!(told["outputRecords"].is_array(), differs, "{told:#}");
        if differs {
            let words = "`score` is 2.0 instead of 0.5";
            assert!(notes.contains(words), "{told:#}");
            assert_eq!(told["outputRecords"][0]["key"], id.as_str(), "{told:#}");
        }
    }
    // Without coordinates nobody can tell.
    let text = std::fs::read_to_string(&job).unwrap();
    scene.write(&text.replace("SET coordinates = on;", ""));
    let record = format!("{}/0/{}", scene.input(), places[fallen].offset);
    let said = explain(&scene, &job, &record, &[]);
    said.expect(
        0,
        &["the job has SET deadline", "cannot be told from the output"],
    );
}

#[test]
fn where_no_checkpoint_is_kept_the_output_says_what_it_holds() {
    let scene = Scene::with_topics("explainlate", broker(), 1);
    let job = totals(
        &scene,
        "SET checkpointInterval = '50 ms'; SET checkpointsKept = 1; SET checkpointHistory = off;",
        "",
    );
    let mut running = scene.started(&job);
    scene.topics.send(&scene.input(), &transactions(0..20));
    scene.until_out(20, PATIENCE);
    let before = running.metric("thalweg_epochs_committed_total");
    until("older epochs are forgotten", PATIENCE, || {
        running.metric("thalweg_epochs_committed_total") >= before + 3.0
    });
    running.finish();
    let record = format!("{}/0/3", scene.input());
    let said = explain(&scene, &job, &record, &[]);
    said.expect(
        1,
        &[
            "no checkpoint of the query `notification` is kept from before this record",
            r#""id":"3""#,
        ],
    );
    // What another job, or this one with coordinates, has written with its origin.
    let origin = format!("v1;explainlate;notification;{};0;3;0", scene.input());
    let written = Rec::new("3", r#"{"id":"3","transactions":41}"#).header("thalweg-origin", origin);
    scene.topics.send(&scene.output(), &[written]);
    explain(&scene, &job, &record, &[]).expect(
        1,
        &[
            "the output holds explainlate-out/0/20",
            r#""transactions":41"#,
        ],
    );
    explain(&scene, &job, &format!("{}/0/4", scene.input()), &[]).expect(
        1,
        &[
            "of the 21 records of `explainlate-out`",
            "comes from this record",
        ],
    );
}

#[test]
fn what_cannot_be_explained_is_said_with_its_reason() {
    let scene = Scene::with_topics("explainnot", broker(), 2);
    let job = totals(&scene, "", "");
    let records: Vec<Rec> = transactions(0..10)
        .into_iter()
        .map(|rec| rec.to(1))
        .collect();
    scene.topics.send(&scene.input(), &records);
    let running = scene.started(&job);
    scene.until_out(10, PATIENCE);
    running.finish();
    let input = scene.input();
    let said = |record: &str, more: &[&str]| explain(&scene, &job, record, more);
    said(&format!("{input}/1/10"), &[])
        .expect(2, &["ends before offset 10", "no record at 10 yet"]);
    said(&format!("{input}/7/0"), &[]).expect(2, &["has 2 partitions (0 to 1)"]);
    said("elsewhere/0/0", &[]).expect(2, &["no query of", "reads elsewhere/0; it reads "]);
    said("nonsense", &[]).expect(2, &["write TOPIC/PARTITION/OFFSET"]);
    said(&format!("{input}/1/3"), &["--query", "other"]).expect(2, &["has no query `other`"]);
    said(&format!("{input}/1/3"), &["--set", "jobName=other"]).expect(
        2,
        &["are of the query `notification` of the job `explainnot`"],
    );
    scene.topics.delete_records(&input, 1, 5);
    said(&format!("{input}/1/4"), &[]).expect(2, &["begins at offset 5", "is gone"]);
    let nowhere = scene.dir().join("nowhere.sql");
    let text = std::fs::read_to_string(&job)
        .unwrap()
        .replace("${KAFKA}", "127.0.0.1:1");
    std::fs::write(&nowhere, text).unwrap();
    explain(&scene, &nowhere, &format!("{input}/1/3"), &[]).expect(2, &["127.0.0.1:1"]);
}

#[test]
fn a_record_that_failed_is_explained_with_its_error() {
    let scene = Scene::with_topics("explainbad", broker(), 1);
    let job = Loyalty::default().set("onError = 'skip'").write(&scene);
    let mut records = invoices(0..2);
    records.push(Rec::new("bill", "{broken"));
    scene.topics.send(&scene.input(), &records);
    scene.topics.send(&scene.input(), &[Rec::tombstone("gone")]);
    let record = |offset: u32| format!("{}/0/{offset}", scene.input());
    // Even before the job has ever run: it keeps nothing.
    explain(&scene, &job, &record(1), &[]).expect(0, &["EarnedLoyaltyPoints"]);
    explain(&scene, &job, &record(2), &[]).expect(0, &["it failed: decode", "{broken"]);
    explain(&scene, &job, &record(3), &[]).expect(0, &["no row: its value is null"]);
}
