//! The program as its users run it, against a real broker. The measured command is the floor, which keeps no positions: so the
//! crash audit has something to find.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

const PROGRAM: &str = env!("CARGO_BIN_EXE_thalweg-loadtest");

/// One broker for all tests of this process; it ends, and its folder goes, when the process does.
fn bootstrap() -> &'static str {
    static BOOTSTRAP: OnceLock<String> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| {
        let dir = tempfile::TempDir::with_prefix("thalweg-broker-")
            .unwrap()
            .keep();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/broker.sh");
        let owner = std::process::id().to_string();
        let output = Command::new(script)
            .arg("start")
            .arg(&dir)
            .args(["0", "--owner", &owner, "--remove"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

/// The floor as a command template.
fn floor(options: &str) -> String {
    format!(
        "{PROGRAM} floor --bootstrap {{bootstrap}} --input {{input}} --output {{output}} {options}"
    )
}

/// A place for a result.
fn json() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("result.json");
    (dir, path)
}

fn run(words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).output().unwrap()
}

/// Runs `crash` with the floor on topics called after `story`, and gives its exit code and account.
fn crash(story: &str, floor_options: &str, signal: &str) -> (Option<i32>, serde_json::Value) {
    let (_dir, path) = json();
    let (input, output) = (format!("{story}-in"), format!("{story}-out"));
    let command = floor(floor_options);
    let output = run(&[
        "crash",
        "--bootstrap",
        bootstrap(),
        "--input",
        &input,
        "--output",
        &output,
        "--command",
        &command,
        "--signal",
        signal,
        "--rate",
        "500",
        "--kills",
        "3",
        "--gap-min",
        "0.4s",
        "--gap-max",
        "0.8s",
        "--after",
        "1s",
        "--settle",
        "3s",
        "--seed",
        "7",
        "--json",
        path.to_str().unwrap(),
    ]);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{output:?}"));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    (output.status.code(), document["details"].clone())
}

#[test]
fn a_load_through_the_floor_is_measured_to_the_last_record() {
    let (_dir, path) = json();
    let command = floor("");
    let output = run(&[
        "latency",
        "--bootstrap",
        bootstrap(),
        "--input",
        "latency-in",
        "--output",
        "latency-out",
        "--command",
        &command,
        "--step",
        "200:2,1000:1,200:1",
        "--warm-up",
        "1s",
        "--json",
        path.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("p99.99") && shown.contains("1,600 records sent, 0 missing"),
        "{shown}"
    );
    let document: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let figures = &document["contenders"][0]["median"];
    assert_eq!(
        (figures["records"].as_f64(), figures["missing"].as_f64()),
        (Some(1_600.0), Some(0.0))
    );
    let ms = |name: &str| figures[name].as_f64().unwrap();
    assert!(ms("p50_ms") > 0.0 && ms("p50_ms") <= ms("p99_ms") && ms("p99_ms") <= ms("max_ms"));
    assert!(ms("phase2_p50_ms") > 0.0);
}

#[test]
fn records_lost_by_a_crash_are_found() {
    let (code, account) = crash("lossy", "--starting-offsets latest", "KILL");
    assert_eq!(code, Some(1));
    assert!(account["missing"].as_u64().unwrap() > 0, "{account}");
    assert!(!account["missing_ranges"].as_array().unwrap().is_empty());
}

#[test]
fn records_repeated_by_a_crash_are_counted_per_kill_and_are_no_loss() {
    let (code, account) = crash("repeating", "--starting-offsets earliest", "KILL");
    assert_eq!(code, Some(0), "{account}");
    assert_eq!(account["missing"], 0);
    let lives = account["lives"].as_array().unwrap();
    assert_eq!(lives.len(), 4);
    assert!(
        lives[3]["duplicates"].as_u64() > lives[1]["duplicates"].as_u64(),
        "each start repeats all: {account}"
    );
    assert_eq!(account["duplicates_max_per_kill"], lives[3]["duplicates"]);
}

#[test]
fn a_clean_stop_that_repeats_records_is_a_fault() {
    let (code, account) = crash("unclean", "--starting-offsets earliest", "TERM");
    assert_eq!(code, Some(1));
    assert!(
        account["missing"] == 0 && account["duplicates"].as_u64().unwrap() > 0,
        "{account}"
    );
}

#[test]
fn a_broker_of_its_own_is_killed_under_load_and_nothing_is_lost() {
    let command = floor("");
    let output = run(&[
        "crash",
        "--command",
        &command,
        "--target",
        "broker",
        "--kills",
        "1",
        "--down",
        "0.2s",
        "--gap-min",
        "0.5s",
        "--after",
        "1s",
    ]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.contains("the account is clean"),
        "{output:?}"
    );
}

#[test]
fn two_commands_are_compared_behind_a_slow_network() {
    let (_dir, path) = json();
    let engine = floor("--linger-ms 1500");
    let output = run(&[
        "compare",
        "--engine",
        &engine,
        "--rounds",
        "1",
        "--rate",
        "200",
        "--seconds",
        "3s",
        "--warm-up",
        "1s",
        "--proxy-rtt",
        "20ms",
        "--output-partitions",
        "8",
        "--broker-warm-up",
        "1s",
        "--require",
        "ratio:p50_ms<=1.2",
        "--json",
        path.to_str().unwrap(),
    ]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "too late was the floor, or the slower one keeps the requirement: {output:?}"
    );
    let document: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let figures = |place: usize| &document["contenders"][place]["median"];
    // Half a round trip to fetch and half to produce.
    assert!(figures(0)["p50_ms"].as_f64().unwrap() >= 20.0, "{document}");
    assert!(
        figures(1)["p50_ms"].as_f64().unwrap() > figures(0)["p50_ms"].as_f64().unwrap() + 20.0,
        "too late was the floor: {document}"
    );
    assert!(figures(1)["first_record_ms"].as_f64().unwrap() > 0.0);
    let table = run(&["report", path.to_str().unwrap()]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.contains("4 partitions to 8, 20 ms round trip | p50 ms |"),
        "{table}"
    );
}

#[test]
fn a_full_topic_is_drained() {
    let command = floor("--drain");
    let output = run(&[
        "drain",
        "--bootstrap",
        bootstrap(),
        "--input",
        "drain-in",
        "--output",
        "drain-out",
        "--records",
        "50000",
        "--command",
        &command,
    ]);
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("records/s"),
        "{output:?}"
    );
}

#[test]
fn of_a_drain_too_the_page_of_a_command_says_how_long_each_stage_took() {
    let (dir, path) = json();
    let page = "thalweg_latency_seconds_bucket{query=\"q\",stage=\"steps\",le=\"0.00001\"} 100
thalweg_latency_seconds_bucket{query=\"q\",stage=\"steps\",le=\"+Inf\"} 100
";
    std::fs::write(dir.path().join("metrics"), page).unwrap();
    let served = format!(
        "http={{http}}; python3 -m http.server --bind 127.0.0.1 --directory {} ${{http#*:}} & exec {}",
        dir.path().display(),
        floor("--drain"),
    );
    let output = run(&[
        "compare",
        "--bootstrap",
        bootstrap(),
        "--drain",
        "50000",
        "--engine",
        &served,
        "--rounds",
        "1",
        "--broker-warm-up",
        "0s",
        "--json",
        path.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let document: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let contenders = document["contenders"].as_array().unwrap();
    let steps = |place: usize| contenders[place]["median"]["stage_steps_p50_ms"].as_f64();
    // Half of what took at most 10 us.
    assert_eq!((steps(0), steps(1)), (None, Some(0.005)), "{document}");
}

#[test]
fn what_cannot_be_measured_says_why_and_ends_with_2() {
    let nowhere = run(&["produce", "--bootstrap", "127.0.0.1:9", "--topic", "t"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&nowhere.stderr).contains("127.0.0.1:9"),
        "{nowhere:?}"
    );
    let missing = run(&[
        "produce",
        "--bootstrap",
        bootstrap(),
        "--topic",
        "no-such-topic",
        "--count",
        "1",
    ]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&missing.stderr).contains("no-such-topic"),
        "{missing:?}"
    );
    let broken = run(&[
        "latency",
        "--bootstrap",
        bootstrap(),
        "--command",
        "echo broken job; exit 3",
        "--seconds",
        "5s",
    ]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&broken.stderr).contains("broken job"),
        "{broken:?}"
    );
}
