//! Topics on the command line: brokers, places, stretches of partitions.

use thalweg_engine::counted::counted;
use thalweg_engine::error::Failure;
use thalweg_operators::kafka::{Span, Survey, look, unwritten};
use thalweg_operators::plan::Query;
use thalweg_operators::table::Table;

use crate::cli::BrokerArgs;
use crate::duration::parse_time;
use crate::job_file::Loaded;
use crate::place::from_environment;
use crate::refusal::Refusal;

/// The brokers of the command line as a table, which is how the clients take them. A value that is `${NAME}` stands in the
/// environment, so that a secret need not stand on the command line.
///
/// # Errors
/// When no brokers are given, or a name is not in the environment.
pub(crate) fn table(args: &BrokerArgs) -> Result<Table, Refusal> {
    let Some(brokers) = &args.brokers else {
        return Err(Refusal::new(
            "which brokers? Give --brokers HOST:PORT, or --job with the job file that names them",
        ));
    };
    let mut table = Table::using("topics", "kafka").option("kafka.bootstrap.servers", brokers);
    for (name, value) in &args.option {
        let value = from_environment(name, value)?;
        table = table.option(name, value);
    }
    Ok(table)
}

/// The query of a job that is meant: the named one, or the only one.
///
/// # Errors
/// When there is none of this name, or it is not clear which.
pub(crate) fn query<'l>(loaded: &'l Loaded, name: Option<&str>) -> Result<&'l Query, Refusal> {
    let queries = &loaded.job.queries;
    let names = || {
        let names: Vec<&str> = queries.iter().map(|query| query.name.as_str()).collect();
        names.join(", ")
    };
    match (name, queries.as_slice()) {
        (Some(name), _) => queries
            .iter()
            .find(|query| query.name == name)
            .ok_or_else(|| {
                Refusal::new(format!(
                    "{} has no query `{name}`. It has {}.",
                    loaded.file,
                    names()
                ))
            }),
        (None, [only]) => Ok(only),
        (None, _) => Err(Refusal::new(format!(
            "{} has several queries: say with --query which one is meant: {}",
            loaded.file,
            names()
        ))),
    }
}

/// The topics that a table names.
pub(crate) fn subscribed(table: &Table) -> Vec<String> {
    let named = table.options.get("subscribe").unwrap_or_default();
    let named = named
        .split(',')
        .map(str::trim)
        .filter(|topic| !topic.is_empty());
    named.map(str::to_owned).collect()
}

/// What is allowed and mostly not meant: of a query, among all of its job.
pub(crate) fn beware(job: &str, query: &Query, all: &[Query]) -> Vec<String> {
    let mut warnings = read_back(job, query);
    warnings.extend(one_group(query, all));
    warnings.extend(left_out(query));
    warnings
}

/// What is said of a query with columns that a Kafka record has no place for.
fn left_out(query: &Query) -> Option<String> {
    let table = query.output();
    if table.connector != "kafka" || query.output_replaced().is_some() {
        return None;
    }
    let columns = unwritten(table, query.schema());
    (!columns.is_empty()).then(|| {
        format!(
            "not written: {}. Without the option format a record is made of the columns value, key, topic, headers and partition, \
             as in Spark",
            columns.join(", ")
        )
    })
}

/// What is said of a query whose positions go to the Kafka group that another one's go to.
fn one_group(query: &Query, all: &[Query]) -> Option<String> {
    let groups = |query: &Query| -> Vec<String> {
        let tables = query.inputs().map(|(_, input)| input.table());
        let kafka = tables.filter(|table| table.connector == "kafka");
        let groups = kafka.filter_map(|table| table.options.get("kafka.group.id"));
        groups.map(str::to_owned).collect()
    };
    let own = groups(query);
    let others = all.iter().filter(|other| other.name != query.name);
    let mut kept = others.filter(|other| !other.temporary && !query.temporary);
    kept.find_map(|other| {
        let shared = groups(other).into_iter().find(|group| own.contains(group))?;
        Some(format!(
            "`{}` commits to the same Kafka group, {shared}: what the group holds is of the last one that did, so that a lost \
             checkpoint folder may not be noticed. Leave kafka.group.id out, or read a table with one of its own",
            other.name
        ))
    })
}

