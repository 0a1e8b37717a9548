//! What the options of a Kinesis table come to.

use std::time::Duration;

use super::manual::{ALIASES, OPTIONS};
use super::starting::Starting;
use crate::job_error::JobError;
use crate::table::{OptionValue, Table, parse_duration};

/// The shortest time from one read of a shard to the next: it takes five reads a second.
pub(super) const READ_INTERVAL: Duration = Duration::from_millis(200);
/// The idle time of `addIdleTimeBetweenReads`.
const IDLE_DEFAULT: u64 = 1_000;

/// The credentials that the options give.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// A role to assume.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) session: String,
    pub(crate) endpoint: Option<String>,
}

/// What the options come to.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) stream: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) keys: Option<Keys>,
    pub(crate) role: Option<Role>,
    pub(crate) instance_profile: bool,
    pub(crate) starting: Starting,
    pub(crate) fail_on_data_loss: bool,
    /// Records per read.
    pub(crate) per_read: i32,
    /// Records of a shard per trigger interval.
    pub(crate) per_interval: Option<u64>,
    /// From one read of a shard to the next.
    pub(crate) idle: Duration,
    pub(crate) list_interval: Duration,
    pub(crate) retries: u32,
    pub(crate) retry_interval: Duration,
    pub(crate) retry_interval_max: Duration,
}

impl Settings {
    /// Reads and checks the options of a table.
    ///
    /// # Errors
    /// With the place in the job file.
    pub(crate) fn of(table: &Table) -> Result<Self, JobError> {
        table.options.verify("connector kinesis", OPTIONS)?;
        let options = Given { table };
        for names in ALIASES {
            options.one_of(names)?;
        }
        if let Some(entry) = table.options.entry("kinesis.consumerType")
            && !entry.value.trim().eq_ignore_ascii_case("GetRecords")
        {
            return Err(wrong(
                entry,
                "takes GetRecords: shards are read by polling, there is no enhanced fan-out consumer",
            ));
        }
        let Some(stream) = options.text("streamName") else {
            return Err(JobError::new(
                table.at,
                format!("table `{}` needs the option `streamName`", table.name),
            ));
        };
        let (endpoint, region) = options.endpoint()?;
        let starting = match options.entry("startingPosition") {
            Some(entry) => Starting::of(&entry.value).map_err(|reason| wrong(entry, &reason))?,
            None => Starting::All(super::starting::From::Latest),
        };
        let millis = |name, default| Duration::from_millis(options.number(name).unwrap_or(default));
        let retry_interval = millis("kinesis.client.retryIntervalMs", 200);
        Ok(Self {
            stream,
            endpoint,
            region,
            keys: options.keys()?,
            role: options.role()?,
            instance_profile: table.options.flag("awsUseInstanceProfile", true),
            starting,
            fail_on_data_loss: options
                .text("failOnDataLoss")
                .is_none_or(|value| value.eq_ignore_ascii_case("true")),
            per_read: options
                .number("kinesis.executor.maxRecordPerRead")
                .and_then(|number| i32::try_from(number).ok())
                .unwrap_or(10_000),
            per_interval: options.number("kinesis.executor.maxFetchRecordsPerShard"),
            idle: options.idle()?,
            list_interval: options
                .text("kinesis.client.describeShardInterval")
                .and_then(|text| parse_duration(&text))
                .unwrap_or(Duration::from_secs(1))
                .max(Duration::from_millis(100)),
            retries: options
                .number("kinesis.client.numRetries")
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(3),
            retry_interval,
            retry_interval_max: millis("kinesis.client.maxRetryIntervalMs", 10_000)
                .max(retry_interval),
        })
    }

    /// Where the service is, for messages.
    pub(crate) fn place(&self) -> String {
        match (&self.endpoint, &self.region) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some(region)) => format!("Kinesis in {region}"),
            (None, None) => "Kinesis".to_owned(),
        }
    }
}

/// An error of an option's value.
fn wrong(entry: &OptionValue, reason: &str) -> JobError {
    JobError::new(entry.at, format!("option `{}` {reason}", entry.name))
}

/// The options by the names of the manual, whichever of its names a user has taken.
struct Given<'t> {
    table: &'t Table,
}

