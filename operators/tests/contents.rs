//! What lies in the state of each step, read back from what a cut saves with nothing but what its checkpoint says.
#![allow(clippy::unwrap_used)] // In the stage that all tests share, not only in tests.

mod lane;

use std::collections::BTreeMap;

use lane::{Lane, at, lane};
use thalweg_operators::codecs::json::Objects;
use thalweg_operators::plan::contents_of;

/// What the next cut of the lane holds, step by step: key, value, and what is known beside.
fn contents(lane: &mut Lane) -> Vec<String> {
    // As a checkpoint holds it: as text.
    let noted = serde_json::from_str(&lane.query.noted().to_string()).unwrap();
    let mut lines = Vec::new();
    for (step, changes) in lane.pipeline.save() {
        let mut reader = contents_of(&noted, &step).unwrap().reader();
        let forms = reader.forms().to_vec();
        // A key that changed again stands there again: the last one holds.
        let saved: BTreeMap<_, _> = changes.entries.iter().collect();
        for (key, value) in saved {
            let read = reader.entry(&changes.layout, key, value.unwrap(), &mut |shown| {
                let form = &forms[shown.form];
                let mut line = form.what.as_bytes().to_vec();
                line.push(b' ');
                Objects::new(&form.key).append(shown.key, &mut line);
                line.push(b' ');
                Objects::new(&form.value).append(shown.value, &mut line);
                Objects::new(&form.about).append_known(shown.about, &mut line);
                lines.push(String::from_utf8(line).unwrap());
            });
            assert!(read.is_some(), "{step}: {key:?}");
        }
    }
    lines
}

#[test]
fn groups_show_their_results_so_far() {
    let mut lane = lane(
        "SET outputMode = 'update';
         SELECT k, count(*), avg(x), collect_set(x), approx_count_distinct(x), count(DISTINCT x), max_by(x, at) FROM a GROUP BY k",
    );
    for (k, x) in [("u", 1), ("u", 2), ("v", 7), ("u", 2)] {
        lane.a(k, x, 0);
    }
    assert_eq!(
        contents(&mut lane),
        [
            r#"group {"k":"u"} {"count(*)":3,"avg(x)":1.6666666666666667,"collect_set(x)":[1,2],"approx_count_distinct(x)":2,"count(DISTINCT x)":2,"max_by(x, at)":2}"#,
            r#"group {"k":"v"} {"count(*)":1,"avg(x)":7.0,"collect_set(x)":[7],"approx_count_distinct(x)":1,"count(DISTINCT x)":1,"max_by(x, at)":7}"#,
        ]
    );
    // A group that has not changed is not in the next cut.
    lane.a("v", 1, 0);
    assert_eq!(contents(&mut lane).len(), 1);
}

#[test]
fn a_window_shows_its_bounds_and_a_pane_which_windows_do_not_have_it() {
    let mut windows =
        lane("SELECT window.start, k, count(*) FROM a GROUP BY window(at, '10 minutes'), k");
    windows.a("u", 1, 5);
    assert_eq!(
        contents(&mut windows),
        [
            r#"group {"window":{"start":"2024-01-01T00:00:00.000Z","end":"2024-01-01T00:10:00.000Z"},"k":"u"} {"count(*)":1}"#
        ]
    );
    let mut panes =
        lane("SELECT window.start, sum(x) FROM a GROUP BY window(at, '10 minutes', '5 minutes')");
    panes.a("u", 1, 12);
    // For the window that ends at 10 minutes it is too late.
    panes.a("u", 4, 9);
    let shown = contents(&mut panes);
    assert_eq!(
        shown,
        [
            r#"group {"pane":{"start":"2024-01-01T00:10:00.000Z","end":"2024-01-01T00:15:00.000Z"}} {"sum(x)":1}"#,
            r#"group {"pane":{"start":"2024-01-01T00:05:00.000Z","end":"2024-01-01T00:10:00.000Z"}} {"sum(x)":4},"only_windows_after":"2024-01-01T00:10:00.000Z""#,
        ]
    );
}

#[test]
fn a_session_shows_how_far_it_reaches() {
    let mut lane = lane(
        "SELECT session_window.start, k, count(*) FROM a GROUP BY session_window(at, '5 minutes'), k",
    );
    lane.a("u", 1, 5);
    lane.a("u", 1, 8);
    assert_eq!(
        contents(&mut lane),
        [
            r#"group {"session_window":{"start":"2024-01-01T00:05:00.000Z","end":"2024-01-01T00:13:00.000Z"},"k":"u"} {"count(*)":2}"#
        ]
    );
}

