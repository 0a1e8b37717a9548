//! The step that scores: features into the session of this thread, its answer out; or the fallback, marked and counted.

use std::sync::Arc;
use std::time::Instant;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::histogram::Histogram;
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;

use super::desk::{self, Desk, Half, Seat};
use super::edition::Edition;
use super::shadow::{Sample, hand};
use super::shelf::{count, millionths};
use super::{Clock, Deadline, Model};
use crate::expr::Eval;
use crate::expr::body::locate;
use crate::expr::functions::spark_xxhash64;
use crate::job_error::Location;

/// What a call gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    /// The score.
    Score,
    /// All outputs.
    All,
    /// The score, why the fallback answered, and the version.
    Detail,
    /// The shadow's score.
    Shadow,
}

/// Why the model does not answer.
enum Miss {
    /// The time left does not suffice.
    Late,
    /// It failed.
    Failed(String),
}

/// A call.
pub(super) struct Predict {
    pub(super) model: Arc<Model>,
    pub(super) gives: Gives,
    /// An expression for each feature.
    pub(super) features: Vec<Box<dyn Eval>>,
    pub(super) names: Vec<SmolStr>,
    /// The column whose hash decides who scores.
    pub(super) key: Option<Box<dyn Eval>>,
    pub(super) fallback: Option<Box<dyn Eval>>,
    pub(super) deadline: Option<Deadline>,
    /// When the run of the query began, in microseconds since 1970: what is older waited for it.
    pub(super) run_began: Micros,
    pub(super) at: Location,
    pub(super) values: Vec<Value>,
    /// For the version of this number, where it wants each value.
    pub(super) places: [(u64, Vec<usize>); 2],
    pub(super) clock: Option<Clock>,
}

impl Eval for Predict {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Result<Value, RecordError> {
        for (value, eval) in self.values.iter_mut().zip(&mut self.features) {
            *value = eval.eval(row, meta)?;
        }
        let canary = match &mut self.key {
            Some(key) => self.model.is_canary(hashed(&key.eval(row, meta)?)),
            None => false,
        };
        let clock = match self.clock {
            Some(clock) => clock,
            None => *self
                .clock
                .insert(self.model.clock.lock().unwrap_or(Instant::now)),
        };
        let (mut info, marked) = (Value::Null, self.gives == Gives::Detail);
        let mut question = Question {
            model: &self.model,
            gives: self.gives,
            names: &self.names,
            values: &self.values,
            places: &mut self.places,
            deadline: self.deadline,
            run_began: self.run_began,
            clock,
            canary,
        };
        let asked = desk::at(&self.model, meta, |desk| {
            if question.gives == Gives::Shadow {
                return Ok(Ok(question.ask_shadow(desk, meta)));
            }
            if marked {
                info = desk.seat(canary).edition.info.clone();
            }
            Ok(question.ask(desk, meta))
        });
        let answer = asked.unwrap_or_else(|why| Err(Miss::Failed(why)));
        match answer {
            Ok(Value::Double(score)) if self.gives == Gives::Detail => {
                Ok(detail(Value::Double(score), Value::Null, info))
            }
            Ok(value) => Ok(value),
            Err(miss) => self.instead(miss, info, row, meta),
        }
    }
}

/// What is asked of a desk.
struct Question<'q> {
    model: &'q Model,
    gives: Gives,
    names: &'q [SmolStr],
    values: &'q [Value],
    places: &'q mut [(u64, Vec<usize>); 2],
    deadline: Option<Deadline>,
    run_began: Micros,
    clock: Clock,
    canary: bool,
}