/// What is said of a query that reads a topic it writes, which a pattern may find by accident.
fn read_back(job: &str, query: &Query) -> Vec<String> {
    let servers = |table: &Table| {
        let servers = table.options.get("kafka.bootstrap.servers");
        servers.map(|servers| servers.trim().to_owned())
    };
    let read = |topic: &str, at: &Table| {
        let mut inputs = query.inputs();
        inputs.any(|(_, input)| {
            let table = input.table();
            input.replaced().is_none()
                && table.connector == "kafka"
                && servers(table) == servers(at)
                && look::reads_topic(table, topic)
        })
    };
    let tables = [Some(query.output()), query.dead_letter_table()];
    let tables = tables.into_iter().flatten();
    let written = tables
        .filter(|table| table.connector == "kafka")
        .filter_map(|table| Some((table.options.get("topic")?.trim().to_owned(), table)));
    written
        .chain(query.exchange_topics(job))
        .filter(|(topic, table)| read(topic, table))
        .map(|(topic, _)| {
            format!(
                "the query reads the topic {topic} that it writes: each row comes back as a record, without an end unless a filter ends it"
            )
        })
        .collect()
}

/// The table without what is no matter of the connection.
pub(crate) fn connection_of(table: &Table) -> Table {
    let mut reduced = Table::using(&table.name, &table.connector);
    for option in table.options.iter() {
        let name = option.name.to_ascii_lowercase();
        if name.starts_with("kafka.") && name != "kafka.group.id" && name != "kafka.isolation.level"
        {
            reduced = reduced.option(&option.name, &option.value);
        }
    }
    reduced
}

/// Ends of stretches as the command line gives them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    /// Milliseconds since 1970.
    time: Option<i64>,
    /// By topic, where it is given, and partition.
    offsets: Vec<(Option<String>, i32, i64)>,
}

impl Bounds {
    /// Reads `TIME`, or one `PARTITION=N` or `TOPIC/PARTITION=N` for each partition.
    ///
    /// # Errors
    /// For what is neither.
    pub(crate) fn read(flag: &str, given: &[String]) -> Result<Self, Refusal> {
        let mut bounds = Self::default();
        for text in given {
            let wrong = || {
                Refusal::new(format!(
                    "{flag} {text}: write a time such as 2026-01-31T12:00:00Z, or PARTITION=OFFSET for each partition"
                ))
            };
            let Some((place, offset)) = text.split_once('=') else {
                if bounds.time.is_some() {
                    return Err(Refusal::new(format!("{flag} takes one time")));
                }
                bounds.time = Some(parse_time(text).ok_or_else(wrong)?);
                continue;
            };
            let offset = offset.parse().ok().filter(|offset| *offset >= 0);
            let offset = offset.ok_or_else(wrong)?;
            let (topic, partition) = match place.rsplit_once('/') {
                Some((topic, partition)) => (Some(topic.to_owned()), partition),
                None => (None, place),
            };
            let partition = partition.parse().map_err(|_| wrong())?;
            bounds.offsets.push((topic, partition, offset));
        }
        Ok(bounds)
    }

    fn of(&self, topic: &str, partition: i32) -> Option<i64> {
        let mut offsets = self.offsets.iter();
        offsets
            .find(|(of, number, _)| {
                *number == partition && of.as_ref().is_none_or(|of| of == topic)
            })
            .map(|(_, _, offset)| *offset)
    }

