//! Models on a real broker, under load: swapped by a file and over HTTP, refused, rolled back, killed around a swap; canary, shadow,
//! deadlines; and what `why-slow` says of loading. One model scores everything 0.25, its next version 0.75.
//!
//! The long form: THALWEG_KILLS=50.

#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

#[path = "kafka_models/killed.rs"]
mod killed;
mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use stage::{
    Account, Broker, Loyalty, PATIENCE, Running, Scene, hash_of, invoice, invoices, models, now,
    until,
};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

fn file(model: &str) -> PathBuf {
    models().join(format!("{model}.onnx"))
}

/// A job that scores invoices with the model in the scene's `fraud.onnx`.
fn scoring(options: &str, select: &str) -> Loyalty {
    Loyalty::default()
        .set("coordinates = on")
        .with_tables(&format!(
            "CREATE MODEL fraud USING onnx OPTIONS (path './fraud.onnx'{options});"
        ))
        .selecting(select)
}

const DETAIL: &str =
    "BillNo, d.score, d.model.hash, d.model.version, d.fallback, canary FROM (SELECT *,
  predict_detail('fraud', named_struct('amount', TotalValue)) AS d,
  pmod(xxhash64(CustomerCardNo), 10000) < 3000 AS canary";

fn scene(name: &str, model: &str) -> Scene {
    let scene = Scene::with_topics(name, broker(), 2).scoring();
    scene.put(&file(model), "fraud.onnx");
    scene
}

/// The job file, whose query reads from a subquery.
fn write(scene: &Scene, job: &Loyalty) -> PathBuf {
    scene.write(&job.clone().filtered(")").text(scene))
}

/// Waits until the active version has scored so many more records.
#[track_caller]
fn scored(running: &mut Running, more: f64) {
    let metric = "thalweg_model_scored_total{model=\"fraud\",role=\"active\"}";
    let before = running.metric(metric);
    until("invoices are scored", PATIENCE, || {
        running.metric(metric) >= before + more
    });
}

