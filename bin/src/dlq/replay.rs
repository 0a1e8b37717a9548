//! `thalweg dlq replay`: dead letters sent again, each once.
//!
//! A record that is sent again says in a header which attempt it repeats, so the topic that it is sent to is the only book
//! that is kept: what stands there is not sent again. Records go in transactions under a name of the dead-letter topic:
//! whoever begins ends what a replay that was killed has left open, so nothing of it can appear later.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Formatter, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_engine::counted::counted;
use thalweg_engine::error::Failure;
use thalweg_operators::coordinates::Origin;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::kafka::{Sender, Span, Survey, Unsent, partition_of};
use thalweg_operators::table::Table;

use crate::cli::DlqReplayArgs;
use crate::console;
use crate::duration::{grouped, time};
use crate::refusal::{End, Refusal};

use super::choice::{Choice, Letters, each};
use super::letter::Letter;
use super::pacing::Pacing;
use super::retried::Wanted;

/// How the name of a retry topic ends.
const RETRY: &str = ".retry";
/// How often what was sent becomes readable.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How many letters a dry run lists.
const LISTED: u64 = 20;
/// How many stretches of letters are named that may have been sent before.
const STRETCHES: usize = 20;

/// `thalweg dlq replay`.
///
/// # Errors
/// When it is not clear where to send them, a topic cannot be read or written, or nobody confirms.
pub(crate) fn replay(args: &DlqReplayArgs, extensions: &Arc<Extensions>) -> Result<End, Refusal> {
    let letters = Letters::of(&args.topic, extensions)?;
    let route = Route::of(args, &letters)?;
    let choice = Choice::of(&args.choice, &args.only)?;
    letters.covers(&choice)?;
    let survey = Survey::open(&letters.table, false)?;
    let spans = choice.spans(&survey, &letters.topic)?;
    let plan = Plan {
        letters: &letters,
        route: &route,
        choice: &choice,
        survey: &survey,
        spans: &spans,
    };
    let all = plan.wanted()?;
    let Some(table) = route.table(&letters, all.targets.keys())? else {
        if !args.only.is_empty() {
            return Err(Refusal::new(format!(
                "{}: no dead letter{} stands at {}: see `thalweg dlq list`. Nothing was sent.",
                letters.topic,
                letters.whose(),
                args.only.join(", ")
            )));
        }
        console::line(&format!(
            "{}: no dead letter{} is chosen",
            letters.topic,
            letters.whose()
        ));
        return Ok(End::Clean);
    };
    // Of a replay that was killed only what it committed counts.
    let there = Survey::open(&table, true)?;
    let mut wanted = all.clone();
    wanted.without_sent(&there)?;
    let uncertain = plan.look(&wanted, args.dry_run)?;
    console::text(&outlook(&letters.topic, &wanted, &uncertain));
    if args.dry_run || wanted.left() == 0 {
        return Ok(End::Clean);
    }
    if !uncertain.is_empty() && !args.accept_doubles {
        let places: Vec<String> = uncertain.values().map(Doubtful::to_string).collect();
        return Err(Refusal::new(format!(
            "of some it cannot be told any more whether they were sent before ({}): choose the younger ones with --from, others \
             with --only, or send all with --accept-doubles. Nothing was sent.",
            places.join("; ")
        )));
    }
    if !args.yes {
        match console::confirm(&format!(
            "Send {}?",
            counted(grouped(wanted.left()), "record")
        )) {
            Some(true) => {}
            Some(false) => {
                console::line("Nothing was sent.");
                return Ok(End::Refused);
            }
            None => {
                return Err(Refusal::new(
                    "nobody can be asked, because stdin is not a terminal: add --yes to send them. Nothing was sent.",
                ));
            }
        }
    }
    let sender = Sender::open(&table, &format!("thalweg-dlq-{}", letters.topic));
    let mut sender = sender.map_err(|unsent| ended(unsent, 0))?;
    // Now that nothing can appear any more of a replay that was killed.
    let mut wanted = all;
    wanted.without_sent(&there)?;
    let sent = plan.send(&mut sender, &there, wanted, args.rate)?;
    let noun = if sent == 1 { "record" } else { "records" };
    console::line(&format!("{} {noun} sent", grouped(sent)));
    Ok(End::Clean)
}

