//! `thalweg explain-record`: what a job made of one record of Kafka, step by step.
//!
//! The steps are replayed from the newest kept checkpoint at or before the record. Only files are read and the broker, with
//! the rights of whoever calls: nothing is locked, no consumer group is touched, and the state of a running job is not asked.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use thalweg_engine::counted::counted;
use thalweg_engine::record::Micros;
use thalweg_engine::replay::{KeptLane, kept_lane};
use thalweg_engine::schema::DataType;
use thalweg_operators::coordinates::Coordinates;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::kafka::look;
use thalweg_operators::plan::{Looking, Query, StepKind};
use thalweg_operators::table::OpenContext;

use crate::cli::{ExplainArgs, JobArgs};
use crate::console;
use crate::duration;
use crate::explained::{Explained, Explanation, From, rows};
use crate::folder;
use crate::job_file;
use crate::models;
use crate::output_record::{self, ORIGIN};
use crate::place;
use crate::refusal::{End, Refusal};
use crate::replay::{self, Replayed, Request};
use crate::wiring::{self, Wired};

/// A record's place.
struct Place<'p> {
    topic: &'p str,
    number: i32,
    offset: i64,
}

impl<'p> Place<'p> {
    fn read(text: &'p str) -> Result<Self, Refusal> {
        let parsed = || {
            let (rest, offset) = text.rsplit_once(['/', '@'])?;
            let (topic, number) = rest.rsplit_once('/')?;
            let number = number.parse().ok().filter(|number| *number >= 0)?;
            let offset = offset.parse().ok().filter(|offset| *offset >= 0)?;
            (!topic.is_empty()).then_some(Self {
                topic,
                number,
                offset,
            })
        };
        parsed().ok_or_else(|| {
            Refusal::new(format!(
                "`{text}` is no record: write TOPIC/PARTITION/OFFSET, such as invoices/3/4711"
            ))
        })
    }

    fn partition(&self) -> String {
        format!("{}/{}", self.topic, self.number)
    }
}

/// `thalweg explain-record`. Ends with 1 when a query could only be explained by what its output holds.
///
/// # Errors
/// When the record cannot be explained: no query reads it, it is not there, the checkpoints are another job's, no broker.
pub(crate) fn explain(args: &ExplainArgs, extensions: &Arc<Extensions>) -> Result<End, Refusal> {
    let place = Place::read(&args.record)?;
    let job = JobArgs {
        job: args.job.clone(),
        set: args.set.clone(),
        ..JobArgs::default()
    };
    let loaded = job_file::load(&job, false, extensions)?;
    let mut explained = Vec::new();
    let (mut known, mut read) = (Vec::new(), BTreeSet::new());
    for query in loaded.job.queries {
        known.push(query.name.clone());
        for (_, input) in query.inputs() {
            let topics = crate::topics::subscribed(input.table());
            read.extend(topics);
        }
        if args.query.as_ref().is_some_and(|name| *name != query.name) {
            continue;
        }
        if let Some(input) = input_of(&query, &place) {
            explained.push(one(&loaded.name, query, input, &place)?);
        }
    }
    if explained.is_empty() {
        return Err(Refusal::new(match &args.query {
            Some(name) if !known.contains(name) => format!(
                "{} has no query `{name}`; it has {}",
                loaded.file,
                known.join(", ")
            ),
            Some(name) => format!("the query `{name}` does not read {}", place.partition()),
            None if read.is_empty() => {
                format!("no query of {} reads {}", loaded.file, place.partition())
            }
            None => format!(
                "no query of {} reads {}; it reads {}",
                loaded.file,
                place.partition(),
                read.into_iter().collect::<Vec<_>>().join(", ")
            ),
        }));
    }
    if args.json {
        let text = serde_json::to_string_pretty(&explained)
            .map_err(|error| Refusal::new(format!("it has no JSON form: {error}")))?;
        console::line(&text);
    } else {
        let texts: Vec<String> = explained.iter().map(Explained::text).collect();
        console::text(&texts.join("\n"));
    }
    Ok(if explained.iter().all(|explained| explained.replayed) {
        End::Clean
    } else {
        End::Failed
    })
}

/// The place in the plan of the input that reads the record.
fn input_of(query: &Query, place: &Place<'_>) -> Option<usize> {
    let mut inputs = query.inputs();
    inputs
        .find(|(_, input)| {
            let table = input.table();
            table.connector == "kafka"
                && input.replaced().is_none()
                && !input.is_own()
                && look::reads(table, place.topic, place.number)
        })
        .map(|(at, _)| at)
}

