//! The settings of a query: checked against the manual and given their types.

use std::time::Duration;

use crate::expr::calendar::{Zone, zone};

use crate::checkpoints;
use crate::job_error::{JobError, Location};
use crate::sql::spark_words;
use crate::table::{Options, parse_duration, parse_size};

pub use crate::sql::manual::{Reach, SETTINGS, SettingKind, SettingSpec};

/// When results are emitted, and whether the query ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// At once, until it is stopped.
    Continuous,
    /// Once per interval, until it is stopped.
    Interval(Duration),
    /// To the end that is there at the start, then stop.
    Once,
    /// As `Once`, with the rate limits of the sources.
    AvailableNow,
}

/// What is emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputMode {
    /// New rows.
    Append,
    /// Changed rows; without state the same as append.
    Update,
    /// The whole result of an aggregation, each time.
    Complete,
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Memory {
    /// A share of what the process may take, above 0 and up to 1.
    Share(f64),
    /// Bytes.
    Bytes(u64),
}

/// What becomes of a record that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The query ends.
    Fail,
    /// It is counted.
    Skip,
    /// It goes to the dead-letter table.
    DeadLetter,
}

/// The settings of one query, with their types.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `queryName`, where it is given.
    pub query_name: Option<String>,
    /// `checkpointLocation`.
    pub checkpoint_location: Option<String>,
    /// `checkpointOptions`.
    pub checkpoint_options: Options,
    /// `checkpointInterval`.
    pub checkpoint_interval: Duration,
    /// `checkpointsKept`.
    pub checkpoints_kept: usize,
    /// `checkpointHistory`.
    pub checkpoint_history: bool,
    /// `epochTimeout`.
    pub epoch_timeout: Duration,
    /// `openEpochsMax`.
    pub open_epochs_max: usize,
    /// `deliveryTimeout`.
    pub delivery_timeout: Duration,
    /// `partitionMetrics`.
    pub partition_metrics: bool,
    /// `trigger`.
    pub trigger: Trigger,
    /// `outputMode`.
    pub output_mode: OutputMode,
    /// `onError`.
    pub on_error: OnError,
    /// `deadLetterTable`.
    pub dead_letter_table: Option<String>,
    /// `showRecords`.
    pub show_records: bool,
    /// `timeZone`.
    pub time_zone: Zone,
    /// `ansi`.
    pub ansi: bool,
    /// `stopTimeout`.
    pub stop_timeout: Duration,
    /// `restartsMax`; None is unlimited.
    pub restarts_max: Option<u64>,
    /// `outageTimeout`; None where it is `none`.
    pub outage_timeout: Option<Duration>,
    /// Whether `assignment` says `group`.
    pub shared: bool,
    /// `standbyReplicas`.
    pub standby: usize,
    /// Whether `exchange` says `topic`.
    pub through_topic: bool,
    /// `idleTimeout`.
    pub idle_timeout: Duration,
    /// `alignmentMax`.
    pub alignment_max: Duration,
    /// `warmUp`; None where it is `none`.
    pub warm_up: Option<Duration>,
    /// `coordinates`.
    pub coordinates: bool,
    /// `stateMemoryMax`.
    pub state_memory_max: Memory,
    /// `stateTtl`.
    pub state_ttl: Option<Duration>,
    /// `frameRowsMax`.
    pub frame_rows_max: u64,
    /// `frameStep`.
    pub frame_step: Option<Duration>,
    /// `deadline`.
    pub deadline: Option<Duration>,
    /// Whether `deadlineFrom` says `record`.
    pub deadline_from_record: bool,
    /// Whether `modelSource` says `file`.
    pub models_from_files_only: bool,
    /// Every setting that is in force: its manual, its value, where it was given. In the order of the manual.
    pub in_force: Vec<InForce>,
}

/// A setting in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Its manual.
    pub spec: &'static SettingSpec,
    /// Its value as text; empty where it has none.
    pub value: String,
    /// Where it was given; None for the default, line 0 for the command line.
    pub at: Option<Location>,
}

/// One SET or `--set` that has been checked.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) spec: &'static SettingSpec,
    pub(crate) value: String,
    pub(crate) at: Location,
}

