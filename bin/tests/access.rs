//! Who may look and who may change something over HTTP, and what is sent by those who mean no good.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::fs;
use std::io::{Read, Write};

use stage::{ANNA, Counting, PATIENCE, Running, bearer, json};

const BERT: &str = "bert-0123456789abcdef";

/// Announces a body of so many bytes and sends none of it: the status of the answer.
fn announced(running: &mut Running, request: &str, headers: &str, length: usize) -> u16 {
    let mut stream = running.connected();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n"
    )
    .unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    String::from_utf8_lossy(&first[9..]).parse().unwrap()
}

#[test]
fn without_tokens_this_machine_may_change_something_and_a_foreign_page_may_not() {
    let job = Counting::new();
    let mut running = job.start(&[]);
    let pause = "POST /api/v1/queries/numbers/pause";
    let resume = "POST /api/v1/queries/numbers/resume";
    let (status, _, body) = running.with(pause, "Origin: http://evil.example\r\n", b"");
    assert_eq!(status, 403);
    assert!(body.contains("a page in a browser"), "{body}");
    let audit = running.until_said("refused", PATIENCE);
    assert!(
        audit.contains("POST /api/v1/queries/numbers/pause"),
        "{audit}"
    );
    let (status, _, body) = running.with(pause, "Origin: http://127.0.0.1\r\n", b"");
    assert_eq!(status, 200, "{body}");
    assert_eq!(json(&body)["changed"], true);
    assert_eq!(json(&running.with(pause, "", b"").2)["changed"], false);
    assert_eq!(running.with(resume, "", b"").0, 200);
    let line = running.until_said("before paused, after not paused", PATIENCE);
    assert!(line.contains("who 127.0.0.1, what query numbers"), "{line}");
    assert_eq!(
        running.with("POST /api/v1/queries/none/pause", "", b"").0,
        404
    );
    running.finish();
}

#[test]
fn with_tokens_only_probes_metrics_and_the_empty_page_need_none() {
    let job = Counting::new();
    let mut running = job.guarded(&["--log-level", "trace"]);
    for open in [
        "/",
        "/page/page.js",
        "/live",
        "/ready",
        "/metrics",
        "/api/v1/openapi.json",
    ] {
        assert_eq!(
            running.with(&format!("GET {open}"), "", b"").0,
            200,
            "{open}"
        );
    }
    let looks = [
        "queries", "slow", "models", "log", "settings", "board", "events",
    ];
    let looks = looks.map(|path| format!("GET /api/v1/{path}"));
    let changes = [
        "POST /api/v1/queries/numbers/pause",
        "PUT /api/v1/log",
        "POST /api/v1/models/none/rollback",
    ];
    for request in looks.iter().map(String::as_str).chain(changes) {
        let (status, head, body) = running.with(request, "", b"");
        assert_eq!(status, 401, "{request}");
        assert!(head.contains("www-authenticate: bearer"), "{head}");
        assert!(body.contains("Authorization: Bearer TOKEN"), "{body}");
        let (status, _, body) = running.with(request, &bearer(BERT), b"");
        assert_eq!(status, 401, "{request}");
        assert!(body.contains("not one of the file"), "{body}");
    }
    for request in &looks[..6] {
        assert_eq!(
            running.with(request, &bearer(ANNA), b"").0,
            200,
            "{request}"
        );
    }
    let (status, _, _) = running.with(changes[0], &bearer(ANNA), b"");
    assert_eq!(status, 200);
    let line = running.until_said("before not paused, after paused", PATIENCE);
    assert!(line.contains("who anna, what query numbers"), "{line}");
    // The file changes while the job runs.
    fs::write(job.path("next"), format!("bert {BERT}\n")).unwrap();
    fs::rename(job.path("next"), job.path("tokens")).unwrap();
    assert_eq!(running.with(&looks[0], &bearer(ANNA), b"").0, 401);
    let resume = "POST /api/v1/queries/numbers/resume";
    assert_eq!(running.with(resume, &bearer(BERT), b"").0, 200);
    running.until_said("who bert", PATIENCE);
    fs::remove_file(job.path("tokens")).unwrap();
    assert_eq!(running.with(&looks[0], &bearer(BERT), b"").0, 503);
    let said = running.finish();
    for secret in [ANNA, BERT, "very-secret-password"] {
        assert!(!said.err.contains(secret));
    }
}