/// Where each letter goes.
enum Route {
    /// All to one topic.
    To(String),
    /// Each to the topic of its first attempt.
    Source,
    /// Each to the retry topic of the topic that it comes from.
    Retry,
}

impl Route {
    fn of(args: &DlqReplayArgs, letters: &Letters) -> Result<Self, Refusal> {
        match (&args.to, args.to_source) {
            (Some(topic), _) => Ok(Self::To(topic.clone())),
            (None, true) => Ok(Self::Source),
            (None, false) if args.topic.job.is_some() => Ok(Self::Retry),
            (None, false) => Err(Refusal::new(format!(
                "where should the dead letters of {} go? Give --job, whose input reads a retry topic, or --to TOPIC, or \
                 --to-source",
                letters.topic
            ))),
        }
    }

    /// The topic that a letter goes to.
    fn target(&self, letter: &Letter) -> Option<String> {
        let topic_of = |text: &str| Some(Origin::read(text.as_bytes())?.topic.to_owned());
        match self {
            Self::To(topic) => Some(topic.clone()),
            Self::Source => {
                let first = letter.first();
                topic_of(first.as_deref().unwrap_or(&letter.origin))
            }
            Self::Retry => {
                let topic = topic_of(&letter.origin)?;
                Some(if topic.ends_with(RETRY) {
                    topic
                } else {
                    format!("{topic}{RETRY}")
                })
            }
        }
    }

    /// The table whose brokers hold these topics. None where there are none.
    fn table<'t>(
        &self,
        letters: &Letters,
        targets: impl Iterator<Item = &'t String>,
    ) -> Result<Option<Table>, Refusal> {
        let mut chosen: Option<&Table> = None;
        let servers = |table: &Table| {
            let servers = table.options.get("kafka.bootstrap.servers");
            servers.unwrap_or_default().trim().to_owned()
        };
        for target in targets {
            let mut inputs = letters.inputs.iter();
            let read = inputs.find(|(topic, _)| topic == target);
            if read.is_none() && matches!(self, Self::Retry) {
                let source = target.trim_end_matches(RETRY);
                return Err(Refusal::new(format!(
                    "the job reads no topic `{target}`: make it, and let the input read it, subscribe '{source},{target}' (a \
                     query with checkpoints keeps what it subscribes: say it before its first start, or give it a new \
                     queryName). Or send the dead letters elsewhere with --to TOPIC, or back with --to-source"
                )));
            }
            let table = read.or(letters.inputs.first());
            let table = table.map_or(&letters.table, |(_, table)| table);
            if chosen.is_some_and(|chosen| servers(chosen) != servers(table)) {
                return Err(Refusal::new(
                    "these dead letters go to several Kafka clusters: choose those of one topic with --input TOPIC",
                ));
            }
            chosen = Some(table);
        }
        Ok(chosen.cloned())
    }
}

/// What is read and sent.
struct Plan<'a> {
    letters: &'a Letters,
    route: &'a Route,
    choice: &'a Choice,
    survey: &'a Survey,
    spans: &'a [Span],
}

