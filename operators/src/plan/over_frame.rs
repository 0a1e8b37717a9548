//! What a window of rows is: how its rows are ordered, and from where to where its frame goes.

use smol_str::SmolStr;
use sqlparser::ast::{Expr, OrderBySort, WindowFrameBound, WindowFrameUnits, WindowSpec};
use thalweg_engine::record::Micros;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::check::check;
use crate::expr::coerce::cast_implicitly;
use crate::expr::scope::Scope;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::names;
use crate::sql::cursor::start_of;
use crate::stateful::over::{Distance, Frame, Kind, Order};

/// One day of a DATE, in microseconds.
const DAY: i64 = 86_400_000_000;

/// Refuses what rows cannot be partitioned by.
pub(super) fn refuse_key(typed: &Typed, expr: &Expr, at: Location) -> Result<(), JobError> {
    if matches!(typed.data_type, DataType::Map(_)) {
        return Err(JobError::new(
            at,
            format!(
                "`{expr}` is a {}, which cannot be partitioned by",
                typed.data_type
            ),
        ));
    }
    deterministic(typed, expr, at)
}

/// Refuses what would not be the same after a restart.
pub(super) fn deterministic(typed: &Typed, expr: &Expr, at: Location) -> Result<(), JobError> {
    if typed.deterministic() {
        return Ok(());
    }
    Err(JobError::new(
        at,
        format!(
            "`{expr}` is not deterministic: an answer from it would not be the same after a restart"
        ),
    )
    .help("compute it in a subquery, or use the record's own time"))
}

/// The ORDER BY of a window with its text.
pub(super) fn order(
    spec: &WindowSpec,
    scope: &Scope,
    at: Location,
) -> Result<Option<(Typed, SmolStr)>, JobError> {
    let [one] = spec.order_by.as_slice() else {
        return match spec.order_by.get(1) {
            None => Ok(None),
            Some(second) => Err(JobError::new(
                start_of(&second.expr, at),
                "the ORDER BY of a window takes one time or number; rows of the same time stand in order of arrival",
            )),
        };
    };
    let at = start_of(&one.expr, at);
    if matches!(one.options.sort, Some(OrderBySort::Desc)) {
        return Err(JobError::new(
            at,
            "DESC: the rows before a record would be those that come later, which have not arrived",
        )
        .help("for the latest or the greatest rows of each key write max_by(struct(...), ts, 3) with GROUP BY; for what came before a record leave DESC out"));
    }
    if one.options.nulls_first == Some(false) {
        return Err(JobError::new(
            at,
            "NULLS LAST: rows without a time would stand behind those that have not arrived",
        )
        .help("remove NULLS LAST"));
    }
    let typed = check(&one.expr, scope)?;
    let orders = match &typed.data_type {
        DataType::Timestamp | DataType::TimestampNtz | DataType::Date => true,
        DataType::Float | DataType::Double => true,
        DataType::Decimal { precision, .. } => *precision <= 18,
        data_type => data_type.is_integer(),
    };
    if !orders {
        return Err(JobError::new(
            at,
            format!(
                "the ORDER BY of a window takes a time or a number (DECIMAL of at most 18 digits), not {}",
                typed.data_type
            ),
        ));
    }
    deterministic(&typed, &one.expr, at)?;
    let text = SmolStr::new(names::identity(&one.expr, scope));
    Ok(Some((typed, text)))
}

/// The edge of a frame; `0 FOLLOWING` is the current row.
fn here(bound: &WindowFrameBound) -> WindowFrameBound {
    match bound {
        WindowFrameBound::Following(Some(expr)) if matches!(&**expr, Expr::Value(value) if value.to_string() == "0") => {
            WindowFrameBound::CurrentRow
        }
        other => other.clone(),
    }
}

