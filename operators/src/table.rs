//! Tables as the job declares them, and their options: what the connectors are built from.

use thalweg_engine::schema::Field;

use crate::coordinates::Coordinates;
use crate::expr::calendar::Zone;
use crate::job_error::{JobError, Location};
use crate::secrets;
use crate::sql::spark_words;

/// What a `CREATE TABLE` says. The connector decides what it means.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub at: Location,
    /// The connector after `USING`, in lower case.
    pub connector: String,
    /// The declared columns; None when there is no list.
    pub columns: Option<Vec<Field>>,
    /// The columns of `PRIMARY KEY`.
    pub primary_key: Vec<String>,
    /// The columns of `PARTITIONED BY`.
    pub partitioned_by: Vec<String>,
    /// The options.
    pub options: Options,
}

impl Table {
    /// A table that a program declares itself, as `CREATE TABLE name USING connector` does.
    pub fn using(name: impl Into<String>, connector: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            at: Location::default(),
            connector: connector.into().to_lowercase(),
            columns: None,
            primary_key: Vec::new(),
            partitioned_by: Vec::new(),
            options: Options::default(),
        }
    }

    /// With one option more.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.entries.push(OptionValue {
            name: name.into(),
            value: value.into(),
            substituted: false,
            at: Location::default(),
        });
        self
    }

    /// With these columns.
    #[must_use]
    pub fn columns(mut self, columns: impl Into<Vec<Field>>) -> Self {
        self.columns = Some(columns.into());
        self
    }
}

/// What connectors know of the run that opens them.
#[derive(Clone, Debug)]
pub struct OpenContext {
    /// The job's name.
    pub job: String,
    /// The query's name.
    pub query: String,
    /// The run's id, unique for each life of a query.
    pub run: String,
    /// Whether the query keeps its checkpoints in a temporary folder: it then neither reads nor writes anything that
    /// outlives it (Kafka's group).
    pub temporary: bool,
    /// Whether the user has asked to begin anew although a witness of an earlier checkpoint exists (`--fresh`).
    pub fresh: bool,
    /// The checkpoint folder, for messages.
    pub checkpoint: String,
    /// The name of this process among those that share the inputs, where several do.
    pub member: Option<String>,
    /// Whether the query has another input before this one: a process can be a member of one group once, so where processes
    /// share the inputs this one has a group of its own.
    pub further: bool,
    /// How long a record may stay unacknowledged while its broker answers.
    pub delivery_timeout: std::time::Duration,
    /// The trigger's interval; None when continuous.
    pub trigger_interval: Option<std::time::Duration>,
    /// Whether the run ends where its inputs end now: the triggers `once` and `available now`.
    pub bounded: bool,
    /// Whether each trigger writes the whole result again: the output mode `complete`.
    pub complete: bool,
    /// Whether each partition of the input keeps state of its own, because PARTITIONED BY says that keys do not move.
    pub partitioned: bool,
    /// What an output does with coordinates.
    pub coordinates: Coordinates,
    /// The session's time zone: for times that are read or shown as text.
    pub time_zone: Zone,
}

/// One option as it was written, with `${...}` replaced.
#[derive(Clone)]
pub struct OptionValue {
    /// The name as it was written.
    pub name: String,
    /// The value. May be a secret: never print it, except through [`Options::shown`].
    pub value: String,
    /// Whether a `${...}` took part in the value.
    pub substituted: bool,
    /// Where the name stands.
    pub at: Location,
}

impl std::fmt::Debug for OptionValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

/// The options of a table; names are case-insensitive, as in Spark.
#[derive(Clone, Debug, Default)]
pub struct Options {
    entries: Vec<OptionValue>,
}

/// What kind of value an option takes; for messages and for the docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Any text.
    Text,
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A whole number in this range, both ends included.
    Whole(i64, i64),
    /// A duration such as `10 seconds`, `250 ms`, `1 minute`.
    Duration,
    /// The same, or a bare number, which counts these units: `milliseconds`, `seconds`.
    DurationIn(&'static str),
    /// An amount in bytes such as `128 MB`, `64k`, `1 GB`; K, M and G count by 1,024.
    Size,
    /// Known from Spark, without meaning here: refused, with the description as the reason.
    Refused,
}

