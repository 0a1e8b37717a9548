//! Joins that several processes share: what meets lies in one process, whatever happens to the others.

use super::stage::{json, until_shared};
use super::*;

const SECONDS: u64 = 3_000;
const PART: u64 = 500;

/// The job as one that processes share.
fn shared(scene: &Scene, job: &Path, more: &str) -> PathBuf {
    let text = std::fs::read_to_string(job).unwrap();
    let session = "kafka.session.timeout.ms '6000', kafka.heartbeat.interval.ms '200'";
    let text = text.replace("format 'json')", &format!("format 'json', {session})"));
    scene.write(&format!(
        "SET jobName = '{}';\nSET assignment = 'group';\n{more}\n{text}",
        scene.name
    ))
}

fn member(scene: &Scene, job: &Path, name: &str) -> Running {
    let mut running = scene.run_with(job, &["--member", name]);
    running.until_ready();
    running
}

/// Sends what happens in a part of the seconds, and waits until some of it has met.
fn send(scene: &Scene, part: u64, keyed: fn(Rec, u64) -> Rec) {
    let out = topic_of(scene, "matches");
    let held = scene.topics.count(&out);
    let seconds = part * PART..(part + 1) * PART;
    let transactions: Vec<Rec> = seconds
        .clone()
        .map(|n| keyed(transaction(n, &format!("u{}", n % USERS)), n))
        .collect();
    let logins = seconds.filter(|n| n % 4 == 0);
    let logins: Vec<Rec> = logins.map(|n| keyed(login(n), n / 4)).collect();
    scene
        .topics
        .send(&topic_of(scene, "transactions"), &transactions);
    scene.topics.send(&topic_of(scene, "logins"), &logins);
    until("it joins", PATIENCE, || scene.topics.count(&out) > held);
}

/// All that meets has met and nothing else, and nothing came too late.
fn finish(scene: &Scene, members: Vec<Running>) {
    let expected = pairs(SECONDS);
    for mut member in members {
        let late = member.metric("thalweg_late_rows_total");
        assert!(late < 1.0, "{late} rows came too late");
        member.finish();
    }
    let only: BTreeSet<_> = matches(scene).into_keys().collect();
    assert_eq!(only, expected);
}

fn until_met(scene: &Scene) {
    let expected = pairs(SECONDS).len();
    until("all pairs are out", PATIENCE, || {
        matches(scene).len() >= expected
    });
}

/// Whether a member shows who reads each partition of both inputs, one process for both of a number, and that none is left.
fn shows_all_numbers(scene: &Scene, member: &mut Running) -> bool {
    let (status, body) = member.get("/api/v1/board");
    assert_eq!(status, 200, "{body}");
    let board = json(&body);
    let partitions = board["queries"][0]["partitions"].as_array().unwrap();
    let mut owners: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for input in ["transactions", "logins"] {
        for number in 0..4 {
            let name = format!("{}/{number}", topic_of(scene, input));
            let shown = partitions.iter().filter(|of| of["partition"] == *name);
            for one in shown.filter(|of| of["lag"] == 0) {
                let owner = one["owner"].as_str().unwrap_or("nobody");
                owners.entry(owner).or_default().push(number);
            }
        }
    }
    let both = |numbers: &Vec<i32>| numbers.len() == 4 && numbers[..2] == numbers[2..];
    partitions.len() == 8 && owners.keys().eq(&["a", "b"]) && owners.values().all(both)
}

