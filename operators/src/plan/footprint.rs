//! How much memory the steps with state will take, of so many keys and rows a second.
//!
//! It is measured, not calculated: the step itself runs over made-up rows in virtual time, until its frames, windows and
//! joins hold what they will ever hold, with as many keys as halving the wanted number leaves below [`KEYS_MAX`]. Tables and
//! lists grow by doubling, so the sample is as full as the whole will be, and its bytes are doubled as often.

use std::sync::Arc;
use std::time::Instant;

use thalweg_engine::counted::counted;
use thalweg_engine::error::RecordError;
use thalweg_engine::flow::pipeline::Target;
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};
use thalweg_engine::state::StateSize;

use crate::plan::{Group, Query, StepKind};
use crate::stateful::dedup::Remember;
use crate::stateful::grid::Grid;
use crate::stateful::grouping::{Over, Shape};
use crate::stateful::over::{Distance, Frame, Kind};

/// Keys of a sample at most.
const KEYS_MAX: u64 = 8192;
/// Keys below which what is laid out in chunks would count too much.
const KEYS_MIN: u64 = 1024;
/// Rows of a sample at most.
const ROWS_MAX: u64 = 400_000;
/// When the made-up rows begin: 2024.
const BEGIN: Micros = 1_704_067_200_000_000;

/// What a query has to bear.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Different keys of each step.
    pub keys: u64,
    /// Rows a second that come to each step.
    pub rate: u64,
}

/// What a step will keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The step's name.
    pub step: String,
    /// Keys, groups or rows that it keeps at a time, as its metric counts them.
    pub keys: u64,
    /// Bytes of memory.
    pub bytes: u64,
    /// What to know of that.
    pub notes: Vec<String>,
}

/// How a step is tried.
struct Trial {
    /// For how long rows are kept; None for ever.
    kept: Option<Micros>,
    /// Rows of a key that are kept by number.
    rows: u64,
    /// At most so many rows of a key within this time make a difference.
    enough: Option<(u64, Micros)>,
    /// The fewest keys that show what one costs.
    keys_min: u64,
    inputs: Vec<Input>,
    notes: Vec<String>,
}

/// The rows of one input.
struct Input {
    number: usize,
    fields: Vec<Field>,
    keys: Vec<usize>,
    time: Option<usize>,
    /// A column that is always this.
    fixed: Option<(usize, Value)>,
}

impl Query {
    /// What its steps with state will keep.
    ///
    /// # Errors
    /// When a made-up row fails in a step: a sentence.
    pub fn footprint(&self, load: Load) -> Result<Vec<Footprint>, String> {
        let behind = self.behind();
        let delays = self.steps.iter().map(|step| match &step.kind {
            StepKind::EventTime(time) => time.delay,
            _ => 0,
        });
        let delay = delays.max().unwrap_or(0);
        let mut all = Vec::new();
        for (place, step) in self.steps.iter().enumerate() {
            if let Some(trial) = self.trial(place, load)
                && let Some(operator) = step.kind.operator("", &step.schema)
            {
                let held = delay.saturating_add(behind[place]);
                let footprint = trial.run(operator, load, held);
                let (size, notes) = footprint.map_err(|error| {
                    format!("`{}` cannot be tried with made-up rows: {error}", step.name)
                })?;
                all.push(Footprint {
                    step: step.name.to_string(),
                    keys: size.keys,
                    bytes: size.bytes,
                    notes,
                });
            }
        }
        Ok(all)
    }

    /// The columns of the rows that come to an input of a step.
    fn fields_into(&self, step: usize, input: usize) -> Vec<Field> {
        let to = Target::Step { step, input };
        let from = self.steps.iter().find(|from| from.to == to);
        from.map_or_else(Vec::new, |from| from.schema.fields.to_vec())
    }