/// Checks a SET against the manual.
pub(crate) fn given(
    name: &str,
    name_at: Location,
    value: &str,
    at: Location,
) -> Result<Given, JobError> {
    let Some(spec) = SETTINGS.iter().find(|spec| spec.name == name) else {
        return Err(JobError::new(name_at, format!("unknown setting `{name}`"))
            .or_help(spark_words::setting(name, value.trim()))
            .nearest(name, SETTINGS.iter().map(|spec| spec.name)));
    };
    if spec.kind == SettingKind::Options {
        checkpoints::options(value, at)?;
    }
    let value = canonical(spec.kind, value.trim());
    if let Some(expected) = unfit(spec.kind, value) {
        let error = JobError::new(
            at,
            format!("setting `{name}` takes {expected}, not `{value}`"),
        );
        return Err(match spec.kind {
            SettingKind::OneOf(words) => error.nearest(value, words.iter().copied()),
            SettingKind::Trigger => error.or_help(spark_words::trigger(value)),
            _ => error,
        });
    }
    Ok(Given {
        spec,
        value: value.to_owned(),
        at,
    })
}

/// A word of a list as the list writes it; words are found in any case.
fn canonical(kind: SettingKind, value: &str) -> &str {
    match kind {
        SettingKind::OneOf(words) => words
            .iter()
            .find(|word| word.eq_ignore_ascii_case(value))
            .copied()
            .unwrap_or(value),
        _ => value,
    }
}

/// What the kind takes, where the value is not of it.
fn unfit(kind: SettingKind, value: &str) -> Option<String> {
    let fits = match kind {
        SettingKind::Text | SettingKind::Options => !value.is_empty(),
        SettingKind::Name | SettingKind::Table => is_name(value),
        SettingKind::Duration => parse_duration(value).is_some_and(|d| !d.is_zero()),
        SettingKind::Whole(low, high) => value
            .parse::<u64>()
            .is_ok_and(|n| (low..=high).contains(&n)),
        SettingKind::DurationOrNone => {
            value.eq_ignore_ascii_case("none")
                || parse_duration(value).is_some_and(|d| !d.is_zero())
        }
        SettingKind::WholeOrUnlimited => value == "unlimited" || value.parse::<u64>().is_ok(),
        SettingKind::OneOf(words) => words.contains(&value),
        SettingKind::Trigger => trigger(value).is_some(),
        SettingKind::Zone => zone(value).is_some(),
        SettingKind::Memory => memory(value).is_some(),
    };
    if fits { None } else { Some(describe(kind)) }
}

/// What a kind takes, in words.
pub fn describe(kind: SettingKind) -> String {
    match kind {
        SettingKind::Text => "a text".to_owned(),
        SettingKind::Options => "NAME=VALUE, several separated by commas".to_owned(),
        SettingKind::Name => "a name of letters, digits, `_`, `-` and `.`".to_owned(),
        SettingKind::Table => "the name of a table".to_owned(),
        SettingKind::Duration => "a duration such as '10 seconds' or '250 ms'".to_owned(),
        SettingKind::Whole(low, u64::MAX) => format!("a whole number of at least {low}"),
        SettingKind::Whole(low, high) => format!("a whole number from {low} to {high}"),
        SettingKind::DurationOrNone => "a duration such as '10 seconds', or 'none'".to_owned(),
        SettingKind::WholeOrUnlimited => "a whole number or 'unlimited'".to_owned(),
        SettingKind::OneOf(words) => format!("one of {}", words.join(", ")),
        SettingKind::Trigger => {
            "'continuous', 'once', 'available now' or a duration such as '8 seconds'".to_owned()
        }
        SettingKind::Zone => "a time zone such as 'Europe/Berlin', 'UTC' or '+05:30'".to_owned(),
        SettingKind::Memory => "a share such as '70 %' or an amount such as '512 MB'".to_owned(),
    }
}

