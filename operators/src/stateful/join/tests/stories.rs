//! Stories: what a join says when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thalweg_engine::operator::{EXPIRE_CALLS, Operator};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};
use thalweg_engine::state::StateSize;
use thalweg_engine::testing::{Action, assert_operator, meta};

use super::super::Condition;
use super::{Bound, Kind, Side, StreamJoin, When, row, side, streams, table, within};

fn left(key: i64, time: i64, id: i64) -> Action {
    Action::RowOf(0, 0, None, row(Some(key), Some(time), id))
}

fn right(key: i64, time: i64, id: i64) -> Action {
    Action::RowOf(1, 0, None, row(Some(key), Some(time), id))
}

fn pair(left: Row, right: Row) -> Row {
    [left, right].concat()
}

fn nulls() -> Row {
    vec![Value::Null; 3]
}

fn tell(kind: Kind, story: &[(Action, Vec<Row>)]) {
    let actions: Vec<Action> = story.iter().map(|(action, _)| action.clone()).collect();
    let expected: Vec<_> = story.iter().map(|(_, rows)| Ok(rows.clone())).collect();
    assert_operator(|| Box::new(streams(kind)), &actions, &expected);
}

fn r(key: i64, time: i64, id: i64) -> Row {
    row(Some(key), Some(time), id)
}

#[test]
fn a_pair_comes_with_its_second_row_whichever_that_is() {
    tell(
        Kind::Inner,
        &[
            (left(1, 100, 1), vec![]),
            (right(1, 105, 2), vec![pair(r(1, 100, 1), r(1, 105, 2))]),
            (right(2, 105, 3), vec![]),
            (left(2, 101, 4), vec![pair(r(2, 101, 4), r(2, 105, 3))]),
            // Too early, too late.
            (right(1, 99, 5), vec![]),
            (right(1, 111, 6), vec![]),
        ],
    );
}

#[test]
fn partners_come_in_the_order_of_their_arrival() {
    tell(
        Kind::Inner,
        &[
            (left(1, 104, 1), vec![]),
            (left(1, 100, 2), vec![]),
            (left(1, 102, 3), vec![]),
            (
                right(1, 106, 4),
                vec![
                    pair(r(1, 104, 1), r(1, 106, 4)),
                    pair(r(1, 100, 2), r(1, 106, 4)),
                    pair(r(1, 102, 3), r(1, 106, 4)),
                ],
            ),
        ],
    );
}

#[test]
fn rows_that_nothing_came_for_come_out_alone_when_nothing_can_come_any_more() {
    tell(
        Kind::Full,
        &[
            (left(1, 100, 1), vec![]),
            (left(1, 101, 2), vec![]),
            (right(2, 100, 3), vec![]),
            (right(1, 111, 4), vec![pair(r(1, 101, 2), r(1, 111, 4))]),
            // A right row at 100 waits for left rows up to 100, a left row at 100 for right rows up to 110.
            (Action::Watermark(100), vec![]),
            (Action::Watermark(101), vec![pair(nulls(), r(2, 100, 3))]),
            (Action::Watermark(110), vec![]),
            (Action::Watermark(111), vec![pair(r(1, 100, 1), nulls())]),
            (Action::Watermark(200), vec![]),
        ],
    );
}

#[test]
fn a_row_that_no_partner_can_come_for_is_late() {
    tell(
        Kind::Full,
        &[
            (left(1, 100, 1), vec![]),
            (Action::Watermark(105), vec![]),
            // Late itself, though the left row still waits.
            (right(1, 104, 2), vec![]),
            (right(1, 105, 3), vec![pair(r(1, 100, 1), r(1, 105, 3))]),
            // Behind the watermark, and yet something may come for it.
            (left(1, 96, 4), vec![pair(r(1, 96, 4), r(1, 105, 3))]),
            (left(1, 94, 5), vec![]),
            (Action::Watermark(200), vec![]),
        ],
    );
}

#[test]
fn what_has_no_key_or_no_time_stands_alone_at_once() {
    let no_key = row(None, Some(100), 1);
    let no_time = row(Some(1), None, 2);
    let come = |input, row: &Row| Action::RowOf(input, 0, None, row.clone());
    tell(
        Kind::Left,
        &[
            (come(0, &no_key), vec![pair(no_key.clone(), nulls())]),
            (come(1, &no_key), vec![]),
            (come(0, &no_time), vec![pair(no_time.clone(), nulls())]),
            (Action::Watermark(200), vec![]),
        ],
    );
}

#[test]
fn a_semi_join_gives_a_row_once() {
    tell(
        Kind::LeftSemi,
        &[
            (left(1, 100, 1), vec![]),
            (left(1, 101, 2), vec![]),
            (right(1, 100, 3), vec![r(1, 100, 1)]),
            (right(1, 105, 4), vec![r(1, 101, 2)]),
            (right(1, 106, 5), vec![]),
            (left(1, 102, 6), vec![r(1, 102, 6)]),
            (Action::Watermark(200), vec![]),
        ],
    );
}

