//! Functions that choose among their arguments.

use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

use super::{BindContext, Function, Param, function};
use crate::expr::Eval;
use crate::expr::body::Outcome;
use crate::expr::typed::Typed;
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
        "if",
        "if(condition, a, b)",
        "a where the condition is true, else b.",
        "if(1 < 2, 'a', 'b')",
        "a",
        |args, cx| {
            let mut args = cx.take(args, &[Param::Boolean, Param::Any, Param::Any], 3)?;
            let branches = args.split_off(1);
            let (branches, data_type) = cx.same_type(branches)?;
            let nullable = branches.iter().any(|branch| branch.nullable);
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
        },
    ),
];

fn coalesce(args: Vec<Typed>, cx: &BindContext, required: usize) -> Result<Typed, JobError> {
    let args = cx.take_all(args, Param::Any, required)?;
    let (args, data_type) = cx.same_type(args)?;
    let nullable = args.iter().all(|arg| arg.nullable);
    cx.lazy(data_type, nullable, args, |args| {
        Box::new(Coalesce { args })
    })
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
