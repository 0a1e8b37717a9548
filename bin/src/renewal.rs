//! Files of secrets and certificates that change while a job runs: new clients, no restart of the process, nothing lost.
//!
//! Every two seconds the files are looked at that the job names by `${file:...}` or as a location of the Kafka client. When
//! one has changed, and stays as it is until the next look, a client is made with it for each Kafka table, beside those that
//! run, and each store of checkpoints or of a static table is asked with its new keys. Only when all brokers and stores have taken
//! the login each query whose other tables are reached in another way now ends its run as a stop does, with a last epoch, and begins
//! another with new clients from there: nothing is repeated. A store of checkpoints or of a static table goes on with its new keys
//! in the same run. Until then the clients of before go on.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::error::Failure;
use thalweg_engine::query::{Group, Host, Query, STOPPED_LATE, Settings};
use thalweg_engine::status::QueryStatus;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::kafka::Survey;
use thalweg_operators::plan;
use thalweg_operators::sql::{Job, Overrides};
use thalweg_operators::table::Table;
use tokio::sync::watch;

use crate::job_file;
use crate::place::Place;
use crate::refusal::Refusal;
use crate::wiring::Wired;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// A job as it can be read again, with what its files hold now.
pub(crate) struct Again {
    /// The job file.
    pub(crate) path: PathBuf,
    /// Its text at the start: a job does not change while it runs.
    pub(crate) text: String,
    /// What the command line says.
    pub(crate) overrides: Overrides,
    /// What the program adds.
    pub(crate) extensions: Arc<Extensions>,
}

impl Again {
    fn job(&self) -> Result<Job, Refusal> {
        job_file::check(&self.path, &self.text, &self.overrides, &self.extensions)
            .map(|loaded| loaded.job)
    }

    /// The job with what the files hold now, once each broker has taken a client that was made with it, and the stores of
    /// checkpoints and static tables their new keys. Blocks.
    fn tried(&self, running: &[Running]) -> Result<Job, Refusal> {
        let job = self.job()?;
        let used = job.queries.iter().flat_map(tables);
        for table in used.filter(|table| is_kafka(table)) {
            Survey::open(table, true)?;
        }
        for query in &job.queries {
            let Some(running) = running.iter().find(|running| running.is(query)) else {
                continue;
            };
            if let Place::Remote(place) = &running.place {
                place.renew(&query.settings.checkpoint_options)?;
            }
            running.plan.query().renew_statics(query)?;
        }
        Ok(job)
    }
}

fn is_kafka(table: &Table) -> bool {
    table.connector == "kafka"
}

/// The tables that a query reads and writes.
fn tables(query: &plan::Query) -> impl Iterator<Item = &Table> {
    let inputs = query.inputs().map(|(_, input)| input.table());
    inputs
        .chain([query.output()])
        .chain(query.dead_letter_table())
}

/// The files that make clients.
struct Files {
    /// Those that `${file:...}` reads.
    secrets: BTreeSet<PathBuf>,
    /// Certificates, keys and stores of the Kafka client, which reads them by itself.
    certificates: BTreeSet<PathBuf>,
}

impl Files {
    fn of(text: &str, tables: &[Table]) -> Self {
        let mut secrets = BTreeSet::new();
        for part in text.split("${file:").skip(1) {
            if let Some((path, _)) = part.split_once('}') {
                secrets.insert(PathBuf::from(path));
            }
        }
        let mut certificates = BTreeSet::new();
        for table in tables.iter().filter(|table| is_kafka(table)) {
            for option in table.options.iter() {
                let name = option.name.to_ascii_lowercase();
                if name.starts_with("kafka.ssl.") && name.ends_with(".location") {
                    certificates.insert(PathBuf::from(&option.value));
                }
            }
        }
        Self {
            secrets,
            certificates,
        }
    }

    fn are_none(&self) -> bool {
        self.secrets.is_empty() && self.certificates.is_empty()
    }

    fn held(&self) -> Held {
        Held {
            secrets: content(&self.secrets),
            certificates: content(&self.certificates),
        }
    }
}

/// What the files hold, at one look.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Held {
    secrets: u64,
    certificates: u64,
}

