//! Models that score while a job runs: swapped by a file and over HTTP, rolled back, refused, killed around it; canary, shadow,
//! fallback and deadline. The models are small and known: one scores everything 0.25, its next version 0.75.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

#[path = "models/checked.rs"]
mod checked;
#[path = "models/deadline.rs"]
mod deadline;
#[path = "models/shadow.rs"]
mod shadow;
mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use stage::{PATIENCE, Running, Said, models, runtime, thalweg, until, visible_files};

/// A job in a folder of its own, with a model at `fraud.onnx`.
struct Job {
    dir: tempfile::TempDir,
}

impl Job {
    /// Numbers of two partitions are scored; `query` reads them from `ticks` and is written as JSON.
    fn new(settings: &str, options: &str, query: &str) -> Self {
        Self::at(2_000, settings, options, query)
    }

    fn at(rate: u32, settings: &str, options: &str, query: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let job = Self { dir };
        job.put("steady-1", "fraud.onnx");
        let path = |name: &str| job.path(name).display().to_string();
        let text = format!(
            "SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';
{settings}
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '{rate}', numPartitions '2');
CREATE MODEL fraud USING onnx OPTIONS (path '{}'{});
CREATE TABLE scores USING json OPTIONS (path '{}', rollInterval '100 ms');
INSERT INTO scores {query};
",
            path("checkpoints"),
            path("fraud.onnx"),
            options.replace("FOLDER", &job.dir.path().display().to_string()),
            path("out"),
        );
        fs::write(job.path("job.sql"), text).unwrap();
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a model in place at once, as `mv` does.
    fn put(&self, model: &str, name: &str) {
        let aside = self.path("aside.tmp");
        fs::copy(models().join(format!("{model}.onnx")), &aside).unwrap();
        fs::rename(aside, self.path(name)).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("job.sql")).unwrap()
    }

    fn write(&self, text: &str) {
        fs::write(self.path("job.sql"), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = thalweg(arguments);
        command
            .current_dir(self.dir.path())
            .env("ORT_DYLIB_PATH", runtime());
        command
    }

    fn start(&self) -> Running {
        let mut running =
            Running::start(self.command(&["run", "job.sql", "--http", "127.0.0.1:0"]));
        running.until_ready();
        running
    }

    fn run(&self) -> Said {
        Running::start(self.command(&["run", "job.sql", "--http", "off"])).end(PATIENCE)
    }

    fn check(&self) -> Said {
        Running::start(self.command(&["check", "job.sql"])).end(PATIENCE)
    }

    /// All rows that are visible.
    fn rows(&self) -> Vec<Value> {
        let files = visible_files(&self.path("out"));
        let texts: Vec<String> = files
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        let lines = texts.iter().flat_map(|text| text.lines());
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The scores by number; each number is there once.
    #[track_caller]
    fn scores(&self) -> BTreeMap<i64, Value> {
        let rows = self.rows();
        let count = rows.len();
        let by_value: BTreeMap<i64, Value> = rows
            .into_iter()
            .map(|row| (row["value"].as_i64().unwrap(), row))
            .collect();
        assert_eq!(by_value.len(), count, "a number is there twice");
        by_value
    }
}

/// Waits until so many more records have been scored.
#[track_caller]
fn scored(running: &mut Running, more: f64) {
    let metric = "thalweg_model_scored_total{model=\"fraud\",role=\"active\"}";
    let before = running.metric(metric);
    until("records are scored", PATIENCE, || {
        running.metric(metric) >= before + more
    });
}

#[track_caller]
fn swapped(running: &mut Running, times: f64) {
    until("the model is swapped", PATIENCE, || {
        running.metric("thalweg_model_swaps_total{model=\"fraud\",outcome=\"used\"}") >= times
    });
}

/// How often the score changes from number to number of each partition.
fn changes(scores: &BTreeMap<i64, Value>) -> [usize; 2] {
    [0, 1].map(|partition| {
        let own: Vec<f64> = scores
            .iter()
            .filter(|(value, _)| *value % 2 == partition)
            .map(|(_, row)| row["score"].as_f64().unwrap())
            .collect();
        assert!(own.len() > 10);
        own.windows(2).filter(|pair| pair[0] != pair[1]).count()
    })
}

const SCORE: &str = "SELECT value, predict('fraud', named_struct('amount', value)) AS score, model_info('fraud').hash AS hash FROM ticks";

fn hash_of(model: &str) -> String {
    stage::hash_of(&models().join(format!("{model}.onnx")))
}

#[test]
fn a_new_file_in_place_scores_from_one_record_to_the_next() {
    let job = Job::new("", "", SCORE);
    let mut running = job.start();
    scored(&mut running, 500.0);
    job.put("steady-2", "fraud.onnx");
    swapped(&mut running, 1.0);
    scored(&mut running, 500.0);
    running.finish();
    let scores = job.scores();
    assert_eq!(
        changes(&scores),
        [1, 1],
        "each partition goes over once, and never back"
    );
    let (old, new) = (hash_of("steady-1"), hash_of("steady-2"));
    for row in scores.values() {
        let by = if row["score"] == 0.25 { &old } else { &new };
        assert_eq!(row["hash"].as_str(), Some(by.as_str()), "{row}");
    }
}

#[test]
fn a_bad_file_changes_nothing_and_says_why_and_a_good_one_mends_it() {
    let job = Job::new("", "", SCORE);
    let mut running = job.start();
    for (bad, why) in [
        ("other_input", "takes no feature `amount`"),
        ("other_output", "has no output `score`"),
    ] {
        job.put(bad, "fraud.onnx");
        running.until_said(why, PATIENCE);
        assert_eq!(running.metric("thalweg_model_outdated{"), 1.0);
        let (_, report) = running.get("/api/v1/models/fraud");
        assert!(report.contains(why), "{report}");
    }
    fs::write(job.path("fraud.onnx"), "no model").unwrap();
    running.until_said("it is no ONNX model", PATIENCE);
    scored(&mut running, 200.0);
    job.put("steady-2", "fraud.onnx");
    swapped(&mut running, 1.0);
    assert_eq!(running.metric("thalweg_model_outdated{"), 0.0);
    assert_eq!(
        running.metric("thalweg_model_swaps_total{model=\"fraud\",outcome=\"refused\"}"),
        3.0
    );
    scored(&mut running, 200.0);
    running.finish();
    assert_eq!(changes(&job.scores()), [1, 1]);
}

#[test]
fn a_folder_is_its_newest_version() {
    let job = Job::new("", "", SCORE);
    let text = job.text();
    let versions = job.path("versions");
    fs::create_dir(&versions).unwrap();
    job.put("steady-1", "versions/fraud-9.onnx");
    let old = job.path("fraud.onnx").display().to_string();
    job.write(&text.replace(&old, versions.to_str().unwrap()));
    let mut running = job.start();
    scored(&mut running, 100.0);
    job.put("steady-2", "versions/fraud-10.onnx");
    swapped(&mut running, 1.0);
    let (_, report) = running.get("/api/v1/models");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report[0]["active"]["version"], "fraud-10");
    assert_eq!(report[0]["previous"]["version"], "fraud-9");
    scored(&mut running, 100.0);
    running.finish();
    assert_eq!(changes(&job.scores()), [1, 1]);
}

