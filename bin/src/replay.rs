//! A lane replayed beside its job: from a kept checkpoint up to one record, its outputs suppressed, every step watched.
//!
//! Records of one partition come in its order, which is the order the job had them in. Where the lane reads several, the job
//! had them as they arrived, and nobody has noted that; here they come by their timestamps, as far as the partitions were
//! read in the oldest kept checkpoint behind the record. What is of one key in one partition is exact all the same.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::plan::{Plan, Role, Side};
use thalweg_engine::record::{Body, Micros, Partition, Position, Record, RecordMeta, Skip};
use thalweg_engine::replay::{self, KeptLane};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::source::{RecordStream, Resume, Source, SourceEvent};
use thalweg_engine::state::{StateChanges, StateSize};
use thalweg_operators::sql::settings::OnError;
use thalweg_operators::table::OpenContext;

use crate::rehearsal::{Policy, Resumed, Script};
use crate::wiring::Wired;

/// How long a partition may take to say anything.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Which record, and from where.
#[derive(Clone, Copy)]
pub(crate) struct Request<'r> {
    pub(crate) wired: &'r Wired,
    pub(crate) context: &'r OpenContext,
    /// The input's name.
    pub(crate) input: &'r str,
    /// The partition's name.
    pub(crate) partition: &'r str,
    pub(crate) offset: i64,
    /// Where the lane stood before it; None where its steps keep nothing.
    pub(crate) kept: Option<&'r KeptLane>,
}

/// What came of the record.
#[derive(Default)]
pub(crate) struct Replayed {
    /// Records before it that were replayed.
    pub(crate) before: u64,
    /// Partitions of its lane beside its own, whose records came by their timestamps.
    pub(crate) beside: usize,
    /// Inputs of its lane that cannot be replayed.
    pub(crate) left_out: Vec<String>,
    /// Its own timestamp.
    pub(crate) time: Option<Micros>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    /// The row that was decoded.
    pub(crate) row: Option<Row>,
    /// Why it has none although nothing failed.
    pub(crate) skipped: Option<&'static str>,
    /// By place in the pipeline, what each step put out.
    pub(crate) steps: BTreeMap<usize, Vec<Row>>,
    /// What is written.
    pub(crate) outputs: Vec<Row>,
    /// Rows of it that came too late.
    pub(crate) late: u64,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// What the steps put out while it is watched.
#[derive(Default)]
struct Seen {
    watching: bool,
    rows: BTreeMap<usize, Vec<Row>>,
}

type Watching = Rc<RefCell<Seen>>;

/// A step that is watched.
struct Watched {
    place: usize,
    step: Box<dyn Operator>,
    seen: Watching,
}

/// What a watched step emits into.
struct Tap<'t> {
    place: usize,
    seen: &'t Watching,
    behind: &'t mut dyn Emit,
}

impl Emit for Tap<'_> {
    fn emit(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
        {
            let mut seen = self.seen.borrow_mut();
            if seen.watching {
                seen.rows.entry(self.place).or_default().push(row.to_vec());
            }
        }
        self.behind.emit(row, meta)
    }

    fn watermark(&mut self, watermark: Micros) {
        self.behind.watermark(watermark);
    }

    fn idle(&mut self) {
        self.behind.idle();
    }

    fn late(&mut self, rows: u64) {
        self.behind.late(rows);
    }
}

/// Calls a method of the step with a tap before what it emits into.
macro_rules! tapped {
    ($watched:ident.$method:ident($($given:expr),*; $emit:ident)) => {{
        let mut tap = Tap {
            place: $watched.place,
            seen: &$watched.seen,
            behind: $emit,
        };
        $watched.step.$method($($given,)* &mut tap)
    }};
}

impl Operator for Watched {
    fn process(
        &mut self,
        input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        tapped!(self.process(input, row, meta; emit))
    }

    fn accept(&mut self) {
        self.step.accept();
    }

    fn reject(&mut self) {
        self.step.reject();
    }

    fn leave_out(&mut self) {
        self.step.leave_out();
    }

    fn advance(
        &mut self,
        watermark: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        tapped!(self.advance(watermark, at; emit))
    }

    fn tick(
        &mut self,
        now: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        tapped!(self.tick(now, at; emit))
    }

    fn alarm(&self) -> Option<Micros> {
        self.step.alarm()
    }

    fn clock(
        &mut self,
        now: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        tapped!(self.clock(now, at; emit))
    }

    fn resume(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        tapped!(self.resume(at; emit))
    }

    fn expire(&mut self, now: Micros) {
        self.step.expire(now);
    }

    fn save(&mut self) -> Option<StateChanges> {
        self.step.save()
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        self.step.restore(changes)
    }