fn one(job: &str, query: Query, input: usize, place: &Place<'_>) -> Result<Explained, Refusal> {
    there(&query, input, place)?;
    if query.exchanges() {
        return Err(Refusal::new(format!(
            "the query `{}` sends its rows through a topic of its own (SET exchange = 'topic'): what became of them there \
             cannot be replayed. With --set exchange=gather and the checkpoints of such a run it can",
            query.name
        )));
    }
    let location = query.settings.checkpoint_location.clone();
    let options = &query.settings.checkpoint_options;
    let kept_at = match location.filter(|_| !query.temporary) {
        Some(location) => Some(place::Place::at(Path::new(&location), options)?.join(&query.name)),
        None => None,
    };
    let shown = kept_at
        .as_ref()
        .map_or_else(String::new, place::Place::shown);
    let mut context = wiring::context(job, &query, false, shown);
    // Neither reads nor writes anything beside the topics.
    context.temporary = true;
    let keeps = query.keeps_state();
    let wired = Wired::new(query, context.clone(), false);
    let query = wired.query();
    let name = query.steps[input].name.to_string();
    let kept = match &kept_at {
        Some(at) if keeps => kept(at, &wired, job, &name, place)?,
        _ => None,
    };
    let replayable = !keeps || kept.is_some();
    let mut as_they_stood = Vec::new();
    if replayable {
        let beside = kept.as_ref().map(|kept| kept.beside.clone());
        as_they_stood = models::open_as_they_stood(
            &query.models,
            &beside.unwrap_or_default(),
            kept_at.as_ref(),
        )?;
    }
    let request = Request {
        wired: &wired,
        context: &context,
        input: &name,
        partition: &place.partition(),
        offset: place.offset,
        kept: kept.as_ref(),
    };
    let mut explained = if replayable {
        let replayed = replay::replay(&request)?;
        let since = replayed.time;
        let mut explained = tell(query, input, place, kept.as_ref(), replayed);
        if query.settings.deadline.is_some() && !query.models.is_empty() {
            without_deadline(job, &request, place, since, &mut explained);
        }
        explained
    } else {
        by_output(job, &request, input, place)?
    };
    explained.notes.extend(as_they_stood);
    Ok(explained)
}