impl<'t> Given<'t> {
    /// The option by one of these names; refuses two that differ.
    fn one_of(&self, names: &[&str]) -> Result<Option<&'t OptionValue>, JobError> {
        let mut given = names
            .iter()
            .filter_map(|name| self.table.options.entry(name));
        let Some(first) = given.next() else {
            return Ok(None);
        };
        match given.find(|other| other.value.trim() != first.value.trim()) {
            None => Ok(Some(first)),
            Some(other) => Err(JobError::new(
                other.at,
                format!(
                    "`{}` and `{}` are the same option, and are given differently",
                    first.name, other.name
                ),
            )
            .help("leave one of them away")),
        }
    }

    fn entry(&self, name: &str) -> Option<&'t OptionValue> {
        let names = ALIASES.iter().find(|names| names[0] == name);
        let alone = [name];
        self.one_of(names.copied().unwrap_or(&alone)).ok().flatten()
    }

    fn text(&self, name: &str) -> Option<String> {
        let text = self.entry(name)?.value.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// Endpoint and region, which must fit each other.
    fn endpoint(&self) -> Result<(Option<String>, Option<String>), JobError> {
        let (endpoint, region) = (self.text("endpointUrl"), self.text("region"));
        let (Some(url), Some(entry)) = (&endpoint, self.entry("endpointUrl")) else {
            return Ok((endpoint, region));
        };
        let host = url
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
            .map(|(_, rest)| rest.split(['/', ':']).next().unwrap_or_default())
            .filter(|host| !host.is_empty())
            .ok_or_else(|| {
                wrong(
                    entry,
                    "takes an address such as https://kinesis.eu-west-1.amazonaws.com",
                )
            })?;
        let named = region_of(host);
        match (&region, &named) {
            (Some(region), Some(named)) if region != named => Err(wrong(
                entry,
                &format!(
                    "names the region {named}, and `region` says {region}: leave `region` away, or mend one of them"
                ),
            )),
            _ => Ok((endpoint, region.or(named))),
        }
    }

    fn keys(&self) -> Result<Option<Keys>, JobError> {
        match (self.entry("awsAccessKeyId"), self.entry("awsSecretKey")) {
            (Some(id), Some(secret)) => Ok(Some(Keys {
                id: id.value.trim().to_owned(),
                secret: secret.value.trim().to_owned(),
            })),
            (None, None) => Ok(None),
            (Some(id), None) => Err(wrong(id, "needs the option `awsSecretKey` beside it")),
            (None, Some(secret)) => {
                Err(wrong(secret, "needs the option `awsAccessKeyId` beside it"))
            }
        }
    }

    fn role(&self) -> Result<Option<Role>, JobError> {
        let endpoint = self.text("kinesis.stsEndpointUrl");
        if let Some(arn) = self.text("awsSTSRoleARN") {
            let session = self.text("awsSTSSessionName");
            return Ok(Some(Role {
                arn,
                session: session.unwrap_or_else(|| "thalweg".to_owned()),
                endpoint,
            }));
        }
        let without = ["awsSTSSessionName", "kinesis.stsEndpointUrl"];
        match without.iter().find_map(|name| self.entry(name)) {
            Some(entry) => Err(wrong(
                entry,
                "is of a role, and there is no `awsSTSRoleARN`",
            )),
            None => Ok(None),
        }
    }

    fn idle(&self) -> Result<Duration, JobError> {
        let add = self
            .entry("kinesis.executor.addIdleTimeBetweenReads")
            .map(|entry| entry.value.trim().eq_ignore_ascii_case("true"));
        let given = self.entry("kinesis.executor.idleTimeBetweenReadsInMs");
        if let (Some(false), Some(entry)) = (add, given) {
            return Err(wrong(
                entry,
                "says how long to wait, and `addIdleTimeBetweenReads` says not to",
            ));
        }
        let millis = self.number("kinesis.executor.idleTimeBetweenReadsInMs");
        Ok(match (millis, add) {
            (Some(millis), _) => Duration::from_millis(millis),
            (None, Some(true)) => Duration::from_millis(IDLE_DEFAULT),
            (None, _) => READ_INTERVAL,
        })
    }
}

