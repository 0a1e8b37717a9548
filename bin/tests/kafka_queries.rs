//! Several queries in one file, and what the HTTP side says of them.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use stage::{Broker, Loyalty, PATIENCE, Rec, Scene, invoices, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// A second query beside the loyalty query, with topics of its own.
fn two_queries(scene: &Scene) -> std::path::PathBuf {
    let orders = format!("{}-orders", scene.name);
    let audit = format!("{}-audit", scene.name);
    scene.topics.make(&orders, 1, &[]);
    scene.topics.make(&audit, 1, &[]);
    let text = format!(
        "{}
CREATE TABLE orders (id BIGINT) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{orders}', startingOffsets 'earliest', format 'json');
CREATE TABLE audit USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{audit}', format 'json');
INSERT INTO audit SELECT id FROM orders;
",
        Loyalty::default().text(scene)
    );
    scene.write(&text)
}

#[test]
fn a_query_that_fails_leaves_the_others_alone_and_ready_names_it() {
    let scene = Scene::with_topics("several", broker(), 1);
    let job = two_queries(&scene);
    let mut running = scene.started(&job);
    let good = Rec::new("1", r#"{"id":1}"#);
    scene
        .topics
        .send("several-orders", &[good.clone(), Rec::new("2", "broken")]);
    until("/ready says no", PATIENCE, || {
        running.get("/ready").0 == 503
    });
    let (_, body) = running.get("/ready");
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    for query in told["queries"].as_array().unwrap() {
        match query["query"].as_str().unwrap() {
            "audit" => {
                assert_eq!(query["ready"], false);
                assert!(
                    query["why"]
                        .as_str()
                        .unwrap()
                        .contains("several-orders/0@1"),
                    "{body}"
                );
            }
            _ => assert_eq!(query["ready"], true, "{body}"),
        }
    }
    assert_eq!(running.get("/live").0, 200, "a restart would not help");

    scene.topics.send(&scene.input(), &invoices(0..100));
    scene.until_out(100, PATIENCE);
    running.terminate();
    let said = running.end(PATIENCE);
    assert_eq!(said.code, 1, "one of them failed: {}", said.err);

    // Each goes on from where it stood: the failed one over its record, the other behind its last row.
    let folder = scene.checkpoints().join("audit");
    scene
        .call(&[
            "checkpoint",
            "set",
            folder.to_str().unwrap(),
            "--skip",
            "several-orders/0@1",
            "--yes",
        ])
        .expect(0, &[]);
    scene.topics.send("several-orders", &[good]);
    scene.topics.send(&scene.input(), &invoices(100..200));
    let running = scene.run(&job);
    scene.until_out(200, PATIENCE);
    until("the other query's row is out", PATIENCE, || {
        scene.topics.count("several-audit") >= 2
    });
    running.finish();
    assert_eq!(scene.topics.count("several-audit"), 2);
    stage::Account::of(&scene).expect_exactly(200);
}

#[test]
fn with_fail_together_the_first_failure_ends_all() {
    let scene = Scene::with_topics("together", broker(), 1);
    let job = two_queries(&scene);
    let mut running = scene.run_with(&job, &["--fail-together"]);
    running.until_ready();
    scene.topics.send(&scene.input(), &invoices(0..10));
    scene.until_out(10, PATIENCE);
    scene
        .topics
        .send("together-orders", &[Rec::new("2", "broken")]);
    let said = running.end(PATIENCE);
    said.expect(1, &["together-orders/0@0"]);
    // The other one was ended cleanly.
    let positions = scene.positions();
    assert_eq!(positions, [("together-in/0".to_owned(), 10)]);
}

#[test]
fn metrics_are_few_well_formed_and_move() {
    let scene = Scene::with_topics("metrics", broker(), 4);
    let job = Loyalty::default().write(&scene);
    let mut running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(0..1_000));
    scene.topics.send(&scene.input(), &[Rec::tombstone("gone")]);
    scene.until_out(1_000, PATIENCE);
    until("the counts are handed over", PATIENCE, || {
        running.metric("thalweg_records_in_total") >= 1_001.0
    });
    let mut value = |text: &str| running.metric(text);
    let epochs = value("thalweg_epochs_committed_total");
    for (name, expected) in [
        ("thalweg_records_in_total", 1_001.0),
        ("thalweg_records_out_total", 1_000.0),
        ("thalweg_restarts_total", 0.0),
        (r#"reason="tombstone""#, 1.0),
        ("thalweg_query_ready", 1.0),
    ] {
        let found = value(name);
        assert!((found - expected).abs() < 0.1, "{name} is {found}");
    }
    assert!(value("thalweg_bytes_in_total") > 100_000.0);
    assert!(value("thalweg_latency_seconds_count") > 0.0);
    assert!(value("thalweg_checkpoint_size_bytes") > 0.0);
    until("epochs go on", PATIENCE, || {
        value("thalweg_epochs_committed_total") > epochs
    });
    until("all is acknowledged", PATIENCE, || {
        value("thalweg_records_acknowledged_total") >= 1_000.0
    });
    until("the position of each partition is shown", PATIENCE, || {
        (value("thalweg_partition_position") - 1_001.0).abs() < 0.1
    });
    until("nothing lags", PATIENCE, || {
        value("thalweg_partition_lag_records").abs() < 0.1
    });

    let (status, text) = running.get("/metrics");
    assert_eq!(status, 200);
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    eprintln!("{series} series with 4 partitions");
    assert!(series <= 2_000, "{series} series");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("thalweg_"), "{line}");
    }
    lint(&text);
    running.finish();
}

/// What promtool says of the text, where it is installed.
fn lint(text: &str) {
    let cache = std::env::var("THALWEG_CACHE").unwrap_or_else(|_| {
        let home = std::env::var("HOME").unwrap_or_default();
        format!("{home}/.cache/thalweg")
    });
    // Where the project's test command unpacks it, else on the path.
    let unpacked = std::path::Path::new(&cache).join("prometheus/usr/bin/promtool");
    let program = if unpacked.exists() {
        unpacked
    } else {
        "promtool".into()
    };
    let promtool = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(error) => {
            eprintln!("skipped: promtool does not start: {error}");
            return;
        }
    };
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn without_partition_metrics_no_series_names_a_partition() {
    let scene = Scene::with_topics("coarse", broker(), 4);
    let job = Loyalty::default()
        .set("partitionMetrics = 'off'")
        .write(&scene);
    let mut running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(0..10));
    scene.until_out(10, PATIENCE);
    until("counted", PATIENCE, || {
        running.metric("thalweg_records_in_total") >= 10.0
    });
    let (_, text) = running.get("/metrics");
    assert!(!text.contains("coarse-in"), "{text}");
    running.finish();
}