impl Question<'_> {
    /// Asks the model, where the time left suffices.
    #[inline]
    fn ask(&mut self, desk: &mut Desk, meta: &RecordMeta) -> Result<Value, Miss> {
        let counters = &self.model.counters;
        let seat = desk.seat(self.canary);
        let (value, second) = (self.timed(seat, &counters.time, meta), seat.second);
        let value = value.inspect_err(|miss| {
            if matches!(miss, Miss::Failed(_)) {
                count(&counters.errors);
            }
        })?;
        let (scored, scores) = match second {
            true => (&counters.canary, &counters.canary_scores),
            false => (&counters.active, &counters.active_scores),
        };
        count(scored);
        if let Value::Double(score) = value {
            scores.observe(millionths(score));
            if let Some(aside) = &desk.lineup.aside {
                hand(aside, self.sample(score), counters);
            }
            if desk.shadow.is_some()
                && let Some((score, shadow)) = desk.met(Half::Score(score))
            {
                counters.compared(score, shadow);
            }
        }
        Ok(value)
    }

    /// Asks the shadow, where the time left suffices. NULL where it does not answer: nothing depends on it.
    fn ask_shadow(&mut self, desk: &mut Desk, meta: &RecordMeta) -> Value {
        let counters = &self.model.counters;
        let Some(seat) = &mut desk.shadow else {
            return Value::Null;
        };
        match self.timed(seat, &counters.shadow_time, meta) {
            Ok(Value::Double(score)) => {
                counters.shadow_scored(score);
                if let Some((score, shadow)) = desk.met(Half::Shadow(score)) {
                    counters.compared(score, shadow);
                }
                return Value::Double(score);
            }
            Err(Miss::Late) => count(&counters.skipped),
            Ok(_) | Err(Miss::Failed(_)) => count(&counters.shadow_errors),
        }
        Value::Null
    }

    /// A run with the session of a version, where the time left suffices.
    #[inline]
    fn timed(
        &mut self,
        seat: &mut Seat,
        time: &Histogram,
        meta: &RecordMeta,
    ) -> Result<Value, Miss> {
        let begun = (self.clock)();
        if let Some(deadline) = self.deadline
            && let Some(left) = left(deadline, begun, meta, self.run_began)
            && !seat.pace.fits(left, begun)
        {
            return Err(Miss::Late);
        }
        let second = usize::from(seat.second);
        let places = &mut self.places[second];
        if places.0 != seat.edition.number {
            let positional = self.model.options.positional;
            let found = seat.edition.signature.places(self.names, positional);
            *places = (seat.edition.number, found.map_err(Miss::Failed)?);
        }
        let value = run(seat, self.values, self.names, &places.1, self.gives);
        let took = (self.clock)().saturating_duration_since(begun);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        seat.pace.observe(begun, nanos);
        time.observe_duration(took);
        value.map_err(Miss::Failed)
    }

    /// What the shadow gets: the features in the order of the model as it was declared.
    fn sample(&self, score: f64) -> Sample {
        let positional = self.model.options.positional;
        let declared = self.model.declared.features.iter().enumerate();
        let values = declared.map(|(place, feature)| {
            let named = || self.names.iter().position(|name| *name == feature.name);
            let place = if positional { Some(place) } else { named() };
            place
                .and_then(|place| self.values.get(place))
                .cloned()
                .unwrap_or_default()
        });
        Sample {
            values: values.collect(),
            score,
        }
    }
}

impl Predict {
    /// What answers in the place of the model.
    #[cold]
    fn instead(
        &mut self,
        miss: Miss,
        info: Value,
        row: &[Value],
        meta: &RecordMeta,
    ) -> Result<Value, RecordError> {
        let Some(fallback) = &mut self.fallback else {
            let why = match miss {
                Miss::Late => "the time left does not suffice".to_owned(),
                Miss::Failed(why) => why,
            };
            let error = RecordError::expression(format!("model `{}`: {why}", self.model.name));
            return Err(locate(error, self.at));
        };
        let counters = &self.model.counters;
        let (word, tally) = match miss {
            Miss::Late => ("deadline", &counters.late),
            Miss::Failed(_) => ("error", &counters.failed),
        };
        count(tally);
        let value = fallback.eval(row, meta)?;
        Ok(match self.gives {
            Gives::Detail => detail(value, Value::from(word), info),
            _ => value,
        })
    }
}