    fn trial(&self, place: usize, load: Load) -> Option<Trial> {
        let input = |keys: Vec<usize>, time| Input {
            number: 0,
            fields: self.fields_into(place, 0),
            keys,
            time,
            fixed: None,
        };
        let mut trial = Trial {
            kept: None,
            rows: 1,
            enough: None,
            keys_min: 1,
            inputs: Vec::new(),
            notes: Vec::new(),
        };
        match &self.steps[place].kind {
            StepKind::Aggregate(group) => {
                let rows = self.of_group(place, group, &mut trial, input(Vec::new(), None));
                trial.inputs.push(rows);
            }
            StepKind::Dedup(dedup) => {
                trial.keys_min = KEYS_MIN;
                let (time, kept) = match dedup.remember() {
                    Remember::Always => (None, dedup.ttl),
                    Remember::Column(time) => (Some(time), Some(0)),
                    Remember::EventTime(delay) => (None, Some(delay)),
                };
                trial.kept = kept;
                trial.enough = kept.map(|kept| (1, kept.max(1)));
                let keys = dedup.keys.iter().copied();
                trial
                    .inputs
                    .push(input(keys.filter(|key| Some(*key) != time).collect(), time));
            }
            StepKind::Over(windows) => {
                let over = &windows.over;
                let time = over.order.as_ref().map(|order| order.place);
                trial.over(over, load);
                trial.inputs.push(input(over.keys.clone(), time));
            }
            StepKind::Join(joining) => {
                let join = &joining.join;
                let reach = |side: usize| join.bounds[side].map(|bound| bound.reach.max(0));
                let sides: &[usize] = if joining.with_table() { &[1] } else { &[0, 1] };
                trial.kept = match (joining.with_table(), reach(0).max(reach(1))) {
                    (true, _) => None,
                    (false, reach) => reach.or(join.ttl),
                };
                for &side in sides {
                    trial.inputs.push(Input {
                        number: side,
                        fields: joining.sides[side].clone(),
                        keys: join.keys[side].clone(),
                        time: join.bounds[side].map(|bound| bound.time),
                        fixed: join.deleted.map(|place| (place, Value::Boolean(false))),
                    });
                }
            }
            _ => return None,
        }
        Some(trial)
    }

    /// How a GROUP BY is tried.
    fn of_group(&self, place: usize, group: &Group, trial: &mut Trial, mut rows: Input) -> Input {
        let grouping = &group.grouping;
        let keys: Vec<usize> = (0..grouping.keys.len()).collect();
        trial.keys_min = KEYS_MIN;
        rows.keys = keys;
        match (&grouping.window, grouping.over) {
            (Some(window), _) => {
                rows.time = Some(window.time);
                let (kept, piece) = match window.shape {
                    Shape::Fixed { size, slide, start } => {
                        (size, Grid { size, slide, start }.pane())
                    }
                    Shape::Session { gap } => {
                        let length = self.gap(place, gap, &mut trial.notes);
                        rows.fixed = Some((gap, Value::BigInt(length)));
                        (length, length)
                    }
                };
                trial.kept = Some(kept);
                trial.enough = Some((2, piece));
            }
            (None, Over::Key(key)) => {
                rows.time = group.below_key(key);
                rows.keys.retain(|key| Some(*key) != rows.time);
                trial.kept = Some(0);
            }
            (None, _) => {}
        }
        let grows = |name: &str| {
            let growing = ["collect", "percentile", "median", "mode", "listagg"];
            growing.iter().any(|begin| name.starts_with(begin))
        };
        let growing = grouping.aggregates.iter();
        for one in growing.filter(|one| one.distinct || grows(one.function)) {
            trial.enough = None;
            if trial.kept.is_none() {
                let note = "grows with every value, here with one a key";
                trial.notes.push(format!("{} {note}", one.function));
            }
        }
        if grouping.over == Over::Never && trial.kept.is_some() {
            trial
                .notes
                .push("windows are never forgotten: of one".to_owned());
        }
        rows
    }

    /// The length of a session's gap, where it is always the same.
    fn gap(&self, place: usize, gap: usize, notes: &mut Vec<String>) -> Micros {
        let to = Target::Step {
            step: place,
            input: 0,
        };
        let below = self.steps.iter().find(|step| step.to == to);
        let constant = below.and_then(|step| match &step.kind {
            StepKind::Project(projection) => projection.items.get(gap)?.typed.constant().cloned(),
            _ => None,
        });
        match constant {
            Some(Value::BigInt(gap)) => gap,
            _ => {
                notes.push("with gaps of 5 minutes".to_owned());
                300_000_000
            }
        }
    }
}