/// The manual of one option: what connectors declare, what `check` verifies and what the docs show.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name, as Spark writes it. A name that ends with `*` stands for all names that begin so.
    pub name: &'static str,
    /// What it takes.
    pub kind: OptionKind,
    /// Its default, as text; empty where there is none.
    pub default: &'static str,
    /// A value that it takes; empty for [`OptionKind::Refused`]. `${...}` stands for a value from outside, as in a job.
    pub example: &'static str,
    /// What it does; for [`OptionKind::Refused`] why it is refused.
    pub about: &'static str,
}

/// Several manuals as one. `N` is how many options they have together.
pub(crate) const fn joined<const N: usize>(manuals: &[&[OptionSpec]]) -> [OptionSpec; N] {
    let mut all = [manuals[0][0]; N];
    let (mut manual, mut from, mut to) = (0, 0, 0);
    while manual < manuals.len() {
        while from < manuals[manual].len() {
            all[to] = manuals[manual][from];
            from += 1;
            to += 1;
        }
        manual += 1;
        from = 0;
    }
    assert!(to == N, "N is not the number of the options");
    all
}

/// The manual of an option.
pub(crate) const fn option(
    name: &'static str,
    kind: OptionKind,
    default: &'static str,
    example: &'static str,
    about: &'static str,
) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        default,
        example,
        about,
    }
}

/// The manual of an option of Spark that has no meaning here, with the reason.
pub(crate) const fn refused(name: &'static str, about: &'static str) -> OptionSpec {
    option(name, OptionKind::Refused, "", "", about)
}

impl Options {
    /// Options in the order in which they were written.
    pub fn new(entries: Vec<OptionValue>) -> Self {
        Self { entries }
    }

    /// All options, in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = &OptionValue> {
        self.entries.iter()
    }

    /// The option of this name, in any case.
    pub fn entry(&self, name: &str) -> Option<&OptionValue> {
        self.entries
            .iter()
            .find(|entry| entry.name.eq_ignore_ascii_case(name))
    }

    /// The value of the option of this name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entry(name).map(|entry| entry.value.as_str())
    }

    /// Where the option stands; `otherwise` (the table's place) when it is absent.
    pub fn at(&self, name: &str, otherwise: Location) -> Location {
        self.entry(name).map_or(otherwise, |entry| entry.at)
    }

    /// Whether both say the same, whatever stands between the words.
    pub fn are(&self, other: &Self) -> bool {
        let said = |entry: &OptionValue| (entry.name.to_ascii_lowercase(), entry.value.clone());
        self.iter().map(said).eq(other.iter().map(said))
    }

    /// Whether one has a value that `${...}` puts in.
    pub fn are_substituted(&self) -> bool {
        self.iter().any(|option| option.substituted)
    }

    /// A boolean option that [`Options::verify`] has seen.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.get(name)
            .map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// A whole number that [`Options::verify`] has seen.
    pub fn whole(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|value| value.trim().parse().ok())
    }

    /// The value as a report may show it: passwords, keys, headers, and everything that came from `${...}` are hidden, also
    /// those that stand in an address.
    pub fn shown(entry: &OptionValue) -> String {
        let name = entry.name.to_ascii_lowercase();
        // Kafka's option `headers` is the name of a column.
        let headers = name == "headers" && entry.value.contains(':');
        // A check that connects to nothing keeps what it cannot know: nothing came from there.
        let unknown = entry.value.strip_prefix("${");
        let unknown = unknown.and_then(|rest| rest.strip_suffix('}'));
        if entry.substituted && unknown.is_some_and(|name| !name.contains(['$', '{', '}'])) {
            format!("{} (no value here)", entry.value)
        } else if entry.substituted || headers || secrets::named(&name) {
            secrets::HIDDEN.to_owned()
        } else if name == "url" || name == "schema.registry.url" {
            let urls = entry.value.split(',').map(crate::sinks::http::shown_url);
            urls.collect::<Vec<_>>().join(",")
        } else {
            entry.value.clone()
        }
    }

    /// Checks every option against a connector's manual.
    ///
    /// # Errors
    /// For an unknown name (with the nearest known one), a value of the wrong kind, a name given twice, or an option
    /// that has no meaning here (with the reason).
    pub fn verify(&self, owner: &str, specs: &[OptionSpec]) -> Result<(), JobError> {
        for (index, entry) in self.entries.iter().enumerate() {
            if self.entries[..index]
                .iter()
                .any(|earlier| earlier.name.eq_ignore_ascii_case(&entry.name))
            {
                return Err(JobError::new(
                    entry.at,
                    format!("option `{}` is given twice", entry.name),
                ));
            }
            // An exact name wins over a prefix, so that `kafka.group.id` may differ from `kafka.*`.
            let spec = specs
                .iter()
                .find(|spec| spec.name.eq_ignore_ascii_case(&entry.name))
                .or_else(|| specs.iter().find(|spec| spec.covers(&entry.name)));
            let Some(spec) = spec else {
                let prefixed = || {
                    let clients =
                        entry.name.contains('.') && specs.iter().any(|s| s.name == "kafka.*");
                    clients.then_some("properties of the Kafka client begin with `kafka.`")
                };
                return Err(JobError::new(
                    entry.at,
                    format!("unknown option `{}` of {owner}", entry.name),
                )
                .or_help(spark_words::option(&entry.name, &Options::shown(entry)))
                .nearest(&entry.name, specs.iter().map(|spec| spec.name))
                .or_help(prefixed()));
            };
            let advice = || spark_words::value(owner, &entry.name, &entry.value);
            spec.accept(entry)
                .map_err(|error| error.or_help(advice()))?;
        }
        Ok(())
    }
}

