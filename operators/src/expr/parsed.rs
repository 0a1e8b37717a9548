//! Texts that are taken apart, and what an expression takes of them: `from_json(text, ...).field`.

use std::borrow::Cow;
use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::Eval;
use crate::expr::access;
use crate::expr::body::{Body, FieldsFn, Outcome, Parse, ParseFn, locate};
use crate::expr::operand::Operand;
use crate::expr::typed::{Kind, Op, Typed};
use crate::job_error::Location;

/// What an expression takes of a text that is taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Whether it is NULL.
    IsNull,
    /// Whether it is not NULL.
    IsNotNull,
    /// The field at this place of its STRUCT.
    Field(usize),
}

/// The part that an expression takes of its only argument, where it is no more than that.
pub(crate) fn part(typed: &Typed) -> Option<(Part, &Typed)> {
    let Kind::Node { op, args } = &typed.kind else {
        return None;
    };
    let part = match op {
        Op::IsNull => Part::IsNull,
        Op::IsNotNull => Part::IsNotNull,
        Op::Call(call) => match call.body {
            Body::Field(place) => Part::Field(place),
            _ => return None,
        },
        _ => return None,
    };
    match args.as_slice() {
        [arg] => Some((part, arg)),
        _ => None,
    }
}

/// The function that takes a text apart, and the text, where an expression is no more than that.
pub(crate) fn parse(typed: &Typed) -> Option<(&Arc<dyn Parse>, &Typed)> {
    match &typed.kind {
        Kind::Node {
            op: Op::Call(call),
            args,
        } => match (&call.body, args.as_slice()) {
            (Body::Parse(parse), [text]) => Some((parse, text)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether two expressions certainly have the same value for each row.
pub(crate) fn same(a: &Typed, b: &Typed) -> bool {
    let all =
        |a: &[Typed], b: &[Typed]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    if a.data_type != b.data_type {
        return false;
    }
    match (&a.kind, &b.kind) {
        (Kind::Literal(a), Kind::Literal(b)) => a == b,
        (Kind::Column { index: a, .. }, Kind::Column { index: b, .. }) => a == b,
        (Kind::Variable { id: a, .. }, Kind::Variable { id: b, .. }) => a == b,
        (Kind::TakenAt, Kind::TakenAt) => true,
        (
            Kind::Lambda {
                parameters: left,
                body: a,
            },
            Kind::Lambda {
                parameters: right,
                body: b,
            },
        ) => left == right && same(a, b),
        (Kind::Node { op: left, args: a }, Kind::Node { op: right, args: b }) => {
            alike(left, right) && all(a, b)
        }
        _ => false,
    }
}

/// Whether two operators do the same with equal arguments.
fn alike(a: &Op, b: &Op) -> bool {
    match (a, b) {
        (Op::Cast(a), Op::Cast(b)) => a.mode == b.mode && a.zone == b.zone,
        (
            Op::Arithmetic {
                operator: a,
                mode: left,
            },
            Op::Arithmetic {
                operator: b,
                mode: right,
            },
        ) => a == b && left == right,
        (Op::Compare(a), Op::Compare(b)) => a == b,
        (Op::Call(a), Op::Call(b)) => a.deterministic && b.deterministic && a.body.same(&b.body),
        (Op::And, Op::And)
        | (Op::Or, Op::Or)
        | (Op::Not, Op::Not)
        | (Op::IsNull, Op::IsNull)
        | (Op::IsNotNull, Op::IsNotNull) => true,
        _ => false,
    }
}

/// A text that is lent where it lies: bytes that are cast to STRING are not copied for that.
pub(crate) struct Text(Operand);

impl Text {
    pub(crate) fn of(typed: &Typed) -> Self {
        Self(Operand::of(match &typed.kind {
            Kind::Node {
                op: Op::Cast(_),
                args,
            } if typed.data_type == DataType::String => match args.as_slice() {
                [bytes] if bytes.data_type == DataType::Binary => bytes,
                _ => typed,
            },
            _ => typed,
        }))
    }

    /// The text of a row; None for NULL. What is no UTF-8 becomes U+FFFD, as in the cast.
    #[inline]
    pub(crate) fn lend<'v>(
        &'v mut self,
        row: &'v [Value],
        meta: &RecordMeta,
    ) -> Result<Option<Cow<'v, str>>, RecordError> {
        Ok(match self.0.value(row, meta)? {
            Value::Null => None,
            Value::String(text) => Some(Cow::Borrowed(text)),
            bytes => Some(match std::str::from_utf8(access::bytes(bytes)) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(access::bytes(bytes)),
            }),
        })
    }
}

/// An evaluator of all that a text says.
pub(crate) fn value(parse: &dyn Parse, text: &Typed, at: Location) -> Box<dyn Eval> {
    Box::new(Whole {
        text: Text::of(text),
        parse: parse.whole(),
        at,
    })
}

/// An evaluator of one field of what a text says, where that can be had alone.
pub(crate) fn field(arg: &Typed, place: usize) -> Option<Box<dyn Eval>> {
    let (function, text) = parse(arg)?;
    Some(Box::new(One {
        text: Text::of(text),
        parse: function.some(&[place])?,
        at: arg.at,
    }))
}

struct Whole {
    text: Text,
    parse: ParseFn,
    at: Location,
}

impl Eval for Whole {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        match self.text.lend(row, meta)? {
            Some(text) => (self.parse)(&text).map_err(|error| locate(error, self.at)),
            None => Ok(Value::Null),
        }
    }
}