/// What the files hold. One that cannot be read holds nothing; so does one that can be read only once, such as a pipe.
fn content(files: &BTreeSet<PathBuf>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let whole = std::fs::metadata(file).is_ok_and(|about| about.is_file());
        let held = whole.then(|| std::fs::read(file).ok()).flatten();
        held.hash(&mut hasher);
    }
    hasher.finish()
}

/// A query that runs, with what may be made anew for it.
struct Running {
    plan: Arc<Wired>,
    /// Where its checkpoints lie.
    place: Place,
    renew: watch::Sender<u64>,
}

impl Running {
    fn is(&self, query: &plan::Query) -> bool {
        self.plan.query().name == query.name
    }

    /// Whether clients of the query as it was read again are others than those of now. What a file of certificates holds stands in no
    /// option.
    fn differs(&self, again: &plan::Query, certificates: bool) -> bool {
        certificates && tables(again).any(is_kafka)
            || self.plan.with_clients(|now| {
                let mut pairs = tables(now).zip(tables(again));
                pairs.any(|(now, again)| !now.options.are(&again.options))
            })
    }
}

/// Looks at the files of a job for as long as it runs.
pub(crate) struct Watch {
    again: Arc<Again>,
    files: Arc<Files>,
    running: Arc<Vec<Running>>,
    in_force: Held,
}

impl Watch {
    /// Of the files as they are now; None where the job names none, or there is nothing that could be made anew.
    pub(crate) fn of(
        again: Again,
        tables: &[Table],
        queries: &[(Arc<Wired>, Place)],
    ) -> Option<Self> {
        let files = Files::of(&again.text, tables);
        let reached = |(plan, place): &(Arc<Wired>, Place)| {
            renews(plan) || matches!(place, Place::Remote(_)) || looks_up(plan.query())
        };
        if files.are_none() || !queries.iter().any(reached) {
            return None;
        }
        let running = queries.iter().map(|(plan, place)| Running {
            plan: Arc::clone(plan),
            place: place.clone(),
            renew: watch::Sender::new(0),
        });
        Some(Self {
            in_force: files.held(),
            files: Arc::new(files),
            again: Arc::new(again),
            running: Arc::new(running.collect()),
        })
    }

    /// Tells of each renewal of the query at this place in the job.
    pub(crate) fn renewals(&self, query: usize) -> watch::Receiver<u64> {
        self.running[query].renew.subscribe()
    }

    /// Looks, and renews, for ever.
    pub(crate) async fn follow(mut self) {
        let mut before = self.in_force;
        let mut said = String::new();
        loop {
            actix::clock::sleep(LOOK).await;
            let (again, files) = (Arc::clone(&self.again), Arc::clone(&self.files));
            let running = Arc::clone(&self.running);
            let in_force = self.in_force;
            let looked = tokio::task::spawn_blocking(move || {
                let now = files.held();
                let settled = now != in_force && now == before;
                (now, settled.then(|| again.tried(&running)))
            });
            let Ok((now, tried)) = looked.await else {
                continue;
            };
            before = now;
            match tried {
                None => {}
                Some(Ok(job)) => {
                    let certificates = now.certificates != in_force.certificates;
                    self.in_force = now;
                    said.clear();
                    self.hand_over(job, certificates);
                }
                Some(Err(why)) if why.message() == said => {}
                Some(Err(why)) => {
                    why.message().clone_into(&mut said);
                    tracing::warn!(
                        "files of secrets or certificates have changed and cannot be used yet, the clients of before go on: {said}"
                    );
                }
            }
        }
    }

    fn hand_over(&self, job: Job, certificates: bool) {
        tracing::info!("files of secrets or certificates have changed: new clients are made");
        for query in job.queries {
            let running = self.running.iter().find(|running| running.is(&query));
            if let Some(running) = running {
                let differs = running.differs(&query, certificates);
                running.plan.renew(query);
                if differs {
                    running.renew.send_modify(|count| *count += 1);
                }
            }
        }
    }
}

/// Whether a query may have clients that are made of such files. A socket that is opened anew would lose what comes meanwhile.
fn renews(plan: &Wired) -> bool {
    let query = plan.query();
    tables(query).any(|table| is_kafka(table) || table.options.are_substituted())
        && !query.bounded()
        && !tables(query).any(|table| table.connector == "socket")
}

