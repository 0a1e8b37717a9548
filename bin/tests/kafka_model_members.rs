//! Several processes that share a job score with one version of a model: what is swapped or rolled back on one of them is taken by all.

#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use stage::{
    Account, Broker, Loyalty, PATIENCE, Running, Scene, hash_of, json, models, until, until_shared,
};

/// How soon all have a version that one was given.
const SOON: Duration = Duration::from_secs(5);

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

fn file(model: &str) -> PathBuf {
    models().join(format!("{model}.onnx"))
}

/// The job of a member, whose file of the model is its own, as in the image of a pod.
fn job(scene: &Scene, member: &str) -> PathBuf {
    let job = Loyalty::default()
        .set("assignment = 'group'")
        .set(&format!("jobName = '{}'", scene.name))
        .reading(&[
            "startingOffsets 'earliest'",
            "kafka.session.timeout.ms '6000', kafka.heartbeat.interval.ms '200'",
        ])
        .with_tables(&format!(
            "CREATE MODEL fraud USING onnx OPTIONS (path './{member}.onnx');"
        ))
        .selecting("BillNo, predict('fraud', named_struct('amount', TotalValue)) AS score");
    let path = scene.dir().join(format!("{member}.sql"));
    fs::write(&path, job.text(scene)).unwrap();
    path
}

fn member(scene: &Scene, name: &str) -> Running {
    let mut running = scene.run_with(&job(scene, name), &["--member", name]);
    running.until_ready();
    running
}

/// The hashes of the version in force and of the one before it.
fn in_force(running: &mut Running) -> (String, String) {
    let (status, body) = running.get("/api/v1/models/fraud");
    assert_eq!(status, 200, "{body}");
    let report = json(&body);
    let of = |which: &str| report[which]["hash"].as_str().unwrap_or("none").to_owned();
    (of("active"), of("previous"))
}

/// Waits until all have this version.
#[track_caller]
fn all_have(members: &mut [Running], hash: &str, since: Instant) {
    for member in members {
        until("the version is taken", PATIENCE, || {
            in_force(member).0 == hash
        });
    }
    let took = since.elapsed();
    println!("taken by all after {took:?}");
    assert!(took < SOON, "too late: {took:?}");
}

fn posted(running: &mut Running, model: &Path) {
    let bytes = fs::read(model).unwrap();
    let (status, body) = running.post("/api/v1/models/fraud", "application/octet-stream", &bytes);
    assert_eq!(status, 200, "{body}");
}

#[test]
fn what_one_is_given_all_have_within_five_seconds_and_who_joins_begins_with_it() {
    let scene = Scene::with_topics("modelled", broker(), 4).scoring();
    for name in ["a", "b", "c"] {
        scene.put(&file("steady-1"), &format!("{name}.onnx"));
    }
    let (one, two) = (hash_of(&file("steady-1")), hash_of(&file("steady-2")));
    let load = scene.load(200);
    let mut members = vec![member(&scene, "a"), member(&scene, "b")];
    until_shared(&mut members, &[2, 2]);
    for member in &mut members {
        assert_eq!(in_force(member).0, one);
    }

    let since = Instant::now();
    posted(&mut members[0], &file("steady-2"));
    all_have(&mut members, &two, since);
    for member in &mut members {
        assert_eq!(in_force(member).1, one, "a rollback goes back to it");
    }
    // One that joins has the old file at its path, which the others have seen.
    members.push(member(&scene, "c"));
    assert_eq!(in_force(&mut members[2]).0, two);

    // Rolled back on another than the one that was given it, and forth again by a file at one member's path.
    let since = Instant::now();
    let (status, body) = members[1].post("/api/v1/models/fraud/rollback", "text/plain", b"");
    assert_eq!(status, 200, "{body}");
    all_have(&mut members, &one, since);
    let since = Instant::now();
    scene.put(&file("steady-2"), "c.onnx");
    all_have(&mut members, &two, since);

    // One that was killed meanwhile comes back with the file of long ago and changes nothing.
    members.remove(0).kill();
    members.push(member(&scene, "a"));
    let sent = load.stop();
    until("every invoice is answered", PATIENCE, || {
        Account::of(&scene).missing(sent).is_empty()
    });
    for member in &mut members {
        assert_eq!(in_force(member).0, two);
    }
    let scores = scene.topics.read(&scene.output()).into_iter();
    let mut last = scores.map(|got| got.json()["score"].as_f64().unwrap());
    assert!(last.all(|score| score == 0.25 || score == 0.75));
    for member in members {
        member.finish();
    }
}
