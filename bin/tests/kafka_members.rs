//! Several processes share a job: they divide its partitions, come and go, die and are left behind. On a real broker.
//!
//! The long form: THALWEG_KILLS=50.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use stage::{
    Account, Broker, Loyalty, PATIENCE, Rec, Running, Scene, invoices, json, kills, now, owned,
    until, until_shared,
};

/// The shortest session that the broker allows, and heartbeats that notice a change soon.
const SESSION: &str = "kafka.session.timeout.ms '6000', kafka.heartbeat.interval.ms '200'";

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

fn shared(scene: &Scene) -> Loyalty {
    Loyalty::default()
        .set("assignment = 'group'")
        .set(&format!("jobName = '{}'", scene.name))
        .reading(&["startingOffsets 'earliest'", SESSION])
}

/// How often a process took over a partition that was read before: by another one, or by itself before it was started again.
const TAKEN_OVER: &str = "thalweg_handover_pause_seconds_count{query=\"notification\"}";
/// The sum of their pauses.
const PAUSES: &str = "thalweg_handover_pause_seconds_sum{query=\"notification\"}";

/// What a member has, and how often it took something over.
fn standing(running: &mut Running) -> (f64, BTreeSet<String>) {
    (running.metric(TAKEN_OVER), owned(running))
}

/// The longest time in milliseconds, within a span, in which nothing of one of these partitions came out. A key lies in the output where
/// it lies in the input.
fn longest_silence(scene: &Scene, partitions: &BTreeSet<String>, span: &Range<i64>) -> i64 {
    let Range { start: begin, end } = *span;
    let rows = scene.topics.read(&scene.output());
    let silence = |name: &String| {
        let own = format!("{}/", scene.input());
        let number: i32 = name.strip_prefix(&own).unwrap().parse().unwrap();
        let rows = rows.iter().filter(|row| row.partition == number);
        let within = rows
            .map(|row| row.millis)
            .filter(|at| (begin..end).contains(at));
        let mut times: Vec<i64> = within.chain([begin, end]).collect();
        times.sort_unstable();
        times.windows(2).map(|pair| pair[1] - pair[0]).max()
    };
    partitions.iter().filter_map(silence).max().unwrap()
}

fn member(scene: &Scene, job: &Path, name: &str) -> Running {
    let mut running = scene.run_with(job, &["--member", name]);
    running.until_ready();
    running
}

/// The checkpoints of a partition, and the newest epoch there.
fn chain(scene: &Scene) -> (PathBuf, String) {
    let lanes = std::fs::read_dir(scene.folder().join("lanes")).unwrap();
    let lane = lanes.flatten().map(|entry| entry.path());
    let lane = lane.min().unwrap();
    let epochs = std::fs::read_dir(lane.join("epochs")).unwrap().flatten();
    let newest = epochs.map(|entry| entry.file_name().into_string().unwrap());
    let newest = newest.filter(|name| name.ends_with(".json")).max().unwrap();
    let number: u64 = newest.trim_end_matches(".json").parse().unwrap();
    (lane, number.to_string())
}

#[test]
fn partitions_are_shared_out_and_a_clean_start_and_stop_repeats_nothing() {
    let scene = Scene::with_topics("members", broker(), 6);
    let job = shared(&scene).write(&scene);
    let load = scene.load(300);
    let mut members = vec![member(&scene, &job, "a")];
    until_shared(&mut members, &[6]);
    scene.until_out(300, PATIENCE);
    let began = now();
    members.push(member(&scene, &job, "b"));
    until_shared(&mut members, &[3, 3]);
    let move_of_three = began..now();
    let stayed = owned(&mut members[0]);
    let pause = members[1].metric(PAUSES) / members[1].metric(TAKEN_OVER);
    assert!(0.0 < pause && pause < 3.0, "too late: {pause} s");
    members.push(member(&scene, &job, "c"));
    until_shared(&mut members, &[2, 2, 2]);
    // A partition that one of them reads is not moved meanwhile.
    let (lane, newest) = chain(&scene);
    let lane = lane.to_str().unwrap();
    for moves in [
        ["rollback", lane, newest.as_str(), "--yes"],
        ["set", lane, "--to-offset=members-in/0=0", "--yes"],
    ] {
        let said = scene.call(&[&["checkpoint"], &moves[..]].concat());
        said.expect(2, &["the job runs", "Stop it first"]);
    }
    // A rolling restart: each comes back under its name and finds its partitions where they were, and the others notice nothing.
    for name in ["a", "b", "c"] {
        let before: Vec<_> = members.iter_mut().map(standing).collect();
        members.remove(0).finish();
        members.push(member(&scene, &job, name));
        until_shared(&mut members, &[2, 2, 2]);
        let after: Vec<_> = members.iter_mut().map(standing).collect();
        assert_eq!(after[..2], before[1..], "moved while {name} was away");
        assert_eq!(after[2], (2.0, before[0].1.clone()), "{name}");
        let pause = members[2].metric(PAUSES) / 2.0;
        assert!(
            0.0 < pause && pause < 6.0,
            "too late, as if it were missed: {pause} s"
        );
    }
    let sent = load.stop();
    until("every invoice is answered", PATIENCE, || {
        Account::of(&scene).missing(sent).is_empty()
    });
    Account::of(&scene).expect_exactly(sent);
    let silence = longest_silence(&scene, &stayed, &move_of_three);
    assert!(silence < 2_000, "what stayed was held up for {silence} ms");
    for member in members {
        member.finish();
    }
    let inspected = scene.call(&["inspect", scene.checkpoints().to_str().unwrap()]);
    inspected.expect(0, &["members-in/0", "members-in/5"]);
}

