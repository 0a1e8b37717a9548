//! Where the dead letters of a job are, and which of them are meant.

use std::ops::ControlFlow;
use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::kafka::{Found, Read, Span, Survey};
use thalweg_operators::table::Table;

use crate::cli::{DlqChoiceArgs, DlqTopicArgs, JobArgs};
use crate::duration::parse_time;
use crate::job_file;
use crate::refusal::Refusal;
use crate::topics;

use super::letter::Letter;

/// The topic of dead letters.
pub(super) struct Letters {
    pub(super) table: Table,
    pub(super) topic: String,
    /// Job and query whose letters count; all where no job is given.
    names: Option<(String, String)>,
    /// The topics that the query reads by their names, with the tables they are options of.
    pub(super) inputs: Vec<(String, Table)>,
    /// Whether it may read others: no job is given, or it does not name them.
    open: bool,
}

impl Letters {
    /// Those of a job or of a topic.
    ///
    /// # Errors
    /// When the job is wrong or has no dead letters in Kafka.
    pub(super) fn of(args: &DlqTopicArgs, extensions: &Arc<Extensions>) -> Result<Self, Refusal> {
        let Some(job) = &args.job else {
            return Ok(Self {
                table: topics::table(&args.brokers)?,
                topic: args.topic.clone().unwrap_or_default(),
                names: None,
                inputs: Vec::new(),
                open: true,
            });
        };
        let job = JobArgs {
            job: job.clone(),
            ..JobArgs::default()
        };
        let loaded = job_file::load(&job, false, extensions)?;
        let query = topics::query(&loaded, args.query.as_deref())?;
        let dead = query.dead_letter_table();
        let dead = dead.filter(|table| table.connector == "kafka");
        let topic = dead.and_then(|table| Some((table, table.options.get("topic")?)));
        let Some((table, topic)) = topic else {
            return Err(Refusal::new(format!(
                "the query {} has no dead letters in Kafka: it needs onError = 'deadLetter' and a deadLetterTable USING kafka",
                query.name
            )));
        };
        let (mut inputs, mut open) = (Vec::new(), false);
        for (_, input) in query.inputs() {
            let named = topics::subscribed(input.table());
            open |= named.is_empty();
            inputs.extend(
                named
                    .into_iter()
                    .map(|topic| (topic, topics::connection_of(input.table()))),
            );
        }
        Ok(Self {
            table: topics::connection_of(table),
            topic: topic.trim().to_owned(),
            names: Some((loaded.name.clone(), query.name.clone())),
            inputs,
            open,
        })
    }

    /// Whether the chosen inputs are those of the job.
    ///
    /// # Errors
    /// For the first topic that it does not read: nothing of it is ever among its dead letters.
    pub(super) fn covers(&self, choice: &Choice) -> Result<(), Refusal> {
        let read = |topic: &String| self.inputs.iter().any(|(known, _)| known == topic);
        let mut chosen = choice.inputs.iter().map(|(topic, _)| topic);
        match chosen.find(|topic| !read(topic)) {
            Some(topic) if !self.open => {
                let known: Vec<&str> = self.inputs.iter().map(|(name, _)| &**name).collect();
                Err(Refusal::new(format!(
                    "--input {topic}: the job reads no topic `{topic}`; it reads {}",
                    known.join(", ")
                )))
            }
            _ => Ok(()),
        }
    }

    /// Words for whose letters count, behind a noun; none where all do.
    pub(super) fn whose(&self) -> String {
        self.names
            .as_ref()
            .map_or_else(String::new, |(job, query)| {
                format!(" of the query {query} of the job {job}")
            })
    }

    /// Whether a letter is of the job.
    fn counts(&self, letter: &Letter) -> bool {
        match (&self.names, letter.origin()) {
            (None, _) => true,
            (Some((job, query)), Some(origin)) => origin.is_of(job, query),
            (Some(_), None) => false,
        }
    }
}

/// Which dead letters.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    reasons: Vec<String>,
    from: Option<i64>,
    until: Option<i64>,
    inputs: Vec<(String, Option<String>)>,
    /// Partition and offset of those that are named.
    only: Vec<(i32, i64)>,
}