/// Whether a text may be the name of a job or query: it names a folder and stands in headers.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with('.')
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn trigger(value: &str) -> Option<Trigger> {
    match value.to_ascii_lowercase().as_str() {
        "continuous" => Some(Trigger::Continuous),
        "once" => Some(Trigger::Once),
        "available now" => Some(Trigger::AvailableNow),
        other => parse_duration(other)
            .filter(|d| !d.is_zero())
            .map(Trigger::Interval),
    }
}

/// A share in percent, or an amount in bytes; K, M and G count by 1,024.
fn memory(value: &str) -> Option<Memory> {
    let value = value.trim();
    if let Some(share) = value.strip_suffix('%') {
        let share: f64 = share.trim().parse().ok()?;
        return (share > 0.0 && share <= 100.0).then_some(Memory::Share(share / 100.0));
    }
    parse_size(value).map(Memory::Bytes)
}

/// Settles what holds for one query: later entries win over earlier ones.
pub(crate) fn settle<'g>(given: impl Iterator<Item = &'g Given>) -> Settings {
    let mut in_force: Vec<InForce> = SETTINGS
        .iter()
        .map(|spec| InForce {
            spec,
            value: spec.default.to_owned(),
            at: None,
        })
        .collect();
    for one in given {
        if let Some(entry) = in_force
            .iter_mut()
            .find(|entry| entry.spec.name == one.spec.name)
        {
            entry.value.clone_from(&one.value);
            entry.at = Some(one.at);
        }
    }
    by_trigger(&mut in_force);
    let text = |name: &str| value(&in_force, name);
    let optional = |name: &str| {
        Some(text(name))
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    // Values have been checked; the defaults of the manual are tested.
    let duration = |name: &str| parse_duration(text(name)).unwrap_or_default();
    let whole = |name: &str| text(name).parse::<usize>().unwrap_or_default();
    let at = Location::default();
    let checkpoint_options =
        checkpoints::options(text("checkpointOptions"), at).unwrap_or_default();
    Settings {
        query_name: optional("queryName"),
        checkpoint_location: optional("checkpointLocation"),
        checkpoint_options,
        checkpoint_interval: duration("checkpointInterval"),
        checkpoints_kept: whole("checkpointsKept"),
        checkpoint_history: text("checkpointHistory") == "on",
        epoch_timeout: duration("epochTimeout"),
        open_epochs_max: whole("openEpochsMax"),
        delivery_timeout: duration("deliveryTimeout"),
        partition_metrics: text("partitionMetrics") == "on",
        trigger: trigger(text("trigger")).unwrap_or(Trigger::Continuous),
        output_mode: match text("outputMode") {
            "update" => OutputMode::Update,
            "complete" => OutputMode::Complete,
            _ => OutputMode::Append,
        },
        on_error: match text("onError") {
            "skip" => OnError::Skip,
            "deadLetter" => OnError::DeadLetter,
            _ => OnError::Fail,
        },
        dead_letter_table: optional("deadLetterTable"),
        show_records: text("showRecords") == "on",
        time_zone: zone(text("timeZone")).unwrap_or(Zone::UTC),
        ansi: text("ansi") == "true",
        stop_timeout: duration("stopTimeout"),
        restarts_max: text("restartsMax").parse().ok(),
        outage_timeout: parse_duration(text("outageTimeout")),
        shared: text("assignment") == "group",
        standby: whole("standbyReplicas"),
        through_topic: text("exchange") == "topic",
        idle_timeout: duration("idleTimeout"),
        alignment_max: duration("alignmentMax"),
        warm_up: parse_duration(text("warmUp")),
        coordinates: text("coordinates") == "on",
        state_memory_max: memory(text("stateMemoryMax")).unwrap_or(Memory::Share(0.7)),
        state_ttl: parse_duration(text("stateTtl")),
        frame_rows_max: text("frameRowsMax").parse().unwrap_or(u64::MAX),
        frame_step: parse_duration(text("frameStep")),
        deadline: parse_duration(text("deadline")),
        deadline_from_record: text("deadlineFrom") == "record",
        models_from_files_only: text("modelSource") == "file",
        in_force: in_force.iter().map(InForce::shown).collect(),
    }
}

fn value<'f>(in_force: &'f [InForce], name: &str) -> &'f str {
    in_force
        .iter()
        .find(|entry| entry.spec.name == name)
        .map_or("", |entry| entry.value.as_str())
}