/// The lane of the record in the newest checkpoint before it, among those in the folder of a query: processes that share a
/// job keep them apart for each partition.
fn kept(
    at: &place::Place,
    wired: &Wired,
    job: &str,
    input: &str,
    place: &Place<'_>,
) -> Result<Option<KeptLane>, Refusal> {
    let names = (job, wired.query().name.as_str());
    let partition = place.partition();
    for chain in folder::queries(at).unwrap_or_default() {
        let log = chain.look();
        let found = kept_lane(&log, wired, names, (input, &partition), place.offset)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Whether the partition holds the record.
fn there(query: &Query, input: usize, place: &Place<'_>) -> Result<(), Refusal> {
    let StepKind::Source(source) = &query.steps[input].kind else {
        return Ok(());
    };
    let (begin, end) = look::extent(source.table(), place.topic, place.number)?;
    let partition = place.partition();
    if place.offset < begin {
        return Err(Refusal::new(format!(
            "{partition} begins at offset {begin}: the record at {} is gone, retention or a deletion removed it",
            place.offset
        )));
    }
    if place.offset >= end {
        return Err(Refusal::new(format!(
            "{partition} ends before offset {end}: there is no record at {} yet",
            place.offset
        )));
    }
    Ok(())
}

fn text(bytes: Option<Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Puts the rows of a replay beside the steps that put them out.
fn tell(
    query: &Query,
    input: usize,
    place: &Place<'_>,
    kept: Option<&KeptLane>,
    mut replayed: Replayed,
) -> Explained {
    let mut steps = vec![Explanation {
        step: query.shown_step(input),
        rows: rows(&query.steps[input].schema.fields, replayed.row.as_slice()),
    }];
    let others = query.steps.iter().enumerate();
    let others = others.filter(|(_, step)| !matches!(step.kind, StepKind::Source(_)));
    for (number, (at, step)) in others.enumerate() {
        let seen = replayed.steps.remove(&number).unwrap_or_default();
        steps.push(Explanation {
            step: query.shown_step(at),
            rows: rows(&step.schema.fields, &seen),
        });
    }
    if replayed.row.is_none() {
        steps.truncate(1);
    }
    let notes = notes(query, &replayed);
    Explained {
        query: query.name.clone(),
        record: format!("{}/{}", place.partition(), place.offset),
        timestamp: replayed.time.map(duration::time),
        key: text(replayed.key),
        value: text(replayed.value),
        replayed: true,
        from: kept.map(|kept| From {
            epoch: kept.epoch,
            committed_at: duration::time(kept.committed_at),
            records_replayed: replayed.before,
        }),
        skipped: replayed.skipped.map(str::to_owned),
        error: replayed.error,
        steps,
        outputs: rows(&query.schema().fields, &replayed.outputs),
        output_records: Vec::new(),
        notes,
    }
}

/// What is not as it was in the job.
fn notes(query: &Query, replayed: &Replayed) -> Vec<String> {
    let mut notes = Vec::new();
    if replayed.beside > 0 {
        notes.push(format!(
            "one lane reads {} more; nobody has noted in which order the job had their records, so they come by \
             their timestamps here. What depends on records of this partition alone is exact",
            counted(replayed.beside, "partition")
        ));
    }
    for input in &replayed.left_out {
        notes.push(format!(
            "the input `{input}` is no Kafka topic and was not replayed: its rows since the checkpoint are missing here"
        ));
    }
    for input in query.statics().into_iter().flat_map(Looking::inputs) {
        let table = &input.table().name;
        notes.push(format!("the static table `{table}` was read as it is now"));
    }
    if replayed.late > 0 {
        notes.push(
            "it came too late for a step, behind the watermark, and was dropped there".to_owned(),
        );
    }
    if query.interval().is_some() {
        notes.push(
            "what is written at the trigger's interval is not shown: no record alone leads to it"
                .to_owned(),
        );
    }
    notes
}

/// Says that the job may have answered by FALLBACK where the model answers here, and where the output tells, whether it has.
fn without_deadline(
    job: &str,
    request: &Request<'_>,
    place: &Place<'_>,
    since: Option<Micros>,
    explained: &mut Explained,
) {
    let query = request.wired.query();
    explained.notes.push(
        "the job has SET deadline, and none is applied here: what the model says is shown, also where FALLBACK answered because \
         the time left did not suffice"
            .to_owned(),
    );
    let output = query.output();
    let json = output.options.get("format") == Some("json");
    let topic = output.options.get("topic").filter(|_| json);
    let Some(topic) = topic.filter(|_| query.coordinates() != Coordinates::Off) else {
        explained.notes.push(
            "whether it did cannot be told from the output, in which nothing says what came of which record: SET coordinates = on \
             writes that into a topic of JSON"
                .to_owned(),
        );
        return;
    };
    let notes = &mut explained.notes;
    let topic = topic.trim();
    match in_topic(job, query, topic, place, since, request.context, notes) {
        Ok(written) => compare(query, written, explained),
        Err(why) => notes.push(format!(
            "what was written could not be looked at, so whether it did is not known: {}",
            why.message()
        )),
    }
}

/// Shows the rows that were written otherwise than the steps put them out here.
fn compare(query: &Query, written: Vec<output_record::Written>, explained: &mut Explained) {
    let told: Vec<Option<Value>> = explained
        .outputs
        .iter()
        .map(|row| serde_json::from_str(row.get()).ok())
        .collect();
    for written in written {
        let number = written.origin.rsplit(';').next();
        let number = number.and_then(|number| number.parse::<usize>().ok());
        let told = number.and_then(|number| told.get(number)?.as_ref());
        let row = written.value.as_deref().map(serde_json::from_str::<Value>);
        let (Some(told), Some(Ok(row))) = (told, row) else {
            explained.notes.push(format!(
                "the row that was written differs: {} is none of those here",
                written.record
            ));
            explained.output_records.push(written);
            continue;
        };
        let mut others = Vec::new();
        differences("", &row, told, &mut others);
        others.retain(|(name, _)| comparable(query, name));
        if !others.is_empty() {
            let others: Vec<String> = others.into_iter().map(|(_, words)| words).collect();
            explained.notes.push(format!(
                "the row that was written differs: in {} {}",
                written.record,
                others.join(", ")
            ));
            explained.output_records.push(written);
        }
    }
}

/// Whether a column looks in the output as it does here: times may have a form of their own there, and headers are no part of
/// the value.
fn comparable(query: &Query, column: &str) -> bool {
    let options = &query.output().options;
    let name = column.split('.').next().unwrap_or(column);
    let forms = [
        "dateFormat",
        "timestampFormat",
        "timestampNTZFormat",
        "timeZone",
    ];
    let formed = forms.iter().any(|form| options.get(form).is_some());
    let fields = &query.schema().fields;
    let field = fields.iter().find(|field| field.name == name);
    let is_plain = field.is_some_and(|field| {
        field.data_type.is_numeric()
            || matches!(
                field.data_type,
                DataType::Boolean | DataType::String | DataType::Struct(_)
            )
    });
    let is_headers = options.get("headers").map(str::trim) == Some(name);
    !is_headers && (is_plain || !formed)
}

/// The parts of which a row has other values than one that it is compared with, and in which way. What is null may be left out.
fn differences(at: &str, row: &Value, told: &Value, into: &mut Vec<(String, String)>) {
    if row == told {
        return;
    }
    let (Value::Object(own), Value::Object(other)) = (row, told) else {
        let words = format!("`{at}` is {row} instead of {told}");
        return into.push((at.to_owned(), words));
    };
    let names: BTreeSet<&String> = own.keys().chain(other.keys()).collect();
    for name in names {
        let at = match at {
            "" => name.clone(),
            at => format!("{at}.{name}"),
        };
        let of = |members: &serde_json::Map<String, Value>| members.get(name).cloned();
        let (own, other) = (of(own).unwrap_or_default(), of(other).unwrap_or_default());
        differences(&at, &own, &other, into);
    }
}

/// Where no checkpoint is kept from before the record: what the output says.
fn by_output(
    job: &str,
    request: &Request<'_>,
    input: usize,
    place: &Place<'_>,
) -> Result<Explained, Refusal> {
    let query = request.wired.query();
    let alone = decoded(request)?;
    let mut notes = vec![format!(
        "no checkpoint of the query `{}` is kept from before this record, so its steps cannot be replayed: shown is what the \
         output holds. `checkpointsKept` and `checkpointHistory` say how far back checkpoints are kept",
        query.name
    )];
    let output = query.output();
    let topic = output
        .options
        .get("topic")
        .filter(|_| output.connector == "kafka" && query.output_replaced().is_none());
    let mut output_records = Vec::new();
    match topic {
        Some(topic) => {
            output_records = in_topic(
                job,
                query,
                topic.trim(),
                place,
                alone.time,
                request.context,
                &mut notes,
            )?;
        }
        None => notes.push(format!(
            "the output `{}` is no topic of Kafka that could be looked at",
            output.name
        )),
    }
    Ok(Explained {
        query: query.name.clone(),
        record: format!("{}/{}", place.partition(), place.offset),
        timestamp: alone.time.map(duration::time),
        steps: vec![Explanation {
            step: query.shown_step(input),
            rows: rows(&query.steps[input].schema.fields, alone.row.as_slice()),
        }],
        key: text(alone.key),
        value: text(alone.value),
        replayed: false,
        from: None,
        skipped: alone.skipped.map(str::to_owned),
        error: alone.error,
        outputs: Vec::new(),
        output_records,
        notes,
    })
}

/// The record alone, without the steps.
fn decoded(request: &Request<'_>) -> Result<Replayed, Refusal> {
    Ok(replay::decode(&Request {
        kept: None,
        ..*request
    })?)
}

fn in_topic(
    job: &str,
    query: &Query,
    topic: &str,
    place: &Place<'_>,
    since: Option<Micros>,
    context: &OpenContext,
    notes: &mut Vec<String>,
) -> Result<Vec<output_record::Written>, Refusal> {
    let origin = format!(
        "v1;{job};{};{};{};{};",
        query.name, place.topic, place.number, place.offset
    );
    let found = output_record::find(query.output(), topic, &origin, since, context)?;
    if found.records.is_empty() {
        notes.push(match (found.looked_at, found.says_origin) {
            (0, _) => format!("the topic `{topic}` holds nothing from that time on"),
            (looked_at, false) => format!(
                "none of the {} records of `{topic}` from that time on says where it comes from (the header {ORIGIN}; SET \
                 coordinates = on writes it)",
                duration::grouped(looked_at)
            ),
            (looked_at, true) => format!(
                "none of the {} records of `{topic}` from that time on comes from this record: it was filtered, went to the \
                 dead letters, or is not written yet",
                duration::grouped(looked_at)
            ),
        });
    }
    Ok(found.records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_row_differs_in_what_was_not_put_out_here() {
        let row = serde_json::json!({"id": "7", "d": {"score": 0.6, "fallback": "deadline"}, "list": [1]});
        let told = serde_json::json!({"id": "7", "d": {"score": 0.25, "fallback": null}, "list": [1], "more": null});
        let mut found = Vec::new();
        differences("", &row, &told, &mut found);
        let words: Vec<&str> = found.iter().map(|(_, words)| words.as_str()).collect();
        assert_eq!(
            words,
            [
                "`d.fallback` is \"deadline\" instead of null",
                "`d.score` is 0.6 instead of 0.25"
            ]
        );
        found.clear();
        differences("", &row, &row, &mut found);
        assert_eq!(found, []);
    }

    #[test]
    fn a_record_is_named_by_topic_partition_and_offset() {
        let place = Place::read("a/b/3/4711").unwrap();
        assert_eq!((place.topic, place.number, place.offset), ("a/b", 3, 4711));
        assert_eq!(Place::read("t/0@5").unwrap().offset, 5);
        for text in ["t", "t/1", "t/-1/2", "t/1/x", "/1/2", "t/1/-2"] {
            assert!(Place::read(text).is_err(), "{text}");
        }
    }
}
