//! Objects and values: from the text into typed values.

use std::collections::HashMap;

use base64::Engine as _;
use smol_str::SmolStr;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::compact::{Beyond, compact};
use super::number::special;
use super::scan::{Fault, Kind, Misfit, Scanner};
use super::{JsonOptions, decimal};
use crate::codecs::Mode;
use crate::codecs::times::Times;

/// How many of the names that may come next are compared before a name is looked up.
const LOOK_AHEAD: usize = 4;
/// How many names in their order an object remembers, and how long they may be up to their colon.
const ORDER_MAX: usize = 128;
const TOKEN_MAX: usize = 72;

/// What all values of one decoder share.
pub(super) struct Context {
    /// Where strings with escapes are built.
    pub scratch: String,
    /// How dates and times are written.
    pub times: Times,
    /// Whether a field that does not fit becomes NULL.
    pub permissive: bool,
    /// Whether one has become NULL in this record.
    pub misfits: bool,
    /// Whether a string may be a number that is none.
    pub non_numeric: bool,
    /// Whether what is no string is written anew where it is read as one, as Spark's `from_json` does; else it stays as it
    /// stands in the text.
    pub compact: bool,
}

impl Context {
    pub(super) fn new(mode: Mode, options: &JsonOptions) -> Self {
        Self {
            scratch: String::new(),
            times: options.times.clone(),
            permissive: mode == Mode::Permissive,
            misfits: false,
            non_numeric: options.syntax.non_numeric,
            compact: false,
        }
    }
}

/// How a value of one type is read.
pub(super) enum Node {
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    String,
    Binary,
    Date,
    Timestamp,
    TimestampNtz,
    Array(Box<Node>),
    Map(Box<Node>),
    Struct(Box<Object>),
    /// A type that JSON cannot hold: nothing fits but null.
    Never,
}