impl Choice {
    /// What the command line says.
    ///
    /// # Errors
    /// For a time or a place that is none.
    pub(super) fn of(args: &DlqChoiceArgs, only: &[String]) -> Result<Self, Refusal> {
        let time = |flag: &str, text: &Option<String>| {
            match text {
            None => Ok(None),
            Some(text) => parse_time(text).map(Some).ok_or_else(|| {
                Refusal::new(format!(
                    "{flag} {text}: write a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970"
                ))
            }),
        }
        };
        let inputs = args.input.iter().map(|text| match text.rsplit_once('/') {
            Some((topic, partition)) => (topic.to_owned(), Some(partition.to_owned())),
            None => (text.clone(), None),
        });
        Ok(Self {
            reasons: args.reason.clone(),
            from: time("--from", &args.from)?,
            until: time("--until", &args.until)?,
            inputs: inputs.collect(),
            only: only
                .iter()
                .map(|text| place(text))
                .collect::<Result<_, _>>()?,
        })
    }

    fn covers(&self, letter: &Letter) -> bool {
        let reason = self.reasons.is_empty()
            || self
                .reasons
                .iter()
                .any(|r| r.eq_ignore_ascii_case(&letter.class));
        let time = letter.millis.is_none_or(|millis| {
            self.from.is_none_or(|from| millis >= from)
                && self.until.is_none_or(|until| millis < until)
        });
        let input = self.inputs.is_empty()
            || letter.origin().is_some_and(|origin| {
                self.inputs.iter().any(|(topic, partition)| {
                    topic == origin.topic
                        && partition
                            .as_ref()
                            .is_none_or(|number| number == origin.partition)
                })
            });
        let only = self.only.is_empty() || self.only.contains(&(letter.partition, letter.offset));
        reason && time && input && only
    }

    /// Where those stand that may be meant.
    ///
    /// # Errors
    /// When the broker does not say.
    pub(super) fn spans(&self, survey: &Survey, topic: &str) -> Result<Vec<Span>, Failure> {
        let ends = survey.ends(topic)?;
        let begins = match self.from {
            None => survey.begins(topic)?,
            Some(from) => survey.at(topic, from)?,
        };
        let partitions = (0..).zip(begins.into_iter().zip(ends));
        let spans = partitions.map(|(partition, (from, until))| Span {
            topic: topic.to_owned(),
            partition,
            from,
            until,
        });
        Ok(spans.collect())
    }
}

/// A place among the dead letters: `PARTITION@OFFSET`, also with the topic before it.
///
/// # Errors
/// For what is none.
pub(super) fn place(text: &str) -> Result<(i32, i64), Refusal> {
    let read = || {
        let (partition, offset) = text.rsplit_once('@')?;
        let partition = partition
            .rsplit_once('/')
            .map_or(partition, |(_, number)| number);
        let offset: i64 = offset.parse().ok()?;
        Some((partition.parse().ok()?, offset)).filter(|_| offset >= 0)
    };
    read().ok_or_else(|| {
        Refusal::new(format!(
            "{text}: write PARTITION@OFFSET of the dead-letter topic, as `thalweg dlq list` shows it"
        ))
    })
}

/// What stands beside the letters of a job.
#[derive(Clone, Copy, Default)]
pub(super) struct Others {
    /// Records that are no dead letters.
    pub(super) records: u64,
    /// Dead letters of other jobs or queries.
    pub(super) letters: u64,
}

/// Shows all chosen letters of these stretches. Gives what else stands there.
///
/// # Errors
/// When the topic cannot be read.
pub(super) fn each(
    survey: &Survey,
    spans: &[Span],
    letters: &Letters,
    choice: &Choice,
    show: &mut dyn FnMut(Letter, &Found<'_>) -> ControlFlow<()>,
) -> Result<(Others, Read), Failure> {
    let mut others = Others::default();
    let read = survey.read(spans, None, &mut |found| {
        match Letter::of(found) {
            Some(letter) if !letters.counts(&letter) => others.letters += 1,
            Some(letter) if choice.covers(&letter) => return show(letter, found),
            Some(_) => {}
            None => others.records += 1,
        }
        ControlFlow::Continue(())
    })?;
    Ok((others, read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_with_and_without_its_topic() {
        assert_eq!(place("0@17").ok(), Some((0, 17)));
        assert_eq!(place("a/b-c/3@5").ok(), Some((3, 5)));
        for wrong in ["17", "0@", "@5", "x@5", "0@-1"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
