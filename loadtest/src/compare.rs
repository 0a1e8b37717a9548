//! `compare`: commands and the floor in turns, in one run, on fresh topics each time; medians over the rounds and ratios.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::broker::{Broker, BrokerArgs};
use crate::child::Child;
use crate::client::{Consumer, Producer, Start};
use crate::document::{Contender, Document};
use crate::drain::{Progress, Work};
use crate::failure::{Failure, Result};
use crate::figures::{Figures, medians, ratios, short, table};
use crate::generator::Generator;
use crate::latency::ScheduleArgs;
use crate::load::{self, Load};
use crate::payload::{Kind, Payload, PayloadArgs};
use crate::require::Requirement;
use crate::schedule::{Schedule, duration};
use crate::target::{Places, Template, Workplace};
use crate::topics::Topics;
use crate::{http, produce, proxy, report, stages};

/// How long a command may take from its start to its first output.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// From the first output until an idle process is looked at.
const CALM: Duration = Duration::from_secs(1);
/// Rate and partitions of the load that warms the broker up.
const WARM_UP_RATE: f64 = 5_000.0;
const WARM_UP_PARTITIONS: usize = 4;
const DRAIN_INPUT: &str = "compare-drain-in";

/// Options of `compare`.
#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    /// Command to compare; {bootstrap}, {input}, {output} and {checkpoint} are filled in. May be given several times. With
    /// '--http {http}' its metrics page says how long each stage took
    #[arg(long = "engine", value_name = "COMMAND")]
    engines: Vec<String>,
    /// What the report calls a command; given several times, in the order of the commands [default: engine 1, engine 2, ...]
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Options of the floor, e.g. '--in-flight 1'. Given several times, the best one is the floor
    /// [default: in flight 5; from 2,000/s also 1 and 2; when draining --drain]
    #[arg(long = "floor", value_name = "OPTIONS", allow_hyphen_values = true)]
    floors: Vec<String>,
    /// How often each is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    #[command(flatten)]
    schedule: ScheduleArgs,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Records that are in the input before a command is started, and come out before the load begins
    #[arg(long, default_value_t = 0, value_name = "RECORDS")]
    preload: u64,
    /// Instead of a load: how fast this many preloaded records are worked off
    #[arg(long, value_name = "RECORDS", conflicts_with = "step")]
    drain: Option<u64>,
    /// The compared commands reach the broker through a proxy that adds this round trip
    #[arg(long, value_parser = duration, value_name = "TIME", conflicts_with = "bootstrap")]
    proxy_rtt: Option<Duration>,
    /// Partitions of input and output
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    partitions: u16,
    /// Partitions of the input, where they differ
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    input_partitions: Option<u16>,
    /// Partitions of the output, where they differ
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    output_partitions: Option<u16>,
    /// Before the load, look at the processor time of the idle process for this long
    #[arg(long, value_parser = duration, value_name = "TIME")]
    idle: Option<Duration>,
    /// The longest time for one drain
    #[arg(long, value_parser = duration, default_value = "300s")]
    limit: Duration,
    /// Before the first round, a load through the floor that is not counted: a fresh broker is slow until its code is compiled
    #[arg(long, value_parser = duration, value_name = "TIME", default_value = "15s")]
    broker_warm_up: Duration,
    /// Fail (exit 1) unless this holds, e.g. 'ratio:p50_ms<=1.15' or 'rss_peak_mb<=24'. May be given several times
    #[arg(long, value_name = "FIGURE<=NUMBER")]
    require: Vec<Requirement>,
    /// Keep logs and checkpoints in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write the result as JSON to this file ('-': stdout)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures all rounds. Gives whether the requirements hold.