/// Posts a model's bytes.
fn posted(running: &mut Running, model: &str) -> (u16, Value) {
    let bytes = fs::read(models().join(format!("{model}.onnx"))).unwrap();
    let path = format!("/api/v1/models/fraud?version={model}");
    let (status, body) = running.post(&path, "application/octet-stream", &bytes);
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn a_posted_model_scores_at_once_survives_a_kill_and_can_be_rolled_back() {
    let job = Job::new("", "", SCORE);
    let mut running = job.start();
    scored(&mut running, 200.0);
    let (status, answer) = posted(&mut running, "steady-2");
    assert_eq!(
        (status, &answer["committed"]),
        (200, &Value::Bool(true)),
        "{answer}"
    );
    assert_eq!(answer["active"]["version"], "steady-2");
    assert_eq!(answer["previous"]["version"], "fraud");
    scored(&mut running, 200.0);
    // Sent again, it changes nothing: what is gone back to stays.
    let (_, answer) = posted(&mut running, "steady-2");
    assert_eq!(answer["previous"]["version"], "fraud");
    // Nor does its other name.
    let bytes = fs::read(models().join("steady-2.onnx")).unwrap();
    let (status, body) = running.post(
        "/api/v1/models/fraud?version=renamed",
        "application/octet-stream",
        &bytes,
    );
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["active"]["version"], "renamed");
    assert_eq!(answer["previous"]["version"], "fraud");
    running.kill();
    // The file in place is still the old one; the checkpoint names what was posted.
    let mut running = job.start();
    let (_, report) = running.get("/api/v1/models/fraud");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["active"]["version"], "renamed", "{report}");
    scored(&mut running, 200.0);
    let (status, body) = running.post("/api/v1/models/fraud/rollback", "text/plain", b"");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"version\":\"fraud\""), "{body}");
    scored(&mut running, 200.0);
    running.finish();
    assert_eq!(
        changes(&job.scores()),
        [2, 2],
        "0.25, then 0.75, then 0.25 again"
    );
}