impl OptionSpec {
    fn covers(&self, name: &str) -> bool {
        self.name.strip_suffix('*').is_some_and(|prefix| {
            name.get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        })
    }

    /// Why the option does not take this value, if it does not.
    pub(crate) fn refuses(&self, value: &str) -> Option<String> {
        let entry = OptionValue {
            name: self.name.to_owned(),
            value: value.to_owned(),
            substituted: false,
            at: Location::default(),
        };
        self.accept(&entry).err().map(|error| error.message)
    }

    fn accept(&self, entry: &OptionValue) -> Result<(), JobError> {
        let value = entry.value.trim();
        let expected = match self.kind {
            OptionKind::Text => return Ok(()),
            OptionKind::Refused => {
                return Err(JobError::new(
                    entry.at,
                    format!(
                        "option `{}` has no meaning here: {}",
                        entry.name, self.about
                    ),
                ));
            }
            OptionKind::OneOf(words) => {
                if words.iter().any(|word| word.eq_ignore_ascii_case(value)) {
                    return Ok(());
                }
                format!("one of {}", words.join(", "))
            }
            OptionKind::Boolean => {
                if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
                    return Ok(());
                }
                "true or false".to_owned()
            }
            OptionKind::Whole(low, high) => {
                if value
                    .parse::<i64>()
                    .is_ok_and(|n| (low..=high).contains(&n))
                {
                    return Ok(());
                }
                if high == i64::MAX {
                    format!("a whole number of at least {low}")
                } else {
                    format!("a whole number from {low} to {high}")
                }
            }
            OptionKind::Duration => {
                if parse_duration(value).is_some() {
                    return Ok(());
                }
                "a duration such as '10 seconds' or '250 ms'".to_owned()
            }
            OptionKind::DurationIn(unit) => {
                if parse_duration_in(value, unit).is_some() {
                    return Ok(());
                }
                format!("a duration such as '10 seconds', or a number of {unit}")
            }
            OptionKind::Size => {
                if parse_size(value).is_some() {
                    return Ok(());
                }
                "an amount of bytes such as '128 MB'".to_owned()
            }
        };
        let shown = if entry.substituted {
            String::new()
        } else {
            format!(", not `{}`", entry.value)
        };
        let error = JobError::new(
            entry.at,
            format!("option `{}` takes {expected}{shown}", entry.name),
        );
        Err(match self.kind {
            OptionKind::OneOf(words) if !entry.substituted => {
                error.nearest(value, words.iter().copied())
            }
            _ => error,
        })
    }
}

