//! Functions of arrays that compare elements: sorting, sets, extremes; and sequences.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Any, Array, Boolean};
use super::arrays::{array_of, element};
use super::dates_arithmetic::out_of_range;
use super::forms::{ELEMENTS_MAX, check_elements, failed};
use super::hash::fingerprint;
use super::{BindContext, Function, function};
use crate::expr::access::{array, boolean, long};
use crate::expr::body::Outcome;
use crate::expr::calendar::{self, MICROS_PER_DAY, Zone};
use crate::expr::coerce;
use crate::expr::compare::{compare, equal};
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "sort_array",
        "sort_array(array[, ascending])",
        "The elements in ascending order, NULLs first; with false in descending order, NULLs last.",
        "sort_array(array('b', 'd', NULL, 'c', 'a'), true)",
        "[null, a, b, c, d]",
        |args, cx| {
            let args = cx.take(args, &[Array, Boolean], 1)?;
            ordered(&args, cx)?;
            cx.strict(args[0].data_type.clone(), args, |v| {
                let mut sorted = array(&v[0]).to_vec();
                sorted.sort_by(compare);
                if v.get(1).is_some_and(|ascending| !boolean(ascending)) {
                    sorted.reverse();
                }
                Ok(Value::Array(sorted.into()))
            })
        },
    ),
    function(
        "array_distinct",
        "array_distinct(array)",
        "Each element once, in the order of their first places.",
        "array_distinct(array(1, 2, 3, NULL, 3))",
        "[1, 2, 3, null]",
        |args, cx| {
            let args = cx.take(args, &[Array], 1)?;
            hashable(&args, cx)?;
            cx.strict(args[0].data_type.clone(), args, |v| {
                let mut seen = Seen::default();
                array(&v[0]).iter().for_each(|element| {
                    seen.add(element);
                });
                Ok(Value::Array(seen.values.into()))
            })
        },
    ),
    function(
        "array_union",
        "array_union(a, b)",
        "Each element of one or the other, once.",
        "array_union(array(1, 2, 3), array(1, 3, 5))",
        "[1, 2, 3, 5]",
        |args, cx| {
            set(args, cx, |a, b| {
                let mut seen = Seen::default();
                a.iter().chain(b).for_each(|element| {
                    seen.add(element);
                });
                seen.values
            })
        },
    ),
    function(
        "array_intersect",
        "array_intersect(a, b)",
        "Each element that both have, once.",
        "array_intersect(array(1, 2, 3), array(1, 3, 5))",
        "[1, 3]",
        |args, cx| set(args, cx, |a, b| select(a, b, true)),
    ),
    function(
        "array_except",
        "array_except(a, b)",
        "Each element of a that b has not, once.",
        "array_except(array(1, 2, 3), array(1, 3, 5))",
        "[2]",
        |args, cx| set(args, cx, |a, b| select(a, b, false)),
    ),
    function(
        "arrays_overlap",
        "arrays_overlap(a, b)",
        "Whether they have an element in common; NULL where they have not but a NULL is in one of them.",
        "arrays_overlap(array(1, 2, 3), array(3, 4, 5))",
        "true",
        |args, cx| {
            let (args, _) = two_arrays(args, cx)?;
            cx.partial(DataType::Boolean, args, |v| {
                let (a, b) = (array(&v[0]), array(&v[1]));
                let mut seen = Seen::default();
                a.iter()
                    .filter(|element| !element.is_null())
                    .for_each(|element| {
                        seen.add(element);
                    });
                if b.iter()
                    .any(|element| !element.is_null() && seen.has(element))
                {
                    return Ok(Value::Boolean(true));
                }
                let unknown =
                    !a.is_empty() && !b.is_empty() && a.iter().chain(b).any(Value::is_null);
                Ok(if unknown {
                    Value::Null
                } else {
                    Value::Boolean(false)
                })
            })
        },
    ),
    function(
        "array_max",
        "array_max(array)",
        "The greatest element, NULLs left out.",
        "array_max(array(1, 20, NULL, 3))",
        "20",
        |args, cx| extreme(args, cx, Ordering::Greater),
    ),
    function(
        "array_min",
        "array_min(array)",
        "The least element, NULLs left out.",
        "array_min(array(1, 20, NULL, 3))",
        "1",
        |args, cx| extreme(args, cx, Ordering::Less),
    ),
    function(
        "sequence",
        "sequence(first, last[, step])",
        "The integers, dates or times from the first to the last; the step is 1, or 1 day, if none is given.",
        "sequence(5, 1)",
        "[5, 4, 3, 2, 1]",
        sequence,
    ),
];

/// The elements seen so far, each once.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) values: Vec<Value>,
    /// Places by fingerprint, once there are too many to look at each.
    index: HashMap<u64, Vec<usize>>,
}

