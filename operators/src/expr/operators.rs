//! Operators whose meaning depends on the types around them: comparisons, IN, LIKE, CASE, negation, bits.

use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::access::{boolean, long, text};
use crate::expr::body::{Body, Outcome};
use crate::expr::coerce::{self, Settings};
use crate::expr::functions::java_regex;
use crate::expr::matching::{self, Pattern};
use crate::expr::typed::{Call, Comparison, Form, Kind, Mode, Op, Typed};
use crate::job_error::{JobError, Location};

/// A node of a call.
pub(crate) fn call(
    name: &str,
    form: Form,
    body: Body,
    args: Vec<Typed>,
    data_type: DataType,
    nullable: bool,
    at: Location,
) -> Typed {
    let call = Call {
        name: SmolStr::new(name),
        form,
        body,
        deterministic: true,
    };
    Typed::node(Op::Call(call), args, data_type, nullable, at)
}

/// A text with the unit behind it where it is a number alone, as one that becomes an `INTERVAL DAY` may be.
pub(crate) fn with_unit(typed: Typed, unit: &'static str, at: Location) -> Typed {
    let nullable = typed.nullable;
    let body = pure(move |v| {
        let number = text(&v[0]).trim();
        let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if all(whole) && all(fraction) {
            Ok(Value::String(format_smolstr!("{number} {unit}")))
        } else {
            Ok(v[0].clone())
        }
    });
    call(
        unit,
        Form::Function,
        body,
        vec![typed],
        DataType::String,
        nullable,
        at,
    )
}

fn pure(function: impl Fn(&[Value]) -> Outcome + Send + Sync + 'static) -> Body {
    Body::Pure {
        call: Arc::new(function),
        nulls: false,
    }
}

/// A condition: BOOLEAN, a text that becomes one, or NULL.
pub(crate) fn condition(typed: Typed, settings: Settings) -> Result<Typed, JobError> {
    match typed.data_type {
        DataType::Boolean => Ok(typed),
        DataType::String | DataType::Void => {
            Ok(coerce::cast_implicitly(typed, &DataType::Boolean, settings))
        }
        ref other => Err(JobError::new(
            typed.at,
            format!("expected a condition (BOOLEAN), got {other}"),
        )),
    }
}

/// What decides alone, in CASE and FILTER: BOOLEAN or NULL; a text becomes none there, as in Spark.
pub(crate) fn decision(typed: Typed, settings: Settings) -> Result<Typed, JobError> {
    match typed.data_type {
        DataType::String => {
            let message = "expected a condition (BOOLEAN), got STRING";
            Err(JobError::new(typed.at, message).help("write CAST(... AS BOOLEAN)"))
        }
        _ => condition(typed, settings),
    }
}

/// AND or OR over two or more conditions.
pub(crate) fn logic(and: bool, args: Vec<Typed>, at: Location) -> Typed {
    let nullable = args.iter().any(|arg| arg.nullable);
    let op = if and { Op::And } else { Op::Or };
    Typed::node(op, args, DataType::Boolean, nullable, at)
}

/// NOT.
pub(crate) fn not(typed: Typed, at: Location) -> Typed {
    let nullable = typed.nullable;
    Typed::node(Op::Not, vec![typed], DataType::Boolean, nullable, at)
}

pub(crate) fn not_if(negated: bool, typed: Typed, at: Location) -> Typed {
    if negated { not(typed, at) } else { typed }
}

/// Whether values of the type have an order.
pub(crate) fn has_order(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(_) => false,
        DataType::Array(element) => has_order(element),
        DataType::Struct(fields) => fields.iter().all(|field| has_order(&field.data_type)),
        _ => true,
    }
}

/// A comparison, in the type that both have in common.
pub(crate) fn comparison(
    comparison: Comparison,
    left: Typed,
    right: Typed,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    let common = coerce::comparable(&left.data_type, &right.data_type, settings.ansi)
        .filter(has_order)
        .ok_or_else(|| {
            JobError::new(
                at,
                format!(
                    "`{}` cannot compare {} with {}",
                    comparison.symbol(),
                    left.data_type,
                    right.data_type
                ),
            )
        })?;
    let left = cast_constant(left, &common, settings)?;
    let right = cast_constant(right, &common, settings)?;
    let nullable = comparison != Comparison::NullSafeEqual && (left.nullable || right.nullable);
    Ok(Typed::node(
        Op::Compare(comparison),
        vec![left, right],
        DataType::Boolean,
        nullable,
        at,
    ))
}

