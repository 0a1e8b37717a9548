//! What the options of a Kafka table come to.

use std::time::Duration;

use thalweg_engine::error::Failure;

use super::addresses;
use super::client::{Configuration, PropertyError};
use super::java_names::{self, Translated};
use super::manual::{SINK_OPTIONS, SOURCE_OPTIONS};
use super::partitioner::Partitioner;
use super::starting::{Starting, Subscription};
use super::trust::trust;
use crate::job_error::{JobError, nearest};
use crate::table::{OptionSpec, OptionValue, Options, Table};

/// Checks all options of a table, which may be an input, an output or both.
pub(crate) fn verify(table: &Table) -> Result<(), JobError> {
    let all: Vec<OptionSpec> = SOURCE_OPTIONS.iter().chain(SINK_OPTIONS).copied().collect();
    table.options.verify("a Kafka table", &all)
}

/// How brokers are reached, and the client properties that the user has set.
#[derive(Clone)]
pub(crate) struct Connection {
    /// The bootstrap servers, for messages.
    pub(crate) servers: String,
    client: Translated,
}

impl Connection {
    /// Reads and checks the client properties of a table.
    pub(crate) fn of(table: &Table) -> Result<Self, JobError> {
        let Some(servers) = table.options.entry("kafka.bootstrap.servers") else {
            let message = format!(
                "table `{}` needs the option `kafka.bootstrap.servers`",
                table.name
            );
            let is_near = |name: &str| nearest(name, ["kafka.bootstrap.servers"]).is_some();
            let mut all = table.options.iter();
            let misspelt = all.find(|entry| is_near(&entry.name));
            return Err(match misspelt {
                Some(entry) => JobError::new(entry.at, message).help(format!(
                    "did you mean `kafka.bootstrap.servers` instead of `{}`?",
                    entry.name
                )),
                None => JobError::new(table.at, message),
            });
        };
        addresses::check(servers)?;
        let client = java_names::translate(&table.options)?;
        let mut scratch = Configuration::new();
        for entry in table.options.iter() {
            let Some(name) = java_names::property_name(entry) else {
                continue;
            };
            // Only values that reach the client as they are: the others were checked by the translation.
            let native = java_names::native(&name);
            if client.properties.iter().any(|(passed, _)| passed == native) {
                accept(&mut scratch, entry, native)?;
            }
        }
        let connection = Self {
            servers: servers.value.trim().to_owned(),
            client,
        };
        connection.has_tokens(table)?;
        Ok(connection)
    }

    /// A login by a token needs to know where one comes from: without, the client would wait for it and say nothing.
    fn has_tokens(&self, table: &Table) -> Result<(), JobError> {
        let is = |name: &str, value: &str| {
            let given = self.property(name).map(str::trim);
            given.is_some_and(|given| given.eq_ignore_ascii_case(value))
        };
        let by_token = is("sasl.mechanisms", "OAUTHBEARER")
            && (is("security.protocol", "SASL_SSL") || is("security.protocol", "SASL_PLAINTEXT"));
        if !by_token
            || is("sasl.oauthbearer.method", "oidc")
            || is("enable.sasl.oauthbearer.unsecure.jwt", "true")
        {
            return Ok(());
        }
        let message = format!(
            "table `{}` logs in by OAUTHBEARER and says not where a token comes from",
            table.name
        );
        Err(
            JobError::new(table.options.at("kafka.sasl.mechanism", table.at), message).help(
                "set kafka.sasl.oauthbearer.token.endpoint.url, and clientId and clientSecret of an OAuthBearerLoginModule in \
                 kafka.sasl.jaas.config; or with librdkafka's own words kafka.sasl.oauthbearer.method 'oidc'",
            ),
        )
    }

    /// What the user says beside brokers, logins and certificates; None where that is nothing.
    pub(super) fn without_brokers(&self) -> Option<Self> {
        const REACHING: [&str; 8] = [
            "bootstrap.servers",
            "debug",
            "enable.sasl.",
            "enable.ssl.",
            "metadata.broker.list",
            "sasl.",
            "security.",
            "ssl.",
        ];
        let reaching = |name: &str| REACHING.iter().any(|prefix| name.starts_with(prefix));
        let mut properties = self.client.properties.clone();
        properties.retain(|(name, _)| !reaching(name));
        (!properties.is_empty()).then(|| Self {
            servers: String::new(),
            client: Translated {
                properties,
                truststore: None,
            },
        })
    }