/// What `/api/v1/models/fraud` says.
fn report(running: &mut Running) -> Value {
    let (status, body) = running.get("/api/v1/models/fraud");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn posted(running: &mut Running, model: &str) -> (u16, Value) {
    let bytes = fs::read(file(model)).unwrap();
    let path = format!("/api/v1/models/fraud?version={model}");
    let (status, body) = running.post(&path, "application/octet-stream", &bytes);
    (status, serde_json::from_str(&body).unwrap())
}

/// By partition of the input and offset in it, what was answered. An invoice that was answered twice is there once.
fn answers(scene: &Scene) -> BTreeMap<(i32, i64), Value> {
    let read = scene.topics.read(&scene.output()).into_iter();
    read.map(|got| {
        let origin = got.header("thalweg-origin").unwrap();
        let parts: Vec<&str> = origin.split(';').collect();
        let place = (parts[4].parse().unwrap(), parts[5].parse().unwrap());
        (place, got.json())
    })
    .collect()
}

/// How often the score changes from invoice to invoice of each partition.
fn changes(answers: &BTreeMap<(i32, i64), Value>) -> [usize; 2] {
    [0, 1].map(|partition| {
        let own: Vec<f64> = answers
            .iter()
            .filter(|((number, _), _)| *number == partition)
            .map(|(_, row)| row["score"].as_f64().unwrap())
            .collect();
        own.windows(2).filter(|pair| pair[0] != pair[1]).count()
    })
}

/// Waits until every invoice is answered, and asserts that each was answered once.
#[track_caller]
fn each_once(scene: &Scene, sent: u64) {
    until("every invoice is answered", PATIENCE, || {
        Account::of(scene).missing(sent).is_empty()
    });
    Account::of(scene).expect_exactly(sent);
}

#[test]
fn under_load_a_file_a_post_and_a_rollback_count_from_one_invoice_to_the_next_and_what_is_bad_changes_nothing()
 {
    let scene = scene("swaps", "steady-1");
    let job = write(&scene, &scoring("", DETAIL));
    let mut running = scene.started(&job);
    let load = scene.load(300);
    scored(&mut running, 200.0);

    scene.put(&file("steady-2"), "fraud.onnx");
    running.until_said("model swapped", PATIENCE);
    scored(&mut running, 200.0);

    // Names that are others, and no model at all: 0.75 goes on.
    scene.put(&file("other_input"), "fraud.onnx");
    let line = running.until_said("the newest file is not used", PATIENCE);
    assert!(line.contains("`amount`"), "{line}");
    let (status, answer) = posted(&mut running, "other_output");
    assert_eq!(status, 422, "{answer}");
    let (status, body) = running.post(
        "/api/v1/models/fraud",
        "application/octet-stream",
        b"no model",
    );
    assert_eq!(status, 422, "{body}");
    assert_eq!(
        report(&mut running)["active"]["hash"],
        hash_of(&file("steady-2"))
    );
    scored(&mut running, 200.0);

    let (status, answer) = posted(&mut running, "steady-1");
    assert_eq!(
        (status, &answer["committed"]),
        (200, &Value::Bool(true)),
        "{answer}"
    );
    scored(&mut running, 200.0);
    let (status, body) = running.post("/api/v1/models/fraud/rollback", "text/plain", b"");
    assert_eq!(status, 200, "{body}");
    scored(&mut running, 200.0);

    let sent = load.stop();
    each_once(&scene, sent);
    running.finish();
    let answers = answers(&scene);
    assert_eq!(changes(&answers), [3, 3], "0.25, 0.75, 0.25 and 0.75 again");
    let (one, two) = (hash_of(&file("steady-1")), hash_of(&file("steady-2")));
    for row in answers.values() {
        let by = if row["score"] == 0.25 { &one } else { &two };
        assert_eq!(row["hash"].as_str(), Some(by.as_str()), "{row}");
    }
}

#[test]
fn under_load_a_canary_has_exactly_the_cards_of_its_share_and_the_shadow_scores_all_and_answers_nobody()
 {
    let scene = scene("canary", "steady-1");
    scene.put(&file("steady-2"), "canary.onnx");
    scene.put(&file("steady-2"), "shadow.onnx");
    let options = ", canary './canary.onnx', canaryShare '30%', canaryKey 'CustomerCardNo', shadow './shadow.onnx'";
    let job = write(&scene, &scoring(options, DETAIL));
    let mut running = scene.started(&job);
    let load = scene.load(1_000);
    scored(&mut running, 1_500.0);
    let sent = load.stop();
    each_once(&scene, sent);
    let of = |running: &mut Running, role: &str| {
        running.metric(&format!(
            "thalweg_model_scored_total{{model=\"fraud\",role=\"{role}\"}}"
        )) as u64
    };
    // Every answer went to the shadow too. It may be behind by thousands before it leaves one out.
    until("the shadow has scored all", PATIENCE, || {
        of(&mut running, "shadow") == sent
    });
    assert_eq!(running.metric("thalweg_model_shadow_skipped_total"), 0.0);
    let by_role = [of(&mut running, "active"), of(&mut running, "canary")];
    assert_eq!(report(&mut running)["shadow"]["max_difference"], 0.5);
    running.finish();
    let answers = answers(&scene);
    let of_canary = answers.values().filter(|row| row["canary"] == true).count() as u64;
    assert!(
        (sent / 4..sent * 7 / 20).contains(&of_canary),
        "{of_canary} of {sent}"
    );
    assert_eq!(by_role, [sent - of_canary, of_canary]);
    for row in answers.values() {
        let (version, score) = match row["canary"] == true {
            true => ("canary", 0.75),
            false => ("fraud", 0.25),
        };
        assert_eq!(
            (&row["version"], &row["score"]),
            (&version.into(), &score.into()),
            "{row}"
        );
    }
}

#[test]
fn what_is_too_late_by_its_own_timestamp_is_answered_by_the_fallback_but_not_what_waited_for_the_start()
 {
    let scene = scene("late", "steady-1");
    let select = DETAIL.replace(" AS d,", " FALLBACK 2.0 AS d,");
    let job = scoring("", &select)
        .set("deadline = '2 seconds'")
        .set("deadlineFrom = 'record'");
    let job = write(&scene, &job);
    // From an hour before the start.
    let hour_ago = now() - 3_600_000;
    let old: Vec<_> = (0..100)
        .map(|number| invoice(number).at(hour_ago))
        .collect();
    scene.topics.send(&scene.input(), &old);
    let mut running = scene.started(&job);
    each_once(&scene, 100);
    // These wait while the job stands still for longer than the deadline.
    running.pause();
    let began = Instant::now();
    scene.topics.send(&scene.input(), &invoices(100..200));
    until("they are too late", PATIENCE, || {
        began.elapsed() > Duration::from_secs(3)
    });
    running.resume();
    each_once(&scene, 200);
    let late = "thalweg_model_fallbacks_total{model=\"fraud\",reason=\"deadline\"}";
    assert_eq!(running.metric(late), 100.0);
    running.finish();
    for got in scene.topics.read(&scene.output()) {
        let (row, waited) = (got.json(), got.key().as_str() < "bill-0000100");
        let (score, fallback) = match waited {
            true => (0.25, None),
            false => (2.0, Some("deadline")),
        };
        assert_eq!(
            (row["score"].as_f64(), row["fallback"].as_str()),
            (Some(score), fallback),
            "{row}"
        );
    }
}

#[test]
fn while_a_step_is_slow_the_fallback_answers_within_the_deadline_and_one_run_and_no_invoice_is_dropped()
 {
    let scene = scene("slowstep", "slow");
    // From the 400th invoice on a run takes far longer than the deadline.
    let select = "BillNo, d.score, d.fallback FROM (SELECT *, predict_detail('fraud', named_struct('amount', 0.5,
  'work', if(TotalValue < 400, 0, 1500))) FALLBACK 2.0 AS d";
    let job = write(&scene, &scoring("", select).set("deadline = '5 ms'"));
    let mut running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(0..400));
    each_once(&scene, 400);
    scene.topics.send(&scene.input(), &invoices(400..2_400));
    each_once(&scene, 2_400);
    let late = running.metric("thalweg_model_fallbacks_total{model=\"fraud\",reason=\"deadline\"}");
    running.finish();
    let rows = scene.topics.read(&scene.output());
    let marked = rows
        .iter()
        .filter(|got| got.json()["fallback"] == "deadline")
        .count();
    assert_eq!(marked as f64, late, "each fallback is marked and counted");
    for got in &rows {
        let row = got.json();
        let score = if row["fallback"] == "deadline" {
            2.0
        } else {
            0.5
        };
        assert_eq!(row["score"], score, "{row}");
    }
    // Until three runs of a partition were slow they are tried, and later now and then.
    let slow = rows
        .iter()
        .filter(|got| got.key().as_str() >= "bill-0000400");
    let tried = slow.filter(|got| got.json()["fallback"].is_null()).count();
    assert!(
        tried < 20,
        "{tried} of 2000 were tried although the model was slow"
    );
}

