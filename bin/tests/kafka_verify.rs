//! `thalweg verify` on a real broker: it finds what was planted, and nothing where nothing was.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use stage::{Broker, Got, Loyalty, PATIENCE, Rec, Said, Scene, invoice, invoices};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// A job with a filter and dead letters that has read 100 invoices and two bad records: numbers whose last digit is below
/// five are filtered.
fn done(name: &str) -> (Scene, PathBuf) {
    let scene = Scene::with_topics(name, broker(), 1);
    let letters = format!("{name}-dead");
    scene.topics.make(&letters, 1, &[]);
    let dead = format!(
        "CREATE TABLE dead USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{letters}');"
    );
    let job = Loyalty::default()
        .set("coordinates = on")
        .set("onError = 'deadLetter'")
        .set("deadLetterTable = 'dead'")
        .with_tables(&dead)
        .filtered("WHERE CAST(right(BillNo, 1) AS INT) >= 5")
        .write(&scene);
    let mut records = invoices(0..100);
    records.insert(10, Rec::new("bad-1", "not JSON"));
    records.push(Rec::new("bad-2", ""));
    scene.topics.send(&scene.input(), &records);
    let running = scene.run(&job);
    scene.until_out(50, PATIENCE);
    stage::until("the dead letters are there", PATIENCE, || {
        scene.topics.count(&letters) == 2
    });
    running.finish();
    (scene, job)
}

fn verify(scene: &Scene, more: &[&str]) -> Said {
    let mut words = vec!["verify"];
    words.extend_from_slice(more);
    scene.call(&words)
}

/// A record as it would be sent again, with its headers.
fn again(got: &Got) -> Rec {
    Rec {
        partition: Some(got.partition),
        key: got.key.clone(),
        value: got.value.clone(),
        headers: got
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().unwrap_or_default()))
            .collect(),
        millis: None,
    }
}

#[test]
fn a_job_that_did_its_work_is_accounted_for_with_its_own_filters() {
    let (scene, job) = done("verifywell");
    let job = job.to_str().unwrap();
    let said = verify(&scene, &["--job", job]);
    said.expect(
        0,
        &[
            "102  records of the input",
            "50  with all their outputs",
            "50  filtered",
            "2  dead letters",
            "0  missing",
            "every record is accounted for",
        ],
    );
    // Without the job's filters what they left out is missing.
    let (input, output) = (scene.input(), scene.output());
    let brokers = scene.broker.bootstrap();
    let bare = ["--input", &input, "--output", &output, "--brokers", brokers];
    let said = verify(&scene, &bare);
    said.expect(
        1,
        &[
            "52  missing",
            "verifywell-in/0@0 to @4: no outputs and no dead letters",
        ],
    );
    let letters = format!("{}-dead", scene.name);
    let more = [
        "--dead-letters",
        &letters,
        "--from",
        "0=16",
        "--until",
        "0=21",
    ];
    let said = verify(&scene, &[&bare[..], &more].concat());
    said.expect(0, &["offsets 16 to 21", "5  records of the input"]);
    let said = verify(&scene, &["--input", "nowhere", "--job", job]);
    said.expect(2, &["reads no topic `nowhere`"]);
    // What is misspelt is not taken for an hour without records.
    let named = |from, until| ["--job", job, "--from", from, "--until", until];
    let said = verify(&scene, &named("7=0", "7=5"));
    said.expect(
        2,
        &["--from 7=0: there is no such partition", "has 1 partition"],
    );
    let said = verify(&scene, &["--job", job, "--until", "2001-01-01T00:00:00Z"]);
    said.expect(0, &["the input holds no record there"]);
    let text = std::fs::read_to_string(job).unwrap();
    let own = "SET coordinates = on;";
    assert!(text.contains(own), "{text}");
    scene.write(&text.replace(own, "SET jobName = 'stranger';"));
    let said = verify(&scene, &["--job", job]);
    said.expect(
        2,
        &["the job has no SET coordinates = on", "is of its query"],
    );
    scene.write(&text);
    // What comes after the job was stopped is not lost.
    scene.topics.send(&scene.input(), &invoices(105..108));
    let yet =
        "offsets 0 to 105; the newest checkpoint stands at 102: the job has yet to read the rest";
    verify(&scene, &["--job", job]).expect(1, &["3  missing", yet]);
    // Behind the last record the end of its transaction stands, which nobody reads.
    let out = scene.topics.count(&scene.output());
    let running = scene.run(Path::new(job));
    let paid = invoices(108..109);
    scene
        .topics
        .transaction("paid", &scene.input(), &paid, true);
    scene.until_out(out + 4, PATIENCE);
    running.finish();
    let said = verify(&scene, &["--job", job]);
    said.expect(0, &["offsets 0 to 107"]);
    assert!(!said.out.contains("yet to read"), "{}", said.out);
}