#[test]
fn who_asks_with_head_is_answered_as_with_get_without_the_body() {
    let job = Counting::new();
    let mut running = job.guarded(&[]);
    for path in ["/", "/live", "/ready", "/metrics"] {
        let mut stream = running.connected();
        let close = "Host: x\r\nConnection: close\r\n";
        write!(stream, "HEAD {path} HTTP/1.1\r\n{close}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        let length = |line: &str| {
            let line = line.to_lowercase();
            let length = line.strip_prefix("content-length: ")?;
            length.parse::<u64>().ok()
        };
        assert!(
            answer.lines().any(|line| length(line) > Some(0)),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n"), "{path}: {answer}");
    }
    // What needs a token is no way around it.
    let refused = running.with("HEAD /api/v1/queries", "", b"").0;
    assert_eq!(refused, 405);
    running.finish();
}

#[test]
fn a_token_file_that_holds_none_is_refused_before_anything_begins() {
    let job = Counting::new();
    let run = [
        "run",
        "job.sql",
        "--http",
        "127.0.0.1:0",
        "--token-file",
        "tokens",
    ];
    job.call(&run)
        .expect(2, &["--token-file", "cannot be read"]);
    fs::write(job.path("tokens"), "too-short\n").unwrap();
    let said = job.call(&run);
    said.expect(2, &["line 1 has less than 16 letters"]);
    assert!(!said.err.contains("too-short"));
}

#[test]
fn what_is_malformed_or_too_long_is_refused_and_the_job_lives_on() {
    let job = Counting::new();
    let mut running = job.guarded(&[]);
    let anna = bearer(ANNA);
    let kind = format!("{anna}Content-Type: application/json\r\n");
    assert_eq!(
        announced(&mut running, "PUT /api/v1/log", &kind, 100_000),
        413
    );
    // A model has a limit of its own, and the answer is of the same form.
    let mut stream = running.connected();
    write!(
        stream,
        "POST /api/v1/models/m HTTP/1.1\r\nHost: x\r\n{anna}Content-Type: application/octet-stream\r\nContent-Length: 999999999\r\n\r\n"
    )
    .unwrap();
    let mut answer = vec![0; 4_096];
    let mut text = String::new();
    while !text.contains('}') {
        let read = stream.read(&mut answer).unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&answer[..read]));
    }
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    assert!(
        text.ends_with(r#"{"error":"a model has at most 256 MiB"}"#),
        "{text}"
    );
    assert_eq!(
        running.with("PUT /api/v1/log", &kind, b"{\"level\":").0,
        400
    );
    assert_eq!(running.with("PUT /api/v1/log", &anna, b"{}").0, 415);
    assert_eq!(running.with("DELETE /api/v1/log", &anna, b"").0, 405);
    assert_eq!(
        running.with("GET /api/v1/slow?minutes=x", &anna, b"").0,
        400
    );
    assert_eq!(
        running.with("GET /api/v1/slow?minutes=99", &anna, b"").0,
        400
    );
    let strange = running
        .with("POST /api/v1/queries/%ff%00/pause", &anna, b"")
        .0;
    assert!([400, 404].contains(&strange), "{strange}");
    // Who is not let in is answered before anything of the body is read.
    assert_eq!(
        announced(&mut running, "POST /api/v1/models/m", "", 1_000_000),
        401
    );
    let many: String = (0..200)
        .map(|number| format!("X-{number}: y\r\n"))
        .collect();
    for head in [
        "\0\u{1}\u{2}\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{many}\r\n"),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000)),
        format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "b".repeat(300_000)),
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "PUT /api/v1/log HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n".to_owned(),
    ] {
        let mut stream = running.connected();
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(
            refused,
            "{}: {answer}",
            head.chars().take(40).collect::<String>()
        );
    }
    assert_eq!(running.get("/live").0, 200);
    running.finish();
}
