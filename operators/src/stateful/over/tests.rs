//! Stories of OVER, and the step against its model in all worlds.

use proptest::prelude::*;
use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::DataType;
use thalweg_engine::state::StateChanges;
use thalweg_engine::testing::cases;
use thalweg_engine::testing::{Action, assert_operator_nearly, meta};

use crate::stateful::over::model::Model;
use crate::stateful::over::{Argument, Distance, Frame, Function, Kind, Order, Over, Window};

pub(super) const CARD: usize = 0;
pub(super) const TIME: usize = 1;
pub(super) const AMOUNT: usize = 2;
const POINTS: usize = 3;
pub(super) const PLACE: usize = 4;

fn argument(place: usize) -> Argument {
    let (identity, data_type) = match place {
        TIME => ("ts", DataType::Timestamp),
        AMOUNT => ("amount", DataType::Double),
        POINTS => ("points", DataType::BigInt),
        _ => ("place", DataType::String),
    };
    Argument {
        identity: identity.to_owned(),
        place,
        data_type,
    }
}

pub(super) fn function(kind: Kind, place: Option<usize>, frame: usize) -> Function {
    let argument = place.map(argument);
    let result = match (kind, &argument) {
        (Kind::Sum | Kind::Min | Kind::Max, Some(a)) => a.data_type.clone(),
        (Kind::Avg | Kind::Deviation { .. }, _) => DataType::Double,
        _ => DataType::BigInt,
    };
    Function {
        identity: format!("{kind:?} {place:?} {frame}"),
        kind,
        argument,
        frame,
        result,
        ansi: true,
    }
}

pub(super) const fn range(from: i64, to: i64) -> Frame {
    Frame::Range {
        from: Distance::Whole(from),
        to: Distance::Whole(to),
    }
}

pub(super) fn over(event_time: bool, frames: Vec<Frame>, functions: Vec<Function>) -> Over {
    Over {
        keys: vec![CARD],
        order: Some(Order {
            place: TIME,
            data_type: DataType::Timestamp,
            event_time,
        }),
        frames,
        functions,
        rows_max: 1000,
        ttl: None,
        step: None,
    }
}

/// Every function that a frame can have.
pub(super) fn all(frame: usize, running: bool) -> Vec<Function> {
    let mut all = vec![
        function(Kind::CountRows, None, frame),
        function(Kind::Count, Some(AMOUNT), frame),
        function(Kind::Sum, Some(AMOUNT), frame),
        function(Kind::Sum, Some(POINTS), frame),
        function(Kind::Avg, Some(AMOUNT), frame),
        function(Kind::Min, Some(POINTS), frame),
        function(Kind::Max, Some(AMOUNT), frame),
        function(Kind::Max, Some(PLACE), frame),
        function(Kind::First { ignore_nulls: true }, Some(PLACE), frame),
        function(
            Kind::First {
                ignore_nulls: false,
            },
            Some(AMOUNT),
            frame,
        ),
        function(Kind::Last { ignore_nulls: true }, Some(AMOUNT), frame),
        function(
            Kind::Last {
                ignore_nulls: false,
            },
            Some(POINTS),
            frame,
        ),
    ];
    if !running {
        all.extend([
            function(Kind::CountDistinct, Some(PLACE), frame),
            function(Kind::CountDistinct, Some(AMOUNT), frame),
            function(Kind::Collect { distinct: false }, Some(POINTS), frame),
            function(Kind::Collect { distinct: true }, Some(AMOUNT), frame),
        ]);
    }
    all
}

fn lag(offset: u64, place: usize, default: Option<usize>) -> Function {
    function(Kind::Lag { offset, default }, Some(place), 0)
}

/// Several frames of one PARTITION BY and ORDER BY at once.
pub(super) fn everything(event_time: bool) -> Over {
    let frames = vec![
        Frame::Unbounded { current: true },
        Frame::Unbounded { current: false },
        range(10, 0),
        range(25, 1),
        Frame::Rows { from: 3, to: 0 },
        Frame::Rows { from: 6, to: 2 },
    ];
    let mut functions = Vec::new();
    for (place, frame) in frames.iter().enumerate() {
        functions.extend(all(place, matches!(frame, Frame::Unbounded { .. })));
    }
    functions.push(function(Kind::RowNumber, None, 0));
    functions.push(lag(1, TIME, None));
    functions.push(lag(2, PLACE, Some(PLACE)));
    over(event_time, frames, functions)
}

