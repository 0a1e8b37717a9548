//! The jobs with joins on a real broker: exact through kill -9, a table that changes while it is joined.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

#[path = "kafka_joins/members.rs"]
mod members;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use stage::{Broker, PATIENCE, Rec, Running, Scene, kills, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// A job file with topics of the scene's own in place of its topics.
fn job(scene: &Scene, text: &str, topics: &[&str]) -> PathBuf {
    let mut text = text.replace(
        "SET checkpointLocation",
        "SET checkpointInterval = '200 ms';\nSET checkpointLocation",
    );
    for topic in topics {
        for option in ["subscribe", "topic"] {
            let own = format!("{option} '{}'", topic_of(scene, topic));
            text = text.replace(&format!("{option} '{topic}'"), &own);
        }
    }
    scene.write(&text)
}

/// The same job with inputs that say what they are partitioned by.
fn partitioned(job: PathBuf, inputs: &[(&str, &str)]) -> PathBuf {
    let mut text = std::fs::read_to_string(&job).unwrap();
    for (table, column) in inputs {
        let from = text.find(&format!("CREATE TABLE {table} ")).unwrap();
        let end = from + text[from..].find("format 'json')").unwrap() + "format 'json')".len();
        text.insert_str(end, &format!(" PARTITIONED BY ({column})"));
    }
    std::fs::write(&job, text).unwrap();
    job
}

/// What `check` says of the lanes.
fn lanes(scene: &Scene, job: &Path) -> String {
    let said = scene.call(&["check", job.to_str().unwrap()]);
    let mut lines = said.out.lines().skip_while(|line| *line != "  lanes");
    lines.nth(1).unwrap().trim().to_owned()
}

fn topic_of(scene: &Scene, topic: &str) -> String {
    format!("{}-{topic}", scene.name)
}

/// The time of the second `n` of a day.
fn second(n: u64) -> String {
    format!(
        "2026-01-01T{:02}:{:02}:{:02}Z",
        n / 3600,
        n / 60 % 60,
        n % 60
    )
}

const USERS: u64 = 23;

fn transaction(n: u64, user: &str) -> Rec {
    let at = second(n);
    Rec::new(
        user,
        format!(r#"{{"id":"t{n}","user":"{user}","amount":{n}.5,"at":"{at}"}}"#),
    )
}

/// A login in every fourth second; its address is its second.
fn login(n: u64) -> Rec {
    let (user, at) = (format!("u{}", n % USERS), second(n));
    Rec::new(
        user.clone(),
        format!(r#"{{"user":"{user}","ip":"{n}","at":"{at}"}}"#),
    )
}

/// The pairs of transaction and login that `seconds` seconds give.
fn pairs(seconds: u64) -> BTreeSet<(String, String)> {
    let mut pairs = BTreeSet::new();
    for n in 0..seconds {
        for l in (n.saturating_sub(600)..=n).filter(|l| l % 4 == 0) {
            if l % USERS == n % USERS {
                pairs.insert((format!("t{n}"), l.to_string()));
            }
        }
    }
    pairs
}

fn matches(scene: &Scene) -> BTreeMap<(String, String), u64> {
    let mut found = BTreeMap::new();
    for got in scene.topics.read(&topic_of(scene, "matches")) {
        let row = got.json();
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        assert_eq!(got.key(), text("id"));
        *found.entry((text("id"), text("ip"))).or_default() += 1;
    }
    found
}

/// The job `login_join` with topics of so many partitions.
fn logins(scene: &Scene, partitions: [i32; 2]) -> PathBuf {
    let topics = ["transactions", "logins", "matches"];
    for (topic, partitions) in topics.iter().zip([partitions[0], partitions[1], 4]) {
        scene.topics.make(&topic_of(scene, topic), partitions, &[]);
    }
    job(scene, include_str!("../jobs/login_join.sql"), &topics)
}

const BY_USER: [(&str, &str); 2] = [("transactions", "user"), ("logins", "user")];

#[test]
fn transactions_meet_the_logins_of_ten_minutes_and_kills_change_nothing() {
    let scene = Scene::new("logins", broker());
    let job = logins(&scene, [4, 3]);
    assert_eq!(
        lanes(&scene, &job),
        "one lane reads all partitions, because `transactions` is not PARTITIONED BY anything"
    );
    meet_through_kills(&scene, &job, |record, _| record);
}

#[test]
fn they_meet_in_their_partition_where_both_are_partitioned_by_the_user() {
    let scene = Scene::new("logins-by-user", broker());
    let job = partitioned(logins(&scene, [4, 4]), &BY_USER);
    assert!(lanes(&scene, &job).starts_with("one lane for each number of a partition"));
    meet_through_kills(&scene, &job, |record, _| record);
}

#[test]
fn they_meet_behind_topics_of_the_query_where_a_user_may_lie_anywhere() {
    let scene = Scene::new("logins-exchanged", broker());
    let job = logins(&scene, [3, 4]);
    let text = std::fs::read_to_string(&job).unwrap();
    let job = scene.write(&format!("SET exchange = 'topic';\n{text}"));
    assert!(lanes(&scene, &job).ends_with(
        "topics logins-exchanged-matches-transactions-exchange, logins-exchanged-matches-logins-exchange"
    ));
    meet_through_kills(&scene, &job, |mut record, number| {
        record.key = Some(number.to_string().into());
        record
    });
    let exchange = "logins-exchanged-matches-logins-exchange";
    assert_eq!(scene.topics.partitions(exchange), 4);
}

fn meet_through_kills(scene: &Scene, job: &Path, keyed: fn(Rec, u64) -> Rec) {
    const SECONDS: u64 = 3_000;
    const PART: u64 = 500;
    let out = topic_of(scene, "matches");
    let mut held = 0;
    for part in 0..SECONDS / PART {
        let seconds = part * PART..(part + 1) * PART;
        let transactions: Vec<Rec> = seconds
            .clone()
            .map(|n| keyed(transaction(n, &format!("u{}", n % USERS)), n))
            .collect();
        let logins: Vec<Rec> = seconds
            .filter(|n| n % 4 == 0)
            .map(|n| keyed(login(n), n / 4))
            .collect();
        let running = scene.run(job);
        // One side comes before the other, by turns.
        let (first, second) = if part % 2 == 0 {
            (("transactions", &transactions), ("logins", &logins))
        } else {
            (("logins", &logins), ("transactions", &transactions))
        };
        scene.topics.send(&topic_of(scene, first.0), first.1);
        scene.topics.send(&topic_of(scene, second.0), second.1);
        until("it joins", PATIENCE, || scene.topics.count(&out) > held);
        std::thread::sleep(Duration::from_millis(150 * part));
        running.kill();
        held = scene.topics.count(&out);
    }
    let mut running = scene.started(job);
    let expected = pairs(SECONDS);
    until("all pairs are out", PATIENCE, || {
        matches(scene).len() >= expected.len()
    });
    let late = running.metric("thalweg_late_rows_total");
    assert!(late < 1.0, "{late} rows came too late");
    running.finish();
    let found = matches(scene);
    let only: BTreeSet<_> = found.keys().cloned().collect();
    assert_eq!(only, expected);
    let repeated: u64 = found.values().map(|times| times - 1).sum();
    assert!(
        repeated < found.len() as u64,
        "{repeated} of {} came again",
        found.len()
    );
    // A clean stop commits everything: nothing comes again.
    let before = scene.topics.count(&out);
    scene.started(job).finish();
    assert_eq!(scene.topics.count(&out), before);
}

fn customer(id: &str, name: &str) -> Rec {
    Rec::new(id, format!(r#"{{"name":"{name}","country":"DE"}}"#))
}

/// The names that transactions came out with, by their id.
fn named(scene: &Scene) -> BTreeMap<String, BTreeSet<Option<String>>> {
    let mut named: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
    for got in scene.topics.read(&topic_of(scene, "named")) {
        let row = got.json();
        let name = row["name"].as_str().map(str::to_owned);
        named.entry(got.key()).or_default().insert(name);
    }
    named
}

/// Sends transactions of a user until one comes out with this name.
fn until_named(scene: &Scene, user: &str, next: &mut u64, name: Option<&str>) {
    let wanted = name.map(str::to_owned);
    until("the change has reached the join", PATIENCE, || {
        let id = format!("t{next}");
        let topic = topic_of(scene, "transactions");
        scene.topics.send(&topic, &[transaction(*next, user)]);
        *next += 1;
        let mut answer = None;
        until("it is answered", PATIENCE, || {
            answer = named(scene).remove(&id);
            answer.is_some()
        });
        answer.is_some_and(|names| names.contains(&wanted))
    });
}

/// The job `customer_table` with a table of so many partitions.
fn customer_table(scene: &Scene, partitions: i32) -> PathBuf {
    scene.topics.make(&topic_of(scene, "transactions"), 3, &[]);
    scene.topics.make(&topic_of(scene, "named"), 3, &[]);
    let compacted = [("cleanup.policy", "compact")];
    let customers = topic_of(scene, "customers");
    scene.topics.make(&customers, partitions, &compacted);
    job(
        scene,
        include_str!("../jobs/customer_table.sql"),
        &["transactions", "customers", "named"],
    )
}

#[test]
fn a_transaction_is_answered_from_the_table_as_it_is() {
    let scene = Scene::new("customers", broker());
    let job = customer_table(&scene, 2);
    answered_from_the_table(&scene, &job);
}

#[test]
fn it_is_answered_from_its_own_partition_of_the_table() {
    let scene = Scene::new("customers-by-id", broker());
    let by = [("transactions", "user"), ("customers", "id")];
    let job = partitioned(customer_table(&scene, 3), &by);
    assert!(lanes(&scene, &job).starts_with("one lane for each number of a partition"));
    answered_from_the_table(&scene, &job);
}

fn answered_from_the_table(scene: &Scene, job: &Path) {
    const CUSTOMERS: u64 = 4_000;
    let customers = topic_of(scene, "customers");
    // Each customer has an old name, then a new one; every tenth is gone again.
    let user = |n: u64| format!("u{n}");
    let old: Vec<Rec> = (0..CUSTOMERS).map(|n| customer(&user(n), "old")).collect();
    let new: Vec<Rec> = (0..CUSTOMERS)
        .map(|n| match n % 10 {
            0 => Rec::tombstone(user(n)),
            _ => customer(&user(n), &format!("new {n}")),
        })
        .collect();
    let mut next = 0;
    let mut wanted: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut more = |count: u64, next: &mut u64| {
        let records: Vec<Rec> = (0..count)
            .map(|_| {
                let n = *next;
                *next += 1;
                let of = n * 7 % (CUSTOMERS + 100);
                let known = of < CUSTOMERS && !of.is_multiple_of(10);
                wanted.insert(format!("t{n}"), known.then(|| format!("new {of}")));
                transaction(n, &user(of))
            })
            .collect();
        scene
            .topics
            .send(&topic_of(scene, "transactions"), &records);
        wanted.clone()
    };
    // The transactions are there before the job, and wait until the table is read to its end.
    scene.topics.send(&customers, &old);
    scene.topics.send(&customers, &new);
    let mut expected = more(1_000, &mut next);
    for kill in 0..4 {
        let running = scene.run(job);
        if kill > 0 {
            expected = more(500, &mut next);
        }
        std::thread::sleep(Duration::from_millis(200 * kill));
        running.kill();
    }
    let running = scene.started(job);
    let settled = |found: &BTreeMap<String, BTreeSet<Option<String>>>| {
        expected.keys().all(|id| found.contains_key(id))
    };
    until("all are answered", PATIENCE, || settled(&named(scene)));
    let found = named(scene);
    for (id, name) in &expected {
        let answers = BTreeSet::from([name.clone()]);
        assert_eq!(found[id], answers, "{id}");
    }

    // The table changes while the job runs; a tombstone deletes.
    scene.topics.send(&customers, &[customer("u1", "newest")]);
    until_named(scene, "u1", &mut next, Some("newest"));
    scene.topics.send(&customers, &[Rec::tombstone("u1")]);
    until_named(scene, "u1", &mut next, None);
    // What was deleted is still deleted after a crash, the rest is still there.
    until("an epoch after it is committed", PATIENCE, || {
        let group = format!("{}-named", scene.name);
        scene.topics.committed(&group, &customers) == scene.topics.end_offsets(&customers)
    });
    running.kill();
    let running = scene.started(job);
    let first = next;
    until_named(scene, "u2", &mut next, Some("new 2"));
    until_named(scene, "u1", &mut next, None);
    assert_eq!(next, first + 2, "the first answer was right");
    running.finish();
}

#[test]
fn a_record_of_a_table_whose_value_contradicts_its_key_goes_the_way_of_bad_records() {
    let scene = Scene::new("contradiction", broker());
    for topic in ["transactions", "customers", "named"] {
        scene.topics.make(&topic_of(&scene, topic), 1, &[]);
    }
    let job = job(
        &scene,
        include_str!("../jobs/customer_table.sql"),
        &["transactions", "customers", "named"],
    );
    let wrong = Rec::new("u1", r#"{"id":"u2","name":"no"}"#);
    scene.topics.send(&topic_of(&scene, "customers"), &[wrong]);
    let said = scene.run(&job).end(PATIENCE);
    said.expect(1, &["the value says another `id` than the key"]);
}

#[test]
fn a_topic_is_joined_with_itself_through_kills() {
    let kills = kills(3);
    // More than a life of the job can read, so that a kill meets it at work.
    let count = 1_000 * u64::from(kills);
    let scene = Scene::with_topics("itself", broker(), 3);
    let job = scene.write(&format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';
CREATE TABLE transactions (id STRING, user STRING, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json',
  maxOffsetsPerTrigger '600') PARTITIONED BY (user)
WATERMARK at DELAY OF INTERVAL 1 MINUTE;
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'id');
INSERT INTO notification SELECT a.id, b.id AS next FROM transactions a JOIN transactions b
  ON a.user = b.user AND b.at > a.at AND b.at <= a.at + INTERVAL '50' SECOND;
",
        scene.checkpoints().display(),
        scene.input(),
        scene.output()
    ));
    assert_eq!(lanes(&scene, &job), "one lane for each partition");
    let records: Vec<Rec> = (0..count)
        .map(|n| transaction(n, &format!("u{}", n % USERS)))
        .collect();
    scene.topics.send(&scene.input(), &records);
    scene.kill_again_and_again(&job, count, kills);
    let running = scene.run(&job);
    // Each with the next two of its user.
    let mut expected = BTreeSet::new();
    for n in 0..count {
        let next = (1..=2).map(|more| n + more * USERS).filter(|n| *n < count);
        expected.extend(next.map(|next| (format!("t{n}"), format!("t{next}"))));
    }
    let found = || -> BTreeSet<(String, String)> {
        let read = scene.topics.read(&scene.output()).into_iter();
        let next = |got: &stage::Got| got.json()["next"].as_str().unwrap().to_owned();
        read.map(|got| (got.key(), next(&got))).collect()
    };
    until("all pairs are out", PATIENCE, || {
        found().len() >= expected.len()
    });
    running.finish();
    assert_eq!(found(), expected);
}

#[test]
fn partitions_that_do_not_pair_up_are_refused_with_what_helps() {
    let scene = Scene::new("unequal", broker());
    let job = partitioned(logins(&scene, [4, 3]), &BY_USER);
    scene.run(&job).end(PATIENCE).expect(
        2,
        &[
            "`logins` has 3, `transactions` has 4",
            "Take PARTITIONED BY out of one of the tables",
        ],
    );
    // What the message says helps.
    let text = std::fs::read_to_string(&job).unwrap();
    let job = scene.write(&text.replacen(" PARTITIONED BY (user)", "", 1));
    scene.started(&job).finish();
}

#[test]
fn an_input_that_grows_ends_a_join_in_its_partitions() {
    let scene = Scene::new("join-grows", broker());
    let job = partitioned(logins(&scene, [2, 2]), &BY_USER);
    let running = scene.started(&job);
    scene.topics.grow(&topic_of(&scene, "logins"), 3);
    let reason = "topic `join-grows-logins` has 3 partitions now, and had 2";
    running.end(PATIENCE).expect(1, &[reason]);
    scene.run(&job).end(PATIENCE).expect(2, &[reason]);
}

#[test]
fn a_stream_that_is_far_ahead_of_the_other_waits_for_it() {
    let scene = Scene::new("aligned", broker());
    for topic in ["transactions", "logins", "matches"] {
        scene.topics.make(&topic_of(&scene, topic), 1, &[]);
    }
    let job = job(
        &scene,
        include_str!("../jobs/login_join.sql"),
        &["transactions", "logins", "matches"],
    );
    // A transaction in each minute of a day; the logins are those of its first minute.
    let day: Vec<Rec> = (0..1_440).map(|n| transaction(n * 60, "u0")).collect();
    scene.topics.send(&topic_of(&scene, "transactions"), &day);
    scene.topics.send(&topic_of(&scene, "logins"), &[login(0)]);
    let mut running = scene.run_with(&job, &["--set", "idleTimeout=1 hour"]);
    until("the transactions wait", PATIENCE, || {
        running.metric("thalweg_partitions_paused") > 0.5
    });
    until("the login is read", PATIENCE, || {
        running.metric("thalweg_records_in_total") >= 2.0
    });
    // The position is that of an hour and one record.
    let read = |running: &mut Running| {
        ["transactions", "logins"].map(|topic| {
            let name = topic_of(&scene, topic);
            running.metric(&format!(r#"partition_position{{partition="{name}/0""#)) as i64
        })
    };
    until("an hour is read", PATIENCE, || {
        read(&mut running) == [62, 1]
    });
    assert!(running.metric("thalweg_partitions_paused") > 0.5);
    let last = login(23 * 3_600);
    scene.topics.send(&topic_of(&scene, "logins"), &[last]);
    until("the whole day is read", PATIENCE, || {
        read(&mut running) == [1_440, 2]
    });
    assert!(running.metric("thalweg_partitions_paused") < 0.5);
    running.finish();
}