impl Trial {
    /// How far the frames of OVER reach.
    fn over(&mut self, over: &crate::stateful::over::Over, load: Load) {
        for function in &over.functions {
            let frame = over.frames.get(function.frame);
            match (function.kind, frame) {
                (Kind::Lag { offset, .. }, _) => self.rows = self.rows.max(offset + 1),
                (Kind::RowNumber, _) => {}
                (_, Some(Frame::Rows { from, .. })) => self.rows = self.rows.max(from + 1),
                (_, Some(Frame::Range { from, .. })) => {
                    let from = match (from, over.order.as_ref().map(|order| &order.data_type)) {
                        (Distance::Whole(n), Some(DataType::Date)) => {
                            n.saturating_mul(86_400_000_000)
                        }
                        (
                            Distance::Whole(n),
                            Some(DataType::Timestamp | DataType::TimestampNtz),
                        ) => *n,
                        _ => {
                            self.notes.push(
                                "a frame over numbers is taken to hold one row a key".to_owned(),
                            );
                            0
                        }
                    };
                    self.kept = self.kept.max(Some(from));
                }
                _ => {}
            }
        }
        let rows_max = u64::try_from(over.rows_max).unwrap_or(u64::MAX);
        if let Some(kept) = self.kept {
            let rows = rows_in(load.rate, kept) / load.keys.max(1);
            if let Some(step) = over.step {
                let panes = u64::try_from(kept / step + 1).unwrap_or(1).min(rows.max(1));
                self.notes
                    .push(format!("{panes} panes of each key in the longest frame"));
                return;
            }
            self.notes.push(format!(
                "{} of each key in the longest frame",
                counted(rows.max(1), "row")
            ));
            if rows > rows_max {
                self.notes.push(format!(
                    "more than frameRowsMax, {rows_max}: the records of such a key fail"
                ));
            }
            self.enough = Some((rows_max, kept.max(1)));
        } else if self.rows > 1 {
            self.notes.push(format!("{} rows of each key", self.rows));
        }
    }

    /// Runs the sample; gives what all keys take.
    fn run(
        mut self,
        mut operator: Box<dyn Operator>,
        load: Load,
        held: Micros,
    ) -> Result<(StateSize, Vec<String>), RecordError> {
        // Rows a second; more than enough make no difference.
        let mut rate = load.rate.max(1);
        if let Some((rows, within)) = self.enough {
            let most = u128::from(rows) * u128::from(load.keys) * 1_000_000;
            let most = most / u128::from(within.max(1).unsigned_abs());
            rate = rate.min(u64::try_from(most).unwrap_or(u64::MAX).max(1));
        }
        let time = self
            .kept
            .map(|kept| kept.saturating_mul(2).saturating_add(held));
        let rows = |rate: u64, keys: u64| {
            let in_time = time.map_or(0, |time| rows_in(rate, time));
            in_time.max(keys.saturating_mul(self.rows))
        };
        let mut halved = 0;
        while (load.keys >> (halved + 1)) >= self.keys_min.max(1)
            && ((load.keys >> halved) > KEYS_MAX || rows(rate, load.keys) >> halved > ROWS_MAX)
        {
            halved += 1;
        }
        let keys = (load.keys >> halved).max(1);
        let all = (rows(rate, load.keys) >> halved).max(1);
        let rows = all.min(4 * ROWS_MAX);
        let mut apart = 1_000_000.0 * 2_f64.powi(halved) / rate as f64;
        if rows < all {
            apart *= all as f64 / rows as f64;
            self.notes
                .push("of fewer rows than that: at least".to_owned());
        }
        let empty = operator.size();
        let full = self.fill(&mut *operator, (keys, rows), apart, held)?;
        let times = |sample: u64| sample << halved;
        let size = StateSize {
            keys: times(full.keys),
            bytes: times(full.bytes.saturating_sub(empty.bytes)) + empty.bytes,
        };
        Ok((size, self.notes))
    }

    /// Sends so many rows over so many keys, so far apart in microseconds; gives the most that was kept.
    fn fill(
        &self,
        operator: &mut dyn Operator,
        (keys, rows): (u64, u64),
        apart: f64,
        held: Micros,
    ) -> Result<StateSize, RecordError> {
        let mut meta = RecordMeta {
            partition: Arc::new(Partition {
                input: "made up".into(),
                name: "made up".into(),
            }),
            position: Position::Number(0),
            record_time: None,
            event_time: None,
            watermark: None,
            taken_at: BEGIN,
            taken: Instant::now(),
        };
        let mut most = StateSize::default();
        let slice = (rows / 256).max(1);
        let mut row = Row::new();
        for number in 0..rows {
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
            let time = BEGIN + (number as f64 * apart) as i64;
            meta.event_time = Some(time);
            meta.taken_at = time;
            for input in &self.inputs {
                input.make(number, number % keys, time, &mut row);
                operator.process(input.number, &row, &meta, &mut Nowhere)?;
            }
            operator.accept();
            if number % slice == slice - 1 || number + 1 == rows {
                let size = operator.size();
                if size.bytes >= most.bytes {
                    most = size;
                }
                let watermark = time.saturating_sub(held);
                rest(
                    operator.advance(watermark, &meta, &mut Nowhere)?,
                    operator,
                    &meta,
                )?;
                rest(operator.tick(time, &meta, &mut Nowhere)?, operator, &meta)?;
                operator.expire(time);
                operator.save();
                meta.watermark = Some(watermark);
            }
        }
        Ok(most)
    }
}

