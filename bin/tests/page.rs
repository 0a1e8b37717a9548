//! The page, the API and `thalweg top`, on a job that counts.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use stage::{Account, Broker, Counting, Loyalty, PATIENCE, Running, Scene, invoices, json, until};

#[test]
fn the_page_and_its_files_are_served_and_may_load_nothing_else() {
    let job = Counting::new();
    let mut running = job.start(&[]);
    let (status, head, page) = running.with("GET /", "", b"");
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: default-src 'none'; script-src 'self'"));
    for header in [
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "no-store",
    ] {
        assert!(head.contains(header), "{header}: {head}");
    }
    let mut bytes = page.len();
    let named = page.split('"').filter(|part| part.starts_with("/page/"));
    let named: BTreeSet<&str> = named.collect();
    assert!(named.contains("/page/page.js"));
    for name in named {
        let (status, head, file) = running.with(&format!("GET {name}"), "", b"");
        assert_eq!(status, 200, "{name}");
        assert!(head.contains("content-security-policy"));
        bytes += file.len();
        let (_, head, _) =
            running.with(&format!("GET {name}"), "Accept-Encoding: gzip, br\r\n", b"");
        assert!(head.contains("content-encoding: gzip"), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let packed: usize = length.unwrap().trim().parse().unwrap();
        assert!(packed < file.len() + 50, "{name}");
    }
    assert!(bytes <= 150_000, "{bytes}");
    for nowhere in [
        "/page/",
        "/page/nothing.js",
        "/page/..%2f..%2fCargo.toml",
        "/page/../cli.rs",
        "/nowhere",
    ] {
        assert_eq!(
            running.with(&format!("GET {nowhere}"), "", b"").0,
            404,
            "{nowhere}"
        );
    }
    running.finish();
}

#[test]
fn whatever_is_asked_wrongly_is_answered_in_one_form_that_says_what_is_right() {
    let job = Counting::new();
    let mut running = job.start(&[]);
    for (request, status, why) in [
        ("GET /api/v1/slow?minutes=0", 400, "minutes is 1 to 10"),
        ("GET /api/v1/slow?limit=0", 400, "limit is 1 to 1000"),
        (
            "GET /api/v1/models/fraud",
            404,
            "no model `fraud`; the job has none",
        ),
        ("PUT /api/v1/log", 415, "`Content-Type: application/json`"),
        ("GET /nowhere", 404, "nothing is served at /nowhere"),
    ] {
        let (answered, _, body) = running.with(request, "", b"{}");
        assert_eq!(answered, status, "{request}");
        let said = json(&body);
        let error = said["error"].as_str().unwrap();
        assert!(error.contains(why), "{request}: {error}");
    }
    running.finish();
}

#[test]
fn a_paused_query_takes_nothing_says_so_and_loses_nothing() {
    let job = Counting::new();
    let mut running = job.start(&[]);
    let read = "thalweg_records_in_total";
    until("records are read", PATIENCE, || {
        running.metric(read) > 100.0
    });
    until("it has run for a while", PATIENCE, || {
        running.age() > Duration::from_millis(1_500)
    });
    let since = Instant::now();
    assert_eq!(
        running
            .post("/api/v1/queries/numbers/pause", "text/plain", b"")
            .0,
        200
    );
    let epochs = "thalweg_epochs_committed_total";
    let before = running.metric(epochs);
    until("epochs are committed", PATIENCE, || {
        running.metric(epochs) > before + 3.0
    });
    let stood = running.metric(read);
    until("more epochs are", PATIENCE, || {
        running.metric(epochs) > before + 8.0
    });
    assert_eq!(running.metric(read), stood);
    let (status, body) = running.get("/ready");
    assert_eq!(status, 503);
    let paused = &json(&body)["queries"][0];
    assert_eq!(paused["phase"], "paused");
    assert!(
        paused["seconds"].as_f64().unwrap() <= since.elapsed().as_secs_f64(),
        "since it was paused, not since it runs: {body}"
    );
    let (_, progress) = running.get("/api/v1/queries");
    assert_eq!(json(&progress)[0]["status"]["isTriggerActive"], false);
    assert!(progress.contains("paused by hand"), "{progress}");
    assert_eq!(running.metric("thalweg_query_paused"), 1.0);
    assert_eq!(
        running
            .post("/api/v1/queries/numbers/resume", "text/plain", b"")
            .0,
        200
    );
    running.until_ready();
    until("records are read again", PATIENCE, || {
        running.metric(read) > stood + 200.0
    });
    running.finish();
    assert!(job.numbers() > 300);
    // A paused job ends as cleanly, and the next start is not paused.
    let mut running = job.start(&[]);
    assert_eq!(
        running
            .post("/api/v1/queries/numbers/pause", "text/plain", b"")
            .0,
        200
    );
    running.finish();
    let mut running = job.start(&[]);
    until("records are read", PATIENCE, || running.metric(read) > 10.0);
    running.finish();
    job.numbers();
}

/// Reads events until so many boards have come; gives them.
fn boards(running: &mut Running, count: usize) -> Vec<Value> {
    let mut stream = running.connected();
    write!(
        stream,
        "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    .unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    assert!(lines.next().unwrap().contains("200"));
    let data = lines.filter_map(|line| Some(json(line.strip_prefix("data: ")?)));
    data.filter(|event| event.get("job").is_some())
        .take(count)
        .collect()
}

/// One more who looks, where there is room.
fn viewer(running: &mut Running) -> Option<TcpStream> {
    let mut stream = running.connected();
    write!(
        stream,
        "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    .unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    (&first == b"HTTP/1.1 200").then_some(stream)
}

#[test]
fn viewers_see_the_job_live_and_only_so_many_may_look() {
    let job = Counting::new();
    let mut running = job.start(&[]);
    let seen = boards(&mut running, 3);
    let at: BTreeSet<i64> = seen
        .iter()
        .map(|board| board["at"].as_i64().unwrap())
        .collect();
    assert_eq!(at.len(), 3);
    let query = &seen[2]["queries"][0];
    assert_eq!(
        (&seen[2]["job"], &query["query"]),
        (&"counting".into(), &"numbers".into())
    );
    assert!(
        query["rates"]["recordsIn"].as_f64().unwrap() > 100.0,
        "{query}"
    );
    let stages = query["latency"].as_array().unwrap();
    assert!(
        stages
            .iter()
            .any(|stage| stage["stage"] == "processed" && stage["count"].as_u64() > Some(0))
    );
    assert_eq!(query["partitions"].as_array().unwrap().len(), 2);
    assert!(query["epochs"]["newest"].as_u64().unwrap() > 0);
    // One who has gone is noticed when the next event is sent.
    let mut viewers = Vec::new();
    until("16 are looking", PATIENCE, || {
        viewers.extend(viewer(&mut running));
        viewers.len() == 16
    });
    let (status, _, body) = running.with("GET /api/v1/events", "", b"");
    assert_eq!(status, 503);
    assert!(body.contains("16 are looking already"), "{body}");
    assert_eq!(running.get("/live").0, 200, "probes are served beside them");
    drop(viewers);
    until("there is room again", PATIENCE, || {
        viewer(&mut running).is_some()
    });
    running.finish();
}

#[test]
fn the_log_changes_while_the_job_runs() {
    let job = Counting::new();
    let mut running = job.start(&[]);
    let (_, body) = running.get("/api/v1/log");
    assert_eq!(json(&body)["level"], "info");
    let mut put = |body: &str| {
        let kind = "Content-Type: application/json\r\n";
        running.with("PUT /api/v1/log", kind, body.as_bytes())
    };
    for bad in [
        r#"{"level":"loud"}"#,
        r#"{"level":"info,[x=1]=debug"}"#,
        r#"{"level":"debug","component":"a b"}"#,
    ] {
        assert_eq!(put(bad).0, 422, "{bad}");
    }
    assert_eq!(put(r#"{"leve":"info"}"#).0, 400);
    let (status, _, body) = put(r#"{"level":"debug","component":"thalweg_engine"}"#);
    assert_eq!(status, 200);
    assert_eq!(json(&body)["components"]["thalweg_engine"], "debug");
    let line = running.until_said("what log", PATIENCE);
    assert!(
        line.contains("before info, after info,thalweg_engine=debug"),
        "{line}"
    );
    running.finish();
}

#[test]
fn the_settings_in_force_hide_what_was_put_in() {
    let job = Counting::new();
    let mut running = job.start(&["--set", "epochTimeout=50 seconds"]);
    let (_, body) = running.get("/api/v1/settings");
    assert!(!body.contains("very-secret-password"), "{body}");
    let sheet = json(&body);
    let query = &sheet["queries"][0];
    let settings = query["settings"].as_array().unwrap();
    let of = |name: &str| {
        settings
            .iter()
            .find(|setting| setting["name"] == name)
            .unwrap()
    };
    assert_eq!(of("epochTimeout")["from"], "command line");
    assert_eq!(of("checkpointInterval")["from"], "line 3");
    assert_eq!(of("onError")["from"], "default");
    let kinds = query["steps"].as_array().unwrap().iter();
    let kinds: Vec<&str> = kinds.map(|step| step["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[0], "read");
    assert!(kinds.contains(&"filter"), "{kinds:?}");
    running.finish();
}

#[test]
fn top_shows_the_job_in_a_terminal_and_says_where_nobody_answers() {
    let job = Counting::new();
    let mut running = job.guarded(&[]);
    until("records are read", PATIENCE, || {
        running.metric("thalweg_records_in_total") > 50.0
    });
    let url = format!("http://{}", running.address());
    job.call(&["top", "--url", &url, "--once"])
        .expect(2, &["asks for a token", "--token-file FILE"]);
    let said = job.call(&["top", "--url", &url, "--once", "--token-file", "tokens"]);
    said.expect(
        0,
        &[
            "job counting, up",
            "numbers: running for",
            "ticks/0 at",
            "epoch ",
            "p99.9",
        ],
    );
    assert!(!said.out.contains('\u{1b}'));
    // Not a terminal: once, as a pipe wants it.
    job.call(&["top", "--url", &url, "--token-file", "tokens"])
        .expect(0, &["job counting"]);
    job.call(&["why-slow", "--url", &url])
        .expect(2, &["asks for a token"]);
    job.call(&["why-slow", "--url", &url, "--token-file", "tokens"])
        .expect(0, &["numbers:"]);
    running.finish();
    job.call(&["top", "--url", &url, "--once"])
        .expect(2, &["no job answers at http://127.0.0.1:", "Is it running"]);
    job.call(&["top", "--url", "localhost"])
        .expect(2, &["write http://HOST:PORT"]);
}

#[test]
fn the_document_of_the_api_is_the_one_that_is_kept() {
    let job = Counting::new();
    let mut running = job.start(&[]);
    let (status, body) = running.get("/api/v1/openapi.json");
    assert_eq!(status, 200);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    assert_eq!(body, fs::read_to_string(kept).unwrap());
    running.finish();
}

#[test]
fn a_paused_query_on_kafka_keeps_its_place_and_goes_on_with_the_next_record() {
    let broker = Box::leak(Box::new(Broker::start(&[])));
    let scene = Scene::with_topics("paused", broker, 2);
    let job = Loyalty::default().write(&scene);
    let mut running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(0..200));
    scene.until_out(200, PATIENCE);
    let path = |way: &str| format!("/api/v1/queries/notification/{way}");
    assert_eq!(running.post(&path("pause"), "text/plain", b"").0, 200);
    scene.topics.send(&scene.input(), &invoices(200..500));
    until("the lag shows what waits", PATIENCE, || {
        running.metric("thalweg_partition_lag_records") >= 300.0
    });
    let epochs = "thalweg_epochs_committed_total";
    let before = running.metric(epochs);
    until("epochs go on", PATIENCE, || {
        running.metric(epochs) >= before + 3.0
    });
    assert_eq!(scene.topics.count(&scene.output()), 200);
    assert_eq!(running.post(&path("resume"), "text/plain", b"").0, 200);
    scene.until_out(500, PATIENCE);
    assert_eq!(running.metric("thalweg_restarts_total"), 0.0);
    running.finish();
    Account::of(&scene).expect_exactly(500);
    // What was paused when it was killed is read by the next start.
    let mut running = scene.started(&job);
    assert_eq!(running.post(&path("pause"), "text/plain", b"").0, 200);
    scene.topics.send(&scene.input(), &invoices(500..600));
    running.kill();
    let running = scene.started(&job);
    scene.until_out(600, PATIENCE);
    running.finish();
    Account::of(&scene).expect_exactly(600);
}
