//! What `check --keys --rate` says, against what the steps say when they really hold so many keys.
#![allow(clippy::unwrap_used)] // In the stage that all tests share, not only in tests.

mod lane;

use lane::lane;
use thalweg_operators::plan::Load;

/// Numbers that look like chance.
fn scatter(number: u64) -> u64 {
    let x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 16
}

fn time(millis: u64) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!(
        "2024-01-{:02}T{hour:02}:{minute:02}:{:02}.{millis:03}Z",
        1 + seconds / 86_400,
        seconds % 60
    )
}

/// Sends `rows` rows to the tables, over keys by chance, at this rate; gives the most that the step kept, and what was said.
fn filled(query: &str, tables: &[&str], rows: u64, load: Load) -> (f64, f64) {
    let mut lane = lane(query);
    let said = lane.query.footprint(load).unwrap();
    let mut most = 0;
    for number in 0..rows {
        let key = scatter(number) % load.keys;
        let at = time(number * 1000 / load.rate);
        for table in tables {
            let value = if *table == "b" { "y" } else { "x" };
            let row = match *table {
                "c" => format!(r#"{{"id":"{number:016}","name":"{number:016}","n":1}}"#),
                _ => format!(
                    r#"{{"k":"{key:016}","{value}":{},"at":"{at}"}}"#,
                    number % 1000
                ),
            };
            lane.send(table, &row);
        }
        if number % 1000 == 0 {
            lane.pipeline.save();
            let sizes = lane.pipeline.sizes().map(|(_, size)| size.bytes);
            most = most.max(sizes.sum());
        }
    }
    let said: u64 = said.iter().map(|step| step.bytes).sum();
    (said as f64, most as f64)
}

fn near(query: &str, tables: &[&str], rows: u64, load: Load) {
    let (said, is) = filled(query, tables, rows, load);
    assert!(
        said < 1.3 * is && is < 1.3 * said,
        "said {said}, is {is}: {query}"
    );
}

const LOAD: Load = Load {
    keys: 10_000,
    rate: 50,
};

#[test]
fn groups_take_what_was_said() {
    near(
        "SET outputMode = 'update'; SELECT k, count(*), sum(x) FROM a GROUP BY k",
        &["a"],
        50_000,
        LOAD,
    );
    // Ten minutes of 50 rows a second: each key three times in a window.
    near(
        "SELECT k, max(at), approx_count_distinct(x) FROM a GROUP BY k, window(at, '10 minutes')",
        &["a"],
        60_000,
        LOAD,
    );
    near(
        "SELECT k, sum(x) FROM a GROUP BY k, window(at, '10 minutes', '5 minutes')",
        &["a"],
        60_000,
        LOAD,
    );
}

#[test]
fn frames_take_what_was_said() {
    let frame = "RANGE BETWEEN INTERVAL 20 MINUTES PRECEDING AND CURRENT ROW";
    let query = format!("SELECT k, sum(x) OVER (PARTITION BY k ORDER BY at {frame}) FROM a");
    near(&query, &["a"], 100_000, LOAD);
    near(
        &format!("SET frameStep = '1 minute'; {query}"),
        &["a"],
        100_000,
        LOAD,
    );
    let few = Load { keys: 20, rate: 30 };
    near(&query, &["a"], 50_000, few);
    near(
        &format!("SET frameStep = '1 minute'; {query}"),
        &["a"],
        50_000,
        few,
    );
    near(
        "SELECT k, lag(x, 3) OVER (PARTITION BY k ORDER BY at) FROM a",
        &["a"],
        75_000,
        LOAD,
    );
    near(
        "SELECT k, sum(x) OVER (PARTITION BY k), max(k) OVER (PARTITION BY k) FROM a",
        &["a"],
        50_000,
        LOAD,
    );
}

#[test]
fn keys_and_joins_take_what_was_said() {
    near("SELECT DISTINCT k FROM a", &["a"], 100_000, LOAD);
    near(
        "SELECT a.x, b.y FROM a JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + INTERVAL 5 MINUTES",
        &["a", "b"],
        30_000,
        LOAD,
    );
    let table = Load {
        keys: 10_000,
        rate: 1,
    };
    near(
        "SELECT a.x, c.name FROM a JOIN c ON a.k = c.id",
        &["c"],
        10_001,
        table,
    );
}

#[test]
fn a_key_with_more_rows_than_a_frame_may_hold_is_told() {
    let lane = lane(
        "SET frameRowsMax = 1000;
         SELECT sum(x) OVER (PARTITION BY k ORDER BY at RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW) FROM a",
    );
    let said = lane
        .query
        .footprint(Load {
            keys: 10,
            rate: 100,
        })
        .unwrap();
    assert_eq!(
        said[0].notes,
        [
            "36000 rows of each key in the longest frame",
            "more than frameRowsMax, 1000: the records of such a key fail"
        ]
    );
}
