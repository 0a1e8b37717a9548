//! A step of your own with state and timers: says which device has been silent for a minute.
//!
//!     cargo run --example own_processor

use std::time::Duration;

use thalweg::error::RecordError;
use thalweg::memory::{MemoryLog, MemorySink};
use thalweg::row::Value;
use thalweg::schema::{DataType, Field, Schema};
use thalweg::{Error, Job, Key, Pipeline, StatefulProcessor, Timer};

const SECOND: i64 = 1_000_000;

/// It sees one device at a time. What it must remember of a device lies in the key's value and timers, which are saved
/// with every epoch and found again after a restart; nothing of it lies here.
struct Silence;

impl StatefulProcessor for Silence {
    fn process(&mut self, _: &[Value], key: &mut Key<'_>) -> Result<(), RecordError> {
        let heard = key.event_time().unwrap_or_default();
        let count = match key.value() {
            Some([Value::BigInt(count)]) => *count,
            _ => 0,
        };
        key.set(vec![Value::BigInt(count + 1)])?;
        // One timer: a minute after the newest heartbeat. Timer::Processing would go by the wall clock.
        for timer in key.timers().to_vec() {
            key.remove_timer(timer);
        }
        key.set_timer(Timer::Event(heard + 60 * SECOND));
        Ok(())
    }

    /// The watermark has passed the timer: no heartbeat has come, nor can one come any more that is not late.
    fn timer(&mut self, _: Timer, key: &mut Key<'_>) -> Result<(), RecordError> {
        let mut row = key.columns().to_vec();
        row.extend(key.value().into_iter().flatten().cloned());
        key.emit(&row)?;
        // Without value and timers the key is forgotten.
        key.clear();
        Ok(())
    }
}

pub(crate) fn heartbeats(log: &MemoryLog, silent: &MemorySink) -> Pipeline {
    let device = Field::nullable("device", DataType::String);
    let count = Field::required("heartbeats", DataType::BigInt);
    Pipeline::new("silent")
        .set("trigger", "available now")
        .read_memory(log)
        .event_time(Duration::from_secs(5), |row| match row[1] {
            Value::Timestamp(at) => Some(at),
            _ => None,
        })
        .key_by(["device"])
        // The name of its state, the columns of a key's value, the columns of the rows that it emits.
        .process("silence", [count.clone()], [device, count], || Silence)
        .write_memory(silent)
}

pub(crate) fn main() -> Result<(), Error> {
    let device = Field::nullable("device", DataType::String);
    let columns = Schema::new([device, Field::nullable("at", DataType::Timestamp)]);
    let log = MemoryLog::new("heartbeats", columns, 1);
    for (device, at) in [("door", 0), ("lamp", 10), ("lamp", 50), ("lamp", 90)] {
        let row = vec![Value::from(device), Value::Timestamp(at * SECOND)];
        log.append(0, Ok(row));
    }
    let silent = MemorySink::default();
    Job::named("devices")
        .pipeline(heartbeats(&log, &silent))
        .run()?;
    println!("{:?}", silent.rows());
    Ok(())
}
