//! Windows of time: the struct of a window, and the time that stands for it.

use std::sync::Arc;

use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::Param::Struct;
use super::{BindContext, Function, function};
use crate::expr::calendar::Zone;
use crate::expr::coerce::Settings;
use crate::expr::typed::Typed;

pub(super) const FUNCTIONS: &[Function] = &[function(
    "window_time",
    "window_time(window)",
    "The last moment of a window, a microsecond before its end: the event time of what was aggregated in it.",
    "window_time(named_struct('start', timestamp'2021-01-01 00:00:00', 'end', timestamp'2021-01-01 00:05:00'))",
    "2021-01-01 00:04:59.999999",
    |args, cx| {
        let mut args = cx.take(args, &[Struct], 1)?;
        let arg = args.remove(0);
        match end_of(&arg.data_type) {
            Some(end) => last_moment(arg, end, cx),
            None => Err(cx.error(format!("it takes a window, not {}", arg.data_type))),
        }
    },
)];

/// The type of a window over such times.
pub(crate) fn struct_of(time: &DataType) -> DataType {
    DataType::Struct(Arc::new([
        Field::nullable("start", time.clone()),
        Field::nullable("end", time.clone()),
    ]))
}

/// The type of a window's end, where a type is that of a window.
pub(crate) fn end_of(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Struct(fields) => match &**fields {
            [start, end]
                if start.name == "start"
                    && end.name == "end"
                    && start.data_type == end.data_type
                    && matches!(end.data_type, DataType::Timestamp | DataType::TimestampNtz) =>
            {
                Some(end.data_type.clone())
            }
            _ => None,
        },
        _ => None,
    }
}

/// `window_time` of a window.
pub(crate) fn time_of(window: Typed) -> Option<Typed> {
    let end = end_of(&window.data_type)?;
    let context = BindContext {
        name: "window_time",
        signature: "window_time(window)",
        settings: Settings {
            ansi: true,
            zone: Zone::UTC,
        },
        at: window.at,
    };
    last_moment(window, end, &context).ok()
}

fn last_moment(
    window: Typed,
    end: DataType,
    cx: &BindContext,
) -> Result<Typed, crate::job_error::JobError> {
    cx.strict(end, vec![window], |values| {
        Ok(match values.first() {
            Some(Value::Struct(parts)) => match parts.last() {
                Some(Value::Timestamp(end)) => Value::Timestamp(end.saturating_sub(1)),
                Some(Value::TimestampNtz(end)) => Value::TimestampNtz(end.saturating_sub(1)),
                _ => Value::Null,
            },
            _ => Value::Null,
        })
    })
}
