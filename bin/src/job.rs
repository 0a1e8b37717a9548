//! A job as a program builds it: SQL and pipelines, with extensions; checked, tried or run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::memory::{MemoryLog, MemorySink};
use thalweg_operators::connectors::Connector;
use thalweg_operators::extensions::{AggregateFunction, Extensions, ScalarFunction};
use thalweg_operators::plan::Pipeline;
use thalweg_operators::sql::{self, Overrides};

use crate::check;
use crate::http;
use crate::job_error::Error;
use crate::job_file::{self, Loaded};
use crate::member;
use crate::refusal::{End, Refusal};
use crate::run::{self, Launch};
use crate::stop::Stop;
use crate::test_job::Trial;

/// A job: queries in SQL, pipelines built in Rust, and what the program adds to the language.
///
/// What is wrong in it is said by [`Job::check`], [`Job::test`] and [`Job::run`], in that order of cost; a mistake in the
/// grammar at once.
pub struct Job {
    /// What the SQL is called in messages.
    file: PathBuf,
    text: Option<String>,
    name: Option<String>,
    pipelines: Vec<Pipeline>,
    extensions: Extensions,
    /// The first extension that was refused.
    refused: Option<String>,
    overrides: Overrides,
    inputs: Vec<(String, MemoryLog)>,
    outputs: Vec<(String, MemorySink)>,
    http: String,
    token_file: Option<PathBuf>,
    stop: Stop,
    until: Option<Duration>,
    signals: bool,
    fresh: bool,
    accept_new_state: bool,
    fail_together: bool,
}

/// How a job ended that ended well.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its queries: those of the SQL in the order of the text, then the pipelines.
    pub queries: Vec<QueryEnded>,
}

/// How a query ended.
#[derive(Clone, Debug)]
pub struct QueryEnded {
    /// Its name.
    pub name: String,
    /// Records that it has read.
    pub records_in: u64,
    /// Rows that it has written.
    pub records_out: u64,
    /// Epochs that it has committed.
    pub epochs: u64,
    /// Records that failed and were left out, as `onError` says.
    pub left_out: u64,
}

/// What came of a test on files.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Whether every table holds what is expected of it, and every query lived to its end.
    pub well: bool,
    /// What `thalweg test` says: a line for each table, and what differs.
    pub report: String,
}