/// The frame of a window; without one all rows up to the current.
pub(super) fn of(
    spec: &WindowSpec,
    order: Option<&Order>,
    scope: &Scope,
    at: Location,
) -> Result<Frame, JobError> {
    let Some(frame) = &spec.window_frame else {
        return Ok(Frame::Unbounded { current: true });
    };
    let end = frame
        .end_bound
        .as_ref()
        .unwrap_or(&WindowFrameBound::CurrentRow);
    let start = &here(&frame.start_bound);
    let end = &here(end);
    for bound in [start, end] {
        if let WindowFrameBound::Following(_) = bound {
            return Err(JobError::new(
                at,
                format!("`{bound}`: a frame ends at the current row at the latest, the rows that follow have not arrived"),
            )
            .help("write ... AND CURRENT ROW"));
        }
    }
    let edges = Edges { order, scope, at };
    match frame.units {
        WindowFrameUnits::Groups => Err(JobError::new(at, "GROUPS frames are not supported")
            .help("write RANGE for a distance in time, ROWS for a number of rows")),
        WindowFrameUnits::Rows => match (start, end) {
            (WindowFrameBound::Preceding(None), end) => match edges.rows(end)? {
                0 => Ok(Frame::Unbounded { current: true }),
                1 => Ok(Frame::Unbounded { current: false }),
                _ => Err(JobError::new(
                    at,
                    "a frame from UNBOUNDED PRECEDING ends at CURRENT ROW or 1 PRECEDING",
                )),
            },
            (start, end) => {
                let (from, to) = (edges.rows(start)?, edges.rows(end)?);
                if from < to {
                    return Err(edges.backwards());
                }
                Ok(Frame::Rows { from, to })
            }
        },
        WindowFrameUnits::Range => match (start, end) {
            (WindowFrameBound::Preceding(None), WindowFrameBound::CurrentRow) => {
                Ok(Frame::Unbounded { current: true })
            }
            (WindowFrameBound::Preceding(None), _) => Err(JobError::new(
                at,
                "a RANGE frame from UNBOUNDED PRECEDING ends at CURRENT ROW",
            )),
            (start, end) => {
                let (from, to) = (edges.distance(start)?, edges.distance(end)?);
                let backwards = match (from, to) {
                    (Distance::Whole(from), Distance::Whole(to)) => from < to,
                    (Distance::Real(from), Distance::Real(to)) => from < to,
                    _ => false,
                };
                if backwards {
                    return Err(edges.backwards());
                }
                Ok(Frame::Range { from, to })
            }
        },
    }
}

/// The width of the panes that a frame is made of under a `frameStep`; None where it keeps what it keeps anyway.
pub(super) fn panes(
    step: Option<Micros>,
    frame: Frame,
    order: Option<&Order>,
    kind: Kind,
    at: Location,
) -> Result<Option<Micros>, JobError> {
    let (Some(step), Frame::Range { from, to }) = (step, frame) else {
        return Ok(None);
    };
    let refused = |why: &str, help: &str| Err(JobError::new(at, why.to_owned()).help(help));
    let times = [DataType::Timestamp, DataType::TimestampNtz];
    if !order.is_some_and(|order| times.contains(&order.data_type)) {
        return refused(
            "frameStep is a length of time, and this frame is not measured on a TIMESTAMP",
            "write it in a query of its own without frameStep",
        );
    }
    if to != Distance::Whole(0) {
        return refused(
            "under frameStep a frame ends at the current row: where it ends before, a pane would have to be divided",
            "write ... AND CURRENT ROW, or this frame in a query of its own without frameStep",
        );
    }
    if matches!(kind, Kind::CountDistinct | Kind::Collect { .. }) {
        return refused(
            "under frameStep a frame keeps aggregates, not values, and count(DISTINCT), collect_list and collect_set need each value",
            "write it in a query of its own without frameStep",
        );
    }
    if matches!(from, Distance::Whole(from) if from < step) {
        return refused(
            "frameStep is longer than this frame",
            "a step of a tenth of the shortest frame or less is a good one",
        );
    }
    Ok(Some(step))
}

/// A frame as it is known by; None for all rows up to the current.
pub(super) fn shown(spec: &WindowSpec) -> Option<String> {
    let frame = spec.window_frame.as_ref()?;
    let end = frame.end_bound.as_ref();
    let end = end.unwrap_or(&WindowFrameBound::CurrentRow);
    if matches!(frame.start_bound, WindowFrameBound::Preceding(None))
        && matches!(end, WindowFrameBound::CurrentRow)
    {
        return None;
    }
    Some(format!(
        " {} BETWEEN {} AND {end}",
        frame.units, frame.start_bound
    ))
}