/// `STRUCT<score, fallback, model>`.
fn detail(score: Value, fallback: Value, info: Value) -> Value {
    Value::Struct(Arc::from([score, fallback, info]))
}

/// One run.
#[inline]
fn run(
    seat: &mut Seat,
    values: &[Value],
    names: &[SmolStr],
    places: &[usize],
    gives: Gives,
) -> Result<Value, String> {
    for (index, (value, place)) in values.iter().zip(places).enumerate() {
        if let Err(why) = seat.scorer.set(*place, value) {
            let name = names.get(index).map_or("", SmolStr::as_str);
            return Err(format!("the feature `{name}` {why}"));
        }
    }
    if gives == Gives::All {
        let Edition { lists, .. } = &*seat.edition;
        return Ok(Value::Struct(seat.scorer.all(lists)?.into()));
    }
    Ok(Value::Double(seat.scorer.score()?))
}

/// The time left in nanoseconds; None where none is counted, because the record waited for the run to begin.
fn left(deadline: Deadline, now: Instant, meta: &RecordMeta, run_began: Micros) -> Option<i64> {
    let taken = now.saturating_duration_since(meta.taken).as_nanos();
    let mut spent = i64::try_from(taken).unwrap_or(i64::MAX);
    if deadline.from_record {
        let record = meta.record_time?;
        if record < run_began {
            return None;
        }
        let before = (meta.taken_at - record).max(0).saturating_mul(1_000);
        spent = spent.saturating_add(before);
    }
    Some(deadline.within.saturating_mul(1_000) - spent)
}

/// Spark's `xxhash64` of a key.
#[inline]
fn hashed(key: &Value) -> u64 {
    const SEED: u64 = 42;
    spark_xxhash64(key, false, SEED)
}

/// `model_info`: the version that scores this record.
pub(super) struct Info {
    pub(super) model: Arc<Model>,
    pub(super) key: Option<Box<dyn Eval>>,
    pub(super) at: Location,
}

impl Eval for Info {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Result<Value, RecordError> {
        let canary = match &mut self.key {
            Some(key) => self.model.is_canary(hashed(&key.eval(row, meta)?)),
            None => false,
        };
        let model = Arc::clone(&self.model);
        let info = desk::at(&model, meta, |desk| {
            Ok(desk.seat(canary).edition.info.clone())
        });
        info.map_err(|why| {
            let error = RecordError::expression(format!("model `{}` {why}", model.name));
            locate(error, self.at)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use thalweg_engine::record::{Partition, Position};

    use super::*;

    fn record(record_time: i64, taken_at: i64) -> RecordMeta {
        RecordMeta {
            partition: Arc::new(Partition {
                input: "t".into(),
                name: "t/0".into(),
            }),
            position: Position::Number(0),
            record_time: Some(record_time),
            event_time: None,
            watermark: None,
            taken_at,
            taken: Instant::now(),
        }
    }

    #[test]
    fn the_time_left_counts_from_taken_or_from_the_records_own_time() {
        let meta = record(1_000_000, 1_003_000);
        let now = meta.taken + Duration::from_millis(1);
        let deadline = |from_record| Deadline {
            within: 5_000,
            from_record,
        };
        assert_eq!(left(deadline(false), now, &meta, 0), Some(4_000_000));
        assert_eq!(left(deadline(true), now, &meta, 0), Some(1_000_000));
        let late = meta.taken + Duration::from_millis(9);
        assert_eq!(left(deadline(true), late, &meta, 0), Some(-7_000_000));
    }

    #[test]
    fn a_record_from_before_the_run_has_all_the_time() {
        let meta = record(1_000_000, 9_000_000);
        let deadline = Deadline {
            within: 5_000,
            from_record: true,
        };
        assert_eq!(left(deadline, meta.taken, &meta, 1_000_001), None);
    }
}