/// Frames by RANGE alone: keys end.
pub(super) fn ranges() -> Over {
    let frames = vec![range(10, 0), range(20, 0)];
    let functions = [all(0, false), all(1, false)].concat();
    over(true, frames, functions)
}

pub(super) fn row(
    card: &str,
    time: Option<i64>,
    amount: Option<i8>,
    points: Option<i64>,
    at: u8,
) -> Row {
    vec![
        Value::from(card),
        time.map_or(Value::Null, Value::Timestamp),
        amount.map_or(Value::Null, |x| Value::Double(f64::from(x) / 4.0)),
        points.map_or(Value::Null, Value::BigInt),
        match at {
            0 => Value::Null,
            1 => Value::from("a place whose name takes more room"),
            n => Value::from(format!("place {n}").as_str()),
        },
    ]
}

pub(super) fn rows(span: i64) -> impl Strategy<Value = Row> {
    let time = prop_oneof![20 => (0..span).prop_map(Some), 1 => Just(None)];
    let amount = prop::option::weighted(0.9, -8_i8..8);
    let points = prop::option::weighted(0.9, -3_i64..40);
    ("[ab]", time, amount, points, 0_u8..6)
        .prop_map(|(card, time, amount, points, at)| row(&card, time, amount, points, at))
}

pub(super) fn against_the_model(over: &Over, actions: &[Action]) {
    alike_the_model(over, actions, |got, expected| got == expected);
}

/// Whether rows are the same but for the last digits of what is computed with divisions.
fn nearly(got: &[Row], expected: &[Row]) -> bool {
    let same = |pair: (&Value, &Value)| match pair {
        (Value::Double(a), Value::Double(b)) => (a - b).abs() < 1e-9,
        (a, b) => a == b,
    };
    let rows = |(got, expected): (&Row, &Row)| {
        got.len() == expected.len() && got.iter().zip(expected).all(same)
    };
    got.len() == expected.len() && got.iter().zip(expected).all(rows)
}