#[test]
fn one_that_is_killed_is_succeeded_by_the_others() {
    let scene = Scene::with_topics("heirs", broker(), 4);
    let job = shared(&scene).write(&scene);
    let load = scene.load(300);
    let mut members = vec![member(&scene, &job, "a"), member(&scene, &job, "b")];
    until_shared(&mut members, &[2, 2]);
    for _ in 0..kills(2) {
        members.remove(0).kill();
        until_shared(&mut members, &[4]);
        // Records of the partitions that moved have waited, and it is told for what.
        until("one that waited is told", PATIENCE, || {
            let (_, body) = members[0].get("/api/v1/slow?minutes=10&limit=50");
            let longest = json(&body)["queries"][0]["longestSinceTimestamp"].take();
            let moved = |record: &serde_json::Value| {
                let meanwhile = record["meanwhile"].as_array().unwrap().iter();
                let waited = record["microsSinceTimestamp"].as_u64() > Some(1_000_000);
                waited
                    && meanwhile
                        .into_iter()
                        .any(|doing| doing["doing"] == "rebalance")
            };
            longest.as_array().unwrap().iter().any(moved)
        });
        let name = format!("m{}", load.sent());
        members.push(member(&scene, &job, &name));
        until_shared(&mut members, &[2, 2]);
    }
    let sent = load.stop();
    until("every invoice is answered", PATIENCE, || {
        Account::of(&scene).missing(sent).is_empty()
    });
    for member in members {
        member.finish();
    }
}

