//! CAST(text AS TIMESTAMP) of a time without a date: today at that time, as in Spark; today is the record's.

use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

use crate::expr::Eval;
use crate::expr::access::text;
use crate::expr::body::{Outcome, locate};
use crate::expr::calendar::{self, MICROS_PER_DAY, Zone};
use crate::expr::cast::Caster;
use crate::expr::operand::Operand;
use crate::expr::time_text::parse_clock;
use crate::job_error::Location;

/// The cast of a text to TIMESTAMP.
pub(super) struct ClockCast {
    pub(super) arg: Operand,
    /// The cast of every other text.
    pub(super) caster: Caster,
    pub(super) zone: Zone,
    pub(super) at: Location,
}

impl Eval for ClockCast {
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        let value = self.arg.value(row, meta)?;
        if value.is_null() {
            return Ok(Value::Null);
        }
        let Some((micros, zone)) = parse_clock(text(value)) else {
            return (self.caster)(value).map_err(|error| locate(error, self.at));
        };
        let zone = zone.unwrap_or(self.zone);
        let today = calendar::local(meta.taken_at, zone).div_euclid(MICROS_PER_DAY);
        let instant = calendar::utc(today * MICROS_PER_DAY + micros, zone);
        Ok(instant.map_or(Value::Null, Value::Timestamp))
    }
}

/// Whether the cast of a constant depends on the day.
pub(super) fn of_today(constant: &Value) -> bool {
    matches!(constant, Value::String(content) if parse_clock(content).is_some())
}
