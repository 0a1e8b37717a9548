//! The loyalty job on a real broker: rows are exact, a clean stop repeats nothing, a crash loses nothing.
//!
//! The long form: THALWEG_KILLS=100. A failing run is repeated with the THALWEG_SEED that it has printed.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use stage::{Account, Broker, Loyalty, PATIENCE, Rec, Scene, invoices, kills, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

#[test]
fn an_invoice_comes_in_and_its_points_go_out() {
    let scene = Scene::with_topics("exact", broker(), 4);
    let job = Loyalty::default().write(&scene);
    scene.topics.send(
        &scene.input(),
        &[Rec::new(
            "bill-1",
            r#"{"BillNo":"bill-1","CreatedTime":1595688902254,"StoreID":"STR1","PaymentMode":"CARD","CustomerCardNo":"5312","TotalValue":1250.5,"unknown":[1,{"a":null}]}"#,
        )],
    );
    scene.topics.send(
        &scene.input(),
        &[Rec::new(
            "bill-2",
            r#"{"BillNo":"bill-2","TotalValue":null}"#,
        )],
    );
    let running = scene.run(&job);
    scene.until_out(2, PATIENCE);
    running.finish();
    let rows: BTreeMap<String, String> = scene
        .topics
        .read(&scene.output())
        .into_iter()
        .map(|got| (got.key(), String::from_utf8(got.value.unwrap()).unwrap()))
        .collect();
    assert_eq!(
        rows["bill-1"],
        r#"{"BillNo":"bill-1","CustomerCardNo":"5312","TotalValue":1250.5,"EarnedLoyaltyPoints":250.10000000000002}"#
    );
    // As Spark writes them: a field that is NULL is left out.
    assert_eq!(rows["bill-2"], r#"{"BillNo":"bill-2"}"#);
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_clean_stop_repeats_nothing_on_the_next_run() {
    let scene = Scene::with_topics("stopped", broker(), 4);
    let job = Loyalty::default().write(&scene);
    scene.topics.send(&scene.input(), &invoices(0..1_000));
    let running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(1_000..3_000));
    scene.until_out(3_000, PATIENCE);
    let said = running.finish();
    assert!(
        said.err.contains("the last epoch is being committed"),
        "{}",
        said.err
    );
    // The usual lag tools see the positions of the last epoch.
    let ends = scene.topics.end_offsets(&scene.input());
    assert_eq!(scene.topics.committed(&scene.group(), &scene.input()), ends);

    scene.topics.send(&scene.input(), &invoices(3_000..4_000));
    let running = scene.run(&job);
    scene.until_out(4_000, PATIENCE);
    running.finish();
    Account::of(&scene).expect_exactly(4_000);
}

#[test]
fn a_stop_under_load_repeats_nothing_either() {
    let scene = Scene::with_topics("stopload", broker(), 4);
    let job = Loyalty::default().write(&scene);
    let load = scene.load(500);
    for _ in 0..3 {
        let running = scene.started(&job);
        let held = scene.topics.count(&scene.output());
        scene.until_out(held + 200, PATIENCE);
        running.finish();
    }
    let sent = load.stop();
    let running = scene.run(&job);
    scene.until_out(i64::try_from(sent).unwrap(), PATIENCE);
    running.finish();
    Account::of(&scene).expect_exactly(sent);
}

/// Numbers between 0 and 1 from a seed.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let given = std::env::var("THALWEG_SEED").ok();
        let seed = given.map_or_else(
            || {
                let since = std::time::UNIX_EPOCH.elapsed().unwrap();
                u64::from(since.subsec_nanos())
            },
            |seed| seed.parse().unwrap(),
        );
        eprintln!("THALWEG_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 31)
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_committed_is_repeated() {
    const RATE: u32 = 500;
    // One interval of 200 ms, one epoch's duration, and what a busy machine adds to both.
    const REPEATED_MAX: u64 = 500;
    let scene = Scene::with_topics("killed", broker(), 4);
    let job = Loyalty::default()
        .selecting("BillNo, _metadata.partition AS p, _metadata.offset AS o")
        .write(&scene);
    let kills = kills(5);
    let mut chance = Chance::new();
    let load = scene.load(RATE);
    let mut survived: Vec<BTreeMap<String, i64>> = Vec::new();
    let mut held = 0;
    for kill in 0..kills {
        let running = scene.run(&job);
        if kill % 2 == 0 {
            // Half of the runs are killed while they work, the others maybe while they start.
            scene.until_out(held + 1, PATIENCE);
        }
        std::thread::sleep(Duration::from_millis((chance.next() * 900.0) as u64));
        running.kill();
        held = scene.topics.count(&scene.output());
        if scene.newest_file().is_some() {
            survived.push(scene.positions().into_iter().collect());
        }
    }
    let running = scene.run(&job);
    scene.until_out(held + 1, PATIENCE);
    let sent = load.stop();
    let account = || Account::of(&scene);
    until("all records are out", PATIENCE, || {
        account().missing(sent).is_empty()
    });
    running.finish();
    let account = account();
    account.expect_all(sent);

    let repeated = account.repeated();
    assert!(
        repeated <= u64::from(kills) * REPEATED_MAX,
        "{repeated} repeated after {kills} kills"
    );
    // What came twice stood behind the newest checkpoint of one of the kills.
    let mut times: BTreeMap<(i64, i64), u64> = BTreeMap::new();
    for got in scene.topics.read(&scene.output()) {
        let row = got.json();
        let place = (row["p"].as_i64().unwrap(), row["o"].as_i64().unwrap());
        *times.entry(place).or_default() += 1;
    }
    for ((partition, offset), times) in times {
        let name = format!("{}/{partition}", scene.input());
        let behind = survived
            .iter()
            .filter(|positions| positions.get(&name).is_none_or(|at| offset >= *at))
            .count() as u64;
        assert!(
            times <= 1 + behind,
            "{name}@{offset} came out {times} times, but {behind} kills had not committed it"
        );
    }
}

#[test]
fn killed_at_any_moment_no_dead_letter_is_lost_either() {
    let scene = Scene::with_topics("deadkill", broker(), 4);
    scene.topics.make("deadkill-letters", 2, &[]);
    let job = Loyalty::default()
        .with_tables(
            "CREATE TABLE dead USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA}', topic 'deadkill-letters');",
        )
        .set("onError = 'deadLetter'")
        .set("deadLetterTable = 'dead'")
        // Every invoice of some shops fails.
        .selecting("BillNo, CAST(IF(StoreID LIKE 'STR1%', StoreID, '0') AS INT) AS shop")
        .write(&scene);
    let mut chance = Chance::new();
    let load = scene.load(500);
    let mut held = 0;
    for _ in 0..3 {
        let running = scene.run(&job);
        scene.until_out(held + 1, PATIENCE);
        std::thread::sleep(Duration::from_millis((chance.next() * 700.0) as u64));
        running.kill();
        held = scene.topics.count(&scene.output());
    }
    let running = scene.run(&job);
    scene.until_out(held + 1, PATIENCE);
    let sent = load.stop();
    let mut account = Account::default();
    until("every record is out or a dead letter", PATIENCE, || {
        account = Account::of(&scene);
        for letter in scene.topics.read("deadkill-letters") {
            *account.seen.entry(letter.key()).or_default() += 1;
        }
        account.missing(sent).is_empty()
    });
    running.finish();
    account.expect_all(sent);
    let letters = scene.topics.read("deadkill-letters");
    assert!(
        letters.iter().all(|letter| {
            letter.header("thalweg-error-class").as_deref() == Some("expression")
        })
    );
    assert!(
        letters.len() as u64 > sent / 20,
        "{} letters",
        letters.len()
    );
}

#[test]
fn a_process_that_hangs_for_a_while_goes_on() {
    let scene = Scene::with_topics("hanging", broker(), 4);
    let job = Loyalty::default().write(&scene);
    let mut running = scene.started(&job);
    let load = scene.load(500);
    scene.until_out(200, PATIENCE);
    running.pause();
    std::thread::sleep(Duration::from_secs(2));
    running.resume();
    let held = scene.topics.count(&scene.output());
    scene.until_out(held + 200, PATIENCE);
    let sent = load.stop();
    scene.until_out(i64::try_from(sent).unwrap(), PATIENCE);
    assert!(
        running.metric("thalweg_restarts_total") < 1.0,
        "{}",
        running.said()
    );
    running.finish();
    Account::of(&scene).expect_exactly(sent);
}

#[test]
fn ctrl_c_twice_ends_at_once_and_loses_nothing() {
    let scene = Scene::with_topics("impatient", broker(), 4);
    let job = Loyalty::default()
        .set("checkpointInterval = '1 hour'")
        .write(&scene);
    let load = scene.load(500);
    let mut running = scene.run(&job);
    scene.until_out(100, PATIENCE);
    until("it has ended", Duration::from_secs(10), || {
        running.interrupt();
        !running.alive()
    });
    let said = running.end(Duration::from_secs(10));
    assert!(said.code == 0 || said.code == 1, "{said:?}");
    let running = scene.run(&job);
    let sent = load.stop();
    until("all records are out", PATIENCE, || {
        Account::of(&scene).missing(sent).is_empty()
    });
    running.finish();
    Account::of(&scene).expect_all(sent);
}

#[test]
fn killed_before_the_first_epoch_with_latest_nothing_sent_in_between_is_lost() {
    let scene = Scene::with_topics("latest", broker(), 4);
    scene.topics.send(&scene.input(), &[Rec::new("old", "{}")]);
    let job = Loyalty::default()
        .reading(&["startingOffsets 'latest'"])
        .set("checkpointInterval = '1 hour'")
        .write(&scene);
    let running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(0..100));
    scene.until_out(100, PATIENCE);
    running.kill();
    scene.topics.send(&scene.input(), &invoices(100..200));
    let running = scene.run(&job);
    until("all records are out", PATIENCE, || {
        Account::of(&scene).missing(200).is_empty()
    });
    running.finish();
    // At most all of the first run comes again, and nothing from before its start.
    let account = Account::of(&scene);
    account.expect_all(200);
    assert!(account.repeated() <= 100, "{}", account.repeated());
}

#[test]
fn the_job_as_it_is_written_for_spark_keeps_keys_and_goes_on_after_a_kill() {
    let scene = Scene::new("spark", broker());
    scene.topics.make("invoices", 2, &[]);
    scene.topics.make("notifications", 2, &[]);
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/loyalty_spark.sql");
    let bill = |number: u64| {
        let card = if number.is_multiple_of(3) {
            "null".to_owned()
        } else {
            format!("\"c-{number}\"")
        };
        let value = format!(
            r#"{{"InvoiceNumber":"i-{number}","CustomerCardNo":{card},"TotalAmount":{number}.5,"Lines":[{number}]}}"#
        );
        Rec::new(format!("i-{number}"), value)
    };
    let mut sent = 0;
    for more in [50, 70] {
        let running = scene.run(&job);
        let bills: Vec<Rec> = (sent..sent + more).map(bill).collect();
        scene.topics.send("invoices", &bills);
        sent += more;
        let expected: BTreeMap<String, String> = (0..sent)
            .filter(|number| !number.is_multiple_of(3))
            .map(|number| {
                let (amount, points) = (number as f64 + 0.5, (number as f64 + 0.5) * 0.2);
                let value = format!(
                    r#"{{"CustomerCardNo":"c-{number}","TotalAmount":{amount:?},"EarnedLoyaltyPoints":{points:?}}}"#
                );
                (format!("i-{number}"), value)
            })
            .collect();
        until("each bill has its points", PATIENCE, || {
            let text = |got: &stage::Got| String::from_utf8(got.value.clone().unwrap()).unwrap();
            let out = scene.topics.read("notifications");
            let out: BTreeMap<String, String> =
                out.iter().map(|got| (got.key(), text(got))).collect();
            out == expected
        });
        running.kill();
    }
}