impl Plan<'_> {
    /// The attempts that are chosen.
    fn wanted(&self) -> Result<Wanted, Failure> {
        let mut wanted = Wanted::default();
        each(
            self.survey,
            self.spans,
            self.letters,
            self.choice,
            &mut |letter, _| {
                if let Some(to) = self.route.target(&letter) {
                    wanted.add(letter.name(&self.letters.topic), &to, letter.millis);
                }
                ControlFlow::Continue(())
            },
        )?;
        Ok(wanted)
    }

    /// By topic those that are left and may have been sent before. With `list` the first of those that are left are shown.
    fn look(&self, wanted: &Wanted, list: bool) -> Result<BTreeMap<String, Doubtful>, Failure> {
        let mut left = wanted.clone();
        let (mut uncertain, mut listed) = (BTreeMap::<_, Doubtful>::new(), 0);
        each(
            self.survey,
            self.spans,
            self.letters,
            self.choice,
            &mut |letter, _| {
                let name = letter.name(&self.letters.topic);
                if let Some(to) = self.route.target(&letter)
                    && left.take(&name)
                {
                    if wanted.is_uncertain(&to, letter.millis) {
                        let doubtful = uncertain.entry(to.clone()).or_default();
                        doubtful.add(letter.partition, letter.offset);
                    }
                    if list && listed < LISTED {
                        listed += 1;
                        console::line(&format!("{}  to {to}", super::line(&letter)));
                    }
                }
                ControlFlow::Continue(())
            },
        )?;
        Ok(uncertain)
    }

    /// Sends what is left, so many a second.
    fn send(
        &self,
        sender: &mut Sender,
        there: &Survey,
        mut wanted: Wanted,
        rate: u32,
    ) -> Result<u64, Refusal> {
        let mut counts = HashMap::new();
        for topic in wanted.targets.keys() {
            counts.insert(topic.clone(), there.partitions(topic)?);
        }
        let (began, mut committed) = (Instant::now(), Instant::now());
        let mut pacing = Pacing::new(rate);
        // Of those that were handed over the ones of whole transactions can be read.
        let (mut sent, mut whole, mut failed) = (0_u64, 0, None);
        sender.begin().map_err(|unsent| ended(unsent, 0))?;
        each(
            self.survey,
            self.spans,
            self.letters,
            self.choice,
            &mut |letter, found| {
                let name = letter.name(&self.letters.topic);
                let Some(to) = self.route.target(&letter).filter(|_| wanted.take(&name)) else {
                    return ControlFlow::Continue(());
                };
                let partition = partition(&letter, found.key(), counts.get(&to).copied());
                let (way, at) = name;
                let headers = letter.again(&format!("{way}{};{}", at.offset, at.index));
                let what = format!("the dead letter {}@{}", letter.partition, letter.offset);
                let done = sender
                    .send(
                        &what,
                        (&to, partition),
                        found.key(),
                        found.value(),
                        &headers,
                    )
                    .and_then(|()| {
                        sent += 1;
                        std::thread::sleep(pacing.sent(began.elapsed()));
                        if committed.elapsed() < COMMIT_EVERY {
                            return Ok(());
                        }
                        committed = Instant::now();
                        sender.commit()?;
                        whole = sent;
                        sender.begin()
                    });
                match done {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(unsent) => {
                        failed = Some(unsent);
                        ControlFlow::Break(())
                    }
                }
            },
        )?;
        let done = failed.map_or_else(|| sender.commit(), Err);
        done.map_err(|unsent| ended(unsent, whole)).map(|()| sent)
    }
}

/// Why a replay has ended before its end, and what to do, when so many can be read of those that it has sent.
fn ended(unsent: Unsent, whole: u64) -> Refusal {
    let why = match unsent {
        Unsent::TooLarge { what, topic, bytes } => format!(
            "{what} is too large for the topic `{topic}`: its {} bytes of key, value and headers are more than that topic's \
             max.message.bytes. Raise max.message.bytes of `{topic}`, or leave the letter out: choose the others with --only, \
             with --from and --until, or with --input and --reason.",
            grouped(bytes as u64)
        ),
        Unsent::Fenced => "another replay of this job has started, and has ended this one: let it finish, nothing is sent twice. \
             (One that stands still for more than a minute is ended by the broker too: start it again.)"
            .to_owned(),
        Unsent::Failed(failure) => format!("{}.", failure.message.trim_end_matches('.')),
    };
    let sent = match whole {
        0 => "Nothing was sent.".to_owned(),
        1 => "1 record was sent before; the next replay leaves it out.".to_owned(),
        many => format!(
            "{} records were sent before; the next replay leaves them out.",
            grouped(many)
        ),
    };
    Refusal::new(format!("{why} {sent}"))
}

