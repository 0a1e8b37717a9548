//! Stories of the step behind an exchange.

use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::{Micros, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::testing::{Action, assert_operator, meta};

use super::arrival::Arrival;
use super::parcel::FACTS;

/// What came out: the value, and what was said of it.
type Out = (i32, String, Option<Micros>);

#[derive(Default)]
struct Taken {
    rows: Vec<Out>,
    watermark: Option<Micros>,
    idle: bool,
    fails: bool,
}

impl Emit for Taken {
    fn emit(
        &mut self,
        row: &[Value],
        meta: &RecordMeta,
    ) -> Result<(), thalweg_engine::error::RecordError> {
        if self.fails {
            return Err(thalweg_engine::error::RecordError::write("too large"));
        }
        let Value::Int(value) = row[0] else {
            panic!("{row:?}");
        };
        let Position::Number(offset) = meta.position else {
            panic!("{meta:?}");
        };
        let place = format!("{}@{offset}", meta.partition);
        self.rows.push((value, place, meta.watermark));
        Ok(())
    }

    fn watermark(&mut self, watermark: Micros) {
        self.watermark = self.watermark.max(Some(watermark));
    }

    fn idle(&mut self) {
        self.idle = true;
    }
}

fn number(number: Option<i64>) -> Value {
    number.map_or(Value::Null, Value::BigInt)
}

/// A row of one column as it comes from the topic: way, offset, offset before, watermark before it.
fn row(way: &str, at: i64, before: Option<i64>, watermark: Option<Micros>) -> Row {
    parcel(
        Value::Int(at as i32),
        way,
        Some(at),
        before,
        watermark,
        false,
    )
}

fn promise(way: &str, before: Option<i64>, watermark: Option<Micros>, idle: bool) -> Row {
    parcel(Value::Null, way, None, before, watermark, idle)
}

fn parcel(
    value: Value,
    way: &str,
    at: Option<i64>,
    before: Option<i64>,
    watermark: Option<Micros>,
    idle: bool,
) -> Row {
    vec![
        value,
        Value::String(way.into()),
        number(at),
        number(at.map(|_| 0)),
        number(before),
        number(before.map(|_| 0)),
        Value::Null,
        watermark.map_or(Value::Null, Value::Timestamp),
        Value::Boolean(idle),
    ]
}

fn arrival(ways: &[&str]) -> Arrival {
    let ways: Vec<_> = ways.iter().map(|way| (*way).into()).collect();
    Arrival::new(1, "in", true, &ways)
}

/// Processes and accepts; gives what came out and how far event time is said to be.
fn take(arrival: &mut Arrival, row: &Row) -> Taken {
    let mut taken = Taken::default();
    arrival
        .process(0, row, &meta(0, 0, None), &mut taken)
        .unwrap();
    arrival.accept();
    taken
}

fn fails(arrival: &mut Arrival, row: &Row) {
    let mut taken = Taken {
        fails: true,
        ..Taken::default()
    };
    arrival
        .process(0, row, &meta(0, 0, None), &mut taken)
        .unwrap_err();
    arrival.reject();
}

#[test]
fn a_row_keeps_its_place_in_the_input() {
    let mut arrival = arrival(&["t/0", "t/1"]);
    assert_eq!(
        take(&mut arrival, &row("t/1", 5, None, Some(7))).rows,
        [(5, "t/1@5".to_owned(), Some(7))]
    );
}

#[test]
fn in_every_world_a_row_comes_once_and_a_gap_is_an_error() {
    let new = || Box::new(arrival(&["t/0", "t/1"])) as Box<dyn Operator>;
    let actions = [
        row("t/0", 1, None, None),
        row("t/0", 4, Some(1), None),
        row("t/0", 1, None, None),
        row("t/1", 1, None, None),
        row("t/0", 4, Some(1), None),
        row("t/0", 6, Some(5), None),
        row("t/0", 6, Some(4), None),
        promise("t/0", Some(6), Some(3), false),
        promise("t/0", Some(7), Some(3), false),
        vec![Value::Null; 1 + FACTS.len()],
    ];
    let gave = |value: i32| Ok(vec![vec![Value::Int(value)]]);
    let nothing = Ok(Vec::new());
    let expected = [
        gave(1),
        gave(4),
        nothing.clone(),
        gave(1),
        nothing.clone(),
        Err("broken"),
        gave(6),
        nothing.clone(),
        Err("broken"),
        nothing,
    ];
    assert_operator(new, &actions.map(Action::Row), &expected);
}

#[test]
fn event_time_is_that_of_the_slowest_partition_also_of_one_that_has_not_come_yet() {
    let mut arrival = arrival(&["t/0", "t/1"]);
    assert_eq!(
        take(&mut arrival, &row("t/0", 1, None, Some(50))).watermark,
        None
    );
    assert_eq!(
        take(&mut arrival, &promise("t/1", None, None, false)).watermark,
        None
    );
    assert_eq!(
        take(&mut arrival, &promise("t/1", None, Some(20), false)).watermark,
        Some(20)
    );
    assert_eq!(
        take(&mut arrival, &promise("t/1", None, Some(20), true)).watermark,
        Some(50)
    );
    // It wakes up: its rows are late against where event time has gone without it.
    let taken = take(&mut arrival, &row("t/1", 1, None, Some(30)));
    assert_eq!((taken.rows[0].2, taken.watermark), (Some(50), Some(50)));
}

#[test]
fn the_input_is_idle_when_all_its_partitions_are_and_not_any_more_when_one_wakes_up() {
    let mut arrival = arrival(&["t/0", "t/1"]);
    assert!(!take(&mut arrival, &promise("t/0", None, Some(50), true)).idle);
    assert!(take(&mut arrival, &promise("t/1", None, None, true)).idle);
    assert!(!take(&mut arrival, &row("t/1", 1, None, Some(60))).idle);
}

#[test]
fn a_row_is_late_against_what_its_lane_has_reached_without_its_input() {
    let mut arrival = arrival(&["t/0"]);
    let mut taken = Taken::default();
    let meta = RecordMeta {
        watermark: Some(70),
        ..meta(0, 0, None)
    };
    let row = row("t/0", 1, None, Some(30));
    arrival.process(0, &row, &meta, &mut taken).unwrap();
    assert_eq!(taken.rows[0].2, Some(70));
}

#[test]
fn a_row_is_late_against_its_own_partition_alone() {
    let mut arrival = arrival(&["t/0", "t/1"]);
    take(&mut arrival, &row("t/0", 1, None, Some(90)));
    let taken = take(&mut arrival, &row("t/1", 1, None, Some(10)));
    assert_eq!((taken.rows[0].2, taken.watermark), (Some(10), Some(10)));
}

#[test]
fn a_partition_that_appears_joins_at_the_minimum() {
    let mut arrival = arrival(&["t/0"]);
    take(&mut arrival, &promise("t/0", None, Some(50), false));
    take(&mut arrival, &promise("t/1", None, None, false));
    assert_eq!(
        take(&mut arrival, &promise("t/0", None, Some(80), false)).watermark,
        Some(50)
    );
    assert_eq!(
        take(&mut arrival, &promise("t/1", None, Some(60), false)).watermark,
        Some(60)
    );
}

#[test]
fn a_restart_knows_marks_and_watermarks() {
    let mut before = arrival(&["t/0", "t/1"]);
    take(&mut before, &row("t/0", 3, None, Some(50)));
    take(&mut before, &promise("t/1", None, Some(40), false));
    let saved = before.save().unwrap();
    assert!(before.save().is_none(), "nothing has changed since");
    let mut after = arrival(&["t/0", "t/1", "t/2"]);
    after.restore(&[saved]).unwrap();
    assert!(
        take(&mut after, &row("t/0", 3, None, Some(50)))
            .rows
            .is_empty()
    );
    // The new partition has joined where event time was.
    assert_eq!(
        take(&mut after, &promise("t/1", None, Some(60), false)).watermark,
        Some(40)
    );
    let taken = take(&mut after, &promise("t/2", None, Some(55), false));
    assert_eq!(taken.watermark, Some(50));
}

#[test]
fn a_record_that_is_left_out_is_no_gap_and_one_that_comes_again_is_not_seen() {
    let mut arrival = arrival(&["t/0"]);
    take(&mut arrival, &row("t/0", 1, None, None));
    // The output could not say yet whether it takes the row: it comes again.
    fails(&mut arrival, &row("t/0", 2, Some(1), None));
    assert_eq!(
        take(&mut arrival, &row("t/0", 2, Some(1), None)).rows.len(),
        1
    );
    // It never will: onError = 'skip'.
    fails(&mut arrival, &row("t/0", 3, Some(2), None));
    arrival.leave_out();
    assert_eq!(
        take(&mut arrival, &row("t/0", 4, Some(3), None)).rows.len(),
        1
    );
}

#[test]
fn state_of_another_layout_is_refused() {
    let mut arrival = arrival(&["t/0"]);
    take(&mut arrival, &row("t/0", 1, None, None));
    let mut saved = arrival.save().unwrap();
    saved.layout = "other".to_owned();
    assert!(arrival.restore(&[saved]).is_err());
}
