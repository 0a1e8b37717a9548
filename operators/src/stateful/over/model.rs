//! The slow, obvious model: for each row all kept rows of its key are sorted and looked through again.

use thalweg_engine::row::{Row, Value};

use crate::expr::compare::compare;
use crate::stateful::over::{Distance, Frame, Function, Kind, Over};

struct Kept {
    time: i64,
    row: Row,
}

/// What the step should answer. Orders by whole numbers only.
pub(super) struct Model {
    over: Over,
    /// Whether rows out of reach are forgotten.
    forgets: bool,
    /// By key: rows in order, and all that ever came in order of arrival.
    keys: Vec<(Row, Vec<Kept>, Vec<Row>)>,
    watermark: Option<i64>,
}

fn whole(distance: Distance) -> i64 {
    match distance {
        Distance::Whole(n) => n,
        Distance::Real(_) => unreachable!("the model has no real order"),
    }
}

impl Model {
    pub(super) fn new(over: Over, forgets: bool) -> Self {
        Self {
            over,
            forgets,
            keys: Vec::new(),
            watermark: None,
        }
    }

    pub(super) fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(Some(watermark));
    }

    fn time(&self, row: &Row) -> i64 {
        match self.over.order.as_ref().map(|order| &row[order.place]) {
            None => 0,
            Some(Value::Timestamp(n) | Value::BigInt(n)) => *n,
            Some(_) => i64::MIN,
        }
    }

    /// The row with its answers.
    pub(super) fn process(&mut self, row: &Row) -> Row {
        let key: Row = self
            .over
            .keys
            .iter()
            .map(|place| row[*place].clone())
            .collect();
        let place = self
            .keys
            .iter()
            .position(|(other, ..)| *other == key)
            .unwrap_or_else(|| {
                self.keys.push((key, Vec::new(), Vec::new()));
                self.keys.len() - 1
            });
        let time = self.time(row);
        if self.forgets {
            forget(&self.over, self.watermark, &mut self.keys[place].1);
        }
        let event_time = self
            .over
            .order
            .as_ref()
            .is_some_and(|order| order.event_time);
        if event_time {
            close(&self.over, self.watermark, &mut self.keys[place].1);
        }
        let (_, rows, arrived) = &mut self.keys[place];
        let rank = rows.iter().filter(|kept| kept.time <= time).count();
        rows.insert(
            rank,
            Kept {
                time,
                row: row.clone(),
            },
        );
        arrived.push(row.clone());
        let (_, rows, arrived) = &self.keys[place];
        let mut out = row.clone();
        for function in &self.over.functions {
            out.push(self.answer(function, rows, arrived, rank));
        }
        close(&self.over, self.watermark, &mut self.keys[place].1);
        out
    }

    fn answer(&self, function: &Function, rows: &[Kept], arrived: &[Row], rank: usize) -> Value {
        let time = rows[rank].time;
        let below = |distance| {
            if time == i64::MIN {
                time
            } else {
                time - whole(distance)
            }
        };
        if let Kind::Lag { offset, default } = function.kind {
            let offset = usize::try_from(offset).unwrap();
            let place = function.argument.as_ref().unwrap().place;
            return match (rank.checked_sub(offset), default) {
                (Some(before), _) => rows[before].row[place].clone(),
                (None, Some(default)) => rows[rank].row[default].clone(),
                (None, None) => Value::Null,
            };
        }
        if function.kind == Kind::RowNumber {
            return Value::Int(i32::try_from(arrived.len()).unwrap());
        }
        if let (Kind::Decayed { half_life, sum }, Frame::Unbounded { current }) =
            (function.kind, self.over.frames[function.frame])
        {
            let before = &arrived[..arrived.len() - usize::from(!current)];
            return self.decayed(function, before, time, (half_life, sum));
        }
        let frame: Vec<&Row> = match self.over.frames[function.frame] {
            Frame::Unbounded { current } => {
                let end = arrived.len() - usize::from(!current);
                arrived[..end].iter().collect()
            }
            Frame::Range { from, to } => rows
                .iter()
                .enumerate()
                .filter(|(at, kept)| {
                    // Peers that came earlier are in, the row's successors are not.
                    kept.time >= floor(below(from), self.over.step)
                        && kept.time <= below(to)
                        && *at <= rank
                })
                .map(|(_, kept)| &kept.row)
                .collect(),
            Frame::Rows { from, to } => rows
                .iter()
                .enumerate()
                .filter(|(at, _)| {
                    let before = rank as i64 - *at as i64;
                    before >= to as i64 && before <= from as i64
                })
                .map(|(_, kept)| &kept.row)
                .collect(),
        };
        result(function, &frame)
    }
}