#[test]
fn the_outer_sides_of_left_and_right_joins_are_theirs_only() {
    let both = [left(1, 100, 1), right(2, 100, 2), Action::Watermark(200)];
    let story = |rows| {
        let mut rows = vec![vec![], vec![], rows];
        both.iter().cloned().zip(rows.drain(..)).collect::<Vec<_>>()
    };
    tell(Kind::Left, &story(vec![pair(r(1, 100, 1), nulls())]));
    tell(Kind::Right, &story(vec![pair(nulls(), r(2, 100, 2))]));
}

#[test]
fn rows_that_are_too_far_off_are_passed_over_without_asking_the_condition() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let condition = When(move |row: &[Value]| {
        counted.fetch_add(1, Ordering::Relaxed);
        within(row)
    });
    let sides = [side(Some(10)), side(Some(0))];
    let mut join = StreamJoin::new(Kind::Inner, sides, Some(Box::new(condition)), None)
        .later([Some(10), Some(0)]);
    let mut out = Collect::default();
    let at = meta(0, 0, None);
    for time in 0..1_000 {
        join.process(0, &r(1, time, time), &at, &mut out).unwrap();
    }
    for time in 0..1_000 {
        join.process(1, &r(1, time, time), &at, &mut out).unwrap();
    }
    // Eleven for each, fewer at the beginning.
    assert_eq!(out.rows.len(), 11 * 1_000 - 55);
    assert_eq!(asked.load(Ordering::Relaxed), out.rows.len());
}

#[test]
fn many_rows_are_let_go_in_slices_and_a_checkpoint_may_come_between() {
    let mut join = streams(Kind::Left);
    let mut out = Collect::default();
    for id in 0..2_500 {
        let at = meta(0, id, None);
        join.process(0, &r(id % 7, 100, id), &at, &mut out).unwrap();
        join.accept();
    }
    let first = join.save().unwrap();
    let at = meta(0, 0, None);
    assert_eq!(
        join.advance(200, &at, &mut out),
        Ok(thalweg_engine::operator::Progress::More)
    );
    assert_eq!(out.rows.len(), 1_000);
    let second = join.save().unwrap();
    assert_eq!(second.entries.len(), 1_000);

    let mut again = streams(Kind::Left);
    again.restore(&[first, second]).unwrap();
    let mut progress = again.advance(200, &at, &mut out);
    while progress == Ok(thalweg_engine::operator::Progress::More) {
        progress = again.resume(&at, &mut out);
    }
    out.rows.sort_by_key(|row| format!("{row:?}"));
    out.rows.dedup();
    assert_eq!(out.rows.len(), 2_500, "each once, over the crash");
    assert_eq!(again.size(), StateSize::default());
}

#[test]
fn without_a_bound_rows_are_forgotten_by_their_age() {
    let make = || StreamJoin::new(Kind::Inner, [side(None), side(None)], None, Some(1_000));
    let mut join = make();
    let mut out = Collect::default();
    for (id, taken_at) in [(1, 0), (2, 500)] {
        let at = thalweg_engine::record::RecordMeta {
            taken_at,
            ..meta(0, id, None)
        };
        join.process(0, &r(1, 0, id), &at, &mut out).unwrap();
        join.accept();
    }
    let _ = join.save();
    join.expire(1_200);
    assert_eq!(join.size().keys, 1);
    let changes = join.save().unwrap();
    assert!(changes.entries.iter().all(|(_, value)| value.is_none()));
}

#[test]
fn rows_that_have_outlived_their_time_are_all_forgotten_in_so_many_calls() {
    let mut join = StreamJoin::new(Kind::Inner, [side(None), side(None)], None, Some(1_000));
    let mut out = Collect::default();
    for id in 0..50_000 {
        join.process(0, &r(id, 0, id), &meta(0, id, None), &mut out)
            .unwrap();
        join.accept();
    }
    assert_eq!(join.size().keys, 50_000);
    for _ in 0..EXPIRE_CALLS {
        join.expire(1_000_000_000_000);
    }
    assert_eq!(join.size().keys, 0);
}

#[test]
fn a_plan_that_uses_fewer_columns_takes_the_state_over_and_one_that_needs_more_is_refused() {
    let mut join = streams(Kind::Left);
    let mut out = Collect::default();
    join.process(0, &r(1, 100, 7), &meta(0, 0, None), &mut out)
        .unwrap();
    join.accept();
    let saved = join.save().unwrap();
    let narrow = |columns: Vec<Field>| {
        let left = Side {
            columns,
            keys: vec![1],
            bound: Some(Bound { time: 0, reach: 10 }),
        };
        StreamJoin::new(Kind::Left, [left, side(Some(0))], None, None)
    };
    let time = Field::nullable("time", DataType::Timestamp);
    let key = Field::nullable("key", DataType::BigInt);
    let mut fewer = narrow(vec![time.clone(), key.clone()]);
    fewer.restore(std::slice::from_ref(&saved)).unwrap();
    let next = fewer.save().unwrap();
    assert!(next.whole && next.entries.len() == 1);
    fewer.advance(200, &meta(0, 0, None), &mut out).unwrap();
    let alone = [Value::Timestamp(100), Value::BigInt(1)];
    assert_eq!(out.rows[0][..2], alone);

    let name = Field::nullable("name", DataType::String);
    let refused = narrow(vec![time, key, name]).restore(&[saved]).unwrap_err();
    assert!(refused.to_string().contains("`name` STRING"), "{refused}");
}