    /// The value that the user has given to a client property.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.client
            .properties
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A client's configuration: defaults, what the user says, and what must be so.
    pub(crate) fn configuration(
        &self,
        defaults: &[(&str, &str)],
        fixed: &[(&str, &str)],
    ) -> Result<Configuration, Failure> {
        let mut configuration = Configuration::new();
        if let Some((path, password)) = &self.client.truststore {
            trust(&mut configuration, path, password)?;
        }
        let users = self
            .client
            .properties
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in defaults
            .iter()
            .copied()
            .chain(users)
            .chain(fixed.iter().copied())
        {
            configuration.set(name, value).map_err(|_| {
                Failure::refuse(format!(
                    "the Kafka client does not take this value of `{name}`"
                ))
            })?;
        }
        Ok(configuration)
    }
}

/// Tries a property on a configuration that is thrown away.
fn accept(scratch: &mut Configuration, entry: &OptionValue, name: &str) -> Result<(), JobError> {
    match scratch.set(name, &entry.value) {
        Ok(()) => Ok(()),
        Err(PropertyError::Unknown) => {
            let error = JobError::new(
                entry.at,
                format!("`{}` is no property of the Kafka client", entry.name),
            );
            let names = scratch.names();
            let mut known: Vec<&str> = names.iter().map(String::as_str).collect();
            known.extend(TOPIC_PROPERTIES);
            known.extend(UNSET_PROPERTIES);
            for java in java_names::known() {
                known.push(java);
            }
            let nearest = nearest(name, known).map(str::to_owned);
            Err(match nearest {
                Some(nearest) => error.help(format!("did you mean `kafka.{nearest}`?")),
                None => error,
            })
        }
        Err(PropertyError::Invalid(reason)) => {
            let hidden = Options::shown(entry) != entry.value;
            let message = if hidden {
                format!("the value of `{}` is not allowed", entry.name)
            } else {
                format!("the value of `{}` is not allowed: {reason}", entry.name)
            };
            Err(JobError::new(entry.at, message))
        }
    }
}

/// How long a client of a job waits for an answer before it gives the connection up and makes another; the library's own minute
/// is as long as a lost machine would hold records up, although its partitions have other leaders after ten seconds. What is
/// asked once more is not written twice: producers are idempotent.
pub(super) const ANSWER_MS: usize = 10_000;

/// The same as the client's property.
pub(super) const SOCKET_TIMEOUT: (&str, &str) = ("socket.timeout.ms", "10000");

/// Properties that the client does not list while they have no value.
const UNSET_PROPERTIES: &[&str] = &[
    "client.rack",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
];

/// Properties of topics, which the client does not list with its own.
const TOPIC_PROPERTIES: &[&str] = &[
    "acks",
    "compression.codec",
    "compression.level",
    "compression.type",
    "request.required.acks",
    "request.timeout.ms",
    "linger.ms",
    "retries",
    "max.in.flight.requests.per.connection",
];

/// What the options of an input come to.
pub(crate) struct SourceSettings {
    pub(crate) connection: Connection,
    pub(crate) subscription: Subscription,
    pub(crate) starting: Starting,
    pub(crate) fail_on_data_loss: bool,
    pub(crate) max_offsets: Option<u64>,
    /// How the writer chooses partitions, where that is to be checked.
    pub(crate) partitioner: Option<Partitioner>,
    pub(crate) group: Option<String>,
    pub(crate) group_prefix: Option<String>,
    pub(crate) retries: u32,
    pub(crate) retry_interval: Duration,
}

impl SourceSettings {
    /// Reads and checks the options of an input.
    pub(crate) fn of(table: &Table) -> Result<Self, JobError> {
        verify(table)?;
        let options = &table.options;
        let text = |name: &str| options.get(name).map(|value| value.trim().to_owned());
        Ok(Self {
            connection: Connection::of(table)?,
            subscription: subscription(table)?,
            starting: starting(table)?,
            fail_on_data_loss: options.flag("failOnDataLoss", true),
            max_offsets: options
                .whole("maxOffsetsPerTrigger")
                .and_then(|n| u64::try_from(n).ok()),
            partitioner: partitioner(table)?,
            group: text("kafka.group.id").filter(|group| !group.is_empty()),
            group_prefix: text("groupIdPrefix").filter(|prefix| !prefix.is_empty()),
            retries: options
                .whole("fetchOffset.numRetries")
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(3),
            retry_interval: Duration::from_millis(
                options
                    .whole("fetchOffset.retryIntervalMs")
                    .and_then(|n| u64::try_from(n).ok())
                    .unwrap_or(10),
            ),
        })
    }
}