pub(crate) fn run(args: &CompareArgs) -> Result<bool> {
    let schedule = args.schedule.schedule()?;
    if args.payload.payload == Kind::Lines {
        return Err(Failure::new(
            "lines cannot be told apart in the output: 'drain --until-group' measures them",
        ));
    }
    let (options, proxied) = through_proxy(args)?;
    let broker = Broker::open(&args.broker, &options)?;
    let direct = broker.bootstrap();
    let through = match proxied {
        Some(proxied) => {
            proxy::start(proxied.listener, proxied.target, proxied.rtt);
            proxied.address
        }
        None => direct.to_owned(),
    };
    let bench = Bench {
        args,
        direct,
        through: &through,
        topics: Topics::connect(direct)?,
        place: Workplace::new(args.keep.as_ref())?,
        schedule,
    };
    if let Some(records) = args.drain {
        bench.topics.create(DRAIN_INPUT, bench.input_partitions())?;
        eprintln!("preloading {records} records");
        produce::fill(direct, DRAIN_INPUT, &args.payload.stream(), records)?;
    }
    let mut commands = bench.floors()?;
    let floors = commands.len();
    let templates = args.engines.iter().cloned().map(Template);
    commands.extend(
        names(&args.names, args.engines.len())?
            .into_iter()
            .zip(templates),
    );
    if let (Some((_, floor)), false) = (commands.first(), args.broker_warm_up.is_zero()) {
        eprintln!(
            "warming the broker up for {} s",
            args.broker_warm_up.as_secs_f64()
        );
        bench.warm_up(floor)?;
    }
    let rounds = bench.all_rounds(&commands)?;
    let contenders = against_best_floor(commands, rounds, floors, args.drain.is_some());
    print(&bench.scenario(), &contenders);
    if let Some(path) = &args.json {
        Document::new(bench.scenario(), contenders.clone()).write(path)?;
    }
    let broken: Vec<_> = contenders
        .iter()
        .skip(1)
        .filter(|c| !c.name.starts_with("floor"))
        .flat_map(|c| args.require.iter().filter_map(|r| r.broken(c)))
        .collect();
    broken.iter().for_each(|fault| println!("FAULT: {fault}"));
    Ok(broken.is_empty())
}

/// The names of so many commands: those given, or numbers.
fn names(given: &[String], commands: usize) -> Result<Vec<String>> {
    match (given.len(), commands) {
        (0, 1) => Ok(vec!["engine".to_owned()]),
        (0, _) => Ok((1..=commands)
            .map(|place| format!("engine {place}"))
            .collect()),
        (names, _) if names == commands => Ok(given.to_vec()),
        (names, _) => Err(Failure::new(format!(
            "{names} times --name for {commands} times --engine: give each command its name, or none"
        ))),
    }
}

/// The proxy's ends, bound before the broker starts, because the broker has to advertise the proxy's address.
struct Proxied {
    listener: TcpListener,
    address: String,
    target: SocketAddr,
    rtt: Duration,
}

fn through_proxy(args: &CompareArgs) -> Result<(Vec<String>, Option<Proxied>)> {
    let Some(rtt) = args.proxy_rtt else {
        return Ok((Vec::new(), None));
    };
    let bind =
        || TcpListener::bind("127.0.0.1:0").map_err(|e| Failure::io("no port for the proxy", &e));
    let address = |listener: &TcpListener| {
        listener
            .local_addr()
            .map_err(|e| Failure::io("no port for the proxy", &e))
    };
    let listener = bind()?;
    let shown = address(&listener)?;
    // The broker's second port: free at this moment, and given back for the broker to take.
    let target = address(&bind()?)?;
    let option = format!("PROXIED=PLAINTEXT:{}:{}", target.port(), shown.port());
    Ok((
        vec!["--listener".to_owned(), option],
        Some(Proxied {
            listener,
            address: shown.to_string(),
            target,
            rtt,
        }),
    ))
}

struct Bench<'a> {
    args: &'a CompareArgs,
    direct: &'a str,
    through: &'a str,
    topics: Topics,
    place: Workplace,
    schedule: Schedule,
}

