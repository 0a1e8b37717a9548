//! IN and CASE.

use std::sync::Arc;

use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::Eval;
use crate::expr::body::{Body, Outcome};
use crate::expr::coerce::{self, Settings};
use crate::expr::compare::{compare, equal};
use crate::expr::operators::{call, cast_constant, decision, has_order, not_if};
use crate::expr::typed::{Form, Typed};
use crate::job_error::{JobError, Location};

/// `value IN (list)`.
pub(crate) fn in_list(
    value: Typed,
    list: Vec<Typed>,
    negated: bool,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    let mut common = value.data_type.clone();
    // Without `ansi` a text makes texts of all of them, unlike in `=`.
    let both = |a: &DataType, b: &DataType| match settings.ansi {
        true => coerce::comparable(a, b, true),
        false => coerce::wider(a, b, false),
    };
    for item in &list {
        common = both(&common, &item.data_type)
            .filter(has_order)
            .ok_or_else(|| {
                JobError::new(
                    item.at,
                    format!("IN cannot compare {common} with {}", item.data_type),
                )
            })?;
    }
    let mut args = vec![cast_constant(value, &common, settings)?];
    for item in list {
        args.push(cast_constant(item, &common, settings)?);
    }
    let nullable = args.iter().any(|arg| arg.nullable);
    let constants: Option<Vec<Value>> = args[1..]
        .iter()
        .map(|arg| arg.constant().cloned())
        .collect();
    let body = match constants {
        Some(mut constants) => {
            let null = constants.iter().any(Value::is_null);
            constants.retain(|value| !value.is_null());
            constants.sort_by(compare);
            let constants: Arc<[Value]> = constants.into();
            Body::Lazy(Arc::new(move |mut args| {
                args.truncate(1);
                Box::new(InSet {
                    value: args.pop(),
                    constants: Arc::clone(&constants),
                    null,
                })
            }))
        }
        None => Body::Pure {
            call: Arc::new(|v| Ok(among(v))),
            nulls: true,
        },
    };
    let node = call(
        "IN",
        Form::InList,
        body,
        args,
        DataType::Boolean,
        nullable,
        at,
    );
    Ok(not_if(negated, node, at))
}

fn among(v: &[Value]) -> Value {
    let Some((value, list)) = v.split_first() else {
        return Value::Null;
    };
    if value.is_null() {
        return Value::Null;
    }
    if list
        .iter()
        .any(|item| !item.is_null() && equal(value, item))
    {
        Value::Boolean(true)
    } else if list.iter().any(Value::is_null) {
        Value::Null
    } else {
        Value::Boolean(false)
    }
}

/// IN over constants, sorted.
struct InSet {
    value: Option<Box<dyn Eval>>,
    constants: Arc<[Value]>,
    null: bool,
}

impl Eval for InSet {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        let value = match &mut self.value {
            Some(value) => value.eval(row, meta)?,
            None => Value::Null,
        };
        if value.is_null() {
            return Ok(Value::Null);
        }
        let found = if self.constants.len() <= 4 {
            self.constants.iter().any(|item| equal(item, &value))
        } else {
            self.constants
                .binary_search_by(|item| compare(item, &value))
                .is_ok()
        };
        Ok(match (found, self.null) {
            (true, _) => Value::Boolean(true),
            (false, true) => Value::Null,
            (false, false) => Value::Boolean(false),
        })
    }
}

/// CASE: conditions and values in turn, then the value of ELSE.
pub(crate) fn case(
    branches: Vec<(Typed, Typed)>,
    otherwise: Option<Typed>,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    let values = branches.iter().map(|(_, value)| value).chain(&otherwise);
    let Some(common) = coerce::common_type(values.clone(), settings) else {
        let types: Vec<String> = values.map(|value| value.data_type.to_string()).collect();
        return Err(JobError::new(
            at,
            format!(
                "the branches of CASE have no type in common: {}",
                types.join(", ")
            ),
        ));
    };
    let nullable = otherwise.as_ref().is_none_or(|value| value.nullable)
        || branches.iter().any(|(_, value)| value.nullable);
    let mut args = Vec::with_capacity(branches.len() * 2 + 1);
    for (when, then) in branches {
        args.push(decision(when, settings)?);
        args.push(coerce::cast_implicitly(then, &common, settings));
    }
    if let Some(value) = otherwise {
        args.push(coerce::cast_implicitly(value, &common, settings));
    }
    let body = Body::Lazy(Arc::new(|args| {
        let mut branches = Vec::with_capacity(args.len() / 2);
        let mut args = args.into_iter();
        let mut otherwise = None;
        while let Some(first) = args.next() {
            match args.next() {
                Some(second) => branches.push((first, second)),
                None => otherwise = Some(first),
            }
        }
        Box::new(Case {
            branches,
            otherwise,
        })
    }));
    Ok(call("CASE", Form::Case, body, args, common, nullable, at))
}

struct Case {
    branches: Vec<(Box<dyn Eval>, Box<dyn Eval>)>,
    otherwise: Option<Box<dyn Eval>>,
}

impl Eval for Case {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        for (when, then) in &mut self.branches {
            if when.eval(row, meta)? == Value::Boolean(true) {
                return then.eval(row, meta);
            }
        }
        match &mut self.otherwise {
            Some(value) => value.eval(row, meta),
            None => Ok(Value::Null),
        }
    }
}
