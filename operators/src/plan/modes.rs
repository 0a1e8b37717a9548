//! Output modes: what a plan with state may write and when, and when its groups are over.
//!
//! Allowed and refused as Spark does, in its words.

use thalweg_engine::record::Micros;
use thalweg_engine::schema::DataType;

use crate::job_error::{JobError, Location};
use crate::plan::group::Group;
use crate::plan::node::Node;
use crate::plan::static_side::still;
use crate::plan::times::{delay, event_columns};
use crate::sql::settings::{OutputMode, Settings, Trigger};
use crate::stateful::grouping::{Emits, Grouping, Over, Shape};

/// Checks the mode of a query and tells its steps with state what they emit and when a key is over.
pub(crate) fn settle(node: Node, settings: &Settings, at: Location) -> Result<Node, JobError> {
    let mode = settings.output_mode;
    let mode_at = settings.at("outputMode", at);
    let node = if mode == OutputMode::Complete {
        whole(node, at)
    } else {
        node
    };
    let mut aggregates = 0;
    count(&node, &mut aggregates);
    if mode == OutputMode::Complete && aggregates == 0 {
        return Err(JobError::new(
            mode_at,
            "invalid streaming output mode: complete. This output mode is not supported for no streaming aggregations on streaming DataFrames/DataSets",
        )
        .help("`complete` writes the whole result of an aggregate each time; write 'append' or 'update'"));
    }
    if mode != OutputMode::Append && chained(&node, false) {
        return Err(JobError::new(
            mode_at,
            "Detected pattern of possible 'correctness' issue due to global watermark: a step with state that stands behind an aggregation needs its final results, which only append mode has",
        )
        .help("SET outputMode = 'append', with a WATERMARK and windows of it; or write the first result to a table and read it in another query"));
    }
    let emits = match (mode, settings.trigger) {
        (OutputMode::Append, _) => Emits::Append,
        (OutputMode::Complete, _) => Emits::Complete,
        (OutputMode::Update, Trigger::Continuous) => Emits::UpdateAtOnce,
        (OutputMode::Update, _) => Emits::UpdateAtTrigger,
    };
    let ttl = settings
        .state_ttl
        .map(|ttl| Micros::try_from(ttl.as_micros()).unwrap_or(Micros::MAX));
    let mut settling = Settling {
        mode,
        emits,
        ttl,
        rows_max: usize::try_from(settings.frame_rows_max).unwrap_or(usize::MAX),
        error: None,
    };
    let node = settling.node(node);
    match settling.error {
        Some(error) => Err(error),
        None => Ok(node),
    }
}

/// SELECT DISTINCT as groups without aggregates: in complete mode it is written as a whole, too.
fn whole(node: Node, at: Location) -> Node {
    match node.map_below(&mut |below| whole(below, at)) {
        Node::Dedup { below, dedup } if !dedup.on => {
            let fields = below.fields();
            let grouping = Grouping {
                keys: fields.iter().map(|field| field.data_type.clone()).collect(),
                window: None,
                aggregates: Vec::new(),
                emits: Emits::Complete,
                over: Over::Never,
                ttl: None,
            };
            let group = Box::new(Group {
                grouping,
                keys: fields.iter().map(|field| field.name.clone()).collect(),
                fields,
                at,
            });
            Node::Aggregate { below, group }
        }
        other => other,
    }
}

fn count(node: &Node, aggregates: &mut usize) {
    *aggregates += usize::from(matches!(node, Node::Aggregate { .. }));
    node.below().for_each(|node| count(node, aggregates));
}

/// Whether a step with state stands over an aggregation; sorting the result is none.
fn chained(node: &Node, above: bool) -> bool {
    let aggregate = matches!(node, Node::Aggregate { .. });
    if aggregate && above {
        return true;
    }
    let streams = matches!(node, Node::Join { join, .. } if join.deleted.is_none());
    let keeps = streams || matches!(node, Node::Dedup { .. } | Node::Over { .. });
    let above = above || aggregate || keeps;
    node.below().any(|node| chained(node, above))
}

/// Why the groups over a node would never be final, so that append mode would write none.
fn never_final(below: &Node, group: &Group) -> JobError {
    let Node::Project { below, items } = below else {
        return without_watermark(group);
    };
    let fields = below.fields();
    let times = event_columns(below);
    let Some(place) = times.iter().position(|time| *time) else {
        return without_watermark(group);
    };
    let time = &fields[place].name;
    let window = group.grouping.window.as_ref();
    let over = window.and_then(|window| Some((&group.keys[window.at], items.get(window.time)?)));
    let (why, name) = match over {
        Some((name, item)) => (
            format!(
                "{name} is over `{}`, and the WATERMARK is of `{time}`",
                item.typed
            ),
            name.as_str(),
        ),
        None => (
            format!("no key is `{time}`, which the WATERMARK is of, or a window of it"),
            "window",
        ),
    };
    let key = match fields[place].data_type {
        // A window already.
        DataType::Struct(_) => time.to_string(),
        _ => format!("{name}({time}, '5 minutes')"),
    };
    let message =
        format!("invalid streaming output mode: append. No group would ever be final: {why}");
    JobError::new(group.at, message).help(format!(
        "write {key} in the GROUP BY, or SET outputMode = 'update' or 'complete'"
    ))
}

