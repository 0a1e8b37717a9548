//! A function of your own in the SQL of a job: how far it is from here to there.
//!
//!     cargo run --example own_function

use thalweg::memory::{MemoryLog, MemorySink};
use thalweg::row::Value;
use thalweg::schema::{DataType, Field, Schema};
use thalweg::{Error, Job, ScalarFunction};

/// The job is plain SQL. In production it reads and writes Kafka; below, memory stands for both tables.
const JOB: &str = "
SET trigger = 'available now';

CREATE TABLE taxis (name STRING, lat DOUBLE, lon DOUBLE) USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe 'taxis', format 'json');
CREATE TABLE near USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', topic 'near', format 'json');

INSERT INTO near
SELECT name, round(haversine(lat, lon, 52.5163, 13.3777), 1) AS km
FROM taxis WHERE haversine(lat, lon, 52.5163, 13.3777) < 10;
";

/// Name, types of the arguments, type of the result, and the function itself. The arguments come with these types: an INT
/// or a DECIMAL has been cast to DOUBLE, and a row with a NULL among them gets NULL without a call. A call with three
/// arguments, or with a BOOLEAN, is refused when the job is read, with line and column.
pub(crate) fn haversine() -> ScalarFunction {
    ScalarFunction::new(
        "haversine",
        vec![DataType::Double; 4],
        DataType::Double,
        |args| {
            let number = |place: usize| args[place].as_f64().unwrap_or_default().to_radians();
            let (lat1, lon1, lat2, lon2) = (number(0), number(1), number(2), number(3));
            let (dlat, dlon) = (lat2 - lat1, lon2 - lon1);
            let cosines = lat1.cos() * lat2.cos();
            let a = (dlat / 2.0).sin().powi(2) + cosines * (dlon / 2.0).sin().powi(2);
            Ok(Value::Double(2.0 * 6371.0 * a.sqrt().asin()))
        },
    )
    .described(
        "haversine(lat1, lon1, lat2, lon2)",
        "The distance of two places in kilometres.",
    )
}

pub(crate) fn main() -> Result<(), Error> {
    let columns = Schema::new([
        Field::nullable("name", DataType::String),
        Field::nullable("lat", DataType::Double),
        Field::nullable("lon", DataType::Double),
    ]);
    let taxis = MemoryLog::new("taxis", columns, 1);
    for (name, lat, lon) in [
        ("Ada", 52.52, 13.41),
        ("Bo", 52.39, 13.06),
        ("Cleo", 52.5, 13.3),
    ] {
        let row = vec![Value::from(name), Value::Double(lat), Value::Double(lon)];
        taxis.append(0, Ok(row));
    }
    let near = MemorySink::default();
    // `available now`: the run ends where the input ends now. Without `input` and `output` this is the real job.
    Job::parse(JOB)?
        .function(haversine())
        .input("taxis", &taxis)
        .output("near", &near)
        .run()?;
    for row in near.rows() {
        println!("{row:?}");
    }
    Ok(())
}