    fn size(&self) -> StateSize {
        self.step.size()
    }
}

fn watched(steps: Vec<Step>, seen: &Watching) -> Vec<Step> {
    let steps = steps.into_iter().enumerate();
    steps
        .map(|(place, step)| Step {
            operator: Box::new(Watched {
                place,
                step: step.operator,
                seen: Rc::clone(seen),
            }),
            ..step
        })
        .collect()
}

/// A partition that is replayed.
struct Track {
    entries: Arc<[Target]>,
    role: Role,
    partition: Arc<Partition>,
    watermark: Option<Micros>,
    stream: RecordStream,
    head: Option<Record>,
    over: bool,
}

impl Track {
    /// Sees to it that the next record is at hand, where there is one.
    async fn fill(&mut self) -> Result<(), Failure> {
        while self.head.is_none() && !self.over {
            let event = tokio::time::timeout(SILENCE_MAX, replay::next(&mut self.stream)).await;
            match event {
                Ok(Some(SourceEvent::Record(record))) => self.head = Some(record),
                Ok(Some(SourceEvent::CaughtUp(_))) => {}
                Ok(Some(SourceEvent::Failed(failure))) => return Err(failure),
                Ok(Some(SourceEvent::Ended) | None) => self.over = true,
                Err(_) => {
                    return Err(Failure::restart(format!(
                        "nothing came from {} for {} seconds",
                        self.partition,
                        SILENCE_MAX.as_secs()
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Closes what was opened.
struct Sources(Vec<(usize, Arc<dyn Source>)>);

impl Drop for Sources {
    fn drop(&mut self) {
        for (_, source) in &self.0 {
            source.close();
        }
    }
}

/// Replays up to the record and gives what came of it.
///
/// # Errors
/// When no broker answers, records before it are gone, or there is no record at that offset.
pub(crate) fn replay(request: &Request<'_>) -> Result<Replayed, Failure> {
    let query = request.wired.query();
    query.open_statics(request.context)?;
    let sources = Sources(query.sources(request.context)?);
    let mut replayed = Replayed::default();
    let tracks = open(request, &sources, &mut replayed)?;
    runtime()?.block_on(run(request, tracks, replayed))
}

/// Reads the record alone: what it holds and how it is decoded.
///
/// # Errors
/// As [`replay`].
pub(crate) fn decode(request: &Request<'_>) -> Result<Replayed, Failure> {
    let sources = Sources(request.wired.query().sources(request.context)?);
    let mut replayed = Replayed::default();
    let tracks = open(request, &sources, &mut replayed)?;
    runtime()?.block_on(async {
        for mut track in tracks {
            track.fill().await?;
            if let Some(record) = &track.head {
                note(record, &mut replayed);
                if let Body::Bad(error) = &record.body {
                    replayed.error = Some(error.reason.to_string());
                }
                return Ok(replayed);
            }
        }
        Err(nothing_there(request))
    })
}

/// What streams are waited for in.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::end(format!("the system gives no timer: {error}")))
}

fn nothing_there(request: &Request<'_>) -> Failure {
    Failure::refuse(format!(
        "there is no record at {}/{}: the offset was compacted away, or belongs to a transaction",
        request.partition, request.offset
    ))
}

/// Opens the partitions of the lane.
fn open(
    request: &Request<'_>,
    sources: &Sources,
    replayed: &mut Replayed,
) -> Result<Vec<Track>, Failure> {
    let query = request.wired.query();
    let mut tracks = Vec::new();
    for (place, source) in &sources.0 {
        let input = &query.steps[*place].name;
        let mine = input == request.input;
        let cuts: Vec<(SmolStr, Position, Option<Micros>)> = match request.kept {
            Some(kept) => kept
                .partitions
                .iter()
                .filter(|cut| cut.input == *input && !cut.ended)
                .map(|cut| (cut.partition.clone(), cut.position.clone(), cut.watermark))
                .collect(),
            None if mine => vec![(
                request.partition.into(),
                Position::Number(request.offset),
                None,
            )],
            None => Vec::new(),
        };
        if cuts.is_empty() {
            continue;
        }
        let kafka = query
            .inputs()
            .any(|(at, input)| at == *place && input.table().connector == "kafka");
        if !kafka {
            replayed.left_out.push(input.to_string());
            continue;
        }
        let positions = cuts.iter();
        let positions = positions.map(|(name, position, _)| (name.clone(), position.clone()));
        let state = request.kept.and_then(|kept| kept.sources.get(input));
        source.resolve(Some(&Resume {
            checkpoint: request.kept.map_or("", |kept| kept.checkpoint.as_str()),
            epoch: request.kept.map_or(0, |kept| kept.epoch),
            rewound: true,
            positions: &positions.collect(),
            state: state.map(Vec::as_slice),
        }))?;
        let ends = source.ends()?;
        let (entries, role) = (request.wired.entries(*place), request.wired.role(*place));
        for (name, from, watermark) in cuts {
            let own = mine && name == request.partition;
            let behind = request.kept.and_then(|kept| kept.behind.as_ref());
            let behind = behind.and_then(|at| at.get(&(input.clone(), name.clone())));
            let until = if own {
                Some(Position::Number(request.offset + 1))
            } else {
                replayed.beside += 1;
                behind.or_else(|| ends.get(&name)).cloned()
            };
            let partition = Arc::new(Partition {
                input: input.clone(),
                name,
            });
            tracks.push(Track {
                entries: entries.clone().into(),
                role,
                stream: source.read(&partition, &from, until.as_ref())?,
                partition,
                watermark,
                head: None,
                over: false,
            });
        }
    }
    Ok(tracks)
}

async fn run(
    request: &Request<'_>,
    mut tracks: Vec<Track>,
    mut replayed: Replayed,
) -> Result<Replayed, Failure> {
    let seen = Watching::default();
    let nothing = BTreeMap::new();
    let partitions = tracks.iter();
    let partitions: Vec<_> = partitions
        .map(|track| (Arc::clone(&track.partition), track.role, track.watermark))
        .collect();
    let query = request.wired.query();
    let script = Script {
        start: request.kept.map_or(0, |kept| kept.committed_at),
        // What waits for a trigger is written at the trigger, and not for a record.
        interval: None,
        one_batch: query.one_batch(),
        idle: Micros::try_from(query.settings.idle_timeout.as_micros()).unwrap_or(Micros::MAX),
        restarts: false,
        policy: match query.settings.on_error {
            OnError::Fail => Policy::Fail,
            OnError::Skip | OnError::DeadLetter => Policy::Skip,
        },
    };
    let mut lane = Resumed::new(
        request.wired,
        script,
        watched(request.wired.steps(Side::Whole, &[]), &seen),
        request.kept.map_or(&nothing, |kept| &kept.state),
        &partitions,
    )?;
    loop {
        for track in &mut tracks {
            track.fill().await?;
        }
        let own = |track: &Track| {
            track.partition.input == request.input && track.partition.name == request.partition
        };
        let next = tracks
            .iter_mut()
            .filter(|track| track.head.is_some())
            .min_by_key(|track| {
                let time = track.head.as_ref().and_then(|head| head.meta.record_time);
                // Of one moment: tables first, the record's own partition last.
                (time, !track.role.table, own(track))
            });
        let Some(track) = next else {
            return Err(nothing_there(request));
        };
        let mine = own(track);
        let Some(mut record) = track.head.take() else {
            continue;
        };
        let this = mine && record.meta.position == Position::Number(request.offset);
        // When the job took it nobody has noted.
        record.meta.taken_at = record.meta.record_time.unwrap_or(record.meta.taken_at);
        if this {
            note(&record, &mut replayed);
            let late = lane.outcome().late;
            seen.borrow_mut().watching = true;
            replayed.outputs = lane.take(&track.entries, record);
            replayed.steps = std::mem::take(&mut seen.borrow_mut().rows);
            replayed.late = lane.outcome().late - late;
            replayed.error.clone_from(&lane.outcome().error);
            if replayed.error.is_none() {
                replayed.error.clone_from(&lane.outcome().failure);
            }
            return Ok(replayed);
        }
        let place = format!("{}/{}", track.partition, record.meta.position);
        lane.take(&track.entries, record);
        replayed.before += 1;
        if let Some(failure) = &lane.outcome().failure {
            return Err(Failure::refuse(format!(
                "the record {place} before it failed, where the job ends (onError is 'fail'): {failure}. With --set \
                 onError=skip it is left out here"
            )));
        }
    }
}

/// What the record itself says.
fn note(record: &Record, replayed: &mut Replayed) {
    replayed.time = record.meta.record_time;
    if let Some(raw) = &record.raw {
        replayed.key = raw.key().map(<[u8]>::to_vec);
        replayed.value = raw.value().map(<[u8]>::to_vec);
    }
    match &record.body {
        Body::Row(row) => replayed.row = Some(row.clone()),
        Body::Skipped(Skip::Tombstone) => replayed.skipped = Some("its value is null"),
        Body::Skipped(Skip::Malformed) => {
            replayed.skipped = Some("its value is malformed, and mode is DROPMALFORMED");
        }
        Body::Bad(_) => {}
    }
}
