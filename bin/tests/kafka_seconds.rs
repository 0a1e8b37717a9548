//! The words of each second alone, from a socket and from a topic at once.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;
use stage::{Broker, PATIENCE, Rec, Running, Scene, thalweg, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// Words by second.
type Seconds = BTreeMap<String, BTreeMap<String, i64>>;

/// What was written in the place of a table so far; a word of a second comes once.
fn seconds(file: &Path) -> Seconds {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut seconds = Seconds::new();
    for line in whole.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let words = seconds
            .entry(row["second"].as_str().unwrap().to_owned())
            .or_default();
        let count = row["count"].as_i64().unwrap();
        let again = words.insert(row["word"].as_str().unwrap().to_owned(), count);
        assert_eq!(again, None, "a second is written once:\n{text}");
    }
    seconds
}

fn sum(seconds: &Seconds, word: &str) -> i64 {
    seconds.values().filter_map(|words| words.get(word)).sum()
}

#[test]
fn each_second_is_counted_alone() {
    let scene = Scene::new("seconds", broker());
    scene.topics.make("lines", 2, &[]);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let job = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/jobs/word_count_per_second.sql"
    );
    let (typed, lines) = (scene.dir().join("typed"), scene.dir().join("lines"));
    let (to_typed, to_lines) = (
        format!("typed_counts={}", typed.display()),
        format!("line_counts={}", lines.display()),
    );
    let mut command = thalweg(&[
        "run",
        job,
        "--http",
        "127.0.0.1:0",
        "--output",
        &to_typed,
        "--output",
        &to_lines,
        "--set",
        "idleTimeout=1 second",
    ]);
    command
        .current_dir(scene.dir())
        .env("KAFKA", scene.broker.bootstrap())
        .env("SOCKET_HOST", "127.0.0.1")
        .env("SOCKET_PORT", port);
    let mut running = Running::start(command);
    let (mut stream, _) = server.accept().unwrap();
    running.until_ready();
    // Until three seconds have been written, words go on coming.
    let mut sent = 0;
    until("three seconds are written", PATIENCE, || {
        stream.write_all(b"tick tock tick\n").unwrap();
        scene.topics.send("lines", &[Rec::new("k", "ping pong")]);
        sent += 1;
        std::thread::sleep(std::time::Duration::from_millis(100));
        seconds(&typed).len() >= 3 && seconds(&lines).len() >= 3
    });
    running.finish();
    let (typed, lines) = (seconds(&typed), seconds(&lines));
    for words in typed.values() {
        assert_eq!(words["tick"], 2 * words["tock"], "{typed:?}");
    }
    for words in lines.values() {
        assert_eq!(words["ping"], words["pong"], "{lines:?}");
    }
    for total in [sum(&typed, "tock"), sum(&lines, "ping")] {
        assert!(total > 0 && total <= sent, "{total} of {sent}");
    }
    let whole = typed.values().map(|words| words["tock"]).max().unwrap();
    assert!(whole < sent, "no second holds all: {typed:?}");
}