fn alike_the_model(over: &Over, actions: &[Action], alike: impl Fn(&[Row], &[Row]) -> bool) {
    let mut model = Model::new(over.clone(), true);
    let expected: Vec<Result<Vec<Row>, &str>> = actions
        .iter()
        .map(|action| match action {
            Action::Row(row) => Ok(vec![model.process(row)]),
            Action::Watermark(watermark) => {
                model.advance(*watermark);
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        })
        .collect();
    assert_operator_nearly(|| Box::new(Window::new(over)), actions, &expected, alike);
}

/// Rows, and now and then a watermark that follows.
pub(super) fn with_watermarks(rows: &[Row], every: usize, delay: i64) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut newest = i64::MIN;
    for (index, row) in rows.iter().enumerate() {
        actions.push(Action::Row(row.clone()));
        if let Value::Timestamp(time) = row[TIME] {
            newest = newest.max(time);
        }
        if index % every == 0 && newest > i64::MIN {
            actions.push(Action::Watermark(newest - delay));
        }
    }
    actions
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    #[test]
    fn every_answer_is_the_models_without_a_watermark(
        rows in prop::collection::vec(rows(60), 0..70),
    ) {
        let actions: Vec<Action> = rows.into_iter().map(Action::Row).collect();
        against_the_model(&everything(false), &actions);
    }

    #[test]
    fn every_answer_is_the_models_behind_a_watermark(
        rows in prop::collection::vec(rows(90), 0..60),
        every in 1_usize..5,
        delay in 0_i64..30,
    ) {
        against_the_model(&everything(true), &with_watermarks(&rows, every, delay));
        against_the_model(&ranges(), &with_watermarks(&rows, every, delay));
    }

    #[test]
    fn rows_in_rising_time_are_answered_as_if_nothing_was_ever_forgotten(
        mut rows in prop::collection::vec(rows(200), 0..120),
        swaps in prop::collection::vec(0_usize..120, 0..30),
    ) {
        rows.sort_by_key(|row| match row[TIME] {
            Value::Timestamp(time) => time,
            _ => 0,
        });
        for at in swaps {
            if at + 3 < rows.len() {
                rows.swap(at, at + 3);
            }
        }
        rows.retain(|row| !row[TIME].is_null());
        for over in [everything(true), ranges()] {
            let mut model = Model::new(over.clone(), false);
            let mut window = Window::new(&over);
            let mut watermark = i64::MIN;
            for (index, row) in rows.iter().enumerate() {
                // The watermark promises what is still to come.
                let promise = rows[index..].iter().filter_map(|row| match row[TIME] {
                    Value::Timestamp(time) => Some(time),
                    _ => None,
                });
                watermark = watermark.max(promise.min().unwrap_or(watermark));
                let _ = window.advance(watermark, &meta(0, 0, None), &mut Out::default());
                prop_assert_eq!(give(&mut window, row).unwrap(), model.process(row));
            }
        }
    }

    #[test]
    fn state_without_a_running_aggregate_is_empty_when_all_is_over(
        rows in prop::collection::vec(rows(60), 0..60),
    ) {
        let mut window = Window::new(&ranges());
        let mut saved = Vec::new();
        for row in &rows {
            give(&mut window, row).unwrap();
            saved.extend(window.save());
        }
        let _ = window.advance(1000, &meta(0, 0, None), &mut Out::default());
        prop_assert_eq!(window.size().keys, 0);
        prop_assert_eq!(window.rows, 0);
        saved.extend(window.save());
        let mut left = std::collections::HashMap::new();
        for change in &saved {
            left.extend(change.entries.iter());
        }
        // The watermark is all that is left.
        prop_assert!(left.values().flatten().count() <= 1);
    }

    #[test]
    fn deviations_are_the_models_nearly_in_frames_of_every_kind(
        rows in prop::collection::vec(rows(60), 1..50),
        sample: bool,
        every in 1_usize..5,
        delay in 0_i64..30,
    ) {
        let kinds = [true, false].map(|root| Kind::Deviation { sample, root });
        let frames = vec![
            Frame::Unbounded { current: true },
            Frame::Unbounded { current: false },
            range(10, 0),
            range(25, 1),
            Frame::Rows { from: 3, to: 0 },
            Frame::Rows { from: 6, to: 2 },
        ];
        let functions = |frames: &[Frame]| -> Vec<Function> {
            let places = 0..frames.len();
            places
                .flat_map(|frame| kinds.map(|kind| function(kind, Some(AMOUNT), frame)))
                .collect()
        };
        let all = functions(&frames);
        let unordered: Vec<Action> = rows.iter().cloned().map(Action::Row).collect();
        alike_the_model(&over(false, frames.clone(), all.clone()), &unordered, nearly);
        let behind = with_watermarks(&rows, every, delay);
        alike_the_model(&over(true, frames, all), &behind, nearly);
        // Frames by RANGE alone: keys end.
        let frames = vec![range(10, 0), range(20, 0)];
        let all = functions(&frames);
        alike_the_model(&over(true, frames, all), &behind, nearly);
    }

    #[test]
    fn any_bytes_are_state_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60), kind in 0_u8..4) {
        let mut window = Window::new(&everything(true));
        give(&mut window, &row("a", Some(1), Some(1), Some(1), 1)).unwrap();
        let mut changes = window.save().unwrap();
        changes.entries.put(&[kind, 1, 2, 3, 4, 5, 6, 7, 8, 9], |out| out.extend_from_slice(&bytes));
        let _ = Window::new(&everything(true)).restore(&[changes]);
    }
}

#[derive(Default)]
pub(super) struct Out(Vec<Row>);

impl Emit for Out {
    fn emit(&mut self, row: &[Value], _: &RecordMeta) -> Result<(), RecordError> {
        self.0.push(row.to_vec());
        Ok(())
    }
}

/// Processes and accepts a row.
pub(super) fn give(window: &mut Window, row: &Row) -> Result<Row, RecordError> {
    let mut out = Out::default();
    match window.process(0, row, &meta(0, 0, None), &mut out) {
        Ok(()) => window.accept(),
        Err(error) => {
            window.reject();
            return Err(error);
        }
    }
    Ok(out.0.remove(0))
}

fn amounts(window: &mut Window, rows: &[(i64, i8)]) -> Vec<Value> {
    rows.iter()
        .map(|(time, amount)| {
            let row = row("a", Some(*time), Some(*amount), None, 0);
            give(window, &row).unwrap().pop().unwrap()
        })
        .collect()
}

