//! A block of docs/rust.md, as it stands there.

use super::own_aggregate::geo_mean;
use super::own_function::haversine;
use super::own_source::SENSORS;
use thalweg::{Error, Job, Stop};

fn main() -> Result<(), Error> {
    let stop = Stop::new();                    // stop.stop() from any thread ends the job with a last epoch
    let ended = Job::file("fraud.sql")?        // or Job::parse(text), or Job::named(name) for pipelines alone
        .function(haversine())
        .aggregate(geo_mean())
        .connector(SENSORS)
        .set("checkpointInterval", "5 seconds")
        .until(&stop)
        .until_signalled()                     // Ctrl-C and SIGTERM too
        .run()?;
    println!("{} records", ended.queries[0].records_in);
    Ok(())
}

pub(crate) fn call() -> Result<(), Error> {
    main()
}