/// The region in the name of one of AWS' own hosts: `kinesis.eu-west-1.amazonaws.com`.
fn region_of(host: &str) -> Option<String> {
    let mut labels = host.split('.');
    labels.find(|label| label.contains("kinesis"))?;
    let label = labels.next()?;
    let mut words = label.split('-');
    let number = words.next_back()?;
    let is_region = words.count() >= 2 && number.parse::<u8>().is_ok() && labels.next().is_some();
    is_region.then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job_error::Location;
    use crate::table::Options;

    fn settings(entries: &[(&str, &str)]) -> Result<Settings, JobError> {
        let at = Location { line: 1, column: 1 };
        let options = entries.iter().map(|(name, value)| OptionValue {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            substituted: false,
            at,
        });
        Settings::of(&Table {
            name: "messages".into(),
            at,
            connector: "kinesis".into(),
            columns: None,
            primary_key: Vec::new(),
            partitioned_by: Vec::new(),
            options: Options::new(options.collect()),
        })
    }

    fn refused(entries: &[(&str, &str)]) -> String {
        match settings(entries) {
            Ok(_) => panic!("{entries:?} is taken"),
            Err(error) => error.message,
        }
    }

    #[test]
    fn the_options_of_each_connector_say_the_same() {
        for entries in [
            &[
                ("streamName", "s"),
                ("endpointUrl", "https://kinesis.us-east-2.amazonaws.com"),
                ("startingposition", "TRIM_HORIZON"),
                ("awsAccessKeyId", "a"),
                ("awsSecretKey", "b"),
            ][..],
            &[
                ("kinesis.streamName", "s"),
                ("kinesis.region", "us-east-2"),
                ("kinesis.startingposition", "EARLIEST"),
                ("kinesis.consumerType", "GetRecords"),
                ("kinesis.awsAccessKeyId", "a"),
                ("kinesis.awsSecretKey", "b"),
            ],
            &[
                ("streamName", "s"),
                ("region", "us-east-2"),
                ("initialPosition", "trim_horizon"),
                ("awsAccessKey", "a"),
                ("awsSecretKey", "b"),
            ],
        ] {
            let settings = settings(entries).unwrap();
            assert_eq!(settings.stream, "s");
            assert_eq!(settings.region.as_deref(), Some("us-east-2"));
            assert_eq!(
                settings.starting.place("x", 1),
                super::super::place::Place::Oldest
            );
            let keys = settings.keys.unwrap();
            assert_eq!((keys.id.as_str(), keys.secret.as_str()), ("a", "b"));
            assert_eq!(settings.idle, READ_INTERVAL);
        }
    }

    #[test]
    fn two_names_of_one_option_must_not_differ() {
        let both = [("streamName", "s"), ("kinesis.streamName", "t")];
        assert!(refused(&both).contains("are the same option"));
        assert!(settings(&[("streamName", "s"), ("kinesis.streamName", "s")]).is_ok());
        let regions = [
            ("streamName", "s"),
            ("endpointUrl", "https://kinesis.us-east-2.amazonaws.com"),
            ("region", "eu-west-1"),
        ];
        assert!(refused(&regions).contains("names the region us-east-2"));
    }

    #[test]
    fn what_has_no_effect_is_refused_with_the_reason() {
        let with = |name, value| refused(&[("streamName", "s"), (name, value)]);
        assert!(with("kinesis.consumerType", "SubscribeToShard").contains("fan-out"));
        assert!(with("kinesis.client.avoidEmptyBatches", "true").contains("emits nothing"));
        assert!(with("kinesis.executor.maxFetchTimeInMs", "1000").contains("no batch"));
        assert!(with("kinesis.metadataCommitterType", "DYNAMODB").contains("checkpoint"));
        assert!(with("awsSTSSessionName", "x").contains("awsSTSRoleARN"));
        assert!(with("awsAccessKeyId", "x").contains("awsSecretKey"));
        assert!(with("endpointUrl", "localhost:4567").contains("address"));
        assert!(with("kinesis.executor.idleTimeBetweenReadsInMs", "50").contains("from 200"));
        assert!(refused(&[("region", "eu-west-1")]).contains("streamName"));
    }

    #[test]
    fn idle_time_counts_when_it_is_given_or_asked_for() {
        let idle = |entries: &[(&str, &str)]| {
            let mut all = vec![("streamName", "s")];
            all.extend_from_slice(entries);
            settings(&all).map(|settings| settings.idle.as_millis())
        };
        let (add, time) = (
            "kinesis.executor.addIdleTimeBetweenReads",
            "kinesis.executor.idleTimeBetweenReadsInMs",
        );
        assert_eq!(idle(&[(add, "true")]).unwrap(), 1000);
        assert_eq!(idle(&[(add, "true"), (time, "500")]).unwrap(), 500);
        assert_eq!(
            idle(&[("kinesis.getRecords.fetchIntervalMs", "250")]).unwrap(),
            250
        );
        assert!(idle(&[(add, "false"), (time, "500")]).is_err());
    }

    #[test]
    fn the_region_stands_in_the_names_of_aws_own_hosts_only() {
        let region = |host| region_of(host);
        let some = |region: &str| Some(region.to_owned());
        assert_eq!(region("kinesis.eu-west-1.amazonaws.com"), some("eu-west-1"));
        assert_eq!(
            region("kinesis-fips.us-gov-west-1.amazonaws.com"),
            some("us-gov-west-1")
        );
        assert_eq!(
            region("vpce-1.kinesis.us-east-1.vpce.amazonaws.com"),
            some("us-east-1")
        );
        assert_eq!(
            region("123.data-kinesis.us-east-1.amazonaws.com"),
            some("us-east-1")
        );
        assert_eq!(region("127.0.0.1"), None);
        assert_eq!(region("kinesis.example"), None);
    }
}