/// The edges of a frame.
struct Edges<'a> {
    order: Option<&'a Order>,
    scope: &'a Scope,
    at: Location,
}

impl Edges<'_> {
    fn backwards(&self) -> JobError {
        JobError::new(
            self.at,
            "the lower bound of a window frame must be less than or equal to the upper bound",
        )
    }

    fn rows(&self, bound: &WindowFrameBound) -> Result<u64, JobError> {
        let expr = match bound {
            WindowFrameBound::CurrentRow => return Ok(0),
            WindowFrameBound::Preceding(Some(expr)) => expr,
            _ => return Err(self.backwards()),
        };
        let at = start_of(expr.as_ref(), self.at);
        let typed = check(expr, self.scope)?;
        let rows = match typed.constant() {
            Some(Value::Int(rows)) => u64::try_from(*rows).ok(),
            Some(Value::BigInt(rows)) => u64::try_from(*rows).ok(),
            _ => None,
        };
        rows.ok_or_else(|| {
            JobError::new(
                at,
                format!("a ROWS frame takes a constant number of rows, not `{expr}`"),
            )
        })
    }

    fn distance(&self, bound: &WindowFrameBound) -> Result<Distance, JobError> {
        let Some(order) = self.order else {
            return Err(JobError::new(
                self.at,
                "a RANGE frame needs an ORDER BY that it is measured on",
            )
            .help("write ORDER BY with the time of the rows, or ROWS for a number of rows"));
        };
        let real = matches!(order.data_type, DataType::Float | DataType::Double);
        let expr = match bound {
            WindowFrameBound::CurrentRow if real => return Ok(Distance::Real(0.0)),
            WindowFrameBound::CurrentRow => return Ok(Distance::Whole(0)),
            WindowFrameBound::Preceding(Some(expr)) => expr,
            _ => return Err(self.backwards()),
        };
        let at = start_of(expr.as_ref(), self.at);
        let typed = check(expr, self.scope)?;
        let distance = self.constant(&typed, &order.data_type);
        let wanted = match &order.data_type {
            DataType::Timestamp | DataType::TimestampNtz => "an interval such as INTERVAL 1 HOUR",
            DataType::Date => "an interval of whole days such as INTERVAL 7 DAYS",
            _ => "a constant number",
        };
        let distance = distance.ok_or_else(|| {
            JobError::new(
                at,
                format!(
                    "a RANGE frame over {} takes {wanted}, not `{expr}`",
                    order.data_type
                ),
            )
        })?;
        let negative = match distance {
            Distance::Whole(distance) => distance < 0,
            Distance::Real(distance) => distance.is_nan() || distance < 0.0,
        };
        if negative {
            return Err(JobError::new(
                at,
                format!("`{expr}` PRECEDING is negative: it lies ahead"),
            ));
        }
        Ok(distance)
    }

    fn constant(&self, typed: &Typed, order: &DataType) -> Option<Distance> {
        let value = typed.constant()?;
        match (order, value) {
            (DataType::Timestamp | DataType::TimestampNtz, Value::DayTimeInterval(micros)) => {
                Some(Distance::Whole(*micros))
            }
            (DataType::Date, Value::DayTimeInterval(micros)) if micros % DAY == 0 => {
                Some(Distance::Whole(micros / DAY))
            }
            (DataType::Date, Value::Int(days)) => Some(Distance::Whole(i64::from(*days))),
            (DataType::Timestamp | DataType::TimestampNtz | DataType::Date, _) => None,
            _ if !typed.data_type.is_numeric() => None,
            (order, _) => {
                let settings = self.scope.settings();
                // In the order's own unit: a DECIMAL of the same scale, a DOUBLE.
                let to = match order {
                    DataType::Float => &DataType::Double,
                    order if order.is_integer() => &DataType::BigInt,
                    order => order,
                };
                let cast = cast_implicitly(typed.clone(), to, settings);
                match cast.constant()? {
                    Value::BigInt(n) => Some(Distance::Whole(*n)),
                    Value::Double(x) => Some(Distance::Real(*x)),
                    Value::Decimal(n) => i64::try_from(i128::from(*n)).ok().map(Distance::Whole),
                    _ => None,
                }
            }
        }
    }
}
