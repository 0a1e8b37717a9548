//! `soak`: a command runs for a long time under an even load, and what it holds is noted: memory, open files, threads, objects
//! of its checkpoints. After the warm-up none of it may grow, and every key is accounted for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use crate::audit::Account;
use crate::broker::{Broker, BrokerArgs};
use crate::child::Child;
use crate::document::{Contender, Document};
use crate::failure::{Failure, Result};
use crate::figures::{Figures, short, table};
use crate::payload::PayloadArgs;
use crate::schedule::{Schedule, duration};
use crate::target::{Places, Template, TopicArgs, Workplace};
use crate::topics::Topics;
use crate::traffic::{LONG, Shared, Traffic, joined};

/// Ten minutes, the stretch that growth is told for.
const STRETCH_S: f64 = 600.0;
/// How long a clean stop may take before it counts as unclean.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How long outputs are waited for after the last record was sent.
const SETTLE: Duration = Duration::from_secs(30);

/// Options of `soak`.
#[derive(Args, Debug)]
pub(crate) struct SoakArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    topics: TopicArgs,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Command to start; {bootstrap}, {input}, {output} and {checkpoint} are filled in. It must write one record for each
    #[arg(long)]
    command: String,
    /// Records per second
    #[arg(long, default_value_t = 5_000.0)]
    rate: f64,
    /// How long it runs under load
    #[arg(long, value_parser = duration, default_value = "30m")]
    time: Duration,
    /// How much of that is the warm-up, of which nothing is asked
    #[arg(long, value_parser = duration, default_value = "10m")]
    warm_up: Duration,
    /// From one look to the next
    #[arg(long, value_parser = duration, default_value = "5s")]
    every: Duration,
    /// Memory that grows by more than so many per cent in ten minutes is a fault. Of what is counted it is a fault when the most
    /// of the later half is above the most of the earlier one by a tenth and one
    #[arg(long, default_value_t = 1.0)]
    max_growth: f64,
    /// Keep the command's log and its checkpoints in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write the result as JSON to this file ('-': stdout)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What the command held at one moment.
#[derive(Clone, Copy, Debug, Serialize)]
struct Look {
    /// Seconds since the first record.
    at_s: f64,
    rss_mb: f64,
    files: f64,
    threads: f64,
    checkpoint_objects: f64,
    checkpoint_mb: f64,
}

/// A figure of a look: its name, how it is shown, and itself.
type Figure = (&'static str, &'static str, fn(&Look) -> f64);

const FIGURES: [Figure; 5] = [
    ("rss_mb", "RSS MB", |look| look.rss_mb),
    ("open_files", "open files", |look| look.files),
    ("threads", "threads", |look| look.threads),
    ("checkpoint_objects", "checkpoint objects", |look| {
        look.checkpoint_objects
    }),
    ("checkpoint_mb", "checkpoint MB", |look| look.checkpoint_mb),
];

/// One figure after the warm-up.
#[derive(Clone, Debug, Serialize)]
struct Course {
    name: &'static str,
    shown: &'static str,
    mean: f64,
    least: f64,
    most: f64,
    /// The most of the earlier half and of the later one.
    halves: [f64; 2],
    /// The line through all looks: per cent of the mean in ten minutes.
    growth_percent: f64,
}

/// Runs the test. Gives whether nothing grew and the account is clean.
pub(crate) fn run(args: &SoakArgs) -> Result<bool> {
    if args.warm_up + args.every * 4 > args.time {
        return Err(Failure::new(
            "--time must be longer than --warm-up by four looks at least",
        ));
    }
    let broker = Broker::open(&args.broker, &[])?;
    let topics = Topics::connect(broker.bootstrap())?;
    let (_, outputs) = args.topics.ensure(&topics)?;
    let place = Workplace::new(args.keep.as_ref())?;
    let checkpoint = place.join("checkpoint");
    let text = checkpoint.display().to_string();
    let places = Places {
        bootstrap: broker.bootstrap(),
        input: &args.topics.input,
        output: &args.topics.output,
        checkpoint: &text,
    };
    let command = Template(args.command.clone()).fill(places);
    let from = topics.ends(&args.topics.output, outputs)?;
    drop(topics);
    let mut child = Child::start(&command, &place.join("command.log"))?;
    let (looks, account, clean) =
        under_load(args, broker.bootstrap(), &mut child, &checkpoint, &from)?;
    let courses = courses(&looks, args.warm_up.as_secs_f64());
    let faults = faults(args, &account, &courses, clean);
    print(&account, &courses, &faults);
    if let Some(path) = &args.json {
        document(args, command, &account, &courses, looks).write(path)?;
    }
    Ok(faults.is_empty())
}

