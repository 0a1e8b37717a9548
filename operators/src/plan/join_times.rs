//! Time bounds in the condition of a join: how much later than its own time a row's partner may be.
//!
//! A comparison of times is taken apart into columns and constants: `a.ts >= b.ts - INTERVAL 10 MINUTES` says that the time
//! of b is at most 10 minutes past that of a.

use thalweg_engine::record::Micros;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::typed::{Comparison, Kind, Op, Typed};
use crate::stateful::join::Bound;

/// A sum of columns, each added or taken off, and a constant.
#[derive(Debug, Default)]
struct Sum {
    added: Vec<usize>,
    taken: Vec<usize>,
    constant: Micros,
}

impl Sum {
    fn minus(mut self, other: Self) -> Option<Self> {
        self.added.extend(other.taken);
        self.taken.extend(other.added);
        self.constant = self.constant.checked_sub(other.constant)?;
        Some(self)
    }

    fn plus(mut self, other: Self) -> Option<Self> {
        self.added.extend(other.added);
        self.taken.extend(other.taken);
        self.constant = self.constant.checked_add(other.constant)?;
        Some(self)
    }
}

fn sum(typed: &Typed) -> Option<Sum> {
    match &typed.kind {
        Kind::Column { index, .. }
            if matches!(
                typed.data_type,
                DataType::Timestamp | DataType::TimestampNtz
            ) =>
        {
            Some(Sum {
                added: vec![*index],
                ..Sum::default()
            })
        }
        Kind::Literal(Value::DayTimeInterval(micros)) => Some(Sum {
            constant: *micros,
            ..Sum::default()
        }),
        Kind::Node { op, args } => {
            let symbol = match op {
                Op::Call(call) => call.name.as_str(),
                Op::Arithmetic { operator, .. } => operator.symbol(),
                _ => return None,
            };
            let [first, second] = args.as_slice() else {
                return None;
            };
            match symbol {
                "+" => sum(first)?.plus(sum(second)?),
                "-" => sum(first)?.minus(sum(second)?),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What a condition says: this left column is at most so much later than this right one, or the other way about.
enum Says {
    LeftAtMost(usize, usize, Micros),
    RightAtMost(usize, usize, Micros),
}

fn says(condition: &Typed, width: usize) -> Vec<Says> {
    let Kind::Node {
        op: Op::Compare(comparison),
        args,
    } = &condition.kind
    else {
        return Vec::new();
    };
    let [first, second] = args.as_slice() else {
        return Vec::new();
    };
    let apart = |a: &Typed, b: &Typed| sum(a)?.minus(sum(b)?);
    let (lower, upper) = (apart(first, second), apart(second, first));
    let (sums, strict) = match comparison {
        Comparison::LessOrEqual => (vec![lower], 0),
        Comparison::Less => (vec![lower], 1),
        Comparison::GreaterOrEqual => (vec![upper], 0),
        Comparison::Greater => (vec![upper], 1),
        Comparison::Equal => (vec![lower, upper], 0),
        Comparison::NotEqual | Comparison::NullSafeEqual => return Vec::new(),
    };
    sums.into_iter()
        .flatten()
        .filter_map(|sum| {
            // One column less another, plus a constant, is at most 0: less than 0 is at most -1 microsecond.
            let ([added], [taken]) = (sum.added.as_slice(), sum.taken.as_slice()) else {
                return None;
            };
            let most = sum.constant.checked_neg()?.checked_sub(strict)?;
            match (*added < width, *taken < width) {
                (true, false) => Some(Says::LeftAtMost(*added, taken - width, most)),
                (false, true) => Some(Says::RightAtMost(added - width, *taken, most)),
                _ => None,
            }
        })
        .collect()
}

/// The same of two windows that are equal: the times in the one end where the other ends, and its beginning is its time.
fn windows(condition: &Typed, width: usize, lengths: [&[Option<Micros>]; 2]) -> Vec<Says> {
    let Kind::Node {
        op: Op::Compare(Comparison::Equal),
        args,
    } = &condition.kind
    else {
        return Vec::new();
    };
    let (left, right) = match args.as_slice() {
        [first, second] => match (&first.kind, &second.kind) {
            (Kind::Column { index: a, .. }, Kind::Column { index: b, .. }) => {
                (*a.min(b), *a.max(b))
            }
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let Some(right) = right.checked_sub(width) else {
        return Vec::new();
    };
    let length = |side: usize, place: usize| lengths[side].get(place).copied().flatten();
    match (length(0, left), length(1, right)) {
        (Some(first), Some(second)) => vec![
            Says::RightAtMost(right, left, second - 1),
            Says::LeftAtMost(left, right, first - 1),
        ],
        _ => Vec::new(),
    }
}

/// How much later than its own the time of a row's partner may be, for rows of each side, as the conditions say it of these two
/// columns.
pub(super) fn later(
    conditions: &[Typed],
    width: usize,
    [left, right]: [usize; 2],
) -> [Option<Micros>; 2] {
    let mut later: [Option<Micros>; 2] = [None, None];
    for says in conditions.iter().flat_map(|one| says(one, width)) {
        let (side, times, most) = match says {
            Says::RightAtMost(b, a, most) => (0, (a, b), most),
            Says::LeftAtMost(a, b, most) => (1, (a, b), most),
        };
        if times == (left, right) {
            later[side] = Some(later[side].map_or(most, |known| known.min(most)));
        }
    }
    later
}

/// What is known of the columns of a side.
pub(super) struct Columns {
    /// Which are event time: only these have a watermark.
    pub(super) times: Vec<bool>,
    /// How long the windows in it are.
    pub(super) lengths: Vec<Option<Micros>>,
}

/// How long the rows of each side wait, by what all conditions say together.
pub(super) fn bounds(
    conditions: &[Typed],
    width: usize,
    columns: [&Columns; 2],
) -> [Option<Bound>; 2] {
    let mut bounds = [None, None];
    let times = columns.map(|side| &side.times);
    let lengths = columns.map(|side| side.lengths.as_slice());
    let both = |condition: &Typed| {
        let windows = windows(condition, width, lengths);
        says(condition, width).into_iter().chain(windows)
    };
    for says in conditions.iter().flat_map(both) {
        let (waits, own, other, reach) = match says {
            Says::LeftAtMost(left, right, most) => (1, right, left, most),
            Says::RightAtMost(right, left, most) => (0, left, right, most),
        };
        // The other side's promise must be about the column that bounds it; one's own is the event time, if there is one.
        let promised = times[1 - waits].get(other) == Some(&true);
        let timed = times[waits].get(own) == Some(&true) || !times[waits].contains(&true);
        if !promised || !timed {
            continue;
        }
        let bound: &mut Option<Bound> = &mut bounds[waits];
        if bound.is_none_or(|known| reach < known.reach) {
            *bound = Some(Bound { time: own, reach });
        }
    }
    bounds
}