/// Makes a pipe.
fn made(pipe: &Path) {
    let mut mkfifo = Command::new("mkfifo");
    assert!(mkfifo.arg(pipe).status().unwrap().success());
}

#[test]
fn what_is_put_at_the_path_and_is_no_file_is_not_read() {
    let job = Job::new("", "", SCORE);
    let mut running = job.start();
    scored(&mut running, 100.0);
    made(&job.path("pipe"));
    fs::rename(job.path("pipe"), job.path("fraud.onnx")).unwrap();
    running.until_said("fraud.onnx is no regular file", PATIENCE);
    let sparse = fs::File::create(job.path("sparse")).unwrap();
    sparse.set_len(20 << 30).unwrap();
    fs::rename(job.path("sparse"), job.path("fraud.onnx")).unwrap();
    running.until_said("fraud.onnx has 21474836480 bytes", PATIENCE);
    // The one before scores on, until there is a good one.
    scored(&mut running, 100.0);
    job.put("steady-2", "fraud.onnx");
    swapped(&mut running, 1.0);
    running.finish();
}

#[test]
fn what_is_posted_wrongly_is_refused_with_the_reason() {
    let job = Job::new("", "", SCORE);
    let mut running = job.start();
    let (status, answer) = posted(&mut running, "other_input");
    assert_eq!(status, 422);
    assert!(
        answer["error"].as_str().unwrap().contains("`amount`"),
        "{answer}"
    );
    let kind = "text/plain";
    assert_eq!(running.post("/api/v1/models/fraud", kind, b"x").0, 415);
    assert_eq!(
        running
            .post("/api/v1/models/frod", "application/json", b"{}")
            .0,
        404
    );
    let file = serde_json::json!({ "path": models().join("steady-2.onnx") }).to_string();
    let (status, body) = running.post("/api/v1/models/fraud", "application/json", file.as_bytes());
    assert_eq!(status, 200, "{body}");
    let missing = br#"{"path": "nowhere.onnx"}"#;
    assert_eq!(
        running
            .post("/api/v1/models/fraud", "application/json", missing)
            .0,
        422
    );
    // A pipe never answers, a device never ends, and nothing of that file lies on the disk.
    made(&job.path("pipe"));
    let sparse = fs::File::create(job.path("sparse.onnx")).unwrap();
    sparse.set_len(20 << 30).unwrap();
    for (path, why) in [
        (job.path("pipe"), "is no regular file"),
        (PathBuf::from("/dev/zero"), "is no regular file"),
        (job.path("sparse.onnx"), "at most 256 MiB"),
        (job.path("checkpoints"), "is a folder: name the file"),
    ] {
        let file = serde_json::json!({ "path": path }).to_string();
        let kind = "application/json";
        let (status, body) = running.post("/api/v1/models/fraud", kind, file.as_bytes());
        assert_eq!(status, 422, "{body}");
        assert!(body.contains(why), "{body}");
    }
    let bytes = "application/octet-stream";
    let (status, body) = running.post("/api/v1/models/fraud", bytes, b"");
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("what was sent is empty"), "{body}");
    running.finish();
    let job = Job::new("SET modelSource = 'file';", "", SCORE);
    let mut running = job.start();
    assert_eq!(posted(&mut running, "steady-2").0, 403);
    // Nor is what came from a file taken back over HTTP.
    job.put("steady-2", "fraud.onnx");
    swapped(&mut running, 1.0);
    let (status, body) = running.post("/api/v1/models/fraud/rollback", "text/plain", b"");
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("modelSource = 'file'"), "{body}");
    let (_, report) = running.get("/api/v1/models/fraud");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["active"]["hash"], hash_of("steady-2"), "{report}");
    running.finish();
}

