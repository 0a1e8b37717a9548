//! Joins from the job file to their rows: records of two inputs go through a whole lane, with its watermark.
#![allow(clippy::unwrap_used)] // In the stage that all tests share, not only in tests.

mod lane;

use lane::lane;
use thalweg_operators::sql::{Overrides, load};

const NOTHING: [&str; 0] = [];

#[test]
fn a_left_join_gives_pairs_at_once_and_the_rest_when_the_watermark_has_passed() {
    let mut lane = lane(
        "SELECT a.x, b.y FROM a LEFT JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + INTERVAL 10 MINUTES AND a.x <> 9",
    );
    assert_eq!(lane.a("u", 1, 0), NOTHING);
    assert_eq!(lane.b("u", 7, 5), [r#"{"x":1,"y":7}"#]);
    assert_eq!(lane.a("v", 2, 1), NOTHING);
    // Its own condition does not hold: nothing can come for it.
    assert_eq!(lane.a("u", 9, 2), [r#"{"x":9}"#]);
    assert_eq!(lane.b("v", 8, 20), NOTHING);
    // Only now is it sure that nothing comes for the second row: both inputs are past it.
    assert_eq!(lane.a("w", 3, 12), [r#"{"x":2}"#]);
    assert_eq!(lane.a("w", 4, 30), NOTHING);
    assert_eq!(lane.late, 0);
}

#[test]
fn types_are_cast_to_a_common_one_and_where_is_asked_early() {
    let mut lane = lane(
        "SELECT a.k, b.y FROM a, b WHERE a.x = b.y AND b.at >= a.at - INTERVAL 1 HOUR AND a.at >= b.at AND a.k > 'b' AND b.k <> a.k",
    );
    assert!(lane.query.gather());
    assert_eq!(lane.b("q", 5, 0), NOTHING);
    assert_eq!(lane.a("a", 5, 1), NOTHING);
    assert_eq!(lane.a("q", 5, 1), NOTHING);
    assert_eq!(lane.a("r", 5, 1), [r#"{"k":"r","y":5}"#]);
}

#[test]
fn rows_that_are_too_far_apart_are_asked_nothing_else() {
    let mut lane = lane(
        "SELECT a.x, b.y FROM a JOIN b ON a.k = b.k AND 1 / (a.x - b.y) < 2
           AND b.at BETWEEN a.at - INTERVAL 2 MINUTES AND a.at + INTERVAL 2 MINUTES",
    );
    assert_eq!(lane.a("u", 1, 10), NOTHING);
    assert_eq!(lane.a("u", 2, 12), NOTHING);
    // With the first row it would be a division by zero.
    assert_eq!(lane.b("u", 1, 13), [r#"{"x":2,"y":1}"#]);
    assert_eq!(lane.b("u", 0, 12), [r#"{"x":1,"y":0}"#, r#"{"x":2,"y":0}"#]);
}

#[test]
fn a_full_join_using_has_the_column_of_either_side() {
    let mut lane = lane("SELECT k, x, y FROM a FULL JOIN b USING (k, at)");
    lane.a("l", 1, 1);
    lane.b("r", 2, 1);
    lane.a("both", 3, 2);
    assert_eq!(
        lane.b("both", 4, 2),
        [
            r#"{"k":"both","x":3,"y":4}"#,
            r#"{"k":"l","x":1}"#,
            r#"{"k":"r","y":2}"#
        ]
    );
}

#[test]
fn what_using_has_joined_is_still_there_behind_each_table() {
    let mut lane = lane("SELECT a.k AS l, b.k AS r, x, y FROM a FULL JOIN b USING (k, at)");
    lane.a("l", 1, 1);
    lane.b("r", 2, 1);
    lane.a("both", 3, 2);
    assert_eq!(
        lane.b("both", 4, 2),
        [
            r#"{"l":"both","r":"both","x":3,"y":4}"#,
            r#"{"l":"l","x":1}"#,
            r#"{"r":"r","y":2}"#
        ]
    );
}

#[test]
fn rows_without_a_partner_are_found_by_the_other_tables_key() {
    let mut lane =
        lane("SELECT x, b.* FROM a LEFT JOIN b USING (k, at) WHERE b.k IS NULL OR x > 2");
    lane.a("l", 1, 1);
    lane.a("m", 2, 1);
    lane.b("m", 7, 1);
    lane.a("both", 3, 2);
    // The other table's star begins with what USING names.
    assert_eq!(
        lane.b("both", 4, 2),
        [
            r#"{"x":3,"k":"both","at":"2024-01-01T00:02:00.000Z","y":4}"#,
            r#"{"x":1}"#,
        ]
    );
}

#[test]
fn windows_behind_a_join_wait_for_rows_that_wait_in_it() {
    let mut lane = lane(
        "SELECT window.start AS s, count(*) AS n FROM a JOIN b ON a.k = b.k AND a.at BETWEEN b.at - INTERVAL 30 MINUTES AND b.at
         GROUP BY window(a.at, '10 minutes')",
    );
    lane.a("u", 1, 5);
    lane.a("w", 2, 40);
    // 35 minutes later the pair still comes, for a window that the watermark has passed.
    assert_eq!(lane.b("u", 1, 35), NOTHING);
    assert_eq!(lane.b("x", 1, 39), NOTHING);
    assert_eq!(lane.a("w", 3, 60), NOTHING);
    assert_eq!(
        lane.b("x", 1, 60),
        [r#"{"s":"2024-01-01T00:00:00.000Z","n":1}"#]
    );
    assert_eq!(lane.late, 0);
}

#[test]
fn a_table_answers_from_what_it_is_and_a_tombstone_deletes() {
    let mut lane = lane(
        "SELECT a.x, c.name FROM (SELECT id, name FROM c WHERE n > 0) AS c RIGHT JOIN a ON a.k = c.id",
    );
    assert_eq!(lane.a("u", 1, 0), [r#"{"x":1}"#]);
    assert_eq!(lane.send("c", r#"{"id":"u","name":"Ada","n":1}"#), NOTHING);
    assert_eq!(lane.a("u", 2, 0), [r#"{"x":2,"name":"Ada"}"#]);
    // A row that its view leaves out is not the older one that it did not.
    lane.send("c", r#"{"id":"u","name":"Bob","n":0}"#);
    assert_eq!(lane.a("u", 3, 0), [r#"{"x":3}"#]);
    lane.send("c", r#"{"id":"u","name":"Cyd","n":2}"#);
    assert_eq!(lane.a("u", 4, 0), [r#"{"x":4,"name":"Cyd"}"#]);
    lane.send("c", r#"{"id":"u","deleted":true}"#);
    assert_eq!(lane.a("u", 5, 0), [r#"{"x":5}"#]);
}

#[test]
fn several_joins_in_a_row_are_steps_of_their_own_names() {
    let mut lane = lane(
        "SELECT a.x, b.y, c.name FROM a JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + INTERVAL 5 MINUTES
         JOIN c ON c.id = b.k WHERE c.n = 1 AND a.x < 100",
    );
    lane.send("c", r#"{"id":"u","name":"Ada","n":1}"#);
    lane.a("u", 1, 0);
    lane.a("u", 100, 0);
    assert_eq!(lane.b("u", 2, 1), [r#"{"x":1,"y":2,"name":"Ada"}"#]);
    let names: Vec<&str> = (lane.query.steps.iter())
        .map(|step| step.name.as_str())
        .filter(|name| name.starts_with("join"))
        .collect();
    assert_eq!(names, ["join b on k", "join c on id"]);
}

/// Why a query over two streams and a table gathers. Each comes with how its declaration ends.
fn gathers(s: &str, t: &str, c: &str, query: &str) -> Option<String> {
    let kafka = "USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', format 'json', subscribe";
    let text = format!(
        "CREATE TABLE s (k STRING, l STRING, x INT, at TIMESTAMP) {kafka} 's'{s} WATERMARK at DELAY OF INTERVAL 1 MINUTE;
         CREATE TABLE t (k STRING, l STRING, y INT, at TIMESTAMP) {kafka} 't'{t} WATERMARK at DELAY OF INTERVAL 1 MINUTE;
         CREATE TABLE c (id STRING PRIMARY KEY, name STRING) {kafka} 'c'{c};
         {query};"
    );
    let job = load(&text, &Overrides::default(), &|_| None).map_err(|e| e.render("job.sql", &text));
    let query = job
        .unwrap_or_else(|error| panic!("{error}"))
        .queries
        .remove(0);
    assert_ne!(query.gather(), query.by_number());
    assert_eq!(query.by_number(), query.keeps_state_by_partition());
    query.gathers_because().map(str::to_owned)
}

const BY_K: &str = ") PARTITIONED BY (k)";
const BY_ID: &str = ") PARTITIONED BY (id)";
const PAIRS: &str =
    "SELECT s.x, t.y FROM s JOIN t ON s.k = t.k AND t.at BETWEEN s.at AND s.at + INTERVAL 1 HOUR";

#[test]
fn a_join_stays_in_its_partition_where_its_sides_are_partitioned_by_its_key() {
    let by = |s: &str, t: &str, query: &str| gathers(s, t, BY_ID, query);
    assert_eq!(by(BY_K, BY_K, PAIRS), None);
    assert_eq!(by(BY_K, BY_K, &format!("{PAIRS} AND s.l = t.l")), None);
    let both = ") PARTITIONED BY (k, l)";
    assert_eq!(by(both, both, &format!("{PAIRS} AND s.l = t.l")), None);
    let table = "SELECT s.x, c.name FROM s LEFT JOIN c ON c.id = s.k";
    assert_eq!(by(BY_K, BY_K, table), None);
    let all = format!(
        "SELECT p.x, c.name FROM ({} ) AS p JOIN c ON c.id = p.k",
        PAIRS.replace("s.x", "s.x, s.k")
    );
    assert_eq!(by(BY_K, BY_K, &all), None);
    let union = "SELECT s.x, c.name FROM (SELECT k, x FROM s UNION ALL SELECT k, y AS x FROM t) AS s JOIN c ON c.id = s.k";
    assert_eq!(by(BY_K, BY_K, union), None);
    let counted = format!(
        "SELECT k, window.start AS w, count(*) AS n FROM ({}) GROUP BY k, window(at, '1 minute')",
        PAIRS.replace("s.x", "s.k, s.at, s.x")
    );
    assert_eq!(by(BY_K, BY_K, &counted), None);
    let murmur = ", partitioner 'murmur2') PARTITIONED BY (k)";
    assert_eq!(by(murmur, murmur, PAIRS), None);
    assert_eq!(by(murmur, BY_K, PAIRS), None, "what is not said is trusted");
}

#[test]
fn a_join_gathers_and_says_why_where_its_rows_may_lie_apart() {
    #[track_caller]
    fn gathered(s: &str, t: &str, query: &str, why: &str) {
        assert_eq!(gathers(s, t, BY_ID, query).as_deref(), Some(why));
    }
    let not_equal = "the join with t does not ask that what its sides are PARTITIONED BY is equal";
    gathered(")", BY_K, PAIRS, "`s` is not PARTITIONED BY anything");
    gathered(BY_K, ") PARTITIONED BY (l)", PAIRS, not_equal);
    let both = ") PARTITIONED BY (k, l)";
    gathered(both, both, PAIRS, not_equal);
    let turned = format!("{PAIRS} AND s.l = t.l");
    gathered(both, ") PARTITIONED BY (l, k)", &turned, not_equal);
    gathered(
        both,
        BY_K,
        &turned,
        "its inputs are PARTITIONED BY different numbers of columns",
    );
    gathered(BY_K, BY_K, &PAIRS.replace("s.k", "upper(s.k)"), not_equal);
    gathered(
        ", partitioner 'murmur2') PARTITIONED BY (k)",
        ", partitioner 'crc32') PARTITIONED BY (k)",
        PAIRS,
        "the partitioner of `s` is murmur2, that of `t` crc32",
    );
    // Rows without a partner lie anywhere by the other side's key.
    let left = format!(
        "SELECT k, window.start AS w, count(*) AS n FROM ({}) GROUP BY k, window(at, '1 minute')",
        PAIRS
            .replace("s.x", "t.k, s.at")
            .replace("JOIN", "LEFT JOIN")
            .replace("t.y", "1 AS y"),
    );
    gathered(
        BY_K,
        BY_K,
        &left,
        "a step with state has not all columns among its keys that its inputs are PARTITIONED BY",
    );
}

#[test]
fn a_stream_is_joined_with_itself_and_read_once() {
    let mut lane = lane(
        "SELECT l.x AS first, r.x AS next FROM a l JOIN a r ON l.k = r.k AND r.at > l.at AND r.at <= l.at + INTERVAL 10 MINUTES",
    );
    assert_eq!(lane.query.inputs().count(), 1);
    assert_eq!(lane.a("u", 1, 0), NOTHING);
    assert_eq!(lane.a("u", 2, 3), [r#"{"first":1,"next":2}"#]);
    assert_eq!(lane.a("v", 3, 4), NOTHING);
    // One row is the partner of two, and of none that is older than ten minutes.
    assert_eq!(lane.a("u", 4, 12), [r#"{"first":2,"next":4}"#]);
    assert_eq!(
        lane.a("u", 5, 13),
        [r#"{"first":2,"next":5}"#, r#"{"first":4,"next":5}"#]
    );
    assert_eq!(lane.late, 0);
}

#[test]
fn a_row_meets_itself_where_nothing_says_that_it_must_not() {
    let mut lane = lane("SELECT l.x AS l, r.x AS r FROM a l JOIN a r USING (k, at)");
    assert_eq!(lane.a("u", 1, 0), [r#"{"l":1,"r":1}"#]);
    assert_eq!(
        lane.a("u", 2, 0),
        [r#"{"l":2,"r":1}"#, r#"{"l":1,"r":2}"#, r#"{"l":2,"r":2}"#]
    );
}

#[test]
fn a_table_of_keys_answers_in_two_places_with_the_columns_of_each() {
    let mut lane = lane(
        "SELECT a.x, c1.name AS own, c2.n AS other FROM a LEFT JOIN c c1 ON a.k = c1.id LEFT JOIN c c2 ON c2.id = c1.name",
    );
    lane.send("c", r#"{"id":"u","name":"v","n":1}"#);
    lane.send("c", r#"{"id":"v","name":"w","n":2}"#);
    assert_eq!(lane.a("u", 1, 0), [r#"{"x":1,"own":"v","other":2}"#]);
    lane.send("c", r#"{"id":"v","deleted":true}"#);
    assert_eq!(lane.a("u", 2, 0), [r#"{"x":2,"own":"v"}"#]);
    let names = lane.query.steps.iter().map(|step| step.name.as_str());
    let joins: Vec<&str> = names.filter(|name| name.starts_with("join")).collect();
    assert_eq!(joins, ["join c on id", "join c on id (2)"]);
}

#[test]
fn rows_of_one_table_go_through_different_state() {
    let mut lane = lane(
        "SELECT k, count(*) AS n FROM a GROUP BY k, window(at, '10 minutes') UNION ALL SELECT DISTINCT k, 0 AS n FROM a WHERE x > 1",
    );
    assert_eq!(lane.a("u", 1, 0), NOTHING);
    assert_eq!(lane.a("u", 2, 1), [r#"{"k":"u","n":0}"#]);
    assert_eq!(lane.a("u", 1, 10), [r#"{"k":"u","n":2}"#]);
}
