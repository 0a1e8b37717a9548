//! What a program does with the library: the examples, and what becomes of its functions, sources and steps in a job.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use thalweg::connectors::{Connector, Input};
use thalweg::error::RecordError;
use thalweg::memory::{MemoryLog, MemorySink};
use thalweg::pull::{PullSource, Pulled};
use thalweg::record::Position;
use thalweg::row::{Row, Value};
use thalweg::schema::{DataType, Field, Schema};
use thalweg::{
    Error, Job, Key, Pipeline, ScalarFunction, Signature, StatefulProcessor, Stop, Timer,
};

#[path = "rust_api/examples.rs"]
mod examples;

use examples::own_aggregate::geo_mean;
use examples::{own_processor, own_sink};

const NUMBERS: &str = "SET trigger = 'available now';
CREATE TABLE numbers (name STRING, n INT) USING kafka OPTIONS (
  kafka.bootstrap.servers 'nowhere:1', subscribe 'numbers', format 'json');
CREATE TABLE out USING noop;
";

fn job(query: &str) -> Job {
    Job::parse(format!("{NUMBERS}{query}")).unwrap()
}

fn numbers(rows: &[(&str, i32)]) -> MemoryLog {
    let columns = [
        Field::nullable("name", DataType::String),
        Field::nullable("n", DataType::Int),
    ];
    let log = MemoryLog::new("numbers", Schema::new(columns), 1);
    for (name, n) in rows {
        log.append(0, Ok(vec![Value::from(*name), Value::Int(*n)]));
    }
    log
}

fn half() -> ScalarFunction {
    ScalarFunction::new("half", [DataType::Int], DataType::Int, |args| {
        match args[0].as_i64() {
            Some(n) if n % 2 == 0 => Ok(Value::Int(i32::try_from(n / 2).unwrap_or_default())),
            _ => Err(RecordError::expression("half: an odd number")),
        }
    })
    .described("half(n)", "Half of an even number.")
}

/// The larger of two values of one type.
fn larger() -> ScalarFunction {
    let types = |given: &[DataType]| match given {
        [a, b] if a == b => Ok(Signature {
            takes: given.to_vec(),
            gives: a.clone(),
        }),
        _ => Err("takes two values of one type".to_owned()),
    };
    ScalarFunction::generic("larger", types, |args| {
        let (a, b) = (args[0].as_i64(), args[1].as_i64());
        Ok(args[usize::from(b > a)].clone())
    })
}

