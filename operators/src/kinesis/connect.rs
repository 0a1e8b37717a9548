//! `check --connect`: asks the service for the stream, its shards, and the rights to read them.

use thalweg_engine::error::Failure;

use super::client::Client;
use super::place::Place;
use super::settings::Settings;
use super::trouble::Trouble;
use crate::aside::Aside;
use crate::table::Table;

/// What the service says of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamReport {
    /// Where the service is.
    pub(crate) place: String,
    /// The stream.
    pub(crate) stream: String,
    /// Shards that are written to.
    pub(crate) open: usize,
    /// Shards that hold records still.
    pub(crate) closed: usize,
    pub(crate) retention_hours: i32,
    /// Why its records cannot be read.
    pub(crate) missing: Option<String>,
}

/// Asks whether the table can be read.
///
/// # Errors
/// When nothing answers within 10 seconds, or there is no such stream.
pub(crate) fn check_connect(table: &Table) -> Result<StreamReport, Failure> {
    let settings = Settings::of(table).map_err(|error| Failure::refuse(error.message))?;
    let aside = Aside::start("Kinesis")?;
    let report = aside.ask(async move { report(&settings).await })?;
    aside.close();
    report
}

async fn report(settings: &Settings) -> Result<StreamReport, Failure> {
    let client = Client::new(settings).await?;
    let (name, place) = (&settings.stream, &client.place);
    let failure = |trouble: Trouble| trouble.failure(name, place);
    let stream = client.stream().await.map_err(failure)?;
    let shards = client.shards().await.map_err(failure)?;
    let readable = match shards.first() {
        None => Ok(()),
        Some(shard) => match client.iterator(&shard.id, &Place::Oldest).await {
            Ok(iterator) => client.records(&iterator, 1).await.map(|_| ()),
            Err(trouble) => Err(trouble),
        },
    };
    let missing = match readable {
        // That others read so much is no right that is missing.
        Ok(()) | Err(Trouble::Throttled) => None,
        Err(trouble) => Some(trouble.text(name, place)),
    };
    let closed = shards.iter().filter(|shard| shard.closed).count();
    Ok(StreamReport {
        place: place.clone(),
        stream: name.clone(),
        open: shards.len() - closed,
        closed,
        retention_hours: stream.retention_hours,
        missing,
    })
}