fn partitioner(table: &Table) -> Result<Option<Partitioner>, JobError> {
    match table.options.entry("partitioner") {
        Some(entry) if table.partitioned_by.is_empty() => Err(JobError::new(
            entry.at,
            "option `partitioner` says how the writer partitions by the columns of PARTITIONED BY, and there is none",
        )
        .help("add PARTITIONED BY (column), or remove the option")),
        Some(entry) => Ok(Partitioner::named(&entry.value)),
        None => Ok(None),
    }
}

/// An error of an option's value.
fn wrong(entry: &OptionValue, reason: &str) -> JobError {
    JobError::new(entry.at, format!("option `{}` {reason}", entry.name))
}

fn subscription(table: &Table) -> Result<Subscription, JobError> {
    let given: Vec<&OptionValue> = ["assign", "subscribe", "subscribePattern"]
        .iter()
        .filter_map(|name| table.options.entry(name))
        .collect();
    match given.as_slice() {
        [] => Err(JobError::new(
            table.at,
            format!(
                "table `{}` says not what to read: give one of the options `subscribe`, `subscribePattern` and `assign`",
                table.name
            ),
        )),
        [entry] => if entry.name.eq_ignore_ascii_case("assign") {
            Subscription::assign(&entry.value)
        } else if entry.name.eq_ignore_ascii_case("subscribe") {
            Subscription::topics(&entry.value)
        } else {
            Subscription::pattern(&entry.value)
        }
        .map_err(|reason| wrong(entry, &reason)),
        [first, second, ..] => Err(JobError::new(
            second.at,
            format!(
                "`{}` and `{}` exclude each other: give one of `subscribe`, `subscribePattern` and `assign`",
                first.name, second.name
            ),
        )),
    }
}

fn starting(table: &Table) -> Result<Starting, JobError> {
    let options = &table.options;
    if !table.primary_key.is_empty() {
        return whole(table);
    }
    let latest_if_none = options
        .get("startingOffsetsByTimestampStrategy")
        .is_some_and(|strategy| strategy.trim().eq_ignore_ascii_case("latest"));
    // All are read, so that a mistake in one that another overrides is found too.
    let mut chosen = Starting::Latest;
    if let Some(entry) = options.entry("startingOffsets") {
        chosen = Starting::offsets(&entry.value).map_err(|reason| wrong(entry, &reason))?;
    }
    if let Some(entry) = options.entry("startingOffsetsByTimestamp") {
        chosen = Starting::by_timestamp(&entry.value, latest_if_none)
            .map_err(|reason| wrong(entry, &reason))?;
    }
    if let Some(entry) = options.entry("startingTimestamp") {
        chosen = Starting::timestamp(&entry.value, latest_if_none)
            .map_err(|reason| wrong(entry, &reason))?;
    }
    Ok(chosen)
}