/// Gives the looks, the account, and whether the command ended with 0 in time.
fn under_load(
    args: &SoakArgs,
    bootstrap: &str,
    child: &mut Child,
    checkpoint: &Path,
    from: &[i64],
) -> Result<(Vec<Look>, Account, bool)> {
    let (payload, shared) = (args.payload.stream(), Shared::default());
    let schedule = Schedule::constant(args.rate, LONG);
    let start = Instant::now() + Duration::from_secs(3);
    let traffic = Traffic {
        bootstrap,
        topics: &args.topics,
        payload: &payload,
        schedule: &schedule,
        start,
        shared: &shared,
    };
    thread::scope(|scope| {
        let reader = scope.spawn(|| traffic.read(from, |_, _, _| {}));
        let sender = scope.spawn(|| traffic.send());
        thread::sleep(start.saturating_duration_since(Instant::now()));
        let looked = look_again(args, child, checkpoint, start, &shared);
        shared.stop_sending.store(true, Ordering::Relaxed);
        let sent = joined(sender.join());
        let until = Instant::now() + SETTLE;
        let awaited = *sent.as_ref().unwrap_or(&0);
        while shared.distinct.load(Ordering::Relaxed) < awaited && Instant::now() < until {
            thread::sleep(Duration::from_millis(50));
        }
        let ended = child.stop(STOP_PATIENCE);
        thread::sleep(Duration::from_millis(500));
        shared.stop_reading.store(true, Ordering::Relaxed);
        let audit = joined(reader.join());
        let (looks, sent) = (looked?, sent?);
        let clean = ended.is_some_and(|status| status.success());
        Ok((looks, audit?.account(sent, 0), clean))
    })
}

/// Looks at what the command holds until the time is over.
fn look_again(
    args: &SoakArgs,
    child: &mut Child,
    checkpoint: &Path,
    start: Instant,
    shared: &Shared,
) -> Result<Vec<Look>> {
    let mut looks = Vec::new();
    while start.elapsed() < args.time {
        child.must_live()?;
        let (usage, held) = (child.usage(), child.held());
        let (objects, bytes) = objects(checkpoint);
        let look = Look {
            at_s: start.elapsed().as_secs_f64(),
            rss_mb: usage.rss_kb as f64 / 1024.0,
            files: held.files as f64,
            threads: held.threads as f64,
            checkpoint_objects: objects as f64,
            checkpoint_mb: bytes as f64 / 1e6,
        };
        if looks.len() % 12 == 0 {
            eprintln!(
                "{:7.1} s  {} MB, {} files, {} threads, {} checkpoint objects, {} sent, {} out",
                look.at_s,
                short(look.rss_mb),
                look.files,
                look.threads,
                look.checkpoint_objects,
                shared.sent.load(Ordering::Relaxed),
                shared.distinct.load(Ordering::Relaxed)
            );
        }
        looks.push(look);
        let next = start + args.every * u32::try_from(looks.len()).unwrap_or(u32::MAX);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(looks)
}

/// Files below a folder, and their bytes. What vanishes meanwhile is none.
fn objects(folder: &Path) -> (u64, u64) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.fold((0, 0), |(count, bytes), entry| {
        let (more, size) = match entry.metadata() {
            Ok(found) if found.is_dir() => objects(&entry.path()),
            Ok(found) => (1, found.len()),
            Err(_) => (0, 0),
        };
        (count + more, bytes + size)
    })
}

fn courses(looks: &[Look], warm_up_s: f64) -> Vec<Course> {
    let warm: Vec<&Look> = looks.iter().filter(|look| look.at_s >= warm_up_s).collect();
    FIGURES
        .iter()
        .map(|(name, shown, figure)| {
            let points: Vec<(f64, f64)> =
                warm.iter().map(|look| (look.at_s, figure(look))).collect();
            let mean = mean(points.iter().map(|(_, value)| *value));
            let (earlier, later) = points.split_at(points.len() / 2);
            let growth = slope(&points) * STRETCH_S;
            Course {
                name,
                shown,
                mean,
                least: points
                    .iter()
                    .map(|(_, value)| *value)
                    .fold(f64::INFINITY, f64::min),
                most: most(&points),
                halves: [most(earlier), most(later)],
                growth_percent: if mean > 0.0 {
                    growth / mean * 100.0
                } else {
                    0.0
                },
            }
        })
        .collect()
}

fn most(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, value)| *value).fold(0.0, f64::max)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / f64::max(count, 1.0)
}