#[test]
fn one_that_leaves_is_succeeded_at_once_and_repeats_nothing() {
    let scene = Scene::with_topics("leavers", broker(), 6);
    let job = shared(&scene).write(&scene);
    let load = scene.load(300);
    let mut members: Vec<Running> = ["a", "b", "c"]
        .map(|name| member(&scene, &job, name))
        .into();
    until_shared(&mut members, &[2, 2, 2]);
    let mut leaver = members.remove(0);
    let address = format!("http://{}", leaver.address());
    // Nobody has looked before, and all of them are shown.
    scene
        .call(&["top", "--url", &address])
        .expect(0, &["read by a", "read by b", "read by c"]);
    let began = Instant::now();
    scene
        .call(&["leave", "--url", &address])
        .expect(0, &["the others take its partitions over"]);
    until_shared(&mut members, &[3, 3]);
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "too late, as if it were missed: {took:?}"
    );
    let audited = "changed (who 127.0.0.1, what member, before a, after leaves";
    leaver.end(PATIENCE).expect(0, &[audited]);
    // The same over HTTP alone; the last one has all then.
    let (status, said) = members[0].post("/api/v1/leave", "application/json", b"");
    assert_eq!((status, said.as_str()), (202, r#"{"leaving":"b"}"#));
    members.remove(0).end(PATIENCE).expect(0, &[]);
    until_shared(&mut members, &[6]);
    let sent = load.stop();
    until("every invoice is answered", PATIENCE, || {
        Account::of(&scene).missing(sent).is_empty()
    });
    Account::of(&scene).expect_exactly(sent);
    members.remove(0).finish();
    let alone = Loyalty::default().set("jobName = 'alone'");
    let scene = Scene::with_topics("alone", broker(), 1);
    let mut alone = scene.started(&alone.write(&scene));
    let (status, said) = alone.post("/api/v1/leave", "application/json", b"");
    assert_eq!(status, 409, "{said}");
    alone.finish();
}

#[test]
fn one_that_was_paused_for_too_long_commits_nothing_and_takes_its_place_again() {
    let scene = Scene::with_topics("paused", broker(), 4);
    let job = shared(&scene).write(&scene);
    let load = scene.load(200);
    let mut members = vec![member(&scene, &job, "a"), member(&scene, &job, "b")];
    until_shared(&mut members, &[2, 2]);
    members[0].pause();
    until_shared(&mut members[1..], &[4]);
    members[0].resume();
    until_shared(&mut members, &[2, 2]);
    let sent = load.stop();
    until("every invoice is answered", PATIENCE, || {
        Account::of(&scene).missing(sent).is_empty()
    });
    let said = members.remove(0).finish().err;
    // By its clock or from its chain, whichever it looks at first.
    let told = [
        "this process has stood still for longer",
        "another process goes on with this partition",
    ];
    assert!(told.iter().any(|words| said.contains(words)), "{said}");
    members.remove(0).finish();
}

#[test]
fn a_query_of_two_topics_is_shared_topic_by_topic() {
    let scene = Scene::with_topics("union", broker(), 2);
    scene.topics.make("union-more", 4, &[]);
    let table = |name: &str, topic: &str| {
        format!(
            "CREATE TABLE {name} (BillNo STRING) USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', subscribe '{topic}',
  startingOffsets 'earliest', format 'json', {SESSION});"
        )
    };
    let job = scene.write(&format!(
        "SET jobName = 'union';
SET assignment = 'group';
SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';
{}
{}
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'BillNo');
INSERT INTO notification SELECT BillNo FROM some UNION ALL SELECT BillNo FROM more;
",
        scene.checkpoints().display(),
        table("some", &scene.input()),
        table("more", "union-more"),
        scene.output()
    ));
    let mut members = vec![member(&scene, &job, "a")];
    until_shared(&mut members, &[6]);
    scene.topics.send(&scene.input(), &invoices(0..100));
    members.push(member(&scene, &job, "b"));
    until_shared(&mut members, &[3, 3]);
    scene.topics.send("union-more", &invoices(100..200));
    until("all are passed on", PATIENCE, || {
        Account::of(&scene).missing(200).is_empty()
    });
    Account::of(&scene).expect_exactly(200);
    for member in members {
        member.finish();
    }
}

const CARDS: u64 = 40;

/// Transactions by their numbers, keyed by card.
fn transactions(numbers: Range<u64>, by_card: bool) -> Vec<Rec> {
    numbers
        .map(|number| {
            let card = format!("C-{}", number % CARDS);
            let value = format!(r#"{{"id":"{number}","card":"{card}"}}"#);
            let key = if by_card { card } else { number.to_string() };
            Rec::new(key, value)
        })
        .collect()
}

/// A running count for each card, shared by members.
fn counting(scene: &Scene, setting: &str, partitioned: &str) -> PathBuf {
    scene.write(&format!(
        "SET jobName = '{}';
SET assignment = 'group';
SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';
SET outputMode = 'update';
{setting}
CREATE TABLE transactions (id STRING NOT NULL, card STRING NOT NULL) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json',
  maxOffsetsPerTrigger '600', {SESSION}) {partitioned};
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'card');
INSERT INTO notification SELECT card, count(*) AS n FROM transactions GROUP BY card;
",
        scene.name,
        scene.checkpoints().display(),
        scene.input(),
        scene.output()
    ))
}

/// Whether every count of every card was said, and none that is too high.
fn exact(scene: &Scene, count: u64) -> bool {
    let mut said: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for got in scene.topics.read(&scene.output()) {
        let json = got.json();
        let card = json["card"].as_str().unwrap().to_owned();
        said.entry(card)
            .or_default()
            .insert(json["n"].as_u64().unwrap());
    }
    let expected: BTreeSet<u64> = (1..=count / CARDS).collect();
    for counts in said.values() {
        assert!(
            counts.last() <= expected.last(),
            "counted twice: {counts:?}"
        );
    }
    said.len() as u64 == CARDS && said.values().all(|counts| *counts == expected)
}