fn sums(over: &Over, rows: &[(i64, i8)]) -> Vec<f64> {
    amounts(&mut Window::new(over), rows)
        .iter()
        .map(|value| match value {
            Value::Double(x) => x * 4.0,
            other => unreachable!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_late_record_is_answered_from_the_window_that_ends_at_its_own_time() {
    let over = over(
        true,
        vec![range(10, 0)],
        vec![function(Kind::Sum, Some(AMOUNT), 0)],
    );
    let rows = [(100, 1), (108, 2), (111, 4), (105, 8), (112, 16)];
    // 105 sees 100 and itself; 112 sees 105 too.
    assert_eq!(sums(&over, &rows), [1.0, 3.0, 6.0, 9.0, 30.0]);
}

#[test]
fn rows_of_the_same_time_are_peers_once_they_have_arrived() {
    let over = over(
        true,
        vec![range(0, 0)],
        vec![function(Kind::Sum, Some(AMOUNT), 0)],
    );
    assert_eq!(
        sums(&over, &[(5, 1), (5, 2), (6, 4), (5, 8)]),
        [1.0, 3.0, 4.0, 11.0]
    );
}

#[test]
fn a_late_row_counts_into_the_current_total_of_an_unbounded_frame() {
    let unbounded = vec![Frame::Unbounded { current: true }];
    let over = over(true, unbounded, vec![function(Kind::Sum, Some(AMOUNT), 0)]);
    assert_eq!(sums(&over, &[(5, 1), (50, 2), (1, 4)]), [1.0, 3.0, 7.0]);
}

#[test]
fn a_key_with_too_many_rows_is_an_error_of_the_record_that_says_what_to_do() {
    let mut spec = over(
        true,
        vec![range(10, 0)],
        vec![function(Kind::Sum, Some(AMOUNT), 0)],
    );
    spec.rows_max = 3;
    let mut window = Window::new(&spec);
    amounts(&mut window, &[(1, 1), (2, 1), (3, 1)]);
    let error = give(&mut window, &row("a", Some(4), Some(1), None, 0))
        .err()
        .unwrap();
    assert!(error.reason.contains("raise frameRowsMax"), "{error}");
    // Another key has room, and this one again when rows are forgotten.
    give(&mut window, &row("b", Some(4), Some(1), None, 0)).unwrap();
    let _ = window.advance(13, &meta(0, 0, None), &mut Out::default());
    give(&mut window, &row("a", Some(14), Some(1), None, 0)).unwrap();
}

#[test]
fn rows_in_falling_time_are_kept_in_order_too() {
    let over = over(
        true,
        vec![range(1000, 0)],
        vec![function(Kind::CountRows, None, 0)],
    );
    let mut model = Model::new(over.clone(), true);
    let mut window = Window::new(&over);
    let mut saved = Vec::new();
    for time in (0..300).rev().chain((0..300).map(|n| n * 37 % 300)) {
        let row = row("a", Some(time), Some(1), None, 0);
        assert_eq!(give(&mut window, &row).unwrap(), model.process(&row));
        saved.extend(window.save());
    }
    let mut again = Window::new(&over);
    again.restore(&saved).unwrap();
    for time in [0, 10, 299, 150] {
        let row = row("a", Some(time), Some(1), None, 0);
        assert_eq!(give(&mut again, &row).unwrap(), model.process(&row));
    }
}

#[test]
fn a_row_between_two_leaves_again_and_again_gives_them_new_names() {
    // Each row stands just before the one before it, behind a first row: the gap between two labels is halved each time.
    let over = over(
        true,
        vec![range(10_000, 0)],
        vec![function(Kind::Sum, Some(AMOUNT), 0)],
    );
    let mut model = Model::new(over.clone(), true);
    let mut window = Window::new(&over);
    let mut saved = Vec::new();
    let times = [1, 2, 3, 4].into_iter().chain((5..400).rev());
    for time in times {
        let row = row("a", Some(time), Some(1), None, 0);
        assert_eq!(give(&mut window, &row).unwrap(), model.process(&row));
        saved.extend(window.save());
    }
    let mut again = Window::new(&over);
    again.restore(&saved).unwrap();
    let row = row("a", Some(400), Some(1), None, 0);
    assert_eq!(give(&mut again, &row).unwrap(), model.process(&row));
}

#[test]
fn an_epoch_writes_the_leaf_that_changed_and_not_the_rows_of_the_key() {
    let over = over(
        true,
        vec![range(1000, 0)],
        vec![function(Kind::Sum, Some(AMOUNT), 0)],
    );
    let mut window = Window::new(&over);
    for time in 0..500 {
        amounts(&mut window, &[(time, 1)]);
    }
    let whole = window.save().unwrap().entries.bytes().len();
    amounts(&mut window, &[(501, 1)]);
    let changes = window.save().unwrap();
    assert_eq!(changes.entries.len(), 1);
    assert!(changes.entries.bytes().len() * 20 < whole);
    assert_eq!(window.save(), None);
}

pub(super) fn restored(over: &Over, saved: &[StateChanges]) -> Window {
    let mut window = Window::new(over);
    window.restore(saved).unwrap();
    window
}

#[test]
fn a_function_that_is_added_keeps_the_others_and_begins_empty() {
    let frames = vec![Frame::Unbounded { current: true }, range(100, 0)];
    let before = over(
        true,
        frames.clone(),
        vec![
            function(Kind::Sum, Some(AMOUNT), 0),
            function(Kind::Sum, Some(AMOUNT), 1),
        ],
    );
    let mut window = Window::new(&before);
    amounts(&mut window, &[(1, 1), (2, 2), (3, 4)]);
    let saved = [window.save().unwrap()];
    let after = over(
        true,
        frames,
        vec![
            function(Kind::Max, Some(POINTS), 0),
            function(Kind::Sum, Some(AMOUNT), 0),
            function(Kind::Count, Some(PLACE), 1),
            function(Kind::Sum, Some(AMOUNT), 1),
        ],
    );
    let mut window = restored(&after, &saved);
    let whole = window.save().unwrap();
    assert!(whole.whole);
    for mut window in [window, restored(&after, &[whole])] {
        let out = give(&mut window, &row("a", Some(4), Some(8), Some(7), 2)).unwrap();
        let expected = [
            Value::BigInt(7),
            Value::Double(15.0 / 4.0),
            Value::BigInt(1),
            Value::Double(15.0 / 4.0),
        ];
        assert_eq!(out[5..], expected);
    }
}

#[test]
fn state_of_another_version_is_refused() {
    let over = ranges();
    let mut window = Window::new(&over);
    amounts(&mut window, &[(1, 1)]);
    let mut changes = window.save().unwrap();
    changes.layout = changes.layout.replace("over/1", "over/9");
    let failure = Window::new(&over).restore(&[changes]).err().unwrap();
    assert!(failure.message.contains("does not read"), "{failure}");
}

#[test]
fn a_key_without_records_is_forgotten_after_state_ttl() {
    let unbounded = vec![Frame::Unbounded { current: true }];
    let mut spec = over(false, unbounded, vec![function(Kind::Sum, Some(AMOUNT), 0)]);
    spec.ttl = Some(1_000);
    let mut window = Window::new(&spec);
    amounts(&mut window, &[(1, 1), (2, 2)]);
    window.expire(1_000);
    assert_eq!(window.size().keys, 1);
    let saved = window.save().unwrap();
    assert_eq!(restored(&spec, std::slice::from_ref(&saved)).size().keys, 1);
    window.expire(1_001);
    assert_eq!(window.size().keys, 0);
    let saved = [saved, window.save().unwrap()];
    assert_eq!(restored(&spec, &saved).size().keys, 0);
    assert_eq!(amounts(&mut window, &[(3, 4)]), [Value::Double(1.0)]);
}

#[test]
fn an_overflow_is_an_error_of_its_record_and_leaves_the_sum_as_it_was() {
    let unbounded = vec![Frame::Unbounded { current: true }];
    let over = over(false, unbounded, vec![function(Kind::Sum, Some(POINTS), 0)]);
    let mut window = Window::new(&over);
    let mut points =
        |n| give(&mut window, &row("a", Some(1), None, Some(n), 0)).map(|mut r| r.pop());
    points(i64::MAX).unwrap();
    assert!(
        points(1)
            .err()
            .unwrap()
            .reason
            .contains("does not fit BIGINT")
    );
    assert_eq!(points(-1).unwrap(), Some(Value::BigInt(i64::MAX - 1)));
}