/// Whether one of the slow records says that this was done meanwhile.
fn meanwhile(running: &mut Running, doing: &str) -> bool {
    let (_, body) = running.get("/api/v1/slow?minutes=10&limit=50");
    body.contains(&format!("\"doing\":\"{doing}\""))
}

/// Writes so many golden rows, each of which takes a while.
fn golden(folder: &Path, rows: usize) {
    let row = "{\"features\": {\"amount\": 0.5, \"work\": 700}, \"min\": 0}\n";
    fs::write(folder.join("golden.jsonl"), row.repeat(rows)).unwrap();
}

#[test]
fn why_slow_names_the_model_and_the_table_that_were_loaded_meanwhile() {
    let scene = scene("loaded", "slow");
    let listed = |rows: u32| {
        let aside = scene.dir().join("stores.new");
        let lines: String = (0..rows).map(|row| format!("S{row},{row}\n")).collect();
        fs::write(&aside, format!("StoreID,place\n{lines}")).unwrap();
        fs::rename(aside, scene.dir().join("stores.csv")).unwrap();
    };
    golden(scene.dir(), 1);
    listed(10);
    let tables = "CREATE MODEL fraud USING onnx OPTIONS (path './fraud.onnx', golden './golden.jsonl');
CREATE TABLE stores (StoreID STRING, place INT) USING csv OPTIONS (path './stores.csv', static 'true', header 'true');";
    let job = Loyalty::default()
        .with_tables(tables)
        .selecting(
            "i.BillNo, predict('fraud', named_struct('amount', 0.5, 'work', 200)) AS score, place",
        )
        .filtered("i LEFT JOIN stores s ON i.StoreID = s.StoreID");
    let job = scene.write(&job.text(&scene));
    let mut running = scene.started(&job);
    // Loading takes long enough to be met: the golden rows are run, a large table is read.
    golden(scene.dir(), 200);
    let changed = fs::read(file("slow")).unwrap();
    let mut sent = 0;
    let mut send = |scene: &Scene| {
        scene.topics.send(&scene.input(), &[invoice(sent)]);
        sent += 1;
        scene.until_out(i64::try_from(sent).unwrap(), PATIENCE);
    };
    // The same graph with other bytes: an entry of metadata at its end.
    let other = [&changed[..], b"\x72\x08\x0a\x03new\x12\x011"].concat();
    let aside = scene.dir().join("other.onnx");
    fs::write(&aside, other).unwrap();
    scene.put(&aside, "fraud.onnx");
    until("a record met the model's load", PATIENCE, || {
        send(&scene);
        meanwhile(&mut running, "modelLoad")
    });
    listed(400_000);
    until("a record met the table's load", PATIENCE, || {
        send(&scene);
        meanwhile(&mut running, "tableLoad")
    });
    let line = running.until_said("metrics and probes at http://", PATIENCE);
    let url = format!("http://{}", line.rsplit("http://").next().unwrap().trim());
    scene
        .call(&["why-slow", "--url", &url, "--limit", "50"])
        .expect(
            0,
            &[
                "a version of a model was loaded and proved for",
                "a static table was read again for",
            ],
        );
    running.finish();
}