/// An implicit cast; a constant that cannot be cast is a mistake of the job, not of each record.
pub(crate) fn cast_constant(
    typed: Typed,
    to: &DataType,
    settings: Settings,
) -> Result<Typed, JobError> {
    let constant = typed.constant_text().map(str::to_owned);
    let at = typed.at;
    let cast = coerce::cast_implicitly(typed, to, settings);
    match constant {
        Some(text) if settings.ansi && cast.constant().is_none() => Err(JobError::new(
            at,
            format!("'{text}' cannot be compared as {to}"),
        )),
        _ => Ok(cast),
    }
}

/// IS TRUE, IS FALSE and their opposites; never NULL.
pub(crate) fn is_boolean(
    typed: Typed,
    wanted: bool,
    negated: bool,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    let typed = condition(typed, settings)?;
    let literal = Typed::literal(Value::Boolean(wanted), DataType::Boolean, at);
    let same = comparison(Comparison::NullSafeEqual, typed, literal, settings, at)?;
    Ok(not_if(negated, same, at))
}

/// LIKE (`any_case` false) or ILIKE.
pub(crate) fn like(
    value: Typed,
    pattern: Typed,
    escape: Option<&str>,
    any_case: bool,
    negated: bool,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    let name = match (any_case, negated) {
        (false, false) => "LIKE",
        (false, true) => "NOT LIKE",
        (true, false) => "ILIKE",
        (true, true) => "NOT ILIKE",
    };
    let escape = match escape.map(|text| text.chars().collect::<Vec<_>>()) {
        None => '\\',
        Some(letters) => match letters.as_slice() {
            [one] => *one,
            _ => return Err(JobError::new(at, "ESCAPE takes one character")),
        },
    };
    let args = texts(name, value, pattern, settings)?;
    let nullable = args.iter().any(|arg| arg.nullable);
    let body = match args[1].constant_text() {
        Some(text) => {
            let pattern = Pattern::new(text, escape, any_case).map_err(|why| {
                JobError::new(
                    args[1].at,
                    format!("the pattern of LIKE is malformed: {why}"),
                )
            })?;
            Body::Scratch {
                make: Arc::new(move || matching::like_constant(&pattern, negated)),
                nulls: false,
            }
        }
        None => Body::Scratch {
            make: Arc::new(move || matching::like(escape, any_case, negated)),
            nulls: false,
        },
    };
    Ok(call(
        name,
        Form::Infix,
        body,
        args,
        DataType::Boolean,
        nullable,
        at,
    ))
}

/// RLIKE.
pub(crate) fn rlike(
    value: Typed,
    pattern: Typed,
    negated: bool,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    let name = if negated { "NOT RLIKE" } else { "RLIKE" };
    let args = texts(name, value, pattern, settings)?;
    let nullable = args.iter().any(|arg| arg.nullable);
    let body = match args[1].constant_text() {
        Some(text) => {
            let regex = java_regex::Regex::new(text).map_err(|why| {
                JobError::new(args[1].at, format!("malformed regular expression: {why}"))
            })?;
            Body::Scratch {
                make: Arc::new(move || matching::rlike_constant(&regex, negated)),
                nulls: false,
            }
        }
        None => Body::Scratch {
            make: Arc::new(move || matching::rlike(negated)),
            nulls: false,
        },
    };
    Ok(call(
        name,
        Form::Infix,
        body,
        args,
        DataType::Boolean,
        nullable,
        at,
    ))
}

fn texts(
    name: &str,
    value: Typed,
    pattern: Typed,
    settings: Settings,
) -> Result<Vec<Typed>, JobError> {
    [value, pattern]
        .into_iter()
        .map(|typed| {
            let (at, got) = (typed.at, typed.data_type.clone());
            coerce::to_param(typed, crate::expr::functions::Param::Text, settings)
                .ok_or_else(|| JobError::new(at, format!("{name} takes STRING, got {got}")))
        })
        .collect()
}

/// What may stand behind a sign: a number or an interval.
pub(crate) fn signed(
    sign: &str,
    typed: Typed,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    let typed = match typed.data_type {
        DataType::String | DataType::Void => {
            coerce::cast_implicitly(typed, &DataType::Double, settings)
        }
        _ => typed,
    };
    let interval = matches!(
        typed.data_type,
        DataType::YearMonthInterval | DataType::DayTimeInterval
    );
    if !typed.data_type.is_numeric() && !interval {
        return Err(JobError::new(
            at,
            format!(
                "`{sign}` takes a number or an interval, got {}",
                typed.data_type
            ),
        ));
    }
    Ok(typed)
}