fn without_watermark(group: &Group) -> JobError {
    JobError::new(
        group.at,
        "invalid streaming output mode: append. This output mode is not supported for streaming aggregations without watermark on streaming DataFrames/DataSets",
    )
    .help("SET outputMode = 'update' or 'complete'; or write WATERMARK ts DELAY OF INTERVAL ... behind the table and group by a window of ts")
}

struct Settling {
    mode: OutputMode,
    emits: Emits,
    ttl: Option<Micros>,
    /// `frameRowsMax`.
    rows_max: usize,
    error: Option<JobError>,
}

impl Settling {
    fn node(&mut self, node: Node) -> Node {
        let mut node = node.map_below(&mut |below| self.node(below));
        let outcome = match &mut node {
            Node::Aggregate { below, group } => self.aggregate(below, group),
            Node::Dedup { below, dedup } => {
                let times = event_columns(below);
                let mut keys = dedup.keys.iter();
                dedup.time = keys.position(|key| times.get(*key) == Some(&true));
                dedup.delay = delay(below);
                dedup.ttl = self.ttl;
                Ok(())
            }
            Node::Over { below, windows } => {
                windows.settle(&event_columns(below), self.rows_max, self.ttl);
                Ok(())
            }
            Node::Sort { below, sort } => self.sort(below, sort.at),
            Node::Limit { below, limit } => {
                limit.each_trigger = self.mode == OutputMode::Complete && below.has_state();
                if limit.skipped > 0 && still(below).is_none() {
                    Err(JobError::new(
                        limit.at,
                        "OFFSET is not supported on a stream: rows that are left out would have to be counted for ever",
                    )
                    .help("write it where a static table is read: in a join's side, or in IN"))
                } else if self.mode == OutputMode::Update {
                    Err(JobError::new(
                        limit.at,
                        "Limits are not supported on streaming DataFrames/Datasets in Update output mode",
                    ))
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        };
        if let Err(error) = outcome {
            self.error.get_or_insert(error);
        }
        node
    }

    fn aggregate(&self, below: &Node, group: &mut Group) -> Result<(), JobError> {
        let times = event_columns(below);
        let timed = |place: Option<usize>| place.and_then(|p| times.get(p)) == Some(&true);
        let window = group.grouping.window.as_ref();
        let over = if timed(window.map(|window| window.time)) {
            Over::Window
        } else {
            let mut keys = 0..group.keys.len();
            keys.find(|key| timed(group.below_key(*key)))
                .map_or(Over::Never, Over::Key)
        };
        let session = window.is_some_and(|w| matches!(w.shape, Shape::Session { .. }));
        if self.mode == OutputMode::Append && over == Over::Never {
            return Err(never_final(below, group));
        }
        if self.mode == OutputMode::Append && session && over != Over::Window {
            return Err(JobError::new(
                group.at,
                "session_window is over a time that no WATERMARK passes, so that no session would ever be final; that another key is the event time does not end it",
            )
            .help("write session_window over the column that the WATERMARK is of, or SET outputMode = 'complete'"));
        }
        if self.mode == OutputMode::Update && session {
            return Err(JobError::new(
                group.at,
                "invalid streaming output mode: update. This output mode is not supported for session window on streaming DataFrames/DataSets",
            )
            .help("SET outputMode = 'append' or 'complete'"));
        }
        group.grouping.emits = self.emits;
        // The whole result never loses a group.
        group.grouping.over = if self.mode == OutputMode::Complete {
            Over::Never
        } else {
            over
        };
        group.grouping.ttl = self.ttl.filter(|_| group.grouping.over == Over::Never);
        Ok(())
    }

    fn sort(&self, below: &Node, at: Location) -> Result<(), JobError> {
        let mut aggregates = 0;
        count(below, &mut aggregates);
        if self.mode == OutputMode::Complete && aggregates > 0 {
            return Ok(());
        }
        Err(JobError::new(
            at,
            "Sorting is not supported on streaming DataFrames/Datasets, unless it is on aggregated DataFrame/Dataset in Complete output mode",
        )
        .help("a stream has no end that a sort could wait for; remove ORDER BY, or SET outputMode = 'complete' where it orders an aggregate"))
    }
}