/// A run that is to end must not wait for ever; one that is to go on is best there when the other side is back.
fn by_trigger(in_force: &mut [InForce]) {
    let ends = matches!(
        trigger(value(in_force, "trigger")),
        Some(Trigger::Once | Trigger::AvailableNow)
    );
    let timeout = in_force
        .iter_mut()
        .find(|entry| entry.spec.name == "outageTimeout" && entry.value.is_empty());
    if let Some(timeout) = timeout {
        timeout.value = if ends { "10 minutes" } else { "none" }.to_owned();
    }
}

impl InForce {
    /// As it may be shown: of options that may hold a secret, their names.
    fn shown(&self) -> Self {
        let mut shown = self.clone();
        if self.spec.kind == SettingKind::Options {
            let options = checkpoints::options(&self.value, Location::default());
            let options = options.unwrap_or_default();
            let names: Vec<&str> = options.iter().map(|entry| entry.name.as_str()).collect();
            shown.value = names.join(", ");
        }
        shown
    }
}

impl Settings {
    /// Where a setting was given; `otherwise` where it was not.
    pub fn at(&self, name: &str, otherwise: Location) -> Location {
        self.in_force
            .iter()
            .find(|entry| entry.spec.name == name)
            .and_then(|entry| entry.at)
            .unwrap_or(otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Location = Location { line: 1, column: 1 };

    fn set(name: &str, value: &str) -> Result<Given, JobError> {
        given(name, AT, value, AT)
    }

    #[test]
    fn every_default_is_a_value_that_its_setting_takes() {
        for spec in SETTINGS.iter().filter(|spec| !spec.default.is_empty()) {
            assert!(
                set(spec.name, spec.default).is_ok(),
                "{} {}",
                spec.name,
                spec.default
            );
        }
        let settings = settle(std::iter::empty());
        assert_eq!(settings.checkpoint_interval, Duration::from_secs(1));
        assert_eq!(settings.delivery_timeout, Duration::from_secs(120));
        assert_eq!(settings.trigger, Trigger::Continuous);
        assert_eq!(settings.restarts_max, None);
    }

    #[test]
    fn an_unknown_setting_is_refused_with_the_nearest_name() {
        let error = set("checkpointIntervall", "1 second").unwrap_err();
        assert_eq!(
            error.help.as_deref(),
            Some("did you mean `checkpointInterval`?")
        );
    }

    #[test]
    fn zones_have_names_or_are_so_far_from_utc() {
        assert_eq!(
            zone("Europe/Berlin"),
            Some(Zone::Region(chrono_tz::Tz::Europe__Berlin))
        );
        assert_eq!(zone("+02:00"), Some(Zone::Fixed(7200)));
        assert_eq!(zone("+05:30"), Some(Zone::Fixed(19_800)));
        assert_eq!(zone("Berlin"), None);
    }

    #[test]
    fn triggers_are_read_as_spark_writes_them() {
        assert_eq!(trigger("Available Now"), Some(Trigger::AvailableNow));
        assert_eq!(
            trigger("8 seconds"),
            Some(Trigger::Interval(Duration::from_secs(8)))
        );
        assert_eq!(trigger("0 seconds"), None);
        assert_eq!(trigger("soon"), None);
    }

    #[test]
    fn memory_is_a_share_or_an_amount() {
        assert_eq!(memory("70 %"), Some(Memory::Share(0.7)));
        assert_eq!(memory("512 MB"), Some(Memory::Bytes(512 << 20)));
        assert_eq!(memory("2g"), Some(Memory::Bytes(2 << 30)));
        for wrong in ["0 %", "120 %", "0", "much", "5 bananas", ""] {
            assert_eq!(memory(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn later_values_win() {
        let all = [
            set("ansi", "false").unwrap(),
            set("ansi", "true").unwrap(),
            set("trigger", "once").unwrap(),
        ];
        let settings = settle(all.iter());
        assert!(settings.ansi);
        assert_eq!(settings.trigger, Trigger::Once);
    }
}
