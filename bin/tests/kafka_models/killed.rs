//! Killed around a swap: before a new version is seen, while it is proved, and before a checkpoint names it.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::Value;

use super::stage::{Account, PATIENCE, Running, Scene, hash_of, kills, until};
use super::{DETAIL, answers, file, posted, report, scene, scored, scoring, write};

#[test]
fn killed_around_swaps_every_invoice_is_answered_and_the_newest_version_is_in_force_again() {
    let scene = scene("killed", "steady-1");
    let job = write(&scene, &scoring("", DETAIL));
    let load = scene.load(300);
    let mut running = scene.started(&job);
    for kill in 0..kills(6) {
        scored(&mut running, 50.0);
        let next = match kill % 3 {
            // Before anybody has looked at it.
            0 => {
                scene.put(&file("steady-2"), "fraud.onnx");
                "steady-2"
            }
            // The moment that it counts, before a checkpoint names it.
            1 => {
                scene.put(&file("steady-1"), "fraud.onnx");
                running.until_said("model swapped", PATIENCE);
                "steady-1"
            }
            // Posted: the file in place is another, the checkpoint alone names it.
            _ => {
                let (status, answer) = posted(&mut running, "steady-2");
                assert_eq!((status, &answer["committed"]), (200, &Value::Bool(true)));
                "steady-2"
            }
        };
        running.kill();
        running = scene.started(&job);
        assert_eq!(
            report(&mut running)["active"]["hash"],
            hash_of(&file(next)),
            "kill {kill}"
        );
    }
    scored(&mut running, 50.0);
    let sent = load.stop();
    until("every invoice is answered", PATIENCE, || {
        Account::of(&scene).missing(sent).is_empty()
    });
    let account = Account::of(&scene);
    account.expect_all(sent);
    println!(
        "{} of {sent} were in flight at a kill and came twice",
        account.repeated()
    );
    running.finish();
}

/// Puts so many rows in the place of the golden ones that a proof takes longer than the story waits for it.
fn hold(rows: &Path) {
    let row = "{\"features\": {\"amount\": 1}, \"min\": 0}\n";
    fs::write(rows, row.repeat(2_000_000)).unwrap();
}

/// How much processor time the thread has taken that looks at the model, in hundredths of a second.
fn taken(running: &Running) -> u64 {
    let threads = fs::read_dir(format!("/proc/{}/task", running.pid())).unwrap();
    let stats = threads.flatten().filter_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        let (name, rest) = stat.rsplit_once(") ")?;
        let mut times = rest.split(' ').skip(11).take(2);
        let mut time = || times.next()?.parse::<u64>().ok();
        name.ends_with("(model fraud").then_some(time()? + time()?)
    });
    stats.sum()
}

/// Waits until a version is being proved: nothing else that its thread does takes long.
fn until_proved(running: &Running, before: u64) {
    until("a version is being proved", PATIENCE, || {
        taken(running) >= before + 50
    });
}

/// Posts a version and does not wait for the answer.
fn post_aside(running: &mut Running, model: &str) -> std::net::TcpStream {
    let bytes = fs::read(file(model)).unwrap();
    let mut stream = running.connected();
    let length = bytes.len();
    write!(
        stream,
        "POST /api/v1/models/fraud?version={model} HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&bytes).unwrap();
    stream
}

fn active(running: &mut Running) -> Value {
    report(running)["active"]["hash"].take()
}

#[test]
fn killed_while_a_version_is_proved_or_before_a_checkpoint_names_it_no_invoice_is_lost() {
    let scene = scene("killproving", "steady-1");
    let rows = scene.dir().join("golden.jsonl");
    let release = |rows: &Path| {
        fs::write(rows, "{\"features\": {\"amount\": 1}, \"min\": 0}\n").unwrap();
    };
    release(&rows);
    let mut job = scoring(", golden './golden.jsonl'", DETAIL);
    // One epoch at each start, and no other.
    job.settings[0] = "checkpointInterval = '1 hour'".to_owned();
    let job = write(&scene, &job);
    let (one, two) = (hash_of(&file("steady-1")), hash_of(&file("steady-2")));
    let mut running = scene.started(&job);
    let load = scene.load(300);
    let again = |running: Running, scene: &Scene| {
        running.kill();
        release(&rows);
        let mut running = scene.started(&job);
        until("a checkpoint of this run is kept", PATIENCE, || {
            running.metric("thalweg_epochs_committed_total") >= 1.0
        });
        scored(&mut running, 50.0);
        running
    };

    // A file is being proved: it is what the next start begins with.
    scored(&mut running, 50.0);
    hold(&rows);
    let before = taken(&running);
    scene.put(&file("steady-2"), "fraud.onnx");
    until_proved(&running, before);
    assert_eq!(active(&mut running), one.as_str());
    let mut running = again(running, &scene);
    assert_eq!(active(&mut running), two.as_str());

    // What is posted is being proved: nobody was told that it is taken, and nothing of it is left.
    hold(&rows);
    let before = taken(&running);
    let asked = post_aside(&mut running, "steady-1");
    until_proved(&running, before);
    assert_eq!(active(&mut running), two.as_str());
    let mut running = again(running, &scene);
    drop(asked);
    assert_eq!(active(&mut running), two.as_str());

    // It is in force and has answered, and no checkpoint names it: the one before goes on.
    let asked = post_aside(&mut running, "steady-1");
    until("it is in force", PATIENCE, || {
        active(&mut running) == one.as_str()
    });
    scored(&mut running, 50.0);
    let mut running = again(running, &scene);
    drop(asked);
    assert_eq!(active(&mut running), two.as_str());

    let sent = load.stop();
    until("every invoice is answered", PATIENCE, || {
        Account::of(&scene).missing(sent).is_empty()
    });
    Account::of(&scene).expect_all(sent);
    running.finish();
    for row in answers(&scene).values() {
        let by = if row["score"] == 0.25 { &one } else { &two };
        assert_eq!(row["hash"].as_str(), Some(by.as_str()), "{row}");
    }
}