/// Lets an operator emit all it has.
fn rest(
    mut progress: Progress,
    operator: &mut dyn Operator,
    meta: &RecordMeta,
) -> Result<(), RecordError> {
    operator.accept();
    while progress == Progress::More {
        progress = operator.resume(meta, &mut Nowhere)?;
        operator.accept();
    }
    Ok(())
}

fn rows_in(rate: u64, time: Micros) -> u64 {
    let rows = u128::from(rate) * u128::from(time.max(0).unsigned_abs()) / 1_000_000;
    u64::try_from(rows).unwrap_or(u64::MAX)
}

impl Input {
    /// A row of this key: columns that are no key have another value in each row.
    fn make(&self, number: u64, key: u64, time: Micros, row: &mut Row) {
        row.clear();
        for (place, field) in self.fields.iter().enumerate() {
            row.push(match &self.fixed {
                Some((at, value)) if *at == place => value.clone(),
                _ if self.time == Some(place) => at(time, &field.data_type),
                _ if self.keys.contains(&place) => value(key, &field.data_type),
                _ => value(number, &field.data_type),
            });
        }
    }
}

fn at(time: Micros, data_type: &DataType) -> Value {
    match data_type {
        DataType::TimestampNtz => Value::TimestampNtz(time),
        DataType::Date => Value::Date(i32::try_from(time / 86_400_000_000).unwrap_or(0)),
        DataType::Timestamp => Value::Timestamp(time),
        // A window.
        DataType::Struct(fields) => {
            let bounds = fields.iter().map(|field| at(time, &field.data_type));
            Value::Struct(bounds.collect())
        }
        other => value(time.unsigned_abs() / 1_000_000, other),
    }
}

/// A value that tells its number, as far as the type can.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss
)]
fn value(number: u64, data_type: &DataType) -> Value {
    match data_type {
        DataType::Void => Value::Null,
        DataType::Boolean => Value::Boolean(number % 2 == 1),
        DataType::TinyInt => Value::TinyInt(number as i8),
        DataType::SmallInt => Value::SmallInt(number as i16),
        DataType::Int => Value::Int(number as i32),
        DataType::BigInt => Value::BigInt(number as i64),
        DataType::Float => Value::Float(number as f32),
        DataType::Double => Value::Double(number as f64),
        DataType::Decimal { precision, .. } => {
            let most = 10_i128.pow(u32::from(*precision).min(18));
            Value::Decimal((i128::from(number) % most).into())
        }
        DataType::String => Value::from(format!("{number:016}").as_str()),
        DataType::Binary => Value::Binary(format!("{number:016}").into_bytes().into()),
        DataType::Date => Value::Date((number % 20_000) as i32),
        DataType::Timestamp => Value::Timestamp(BEGIN + number as i64),
        DataType::TimestampNtz => Value::TimestampNtz(BEGIN + number as i64),
        DataType::YearMonthInterval => Value::YearMonthInterval(number as i32),
        DataType::DayTimeInterval => Value::DayTimeInterval(number as i64),
        DataType::Array(element) => Value::Array([value(number, element)].into()),
        DataType::Map(pair) => {
            Value::Map([(value(number, &pair.0), value(number, &pair.1))].into())
        }
        DataType::Struct(fields) => {
            let values = fields.iter().map(|field| value(number, &field.data_type));
            Value::Struct(values.collect())
        }
    }
}

/// Nobody is behind the step.
struct Nowhere;

impl Emit for Nowhere {
    fn emit(&mut self, _: &[Value], _: &RecordMeta) -> Result<(), RecordError> {
        Ok(())
    }
}
