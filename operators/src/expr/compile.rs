//! From the typed tree to evaluators.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::Eval;
use crate::expr::body::{Body, Lambda, LambdaFn, Outcome, PureFn, ScratchFn, locate};
use crate::expr::calendar::Zone;
use crate::expr::clock_cast::ClockCast;
use crate::expr::typed::{Call, Kind, Op, Typed};
use crate::expr::{access, arithmetic, cast, compare_eval, operand, parsed, text};
use crate::job_error::Location;

/// Makes a typed expression evaluable.
pub(crate) fn compile(typed: &Typed) -> Box<dyn Eval> {
    match &typed.kind {
        Kind::Literal(value) => Box::new(Constant(value.clone())),
        Kind::Column { index, .. } => Box::new(Column(*index)),
        Kind::TakenAt => Box::new(TakenAt),
        // A lambda is compiled by the call around it, and its variables become columns there.
        Kind::Variable { .. } | Kind::Lambda { .. } => Box::new(Constant(Value::Null)),
        Kind::Node { op, args } => node(op, args, typed),
    }
}

/// The value of an expression over constants.
pub(crate) fn evaluate_constant(typed: &Typed) -> Outcome {
    static NOWHERE: LazyLock<RecordMeta> = LazyLock::new(|| RecordMeta {
        partition: Arc::new(Partition {
            input: SmolStr::default(),
            name: SmolStr::default(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 0,
        taken: Instant::now(),
    });
    compile(typed).eval(&[], &NOWHERE)
}

fn node(op: &Op, args: &[Typed], typed: &Typed) -> Box<dyn Eval> {
    let compiled = |args: &[Typed]| args.iter().map(compile).collect::<Vec<_>>();
    match op {
        Op::Call(call) => call_node(call, args, typed.at),
        Op::And => Box::new(Logic {
            args: compiled(args),
            decisive: false,
        }),
        Op::Or => Box::new(Logic {
            args: compiled(args),
            decisive: true,
        }),
        Op::Cast(cast) => match args {
            [arg]
                if arg.data_type == DataType::String && typed.data_type == DataType::Timestamp =>
            {
                Box::new(ClockCast {
                    arg: operand::Operand::of(arg),
                    caster: cast::caster(&arg.data_type, &typed.data_type, *cast),
                    zone: cast.zone,
                    at: typed.at,
                })
            }
            [arg] => {
                let mut caster = cast::caster(&arg.data_type, &typed.data_type, *cast);
                operand::unary(arg, typed.at, move |value| {
                    if value.is_null() {
                        Ok(Value::Null)
                    } else {
                        caster(value)
                    }
                })
            }
            _ => malformed(),
        },
        Op::Arithmetic { operator, mode } => match args {
            [left, right] => arithmetic::compile(*operator, *mode, left, right, typed),
            _ => malformed(),
        },
        Op::Compare(comparison) => match args {
            [left, right] => compare_eval::compile(*comparison, left, right, typed.at),
            _ => malformed(),
        },
        Op::Not => match args {
            [arg] => operand::unary(arg, typed.at, |value| {
                Ok(match value {
                    Value::Boolean(value) => Value::Boolean(!value),
                    _ => Value::Null,
                })
            }),
            _ => malformed(),
        },
        Op::IsNull => match args {
            [arg] => operand::unary(arg, typed.at, |v| Ok(Value::Boolean(v.is_null()))),
            _ => malformed(),
        },
        Op::IsNotNull => match args {
            [arg] => operand::unary(arg, typed.at, |v| Ok(Value::Boolean(!v.is_null()))),
            _ => malformed(),
        },
    }
}

/// A node with another number of arguments than its operator has cannot be built by the check.
fn malformed() -> Box<dyn Eval> {
    debug_assert!(false, "an operator with a wrong number of arguments");
    Box::new(Constant(Value::Null))
}

fn call_node(call: &Call, args: &[Typed], at: Location) -> Box<dyn Eval> {
    let compiled = |args: &[Typed]| args.iter().map(compile).collect::<Vec<_>>();
    match &call.body {
        Body::Pure { call, nulls } => Box::new(Pure {
            scratch: vec![Value::Null; args.len()],
            args: compiled(args),
            call: Arc::clone(call),
            nulls: *nulls,
            at,
        }),
        Body::Scratch { make, nulls } => Box::new(Scratch {
            scratch: vec![Value::Null; args.len()],
            args: compiled(args),
            call: make(),
            nulls: *nulls,
            at,
        }),
        Body::HigherOrder(call) => {
            let (lambdas, values): (Vec<&Typed>, Vec<&Typed>) = args
                .iter()
                .partition(|arg| matches!(arg.kind, Kind::Lambda { .. }));
            Box::new(HigherOrder {
                scratch: vec![Value::Null; values.len()],
                args: values.into_iter().map(compile).collect(),
                lambdas: lambdas.into_iter().filter_map(lambda).collect(),
                call: Arc::clone(call),
                at,
            })
        }
        Body::Lazy(make) => make(compiled(args)),
        Body::Field(place) => match args {
            [arg] => field(arg, *place, at),
            _ => malformed(),
        },
        Body::Parse(parse) => match args {
            [text] => parsed::value(&**parse, text, at),
            _ => malformed(),
        },
    }
}

/// The field of a STRUCT; of one that a text is taken apart into, that field alone.
fn field(arg: &Typed, place: usize, at: Location) -> Box<dyn Eval> {
    if let Some(one) = parsed::field(arg, place) {
        return one;
    }
    operand::unary(arg, at, move |value| {
        Ok(match value {
            Value::Null => Value::Null,
            value => {
                let fields = access::fields(value);
                fields.get(place).cloned().unwrap_or_default()
            }
        })
    })
}

/// Compiles a lambda: what it uses of the row around it and its parameters become the columns of a row of its own.
fn lambda(typed: &Typed) -> Option<Lambda> {
    let Kind::Lambda { parameters, body } = &typed.kind else {
        return None;
    };
    let captured = body.columns();
    let mut places: HashMap<u32, usize> = HashMap::new();
    for (id, _) in parameters {
        places.insert(*id, captured.len() + places.len());
    }
    let mut body = Typed::clone(body);
    body.visit_mut(&mut |typed| match &mut typed.kind {
        Kind::Column { index, .. } => *index = captured.binary_search(index).unwrap_or_default(),
        Kind::Variable { id, name } => {
            if let Some(place) = places.get(id) {
                typed.kind = Kind::Column {
                    index: *place,
                    name: name.clone(),
                };
            }
        }
        _ => {}
    });
    Some(Lambda {
        row: vec![Value::Null; captured.len() + parameters.len()],
        captured,
        body: compile(&body),
    })
}

struct Constant(Value);

impl Eval for Constant {
    fn eval(&mut self, _: &[Value], _: &RecordMeta) -> Outcome {
        Ok(self.0.clone())
    }
}

struct Column(usize);

impl Eval for Column {
    fn eval(&mut self, row: &[Value], _: &RecordMeta) -> Outcome {
        match row.get(self.0) {
            Some(value) => Ok(value.clone()),
            None => Err(operand::missing_column()),
        }
    }
}

struct TakenAt;

impl Eval for TakenAt {
    fn eval(&mut self, _: &[Value], meta: &RecordMeta) -> Outcome {
        Ok(Value::Timestamp(meta.taken_at))
    }
}

/// AND (decided by false) and OR (decided by true), in three-valued logic.
struct Logic {
    args: Vec<Box<dyn Eval>>,
    decisive: bool,
}

impl Eval for Logic {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        let mut unknown = false;
        for arg in &mut self.args {
            match arg.eval(row, meta)? {
                Value::Boolean(value) if value == self.decisive => {
                    return Ok(Value::Boolean(value));
                }
                Value::Null => unknown = true,
                _ => {}
            }
        }
        Ok(if unknown {
            Value::Null
        } else {
            Value::Boolean(!self.decisive)
        })
    }
}

/// Evaluates the arguments in order; whether the call may go on.
#[inline]
fn arguments(
    args: &mut [Box<dyn Eval>],
    scratch: &mut [Value],
    nulls: bool,
    row: &[Value],
    meta: &RecordMeta,
) -> Result<bool, RecordError> {
    for (arg, slot) in args.iter_mut().zip(scratch) {
        *slot = arg.eval(row, meta)?;
        if !nulls && slot.is_null() {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Pure {
    args: Vec<Box<dyn Eval>>,
    scratch: Vec<Value>,
    call: PureFn,
    nulls: bool,
    at: Location,
}

impl Eval for Pure {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        if !arguments(&mut self.args, &mut self.scratch, self.nulls, row, meta)? {
            return Ok(Value::Null);
        }
        (self.call)(&self.scratch).map_err(|error| locate(error, self.at))
    }
}

struct Scratch {
    args: Vec<Box<dyn Eval>>,
    scratch: Vec<Value>,
    call: ScratchFn,
    nulls: bool,
    at: Location,
}

impl Eval for Scratch {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        if !arguments(&mut self.args, &mut self.scratch, self.nulls, row, meta)? {
            return Ok(Value::Null);
        }
        (self.call)(&self.scratch).map_err(|error| locate(error, self.at))
    }
}

struct HigherOrder {
    args: Vec<Box<dyn Eval>>,
    scratch: Vec<Value>,
    lambdas: Vec<Lambda>,
    call: LambdaFn,
    at: Location,
}

impl Eval for HigherOrder {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        arguments(&mut self.args, &mut self.scratch, true, row, meta)?;
        for lambda in &mut self.lambdas {
            lambda.enter(row);
        }
        // An error from within a lambda is located already.
        (self.call)(&self.scratch, &mut self.lambdas, meta).map_err(|error| {
            if error.reason.contains("(at ") {
                error
            } else {
                locate(error, self.at)
            }
        })
    }
}

/// A constant as SQL text.
pub(crate) fn show_literal(
    value: &Value,
    data_type: &DataType,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let mut shown = String::new();
    text::append(&mut shown, value, data_type, Zone::UTC);
    match value {
        Value::Null => f.write_str("NULL"),
        Value::String(_) => write!(f, "'{}'", shown.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Date(_) => write!(f, "DATE '{shown}'"),
        Value::Timestamp(_) => write!(f, "TIMESTAMP '{shown}Z'"),
        Value::TimestampNtz(_) => write!(f, "TIMESTAMP_NTZ '{shown}'"),
        Value::Binary(bytes) => {
            f.write_str("X'")?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"))?;
            f.write_str("'")
        }
        _ => f.write_str(&shown),
    }
}
