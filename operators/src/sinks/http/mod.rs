//! The `http` sink: rows as JSON to a web server, one POST after the other, each repeated until it is taken.
//!
//! Each lane has a queue and a thread that posts from it, so that a slow server never holds up a lane; the lanes share
//! connections. A row is delivered when the server has answered 2xx to its request, not before. What hinders that may pass
//! (no connection, 5xx, 429) is waited out; what does not (any other answer) ends the query, because the row was accepted
//! and those behind it must not overtake it.

mod answer;
mod lane;
mod poster;
#[cfg(test)]
pub(crate) mod server;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use thalweg_engine::behalf::carrying;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::Value;
use thalweg_engine::schema::Schema;
use thalweg_engine::sink::{LocalFuture, Origin, Readiness, Sink, Writer, WriterContext};
use thalweg_engine::source::Health;

use self::lane::{Lane, Staged};
use self::poster::{Poster, Trouble};
use self::settings::Settings;
pub(crate) use self::settings::shown_url;
pub use self::settings::{OPTIONS, check};
use crate::codecs::Encoder;
use crate::codecs::json::{self, JsonOptions};
use crate::table::{OpenContext, Table};

/// Opens the sink for one run. Asks nobody: a server that is away is waited for.
///
/// # Errors
/// `Refuse` for what [`check`] finds.
pub fn open(
    table: &Table,
    input: &Schema,
    context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    check(table, input).map_err(|error| Failure::refuse(error.message))?;
    let settings = Settings::of(table).map_err(|error| Failure::refuse(error.message))?;
    Ok(Arc::new(HttpSink {
        agent: settings.agent()?,
        settings: Arc::new(settings),
        trouble: Arc::default(),
        posters: Mutex::default(),
        options: JsonOptions::of(context, &table.name),
        input: input.clone(),
    }))
}

/// Tries what a start takes from this machine: the file of `caFile`.
///
/// # Errors
/// `Refuse` as [`open`].
pub(crate) fn reach(table: &Table) -> Result<(), Failure> {
    let settings = Settings::of(table).map_err(|error| Failure::refuse(error.message))?;
    settings.agent().map(|_| ())
}

struct HttpSink {
    agent: ureq::Agent,
    settings: Arc<Settings>,
    trouble: Arc<Trouble>,
    posters: Mutex<Vec<(Arc<Lane>, JoinHandle<()>)>>,
    options: JsonOptions,
    input: Schema,
}

impl Sink for HttpSink {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        let lane = Arc::new(Lane::new(self.settings.batch_size, context.observer));
        let poster = Poster {
            lane: Arc::clone(&lane),
            name: context.lane,
            agent: self.agent.clone(),
            settings: Arc::clone(&self.settings),
            trouble: Arc::clone(&self.trouble),
        };
        let thread = std::thread::Builder::new()
            .name(format!("http {}", poster.name))
            .spawn(carrying(move || poster.run()))
            .map_err(|error| Failure::restart(format!("no thread to post with: {error}")))?;
        self.posters.lock().push((Arc::clone(&lane), thread));
        Ok(Box::new(HttpWriter {
            lane,
            encoder: json::encoder_with(&self.input, &self.options),
            staged: Vec::new(),
        }))
    }

    fn health(&self) -> Health {
        self.trouble.health()
    }

    fn in_flight(&self) -> u64 {
        let posters = self.posters.lock();
        posters.iter().map(|(lane, _)| lane.in_flight()).sum()
    }

    fn close(&self) {
        let posters = std::mem::take(&mut *self.posters.lock());
        for (lane, _) in &posters {
            lane.close();
        }
        // Also ends a request that is under way.
        self.agent.clone().shutdown();
        for (_, thread) in posters {
            let _ = thread.join();
        }
    }
}

impl Drop for HttpSink {
    fn drop(&mut self) {
        self.close();
    }
}

struct HttpWriter {
    lane: Arc<Lane>,
    encoder: Box<dyn Encoder>,
    /// The rows of the record in hand.
    staged: Vec<Staged>,
}

impl Writer for HttpWriter {
    fn write(&mut self, row: &[Value], origin: Origin<'_>) -> Result<(), RecordError> {
        let mut body = Vec::new();
        self.encoder.encode(row, &mut body)?;
        self.staged.push(Staged {
            body,
            taken: origin.meta.taken,
        });
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        self.lane.take(&mut self.staged)
    }

    fn reject(&mut self) {
        self.staged.clear();
    }

    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        self.lane.drained()
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        self.lane.delivered()
    }
}
