//! GROUP BY as stories: the workbench's worlds for each form and mode.

use thalweg_engine::operator::Progress;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::testing::{self, Action, assert_operator};

use super::aggregate::Aggregate;
use super::grouping::{Emits, Grouping, Over, Shape};
use super::model::grouping;
use crate::transforms::stage::Collected;

pub(super) const TUMBLING: Shape = Shape::Fixed {
    size: 10,
    slide: 10,
    start: 0,
};
pub(super) const SLIDING: Shape = Shape::Fixed {
    size: 10,
    slide: 5,
    start: 0,
};

pub(super) fn row(key: i64, value: i64, time: i64) -> Row {
    vec![
        Value::BigInt(key),
        Value::BigInt(value),
        Value::Timestamp(time),
        Value::BigInt(4),
    ]
}

fn input(key: i64, value: i64, time: i64) -> Action {
    Action::Row(row(key, value, time))
}

/// What comes out of `count(*), sum(v)`.
pub(super) fn output(key: i64, window: Option<(i64, i64)>, count: i64, sum: i64) -> Row {
    let mut row = vec![Value::BigInt(key)];
    row.extend(
        window.map(|(a, b)| Value::Struct([Value::Timestamp(a), Value::Timestamp(b)].into())),
    );
    row.extend([Value::BigInt(count), Value::BigInt(sum)]);
    row
}

pub(super) fn counts(shape: Option<Shape>, emits: Emits, over: Over) -> Grouping {
    let mut grouping = grouping(shape, emits, over);
    grouping.aggregates.truncate(2);
    grouping
}

fn check(grouping: &Grouping, actions: &[Action], expected: &[Vec<Row>]) {
    let expected: Vec<_> = expected.iter().cloned().map(Ok).collect();
    assert_operator(|| Aggregate::new(grouping.clone()), actions, &expected);
}

#[test]
fn update_at_once_answers_each_row() {
    check(
        &counts(None, Emits::UpdateAtOnce, Over::Never),
        &[
            input(1, 5, 0),
            input(2, 7, 0),
            input(1, -5, 0),
            Action::Tick(1),
        ],
        &[
            vec![output(1, None, 1, 5)],
            vec![output(2, None, 1, 7)],
            vec![output(1, None, 2, 0)],
            vec![],
        ],
    );
}

#[test]
fn update_with_a_trigger_gives_what_changed_since_the_last_one() {
    check(
        &counts(None, Emits::UpdateAtTrigger, Over::Never),
        &[
            input(1, 5, 0),
            input(2, 7, 0),
            input(1, 1, 0),
            Action::Tick(1),
            Action::Tick(2),
            input(2, 1, 0),
            Action::Tick(3),
        ],
        &[
            vec![],
            vec![],
            vec![],
            vec![output(1, None, 2, 6), output(2, None, 1, 7)],
            vec![],
            vec![],
            vec![output(2, None, 2, 8)],
        ],
    );
}

#[test]
fn complete_gives_the_whole_table_at_each_trigger() {
    check(
        &counts(None, Emits::Complete, Over::Never),
        &[
            Action::Tick(0),
            input(2, 7, 0),
            input(1, 5, 0),
            Action::Tick(1),
            Action::Tick(2),
        ],
        &[
            vec![],
            vec![],
            vec![],
            vec![output(2, None, 1, 7), output(1, None, 1, 5)],
            vec![output(2, None, 1, 7), output(1, None, 1, 5)],
        ],
    );
}

#[test]
fn an_aggregate_over_everything_has_a_result_when_there_is_nothing() {
    let mut all = counts(None, Emits::Complete, Over::Never);
    all.keys.clear();
    let nothing = vec![Value::BigInt(0), Value::Null];
    let two = vec![Value::BigInt(2), Value::BigInt(12)];
    check(
        &all,
        &[
            Action::Tick(0),
            input(2, 7, 0),
            input(1, 5, 0),
            Action::Tick(1),
        ],
        &[vec![nothing], vec![], vec![], vec![two]],
    );
}

#[test]
fn append_emits_a_window_once_and_drops_what_comes_after() {
    let first = || output(1, Some((0, 10)), 2, 12);
    check(
        &counts(Some(TUMBLING), Emits::Append, Over::Window),
        &[
            input(1, 5, 3),
            input(2, 1, 15),
            input(1, 7, 9),
            Action::Watermark(9),
            Action::Watermark(10),
            input(1, 100, 4),
            input(1, 1, 19),
            Action::Tick(1),
            Action::Watermark(30),
        ],
        &[
            vec![],
            vec![],
            vec![],
            vec![],
            vec![first()],
            vec![],
            vec![],
            vec![],
            vec![
                output(2, Some((10, 20)), 1, 1),
                output(1, Some((10, 20)), 1, 1),
            ],
        ],
    );
}

#[test]
fn a_row_counts_in_the_sliding_windows_that_are_open() {
    check(
        &counts(Some(SLIDING), Emits::Append, Over::Window),
        &[
            input(1, 5, 7),
            Action::Watermark(11),
            // Too late for the window that ended at 10, not for the next.
            input(1, 2, 8),
            input(1, 1, 3),
            Action::Watermark(40),
        ],
        &[
            vec![],
            vec![output(1, Some((0, 10)), 1, 5)],
            vec![],
            vec![],
            vec![output(1, Some((5, 15)), 2, 7)],
        ],
    );
}