/// Members are killed, one after the other, while they count.
fn counts_stay_exact(name: &str, setting: &str, partitioned: &str) {
    let kills = kills(3);
    let count = u64::from(kills) * 3_000;
    let scene = Scene::with_topics(name, broker(), 4);
    let job = counting(&scene, setting, partitioned);
    let by_card = !partitioned.is_empty();
    scene
        .topics
        .send(&scene.input(), &transactions(0..count, by_card));
    let mut members: Vec<Running> = ["a", "b"]
        .map(|name| scene.run_with(&job, &["--member", name]))
        .into();
    let mut held = 0;
    for kill in 0..kills {
        scene.until_out(held + 1, PATIENCE);
        std::thread::sleep(Duration::from_millis(u64::from(kill) * 173 % 900));
        let name = ["a", "b"][kill as usize % 2];
        members.remove(0).kill();
        // It comes back under its name, sooner than the group takes notice.
        members.push(scene.run_with(&job, &["--member", name]));
        held = scene.topics.count(&scene.output());
    }
    until("every transaction is counted", PATIENCE, || {
        exact(&scene, count)
    });
    for member in members {
        member.finish();
    }
}

#[test]
fn counts_by_partition_stay_exact_when_members_are_killed() {
    counts_stay_exact("sharekeys", "", "PARTITIONED BY (card)");
}

#[test]
fn counts_through_a_topic_stay_exact_when_members_are_killed() {
    counts_stay_exact("sharetopic", "SET exchange = 'topic';", "");
}

#[test]
fn what_cannot_be_shared_is_refused_with_the_remedy() {
    let scene = Scene::with_topics("unshared", broker(), 2);
    let job = counting(&scene, "", "");
    scene.call(&["check", job.to_str().unwrap()]).expect(
        2,
        &[
            "gathers: one process would read all partitions",
            "SET exchange = 'topic'",
        ],
    );
    let nameless = Loyalty::default().set("assignment = 'group'").write(&scene);
    scene
        .call(&["check", nameless.to_str().unwrap()])
        .expect(2, &["needs a jobName"]);
    let alone = Loyalty::default().write(&scene);
    scene
        .call(&["run", alone.to_str().unwrap(), "--member", "a"])
        .expect(2, &["SET assignment = 'group'"]);
}

#[test]
fn a_query_goes_on_in_the_way_it_began() {
    let scene = Scene::with_topics("ways", broker(), 2);
    let alone = Loyalty::default().set("jobName = 'ways'").write(&scene);
    scene.started(&alone).finish();
    let job = shared(&scene).write(&scene);
    scene
        .call(&["run", job.to_str().unwrap(), "--member", "a"])
        .expect(2, &["a query goes on in the way it began"]);
}

#[test]
fn two_processes_of_one_name_are_told_so() {
    let scene = Scene::with_topics("doubles", broker(), 2);
    // Longer than a partition that was lost is left alone.
    let session = "kafka.session.timeout.ms '12000', kafka.heartbeat.interval.ms '200'";
    let job = Loyalty::default()
        .set("assignment = 'group'")
        .set(&format!("jobName = '{}'", scene.name))
        .reading(&["startingOffsets 'earliest'", session])
        .write(&scene);
    let load = scene.load(300);
    let mut first = member(&scene, &job, "a");
    scene.until_out(300, PATIENCE);
    let mut second = scene.run_with(&job, &["--member", "a"]);
    second.until_ready();
    until("who may read nothing is not ready", PATIENCE, || {
        let (status, why) = first.get("/ready");
        status == 503 && why.contains("another process may have it")
    });
    first
        .end(PATIENCE)
        .expect(1, &["each process needs its own"]);
    // The first one took nothing back while it found out.
    let moved = second.metric(TAKEN_OVER);
    assert_eq!(moved, 2.0);
    let sent = load.stop();
    until("every invoice is answered", PATIENCE, || {
        Account::of(&scene).missing(sent).is_empty()
    });
    // It takes a session of 12 seconds to be sure. What the second one has committed ended the first one's work long before.
    let repeated = Account::of(&scene).repeated();
    assert!(repeated < 900, "{repeated} were answered by both");
    let said = second.finish();
    assert!(!said.err.contains("another process goes on"), "{said:?}");
}