/// Whether a query has static tables that may be reached in another way.
fn looks_up(query: &plan::Query) -> bool {
    let statics = query.statics().into_iter();
    let mut inputs = statics.flat_map(plan::Looking::inputs);
    inputs.any(|input| input.table().options.are_substituted())
}

/// A query that may be run again in the same process.
pub(crate) struct Renewable {
    /// The job's name.
    pub(crate) job: String,
    /// Its plan, whose clients may be others in the next run.
    pub(crate) plan: Arc<Wired>,
    /// How it runs.
    pub(crate) settings: Settings,
    /// Where its checkpoints lie.
    pub(crate) log: Arc<CheckpointLog>,
    /// Where it runs.
    pub(crate) host: Host,
    /// What the probes see.
    pub(crate) status: Arc<QueryStatus>,
    /// Where processes share it.
    pub(crate) group: Option<Group>,
}

impl Renewable {
    fn query(&self) -> Query {
        Query {
            job: self.job.clone(),
            name: self.plan.query().name.clone(),
            plan: Arc::clone(&self.plan) as _,
            settings: self.settings.clone(),
            log: Arc::clone(&self.log),
            host: self.host.clone(),
            status: Arc::clone(&self.status),
            group: self.group.clone(),
        }
    }

    /// Runs it until it ends or is stopped, with new clients after each renewal.
    ///
    /// # Errors
    /// As [`Query::run`].
    pub(crate) async fn run(
        self,
        mut stop: watch::Receiver<bool>,
        renewals: Option<watch::Receiver<u64>>,
    ) -> Result<(), Failure> {
        let Some(mut renewals) = renewals.filter(|_| renews(&self.plan)) else {
            return self.query().run(stop).await;
        };
        loop {
            let (tell, told) = watch::channel(false);
            let renewing = Cell::new(false);
            let end = {
                let watching = async {
                    tokio::select! {
                        biased;
                        stopped = stop.wait_for(|stop| *stop) => if stopped.is_err() {
                            std::future::pending::<()>().await;
                        },
                        renewed = renewals.changed() => match renewed {
                            Ok(()) => renewing.set(true),
                            Err(_) => std::future::pending().await,
                        },
                    }
                    tell.send_replace(true);
                };
                let running = self.query().run(told);
                tokio::pin!(running);
                tokio::select! {
                    biased;
                    end = &mut running => end,
                    () = watching => running.await,
                }
            };
            if !renewing.get() || *stop.borrow() {
                return end;
            }
            match end {
                Ok(()) => {}
                // The clients of before could not end in peace, perhaps because nobody takes their login any more.
                Err(failure) if failure.message.starts_with(STOPPED_LATE) => {
                    tracing::warn!(query = self.plan.query().name, "{failure}");
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_certificates_keys_and_stores_are_watched() {
        let text = "kafka.sasl.password '${file:/run/secrets/password}', a '${file:/run/secrets/password}', b '${NAME:-x}'";
        let table = Table::using("t", "kafka")
            .option("kafka.SSL.ca.location", "/tls/ca.crt")
            .option("kafka.ssl.keystore.location", "/tls/client.p12")
            .option("kafka.ssl.key.password", "/tls/none");
        let other = Table::using("u", "file").option("path", "/data");
        let found = Files::of(text, &[table, other]);
        let paths = |files: &BTreeSet<PathBuf>| -> Vec<String> {
            let paths = files.iter();
            paths.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(paths(&found.secrets), ["/run/secrets/password"]);
        assert_eq!(
            paths(&found.certificates),
            ["/tls/ca.crt", "/tls/client.p12"]
        );
    }

    #[test]
    fn a_change_of_any_file_is_seen_and_so_is_its_disappearance() {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("one");
        let files = BTreeSet::from([one.clone(), folder.path().join("two")]);
        let nothing = content(&files);
        std::fs::write(&one, "a").unwrap();
        let a = content(&files);
        std::fs::write(&one, "b").unwrap();
        let b = content(&files);
        assert!(nothing != a && a != b);
        std::fs::remove_file(&one).unwrap();
        assert_eq!(content(&files), nothing);
    }
}