impl Node {
    pub(super) fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::TinyInt => Self::TinyInt,
            DataType::SmallInt => Self::SmallInt,
            DataType::Int => Self::Int,
            DataType::BigInt => Self::BigInt,
            DataType::Float => Self::Float,
            DataType::Double => Self::Double,
            DataType::Decimal { precision, scale } => Self::Decimal {
                precision: *precision,
                scale: *scale,
            },
            DataType::String => Self::String,
            DataType::Binary => Self::Binary,
            DataType::Date => Self::Date,
            DataType::Timestamp => Self::Timestamp,
            DataType::TimestampNtz => Self::TimestampNtz,
            DataType::Array(element) => Self::Array(Box::new(Self::new(element))),
            DataType::Map(pair) if pair.0 == DataType::String => {
                Self::Map(Box::new(Self::new(&pair.1)))
            }
            DataType::Struct(fields) => Self::Struct(Box::new(Object::new(fields.iter()))),
            DataType::Map(_)
            | DataType::Void
            | DataType::YearMonthInterval
            | DataType::DayTimeInterval => Self::Never,
        }
    }

    /// Reads the value that stands here. After a [`Fault::Misfit`] the place in the text is not defined.
    #[inline]
    pub(super) fn value(&mut self, s: &mut Scanner<'_>, cx: &mut Context) -> Result<Value, Fault> {
        let kind = s.kind()?;
        let (at, depth) = (s.at(), s.depth());
        let value = match (self, kind) {
            (_, Kind::Null) => {
                s.word(kind)?;
                return Ok(Value::Null);
            }
            (Self::String, Kind::String) => {
                Some(Value::String(SmolStr::new(s.string(&mut cx.scratch)?)))
            }
            (Self::String, _) => {
                s.skip()?;
                let part = s.since(at);
                Some(Value::String(if cx.compact {
                    cx.scratch.clear();
                    compact(part, Beyond::Escaped, &mut cx.scratch);
                    SmolStr::new(&cx.scratch)
                } else {
                    SmolStr::new(part)
                }))
            }
            (Self::Boolean, Kind::True | Kind::False) => {
                s.word(kind)?;
                Some(Value::Boolean(kind == Kind::True))
            }
            (Self::Array(element), Kind::Array) => Some(array(element, s, cx)?),
            (Self::Map(element), Kind::Object) => Some(map(element, s, cx)?),
            (Self::Struct(object), Kind::Object) => Some(object.value(s, cx)?),
            (node, Kind::Number) => node.number(s)?,
            (node, Kind::String) => node.string(s, cx)?,
            _ => None,
        };
        match value {
            Some(value) => Ok(value),
            None => Err(misfit(s, (at, depth), kind)),
        }
    }

    #[inline]
    fn number(&self, s: &mut Scanner<'_>) -> Result<Option<Value>, Fault> {
        let number = s.number()?;
        Ok(match self {
            Self::Double => Some(Value::Double(number.to_f64())),
            Self::BigInt => number.to_i64().map(Value::BigInt),
            Self::Int => number
                .to_i64()
                .and_then(|n| n.try_into().ok())
                .map(Value::Int),
            Self::SmallInt => number
                .to_i64()
                .and_then(|n| n.try_into().ok())
                .map(Value::SmallInt),
            Self::TinyInt => number
                .to_i64()
                .and_then(|n| n.try_into().ok())
                .map(Value::TinyInt),
            #[allow(clippy::cast_possible_truncation)]
            Self::Float if number.special => Some(Value::Float(number.to_f64() as f32)),
            Self::Float => number.text().parse().ok().map(Value::Float),
            Self::Decimal { precision, scale } if !number.special => {
                decimal::parse(number.text(), *precision, *scale).map(|n| Value::Decimal(n.into()))
            }
            // As in Spark: a whole number is seconds.
            Self::Timestamp => number
                .to_i64()
                .and_then(|n| n.checked_mul(1_000_000))
                .map(Value::Timestamp),
            _ => None,
        })
    }

    #[allow(clippy::cast_possible_truncation)]
    fn string(&self, s: &mut Scanner<'_>, cx: &mut Context) -> Result<Option<Value>, Fault> {
        let text = s.string(&mut cx.scratch)?;
        Ok(match self {
            Self::Double | Self::Float if !cx.non_numeric => None,
            Self::Double => special(text).map(Value::Double),
            Self::Float => special(text).map(|n| Value::Float(n as f32)),
            Self::Decimal { precision, scale } => {
                // As in Spark: commas between the digits do not count.
                let parsed = if text.contains(',') {
                    decimal::parse(&text.replace(',', ""), *precision, *scale)
                } else {
                    decimal::parse(text, *precision, *scale)
                };
                parsed.map(|n| Value::Decimal(n.into()))
            }
            Self::Date => cx.times.read_date_or_days(text).map(Value::Date),
            Self::Timestamp => cx.times.read_timestamp(text).map(Value::Timestamp),
            Self::TimestampNtz => cx.times.read_local(text).map(Value::TimestampNtz),
            Self::Binary => base64::engine::general_purpose::STANDARD
                .decode(text)
                .ok()
                .map(|bytes| Value::Binary(bytes.into())),
            _ => None,
        })
    }
}

#[cold]
fn misfit(s: &mut Scanner<'_>, (at, depth): (usize, usize), kind: Kind) -> Fault {
    s.back_to(at, depth);
    if let Err(fault) = s.skip() {
        return fault;
    }
    Fault::Misfit(Box::new(Misfit {
        path: String::new(),
        what: format!("{} at byte {at} does not fit", kind.name()),
        span: at..s.at(),
    }))
}

fn array(element: &mut Node, s: &mut Scanner<'_>, cx: &mut Context) -> Result<Value, Fault> {
    let mut values = Vec::new();
    s.enter()?;
    if !s.take(b']') {
        loop {
            values.push(element.value(s, cx)?);
            if !s.more(b']')? {
                break;
            }
        }
    }
    s.leave();
    Ok(Value::Array(values.into()))
}