#[test]
fn killed_around_swaps_no_number_is_lost_and_the_newest_model_scores_in_the_end() {
    let job = Job::new("", "", SCORE);
    for kill in 0..stage::kills(4) {
        let mut running = job.start();
        scored(&mut running, 50.0);
        let next = if kill % 2 == 0 {
            "steady-2"
        } else {
            "steady-1"
        };
        job.put(next, "fraud.onnx");
        // Before it is seen, while it is loaded, and after it came into force.
        std::thread::sleep(std::time::Duration::from_millis(
            u64::from(kill) * 150 % 700,
        ));
        running.kill();
    }
    let mut running = job.start();
    scored(&mut running, 200.0);
    running.finish();
    let scores = job.scores();
    for partition in [0, 1] {
        let own = scores.keys().filter(|value| *value % 2 == partition);
        assert!(
            own.copied().eq((partition..)
                .step_by(2)
                .take(scores.keys().filter(|v| *v % 2 == partition).count()))
        );
    }
    let last = scores.values().last().unwrap();
    let expected = if stage::kills(4).is_multiple_of(2) {
        0.25
    } else {
        0.75
    };
    assert_eq!(last["score"], expected);
}

#[test]
fn a_canary_scores_exactly_the_keys_that_their_hash_gives_it() {
    let job = Job::new(
        "",
        ", canary 'FOLDER/canary.onnx', canaryShare '30%', canaryKey 'value', shadow 'FOLDER/shadow.onnx'",
        "SELECT value, d.score, d.model.version, pmod(xxhash64(value), 10000) < 3000 AS canary
FROM (SELECT value, predict_detail('fraud', named_struct('amount', value)) AS d FROM ticks)",
    );
    job.put("steady-2", "canary.onnx");
    job.put("steady-2", "shadow.onnx");
    let mut running = job.start();
    scored(&mut running, 1_000.0);
    let shadowed = "thalweg_model_scored_total{model=\"fraud\",role=\"shadow\"}";
    until("the shadow scores", PATIENCE, || {
        running.metric(shadowed) > 100.0
    });
    let (_, report) = running.get("/api/v1/models/fraud");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["shadow"]["max_difference"], 0.5, "{report}");
    running.finish();
    let scores = job.scores();
    let canary = scores.values().filter(|row| row["canary"] == true).count();
    #[allow(clippy::cast_precision_loss)]
    let share = canary as f64 / scores.len() as f64;
    assert!((0.25..0.35).contains(&share), "{share}");
    for row in scores.values() {
        let (version, score) = if row["canary"] == true {
            ("canary", 0.75)
        } else {
            ("fraud", 0.25)
        };
        assert_eq!(
            (&row["version"], &row["score"]),
            (&version.into(), &score.into()),
            "{row}"
        );
    }
}

#[test]
fn a_run_that_fails_is_an_error_of_its_record_or_answered_by_the_fallback() {
    let query = "SELECT value, predict('fraud', named_struct('amount', value)) AS score FROM ticks WHERE value < 150";
    let job = Job::new("SET onError = 'skip';", "", query);
    job.put("fragile", "fraud.onnx");
    let mut running = job.start();
    until("records fail", PATIENCE, || {
        running.metric("thalweg_record_errors_total") >= 50.0
    });
    running.finish();
    assert_eq!(job.scores().len(), 100);
    let query = query
        .replace("predict(", "predict_detail(")
        .replace(" AS score", " FALLBACK -1 AS d");
    let job = Job::new("", "", &query);
    job.put("fragile", "fraud.onnx");
    let mut running = job.start();
    let fallbacks = "thalweg_model_fallbacks_total{model=\"fraud\",reason=\"error\"}";
    until("the fallback answers", PATIENCE, || {
        running.metric(fallbacks) >= 50.0
    });
    running.finish();
    let scores = job.scores();
    assert_eq!(scores.len(), 150);
    for (value, row) in scores {
        let (score, fallback) = (&row["d"]["score"], &row["d"]["fallback"]);
        if value < 100 {
            assert!(
                score.as_f64().unwrap() >= 0.0 && fallback.is_null(),
                "{row}"
            );
        } else {
            assert_eq!(
                (score, fallback.as_str()),
                (&Value::from(-1.0), Some("error")),
                "{row}"
            );
        }
    }
}