impl Bench<'_> {
    fn input_partitions(&self) -> usize {
        usize::from(self.args.input_partitions.unwrap_or(self.args.partitions))
    }

    fn output_partitions(&self) -> usize {
        usize::from(self.args.output_partitions.unwrap_or(self.args.partitions))
    }

    fn scenario(&self) -> String {
        let what = match self.args.drain {
            Some(records) => format!("drain of {} records", short(records as f64)),
            None => self.args.schedule.words(),
        };
        let partitions = match (self.input_partitions(), self.output_partitions()) {
            (input, output) if input == output => format!("{input} partitions"),
            (input, output) => format!("{input} partitions to {output}"),
        };
        let rtt = self.args.proxy_rtt.map_or(String::new(), |rtt| {
            format!(", {} ms round trip", rtt.as_secs_f64() * 1e3)
        });
        let payload = self.args.payload.words();
        let preload = match self.args.preload {
            0 => String::new(),
            records => format!(" after {} preloaded", short(records as f64)),
        };
        format!("{what}{payload}{preload}, {partitions}{rtt}")
    }

    fn floors(&self) -> Result<Vec<(String, Template)>> {
        let program =
            std::env::current_exe().map_err(|e| Failure::io("this program's own path", &e))?;
        let high = self.args.schedule.step.is_none() && self.args.schedule.rate >= 2_000.0;
        let variants = match (self.args.drain, self.args.floors.as_slice()) {
            (_, given @ [_, ..]) => given.to_vec(),
            (Some(_), []) => vec!["--drain".to_owned()],
            (None, []) if high => [1, 2, 5].map(|n| format!("--in-flight {n}")).to_vec(),
            (None, []) => vec!["--in-flight 5".to_owned()],
        };
        let command = |options: &String| {
            let line = format!(
                "{} floor --bootstrap {{bootstrap}} --input {{input}} --output {{output}} {options}",
                program.display()
            );
            (format!("floor {}", options.trim()), Template(line))
        };
        Ok(variants.iter().map(command).collect())
    }

    fn warm_up(&self, floor: &Template) -> Result<()> {
        let (input, output) = ("compare-warm-up-in", "compare-warm-up-out");
        self.topics.create(input, WARM_UP_PARTITIONS)?;
        self.topics.create(output, WARM_UP_PARTITIONS)?;
        let line = floor.fill(Places {
            bootstrap: self.direct,
            input,
            output,
            checkpoint: "",
        });
        let mut child = Child::start(&line, &self.place.join("log-warm-up"))?;
        let load = Load {
            bootstrap: self.direct,
            input,
            output,
            from: vec![0; WARM_UP_PARTITIONS],
            payload: &Payload::new(),
            first: 0,
            schedule: &Schedule::constant(WARM_UP_RATE, self.args.broker_warm_up),
            warm_up: Duration::ZERO,
            settle: Duration::from_secs(5),
        };
        load::run(&load, &mut || child.must_live())?;
        child.stop(Duration::from_secs(5));
        self.topics.delete(&[input, output]);
        Ok(())
    }

    /// Figures by contender and round. The order turns with each round, so that no one always comes after the same.
    fn all_rounds(&self, commands: &[(String, Template)]) -> Result<Vec<Vec<Figures>>> {
        let mut all = vec![Vec::new(); commands.len()];
        for round in 0..usize::from(self.args.rounds) {
            for turn in 0..commands.len() {
                let place = (turn + round) % commands.len();
                let (name, command) = &commands[place];
                let figures = self.one(round, place, command).map_err(|failure| {
                    Failure::new(format!("{name}, round {}: {failure}", round + 1))
                })?;
                let shown: Vec<_> = [
                    "p50_ms",
                    "p99_ms",
                    "records_per_s",
                    "cpu_us_per_record",
                    "rss_peak_mb",
                    "first_record_ms",
                ]
                .iter()
                .filter_map(|figure| Some(format!("{figure} {}", short(*figures.get(*figure)?))))
                .collect();
                eprintln!(
                    "round {} of {}: {name}: {}",
                    round + 1,
                    self.args.rounds,
                    shown.join(", ")
                );
                all[place].push(figures);
            }
        }
        Ok(all)
    }

    /// One measurement on fresh topics.
    fn one(&self, round: usize, place: usize, command: &Template) -> Result<Figures> {
        let (input, output) = (
            format!("compare-in-{round}-{place}"),
            format!("compare-out-{round}-{place}"),
        );
        let checkpoint = self
            .place
            .join(&format!("checkpoint-{round}-{place}"))
            .display()
            .to_string();
        let log = self.place.join(&format!("log-{round}-{place}"));
        self.topics.create(&output, self.output_partitions())?;
        let input = if self.args.drain.is_some() {
            DRAIN_INPUT.to_owned()
        } else {
            input
        };
        let line = command.fill(Places {
            bootstrap: self.through,
            input: &input,
            output: &output,
            checkpoint: &checkpoint,
        });
        let http = match line.contains("{http}") {
            true => Some(http::address()?),
            false => None,
        };
        let line = line.replace("{http}", http.as_deref().unwrap_or_default());
        let figures = match self.args.drain {
            Some(records) => {
                let work = Work {
                    progress: Progress::Written(&output, self.output_partitions()),
                    records,
                    limit: self.args.limit,
                    http: http.as_deref(),
                };
                work.measure(&self.topics, &line, &log)
            }
            None => {
                self.topics.create(&input, self.input_partitions())?;
                let figures = self.load(&input, &output, (&line, http.as_deref()), &log);
                self.topics.delete(&[&input]);
                figures
            }
        };
        self.topics.delete(&[&output]);
        thread::sleep(CALM);
        figures
    }

    fn load(
        &self,
        input: &str,
        output: &str,
        (line, http): (&str, Option<&str>),
        log: &std::path::Path,
    ) -> Result<Figures> {
        let (payload, preload) = (self.args.payload.stream(), self.args.preload);
        let producer = Producer::new(self.direct, &[], input)?;
        Generator {
            producer: &producer,
            payload: &payload,
            first: 0,
        }
        .flood(preload + 1)?;
        producer.finish(Duration::from_secs(60))?;
        drop(producer);
        let (mut child, first_record_ms) =
            self.last_output(output, (&payload, preload), line, log)?;
        let mut figures = Figures::from([("first_record_ms".to_owned(), first_record_ms)]);
        thread::sleep(CALM);
        if let Some(idle) = self.args.idle {
            let (before, began) = (child.usage().cpu_us, Instant::now());
            thread::sleep(idle);
            child.must_live()?;
            let used = child.usage().cpu_us.saturating_sub(before);
            let share = used as f64 / began.elapsed().as_micros() as f64;
            figures.insert("cpu_idle_percent".into(), share * 100.0);
        }
        let stages_before = http.map(stages::look).transpose()?;
        let before = child.usage();
        let load = Load {
            bootstrap: self.direct,
            input,
            output,
            from: vec![0; self.output_partitions()],
            payload: &payload,
            first: preload + 1,
            schedule: &self.schedule,
            warm_up: self.args.schedule.warm_up,
            settle: self.args.schedule.settle,
        };
        let outcome = load::run(&load, &mut || child.must_live())?;
        let after = child.usage();
        figures.extend(outcome.figures());
        if let (Some(http), Some(before)) = (http, &stages_before) {
            figures.extend(stages::figures(before, &stages::look(http)?));
        }
        figures.insert(
            "cpu_us_per_record".into(),
            after.cpu_us.saturating_sub(before.cpu_us) as f64 / outcome.sent.max(1) as f64,
        );
        figures.insert("rss_mb".into(), after.rss_kb as f64 / 1024.0);
        figures.insert("rss_peak_mb".into(), after.peak_kb as f64 / 1024.0);
        let asked = Instant::now();
        let clean = child
            .stop(Duration::from_secs(30))
            .is_some_and(|status| status.success());
        figures.insert("stop_ms".into(), asked.elapsed().as_secs_f64() * 1e3);
        figures.insert("unclean_stops".into(), f64::from(u8::from(!clean)));
        Ok(figures)
    }

    /// Starts the command and waits for the output of the last record that is already there. Milliseconds from start to
    /// sight.
    fn last_output(
        &self,
        output: &str,
        (payload, last): (&Payload, u64),
        line: &str,
        log: &std::path::Path,
    ) -> Result<(Child, f64)> {
        let partitions = self.output_partitions();
        let mut consumer =
            Consumer::new(self.direct, &[], output, &Start::At(vec![0; partitions]))?;
        // The reader's own connections are made before the clock runs.
        consumer.read(Duration::from_millis(500), |_, _, _| {});
        let started = Instant::now();
        let mut child = Child::start(line, log)?;
        let mut seen = false;
        while !seen {
            consumer.read(Duration::from_millis(20), |_, key, value| {
                seen |= payload.sequence(key, value) == Some(last);
            });
            child.must_live()?;
            if started.elapsed() > START_PATIENCE {
                return Err(Failure::new(format!(
                    "no output within {} s after its start: {line}",
                    START_PATIENCE.as_secs()
                )));
            }
        }
        Ok((child, started.elapsed().as_secs_f64() * 1e3))
    }
}