#[test]
fn over_shows_totals_and_the_rows_of_frames() {
    let mut lane = lane(
        "SELECT k, sum(x) OVER (PARTITION BY k), row_number() OVER (PARTITION BY k ORDER BY at),
           max(x) OVER (PARTITION BY k ORDER BY at RANGE BETWEEN INTERVAL 10 MINUTES PRECEDING AND CURRENT ROW) FROM a",
    );
    lane.a("u", 3, 1);
    lane.a("u", 5, 2);
    let shown = contents(&mut lane);
    assert_eq!(
        shown,
        [
            r#"total {"k":"u"} {"sum(x)":8}"#,
            r#"total {"k":"u"} {"row_number()":2}"#,
            r#"row {"k":"u"} {"at":"2024-01-01T00:01:00.000Z","x":3}"#,
            r#"row {"k":"u"} {"at":"2024-01-01T00:02:00.000Z","x":5}"#,
            r#"watermark {} {"watermark":"2024-01-01T00:02:00.000Z"}"#,
        ]
    );
}

#[test]
fn a_pane_shows_what_it_gives() {
    let mut lane = lane(
        "SET frameStep = '5 minutes';
         SELECT k, count(*) OVER hour AS n, max(x) OVER hour AS most FROM a
         WINDOW hour AS (PARTITION BY k ORDER BY at RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW)",
    );
    for (x, minute) in [(3, 1), (9, 2), (5, 7)] {
        lane.a("u", x, minute);
    }
    assert_eq!(lane.a("u", 1, 8), [r#"{"k":"u","n":4,"most":9}"#]);
    let hour = "RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW";
    let line = |at: &str, n: i32, most: i32| {
        format!(
            r#"pane {{"k":"u"}} {{"at":"2024-01-01T00:{at}:00.000Z","count(*) {hour}":{n},"max(x) {hour}":{most}}}"#
        )
    };
    let shown = contents(&mut lane);
    assert_eq!(
        shown[..3],
        [line("00", 2, 9), line("07", 1, 5), line("08", 1, 1)]
    );
}

#[test]
fn a_distinct_key_shows_until_when_it_is_remembered() {
    let mut lane =
        lane("SELECT DISTINCT ON (k) k FROM (SELECT k, at FROM a UNION ALL SELECT k, at FROM b)");
    lane.a("u", 3, 1);
    lane.send("a", &format!(r#"{{"x":4,"at":"{}"}}"#, at(2)));
    assert_eq!(
        contents(&mut lane),
        [
            r#"key {"k":null} {},"until":"2024-01-01T00:02:00.000Z""#,
            r#"key {"k":"u"} {},"until":"2024-01-01T00:01:00.000Z""#,
        ]
    );
}

#[test]
fn rows_that_wait_in_a_join_show_whether_they_had_a_partner() {
    let mut lane = lane(
        "SELECT a.x, b.y FROM a LEFT JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + INTERVAL 10 MINUTES",
    );
    lane.a("u", 1, 0);
    lane.a("v", 2, 1);
    lane.b("u", 7, 1);
    assert_eq!(
        contents(&mut lane),
        [
            r#"left row {"k":"u"} {"x":1,"at":"2024-01-01T00:00:00.000Z"},"time":"2024-01-01T00:00:00.000Z","had_partner":true"#,
            r#"right row {"k":"u"} {"y":7,"at":"2024-01-01T00:01:00.000Z"},"time":"2024-01-01T00:01:00.000Z""#,
            r#"left row {"k":"v"} {"x":2,"at":"2024-01-01T00:01:00.000Z"},"time":"2024-01-01T00:01:00.000Z","had_partner":false"#,
        ]
    );
}

#[test]
fn a_keyed_table_and_a_limit_are_shown() {
    let mut table = lane("SELECT a.x, c.name FROM a LEFT JOIN c ON a.k = c.id");
    table.send("c", r#"{"id":"u","name":"Ada","n":1}"#);
    assert_eq!(contents(&mut table), [r#"row {"id":"u"} {"name":"Ada"}"#]);
    let mut limit = lane("SELECT x FROM a LIMIT 5");
    limit.a("u", 1, 0);
    assert_eq!(contents(&mut limit), [r#"count {} {"rows":1}"#]);
}

#[test]
fn a_checkpoint_without_a_word_on_its_state_is_no_reason_to_guess() {
    let lane = lane("SELECT DISTINCT k FROM a");
    let identity = lane.query.identity();
    assert!(contents_of(&identity, "distinct by k").is_none());
    assert!(contents_of(&lane.query.noted(), "distinct by k").is_some());
}