fn refused(job: Job) -> String {
    match job.check() {
        Err(Error::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_call_of_an_own_function_is_refused_at_its_place() {
    let with = |query: &str| job(query).function(half()).function(larger());
    let why = refused(with(
        "INSERT INTO out SELECT\n  hallf(n) AS h FROM numbers;",
    ));
    assert!(
        why.contains("job.sql:6:3: unknown function `hallf`"),
        "{why}"
    );
    assert!(why.contains("did you mean `half`?"), "{why}");
    let why = refused(with(
        "INSERT INTO out SELECT half(n > 1) AS h FROM numbers;",
    ));
    assert!(why.contains("job.sql:5:"), "{why}");
    assert!(why.contains("argument 1 takes INT, got BOOLEAN"), "{why}");
    assert!(why.contains("it is called half(n)"), "{why}");
    let why = refused(with(
        "INSERT INTO out SELECT larger(n, name) AS h FROM numbers;",
    ));
    assert!(why.contains("takes two values of one type"), "{why}");
    let report = with("INSERT INTO out SELECT larger(n, 4) AS h FROM numbers;").check();
    assert!(report.unwrap().contains("h INT"));
    let shadow = ScalarFunction::new("upper", [], DataType::Int, |_| Ok(Value::Null));
    let why = refused(job("INSERT INTO out SELECT n FROM numbers;").function(shadow));
    assert!(why.contains("the language has a function `upper`"), "{why}");
    let Err(Error::Refused(why)) = Job::parse("SELECT 1;\nSELECT FROM;").map(drop) else {
        panic!("accepted");
    };
    assert!(why.contains("job.sql:2:"), "{why}");
}

#[test]
fn the_error_of_an_own_function_is_one_of_the_record() {
    let query = "SET onError = 'skip';
        INSERT INTO out SELECT half(n) AS h FROM numbers WHERE half(n) > 0 AND name IS NOT NULL;";
    let (log, out) = (
        numbers(&[("a", 4), ("b", 5), ("c", 6)]),
        MemorySink::default(),
    );
    let job = job(query).function(half());
    let ended = job
        .input("numbers", &log)
        .output("out", &out)
        .run()
        .unwrap();
    assert_eq!(out.rows(), [[Value::Int(2)], [Value::Int(3)]]);
    assert_eq!(
        (ended.queries[0].records_in, ended.queries[0].left_out),
        (3, 1)
    );
}

#[test]
fn a_query_that_fails_says_which_and_why() {
    let query = "INSERT INTO out SELECT half(n) AS h FROM numbers;";
    let job = job(query)
        .function(half())
        .input("numbers", &numbers(&[("a", 5)]));
    let Err(Error::Failed(failed)) = job.run() else {
        panic!("ended well");
    };
    assert_eq!(failed[0].0, "out");
    let why = &failed[0].1.message;
    assert!(why.contains("half: an odd number"), "{why}");
}

#[test]
fn the_log_that_stands_for_a_table_has_its_columns() {
    let other = MemoryLog::new(
        "other",
        Schema::new([Field::nullable("n", DataType::Int)]),
        1,
    );
    let query = "INSERT INTO out SELECT n FROM numbers;";
    let why = refused(job(query).input("numbers", &other));
    assert!(
        why.contains("has the columns INT, and the table STRING, INT"),
        "{why}"
    );
    let why = refused(job(query).input("nombers", &other));
    assert!(why.contains("did you mean `numbers`?"), "{why}");
}

/// The test of a job in a folder, plain and with a restart after each record.
fn tested(query: &str, given: &[&str], expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let lines = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    std::fs::write(folder.path().join("funds.jsonl"), lines(given)).unwrap();
    std::fs::write(folder.path().join("out.expected.jsonl"), lines(expected)).unwrap();
    for restarts in [false, true] {
        let text = format!(
            "CREATE TABLE funds (fund STRING, factor INT, at TIMESTAMP) USING kafka OPTIONS (
               kafka.bootstrap.servers 'nowhere:1', subscribe 'funds', format 'json')
               WATERMARK at DELAY OF INTERVAL 0 SECONDS;
             CREATE TABLE out USING noop;
             SET checkpointLocation = './nowhere';
             {query}"
        );
        let job = Job::parse(text).unwrap().aggregate(geo_mean());
        let tested = job.test(folder.path(), restarts).unwrap();
        assert!(tested.well, "restarts {restarts}: {}", tested.report);
    }
}

const FUNDS: [&str; 5] = [
    r#"{"fund":"a","factor":2,"at":"2026-01-01T00:00:01Z"}"#,
    r#"{"fund":"a","factor":8,"at":"2026-01-01T00:00:06Z"}"#,
    r#"{"fund":"a","factor":null,"at":"2026-01-01T00:00:06Z"}"#,
    r#"{"fund":"b","factor":4,"at":"2026-01-01T00:00:07Z"}"#,
    r#"{"fund":"b","factor":4,"at":"2026-01-01T00:01:00Z"}"#,
];

#[test]
fn an_own_aggregate_stands_wherever_one_of_the_language_does() {
    let updated = [
        r#"{"fund":"a","m":2}"#,
        r#"{"fund":"a","m":4}"#,
        r#"{"fund":"a","m":4}"#,
        r#"{"fund":"b","m":4}"#,
        r#"{"fund":"b","m":4}"#,
    ];
    let query = "SET outputMode = 'update';
        INSERT INTO out SELECT fund, CAST(round(geo_mean(factor), 3) AS INT) AS m FROM funds
        GROUP BY fund HAVING count(*) > 0;";
    tested(query, &FUNDS, &updated);
    // Windows that slide merge the parts of the state; of the same value DISTINCT takes one; FILTER chooses.
    let closed = [
        r#"{"s":55,"m":2,"d":2,"f":null}"#,
        r#"{"s":0,"m":4,"d":4,"f":8}"#,
        r#"{"s":5,"m":6,"d":6,"f":8}"#,
    ];
    let query = "INSERT INTO out SELECT second(window.start) AS s, CAST(round(geo_mean(factor)) AS INT) AS m,
          CAST(round(geo_mean(DISTINCT factor)) AS INT) AS d,
          CAST(round(geo_mean(factor) FILTER (WHERE factor > 4)) AS INT) AS f
        FROM funds GROUP BY window(at, '10 seconds', '5 seconds');";
    tested(query, &FUNDS, &closed);
}

#[test]
fn an_own_aggregate_with_over_is_computed_of_the_rows_of_each_frame() {
    let answers = [
        r#"{"fund":"a","m":2,"d":2,"f":null,"n":1}"#,
        r#"{"fund":"a","m":4,"d":4,"f":8,"n":2}"#,
        r#"{"fund":"a","m":4,"d":4,"f":8,"n":2}"#,
        r#"{"fund":"b","m":4,"d":4,"f":null,"n":1}"#,
        r#"{"fund":"b","m":4,"d":4,"f":null,"n":1}"#,
    ];
    let query = "INSERT INTO out SELECT fund, CAST(round(geo_mean(factor) OVER w) AS INT) AS m,
          CAST(round(geo_mean(DISTINCT factor) OVER w) AS INT) AS d,
          CAST(round(geo_mean(factor) FILTER (WHERE factor > 4) OVER w) AS INT) AS f,
          count(factor) OVER w AS n
        FROM funds
        WINDOW w AS (PARTITION BY fund ORDER BY at RANGE BETWEEN INTERVAL 10 SECONDS PRECEDING AND CURRENT ROW);";
    tested(query, &FUNDS, &answers);
}

#[test]
fn an_own_aggregate_is_refused_where_it_cannot_stand() {
    let with = |query: &str| job(query).aggregate(geo_mean());
    let why = refused(with(
        "INSERT INTO out SELECT geo_mean(n) OVER (PARTITION BY name ORDER BY n) AS m FROM numbers;",
    ));
    assert!(
        why.contains("geo_mean is computed anew of all rows of its frame: from UNBOUNDED PRECEDING it would keep every value for ever"),
        "{why}"
    );
    let why = refused(with(
        "INSERT INTO out SELECT n FROM numbers WHERE geo_mean(n) > 1;",
    ));
    assert!(why.contains("aggregates do not stand in WHERE"), "{why}");
    let why = refused(with(
        "SET outputMode = 'update';\nINSERT INTO out SELECT geo_mean(name, n) AS m FROM numbers;",
    ));
    assert!(
        why.contains("job.sql:6:") && why.contains("expected 1 argument, got 2"),
        "{why}"
    );
}

/// Where the partition of [`COUNTER`] ends.
static END: AtomicI64 = AtomicI64::new(0);

/// 1, 2, 3 and so on, up to where it ends now.
const COUNTER: Connector = Connector {
    name: "counter",
    about: "Numbers.",
    input: Some(Input {
        options: &[],
        columns: |_| Ok(Schema::new([Field::required("n", DataType::BigInt)])),
        metadata: |_| Vec::new(),
        open: |_, wanted, _| {
            let schema = Schema::new([Field::required("n", DataType::BigInt)]);
            let read = |_: &str| {
                |at: &Position| match *at {
                    Position::Number(at) if at < END.load(Relaxed) => Ok(Pulled::Row {
                        row: Ok(vec![Value::BigInt(at + 1)]),
                        next: Position::Number(at + 1),
                        time: None,
                    }),
                    _ => Ok(Pulled::Wait(Duration::from_millis(1))),
                }
            };
            let source = PullSource::new(schema, ["all"], Position::Number(0), read);
            let source = source.with_ends(|_| Position::Number(END.load(Relaxed)));
            Ok(Arc::new(source.with_columns(wanted)))
        },
        identity: &[],
        reads_back: true,
        shared: false,
        behind: Position::next_number,
    }),
    output: None,
};

/// What the command shows of the state in a folder, which knows nothing of the program that wrote it.
fn dumped(folder: &Path) -> Vec<serde_json::Value> {
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args(["inspect", folder.to_str().unwrap(), "--dump"])
        .output()
        .unwrap();
    assert!(said.status.success(), "{said:?}");
    let lines = String::from_utf8(said.stdout).unwrap();
    let rows = lines.lines();
    rows.map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn state_of_an_own_aggregate_over_an_own_source_goes_on_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.md");
    let run = |end: i64| {
        END.store(end, Relaxed);
        let text = format!(
            "SET checkpointLocation = '{}'; SET outputMode = 'update'; SET trigger = 'available now';
             CREATE TABLE counter USING counter;
             CREATE TABLE list USING markdown OPTIONS (path '{}');
             INSERT INTO list SELECT 'mean ' || round(geo_mean(n), 1) || ' of ' || count(*) AS line FROM counter;",
            folder.path().display(),
            list.display()
        );
        let job = Job::parse(text).unwrap().aggregate(geo_mean());
        job.connector(COUNTER)
            .connector(own_sink::MARKDOWN)
            .run()
            .unwrap()
    };
    assert_eq!(run(2).queries[0].records_in, 2);
    assert_eq!(run(4).queries[0].records_in, 2);
    let text = std::fs::read_to_string(&list).unwrap();
    // Of 1 to 4: the fourth root of 24.
    assert_eq!(text.lines().next_back(), Some("- mean 2.2 of 4"));
    let rows = dumped(folder.path());
    let group = rows.iter().find(|row| row["what"] == "group").unwrap();
    assert_eq!(group["value"]["count(*)"], 4, "{group}");
    assert_eq!(group["value"]["geo_mean(n)"]["version"], 1, "{group}");
    assert!(
        group["value"]["geo_mean(n)"]["bytes"].is_string(),
        "{group}"
    );
}

fn heartbeat(log: &MemoryLog, device: &str, second: i64) {
    let row: Row = vec![Value::from(device), Value::Timestamp(second * 1_000_000)];
    log.append(0, Ok(row));
}

#[test]
fn values_and_timers_of_a_processor_go_on_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = Field::nullable("at", DataType::Timestamp);
    let columns = Schema::new([Field::nullable("device", DataType::String), at]);
    let log = MemoryLog::new("heartbeats", columns, 1);
    let run = || {
        let silent = MemorySink::default();
        let pipeline = own_processor::heartbeats(&log, &silent)
            .set("checkpointLocation", folder.path().to_str().unwrap());
        let ended = Job::named("devices").pipeline(pipeline).run().unwrap();
        (silent.rows(), ended.queries[0].records_in)
    };
    heartbeat(&log, "door", 0);
    heartbeat(&log, "lamp", 10);
    heartbeat(&log, "door", 20);
    assert_eq!(run(), (vec![], 3));
    // Lamp's timer of the first run is reached; door's is not.
    heartbeat(&log, "roof", 76);
    assert_eq!(
        run(),
        (vec![vec![Value::from("lamp"), Value::BigInt(1)]], 1)
    );
    heartbeat(&log, "roof", 90);
    assert_eq!(
        run(),
        (vec![vec![Value::from("door"), Value::BigInt(2)]], 1)
    );
    let rows = dumped(folder.path());
    let [roof] = &rows[..] else {
        panic!("{rows:?}");
    };
    assert_eq!(roof["what"], "key", "{roof}");
    assert_eq!(roof["key"], serde_json::json!({"device": "roof"}));
    assert_eq!(roof["value"]["heartbeats"], 2, "{roof}");
    let timers = serde_json::json!(["1970-01-01T00:02:30.000Z"]);
    assert_eq!(roof["event_timers"], timers, "{roof}");
    // Another meaning of the values is refused, not misread.
    let pipeline = Pipeline::new("silent")
        .set("checkpointLocation", folder.path().to_str().unwrap())
        .read_memory(&log)
        .key_by(["device"])
        .version(2)
        .process(
            "silence",
            [Field::required("heartbeats", DataType::BigInt)],
            [],
            || Reminder(Duration::ZERO),
        )
        .write_memory(&MemorySink::default());
    let refused = Job::named("devices").pipeline(pipeline).run().unwrap_err();
    assert!(refused.to_string().contains("version 2"), "{refused}");
}

/// Says the key again, so long after by the wall clock.
struct Reminder(Duration);

impl StatefulProcessor for Reminder {
    fn process(&mut self, _: &[Value], key: &mut Key<'_>) -> Result<(), RecordError> {
        let after = i64::try_from(self.0.as_micros()).unwrap();
        key.set_timer(Timer::Processing(key.now() + after));
        Ok(())
    }

    fn timer(&mut self, _: Timer, key: &mut Key<'_>) -> Result<(), RecordError> {
        let row = key.columns().to_vec();
        key.emit(&row)
    }
}

#[test]
fn a_timer_of_the_wall_clock_rings_although_no_record_comes_and_a_job_is_stopped_from_outside() {
    let log = numbers(&[("tea", 1)]);
    let (out, stop) = (MemorySink::default(), Stop::new());
    let pipeline = Pipeline::new("reminders")
        .read_memory(&log)
        .key_by(["name"])
        .process(
            "reminder",
            [],
            [Field::nullable("name", DataType::String)],
            || Reminder(Duration::ZERO),
        )
        .write_memory(&out);
    let job = Job::named("kitchen").pipeline(pipeline).until(&stop);
    let running = std::thread::spawn(|| job.run());
    let begun = Instant::now();
    while out.rows().is_empty() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
    stop.stop();
    let ended = running.join().unwrap().unwrap();
    assert_eq!(out.rows(), [[Value::from("tea")]]);
    assert_eq!(ended.queries[0].name, "reminders");
}

#[test]
fn a_timer_that_came_due_while_nothing_ran_is_called_before_its_key_is_forgotten_for_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let log = numbers(&[("tea", 1)]);
    let run = || {
        let out = MemorySink::default();
        let pipeline = Pipeline::new("reminders")
            .set("trigger", "available now")
            .set("checkpointLocation", folder.path().to_str().unwrap())
            .read_memory(&log)
            .key_by(["name"])
            .ttl(Duration::from_secs(2))
            .process(
                "later",
                [],
                [Field::nullable("name", DataType::String)],
                || Reminder(Duration::from_secs(1)),
            )
            .write_memory(&out);
        Job::named("kitchen").pipeline(pipeline).run().unwrap();
        out.rows()
    };
    assert!(run().is_empty());
    // Time is what is asked about: longer than the key is kept.
    std::thread::sleep(Duration::from_secs(4));
    log.append(0, Ok(vec![Value::from("milk"), Value::Int(2)]));
    assert_eq!(run(), [[Value::from("tea")]]);
}

#[test]
fn sql_and_pipelines_are_queries_of_one_job_and_are_checked_together() {
    let log = numbers(&[("a", 1), ("b", 2)]);
    let (sql, rust) = (MemorySink::default(), MemorySink::default());
    let pipeline = || {
        Pipeline::new("evens")
            .set("trigger", "available now")
            .read_memory(&log)
            .filter(|row| row[1].as_i64().is_some_and(|n| n % 2 == 0))
            .write_memory(&rust)
    };
    let both = || {
        job("INSERT INTO out SELECT n FROM numbers;")
            .input("numbers", &log)
            .output("out", &sql)
            .pipeline(pipeline())
    };
    let report = both().check().unwrap();
    assert!(
        report.contains("2 queries") && report.contains("filter"),
        "{report}"
    );
    let ended = both().run().unwrap();
    let names: Vec<&str> = ended
        .queries
        .iter()
        .map(|query| query.name.as_str())
        .collect();
    assert_eq!(names, ["out", "evens"]);
    assert_eq!((sql.rows().len(), rust.rows().len()), (2, 1));
    let why = refused(both().pipeline(pipeline()));
    assert_eq!(why, "two queries are called `evens`");
}