/// A keyed table is read from its beginning: what it holds is all that was ever said of its keys.
fn whole(table: &Table) -> Result<Starting, JobError> {
    for name in [
        "startingOffsets",
        "startingOffsetsByTimestamp",
        "startingTimestamp",
    ] {
        let Some(entry) = table.options.entry(name) else {
            continue;
        };
        if !entry.value.trim().eq_ignore_ascii_case("earliest") {
            return Err(JobError::new(
                entry.at,
                format!(
                    "table `{}` has a PRIMARY KEY and is read from its beginning, where the rows of its keys may stand",
                    table.name
                ),
            )
            .help(format!("remove {name}")));
        }
    }
    Ok(Starting::Earliest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job_error::Location;

    fn table(entries: &[(&str, &str)]) -> Table {
        let mut options = vec![("kafka.bootstrap.servers", "localhost:9092")];
        options.extend_from_slice(entries);
        Table {
            name: "invoices".into(),
            at: Location { line: 1, column: 1 },
            connector: "kafka".into(),
            columns: None,
            primary_key: Vec::new(),
            partitioned_by: Vec::new(),
            options: Options::new(
                options
                    .into_iter()
                    .map(|(name, value)| OptionValue {
                        name: name.into(),
                        value: value.into(),
                        substituted: false,
                        at: Location { line: 2, column: 3 },
                    })
                    .collect(),
            ),
        }
    }

    fn refusal(entries: &[(&str, &str)]) -> String {
        match SourceSettings::of(&table(entries)) {
            Ok(_) => panic!("{entries:?} should be refused"),
            Err(error) => format!("{} {}", error.message, error.help.unwrap_or_default()),
        }
    }

    #[test]
    fn the_defaults_are_sparks() {
        let settings = SourceSettings::of(&table(&[("subscribe", "a, b,a")])).unwrap();
        assert_eq!(settings.subscription.named(), Some(vec!["a", "b"]));
        assert_eq!(settings.starting, Starting::Latest);
        assert!(settings.fail_on_data_loss);
    }

    #[test]
    fn one_way_to_subscribe_is_needed_and_no_more() {
        assert!(refusal(&[]).contains("subscribe"));
        assert!(refusal(&[("subscribe", "a"), ("assign", "{\"a\":[0]}")]).contains("exclude"));
        assert!(refusal(&[("subscribe", "a b")]).contains("cannot be a topic"));
    }

    #[test]
    fn the_most_specific_start_wins() {
        let settings = SourceSettings::of(&table(&[
            ("subscribe", "a"),
            ("startingOffsets", "earliest"),
            ("startingTimestamp", "1700000000000"),
            ("startingOffsetsByTimestampStrategy", "latest"),
        ]))
        .unwrap();
        assert_eq!(
            settings.starting,
            Starting::timestamp("1700000000000", true).unwrap()
        );
    }

    #[test]
    fn an_option_without_meaning_here_is_refused_with_the_reason() {
        for (name, word) in [
            ("minPartitions", "one actor"),
            ("endingOffsets", "available now"),
            ("minOffsetsPerTrigger", "no batch"),
            ("kafkaConsumer.pollTimeoutMs", "polled"),
            ("kafka.auto.offset.reset", "startingOffsets"),
            ("kafka.enable.auto.commit", "checkpoint"),
        ] {
            assert!(
                refusal(&[("subscribe", "a"), (name, "1")]).contains(word),
                "{name}"
            );
        }
    }

    #[test]
    fn a_partitioner_needs_columns_that_it_is_about() {
        let reason = refusal(&[("subscribe", "a"), ("partitioner", "murmur2")]);
        assert!(reason.contains("add PARTITIONED BY"), "{reason}");
        let mut table = table(&[("subscribe", "a"), ("partitioner", "CRC32")]);
        table.partitioned_by = vec!["card".into()];
        let settings = SourceSettings::of(&table).unwrap();
        assert_eq!(settings.partitioner, Some(Partitioner::Crc32));
    }

    #[test]
    fn an_unknown_client_property_is_refused_with_the_nearest_one() {
        let text = refusal(&[("subscribe", "a"), ("kafka.fetch.min.byte", "1")]);
        assert!(
            text.contains("did you mean `kafka.fetch.min.bytes`?"),
            "{text}"
        );
        for misspelt in [
            "kafka.sasl.pasword",
            "kafka.sasl.usrname",
            "kafka.ssl.ca.loction",
        ] {
            let text = refusal(&[("subscribe", "a"), (misspelt, "x")]);
            assert!(text.contains("did you mean"), "{text}");
        }
        assert!(
            refusal(&[("subscribe", "a"), ("kafka.fetch.min.bytes", "many")])
                .contains("not allowed")
        );
    }

    #[test]
    fn numbers_and_words_are_checked() {
        assert!(
            refusal(&[("subscribe", "a"), ("maxOffsetsPerTrigger", "0")]).contains("at least 1")
        );
        assert!(refusal(&[("subscribe", "a"), ("startingOffsets", "soon")]).contains("earliest"));
        assert!(
            refusal(&[("subscribe", "a"), ("failOnDataLoss", "maybe")]).contains("true or false")
        );
    }

    #[test]
    fn a_login_by_a_token_needs_to_know_where_one_comes_from() {
        let login = [
            ("kafka.security.protocol", "SASL_SSL"),
            ("kafka.sasl.mechanism", "OAUTHBEARER"),
        ];
        let with = |more: &[(&'static str, &'static str)]| {
            let options = [&login[..], more].concat();
            Connection::of(&table(&options))
        };
        let error = with(&[]).err().unwrap();
        assert!(error.message.contains("OAUTHBEARER"), "{error}");
        let help = error.help.unwrap();
        assert!(
            help.contains("kafka.sasl.oauthbearer.token.endpoint.url"),
            "{help}"
        );
        let module = "x.OAuthBearerLoginModule required";
        let endpoint = (
            "kafka.sasl.oauthbearer.token.endpoint.url",
            "https://issuer/token",
        );
        for more in [
            &[("kafka.sasl.oauthbearer.method", "oidc")][..],
            &[endpoint, ("kafka.sasl.jaas.config", module)],
            &[(
                "kafka.sasl.jaas.config",
                "x.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub='a';",
            )],
        ] {
            assert!(with(more).is_ok(), "{more:?}");
        }
    }

    #[test]
    fn a_table_without_brokers_is_refused() {
        let mut table = table(&[("subscribe", "a")]);
        table.options = Options::default();
        assert!(Connection::of(&table).is_err());
    }
}