impl Seen {
    const FEW: usize = 16;

    pub(super) fn has(&self, value: &Value) -> bool {
        self.place(value).is_some()
    }

    /// Its place among those that were new.
    pub(super) fn place(&self, value: &Value) -> Option<usize> {
        let known = |place: &usize| equal(&self.values[*place], value);
        if self.index.is_empty() {
            return (0..self.values.len()).find(known);
        }
        let places = self.index.get(&fingerprint(value))?;
        places.iter().copied().find(known)
    }

    /// Whether it is new.
    pub(super) fn add(&mut self, value: &Value) -> bool {
        if self.has(value) {
            return false;
        }
        self.values.push(match value {
            // Zero has one sign here, as in Spark's sets.
            Value::Float(number) => Value::Float(number + 0.0),
            Value::Double(number) => Value::Double(number + 0.0),
            other => other.clone(),
        });
        let count = self.values.len();
        if count <= Self::FEW {
            return true;
        }
        let first = if self.index.is_empty() { 0 } else { count - 1 };
        for (place, value) in self.values.iter().enumerate().skip(first) {
            self.index
                .entry(fingerprint(value))
                .or_default()
                .push(place);
        }
        true
    }
}

/// The elements of a, each once, that b has, or has not.
fn select(a: &[Value], b: &[Value], wanted: bool) -> Vec<Value> {
    let (mut other, mut seen) = (Seen::default(), Seen::default());
    b.iter().for_each(|element| {
        other.add(element);
    });
    a.iter()
        .filter(|element| other.has(element) == wanted)
        .for_each(|element| {
            seen.add(element);
        });
    seen.values
}

fn holds_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(_) => true,
        DataType::Array(element) => holds_map(element),
        DataType::Struct(fields) => fields.iter().any(|field| holds_map(&field.data_type)),
        _ => false,
    }
}

fn hashable(args: &[Typed], cx: &BindContext) -> Result<(), JobError> {
    if args.iter().any(|arg| holds_map(&arg.data_type)) {
        return Err(cx.error("MAPs cannot be compared"));
    }
    Ok(())
}

fn ordered(args: &[Typed], cx: &BindContext) -> Result<(), JobError> {
    if holds_map(&args[0].data_type) {
        return Err(cx.error("MAPs have no order"));
    }
    Ok(())
}

fn two_arrays(args: Vec<Typed>, cx: &BindContext) -> Result<(Vec<Typed>, DataType), JobError> {
    let args = cx.take(args, &[Array, Array], 2)?;
    hashable(&args, cx)?;
    cx.same_type(args)
}

fn set(
    args: Vec<Typed>,
    cx: &BindContext,
    call: fn(&[Value], &[Value]) -> Vec<Value>,
) -> Result<Typed, JobError> {
    let (args, data_type) = two_arrays(args, cx)?;
    cx.strict(data_type, args, move |v| {
        Ok(Value::Array(call(array(&v[0]), array(&v[1])).into()))
    })
}

fn extreme(args: Vec<Typed>, cx: &BindContext, wanted: Ordering) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Array], 1)?;
    ordered(&args, cx)?;
    cx.partial(element(&args[0]), args, move |v| {
        let mut best = &Value::Null;
        for value in array(&v[0]).iter().filter(|value| !value.is_null()) {
            if best.is_null() || compare(value, best) == wanted {
                best = value;
            }
        }
        Ok(best.clone())
    })
}