#[test]
fn a_record_with_several_outputs_lacks_one_and_a_range_of_time_holds_the_records_of_that_time() {
    let scene = Scene::with_topics("verifymany", broker(), 1);
    let job = Loyalty::default()
        .set("coordinates = on")
        .selecting("BillNo, explode(array('sent', 'kept', 'shown')) AS copy")
        .write(&scene);
    // A minute apart, from noon on.
    let noon = 1_767_268_800_000_i64;
    let minute = |number: i64| noon + number * 60_000;
    let records: Vec<Rec> = (0..20)
        .map(|number| invoice(number).at(minute(i64::try_from(number).unwrap())))
        .collect();
    scene.topics.send(&scene.input(), &records);
    let running = scene.run(&job);
    scene.until_out(60, PATIENCE);
    running.finish();
    let (input, output) = (scene.input(), scene.output());
    let brokers = scene.broker.bootstrap();
    let bare = ["--input", &input, "--output", &output, "--brokers", brokers];
    let expecting = |output: &str, number: &str, more: &[&str]| {
        let bare = ["--input", &input, "--output", output, "--brokers", brokers];
        verify(&scene, &[&bare[..], &["--expect", number], more].concat())
    };
    let all = ["20  records of the input", "20  with all their outputs"];
    expecting(&output, "3", &[]).expect(0, &all);
    // The job's steps say the number by themselves.
    verify(&scene, &["--job", job.to_str().unwrap()]).expect(0, &all);
    expecting(&output, "4", &[]).expect(1, &["20  missing"]);
    expecting(&output, "0..3", &[]).expect(0, &all);
    expecting(&output, "3..0", &[]).expect(2, &["or two with `..` between them"]);
    assert_ne!(verify(&scene, &bare).code, 0, "one is not three");
    let (from, until) = (minute(5).to_string(), minute(9).to_string());
    let within = ["--from", from.as_str(), "--until", until.as_str()];
    expecting(&output, "3", &within).expect(
        0,
        &[
            "offsets 5 to 9",
            "4  records of the input",
            "4  with all their outputs",
        ],
    );
    // The second output of the record at minute 7 is lost.
    let planted = "verifymany-planted";
    scene.topics.make(planted, 1, &[]);
    let lost = format!("v1;verifymany;notification;{input};0;7;1");
    let read = scene.topics.read(&output).into_iter();
    let rest = read.filter(|got| got.header("thalweg-origin").unwrap() != lost);
    let rest: Vec<Rec> = rest.map(|got| again(&got)).collect();
    assert_eq!(rest.len(), 59);
    scene.topics.send(planted, &rest);
    expecting(planted, "3", &within).expect(
        1,
        &[
            "3  with all their outputs",
            "1  missing",
            "verifymany-in/0@7",
        ],
    );
    // Also where a record may have none: the third of its outputs says that there was a second.
    expecting(planted, "0..3", &within).expect(1, &["1  missing", "verifymany-in/0@7"]);
    let (from, until) = (minute(8).to_string(), minute(12).to_string());
    let without = ["--from", from.as_str(), "--until", until.as_str()];
    expecting(planted, "3", &without).expect(0, &["4  with all their outputs"]);
}