/// Unary minus.
pub(crate) fn negate(typed: Typed, settings: Settings, at: Location) -> Result<Typed, JobError> {
    let typed = signed("-", typed, settings, at)?;
    let (data_type, nullable) = (typed.data_type.clone(), typed.nullable);
    let mode = Mode::of(settings.ansi);
    let body = pure(move |v| opposite(&v[0], mode));
    Ok(call(
        "-",
        Form::Prefix,
        body,
        vec![typed],
        data_type,
        nullable,
        at,
    ))
}

fn opposite(value: &Value, mode: Mode) -> Outcome {
    macro_rules! checked {
        ($variant:ident, $number:expr) => {
            match $number.checked_neg() {
                Some(number) => Ok(Value::$variant(number)),
                None if mode == Mode::Legacy => Ok(Value::$variant($number.wrapping_neg())),
                None => Err(RecordError::expression(
                    "overflow: the negative of the smallest number does not fit its type",
                )),
            }
        };
    }
    match value {
        Value::TinyInt(number) => checked!(TinyInt, number),
        Value::SmallInt(number) => checked!(SmallInt, number),
        Value::Int(number) => checked!(Int, number),
        Value::BigInt(number) => checked!(BigInt, number),
        Value::YearMonthInterval(number) => checked!(YearMonthInterval, number),
        Value::DayTimeInterval(number) => checked!(DayTimeInterval, number),
        Value::Float(number) => Ok(Value::Float(-number)),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Decimal(number) => Ok(Value::Decimal(i128::from(*number).wrapping_neg().into())),
        _ => Ok(Value::Null),
    }
}

/// An operator on bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bits {
    And,
    Or,
    Xor,
}

/// `a & b`, `a | b`, `a ^ b` over integers.
pub(crate) fn bits(
    operator: Bits,
    left: Typed,
    right: Typed,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    let symbol = match operator {
        Bits::And => "&",
        Bits::Or => "|",
        Bits::Xor => "^",
    };
    let common = coerce::comparable(&left.data_type, &right.data_type, settings.ansi)
        .filter(DataType::is_integer)
        .ok_or_else(|| {
            JobError::new(
                at,
                format!(
                    "`{symbol}` takes two integers, got {} and {}",
                    left.data_type, right.data_type
                ),
            )
        })?;
    let args = vec![
        coerce::cast_implicitly(left, &common, settings),
        coerce::cast_implicitly(right, &common, settings),
    ];
    let nullable = args.iter().any(|arg| arg.nullable);
    let of_type = common.clone();
    let body = pure(move |v| {
        let (a, b) = (long(&v[0]), long(&v[1]));
        let number = match operator {
            Bits::And => a & b,
            Bits::Or => a | b,
            Bits::Xor => a ^ b,
        };
        Ok(integer(number, &of_type))
    });
    Ok(call(symbol, Form::Infix, body, args, common, nullable, at))
}

/// `~a`.
pub(crate) fn complement(typed: Typed, at: Location) -> Result<Typed, JobError> {
    if !typed.data_type.is_integer() {
        return Err(JobError::new(
            at,
            format!("`~` takes an integer, got {}", typed.data_type),
        ));
    }
    let (data_type, nullable) = (typed.data_type.clone(), typed.nullable);
    let of_type = data_type.clone();
    let body = pure(move |v| Ok(integer(!long(&v[0]), &of_type)));
    Ok(call(
        "~",
        Form::Prefix,
        body,
        vec![typed],
        data_type,
        nullable,
        at,
    ))
}

/// The low bits of a number as an integer of a type.
fn integer(number: i64, data_type: &DataType) -> Value {
    match data_type {
        DataType::TinyInt => Value::TinyInt(number as i8),
        DataType::SmallInt => Value::SmallInt(number as i16),
        DataType::Int => Value::Int(number as i32),
        _ => Value::BigInt(number),
    }
}

/// A struct of named values.
pub(crate) fn structure(names: Vec<SmolStr>, args: Vec<Typed>, at: Location) -> Typed {
    let fields = names
        .into_iter()
        .zip(&args)
        .map(|(name, arg)| thalweg_engine::schema::Field {
            name,
            data_type: arg.data_type.clone(),
            nullable: arg.nullable,
        })
        .collect();
    let body = Body::Pure {
        call: Arc::new(|v| Ok(Value::Struct(v.into()))),
        nulls: true,
    };
    call(
        "struct",
        Form::Function,
        body,
        args,
        DataType::Struct(fields),
        false,
        at,
    )
}

/// The value of a constant condition; used where a plan asks whether a filter is always true.
pub fn always(typed: &Typed) -> Option<bool> {
    match &typed.kind {
        Kind::Literal(value @ Value::Boolean(_)) => Some(boolean(value)),
        Kind::Literal(Value::Null) => Some(false),
        _ => None,
    }
}