    /// Looks whether each partition that is named is one of these topics, of which each has so many.
    ///
    /// # Errors
    /// For one that is not.
    pub(crate) fn fit(&self, flag: &str, topics: &[(String, i32)]) -> Result<(), Refusal> {
        for (of, number, offset) in &self.offsets {
            let mut meant = topics
                .iter()
                .filter(|(topic, _)| of.as_ref().is_none_or(|of| of == topic));
            if !meant.any(|(_, count)| (0..*count).contains(number)) {
                let place = of.as_ref().map_or_else(String::new, |of| format!("{of}/"));
                let there: Vec<String> = topics
                    .iter()
                    .map(|(topic, count)| format!("{topic} has {}", counted(count, "partition")))
                    .collect();
                return Err(Refusal::new(format!(
                    "{flag} {place}{number}={offset}: there is no such partition: {}, counted from 0",
                    there.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// Only partitions that are named count, where some are.
    fn covers(&self, topic: &str, partition: i32) -> bool {
        self.offsets.is_empty() || self.of(topic, partition).is_some()
    }
}

/// The stretches of a topic between two bounds, cut to what the topic holds now.
///
/// # Errors
/// When the broker does not say where the partitions begin and end.
pub(crate) fn spans(
    survey: &Survey,
    topic: &str,
    from: &Bounds,
    until: &Bounds,
) -> Result<Vec<Span>, Failure> {
    let (begins, ends) = (survey.begins(topic)?, survey.ends(topic)?);
    let timed = |bounds: &Bounds, otherwise: &[i64]| match bounds.time {
        None => Ok(otherwise.to_vec()),
        Some(millis) => survey.at(topic, millis),
    };
    let (firsts, lasts) = (timed(from, &begins)?, timed(until, &ends)?);
    let partitions = 0..i32::try_from(ends.len()).unwrap_or(i32::MAX);
    let named = |partition: &i32| from.covers(topic, *partition) && until.covers(topic, *partition);
    Ok(partitions
        .zip(begins.into_iter().zip(ends))
        .zip(firsts.into_iter().zip(lasts))
        .filter(|((partition, _), _)| named(partition))
        .map(|((partition, (begin, end)), (first, last))| Span {
            topic: topic.to_owned(),
            partition,
            from: from.of(topic, partition).unwrap_or(first).clamp(begin, end),
            until: until.of(topic, partition).unwrap_or(last).clamp(begin, end),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(given: &[&str]) -> Result<Bounds, String> {
        let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
        Bounds::read("--from", &given).map_err(|refusal| refusal.message().to_owned())
    }

    #[test]
    fn a_bound_is_a_time_or_an_offset_for_each_partition() {
        let read = bounds(&["0=5", "in/3=310"]).unwrap();
        assert_eq!(read.of("in", 0), Some(5));
        assert_eq!(read.of("in", 3), Some(310));
        assert_eq!(read.of("out", 3), None);
        assert!(!read.covers("in", 1));
        let read = bounds(&["2026-01-31T12:00:00Z"]).unwrap();
        assert_eq!(read.time, Some(1_769_860_800_000));
        assert!(read.covers("in", 1));
    }

    #[test]
    fn a_partition_that_no_topic_has_is_refused() {
        let topics = [("in".to_owned(), 4), ("more".to_owned(), 6)];
        let fit = |given: &[&str], topics: &[_]| {
            let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
            let bounds = Bounds::read("--from", &given).unwrap();
            let fits = bounds.fit("--from", topics);
            fits.map_err(|refusal| refusal.message().to_owned())
        };
        assert_eq!(fit(&["0=5", "in/3=310", "5=1"], &topics), Ok(()));
        let said = fit(&["4=17"], &topics[..1]).unwrap_err();
        assert_eq!(
            said,
            "--from 4=17: there is no such partition: in has 4 partitions, counted from 0"
        );
        assert!(fit(&["in/4=17"], &topics).is_err());
        assert!(fit(&["im/0=17"], &topics).is_err());
    }

    #[test]
    fn what_is_neither_is_refused() {
        for given in [&["noon"][..], &["0=x"], &["x=1"], &["0=-1"], &["1", "2"]] {
            assert!(bounds(given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn brokers_are_needed_and_a_secret_may_stand_in_the_environment() {
        let mut args = BrokerArgs::default();
        assert!(table(&args).is_err());
        args.brokers = Some("127.0.0.1:9092".to_owned());
        args.option = vec![(
            "kafka.client.id".to_owned(),
            "${NOT_THERE_AT_ALL}".to_owned(),
        )];
        let said = table(&args).unwrap_err();
        assert!(said.message().contains("NOT_THERE_AT_ALL"));
    }
}