#[test]
fn a_lost_a_doubled_and_a_misplaced_output_are_found() {
    let (scene, job) = done("verifyplanted");
    let planted = "verifyplanted-planted";
    scene.topics.make(planted, 1, &[]);
    let rows = scene.topics.read(&scene.output());
    let place = |at: usize| {
        let origin = rows[at].header("thalweg-origin").unwrap();
        let parts: Vec<&str> = origin.split(';').collect();
        format!("{}/{}@{}", parts[3], parts[4], parts[5])
    };
    // The tenth is lost, the twentieth stands again behind all, the thirtieth stands behind the fortieth.
    let mut records: Vec<Rec> = Vec::new();
    for (at, got) in rows.iter().enumerate() {
        if at != 10 && at != 30 {
            records.push(again(got));
        }
        if at == 40 {
            records.push(again(&rows[30]));
        }
    }
    records.push(again(&rows[20]));
    // Of an offset that the input has not, and one that the job has filtered.
    let origin =
        |offset: u32| format!("v1;verifyplanted;notification;verifyplanted-in;0;{offset};0");
    records.push(Rec::new("filtered", "{}").header("thalweg-origin", origin(0)));
    records
        .push(Rec::new("another", "{}").header("thalweg-origin", "v1;x;y;verifyplanted-in;0;0;0"));
    records.push(Rec::new("bare", "{}"));
    scene.topics.send(planted, &records);
    let job = job.to_str().unwrap();
    let said = verify(&scene, &["--job", job, "--output", planted]);
    said.expect(
        1,
        &[
            &format!("missing       {}: no output and no dead letter", place(10)),
            &format!("doubled       {};0: again at {planted}/0@49", place(20)),
            &format!("out of place  {};0: at {planted}/0@", place(30)),
            "unexpected    verifyplanted-in/0@0;0: its record is filtered",
            "1  missing",
            "1  outputs that stand twice",
            "1  records of the output without thalweg-origin",
            "not every record is accounted for",
        ],
    );
    // Who wrote it must be said where several did.
    let (input, brokers) = (scene.input(), scene.broker.bootstrap());
    let bare = ["--input", &input, "--output", planted, "--brokers", brokers];
    verify(&scene, &bare).expect(2, &["verifyplanted/notification", "x/y", "--query"]);
    let mine = ["--query", "verifyplanted/notification", "--limit", "2"];
    let said = verify(&scene, &[&bare[..], &mine].concat());
    said.expect(1, &["... and "]);
}

#[test]
fn an_output_without_coordinates_is_said_first_and_no_record_is_called_missing() {
    let scene = Scene::with_topics("verifybare", broker(), 1);
    let job = Loyalty::default().write(&scene);
    scene.topics.send(&scene.input(), &invoices(0..100));
    let running = scene.run(&job);
    scene.until_out(100, PATIENCE);
    running.finish();
    let said = verify(&scene, &["--job", job.to_str().unwrap()]);
    let why = "none of the 100 records of verifybare-out says which record it comes from";
    said.expect(2, &[why, "SET coordinates = on"]);
    assert_eq!(said.out, "", "{said:?}");
}

#[test]
fn steps_with_state_say_what_is_filtered_and_not_how_many_outputs_there_are() {
    let scene = Scene::with_topics("verifystate", broker(), 2);
    let job = Loyalty::default()
        .set("coordinates = on")
        .selecting("DISTINCT BillNo, StoreID")
        .filtered("WHERE TotalValue > 50")
        .write(&scene);
    let mut records = invoices(0..200);
    records.push(invoice(150));
    scene.topics.send(&scene.input(), &records);
    let running = scene.run(&job);
    scene.until_out(150, PATIENCE);
    running.finish();
    let said = verify(&scene, &["--job", job.to_str().unwrap()]);
    // The repeated invoice passes the filter and gives no row.
    said.expect(1, &["50  filtered", "1  missing", "the query keeps rows"]);
}
