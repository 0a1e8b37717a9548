//! The job `merchants` on a real broker: a static table whose file is replaced, broken and mended while the job runs and dies.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use stage::{Broker, PATIENCE, Rec, Running, Scene, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// The job with topics and a file of the scene's own.
fn job(scene: &Scene) -> PathBuf {
    let mut text = include_str!("../jobs/merchants.sql").replace(
        "SET checkpointLocation",
        "SET checkpointInterval = '200 ms';\nSET checkpointLocation",
    );
    text = text.replace("'transactions'", &format!("'{}'", scene.input()));
    text = text.replace("topic 'named'", &format!("topic '{}'", scene.output()));
    let file = file(scene).display().to_string();
    scene.write(&text.replace("${MERCHANTS:-./merchants.csv}", &file))
}

fn file(scene: &Scene) -> PathBuf {
    scene.dir().join("merchants.csv")
}

/// Puts a file in the place of the one before, whole.
fn rename(scene: &Scene, text: &str) {
    let aside = scene.dir().join("merchants.new");
    fs::write(&aside, text).unwrap();
    fs::rename(aside, file(scene)).unwrap();
}

/// So many merchants, all of one city.
fn merchants(count: u64, city: &str) -> String {
    let rows = (0..count).map(|n| format!("m{n},\"Merchant, number {n}\",{city}\n"));
    std::iter::once("id,name,city\n".to_owned())
        .chain(rows)
        .collect()
}

fn send(scene: &Scene, numbers: Range<u64>) {
    let transaction = |n: u64| {
        let value = format!(r#"{{"id":"{n}","merchant":"m{}","amount":{n}.5}}"#, n % 3);
        Rec::new(format!("{n}"), value)
    };
    let records: Vec<Rec> = numbers.map(transaction).collect();
    scene.topics.send(&scene.input(), &records);
}

/// By transaction the cities that came out with it, in their order.
fn named(scene: &Scene) -> BTreeMap<u64, Vec<String>> {
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for got in scene.topics.read(&scene.output()) {
        let row = got.json();
        let id = row["id"].as_str().unwrap().parse().unwrap();
        let city = row["city"].as_str().unwrap_or("none").to_owned();
        found.entry(id).or_default().push(city);
    }
    found
}

/// Waits until these have come out, and says whether all of them have this city alone.
fn all_in(scene: &Scene, numbers: Range<u64>, city: &str) {
    until("all are named", PATIENCE, || {
        let named = named(scene);
        numbers.clone().all(|n| named.contains_key(&n))
    });
    for (n, cities) in named(scene).range(numbers) {
        assert!(
            cities.iter().all(|came| came == city),
            "{n}: {cities:?}, not {city}"
        );
    }
}

fn outdated(running: &mut Running) -> f64 {
    let (_, body) = running.get("/metrics");
    let series = "thalweg_static_table_outdated{";
    assert!(body.contains(series), "{body}");
    running.metric(series)
}

#[test]
fn a_file_is_replaced_while_the_job_runs_and_while_it_is_dead() {
    let scene = Scene::with_topics("merchants", broker(), 3);
    let job = job(&scene);
    rename(&scene, &merchants(3, "Riga"));
    send(&scene, 0..200);
    let mut running = scene.started(&job);
    all_in(&scene, 0..200, "Riga");
    rename(&scene, &merchants(4, "Oslo"));
    running.until_said("is read: 4 rows of 1 file", PATIENCE);
    send(&scene, 200..400);
    all_in(&scene, 200..400, "Oslo");
    running.kill();
    rename(&scene, &merchants(5, "Kyiv"));
    let mut running = scene.started(&job);
    running.until_said("is read: 5 rows of 1 file", PATIENCE);
    send(&scene, 400..600);
    all_in(&scene, 400..600, "Kyiv");
    assert!(
        named(&scene)
            .range(..200)
            .all(|(_, cities)| cities[0] == "Riga")
    );
    running.finish();
}

#[test]
fn what_cannot_be_read_leaves_the_rows_in_force_until_it_is_mended() {
    let scene = Scene::with_topics("mended", broker(), 2);
    let job = job(&scene);
    rename(&scene, &merchants(3, "Riga"));
    let mut running = scene.started(&job);
    assert!(outdated(&mut running) == 0.0);
    let whole = merchants(9, "Lima");
    let half = whole.rfind(',').unwrap();
    rename(&scene, &whole[..half]);
    let said = running.until_said("keeps the rows that it has", PATIENCE);
    assert!(said.contains("merchants.csv, row 9: "), "{said}");
    assert!(outdated(&mut running) == 1.0);
    send(&scene, 0..100);
    all_in(&scene, 0..100, "Riga");
    fs::remove_file(file(&scene)).unwrap();
    running.until_said("merchants.csv cannot be read: ", PATIENCE);
    send(&scene, 100..200);
    all_in(&scene, 100..200, "Riga");
    assert!(outdated(&mut running) == 1.0);
    rename(&scene, &merchants(9, "Lima"));
    running.until_said("is read: 9 rows of 1 file", PATIENCE);
    assert!(outdated(&mut running) == 0.0);
    send(&scene, 200..300);
    all_in(&scene, 200..300, "Lima");
    running.finish();
}

#[test]
fn a_start_needs_a_table_that_can_be_read() {
    let scene = Scene::with_topics("refused", broker(), 1);
    let job = job(&scene);
    let call = |job: &Path| scene.run(job).end(PATIENCE);
    call(&job).expect(2, &["`merchants`: there is no ", "mend the option `path`"]);
    rename(&scene, "id,name,city\nm0,Baker,Riga\nm1,Florist\n");
    call(&job).expect(
        1,
        &[
            "the static table `merchants` cannot be read: ",
            "merchants.csv, row 2: ",
        ],
    );
}

/// Payments counted by merchant behind a topic of the query's own: those of merchants that the table has.
#[test]
fn a_static_table_stands_before_an_exchange() {
    let scene = Scene::with_topics("exchanged", broker(), 3);
    rename(&scene, &merchants(2, "Riga"));
    let job = scene.write(&format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';
SET exchange = 'topic';
SET outputMode = 'update';
CREATE TABLE transactions (id STRING, merchant STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json');
CREATE TABLE merchants (id STRING, name STRING, city STRING) USING csv OPTIONS (
  path '{}', static 'true', header 'true');
CREATE TABLE counts USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'merchant');
INSERT INTO counts
SELECT t.merchant, count(*) AS payments, max(m.city) AS city
FROM merchants m JOIN transactions t ON t.merchant = m.id GROUP BY t.merchant;
",
        scene.checkpoints().display(),
        scene.input(),
        file(&scene).display(),
        scene.output()
    ));
    let counted = || {
        let mut newest: BTreeMap<String, u64> = BTreeMap::new();
        for got in scene.topics.read(&scene.output()) {
            let row = got.json();
            let merchant = row["merchant"].as_str().unwrap().to_owned();
            let count = newest.entry(merchant).or_default();
            *count = row["payments"].as_u64().unwrap().max(*count);
        }
        newest
    };
    for round in 1..=3 {
        let running = scene.started(&job);
        send(&scene, (round - 1) * 300..round * 300);
        until("both merchants are counted", PATIENCE, || {
            let counted = counted();
            counted.len() == 2 && counted.values().all(|count| *count >= round * 100)
        });
        running.kill();
    }
    let exact = [("m0", 300), ("m1", 300)];
    let exact = exact.map(|(merchant, count)| (merchant.to_owned(), count));
    assert_eq!(counted(), BTreeMap::from(exact));
}