/// An amount in bytes, more than none: a number and a unit (`128 MB`, `64k`, `1000`); K, M and G count by 1,024.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit).filter(|bytes| *bytes > 0)
}

/// A duration, or a bare number of this unit.
pub(crate) fn parse_duration_in(text: &str, unit: &str) -> Option<std::time::Duration> {
    let bare = text.trim().parse::<u64>();
    bare.map_or_else(
        |_| parse_duration(text),
        |number| parse_duration(&format!("{number} {unit}")),
    )
}

/// A duration as Spark writes it: a number and a unit (`8 seconds`, `1 minute`, `250 ms`, `1.5 hours`, `10s`, `7d`), or
/// several in a row. None when it is not one or is negative.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    let text = text.trim().to_ascii_lowercase();
    let mut rest = text.strip_prefix("interval ").unwrap_or(&text).trim();
    if rest.is_empty() {
        return None;
    }
    let mut micros = 0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|end| *end > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "us" | "microsecond" | "microseconds" => 1.0,
            "ms" | "millisecond" | "milliseconds" => 1e3,
            "s" | "sec" | "second" | "seconds" => 1e6,
            "m" | "min" | "minute" | "minutes" => 60e6,
            "h" | "hour" | "hours" => 3600e6,
            "d" | "day" | "days" => 86_400e6,
            "w" | "week" | "weeks" => 604_800e6,
            _ => return None,
        };
        micros += number * unit;
        rest = rest[letters..].trim_start();
    }
    std::time::Duration::try_from_secs_f64(micros / 1e6).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[OptionSpec] = &[
        OptionSpec {
            name: "subscribe",
            kind: OptionKind::Text,
            default: "",
            example: "a",
            about: "topics",
        },
        OptionSpec {
            name: "minPartitions",
            kind: OptionKind::Refused,
            default: "",
            example: "",
            about: "each partition has one actor",
        },
        OptionSpec {
            name: "kafka.*",
            kind: OptionKind::Text,
            default: "",
            example: "b",
            about: "passed on",
        },
    ];

    fn options(entries: &[(&str, &str)]) -> Options {
        Options::new(
            entries
                .iter()
                .map(|(name, value)| OptionValue {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                    substituted: false,
                    at: Location { line: 1, column: 1 },
                })
                .collect(),
        )
    }

    #[test]
    fn a_misspelt_option_is_refused_with_the_nearest_name() {
        let error = options(&[("subscirbe", "a")])
            .verify("kafka", SPECS)
            .unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `subscribe`?"));
    }

    #[test]
    fn an_option_of_spark_without_meaning_is_refused_with_the_reason() {
        let error = options(&[("minPartitions", "4")])
            .verify("kafka", SPECS)
            .unwrap_err();
        assert!(error.message.contains("each partition has one actor"));
    }

    #[test]
    fn names_are_case_insensitive_and_dotted_names_pass_by_their_prefix() {
        let options = options(&[("SUBSCRIBE", "a"), ("kafka.fetch.min.bytes", "1")]);
        options.verify("kafka", SPECS).unwrap();
        assert_eq!(options.get("subscribe"), Some("a"));
    }

    #[test]
    fn a_bare_number_is_a_duration_where_its_unit_is_known() {
        let ms = |text| parse_duration_in(text, "milliseconds").map(|d| d.as_millis());
        assert_eq!(ms("100"), Some(100));
        assert_eq!(ms("0"), Some(0));
        assert_eq!(ms("7d"), Some(604_800_000));
        assert_eq!(ms("-1"), None);
        assert_eq!(parse_duration("100"), None);
    }

    #[test]
    fn durations_are_read_as_spark_writes_them() {
        let ms = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(ms("8 seconds"), Some(8000));
        assert_eq!(ms("250ms"), Some(250));
        assert_eq!(ms("1 minute 30 seconds"), Some(90_000));
        assert_eq!(ms("interval 1 hour"), Some(3_600_000));
        assert_eq!(ms("5"), None);
        assert_eq!(ms("-5 seconds"), None);
        assert_eq!(ms("soon"), None);
    }
}