impl Model {
    /// Each row's share at the newest time, from that row alone.
    fn decayed(
        &self,
        function: &Function,
        rows: &[Row],
        time: i64,
        (half_life, sum): (i64, bool),
    ) -> Value {
        let timed = || rows.iter().filter(|row| self.time(row) != i64::MIN);
        let newest = timed().map(|row| self.time(row)).max();
        let at = newest.max(Some(time)).unwrap_or(time);
        let shares: Vec<f64> = timed()
            .filter_map(|row| {
                let value = function.argument.as_ref().map(|one| &row[one.place]);
                let amount = match value {
                    Some(Value::Null) => return None,
                    Some(value) if sum => number(value),
                    _ => 1.0,
                };
                let after = at - self.time(row);
                Some(amount * 0.5_f64.powf(after as f64 / half_life as f64))
            })
            .collect();
        if sum && shares.is_empty() {
            return Value::Null;
        }
        Value::Double(shares.iter().sum())
    }
}

/// The beginning of a pane.
fn floor(time: i64, step: Option<i64>) -> i64 {
    match step {
        Some(step) if time != i64::MIN => time - time.rem_euclid(step),
        _ => time,
    }
}

/// Rows whose pane is over stand at its beginning, in the order that they have.
fn close(over: &Over, watermark: Option<i64>, rows: &mut [Kept]) {
    let event_time = over.order.as_ref().is_some_and(|order| order.event_time);
    let newest = if event_time {
        watermark
    } else {
        rows.last().map(|kept| kept.time)
    };
    if let (Some(newest), Some(step)) = (newest, over.step) {
        let until = floor(newest, Some(step));
        for kept in rows.iter_mut().filter(|kept| kept.time < until) {
            kept.time = floor(kept.time, Some(step));
        }
    }
}

fn forget(over: &Over, watermark: Option<i64>, rows: &mut Vec<Kept>) {
    let event_time = over.order.as_ref().is_some_and(|order| order.event_time);
    let newest = if event_time {
        watermark
    } else {
        rows.last().map(|kept| kept.time)
    };
    let Some(newest) = newest else {
        return;
    };
    let mut range = None;
    let mut reach = None;
    for function in &over.functions {
        match (function.kind, over.frames[function.frame]) {
            (Kind::Lag { offset, .. }, _) => reach = reach.max(Some(offset)),
            (Kind::RowNumber, _) => {}
            (_, Frame::Range { from, .. }) => range = range.max(Some(whole(from))),
            (_, Frame::Rows { from, .. }) => reach = reach.max(Some(from)),
            _ => {}
        }
    }
    let begin = |distance| {
        if newest == i64::MIN {
            newest
        } else {
            floor(newest - distance, over.step)
        }
    };
    let by_time = range.map(|range| rows.iter().filter(|kept| kept.time < begin(range)).count());
    let by_rows = reach.map(|reach| {
        let before = if event_time {
            rows.iter().filter(|kept| kept.time < newest).count()
        } else {
            rows.len()
        };
        before.saturating_sub(reach as usize)
    });
    let gone = match (by_time, by_rows) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b).unwrap_or(0),
    };
    rows.drain(..gone);
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Double(x) => *x,
        Value::BigInt(n) => *n as f64,
        other => unreachable!("no number: {other:?}"),
    }
}

fn result(function: &Function, frame: &[&Row]) -> Value {
    let all: Vec<Value> = match &function.argument {
        None => return Value::BigInt(frame.len() as i64),
        Some(argument) => frame
            .iter()
            .map(|row| row[argument.place].clone())
            .collect(),
    };
    let values: Vec<Value> = all
        .iter()
        .filter(|value| !value.is_null())
        .cloned()
        .collect();
    let count = values.len();
    let sum = || values.iter().map(number).sum::<f64>();
    let mut distinct: Vec<Value> = Vec::new();
    for value in &values {
        if !distinct.contains(value) {
            distinct.push(value.clone());
        }
    }
    let or_null = |value: Option<&Value>| value.cloned().unwrap_or(Value::Null);
    match function.kind {
        Kind::Count => Value::BigInt(count as i64),
        Kind::CountDistinct => Value::BigInt(distinct.len() as i64),
        Kind::Sum | Kind::Avg | Kind::Deviation { .. } if count == 0 => Value::Null,
        Kind::Sum => match values[0] {
            Value::BigInt(_) => Value::BigInt(sum() as i64),
            _ => Value::Double(sum()),
        },
        Kind::Avg => Value::Double(sum() / count as f64),
        Kind::Min => or_null(values.iter().min_by(|a, b| compare(a, b))),
        Kind::Max => or_null(values.iter().max_by(|a, b| compare(a, b))),
        Kind::Deviation { sample: true, .. } if count == 1 => Value::Null,
        Kind::Deviation { sample, root } => {
            let mean = sum() / count as f64;
            let squares: f64 = values.iter().map(|x| (number(x) - mean).powi(2)).sum();
            let variance = squares / (count - usize::from(sample)) as f64;
            Value::Double(if root { variance.sqrt() } else { variance })
        }
        Kind::First { ignore_nulls: true } => or_null(values.first()),
        Kind::First { .. } => or_null(all.first()),
        Kind::Last { ignore_nulls: true } => or_null(values.last()),
        Kind::Last { .. } => or_null(all.last()),
        Kind::Collect { distinct: true } => Value::Array(distinct.into()),
        Kind::Collect { .. } => Value::Array(values.into()),
        Kind::CountRows | Kind::RowNumber | Kind::Lag { .. } | Kind::Decayed { .. } => {
            unreachable!("answered before")
        }
    }
}