fn sequence(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Any, Any, Any], 2)?;
    let step = if args.len() == 3 { args.pop() } else { None };
    let (mut args, data_type) = cx.same_type(args)?;
    let integers = data_type.is_integer();
    let times = matches!(
        data_type,
        DataType::Date | DataType::Timestamp | DataType::TimestampNtz
    );
    let step = match step {
        Some(step) if integers && step.data_type.is_integer() => {
            Some(coerce::cast_implicitly(step, &data_type, cx.settings))
        }
        Some(step)
            if times
                && matches!(
                    step.data_type,
                    DataType::YearMonthInterval | DataType::DayTimeInterval
                ) =>
        {
            Some(step)
        }
        Some(step) => {
            return Err(cx.error(format!(
                "a sequence of {data_type} has no steps of {}",
                step.data_type
            )));
        }
        None => None,
    };
    if !integers && !times {
        return Err(cx.error(format!(
            "a sequence is of integers, dates or times, not of {data_type}"
        )));
    }
    args.extend(step);
    let zone = cx.settings.zone;
    let local = data_type == DataType::Timestamp;
    cx.strict(array_of(data_type.clone()), args, move |v| {
        let (first, last) = (long(&v[0]), long(&v[1]));
        let backwards = last < first;
        let step = v.get(2);
        if integers
            || data_type == DataType::Date && !matches!(step, Some(Value::YearMonthInterval(_)))
        {
            let by = match step {
                None if backwards => -1,
                None => 1,
                Some(Value::DayTimeInterval(micros)) if micros % MICROS_PER_DAY == 0 => {
                    micros / MICROS_PER_DAY
                }
                Some(Value::DayTimeInterval(_)) => {
                    return Err(failed(
                        "sequence: the step between dates must be whole days",
                    ));
                }
                Some(step) => long(step),
            };
            return steps(first, last, by, |i| {
                make(&data_type, first.checked_add(by.checked_mul(i)?)?)
            });
        }
        match step {
            Some(Value::YearMonthInterval(months)) => {
                let by = i64::from(*months);
                steps_while(
                    first,
                    last,
                    by,
                    |i| {
                        let months = i32::try_from(by.checked_mul(i)?).ok()?;
                        add_months(&data_type, first, months, local.then_some(zone))
                    },
                    &data_type,
                )
            }
            step => {
                let by = match step {
                    Some(step) => long(step),
                    None if backwards => -MICROS_PER_DAY,
                    None => MICROS_PER_DAY,
                };
                if local && zone != Zone::UTC {
                    // Days are days of the calendar.
                    let days = |i: i64| (by / MICROS_PER_DAY * MICROS_PER_DAY).checked_mul(i);
                    let from = calendar::shown(first, zone).ok_or_else(out_of_range)?;
                    return steps_while(
                        first,
                        last,
                        by,
                        |i| {
                            let day = calendar::utc(from.checked_add(days(i)?)?, zone)?;
                            day.checked_add((by % MICROS_PER_DAY).checked_mul(i)?)
                        },
                        &data_type,
                    );
                }
                steps(first, last, by, |i| {
                    make(&data_type, first.checked_add(by.checked_mul(i)?)?)
                })
            }
        }
    })
}

fn make(data_type: &DataType, number: i64) -> Option<Value> {
    Some(match data_type {
        DataType::TinyInt => Value::TinyInt(i8::try_from(number).ok()?),
        DataType::SmallInt => Value::SmallInt(i16::try_from(number).ok()?),
        DataType::Int => Value::Int(i32::try_from(number).ok()?),
        DataType::Date => Value::Date(i32::try_from(number).ok()?),
        DataType::Timestamp => Value::Timestamp(number),
        DataType::TimestampNtz => Value::TimestampNtz(number),
        _ => Value::BigInt(number),
    })
}

fn add_months(data_type: &DataType, from: i64, months: i32, zone: Option<Zone>) -> Option<i64> {
    if *data_type == DataType::Date {
        return calendar::add_months(i32::try_from(from).ok()?, months).map(i64::from);
    }
    let shown = match zone {
        Some(zone) => calendar::shown(from, zone)?,
        None => from,
    };
    let day = i32::try_from(shown.div_euclid(MICROS_PER_DAY)).ok()?;
    let moved = calendar::add_months(day, months)?;
    let moved = calendar::moment(moved, shown.rem_euclid(MICROS_PER_DAY))?;
    match zone {
        Some(zone) => calendar::utc(moved, zone),
        None => Some(moved),
    }
}

fn wrong_step() -> RecordError {
    failed("sequence: the step must lead from the first to the last")
}

fn check_step(first: i64, last: i64, by: i64) -> Result<(), RecordError> {
    let leads = by > 0 && first <= last || by < 0 && first >= last || first == last;
    if leads { Ok(()) } else { Err(wrong_step()) }
}

/// Steps of equal size.
fn steps(first: i64, last: i64, by: i64, value: impl Fn(i64) -> Option<Value>) -> Outcome {
    check_step(first, last, by)?;
    let between = (i128::from(last) - i128::from(first)).unsigned_abs();
    let count = match u128::from(by.unsigned_abs()) {
        0 => 1,
        by => between / by + 1,
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    check_elements(count)?;
    (0..i64::try_from(count).unwrap_or(0))
        .map(|i| value(i).ok_or_else(wrong_step))
        .collect::<Result<Arc<[Value]>, _>>()
        .map(Value::Array)
}

/// Steps of unequal size: months.
fn steps_while(
    first: i64,
    last: i64,
    by: i64,
    value: impl Fn(i64) -> Option<i64>,
    data_type: &DataType,
) -> Outcome {
    check_step(first, last, by)?;
    let mut made = Vec::new();
    for i in 0.. {
        let next = match value(i) {
            Some(next) if by >= 0 && next <= last || by < 0 && next >= last => next,
            _ => break,
        };
        made.extend(make(data_type, next));
        if by == 0 {
            break;
        }
        if made.len() > ELEMENTS_MAX {
            check_elements(made.len())?;
        }
    }
    Ok(Value::Array(made.into()))
}