#[test]
fn a_group_is_one_jobs_and_whoever_is_a_stranger_there_is_refused() {
    let scene = Scene::with_topics("kin", broker(), 2);
    let joining = |scene: &Scene, group: &str, more: &str| {
        let group = format!("kafka.group.id '{group}'");
        let options = ["startingOffsets 'earliest'", SESSION, &group, more];
        shared(scene).reading(&options)
    };
    let named = joining(&scene, "kin-points", "kafka.client.id 'tills'").write(&scene);
    let mut members = vec![member(&scene, &named, "a")];
    until_shared(&mut members, &[2]);
    // Another job, also where its process has the name of one that is there.
    let other = Scene::new("notkin", broker());
    let elsewhere = |group: &str| {
        let job = joining(&other, group, "kafka.client.id 'tills'");
        let job = job.subscribed_to(&scene.input());
        job.published_to(&scene.output()).write(&other)
    };
    let job = elsewhere("kin-points");
    for name in ["b", "a"] {
        let said = other.run_with(&job, &["--member", name]).end(PATIENCE);
        let texts = [
            "the Kafka group `kin-points` has a member that does not belong to the job `notkin`",
            "`a` (client.id `tills/thalweg/kin`, at 127.0.0.1) is a process of the job `kin`",
            "another `kafka.group.id`",
        ];
        said.expect(2, &texts);
    }
    // Another process of the job, whatever its clients are called.
    let job = joining(&scene, "kin-points", "failOnDataLoss 'true'").write(&scene);
    members.push(member(&scene, &job, "b"));
    until_shared(&mut members, &[1, 1]);
    for member in members {
        let said = member.finish();
        assert!(!said.err.contains("used by others"), "{said:?}");
    }
    // A consumer that is no process of any job.
    let tool = scene.topics.joined("kin-tool", &scene.input());
    let job = elsewhere("kin-tool");
    let said = other.run_with(&job, &["--member", "a"]).end(PATIENCE);
    said.expect(2, &["client.id `rdkafka`", "is no process of this job"]);
    drop(tool);
    let mut members = [member(&other, &job, "a")];
    until_shared(&mut members, &[2]);
    // One that comes later is told of, and this process reads on.
    let tool = scene.topics.joined("kin-tool", &scene.input());
    members[0].until_said("the group kin-tool is used by others too", PATIENCE);
    drop(tool);
    until_shared(&mut members, &[2]);
    let [last] = members;
    last.finish();
}

/// The partitions that a member shows, by who reads them.
fn shown(running: &mut Running) -> BTreeMap<String, Vec<serde_json::Value>> {
    let (status, body) = running.get("/api/v1/board");
    assert_eq!(status, 200, "{body}");
    let board = json(&body);
    let mut by = BTreeMap::<String, Vec<serde_json::Value>>::new();
    for partition in board["queries"][0]["partitions"].as_array().unwrap() {
        let owner = partition["owner"].as_str().unwrap_or("nobody");
        by.entry(owner.to_owned())
            .or_default()
            .push(partition.clone());
    }
    by
}

#[test]
fn each_shows_the_partitions_of_all_with_who_reads_them_and_how_far_they_are() {
    let scene = Scene::with_topics("shown", broker(), 6);
    // One that hangs keeps its partitions for longer than it is looked at.
    let session = "kafka.session.timeout.ms '60000', kafka.heartbeat.interval.ms '200'";
    let job = shared(&scene).reading(&["startingOffsets 'earliest'", session]);
    let job = job.write(&scene);
    let mut members = vec![member(&scene, &job, "a"), member(&scene, &job, "b")];
    until_shared(&mut members, &[3, 3]);
    scene.topics.send(&scene.input(), &invoices(0..600));
    scene.until_out(600, PATIENCE);
    for member in &mut members {
        until(
            "all that was sent is behind the positions that are shown",
            PATIENCE,
            || {
                let by = shown(member);
                let all = by.values().flatten();
                let read: i64 = all.clone().filter_map(|of| of["position"].as_i64()).sum();
                let none_left = all.clone().all(|of| of["lag"] == 0);
                by.keys().eq(["a", "b"]) && all.count() == 6 && read == 600 && none_left
            },
        );
    }
    let url = format!("http://{}", members[0].address());
    scene
        .call(&["top", "--url", &url, "--once"])
        .expect(0, &["member a", "read by a", "read by b"]);
    // What the other one has not read is shown as its lag, although it does not run.
    members[1].pause();
    scene.topics.send(&scene.input(), &invoices(600..900));
    until("the lag of the other one is seen", PATIENCE, || {
        let by = shown(&mut members[0]);
        let others = by.iter().filter(|(owner, _)| *owner != "a");
        others
            .flat_map(|(_, of)| of)
            .any(|of| of["lag"].as_i64() > Some(0))
    });
    members[1].resume();
    scene.until_out(900, PATIENCE);
    for member in members {
        member.finish();
    }
}