struct One {
    text: Text,
    parse: FieldsFn,
    at: Location,
}

impl Eval for One {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        let Some(text) = self.text.lend(row, meta)? else {
            return Ok(Value::Null);
        };
        let mut value = [Value::Null];
        (self.parse)(&text, &mut value).map_err(|error| locate(error, self.at))?;
        let [value] = value;
        Ok(value)
    }
}

/// Texts that are taken apart once for each row, whatever several expressions want of them.
#[derive(Default)]
pub(crate) struct Texts {
    apart: Vec<Apart>,
    values: Vec<Value>,
}

/// One of them.
struct Apart {
    text: Text,
    how: How,
    at: Location,
    /// Where its values begin, and how many they are: those of `how` first.
    first: usize,
    wanted: Vec<Wanted>,
}

/// What is wanted of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Part(Part),
    Whole,
}

enum How {
    /// The fields alone, in the order in which they are wanted.
    Fields(FieldsFn),
    Whole(ParseFn),
}

impl Texts {
    /// The texts of these expressions, and for each one that is no more than a part of a text the place of its value. One
    /// that is None is left out.
    pub(crate) fn of<'t>(
        expressions: impl Iterator<Item = Option<&'t Typed>>,
    ) -> (Self, Vec<Option<usize>>) {
        let mut groups: Vec<(&Typed, Vec<Wanted>)> = Vec::new();
        let mut found = Vec::new();
        for typed in expressions {
            let Some(typed) = typed else {
                found.push(None);
                continue;
            };
            let (wanted, call) = match part(typed) {
                Some((part, arg)) if parse(arg).is_some() => (Wanted::Part(part), arg),
                _ => (Wanted::Whole, typed),
            };
            if parse(call).is_none() {
                found.push(None);
                continue;
            }
            let known = groups.iter().position(|(other, _)| same(other, call));
            let group = known.unwrap_or_else(|| {
                groups.push((call, Vec::new()));
                groups.len() - 1
            });
            groups[group].1.push(wanted);
            found.push(Some((group, wanted)));
        }
        let mut texts = Self::default();
        for (call, wanted) in &mut groups {
            // Fields come first, in their order.
            wanted.sort_unstable_by_key(|wanted| match wanted {
                Wanted::Part(Part::Field(place)) => (0, *place),
                Wanted::Part(Part::IsNull) => (1, 0),
                Wanted::Part(Part::IsNotNull) => (2, 0),
                Wanted::Whole => (3, 0),
            });
            wanted.dedup();
            texts.add(call, wanted);
        }
        let place = |(group, wanted): (usize, Wanted)| {
            let apart = texts.apart.get(group)?;
            let place = apart.wanted.iter().position(|known| *known == wanted)?;
            Some(apart.first + place)
        };
        let places = found
            .into_iter()
            .map(|found| found.and_then(place))
            .collect();
        (texts, places)
    }

    fn add(&mut self, call: &Typed, wanted: &[Wanted]) {
        let Some((function, text)) = parse(call) else {
            return;
        };
        let fields: Vec<usize> = wanted
            .iter()
            .filter_map(|wanted| match wanted {
                Wanted::Part(Part::Field(place)) => Some(*place),
                _ => None,
            })
            .collect();
        let whole = wanted.contains(&Wanted::Whole);
        let how = match function.some(&fields) {
            Some(some) if !whole => How::Fields(some),
            _ => How::Whole(function.whole()),
        };
        self.apart.push(Apart {
            text: Text::of(text),
            how,
            at: call.at,
            first: self.values.len(),
            wanted: wanted.to_vec(),
        });
        self.values
            .resize(self.values.len() + wanted.len(), Value::Null);
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.apart.is_empty()
    }

    /// Takes the texts of a row apart.
    ///
    /// # Errors
    /// As the functions say.
    #[inline]
    pub(crate) fn take_apart(
        &mut self,
        row: &[Value],
        meta: &RecordMeta,
    ) -> Result<(), RecordError> {
        for apart in &mut self.apart {
            let values = self.values.get_mut(apart.first..).unwrap_or_default();
            let values = values.get_mut(..apart.wanted.len()).unwrap_or_default();
            apart.read(row, meta, values)?;
        }
        Ok(())
    }

    /// The value at this place, which is asked for no more where this is its last use.
    #[inline]
    pub(crate) fn value(&mut self, place: usize, last: bool) -> Value {
        match self.values.get_mut(place) {
            Some(value) if last => std::mem::take(value),
            Some(value) => value.clone(),
            None => Value::Null,
        }
    }
}