/// The slope of the line that is nearest to the points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let x = mean(points.iter().map(|(x, _)| *x));
    let y = mean(points.iter().map(|(_, y)| *y));
    let (mut both, mut wide) = (0.0, 0.0);
    for (at, value) in points {
        both += (at - x) * (value - y);
        wide += (at - x) * (at - x);
    }
    if wide > 0.0 { both / wide } else { 0.0 }
}

fn faults(args: &SoakArgs, account: &Account, courses: &[Course], clean: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if account.missing + account.unknown + account.duplicates > 0 {
        faults.push(format!(
            "{} records are missing, {} were repeated, {} came out that were never sent",
            account.missing, account.duplicates, account.unknown
        ));
    }
    if !clean {
        faults.push("the command did not end with 0 in time".to_owned());
    }
    for course in courses {
        let [earlier, later] = course.halves;
        if course.name == "rss_mb" && course.growth_percent > args.max_growth {
            faults.push(format!(
                "{} grew by {} % in ten minutes",
                course.shown,
                short(course.growth_percent)
            ));
        }
        if course.name != "rss_mb" && later > earlier * 1.1 + 1.0 {
            faults.push(format!(
                "{} grew from {} to {}",
                course.shown,
                short(earlier),
                short(later)
            ));
        }
    }
    faults
}

fn print(account: &Account, courses: &[Course], faults: &[String]) {
    let head = [
        "after the warm-up",
        "mean",
        "least",
        "most",
        "growth in 10 min, %",
    ];
    let rows = courses.iter().map(|course| {
        vec![
            course.shown.to_owned(),
            short(course.mean),
            short(course.least),
            short(course.most),
            short(course.growth_percent),
        ]
    });
    let head = head.map(str::to_owned).to_vec();
    println!(
        "{}",
        table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
    );
    println!(
        "{} records sent, {} missing, {} repeated, longest wait {} ms",
        account.sent,
        account.missing,
        account.duplicates,
        short(account.longest_wait_ms)
    );
    match faults {
        [] => println!("nothing grows, the account is clean"),
        faults => faults.iter().for_each(|fault| println!("FAULT: {fault}")),
    }
}

fn document(
    args: &SoakArgs,
    command: String,
    account: &Account,
    courses: &[Course],
    looks: Vec<Look>,
) -> Document {
    let mut figures: Figures = BTreeMap::from([
        ("missing".to_owned(), account.missing as f64),
        ("duplicates".to_owned(), account.duplicates as f64),
        ("longest_wait_ms".to_owned(), account.longest_wait_ms),
    ]);
    for course in courses {
        figures.insert(course.name.to_owned(), course.mean);
        figures.insert(
            format!("{}_growth_percent", course.name),
            course.growth_percent,
        );
    }
    let scenario = format!(
        "{} records/s for {} minutes{}",
        short(args.rate),
        short(args.time.as_secs_f64() / 60.0),
        args.payload.words()
    );
    let contender = Contender {
        name: "soak".into(),
        command,
        rounds: vec![figures.clone()],
        median: figures,
        ratio: Figures::new(),
    };
    Document {
        details: serde_json::json!({ "looks": looks }),
        ..Document::new(scenario, vec![contender])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at_s: f64, rss_mb: f64) -> Look {
        Look {
            at_s,
            rss_mb,
            files: 20.0,
            threads: 9.0,
            checkpoint_objects: 30.0 + at_s % 3.0,
            checkpoint_mb: 1.0,
        }
    }

    #[test]
    fn growth_is_told_in_per_cent_of_the_mean_and_only_after_the_warm_up() {
        // Ten times as much in the warm-up; then one per cent more every minute.
        let looks: Vec<Look> = (0..1_200_u32)
            .map(f64::from)
            .map(|at| match at < 600.0 {
                true => look(at, 1_000.0),
                false => look(at, 100.0 + (at - 900.0) / 60.0),
            })
            .collect();
        let courses = courses(&looks, 600.0);
        assert!(
            (courses[0].growth_percent - 10.0).abs() < 0.1,
            "{courses:?}"
        );
        assert!(
            courses[1..]
                .iter()
                .all(|course| course.growth_percent.abs() < 0.1)
        );
        assert_eq!((courses[3].least, courses[3].most), (30.0, 32.0));
        assert_eq!(courses[3].halves, [32.0, 32.0]);
    }

    #[test]
    fn objects_are_counted_through_all_folders() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("query/state")).unwrap();
        fs::write(dir.path().join("query/lock"), "1").unwrap();
        fs::write(dir.path().join("query/state/a"), "23").unwrap();
        assert_eq!(objects(dir.path()), (2, 3));
        assert_eq!(objects(&dir.path().join("none")), (0, 0));
    }
}
