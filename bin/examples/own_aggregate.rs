//! An aggregate of your own in GROUP BY: the geometric mean, whose state goes on after a restart.
//!
//!     cargo run --example own_aggregate

use thalweg::error::RecordError;
use thalweg::memory::{MemoryLog, MemorySink};
use thalweg::row::Value;
use thalweg::schema::{DataType, Field, Schema};
use thalweg::{AggregateFunction, Error, GroupState, Job};

const JOB: &str = "
SET trigger = 'available now';
SET outputMode = 'complete';
CREATE TABLE returns (factor DOUBLE) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe 'returns', format 'json');
CREATE TABLE means USING noop;
INSERT INTO means SELECT geo_mean(factor) AS mean FROM returns;
";

/// What is known of one group: the sum of logarithms, the number of rows. It is cloned before each row, so that a record
/// that fails in a later step leaves nothing behind.
#[derive(Clone, Default)]
struct GeoMean(f64, u32);

impl GroupState for GeoMean {
    fn update(&mut self, arguments: &[Value]) -> Result<(), RecordError> {
        let positive = arguments[0].as_f64().filter(|x| *x > 0.0);
        // An error is one of this record: `onError` says whether the query ends or the record is left out.
        let x = positive.ok_or_else(|| RecordError::expression("geo_mean: not above 0"))?;
        *self = Self(self.0 + x.ln(), self.1 + 1);
        Ok(())
    }

    /// Windows that slide are made of parts.
    fn merge(&mut self, later: &Self) -> Result<(), RecordError> {
        *self = Self(self.0 + later.0, self.1 + later.1);
        Ok(())
    }

    fn result(&self) -> Result<Value, RecordError> {
        Ok(match self.1 {
            0 => Value::Null,
            count => Value::Double((self.0 / f64::from(count)).exp()),
        })
    }

    /// The checkpoint holds these bytes, and a version before them.
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
        out.extend_from_slice(&self.1.to_le_bytes());
    }

    fn read(self, _version: u8, bytes: &[u8]) -> Option<Self> {
        let (sum, count) = bytes.split_first_chunk()?;
        let count = u32::from_le_bytes(count.try_into().ok()?);
        Some(Self(f64::from_le_bytes(*sum), count))
    }
}

/// Name, types of the arguments, type of the result, a group without rows.
pub(crate) fn geo_mean() -> AggregateFunction {
    let types = [DataType::Double];
    AggregateFunction::new("geo_mean", types, DataType::Double, GeoMean::default)
}

pub(crate) fn main() -> Result<(), Error> {
    let columns = Schema::new([Field::nullable("factor", DataType::Double)]);
    let (returns, means) = (MemoryLog::new("returns", columns, 1), MemorySink::default());
    returns.append(0, Ok(vec![Value::Double(2.0)]));
    returns.append(0, Ok(vec![Value::Double(8.0)]));
    let job = Job::parse(JOB)?.aggregate(geo_mean());
    job.input("returns", &returns)
        .output("means", &means)
        .run()?;
    println!("{:?}", means.rows());
    Ok(())
}