impl Apart {
    #[inline]
    fn read(
        &mut self,
        row: &[Value],
        meta: &RecordMeta,
        values: &mut [Value],
    ) -> Result<(), RecordError> {
        let Some(text) = self.text.lend(row, meta)? else {
            values.fill(Value::Null);
            fill(values, &self.wanted, false);
            return Ok(());
        };
        let located = |error| locate(error, self.at);
        match &mut self.how {
            How::Fields(read) => {
                let fields = self.wanted.iter();
                let fields = fields.take_while(|w| matches!(w, Wanted::Part(Part::Field(_))));
                let (fields, others) = values.split_at_mut(fields.count());
                let there = read(&text, fields).map_err(located)?;
                let others_wanted = self.wanted.get(fields.len()..).unwrap_or_default();
                fill(others, others_wanted, there);
            }
            How::Whole(read) => {
                let whole = read(&text).map_err(located)?;
                for (value, wanted) in values.iter_mut().zip(&self.wanted) {
                    *value = match (wanted, &whole) {
                        (Wanted::Part(Part::Field(place)), Value::Struct(fields)) => {
                            fields.get(*place).cloned().unwrap_or_default()
                        }
                        (Wanted::Part(_), _) => Value::Null,
                        (Wanted::Whole, whole) => whole.clone(),
                    };
                }
                fill(values, &self.wanted, !whole.is_null());
            }
        }
        Ok(())
    }
}

/// Says of a value whether it is there, where that is wanted.
#[inline]
fn fill(values: &mut [Value], wanted: &[Wanted], there: bool) {
    for (value, wanted) in values.iter_mut().zip(wanted) {
        match wanted {
            Wanted::Part(Part::IsNull) => *value = Value::Boolean(!there),
            Wanted::Part(Part::IsNotNull) => *value = Value::Boolean(there),
            _ => {}
        }
    }
}