#[test]
fn a_row_whose_own_condition_does_not_hold_comes_out_alone_at_once_and_is_not_kept() {
    let large: Condition = Some(Box::new(When(|row: &[Value]| row[2] == Value::BigInt(7))));
    let mut join = streams(Kind::Left).own([large, None]);
    let mut out = Collect::default();
    let at = meta(0, 0, None);
    join.process(0, &r(1, 100, 7), &at, &mut out).unwrap();
    assert!(out.rows.is_empty(), "it waits for a partner");
    join.process(0, &r(1, 100, 3), &at, &mut out).unwrap();
    assert_eq!(out.rows.len(), 1);
    assert_eq!(out.rows[0][2..4], [Value::BigInt(3), Value::Null]);
    join.accept();
    assert_eq!(join.save().unwrap().entries.len(), 1);
}

#[test]
fn a_join_that_did_not_note_partners_is_not_taken_over_by_one_that_must_know() {
    let mut inner = streams(Kind::Inner);
    let mut out = Collect::default();
    inner
        .process(0, &r(1, 100, 7), &meta(0, 0, None), &mut out)
        .unwrap();
    inner.accept();
    let saved = inner.save().unwrap();
    assert!(
        streams(Kind::Left)
            .restore(std::slice::from_ref(&saved))
            .is_err()
    );
    assert!(streams(Kind::Inner).restore(&[saved]).is_ok());
}

fn change(key: i64, id: i64, deleted: bool) -> Action {
    let mut change = r(key, 0, id);
    change.push(Value::Boolean(deleted));
    Action::RowOf(1, 0, None, change)
}

fn of_table(key: i64, id: i64) -> Row {
    let mut row = r(key, 0, id);
    row.push(Value::Boolean(false));
    row
}

#[test]
fn a_stream_is_answered_from_the_table_as_it_is() {
    let story = [
        (left(1, 1, 1), vec![]),
        (change(1, 10, false), vec![]),
        (left(1, 2, 2), vec![pair(r(1, 2, 2), of_table(1, 10))]),
        (change(1, 11, false), vec![]),
        (left(1, 3, 3), vec![pair(r(1, 3, 3), of_table(1, 11))]),
        (change(1, 11, true), vec![]),
        (left(1, 4, 4), vec![]),
        (change(1, 12, false), vec![]),
        (change(2, 20, true), vec![]),
        (left(1, 5, 5), vec![pair(r(1, 5, 5), of_table(1, 12))]),
    ];
    let (actions, expected): (Vec<_>, Vec<_>) = story
        .into_iter()
        .map(|(action, rows)| (action, Ok(rows)))
        .unzip();
    assert_operator(|| Box::new(table(Kind::Inner)), &actions, &expected);
}

#[test]
fn outer_semi_and_anti_joins_with_a_table_answer_at_once_too() {
    let actions = [change(1, 10, false), left(1, 1, 1), left(2, 1, 2)];
    let none = vec![Value::Null; 4];
    for (kind, found, missing) in [
        (
            Kind::Left,
            vec![pair(r(1, 1, 1), of_table(1, 10))],
            vec![pair(r(2, 1, 2), none)],
        ),
        (Kind::LeftSemi, vec![r(1, 1, 1)], vec![]),
        (Kind::LeftAnti, vec![], vec![r(2, 1, 2)]),
    ] {
        let expected = [Ok(vec![]), Ok(found), Ok(missing)];
        assert_operator(|| Box::new(table(kind)), &actions, &expected);
    }
}

#[test]
fn a_key_with_a_part_that_is_null_is_an_error_of_the_record() {
    let mut change = row(None, Some(0), 1);
    change.push(Value::Boolean(false));
    assert_operator(
        || Box::new(table(Kind::Inner)),
        &[Action::RowOf(1, 0, None, change)],
        &[Err("decode")],
    );
}

#[derive(Default)]
struct Collect {
    rows: Vec<Row>,
}

impl thalweg_engine::operator::Emit for Collect {
    fn emit(
        &mut self,
        row: &[Value],
        _: &thalweg_engine::record::RecordMeta,
    ) -> Result<(), thalweg_engine::error::RecordError> {
        self.rows.push(row.to_vec());
        Ok(())
    }
}
