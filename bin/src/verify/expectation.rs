//! What should become of each record, as the job's own steps say that keep no rows.

use std::sync::Arc;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::pipeline::{Pipeline, Target};
use thalweg_engine::record::{Body, Partition, Record};
use thalweg_engine::row::Value;
use thalweg_engine::sink::{LocalFuture, Origin, Readiness, Writer};
use thalweg_engine::source::Source;
use thalweg_operators::connectors;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::kafka::Span;
use thalweg_operators::plan::Query;
use thalweg_operators::sources::stretch;
use thalweg_operators::sql::settings::OnError;
use thalweg_operators::table::{OpenContext, OptionValue, Options, Table};

use crate::refusal::Refusal;
use crate::wiring;

use super::account::{Expected, Outputs};

/// The steps of one input, and the input itself.
pub(super) struct Expectation {
    pipeline: Pipeline,
    entries: Vec<Target>,
    /// Whether the steps give exactly the rows of the output.
    whole: bool,
    /// Outputs of a record that passes, where they do not.
    otherwise: Outputs,
    on_error: OnError,
    source: Arc<dyn Source>,
    input: String,
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.source.close();
    }
}

impl Expectation {
    /// That of a query for the input at this place of its plan.
    ///
    /// # Errors
    /// When the input, or a table that its rows are joined with, cannot be opened.
    pub(super) fn of(
        job: &str,
        query: &Query,
        place: usize,
        otherwise: Outputs,
        extensions: &Extensions,
    ) -> Result<Self, Refusal> {
        let context = OpenContext {
            temporary: true,
            ..wiring::context(job, query, false, String::new())
        };
        query.open_statics(&context)?;
        let stateless = query.stateless(place);
        let inputs = query.inputs();
        let input = inputs.into_iter().find(|(at, _)| *at == place);
        let (_, input) = input.ok_or_else(|| Refusal::new("the query has no such input"))?;
        let source = open(input.table(), input.wanted(), extensions, &context)?;
        Ok(Self {
            pipeline: Pipeline::new(stateless.steps, Box::new(Nowhere))?,
            entries: stateless.entries,
            whole: stateless.whole,
            otherwise,
            on_error: query.settings.on_error,
            source,
            input: input.table().name.clone(),
        })
    }

    /// Whether the job says how many outputs each record has; otherwise only which are filtered.
    pub(super) fn is_exact(&self) -> bool {
        self.whole
    }

    /// Reads a stretch and says of each record what should have become of it.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(super) fn read(
        &mut self,
        span: &Span,
        say: &mut dyn FnMut(i64, Expected),
    ) -> Result<(), Failure> {
        let partition = Arc::new(Partition {
            input: self.input.as_str().into(),
            name: format!("{}/{}", span.topic, span.partition).into(),
        });
        let source = Arc::clone(&self.source);
        stretch::each(&*source, &partition, span.from, span.until, &mut |record| {
            if let thalweg_engine::record::Position::Number(offset) = record.meta.position {
                let expected = self.expected(&record);
                say(offset, expected);
            }
        })
    }

    fn expected(&mut self, record: &Record) -> Expected {
        let rows = match &record.body {
            Body::Row(row) => self.pipeline.process(&self.entries, row, &record.meta),
            Body::Skipped(_) => Ok(0),
            Body::Bad(error) => Err((**error).clone()),
        };
        if rows.is_err() {
            self.pipeline.reject();
        } else {
            // The writer takes nothing, so it cannot fail.
            let _ = self.pipeline.accept();
        }
        self.pipeline.take_watermark();
        self.pipeline.take_late();
        match (rows, self.on_error) {
            (Ok(0), _) => Expected::Filtered,
            (Ok(rows), _) if self.whole => Expected::Outputs(Outputs::exactly(rows)),
            (Ok(_), _) => Expected::Outputs(self.otherwise),
            (Err(_), OnError::DeadLetter) => Expected::DeadLetter,
            (Err(_), OnError::Skip) => Expected::Skipped,
            // The query ended there, or the job was mended since: then it has its outputs.
            (Err(_), OnError::Fail) => Expected::Outputs(self.otherwise),
        }
    }
}

/// Opens the input so that it can be read from anywhere; nothing is written to its group.
fn open(
    table: &Table,
    wanted: &[usize],
    extensions: &Extensions,
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Refusal> {
    let known = extensions.all_connectors();
    let connector =
        connectors::find(&known, table, table.at).map_err(|error| Refusal::new(error.message))?;
    let Some(input) = connector.input.filter(|_| table.connector == "kafka") else {
        return Err(Refusal::new(format!(
            "the table `{}` is {}: only topics of Kafka can be verified",
            table.name, table.connector
        )));
    };
    let mut options: Vec<OptionValue> = table
        .options
        .iter()
        .filter(|option| !option.name.to_ascii_lowercase().starts_with("starting"))
        .cloned()
        .collect();
    if table.primary_key.is_empty() {
        options.push(OptionValue {
            name: "startingOffsets".to_owned(),
            value: "earliest".to_owned(),
            substituted: false,
            at: table.at,
        });
    }
    let table = Table {
        options: Options::new(options),
        ..table.clone()
    };
    let source = (input.open)(&table, wanted, context)?;
    source.resolve(None).inspect_err(|_| source.close())?;
    Ok(source)
}

/// Takes rows and forgets them: the pipeline counts.
struct Nowhere;

impl Writer for Nowhere {
    fn write(&mut self, _row: &[Value], _origin: Origin<'_>) -> Result<(), RecordError> {
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        Ok(Readiness::Ready)
    }

    fn reject(&mut self) {}

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