#[test]
fn sliding_windows_in_the_other_modes() {
    let actions = [
        input(1, 5, 7),
        input(2, 3, 12),
        Action::Tick(1),
        input(1, 1, 12),
        Action::Tick(2),
    ];
    let a = |count, sum| output(1, Some((5, 15)), count, sum);
    check(
        &counts(Some(SLIDING), Emits::UpdateAtTrigger, Over::Window),
        &actions,
        &[
            vec![],
            vec![],
            vec![
                output(1, Some((0, 10)), 1, 5),
                a(1, 5),
                output(2, Some((5, 15)), 1, 3),
                output(2, Some((10, 20)), 1, 3),
            ],
            vec![],
            vec![a(2, 6), output(1, Some((10, 20)), 1, 1)],
        ],
    );
    let table = |second: Row, last: Option<Row>| {
        let mut rows = vec![
            output(1, Some((0, 10)), 1, 5),
            second,
            output(2, Some((5, 15)), 1, 3),
            output(2, Some((10, 20)), 1, 3),
        ];
        rows.extend(last);
        rows
    };
    check(
        &counts(Some(SLIDING), Emits::Complete, Over::Never),
        &actions,
        &[
            vec![],
            vec![],
            table(a(1, 5), None),
            vec![],
            table(a(2, 6), Some(output(1, Some((10, 20)), 1, 1))),
        ],
    );
}

#[test]
fn a_late_row_joins_two_sessions_and_a_session_ends_a_gap_after_its_last_row() {
    check(
        &counts(Some(Shape::Session { gap: 3 }), Emits::Append, Over::Window),
        &[
            input(1, 5, 10),
            input(1, 6, 20),
            input(2, 1, 12),
            input(1, 7, 15),
            Action::Watermark(15),
            input(1, 8, 16),
            Action::Watermark(24),
        ],
        &[
            vec![],
            vec![],
            vec![],
            vec![],
            vec![output(1, Some((10, 14)), 1, 5)],
            vec![],
            vec![
                output(2, Some((12, 16)), 1, 1),
                output(1, Some((15, 24)), 3, 21),
            ],
        ],
    );
}

#[test]
fn a_group_by_the_event_time_itself_is_over_when_the_watermark_has_reached_it() {
    let mut by_time = counts(None, Emits::Append, Over::Key(1));
    by_time
        .keys
        .push(thalweg_engine::schema::DataType::Timestamp);
    by_time.aggregates.truncate(1);
    let timed = |time: i64| Action::Row(vec![Value::BigInt(1), Value::Timestamp(time)]);
    let gone = |time, count| {
        vec![
            Value::BigInt(1),
            Value::Timestamp(time),
            Value::BigInt(count),
        ]
    };
    check(
        &by_time,
        &[
            timed(10),
            timed(20),
            timed(10),
            Action::Watermark(10),
            timed(10),
            Action::Watermark(20),
        ],
        &[
            vec![],
            vec![],
            vec![],
            vec![gone(10, 2)],
            vec![],
            vec![gone(20, 1)],
        ],
    );
}

#[test]
fn a_row_that_fails_leaves_nothing() {
    let most = i64::MAX;
    let grouping = counts(None, Emits::UpdateAtOnce, Over::Never);
    assert_operator(
        || Aggregate::new(grouping.clone()),
        &[input(1, most, 0), input(1, 1, 0), input(1, -1, 0)],
        &[
            Ok(vec![output(1, None, 1, most)]),
            Err("expression"),
            Ok(vec![output(1, None, 2, most - 1)]),
        ],
    );
}

#[test]
fn results_carry_the_end_of_their_window() {
    for shape in [TUMBLING, SLIDING, Shape::Session { gap: 3 }] {
        let mut operator = Aggregate::new(counts(Some(shape), Emits::Append, Over::Window));
        let meta = testing::meta(0, 0, None);
        let mut out = Collected::default();
        operator.process(0, &row(1, 1, 6), &meta, &mut out).unwrap();
        operator.accept();
        operator.advance(100, &meta, &mut out).unwrap();
        assert_eq!(out.event_times[0], Some(9));
    }
}

/// A row whose window would begin before all times, or end behind them, fails; the others of its key are as if it had not come.
#[test]
fn windows_and_sessions_at_the_ends_of_all_times_are_errors_of_their_rows() {
    let session = Shape::Session { gap: 3 };
    for (shape, over) in [
        (TUMBLING, Over::Window),
        (SLIDING, Over::Window),
        (SLIDING, Over::Never),
        (session, Over::Window),
    ] {
        for emits in [Emits::UpdateAtOnce, Emits::UpdateAtTrigger, Emits::Append] {
            if emits == Emits::Append && over == Over::Never {
                continue;
            }
            let grouping = counts(Some(shape.clone()), emits, over);
            let mut operator = Aggregate::new(grouping);
            let mut collected = Collected::default();
            let mut failed = Vec::new();
            for time in [i64::MIN, 0, i64::MAX] {
                let meta = testing::meta(0, 0, Some(time));
                match operator.process(0, &row(1, 5, time), &meta, &mut collected) {
                    Ok(()) => operator.accept(),
                    Err(_) => {
                        operator.reject();
                        failed.push(time);
                    }
                }
            }
            // A session may begin with the first time of all.
            let first = [i64::MIN, i64::MAX];
            let first = if matches!(shape, Shape::Session { .. }) {
                &first[1..]
            } else {
                &first[..]
            };
            assert_eq!(failed, first, "{shape:?} {emits:?}");
            let meta = testing::meta(0, 0, None);
            for to in [i64::MIN, i64::MAX] {
                let mut progress = operator.tick(0, &meta, &mut collected).unwrap();
                while progress == Progress::More {
                    progress = operator.resume(&meta, &mut collected).unwrap();
                }
                progress = operator.advance(to, &meta, &mut collected).unwrap();
                while progress == Progress::More {
                    progress = operator.resume(&meta, &mut collected).unwrap();
                }
                operator.accept();
            }
            assert!(!collected.rows.is_empty(), "{shape:?} {emits:?}");
        }
    }
}