/// A name that stands twice is there twice, as in Spark.
fn map(element: &mut Node, s: &mut Scanner<'_>, cx: &mut Context) -> Result<Value, Fault> {
    let mut pairs: Vec<(Value, Value)> = Vec::new();
    s.enter()?;
    if !s.take(b'}') {
        loop {
            s.space();
            let name = SmolStr::new(match s.bare_name() {
                Some(name) => name,
                None => s.string(&mut cx.scratch)?,
            });
            s.colon()?;
            pairs.push((Value::String(name), element.value(s, cx)?));
            if !s.more(b'}')? {
                break;
            }
        }
    }
    s.leave();
    Ok(Value::Map(pairs.into()))
}

/// A field of an object that is wanted.
struct Wanted {
    name: SmolStr,
    data_type: DataType,
    nullable: bool,
    node: Node,
}

/// A name that was seen at this place in an earlier object.
struct Expected {
    /// The name, the quote that ends it, and all up to the colon and with it.
    token: Box<[u8]>,
    /// Which wanted field it is.
    slot: Option<usize>,
}

/// How an object is read. Records of one stream name their fields in one order, so the names are remembered in the
/// order in which they came, and the next name is compared with those that may come next before it is looked up.
pub(super) struct Object {
    fields: Vec<Wanted>,
    slots: HashMap<SmolStr, usize>,
    order: Vec<Expected>,
    required: bool,
}