/// The best floor first (lowest median latency, or highest rate when draining), then the other floors, then the commands, all
/// with their ratios to it.
fn against_best_floor(
    commands: Vec<(String, Template)>,
    rounds: Vec<Vec<Figures>>,
    floors: usize,
    drain: bool,
) -> Vec<Contender> {
    let mut contenders: Vec<_> = commands
        .into_iter()
        .zip(rounds)
        .map(|((name, command), rounds)| Contender {
            name,
            command: command.0,
            median: medians(&rounds),
            rounds,
            ratio: Figures::new(),
        })
        .collect();
    let worth = |c: &Contender| match drain {
        true => -c.median.get("records_per_s").copied().unwrap_or(0.0),
        false => c.median.get("p50_ms").copied().unwrap_or(f64::MAX),
    };
    contenders[..floors].sort_by(|a, b| worth(a).total_cmp(&worth(b)));
    if let [best, others @ ..] = contenders.as_mut_slice() {
        others
            .iter_mut()
            .for_each(|c| c.ratio = ratios(&c.median, &best.median));
    }
    contenders
}

fn print(scenario: &str, contenders: &[Contender]) {
    let mut rows = vec![vec![scenario.to_owned()]];
    for (place, contender) in contenders.iter().enumerate() {
        rows[0].push(contender.name.clone());
        if place > 0 {
            rows[0].push("ratio".into());
        }
    }
    for (figure, label) in report::rows(contenders) {
        let mut row = vec![label];
        for (place, contender) in contenders.iter().enumerate() {
            row.push(
                contender
                    .median
                    .get(&figure)
                    .map_or("-".into(), |value| short(*value)),
            );
            if place > 0 {
                row.push(
                    contender
                        .ratio
                        .get(&figure)
                        .map_or("-".into(), |ratio| format!("{ratio:.2}")),
                );
            }
        }
        rows.push(row);
    }
    println!("{}", table(&rows));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(p50: &[f64]) -> Vec<Figures> {
        p50.iter()
            .map(|p50| Figures::from([("p50_ms".to_owned(), *p50)]))
            .collect()
    }

    #[test]
    fn the_best_floor_is_the_one_that_everything_is_compared_with() {
        let commands = ["floor a", "floor b", "engine"]
            .map(|name| (name.to_owned(), Template(String::new())))
            .to_vec();
        let contenders = against_best_floor(
            commands,
            vec![
                rounds(&[4.0, 4.0, 9.0]),
                rounds(&[2.0, 1.0, 8.0]),
                rounds(&[3.0]),
            ],
            2,
            false,
        );
        assert_eq!(
            contenders
                .iter()
                .map(|c| c.name.as_str())
                .collect::<Vec<_>>(),
            ["floor b", "floor a", "engine"]
        );
        assert_eq!(contenders[2].ratio["p50_ms"], 1.5);
        assert!(contenders[0].ratio.is_empty());
    }
}