/// The partition of the same number, so that records stay beside those that they were beside; where there is none, the one
/// that Java's writer would choose.
fn partition(letter: &Letter, key: Option<&[u8]>, count: Option<i32>) -> i32 {
    let count = count.unwrap_or(1).max(1);
    let number = letter.origin().and_then(|origin| origin.number());
    let number = number.unwrap_or(0);
    if number < count {
        return number;
    }
    let places = usize::try_from(count).unwrap_or(1);
    match key {
        Some(key) => i32::try_from(partition_of(key, places)).unwrap_or(0),
        None => number % count,
    }
}

/// Letters that may have been sent before: how many, and where the first of them stand, as stretches of offsets.
#[derive(Debug, Default)]
struct Doubtful {
    count: u64,
    /// Partition, first and last offset.
    stretches: Vec<(i32, i64, i64)>,
}

impl Doubtful {
    /// Adds a letter by its place in the dead-letter topic.
    fn add(&mut self, partition: i32, offset: i64) {
        self.count += 1;
        let mut stretches = self.stretches.iter_mut();
        let before = stretches.find(|(of, _, last)| *of == partition && *last + 1 == offset);
        if let Some((_, _, last)) = before {
            *last = offset;
        } else if self.stretches.len() < STRETCHES {
            self.stretches.push((partition, offset, offset));
        }
    }
}

impl Display for Doubtful {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for (number, (partition, first, last)) in self.stretches.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{partition}@{first}")?;
            if last > first {
                write!(f, " to @{last}")?;
            }
        }
        let stretches = self.stretches.iter();
        let named: u64 = stretches
            .map(|(_, first, last)| last.abs_diff(*first) + 1)
            .sum();
        match self.count - named {
            0 => Ok(()),
            more => write!(f, " and {} more", grouped(more)),
        }
    }
}

/// What would be sent.
fn outlook(topic: &str, wanted: &Wanted, uncertain: &BTreeMap<String, Doubtful>) -> String {
    let noun = if wanted.chosen == 1 {
        "dead letter"
    } else {
        "dead letters"
    };
    let mut out = format!("{topic}: {} {noun} chosen\n", grouped(wanted.chosen));
    for (to, target) in &wanted.targets {
        let _ = write!(out, "  to {to}: {} to send", grouped(target.left));
        if target.sent > 0 {
            let _ = write!(out, ", {} were sent before", grouped(target.sent));
        }
        out.push('\n');
        if let Some((from, doubtful)) = target.certain_from.zip(uncertain.get(to)) {
            let since = if from == i64::MAX {
                "records of any age were removed from it".to_owned()
            } else {
                format!(
                    "it holds all records since {}",
                    time(from.saturating_mul(1_000))
                )
            };
            let _ = writeln!(
                out,
                "  {} of them may have been sent before: {since}\n    they stand at {doubtful}",
                grouped(doubtful.count)
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_that_ends_early_says_why_and_what_was_sent() {
        let large = Unsent::TooLarge {
            what: "the dead letter 0@17".to_owned(),
            topic: "t.retry".to_owned(),
            bytes: 2_000_000,
        };
        let said = ended(large, 1_200).message().to_owned();
        for words in [
            "the dead letter 0@17 is too large for the topic `t.retry`: its 2,000,000 bytes",
            "Raise max.message.bytes of `t.retry`, or leave the letter out",
            "1,200 records were sent before; the next replay leaves them out.",
        ] {
            assert!(said.contains(words), "{said}");
        }
        let said = ended(Unsent::Fenced, 0).message().to_owned();
        assert!(
            said.contains("another replay of this job has started"),
            "{said}"
        );
        assert!(said.ends_with("Nothing was sent."), "{said}");
    }

    #[test]
    fn letters_that_may_be_doubled_are_named_by_their_places() {
        let mut doubtful = Doubtful::default();
        for (partition, offset) in [(0, 4), (0, 5), (0, 6), (0, 9), (1, 10)] {
            doubtful.add(partition, offset);
        }
        assert_eq!(doubtful.to_string(), "0@4 to @6, 0@9, 1@10");
        for offset in 0..100 {
            doubtful.add(2, offset * 2);
        }
        let text = doubtful.to_string();
        assert!(text.ends_with("2@32 and 83 more"), "{text}");
        assert_eq!(doubtful.count, 105);
    }
}