impl Job {
    /// A job of SQL.
    ///
    /// # Errors
    /// For the first statement that cannot be read, with line and column.
    pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
        Self::of("job.sql".into(), text.into())
    }

    /// A job of a file of SQL. It is called as the file, unless `jobName` is set.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Job::parse`].
    pub fn file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::of(path.to_owned(), job_file::read(path)?)
    }

    fn of(file: PathBuf, text: String) -> Result<Self, Error> {
        sql::syntax(&text)
            .map_err(|error| Error::Refused(error.render(&file.display().to_string(), &text)))?;
        Ok(Self {
            text: Some(text),
            ..Self::empty(file)
        })
    }

    /// A job of this name that has no SQL: for pipelines.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::empty("pipeline".into())
        }
    }

    fn empty(file: PathBuf) -> Self {
        Self {
            file,
            text: None,
            name: None,
            pipelines: Vec::new(),
            extensions: Extensions::default(),
            refused: None,
            overrides: Overrides::default(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            http: "off".to_owned(),
            token_file: None,
            stop: Stop::new(),
            until: None,
            signals: false,
            fresh: false,
            accept_new_state: false,
            fail_together: false,
        }
    }

    /// Adds a query that is built in Rust.
    #[must_use]
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipelines.push(pipeline);
        self
    }

    /// Adds a function to the SQL of this job.
    #[must_use]
    pub fn function(self, function: ScalarFunction) -> Self {
        self.extend(|own| own.add_function(function))
    }

    /// Adds an aggregate to the SQL of this job.
    #[must_use]
    pub fn aggregate(self, function: AggregateFunction) -> Self {
        self.extend(|own| own.add_aggregate(function))
    }

    /// Adds a connector for the tables of this job.
    #[must_use]
    pub fn connector(self, connector: Connector) -> Self {
        self.extend(|own| own.add_connector(connector))
    }

    fn extend(mut self, add: impl FnOnce(&mut Extensions) -> Result<(), String>) -> Self {
        let refused = add(&mut self.extensions).err();
        self.refused = self.refused.or(refused);
        self
    }

    /// Gives a setting a value over every SET of that name in the SQL, as `--set` does; `query.name` for one query only.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.set.push((name.into(), value.into()));
        self
    }

    /// Has a table of the SQL read from a log in memory, whose columns are those of the table: for tests. As with
    /// `--input`, the queries that read it then keep their checkpoints in a temporary folder.
    #[must_use]
    pub fn input(mut self, table: impl Into<String>, log: &MemoryLog) -> Self {
        self.inputs.push((table.into(), log.clone()));
        self
    }

    /// Has a table of the SQL written to memory: for tests. As with `--output`, the queries that write it then keep
    /// their checkpoints in a temporary folder.
    #[must_use]
    pub fn output(mut self, table: impl Into<String>, sink: &MemorySink) -> Self {
        self.outputs.push((table.into(), sink.clone()));
        self
    }

    /// Serves the page, `/metrics`, `/live`, `/ready` and the API at this address while it runs.
    #[must_use]
    pub fn http(mut self, address: impl Into<String>) -> Self {
        self.http = address.into();
        self
    }

    /// Asks for a token of this file under `/api/v1`: `--token-file`.
    #[must_use]
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token_file = Some(path.into());
        self
    }

    /// Ends when `stop` is pulled.
    #[must_use]
    pub fn until(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Ends after this time.
    #[must_use]
    pub fn at_most(mut self, time: Duration) -> Self {
        self.until = Some(time);
        self
    }

    /// Ends on Ctrl-C and SIGTERM. A second Ctrl-C ends the process at once.
    #[must_use]
    pub fn until_signalled(mut self) -> Self {
        self.signals = true;
        self
    }

    /// Begins anew where there is no checkpoint, although the Kafka group says that the query once had one: `--fresh`.
    #[must_use]
    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// Lets a step or an aggregate that the checkpoint has no state of begin empty: `--accept-new-state`.
    #[must_use]
    pub fn accept_new_state(mut self) -> Self {
        self.accept_new_state = true;
        self
    }

    /// Ends all queries when one of them fails: `--fail-together`.
    #[must_use]
    pub fn fail_together(mut self) -> Self {
        self.fail_together = true;
        self
    }

    /// Checks it and says what it reads, does and writes, as `thalweg check` does. Connects to nothing.
    ///
    /// # Errors
    /// For the first thing that is wrong.
    pub fn check(self) -> Result<String, Error> {
        Ok(check::report(&self.load(true)?))
    }

    /// Tries it in virtual time on the files of a folder, and compares what it writes with what is expected, as `thalweg
    /// test` does. With `restarts` the query is restarted after every record.
    ///
    /// # Errors
    /// For what is wrong in the job or the files.
    pub fn test(self, folder: impl AsRef<Path>, restarts: bool) -> Result<Tested, Error> {
        let trial = Trial {
            folder: folder.as_ref(),
            update: false,
            restarts,
        };
        let mut report = String::new();
        let well = trial.run(self.load(true)?, &mut report)?;
        Ok(Tested { well, report })
    }

    /// Runs it until all its queries have ended: at the end of their inputs, or because it was stopped. Blocks; the lanes
    /// live on threads of their own.
    ///
    /// # Errors
    /// When something must be mended before it can begin, or a query cannot go on.
    pub fn run(mut self) -> Result<Ended, Error> {
        let http = http::listen(&self.http, self.token_file.as_deref())?;
        let (until, stop, signals) = (self.until, self.stop.clone(), self.signals);
        let (fresh, accept_new_state) = (self.fresh, self.accept_new_state);
        let fail_together = self.fail_together;
        self.overrides.offline = false;
        let loaded = self.load(false)?;
        let member = member::name(None, &loaded.job.queries)?;
        let launch = Launch {
            member,
            name: loaded.name,
            job: loaded.job,
            http,
            fresh,
            accept_new_state,
            fail_together,
            until,
            signals,
            hold: false,
            again: None,
            stop,
        };
        // A thread of its own: the caller's may have a runtime already.
        let thread = std::thread::Builder::new().name("thalweg".to_owned());
        let finished = thread
            .spawn(move || run::live(launch))
            .map_err(|error| Error::Refused(format!("no thread can be made for the job: {error}")))?
            .join()
            .map_err(|_| Error::Refused("the job panicked: a bug".to_owned()))??;
        let queries = finished.queries.iter().map(|status| {
            let metrics = status.metrics();
            let errors = metrics.errors.iter();
            QueryEnded {
                name: status.query().to_owned(),
                records_in: metrics.records_in.get(),
                records_out: metrics.records_out.get(),
                epochs: metrics.epochs_committed.get(),
                left_out: errors.map(prometheus::core::GenericCounter::get).sum(),
            }
        });
        let queries: Vec<QueryEnded> = queries.collect();
        let failed = queries.iter().zip(finished.results);
        let failed: Vec<_> = failed
            .filter_map(|(query, result)| Some((query.name.clone(), result.err()?)))
            .collect();
        match finished.end {
            End::Clean => Ok(Ended { queries }),
            End::Failed => Err(Error::Failed(failed)),
            End::Refused => Err(Error::Refused(Error::Failed(failed).to_string())),
        }
    }

    /// Checks everything and puts the queries together.
    fn load(mut self, offline: bool) -> Result<Loaded, Error> {
        if let Some(refused) = self.refused {
            return Err(Error::Refused(refused));
        }
        self.overrides.offline = offline;
        // What stands there is no file: it is replaced below.
        let memory = |table: &String| (table.clone(), "memory".to_owned());
        let inputs = self.inputs.iter().map(|(table, _)| memory(table));
        self.overrides.inputs.extend(inputs);
        let outputs = self.outputs.iter().map(|(table, _)| memory(table));
        self.overrides.outputs.extend(outputs);
        let extensions = Arc::new(self.extensions);
        let mut loaded = match &self.text {
            Some(text) => job_file::check(&self.file, text, &self.overrides, &extensions)?,
            None => Loaded {
                name: self.name.unwrap_or_default(),
                file: "built in Rust".to_owned(),
                job: sql::Job {
                    name: None,
                    tables: Vec::new(),
                    models: Vec::new(),
                    queries: Vec::new(),
                },
            },
        };
        for query in &mut loaded.job.queries {
            for (table, log) in &self.inputs {
                query.read_from_memory(table, log).map_err(Error::Refused)?;
            }
            for (table, sink) in &self.outputs {
                let dead = query.dead_letter_table().map(|table| table.name.as_str());
                if dead.is_some_and(|dead| dead.eq_ignore_ascii_case(table)) {
                    let why =
                        format!("`{table}` takes dead letters, which cannot be kept in memory");
                    return Err(Error::Refused(why));
                }
                query.write_to_memory(table, sink);
            }
        }
        for pipeline in self.pipelines {
            let query = pipeline.build(&extensions).map_err(Error::Refused)?;
            let mut known = loaded.job.queries.iter();
            if known.any(|other| other.name == query.name) {
                let twice = format!("two queries are called `{}`", query.name);
                return Err(Error::Refused(twice));
            }
            loaded.job.queries.push(query);
        }
        if loaded.job.queries.is_empty() {
            return Err(Refusal::new("the job has no query: add a pipeline").into());
        }
        Ok(loaded)
    }
}
