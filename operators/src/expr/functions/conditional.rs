//! Functions that choose among their arguments, or look at their types.

use std::sync::Arc;

use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::forms::{failed, string};
use super::{BindContext, Function, Param, function};
use crate::expr::Eval;
use crate::expr::body::Outcome;
use crate::expr::compare::equal;
use crate::expr::typed::{Op, Typed};
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "coalesce",
        "coalesce(a, b, ...)",
        "The first argument that is not NULL.",
        "coalesce(NULL, 1, NULL)",
        "1",
        |args, cx| coalesce(args, cx, 1),
    ),
    function(
        "nvl",
        "nvl(a, b)",
        "b where a is NULL.",
        "nvl(NULL, 'none')",
        "none",
        |args, cx| {
            let args = cx.take(args, &[Param::Any, Param::Any], 2)?;
            coalesce(args, cx, 2)
        },
    )
    .aliases(&["ifnull"]),
    function(
        "nvl2",
        "nvl2(a, b, c)",
        "b where a is not NULL, else c.",
        "nvl2(NULL, 2, 1)",
        "1",
        |args, cx| {
            let mut args = cx.take(args, &[Param::Any; 3], 3)?;
            let branches = args.split_off(1);
            let at = cx.at;
            let condition = Typed::node(Op::IsNotNull, args, DataType::Boolean, false, at);
            choose(condition, branches, cx)
        },
    ),
    function(
        "if",
        "if(condition, a, b)",
        "a where the condition is true, else b.",
        "if(1 < 2, 'a', 'b')",
        "a",
        |args, cx| {
            let mut args = cx.take(args, &[Param::Boolean, Param::Any, Param::Any], 3)?;
            let branches = args.split_off(1);
            choose(args.remove(0), branches, cx)
        },
    ),
    function(
        "nullif",
        "nullif(a, b)",
        "NULL where a equals b, else a.",
        "nullif(2, 2)",
        "NULL",
        |args, cx| {
            let args = cx.take(args, &[Param::Any, Param::Any], 2)?;
            let whole = args[0].clone();
            let (mut compared, _) = cx.same_type(args)?;
            let data_type = whole.data_type.clone();
            compared.push(whole);
            cx.with_nulls(data_type, true, compared, |v| {
                let same = !v[0].is_null() && !v[1].is_null() && equal(&v[0], &v[1]);
                Ok(if same { Value::Null } else { v[2].clone() })
            })
        },
    ),
    function(
        "nullifzero",
        "nullifzero(x)",
        "NULL where the number is 0.",
        "nullifzero(0)",
        "NULL",
        |args, cx| {
            let args = cx.take(args, &[Param::Number], 1)?;
            cx.partial(args[0].data_type.clone(), args, |v| {
                Ok(if is_zero(&v[0]) {
                    Value::Null
                } else {
                    v[0].clone()
                })
            })
        },
    ),
    function(
        "zeroifnull",
        "zeroifnull(x)",
        "0 where the number is NULL.",
        "zeroifnull(NULL)",
        "0",
        |args, cx| {
            let mut args = cx.take(args, &[Param::Any], 1)?;
            args.push(Typed::literal(Value::Int(0), DataType::Int, cx.at));
            coalesce(args, cx, 2)
        },
    ),
    function(
        "isnull",
        "isnull(a)",
        "Whether a is NULL.",
        "isnull(1)",
        "false",
        |args, cx| {
            let args = cx.take(args, &[Param::Any], 1)?;
            Ok(Typed::node(
                Op::IsNull,
                args,
                DataType::Boolean,
                false,
                cx.at,
            ))
        },
    ),
    function(
        "isnotnull",
        "isnotnull(a)",
        "Whether a is not NULL.",
        "isnotnull(1)",
        "true",
        |args, cx| {
            let args = cx.take(args, &[Param::Any], 1)?;
            let at = cx.at;
            Ok(Typed::node(
                Op::IsNotNull,
                args,
                DataType::Boolean,
                false,
                at,
            ))
        },
    ),
    function(
        "equal_null",
        "equal_null(a, b)",
        "Whether both are equal; NULL equals NULL.",
        "equal_null(NULL, NULL)",
        "true",
        |args, cx| {
            let args = cx.take(args, &[Param::Any, Param::Any], 2)?;
            let (args, _) = cx.same_type(args)?;
            cx.with_nulls(DataType::Boolean, false, args, |v| {
                Ok(Value::Boolean(equal(&v[0], &v[1])))
            })
        },
    ),
    function(
        "raise_error",
        "raise_error(message)",
        "An error of the record.",
        "if(true, 'fine', raise_error('custom error message'))",
        "fine",
        |args, cx| {
            let args = cx.take(args, &[Param::Text], 1)?;
            let message: Option<Arc<str>> = args[0].constant_text().map(Arc::from);
            cx.with_nulls(DataType::Void, true, args, move |v| {
                Err(raised(message.as_deref(), v.first()))
            })
        },
    ),
    function(
        "assert_true",
        "assert_true(condition[, message])",
        "NULL where the condition is true, else an error of the record.",
        "assert_true(0 < 1)",
        "NULL",
        |args, cx| {
            let args = cx.take(args, &[Param::Boolean, Param::Text], 1)?;
            let message: Option<Arc<str>> = match args.get(1) {
                Some(message) => message.constant_text().map(Arc::from),
                None => Some(Arc::from(format!("'{}' is not true!", args[0]))),
            };
            cx.with_nulls(DataType::Void, true, args, move |v| {
                if v[0] == Value::Boolean(true) {
                    return Ok(Value::Null);
                }
                Err(raised(message.as_deref(), v.get(1)))
            })
        },
    ),
    function(
        "typeof",
        "typeof(a)",
        "The name of the argument's type.",
        "typeof(array(1))",
        "array<int>",
        |args, cx| {
            let args = cx.take(args, &[Param::Any], 1)?;
            let name = string(&type_name(&args[0].data_type));
            Ok(Typed::literal(name, DataType::String, cx.at))
        },
    ),
    function(
        "decode",
        "decode(a, search, result[, search, result ...][, default]) or decode(binary, charset)",
        "The result after the first search that equals a (NULL equals NULL), else the default; or the text of bytes.",
        "decode(2, 1, 'Southlake', 2, 'San Francisco', 'none')",
        "San Francisco",
        |args, cx| match args.len() {
            0..=2 => super::text_formats::decode(args, cx),
            _ => search(args, cx),
        },
    ),
];