#[test]
fn members_share_what_meets_by_number_and_kills_and_moves_change_nothing() {
    let scene = Scene::new("logins-shared", broker());
    let job = partitioned(logins(&scene, [4, 4]), &BY_USER);
    let job = shared(&scene, &job, "SET standbyReplicas = '1';");
    let member = |name: &str| member(&scene, &job, name);
    // Each has both partitions of each of its numbers.
    let mut members = vec![member("a"), member("b")];
    until_shared(&mut members, &[4, 4]);
    for part in 0..SECONDS / PART {
        send(&scene, part, |record, _| record);
        match part {
            // Killed, and back sooner than the group takes notice.
            0 | 3 => {
                members.remove(0).kill();
                members.push(member(["a", "b"][usize::from(part == 3)]));
            }
            1 => members.push(member("c")),
            2 => {
                until_shared(&mut members, &[2, 2, 4]);
                members.remove(2).kill();
                until_shared(&mut members, &[4, 4]);
            }
            4 => {
                members[1].pause();
                until_shared(&mut members[..1], &[8]);
                members[1].resume();
            }
            _ => until_shared(&mut members, &[4, 4]),
        }
    }
    until_met(&scene);
    for member in &mut members {
        until("each shows both inputs of all numbers", PATIENCE, || {
            shows_all_numbers(&scene, member)
        });
    }
    let url = format!("http://{}", members[0].address());
    scene
        .call(&["top", "--url", &url, "--once"])
        .expect(0, &["read by a", "read by b"]);
    finish(&scene, members);
    let inspected = scene.call(&["inspect", scene.checkpoints().to_str().unwrap()]);
    inspected.expect(
        0,
        &["logins-shared-transactions/0", "logins-shared-logins/3"],
    );
}

/// By the owners that a member shows, the numbers of each of these topics that they read, one after the other.
fn owners(member: &mut Running, topics: &[&str]) -> BTreeMap<String, Vec<String>> {
    let (status, body) = member.get("/api/v1/board");
    assert_eq!(status, 200, "{body}");
    let board = json(&body);
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let partitions = board["queries"][0]["partitions"].as_array().unwrap();
    for topic in topics {
        for one in partitions {
            let name = one["partition"].as_str().unwrap();
            if let Some(number) = name.strip_prefix(&format!("{topic}/")) {
                let owner = one["owner"].as_str().unwrap_or("nobody");
                let numbers = owners.entry(owner.to_owned()).or_default();
                numbers.push(number.to_owned());
            }
        }
    }
    owners
}

/// Waits until these members, as the first of them shows it, have so many numbers each of the topics in which rows meet.
fn until_meeting(scene: &Scene, members: &mut [Running], shares: &[usize]) {
    let topic = |input: &str| format!("{}-matches-{input}-exchange", scene.name);
    let (transactions, logins) = (topic("transactions"), topic("logins"));
    until("what meets is shared out", PATIENCE, || {
        let owners = owners(&mut members[0], &[&transactions, &logins]);
        let mut now: Vec<usize> = owners.values().map(|all| all.len() / 2).collect();
        now.sort_unstable();
        let both = |all: &Vec<String>| all[..all.len() / 2] == all[all.len() / 2..];
        now == shares && owners.values().all(both) && !owners.contains_key("nobody")
    });
}

#[test]
fn members_share_what_meets_behind_topics_where_a_user_may_lie_anywhere() {
    let scene = Scene::new("logins-afar", broker());
    let job = logins(&scene, [3, 4]);
    let job = shared(&scene, &job, "SET exchange = 'topic';");
    let member = |name: &str| member(&scene, &job, name);
    let keyed = |mut record: Rec, number: u64| {
        record.key = Some(number.to_string().into());
        record
    };
    let mut members = vec![member("a"), member("b")];
    until_meeting(&scene, &mut members, &[2, 2]);
    for part in 0..SECONDS / PART {
        send(&scene, part, keyed);
        match part {
            0 | 3 => {
                members.remove(0).kill();
                members.push(member(["a", "b"][usize::from(part == 3)]));
            }
            1 => members.push(member("c")),
            2 => {
                until_meeting(&scene, &mut members, &[1, 1, 2]);
                members.remove(2).kill();
                until_meeting(&scene, &mut members, &[2, 2]);
            }
            4 => {
                members[1].pause();
                until_meeting(&scene, &mut members[..1], &[4]);
                members[1].resume();
            }
            _ => until_meeting(&scene, &mut members, &[2, 2]),
        }
    }
    until_met(&scene);
    finish(&scene, members);
}