impl Object {
    pub(super) fn new<'f>(fields: impl Iterator<Item = &'f Field>) -> Self {
        let fields: Vec<Wanted> = fields
            .map(|field| Wanted {
                name: field.name.clone(),
                data_type: field.data_type.clone(),
                nullable: field.nullable,
                node: Node::new(&field.data_type),
            })
            .collect();
        Self {
            slots: fields
                .iter()
                .enumerate()
                .map(|(slot, field)| (field.name.clone(), slot))
                .collect(),
            required: fields.iter().any(|field| !field.nullable),
            order: Vec::new(),
            fields,
        }
    }

    /// How many fields are wanted.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The name of a wanted field.
    pub(super) fn name(&self, slot: usize) -> &SmolStr {
        &self.fields[slot].name
    }

    /// The first wanted field that may not be NULL.
    pub(super) fn first_required(&self) -> Option<&SmolStr> {
        self.fields
            .iter()
            .find(|field| !field.nullable)
            .map(|field| &field.name)
    }

    /// Names that were seen lately and are not wanted.
    pub(super) fn unwanted(&self) -> impl Iterator<Item = &str> {
        self.order
            .iter()
            .filter(|expected| expected.slot.is_none())
            .filter_map(|expected| {
                let name = expected.token.split(|byte| *byte == b'"').next()?;
                std::str::from_utf8(name).ok()
            })
    }

    /// The fields as one value.
    pub(super) fn value(&mut self, s: &mut Scanner<'_>, cx: &mut Context) -> Result<Value, Fault> {
        let mut values = vec![Value::Null; self.fields.len()];
        self.read(s, cx, &mut values, |_| {})?;
        Ok(Value::Struct(values.into()))
    }

    /// Reads the object that stands here into `values`, which are all NULL; `seen` hears of each wanted field.
    #[inline]
    pub(super) fn read(
        &mut self,
        s: &mut Scanner<'_>,
        cx: &mut Context,
        values: &mut [Value],
        mut seen: impl FnMut(usize),
    ) -> Result<(), Fault> {
        s.space();
        let at = s.at();
        if s.rest().first() != Some(&b'{') {
            return Err(s.syntax("expected an object"));
        }
        s.enter()?;
        if !s.take(b'}') {
            let mut next = 0;
            loop {
                let slot = self.key(s, &mut next, cx)?;
                if let Some(slot) = slot {
                    seen(slot);
                    self.field(slot, s, cx, &mut values[slot])?;
                } else {
                    s.skip()?;
                }
                if !s.more(b'}')? {
                    break;
                }
            }
        }
        s.leave();
        if self.required {
            self.check_required(values, at..s.at())?;
        }
        Ok(())
    }

    /// Reads a wanted field. Of one that comes twice the last value counts that fits.
    #[inline]
    fn field(
        &mut self,
        slot: usize,
        s: &mut Scanner<'_>,
        cx: &mut Context,
        value: &mut Value,
    ) -> Result<(), Fault> {
        let field = &mut self.fields[slot];
        let here = (s.at(), s.depth());
        match field.node.value(s, cx) {
            Ok(read) => *value = read,
            Err(Fault::Misfit(misfit)) => field.misfit(misfit, here, s, cx)?,
            Err(other) => return Err(other),
        }
        Ok(())
    }

    fn check_required(&self, values: &[Value], span: std::ops::Range<usize>) -> Result<(), Fault> {
        for (field, value) in self.fields.iter().zip(values) {
            if !field.nullable && value.is_null() {
                return Err(Fault::Misfit(Box::new(Misfit {
                    path: field.name.to_string(),
                    what: "is NOT NULL, but absent or null".to_owned(),
                    span,
                })));
            }
        }
        Ok(())
    }

    /// Reads a name and its colon: the wanted field that it names.
    #[inline]
    fn key(
        &mut self,
        s: &mut Scanner<'_>,
        next: &mut usize,
        cx: &mut Context,
    ) -> Result<Option<usize>, Fault> {
        if s.rest().first() != Some(&b'"') {
            s.space();
        }
        if let Some((b'"', name)) = s.rest().split_first() {
            let ahead = self.order.get(*next..).unwrap_or_default();
            for (steps, expected) in ahead.iter().take(LOOK_AHEAD).enumerate() {
                if name.starts_with(&expected.token) {
                    *next += steps + 1;
                    s.advance(1 + expected.token.len());
                    return Ok(expected.slot);
                }
            }
        }
        self.look_up(s, next, cx)
    }

    #[inline(never)]
    fn look_up(
        &mut self,
        s: &mut Scanner<'_>,
        next: &mut usize,
        cx: &mut Context,
    ) -> Result<Option<usize>, Fault> {
        if let Some(name) = s.bare_name() {
            s.colon()?;
            return Ok(self.slots.get(name).copied());
        }
        if !matches!(s.rest().first(), Some(b'"' | b'\'')) {
            return Err(s.syntax("expected the name of a field"));
        }
        let at = s.at();
        let name = s.string(&mut cx.scratch)?;
        let slot = self.slots.get(name).copied();
        // Only a name that stands there as it is can be compared byte by byte.
        let plain = s.since(at)[1..].strip_prefix(name) == Some("\"");
        s.colon()?;
        let token = &s.since(at)[1..];
        if plain && token.len() <= TOKEN_MAX {
            if self.order.len() >= ORDER_MAX {
                self.order.clear();
                *next = 0;
            }
            let place = (*next).min(self.order.len());
            self.order.insert(
                place,
                Expected {
                    token: token.as_bytes().into(),
                    slot,
                },
            );
            *next = place + 1;
        }
        Ok(slot)
    }
}

impl Wanted {
    /// Steps over a value that does not fit, or makes an error of it that names the field.
    #[cold]
    fn misfit(
        &self,
        mut misfit: Box<Misfit>,
        (at, depth): (usize, usize),
        s: &mut Scanner<'_>,
        cx: &mut Context,
    ) -> Result<(), Fault> {
        if cx.permissive && self.nullable {
            cx.misfits = true;
            s.back_to(at, depth);
            return s.skip();
        }
        misfit.path = if misfit.path.is_empty() {
            misfit.what = format!("is {}, {}", self.data_type, misfit.what);
            self.name.to_string()
        } else {
            format!("{}.{}", self.name, misfit.path)
        };
        Err(Fault::Misfit(misfit))
    }
}