/// A message of the job file may be shown; one that was made from the record is content.
fn raised(constant: Option<&str>, given: Option<&Value>) -> thalweg_engine::error::RecordError {
    match (constant, given) {
        (Some(message), _) => failed(message),
        (None, Some(Value::String(text))) => {
            failed("an error that the job raises").with_content(text.as_str())
        }
        _ => failed("an error that the job raises"),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Decimal(number) => i128::from(*number) == 0,
        Value::Float(number) => *number == 0.0,
        Value::Double(number) => *number == 0.0,
        other => crate::expr::access::long(other) == 0,
    }
}

/// The name of a type as Spark's catalog writes it.
pub(in crate::expr) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Array(element) => format!("array<{}>", type_name(element)),
        DataType::Map(pair) => format!("map<{},{}>", type_name(&pair.0), type_name(&pair.1)),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{}:{}", field.name, type_name(&field.data_type)))
                .collect();
            format!("struct<{}>", fields.join(","))
        }
        other => other.to_string().to_ascii_lowercase(),
    }
}

fn coalesce(args: Vec<Typed>, cx: &BindContext, required: usize) -> Result<Typed, JobError> {
    let args = cx.take_all(args, Param::Any, required)?;
    let (args, data_type) = cx.same_type(args)?;
    let nullable = args.iter().all(|arg| arg.nullable);
    cx.lazy(data_type, nullable, args, |args| {
        Box::new(Coalesce { args })
    })
}

/// The first of two branches where the condition is true, else the second.
fn choose(condition: Typed, branches: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let (branches, data_type) = cx.same_type(branches)?;
    let nullable = branches.iter().any(|branch| branch.nullable);
    let mut args = vec![condition];
    args.extend(branches);
    cx.lazy(
        data_type,
        nullable,
        args,
        |args| match <[Box<dyn Eval>; 3]>::try_from(args) {
            Ok([condition, then, otherwise]) => Box::new(If {
                condition,
                then,
                otherwise,
            }),
            Err(args) => Box::new(Coalesce { args }),
        },
    )
}

/// `decode(a, search, result, ..., default)`.
fn search(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let (mut searched, mut results) = (Vec::new(), Vec::new());
    let defaulted = args.len().is_multiple_of(2);
    let last = args.len() - 1;
    for (place, arg) in args.into_iter().enumerate() {
        if place == 0 || place % 2 == 1 && !(defaulted && place == last) {
            searched.push(arg);
        } else {
            results.push(arg);
        }
    }
    let (mut args, _) = cx.same_type(searched)?;
    let (results, data_type) = cx.same_type(results)?;
    let searches = args.len();
    args.extend(results);
    cx.lazy(data_type, true, args, move |args| {
        Box::new(Search { args, searches })
    })
}

/// The value, the searches, then the results and perhaps a default.
struct Search {
    args: Vec<Box<dyn Eval>>,
    searches: usize,
}

impl Eval for Search {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        let Some((value, rest)) = self.args.split_first_mut() else {
            return Ok(Value::Null);
        };
        let value = value.eval(row, meta)?;
        let (searches, results) = rest.split_at_mut(self.searches - 1);
        let mut result = searches.len();
        for (place, search) in searches.iter_mut().enumerate() {
            if equal(&value, &search.eval(row, meta)?) {
                result = place;
                break;
            }
        }
        match results.get_mut(result) {
            Some(result) => result.eval(row, meta),
            None => Ok(Value::Null),
        }
    }
}

struct Coalesce {
    args: Vec<Box<dyn Eval>>,
}

impl Eval for Coalesce {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        for arg in &mut self.args {
            let value = arg.eval(row, meta)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        Ok(Value::Null)
    }
}

struct If {
    condition: Box<dyn Eval>,
    then: Box<dyn Eval>,
    otherwise: Box<dyn Eval>,
}

impl Eval for If {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        if self.condition.eval(row, meta)? == Value::Boolean(true) {
            self.then.eval(row, meta)
        } else {
            self.otherwise.eval(row, meta)
        }
    }
}
